#include "link/survey.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "peer/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 300
#define COUNT_FIRST 1000 /* of SCAN */
#define COUNT_LEAST 10
#define BATCH_MAX (2ULL * CLIENT_REPLY_MAX)
#define MASTERS_MAX TOPOLOGY_SHARDS_MAX
#define KEYSPACE_MAX 4096u

enum stage {
	STAGE_RETRY,    /* the timer begins the pass anew */
	STAGE_PLAN,     /* asking the masters what they own, before */
	STAGE_KEYSPACE, /* asking a master which databases have keys */
	STAGE_SCAN,
	STAGE_TYPES, /* asking for the types of some of what SCAN answered */
	STAGE_HAND_OUT,
	STAGE_SETTLE, /* everything is handed out */
	STAGE_CHECK,  /* asking the masters what they own, after */
	STAGE_OVER,
};

struct master {
	struct endpoint endpoint;
	struct client *client;
	uint64_t owns, owned; /* what CLUSTER NODES says of itself, as a hash: at the end and at the beginning */
	uint32_t db;          /* selected */
};

struct found_key {
	size_t at, len; /* in the batch */
	bool yes;       /* else its type is asked for */
	bool gone;      /* or of a type that is not wanted */
};

struct survey {
	struct survey_options options;
	const struct survey_events *events;
	void *owner;
	struct timer *timer;
	enum stage stage;
	struct survey_counters counters;
	uint32_t seed; /* which of the masters to begin with */
	bool backwards;
	uint32_t count;        /* of SCAN */
	uint32_t empty_passes; /* in a row, up to now */
	char complaint[256];   /* told last */
	/* of this pass */
	struct master *masters;
	uint32_t master_count, master_at;
	struct client *spare;  /* has told the masters, and is none of them */
	bool moving;           /* a slot is migrating */
	bool asks_for_masters; /* the one master known so far is asked for all of them */
	uint64_t found_before;
	uint32_t *databases; /* of this master, that are wanted */
	uint32_t database_count, database_at;
	char cursor[24];
	struct buffer batch; /* bytes of the keys */
	struct found_key *keys;
	uint32_t key_count, key_room, key_at;
	uint32_t type_at; /* next key whose type arrives */
	uint32_t types_awaited;
};

static void next_database(struct survey *survey);
static void hand_out(struct survey *survey);

/* ---- trouble ---- */

static void drop_masters(struct survey *survey)
{
	for (uint32_t i = 0; i < survey->master_count; i++)
		client_free(survey->masters[i].client);
	free(survey->masters);
	client_free(survey->spare);
	survey->spare = NULL;
	survey->masters = NULL;
	survey->master_count = 0;
}

/* The pass begins anew; clients may be in the middle of a callback, so they are freed on the timer's turn. */
static void again(struct survey *survey, const char *peer, const char *why)
{
	char text[256], told[512];

	if (survey->stage == STAGE_RETRY || survey->stage == STAGE_OVER)
		return;
	snprintf(text, sizeof(text), "target %s: %.180s", peer, why);
	if (strcmp(text, survey->complaint) != 0) {
		memcpy(survey->complaint, text, sizeof(text));
		snprintf(told, sizeof(told), "going through the target's keys for %s: %s; it is tried again",
			 survey->options.purpose, text);
		survey->events->note(survey->owner, LOG_WARNING, told);
	}
	/* An answer that was too long, perhaps. */
	survey->count = survey->count / 4 > COUNT_LEAST ? survey->count / 4 : COUNT_LEAST;
	survey->empty_passes = 0;
	survey->seed++;
	survey->stage = STAGE_RETRY;
	timer_start(survey->timer, RETRY_MS);
}

static void stop(struct survey *survey)
{
	survey->stage = STAGE_OVER;
	timer_start(survey->timer, 0);
}

