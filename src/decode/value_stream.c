/* Streams: nodes of entries, then what is true of all, then the consumer groups.
 *
 *     node  = master id (16 bytes in a string) | listpack:
 *             alive, deleted, n, n field names, 0,
 *             { flags, ms and seq relative to the master id, [n] { [name] value }..., elements of the entry } ...
 *             (names and n only where the entry has not just the fields of the node; flags: 1 deleted, 2 just the fields)
 *     group = name | last id | [entries read] | count { id (16) delivered at (8) times delivered } | count consumer ...
 *     consumer = name | seen at (8) | [active at (8)] | count { id (16) }
 *
 * The group's pending entries come before the consumers that have them: they are indexed, each 64th with its place, and looked up
 * when their consumer comes. Ids are big-endian so that their bytes sort as they do; servers write them ascending. */
#include "base/memory.h"
#include "decode/value_reader.h"

#define ENTRY_DELETED 1
#define ENTRY_SAME_FIELDS 2

static const char *const entry_cut = "a stream's node ends inside an entry";

static bool has_counts(const struct value_reader *reader)
{
	return reader->type != RDB_TYPE_STREAM_LISTPACKS;
}

static int compare_ids(struct value_stream_id a, struct value_stream_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.seq < b.seq ? -1 : a.seq > b.seq;
}

static struct value_stream_id read_id(const uint8_t *p)
{
	return (struct value_stream_id){rdb_big_endian(p, 8), rdb_big_endian(p + 8, 8)};
}

static bool take_id_numbers(struct value_reader *reader, struct value_stream_id *id, struct parse_fault *fault)
{
	return value_take_number(reader, &id->ms, fault) && value_take_number(reader, &id->seq, fault);
}

/* ---- entries ---- */

static bool take_integer(struct value_reader *reader, int64_t *ret, struct parse_fault *fault)
{
	struct packed_element element;

	if (!value_packed_take(reader, &element, entry_cut, fault))
		return false;
	if (element.bytes.data && !slice_to_int64(element.bytes, &element.integer))
		return value_packed_fail(reader, fault, "a stream's node holds text where a number is expected");
	*ret = element.integer;
	return true;
}

/* A count of things that each take an element of the node. */
static bool take_count(struct value_reader *reader, uint64_t *ret, struct parse_fault *fault)
{
	int64_t number;

	if (!take_integer(reader, &number, fault))
		return false;
	if (number < 0 || (uint64_t)number > reader->packed.listpack.in.len)
		return value_packed_fail(reader, fault, "a count in a stream's node is impossible");
	*ret = (uint64_t)number;
	return true;
}

static bool skip_elements(struct value_reader *reader, uint64_t count, struct parse_fault *fault)
{
	struct packed_element element;

	while (count-- > 0)
		if (!value_packed_take(reader, &element, entry_cut, fault))
			return false;
	return true;
}

static bool take_stream_node(struct value_reader *reader, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	uint64_t start = reader->at;
	struct slice id;
	int64_t mark;

	if (!value_take_string(reader, &reader->bytes, &id, fault))
		return false;
	if (id.len != 16)
		return value_fail(fault, start, "a stream's node has an id that is not 16 bytes long");
	stream->master = read_id(id.data);
	if (!value_take_node(reader, PACKED_LISTPACK, fault) || !take_count(reader, &stream->alive, fault) ||
	    !take_count(reader, &stream->deleted, fault) || !take_count(reader, &stream->master_field_count, fault))
		return false;
	stream->master_fields = reader->packed.listpack;
	if (!skip_elements(reader, stream->master_field_count, fault) || !take_integer(reader, &mark, fault))
		return false;
	if (mark != 0)
		return value_packed_fail(reader, fault, "a stream's node has no mark behind its field names");
	return true;
}

