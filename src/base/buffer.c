#include "base/buffer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *buffer, size_t max)
{
	*buffer = (struct buffer){.max = max};
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){.max = buffer->max};
}

bool buffer_reserve(struct buffer *buffer, size_t room)
{
	size_t used = buffer->end - buffer->start;
	size_t cap = buffer->cap;

	if (cap - buffer->end >= room)
		return true;
	if (room > buffer->max - used)
		return false;
	if (cap - used >= room && buffer->start > 0) {
		memmove(buffer->data, buffer->data + buffer->start, used);
	} else {
		if (cap < 256)
			cap = 256;
		while (cap - used < room)
			cap = cap > buffer->max / 2 ? buffer->max : cap * 2;
		if (cap > buffer->max)
			cap = buffer->max;
		if (buffer->start > 0)
			memmove(buffer->data, buffer->data + buffer->start, used);
		buffer->data = memory_realloc(buffer->data, cap);
		buffer->cap = cap;
	}
	buffer->start = 0;
	buffer->end = used;
	return true;
}

bool buffer_append(struct buffer *buffer, const void *data, size_t len)
{
	if (len == 0)
		return true;
	if (!buffer_reserve(buffer, len))
		return false;
	memcpy(buffer->data + buffer->end, data, len);
	buffer->end += len;
	return true;
}

bool buffer_append_slice(struct buffer *buffer, struct slice bytes)
{
	return buffer_append(buffer, bytes.data, bytes.len);
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || !buffer_reserve(buffer, (size_t)len + 1))
		return false;
	va_start(args, format);
	vsnprintf((char *)buffer->data + buffer->end, (size_t)len + 1, format, args);
	va_end(args);
	buffer->end += (size_t)len;
	return true;
}

void buffer_produced(struct buffer *buffer, size_t len)
{
	assert(len <= buffer->cap - buffer->end);
	buffer->end += len;
}

void buffer_consumed(struct buffer *buffer, size_t len)
{
	assert(len <= buffer->end - buffer->start);
	buffer->start += len;
	if (buffer->start == buffer->end)
		buffer->start = buffer->end = 0;
}

void buffer_clear(struct buffer *buffer)
{
	buffer->start = buffer->end = 0;
}