/* False: the reply is none to go on with, and what follows is arranged. */
static bool is_good(struct survey *survey, const struct master *master, const struct client_reply *reply,
		    const struct error *error)
{
	char text[256];
	struct error failure;

	if (survey->stage == STAGE_RETRY || survey->stage == STAGE_OVER)
		return false;
	if (error) {
		again(survey, client_peer(master->client), error->text);
		return false;
	}
	if (reply->nodes[0].type != RESP_ERROR)
		return true;
	snprintf(text, sizeof(text), "%.*s", (int)(reply->nodes[0].text.len > 200 ? 200 : reply->nodes[0].text.len),
		 (const char *)reply->nodes[0].text.data);
	if (strncmp(text, "NOPERM", 6) != 0 && strncmp(text, "ERR unknown command", 19) != 0) {
		again(survey, client_peer(master->client), text);
		return false;
	}
	error_set(&failure, ERROR_TARGET, "target %s, to go through its keys for %s: %s", client_peer(master->client),
		  survey->options.purpose, text);
	error_hint(&failure,
		   "Give the target's user the rights that docs/least-rights.md lists: +scan +type +info +cluster|nodes");
	stop(survey);
	survey->events->failed(survey->owner, &failure);
	return false;
}

static struct master *current(struct survey *survey)
{
	return &survey->masters[survey->master_at];
}

/* Refused (the rights, or import mode is over): keys are then seen as everybody sees them. A connection that is lost is told to the question behind this one. */
static void on_import_source(void *owner, const struct client_reply *reply, const struct error *error)
{
	(void)owner;
	(void)reply;
	(void)error;
}

static void connect_to(struct survey *survey, struct master *master)
{
	const struct deployment_options *options = deployment_options(survey->options.target);
	struct client_options client = {
		.endpoint = master->endpoint,
		.credentials = &options->credentials,
		.tls = deployment_tls(survey->options.target),
		.tls_name = options->tls.server_name,
		.name = survey->options.name,
		.blame = ERROR_TARGET,
	};

	if (master->client)
		return;
	master->client = client_new(survey->options.loop, &client);
	if (survey->options.import_source)
		client_send_strings(master->client, on_import_source, survey, "CLIENT", "IMPORT-SOURCE", "ON", NULL);
}

/* ---- what the masters own ---- */

/* FNV-1a. */
static uint64_t hash_of(uint64_t hash, struct slice bytes)
{
	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ bytes.data[i]) * 0x100000001b3ULL;
	return hash;
}

/* A node's own line: "<id> <address> <flags> <master> <ping> <pong> <epoch> <link> <slots> ...". What belongs to it: id, flags, epoch and slots; "[...]" is
 * a slot on its way. */
static uint64_t own_line_hash(struct slice text, bool *ret_moving)
{
	uint64_t hash = 0xcbf29ce484222325ULL;
	const uint8_t *at = text.data, *end = text.data + text.len;

	while (at < end) {
		const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
		struct slice line = slice_make(at, (size_t)((line_end ? line_end : end) - at));
		uint32_t field = 0;

		at += line.len + 1;
		if (!memmem(line.data, line.len, "myself", 6))
			continue;
		for (size_t i = 0; i < line.len; field++) {
			const uint8_t *blank = memchr(line.data + i, ' ', line.len - i);
			struct slice word = slice_make(line.data + i, (blank ? (size_t)(blank - line.data) : line.len) - i);

			if (field == 0 || field == 2 || field == 6 || field >= 8)
				hash = hash_of(hash_of(hash, word), SLICE(" "));
			if (field >= 8 && word.len > 0 && word.data[0] == '[')
				*ret_moving = true;
			i += word.len + 1;
		}
	}
	return hash;
}

static void ask_what_it_owns(struct survey *survey);

