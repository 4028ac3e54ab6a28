#include "json/module.h"

#include "base/memory.h"
#include "json/bytes.h"
#include "json/number.h"

#include <inttypes.h>
#include <stdlib.h>

/* The next item, which must be of this kind. */
static bool take(struct json_value *json, enum value_item_kind kind, struct value_item *item)
{
	switch (json_value_next(json, item)) {
	case VALUE_BAD: return false;
	case VALUE_END: return json_value_damaged(json, json->key->value.len, "it ends before what its module writes does");
	case VALUE_ITEM: break;
	}
	if (item->kind != kind)
		return json_value_damaged(json, item->offset, "this is not what its module writes here");
	return true;
}

static bool take_number(struct json_value *json, uint64_t *number)
{
	struct value_item item;

	if (!take(json, VALUE_ITEM_UNSIGNED, &item))
		return false;
	*number = item.number;
	return true;
}

static bool take_end(struct json_value *json)
{
	struct value_item item;

	switch (json_value_next(json, &item)) {
	case VALUE_BAD: return false;
	case VALUE_ITEM: return json_value_damaged(json, item.offset, "this is more than its module writes");
	default: return true;
	}
}

/* ---- vectorset ---- */

/* As hnsw.h numbers them. */
enum { QUANTISE_NONE = 0, QUANTISE_8BIT = 1, QUANTISE_BINARY = 2 };
enum { VECTORS_PROJECTED = 1, VECTORS_WITH_ATTRIBUTES = 2 };

#define VECTOR_DIM_MAX (1ULL << 32)
/* The vector's length and range, two floats in one number; they come behind the vector. */
#define SCALE_LEN 8

struct vectors {
	uint64_t dim;
	uint64_t card;
	unsigned quantisation;
	uint64_t flags;
	uint64_t vector_len; /* bytes */
};

static bool take_vectors_head(struct json_value *json, struct vectors *vectors)
{
	struct value_item item;
	uint64_t config, input_dim;

	if (!take(json, VALUE_ITEM_MODULE, &item) || !take_number(json, &vectors->dim) || !take_number(json, &vectors->card) ||
	    !take_number(json, &config) || !take_number(json, &vectors->flags))
		return false;
	vectors->quantisation = config & 0xff;
	if (vectors->dim > VECTOR_DIM_MAX || vectors->quantisation > QUANTISE_BINARY ||
	    vectors->flags > (VECTORS_PROJECTED | VECTORS_WITH_ATTRIBUTES))
		return json_value_damaged(json, item.offset, "a vector set of this form is not known");
	if (vectors->quantisation == QUANTISE_NONE)
		vectors->vector_len = 4 * vectors->dim;
	else if (vectors->quantisation == QUANTISE_8BIT)
		vectors->vector_len = vectors->dim;
	else
		vectors->vector_len = (vectors->dim + 63) / 64 * 8;
	if (vectors->flags & VECTORS_PROJECTED)
		return take_number(json, &input_dim) && take(json, VALUE_ITEM_BYTES, &item);
	return true;
}

/* A member, as a record of the sorter: its name; then the scale and the vector. `name` is memory for the name. */
static bool keep_member(struct json_value *json, const struct vectors *vectors, uint8_t **name)
{
	struct value_item item;
	uint64_t params, number = 0;
	size_t name_len;
	uint8_t *record;

	if (!take(json, VALUE_ITEM_BYTES, &item))
		return false;
	name_len = item.bytes.len;
	*name = memory_realloc(*name, name_len + 1);
	memcpy(*name, item.bytes.data, name_len);
	if (vectors->flags & VECTORS_WITH_ATTRIBUTES && !take(json, VALUE_ITEM_BYTES, &item))
		return false;
	if (!take(json, VALUE_ITEM_BYTES, &item))
		return false;
	if (item.bytes.len != vectors->vector_len)
		return json_value_damaged(json, item.offset, "a vector does not have the length that its dimensions ask for");
	if (!sorter_add(json->sorter, name_len, SCALE_LEN + item.bytes.len, &record, json->error))
		return false;
	memcpy(record, *name, name_len);
	memcpy(record + name_len + SCALE_LEN, item.bytes.data, item.bytes.len);
	/* Id, levels and links of the graph; the scale is the last one. */
	if (!take_number(json, &params))
		return false;
	while (params-- > 0)
		if (!take_number(json, &number))
			return false;
	memcpy(record + name_len, &number, SCALE_LEN);
	return true;
}

static bool read_vectors(struct json_value *json)
{
	struct vectors vectors;
	uint8_t *name = NULL;
	bool read = take_vectors_head(json, &vectors);

	for (uint64_t i = 0; read && i < vectors.card; i++)
		read = keep_member(json, &vectors, &name);
	free(name);
	return read && take_end(json) && sorter_sort(json->sorter, json->error);
}

