#include "wire/rdb_walk.h"

#include "wire/rdb.h"

/* ---- layouts ---- */

enum step {
	STOP,
	STRING,
	STREAM_ID_STRING, /* a string of exactly 16 bytes: the master entry's id of a listpack */
	NUMBER,           /* a length that is a number */
	BYTES_4,
	BYTES_8,
	BYTES_16,
	TEXT_DOUBLE, /* one byte: 255 -inf, 254 +inf, 253 nan, else the length of the digits that follow */
	NODE_KIND,   /* a number: 1 one plain element, 2 a listpack */
	UINT_MARK,   /* a number: RDB_MODULE_UINT */
	MODULE,      /* items, each led by its module opcode, until RDB_MODULE_EOF */
	LOOP,        /* a count, and then so many times the steps up to NEXT; the byte after LOOP is the least size of one time */
	NEXT,
};

/* How many bytes each step takes at least, to write LOOP's operand as a sum that can be checked by eye. */
enum { STRING_LEAST = 1, ID_LEAST = 17, NUMBER_LEAST = 1, DOUBLE_LEAST = 1, LOOP_LEAST = 1 };

static const uint8_t packed[] = {STRING, STOP}; /* a string, or one that holds a whole ziplist, listpack, intset or zipmap */
static const uint8_t strings[] = {LOOP, STRING_LEAST, STRING, NEXT, STOP};
static const uint8_t string_pairs[] = {LOOP, 2 * STRING_LEAST, STRING, STRING, NEXT, STOP};
static const uint8_t zset[] = {LOOP, STRING_LEAST + DOUBLE_LEAST, STRING, TEXT_DOUBLE, NEXT, STOP};
static const uint8_t zset_2[] = {LOOP, STRING_LEAST + 8, STRING, BYTES_8, NEXT, STOP};
static const uint8_t quicklist_2[] = {LOOP, NUMBER_LEAST + STRING_LEAST, NODE_KIND, STRING, NEXT, STOP};
/* The earliest expiry of all fields; then each field's, relative to it, plus 1, or 0 for none. */
static const uint8_t hash_metadata[] = {BYTES_8, LOOP, NUMBER_LEAST + 2 * STRING_LEAST, NUMBER, STRING, STRING, NEXT, STOP};
static const uint8_t hash_listpack_ex[] = {BYTES_8, STRING, STOP};
/* field, value, absolute milliseconds or -1 */
static const uint8_t valkey_hash_2[] = {LOOP, 2 * STRING_LEAST + 8, STRING, STRING, BYTES_8, NEXT, STOP};
static const uint8_t module_2[] = {NUMBER, MODULE, STOP};

/* Streams of the three formats differ in what stands between these parts. */
#define STREAM_NODES LOOP, ID_LEAST + STRING_LEAST, STREAM_ID_STRING, STRING, NEXT
#define STREAM_HEAD NUMBER, NUMBER, NUMBER                   /* length, last id */
#define STREAM_HEAD_2 NUMBER, NUMBER, NUMBER, NUMBER, NUMBER /* first id, greatest deleted id, entries added */
#define STREAM_GROUP_PENDING LOOP, 16 + 8 + NUMBER_LEAST, BYTES_16, BYTES_8, NUMBER, NEXT /* id, delivered at, times delivered */
#define STREAM_CONSUMER_PENDING LOOP, 16, BYTES_16, NEXT
#define STREAM_CONSUMERS LOOP, STRING_LEAST + 8 + LOOP_LEAST, STRING, BYTES_8, STREAM_CONSUMER_PENDING, NEXT
#define STREAM_CONSUMERS_3 LOOP, STRING_LEAST + 16 + LOOP_LEAST, STRING, BYTES_8, BYTES_8, STREAM_CONSUMER_PENDING, NEXT

static const uint8_t stream[] = {STREAM_NODES,     STREAM_HEAD, LOOP,   STRING_LEAST + 2 * NUMBER_LEAST + 2 * LOOP_LEAST,
				 STRING,           NUMBER,      NUMBER, STREAM_GROUP_PENDING,
				 STREAM_CONSUMERS, NEXT,        STOP};
static const uint8_t stream_2[] = {
	STREAM_NODES,     STREAM_HEAD, STREAM_HEAD_2, LOOP,   STRING_LEAST + 3 * NUMBER_LEAST + 2 * LOOP_LEAST,
	STRING,           NUMBER,      NUMBER,        NUMBER, STREAM_GROUP_PENDING,
	STREAM_CONSUMERS, NEXT,        STOP};
static const uint8_t stream_3[] = {STREAM_NODES,
				   STREAM_HEAD,
				   STREAM_HEAD_2,
				   LOOP,
				   STRING_LEAST + 3 * NUMBER_LEAST + 2 * LOOP_LEAST,
				   STRING,
				   NUMBER,
				   NUMBER,
				   NUMBER,
				   STREAM_GROUP_PENDING,
				   STREAM_CONSUMERS_3,
				   NEXT,
				   STOP};

