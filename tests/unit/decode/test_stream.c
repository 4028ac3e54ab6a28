#include "decode/stream.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "wire/resp.h"

#include <dirent.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BEGIN 1000 /* the position of the first byte of the streams below */

/* What a stream decodes to, an event a line. */
struct transcript {
	char text[4096];
	uint64_t end;
	enum parse result;
	struct error error;
};

static void transcript_add(struct transcript *transcript, const struct event *event)
{
	static const char *const edges[] = {"", " begin", " inside", " end"};
	size_t at = strlen(transcript->text);

	assert_int_equal(event->start, transcript->end);
	assert_int_equal(event->raw.len, event->raw.data ? event->end - event->start : 0);
	transcript->end = event->end;
	snprintf(transcript->text + at, sizeof(transcript->text) - at, "%s%s db%u%s%s %.*s key=%.*s %llu\n",
		 event->kind == EVENT_COMMAND ? "command" : "progress", edges[event->edge], event->db,
		 event->ask_getack ? " getack" : "", event->info || event->argc == 0 ? "" : " unknown",
		 event->argc ? (int)event->argv[0].len : 0, event->argc ? (const char *)event->argv[0].data : "",
		 (int)event->key.len, (const char *)event->key.data, (unsigned long long)event->end);
}

/* Decodes all of `in`, handing it out in growing pieces of `step` bytes, each time in other memory; 0: all at once. */
static void decode_in_steps(struct slice in, size_t step, struct transcript *transcript)
{
	struct stream_decoder *decoder = stream_decoder_new(NULL);
	size_t from = 0;
	size_t len = step ? 0 : in.len;

	*transcript = (struct transcript){.end = BEGIN, .result = PARSE_MORE};
	for (;;) {
		uint8_t *copy = memory_alloc(len + 1);
		struct event event;
		uint64_t need = 0;

		if (len)
			memcpy(copy, in.data + from, len);
		transcript->result =
			stream_decode(decoder, slice_make(copy, len), BEGIN + from, &event, &need, &transcript->error);
		if (transcript->result == PARSE_OK) {
			assert_ptr_equal(event.raw.data, event.kind == EVENT_COMMAND && copy[0] != '*' ? NULL : copy);
			transcript_add(transcript, &event);
			from += event.end - event.start;
			len = step ? 0 : in.len - from;
		}
		free(copy);
		if (transcript->result == PARSE_BAD)
			break;
		if (transcript->result == PARSE_MORE) {
			assert_true(need > len);
			if (from + len == in.len)
				break;
			len = from + len + step > in.len ? in.len - from : len + step;
		}
	}
	stream_decoder_free(decoder);
}

static void assert_stream(struct slice in, const char *expected)
{
	struct transcript whole;

	decode_in_steps(in, 0, &whole);
	assert_string_equal(whole.text, expected);
	assert_int_equal(whole.result, PARSE_MORE);
	assert_int_equal(whole.end, BEGIN + in.len);
	for (size_t step = 1; step < 8; step++) {
		struct transcript pieces;

		decode_in_steps(in, step, &pieces);
		assert_string_equal(whole.text, pieces.text);
		assert_int_equal(pieces.result, PARSE_MORE);
	}
}

static void assert_bad(struct slice in, const char *text)
{
	struct transcript transcript;

	for (size_t step = 0; step < 3; step++) {
		decode_in_steps(in, step, &transcript);
		assert_int_equal(transcript.result, PARSE_BAD);
		assert_int_equal(transcript.error.kind, ERROR_SOURCE);
		assert_string_equal(transcript.error.text, text);
	}
}

static void plain_stream(void **state)
{
	(void)state;
	assert_stream(SLICE("*2\r\n$6\r\nSELECT\r\n$1\r\n9\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n\n*1\r\n$4\r\nping\r\n"
			    "*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n*1\r\n$8\r\nFLUSHALL\r\n"
			    "*2\r\n$6\r\nNOSUCH\r\n$1\r\nk\r\n"),
		      "progress db9 SELECT key= 1023\n"
		      "command db9 SET key=k 1050\n"
		      "progress db9  key= 1051\n"
		      "progress db9 ping key= 1065\n"
		      "progress db9 getack REPLCONF key= 1102\n"
		      "command db9 FLUSHALL key= 1120\n"
		      "command db9 unknown NOSUCH key= 1143\n");
}

/* No master sends them. They are read, but have no RESP form to be sent as it is, or to be patched. */
static void inline_commands(void **state)
{
	(void)state;
	assert_stream(SLICE("PING\r\nPEXPIREAT k 2000000000000\r\nMULTI\nset k v\nEXEC\n"), "progress db0 PING key= 1006\n"
											    "command db0 PEXPIREAT key=k 1033\n"
											    "command begin db0 MULTI key= 1039\n"
											    "command inside db0 set key=k 1047\n"
											    "command end db0 EXEC key= 1052\n");
}

