#include "transform/guard.h"

#include "base/memory.h"
#include "transform/script.h"

#include <stdlib.h>

/* On its way a live time must not become one of the past. */
#define TRANSIT_MS 1000

enum rule { RULE_EXPIRE, RULE_SET, RULE_RESTORE, RULE_FIELDS, RULE_HSETEX, RULE_MSETEX };

static const struct {
	const char *name;
	enum rule rule;
	bool seconds;
} names[] = {
	{"set", RULE_SET, false},         {"pexpireat", RULE_EXPIRE, false}, {"expireat", RULE_EXPIRE, true},
	{"restore", RULE_RESTORE, false}, {"hsetex", RULE_HSETEX, false},    {"hpexpireat", RULE_FIELDS, false},
	{"hexpireat", RULE_FIELDS, true}, {"msetex", RULE_MSETEX, false},    {"restore-asking", RULE_RESTORE, false},
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct guard {
	const struct command_info *infos[NAMES], *pexpireat, *hpexpireat;
};

static const struct command_info *find(const char *name)
{
	struct slice argument = slice_of_string(name);

	return command_lookup(1, &argument);
}

struct guard *guard_new(void)
{
	struct guard *guard = memory_alloc_zero(1, sizeof(*guard));

	for (size_t i = 0; i < NAMES; i++)
		guard->infos[i] = find(names[i].name);
	guard->pexpireat = find("pexpireat");
	guard->hpexpireat = find("hpexpireat");
	return guard;
}

void guard_free(struct guard *guard)
{
	free(guard);
}

/* ---- times ---- */

int64_t guard_base(const char *task)
{
	uint32_t hash = 0x811c9dc5; /* FNV-1a */

	for (; *task; task++)
		hash = (hash ^ (uint8_t)*task) * 0x01000193;
	return GUARD_KEY_BASE + (int64_t)((hash ^ hash >> 16) % GUARD_TASKS) * GUARD_SPAN;
}

static int64_t written(const struct guard_times *times, int64_t base, int64_t at_ms, int64_t now_ms)
{
	int64_t transit = times->margin_ms < TRANSIT_MS ? times->margin_ms : TRANSIT_MS;

	if (!guard_changes(times) || at_ms <= 0 || at_ms >= GUARD_SPAN)
		return at_ms;
	if (times->form == GUARD_LIVE && at_ms + times->margin_ms > now_ms + transit)
		return at_ms + times->margin_ms;
	return at_ms + base;
}

int64_t guard_key_time(const struct guard_times *times, int64_t at_ms, int64_t now_ms)
{
	return written(times, times->base, at_ms, now_ms);
}

int64_t guard_field_time(const struct guard_times *times, int64_t at_ms, int64_t now_ms)
{
	return written(times, GUARD_FIELD_BASE, at_ms, now_ms);
}

/* ---- commands ---- */

struct work {
	const struct guard_times *times;
	int64_t now_ms;
	uint32_t argc;
	const struct slice *argv;
	struct arena *arena;
	struct guard_command *ret;
};

static bool word_is(struct slice argument, const char *word)
{
	return slice_equal_nocase(argument, slice_of_string(word));
}

/* The true time of argument `at`. False: it is none, or stays as it is. */
static bool true_time(const struct work *work, uint32_t at, bool seconds, int64_t *ret)
{
	return at < work->argc && slice_to_int64(work->argv[at], ret) && !__builtin_mul_overflow(*ret, seconds ? 1000 : 1, ret) &&
	       *ret > 0 && *ret < GUARD_SPAN;
}

static struct slice number(const struct work *work, bool field, int64_t at_ms)
{
	return arena_number(work->arena, field ? guard_field_time(work->times, at_ms, work->now_ms)
					       : guard_key_time(work->times, at_ms, work->now_ms));
}

static void copy_arguments(const struct work *work, uint32_t argc)
{
	work->ret->argc = argc;
	work->ret->argv = arena_take(work->arena, argc * sizeof(*work->argv));
	memcpy(work->ret->argv, work->argv, argc * sizeof(*work->argv));
}

/* The time stands at `at` in ms, and nothing else changes. */
static enum guard_outcome patch(const struct work *work, uint32_t at, bool field, int64_t at_ms)
{
	copy_arguments(work, work->argc);
	work->ret->argv[at] = number(work, field, at_ms);
	work->ret->at = at;
	return GUARD_PATCHED;
}

/* PXAT or EXAT from `first` to before `last`. */
static enum guard_outcome change_option(const struct work *work, uint32_t first, uint32_t last, bool field)
{
	for (uint32_t i = first; i + 1 < last && i + 1 < work->argc; i++) {
		bool seconds = word_is(work->argv[i], "EXAT");
		int64_t at_ms;

		if ((!seconds && !word_is(work->argv[i], "PXAT")) || !true_time(work, i + 1, seconds, &at_ms))
			continue;
		patch(work, i + 1, field, at_ms);
		if (!seconds)
			return GUARD_PATCHED;
		work->ret->argv[i] = SLICE("PXAT");
		return GUARD_CHANGED;
	}
	return GUARD_SAME;
}

/* PEXPIREAT, EXPIREAT key time [condition ...] */
static enum guard_outcome change_expire(const struct guard *guard, const struct work *work, bool seconds)
{
	int64_t at_ms;

	if (!true_time(work, 2, seconds, &at_ms))
		return GUARD_SAME;
	if (!seconds && work->argc == 3)
		return patch(work, 2, false, at_ms);
	copy_arguments(work, 3);
	work->ret->info = guard->pexpireat;
	work->ret->argv[0] = SLICE("PEXPIREAT");
	work->ret->argv[2] = number(work, false, at_ms);
	return GUARD_CHANGED;
}

static enum guard_outcome change_restore(const struct work *work)
{
	int64_t at_ms;

	for (uint32_t i = 4; i < work->argc; i++)
		if (word_is(work->argv[i], "ABSTTL") && true_time(work, 2, false, &at_ms))
			return patch(work, 2, false, at_ms);
	return GUARD_SAME;
}

/* One of several fields may have passed the condition, and another not. */
static enum guard_outcome compare_fields(const struct work *work, int64_t at_ms)
{
	uint32_t fields = work->argc - 6;
	struct slice *argv = arena_take(work->arena, (10 + fields) * sizeof(*argv));

	argv[0] = SLICE("EVAL");
	argv[1] = slice_of_string(script_hpexpireat_if);
	argv[2] = SLICE("1");
	argv[3] = work->argv[1];
	argv[4] = number(work, true, at_ms);
	argv[5] = arena_number(work->arena, at_ms);
	argv[6] = word_is(work->argv[3], "GT") ? SLICE("GT") : SLICE("LT");
	argv[7] = arena_number(work->arena, GUARD_FIELD_BASE);
	argv[8] = arena_number(work->arena, GUARD_SPAN);
	argv[9] = arena_number(work->arena, work->times->margin_ms);
	memcpy(argv + 10, work->argv + 6, fields * sizeof(*argv));
	work->ret->info = &script_call;
	work->ret->argc = 10 + fields;
	work->ret->argv = argv;
	return GUARD_CHANGED;
}

/* HPEXPIREAT, HEXPIREAT key time [condition] FIELDS n field ... */
static enum guard_outcome change_fields(const struct guard *guard, const struct work *work, bool seconds)
{
	bool condition = work->argc > 3 && !word_is(work->argv[3], "FIELDS");
	bool compares = condition && (word_is(work->argv[3], "GT") || word_is(work->argv[3], "LT"));
	int64_t at_ms;

	if (!true_time(work, 2, seconds, &at_ms))
		return GUARD_SAME;
	if (compares && work->argc > 7)
		return compare_fields(work, at_ms);
	if (!seconds && !compares)
		return patch(work, 2, true, at_ms);
	copy_arguments(work, work->argc);
	work->ret->info = guard->hpexpireat;
	work->ret->argv[0] = SLICE("HPEXPIREAT");
	work->ret->argv[2] = number(work, true, at_ms);
	if (compares) {
		work->ret->argc--;
		memmove(work->ret->argv + 3, work->ret->argv + 4, (work->argc - 4) * sizeof(*work->argv));
	}
	return GUARD_CHANGED;
}

/* HSETEX key [options] FIELDS n field value ... */
static enum guard_outcome change_hsetex(const struct work *work)
{
	for (uint32_t i = 2; i < work->argc; i++)
		if (word_is(work->argv[i], "FIELDS"))
			return change_option(work, 2, i, true);
	return GUARD_SAME;
}

/* MSETEX n key value ... [options] */
static enum guard_outcome change_msetex(const struct work *work)
{
	uint64_t keys;

	if (work->argc < 4 || !slice_to_uint64(work->argv[1], &keys) || keys > (work->argc - 2) / 2)
		return GUARD_SAME;
	return change_option(work, 2 + 2 * (uint32_t)keys, work->argc, false);
}

enum guard_outcome guard_command(struct guard *guard, const struct guard_times *times, int64_t now_ms,
				 const struct command_info *info, uint32_t argc, const struct slice *argv, struct arena *arena,
				 struct guard_command *ret)
{
	struct work work = {times, now_ms, argc, argv, arena, ret};

	if (!guard_changes(times) || !info || !(info->flags & COMMAND_EXPIRY))
		return GUARD_SAME;
	*ret = (struct guard_command){.info = info, .argc = argc};
	for (size_t i = 0; i < NAMES; i++) {
		if (guard->infos[i] != info)
			continue;
		switch (names[i].rule) {
		case RULE_SET: return change_option(&work, 3, argc, false);
		case RULE_EXPIRE: return change_expire(guard, &work, names[i].seconds);
		case RULE_RESTORE: return change_restore(&work);
		case RULE_FIELDS: return change_fields(guard, &work, names[i].seconds);
		case RULE_HSETEX: return change_hsetex(&work);
		case RULE_MSETEX: return change_msetex(&work);
		}
	}
	return GUARD_SAME;
}
