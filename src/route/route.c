#include "route/route.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct slots_seen {
	const struct slice *argv;
	uint16_t first;
	bool any;
	bool several;
};

static void see_key(void *owner, uint32_t index)
{
	struct slots_seen *seen = owner;
	uint16_t slot = slot_of_key(seen->argv[index]);

	if (!seen->any)
		seen->first = slot;
	else if (slot != seen->first)
		seen->several = true;
	seen->any = true;
}

static struct route refuse(const struct event *event, struct error *error, const char *why, const char *hint)
{
	char key[160], place[EVENT_PLACE_MAX];
	struct slice name = event->argv[0];

	error_set(error, ERROR_CONFLICT, "%.*s%s%s (database %u, %s) cannot be applied to a cluster: %s",
		  (int)(name.len > 64 ? 64 : name.len), (const char *)name.data, event->key.data ? " of key " : "",
		  event->key.data ? slice_quote(event->key, key, sizeof(key)) : "", event->db, event_place(event, place), why);
	error_hint(error, "%s", hint);
	return (struct route){.kind = ROUTE_REFUSED};
}

static bool is(const struct command_info *info, const char *name)
{
	return strcmp(info->name, name) == 0;
}

struct route route_command(const struct event *event, struct error *error)
{
	const struct command_info *info = event->info;
	struct slots_seen seen = {.argv = event->argv};
	int keys;

	if (!info)
		return refuse(event, error, "this command is not known, so its keys are not either",
			      "A newer version of keyferry may know it; or the target's COMMAND INFO has to");
	if (info->flags & COMMAND_ALL_NODES)
		return (struct route){.kind = ROUTE_ALL};
	keys = command_keys(info, event->argc, event->argv, see_key, &seen);
	if (keys < 0)
		return refuse(event, error, "its keys cannot be told from its arguments",
			      "Please report the command with its arguments");
	if (keys == 0) {
		if (info->flags & COMMAND_ANY_NODE)
			return (struct route){.kind = ROUTE_ANY};
		return refuse(event, error, "it names no key, so no node is the right one",
			      "Scripts on a cluster have to name their keys; a standalone target takes it as it is");
	}
	if (!seen.several)
		return (struct route){.kind = ROUTE_SLOT, .slot = seen.first};
	return (struct route){.kind = (info->flags & COMMAND_SPLIT) || is(info, "msetnx") || is(info, "smove") ? ROUTE_SPLIT
													       : ROUTE_CROSSING};
}

/* ---- splitting ---- */

void route_splitter_free(struct route_splitter *splitter)
{
	free(splitter->argv);
	free(splitter->parts);
	free(splitter->order);
	*splitter = (struct route_splitter){0};
}

static void grow(void **array, uint32_t *room, uint32_t want, size_t size)
{
	if (*room >= want)
		return;
	*array = memory_realloc_array(*array, want, size);
	*room = want;
}

struct key_order {
	struct route_splitter *splitter;
	const struct slice *argv;
	uint32_t count;
};

static void order_key(void *owner, uint32_t index)
{
	struct key_order *keys = owner;

	keys->splitter->order[keys->count++] = (uint64_t)slot_of_key(keys->argv[index]) << 32 | index;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* SMOVE source destination member. The member is never in neither, for whoever reads the one after the other. */
static uint32_t split_move(struct route_splitter *splitter, const struct event *event, struct route_part **ret)
{
	grow((void **)&splitter->parts, &splitter->parts_room, 2, sizeof(splitter->parts[0]));
	grow((void **)&splitter->argv, &splitter->argv_room, 6, sizeof(splitter->argv[0]));
	for (uint32_t i = 0; i < 2; i++) {
		struct slice *argv = &splitter->argv[3 * i];

		argv[0] = i == 0 ? SLICE("SADD") : SLICE("SREM");
		argv[1] = event->argv[2 - i];
		argv[2] = event->argv[3];
		splitter->parts[i] = (struct route_part){.slot = slot_of_key(argv[1]), .argc = 3, .argv = argv};
	}
	*ret = splitter->parts;
	return 2;
}

uint32_t route_split(struct route_splitter *splitter, const struct event *event, struct route_part **ret)
{
	const struct command_info *info = event->info;
	/* MSET key value key value: what stands between two keys belongs to the one before it. */
	uint32_t step = (uint32_t)info->keys.step;
	struct key_order keys = {.splitter = splitter, .argv = event->argv};
	struct slice name = is(info, "msetnx") ? SLICE("MSET") : event->argv[0];
	uint32_t parts = 0, at = 0;

	if (is(info, "smove"))
		return split_move(splitter, event, ret);
	grow((void **)&splitter->order, &splitter->order_room, event->argc, sizeof(splitter->order[0]));
	grow((void **)&splitter->parts, &splitter->parts_room, event->argc, sizeof(splitter->parts[0]));
	grow((void **)&splitter->argv, &splitter->argv_room, 2 * event->argc, sizeof(splitter->argv[0]));
	command_keys(info, event->argc, event->argv, order_key, &keys);
	qsort(splitter->order, keys.count, sizeof(splitter->order[0]), compare);
	for (uint32_t i = 0; i < keys.count; i++) {
		uint16_t slot = (uint16_t)(splitter->order[i] >> 32);
		uint32_t index = (uint32_t)splitter->order[i];
		struct route_part *part;

		if (parts == 0 || splitter->parts[parts - 1].slot != slot) {
			splitter->parts[parts++] = (struct route_part){.slot = slot, .argc = 1, .argv = &splitter->argv[at]};
			splitter->argv[at++] = name;
		}
		part = &splitter->parts[parts - 1];
		for (uint32_t j = 0; j < step && index + j < event->argc; j++) {
			splitter->argv[at++] = event->argv[index + j];
			part->argc++;
		}
	}
	*ret = splitter->parts;
	return parts;
}
