/* What a model server holds: strings, lists and hashes in a few databases.
 *
 * The types are those whose commands tell a doubled, a lost and a reordered write apart. Values travel as DUMP payloads and
 * RDB files of the oldest encodings (type 0, 1 and 4), which every server reads.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_KEYSPACE_H
#define KEYFERRY_TESTS_SIM_KEYSPACE_H

#include "base/buffer.h"
#include "base/slice.h"

#define KEYSPACE_DATABASES 4
#define KEYSPACE_BUCKETS 256

enum model_type { MODEL_STRING = 0, MODEL_LIST = 1, MODEL_HASH = 4 }; /* the numbers are those of wire/rdb.h */

struct text {
	uint8_t *data;
	size_t len;
};

struct value {
	enum model_type type;
	struct text *items; /* string: one; list: its elements; hash: fields and values in turn */
	size_t count, room;
};

struct key {
	struct key *next;
	struct text name;
	struct value value;
};

struct keyspace {
	struct key *buckets[KEYSPACE_DATABASES][KEYSPACE_BUCKETS];
	size_t keys[KEYSPACE_DATABASES];
};

void keyspace_free(struct keyspace *keyspace); /* empty afterwards */
void keyspace_copy(struct keyspace *to, const struct keyspace *from);

struct value *keyspace_find(struct keyspace *keyspace, unsigned db, struct slice name);
/* Found, or made empty. */
struct value *keyspace_make(struct keyspace *keyspace, unsigned db, struct slice name, enum model_type type);
bool keyspace_remove(struct keyspace *keyspace, unsigned db, struct slice name);
void keyspace_clear(struct keyspace *keyspace, unsigned db);
/* In no particular order that lasts, but the same each time. The callback may not change the keyspace. */
void keyspace_each(const struct keyspace *keyspace, void (*visit)(void *owner, unsigned db, const struct key *key), void *owner);

void value_set(struct value *value, struct slice text);
void value_append(struct value *value, struct slice text); /* to a string */
void value_push(struct value *value, struct slice text, bool left);
void value_remove_item(struct value *value, size_t at, size_t count);
/* A hash's; -1: it has no such field. */
long value_field(const struct value *value, struct slice field);
bool value_equal(const struct value *a, const struct value *b);
void value_clear(struct value *value);

static inline struct slice text_slice(const struct text *text)
{
	return slice_make(text->data, text->len);
}

/* ---- RDB ---- */

#define KEYSPACE_RDB_VERSION 9

void keyspace_dump(const struct value *value, struct buffer *out);            /* a DUMP payload */
bool keyspace_load(struct value *value, struct slice payload);                /* of such a payload */
void keyspace_write_rdb(const struct keyspace *keyspace, struct buffer *out); /* a whole file */

#endif
