#include "export/format.h"

#include "wire/rdb.h"

/* Bytes before a key's value that are put at once: expiry, idle time or frequency, type, the key's length. */
#define HEAD_MAX 64

static void put_string(struct out *out, struct slice bytes)
{
	uint8_t length[RDB_LENGTH_BYTES_MAX];

	out_put(out, length, rdb_put_length(length, bytes.len));
	out_put_slice(out, bytes);
}

static void put_opcode_string(struct scribe *scribe, enum rdb_opcode opcode, struct slice bytes)
{
	uint8_t byte = (uint8_t)opcode;

	out_put(scribe->out, &byte, 1);
	put_string(scribe->out, bytes);
}

void format_rdb_aux(struct scribe *scribe, struct slice name, struct slice value)
{
	put_opcode_string(scribe, RDB_OPCODE_AUX, name);
	put_string(scribe->out, value);
}

static void put_key(struct scribe *scribe, const struct event *event)
{
	uint8_t head[HEAD_MAX];
	size_t at = 0;

	if (scribe->db != (int64_t)event->db) {
		head[at++] = RDB_OPCODE_SELECTDB;
		at += rdb_put_length(head + at, event->db);
		scribe->db = event->db;
	}
	if (event->expire_at_ms != EXPIRE_NEVER) {
		head[at++] = RDB_OPCODE_EXPIRETIME_MS;
		rdb_put_little_endian(head + at, (uint64_t)event->expire_at_ms, 8);
		at += 8;
	}
	if (event->idle_seconds >= 0) {
		head[at++] = RDB_OPCODE_IDLE;
		at += rdb_put_length(head + at, (uint64_t)event->idle_seconds);
	}
	if (event->frequency >= 0) {
		head[at++] = RDB_OPCODE_FREQ;
		head[at++] = (uint8_t)event->frequency;
	}
	head[at++] = event->type;
	at += rdb_put_length(head + at, event->key.len);
	out_put(scribe->out, head, at);
	out_put_slice(scribe->out, event->key);
	out_put_slice(scribe->out, event->value);
}

/* Replication ids and offsets would let a server that loads the file go on with the stream of a source whose data it may have a part of only. */
static bool is_of_copy(struct slice name)
{
	return !slice_starts_with(name, SLICE("repl-")) && !slice_starts_with(name, SLICE("aof-"));
}

static void put_other(struct scribe *scribe, const struct event *event, const struct snapshot_place *place)
{
	char magic[RDB_MAGIC_LEN + 1];

	switch (event->type) {
	case 0:
		rdb_magic_write(magic, place->rdb_version, place->valkey);
		out_put(scribe->out, magic, RDB_MAGIC_LEN);
		break;
	case RDB_OPCODE_AUX:
		if (is_of_copy(event->key))
			format_rdb_aux(scribe, event->key, event->value);
		break;
	case RDB_OPCODE_MODULE_AUX: out_put_slice(scribe->out, event->raw); break;
	default: break;
	}
}

bool format_rdb_event(struct scribe *scribe, const struct event *event, const struct snapshot_place *place, struct error *error)
{
	(void)error; /* nothing of it is looked into */
	switch (event->kind) {
	case EVENT_KEY: put_key(scribe, event); break;
	case EVENT_FUNCTION: put_opcode_string(scribe, RDB_OPCODE_FUNCTION2, event->value); break;
	case EVENT_SCRIPT: format_rdb_aux(scribe, SLICE("lua"), event->value); break;
	case EVENT_PROGRESS: put_other(scribe, event, place); break;
	case EVENT_SNAPSHOT_END:
	case EVENT_COMMAND: break;
	}
	return true;
}

void format_rdb_end(struct scribe *scribe, const struct snapshot_place *place)
{
	uint8_t tail[RDB_CHECKSUM_LEN] = {RDB_OPCODE_EOF};

	out_put(scribe->out, tail, 1);
	if (place->rdb_version < RDB_CHECKSUM_SINCE)
		return;
	rdb_put_little_endian(tail, out_checksum(scribe->out), RDB_CHECKSUM_LEN);
	out_put(scribe->out, tail, RDB_CHECKSUM_LEN);
}

const struct format format_rdb = {.snapshot = format_rdb_event, .snapshot_end = format_rdb_end};