/* The masters as one of them names them. */
static bool take_masters(struct survey *survey, struct slice text)
{
	struct master seed = survey->masters[0];
	struct topology topology;
	struct master *masters;

	if (!topology_from_nodes(text, &seed.endpoint, deployment_tls(survey->options.target) != NULL, &topology))
		return false;
	if (topology.shard_count == 0 || topology.uncovered > 0) {
		topology_free(&topology);
		return false;
	}
	masters = memory_alloc_zero(topology.shard_count, sizeof(*masters));
	for (uint32_t i = 0; i < topology.shard_count; i++) {
		struct master *master = &masters[survey->backwards ? topology.shard_count - 1 - i : i];

		master->endpoint = topology.shards[i].master;
		if (seed.client && endpoint_equal(&master->endpoint, &seed.endpoint)) {
			master->client = seed.client;
			seed.client = NULL;
		}
	}
	/* What it was begun with may be a replica, or have another name: it is in its callback, and freed with the rest. */
	survey->spare = seed.client;
	free(survey->masters);
	survey->masters = masters;
	survey->master_count = topology.shard_count;
	topology_free(&topology);
	return true;
}

static void over(struct survey *survey)
{
	stop(survey);
	survey->events->done(survey->owner);
}

/* All masters have said twice what they own. */
static void judge_pass(struct survey *survey)
{
	bool still = !survey->moving;

	for (uint32_t i = 0; i < survey->master_count; i++)
		still = still && survey->masters[i].owns == survey->masters[i].owned;
	survey->empty_passes = survey->counters.found == survey->found_before ? survey->empty_passes + 1 : 0;
	if (still || survey->empty_passes >= 2) {
		over(survey);
		return;
	}
	survey->backwards = !survey->backwards;
	survey->stage = STAGE_RETRY;
	timer_start(survey->timer, RETRY_MS);
}

static void begin_master(struct survey *survey);

static void on_nodes(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct survey *survey = owner;
	struct master *master = current(survey);

	if (!is_good(survey, master, reply, error))
		return;
	if (reply->nodes[0].type != RESP_BULK) {
		again(survey, client_peer(master->client), "CLUSTER NODES is answered by no text");
		return;
	}
	if (survey->asks_for_masters) {
		survey->asks_for_masters = false;
		if (!take_masters(survey, reply->nodes[0].text)) {
			again(survey, client_peer(master->client), "not all slots of the cluster have a master");
			return;
		}
		ask_what_it_owns(survey);
		return;
	}
	master->owns = own_line_hash(reply->nodes[0].text, &survey->moving);
	if (survey->stage == STAGE_PLAN)
		master->owned = master->owns;
	if (++survey->master_at < survey->master_count) {
		ask_what_it_owns(survey);
		return;
	}
	if (survey->stage == STAGE_CHECK) {
		judge_pass(survey);
		return;
	}
	survey->master_at = 0;
	begin_master(survey);
}

static void ask_what_it_owns(struct survey *survey)
{
	struct master *master = current(survey);

	connect_to(survey, master);
	client_send_strings(master->client, on_nodes, survey, "CLUSTER", "NODES", NULL);
}

static void begin_check(struct survey *survey)
{
	if (!survey->options.cluster) {
		over(survey);
		return;
	}
	survey->stage = STAGE_CHECK;
	survey->master_at = 0;
	ask_what_it_owns(survey);
}

/* ---- one master ---- */

static void end_master(struct survey *survey)
{
	if (++survey->master_at < survey->master_count) {
		begin_master(survey);
		return;
	}
	survey->stage = STAGE_SETTLE;
	if (survey->events->settled(survey->owner))
		begin_check(survey);
}

/* "db3:keys=12,expires=0,avg_ttl=0" */
static void take_keyspace(struct survey *survey, struct slice text)
{
	const char *at = (const char *)text.data, *end = at + text.len;

	survey->database_count = survey->database_at = 0;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		const char *colon = memchr(at, ':', (size_t)((line_end ? line_end : end) - at));
		uint64_t db;

		if (colon && colon - at > 2 && at[0] == 'd' && at[1] == 'b' &&
		    slice_to_uint64(slice_make(at + 2, (size_t)(colon - at) - 2), &db) && db <= INT32_MAX &&
		    survey->events->wants(survey->owner, (uint32_t)db)) {
			survey->databases =
				memory_realloc_array(survey->databases, survey->database_count + 1, sizeof(*survey->databases));
			survey->databases[survey->database_count++] = (uint32_t)db;
		}
		at = line_end ? line_end + 1 : end;
	}
}