static void messages_of_sentinels(void **state)
{
	(void)state;
	assert_stream(
		SLICE("*3\r\n$7\r\nPUBLISH\r\n$18\r\n__sentinel__:hello\r\n$1\r\nm\r\n*3\r\n$7\r\npublish\r\n$19\r\n__sentinel__:hello2\r\n$1\r\nm\r\n"
		      "*3\r\n$8\r\nSPUBLISH\r\n$18\r\n__sentinel__:hello\r\n$1\r\nm\r\n*1\r\n$7\r\nPUBLISH\r\n"),
		"progress db0 PUBLISH key= 1049\n"
		"command db0 publish key= 1099\n"
		"command db0 SPUBLISH key=__sentinel__:hello 1149\n"
		"command db0 PUBLISH key= 1166\n");
}

static void transaction(void **state)
{
	(void)state;
	assert_stream(SLICE("*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n"
			    "*4\r\n$5\r\nBITOP\r\n$3\r\nNOT\r\n$1\r\nd\r\n$1\r\ns\r\n"
			    "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nexec\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"),
		      "command begin db0 MULTI key= 1015\n"
		      "progress inside db3 SELECT key= 1038\n"
		      "command inside db3 BITOP key=d 1076\n"
		      "progress inside db3 PING key= 1090\n"
		      "command end db3 exec key= 1104\n"
		      "command db3 INCR key=k 1125\n");
}

/* Lines of append-only files, also within a transaction. */
static void annotations(void **state)
{
	(void)state;
	assert_stream(
		SLICE("#TS:1700000000\r\n*1\r\n$5\r\nMULTI\r\n#TS:1700000001\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n#\n*1\r\n$4\r\nEXEC\r\n"
		      "# \"any\" \x01 bytes\n"),
		"progress db0  key= 1016\n"
		"command begin db0 MULTI key= 1031\n"
		"progress inside db0  key= 1047\n"
		"command inside db0 INCR key=k 1068\n"
		"progress inside db0  key= 1070\n"
		"command end db0 EXEC key= 1084\n"
		"progress db0  key= 1100\n");
}

static void bad_streams(void **state)
{
	uint8_t endless[1024];

	(void)state;
	memset(endless, '#', sizeof(endless));
	assert_bad(slice_make(endless, sizeof(endless)),
		   "command stream at position 1000: a line that begins with # does not end");
	assert_bad(SLICE("*1\r\n$4\r\nEXEC\r\n"), "command stream at position 1000: EXEC without MULTI");
	assert_bad(SLICE("*1\r\n$5\r\nMULTI\r\n*1\r\n$5\r\nMULTI\r\n"),
		   "command stream at position 1015: MULTI inside a transaction");
	assert_bad(SLICE("*1\r\n$5\r\nMULTI\r\n*1\r\n$7\r\nDISCARD\r\n"),
		   "command stream at position 1015: DISCARD, which no master sends");
	assert_bad(SLICE("\n*2\r\n$6\r\nSELECT\r\n$2\r\n-1\r\n"),
		   "command stream at position 1001: SELECT of \"-1\", which is no database number");
	assert_bad(SLICE("*2\r\n$6\r\nSELECT\r\n$10\r\n2147483648\r\n"),
		   "command stream at position 1000: SELECT of \"2147483648\", which is no database number");
	assert_bad(SLICE("*1\r\n$6\r\nSELECT\r\n"),
		   "command stream at position 1000: SELECT of \"\", which is no database number");
	assert_bad(SLICE("\n*1\r\n+OK\r\n"), "command stream at position 1005: '$' of an argument expected");
}

static void resume(void **state)
{
	struct stream_decoder *decoder = stream_decoder_new(NULL);
	struct event event;
	struct error error;
	uint64_t need;

	(void)state;
	assert_int_equal(stream_decode(decoder, SLICE("*1\r\n$5\r\nMULTI\r\n"), 0, &event, &need, &error), PARSE_OK);
	assert_true(stream_decoder_in_transaction(decoder));
	assert_int_equal(stream_decode(decoder, SLICE("*2\r\n$3\r\nG"), 15, &event, &need, &error), PARSE_MORE);
	stream_decoder_resume(decoder, 7);
	assert_false(stream_decoder_in_transaction(decoder));
	assert_int_equal(stream_decoder_database(decoder), 7);
	assert_int_equal(stream_decode(decoder, SLICE("*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"), 5, &event, &need, &error), PARSE_OK);
	assert_int_equal(event.db, 7);
	assert_int_equal(event.start, 5);
	assert_int_equal(event.end, 26);
	assert_int_equal(event.expire_at_ms, EXPIRE_NEVER);
	stream_decoder_free(decoder);
	stream_decoder_free(NULL);
}

