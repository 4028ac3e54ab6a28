/* Hashes: fields with their values and, where servers have them, times of expiry of each field.
 *
 * Redis 7.4 writes a table's expiries relative to the earliest of all, which comes first, and a listpack's as they are; a field
 * has 0 when it does not expire. Valkey 9 writes a table only, absolute times, and -1. */
#include "decode/event.h"
#include "decode/value_reader.h"

#define VALKEY_NO_EXPIRY (-1)
/* The highest time a field can have in Redis (EB_EXPIRE_TIME_MAX of ebuckets.h). */
#define EXPIRY_MAX ((1ULL << 48) - 2)

bool value_hash_begin(struct value_reader *reader, struct parse_fault *fault)
{
	const uint8_t *p;

	if (reader->type != RDB_TYPE_HASH_METADATA && reader->type != RDB_TYPE_HASH_LISTPACK_EX)
		return true;
	if (!value_take_bytes(reader, 8, &p, fault))
		return false;
	reader->earliest_expiry = rdb_little_endian(p, 8);
	return true;
}

/* Redis: the number before a field of a table. */
static bool take_relative_expiry(struct value_reader *reader, int64_t *expire_at_ms, struct parse_fault *fault)
{
	uint64_t start = reader->at;
	uint64_t number;

	if (!value_take_number(reader, &number, fault))
		return false;
	if (number == 0)
		return true;
	if (reader->earliest_expiry > EXPIRY_MAX || number - 1 > EXPIRY_MAX - reader->earliest_expiry)
		return value_fail(fault, start, "a field's time of expiry is impossible");
	*expire_at_ms = (int64_t)(reader->earliest_expiry + number - 1);
	return true;
}

/* Valkey: the eight bytes behind a value. */
static bool take_absolute_expiry(struct value_reader *reader, int64_t *expire_at_ms, struct parse_fault *fault)
{
	uint64_t start = reader->at;
	const uint8_t *p;
	int64_t number;

	if (!value_take_bytes(reader, 8, &p, fault))
		return false;
	number = (int64_t)rdb_little_endian(p, 8);
	if (number < 0 && number != VALKEY_NO_EXPIRY)
		return value_fail(fault, start, "a field's time of expiry is impossible");
	*expire_at_ms = number == VALKEY_NO_EXPIRY ? EXPIRE_NEVER : number;
	return true;
}

static enum value_answer next_packed(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct packed_element field, content, expiry;
	enum packed_step step = value_packed_next(reader, &field, fault);

	if (step != PACKED_ELEMENT)
		return step == PACKED_END ? VALUE_END : VALUE_BAD;
	if (!value_packed_take(reader, &content, "a hash ends behind a field without a value", fault))
		return VALUE_BAD;
	item->offset = reader->node_at;
	item->bytes = packed_text(field, reader->bytes_digits);
	item->content = packed_text(content, reader->content_digits);
	if (reader->type != RDB_TYPE_HASH_LISTPACK_EX)
		return VALUE_ITEM;
	if (!value_packed_take(reader, &expiry, "a hash ends behind a field without its time of expiry", fault))
		return VALUE_BAD;
	if (expiry.bytes.data || expiry.integer < 0 || (uint64_t)expiry.integer > EXPIRY_MAX)
		return value_bad(fault, reader->node_at, "a field's time of expiry is impossible");
	if (expiry.integer > 0)
		item->expire_at_ms = expiry.integer;
	return VALUE_ITEM;
}

enum value_answer value_hash_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	item->expire_at_ms = EXPIRE_NEVER;
	if (reader->form != PACKED_NONE)
		return next_packed(reader, item, fault);
	if (reader->left == 0)
		return VALUE_END;
	reader->left--;
	if (reader->type == RDB_TYPE_HASH_METADATA && !take_relative_expiry(reader, &item->expire_at_ms, fault))
		return VALUE_BAD;
	if (!value_take_string(reader, &reader->bytes, &item->bytes, fault) ||
	    !value_take_string(reader, &reader->content, &item->content, fault))
		return VALUE_BAD;
	if (reader->type == RDB_TYPE_VALKEY_HASH_2 && !take_absolute_expiry(reader, &item->expire_at_ms, fault))
		return VALUE_BAD;
	return VALUE_ITEM;
}
