/* Keys, strings, lists and hashes. */
#include "transform/rewrite.h"
#include "transform/script.h"

/* UNLINK key ... */
void rewrite_to_del(struct rewrite *rewrite)
{
	rewrite_begin(rewrite, "DEL");
	rewrite_arguments(rewrite, 1, rewrite->argc);
}

/* GETDEL key, DELIFEQ key value, DELEX key [condition value]: sent because it was deleted. */
void rewrite_to_del_key(struct rewrite *rewrite)
{
	if (rewrite->argc < 2)
		return;
	rewrite_begin(rewrite, "DEL");
	rewrite_slice(rewrite, rewrite->argv[1]);
}

/* FLUSHALL, FLUSHDB [ASYNC since 4.0 | SYNC since 6.2] */
void rewrite_flush(struct rewrite *rewrite)
{
	if (rewrite->argc != 2 || (word_is(rewrite->argv[1], "ASYNC") && has(rewrite, REDIS(4, 0), EVERY_VALKEY)))
		return;
	rewrite_begin(rewrite, word_is(rewrite->argv[0], "FLUSHALL") ? "FLUSHALL" : "FLUSHDB");
}

/* SCRIPT FLUSH [ASYNC | SYNC] */
void rewrite_script_flush(struct rewrite *rewrite)
{
	if (rewrite->argc != 3)
		return;
	rewrite_begin(rewrite, "SCRIPT");
	rewrite_word(rewrite, "FLUSH");
}

/* Whoever subscribes on this target can do so by SUBSCRIBE alone. */
void rewrite_spublish(struct rewrite *rewrite)
{
	rewrite_begin(rewrite, "PUBLISH");
	rewrite_arguments(rewrite, 1, rewrite->argc);
}

/* COPY source destination [DB n] [REPLACE] */
void rewrite_copy(struct rewrite *rewrite)
{
	struct slice database = SLICE("");
	bool replace = false;

	if (rewrite->argc < 3)
		return;
	for (uint32_t i = 3; i < rewrite->argc; i++) {
		if (word_is(rewrite->argv[i], "REPLACE"))
			replace = true;
		else if (word_is(rewrite->argv[i], "DB") && i + 1 < rewrite->argc)
			database = rewrite->argv[++i];
		else
			return;
	}
	rewrite_script(rewrite, script_copy, 2);
	rewrite_arguments(rewrite, 1, 3);
	rewrite_slice(rewrite, database);
	rewrite_word(rewrite, replace ? "REPLACE" : "");
}

/* BITOP operation destination source ... */
void rewrite_bitop(struct rewrite *rewrite)
{
	static const char *const later[] = {"DIFF", "DIFF1", "ANDOR", "ONE"};

	if (rewrite->argc < 4)
		return;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
		if (!word_is(rewrite->argv[1], later[i]))
			continue;
		rewrite_script(rewrite, script_bitop, rewrite->argc - 2);
		rewrite_arguments(rewrite, 2, rewrite->argc);
		rewrite_word(rewrite, later[i]);
	}
}

/* ---- lists ---- */

/* LPUSHX, RPUSHX key element ...: sent because the list was there. Before 4.0 they take one element. */
void rewrite_push_existing(struct rewrite *rewrite)
{
	if (rewrite->argc <= 3)
		return;
	rewrite_begin(rewrite, word_is(rewrite->argv[0], "LPUSHX") ? "LPUSH" : "RPUSH");
	rewrite_arguments(rewrite, 1, rewrite->argc);
}

/* LPOP, RPOP key count: what stays is a trimmed list. */
void rewrite_pop(struct rewrite *rewrite)
{
	bool left = word_is(rewrite->argv[0], "LPOP");
	int64_t count;

	if (rewrite->argc != 3 || !slice_to_int64(rewrite->argv[2], &count) || count < 0)
		return;
	rewrite_begin(rewrite, "LTRIM");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_number(rewrite, left ? count : 0);
	rewrite_number(rewrite, left ? -1 : -count - 1);
}

static const char *side_of(struct slice word)
{
	return word_is(word, "LEFT") ? "LEFT" : word_is(word, "RIGHT") ? "RIGHT" : NULL;
}

/* LMOVE source destination LEFT|RIGHT LEFT|RIGHT, BLMOVE the same with a time to wait */
void rewrite_lmove(struct rewrite *rewrite)
{
	const char *from, *to;

	if (rewrite->argc < 5 || !(from = side_of(rewrite->argv[3])) || !(to = side_of(rewrite->argv[4])))
		return;
	if (from[0] == 'R' && to[0] == 'L') {
		rewrite_begin(rewrite, "RPOPLPUSH");
		rewrite_arguments(rewrite, 1, 3);
		return;
	}
	rewrite_script(rewrite, script_lmove, 2);
	rewrite_arguments(rewrite, 1, 3);
	rewrite_word(rewrite, from);
	rewrite_word(rewrite, to);
}

/* ---- hashes ---- */

/* HSET key field value ...: before 4.0 it takes one field. */
void rewrite_hset(struct rewrite *rewrite)
{
	if (rewrite->argc <= 4)
		return;
	rewrite_begin(rewrite, "HMSET");
	rewrite_arguments(rewrite, 1, rewrite->argc);
}

/* HGETDEL key FIELDS n field ... */
void rewrite_hgetdel(struct rewrite *rewrite)
{
	if (rewrite->argc < 5)
		return;
	rewrite_begin(rewrite, "HDEL");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_arguments(rewrite, 4, rewrite->argc);
}
