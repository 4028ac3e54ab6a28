#include "keyspace.h"

#include "base/memory.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <assert.h>
#include <stdlib.h>

static unsigned bucket_of(struct slice name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.data[i]) * 16777619u;
	return hash % KEYSPACE_BUCKETS;
}

static struct text text_make(struct slice slice)
{
	struct text text = {memory_alloc(slice.len + 1), slice.len};

	if (slice.len > 0)
		memcpy(text.data, slice.data, slice.len);
	return text;
}

/* ---- values ---- */

void value_clear(struct value *value)
{
	for (size_t i = 0; i < value->count; i++)
		free(value->items[i].data);
	free(value->items);
	*value = (struct value){.type = value->type};
}

static void value_insert(struct value *value, size_t at, struct slice text)
{
	if (value->count == value->room) {
		value->room = value->room ? value->room * 2 : 4;
		value->items = memory_realloc_array(value->items, value->room, sizeof(*value->items));
	}
	memmove(value->items + at + 1, value->items + at, (value->count - at) * sizeof(*value->items));
	value->items[at] = text_make(text);
	value->count++;
}

void value_push(struct value *value, struct slice text, bool left)
{
	value_insert(value, left ? 0 : value->count, text);
}

void value_set(struct value *value, struct slice text)
{
	value_clear(value);
	value->type = MODEL_STRING;
	value_insert(value, 0, text);
}

void value_append(struct value *value, struct slice text)
{
	struct text *string;

	if (value->count == 0) {
		value_insert(value, 0, text);
		return;
	}
	string = &value->items[0];
	string->data = memory_realloc(string->data, string->len + text.len + 1);
	memcpy(string->data + string->len, text.data, text.len);
	string->len += text.len;
}

void value_remove_item(struct value *value, size_t at, size_t count)
{
	for (size_t i = at; i < at + count; i++)
		free(value->items[i].data);
	memmove(value->items + at, value->items + at + count, (value->count - at - count) * sizeof(*value->items));
	value->count -= count;
}

long value_field(const struct value *value, struct slice field)
{
	for (size_t i = 0; i < value->count; i += 2)
		if (slice_equal(text_slice(&value->items[i]), field))
			return (long)i;
	return -1;
}

bool value_equal(const struct value *a, const struct value *b)
{
	if (a->type != b->type || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i += a->type == MODEL_HASH ? 2 : 1) {
		long at = a->type == MODEL_HASH ? value_field(b, text_slice(&a->items[i])) : (long)i;

		if (at < 0 || !slice_equal(text_slice(&a->items[i]), text_slice(&b->items[at])))
			return false;
		if (a->type == MODEL_HASH && !slice_equal(text_slice(&a->items[i + 1]), text_slice(&b->items[at + 1])))
			return false;
	}
	return true;
}

/* ---- keys ---- */

static struct key **place_of(struct keyspace *keyspace, unsigned db, struct slice name)
{
	struct key **at = &keyspace->buckets[db][bucket_of(name)];

	while (*at && !slice_equal(text_slice(&(*at)->name), name))
		at = &(*at)->next;
	return at;
}

struct value *keyspace_find(struct keyspace *keyspace, unsigned db, struct slice name)
{
	struct key *key = *place_of(keyspace, db, name);

	return key ? &key->value : NULL;
}

struct value *keyspace_make(struct keyspace *keyspace, unsigned db, struct slice name, enum model_type type)
{
	struct key **at = place_of(keyspace, db, name);

	if (!*at) {
		*at = memory_alloc_zero(1, sizeof(**at));
		(*at)->name = text_make(name);
		(*at)->value.type = type;
		keyspace->keys[db]++;
	}
	return &(*at)->value;
}

bool keyspace_remove(struct keyspace *keyspace, unsigned db, struct slice name)
{
	struct key **at = place_of(keyspace, db, name);
	struct key *key = *at;

	if (!key)
		return false;
	*at = key->next;
	value_clear(&key->value);
	free(key->name.data);
	free(key);
	keyspace->keys[db]--;
	return true;
}

void keyspace_clear(struct keyspace *keyspace, unsigned db)
{
	for (unsigned i = 0; i < KEYSPACE_BUCKETS; i++)
		while (keyspace->buckets[db][i])
			keyspace_remove(keyspace, db, text_slice(&keyspace->buckets[db][i]->name));
}

void keyspace_free(struct keyspace *keyspace)
{
	for (unsigned db = 0; db < KEYSPACE_DATABASES; db++)
		keyspace_clear(keyspace, db);
}

void keyspace_each(const struct keyspace *keyspace, void (*visit)(void *owner, unsigned db, const struct key *key), void *owner)
{
	for (unsigned db = 0; db < KEYSPACE_DATABASES; db++)
		for (unsigned i = 0; i < KEYSPACE_BUCKETS; i++)
			for (const struct key *key = keyspace->buckets[db][i]; key; key = key->next)
				visit(owner, db, key);
}

