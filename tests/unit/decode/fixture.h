/* The recorded files of real servers, for tests: KEYFERRY_FIXTURES names the folder (its README tells what lies in it).
 * What is missing or cannot be read fails the test that asks for it. */
#ifndef KEYFERRY_TESTS_DECODE_FIXTURE_H
#define KEYFERRY_TESTS_DECODE_FIXTURE_H

#include "base/slice.h"

#include <jansson.h>

#define FIXTURE_SERVERS 15

/* One RDB file and what the server that wrote it said of it. */
struct fixture {
	char name[128]; /* "redis-7.4.1/dump-lru.rdb" */
	uint8_t *data;  /* the RDB alone, without the marks of a diskless transfer */
	size_t len;
	char expected[512];  /* path of its expected*.jsonl */
	char functions[512]; /* path of its functions*.json; empty where there is none */
	char scripts[512];   /* likewise */
	bool checksum;       /* written with a checksum */
};

/* Calls visit for every RDB file of every server; `small`: only for files of at most that many bytes (0: all). Returns their
 * number. */
unsigned fixture_each(size_t small, void (*visit)(const struct fixture *fixture));

/* One string of the expected data: printable text, {"b64":...}. The bytes are to be freed. False: {"sha256":..., "len":...}. */
bool fixture_string(const json_t *value, uint8_t **data, size_t *len);
/* Whether the bytes are what the expected data say, in whichever form. */
bool fixture_string_equal(const json_t *value, struct slice bytes);

#endif
