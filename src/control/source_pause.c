#include "control/source_pause.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 200
#define RENEW_MS 2000
#define SPARE_MS 1000 /* of the lease that is not relied on: clocks of servers and time on the way */

struct paused_master {
	struct source_pause *pause;
	struct client *client; /* the deployment's */
	uint64_t asked_us;     /* when the renewal under way was sent */
	uint64_t confirmed_us; /* when the last one that was answered well was sent */
	bool asking;
};

struct source_pause {
	struct loop *loop;
	struct deployment *source;
	struct paused_master *masters;
	uint32_t count;
	struct timer *timer;
	uint64_t renew_us; /* when the next renewal is due */
	bool (*go_on)(void *owner);
	void *owner;
	struct error lost; /* ERROR_NONE: it holds */
};

bool source_pause_known(const struct deployment *source)
{
	for (uint32_t i = 0; i < deployment_topology(source)->shard_count; i++) {
		const struct server_info *info = deployment_server(source, i);

		if (!info || (info->family == FAMILY_REDIS && info->version < VERSION(6, 2, 0)))
			return false;
	}
	return true;
}

/* ---- renewals ---- */

static void lose(struct source_pause *pause, const char *peer, const char *why)
{
	if (pause->lost.kind != ERROR_NONE)
		return;
	error_set(&pause->lost, ERROR_SOURCE, "source %s: the pause of its writes may have been interrupted: %s", peer, why);
	error_hint(&pause->lost, "Nothing is cut over; try again");
}

static void on_renewed(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct paused_master *master = owner;
	char why[200];

	master->asking = false;
	if (error) {
		lose(master->pause, client_peer(master->client), error->text);
	} else if (reply->nodes[0].type == RESP_ERROR) {
		snprintf(why, sizeof(why), "%.*s", (int)(reply->nodes[0].text.len > 180 ? 180 : reply->nodes[0].text.len),
			 (const char *)reply->nodes[0].text.data);
		lose(master->pause, client_peer(master->client), why);
	} else {
		master->confirmed_us = master->asked_us;
	}
}

static void on_unpaused(void *owner, const struct client_reply *reply, const struct error *error)
{
	/* Whoever rolls back says it once more, and tells what is not reached. */
	(void)owner;
	(void)reply;
	(void)error;
}

static void give_up(struct source_pause *pause)
{
	timer_stop(pause->timer);
	lose(pause, client_peer(pause->masters[0].client), "it was ended");
	for (uint32_t i = 0; i < pause->count; i++)
		if (!client_is_dead(pause->masters[i].client))
			client_send_strings(pause->masters[i].client, on_unpaused, pause, "CLIENT", "UNPAUSE", NULL);
}

static void renew(struct source_pause *pause)
{
	char ms[24];

	snprintf(ms, sizeof(ms), "%u", SOURCE_PAUSE_LEASE_MS);
	for (uint32_t i = 0; i < pause->count; i++) {
		struct paused_master *master = &pause->masters[i];

		if (client_is_dead(master->client)) {
			lose(pause, client_peer(master->client), "the connection is lost");
		} else if (!master->asking) {
			master->asking = true;
			master->asked_us = clock_monotonic_us();
			client_send_strings(master->client, on_renewed, master, "CLIENT", "PAUSE", ms, "WRITE", NULL);
		}
	}
}

static void on_tick(void *owner)
{
	struct source_pause *pause = owner;
	uint64_t now = clock_monotonic_us();

	if (!pause->go_on(pause->owner)) {
		give_up(pause);
	} else if (now >= pause->renew_us) {
		pause->renew_us = now + RENEW_MS * 1000ULL;
		renew(pause);
	}
}

bool source_pause_holds(const struct source_pause *pause, struct error *error)
{
	uint64_t now = clock_monotonic_us();

	if (pause->lost.kind != ERROR_NONE) {
		*error = pause->lost;
		return false;
	}
	for (uint32_t i = 0; i < pause->count; i++) {
		const struct paused_master *master = &pause->masters[i];

		if (!client_is_dead(master->client) && now < master->confirmed_us + (SOURCE_PAUSE_LEASE_MS - SPARE_MS) * 1000ULL)
			continue;
		error_set(error, ERROR_SOURCE, "source %s: the pause of its writes could not be renewed in time",
			  client_peer(master->client));
		error_hint(error, "Nothing is cut over; try again");
		return false;
	}
	return true;
}

/* ---- begin and end ---- */

static bool pause_master(struct source_pause *pause, uint32_t i, struct error *error)
{
	struct paused_master *master = &pause->masters[i];
	struct client_reply reply;
	char ms[24];

	master->pause = pause;
	master->client = deployment_client(pause->source, i, error);
	if (!master->client)
		return false;
	snprintf(ms, sizeof(ms), "%u", SOURCE_PAUSE_LEASE_MS);
	master->confirmed_us = clock_monotonic_us();
	if (client_call(master->client, &reply, false, error, "CLIENT", "PAUSE", ms, "WRITE", NULL))
		return true;
	error_prefix(error, "writes cannot be paused");
	error_hint(error, "Give the user +client|pause +client|unpause, or stop the writers yourself and say --by-hand");
	return false;
}

struct source_pause *source_pause_begin(struct loop *loop, struct deployment *source, bool (*go_on)(void *owner), void *owner,
					struct error *error)
{
	struct source_pause *pause = memory_alloc_zero(1, sizeof(*pause));
	struct error ignored;
	bool ok = true;

	pause->loop = loop;
	pause->source = source;
	pause->go_on = go_on;
	pause->owner = owner;
	pause->count = deployment_topology(source)->shard_count;
	pause->masters = memory_alloc_zero(pause->count, sizeof(pause->masters[0]));
	pause->timer = timer_new(loop, on_tick, pause);
	for (uint32_t i = 0; ok && i < pause->count; i++)
		ok = pause_master(pause, i, error);
	if (ok) {
		pause->renew_us = clock_monotonic_us() + RENEW_MS * 1000ULL;
		timer_repeat(pause->timer, TICK_MS, TICK_MS);
		return pause;
	}
	/* What is not reached now ends by itself. */
	if (!source_pause_end(pause, &ignored))
		error_clear(&ignored);
	source_pause_free(pause);
	return NULL;
}

static bool call_all(struct source_pause *pause, const char *ms, struct error *error)
{
	bool all = true;

	timer_stop(pause->timer);
	for (uint32_t i = 0; i < pause->count; i++) {
		struct error failed;
		struct client_reply reply;
		/* Made anew where it was lost. */
		struct client *client = deployment_client(pause->source, i, &failed);

		if (client && (ms ? client_call(client, &reply, false, &failed, "CLIENT", "PAUSE", ms, "WRITE", NULL)
				  : client_call(client, &reply, false, &failed, "CLIENT", "UNPAUSE", NULL)))
			continue;
		if (all)
			*error = failed;
		all = false;
	}
	return all;
}

bool source_pause_keep(struct source_pause *pause, uint64_t ms, struct error *error)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
	return call_all(pause, text, error);
}

bool source_pause_end(struct source_pause *pause, struct error *error)
{
	return call_all(pause, NULL, error);
}

void source_pause_free(struct source_pause *pause)
{
	if (!pause)
		return;
	timer_free(pause->timer);
	free(pause->masters);
	free(pause);
}
