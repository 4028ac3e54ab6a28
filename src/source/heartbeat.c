#include "source/heartbeat.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "peer/server.h"
#include "peer/topology.h"
#include "source/backoff.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MS 1000
#define BACKOFF_FIRST_MS 500
#define BACKOFF_MOST_MS 10000
#define TTL_MIN_SECONDS 60

/* The key lives for ten intervals: a source that keyferry has left is clean again after that. */
#define TTL_INTERVALS 10

enum write_state {
	WRITE_ON,
	WRITE_TROUBLED, /* the last one was refused for a reason that may pass, which was noted */
	WRITE_DENIED,   /* no permission, or a replica: sampled offsets have to do, until the next node */
};

struct heartbeat {
	struct loop *loop;
	struct heartbeat_options options;
	void (*note)(void *owner, int log_level, const char *text);
	void *owner;

	struct client *client; /* NULL: waiting for `retry` */
	struct backoff backoff;
	struct timer *retry;
	struct timer *sample_timer;
	struct timer *write_timer;
	struct wake *wake; /* somebody waits for a sample */
	char key[64];
	enum write_state writing;
	bool written;        /* at least once, on this node */
	bool sample_refused; /* noted */
	bool sampling;       /* a request is on its way: its number is `asked` */
	bool again;          /* another is wanted behind it */
	int64_t asked_wall_ms;
	uint64_t asked_us;

	bool asking_owners; /* a request is on its way, sent at `owners_asked_us` */
	uint64_t owners_asked_us;
	atomic_bool owners_wanted;

	_Atomic uint64_t asked;
	pthread_mutex_t lock; /* of what follows */
	struct samples samples;
	char ended_replid[41]; /* of the history in which a master became a replica; empty: it is one still */
	int64_t ended_offset;
	uint32_t *owners;                       /* of each slot: a hash of the master's id; NULL: never answered ... */
	uint64_t owners_us, owners_answered_us; /* ... to what was asked then, and when */
};

static void heartbeat_note(struct heartbeat *heartbeat, int level, const char *format, ...) PRINTF_LIKE(3, 4);

static void heartbeat_note(struct heartbeat *heartbeat, int level, const char *format, ...)
{
	char peer[ENDPOINT_TEXT_MAX], text[1024];
	va_list args;
	int used = snprintf(text, sizeof(text), "%s: ", endpoint_format(&heartbeat->options.client.endpoint, peer));

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
	va_end(args);
	heartbeat->note(heartbeat->owner, level, text);
}

static const struct resp_node *reply_error(const struct client_reply *reply)
{
	return reply->count > 0 && reply->nodes[0].type == RESP_ERROR ? &reply->nodes[0] : NULL;
}

/* ---- sampling ---- */

static bool info_offset(struct slice text, const char *name, int64_t *ret)
{
	return slice_to_int64(server_info_field(text, name), ret) && *ret >= 0;
}

static void info_id(struct slice text, const char *name, char out[SAMPLES_HISTORY_MAX + 1])
{
	struct slice id = server_info_field(text, name);

	snprintf(out, SAMPLES_HISTORY_MAX + 1, "%.*s", (int)(id.len <= SAMPLES_HISTORY_MAX ? id.len : 0), (const char *)id.data);
}

static void add_sample(struct heartbeat *heartbeat, struct slice info, const struct sample *sample)
{
	char history[SAMPLES_HISTORY_MAX + 1], before[SAMPLES_HISTORY_MAX + 1];
	int64_t second;

	info_id(info, "master_replid", history);
	info_id(info, "master_replid2", before);
	/* The first offset that is not of both. */
	if (!info_offset(info, "second_repl_offset", &second))
		second = 0;
	pthread_mutex_lock(&heartbeat->lock);
	samples_enter(&heartbeat->samples, history, before, second - 1);
	samples_add(&heartbeat->samples, sample);
	heartbeat->ended_replid[0] = '\0';
	pthread_mutex_unlock(&heartbeat->lock);
}

static bool is_replica(struct slice text)
{
	return slice_equal(server_info_field(text, "role"), SLICE("slave"));
}

