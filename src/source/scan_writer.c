#include "source/scan_writer.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
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

struct scan_writer {
	struct spool *spool;
	struct names *names;
	char *dir;
	const struct intake_events *events;
	void *owner;
	struct intake intake;
	bool snapshot;    /* what is put belongs to one */
	bool ending;      /* its last byte is in `out` */
	uint32_t version; /* of its RDB; 0: nothing of it is written */
	bool has_db;
	uint32_t db; /* selected behind `out` */
	struct buffer out;
	/* a large value */
	int scratch;
	uint64_t scratch_size;
	uint64_t copied, to_copy; /* of it into the spool, behind `out` */
	struct buffer tail;       /* behind that */
	uint8_t *piece;
	bool names_refused; /* noted */
};

struct scan_writer *scan_writer_new(struct spool *spool, struct names *names, const char *dir, const struct intake_events *events,
				    void *owner)
{
	struct scan_writer *scan_writer = memory_alloc_zero(1, sizeof(*scan_writer));

	scan_writer->spool = spool;
	scan_writer->names = names;
	scan_writer->dir = memory_strdup(dir);
	scan_writer->events = events;
	scan_writer->owner = owner;
	scan_writer->scratch = -1;
	intake_init(&scan_writer->intake, spool, events, owner);
	buffer_init(&scan_writer->out, SIZE_MAX / 2);
	buffer_init(&scan_writer->tail, SIZE_MAX / 2);
	return scan_writer;
}

void scan_writer_free(struct scan_writer *scan_writer)
{
	if (!scan_writer)
		return;
	if (scan_writer->scratch >= 0)
		close(scan_writer->scratch);
	buffer_free(&scan_writer->out);
	buffer_free(&scan_writer->tail);
	free(scan_writer->piece);
	free(scan_writer->dir);
	free(scan_writer);
}

/* These buffers have no bound of their own: their owner flushes them. */
static void put(struct buffer *out, const void *data, size_t len)
{
	bool fits = buffer_append(out, data, len);

	(void)fits;
}

/* ---- generations ---- */

enum hold scan_writer_begin(struct scan_writer *scan_writer, bool has_snapshot)
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
	hold = intake_begin(&scan_writer->intake, identity, 0, has_snapshot);
	if (hold != HOLD_NONE)
		return hold;
	buffer_clear(&scan_writer->out);
	buffer_clear(&scan_writer->tail);
	scan_writer->to_copy = scan_writer->copied = 0;
	scan_writer->snapshot = has_snapshot;
	scan_writer->ending = false;
	scan_writer->version = 0;
	scan_writer->has_db = false;
	return HOLD_NONE;
}

bool scan_writer_in_snapshot(const struct scan_writer *scan_writer)
{
	return scan_writer->snapshot;
}

/* ---- the RDB ---- */

static void put_length(struct buffer *out, uint64_t len)
{
	uint8_t bytes[RDB_LENGTH_BYTES_MAX];

	put(out, bytes, rdb_put_length(bytes, len));
}

static void put_magic(struct scan_writer *scan_writer, uint32_t version)
{
	char magic[RDB_MAGIC_LEN + 1];

	rdb_magic_write(magic, version, version >= VALKEY_RDB_FIRST);
	put(&scan_writer->out, magic, RDB_MAGIC_LEN);
	scan_writer->version = version;
}

/* The version in a footer fits the RDB's, which it makes if it is the first. */
static bool fit_version(struct scan_writer *scan_writer, const uint8_t *footer, struct error *error)
{
	uint32_t version = (uint32_t)rdb_little_endian(footer, 2);

	if (scan_writer->version == 0)
		put_magic(scan_writer, version);
	if ((scan_writer->version >= VALKEY_RDB_FIRST) == (version >= VALKEY_RDB_FIRST))
		return true;
	error_set(error, ERROR_SOURCE,
		  "the source gave values of RDB version %" PRIu32 " and of %" PRIu32 ", which do not stand in one snapshot",
		  scan_writer->version, version);
	error_hint(error, "Was the source replaced by another version? Start again: a new pass reads all of it");
	return false;
}

