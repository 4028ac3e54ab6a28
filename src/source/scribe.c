#include "source/scribe.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "source/heartbeat.h"
#include "wire/rdb.h"
#include "wire/resp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#define COPY_SIZE (1u << 20)
#define VALKEY_RDB_FIRST 80 /* versions from here on are Valkey's own */
#define RDB_VERSION_EMPTY 9 /* of a snapshot without a key */
#define NEVER (-1)

struct scribe {
	struct spool *spool;
	struct names *names;
	char *dir;
	void (*note)(void *owner, int log_level, const char *text);
	void *owner;
	struct intake intake;
	bool snapshot;      /* what is put belongs to one */
	bool ending;        /* its last byte is in `out` */
	uint32_t version;   /* of its RDB; 0: nothing of it is written */
	bool has_db;
	uint32_t db;        /* selected behind `out` */
	struct buffer out;
	/* a large value */
	int scratch;
	uint64_t scratch_size;
	uint64_t copied, to_copy; /* of it into the spool, behind `out` */
	struct buffer tail;       /* behind that */
	uint8_t *piece;
	bool names_refused;       /* noted */
};

struct scribe *scribe_new(struct spool *spool, struct names *names, const char *dir, void (*note)(void *owner, int log_level, const char *text),
			  void *owner)
{
	struct scribe *scribe = memory_alloc_zero(1, sizeof(*scribe));

	scribe->spool = spool;
	scribe->names = names;
	scribe->dir = memory_strdup(dir);
	scribe->note = note;
	scribe->owner = owner;
	scribe->scratch = -1;
	intake_init(&scribe->intake, spool, note, owner);
	buffer_init(&scribe->out, SIZE_MAX / 2);
	buffer_init(&scribe->tail, SIZE_MAX / 2);
	return scribe;
}

void scribe_free(struct scribe *scribe)
{
	if (!scribe)
		return;
	if (scribe->scratch >= 0)
		close(scribe->scratch);
	buffer_free(&scribe->out);
	buffer_free(&scribe->tail);
	free(scribe->piece);
	free(scribe->dir);
	free(scribe);
}

/* These buffers have no bound of their own: their owner flushes them. */
static void put(struct buffer *out, const void *data, size_t len)
{
	bool fits = buffer_append(out, data, len);

	(void)fits;
}

/* ---- generations ---- */

enum hold scribe_begin(struct scribe *scribe, bool has_snapshot)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t random[20] = {0};
	char identity[41];
	enum hold hold;

	/* Nobody else has this history, so it needs no more than a name. */
	if (getrandom(random, sizeof(random), 0) < 0)
		memcpy(random, &(uint64_t){clock_monotonic_us()}, 8);
	for (size_t i = 0; i < sizeof(random); i++) {
		identity[2 * i] = digits[random[i] >> 4];
		identity[2 * i + 1] = digits[random[i] & 15];
	}
	identity[40] = '\0';
	hold = intake_begin(&scribe->intake, identity, 0, has_snapshot);
	if (hold != HOLD_NONE)
		return hold;
	buffer_clear(&scribe->out);
	buffer_clear(&scribe->tail);
	scribe->to_copy = scribe->copied = 0;
	scribe->snapshot = has_snapshot;
	scribe->ending = false;
	scribe->version = 0;
	scribe->has_db = false;
	return HOLD_NONE;
}

bool scribe_in_snapshot(const struct scribe *scribe)
{
	return scribe->snapshot;
}

/* ---- the RDB ---- */

static void put_length(struct buffer *out, uint64_t len)
{
	uint8_t bytes[9];
	size_t count;

	if (len < 64) {
		bytes[0] = (uint8_t)len;
		count = 1;
	} else if (len < 16384) {
		bytes[0] = (uint8_t)(0x40 | len >> 8);
		bytes[1] = (uint8_t)len;
		count = 2;
	} else {
		bool wide = len > UINT32_MAX;

		count = wide ? 9 : 5;
		bytes[0] = wide ? 0x81 : 0x80;
		for (size_t i = 1; i < count; i++)
			bytes[i] = (uint8_t)(len >> 8 * (count - 1 - i));
	}
	put(out, bytes, count);
}