/* What the server has written as a master, now that it is none. */
static void note_end(struct heartbeat *heartbeat, struct slice info)
{
	struct slice id = server_info_field(info, "master_replid");
	int64_t offset;

	if (id.len != sizeof(heartbeat->ended_replid) - 1 || !info_offset(info, "master_repl_offset", &offset))
		return;
	pthread_mutex_lock(&heartbeat->lock);
	/* The first time: later it has the history of another master, and passes that on. */
	if (!heartbeat->ended_replid[0]) {
		memcpy(heartbeat->ended_replid, id.data, id.len);
		heartbeat->ended_offset = offset;
	}
	pthread_mutex_unlock(&heartbeat->lock);
}

static void heartbeat_sample(struct heartbeat *heartbeat);

static void heartbeat_sampled(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct heartbeat *heartbeat = owner;
	struct sample sample = {
		.number = atomic_load(&heartbeat->asked),
		.wall_ms = heartbeat->asked_wall_ms,
		.at_us = heartbeat->asked_us,
		.answered_us = clock_monotonic_us(),
	};
	const struct resp_node *refusal;
	char quoted[200];

	heartbeat->sampling = false;
	if (error != NULL)
		return; /* the client is dead, and says so elsewhere */
	backoff_reset(&heartbeat->backoff);
	refusal = reply_error(reply);
	if (refusal != NULL) {
		if (!heartbeat->sample_refused && !slice_starts_with(refusal->text, SLICE("LOADING")))
			heartbeat_note(heartbeat, LOG_WARNING,
				       "INFO was answered with %s, so the lag in bytes is not known; the user needs +info",
				       slice_quote(refusal->text, quoted, sizeof(quoted)));
		heartbeat->sample_refused = true;
	} else if (reply->count > 0 && heartbeat->options.cluster && is_replica(reply->nodes[0].text)) {
		heartbeat->sample_refused =
			false; /* of another shard perhaps, whose offsets are others; who is the master now is found out elsewhere */
		note_end(heartbeat, reply->nodes[0].text);
	} else if (reply->count > 0 && info_offset(reply->nodes[0].text, "master_repl_offset", &sample.offset)) {
		heartbeat->sample_refused = false;
		add_sample(heartbeat, reply->nodes[0].text, &sample);
	}
	if (heartbeat->again)
		heartbeat_sample(heartbeat);
}

static void heartbeat_sample(struct heartbeat *heartbeat)
{
	if (heartbeat->client == NULL || heartbeat->options.fed)
		return;
	heartbeat->again = heartbeat->sampling;
	if (heartbeat->sampling)
		return;
	heartbeat->sampling = true;
	heartbeat->asked_wall_ms = clock_wall_ms();
	heartbeat->asked_us = clock_monotonic_us();
	/* Counted before it is sent: a ticket taken in between waits for the next one. */
	atomic_fetch_add(&heartbeat->asked, 1);
	client_send_strings(heartbeat->client, heartbeat_sampled, heartbeat, "INFO", "replication", NULL);
}

/* ---- who has the slots ---- */

/* FNV-1a. */
static uint32_t hash_text(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u;
	return hash;
}

static void take_owners(struct heartbeat *heartbeat, const struct topology *topology)
{
	uint32_t *hashes = memory_alloc_zero(topology->shard_count + 1, sizeof(*hashes));

	for (uint32_t i = 0; i < topology->shard_count; i++)
		hashes[i] = hash_text(topology->shards[i].node_id);
	pthread_mutex_lock(&heartbeat->lock);
	if (!heartbeat->owners)
		heartbeat->owners = memory_alloc_zero(SLOT_COUNT, sizeof(heartbeat->owners[0]));
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		heartbeat->owners[slot] = topology->owner[slot] == SHARD_NONE ? 0 : hashes[topology->owner[slot]];
	heartbeat->owners_us = heartbeat->owners_asked_us;
	heartbeat->owners_answered_us = clock_monotonic_us();
	pthread_mutex_unlock(&heartbeat->lock);
	free(hashes);
}

static void heartbeat_owners_told(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct heartbeat *heartbeat = owner;
	struct topology topology;

	heartbeat->asking_owners = false;
	/* What is refused (LOADING) or makes no sense is asked for again by who wants it. */
	if (error != NULL || !topology_from_slots(reply, &heartbeat->options.client.endpoint, &topology))
		return;
	take_owners(heartbeat, &topology);
	topology_free(&topology);
}

static void heartbeat_ask_owners(struct heartbeat *heartbeat)
{
	if (heartbeat->client == NULL || heartbeat->asking_owners || !atomic_exchange(&heartbeat->owners_wanted, false))
		return;
	heartbeat->asking_owners = true;
	heartbeat->owners_asked_us = clock_monotonic_us();
	client_send_strings(heartbeat->client, heartbeat_owners_told, heartbeat, "CLUSTER", "SLOTS", NULL);
}

