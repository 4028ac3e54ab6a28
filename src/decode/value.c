#include "decode/value.h"

#include "base/memory.h"
#include "decode/value_reader.h"

#include <stdlib.h>

/* A reader that has read a large node gives its memory back at the next value. */
#define MEMORY_KEPT (1U << 20)
/* Integers need this much in any case. */
#define BUDGET_LEAST 64

struct value_reader *value_reader_new(size_t budget)
{
	struct value_reader *reader = memory_alloc_zero(1, sizeof(*reader));

	if (budget < BUDGET_LEAST)
		budget = BUDGET_LEAST;
	buffer_init(&reader->node, budget);
	buffer_init(&reader->bytes, budget);
	buffer_init(&reader->content, budget);
	return reader;
}

void value_reader_free(struct value_reader *reader)
{
	if (!reader)
		return;
	buffer_free(&reader->node);
	buffer_free(&reader->bytes);
	buffer_free(&reader->content);
	free(reader->stream.blocks);
	free(reader);
}

/* ---- types ---- */

struct family {
	enum value_kind kind;
	enum value_answer (*next)(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
	enum packed_form form; /* of its node or nodes */
};

static const struct family families[] = {
	[RDB_TYPE_STRING] = {VALUE_STRING, value_string_next, PACKED_NONE},
	[RDB_TYPE_LIST] = {VALUE_LIST, value_sequence_next, PACKED_NONE},
	[RDB_TYPE_SET] = {VALUE_SET, value_sequence_next, PACKED_NONE},
	[RDB_TYPE_ZSET] = {VALUE_ZSET, value_zset_next, PACKED_NONE},
	[RDB_TYPE_HASH] = {VALUE_HASH, value_hash_next, PACKED_NONE},
	[RDB_TYPE_ZSET_2] = {VALUE_ZSET, value_zset_next, PACKED_NONE},
	[RDB_TYPE_MODULE_2] = {VALUE_MODULE, value_module_next, PACKED_NONE},
	[RDB_TYPE_HASH_ZIPMAP] = {VALUE_HASH, value_hash_next, PACKED_ZIPMAP},
	[RDB_TYPE_LIST_ZIPLIST] = {VALUE_LIST, value_sequence_next, PACKED_ZIPLIST},
	[RDB_TYPE_SET_INTSET] = {VALUE_SET, value_sequence_next, PACKED_INTSET},
	[RDB_TYPE_ZSET_ZIPLIST] = {VALUE_ZSET, value_zset_next, PACKED_ZIPLIST},
	[RDB_TYPE_HASH_ZIPLIST] = {VALUE_HASH, value_hash_next, PACKED_ZIPLIST},
	[RDB_TYPE_LIST_QUICKLIST] = {VALUE_LIST, value_sequence_next, PACKED_ZIPLIST},
	[RDB_TYPE_STREAM_LISTPACKS] = {VALUE_STREAM, value_stream_next, PACKED_LISTPACK},
	[RDB_TYPE_HASH_LISTPACK] = {VALUE_HASH, value_hash_next, PACKED_LISTPACK},
	[RDB_TYPE_ZSET_LISTPACK] = {VALUE_ZSET, value_zset_next, PACKED_LISTPACK},
	[RDB_TYPE_LIST_QUICKLIST_2] = {VALUE_LIST, value_sequence_next, PACKED_LISTPACK},
	[RDB_TYPE_STREAM_LISTPACKS_2] = {VALUE_STREAM, value_stream_next, PACKED_LISTPACK},
	[RDB_TYPE_SET_LISTPACK] = {VALUE_SET, value_sequence_next, PACKED_LISTPACK},
	[RDB_TYPE_STREAM_LISTPACKS_3] = {VALUE_STREAM, value_stream_next, PACKED_LISTPACK},
	/* Valkey's; the type of the same number in files of Redis is none that can be read. */
	[RDB_TYPE_VALKEY_HASH_2] = {VALUE_HASH, value_hash_next, PACKED_NONE},
	[RDB_TYPE_HASH_METADATA] = {VALUE_HASH, value_hash_next, PACKED_NONE},
	[RDB_TYPE_HASH_LISTPACK_EX] = {VALUE_HASH, value_hash_next, PACKED_LISTPACK},
};

/* Whether a count stands before the elements or nodes: all else is one string, or a layout of its own. */
static bool is_counted(uint8_t type)
{
	switch (type) {
	case RDB_TYPE_LIST:
	case RDB_TYPE_SET:
	case RDB_TYPE_ZSET:
	case RDB_TYPE_HASH:
	case RDB_TYPE_ZSET_2:
	case RDB_TYPE_LIST_QUICKLIST:
	case RDB_TYPE_LIST_QUICKLIST_2:
	case RDB_TYPE_STREAM_LISTPACKS:
	case RDB_TYPE_STREAM_LISTPACKS_2:
	case RDB_TYPE_STREAM_LISTPACKS_3:
	case RDB_TYPE_VALKEY_HASH_2:
	case RDB_TYPE_HASH_METADATA: return true;
	default: return false;
	}
}

static void give_back(struct buffer *buffer)
{
	if (buffer->cap > MEMORY_KEPT)
		buffer_free(buffer);
}

bool value_reader_begin(struct value_reader *reader, uint8_t type, bool valkey, struct slice value)
{
	struct pending_block *blocks = reader->stream.blocks;
	size_t block_room = reader->stream.block_room;

	if (rdb_type_version(type, valkey) == 0)
		return false;
	give_back(&reader->node);
	give_back(&reader->bytes);
	give_back(&reader->content);
	if (block_room * sizeof(*blocks) > MEMORY_KEPT) {
		free(blocks);
		blocks = NULL;
		block_room = 0;
	}
	reader->value = value;
	reader->at = 0;
	reader->type = type;
	reader->kind = families[type].kind;
	reader->next = NULL;
	reader->left = 1;
	reader->index = 0;
	reader->earliest_expiry = 0;
	reader->form = PACKED_NONE;
	reader->stream = (struct stream_reader){.phase = STREAM_NODE, .blocks = blocks, .block_room = block_room};
	return true;
}

enum value_kind value_reader_kind(const struct value_reader *reader)
{
	return reader->kind;
}

/* What stands before the first item. */
static bool read_head(struct value_reader *reader, struct parse_fault *fault)
{
	const struct family *family = &families[reader->type];

	if (family->kind == VALUE_HASH && !value_hash_begin(reader, fault))
		return false;
	if (is_counted(reader->type) && !value_take_number(reader, &reader->left, fault))
		return false;
	/* Lists are read node by node, also where there is only one. */
	if (family->form != PACKED_NONE && (family->kind == VALUE_HASH || family->kind == VALUE_ZSET))
		return value_take_node(reader, family->form, fault);
	return true;
}

enum value_answer value_reader_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	enum value_answer answer;

