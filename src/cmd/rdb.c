#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/rdb_file.h"
#include "cmd/rdb_lines.h"
#include "cmd/rdb_summary.h"
#include "json/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum format { FORMAT_SUMMARY, FORMAT_KEYS, FORMAT_JSONL };

static bool find_format(const char *name, enum format *ret)
{
	static const char *const names[] = {[FORMAT_SUMMARY] = "summary", [FORMAT_KEYS] = "keys", [FORMAT_JSONL] = "jsonl"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret = (enum format)i;
			return true;
		}
	}
	return false;
}

/* One line of JSON. */
static void print_key(const struct event *key, bool valkey)
{
	char type[EVENT_KEY_TYPE_MAX];

	printf("{\"db\":%" PRIu32 ",\"key\":", key->db);
	json_bytes_print(stdout, key->key);
	printf(",\"type\":\"%s\",\"bytes\":%zu,\"ttl_at_ms\":", event_key_type(key, valkey, type), key->value.len);
	if (key->expire_at_ms == EXPIRE_NEVER)
		printf("null}\n");
	else
		printf("%" PRId64 "}\n", key->expire_at_ms);
}

/* Until the end, or damage; what is whole goes out either way. */
static bool read_events(struct rdb_file *file, struct rdb_summary *summary, enum rdb_checksum *checksum, struct error *error)
{
	struct event event;

	do {
		struct snapshot_place place;

		if (!rdb_file_next(file, &event, checksum, error))
			return false;
		place = snapshot_decoder_place(file->decoder);
		if (summary)
			rdb_summary_add(summary, &event, place);
		else if (event.kind == EVENT_KEY)
			print_key(&event, place.valkey);
		/* A reader that has seen enough (head) need not wait for the rest; main() tells of the failed write. */
	} while (event.kind != EVENT_SNAPSHOT_END && !ferror(stdout));
	return true;
}

static bool show(struct rdb_file *file, enum format format, struct error *error)
{
	enum rdb_checksum checksum = RDB_CHECKSUM_NOT_SEEN;
	struct rdb_summary summary;
	bool whole;

	if (format == FORMAT_JSONL)
		return rdb_lines_print(file, stdout, error);
	if (format == FORMAT_KEYS)
		return read_events(file, NULL, &checksum, error);
	rdb_summary_init(&summary, clock_wall_ms());
	whole = read_events(file, &summary, &checksum, error);
	rdb_summary_print(&summary, file, checksum, stdout);
	rdb_summary_free(&summary);
	return whole;
}

int cmd_rdb(int argc, char **argv)
{
	struct arguments arguments;
	struct rdb_file file;
	struct error error;
	const char *path;
	enum format format;
	bool whole;
	int code = command_arguments("rdb", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	error_clear(&error);
	path = arguments_word(&arguments, 0);
	if (!find_format(arguments_given(&arguments, "format") ? arguments_value(&arguments, "format") : "summary", &format)) {
		error_set(&error, ERROR_USAGE, "--format takes summary, keys or jsonl");
		return command_fail("rdb", &error);
	}
	if (!path) {
		error_set(&error, ERROR_USAGE, "a file is needed: keyferry rdb FILE");
		error_hint(&error, "'keyferry help rdb' explains the command");
		return command_fail("rdb", &error);
	}
	if (!rdb_file_open(&file, path, &error))
		return command_fail("rdb", &error);
	whole = show(&file, format, &error);
	rdb_file_close(&file);
	if (whole)
		return ERROR_NONE;
	fflush(stdout); /* what is whole stands before the error, also where both go to one file */
	return command_fail("rdb", &error);
}
