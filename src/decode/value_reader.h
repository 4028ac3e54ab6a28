/* The inside of decode/value.h, for the files that each know a family of types. Nobody else includes it.
 *
 * The take functions below read at reader->at and move it; false means *fault is set. */
#ifndef KEYFERRY_DECODE_VALUE_READER_H
#define KEYFERRY_DECODE_VALUE_READER_H

#include "base/buffer.h"
#include "decode/value.h"
#include "wire/intset.h"
#include "wire/listpack.h"
#include "wire/rdb.h"
#include "wire/ziplist.h"
#include "wire/zipmap.h"

enum packed_form { PACKED_NONE, PACKED_LISTPACK, PACKED_ZIPLIST, PACKED_INTSET, PACKED_ZIPMAP };

/* So many pending entries of a group share one row of its index; their bits in `taken` say which have found their consumer. */
#define PENDING_BLOCK 64

struct pending_block {
	struct value_stream_id first;
	uint64_t offset; /* in the value, of its first entry */
	uint64_t taken;
};

enum stream_phase { STREAM_NODE, STREAM_ENTRY, STREAM_FIELD, STREAM_HEAD, STREAM_GROUP, STREAM_CONSUMER, STREAM_PENDING };

struct stream_reader {
	enum stream_phase phase;
	struct value_stream_id master; /* of the node, to which its entries' ids are relative */
	struct listpack master_fields; /* the node's own field names, from the first one on */
	uint64_t master_field_count;
	struct listpack names; /* in master_fields: the next name of an entry that has just these fields */
	bool same_fields;
	uint64_t fields; /* of the entry */
	uint64_t fields_left;
	uint64_t alive; /* entries still to come in this node, as it says */
	uint64_t deleted;
	uint64_t length;             /* entries handed out */
	struct value_stream_id last; /* the last one's id */
	uint64_t groups_left;
	uint64_t consumers_left;
	uint64_t pending_left; /* of the consumer */
	uint64_t unclaimed;    /* of the group: pending entries whose consumer has not come yet */
	uint64_t pending;      /* of the group */
	struct pending_block *blocks;
	size_t block_count;
	size_t block_room;
};

struct value_reader {
	struct slice value;
	uint64_t at;
	uint8_t type;
	enum value_kind kind;
	enum value_answer (*next)(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
	uint64_t left; /* elements, or nodes, still to come, as the value says */
	uint64_t index;
	uint64_t earliest_expiry; /* hashes of Redis 7.4 */
	/* the packed node that is being read */
	enum packed_form form;
	union {
		struct listpack listpack;
		struct ziplist ziplist;
		struct intset intset;
		struct zipmap zipmap;
	} packed;
	uint64_t node_at;       /* where its string begins */
	uint64_t node_plain_at; /* where its bytes begin, if they are not compressed; else 0 */
	struct stream_reader stream;
	/* Memory for what is not in the value as it is. */
	struct buffer node;
	struct buffer bytes;
	struct buffer content;
	char bytes_digits[PACKED_TEXT_MAX];
	char content_digits[PACKED_TEXT_MAX];
	char module_name[RDB_MODULE_NAME_LEN + 1];
};

/* The readers of each family: value_reader_next() without the bookkeeping. */
enum value_answer value_string_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
enum value_answer value_sequence_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
enum value_answer value_zset_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
enum value_answer value_hash_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
enum value_answer value_stream_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);
enum value_answer value_module_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault);

/* What stands before the first item. */
bool value_hash_begin(struct value_reader *reader, struct parse_fault *fault);

static inline bool value_fail(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){offset, what};
	return false;
}

static inline enum value_answer value_bad(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){offset, what};
	return VALUE_BAD;
}

bool value_take_number(struct value_reader *reader, uint64_t *number, struct parse_fault *fault);
/* `*bytes`: `count` of them, in the value. */
bool value_take_bytes(struct value_reader *reader, unsigned count, const uint8_t **bytes, struct parse_fault *fault);
/* `memory` is for a string that is not stored as it is; *ret lives until it is used again. */
bool value_take_string(struct value_reader *reader, struct buffer *memory, struct slice *ret, struct parse_fault *fault);
/* The next string is a packed node. */
bool value_take_node(struct value_reader *reader, enum packed_form form, struct parse_fault *fault);

/* The next element of the packed node. */
enum packed_step value_packed_next(struct value_reader *reader, struct packed_element *element, struct parse_fault *fault);
/* The same where there must be one; `missing` is what is wrong otherwise. */
bool value_packed_take(struct value_reader *reader, struct packed_element *element, const char *missing,
		       struct parse_fault *fault);
/* For damage found by the meaning of an element. */
static inline bool value_packed_fail(const struct value_reader *reader, struct parse_fault *fault, const char *what)
{
	return value_fail(fault, reader->node_at, what);
}

#endif