	if (!reader->next) {
		if (!read_head(reader, fault))
			return VALUE_BAD;
		reader->next = families[reader->type].next;
	}
	*item = (struct value_item){.kind = VALUE_ITEM_ELEMENT, .index = reader->index, .offset = reader->at};
	answer = reader->next(reader, item, fault);
	if (answer == VALUE_ITEM)
		reader->index++;
	if (answer == VALUE_END && reader->at != reader->value.len)
		return value_bad(fault, reader->at, "there are bytes behind the end of the value");
	return answer;
}

/* ---- taking ---- */

bool value_take_number(struct value_reader *reader, uint64_t *number, struct parse_fault *fault)
{
	uint64_t room = reader->value.len - reader->at;
	const uint8_t *p = reader->value.data + reader->at;
	unsigned size = room > 0 ? rdb_length_size(p[0]) : 0;

	if (room == 0)
		return value_fail(fault, reader->at, "the value ends where a length or number is expected");
	if (size == 0)
		return value_fail(fault, reader->at, "a length or number is expected, and this is none");
	if (room < size)
		return value_fail(fault, reader->at, "the value ends inside a length or number");
	*number = rdb_length_decode(p, size);
	reader->at += size;
	return true;
}

bool value_take_bytes(struct value_reader *reader, unsigned count, const uint8_t **bytes, struct parse_fault *fault)
{
	if (reader->value.len - reader->at < count)
		return value_fail(fault, reader->at, "the value ends inside a number");
	*bytes = reader->value.data + reader->at;
	reader->at += count;
	return true;
}