static void put_magic(struct scribe *scribe, uint32_t version)
{
	char magic[16];

	snprintf(magic, sizeof(magic), version >= VALKEY_RDB_FIRST ? "VALKEY%03" PRIu32 : "REDIS%04" PRIu32, version % 1000);
	put(&scribe->out, magic, RDB_MAGIC_LEN);
	scribe->version = version;
}

/* The version in a footer fits the RDB's, which it makes if it is the first. */
static bool fit_version(struct scribe *scribe, const uint8_t *footer, struct error *error)
{
	uint32_t version = (uint32_t)rdb_little_endian(footer, 2);

	if (scribe->version == 0)
		put_magic(scribe, version);
	if ((scribe->version >= VALKEY_RDB_FIRST) == (version >= VALKEY_RDB_FIRST))
		return true;
	error_set(error, ERROR_SOURCE, "the source gave values of RDB version %" PRIu32 " and of %" PRIu32 ", which do not stand in one snapshot",
		  scribe->version, version);
	error_hint(error, "Was the source replaced by another version? Start again: a new pass reads all of it");
	return false;
}

/* Up to the value's bytes. */
static void put_rdb_head(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, uint8_t type)
{
	struct buffer *out = &scribe->out;
	uint8_t bytes[9];

	if (!scribe->has_db || scribe->db != db) {
		bytes[0] = RDB_OPCODE_SELECTDB;
		put(out, bytes, 1);
		put_length(out, db);
	}
	scribe->has_db = true;
	scribe->db = db;
	if (expire_at_ms != NEVER) {
		bytes[0] = RDB_OPCODE_EXPIRETIME_MS;
		for (int i = 0; i < 8; i++)
			bytes[1 + i] = (uint8_t)((uint64_t)expire_at_ms >> 8 * i);
		put(out, bytes, 9);
	}
	put(out, &type, 1);
	put_length(out, key.len);
	put(out, key.data, key.len);
}

bool scribe_functions(struct scribe *scribe, struct slice payload, struct error *error)
{
	if (payload.len < SCRIBE_FOOTER) {
		error_set(error, ERROR_SOURCE, "the answer to FUNCTION DUMP cannot be read");
		return false;
	}
	if (!fit_version(scribe, payload.data + payload.len - SCRIBE_FOOTER, error))
		return false;
	put(&scribe->out, payload.data, payload.len - SCRIBE_FOOTER);
	return true;
}

/* ---- commands ---- */

static void put_text(struct buffer *out, const char *text)
{
	put(out, text, strlen(text));
}

static void put_bulk_header(struct buffer *out, uint64_t len)
{
	uint8_t bytes[32];

	put(out, bytes, resp_put_bulk_header(bytes, len));
}

static void put_bulk(struct buffer *out, struct slice bytes)
{
	put_bulk_header(out, bytes.len);
	put(out, bytes.data, bytes.len);
	put(out, "\r\n", 2);
}

static void put_number(struct buffer *out, int64_t number)
{
	uint8_t digits[24];

	put_bulk(out, slice_make(digits, resp_put_int64(digits, number)));
}

static void select_db(struct scribe *scribe, uint32_t db)
{
	if (scribe->has_db && scribe->db == db)
		return;
	put_text(&scribe->out, "*2\r\n$6\r\nSELECT\r\n");
	put_number(&scribe->out, db);
	scribe->has_db = true;
	scribe->db = db;
}

/* Up to the payload's bytes. */
static void put_restore_head(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, uint64_t payload_len)
{
	select_db(scribe, db);
	put_text(&scribe->out, expire_at_ms != NEVER ? "*6\r\n$7\r\nRESTORE\r\n" : "*5\r\n$7\r\nRESTORE\r\n");
	put_bulk(&scribe->out, key);
	put_number(&scribe->out, expire_at_ms != NEVER ? expire_at_ms : 0);
	put_bulk_header(&scribe->out, payload_len);
}

static void put_restore_tail(struct buffer *out, int64_t expire_at_ms)
{
	put_text(out, expire_at_ms != NEVER ? "\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n" : "\r\n$7\r\nREPLACE\r\n");
}

