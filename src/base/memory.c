#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
	if (!memory) {
		fprintf(stderr, "keyferry: out of memory: the system refused %zu bytes\n", size);
		abort();
	}
	return memory;
}

static void *checked_array(void *memory, size_t count, size_t size)
{
	size_t bytes;

	return checked(memory, __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes);
}

void *memory_alloc(size_t size)
{
	return checked(malloc(size ? size : 1), size);
}

void *memory_alloc_zero(size_t count, size_t size)
{
	return checked_array(calloc(count ? count : 1, size ? size : 1), count, size);
}

void *memory_realloc(void *old, size_t size)
{
	return checked(realloc(old, size ? size : 1), size);
}

void *memory_realloc_array(void *old, size_t count, size_t size)
{
	return checked_array(reallocarray(old, count ? count : 1, size ? size : 1), count, size);
}

char *memory_strndup(const char *text, size_t len)
{
	char *copy = memory_alloc(len + 1);

	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

char *memory_strdup(const char *text)
{
	return memory_strndup(text, strlen(text));
}

char *memory_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return checked(len < 0 ? NULL : text, 0);
}

void memory_wipe(void *data, size_t len)
{
	explicit_bzero(data, len);
}
