#include "wire/rdb.h"

#include <liblzf/lzf.h>
#include <stdio.h>

/* One back reference of three bytes stands for at most 264 plain bytes: no honest LZF text is longer than 88 times its size. */
#define LZF_EXPANSION_MAX 88

/* ---- types ---- */

struct type_facts {
	uint8_t version; /* 0: cannot be read */
	const char *name;
};

static const struct type_facts redis_types[] = {
	[RDB_TYPE_STRING] = {6, "string"},
	[RDB_TYPE_LIST] = {6, "list"},
	[RDB_TYPE_SET] = {6, "set"},
	[RDB_TYPE_ZSET] = {6, "zset"},
	[RDB_TYPE_HASH] = {6, "hash"},
	[RDB_TYPE_ZSET_2] = {8, "zset"},
	[RDB_TYPE_MODULE_2] = {8, "module"},
	[RDB_TYPE_HASH_ZIPMAP] = {6, "hash"},
	[RDB_TYPE_LIST_ZIPLIST] = {6, "list"},
	[RDB_TYPE_SET_INTSET] = {6, "set"},
	[RDB_TYPE_ZSET_ZIPLIST] = {6, "zset"},
	[RDB_TYPE_HASH_ZIPLIST] = {6, "hash"},
	[RDB_TYPE_LIST_QUICKLIST] = {7, "list"},
	[RDB_TYPE_STREAM_LISTPACKS] = {9, "stream"},
	[RDB_TYPE_HASH_LISTPACK] = {10, "hash"},
	[RDB_TYPE_ZSET_LISTPACK] = {10, "zset"},
	[RDB_TYPE_LIST_QUICKLIST_2] = {10, "list"},
	[RDB_TYPE_STREAM_LISTPACKS_2] = {10, "stream"},
	[RDB_TYPE_SET_LISTPACK] = {11, "set"},
	[RDB_TYPE_STREAM_LISTPACKS_3] = {11, "stream"},
	[RDB_TYPE_HASH_METADATA] = {12, "hash"},
	[RDB_TYPE_HASH_LISTPACK_EX] = {12, "hash"},
};

/* Valkey took over the types up to 21 and then went its own way. */
static const struct type_facts valkey_hash_2 = {80, "hash"};

static const struct type_facts *type_facts(uint8_t type, bool valkey)
{
	static const struct type_facts unknown = {0, NULL};

	if (valkey && type > RDB_TYPE_STREAM_LISTPACKS_3)
		return type == RDB_TYPE_VALKEY_HASH_2 ? &valkey_hash_2 : &unknown;
	return type < sizeof(redis_types) / sizeof(redis_types[0]) ? &redis_types[type] : &unknown;
}

int rdb_type_version(uint8_t type, bool valkey)
{
	return type_facts(type, valkey)->version;
}

bool rdb_type_has_field_expiry(uint8_t type, bool valkey)
{
	return valkey ? type == RDB_TYPE_VALKEY_HASH_2 : type == RDB_TYPE_HASH_METADATA || type == RDB_TYPE_HASH_LISTPACK_EX;
}

const char *rdb_type_name(uint8_t type, bool valkey)
{
	return type_facts(type, valkey)->name;
}

const char *rdb_type_refusal(uint8_t type, bool valkey)
{
	if (type == RDB_TYPE_MODULE_PRE_GA)
		return "was written only by release candidates of Redis 4.0";
	if (type == RDB_OPCODE_FUNCTION_PRE_GA)
		return "was written only by release candidates of Redis 7.0";
	if (!valkey && (type == RDB_TYPE_HASH_METADATA_PRE_GA || type == RDB_TYPE_HASH_LISTPACK_EX_PRE_GA))
		return "was written only by release candidates of Redis 7.4";
	if (!valkey && type == RDB_OPCODE_SLOT_IMPORT)
		return "is module metadata of keys, of Redis 8.4 and later";
	return "is not known: the data are damaged, or of a newer server";
}

const char *rdb_module_name(uint64_t id, char out[RDB_MODULE_NAME_LEN + 1])
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	for (unsigned i = 0; i < RDB_MODULE_NAME_LEN; i++)
		out[i] = letters[id >> (58 - 6 * i) & 0x3f];
	out[RDB_MODULE_NAME_LEN] = '\0';
	return out;
}

/* ---- magic ---- */

enum parse rdb_magic_read(struct slice in, uint32_t *version, bool *valkey, struct parse_fault *fault)
{
	static const struct slice families[] = {SLICE("REDIS"), SLICE("VALKEY")};

	/* The first byte tells the families apart: what cannot become a magic is BAD at once, however little of it is here. */
	for (unsigned f = 0; f < 2; f++) {
		size_t letters = families[f].len;
		size_t seen = in.len < letters ? in.len : letters;
		uint32_t number = 0;

		if (memcmp(in.data, families[f].data, seen) != 0)
			continue;
		for (size_t i = letters; i < RDB_MAGIC_LEN && i < in.len; i++) {
			if (in.data[i] < '0' || in.data[i] > '9') {
				*fault = (struct parse_fault){i, "the RDB version is not a number"};
				return PARSE_BAD;
			}
			number = number * 10 + (in.data[i] - '0');
		}
		if (in.len < RDB_MAGIC_LEN)
			return PARSE_MORE;
		if (number == 0) {
			*fault = (struct parse_fault){letters, "the RDB version is 0"};
			return PARSE_BAD;
		}
		*version = number;
		*valkey = f == 1;
		return PARSE_OK;
	}
	*fault = (struct parse_fault){0, "it begins neither with REDIS nor with VALKEY: not an RDB file"};
	return PARSE_BAD;
}

