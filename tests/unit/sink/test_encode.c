/* Keys of the snapshot as commands, for targets of every age; each is read back as the target would. */
#include "sink/encode.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/crc64.h"
#include "wire/rdb.h"
#include "wire/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LATER 4102444800000 /* 2100 */

static struct window window;
static struct encode_options options;
static struct slice sent; /* all pieces in one */
static char text[4096];   /* "SET k v|PEXPIREAT k 1": commands of the unit, payloads as <n> */

static const struct target_abilities newest = {.set_absolute_expiry = true,
					       .restore_absolute_ttl = true,
					       .restore_replace = true,
					       .functions = true,
					       .rdb_version = 11,
					       .bulk_max = 512 << 20,
					       .name = "Redis 7.2.0"};

static int set_up(void **state)
{
	(void)state;
	window_init(&window, 64, 1, 1 << 20, 0, 0);
	options = (struct encode_options){.target = newest, .replace = true};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	window_free(&window);
	free((void *)sent.data);
	sent = (struct slice){0};
	return 0;
}

static struct event key(uint8_t type, struct slice value, int64_t expire_at_ms)
{
	return (struct event){.kind = EVENT_KEY,
			      .key = SLICE("k"),
			      .type = type,
			      .value = value,
			      .expire_at_ms = expire_at_ms,
			      .start = 100,
			      .end = 100 + value.len};
}

static struct event plain(struct slice string, int64_t expire_at_ms)
{
	struct event event = key(RDB_TYPE_STRING, string, expire_at_ms);

	event.string = string;
	return event;
}

/* The unit's bytes as commands. */
static const char *read_back(const struct unit *unit)
{
	struct resp_command_parser parser;
	uint8_t *all = memory_alloc(unit->size + 1);
	size_t len = 0, at = 0, out = 0;
	uint32_t commands = 0;

	for (uint32_t i = 0; i < unit->piece_count; i++) {
		memcpy(all + len, unit->pieces[i].data, unit->pieces[i].len);
		len += unit->pieces[i].len;
	}
	assert_int_equal(len, unit->size);
	free((void *)sent.data);
	sent = slice_make(all, len);
	resp_command_parser_init(&parser);
	while (at < len) {
		struct parse_fault fault;
		struct slice *argv;
		uint64_t taken, need;
		uint32_t argc;

		assert_int_equal(resp_command_parse(&parser, slice_make(all + at, len - at), &argc, &argv, &taken, &need, &fault),
				 PARSE_OK);
		for (uint32_t i = 0; i < argc; i++) {
			bool payload = i == 3 && slice_equal(argv[0], SLICE("RESTORE"));

			out += (size_t)(payload || argv[i].len > 40
						? snprintf(text + out, sizeof(text) - out, " <%zu>", argv[i].len)
						: snprintf(text + out, sizeof(text) - out, "%s%.*s",
							   i          ? " "
							   : commands ? "|"
								      : "",
							   (int)argv[i].len, (const char *)argv[i].data));
		}
		at += taken;
		commands++;
	}
	resp_command_parser_free(&parser);
	assert_int_equal(unit->replies, commands);
	return text;
}

static const char *encode(const struct event *event)
{
	struct unit *unit = window_new_unit(&window);

	assert_true(encode_possible(event, &options.target, options.source_valkey));
	encode_key(&window, unit, event, &options);
	window_commit(&window, unit);
	return read_back(unit);
}

static void refuse(const struct event *event)
{
	assert_false(encode_possible(event, &options.target, options.source_valkey));
}

static void test_strings(void **state)
{
	struct event event = plain(SLICE("value"), EXPIRE_NEVER);

	(void)state;
	assert_string_equal(encode(&event), "SET k value");
	options.replace = false;
	assert_string_equal(encode(&event), "SET k value NX");
	event.expire_at_ms = LATER;
	assert_string_equal(encode(&event), "SET k value PXAT 4102444800000 NX");
	options.replace = true;
	assert_string_equal(encode(&event), "SET k value PXAT 4102444800000");
	event = plain(SLICE(""), EXPIRE_NEVER);
	assert_string_equal(encode(&event), "SET k ");
}