/* Its value has to stand in the stream as a number, for the lag. */
static bool put_heartbeat(struct scribe *scribe, uint32_t db, struct slice key, struct slice payload)
{
	struct slice stored = slice_make(payload.data + 1, payload.len - 1 - SCRIBE_FOOTER), plain;
	struct rdb_string string;
	struct parse_fault fault;
	struct buffer memory;
	uint64_t need;
	bool ok;

	if (!heartbeat_is_key(key) || payload.data[0] != RDB_TYPE_STRING || rdb_string_read(stored, 0, &string, &need, &fault) != PARSE_OK ||
	    stored.len < string.header + string.stored)
		return false;
	buffer_init(&memory, 64);
	ok = !rdb_string_plain(&string, stored.data + string.header, &memory, &plain);
	if (ok) {
		select_db(scribe, db);
		put_text(&scribe->out, "*3\r\n$3\r\nSET\r\n");
		put_bulk(&scribe->out, key);
		put_bulk(&scribe->out, plain);
	}
	buffer_free(&memory);
	return ok;
}

/* ---- keys ---- */

static bool is_payload(uint64_t len, struct slice key, struct error *error)
{
	char quoted[160];

	if (len > SCRIBE_FOOTER + 1)
		return true;
	error_set(error, ERROR_SOURCE, "the answer to DUMP of key %s has %" PRIu64 " bytes, which no value has", slice_quote(key, quoted, sizeof(quoted)),
		  len);
	return false;
}

bool scribe_key(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload, struct error *error)
{
	if (!is_payload(payload.len, key, error))
		return false;
	if (!scribe->snapshot) {
		if (put_heartbeat(scribe, db, key, payload))
			return true;
		put_restore_head(scribe, db, key, expire_at_ms, payload.len);
		put(&scribe->out, payload.data, payload.len);
		put_restore_tail(&scribe->out, expire_at_ms);
	} else {
		if (!fit_version(scribe, payload.data + payload.len - SCRIBE_FOOTER, error))
			return false;
		put_rdb_head(scribe, db, key, expire_at_ms, payload.data[0]);
		put(&scribe->out, payload.data + 1, payload.len - 1 - SCRIBE_FOOTER);
	}
	names_add(scribe->names, db, key);
	return true;
}

void scribe_gone(struct scribe *scribe, uint32_t db, struct slice key)
{
	select_db(scribe, db);
	put_text(&scribe->out, "*2\r\n$3\r\nDEL\r\n");
	put_bulk(&scribe->out, key);
}

void scribe_end_snapshot(struct scribe *scribe)
{
	static const uint8_t end[1 + RDB_CHECKSUM_LEN] = {RDB_OPCODE_EOF};

	if (scribe->version == 0)
		put_magic(scribe, RDB_VERSION_EMPTY);
	put(&scribe->out, end, sizeof(end));
	scribe->ending = true;
}

/* ---- large values ---- */

static bool scratch_fail(const struct scribe *scribe, const char *what, struct error *error)
{
	error_set_errno(error, ERROR_INTERNAL, errno, "a large value cannot be %s a scratch file in %s", what, scribe->dir);
	error_hint(error, "It needs as much room there as the value is large");
	return false;
}

