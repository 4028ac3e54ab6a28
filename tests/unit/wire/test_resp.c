#include "wire/resp.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A copy on the heap of exactly `len` bytes, so that the sanitizer sees a read past the end. */
static struct slice copy_of(struct slice bytes, size_t len)
{
	uint8_t *copy = memory_alloc(len ? len : 1);

	if (len)
		memcpy(copy, bytes.data, len);
	return slice_make(copy, len);
}

static void free_slice(struct slice bytes)
{
	free((void *)bytes.data);
}

struct outcome {
	enum parse result;
	uint64_t at; /* taken, or the fault's offset */
	uint32_t argc;
	char text[512]; /* the arguments, each followed by '|' */
};

static struct outcome outcome_of(enum parse result, uint32_t argc, const struct slice *argv, uint64_t taken,
				 const struct parse_fault *fault)
{
	struct outcome outcome = {.result = result, .at = result == PARSE_OK ? taken : fault->offset};
	size_t at = 0;

	if (result == PARSE_BAD) {
		assert_non_null(fault->what);
		return outcome;
	}
	outcome.argc = argc;
	for (uint32_t i = 0; i < argc; i++) {
		assert_true(at + argv[i].len + 2 < sizeof(outcome.text));
		memcpy(outcome.text + at, argv[i].data, argv[i].len);
		at += argv[i].len;
		outcome.text[at++] = '|';
	}
	return outcome;
}

/* One call with everything. */
static struct outcome parse_whole(struct slice in)
{
	struct resp_command_parser parser;
	struct slice copy = copy_of(in, in.len);
	struct parse_fault fault = {0};
	struct slice *argv = NULL;
	uint32_t argc = 0;
	uint64_t taken = 0;
	uint64_t need = 0;
	enum parse result;
	struct outcome outcome;

	resp_command_parser_init(&parser);
	result = resp_command_parse(&parser, copy, &argc, &argv, &taken, &need, &fault);
	if (result == PARSE_MORE)
		assert_true(need > in.len);
	outcome = result == PARSE_MORE ? (struct outcome){.result = PARSE_MORE} : outcome_of(result, argc, argv, taken, &fault);
	resp_command_parser_free(&parser);
	free_slice(copy);
	return outcome;
}

/* A call after every `step` bytes (0: only when the parser has what it asked for), in memory that moves each time. */
static struct outcome parse_in_pieces(struct slice in, size_t step)
{
	struct resp_command_parser parser;
	struct outcome outcome = {.result = PARSE_MORE};
	uint64_t len = step;

	resp_command_parser_init(&parser);
	while (len <= in.len && outcome.result == PARSE_MORE) {
		struct slice copy = copy_of(in, len);
		struct parse_fault fault = {0};
		struct slice *argv = NULL;
		uint32_t argc = 0;
		uint64_t taken = 0;
		uint64_t need = 0;
		enum parse result = resp_command_parse(&parser, copy, &argc, &argv, &taken, &need, &fault);

		if (result != PARSE_MORE)
			outcome = outcome_of(result, argc, argv, taken, &fault);
		else
			assert_true(need > len);
		len = step == 0 ? need : len + step;
		free_slice(copy);
	}
	resp_command_parser_free(&parser);
	return outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->at, b->at);
	assert_int_equal(a->argc, b->argc);
	assert_string_equal(a->text, b->text);
}

static void assert_command(struct slice in, const char *text, uint32_t argc, uint64_t taken)
{
	struct outcome whole = parse_whole(in);
	struct outcome pieces = parse_in_pieces(in, 1);
	struct outcome asked = parse_in_pieces(in, 0);

	assert_int_equal(whole.result, PARSE_OK);
	assert_int_equal(whole.argc, argc);
	assert_int_equal(whole.at, taken);
	assert_string_equal(whole.text, text);
	assert_same(&whole, &pieces);
	assert_same(&whole, &asked);
	for (size_t len = 0; len < taken; len++)
		assert_int_equal(parse_whole(slice_make(in.data, len)).result, PARSE_MORE);
}

static void assert_bad_command(struct slice in, uint64_t offset)
{
	struct outcome whole = parse_whole(in);
	struct outcome pieces = parse_in_pieces(in, 1);

	assert_int_equal(whole.result, PARSE_BAD);
	assert_int_equal(whole.at, offset);
	assert_same(&whole, &pieces);
	/* No byte before the offending one condemns it. */
	assert_int_equal(parse_whole(slice_make(in.data, offset)).result, PARSE_MORE);
}