bool value_take_string(struct value_reader *reader, struct buffer *memory, struct slice *ret, struct parse_fault *fault)
{
	struct rdb_string string;
	const uint8_t *stored;
	const char *wrong;
	uint64_t need;

	switch (rdb_string_read(reader->value, reader->at, &string, &need, fault)) {
	case PARSE_BAD: return false;
	case PARSE_MORE: return value_fail(fault, reader->at, "the value ends where a string is expected");
	case PARSE_OK: break;
	}
	if (string.stored > reader->value.len - reader->at - string.header)
		return value_fail(fault, reader->at, "the value ends inside a string");
	if (string.form == RDB_STRING_LZF && string.plain > memory->max)
		return value_fail(fault, reader->at, "a compressed string becomes larger than the memory there is for it");
	stored = reader->value.data + reader->at + string.header;
	wrong = rdb_string_plain(&string, stored, memory, ret);
	if (wrong)
		return value_fail(fault, reader->at, wrong);
	reader->at += string.header + string.stored;
	return true;
}

enum value_answer value_string_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	if (reader->left == 0)
		return VALUE_END;
	reader->left--;
	return value_take_string(reader, &reader->bytes, &item->bytes, fault) ? VALUE_ITEM : VALUE_BAD;
}

/* ---- packed nodes ---- */

/* An offset in the node becomes one in the value: exact where the node is stored as it is, else that of the node. */
static bool packed_fault(const struct value_reader *reader, struct parse_fault *fault)
{
	fault->offset = reader->node_plain_at > 0 ? reader->node_plain_at + fault->offset : reader->node_at;
	return false;
}

bool value_take_node(struct value_reader *reader, enum packed_form form, struct parse_fault *fault)
{
	struct slice node;
	bool whole = false;

	reader->node_at = reader->at;
	if (!value_take_string(reader, &reader->node, &node, fault))
		return false;
	/* It ends with the string; if it was used as it stands there, it begins so far before it. */
	reader->node_plain_at = node.data + node.len == reader->value.data + reader->at ? reader->at - node.len : 0;
	switch (form) {
	case PACKED_LISTPACK: whole = listpack_open(&reader->packed.listpack, node, fault); break;
	case PACKED_ZIPLIST: whole = ziplist_open(&reader->packed.ziplist, node, fault); break;
	case PACKED_INTSET: whole = intset_open(&reader->packed.intset, node, fault); break;
	case PACKED_ZIPMAP: whole = zipmap_open(&reader->packed.zipmap, node, fault); break;
	case PACKED_NONE: break;
	}
	if (!whole)
		return packed_fault(reader, fault);
	reader->form = form;
	return true;
}

enum packed_step value_packed_next(struct value_reader *reader, struct packed_element *element, struct parse_fault *fault)
{
	enum packed_step step = PACKED_END;

	switch (reader->form) {
	case PACKED_LISTPACK: step = listpack_next(&reader->packed.listpack, element, fault); break;
	case PACKED_ZIPLIST: step = ziplist_next(&reader->packed.ziplist, element, fault); break;
	case PACKED_INTSET: step = intset_next(&reader->packed.intset, element, fault); break;
	case PACKED_ZIPMAP: step = zipmap_next(&reader->packed.zipmap, element, fault); break;
	case PACKED_NONE: break;
	}
	if (step == PACKED_BAD)
		packed_fault(reader, fault);
	return step;
}

bool value_packed_take(struct value_reader *reader, struct packed_element *element, const char *missing,
		       struct parse_fault *fault)
{
	enum packed_step step = value_packed_next(reader, element, fault);

	return step == PACKED_END ? value_fail(fault, reader->node_at, missing) : step == PACKED_ELEMENT;
}
