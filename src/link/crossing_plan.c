#include "link/crossing_plan.h"

#include "base/memory.h"
#include "wire/command.h"
#include "wire/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum role {
	ROLE_ANY,         /* all keys are read and written */
	ROLE_STORE_FIRST, /* the first is overwritten with what is made of the others */
	ROLE_MERGE_FIRST, /* the same, and it counts among the others */
	ROLE_STORE_LAST,  /* the last is overwritten with what is made of the first */
	ROLE_RENAME,
	ROLE_COPY,
	ROLE_LIST_MOVE,
	ROLE_KEEPS_NAMES,
};

static const struct {
	const char *name;
	enum role role;
} known[] = {
	{"bitop", ROLE_STORE_FIRST},
	{"blmove", ROLE_LIST_MOVE},
	{"brpoplpush", ROLE_LIST_MOVE},
	{"copy", ROLE_COPY},
	{"georadius", ROLE_STORE_LAST},
	{"georadiusbymember", ROLE_STORE_LAST},
	{"geosearchstore", ROLE_STORE_FIRST},
	{"lmove", ROLE_LIST_MOVE},
	{"pfmerge", ROLE_MERGE_FIRST},
	{"rename", ROLE_RENAME},
	{"renamenx", ROLE_RENAME},
	{"rpoplpush", ROLE_LIST_MOVE},
	{"sdiffstore", ROLE_STORE_FIRST},
	{"sinterstore", ROLE_STORE_FIRST},
	{"sort", ROLE_STORE_LAST},
	{"sunionstore", ROLE_STORE_FIRST},
	{"ts.createrule", ROLE_KEEPS_NAMES},
	{"ts.deleterule", ROLE_KEEPS_NAMES},
	{"zdiffstore", ROLE_STORE_FIRST},
	{"zinterstore", ROLE_STORE_FIRST},
	{"zrangestore", ROLE_STORE_FIRST},
	{"zunionstore", ROLE_STORE_FIRST},
};

static enum role role_of(const struct command_info *info)
{
	for (size_t i = 0; info && i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, info->name) == 0)
			return known[i].role;
	return ROLE_ANY;
}

bool crossing_plan_is_own(const struct event *event)
{
	/* Nearly every command has one key and is known by that. */
	if (!event->info || event->info->keys.first == event->info->keys.last)
		return false;
	switch (role_of(event->info)) {
	case ROLE_RENAME:
	case ROLE_COPY:
	case ROLE_LIST_MOVE: return true;
	default: return false;
	}
}

void crossing_refuse(const struct event *event, struct error *error, const char *why, const char *hint)
{
	char key[160], place[EVENT_PLACE_MAX];
	struct slice name = event->argv[0];

	error_set(error, ERROR_CONFLICT, "%.*s%s%s (database %u, %s) cannot be done across slots of the cluster: %s",
		  (int)(name.len > 64 ? 64 : name.len), (const char *)name.data, event->key.data ? " of key " : "",
		  event->key.data ? slice_quote(event->key, key, sizeof(key)) : "", event->db, event_place(event, place), why);
	error_hint(error, "%s", hint);
}

/* ---- keys ---- */

struct collecting {
	struct crossing_plan *plan;
	const struct event *event;
	uint32_t count;
};

static void collect(void *owner, uint32_t index)
{
	struct collecting *collecting = owner;

	collecting->plan->order[collecting->count++] = index;
}

static int compare_arguments(const void *a, const void *b, void *owner)
{
	const struct slice *argv = owner;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	size_t len = argv[i].len < argv[j].len ? argv[i].len : argv[j].len;
	int outcome = len ? memcmp(argv[i].data, argv[j].data, len) : 0;

	if (outcome == 0 && argv[i].len != argv[j].len)
		outcome = argv[i].len < argv[j].len ? -1 : 1;
	return outcome ? outcome : i < j ? -1 : i > j;
}

/* A name may stand there several times: SUNIONSTORE a a b. */
static void find_keys(struct crossing_plan *plan, const struct event *event)
{
	struct collecting collecting = {plan, event, 0};
	uint32_t *sorted;

	if (plan->argument_room < event->argc) {
		plan->argument_room = event->argc;
		plan->key_of = memory_realloc_array(plan->key_of, event->argc, sizeof(plan->key_of[0]));
		plan->order = memory_realloc_array(plan->order, event->argc, 2 * sizeof(plan->order[0]));
		plan->keys = memory_realloc_array(plan->keys, event->argc, sizeof(plan->keys[0]));
	}
	command_keys(event->info, event->argc, event->argv, collect, &collecting);
	sorted = plan->order + event->argc;
	memcpy(sorted, plan->order, collecting.count * sizeof(sorted[0]));
	qsort_r(sorted, collecting.count, sizeof(sorted[0]), compare_arguments, event->argv);
	for (uint32_t i = 0; i < event->argc; i++)
		plan->key_of[i] = CROSSING_NO_KEY;
	/* The first argument with a name stands for it; the others are told which, and then its place. */
	for (uint32_t i = 0, first = 0; i < collecting.count; i++) {
		if (!slice_equal(event->argv[sorted[i]], event->argv[sorted[first]]))
			first = i;
		plan->key_of[sorted[i]] = sorted[first];
	}
	plan->key_count = 0;
	for (uint32_t i = 0; i < collecting.count; i++) {
		uint32_t at = plan->order[i], first = plan->key_of[at];

		if (first == at) {
			plan->keys[plan->key_count] =
				(struct crossing_key){.name = event->argv[at], .slot = slot_of_key(event->argv[at])};
			plan->key_of[at] = plan->key_count++;
		} else {
			plan->key_of[at] = plan->key_of[first];
		}
	}
}

