/* The reply reader: what it makes of each kind of reply, in one piece and in every splitting. */
#include "sink/reply.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Feeds as a connection does, `piece` bytes more each time. Answers the number of bytes of the reply, or -1. */
static ssize_t read_reply(const char *text, size_t len, size_t piece, struct reply *ret)
{
	struct reply_reader reader = {0};
	size_t have = 0, taken = 0;

	while (have < len) {
		bool complete;
		ssize_t got;

		have = len - have < piece ? len : have + piece;
		got = reply_reader_feed(&reader, slice_make(text + taken, have - taken), &complete);
		if (got < 0)
			return -1;
		taken += (size_t)got;
		if (complete) {
			*ret = reader.reply;
			return (ssize_t)taken;
		}
	}
	return 0;
}

static struct reply expect(const char *text)
{
	struct reply whole, reply;

	assert_int_equal(read_reply(text, strlen(text), strlen(text), &whole), (ssize_t)strlen(text));
	for (size_t piece = 1; piece <= 9; piece++) {
		assert_int_equal(read_reply(text, strlen(text), piece, &reply), (ssize_t)strlen(text));
		assert_int_equal(reply.type, whole.type);
		assert_int_equal(reply.count, whole.count);
		assert_int_equal(reply.has_error, whole.has_error);
		assert_string_equal(reply.text, whole.text);
		assert_true(!whole.has_error || reply.error_index == whole.error_index);
	}
	return whole;
}

static void test_kinds(void **state)
{
	struct reply reply;

	(void)state;
	reply = expect("+OK\r\n");
	assert_int_equal(reply.type, RESP_SIMPLE);
	assert_string_equal(reply.text, "OK");
	assert_false(reply.has_error);
	reply = expect("-MOVED 1 h:2\r\n");
	assert_int_equal(reply.type, RESP_ERROR);
	assert_true(reply.has_error);
	assert_string_equal(reply.text, "MOVED 1 h:2");
	reply = expect(":-42\r\n");
	assert_int_equal(reply.type, RESP_INTEGER);
	assert_string_equal(reply.text, "-42");
	assert_int_equal(expect("$5\r\nhello\r\n").type, RESP_BULK);
	assert_int_equal(expect("$0\r\n\r\n").type, RESP_BULK);
	assert_int_equal(expect("$9\r\n-ERR\r\n\r\n.\r\n").has_error, false); /* a bulk's bytes are nobody's business */
	assert_int_equal(expect("$-1\r\n").type, RESP_NULL);
	assert_int_equal(expect("*-1\r\n").type, RESP_NULL);
	assert_int_equal(expect("_\r\n").type, RESP_NULL);
	assert_int_equal(expect("*0\r\n").type, RESP_ARRAY);
	assert_int_equal(expect("%1\r\n+k\r\n:1\r\n").count, 2);
	assert_int_equal(expect("~2\r\n#t\r\n,1.5\r\n").type, RESP_ARRAY);
}

static void test_errors_in_arrays(void **state)
{
	struct reply reply = expect("*4\r\n+OK\r\n*2\r\n:1\r\n*0\r\n-WRONGTYPE x\r\n-ERR later\r\n");

	(void)state;
	assert_int_equal(reply.type, RESP_ARRAY);
	assert_int_equal(reply.count, 4);
	assert_true(reply.has_error);
	assert_int_equal(reply.error_index, 2);
	assert_string_equal(reply.text, "WRONGTYPE x");
	reply = expect("*2\r\n+OK\r\n*2\r\n*1\r\n-ERR deep\r\n+x\r\n");
	assert_int_equal(reply.error_index, 1);
	assert_string_equal(reply.text, "ERR deep");
}

/* As deep as the other reader of replies takes it (a script may answer so). */
static void test_depth(void **state)
{
	char text[RESP_DEPTH_MAX * 4 + 16] = "";
	struct reply reply;

	(void)state;
	for (int i = 0; i < RESP_DEPTH_MAX; i++)
		strcat(text, "*1\r\n");
	strcat(text, ":1\r\n");
	expect(text);
	memmove(text + 4, text, strlen(text) + 1);
	memcpy(text, "*1\r\n", 4);
	assert_int_equal(read_reply(text, strlen(text), 1000, &reply), -1);
}

static void test_one_after_the_other(void **state)
{
	static const char text[] = "+OK\r\n$3\r\nabc\r\n:7\r\n";
	struct reply_reader reader = {0};
	struct slice in = slice_make(text, sizeof(text) - 1);
	bool complete;
	int count = 0;

	(void)state;
	while (in.len > 0) {
		ssize_t taken = reply_reader_feed(&reader, in, &complete);

		assert_true(taken > 0);
		count += complete;
		in = slice_make(in.data + taken, in.len - (size_t)taken);
	}
	assert_int_equal(count, 3);
	assert_string_equal(reader.reply.text, "7");
}

/* A large bulk and a long array pass without being kept. */
static void test_large(void **state)
{
	struct reply_reader reader = {0};
	uint8_t *block = memory_alloc_zero(1 << 20, 1);
	uint64_t left = (300ULL << 20) + 2;
	bool complete;

	(void)state;
	assert_int_equal(reply_reader_feed(&reader, SLICE("$314572800\r\n"), &complete), 12);
	while (left > 0) {
		size_t part = left < 1 << 20 ? (size_t)left : 1 << 20;

		assert_false(complete);
		assert_int_equal(reply_reader_feed(&reader, slice_make(block, part), &complete), (ssize_t)part);
		left -= part;
	}
	assert_true(complete);
	assert_int_equal(reply_reader_feed(&reader, SLICE("*1000000\r\n"), &complete), 10);
	for (int i = 0; i < 1000000; i++) {
		assert_false(complete);
		assert_int_equal(reply_reader_feed(&reader, SLICE(":1\r\n"), &complete), 4);
	}
	assert_true(complete);
	free(block);
}

static void test_long_text_is_cut(void **state)
{
	char text[3000];
	struct reply reply;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[0] = '-';
	memcpy(text + sizeof(text) - 3, "\r\n", 3);
	reply = expect(text);
	assert_int_equal(reply.text_len, REPLY_TEXT_MAX - 1);
	assert_int_equal(strlen(reply.text), REPLY_TEXT_MAX - 1);
}

static void test_not_resp(void **state)
{
	static const char *const texts[] = {
		"hello\r\n",       "\r\n",    "$x\r\n",    "$-2\r\n",          "$\r\n",
		"*4294967296\r\n", "*-2\r\n", "+a\nb\r\n", "HTTP/1.1 400\r\n", "$99999999999999999999\r\n"};
	struct reply reply;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t piece = 1; piece <= strlen(texts[i]); piece++)
			assert_int_equal(read_reply(texts[i], strlen(texts[i]), piece, &reply), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),    cmocka_unit_test(test_errors_in_arrays),
		cmocka_unit_test(test_depth),    cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_large),    cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_not_resp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