bool scribe_large_begin(struct scribe *scribe, struct error *error)
{
	if (scribe->scratch >= 0)
		close(scribe->scratch);
	scribe->scratch_size = 0;
	scribe->scratch = open(scribe->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (scribe->scratch < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		char *path = memory_printf("%s/scratch", scribe->dir); /* a file system that cannot do without a name */

		scribe->scratch = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		unlink(path);
		free(path);
	}
	return scribe->scratch >= 0 || scratch_fail(scribe, "written to", error);
}

bool scribe_large_piece(struct scribe *scribe, struct slice bytes, struct error *error)
{
	while (bytes.len > 0) {
		ssize_t wrote = pwrite(scribe->scratch, bytes.data, bytes.len, (off_t)scribe->scratch_size);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return scratch_fail(scribe, "written to", error);
		scribe->scratch_size += (uint64_t)wrote;
		bytes = slice_make(bytes.data + wrote, bytes.len - (size_t)wrote);
	}
	return true;
}

static bool read_scratch(const struct scribe *scribe, uint64_t at, void *out, size_t len, struct error *error)
{
	uint8_t *bytes = out;

	while (len > 0) {
		ssize_t got = pread(scribe->scratch, bytes, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return scratch_fail(scribe, "read from", error);
		bytes += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return true;
}

uint64_t scribe_large_size(const struct scribe *scribe)
{
	return scribe->scratch_size;
}

bool scribe_large_end(struct scribe *scribe, uint32_t db, struct slice key, int64_t expire_at_ms, struct error *error)
{
	uint8_t type, footer[SCRIBE_FOOTER];
	uint64_t size = scribe->scratch_size;

	if (!is_payload(size, key, error) || !read_scratch(scribe, 0, &type, 1, error) ||
	    !read_scratch(scribe, size - SCRIBE_FOOTER, footer, SCRIBE_FOOTER, error))
		return false;
	if (!scribe->snapshot) {
		put_restore_head(scribe, db, key, expire_at_ms, size);
		scribe->copied = 0;
		scribe->to_copy = size;
		put_restore_tail(&scribe->tail, expire_at_ms);
	} else {
		if (!fit_version(scribe, footer, error))
			return false;
		put_rdb_head(scribe, db, key, expire_at_ms, type);
		scribe->copied = 1;
		scribe->to_copy = size - SCRIBE_FOOTER;
	}
	names_add(scribe->names, db, key);
	return true;
}

/* ---- into the spool ---- */

size_t scribe_waiting(const struct scribe *scribe)
{
	return buffer_readable(&scribe->out).len;
}

static enum hold append(struct scribe *scribe, struct buffer *from)
{
	struct slice bytes = buffer_readable(from), rest = bytes;
	enum hold hold = intake_append(&scribe->intake, &rest);

	buffer_consumed(from, bytes.len - rest.len);
	return hold;
}

static enum hold refused(struct scribe *scribe, const struct error *error)
{
	char text[sizeof(error->text) + 80];

	snprintf(text, sizeof(text), "%s; reading from the source waits, and the disk is tried again each second", error->text);
	if (!scribe->names_refused)
		scribe->note(scribe->owner, LOG_ERROR, text);
	scribe->names_refused = true;
	return HOLD_DISK;
}

/* The next part of the large value, behind what is in `out`. */
static bool load_piece(struct scribe *scribe, struct error *error)
{
	size_t len = scribe->to_copy - scribe->copied < COPY_SIZE ? (size_t)(scribe->to_copy - scribe->copied) : COPY_SIZE;

	if (!scribe->piece)
		scribe->piece = memory_alloc(COPY_SIZE);
	if (!read_scratch(scribe, scribe->copied, scribe->piece, len, error))
		return false;
	put(&scribe->out, scribe->piece, len);
	scribe->copied += len;
	return true;
}

enum hold scribe_flush(struct scribe *scribe)
{
	struct error error;
	enum hold hold;

	/* A name that came later than its key would be missing after a kill in between. */
	if (!names_flush(scribe->names, &error))
		return refused(scribe, &error);
	scribe->names_refused = false;
	while ((hold = append(scribe, &scribe->out)) == HOLD_NONE && scribe->copied < scribe->to_copy)
		if (!load_piece(scribe, &error))
			return refused(scribe, &error);
	if (hold != HOLD_NONE)
		return hold;
	if (scribe->scratch >= 0 && scribe->to_copy > 0) {
		close(scribe->scratch);
		scribe->scratch = -1;
		scribe->copied = scribe->to_copy = 0;
	}
	hold = append(scribe, &scribe->tail);
	if (hold != HOLD_NONE || !scribe->ending)
		return hold;
	hold = intake_finish_snapshot(&scribe->intake);
	if (hold == HOLD_NONE) {
		scribe->ending = scribe->snapshot = false;
		scribe->has_db = false; /* the stream begins without one */
	}
	return hold;
}

int64_t scribe_offset(const struct scribe *scribe)
{
	return intake_held_offset(&scribe->intake);
}

void scribe_sync(struct scribe *scribe, bool to_disk)
{
	if (scribe->intake.unflushed || to_disk)
		intake_flush(&scribe->intake, to_disk);
}
