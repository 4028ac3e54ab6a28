/* One command being rewritten: what the functions of the downgrade's table (downgrade.c) work with.
 * Thread: the downgrade's. */
#ifndef KEYFERRY_TRANSFORM_REWRITE_H
#define KEYFERRY_TRANSFORM_REWRITE_H

#include "base/buffer.h"
#include "transform/downgrade.h"

#define REDIS(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8)
#define REDIS_PATCH(major, minor, patch) (REDIS(major, minor) | (uint32_t)(patch))
#define VALKEY(major, minor) REDIS(major, minor)
#define EVERY_VALKEY VALKEY(7, 2) /* for all that came out of Redis 7.2 */
#define NEVER 0

struct rewrite {
	const struct downgrade_target *target;
	uint32_t argc;
	const struct slice *argv;
	int64_t now;               /* the stream's time */
	struct downgrade_result *result;
	/* what is made: commands as runs of `words`; `text` holds words that are in no argument, and was grown before: it does not move */
	struct slice *words;
	uint32_t word_count, word_room;
	struct run {
		uint32_t first;
		const struct command_info *info; /* NULL: looked up */
	} *runs;
	uint32_t run_count, run_room;
	struct buffer text;
	bool safe_together;
};

typedef void rewrite_function(struct rewrite *rewrite);

static inline bool target_has(const struct downgrade_target *target, uint32_t redis_since, uint32_t valkey_since)
{
	return (!target->redis || (redis_since && target->redis >= redis_since)) &&
	       (!target->valkey || (valkey_since && target->valkey >= valkey_since));
}

static inline bool has(const struct rewrite *rewrite, uint32_t redis_since, uint32_t valkey_since)
{
	return target_has(rewrite->target, redis_since, valkey_since);
}

static inline bool word_is(struct slice argument, const char *word)
{
	return slice_equal_nocase(argument, slice_of_string(word));
}

/* ---- making commands ---- */

/* A new command begins; its words follow. Nothing is made yet as long as none has begun: the outcome stays SAME. */
void rewrite_begin(struct rewrite *rewrite, const char *name);
void rewrite_word(struct rewrite *rewrite, const char *word); /* static */
void rewrite_slice(struct rewrite *rewrite, struct slice word);
void rewrite_number(struct rewrite *rewrite, int64_t number);
/* Arguments from `first` to before `last`. */
void rewrite_arguments(struct rewrite *rewrite, uint32_t first, uint32_t last);
/* Begins an EVAL of `body` (script.h) with so many keys; keys, then arguments follow. */
void rewrite_script(struct rewrite *rewrite, const char *body, uint32_t keys);
/* `len` bytes at the end of `text`, grown for them: only before any number was written. */
uint8_t *rewrite_memory(struct rewrite *rewrite, size_t len);
/* It has no effect on this target. */
void rewrite_to_nothing(struct rewrite *rewrite);
/* The commands made so far, if any, are all that can be done. */
void rewrite_cannot(struct rewrite *rewrite, enum downgrade_loss loss, const char *lost);
/* The commands are safe when applied together again (SET and its PEXPIREAT), whatever they are by themselves. */
static inline void rewrite_safe_together(struct rewrite *rewrite)
{
	rewrite->safe_together = true;
}

/* ---- times ---- */

enum expiry_form { EXPIRY_NONE, EXPIRY_RELATIVE, EXPIRY_ABSOLUTE };
/* EX, PX, EXAT or PXAT at `at` with its number behind it: Unix ms. NONE: it is none of these, or its number makes no sense. */
enum expiry_form rewrite_expiry_option(const struct rewrite *rewrite, uint32_t at, int64_t *ret_ms);
/* The number at `at` in seconds or ms, counted from the stream's time or absolute, as Unix ms. */
bool rewrite_time(const struct rewrite *rewrite, uint32_t at, bool seconds, bool relative, int64_t *ret_ms);

/* ---- the functions of the table ---- */

/* rewrite_expiry.c */
rewrite_function rewrite_expire, rewrite_pexpire, rewrite_expireat, rewrite_pexpireat, rewrite_setex, rewrite_psetex, rewrite_set, rewrite_getex,
	rewrite_msetex, rewrite_restore, rewrite_hexpire, rewrite_hpexpire, rewrite_hexpireat, rewrite_hpexpireat, rewrite_hpersist, rewrite_hsetex,
	rewrite_hgetex;
/* rewrite_values.c */
rewrite_function rewrite_to_del, rewrite_to_del_key, rewrite_flush, rewrite_script_flush, rewrite_spublish, rewrite_copy, rewrite_bitop,
	rewrite_push_existing, rewrite_pop, rewrite_lmove, rewrite_hset, rewrite_hgetdel;
/* rewrite_zset.c */
rewrite_function rewrite_zadd, rewrite_zpop, rewrite_zrangestore, rewrite_zdiffstore, rewrite_geosearchstore;
/* rewrite_stream.c */
rewrite_function rewrite_xadd, rewrite_xtrim, rewrite_xgroup_start, rewrite_xgroup_createconsumer, rewrite_xsetid, rewrite_xdelex, rewrite_xackdel;

#endif