static void on_keyspace(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct survey *survey = owner;

	if (!is_good(survey, current(survey), reply, error))
		return;
	if (reply->nodes[0].type != RESP_BULK) {
		again(survey, client_peer(current(survey)->client), "INFO is answered by no text");
		return;
	}
	take_keyspace(survey, reply->nodes[0].text);
	survey->stage = STAGE_SCAN;
	next_database(survey);
}

static void begin_master(struct survey *survey)
{
	survey->stage = STAGE_KEYSPACE;
	connect_to(survey, current(survey));
	client_send_strings(current(survey)->client, on_keyspace, survey, "INFO", "keyspace", NULL);
}

/* ---- keys ---- */

static struct slice key_bytes(const struct survey *survey, const struct found_key *key)
{
	return slice_make(survey->batch.data + survey->batch.start + key->at, key->len);
}

static bool keep(struct survey *survey, struct slice key, bool yes)
{
	size_t at = survey->batch.end - survey->batch.start;

	if (!buffer_append_slice(&survey->batch, key))
		return false;
	if (survey->key_count == survey->key_room) {
		survey->key_room = survey->key_room ? 2 * survey->key_room : COUNT_FIRST;
		survey->keys = memory_realloc_array(survey->keys, survey->key_room, sizeof(*survey->keys));
	}
	survey->keys[survey->key_count++] = (struct found_key){.at = at, .len = key.len, .yes = yes};
	return true;
}

static void ask_types(struct survey *survey);

static void on_scan(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct survey *survey = owner;
	uint32_t db;
	const struct resp_node *cursor, *list, *key;

	if (!is_good(survey, current(survey), reply, error))
		return;
	db = survey->databases[survey->database_at];
	cursor = reply->nodes[0].type == RESP_ARRAY ? resp_member(&reply->nodes[0], 0) : NULL;
	list = cursor ? resp_member(&reply->nodes[0], 1) : NULL;
	if (!list || list->type != RESP_ARRAY || cursor->text.len == 0 || cursor->text.len >= sizeof(survey->cursor)) {
		again(survey, client_peer(current(survey)->client), "SCAN is answered by something else");
		return;
	}
	snprintf(survey->cursor, sizeof(survey->cursor), "%.*s", (int)cursor->text.len, (const char *)cursor->text.data);
	buffer_clear(&survey->batch);
	survey->key_count = survey->key_at = 0;
	key = list + 1;
	for (uint32_t i = 0; i < list->count; i++, key += key->span) {
		enum survey_answer answer = survey->events->judge(survey->owner, db, key->text, SLICE(""));

		survey->counters.scanned++;
		if (answer == SURVEY_STOP) {
			stop(survey);
			return;
		}
		if (answer != SURVEY_NO && !keep(survey, key->text, answer == SURVEY_YES)) {
			again(survey, client_peer(current(survey)->client), "SCAN answers too much at once");
			return;
		}
	}
	ask_types(survey);
}

static void ask_scan(struct survey *survey)
{
	char count[16];

	survey->stage = STAGE_SCAN;
	snprintf(count, sizeof(count), "%u", survey->count);
	client_send_strings(current(survey)->client, on_scan, survey, "SCAN", survey->cursor, "COUNT", count, NULL);
}

static void on_selected(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct survey *survey = owner;

	if (!is_good(survey, current(survey), reply, error))
		return;
	current(survey)->db = survey->databases[survey->database_at];
	ask_scan(survey);
}

static void next_database(struct survey *survey)
{
	char number[16];

	if (survey->database_at == survey->database_count) {
		end_master(survey);
		return;
	}
	survey->stage = STAGE_SCAN;
	snprintf(survey->cursor, sizeof(survey->cursor), "0");
	if (current(survey)->db == survey->databases[survey->database_at]) {
		ask_scan(survey);
		return;
	}
	snprintf(number, sizeof(number), "%u", survey->databases[survey->database_at]);
	client_send_strings(current(survey)->client, on_selected, survey, "SELECT", number, NULL);
}