bool heartbeat_owners(struct heartbeat *heartbeat, uint64_t us, const uint64_t *slots, uint64_t *ret_digest,
		      uint64_t *ret_answered_us)
{
	uint64_t digest = 0;
	bool known;

	pthread_mutex_lock(&heartbeat->lock);
	known = heartbeat->owners && heartbeat->owners_us >= us;
	for (uint32_t slot = 0; known && slot < SLOT_COUNT; slot++)
		if (!slots || (slots[slot / 64] >> (slot % 64) & 1))
			digest = digest * 0x9E3779B97F4A7C15u + heartbeat->owners[slot];
	if (known) {
		*ret_digest = digest;
		*ret_answered_us = heartbeat->owners_answered_us;
	}
	pthread_mutex_unlock(&heartbeat->lock);
	if (!known) {
		atomic_store(&heartbeat->owners_wanted, true);
		wake_send(heartbeat->wake);
	}
	return known;
}

static void heartbeat_sample_due(void *owner)
{
	struct heartbeat *heartbeat = owner;

	heartbeat_ask_owners(heartbeat);
	heartbeat_sample(heartbeat);
}

static void heartbeat_tick(void *owner)
{
	struct heartbeat *heartbeat = owner;
	const struct heartbeat_options *options = &heartbeat->options;

	if (options->hurries(heartbeat->owner) ||
	    clock_monotonic_us() - heartbeat->asked_us >= (uint64_t)options->sample_ms * 1000)
		heartbeat_sample(heartbeat);
}

/* ---- writing ---- */

static void heartbeat_written(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct heartbeat *heartbeat = owner;
	const struct resp_node *refusal;
	char quoted[200];
	bool denied;

	if (error != NULL)
		return;
	refusal = reply_error(reply);
	if (refusal == NULL) {
		if (heartbeat->writing == WRITE_TROUBLED)
			heartbeat_note(heartbeat, LOG_INFO, "the heartbeat is written again");
		heartbeat->writing = WRITE_ON;
		heartbeat->written = true;
		return;
	}
	/* Its slot has moved to another master: another name is found with the next map. */
	if (slice_starts_with(refusal->text, SLICE("MOVED")) || slice_starts_with(refusal->text, SLICE("ASK ")))
		return;
	slice_quote(refusal->text, quoted, sizeof(quoted));
	denied = slice_starts_with(refusal->text, SLICE("NOPERM"));
	if (denied || slice_starts_with(refusal->text, SLICE("READONLY"))) {
		if (heartbeat->writing != WRITE_DENIED)
			heartbeat_note(heartbeat, LOG_WARNING,
				       "the heartbeat cannot be written (%s): the lag comes from sampled offsets alone%s%s%s",
				       quoted, denied ? "; to have it, give the user +setex on " : "",
				       denied ? HEARTBEAT_KEY : "", denied ? "*, or turn it off with heartbeat.enabled" : "");
		heartbeat->writing = WRITE_DENIED;
		return;
	}
	if (heartbeat->writing == WRITE_ON)
		heartbeat_note(heartbeat, LOG_WARNING, "the heartbeat could not be written (%s); it is tried again each %.1f s",
			       quoted, heartbeat->options.interval_ms / 1000.0);
	heartbeat->writing = WRITE_TROUBLED;
}

static void heartbeat_write(void *owner)
{
	struct heartbeat *heartbeat = owner;
	uint64_t ttl = (uint64_t)heartbeat->options.interval_ms * TTL_INTERVALS / 1000;
	char ttl_text[24], now_text[24];

	if (heartbeat->client == NULL || heartbeat->writing == WRITE_DENIED)
		return;
	snprintf(ttl_text, sizeof(ttl_text), "%" PRIu64, ttl > TTL_MIN_SECONDS ? ttl : TTL_MIN_SECONDS);
	snprintf(now_text, sizeof(now_text), "%" PRId64, clock_wall_ms());
	client_send_strings(heartbeat->client, heartbeat_written, heartbeat, "SETEX", heartbeat->key, ttl_text, now_text, NULL);
}

/* ---- the connection ---- */

static void heartbeat_disconnect(struct heartbeat *heartbeat)
{
	client_free(heartbeat->client);
	heartbeat->client = NULL;
	heartbeat->sampling = false;
	heartbeat->asking_owners = false;
	heartbeat->again = false;
}

