/* A slice: bytes that somebody else owns.
 *
 * Data-plane bytes are never NUL-terminated; a slice is a pointer and a length and nothing more.
 * Whoever hands a slice out says in its own header how long the bytes live.
 * Thread: a value type, no state. */
#ifndef KEYFERRY_BASE_SLICE_H
#define KEYFERRY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *data;
	size_t len;
};

/* A slice over a string literal. */
#define SLICE(literal) ((struct slice){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline struct slice slice_make(const void *data, size_t len)
{
	return (struct slice){(const uint8_t *)data, len};
}

static inline struct slice slice_of_string(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Compares ASCII letters without regard to case, all other bytes exactly. */
bool slice_equal_nocase(struct slice a, struct slice b);

static inline bool slice_starts_with(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && memcmp(a.data, prefix.data, prefix.len) == 0;
}

/* Parses an optional '-' and decimal digits filling the whole slice. False: not a number, or out of
 * range; *ret is untouched then. */
bool slice_to_int64(struct slice text, int64_t *ret);
bool slice_to_uint64(struct slice text, uint64_t *ret);

/* Writes the slice for a log line or an error text: printable ASCII as it is, quote, backslash and all
 * other bytes as \xNN, cut with "..." and the full length where it does not fit. Always NUL-terminated;
 * cap is at least 32. Returns out, so that it can stand in an argument list. */
const char *slice_quote(struct slice bytes, char *out, size_t cap);

#endif