static const uint8_t *const layouts[] = {
	[RDB_TYPE_STRING] = packed,
	[RDB_TYPE_LIST] = strings,
	[RDB_TYPE_SET] = strings,
	[RDB_TYPE_ZSET] = zset,
	[RDB_TYPE_HASH] = string_pairs,
	[RDB_TYPE_ZSET_2] = zset_2,
	[RDB_TYPE_MODULE_2] = module_2,
	[RDB_TYPE_HASH_ZIPMAP] = packed,
	[RDB_TYPE_LIST_ZIPLIST] = packed,
	[RDB_TYPE_SET_INTSET] = packed,
	[RDB_TYPE_ZSET_ZIPLIST] = packed,
	[RDB_TYPE_HASH_ZIPLIST] = packed,
	[RDB_TYPE_LIST_QUICKLIST] = strings,
	[RDB_TYPE_STREAM_LISTPACKS] = stream,
	[RDB_TYPE_HASH_LISTPACK] = packed,
	[RDB_TYPE_ZSET_LISTPACK] = packed,
	[RDB_TYPE_LIST_QUICKLIST_2] = quicklist_2,
	[RDB_TYPE_STREAM_LISTPACKS_2] = stream_2,
	[RDB_TYPE_SET_LISTPACK] = packed,
	[RDB_TYPE_STREAM_LISTPACKS_3] = stream_3,
	[RDB_TYPE_HASH_METADATA] = hash_metadata,
	[RDB_TYPE_HASH_LISTPACK_EX] = hash_listpack_ex,
};

/* What a module opcode announces; then the next one. */
static const uint8_t module_items[][3] = {
	[RDB_MODULE_SINT] = {NUMBER, MODULE, STOP},   [RDB_MODULE_UINT] = {NUMBER, MODULE, STOP},
	[RDB_MODULE_FLOAT] = {BYTES_4, MODULE, STOP}, [RDB_MODULE_DOUBLE] = {BYTES_8, MODULE, STOP},
	[RDB_MODULE_STRING] = {STRING, MODULE, STOP},
};

static bool begin(struct rdb_walk *walk, const uint8_t *layout, uint64_t at)
{
	walk->step = layout;
	walk->at = at;
	walk->least = 0;
	walk->depth = 0;
	return layout != NULL;
}

bool rdb_walk_value(struct rdb_walk *walk, uint8_t type, bool valkey, uint64_t at)
{
	if (rdb_type_version(type, valkey) == 0)
		return false;
	return begin(walk, valkey && type == RDB_TYPE_VALKEY_HASH_2 ? valkey_hash_2 : layouts[type], at);
}

bool rdb_walk_opcode(struct rdb_walk *walk, uint8_t opcode, bool valkey, uint64_t at)
{
	static const uint8_t select_db[] = {NUMBER, STOP};
	static const uint8_t resize_db[] = {NUMBER, NUMBER, STOP};
	static const uint8_t aux[] = {STRING, STRING, STOP};
	static const uint8_t module_aux[] = {NUMBER, UINT_MARK, NUMBER, MODULE, STOP};
	/* the job's name, and the slot ranges it takes over */
	static const uint8_t slot_import[] = {STRING, LOOP, 2 * NUMBER_LEAST, NUMBER, NUMBER, NEXT, STOP};

	switch (opcode) {
	case RDB_OPCODE_SELECTDB: return begin(walk, select_db, at);
	case RDB_OPCODE_RESIZEDB: return begin(walk, resize_db, at);
	case RDB_OPCODE_AUX: return begin(walk, aux, at);
	case RDB_OPCODE_FUNCTION2: return begin(walk, packed, at);
	case RDB_OPCODE_MODULE_AUX: return begin(walk, module_aux, at);
	case RDB_OPCODE_SLOT_IMPORT: return begin(walk, valkey ? slot_import : NULL, at);
	default: return false;
	}
}

/* ---- the walk ---- */

static enum parse bad(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){offset, what};
	return PARSE_BAD;
}

/* A length at walk->at, all of it there. Advances behind it. */
static enum parse take_number(struct rdb_walk *walk, struct slice in, uint64_t *number, uint64_t *need, struct parse_fault *fault)
{
	unsigned size;

	if (walk->at >= in.len) {
		*need = walk->at + 1;
		return PARSE_MORE;
	}
	size = rdb_length_size(in.data[walk->at]);
	if (size == 0)
		return bad(fault, walk->at, "a length or number is expected, and this is none");
	if (in.len - walk->at < size) {
		*need = walk->at + size;
		return PARSE_MORE;
	}
	*number = rdb_length_decode(in.data + walk->at, size);
	walk->at += size;
	return PARSE_OK;
}

static enum parse take_string(struct rdb_walk *walk, struct slice in, uint64_t *stored, uint64_t *need, struct parse_fault *fault)
{
	struct rdb_string string;
	enum parse answer;

