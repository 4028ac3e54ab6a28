#include "sink/reply.h"

#include <string.h>

static void keep_text(struct reply *reply, const uint8_t *text, size_t len)
{
	size_t keep = len < REPLY_TEXT_MAX - 1 ? len : REPLY_TEXT_MAX - 1;

	memcpy(reply->text, text, keep);
	reply->text[keep] = '\0';
	reply->text_len = keep;
}

static void tell_member_error(const struct reply_reader *reader, struct slice text)
{
	char copy[REPLY_TEXT_MAX];
	size_t len = text.len < sizeof(copy) - 1 ? text.len : sizeof(copy) - 1;

	memcpy(copy, text.data, len);
	copy[len] = '\0';
	reader->member_error(reader->owner, reader->top_done, copy);
}

/* One value is complete; closes the arrays that it completes. True: the whole reply is. */
static bool value_done(struct reply_reader *reader)
{
	while (reader->depth > 0) {
		if (reader->depth == 1)
			reader->top_done++;
		if (--reader->left[reader->depth - 1] > 0)
			return false;
		reader->depth--;
	}
	return true;
}

/* A line without its CRLF. Answers 1: reply complete, 0: go on, -1: not RESP. */
static int take_line(struct reply_reader *reader, const uint8_t *line, size_t len)
{
	struct reply *reply = &reader->reply;
	bool outermost = reader->depth == 0;
	struct slice rest = slice_make(line + 1, len - 1);
	uint64_t members;
	int64_t number;

	if (outermost) {
		reply->type = (enum resp_type)line[0];
		reply->count = 0;
		reply->has_error = false;
		reply->text_len = 0;
		reply->text[0] = '\0';
		reader->top_done = 0;
	}
	switch (line[0]) {
	case '+':
	case ':':
	case ',':
	case '#':
	case '(':
	case '_':
		if (outermost)
			keep_text(reply, rest.data, rest.len);
		return value_done(reader);
	case '-':
		if (!outermost && reader->member_error)
			tell_member_error(reader, rest);
		if (!reply->has_error) {
			reply->has_error = true;
			reply->error_index = reader->top_done;
			keep_text(reply, rest.data, rest.len);
		}
		return value_done(reader);
	case '$':
	case '=':
	case '!':
		if (!slice_to_int64(rest, &number) || number < -1)
			return -1;
		if (number < 0) {
			if (outermost)
				reply->type = RESP_NULL;
			return value_done(reader);
		}
		reader->skip = (uint64_t)number + 2;
		return 0;
	case '*':
	case '~':
	case '>':
	case '%':
		if (!slice_to_int64(rest, &number) || number < -1 || number > UINT32_MAX)
			return -1;
		members = number < 0 ? 0 : (uint64_t)number * (line[0] == '%' ? 2 : 1);
		if (outermost) {
			reply->type = number < 0 ? RESP_NULL : RESP_ARRAY;
			reply->count = (uint32_t)members;
		}
		if (members == 0)
			return value_done(reader);
		if (reader->depth == sizeof(reader->left) / sizeof(reader->left[0]))
			return -1;
		reader->left[reader->depth++] = members;
		return 0;
	default: return -1;
	}
}

ssize_t reply_reader_feed(struct reply_reader *reader, struct slice in, bool *complete)
{
	size_t at = 0;

	*complete = false;
	while (at < in.len) {
		const uint8_t *end;
		int outcome;

		if (reader->skip > 0) {
			size_t part = reader->skip < in.len - at ? (size_t)reader->skip : in.len - at;

			at += part;
			reader->skip -= part;
			if (reader->skip > 0)
				break;
			if (value_done(reader)) {
				*complete = true;
				break;
			}
			continue;
		}
		end = memchr(in.data + at, '\n', in.len - at);
		if (!end)
			break;
		if (end < in.data + at + 2 || end[-1] != '\r')
			return -1;
		outcome = take_line(reader, in.data + at, (size_t)(end - 1 - (in.data + at)));
		if (outcome < 0)
			return -1;
		at = (size_t)(end + 1 - in.data);
		if (outcome > 0) {
			*complete = true;
			break;
		}
	}
	return (ssize_t)at;
}
