#include "control/write_watch.h"

#include "base/clock.h"
#include "base/memory.h"
#include "precheck/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct write_watch {
	struct side *source;
	uint32_t heartbeat_ms;
	struct usage before; /* of all masters together */
	uint64_t begun_us;
	uint32_t masters; /* that were asked then */
};

struct write_watch *write_watch_new(struct side *source, uint32_t heartbeat_ms)
{
	struct write_watch *watch = memory_alloc_zero(1, sizeof(*watch));

	watch->source = source;
	watch->heartbeat_ms = heartbeat_ms;
	return watch;
}

void write_watch_free(struct write_watch *watch)
{
	if (!watch)
		return;
	usage_free(&watch->before);
	free(watch);
}

static bool read_usage(struct write_watch *watch, struct usage *ret, struct error *error)
{
	const struct topology *topology = deployment_topology(watch->source->deployment);
	struct usage usage = {.count = 0};

	for (uint32_t i = 0; i < topology->shard_count; i++) {
		struct client_reply reply;
		char *text;

		if (!side_call(watch->source, i, &reply, error, "INFO", "commandstats")) {
			usage_free(&usage);
			return false;
		}
		text = memory_strndup((const char *)reply.nodes[0].text.data,
				      reply.nodes[0].type == RESP_BULK ? reply.nodes[0].text.len : 0);
		usage_add(&usage, text);
		free(text);
	}
	/* Whatever it does count, that is INFO itself. */
	if (usage.count == 0) {
		error_set(
			error, ERROR_SOURCE,
			"the source does not count its commands (INFO commandstats is empty or denied): whether anybody writes cannot be told");
		error_hint(error, "Give the user +info");
		usage_free(&usage);
		return false;
	}
	*ret = usage;
	return true;
}

bool write_watch_begin(struct write_watch *watch, struct error *error)
{
	struct usage usage;

	if (!read_usage(watch, &usage, error))
		return false;
	usage_free(&watch->before);
	watch->before = usage;
	watch->begun_us = clock_monotonic_us();
	watch->masters = deployment_topology(watch->source->deployment)->shard_count;
	return true;
}

static uint64_t calls_before(const struct write_watch *watch, const char *name)
{
	for (uint32_t i = 0; i < watch->before.count; i++)
		if (strcmp(watch->before.commands[i].name, name) == 0)
			return watch->before.commands[i].calls;
	return 0;
}

/* As many as there may have been: one each interval, and one at either edge. */
static uint64_t heartbeats(const struct write_watch *watch)
{
	return watch->heartbeat_ms ? watch->masters * ((clock_monotonic_us() - watch->begun_us) / 1000 / watch->heartbeat_ms + 2)
				   : 0;
}

/* Before Redis 7.0 sub-commands are counted together with their command. */
static bool writes(const struct used_command *used)
{
	if (!used->info)
		return strcmp(used->name, "xgroup") == 0;
	return (used->info->flags & COMMAND_WRITE) && !(used->info->flags & COMMAND_SCRIPT);
}

static uint64_t calls_since(const struct write_watch *watch, const struct used_command *used)
{
	uint64_t before = calls_before(watch, used->name), own = strcmp(used->name, "setex") == 0 ? heartbeats(watch) : 0;
	/* Fewer than before: the counts were reset (CONFIG RESETSTAT), and begin anew. */
	uint64_t calls = used->calls >= before ? used->calls - before : used->calls;

	return calls > own ? calls - own : 0;
}

bool write_watch_look(struct write_watch *watch, uint64_t *ret, char text[WRITE_WATCH_TEXT_MAX], struct error *error)
{
	struct usage now;
	uint64_t sum = 0;
	size_t len = 0;

	if (!read_usage(watch, &now, error))
		return false;
	text[0] = '\0';
	for (uint32_t i = 0; i < now.count; i++) {
		uint64_t calls = writes(&now.commands[i]) ? calls_since(watch, &now.commands[i]) : 0;
		char name[64];

		if (calls == 0)
			continue;
		sum += calls;
		snprintf(name, sizeof(name), "%s%.20s (%llu times)", len ? ", " : "", now.commands[i].name,
			 (unsigned long long)calls);
		if (len + strlen(name) < WRITE_WATCH_TEXT_MAX)
			len += (size_t)sprintf(text + len, "%s", name);
	}
	usage_free(&now);
	*ret = sum;
	return true;
}