	if (walk->at < in.len && in.data[walk->at] < 0x40) { /* by far the most */
		*stored = in.data[walk->at];
		walk->at += 1 + *stored;
		return PARSE_OK;
	}
	answer = rdb_string_read(in, walk->at, &string, need, fault);
	if (answer == PARSE_OK) {
		walk->at += string.header + string.stored;
		*stored = string.form == RDB_STRING_RAW ? string.stored : UINT64_MAX;
	}
	return answer;
}

/* Steps over bytes that need not be there yet; but one after the other only as far as there are any, or a damaged count
 * would keep a loop of nothing else going for hours. */
static enum parse take_bytes(struct rdb_walk *walk, struct slice in, unsigned len, uint64_t *need)
{
	if (walk->at > in.len) {
		*need = walk->at + len;
		return PARSE_MORE;
	}
	walk->at += len;
	return PARSE_OK;
}

static enum parse take_text_double(struct rdb_walk *walk, struct slice in, uint64_t *need)
{
	uint8_t len;

	if (walk->at >= in.len) {
		*need = walk->at + 1;
		return PARSE_MORE;
	}
	len = in.data[walk->at];
	walk->at += 1 + (len < 253 ? len : 0U);
	return PARSE_OK;
}

/* Enters a loop; walk->step points behind LOOP's operand. */
static enum parse enter_loop(struct rdb_walk *walk, uint64_t count, uint64_t start, struct parse_fault *fault)
{
	uint64_t least = walk->step[-1];

	if (count > RDB_LENGTH_MAX)
		return bad(fault, start, "a count of elements is impossible");
	if (count == 0) {
		for (unsigned open = 1; open > 0; walk->step++) {
			if (*walk->step == LOOP) {
				open++;
				walk->step++; /* the operand could look like a step */
			} else if (*walk->step == NEXT) {
				open--;
			}
		}
		return PARSE_OK;
	}
	walk->loop[walk->depth].body = walk->step;
	walk->loop[walk->depth].left = count - 1;
	walk->loop[walk->depth].least = least;
	walk->depth++;
	walk->least += (count - 1) * least;
	return PARSE_OK;
}

static void next_iteration(struct rdb_walk *walk)
{
	unsigned top = walk->depth - 1;

	if (walk->loop[top].left == 0) {
		walk->depth--;
		walk->step++;
		return;
	}
	walk->loop[top].left--;
	walk->least -= walk->loop[top].least;
	walk->step = walk->loop[top].body;
}

/* One step that looks at bytes. The step counter moves only when it is OK. */
static enum parse run_step(struct rdb_walk *walk, struct slice in, uint64_t *need, struct parse_fault *fault)
{
	uint64_t start = walk->at;
	uint64_t number = 0;
	enum parse answer;

	switch ((enum step) * walk->step) {
	case STRING: answer = take_string(walk, in, &number, need, fault); break;
	case STREAM_ID_STRING:
		answer = take_string(walk, in, &number, need, fault);
		if (answer == PARSE_OK && number != 16)
			return bad(fault, start, "a stream's node has an id that is not 16 bytes long");
		break;
	case NUMBER: answer = take_number(walk, in, &number, need, fault); break;
	case BYTES_4: answer = take_bytes(walk, in, 4, need); break;
	case BYTES_8: answer = take_bytes(walk, in, 8, need); break;
	case BYTES_16: answer = take_bytes(walk, in, 16, need); break;
	case TEXT_DOUBLE: answer = take_text_double(walk, in, need); break;
	case NODE_KIND:
		answer = take_number(walk, in, &number, need, fault);
		if (answer == PARSE_OK && number != 1 && number != 2)
			return bad(fault, start, "a list's node is neither plain nor packed");
		break;
	case UINT_MARK:
		answer = take_number(walk, in, &number, need, fault);
		if (answer == PARSE_OK && number != RDB_MODULE_UINT)
			return bad(fault, start, "module data do not begin with their place");
		break;
	case MODULE:
		answer = take_number(walk, in, &number, need, fault);
		if (answer != PARSE_OK || number == RDB_MODULE_EOF)
			break;
		if (number > RDB_MODULE_STRING)
			return bad(fault, start, "a module value holds an item of unknown kind");
		walk->step = module_items[number];
		return PARSE_OK;
	case LOOP:
		answer = take_number(walk, in, &number, need, fault);
		if (answer != PARSE_OK)
			break;
		walk->step += 2;
		return enter_loop(walk, number, start, fault);
	default: return bad(fault, start, "no such step");
	}
	if (answer == PARSE_OK)
		walk->step++;
	return answer;
}

enum parse rdb_walk_run(struct rdb_walk *walk, struct slice in, uint64_t *need, struct parse_fault *fault)
{
	for (;;) {
		enum parse answer;

		if (*walk->step == STOP) {
			if (walk->at <= in.len)
				return PARSE_OK;
			*need = walk->at;
			return PARSE_MORE;
		}
		if (*walk->step == NEXT) {
			next_iteration(walk);
			continue;
		}
		answer = run_step(walk, in, need, fault);
		if (answer == PARSE_MORE)
			*need += walk->least;
		if (answer != PARSE_OK)
			return answer;
	}
}
