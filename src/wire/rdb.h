/* The RDB format's building blocks: opcodes, value types, lengths, strings.
 *
 *     file    = magic { opcode ... | [expiry] [idle|freq] type key value } EOF-opcode [crc64]
 *     magic   = "REDIS" + 4 digits, or "VALKEY" + 3 digits (9 bytes either way): the RDB version
 *     length  = 00nnnnnn | 01nnnnnn n | 80 n*4 | 81 n*8          (big-endian; 64 bits since version 8)
 *     string  = length bytes | C0 i8 | C1 i16 | C2 i32 | C3 length(compressed) length(plain) LZF-bytes
 *               (integers little-endian)
 *     DUMP    = type value version(2 bytes, little-endian) crc64(8 bytes, little-endian, over all before it)
 *
 * Sources: src/rdb.h and src/rdb.c of Redis 2.8 to 8.0 and of Valkey 8.0 to 9.1; checked against files that real servers of
 * 15 versions wrote (the tests' fixtures). Layouts of whole values: wire/rdb_walk.c.
 * Thread: none. */
#ifndef KEYFERRY_WIRE_RDB_H
#define KEYFERRY_WIRE_RDB_H

#include "base/buffer.h"
#include "base/slice.h"
#include "wire/parse.h"

#define RDB_MAGIC_LEN 9
#define RDB_CHECKSUM_LEN 8
#define RDB_CHECKSUM_SINCE 5         /* the RDB version from which the checksum follows EOF; eight zero bytes: none was made */
#define RDB_LENGTH_MAX (1ULL << 40)  /* a longer string, or more elements, is damage and not data */
#define RDB_PLAIN_MAX (512ULL << 20) /* decompressed strings: Redis's own limit of a string, unless raised by its operator */
#define RDB_DATABASES_MAX (1U << 30) /* servers number databases with a signed int */

enum rdb_opcode {
	RDB_OPCODE_SLOT_IMPORT = 243,     /* Valkey 9, cluster: slots being taken over; in Redis 8.4 module metadata */
	RDB_OPCODE_SLOT_INFO = 244,       /* Redis 7.4, cluster: slot, keys, keys with expiry */
	RDB_OPCODE_FUNCTION2 = 245,       /* 7.0: a library's code */
	RDB_OPCODE_FUNCTION_PRE_GA = 246, /* release candidates of 7.0 */
	RDB_OPCODE_MODULE_AUX = 247,      /* 5.0 */
	RDB_OPCODE_IDLE = 248,            /* 5.0: seconds, before a key */
	RDB_OPCODE_FREQ = 249,            /* 5.0: one byte, before a key */
	RDB_OPCODE_AUX = 250,             /* 3.2: name, value */
	RDB_OPCODE_RESIZEDB = 251,        /* 3.2: keys, keys with expiry */
	RDB_OPCODE_EXPIRETIME_MS = 252,   /* 8 bytes, before a key */
	RDB_OPCODE_EXPIRETIME = 253,      /* 4 bytes, seconds, before a key: before 2.6 */
	RDB_OPCODE_SELECTDB = 254,
	RDB_OPCODE_EOF = 255,
};
/* Bytes from here on are opcodes, those below are value types: types are given out upwards from 0, opcodes downwards from 255. */
#define RDB_OPCODE_FIRST 200

enum rdb_type {
	RDB_TYPE_STRING = 0,
	RDB_TYPE_LIST = 1,
	RDB_TYPE_SET = 2,
	RDB_TYPE_ZSET = 3, /* scores as text */
	RDB_TYPE_HASH = 4,
	RDB_TYPE_ZSET_2 = 5,        /* scores as 8-byte doubles */
	RDB_TYPE_MODULE_PRE_GA = 6, /* release candidates of 4.0 */
	RDB_TYPE_MODULE_2 = 7,
	RDB_TYPE_HASH_ZIPMAP = 9,
	RDB_TYPE_LIST_ZIPLIST = 10,
	RDB_TYPE_SET_INTSET = 11,
	RDB_TYPE_ZSET_ZIPLIST = 12,
	RDB_TYPE_HASH_ZIPLIST = 13,
	RDB_TYPE_LIST_QUICKLIST = 14,
	RDB_TYPE_STREAM_LISTPACKS = 15,
	RDB_TYPE_HASH_LISTPACK = 16,
	RDB_TYPE_ZSET_LISTPACK = 17,
	RDB_TYPE_LIST_QUICKLIST_2 = 18,
	RDB_TYPE_STREAM_LISTPACKS_2 = 19,
	RDB_TYPE_SET_LISTPACK = 20,
	RDB_TYPE_STREAM_LISTPACKS_3 = 21,
	RDB_TYPE_VALKEY_HASH_2 = 22,           /* magic VALKEY: field, value, expiry */
	RDB_TYPE_HASH_METADATA_PRE_GA = 22,    /* magic REDIS: release candidates of 7.4 */
	RDB_TYPE_HASH_LISTPACK_EX_PRE_GA = 23, /* likewise */
	RDB_TYPE_HASH_METADATA = 24,
	RDB_TYPE_HASH_LISTPACK_EX = 25,
};

