/* What a command does with its keys, where that matters for a command of which only some keys are selected.
 * Facts from the commands' documentation; a command that is not here is copied whole or refused.
 * Thread: none. */
#ifndef KEYFERRY_TRANSFORM_EFFECT_H
#define KEYFERRY_TRANSFORM_EFFECT_H

#include "wire/command.h"

enum effect {
	EFFECT_OTHER,
	EFFECT_EACH,        /* on each key by itself; what belongs to a key stands behind it (MSET, MSETEX) */
	EFFECT_HARMLESS,    /* one key, and nothing happens where it does not exist: EXPIRE, PERSIST */
	EFFECT_OVERWRITE,   /* one key, whatever was there: SET, SETEX, RESTORE */
	EFFECT_STORE_FIRST, /* reads all, overwrites the first: SUNIONSTORE, BITOP */
	EFFECT_STORE_LAST,  /* reads the first, overwrites the last: SORT STORE, GEORADIUS STORE */
	EFFECT_RENAME,
	EFFECT_SMOVE,
	EFFECT_LIST_MOVE, /* RPOPLPUSH, LMOVE */
	EFFECT_DATABASES, /* MOVE, COPY, SWAPDB, FLUSHDB, FLUSHALL: see databases.c */
};

#define EFFECTS_MAX 64

struct effects {
	struct {
		const struct command_info *info;
		enum effect effect;
	} items[EFFECTS_MAX];
	uint32_t count;
	const struct command_info *del, *flushdb, *flushall, *swapdb, *function_load, *script_load;
};

void effects_init(struct effects *effects);
enum effect effect_of(const struct effects *effects, const struct command_info *info);

#endif