static struct crossing_key *key_at(struct crossing_plan *plan, uint32_t argument)
{
	return &plan->keys[plan->key_of[argument]];
}

/* `written`: argument of the key that alone is written; 0: all are. */
static void set_roles(struct crossing_plan *plan, const struct event *event, uint32_t written, bool merges)
{
	for (uint32_t i = 1; i < event->argc; i++) {
		if (plan->key_of[i] == CROSSING_NO_KEY)
			continue;
		key_at(plan, i)->writes |= written == 0 || i == written;
		key_at(plan, i)->reads |= written == 0 || i != written || merges;
	}
}

static uint32_t last_key(const struct crossing_plan *plan, const struct event *event)
{
	uint32_t at = event->argc - 1;

	while (plan->key_of[at] == CROSSING_NO_KEY)
		at--;
	return at;
}

/* ---- single commands ---- */

/* COPY source destination [DB n] [REPLACE] */
static uint32_t copy_database(const struct event *event)
{
	uint64_t db;

	for (uint32_t i = 3; i + 1 < event->argc; i++)
		if (slice_equal_nocase(event->argv[i], SLICE("DB")) && slice_to_uint64(event->argv[i + 1], &db) &&
		    db < UINT32_MAX)
			return (uint32_t)db;
	return event->db;
}

/* SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC|DESC] [ALPHA] STORE destination */
static bool check_sort(const struct event *event, struct error *error)
{
	for (uint32_t i = 2; i + 1 < event->argc; i++) {
		bool by = slice_equal_nocase(event->argv[i], SLICE("BY"));
		bool get = slice_equal_nocase(event->argv[i], SLICE("GET"));
		struct slice pattern = event->argv[i + 1];

		if (slice_equal_nocase(event->argv[i], SLICE("LIMIT"))) {
			i += 2;
			continue;
		}
		if ((by && pattern.len && memchr(pattern.data, '*', pattern.len)) || (get && !slice_equal(pattern, SLICE("#")))) {
			crossing_refuse(event, error,
					"BY and GET with a pattern read keys that the data names, wherever they lie",
					"No cluster executes it: sort in the application, or use a standalone target");
			return false;
		}
		if (by || get || slice_equal_nocase(event->argv[i], SLICE("STORE")))
			i++;
	}
	return true;
}

static bool side_is_left(struct slice word)
{
	return slice_equal_nocase(word, SLICE("LEFT"));
}

static void plan_list_move(struct crossing_plan *plan, const struct event *event)
{
	bool sides = strcmp(event->info->name, "lmove") == 0 || strcmp(event->info->name, "blmove") == 0;

	plan->kind = CROSSING_LIST_MOVE;
	/* RPOPLPUSH: from the right to the left */
	plan->from_left = sides && side_is_left(event->argv[3]);
	plan->to_left = !sides || side_is_left(event->argv[4]);
}

bool crossing_plan_make(struct crossing_plan *plan, const struct event *event, struct error *error)
{
	find_keys(plan, event);
	plan->kind = CROSSING_RUN;
	switch (role_of(event->info)) {
	case ROLE_ANY: set_roles(plan, event, 0, false); break;
	case ROLE_STORE_FIRST: set_roles(plan, event, command_first_key(event->info, event->argc, event->argv), false); break;
	case ROLE_MERGE_FIRST: set_roles(plan, event, command_first_key(event->info, event->argc, event->argv), true); break;
	case ROLE_STORE_LAST:
		if (strcmp(event->info->name, "sort") == 0 && !check_sort(event, error))
			return false;
		set_roles(plan, event, last_key(plan, event), false);
		break;
	case ROLE_RENAME: plan->kind = CROSSING_RENAME; break;
	case ROLE_COPY:
		plan->kind = CROSSING_COPY;
		plan->copy_db = copy_database(event);
		break;
	case ROLE_LIST_MOVE: plan_list_move(plan, event); break;
	case ROLE_KEEPS_NAMES:
		crossing_refuse(event, error, "the target would keep the name of a key that it does not hold",
				"Use hash tags, so that its keys lie in one slot, or a standalone target");
		return false;
	}
	return true;
}

void crossing_plan_free(struct crossing_plan *plan)
{
	free(plan->keys);
	free(plan->key_of);
	free(plan->order);
	*plan = (struct crossing_plan){0};
}
