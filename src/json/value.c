#include "json/value.h"

#include "wire/rdb.h"
#include "json/bytes.h"
#include "json/module.h"
#include "json/stream.h"

#include <inttypes.h>
#include <math.h>

/* Elements of one value that are sorted in memory; more go through a file. */
#define SORT_MEMORY (64U << 20)

void json_value_init(struct json_value *json, FILE *out)
{
	*json = (struct json_value){.out = out, .reader = value_reader_new(RDB_PLAIN_MAX), .sorter = sorter_new(SORT_MEMORY)};
}

void json_value_free(struct json_value *json)
{
	sorter_free(json->sorter);
	value_reader_free(json->reader);
}

/* ---- reading ---- */

void json_value_restart(struct json_value *json)
{
	/* The snapshot decoder hands out no key of a type that cannot be read. */
	(void)value_reader_begin(json->reader, json->key->type, json->valkey, json->key->value);
}

bool json_value_damaged(struct json_value *json, uint64_t offset, const char *what)
{
	char quoted[160];

	error_set(json->error, ERROR_SOURCE,
		  "the value of key %s of database %" PRIu32 " cannot be read at position %" PRIu64 ": %s (value type %u)",
		  slice_quote(json->key->key, quoted, sizeof(quoted)), json->key->db,
		  json->key->end - json->key->value.len + offset, what, json->key->type);
	return false;
}

enum value_answer json_value_next(struct json_value *json, struct value_item *item)
{
	struct parse_fault fault;
	enum value_answer answer = value_reader_next(json->reader, item, &fault);

	if (answer == VALUE_BAD)
		json_value_damaged(json, fault.offset, fault.what);
	return answer;
}

bool json_value_read_rest(struct json_value *json)
{
	enum value_answer answer;
	struct value_item item;

	do
		answer = json_value_next(json, &item);
	while (answer == VALUE_ITEM);
	return answer == VALUE_END;
}

/* ---- sorting ---- */

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
	if (len > 0)
		memcpy(at, data, len);
	return at + len;
}

/* Eight bytes that sort as the scores do; both zeros are one, and so is all that is no number, behind them. */
static void put_order(uint8_t *at, double score)
{
	double normal = score == 0 ? 0 : isnan(score) ? NAN : score;
	uint64_t bits;

	memcpy(&bits, &normal, sizeof(bits));
	bits = bits >> 63 ? ~bits : bits | 1ULL << 63;
	for (unsigned i = 0; i < 8; i++)
		at[i] = (uint8_t)(bits >> (56 - 8 * i));
}

/* One element: what it is sorted by is the record's key, the rest its payload. */
static bool keep(struct json_value *json, const struct value_item *item)
{
	uint8_t *at;

	switch (value_reader_kind(json->reader)) {
	case VALUE_ZSET:
		if (!sorter_add(json->sorter, 8 + item->bytes.len, sizeof(item->score), &at, json->error))
			return false;
		put_order(at, item->score);
		put(put(at + 8, item->bytes.data, item->bytes.len), &item->score, sizeof(item->score));
		return true;
	case VALUE_HASH:
		if (!sorter_add(json->sorter, item->bytes.len, sizeof(item->expire_at_ms) + item->content.len, &at, json->error))
			return false;
		at = put(at, item->bytes.data, item->bytes.len);
		put(put(at, &item->expire_at_ms, sizeof(item->expire_at_ms)), item->content.data, item->content.len);
		return true;
	default:
		if (!sorter_add(json->sorter, item->bytes.len, 0, &at, json->error))
			return false;
		put(at, item->bytes.data, item->bytes.len);
		return true;
	}
}

static bool sort(struct json_value *json)
{
	enum value_answer answer;
	struct value_item item;

	while ((answer = json_value_next(json, &item)) == VALUE_ITEM)
		if (!keep(json, &item))
			return false;
	return answer == VALUE_END && sorter_sort(json->sorter, json->error);
}