static void commands(void **state)
{
	(void)state;
	assert_command(SLICE("*1\r\n$4\r\nPING\r\n"), "PING|", 1, 14);
	assert_command(SLICE("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n"), "SET|a||", 3, 26);
	assert_command(SLICE("*2\r\n$3\r\nGET\r\n$4\r\n\r\n\r\n\r\n*1"), "GET|\r\n\r\n|", 2, 23);
	assert_command(SLICE("*0\r\n"), "", 0, 4);
	assert_command(SLICE("\r\n*1\r\n"), "", 0, 2);
	assert_command(SLICE("\n\n"), "", 0, 1);
}

static void inline_commands(void **state)
{
	(void)state;
	assert_command(SLICE("PING\r\n"), "PING|", 1, 6);
	assert_command(SLICE("ping\nX"), "ping|", 1, 5);
	assert_command(SLICE(" SET \t a  b \r\n"), "SET|a|b|", 3, 14);
	assert_command(SLICE("  \r\n"), "", 0, 4);
	assert_bad_command(SLICE("SET a \"b c\"\r\n"), 6);
	assert_bad_command(SLICE("PI\rNG\r\n"), 3);
	assert_bad_command(SLICE("PI\x01NG\r\n"), 2);
	assert_bad_command(SLICE("$4\r\nPING\r\n"), 0);
	assert_bad_command(SLICE("\0"), 0);
}

static void bad_commands(void **state)
{
	(void)state;
	assert_bad_command(SLICE("*-1\r\n"), 1);
	assert_bad_command(SLICE("*\r\n"), 1);
	assert_bad_command(SLICE("*1x\r\n"), 2);
	assert_bad_command(SLICE("*1\rx"), 3);
	assert_bad_command(SLICE("*01\r\n"), 2);
	assert_bad_command(SLICE("*8388609\r\n"), 7);
	assert_bad_command(SLICE("*99999999999999999999\r\n"), 7);
	assert_bad_command(SLICE("*1\r\n+OK\r\n"), 4);
	assert_bad_command(SLICE("*1\r\n$-1\r\n"), 5);
	assert_bad_command(SLICE("*1\r\n$1099511627777\r\n"), 17);
	assert_bad_command(SLICE("*2\r\n$1\r\na\r\n$1\r\nbc\r\n"), 16);
	assert_bad_command(SLICE("*1\r\n$1\r\na\rb"), 10);
	assert_bad_command(SLICE("*1\r\n$1\r\nab"), 9);
}

static void long_inline_command(void **state)
{
	size_t len = RESP_LINE_MAX + 10;
	uint8_t *text = memory_alloc(len);
	struct outcome outcome;

	(void)state;
	memset(text, 'a', len);
	outcome = parse_whole(slice_make(text, len));
	assert_int_equal(outcome.result, PARSE_BAD);
	assert_int_equal(outcome.at, RESP_LINE_MAX);
	free(text);
}

/* What is asked for is exact: one byte less is still not enough. */
static void need_is_exact_for_bulks(void **state)
{
	static const char text[] = "*2\r\n$3\r\nGET\r\n$10\r\n0123";
	struct resp_command_parser parser;
	struct parse_fault fault;
	struct slice *argv;
	uint32_t argc;
	uint64_t taken;
	uint64_t need;

	(void)state;
	resp_command_parser_init(&parser);
	assert_int_equal(resp_command_parse(&parser, slice_make(text, sizeof(text) - 1), &argc, &argv, &taken, &need, &fault),
			 PARSE_MORE);
	assert_int_equal(need, 18 + 10 + 2);
	/* The header and the first length alone: the second argument is at least six bytes. */
	resp_command_parser_reset(&parser);
	assert_int_equal(resp_command_parse(&parser, slice_make(text, 9), &argc, &argv, &taken, &need, &fault), PARSE_MORE);
	assert_int_equal(need, 13 + 6);
	resp_command_parser_free(&parser);
}

/* A command of many arguments that arrives bit by bit must not be scanned from its start each time: with a step of 1000
 * bytes that would be more than 10^10 bytes here, and this test would not end. */