static void test_integers(void **state)
{
	static const struct {
		struct slice value;
		const char *expected;
	} cases[] = {
		{{(const uint8_t *)"\xc0\x05", 2}, "SET k 5"},
		{{(const uint8_t *)"\xc0\x80", 2}, "SET k -128"},
		{{(const uint8_t *)"\xc1\xff\x7f", 3}, "SET k 32767"},
		{{(const uint8_t *)"\xc1\x00\x80", 3}, "SET k -32768"},
		{{(const uint8_t *)"\xc2\xff\xff\xff\x7f", 5}, "SET k 2147483647"},
		{{(const uint8_t *)"\xc2\x00\x00\x00\x80", 5}, "SET k -2147483648"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct event event = key(RDB_TYPE_STRING, cases[i].value, EXPIRE_NEVER);

		assert_string_equal(encode(&event), cases[i].expected);
	}
}

/* Type, value, version, checksum: as DUMP would have made it. */
static void check_payload(const struct event *event, uint16_t version)
{
	size_t len = 1 + event->value.len + 10;
	const uint8_t *payload = NULL;
	uint64_t crc = 0;

	for (size_t at = 0; at + len <= sent.len && !payload; at++)
		if (sent.data[at] == event->type && memcmp(sent.data + at + 1, event->value.data, event->value.len) == 0)
			payload = sent.data + at;
	assert_non_null(payload);
	assert_int_equal(payload[len - 10] | payload[len - 9] << 8, version);
	for (int i = 0; i < 8; i++)
		crc |= (uint64_t)payload[len - 8 + (size_t)i] << (8 * i);
	assert_true(crc == crc64(0, payload, len - 8));
}

static void test_restore(void **state)
{
	struct event event = key(RDB_TYPE_LIST, SLICE("\x01\x05hello"), EXPIRE_NEVER);

	(void)state;
	assert_string_equal(encode(&event), "RESTORE k 0 <18> REPLACE");
	check_payload(&event, (uint16_t)rdb_type_version(RDB_TYPE_LIST, false));
	options.replace = false;
	assert_string_equal(encode(&event), "RESTORE k 0 <18>");
	event.expire_at_ms = LATER;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <18> ABSTTL");
	options.replace = true;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <18> REPLACE ABSTTL");
}

/* Wanted and there: SET cannot carry it. */
static void test_idle_times(void **state)
{
	struct event event = plain(SLICE("hello"), LATER);

	(void)state;
	event.idle_seconds = 77;
	assert_string_equal(encode(&event), "SET k hello PXAT 4102444800000");
	options.target.keep_idle = true;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <16> REPLACE ABSTTL IDLETIME 77");
	event.idle_seconds = 0;
	options.replace = false;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <16> ABSTTL IDLETIME 0");
	event.frequency = 255; /* of both, one */
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <16> ABSTTL IDLETIME 0");
	event.idle_seconds = -1;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <16> ABSTTL FREQ 255");
	event.frequency = 0;
	event.expire_at_ms = EXPIRE_NEVER;
	assert_string_equal(encode(&event), "RESTORE k 0 <16> FREQ 0");
	event.frequency = -1;
	assert_string_equal(encode(&event), "SET k hello NX");
}

/* Before 6.2 there is no PXAT, before 5.0 no ABSTTL, before 3.0 no REPLACE. */
static void test_old_targets(void **state)
{
	struct event event = plain(SLICE("\x05hello"), LATER);
	long long ttl;

	(void)state;
	options.target.set_absolute_expiry = false;
	assert_string_equal(encode(&event), "RESTORE k 4102444800000 <17> REPLACE ABSTTL");
	options.target.restore_absolute_ttl = false;
	assert_string_equal(encode(&event), "RESTORE k 0 <17> REPLACE|PEXPIREAT k 4102444800000");
	options.target.restore_replace = false;
	assert_string_equal(encode(&event), "DEL k|RESTORE k 0 <17>|PEXPIREAT k 4102444800000");
	/* The key may be there, and it is somebody else's then: nothing may touch its expiry. */
	options.replace = false;
	assert_int_equal(sscanf(encode(&event), "RESTORE k %lld <17>", &ttl), 1);
	assert_null(strstr(text, "PEXPIREAT"));
	assert_in_range(ttl, LATER - clock_wall_ms() - 10000, LATER - clock_wall_ms() + 10000);
	event.expire_at_ms = 1;
	assert_string_equal(encode(&event), "RESTORE k 1 <17>");
}

static void test_large_values_are_not_copied(void **state)
{
	uint8_t *bytes = memory_alloc_zero(3 << 20, 1);

	(void)state;
	for (size_t len = ENCODE_COPY_MAX - 1; len <= 3 << 20; len = len < ENCODE_COPY_MAX + 1 ? len + 1 : 3 << 20) {
		struct event event = plain(slice_make(bytes, len), LATER);
		struct unit *unit = window_new_unit(&window);

		encode_key(&window, unit, &event, &options);
		window_commit(&window, unit);
		assert_int_equal(unit->piece_count, len <= ENCODE_COPY_MAX ? 1 : 3);
		if (len > ENCODE_COPY_MAX)
			assert_ptr_equal(unit->pieces[1].data, bytes);
		read_back(unit);
		event = key(RDB_TYPE_SET, slice_make(bytes, len), LATER);
		unit = window_new_unit(&window);
		encode_key(&window, unit, &event, &options);
		window_commit(&window, unit);
		read_back(unit);
		check_payload(&event, (uint16_t)rdb_type_version(RDB_TYPE_SET, false));
		if (len == 3 << 20)
			break;
	}
	free(bytes);
}

static void test_refused(void **state)
{
	struct event event = plain(SLICE("value"), EXPIRE_NEVER);

	(void)state;
	options.target.bulk_max = 64;
	refuse(&event);
	options.target.bulk_max = newest.bulk_max;
	event = key(RDB_TYPE_LIST_QUICKLIST_2, SLICE("\x01"), EXPIRE_NEVER);
	options.target.rdb_version = 9;
	options.target.name = "Redis 6.2.6";
	refuse(&event);
	options.target.rdb_version = rdb_type_version(RDB_TYPE_LIST_QUICKLIST_2, false);
	encode(&event);
	/* Valkey 9 takes its own version and those of Redis up to 11 */
	options.target.valkey_rdb = true;
	options.target.rdb_version = 80;
	encode(&event);
}

static void test_commands(void **state)
{
	struct slice argv[] = {SLICE("MSET"), SLICE("a"), SLICE(""), SLICE("b"), SLICE("x\r\ny")};
	struct unit *unit = window_new_unit(&window);

	(void)state;
	encode_command(&window, unit, 5, argv);
	window_commit(&window, unit);
	assert_string_equal(read_back(unit), "MSET a  b x\r\ny");
}

/* One argument is another: of a short command in a copy, of a long one beside what lies in the spool. */
static void test_patched(void **state)
{
	static uint8_t large[8192];
	struct slice raw = SLICE("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nv$3\r\n$4\r\nPXAT\r\n$13\r\n4102444800000\r\n");
	struct unit *unit = window_new_unit(&window);
	size_t len;

	(void)state;
	encode_patched(&window, unit, raw, slice_make(raw.data + raw.len - 15, 13), SLICE("4507702072170496"));
	window_commit(&window, unit);
	assert_string_equal(read_back(unit), "SET k v$3 PXAT 4507702072170496");
	assert_int_equal(unit->piece_count, 1);

	/* The argument in the middle, the long one behind it; one at the very end; an empty one. */
	len = (size_t)snprintf((char *)large, sizeof(large),
			       "*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$13\r\n4102444800000\r\n$5000\r\n%05000d\r\n$6\r\nABSTTL\r\n",
			       7);
	unit = window_new_unit(&window);
	encode_patched(&window, unit, slice_make(large, len), slice_make((const uint8_t *)strstr((char *)large, "41024"), 13),
		       SLICE("5"));
	window_commit(&window, unit);
	assert_string_equal(read_back(unit), "RESTORE k 5 <5000> ABSTTL");
	assert_int_equal(unit->piece_count, 3);
	assert_ptr_equal(unit->pieces[0].data, large);
	unit = window_new_unit(&window);
	encode_patched(&window, unit, slice_make(large, len), slice_make(large + len - 8, 6), SLICE(""));
	window_commit(&window, unit);
	assert_string_equal(read_back(unit), "RESTORE k 4102444800000 <5000> ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_strings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_integers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restore, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_idle_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_old_targets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large_values_are_not_copied, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_commands, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_patched, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
