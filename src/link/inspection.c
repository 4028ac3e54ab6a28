#include "link/inspection.h"

#include "base/clock.h"
#include "decode/snapshot.h"
#include "decode/stream.h"
#include "wire/command.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is looked at, summed and unloaded at a time. */
#define WINDOW (4ULL << 20)
/* A longer text is no version. */
#define VERSION_MAX 40

struct inspect {
	struct input *input;
	const struct inspection_events *events;
	struct inspection *found;
	struct error *error;
	uint64_t done, all; /* bytes of the files before this one, and of all */
	uint64_t chain;     /* CRC-64 of the sums and lengths of the files so far */
	int64_t now_ms;
	/* the file under way */
	struct input_file *file;
	const uint8_t *data;
	uint64_t sum; /* CRC-64 of its first `summed` bytes */
	uint64_t summed, unloaded;
};

/* ---- bytes ---- */

/* Sums the file's bytes up to `end` and gives their memory back, but for the page that `end` is in. False: stopped. */
static bool sum_to(struct inspect *inspect, uint64_t end)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	while (inspect->summed < end) {
		uint64_t len = end - inspect->summed < WINDOW ? end - inspect->summed : WINDOW;
		uint64_t whole;

		inspect->sum = crc64(inspect->sum, inspect->data + inspect->summed, len);
		inspect->summed += len;
		whole = inspect->summed / page * page;
		if (whole > inspect->unloaded) {
			madvise((void *)(uintptr_t)(inspect->data + inspect->unloaded), whole - inspect->unloaded, MADV_DONTNEED);
			inspect->unloaded = whole;
		}
		if (!inspect->events->go_on(inspect->events->owner, inspect->done + inspect->summed, inspect->all)) {
			error_clear(inspect->error);
			return false;
		}
	}
	return true;
}

static bool map_file(struct inspect *inspect, struct input_file *file)
{
	static const uint8_t nothing[1]; /* an empty file cannot be mapped */
	void *data = NULL;

	inspect->file = file;
	inspect->data = nothing;
	inspect->sum = inspect->summed = inspect->unloaded = 0;
	if (file->size == 0)
		return true;
	data = mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, file->file, 0);
	if (data == MAP_FAILED) {
		error_set_errno(inspect->error, ERROR_SOURCE, errno, "%s cannot be mapped into memory", file->path);
		return false;
	}
	madvise(data, (size_t)file->size, MADV_SEQUENTIAL); /* advice: no harm where it is not taken */
	inspect->data = data;
	return true;
}

static void unmap_file(struct inspect *inspect)
{
	if (inspect->file->size > 0)
		munmap((void *)(uintptr_t)inspect->data, (size_t)inspect->file->size);
}

static bool begins_with(const struct inspect *inspect, struct slice text)
{
	return slice_starts_with(slice_make(inspect->data, (size_t)inspect->file->size), text);
}

static bool is_snapshot(const struct inspect *inspect)
{
	return begins_with(inspect, SLICE("REDIS")) || begins_with(inspect, SLICE("VALKEY"));
}

static void note_database(struct inspection *found, uint32_t db)
{
	if (db < INSPECTION_DATABASES)
		found->databases[db / 64] |= 1ULL << (db % 64);
	if (db > found->highest_db)
		found->highest_db = db;
}

/* ---- the snapshot ---- */

static bool check_sum(struct inspect *inspect, const struct event *end)
{
	uint64_t at = end->end - RDB_CHECKSUM_LEN;
	uint64_t stored;

	if (inspect->found->rdb_version < RDB_CHECKSUM_SINCE)
		return true;
	if (!sum_to(inspect, at))
		return false;
	stored = rdb_little_endian(inspect->data + at, RDB_CHECKSUM_LEN);
	if (stored == 0 || stored == inspect->sum)
		return true;
	error_set(inspect->error, ERROR_SOURCE,
		  "%s: the checksum at byte %" PRIu64 " is %016" PRIx64 ", and that of the data %016" PRIx64, inspect->file->path,
		  at, stored, inspect->sum);
	error_hint(inspect->error,
		   "Bytes of the file were changed after it was written: take another copy, or let the server save again");
	return false;
}

