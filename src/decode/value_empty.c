#include "decode/value_empty.h"

#include "wire/rdb.h"

/* Of the packed forms without elements; all of them are stored as plain strings, being too short to be compressed. */
#define ZIPMAP_EMPTY 2
#define ZIPLIST_EMPTY 11
#define INTSET_EMPTY 8
#define LISTPACK_EMPTY 7

/* The value begins with a string of that length, which is not compressed and takes it to `end`. */
static bool is_string(struct slice value, size_t at, uint8_t len, size_t *end)
{
	if (value.len < at + 1u + len || value.data[at] != len)
		return false;
	*end = at + 1u + len;
	return true;
}

/* Nodes that hold nothing: a packed string each, behind its container's kind in the second form. */
static bool is_empty_quicklist(struct slice value, bool second)
{
	size_t at = 1;

	if (value.len == 0 || value.data[0] >= 64)
		return false;
	for (unsigned nodes = value.data[0]; nodes > 0; nodes--) {
		if (at == value.len)
			return false;
		if (second && value.data[at++] != 2)
			return false;
		if (!is_string(value, at, second ? LISTPACK_EMPTY : ZIPLIST_EMPTY, &at))
			return false;
	}
	return at == value.len;
}

bool value_is_empty(uint8_t type, struct slice value)
{
	size_t end;

	switch (type) {
	case RDB_TYPE_LIST:
	case RDB_TYPE_SET:
	case RDB_TYPE_ZSET:
	case RDB_TYPE_ZSET_2:
	case RDB_TYPE_HASH: return value.len == 1 && value.data[0] == 0;
	case RDB_TYPE_HASH_ZIPMAP: return is_string(value, 0, ZIPMAP_EMPTY, &end);
	case RDB_TYPE_LIST_ZIPLIST:
	case RDB_TYPE_ZSET_ZIPLIST:
	case RDB_TYPE_HASH_ZIPLIST: return is_string(value, 0, ZIPLIST_EMPTY, &end);
	case RDB_TYPE_SET_INTSET: return is_string(value, 0, INTSET_EMPTY, &end);
	case RDB_TYPE_HASH_LISTPACK:
	case RDB_TYPE_ZSET_LISTPACK:
	case RDB_TYPE_SET_LISTPACK: return is_string(value, 0, LISTPACK_EMPTY, &end);
	case RDB_TYPE_LIST_QUICKLIST: return is_empty_quicklist(value, false);
	case RDB_TYPE_LIST_QUICKLIST_2: return is_empty_quicklist(value, true);
	default: return false;
	}
}
