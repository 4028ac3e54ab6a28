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
	COMMAND_REPLAY_SAFE =
		1 << 3,         /* a suffix of a slot's commands that holds this one, in whatever form, may be applied twice */
	COMMAND_SPLIT = 1 << 4, /* acts on each key by itself: may be split by slot (MSET, DEL, UNLINK, TOUCH) */
	COMMAND_ALL_NODES = 1 << 5, /* has no key and concerns the whole server (FLUSHALL, FUNCTION LOAD, SCRIPT LOAD, ...) */
	COMMAND_ANY_NODE = 1 << 6,  /* has no key and any one node will do (PUBLISH) */
	COMMAND_SCRIPT = 1 << 7,    /* EVAL, EVALSHA, FCALL: an error reply may be what the source saw as well */
	COMMAND_RELATIVE_EXPIRY = 1 << 8,    /* carries a time to live, or may (EXPIRE, SETEX, SET EX ...) */
	COMMAND_LEARNED = 1 << 9,            /* from COMMAND INFO, not from the table */
	COMMAND_OTHER_DATABASE = 1 << 10,    /* names a database (MOVE, COPY DB, SWAPDB) */
	COMMAND_REPLAY_SAFE_FORMS = 1 << 11, /* some of its forms are replay-safe: ask command_is_replay_safe() */
	COMMAND_LATER_FORMS = 1 << 12, /* has options that came later than the command itself (SET KEEPTTL, LPOP with a count) */
	COMMAND_EXPIRY = 1 << 13,      /* carries an absolute time of expiry, or may (PEXPIREAT, SET PXAT ...) */
	COMMAND_RENAMES = 1 << 14,     /* RENAME, RENAMENX */
};

/* How the keys are found. */
enum command_key_rule {
	COMMAND_KEYS_RANGE,     /* `keys` says it all */
	COMMAND_KEYS_COUNTED,   /* those of `keys`, then as many as argument key_at says, behind it, every key_step-th */
	COMMAND_KEYS_SCRIPT,    /* the same, and 0 is a good count */
	COMMAND_KEYS_SORT,      /* the first argument, and that of STORE */
	COMMAND_KEYS_GEORADIUS, /* the first argument, and that of STORE or STOREDIST */
	COMMAND_KEYS_MIGRATE,   /* the third argument, or those behind KEYS when that is empty */
	COMMAND_KEYS_STREAMS,   /* the first half of what is behind STREAMS */
	COMMAND_KEYS_UNKNOWN,   /* learned: they move, and nobody has said how */
};

/* Which arguments make a command of COMMAND_REPLAY_SAFE_FORMS safe. */
enum command_form { COMMAND_FORM_NONE, COMMAND_FORM_SET, COMMAND_FORM_ZADD, COMMAND_FORM_GEOADD, COMMAND_FORM_RESTORE };

/* What a command belongs to, as COMMAND DOCS of the servers has it; NONE for commands that only read and for learned ones. */
enum command_group {
	COMMAND_GROUP_NONE,
	COMMAND_GROUP_GENERIC, /* DEL, EXPIRE, RENAME, RESTORE ...: keys of any type */
	COMMAND_GROUP_STRING,
	COMMAND_GROUP_BITMAP,
	COMMAND_GROUP_HYPERLOGLOG,
	COMMAND_GROUP_LIST,
	COMMAND_GROUP_HASH,
	COMMAND_GROUP_SET,
	COMMAND_GROUP_SORTED_SET,
	COMMAND_GROUP_GEO,
	COMMAND_GROUP_STREAM,
	COMMAND_GROUP_VECTOR_SET,
	COMMAND_GROUP_SCRIPTING,
	COMMAND_GROUP_PUBSUB,
	COMMAND_GROUP_SERVER,
};

/* One run of key arguments, as in COMMAND INFO: every step-th argument from first to last (negative: from the end). */
struct command_keys {
	int16_t first; /* 0: no keys at fixed places */
	int16_t last;
	int16_t step;
};

struct command_info {
	const char *name; /* lower case; with the sub-command for containers: "function load", "xgroup create" */
	int16_t arity;    /* as in COMMAND INFO: negative means at least */
	uint32_t flags;   /* enum command_flag */
	struct command_keys keys;
	uint8_t name_len;
	uint8_t key_rule; /* enum command_key_rule */
	uint8_t key_at;
	uint8_t key_step;
	uint8_t safe_form;     /* enum command_form */
	uint8_t group;         /* enum command_group */
	bool container;        /* has sub-commands, each with its own row */
	uint32_t redis_since;  /* 0xMMmmpp: 0x060200 is 6.2.0; 0: never in Redis */
	uint32_t valkey_since; /* likewise; 0x070200 for all that Valkey inherited */
};

/* Looks up argv[0], and argv[1] for containers ("XGROUP CREATE"). NULL: not in the table, or a sub-command that is not. */
const struct command_info *command_lookup(uint32_t argc, const struct slice *argv);

/* Numbers for counting: one for each row of the built-in table, from 1; 0 stands for all others, NULL too. */
#define COMMAND_NUMBERS 1024
uint16_t command_number(const struct command_info *info);
/* "set", "xgroup create"; "other" for 0; NULL: there is none of that number. */
const char *command_number_name(uint16_t number);

/* Calls visit(owner, index) for each argument that is a key, the target of a *STORE included, in the order of the arguments;
 * movable keys are understood for every command of the table. `visit` may be NULL. Returns the number of keys, or -1 (nothing was
 * visited) when the arguments make no sense (too few, numkeys not a number): the command would fail at the server too. */
int command_keys(const struct command_info *info, uint32_t argc, const struct slice *argv,
		 void (*visit)(void *owner, uint32_t index), void *owner);
/* The first key's argument index; 0: none, or no sensible arguments. */
uint32_t command_first_key(const struct command_info *info, uint32_t argc, const struct slice *argv);

/* Whether this very command is replay-safe: its flag, or for COMMAND_REPLAY_SAFE_FORMS its arguments, say so. The reasons are
 * in docs/replay-safety.md. In a replay such a command may be answered by an error (WRONGTYPE: the key has its later type by now)
 * or a nil; the commands behind it put that right. */
bool command_is_replay_safe(const struct command_info *info, uint32_t argc, const struct slice *argv);

/* Is this word an option of SET behind which a value stands that is compared with (IFEQ, IFNE, IFDEQ, IFDNE)? That value may be any word, an option's name too.
 * IFEQ came with Valkey 8.1; all of them with Redis 8.4. */
bool command_set_compares(struct slice word);

/* ---- learned commands ---- */
#define COMMAND_NAME_MAX 128
#define COMMAND_LEARNED_MAX 4096

struct command_table; /* what COMMAND INFO has told */
struct command_table *command_table_new(void);
void command_table_free(struct command_table *table);
/* The built-in table first, then what was learned; a NULL table has learned nothing. */
const struct command_info *command_table_lookup(const struct command_table *table, uint32_t argc, const struct slice *argv);
/* Remembers COMMAND INFO's answer, in place of an earlier one of that name ("name" or "name sub-command", any case); the row
 * lives as long as the table. `movable` commands whose keys cannot be told are kept with COMMAND_MOVABLE_KEYS and no keys:
 * command_keys() answers -1 for them. NULL: the name is empty or longer than COMMAND_NAME_MAX, or COMMAND_LEARNED_MAX commands
 * are known. */
const struct command_info *command_table_learn(struct command_table *table, struct slice name, int arity, bool write,
					       bool movable, struct command_keys keys);

#endif