/* Behind an entry stands the number of its elements, for those who read backwards. */
static bool take_entry_end(struct value_reader *reader, struct parse_fault *fault)
{
	const struct stream_reader *stream = &reader->stream;
	uint64_t elements = stream->same_fields ? 3 + stream->fields : 4 + 2 * stream->fields;
	int64_t said;

	if (!take_integer(reader, &said, fault))
		return false;
	if (said < 0 || (uint64_t)said != elements)
		return value_packed_fail(reader, fault,
					 "a stream's entry does not have the count of elements that is written behind it");
	return true;
}

/* The head of the next entry that is not deleted. END: the node holds none. */
static enum value_answer take_entry(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	struct listpack *node = &reader->packed.listpack;

	while (node->at < node->in.len - 1) {
		struct value_stream_id id;
		int64_t flags, ms, seq;

		if (!take_integer(reader, &flags, fault) || !take_integer(reader, &ms, fault) ||
		    !take_integer(reader, &seq, fault))
			return VALUE_BAD;
		if (flags < 0 || flags > (ENTRY_DELETED | ENTRY_SAME_FIELDS))
			return value_bad(fault, reader->node_at, "a stream's entry has flags that are not known");
		id = (struct value_stream_id){stream->master.ms + (uint64_t)ms, stream->master.seq + (uint64_t)seq};
		stream->same_fields = flags & ENTRY_SAME_FIELDS;
		stream->fields = stream->master_field_count;
		if (!stream->same_fields && !take_count(reader, &stream->fields, fault))
			return VALUE_BAD;
		if (flags & ENTRY_DELETED) {
			if (!skip_elements(reader, stream->same_fields ? stream->fields : 2 * stream->fields, fault) ||
			    !take_entry_end(reader, fault))
				return VALUE_BAD;
			if (stream->deleted-- == 0)
				return value_bad(fault, reader->node_at,
						 "a stream's node holds more deleted entries than it says");
			continue;
		}
		if (stream->alive-- == 0)
			return value_bad(fault, reader->node_at, "a stream's node holds more entries than it says");
		if (stream->length > 0 && compare_ids(id, stream->last) <= 0)
			return value_bad(fault, reader->node_at, "the ids of a stream's entries do not ascend");
		stream->last = id;
		stream->length++;
		stream->names = stream->master_fields;
		stream->fields_left = stream->fields;
		stream->phase = STREAM_FIELD;
		item->kind = VALUE_ITEM_ENTRY;
		item->offset = reader->node_at;
		item->entry.id = id;
		item->entry.fields = stream->fields;
		return VALUE_ITEM;
	}
	/* Also sees whether the listpack itself holds as many elements as it says. */
	if (value_packed_next(reader, &(struct packed_element){0}, fault) == PACKED_BAD)
		return VALUE_BAD;
	if (stream->alive > 0 || stream->deleted > 0)
		return value_bad(fault, reader->node_at, "a stream's node holds fewer entries than it says");
	return VALUE_END;
}

/* END: that was all of the entry. */
static enum value_answer take_field(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	struct packed_element name, content;

	if (stream->fields_left == 0) {
		stream->phase = STREAM_ENTRY;
		return take_entry_end(reader, fault) ? VALUE_END : VALUE_BAD;
	}
	stream->fields_left--;
	if (stream->same_fields) {
		/* They were walked once when the node was begun. */
		if (listpack_next(&stream->names, &name, fault) != PACKED_ELEMENT)
			return value_bad(fault, reader->node_at, entry_cut);
	} else if (!value_packed_take(reader, &name, entry_cut, fault)) {
		return VALUE_BAD;
	}
	if (!value_packed_take(reader, &content, entry_cut, fault))
		return VALUE_BAD;
	item->kind = VALUE_ITEM_FIELD;
	item->offset = reader->node_at;
	item->bytes = packed_text(name, reader->bytes_digits);
	item->content = packed_text(content, reader->content_digits);
	return VALUE_ITEM;
}