/* One number of a vector, with the server's own arithmetic: floats, in this order. */
static float vector_number(const struct vectors *vectors, const uint8_t *vector, uint64_t at, float length, float range)
{
	float number;

	switch (vectors->quantisation) {
	case QUANTISE_NONE: memcpy(&number, vector + 4 * at, sizeof(number)); return number * length;
	case QUANTISE_8BIT:
		number = (float)(int8_t)vector[at] * range;
		number = number / 127;
		return number * length;
	default:
		/* Only the signs are kept. */
		return vector[at / 8] >> at % 8 & 1 ? 1 : -1;
	}
}

static void print_vectors(struct json_value *json)
{
	struct slice name, payload;
	const char *between = "";
	struct vectors vectors;

	if (!take_vectors_head(json, &vectors))
		return;
	fprintf(json->out, "{\"card\":%" PRIu64 ",\"dim\":%" PRIu64 ",\"members\":[", vectors.card, vectors.dim);
	for (; sorter_next(json->sorter, &name, &payload) && !ferror(json->out); between = ",") {
		float scale[2];

		memcpy(scale, payload.data, SCALE_LEN);
		fprintf(json->out, "%s[", between);
		json_bytes_print(json->out, name);
		fputs(",[", json->out);
		for (uint64_t i = 0; i < vectors.dim; i++) {
			if (i > 0)
				putc(',', json->out);
			json_number_print(json->out,
					  (double)vector_number(&vectors, payload.data + SCALE_LEN, i, scale[0], scale[1]));
		}
		fputs("]]", json->out);
	}
	fputs("]}", json->out);
}

/* ---- Redis's own examples ---- */

static bool read_hellotype(struct json_value *json)
{
	struct value_item item;
	uint64_t count, number;

	if (!take(json, VALUE_ITEM_MODULE, &item) || !take_number(json, &count))
		return false;
	while (count-- > 0)
		if (!take_number(json, &number)) /* servers mark signed integers as unsigned ones, too */
			return false;
	return take_end(json);
}

static void print_hellotype(struct json_value *json)
{
	const char *between = "[";
	struct value_item item;

	while (json_value_next(json, &item) == VALUE_ITEM) {
		if (item.index < 2) /* the module, the count */
			continue;
		fprintf(json->out, "%s%" PRId64, between, (int64_t)item.number);
		between = ",";
	}
	fputs(between[0] == '[' ? "[]" : "]", json->out);
}

/* A number, the string, and since Redis 6.2 two reals; only the string is shown by the module's commands. */
static bool read_test_rdb(struct json_value *json)
{
	struct value_item item;
	uint64_t number;

	return take(json, VALUE_ITEM_MODULE, &item) && take_number(json, &number) && take(json, VALUE_ITEM_BYTES, &item) &&
	       json_value_read_rest(json);
}

static void print_test_rdb(struct json_value *json)
{
	struct value_item item;

	while (json_value_next(json, &item) == VALUE_ITEM)
		if (item.index == 2)
			json_bytes_print(json->out, item.bytes);
}

/* ---- any module ---- */

static void print_items(struct json_value *json)
{
	const char *between = "";
	struct value_item item;

	while (json_value_next(json, &item) == VALUE_ITEM) {
		if (item.kind == VALUE_ITEM_MODULE) {
			fprintf(json->out, "{\"version\":%u,\"items\":[", item.module.version);
			continue;
		}
		fputs(between, json->out);
		between = ",";
		switch (item.kind) {
		case VALUE_ITEM_SIGNED: fprintf(json->out, "%" PRId64, item.integer); break;
		case VALUE_ITEM_UNSIGNED: fprintf(json->out, "%" PRIu64, item.number); break;
		case VALUE_ITEM_BYTES: json_bytes_print(json->out, item.bytes); break;
		default: json_number_print(json->out, item.real); break;
		}
	}
	fputs("]}", json->out);
}

/* ---- choice ---- */

static const struct known_module {
	const char *name;
	bool (*read)(struct json_value *json);
	void (*print)(struct json_value *json);
} known_modules[] = {
	{"vectorset", read_vectors, print_vectors},
	{"hellotype", read_hellotype, print_hellotype},
	{"test__rdb", read_test_rdb, print_test_rdb},
	{NULL, json_value_read_rest, print_items},
};

static const struct known_module *find_module(struct json_value *json)
{
	char name[EVENT_KEY_TYPE_MAX];
	const struct known_module *module = known_modules;

	event_key_type(json->key, json->valkey, name);
	while (module->name && strcmp(module->name, name) != 0)
		module++;
	return module;
}

bool json_module_read(struct json_value *json)
{
	if (!find_module(json)->read(json))
		return false;
	json_value_restart(json);
	return true;
}

void json_module_print(struct json_value *json)
{
	find_module(json)->print(json);
}
