#include "verify/catch_up.h"

#include "base/clock.h"
#include "base/memory.h"
#include "peer/server.h"
#include "sink/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 20
#define SCAN_SOURCE_WAIT_MS 3000 /* a change is heard of and applied well within it, and nothing tells */

/* Where a source master stood. */
struct goal {
	char replid[41], replid2[41]; /* empty: before Redis 4.0 they are not told */
	int64_t offset;
	char address[ENDPOINT_TEXT_MAX];
};

/* ---- is it running? ---- */

/* Of all connections "keyferry:<task>:..." those that look only do not count. */
static bool has_link(struct slice list, const char *prefix)
{
	static const char *const lookers[] = {"verify ", "finish ", "precheck ", "cutover "};

	for (const uint8_t *at; (at = memmem(list.data, list.len, prefix, strlen(prefix)));) {
		bool looks = false;

		list = slice_make(at + strlen(prefix), list.len - (size_t)(at + strlen(prefix) - list.data));
		for (size_t i = 0; i < sizeof(lookers) / sizeof(lookers[0]); i++)
			looks = looks || slice_starts_with(list, slice_of_string(lookers[i]));
		if (!looks)
			return true;
	}
	return false;
}

bool catch_up_find(const struct catch_up_options *options, bool *ret, struct error *error)
{
	char *prefix = memory_printf(" name=keyferry:%s:", options->task->name);
	struct deployment *target = options->target->deployment;
	bool ok = true;

	*ret = false;
	for (uint32_t i = 0; ok && !*ret && i < deployment_topology(target)->shard_count; i++) {
		struct client_reply reply;

		ok = side_call(options->target, i, &reply, error, "CLIENT", "LIST");
		/* Who may not ask has to take it for running: then nothing is said too early. */
		if (ok)
			*ret = reply.nodes[0].type == RESP_ERROR || has_link(reply.nodes[0].text, prefix);
	}
	free(prefix);
	return ok;
}

/* ---- has it come so far? ---- */

static bool ask_replication(struct side *source, uint32_t shard, struct slice *ret, struct error *error)
{
	struct client_reply reply;

	if (!side_call(source, shard, &reply, error, "INFO", "replication"))
		return false;
	*ret = reply.nodes[0].text;
	if (reply.nodes[0].type == RESP_BULK)
		return true;
	error_set(error, ERROR_SOURCE, "INFO replication was answered with %.*s", (int)(ret->len > 200 ? 200 : ret->len),
		  (const char *)ret->data);
	return false;
}

static void copy_id(struct slice id, char out[41])
{
	snprintf(out, 41, "%.*s", (int)(id.len <= 40 ? id.len : 0), (const char *)id.data);
}

static bool read_goal(struct side *source, uint32_t shard, struct goal *ret, struct error *error)
{
	struct slice info;

	if (!ask_replication(source, shard, &info, error))
		return false;
	copy_id(server_info_field(info, "master_replid"), ret->replid);
	copy_id(server_info_field(info, "master_replid2"), ret->replid2);
	if (!slice_to_int64(server_info_field(info, "master_repl_offset"), &ret->offset)) {
		error_set(error, ERROR_SOURCE, "INFO replication tells no master_repl_offset");
		return false;
	}
	endpoint_format(&deployment_topology(source->deployment)->shards[shard].master, ret->address);
	return true;
}

/* "slave0:ip=127.0.0.1,port=0,state=online,offset=4711,lag=0": port 0 is what keyferry announces. The least of them; -1: there is none. */
static int64_t least_acknowledged(struct slice info)
{
	int64_t least = -1;
	char *text = memory_strndup((const char *)info.data, info.len), *rest;

	for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
		const char *offset = strstr(line, ",offset=");

		if (strncmp(line, "slave", 5) != 0 || !strstr(line, ",port=0,") || !offset)
			continue;
		if (least < 0 || strtoll(offset + 8, NULL, 10) < least)
			least = strtoll(offset + 8, NULL, 10);
	}
	free(text);
	return least;
}