/* ---- printing ---- */

static void print_sorted_element(struct json_value *json, struct slice key, struct slice payload)
{
	enum value_kind kind = value_reader_kind(json->reader);
	int64_t expire_at_ms;
	double score;

	if (kind == VALUE_SET) {
		json_bytes_print(json->out, key);
		return;
	}
	putc('[', json->out);
	if (kind == VALUE_ZSET) {
		memcpy(&score, payload.data, sizeof(score));
		json_bytes_print(json->out, slice_make(key.data + 8, key.len - 8));
		fprintf(json->out, ",\"%.17g\"]", isnan(score) ? NAN : score); /* never "-nan" */
		return;
	}
	memcpy(&expire_at_ms, payload.data, sizeof(expire_at_ms));
	json_bytes_print(json->out, key);
	putc(',', json->out);
	json_bytes_print(json->out, slice_make(payload.data + sizeof(expire_at_ms), payload.len - sizeof(expire_at_ms)));
	if (expire_at_ms != EXPIRE_NEVER)
		fprintf(json->out, ",%" PRId64, expire_at_ms);
	putc(']', json->out);
}

static void print_sorted(struct json_value *json)
{
	struct slice key, payload;
	const char *between = "[";

	for (; sorter_next(json->sorter, &key, &payload) && !ferror(json->out); between = ",") {
		fputs(between, json->out);
		print_sorted_element(json, key, payload);
	}
	fputs(between[0] == '[' ? "[]" : "]", json->out);
}

static void print_list(struct json_value *json)
{
	struct value_item item;
	const char *between = "[";

	for (; json_value_next(json, &item) == VALUE_ITEM && !ferror(json->out); between = ",") {
		fputs(between, json->out);
		json_bytes_print(json->out, item.bytes);
	}
	fputs(between[0] == '[' ? "[]" : "]", json->out);
}

static void print_string(struct json_value *json)
{
	struct value_item item;

	if (json_value_next(json, &item) == VALUE_ITEM)
		json_bytes_print(json->out, item.bytes);
}

static void print_head(const struct json_value *json)
{
	char type[EVENT_KEY_TYPE_MAX];

	fprintf(json->out, "{\"db\":%" PRIu32 ",\"key\":", json->key->db);
	json_bytes_print(json->out, json->key->key);
	fprintf(json->out, ",\"type\":\"%s\",\"ttl_at_ms\":", event_key_type(json->key, json->valkey, type));
	if (json->key->expire_at_ms == EXPIRE_NEVER)
		fputs("null,\"value\":", json->out);
	else
		fprintf(json->out, "%" PRId64 ",\"value\":", json->key->expire_at_ms);
}

/* All that can be wrong with the value shows before anything of it is printed: what is sorted is read by that, the rest is read
 * once before. */
static bool read_before(struct json_value *json)
{
	switch (value_reader_kind(json->reader)) {
	case VALUE_SET:
	case VALUE_HASH:
	case VALUE_ZSET: return sort(json);
	case VALUE_MODULE: return json_module_read(json);
	default:
		if (!json_value_read_rest(json))
			return false;
		json_value_restart(json);
		return true;
	}
}

bool json_value_print(struct json_value *json, const struct event *key, bool valkey, struct error *error)
{
	bool printed = true;

	json->key = key;
	json->valkey = valkey;
	json->error = error;
	sorter_clear(json->sorter);
	json_value_restart(json);
	if (!read_before(json))
		return false;
	print_head(json);
	switch (value_reader_kind(json->reader)) {
	case VALUE_STRING: print_string(json); break;
	case VALUE_LIST: print_list(json); break;
	case VALUE_STREAM: printed = json_stream_print(json); break;
	case VALUE_MODULE: json_module_print(json); break;
	default: print_sorted(json); break;
	}
	fputs("}\n", json->out);
	return printed;
}