static void resumed_without_second_scan(void **state)
{
	const uint32_t count = 400 * 1000;
	struct resp_command_parser parser;
	struct buffer buffer;
	struct parse_fault fault;
	struct slice *argv;
	uint8_t header[32];
	uint32_t argc = 0;
	uint64_t taken;
	uint64_t need;
	struct slice all;
	uint64_t len = 0;

	(void)state;
	buffer_init(&buffer, 64 << 20);
	assert_true(buffer_append(&buffer, header, resp_put_array_header(header, count)));
	for (uint32_t i = 0; i < count; i++)
		assert_true(buffer_append(&buffer, "$5\r\nabcde\r\n", 11));
	all = buffer_readable(&buffer);
	resp_command_parser_init(&parser);
	do {
		len = len + 100 < all.len ? len + 100 : all.len;
	} while (resp_command_parse(&parser, slice_make(all.data, len), &argc, &argv, &taken, &need, &fault) == PARSE_MORE);
	assert_int_equal(argc, count);
	assert_int_equal(taken, all.len);
	assert_memory_equal(argv[count - 1].data, "abcde", 5);
	/* The room of the huge command is given back with the next one. */
	assert_int_equal(resp_command_parse(&parser, SLICE("PING\r\n"), &argc, &argv, &taken, &need, &fault), PARSE_OK);
	assert_true(parser.room < 1000);
	resp_command_parser_free(&parser);
	buffer_free(&buffer);
}

static void big_bulk_is_asked_for(void **state)
{
	struct resp_command_parser parser;
	struct parse_fault fault;
	struct slice *argv;
	uint32_t argc;
	uint64_t taken;
	uint64_t need;

	(void)state;
	resp_command_parser_init(&parser);
	assert_int_equal(resp_command_parse(&parser, SLICE("*1\r\n$1099511627776\r\nx"), &argc, &argv, &taken, &need, &fault),
			 PARSE_MORE);
	assert_true(need == 20 + (1ULL << 40) + 2);
	resp_command_parser_free(&parser);
}

/* ---- replies ---- */

static struct resp_skim skim_of(struct slice in)
{
	struct slice copy = copy_of(in, in.len);
	struct resp_skim skim = {0};
	struct resp_node nodes[64];
	struct parse_fault fault;
	uint64_t taken = 0;

	assert_int_equal(resp_reply_skim(copy, &skim, &fault), PARSE_OK);
	/* Both readers agree. */
	assert_int_equal(resp_reply_parse(copy, nodes, 64, &taken, &fault), PARSE_OK);
	assert_int_equal(taken, skim.taken);
	assert_int_equal(nodes[0].type, skim.type);
	assert_int_equal(nodes[0].count, skim.count);
	assert_true(slice_equal(nodes[0].text, skim.text));
	/* Texts point into the copy: let them point into the original. */
	skim.text.data = in.data + (skim.text.data ? skim.text.data - copy.data : 0);
	skim.first_error.data = in.data + (skim.first_error.data ? skim.first_error.data - copy.data : 0);
	free_slice(copy);
	for (size_t len = 0; len < skim.taken; len++) {
		struct resp_skim part;

		copy = copy_of(in, len);
		assert_int_equal(resp_reply_skim(copy, &part, &fault), PARSE_MORE);
		assert_int_equal(resp_reply_parse(copy, nodes, 64, &taken, &fault), PARSE_MORE);
		free_slice(copy);
	}
	return skim;
}

static void assert_scalar(struct slice in, enum resp_type type, struct slice text)
{
	struct resp_skim skim = skim_of(in);

	assert_int_equal(skim.type, type);
	assert_true(slice_equal(skim.text, text));
	assert_int_equal(skim.taken, in.len);
	assert_false(skim.has_error);
}

static void assert_bad_reply(struct slice in, uint64_t offset)
{
	for (size_t len = 0; len <= in.len; len++) {
		struct slice copy = copy_of(in, len);
		struct resp_skim skim;
		struct resp_node nodes[64];
		struct parse_fault fault = {0};
		enum parse result = resp_reply_skim(copy, &skim, &fault);
		uint64_t taken;

		if (result == PARSE_BAD)
			assert_int_equal(fault.offset, offset);
		if (len <= offset)
			assert_int_equal(result, PARSE_MORE);
		if (len == in.len)
			assert_int_equal(result, PARSE_BAD);
		assert_int_equal(resp_reply_parse(copy, nodes, 64, &taken, &fault), result);
		if (result == PARSE_BAD)
			assert_int_equal(fault.offset, offset);
		free_slice(copy);
	}
}