static void learned_command(void **state)
{
	struct command_table *table = command_table_new();
	struct stream_decoder *decoder = stream_decoder_new(table);
	struct event event;
	struct error error;
	uint64_t need;

	(void)state;
	command_table_learn(table, SLICE("json.set"), -4, true, false, (struct command_keys){1, 1, 1});
	assert_int_equal(stream_decode(decoder, SLICE("*4\r\n$8\r\nJSON.SET\r\n$1\r\nk\r\n$1\r\n$\r\n$1\r\n1\r\n"), 0, &event,
				       &need, &error),
			 PARSE_OK);
	assert_non_null(event.info);
	assert_true(slice_equal(event.key, SLICE("k")));
	stream_decoder_free(decoder);
	command_table_free(table);
}

/* ---- the recorded streams of real servers ---- */

static struct slice file_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buffer buffer;
	size_t room;

	if (!file)
		fail_msg("%s cannot be read", path);
	buffer_init(&buffer, 1 << 30);
	do {
		assert_true(buffer_reserve(&buffer, 1 << 16));
		uint8_t *to = buffer_room(&buffer, &room);

		room = fread(to, 1, room, file);
		buffer_produced(&buffer, room);
	} while (room > 0);
	fclose(file);
	return buffer_readable(&buffer);
}

static void count_command(json_t *counts, const struct event *event)
{
	char name[64];
	size_t len = event->argv[0].len;

	assert_true(len < sizeof(name));
	for (size_t i = 0; i < len; i++) {
		uint8_t c = event->argv[0].data[i];

		name[i] = (char)(c >= 'a' && c <= 'z' ? c - 0x20 : c);
	}
	name[len] = '\0';
	json_object_set_new(counts, name, json_integer(json_integer_value(json_object_get(counts, name)) + 1));
}

static void check_recording(const char *folder)
{
	struct stream_decoder *decoder = stream_decoder_new(NULL);
	json_t *counts = json_object();
	char path[1024];
	struct error error;
	struct event event;
	struct slice stream;
	json_error_t json_error;
	json_t *meta;
	uint64_t at = 0;
	uint64_t need;

	snprintf(path, sizeof(path), "%s/meta.json", folder);
	meta = json_load_file(path, 0, &json_error);
	if (!meta)
		fail_msg("%s: %s", path, json_error.text);
	snprintf(path, sizeof(path), "%s/stream.resp", folder);
	stream = file_read(path);
	assert_int_equal(stream.len, json_integer_value(json_object_get(meta, "stream_bytes")));

	while (at < stream.len) {
		if (stream_decode(decoder, slice_make(stream.data + at, stream.len - at), at, &event, &need, &error) != PARSE_OK)
			fail_msg("%s: position %llu is not decoded", path, (unsigned long long)at);
		assert_int_equal(event.start, at);
		at = event.end;
		if (event.argc == 0)
			continue;
		count_command(counts, &event);
		if (!event.info)
			fail_msg("%s: %.*s is not in the table", path, (int)event.argv[0].len, (const char *)event.argv[0].data);
		if (event.kind == EVENT_COMMAND) {
			int keys = command_keys(event.info, event.argc, event.argv, NULL, NULL);

			assert_true(keys >= 0);
			assert_int_equal(keys > 0, event.key.data != NULL);
			/* what has no key is known to have none */
			if (keys == 0 && event.edge != TRANSACTION_BEGIN && event.edge != TRANSACTION_END)
				assert_true(event.info->flags & (COMMAND_ALL_NODES | COMMAND_ANY_NODE | COMMAND_SCRIPT));
		}
	}
	assert_int_equal(at, stream.len);
	assert_int_equal(json_integer_value(json_object_get(meta, "start_offset")) + (int64_t)at,
			 json_integer_value(json_object_get(meta, "end_offset")));
	assert_false(stream_decoder_in_transaction(decoder));
	if (!json_equal(counts, json_object_get(meta, "command_counts")))
		fail_msg("%s: other commands than the recording has: %s", path, json_dumps(counts, JSON_SORT_KEYS));
	free((void *)stream.data);
	json_decref(counts);
	json_decref(meta);
	stream_decoder_free(decoder);
}

static void recorded_streams(void **state)
{
	const char *fixtures = getenv("KEYFERRY_FIXTURES");
	unsigned seen = 0;
	struct dirent *entry;
	DIR *dir;

	(void)state;
	if (!fixtures)
		skip();
	dir = opendir(fixtures);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char folder[512];
		DIR *stream;

		snprintf(folder, sizeof(folder), "%s/%s/stream", fixtures, entry->d_name);
		stream = opendir(folder);
		if (!stream)
			continue;
		closedir(stream);
		check_recording(folder);
		seen++;
	}
	closedir(dir);
	assert_int_equal(seen, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_stream),    cmocka_unit_test(messages_of_sentinels), cmocka_unit_test(transaction),
		cmocka_unit_test(annotations),     cmocka_unit_test(bad_streams),           cmocka_unit_test(resume),
		cmocka_unit_test(learned_command), cmocka_unit_test(recorded_streams),      cmocka_unit_test(inline_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
