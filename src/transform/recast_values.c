/* Keys, strings, lists and hashes. */
#include "transform/recast.h"
#include "transform/script.h"

/* UNLINK key ... */
void recast_to_del(struct recast *recast)
{
	recast_begin(recast, "DEL");
	recast_arguments(recast, 1, recast->argc);
}

/* GETDEL key, DELIFEQ key value, DELEX key [condition value]: sent because it was deleted. */
void recast_to_del_key(struct recast *recast)
{
	if (recast->argc < 2)
		return;
	recast_begin(recast, "DEL");
	recast_slice(recast, recast->argv[1]);
}

/* FLUSHALL, FLUSHDB [ASYNC since 4.0 | SYNC since 6.2] */
void recast_flush(struct recast *recast)
{
	if (recast->argc != 2 || (word_is(recast->argv[1], "ASYNC") && has(recast, REDIS(4, 0), EVERY_VALKEY)))
		return;
	recast_begin(recast, word_is(recast->argv[0], "FLUSHALL") ? "FLUSHALL" : "FLUSHDB");
}

/* SCRIPT FLUSH [ASYNC | SYNC] */
void recast_script_flush(struct recast *recast)
{
	if (recast->argc != 3)
		return;
	recast_begin(recast, "SCRIPT");
	recast_word(recast, "FLUSH");
}

/* Whoever subscribes on this target can do so by SUBSCRIBE alone. */
void recast_spublish(struct recast *recast)
{
	recast_begin(recast, "PUBLISH");
	recast_arguments(recast, 1, recast->argc);
}

/* COPY source destination [DB n] [REPLACE] */
void recast_copy(struct recast *recast)
{
	struct slice database = SLICE("");
	bool replace = false;

	if (recast->argc < 3)
		return;
	for (uint32_t i = 3; i < recast->argc; i++) {
		if (word_is(recast->argv[i], "REPLACE"))
			replace = true;
		else if (word_is(recast->argv[i], "DB") && i + 1 < recast->argc)
			database = recast->argv[++i];
		else
			return;
	}
	recast_script(recast, script_copy, 2);
	recast_arguments(recast, 1, 3);
	recast_slice(recast, database);
	recast_word(recast, replace ? "REPLACE" : "");
}

/* BITOP operation destination source ... */
void recast_bitop(struct recast *recast)
{
	static const char *const later[] = {"DIFF", "DIFF1", "ANDOR", "ONE"};

	if (recast->argc < 4)
		return;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		if (!word_is(recast->argv[1], later[i]))
			continue;
		recast_script(recast, script_bitop, recast->argc - 2);
		recast_arguments(recast, 2, recast->argc);
		recast_word(recast, later[i]);
	}
}

/* ---- lists ---- */

/* LPUSHX, RPUSHX key element ...: sent because the list was there. Before 4.0 they take one element. */
void recast_push_existing(struct recast *recast)
{
	if (recast->argc <= 3)
		return;
	recast_begin(recast, word_is(recast->argv[0], "LPUSHX") ? "LPUSH" : "RPUSH");
	recast_arguments(recast, 1, recast->argc);
}

/* LPOP, RPOP key count: what stays is a trimmed list. */
void recast_pop(struct recast *recast)
{
	bool left = word_is(recast->argv[0], "LPOP");
	int64_t count;

	if (recast->argc != 3 || !slice_to_int64(recast->argv[2], &count) || count < 0)
		return;
	recast_begin(recast, "LTRIM");
	recast_slice(recast, recast->argv[1]);
	recast_number(recast, left ? count : 0);
	recast_number(recast, left ? -1 : -count - 1);
}

static const char *side_of(struct slice word)
{
	return word_is(word, "LEFT") ? "LEFT" : word_is(word, "RIGHT") ? "RIGHT" : NULL;
}

/* LMOVE source destination LEFT|RIGHT LEFT|RIGHT, BLMOVE the same with a time to wait */
void recast_lmove(struct recast *recast)
{
	const char *from, *to;

	if (recast->argc < 5 || !(from = side_of(recast->argv[3])) || !(to = side_of(recast->argv[4])))
		return;
	if (from[0] == 'R' && to[0] == 'L') {
		recast_begin(recast, "RPOPLPUSH");
		recast_arguments(recast, 1, 3);
		return;
	}
	recast_script(recast, script_lmove, 2);
	recast_arguments(recast, 1, 3);
	recast_word(recast, from);
	recast_word(recast, to);
}

/* ---- hashes ---- */

/* HSET key field value ...: before 4.0 it takes one field. */
void recast_hset(struct recast *recast)
{
	if (recast->argc <= 4)
		return;
	recast_begin(recast, "HMSET");
	recast_arguments(recast, 1, recast->argc);
}

/* HGETDEL key FIELDS n field ... */
void recast_hgetdel(struct recast *recast)
{
	if (recast->argc < 5)
		return;
	recast_begin(recast, "HDEL");
	recast_slice(recast, recast->argv[1]);
	recast_arguments(recast, 4, recast->argc);
}