static bool acknowledged(struct side *source, uint32_t shard, int64_t *ret, struct error *error)
{
	struct slice info;

	if (!ask_replication(source, shard, &info, error))
		return false;
	*ret = least_acknowledged(info);
	return true;
}

/* Offsets of another history than the source's mean nothing. */
static int64_t recorded(const struct checkpoint *checkpoint, const struct goal *goal)
{
	const struct checkpoint_link *link = checkpoint_find(checkpoint, goal->replid, goal->replid2, goal->address, false);

	if (!link || (goal->replid[0] && strcmp(link->record.replid, goal->replid) != 0 &&
		      strcmp(link->record.replid, goal->replid2) != 0))
		return -1;
	return link->record.offset;
}

static bool reached(const struct catch_up_options *options, const struct goal *goals, uint32_t count, bool *ret,
		    struct error *error)
{
	struct checkpoint checkpoint = {0};
	bool ok = true;

	*ret = true;
	/* A connection that was lost is made again at the next attempt; what it is that does not pass is told in the end. */
	if (options->task->checkpoint == CHECKPOINT_TARGET &&
	    !checkpoint_read(options->target->deployment, options->task->name, &checkpoint, error))
		*ret = false;
	for (uint32_t i = 0; ok && *ret && i < count; i++) {
		int64_t at = recorded(&checkpoint, &goals[i]);

		if (options->task->checkpoint != CHECKPOINT_TARGET)
			ok = acknowledged(options->source, i, &at, error);
		*ret = at >= goals[i].offset;
	}
	checkpoint_free(&checkpoint);
	return ok;
}

static bool pause_for(const struct catch_up_options *options, uint32_t ms)
{
	static const bool never;

	loop_run_until(options->source->loop, &never, clock_monotonic_us() + ms * 1000ULL);
	return options->go_on(options->owner);
}

static bool give_up(struct error *error)
{
	error_clear(error);
	return false;
}

static void tell_late(const struct catch_up_options *options, bool live, struct error *error)
{
	if (options->demanded) {
		error_set(error, ERROR_TARGET, "the target has not come within %u s to where the source stood%s",
			  options->wait_ms / 1000, live ? "" : ": no link of the task is connected to it");
		error_hint(
			error,
			"Wait until the task is streaming with a small lag (its log, /status), or give it longer with --timeout");
		return;
	}
	error_set(error, ERROR_TARGET,
		  "the target has not caught up with the source within %u s: what differs now may just not have arrived yet",
		  options->wait_ms / 1000);
	error_hint(
		error,
		"Wait until the task is streaming with a small lag (keyferry's log, /status), or stop it, or give it longer with --wait");
}

/* One attempt, and a pause. *ret: it has come so far, or nobody brings it any further. */
static bool look(const struct catch_up_options *options, const struct goal *goals, uint32_t count, uint64_t deadline, bool *ret,
		 struct error *error)
{
	bool live;

	error_clear(error);
	if (!reached(options, goals, count, ret, error))
		return false;
	if (*ret)
		return true;
	if (clock_monotonic_us() > deadline) {
		if (!catch_up_find(options, &live, error))
			return false;
		*ret = !live && !options->demanded;
		if (!*ret && error->kind == ERROR_NONE)
			tell_late(options, live, error);
		return *ret;
	}
	return pause_for(options, POLL_MS) || give_up(error);
}

bool catch_up_wait(const struct catch_up_options *options, struct error *error)
{
	uint32_t count = deployment_topology(options->source->deployment)->shard_count;
	uint64_t deadline = clock_monotonic_us() + options->wait_ms * 1000ULL;
	struct goal *goals;
	bool ok = true, there = false;

	if (options->task->source.mode == MODE_SCAN) {
		for (uint32_t waited = 0; waited < SCAN_SOURCE_WAIT_MS; waited += POLL_MS)
			if (!pause_for(options, POLL_MS))
				return give_up(error);
		return true;
	}
	goals = memory_alloc_zero(count, sizeof(*goals));
	for (uint32_t i = 0; ok && i < count; i++)
		ok = read_goal(options->source, i, &goals[i], error);
	while (ok && !there)
		ok = look(options, goals, count, deadline, &there, error);
	free(goals);
	return ok;
}