static void scalars(void **state)
{
	(void)state;
	assert_scalar(SLICE("+OK\r\n"), RESP_SIMPLE, SLICE("OK"));
	assert_scalar(SLICE("+\r\n"), RESP_SIMPLE, SLICE(""));
	assert_scalar(SLICE("-MOVED 3999 127.0.0.1:6381\r\n"), RESP_ERROR, SLICE("MOVED 3999 127.0.0.1:6381"));
	assert_scalar(SLICE(":-42\r\n"), RESP_INTEGER, SLICE("-42"));
	assert_scalar(SLICE("$6\r\nfoo\r\nb\r\n"), RESP_BULK, SLICE("foo\r\nb"));
	assert_scalar(SLICE("$0\r\n\r\n"), RESP_BULK, SLICE(""));
	assert_scalar(SLICE("$-1\r\n"), RESP_NULL, SLICE(""));
	assert_scalar(SLICE("*-1\r\n"), RESP_NULL, SLICE(""));
	assert_scalar(SLICE("_\r\n"), RESP_NULL, SLICE(""));
	assert_scalar(SLICE(",-inf\r\n"), RESP_DOUBLE, SLICE("-inf"));
	assert_scalar(SLICE("#t\r\n"), RESP_BOOLEAN, SLICE("t"));
	assert_scalar(SLICE("(3492890328409238509324850943850943825024385\r\n"), RESP_SIMPLE,
		      SLICE("3492890328409238509324850943850943825024385"));
	assert_scalar(SLICE("!5\r\nERR a\r\n"), RESP_ERROR, SLICE("ERR a"));
	assert_scalar(SLICE("=8\r\ntxt:text\r\n"), RESP_BULK, SLICE("text"));
	assert_scalar(SLICE("|1\r\n+ttl\r\n*1\r\n-no\r\n:7\r\n"), RESP_INTEGER, SLICE("7"));
}

static void arrays(void **state)
{
	struct resp_skim skim = skim_of(SLICE("*0\r\n+rest\r\n"));

	(void)state;
	assert_int_equal(skim.type, RESP_ARRAY);
	assert_int_equal(skim.count, 0);
	assert_int_equal(skim.taken, 4);

	skim = skim_of(SLICE("*3\r\n+OK\r\n*2\r\n:1\r\n$-1\r\n$1\r\na\r\n"));
	assert_int_equal(skim.count, 3);
	assert_false(skim.has_error);

	skim = skim_of(SLICE("*4\r\n+OK\r\n*2\r\n:1\r\n*1\r\n-ERR deep\r\n-ERR later\r\n:1\r\n"));
	assert_true(skim.has_error);
	assert_int_equal(skim.error_index, 1);
	assert_true(slice_equal(skim.first_error, SLICE("ERR deep")));

	skim = skim_of(SLICE("*3\r\n+OK\r\n|1\r\n+a\r\n-ERR of an attribute\r\n+OK\r\n-ERR real\r\n"));
	assert_true(skim.has_error);
	assert_int_equal(skim.error_index, 2);
	assert_true(slice_equal(skim.first_error, SLICE("ERR real")));

	skim = skim_of(SLICE("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n"));
	assert_int_equal(skim.count, 4);
	skim = skim_of(SLICE("~1\r\n:1\r\n"));
	assert_int_equal(skim.type, RESP_ARRAY);
	skim = skim_of(SLICE(">2\r\n+invalidate\r\n_\r\n"));
	assert_int_equal(skim.type, RESP_ARRAY);
}