static enum value_answer take_stream_head(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;

	item->kind = VALUE_ITEM_STREAM;
	if (!value_take_number(reader, &item->stream.length, fault) || !take_id_numbers(reader, &item->stream.last_id, fault))
		return VALUE_BAD;
	item->stream.counted = has_counts(reader);
	if (item->stream.counted && (!take_id_numbers(reader, &item->stream.first_id, fault) ||
				     !take_id_numbers(reader, &item->stream.max_deleted_id, fault) ||
				     !value_take_number(reader, &item->stream.entries_added, fault)))
		return VALUE_BAD;
	if (!value_take_number(reader, &item->stream.groups, fault))
		return VALUE_BAD;
	if (item->stream.length != stream->length)
		return value_bad(fault, item->offset, "a stream does not hold as many entries as it says");
	if (stream->length > 0 && compare_ids(stream->last, item->stream.last_id) > 0)
		return value_bad(fault, item->offset, "a stream's last id is before that of an entry");
	stream->groups_left = item->stream.groups;
	stream->phase = STREAM_GROUP;
	return VALUE_ITEM;
}

/* ---- groups ---- */

/* One pending entry of the group, at reader->at. */
static bool take_group_pending(struct value_reader *reader, struct value_stream_id *id, int64_t *delivered_at_ms, uint64_t *count,
			       struct parse_fault *fault)
{
	const uint8_t *p;

	if (!value_take_bytes(reader, 24, &p, fault) || !value_take_number(reader, count, fault))
		return false;
	*id = read_id(p);
	*delivered_at_ms = (int64_t)rdb_little_endian(p + 16, 8);
	return true;
}

/* Walks over the group's pending entries; from then on they can be found by their ids. */
static bool index_pending(struct value_reader *reader, uint64_t count, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	struct value_stream_id before = {0, 0};

	stream->block_count = 0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = reader->at;
		struct value_stream_id id;
		int64_t delivered_at_ms;
		uint64_t times;

		if (!take_group_pending(reader, &id, &delivered_at_ms, &times, fault))
			return false;
		if (i > 0 && compare_ids(id, before) <= 0)
			return value_fail(fault, start, "the ids of a group's pending entries do not ascend");
		before = id;
		if (i % PENDING_BLOCK > 0)
			continue;
		if (stream->block_count == stream->block_room) {
			stream->block_room = stream->block_room ? 2 * stream->block_room : 16;
			stream->blocks = memory_realloc_array(stream->blocks, stream->block_room, sizeof(*stream->blocks));
		}
		stream->blocks[stream->block_count++] = (struct pending_block){.first = id, .offset = start};
	}
	stream->pending = stream->unclaimed = count;
	return true;
}

static enum value_answer take_group(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	uint64_t number = UINT64_MAX;

	item->kind = VALUE_ITEM_GROUP;
	if (!value_take_string(reader, &reader->bytes, &item->bytes, fault) ||
	    !take_id_numbers(reader, &item->group.last_id, fault))
		return VALUE_BAD;
	if (has_counts(reader) && !value_take_number(reader, &number, fault))
		return VALUE_BAD;
	item->group.entries_read = number > INT64_MAX ? VALUE_READ_UNKNOWN : (int64_t)number; /* it is written as -1 */
	if (!value_take_number(reader, &item->group.pending, fault) || !index_pending(reader, item->group.pending, fault) ||
	    !value_take_number(reader, &item->group.consumers, fault))
		return VALUE_BAD;
	stream->consumers_left = item->group.consumers;
	stream->phase = STREAM_CONSUMER;
	return VALUE_ITEM;
}

static enum value_answer take_consumer(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	bool two_times = reader->type == RDB_TYPE_STREAM_LISTPACKS_3;
	struct stream_reader *stream = &reader->stream;
	const uint8_t *p;

	item->kind = VALUE_ITEM_CONSUMER;
	if (!value_take_string(reader, &reader->bytes, &item->bytes, fault) ||
	    !value_take_bytes(reader, two_times ? 16 : 8, &p, fault) ||
	    !value_take_number(reader, &item->consumer.pending, fault))
		return VALUE_BAD;
	item->consumer.seen_at_ms = (int64_t)rdb_little_endian(p, 8);
	item->consumer.active_at_ms = two_times ? (int64_t)rdb_little_endian(p + 8, 8) : item->consumer.seen_at_ms;
	stream->pending_left = item->consumer.pending;
	stream->phase = STREAM_PENDING;
	return VALUE_ITEM;
}