static void note_server(struct inspection *found, const struct event *aux)
{
	const char *family = slice_equal(aux->key, SLICE("valkey-ver"))  ? "Valkey"
			     : slice_equal(aux->key, SLICE("redis-ver")) ? "Redis"
									 : NULL;

	if (!family || aux->value.len == 0 || aux->value.len > VERSION_MAX)
		return;
	for (size_t i = 0; i < aux->value.len; i++)
		if (aux->value.data[i] <= ' ' || aux->value.data[i] > '~')
			return;
	snprintf(found->server, sizeof(found->server), "%s %.*s", family, (int)aux->value.len, (const char *)aux->value.data);
}

static void cut_off(struct inspect *inspect, uint64_t at, const char *what, const char *hint)
{
	error_set(inspect->error, ERROR_SOURCE,
		  "%s is cut off: it ends at byte %" PRIu64 ", inside %s that begins at byte %" PRIu64, inspect->file->path,
		  inspect->file->size, what, at);
	error_hint(inspect->error, "%s", hint);
}

/* The next event of the snapshot at `at`. */
static bool next_of_snapshot(struct inspect *inspect, struct snapshot_decoder *decoder, uint64_t at, struct event *event)
{
	uint64_t rest = inspect->file->size - at;
	uint64_t len = rest < WINDOW ? rest : WINDOW;
	uint64_t need = 0, scanned = 0;

	for (;;) {
		switch (snapshot_decode(decoder, slice_make(inspect->data + at, len), at, event, &need, &scanned,
					inspect->error)) {
		case PARSE_OK: return true;
		case PARSE_BAD:
			error_prefix(inspect->error, "%s", inspect->file->path);
			error_hint(
				inspect->error,
				"The file is damaged, or of a newer server than this keyferry knows; `keyferry rdb` shows what is whole");
			return false;
		case PARSE_MORE: break;
		}
		if (need > rest) {
			cut_off(inspect, at, "a part of the snapshot",
				"The copying or saving of it did not come to its end: take another copy");
			return false;
		}
		/* Not all of `need` at once: the walk through a large list loads what it looks at. */
		if (!sum_to(inspect, at + scanned))
			return false;
		len = rest - len < WINDOW ? rest : len + WINDOW;
	}
}

/* The snapshot at the beginning of the first file; *ret_end: where it ends. */
static bool inspect_snapshot(struct inspect *inspect, uint64_t *ret_end)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct inspection *found = inspect->found;
	struct event event = {.kind = EVENT_PROGRESS};
	uint64_t at = 0;
	bool ok = true;

	while (ok && event.kind != EVENT_SNAPSHOT_END) {
		ok = next_of_snapshot(inspect, decoder, at, &event);
		if (!ok)
			break;
		at = event.end;
		found->rdb_version = snapshot_decoder_place(decoder).rdb_version;
		if (event.kind == EVENT_KEY) {
			found->keys++;
			note_database(found, event.db);
			if (inspect->input->kind == INPUT_AOF && event.expire_at_ms != EXPIRE_NEVER &&
			    event.expire_at_ms <= inspect->now_ms)
				found->past_expiries++;
		} else if (event.kind == EVENT_PROGRESS && event.type == RDB_OPCODE_AUX) {
			note_server(found, &event);
		} else if (event.kind == EVENT_SNAPSHOT_END) {
			ok = check_sum(inspect, &event);
		}
		/* Summed late, so that this is rare and not done for each small key. */
		if (ok && at - inspect->summed >= WINDOW)
			ok = sum_to(inspect, at);
	}
	snapshot_decoder_free(decoder);
	*ret_end = at;
	return ok;
}

/* ---- commands ---- */

struct commands {
	struct stream_decoder *decoder;
	uint64_t at;       /* the next event's first byte */
	uint64_t whole;    /* what lies before is complete: no command is cut off, no transaction open */
	uint64_t commands; /* before `whole` */
	uint64_t inside;   /* commands of the open transaction */
};