static void copy_key(void *owner, unsigned db, const struct key *key)
{
	struct value *value = keyspace_make(owner, db, text_slice(&key->name), key->value.type);

	for (size_t i = 0; i < key->value.count; i++)
		value_push(value, text_slice(&key->value.items[i]), false);
}

void keyspace_copy(struct keyspace *to, const struct keyspace *from)
{
	keyspace_free(to);
	keyspace_each(from, copy_key, to);
}

/* ---- RDB ---- */

static void put(struct buffer *out, const void *data, size_t len)
{
	bool fits = buffer_append(out, data, len);

	assert(fits);
	(void)fits;
}

static void put_byte(struct buffer *out, unsigned byte)
{
	put(out, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_length(struct buffer *out, uint64_t len)
{
	uint8_t bytes[5] = {0x80, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	if (len < 64)
		put_byte(out, (unsigned)len);
	else if (len < 16384)
		put(out, (uint8_t[]){(uint8_t)(0x40 | len >> 8), (uint8_t)len}, 2);
	else
		put(out, bytes, 5);
}

static void put_string(struct buffer *out, struct slice text)
{
	put_length(out, text.len);
	put(out, text.data, text.len);
}

static void put_value(struct buffer *out, const struct value *value)
{
	if (value->type != MODEL_STRING)
		put_length(out, value->type == MODEL_HASH ? value->count / 2 : value->count);
	for (size_t i = 0; i < value->count; i++)
		put_string(out, text_slice(&value->items[i]));
}

static void put_checksum(struct buffer *out, size_t from)
{
	uint64_t crc = crc64(0, out->data + from, out->end - from);

	for (int i = 0; i < 8; i++)
		put_byte(out, (unsigned)(crc >> (8 * i)) & 0xff);
}

void keyspace_dump(const struct value *value, struct buffer *out)
{
	size_t from = out->end;

	put_byte(out, value->type);
	put_value(out, value);
	put_byte(out, KEYSPACE_RDB_VERSION);
	put_byte(out, 0);
	put_checksum(out, from);
}

struct rdb_writing {
	struct buffer *out;
	int db;
};

static void write_key(void *owner, unsigned db, const struct key *key)
{
	struct rdb_writing *writing = owner;

	if (writing->db != (int)db) {
		put_byte(writing->out, RDB_OPCODE_SELECTDB);
		put_length(writing->out, db);
		writing->db = (int)db;
	}
	put_byte(writing->out, key->value.type);
	put_string(writing->out, text_slice(&key->name));
	put_value(writing->out, &key->value);
}

void keyspace_write_rdb(const struct keyspace *keyspace, struct buffer *out)
{
	struct rdb_writing writing = {out, -1};
	size_t from = out->end;

	put(out, "REDIS0009", RDB_MAGIC_LEN);
	put_byte(out, RDB_OPCODE_AUX);
	put_string(out, SLICE("redis-ver"));
	put_string(out, SLICE("6.2.14"));
	keyspace_each(keyspace, write_key, &writing);
	put_byte(out, RDB_OPCODE_EOF);
	put_checksum(out, from);
}

static bool get_string(struct slice *in, struct slice *ret)
{
	struct rdb_string string;
	uint64_t need;
	struct parse_fault fault;

	if (rdb_string_read(*in, 0, &string, &need, &fault) != PARSE_OK || string.form != RDB_STRING_RAW ||
	    string.header + string.stored > in->len)
		return false;
	*ret = slice_make(in->data + string.header, (size_t)string.stored);
	*in = slice_make(in->data + string.header + string.stored, in->len - string.header - (size_t)string.stored);
	return true;
}

bool keyspace_load(struct value *value, struct slice payload)
{
	uint64_t strings = 1;
	struct slice in, text;
	unsigned size;

	if (payload.len < 12 || crc64(0, payload.data, payload.len - 8) != rdb_little_endian(payload.data + payload.len - 8, 8) ||
	    (payload.data[0] != MODEL_STRING && payload.data[0] != MODEL_LIST && payload.data[0] != MODEL_HASH))
		return false;
	value_clear(value);
	value->type = payload.data[0];
	in = slice_make(payload.data + 1, payload.len - 11);
	if (value->type != MODEL_STRING) {
		size = rdb_length_size(in.data[0]);
		if (size == 0 || size > in.len)
			return false;
		strings = rdb_length_decode(in.data, size) * (value->type == MODEL_HASH ? 2 : 1);
		in = slice_make(in.data + size, in.len - size);
	}
	for (; strings > 0; strings--) {
		if (!get_string(&in, &text))
			return false;
		value_push(value, text, false);
	}
	return in.len == 0;
}