/* The block that holds the id, if any does. */
static struct pending_block *find_block(const struct stream_reader *stream, struct value_stream_id id)
{
	size_t low = 0, high = stream->block_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_ids(stream->blocks[middle].first, id) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &stream->blocks[low - 1] : NULL;
}

/* What the group knows of the consumer's entry `item->pending.id`, which nobody else may have. */
static bool claim_pending(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	struct pending_block *block = find_block(stream, item->pending.id);
	uint64_t back = reader->at;
	uint64_t left;

	if (!block)
		return value_fail(fault, item->offset, "a consumer has a pending entry that its group does not have");
	left = stream->pending - (uint64_t)(block - stream->blocks) * PENDING_BLOCK;
	if (left > PENDING_BLOCK)
		left = PENDING_BLOCK;
	reader->at = block->offset;
	for (uint64_t i = 0; i < left; i++) {
		struct value_stream_id id;

		if (!take_group_pending(reader, &id, &item->pending.delivered_at_ms, &item->pending.delivery_count, fault))
			return false;
		if (compare_ids(id, item->pending.id) != 0)
			continue;
		reader->at = back;
		if (block->taken & 1ULL << i)
			return value_fail(fault, item->offset, "a pending entry belongs to two consumers");
		block->taken |= 1ULL << i;
		stream->unclaimed--;
		return true;
	}
	return value_fail(fault, item->offset, "a consumer has a pending entry that its group does not have");
}

static enum value_answer take_pending(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	const uint8_t *p;

	item->kind = VALUE_ITEM_PENDING;
	if (!value_take_bytes(reader, 16, &p, fault))
		return VALUE_BAD;
	item->pending.id = read_id(p);
	return claim_pending(reader, item, fault) ? VALUE_ITEM : VALUE_BAD;
}

/* ---- the whole ---- */

/* One step of the phase: an item, or (END) the next phase. */
static enum value_answer step(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	struct stream_reader *stream = &reader->stream;
	enum value_answer answer;

	switch (stream->phase) {
	case STREAM_NODE:
		if (reader->left == 0) {
			stream->phase = STREAM_HEAD;
			return VALUE_END;
		}
		reader->left--;
		stream->phase = STREAM_ENTRY;
		return take_stream_node(reader, fault) ? VALUE_END : VALUE_BAD;
	case STREAM_ENTRY:
		answer = take_entry(reader, item, fault);
		if (answer == VALUE_END)
			stream->phase = STREAM_NODE;
		return answer;
	case STREAM_FIELD: return take_field(reader, item, fault);
	case STREAM_HEAD: return take_stream_head(reader, item, fault);
	case STREAM_GROUP: stream->groups_left--; return take_group(reader, item, fault);
	case STREAM_CONSUMER:
		if (stream->consumers_left == 0) {
			stream->phase = STREAM_GROUP;
			return stream->unclaimed == 0
				       ? VALUE_END
				       : value_bad(fault, reader->at, "a group has a pending entry that no consumer has");
		}
		stream->consumers_left--;
		return take_consumer(reader, item, fault);
	default:
		if (stream->pending_left == 0) {
			stream->phase = STREAM_CONSUMER;
			return VALUE_END;
		}
		stream->pending_left--;
		return take_pending(reader, item, fault);
	}
}

enum value_answer value_stream_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	const struct stream_reader *stream = &reader->stream;
	enum value_answer answer;

	do {
		if (stream->phase == STREAM_GROUP && stream->groups_left == 0)
			return VALUE_END;
		item->offset = reader->at;
		answer = step(reader, item, fault);
	} while (answer == VALUE_END);
	return answer;
}