/* Up to the value's bytes. */
static void put_rdb_head(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms, uint8_t type)
{
	struct buffer *out = &scan_writer->out;
	uint8_t bytes[9];

	if (!scan_writer->has_db || scan_writer->db != db) {
		bytes[0] = RDB_OPCODE_SELECTDB;
		put(out, bytes, 1);
		put_length(out, db);
	}
	scan_writer->has_db = true;
	scan_writer->db = db;
	if (expire_at_ms != NEVER) {
		bytes[0] = RDB_OPCODE_EXPIRETIME_MS;
		rdb_put_little_endian(bytes + 1, (uint64_t)expire_at_ms, 8);
		put(out, bytes, 9);
	}
	put(out, &type, 1);
	put_length(out, key.len);
	put(out, key.data, key.len);
}

bool scan_writer_functions(struct scan_writer *scan_writer, struct slice payload, struct error *error)
{
	if (payload.len < SCAN_WRITER_FOOTER) {
		error_set(error, ERROR_SOURCE, "the answer to FUNCTION DUMP cannot be read");
		return false;
	}
	if (!fit_version(scan_writer, payload.data + payload.len - SCAN_WRITER_FOOTER, error))
		return false;
	put(&scan_writer->out, payload.data, payload.len - SCAN_WRITER_FOOTER);
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

static void select_db(struct scan_writer *scan_writer, uint32_t db)
{
	if (scan_writer->has_db && scan_writer->db == db)
		return;
	put_text(&scan_writer->out, "*2\r\n$6\r\nSELECT\r\n");
	put_number(&scan_writer->out, db);
	scan_writer->has_db = true;
	scan_writer->db = db;
}

/* Up to the payload's bytes. */
static void put_restore_head(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms,
			     uint64_t payload_len)
{
	select_db(scan_writer, db);
	put_text(&scan_writer->out, expire_at_ms != NEVER ? "*6\r\n$7\r\nRESTORE\r\n" : "*5\r\n$7\r\nRESTORE\r\n");
	put_bulk(&scan_writer->out, key);
	put_number(&scan_writer->out, expire_at_ms != NEVER ? expire_at_ms : 0);
	put_bulk_header(&scan_writer->out, payload_len);
}

static void put_restore_tail(struct buffer *out, int64_t expire_at_ms)
{
	put_text(out, expire_at_ms != NEVER ? "\r\n$7\r\nREPLACE\r\n$6\r\nABSTTL\r\n" : "\r\n$7\r\nREPLACE\r\n");
}

/* Its value has to stand in the stream as a number, for the lag. */
static bool put_heartbeat(struct scan_writer *scan_writer, uint32_t db, struct slice key, struct slice payload)
{
	struct slice stored = slice_make(payload.data + 1, payload.len - 1 - SCAN_WRITER_FOOTER), plain;
	struct rdb_string string;
	struct parse_fault fault;
	struct buffer memory;
	uint64_t need;
	bool ok;

	if (!heartbeat_is_key(key) || payload.data[0] != RDB_TYPE_STRING ||
	    rdb_string_read(stored, 0, &string, &need, &fault) != PARSE_OK || stored.len < string.header + string.stored)
		return false;
	buffer_init(&memory, 64);
	ok = !rdb_string_plain(&string, stored.data + string.header, &memory, &plain);
	if (ok) {
		select_db(scan_writer, db);
		put_text(&scan_writer->out, "*3\r\n$3\r\nSET\r\n");
		put_bulk(&scan_writer->out, key);
		put_bulk(&scan_writer->out, plain);
	}
	buffer_free(&memory);
	return ok;
}

/* ---- keys ---- */

static bool is_payload(uint64_t len, struct slice key, struct error *error)
{
	char quoted[160];

	if (len > SCAN_WRITER_FOOTER + 1)
		return true;
	error_set(error, ERROR_SOURCE, "the answer to DUMP of key %s has %" PRIu64 " bytes, which no value has",
		  slice_quote(key, quoted, sizeof(quoted)), len);
	return false;
}

bool scan_writer_key(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms, struct slice payload,
		     struct error *error)
{
	if (!is_payload(payload.len, key, error))
		return false;
	if (!scan_writer->snapshot) {
		if (put_heartbeat(scan_writer, db, key, payload))
			return true;
		put_restore_head(scan_writer, db, key, expire_at_ms, payload.len);
		put(&scan_writer->out, payload.data, payload.len);
		put_restore_tail(&scan_writer->out, expire_at_ms);
	} else {
		if (!fit_version(scan_writer, payload.data + payload.len - SCAN_WRITER_FOOTER, error))
			return false;
		put_rdb_head(scan_writer, db, key, expire_at_ms, payload.data[0]);
		put(&scan_writer->out, payload.data + 1, payload.len - 1 - SCAN_WRITER_FOOTER);
	}
	names_add(scan_writer->names, db, key);
	return true;
}

void scan_writer_gone(struct scan_writer *scan_writer, uint32_t db, struct slice key)
{
	select_db(scan_writer, db);
	put_text(&scan_writer->out, "*2\r\n$3\r\nDEL\r\n");
	put_bulk(&scan_writer->out, key);
}

void scan_writer_end_snapshot(struct scan_writer *scan_writer)
{
	static const uint8_t end[1 + RDB_CHECKSUM_LEN] = {RDB_OPCODE_EOF};

	if (scan_writer->version == 0)
		put_magic(scan_writer, RDB_VERSION_EMPTY);
	put(&scan_writer->out, end, sizeof(end));
	scan_writer->ending = true;
}

/* ---- large values ---- */

static bool scratch_fail(const struct scan_writer *scan_writer, const char *what, struct error *error)
{
	error_set_errno(error, ERROR_INTERNAL, errno, "a large value cannot be %s a scratch file in %s", what, scan_writer->dir);
	error_hint(error, "It needs as much room there as the value is large");
	return false;
}

bool scan_writer_large_begin(struct scan_writer *scan_writer, struct error *error)
{
	if (scan_writer->scratch >= 0)
		close(scan_writer->scratch);
	scan_writer->scratch_size = 0;
	scan_writer->scratch = open(scan_writer->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (scan_writer->scratch < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		char *path = memory_printf("%s/scratch", scan_writer->dir); /* a file system that cannot do without a name */

		scan_writer->scratch = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (scan_writer->scratch >= 0)
			unlink(path); /* and else errno is that of open() */
		free(path);
	}
	return scan_writer->scratch >= 0 || scratch_fail(scan_writer, "written to", error);
}

bool scan_writer_large_piece(struct scan_writer *scan_writer, struct slice bytes, struct error *error)
{
	if (!file_write_at(scan_writer->scratch, bytes, scan_writer->scratch_size))
		return scratch_fail(scan_writer, "written to", error);
	scan_writer->scratch_size += bytes.len;
	return true;
}

static bool read_scratch(const struct scan_writer *scan_writer, uint64_t at, void *out, size_t len, struct error *error)
{
	uint8_t *bytes = out;

	while (len > 0) {
		ssize_t got = pread(scan_writer->scratch, bytes, len, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return scratch_fail(scan_writer, "read from", error);
		bytes += got;
		at += (uint64_t)got;
		len -= (size_t)got;
	}
	return true;
}

uint64_t scan_writer_large_size(const struct scan_writer *scan_writer)
{
	return scan_writer->scratch_size;
}

bool scan_writer_large_end(struct scan_writer *scan_writer, uint32_t db, struct slice key, int64_t expire_at_ms,
			   struct error *error)
{
	uint8_t type, footer[SCAN_WRITER_FOOTER];
	uint64_t size = scan_writer->scratch_size;

	if (!is_payload(size, key, error) || !read_scratch(scan_writer, 0, &type, 1, error) ||
	    !read_scratch(scan_writer, size - SCAN_WRITER_FOOTER, footer, SCAN_WRITER_FOOTER, error))
		return false;
	if (!scan_writer->snapshot) {
		put_restore_head(scan_writer, db, key, expire_at_ms, size);
		scan_writer->copied = 0;
		scan_writer->to_copy = size;
		put_restore_tail(&scan_writer->tail, expire_at_ms);
	} else {
		if (!fit_version(scan_writer, footer, error))
			return false;
		put_rdb_head(scan_writer, db, key, expire_at_ms, type);
		scan_writer->copied = 1;
		scan_writer->to_copy = size - SCAN_WRITER_FOOTER;
	}
	names_add(scan_writer->names, db, key);
	return true;
}

/* ---- into the spool ---- */

size_t scan_writer_waiting(const struct scan_writer *scan_writer)
{
	return buffer_readable(&scan_writer->out).len;
}

static enum hold append(struct scan_writer *scan_writer, struct buffer *from)
{
	struct slice bytes = buffer_readable(from), rest = bytes;
	enum hold hold = intake_append(&scan_writer->intake, &rest);

	buffer_consumed(from, bytes.len - rest.len);
	return hold;
}

static enum hold refused(struct scan_writer *scan_writer, const struct error *error)
{
	char text[sizeof(error->text) + 80];

	snprintf(text, sizeof(text), "%s; reading from the source waits, and the disk is tried again each second", error->text);
	if (!scan_writer->names_refused)
		scan_writer->events->note(scan_writer->owner, LOG_ERROR, text);
	scan_writer->names_refused = true;
	return HOLD_DISK;
}

/* The next part of the large value, behind what is in `out`. */
static bool load_piece(struct scan_writer *scan_writer, struct error *error)
{
	size_t len = scan_writer->to_copy - scan_writer->copied < COPY_SIZE ? (size_t)(scan_writer->to_copy - scan_writer->copied)
									    : COPY_SIZE;

	if (!scan_writer->piece)
		scan_writer->piece = memory_alloc(COPY_SIZE);
	if (!read_scratch(scan_writer, scan_writer->copied, scan_writer->piece, len, error))
		return false;
	put(&scan_writer->out, scan_writer->piece, len);
	scan_writer->copied += len;
	return true;
}

enum hold scan_writer_flush(struct scan_writer *scan_writer)
{
	struct error error;
	enum hold hold;

	/* A name that came later than its key would be missing after a kill in between. */
	if (!names_flush(scan_writer->names, &error))
		return refused(scan_writer, &error);
	scan_writer->names_refused = false;
	while ((hold = append(scan_writer, &scan_writer->out)) == HOLD_NONE && scan_writer->copied < scan_writer->to_copy)
		if (!load_piece(scan_writer, &error))
			return refused(scan_writer, &error);
	if (hold != HOLD_NONE)
		return hold;
	if (scan_writer->scratch >= 0 && scan_writer->to_copy > 0) {
		close(scan_writer->scratch);
		scan_writer->scratch = -1;
		scan_writer->copied = scan_writer->to_copy = 0;
	}
	hold = append(scan_writer, &scan_writer->tail);
	if (hold != HOLD_NONE || !scan_writer->ending)
		return hold;
	hold = intake_finish_snapshot(&scan_writer->intake);
	if (hold == HOLD_NONE) {
		scan_writer->ending = scan_writer->snapshot = false;
		scan_writer->has_db = false; /* the stream begins without one */
	}
	return hold;
}

int64_t scan_writer_offset(const struct scan_writer *scan_writer)
{
	return intake_held_offset(&scan_writer->intake);
}

void scan_writer_sync(struct scan_writer *scan_writer, bool to_disk)
{
	if (scan_writer->intake.unflushed || to_disk)
		intake_flush(&scan_writer->intake, to_disk);
}
