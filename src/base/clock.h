/* The clock, reached through a table so that a test can own time.
 * Thread: the table is set once before threads start; reading it is safe from any. */
#ifndef KEYFERRY_BASE_CLOCK_H
#define KEYFERRY_BASE_CLOCK_H

#include <stdint.h>

struct clock_source {
	uint64_t (*monotonic_us)(void); /* never goes back; for intervals */
	int64_t (*wall_ms)(void);       /* Unix time; for expiries, heartbeats and texts */
};

/* Replaces the system's clock; NULL puts it back. Only before any loop runs. */
void clock_use(const struct clock_source *source);

uint64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void);

/* "2026-03-01T12:34:56.789Z"; out has room for 32 bytes. Returns out. */
const char *clock_format_rfc3339(int64_t wall_ms, char out[32]);
/* Reads that form; -1: another one. */
int64_t clock_parse_rfc3339(const char *text);

#endif
