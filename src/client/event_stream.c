#include "client/event_stream.h"

#include <stdio.h>

void event_stream_init(struct event_stream *stream)
{
	*stream = (struct event_stream){.begun = false};
	buffer_init(&stream->line, EVENT_STREAM_MAX);
	buffer_init(&stream->data, EVENT_STREAM_MAX);
}

void event_stream_free(struct event_stream *stream)
{
	buffer_free(&stream->line);
	buffer_free(&stream->data);
}

static void forget_event(struct event_stream *stream)
{
	buffer_clear(&stream->data);
	stream->name[0] = '\0';
	stream->has_data = false;
}

void event_stream_restart(struct event_stream *stream)
{
	buffer_clear(&stream->line);
	forget_event(stream);
	memcpy(stream->next_id, stream->id, sizeof(stream->id));
	stream->after_cr = stream->begun = false;
}

static bool too_large(struct error *error)
{
	error_set(error, ERROR_INTERNAL, "an event of the daemon is larger than %u MiB", EVENT_STREAM_MAX >> 20);
	return false;
}

/* The line is whole. */
static bool take_field(struct event_stream *stream, struct slice line, struct error *error)
{
	const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
	struct slice name = slice_make(line.data, colon ? (size_t)(colon - line.data) : line.len);
	struct slice value = colon ? slice_make(colon + 1, line.len - name.len - 1) : slice_make(line.data, 0);
	uint64_t number;

	if (value.len > 0 && value.data[0] == ' ')
		value = slice_make(value.data + 1, value.len - 1);
	if (slice_equal(name, SLICE("data"))) {
		if ((stream->has_data && !buffer_append(&stream->data, "\n", 1)) || !buffer_append_slice(&stream->data, value))
			return too_large(error);
		stream->has_data = true;
	} else if (slice_equal(name, SLICE("event"))) {
		snprintf(stream->name, sizeof(stream->name), "%.*s",
			 (int)(value.len < sizeof(stream->name) ? value.len : sizeof(stream->name)), (const char *)value.data);
	} else if (slice_equal(name, SLICE("id")) && value.len < sizeof(stream->next_id) &&
		   !(value.len && memchr(value.data, '\0', value.len))) {
		memcpy(stream->next_id, value.data, value.len);
		stream->next_id[value.len] = '\0';
	} else if (slice_equal(name, SLICE("retry")) && slice_to_uint64(value, &number) && number <= 3600000) {
		stream->retry_ms = (uint32_t)number;
	}
	return true;
}

static bool take_line(struct event_stream *stream, event_stream_take *take, void *owner, struct error *error)
{
	struct slice line = buffer_readable(&stream->line);
	bool wanted = true;

	/* A byte order mark may begin the stream. */
	if (!stream->begun && slice_starts_with(line, SLICE("\xef\xbb\xbf")))
		line = slice_make(line.data + 3, line.len - 3);
	stream->begun = true;
	if (line.len == 0) {
		memcpy(stream->id, stream->next_id, sizeof(stream->id));
		if (stream->has_data)
			wanted = take(owner, stream->name[0] ? stream->name : "message", buffer_readable(&stream->data));
		forget_event(stream);
	} else if (!take_field(stream, line, error)) {
		return false;
	}
	buffer_clear(&stream->line);
	return wanted;
}

bool event_stream_feed(struct event_stream *stream, struct slice bytes, event_stream_take *take, void *owner, struct error *error)
{
	error_clear(error);
	while (bytes.len > 0) {
		size_t len = 0;

		if (stream->after_cr && bytes.data[0] == '\n')
			bytes = slice_make(bytes.data + 1, bytes.len - 1);
		stream->after_cr = false;
		while (len < bytes.len && bytes.data[len] != '\n' && bytes.data[len] != '\r')
			len++;
		if (!buffer_append(&stream->line, bytes.data, len))
			return too_large(error);
		if (len == bytes.len)
			break;
		stream->after_cr = bytes.data[len] == '\r';
		bytes = slice_make(bytes.data + len + 1, bytes.len - len - 1);
		if (!take_line(stream, take, owner, error))
			return false;
	}
	return true;
}
