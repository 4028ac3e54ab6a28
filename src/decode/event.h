/* The event: what the stages hand on, and the one header by which they know each other.
 *
 * decode makes events, transform may change or drop them, route says which slot and node, sink applies them.
 * All slices point into the spool's mapped segments (see spool/spool.h) or, where a stage made new bytes, into the
 * batch's memory; they live until the spool is released past `end`. A stage that changes nothing copies nothing.
 * Thread: the link's applier. */
#ifndef KEYFERRY_DECODE_EVENT_H
#define KEYFERRY_DECODE_EVENT_H

#include "base/slice.h"

struct command_info; /* wire/command.h */

enum event_kind {
	EVENT_KEY,          /* one key of the snapshot, whole */
	EVENT_FUNCTION,     /* a function library of the snapshot: `value` is its code */
	EVENT_SCRIPT,       /* a script body of the snapshot (AUX "lua", Redis 4.0 to 6.2): `value` */
	EVENT_SNAPSHOT_END, /* the snapshot is complete and its checksum was right; `end` is the stream's beginning */
	EVENT_COMMAND,      /* a command of the stream that has to be applied */
	EVENT_PROGRESS,     /* bytes that ask for nothing (PING, SELECT, REPLCONF, AUX...): the position moves */
};

/* Where in a source transaction a command stands. MULTI and EXEC themselves are commands with BEGIN and END. */
enum transaction_edge { TRANSACTION_NONE, TRANSACTION_BEGIN, TRANSACTION_INSIDE, TRANSACTION_END };

#define EXPIRE_NEVER (-1)
#define EVENT_IN_SNAPSHOT (-1)

struct event {
	enum event_kind kind;
	enum transaction_edge edge; /* commands only */
	uint32_t db;
	uint64_t start;   /* spool position of the first byte of the event ... */
	uint64_t end;     /* ... and of the first byte after it */
	int64_t offset;   /* replication offset of its first byte, EVENT_IN_SNAPSHOT in the snapshot; set by the applier */
	struct slice key; /* EVENT_KEY; EVENT_COMMAND: the first key, or empty */
	/* EVENT_KEY: the serialised value as in the RDB, without the type byte; for a RDB_TYPE_STRING value that is stored raw,
	 * `string` is its plain bytes as well (else string.data is NULL: integer or LZF form). FUNCTION, SCRIPT: the body.
	 * EVENT_PROGRESS of RDB_OPCODE_MODULE_AUX and RDB_OPCODE_SLOT_IMPORT: its operands. */
	struct slice value;
	struct slice string;
	uint8_t type;         /* EVENT_KEY: RDB value type; EVENT_PROGRESS in the snapshot: the opcode */
	bool ask_getack;      /* EVENT_PROGRESS: the source asks for an ACK now (REPLCONF GETACK) */
	int64_t expire_at_ms; /* EVENT_KEY: Unix ms, or EXPIRE_NEVER */
	int64_t idle_seconds; /* EVENT_KEY: LRU idle time, or -1 */
	int32_t frequency;    /* EVENT_KEY: LFU counter 0..255, or -1 */
	/* EVENT_COMMAND */
	const struct command_info *info; /* NULL: not in the command table */
	/* The whole command as RESP, ready to be sent as it is; data is NULL where it did not come so (inline form) or was made anew: then argv
	 * has it. PROGRESS: its bytes. */
	struct slice raw;
	uint32_t argc;
	struct slice *argv; /* argv[0] is the name; the array lives until the next decode */
};

#define EVENT_PLACE_MAX 48
/* Where an event stands, as error texts say it: "offset 4711", or "byte 815 of the snapshot". Returns out. */
const char *event_place_text(int64_t offset, uint64_t position, char out[EVENT_PLACE_MAX]);
static inline const char *event_place(const struct event *event, char out[EVENT_PLACE_MAX])
{
	return event_place_text(event->offset, event->start, out);
}

#define EVENT_KEY_TYPE_MAX 16
/* The name of a key's type; for a value of a module, the module's own name for it, as the server's TYPE tells it. Returns out. */
const char *event_key_type(const struct event *key, bool valkey, char out[EVENT_KEY_TYPE_MAX]);

#endif