/* ---- writing ---- */

void rdb_magic_write(char out[RDB_MAGIC_LEN + 1], uint32_t version, bool valkey)
{
	snprintf(out, RDB_MAGIC_LEN + 1, valkey ? "VALKEY%03u" : "REDIS%04u", version % (valkey ? 1000 : 10000));
}

size_t rdb_put_length(uint8_t *out, uint64_t length)
{
	unsigned bytes = length > UINT32_MAX ? 8 : 4;

	if (length < 1 << 6) {
		out[0] = (uint8_t)length;
		return 1;
	}
	if (length < 1 << 14) {
		out[0] = (uint8_t)(0x40 | length >> 8);
		out[1] = (uint8_t)length;
		return 2;
	}
	out[0] = bytes == 8 ? 0x81 : 0x80;
	for (unsigned i = 0; i < bytes; i++)
		out[1 + i] = (uint8_t)(length >> (8 * (bytes - 1 - i)));
	return 1 + bytes;
}

/* ---- strings ---- */

static enum parse bad(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){offset, what};
	return PARSE_BAD;
}

static enum parse more(uint64_t *need, uint64_t at)
{
	*need = at;
	return PARSE_MORE;
}

static enum parse read_lzf(struct slice in, uint64_t at, struct rdb_string *ret, uint64_t *need, struct parse_fault *fault)
{
	uint64_t lengths[2];
	uint64_t next = at + 1;

	for (unsigned i = 0; i < 2; i++) {
		unsigned size;

		if (next >= in.len)
			return more(need, next + 2 - i);
		size = rdb_length_size(in.data[next]);
		if (size == 0)
			return bad(fault, next, "a compressed string's length is not a length");
		if (in.len - next < size)
			return more(need, next + size + 1 - i);
		lengths[i] = rdb_length_decode(in.data + next, size);
		next += size;
	}
	if (lengths[0] > RDB_LENGTH_MAX || lengths[1] > lengths[0] * LZF_EXPANSION_MAX)
		return bad(fault, at, "a compressed string's lengths are impossible");
	*ret = (struct rdb_string){RDB_STRING_LZF, (uint32_t)(next - at), lengths[0], lengths[1]};
	return PARSE_OK;
}

enum parse rdb_string_read(struct slice in, uint64_t at, struct rdb_string *ret, uint64_t *need, struct parse_fault *fault)
{
	unsigned size;
	uint64_t length;
	uint8_t first;

	if (at >= in.len)
		return more(need, at + 1);
	first = in.data[at];
	size = rdb_length_size(first);
	if (size > 0) {
		if (in.len - at < size)
			return more(need, at + size);
		length = rdb_length_decode(in.data + at, size);
		if (length > RDB_LENGTH_MAX)
			return bad(fault, at, "a string's length is impossible");
		*ret = (struct rdb_string){RDB_STRING_RAW, size, length, length};
		return PARSE_OK;
	}
	switch (first) {
	case 0xc0:
	case 0xc1:
	case 0xc2: *ret = (struct rdb_string){RDB_STRING_INTEGER, 1, 1U << (first & 3), 0}; return PARSE_OK;
	case 0xc3: return read_lzf(in, at, ret, need, fault);
	default: return bad(fault, at, "a string's form is not known");
	}
}

const char *rdb_string_plain(const struct rdb_string *string, const uint8_t *bytes, struct buffer *memory, struct slice *ret)
{
	uint64_t raw;
	int64_t number;

	if (string->form == RDB_STRING_RAW) {
		*ret = slice_make(bytes, string->stored);
		return NULL;
	}
	buffer_clear(memory);
	if (string->form == RDB_STRING_INTEGER) {
		raw = rdb_little_endian(bytes, (unsigned)string->stored);
		number = string->stored == 1 ? (int8_t)raw : string->stored == 2 ? (int16_t)raw : (int32_t)raw;
		if (!buffer_printf(memory, "%lld", (long long)number))
			return "an integer does not fit";
		*ret = buffer_readable(memory);
		return NULL;
	}
	/* liblzf reads a first byte unasked and counts in 32 bits. */
	if (string->stored == 0 || string->plain == 0)
		return "a compressed string is empty";
	if (string->stored > UINT32_MAX || string->plain > UINT32_MAX || !buffer_reserve(memory, string->plain))
		return "a compressed string is too long to be decompressed here";
	if (lzf_decompress(bytes, (unsigned)string->stored, memory->data + memory->end, (unsigned)string->plain) != string->plain)
		return "a compressed string is damaged";
	buffer_produced(memory, string->plain);
	*ret = buffer_readable(memory);
	return NULL;
}