/* Keys that are gone meanwhile are of type "none". */
static void on_type(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct survey *survey = owner;
	struct found_key *key;

	if (!is_good(survey, current(survey), reply, error))
		return;
	while (survey->keys[survey->type_at].yes)
		survey->type_at++;
	key = &survey->keys[survey->type_at++];
	if (slice_equal(reply->nodes[0].text, SLICE("none"))) {
		key->gone = true;
	} else {
		switch (survey->events->judge(survey->owner, survey->databases[survey->database_at], key_bytes(survey, key),
					      reply->nodes[0].text)) {
		case SURVEY_YES: break;
		case SURVEY_STOP: stop(survey); return;
		default: key->gone = true; break;
		}
	}
	if (--survey->types_awaited == 0)
		hand_out(survey);
}

static void ask_types(struct survey *survey)
{
	survey->stage = STAGE_TYPES;
	survey->type_at = survey->types_awaited = 0;
	for (uint32_t i = 0; i < survey->key_count; i++)
		survey->types_awaited += !survey->keys[i].yes;
	if (survey->types_awaited == 0) {
		hand_out(survey);
		return;
	}
	for (uint32_t i = 0; i < survey->key_count; i++) {
		struct slice argv[2] = {SLICE("TYPE"), key_bytes(survey, &survey->keys[i])};

		if (!survey->keys[i].yes)
			client_send(current(survey)->client, 2, argv, on_type, survey);
	}
}

/* As many as there is room for; then on. */
static void hand_out(struct survey *survey)
{
	survey->stage = STAGE_HAND_OUT;
	for (; survey->key_at < survey->key_count; survey->key_at++) {
		const struct found_key *key = &survey->keys[survey->key_at];

		if (key->gone)
			continue;
		if (!survey->events->found(survey->owner, survey->databases[survey->database_at], key_bytes(survey, key)))
			return;
		survey->counters.found++;
	}
	if (strcmp(survey->cursor, "0") != 0) {
		ask_scan(survey);
		return;
	}
	survey->database_at++;
	next_database(survey);
}

/* ---- passes ---- */

static void begin_pass(struct survey *survey)
{
	struct endpoint seeds[16];
	uint32_t count = survey->events->masters(survey->owner, seeds, 16);

	drop_masters(survey);
	survey->master_at = 0;
	survey->moving = false;
	survey->found_before = survey->counters.found;
	survey->counters.passes++;
	if (count == 0) {
		timer_start(survey->timer, RETRY_MS);
		return;
	}
	survey->masters = memory_alloc_zero(1, sizeof(*survey->masters));
	survey->masters[survey->master_count++].endpoint = seeds[survey->seed % count];
	if (!survey->options.cluster) {
		begin_master(survey);
		return;
	}
	survey->stage = STAGE_PLAN;
	survey->asks_for_masters = true;
	ask_what_it_owns(survey);
}

static void on_timer(void *owner)
{
	struct survey *survey = owner;

	if (survey->stage == STAGE_OVER)
		drop_masters(survey);
	else
		begin_pass(survey);
}

struct survey *survey_new(const struct survey_options *options, const struct survey_events *events, void *owner)
{
	struct survey *survey = memory_alloc_zero(1, sizeof(*survey));

	survey->options = *options;
	survey->events = events;
	survey->owner = owner;
	survey->count = COUNT_FIRST;
	survey->stage = STAGE_RETRY;
	buffer_init(&survey->batch, BATCH_MAX);
	survey->timer = timer_new(options->loop, on_timer, survey);
	timer_start(survey->timer, 0);
	return survey;
}

void survey_free(struct survey *survey)
{
	if (!survey)
		return;
	drop_masters(survey);
	timer_free(survey->timer);
	buffer_free(&survey->batch);
	free(survey->keys);
	free(survey->databases);
	free(survey);
}

void survey_go_on(struct survey *survey)
{
	if (survey->stage == STAGE_HAND_OUT)
		hand_out(survey);
	else if (survey->stage == STAGE_SETTLE && survey->events->settled(survey->owner))
		begin_check(survey);
}

struct survey_counters survey_counters(const struct survey *survey)
{
	return survey->counters;
}
