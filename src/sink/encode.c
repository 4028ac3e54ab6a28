#include "sink/encode.h"

#include "base/clock.h"
#include "wire/crc64.h"
#include "wire/rdb.h"
#include "wire/resp.h"

#include <string.h>

/* Footer of a DUMP payload: RDB version (2 bytes, little endian) and CRC64 of all before it (8 bytes, little endian). Source: cluster.c of Redis,
 * createDumpPayload(). */
#define FOOTER_LEN 10
/* Room for everything around key and value: array and bulk headers, names of command and options, a time, the footer. */
#define AROUND_MAX 256
/* The checksum walk over a large value lets go of its pages this often. */
#define WALK_STEP (1 << 20)
/* A payload is longer than the value by type, footer, and what a plain string gains by being unpacked. */
#define BULK_SLACK 64

static uint8_t *put(uint8_t *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static uint8_t *put_bulk(uint8_t *at, const void *data, size_t len)
{
	at += resp_put_bulk_header(at, len);
	at = put(at, data, len);
	return PUT(at, "\r\n");
}

static uint8_t *put_number(uint8_t *at, int64_t number)
{
	uint8_t digits[24];

	return put_bulk(at, digits, resp_put_int64(digits, number));
}

static uint8_t *put_little_endian(uint8_t *at, uint64_t number, unsigned bytes)
{
	rdb_put_little_endian(at, number, bytes);
	return at + bytes;
}

static void add_piece(struct unit *unit, const uint8_t *data, size_t len)
{
	unit->pieces[unit->piece_count++] = slice_make(data, len);
}

/* header, then the value (copied when small, referenced otherwise), then the tail; all but a referenced value in one allocation that begins at `memory`.
 * `at` is the end of the header. Returns where the tail has to be written. */
static uint8_t *place_value(struct unit *unit, uint8_t *memory, uint8_t *at, struct slice value, bool copy)
{
	if (copy)
		return put(at, value.data, value.len);
	add_piece(unit, memory, (size_t)(at - memory));
	add_piece(unit, value.data, value.len);
	return at;
}

static void finish_tail(struct window *window, struct unit *unit, uint8_t *memory, uint8_t *tail, uint8_t *end)
{
	if (unit->piece_count == 0)
		add_piece(unit, memory, (size_t)(end - memory));
	else
		add_piece(unit, tail, (size_t)(end - tail));
	window_trim(window, unit, end);
}

static void encode_set(struct window *window, struct unit *unit, const struct event *event, struct slice text,
		       const struct encode_options *options)
{
	bool copy = text.len <= ENCODE_COPY_MAX;
	bool expires = event->expire_at_ms != EXPIRE_NEVER;
	uint8_t *memory = window_alloc(window, unit, AROUND_MAX + event->key.len + (copy ? text.len : 0));
	uint8_t *at = memory;
	uint8_t *tail;

	*at++ = '*';
	*at++ = (uint8_t)('3' + (expires ? 2 : 0) + (options->replace ? 0 : 1));
	at = PUT(at, "\r\n$3\r\nSET\r\n");
	at = put_bulk(at, event->key.data, event->key.len);
	at += resp_put_bulk_header(at, text.len);
	at = tail = place_value(unit, memory, at, text, copy);
	at = PUT(at, "\r\n");
	if (expires) {
		at = PUT(at, "$4\r\nPXAT\r\n");
		at = put_number(at, event->expire_at_ms);
	}
	if (!options->replace)
		at = PUT(at, "$2\r\nNX\r\n");
	unit->replies = 1;
	finish_tail(window, unit, memory, tail, at);
}

static uint64_t checksum(const struct event *event, const struct encode_options *options, uint16_t version)
{
	uint64_t value_start = event->end - event->value.len;
	uint8_t around[2] = {event->type, 0};
	uint64_t crc = crc64(0, around, 1);

	for (size_t at = 0; at < event->value.len; at += WALK_STEP) {
		size_t part = event->value.len - at < WALK_STEP ? event->value.len - at : WALK_STEP;

		crc = crc64(crc, event->value.data + at, part);
		if (options->spool && event->value.len > WALK_STEP)
			spool_unload(options->spool, value_start + at, value_start + at + part);
	}
	put_little_endian(around, version, 2);
	return crc64(crc, around, 2);
}

static int64_t time_to_live(int64_t expire_at_ms)
{
	int64_t left = expire_at_ms - clock_wall_ms();

	return left > 0 ? left : 1;
}

static void encode_restore(struct window *window, struct unit *unit, const struct event *event, int version,
			   const struct encode_options *options)
{
	const struct target_abilities *target = &options->target;
	bool copy = event->value.len <= ENCODE_COPY_MAX;
	bool expires = event->expire_at_ms != EXPIRE_NEVER;
	bool absolute = expires && target->restore_absolute_ttl;
	bool replace = options->replace && target->restore_replace;
	bool delete_before = options->replace && !target->restore_replace;
	/* Where the key may be somebody else's, a command of its own would set the expiry of that one. */
	bool expire_after = expires && !absolute && options->replace;
	bool idle = target->keep_idle && event->idle_seconds >= 0;
	bool frequency = target->keep_idle && event->frequency >= 0 && !idle; /* RESTORE takes one of them */
	uint64_t crc = checksum(event, options, (uint16_t)version);
	uint8_t *memory = window_alloc(window, unit, 2 * AROUND_MAX + 3 * event->key.len + (copy ? event->value.len : 0));
	uint8_t *at = memory;
	uint8_t *tail;

	unit->replies = 1;
	if (delete_before) {
		at = PUT(at, "*2\r\n$3\r\nDEL\r\n");
		at = put_bulk(at, event->key.data, event->key.len);
		unit->replies++;
	}
	*at++ = '*';
	*at++ = (uint8_t)('4' + (replace ? 1 : 0) + (absolute ? 1 : 0) + (idle || frequency ? 2 : 0));
	at = PUT(at, "\r\n$7\r\nRESTORE\r\n");
	at = put_bulk(at, event->key.data, event->key.len);
	at = put_number(at, !expires || expire_after ? 0 : absolute ? event->expire_at_ms : time_to_live(event->expire_at_ms));
	at += resp_put_bulk_header(at, 1 + event->value.len + FOOTER_LEN);
	*at++ = event->type;
	at = tail = place_value(unit, memory, at, event->value, copy);
	at = put_little_endian(at, (uint64_t)version, 2);
	at = put_little_endian(at, crc, 8);
	at = PUT(at, "\r\n");
	if (replace)
		at = PUT(at, "$7\r\nREPLACE\r\n");
	if (absolute)
		at = PUT(at, "$6\r\nABSTTL\r\n");
	if (idle || frequency) {
		at = idle ? PUT(at, "$8\r\nIDLETIME\r\n") : PUT(at, "$4\r\nFREQ\r\n");
		at = put_number(at, idle ? event->idle_seconds : event->frequency);
	}
	if (expire_after) {
		at = PUT(at, "*3\r\n$9\r\nPEXPIREAT\r\n");
		at = put_bulk(at, event->key.data, event->key.len);
		at = put_number(at, event->expire_at_ms);
		unit->replies++;
	}
	finish_tail(window, unit, memory, tail, at);
}

/* The text of an integer-encoded string (RDB_ENC_INT8, 16, 32); false: it is another form. */
static bool integer_text(const struct event *event, uint8_t digits[24], struct slice *ret)
{
	const uint8_t *value = event->value.data;
	int64_t number;

	if (event->value.len == 2 && value[0] == 0xc0)
		number = (int8_t)value[1];
	else if (event->value.len == 3 && value[0] == 0xc1)
		number = (int16_t)(value[1] | value[2] << 8);
	else if (event->value.len == 5 && value[0] == 0xc2)
		number = (int32_t)((uint32_t)value[1] | (uint32_t)value[2] << 8 | (uint32_t)value[3] << 16 |
				   (uint32_t)value[4] << 24);
	else
		return false;
	*ret = slice_make(digits, resp_put_int64(digits, number));
	return true;
}

static bool takes_payload(const struct target_abilities *target, uint8_t type, bool source_valkey)
{
	int version = rdb_type_version(type, source_valkey);

	return target->valkey_rdb ? version <= 11 || version == 80 : version <= target->rdb_version;
}

/* What SET would be given; false: the string is compressed, the target cannot SET it with its expiry, or SET cannot carry all that is wanted. */
static bool set_text(const struct event *event, const struct target_abilities *target, uint8_t digits[24], struct slice *ret)
{
	if (target->keep_idle && (event->idle_seconds >= 0 || event->frequency >= 0))
		return false;
	if (event->type != RDB_TYPE_STRING || (event->expire_at_ms != EXPIRE_NEVER && !target->set_absolute_expiry))
		return false;
	*ret = event->string;
	return event->string.data || integer_text(event, digits, ret);
}

bool encode_possible(const struct event *event, const struct target_abilities *target, bool source_valkey)
{
	uint8_t digits[24];
	struct slice text;

	if (event->value.len + BULK_SLACK > target->bulk_max || (target->ends_at_modules && event->type == RDB_TYPE_MODULE_2))
		return false;
	return set_text(event, target, digits, &text) || takes_payload(target, event->type, source_valkey);
}

void encode_key(struct window *window, struct unit *unit, const struct event *event, const struct encode_options *options)
{
	uint8_t digits[24];
	struct slice text;

	if (set_text(event, &options->target, digits, &text))
		encode_set(window, unit, event, text, options);
	else
		encode_restore(window, unit, event, rdb_type_version(event->type, options->source_valkey), options);
}

void encode_command(struct window *window, struct unit *unit, uint32_t argc, const struct slice *argv)
{
	size_t len = 32;
	uint8_t *memory, *at;

	for (uint32_t i = 0; i < argc; i++)
		len += argv[i].len + 32;
	memory = at = window_alloc(window, unit, len);
	at += resp_put_array_header(at, argc);
	for (uint32_t i = 0; i < argc; i++)
		at = put_bulk(at, argv[i].data, argv[i].len);
	unit->replies = 1;
	add_piece(unit, memory, (size_t)(at - memory));
	window_trim(window, unit, at);
}

void encode_patched(struct window *window, struct unit *unit, struct slice raw, struct slice argument, struct slice instead)
{
	const uint8_t *from = argument.data, *behind = argument.data + argument.len + 2;
	bool copy = raw.len <= ENCODE_COPY_MAX;
	size_t before, rest = (size_t)(raw.data + raw.len - behind);
	uint8_t *memory, *at;

	/* Where its bulk begins: digits and line end do not hold the sign. */
	while (*--from != '$')
		;
	before = (size_t)(from - raw.data);
	memory = at = window_alloc(window, unit, AROUND_MAX + instead.len + (copy ? raw.len : 0));
	if (copy)
		at = put(at, raw.data, before);
	else
		add_piece(unit, raw.data, before);
	at = put_bulk(at, instead.data, instead.len);
	if (copy)
		at = put(at, behind, rest);
	add_piece(unit, memory, (size_t)(at - memory));
	if (!copy)
		add_piece(unit, behind, rest);
	unit->replies = 1;
	window_trim(window, unit, at);
}
