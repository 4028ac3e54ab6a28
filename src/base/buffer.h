/* A growable byte buffer with a read cursor and a hard limit.
 *
 *     data        start            end             cap          max
 *     | consumed  | readable bytes | writable room | may grow to |
 *
 * Invariant: start <= end <= cap <= max. Bytes come in at `end`, go out at `start`; consumed room is reused.
 * Pointers into the buffer are valid until the next call that may grow or compact it (reserve, append).
 * Thread: owned by one. */
#ifndef KEYFERRY_BASE_BUFFER_H
#define KEYFERRY_BASE_BUFFER_H

#include "base/error.h"
#include "base/slice.h"

struct buffer {
	uint8_t *data;
	size_t start;
	size_t end;
	size_t cap;
	size_t max; /* cap never exceeds it */
};

/* An empty buffer; memory is taken on first use. */
void buffer_init(struct buffer *buffer, size_t max);
void buffer_free(struct buffer *buffer);

/* Makes at least `room` writable bytes at the end, compacting and growing. False: that would exceed max; the
 * buffer is unchanged. */
bool buffer_reserve(struct buffer *buffer, size_t room) WARN_UNUSED;

/* Appends, or returns false (unchanged) when max would be exceeded. */
bool buffer_append(struct buffer *buffer, const void *data, size_t len) WARN_UNUSED;
bool buffer_append_slice(struct buffer *buffer, struct slice bytes) WARN_UNUSED;
bool buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3) WARN_UNUSED;

static inline struct slice buffer_readable(const struct buffer *buffer)
{
	/* Before the first use there is no memory, and nothing may be added to a null pointer. */
	return slice_make(buffer->data ? buffer->data + buffer->start : NULL, buffer->end - buffer->start);
}

static inline uint8_t *buffer_room(struct buffer *buffer, size_t *len)
{
	*len = buffer->cap - buffer->end;
	return buffer->data + buffer->end;
}

/* `len` bytes were written at buffer_room() / were read from buffer_readable(). */
void buffer_produced(struct buffer *buffer, size_t len);
void buffer_consumed(struct buffer *buffer, size_t len);
void buffer_clear(struct buffer *buffer);

#endif
