#include "client/event_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What was taken, as "name=data;". */
struct taken {
	char text[512];
	unsigned most; /* events wanted; 0: all */
	unsigned count;
};

static bool take(void *owner, const char *name, struct slice data)
{
	struct taken *taken = owner;
	size_t used = strlen(taken->text);

	snprintf(taken->text + used, sizeof(taken->text) - used, "%s=%.*s;", name, (int)data.len, (const char *)data.data);
	return taken->most == 0 || ++taken->count < taken->most;
}

/* In pieces of that many bytes. */
static void expect(const char *bytes, size_t step, const char *events, const char *id)
{
	struct event_stream stream;
	struct taken taken = {.most = 0};
	struct error error;

	event_stream_init(&stream);
	for (size_t at = 0; at < strlen(bytes); at += step) {
		size_t len = strlen(bytes) - at < step ? strlen(bytes) - at : step;

		assert_true(event_stream_feed(&stream, slice_make(bytes + at, len), take, &taken, &error));
	}
	assert_string_equal(taken.text, events);
	assert_string_equal(stream.id, id);
	event_stream_free(&stream);
}

static void events_whatever_the_pieces(void **state)
{
	static const struct {
		const char *bytes, *events, *id;
	} cases[] = {
		{"event: task\ndata: {\"id\":7}\n\n", "task={\"id\":7};", ""},
		{"id: 3-4\nevent: state\ndata: a\n\n:\n\nevent: status\ndata: b\n\n", "state=a;status=b;", "3-4"},
		{"data: a\r\ndata:b\r\n\r\ndata: c\r\rdata: d\n\n", "message=a\nb;message=c;message=d;", ""},
		{"\xef\xbb\xbf"
		 "data: first\n\n",
		 "message=first;", ""},
		{"id: 9-9\n\n", "", "9-9"},        /* an id alone is kept */
		{"data: half\nid: 5-5\n", "", ""}, /* no empty line: nothing has happened yet */
		{"event: none\n\ndata\n\nevent\ndata:  x\n\n", "message=;message= x;", ""},
		{"unknown: 1\nretry: 250\ndata: y\n\n", "message=y;", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step <= strlen(cases[i].bytes); step++)
			expect(cases[i].bytes, step, cases[i].events, cases[i].id);
}

static void a_new_connection_begins_anew_and_keeps_the_id(void **state)
{
	struct event_stream stream;
	struct taken taken = {.most = 0};
	struct error error;

	(void)state;
	event_stream_init(&stream);
	assert_true(event_stream_feed(&stream, SLICE("id: 1-1\ndata: a\n\nid: 2-2\ndata: lo"), take, &taken, &error));
	event_stream_restart(&stream);
	assert_string_equal(stream.id, "1-1");
	assert_true(event_stream_feed(&stream, SLICE("data: b\n\n"), take, &taken, &error));
	assert_string_equal(taken.text, "message=a;message=b;");
	assert_string_equal(stream.id, "1-1");
	event_stream_free(&stream);
}

static void nobody_wants_more(void **state)
{
	struct event_stream stream;
	struct taken taken = {.most = 1};
	struct error error;

	(void)state;
	event_stream_init(&stream);
	assert_false(event_stream_feed(&stream, SLICE("data: a\n\ndata: b\n\n"), take, &taken, &error));
	assert_int_equal(error.kind, ERROR_NONE);
	assert_string_equal(taken.text, "message=a;");
	event_stream_free(&stream);
}

static void what_is_endless_is_refused(void **state)
{
	static char piece[65536];
	struct event_stream stream;
	struct taken taken = {.most = 0};
	struct error error;
	bool ok = true;
	unsigned pieces = 0;

	(void)state;
	memset(piece, 'x', sizeof(piece));
	event_stream_init(&stream);
	while (ok && pieces++ < 1000)
		ok = event_stream_feed(&stream, slice_make(piece, sizeof(piece)), take, &taken, &error);
	assert_false(ok);
	assert_int_equal(error.kind, ERROR_INTERNAL);
	assert_true(pieces * sizeof(piece) <= EVENT_STREAM_MAX + sizeof(piece));
	event_stream_free(&stream);
	/* And so are lines without end. */
	event_stream_init(&stream);
	memcpy(piece, "data:", 5);
	piece[sizeof(piece) - 1] = '\n';
	for (ok = true, pieces = 0; ok && pieces < 1000; pieces++)
		ok = event_stream_feed(&stream, slice_make(piece, sizeof(piece)), take, &taken, &error);
	assert_false(ok);
	event_stream_free(&stream);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_whatever_the_pieces),
		cmocka_unit_test(a_new_connection_begins_anew_and_keeps_the_id),
		cmocka_unit_test(nobody_wants_more),
		cmocka_unit_test(what_is_endless_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
