/* The sink's reply reader, in any splitting: the same as in one piece, and it agrees with the reader that keeps the whole reply.
 * The first byte says how the rest is split. */
#include "sink/reply.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* Feeds as a connection does. Answers the bytes of the first reply, 0 when it is not whole, -1 when it is none. */
static ssize_t read_reply(struct slice in, size_t piece, struct reply *ret)
{
	struct reply_reader reader = {0};
	size_t have = 0, taken = 0;

	while (have < in.len) {
		bool complete;
		ssize_t got;

		have = in.len - have < piece ? in.len : have + piece;
		got = reply_reader_feed(&reader, slice_make(in.data + taken, have - taken), &complete);
		if (got < 0)
			return -1;
		check((size_t)got <= have - taken);
		taken += (size_t)got;
		if (complete) {
			*ret = reader.reply;
			return (ssize_t)taken;
		}
	}
	return 0;
}

static void check_same(const struct reply *a, const struct reply *b)
{
	check(a->type == b->type && a->count == b->count && a->has_error == b->has_error && a->text_len == b->text_len);
	check(memcmp(a->text, b->text, a->text_len) == 0);
	check(!a->has_error || a->error_index == b->error_index);
}

/* The reader knows no attributes and looks into no bulk (RESP3's bulk errors): no server sends either to a connection of RESP2. */
static void check_agrees(struct slice in, const struct reply *reply, ssize_t taken, const struct resp_skim *skim)
{
	bool error = skim->type == RESP_ERROR || skim->has_error;
	struct slice text = skim->type == RESP_ERROR ? skim->text : skim->first_error;

	if (memchr(in.data, '|', (size_t)skim->taken) || memchr(in.data, '!', (size_t)skim->taken))
		return;
	check(taken == (ssize_t)skim->taken);
	check(reply->has_error == error && (skim->type == RESP_ARRAY) == (reply->type == RESP_ARRAY));
	check((skim->type == RESP_NULL) == (reply->type == RESP_NULL));
	check(skim->type != RESP_ARRAY || skim->count == reply->count);
	if (error) {
		check(reply->error_index == skim->error_index);
		check(reply->text_len == (text.len < REPLY_TEXT_MAX - 1 ? text.len : REPLY_TEXT_MAX - 1));
		check(memcmp(reply->text, text.data, reply->text_len) == 0);
	}
	check(reply->text[reply->text_len] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply whole, split;
	struct resp_skim skim;
	struct parse_fault fault;
	struct slice in;
	ssize_t taken;

	if (size < 1)
		return 0;
	in = slice_make(data + 1, size - 1);
	taken = read_reply(in, in.len, &whole);
	check(read_reply(in, (size_t)data[0] % 17 + 1, &split) == taken);
	if (taken > 0)
		check_same(&whole, &split);
	if (resp_reply_skim(in, &skim, &fault) == PARSE_OK && !memchr(in.data, '|', in.len) && !memchr(in.data, '!', in.len)) {
		check(taken > 0);
		check_agrees(in, &whole, taken, &skim);
	}
	return 0;
}