enum rdb_module_opcode {
	RDB_MODULE_EOF = 0,
	RDB_MODULE_SINT = 1,
	RDB_MODULE_UINT = 2,
	RDB_MODULE_FLOAT = 3,
	RDB_MODULE_DOUBLE = 4,
	RDB_MODULE_STRING = 5,
};

/* ---- types ---- */

/* A hash whose fields may have times of expiry. */
bool rdb_type_has_field_expiry(uint8_t type, bool valkey);
/* The RDB version in which a value type first appeared: a DUMP payload of that type may carry this version, and every server that
 * knows it takes the payload, however old. `valkey`: the type stands in a file or payload of Valkey's own versions (80 and up).
 * 0: not known, or not readable (rdb_type_refusal() says why). */
int rdb_type_version(uint8_t type, bool valkey);
/* "string", "list", "set", "zset", "hash", "stream", "module"; NULL where rdb_type_version() is 0. */
const char *rdb_type_name(uint8_t type, bool valkey);
/* Why a value type or an opcode cannot be read, for an error: "was written only by release candidates of Redis 7.4". */
const char *rdb_type_refusal(uint8_t type, bool valkey);
/* A module value's or MODULE_AUX's id is nine 6-bit letters, the type's name, and a 10-bit version of its encoding. */
#define RDB_MODULE_NAME_LEN 9
const char *rdb_module_name(uint64_t id, char out[RDB_MODULE_NAME_LEN + 1]);

/* ---- magic ---- */

/* OK: version and family of the 9 bytes at `in`. */
enum parse rdb_magic_read(struct slice in, uint32_t *version, bool *valkey, struct parse_fault *fault);
/* The 9 bytes, and a NUL. */
void rdb_magic_write(char out[RDB_MAGIC_LEN + 1], uint32_t version, bool valkey);

/* ---- lengths ---- */

static inline uint64_t rdb_big_endian(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

static inline uint64_t rdb_little_endian(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	for (unsigned i = bytes; i-- > 0;)
		n = n << 8 | p[i];
	return n;
}

/* The bytes a length takes, told by its first byte: 1, 2, 5 or 9; 0: not a length (a string's integer or LZF form, or damage). */
static inline unsigned rdb_length_size(uint8_t first)
{
	if (first < 0x40)
		return 1;
	if (first < 0x80)
		return 2;
	return first == 0x80 ? 5 : first == 0x81 ? 9 : 0;
}

/* Decodes a length of rdb_length_size() bytes that are all there. */
static inline uint64_t rdb_length_decode(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return p[0];
	case 2: return (uint64_t)(p[0] & 0x3f) << 8 | p[1];
	case 5: return rdb_big_endian(p + 1, 4);
	default: return rdb_big_endian(p + 1, 8);
	}
}

/* Writes a length in its shortest form; returns the bytes it takes. */
#define RDB_LENGTH_BYTES_MAX 9
size_t rdb_put_length(uint8_t *out, uint64_t length);

static inline void rdb_put_little_endian(uint8_t *out, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(number >> (8 * i));
}

/* ---- strings ---- */

enum rdb_string_form { RDB_STRING_RAW, RDB_STRING_INTEGER, RDB_STRING_LZF };

/* Where a string's parts stand; nothing is decoded and its bytes are not touched. */
struct rdb_string {
	enum rdb_string_form form;
	uint32_t header; /* bytes before `stored` */
	uint64_t stored; /* bytes after the header: plain, compressed, or a little-endian integer of 1, 2 or 4 bytes */
	uint64_t plain;  /* RDB_STRING_RAW and RDB_STRING_LZF: the length of the plain bytes */
};

/* Reads the header of the string at in.data + at; the bytes after it need not be there. OK: *ret. MORE: *need is the
 * smallest in.len worth calling again with. BAD: *fault, with its offset counted from in.data. */
enum parse rdb_string_read(struct slice in, uint64_t at, struct rdb_string *ret, uint64_t *need, struct parse_fault *fault);

/* The plain bytes of a string that is whole: `bytes` are its stored bytes. A raw string is handed back as it is, others are
 * made in `memory`, which is cleared first (they live until it is used again; its max should be RDB_PLAIN_MAX). NULL: done;
 * else what is wrong with it (damaged LZF, longer than memory's max). */
const char *rdb_string_plain(const struct rdb_string *string, const uint8_t *bytes, struct buffer *memory, struct slice *ret);

#endif