/* The absolute time that a command gives a key; EXPIRE_NEVER: none. The servers write all times to live into their files in these forms. */
static int64_t expiry_of(const struct event *event)
{
	bool seconds = false;
	uint32_t at = 0;
	int64_t time;

	if (event->argc < 3)
		return EXPIRE_NEVER;
	if (slice_equal_nocase(event->argv[0], SLICE("PEXPIREAT"))) {
		at = 2;
	} else if (slice_equal_nocase(event->argv[0], SLICE("EXPIREAT"))) {
		at = 2;
		seconds = true;
	} else if (slice_equal_nocase(event->argv[0], SLICE("SET"))) {
		for (uint32_t i = 3; i + 1 < event->argc; i++) {
			bool in_seconds = slice_equal_nocase(event->argv[i], SLICE("EXAT"));

			if (in_seconds || slice_equal_nocase(event->argv[i], SLICE("PXAT"))) {
				seconds = in_seconds;
				at = ++i;
			} else if (command_set_compares(event->argv[i])) {
				i++;
			}
		}
	}
	if (at == 0 || !slice_to_int64(event->argv[at], &time) || time < 0)
		return EXPIRE_NEVER;
	return !seconds ? time : time > INT64_MAX / 1000 ? INT64_MAX : time * 1000;
}

static void note_command(struct inspect *inspect, const struct event *event)
{
	int64_t expiry = expiry_of(event);

	note_database(inspect->found, event->db);
	if (expiry != EXPIRE_NEVER && expiry <= inspect->now_ms)
		inspect->found->past_expiries++;
}

/* OK, MORE: the file ends inside this event. BAD: *error; also when stopped. */
static enum parse next_command(struct inspect *inspect, struct commands *commands, struct event *event)
{
	uint64_t rest = inspect->file->size - commands->at;
	uint64_t len = rest < WINDOW ? rest : WINDOW;
	const uint8_t *data = inspect->data + commands->at;
	uint64_t need;
	enum parse answer;

	/* Servers write commands as arrays, and annotations; the inline form, which a stream may have, would take any text for a command. */
	if (data[0] != '*' && data[0] != '#') {
		error_set(inspect->error, ERROR_SOURCE, "%s: at byte %" PRIu64 " no command begins", inspect->file->path,
			  commands->at);
		error_hint(inspect->error,
			   "The file is damaged there; redis-check-aof --fix cuts a copy of it off before that byte");
		return PARSE_BAD;
	}
	for (;;) {
		answer = stream_decode(commands->decoder, slice_make(data, len), commands->at, event, &need, inspect->error);
		if (answer == PARSE_OK)
			return PARSE_OK;
		if (answer == PARSE_BAD) {
			error_prefix(inspect->error, "%s", inspect->file->path);
			error_hint(inspect->error,
				   "The file is damaged there; redis-check-aof --fix cuts a copy of it off before that byte");
			return PARSE_BAD;
		}
		if (need > rest)
			return PARSE_MORE;
		len = rest - len < WINDOW ? rest : len + WINDOW;
		if (len < need)
			len = need;
	}
}

/* The file is not whole behind commands->whole: the last one is cut off there, any other is damage. */
static bool cut_tail(struct inspect *inspect, const struct commands *commands)
{
	const struct input_file *file = inspect->file;
	bool transaction = stream_decoder_in_transaction(commands->decoder);
	bool last = file == &inspect->input->files[inspect->input->count - 1];

	if (!last) {
		cut_off(inspect, commands->whole, transaction ? "a transaction" : "a command",
			"Only the last file may be cut off, since nothing follows it: take another copy of the whole folder");
		return false;
	}
	snprintf(inspect->found->cut, sizeof(inspect->found->cut),
		 "%.300s ends at byte %" PRIu64 " inside a %s that begins at byte %" PRIu64
		 ", as when the server was cut off while writing: that %s is left out, as a server leaves it out when it starts",
		 file->path, file->size, transaction ? "transaction" : "command", commands->whole,
		 transaction ? "transaction" : "command");
	inspect->file->length = commands->whole;
	return true;
}