/* No note: the receiver has a connection to the same node and tells what happens to it. */
static void heartbeat_dead(void *owner, const struct error *error)
{
	struct heartbeat *heartbeat = owner;

	(void)error;
	heartbeat_disconnect(heartbeat);
	timer_start(heartbeat->retry, backoff_next(&heartbeat->backoff));
}

static void heartbeat_connect(void *owner)
{
	struct heartbeat *heartbeat = owner;

	heartbeat_disconnect(heartbeat);
	if (heartbeat->options.fed && !heartbeat->options.write)
		return; /* nothing to ask */
	heartbeat->client = client_new(heartbeat->loop, &heartbeat->options.client);
	client_on_dead(heartbeat->client, heartbeat_dead, heartbeat);
	heartbeat_sample(heartbeat);
	if (heartbeat->options.write)
		heartbeat_write(heartbeat);
}

const char *heartbeat_name(bool cluster, uint16_t slot, char out[HEARTBEAT_NAME_MAX])
{
	if (cluster)
		snprintf(out, HEARTBEAT_NAME_MAX, "%s:{%s}", HEARTBEAT_KEY, slot_tag(slot));
	else
		snprintf(out, HEARTBEAT_NAME_MAX, "%s", HEARTBEAT_KEY);
	return out;
}

static void heartbeat_name_key(struct heartbeat *heartbeat)
{
	heartbeat_name(heartbeat->options.cluster, heartbeat->options.slot, heartbeat->key);
}

struct heartbeat *heartbeat_new(struct loop *loop, const struct heartbeat_options *options,
				void (*note)(void *owner, int log_level, const char *text), void *owner)
{
	struct heartbeat *heartbeat = memory_alloc_zero(1, sizeof(*heartbeat));
	uint32_t sample_ms = options->hurries ? options->hurry_ms : options->sample_ms ? options->sample_ms : SAMPLE_MS;

	heartbeat->loop = loop;
	heartbeat->options = *options;
	heartbeat->note = note;
	heartbeat->owner = owner;
	heartbeat_name_key(heartbeat);
	pthread_mutex_init(&heartbeat->lock, NULL);
	backoff_init(&heartbeat->backoff, BACKOFF_FIRST_MS, BACKOFF_MOST_MS, clock_monotonic_us() ^ (uintptr_t)heartbeat);
	heartbeat->retry = timer_new(loop, heartbeat_connect, heartbeat);
	heartbeat->sample_timer = timer_new(loop, options->hurries ? heartbeat_tick : heartbeat_sample_due, heartbeat);
	heartbeat->write_timer = timer_new(loop, heartbeat_write, heartbeat);
	heartbeat->wake = wake_new(loop, heartbeat_sample_due, heartbeat);
	timer_repeat(heartbeat->sample_timer, sample_ms, sample_ms);
	if (options->write)
		timer_repeat(heartbeat->write_timer, options->interval_ms, options->interval_ms);
	heartbeat_connect(heartbeat);
	return heartbeat;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	heartbeat_disconnect(heartbeat);
	timer_free(heartbeat->retry);
	timer_free(heartbeat->sample_timer);
	timer_free(heartbeat->write_timer);
	wake_free(heartbeat->wake);
	pthread_mutex_destroy(&heartbeat->lock);
	free(heartbeat->owners);
	free(heartbeat);
}

void heartbeat_rename(struct heartbeat *heartbeat, uint16_t slot)
{
	heartbeat->options.slot = slot;
	heartbeat_name_key(heartbeat);
}

void heartbeat_move(struct heartbeat *heartbeat, const struct endpoint *endpoint, uint16_t slot)
{
	heartbeat->options.client.endpoint = *endpoint;
	heartbeat_rename(heartbeat, slot);
	heartbeat->writing = WRITE_ON;
	heartbeat->written = false;
	heartbeat->sample_refused = false;
	timer_stop(heartbeat->retry);
	heartbeat_connect(heartbeat);
}

/* ---- fed ---- */

bool heartbeat_is_written(const struct heartbeat *heartbeat)
{
	return heartbeat->written && heartbeat->writing == WRITE_ON;
}

uint64_t heartbeat_begin_sample(struct heartbeat *heartbeat)
{
	return atomic_fetch_add(&heartbeat->asked, 1) + 1;
}