static void nodes(void **state)
{
	struct resp_node node[8];
	struct parse_fault fault;
	uint64_t taken;
	const struct resp_node *inner;

	(void)state;
	assert_int_equal(resp_reply_parse(SLICE("*3\r\n:1\r\n*2\r\n+a\r\n*1\r\n#f\r\n$1\r\nb\r\n"), node, 8, &taken, &fault),
			 PARSE_OK);
	assert_int_equal(node[0].span, 7);
	assert_int_equal(resp_member(node, 0)->integer, 1);
	inner = resp_member(node, 1);
	assert_int_equal(inner->count, 2);
	assert_int_equal(inner->span, 4);
	assert_true(slice_equal(resp_member(inner, 0)->text, SLICE("a")));
	assert_int_equal(resp_member(resp_member(inner, 1), 0)->type, RESP_BOOLEAN);
	assert_int_equal(resp_member(resp_member(inner, 1), 0)->integer, 0);
	assert_true(slice_equal(resp_member(node, 2)->text, SLICE("b")));
	assert_null(resp_member(node, 3));
	assert_null(resp_member(&node[1], 0));

	/* one node too few is known before the members are there */
	assert_int_equal(resp_reply_parse(SLICE("*8\r\n"), node, 8, &taken, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, 0);
	assert_int_equal(resp_reply_parse(SLICE("*7\r\n"), node, 8, &taken, &fault), PARSE_MORE);
	assert_int_equal(resp_reply_parse(SLICE("+a\r\n"), node, 0, &taken, &fault), PARSE_BAD);
}

static void bad_replies(void **state)
{
	(void)state;
	assert_bad_reply(SLICE("OK\r\n"), 0);
	assert_bad_reply(SLICE("+O\nK\r\n"), 2);
	assert_bad_reply(SLICE("+OK\rX\n"), 4);
	assert_bad_reply(SLICE(":12a\r\n"), 1);
	assert_bad_reply(SLICE(":+-1\r\n"), 1);
	assert_bad_reply(SLICE(":9223372036854775808\r\n"), 1);
	assert_bad_reply(SLICE(":\r\n"), 1);
	assert_bad_reply(SLICE("$-2\r\n"), 2);
	assert_bad_reply(SLICE("$1\r\nab\r\n"), 5);
	assert_bad_reply(SLICE("*2\r\n:1\r\n?\r\n"), 8);
	assert_bad_reply(SLICE("*x\r\n"), 1);
	assert_bad_reply(SLICE("*1073741824\r\n"), 10);
	assert_bad_reply(SLICE("#x\r\n"), 1);
	assert_bad_reply(SLICE("_x\r\n"), 1);
	assert_bad_reply(SLICE(",\r\n"), 1);
	assert_bad_reply(SLICE("=3\r\ntxt\r\n"), 0);
}

static void nesting_is_bounded(void **state)
{
	char text[4 * (RESP_DEPTH_MAX + 1) + 8];
	size_t at = 0;
	struct resp_skim skim;
	struct parse_fault fault;

	(void)state;
	for (int i = 0; i < RESP_DEPTH_MAX; i++, at += 4)
		memcpy(text + at, "*1\r\n", 4);
	memcpy(text + at, "+a\r\n", 4);
	assert_int_equal(resp_reply_skim(slice_make(text, at + 4), &skim, &fault), PARSE_OK);
	memcpy(text + at, "*1\r\n", 4);
	assert_int_equal(resp_reply_skim(slice_make(text, at + 4), &skim, &fault), PARSE_BAD);
	assert_int_equal(fault.offset, at);
}

/* ---- writing ---- */

static void numbers(void **state)
{
	uint8_t out[32];

	(void)state;
	assert_int_equal(resp_put_uint64(out, 0), 1);
	assert_memory_equal(out, "0", 1);
	assert_int_equal(resp_put_uint64(out, UINT64_MAX), 20);
	assert_memory_equal(out, "18446744073709551615", 20);
	assert_int_equal(resp_put_int64(out, INT64_MIN), 20);
	assert_memory_equal(out, "-9223372036854775808", 20);
	assert_int_equal(resp_put_array_header(out, 12), 5);
	assert_memory_equal(out, "*12\r\n", 5);
	assert_int_equal(resp_put_bulk_header(out, UINT64_MAX), 23);
}

static void written_commands(void **state)
{
	static const char expected[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
	struct slice argv[] = {SLICE("SET"), SLICE("k"), {NULL, 0}};
	struct slice out;
	struct buffer buffer;

	(void)state;
	buffer_init(&buffer, 1024);
	assert_true(resp_command_write(&buffer, 3, argv));
	assert_true(resp_command_write_strings(&buffer, "SET", "k", "", NULL));
	out = buffer_readable(&buffer);
	assert_int_equal(out.len, 2 * (sizeof(expected) - 1));
	assert_memory_equal(out.data, expected, sizeof(expected) - 1);
	assert_memory_equal(out.data + sizeof(expected) - 1, expected, sizeof(expected) - 1);
	buffer_free(&buffer);

	buffer_init(&buffer, 16);
	assert_false(resp_command_write(&buffer, 3, argv));
	assert_int_equal(buffer_readable(&buffer).len, 0);
	buffer_free(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands),
		cmocka_unit_test(inline_commands),
		cmocka_unit_test(bad_commands),
		cmocka_unit_test(long_inline_command),
		cmocka_unit_test(need_is_exact_for_bulks),
		cmocka_unit_test(resumed_without_second_scan),
		cmocka_unit_test(big_bulk_is_asked_for),
		cmocka_unit_test(scalars),
		cmocka_unit_test(arrays),
		cmocka_unit_test(nodes),
		cmocka_unit_test(bad_replies),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(numbers),
		cmocka_unit_test(written_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