static bool inspect_commands(struct inspect *inspect, uint64_t from)
{
	struct commands commands = {.decoder = stream_decoder_new(NULL), .at = from, .whole = from};
	enum parse answer = PARSE_OK;
	struct event event;
	bool ok = true;

	while (ok && commands.at < inspect->file->size) {
		answer = next_command(inspect, &commands, &event);
		if (answer != PARSE_OK)
			break;
		commands.at = event.end;
		if (event.kind == EVENT_COMMAND) {
			commands.inside++;
			note_command(inspect, &event);
		}
		if (stream_decoder_in_transaction(commands.decoder))
			continue;
		commands.whole = commands.at;
		commands.commands += commands.inside;
		commands.inside = 0;
		if (commands.whole - inspect->summed >= WINDOW)
			ok = sum_to(inspect, commands.whole);
	}
	ok = ok && answer != PARSE_BAD && (commands.whole == inspect->file->size || cut_tail(inspect, &commands));
	inspect->found->commands += commands.commands;
	stream_decoder_free(commands.decoder);
	return ok;
}

/* ---- files ---- */

static bool refuse(struct inspect *inspect, const char *what, const char *hint)
{
	error_set(inspect->error, ERROR_SOURCE, "%s %s", inspect->file->path, what);
	error_hint(inspect->error, "%s", hint);
	return false;
}

static bool inspect_rdb(struct inspect *inspect)
{
	uint64_t end;

	if (!is_snapshot(inspect))
		return begins_with(inspect, SLICE("*")) || begins_with(inspect, SLICE("#"))
			       ? refuse(inspect, "is an append-only file, not an RDB file",
					"Read it with source.mode: aof (aof:///path)")
			       : refuse(inspect, "is not an RDB file: it begins with neither REDIS nor VALKEY",
					"Check source.path");
	if (!inspect_snapshot(inspect, &end))
		return false;
	inspect->input->snapshot_end = end;
	return end == inspect->file->size ||
	       refuse(inspect, "goes on behind the end of its snapshot",
		      "An append-only file that begins with a snapshot is read with source.mode: aof (aof:///path)");
}

static bool inspect_aof(struct inspect *inspect)
{
	uint64_t end = 0;

	if (is_snapshot(inspect)) {
		if (inspect->file != inspect->input->files)
			return refuse(
				inspect, "begins with a snapshot, and other files come before it",
				"Its manifest or the files are not of one append-only file: take another copy of the whole folder");
		if (!inspect_snapshot(inspect, &end))
			return false;
		inspect->input->snapshot_end = end;
	}
	return inspect_commands(inspect, end);
}

static bool inspect_file(struct inspect *inspect, struct input_file *file)
{
	uint64_t facts[2];
	bool ok;

	if (!map_file(inspect, file))
		return false;
	ok = (inspect->input->kind == INPUT_RDB ? inspect_rdb(inspect) : inspect_aof(inspect)) && sum_to(inspect, file->length);
	unmap_file(inspect);
	facts[0] = inspect->sum;
	facts[1] = file->length;
	inspect->chain = crc64(inspect->chain, facts, sizeof(facts));
	inspect->done += file->size;
	return ok;
}

bool inspection_run(struct input *input, const struct inspection_events *events, struct inspection *ret, struct error *error)
{
	struct inspection found = {.highest_db = -1};
	struct inspect inspect = {.input = input, .events = events, .found = &found, .error = error, .now_ms = clock_wall_ms()};

	for (uint32_t i = 0; i < input->count; i++)
		inspect.all += input->files[i].size;
	for (uint32_t i = 0; i < input->count; i++)
		if (!inspect_file(&inspect, &input->files[i]))
			return false;
	input_lay_out(input);
	snprintf(input->identity, sizeof(input->identity), "%016" PRIx64 "%016" PRIx64 "%08x", inspect.chain, input->total,
		 input->kind == INPUT_RDB ? 0u : 1u);
	*ret = found;
	return true;
}
