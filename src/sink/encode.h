/* Events to the bytes that the target is sent.
 * Thread: the link's applier. */
#ifndef KEYFERRY_SINK_ENCODE_H
#define KEYFERRY_SINK_ENCODE_H

#include "base/error.h"
#include "decode/event.h"
#include "sink/window.h"
#include "spool/spool.h"

/* Values up to this are copied behind their header into the window's memory, so that many small keys leave in one piece of one system call; longer ones are
 * sent from where they lie in the spool. */
#define ENCODE_COPY_MAX 4096

/* What the target understands; from family and version of its oldest node. */
struct target_abilities {
	uint32_t redis;            /* the oldest Redis among its nodes, as VERSION(); 0: none is one */
	uint32_t valkey;           /* likewise the oldest Valkey */
	bool set_absolute_expiry;  /* SET ... PXAT: Redis 6.2, every Valkey */
	bool restore_absolute_ttl; /* RESTORE ... ABSTTL: Redis 5.0 */
	bool restore_replace;      /* RESTORE ... REPLACE: Redis 3.0 */
	bool functions;            /* FUNCTION LOAD: Redis 7.0 */
	bool hset_many;            /* HSET with several fields: Redis 4.0 */
	bool streams;              /* Redis 5.0 */
	bool consumers;            /* XGROUP CREATECONSUMER: Redis 6.2 */
	bool stream_counters;      /* XSETID ... ENTRIESADDED, XGROUP CREATE ... ENTRIESREAD: Redis 7.0 */
	bool field_expiry;         /* HPEXPIREAT: Redis 7.4, Valkey 9 */
	bool lossy;            /* what it has no command for is left out and told, instead of being refused (target.downgrade) */
	bool skip_unsupported; /* values of modules it has not loaded are left out and told, instead of being refused (target.unsupported) */
	bool keep_idle;       /* RESTORE ... IDLETIME, FREQ is wanted (target.keep_idle) and known: Redis 5.0 */
	bool ends_at_modules; /* has no module, and exits where RESTORE brings a value of one: Redis 6.0 (rdb.c, "The RDB file contains module data I can't load") */
	int rdb_version;      /* highest version of a RESTORE payload's footer */
	bool valkey_rdb;      /* takes VALKEY080 (80) and Redis versions up to 11 */
	uint64_t bulk_max;    /* proto-max-bulk-len: a longer argument would be refused */
	uint32_t databases;   /* that it has; 0: not known */
	bool import_source;   /* in import mode: connections say CLIENT IMPORT-SOURCE ON */
	const char *name;     /* "Redis 7.0.15", for messages */
};

struct encode_options {
	struct target_abilities target;
	bool source_valkey;  /* the snapshot's magic is VALKEY */
	bool replace;        /* conflict: overwrite; otherwise a key that exists is left and answered BUSYKEY or nil */
	struct spool *spool; /* large values are unloaded behind the checksum walk; may be NULL */
};

/* Can it be sent by encode_key()? Otherwise it has to be rewritten as ordinary commands. */
bool encode_possible(const struct event *event, const struct target_abilities *target, bool source_valkey);

/* Fills the unit's pieces for a key that encode_possible() is true of: SET where it is a plain string, RESTORE of the raw payload otherwise. */
void encode_key(struct window *window, struct unit *unit, const struct event *event, const struct encode_options *options);

/* A command as it came, but for `argument`, which lies in it. A long one is referenced where it lies. */
void encode_patched(struct window *window, struct unit *unit, struct slice raw, struct slice argument, struct slice instead);

/* One command of the given arguments, copied. */
void encode_command(struct window *window, struct unit *unit, uint32_t argc, const struct slice *argv);

#endif
