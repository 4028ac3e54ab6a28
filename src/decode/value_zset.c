/* Sorted sets: members with their scores, as text, as doubles, or packed. */
#include "decode/value_reader.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

/* "%.17g" needs 24; the rest is for whatever else somebody may have taken for a number. */
#define SCORE_TEXT_MAX 255

/* First byte of a score as text, in place of its length. */
enum { SCORE_NAN = 253, SCORE_INFINITE = 254, SCORE_MINUS_INFINITE = 255 };

static bool parse_score(struct slice text, double *score)
{
	char copy[SCORE_TEXT_MAX + 1];
	char *end;

	if (text.len == 0 || text.len > SCORE_TEXT_MAX || isspace(text.data[0]))
		return false;
	memcpy(copy, text.data, text.len);
	copy[text.len] = '\0';
	*score = strtod(copy, &end);
	return end == copy + text.len;
}

static bool take_text_score(struct value_reader *reader, double *score, struct parse_fault *fault)
{
	uint64_t start = reader->at;
	const uint8_t *p;

	if (!value_take_bytes(reader, 1, &p, fault))
		return false;
	switch (p[0]) {
	case SCORE_NAN: *score = NAN; return true;
	case SCORE_INFINITE: *score = INFINITY; return true;
	case SCORE_MINUS_INFINITE: *score = -INFINITY; return true;
	default: break;
	}
	if (reader->value.len - reader->at < p[0])
		return value_fail(fault, start, "the value ends inside a score");
	if (!parse_score(slice_make(p + 1, p[0]), score))
		return value_fail(fault, start, "a score is not a number");
	reader->at += p[0];
	return true;
}

static bool take_binary_score(struct value_reader *reader, double *score, struct parse_fault *fault)
{
	const uint8_t *p;
	uint64_t bits;

	if (!value_take_bytes(reader, 8, &p, fault))
		return false;
	bits = rdb_little_endian(p, 8);
	memcpy(score, &bits, sizeof(*score));
	return true;
}

static enum value_answer next_packed(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct packed_element member, score;
	enum packed_step step = value_packed_next(reader, &member, fault);

	if (step != PACKED_ELEMENT)
		return step == PACKED_END ? VALUE_END : VALUE_BAD;
	if (!value_packed_take(reader, &score, "a sorted set ends behind a member without a score", fault))
		return VALUE_BAD;
	item->offset = reader->node_at;
	item->bytes = packed_text(member, reader->bytes_digits);
	if (!score.bytes.data)
		item->score = (double)score.integer;
	else if (!parse_score(score.bytes, &item->score))
		return value_bad(fault, reader->node_at, "a score is not a number");
	return VALUE_ITEM;
}

enum value_answer value_zset_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	bool text = reader->type == RDB_TYPE_ZSET;

	if (reader->form != PACKED_NONE)
		return next_packed(reader, item, fault);
	if (reader->left == 0)
		return VALUE_END;
	reader->left--;
	if (!value_take_string(reader, &reader->bytes, &item->bytes, fault))
		return VALUE_BAD;
	return (text ? take_text_score : take_binary_score)(reader, &item->score, fault) ? VALUE_ITEM : VALUE_BAD;
}