void heartbeat_feed(struct heartbeat *heartbeat, const struct sample *sample)
{
	pthread_mutex_lock(&heartbeat->lock);
	samples_add(&heartbeat->samples, sample);
	pthread_mutex_unlock(&heartbeat->lock);
}

/* ---- what others ask ---- */

bool heartbeat_is_key(struct slice key)
{
	const size_t name = sizeof(HEARTBEAT_KEY) - 1;

	if (!slice_starts_with(key, SLICE(HEARTBEAT_KEY)))
		return false;
	return key.len == name || (key.len >= name + 4 && memcmp(key.data + name, ":{", 2) == 0 && key.data[key.len - 1] == '}');
}

/* `history`: NULL: any; *ret_same: whether the samples are of that one. */
static bool copy_sample_of(const struct heartbeat *heartbeat, const char *history,
			   const struct sample *(*find)(const struct samples *, uint64_t), uint64_t argument, struct sample *ret,
			   bool *ret_same)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&heartbeat->lock; /* no part of what the caller sees as constant */
	const struct sample *found;

	pthread_mutex_lock(lock);
	found = find(&heartbeat->samples, argument);
	if (found != NULL)
		*ret = *found;
	*ret_same = history == NULL || heartbeat->samples.history[0] == '\0' || strcmp(heartbeat->samples.history, history) == 0;
	pthread_mutex_unlock(lock);
	return found != NULL;
}

static bool heartbeat_copy_sample(const struct heartbeat *heartbeat,
				  const struct sample *(*find)(const struct samples *, uint64_t), uint64_t argument,
				  struct sample *ret)
{
	bool same;

	return copy_sample_of(heartbeat, NULL, find, argument, ret, &same);
}

static const struct sample *find_last(const struct samples *samples, uint64_t argument)
{
	(void)argument;
	return samples_last(samples);
}

static const struct sample *find_at_offset(const struct samples *samples, uint64_t offset)
{
	return samples_at_offset(samples, (int64_t)offset);
}

bool heartbeat_source_offset(const struct heartbeat *heartbeat, int64_t *ret_offset, uint64_t *ret_at_us)
{
	struct sample sample;

	if (!heartbeat_copy_sample(heartbeat, find_last, 0, &sample))
		return false;
	*ret_offset = sample.offset;
	*ret_at_us = sample.at_us;
	return true;
}

uint64_t heartbeat_ticket(struct heartbeat *heartbeat)
{
	uint64_t ticket = atomic_load(&heartbeat->asked);

	wake_send(heartbeat->wake);
	return ticket;
}

bool heartbeat_sampled_since(const struct heartbeat *heartbeat, uint64_t ticket, int64_t *ret_offset)
{
	struct sample sample;

	if (!heartbeat_copy_sample(heartbeat, samples_after, ticket, &sample))
		return false;
	*ret_offset = sample.offset;
	return true;
}

static const struct sample *find_reaching(const struct samples *samples, uint64_t offset)
{
	return samples_reaching(samples, (int64_t)offset);
}

bool heartbeat_executed(const struct heartbeat *heartbeat, const char *history, int64_t offset, uint64_t *ret_us, int64_t *ret_to)
{
	struct sample sample;
	bool same;

	if (!copy_sample_of(heartbeat, history, find_reaching, (uint64_t)offset, &sample, &same) || !same)
		return false;
	*ret_us = sample.answered_us;
	*ret_to = sample.offset;
	return true;
}

bool heartbeat_fence(const struct heartbeat *heartbeat, const char *history, uint64_t us, int64_t *ret_offset, bool *ret_same)
{
	struct sample sample;

	if (!copy_sample_of(heartbeat, history, samples_since, us, &sample, ret_same))
		return false;
	*ret_offset = sample.offset;
	return true;
}

bool heartbeat_ended(const struct heartbeat *heartbeat, const char *replid, int64_t *ret_offset)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&heartbeat->lock; /* no part of what the caller sees as constant */
	bool ended;

	pthread_mutex_lock(lock);
	ended = replid[0] && strcmp(heartbeat->ended_replid, replid) == 0;
	*ret_offset = heartbeat->ended_offset;
	pthread_mutex_unlock(lock);
	return ended;
}

int64_t heartbeat_time_of_offset(const struct heartbeat *heartbeat, int64_t offset)
{
	struct sample sample;

	return heartbeat_copy_sample(heartbeat, find_at_offset, (uint64_t)offset, &sample) ? sample.wall_ms : 0;
}
