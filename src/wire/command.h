/* The command table: for each command its key positions, flags and first version; generated data.
 *
 * data/commands.json is made by data/generate.py from COMMAND, COMMAND DOCS and hand-checked facts of real servers of all
 * families; the C table is made from it at build time. Names are compared without regard to case.
 * Thread: the built-in table is constant; a learned table (commands that only the target knows, asked by COMMAND INFO) belongs
 * to its link's applier. */
#ifndef KEYFERRY_WIRE_COMMAND_H
#define KEYFERRY_WIRE_COMMAND_H

#include "base/error.h"
#include "base/slice.h"

enum command_flag {
	COMMAND_WRITE = 1 << 0,
	COMMAND_DENYOOM = 1 << 1,
	COMMAND_MOVABLE_KEYS = 1 << 2, /* key positions need the arguments (EVAL, ZUNIONSTORE, SORT STORE, ...) */
	COMMAND_REPLAY_SAFE = 1 << 3,  /* a suffix of a slot's commands that ends in or holds this one may be applied twice */
	COMMAND_SPLIT = 1 << 4,        /* acts on each key by itself: may be split by slot (MSET, DEL, UNLINK, TOUCH) */
	COMMAND_ALL_NODES = 1 << 5,    /* has no key and concerns the whole server (FLUSHALL, FUNCTION LOAD, SCRIPT LOAD, ...) */
	COMMAND_ANY_NODE = 1 << 6,     /* has no key and any one node will do (PUBLISH) */
	COMMAND_SCRIPT = 1 << 7,       /* EVAL, EVALSHA, FCALL: an error reply may be what the source saw as well */
	COMMAND_RELATIVE_EXPIRY = 1 << 8, /* carries a time to live, or may (EXPIRE, SETEX, SET EX ...) */
	COMMAND_LEARNED = 1 << 9,      /* from COMMAND INFO, not from the table */
	COMMAND_OTHER_DATABASE = 1 << 10, /* names a database (MOVE, COPY DB, SWAPDB) */
};

/* One run of key arguments, as in COMMAND INFO: every step-th argument from first to last (negative: from the end). */
struct command_keys {
	int16_t first; /* 0: no keys at fixed places */
	int16_t last;
	int16_t step;
};

struct command_info {
	const char *name;   /* lower case; with the sub-command for containers: "function load", "xgroup create" */
	int16_t arity;      /* as in COMMAND INFO: negative means at least */
	uint32_t flags;     /* enum command_flag */
	struct command_keys keys;
	uint32_t redis_since;  /* 0xMMmmpp: 0x060200 is 6.2.0; 0: never in Redis */
	uint32_t valkey_since; /* likewise; 0x070200 for all that Valkey inherited */
};

/* Looks up argv[0], and argv[1] for containers ("XGROUP CREATE"). NULL: not in the table. */
const struct command_info *command_lookup(uint32_t argc, const struct slice *argv);

/* Calls visit(owner, index, write_target) for each argument that is a key; movable keys are understood for every command of the
 * table. `every` false: stops after the first. Returns the number of keys, or -1 when the arguments make no sense (too few, numkeys
 * not a number): the command would fail at the server too. */
int command_keys(const struct command_info *info, uint32_t argc, const struct slice *argv,
		 void (*visit)(void *owner, uint32_t index), void *owner);
/* The first key's argument index; 0: none. */
uint32_t command_first_key(const struct command_info *info, uint32_t argc, const struct slice *argv);

/* ---- learned commands ---- */
struct command_table; /* what COMMAND INFO has told */
struct command_table *command_table_new(void);
void command_table_free(struct command_table *table);
/* The built-in table first, then what was learned. */
const struct command_info *command_table_lookup(const struct command_table *table, uint32_t argc, const struct slice *argv);
/* Remembers COMMAND INFO's answer; `movable` commands whose keys cannot be told are kept with COMMAND_MOVABLE_KEYS and no keys:
 * command_keys() answers -1 for them. */
const struct command_info *command_table_learn(struct command_table *table, struct slice name, int arity, bool write, bool movable,
					       struct command_keys keys);

#endif
