/* One command being rewritten: what the functions of the downgrade's table (downgrade.c) work with.
 * Thread: the downgrade's. */
#ifndef KEYFERRY_TRANSFORM_RECAST_H
#define KEYFERRY_TRANSFORM_RECAST_H

#include "base/buffer.h"
#include "transform/downgrade.h"

#define REDIS(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8)
#define REDIS_PATCH(major, minor, patch) (REDIS(major, minor) | (uint32_t)(patch))
#define VALKEY(major, minor) REDIS(major, minor)
#define EVERY_VALKEY VALKEY(7, 2) /* for all that came out of Redis 7.2 */
#define NEVER 0

struct recast {
	const struct downgrade_target *target;
	uint32_t argc;
	const struct slice *argv;
	int64_t now; /* the stream's time */
	struct downgrade_result *result;
	/* what is made: commands as runs of `words`; `text` holds words that are in no argument, and was grown before: it does not move */
	struct slice *words;
	uint32_t word_count, word_room;
	struct run {
		uint32_t first;
		const struct command_info *info; /* NULL: looked up */
	} * runs;
	uint32_t run_count, run_room;
	struct buffer text;
	bool safe_together;
};

typedef void recast_function(struct recast *recast);

static inline bool target_has(const struct downgrade_target *target, uint32_t redis_since, uint32_t valkey_since)
{
	return (!target->redis || (redis_since && target->redis >= redis_since)) &&
	       (!target->valkey || (valkey_since && target->valkey >= valkey_since));
}

static inline bool has(const struct recast *recast, uint32_t redis_since, uint32_t valkey_since)
{
	return target_has(recast->target, redis_since, valkey_since);
}

static inline bool word_is(struct slice argument, const char *word)
{
	return slice_equal_nocase(argument, slice_of_string(word));
}

/* ---- making commands ---- */

/* A new command begins; its words follow. Nothing is made yet as long as none has begun: the outcome stays SAME. */
void recast_begin(struct recast *recast, const char *name);
void recast_word(struct recast *recast, const char *word); /* static */
void recast_slice(struct recast *recast, struct slice word);
void recast_number(struct recast *recast, int64_t number);
/* Arguments from `first` to before `last`. */
void recast_arguments(struct recast *recast, uint32_t first, uint32_t last);
/* Begins an EVAL of `body` (script.h) with so many keys; keys, then arguments follow. */
void recast_script(struct recast *recast, const char *body, uint32_t keys);
/* `len` bytes at the end of `text`, grown for them: only before any number was written. */
uint8_t *recast_memory(struct recast *recast, size_t len);
/* It has no effect on this target. */
void recast_to_nothing(struct recast *recast);
/* The commands made so far, if any, are all that can be done. */
void recast_cannot(struct recast *recast, enum downgrade_loss loss, const char *lost);
/* The commands are safe when applied together again (SET and its PEXPIREAT), whatever they are by themselves. */
static inline void recast_safe_together(struct recast *recast)
{
	recast->safe_together = true;
}

/* ---- times ---- */

enum expiry_form { EXPIRY_NONE, EXPIRY_RELATIVE, EXPIRY_ABSOLUTE };
/* EX, PX, EXAT or PXAT at `at` with its number behind it: Unix ms. NONE: it is none of these, or its number makes no sense. */
enum expiry_form recast_expiry_option(const struct recast *recast, uint32_t at, int64_t *ret_ms);
/* The number at `at` in seconds or ms, counted from the stream's time or absolute, as Unix ms. */
bool recast_time(const struct recast *recast, uint32_t at, bool seconds, bool relative, int64_t *ret_ms);

/* ---- the functions of the table ---- */

/* recast_expiry.c */
recast_function recast_expire, recast_pexpire, recast_expireat, recast_pexpireat, recast_setex, recast_psetex, recast_set,
	recast_getex, recast_msetex, recast_restore, recast_hexpire, recast_hpexpire, recast_hexpireat, recast_hpexpireat,
	recast_hpersist, recast_hsetex, recast_hgetex;
/* recast_values.c */
recast_function recast_to_del, recast_to_del_key, recast_flush, recast_script_flush, recast_spublish, recast_copy, recast_bitop,
	recast_push_existing, recast_pop, recast_lmove, recast_hset, recast_hgetdel;
/* recast_zset.c */
recast_function recast_zadd, recast_zpop, recast_zrangestore, recast_zdiffstore, recast_geosearchstore;
/* recast_stream.c */
recast_function recast_xadd, recast_xtrim, recast_xgroup_start, recast_xgroup_createconsumer, recast_xsetid, recast_xdelex,
	recast_xackdel;

#endif
