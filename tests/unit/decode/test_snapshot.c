/* The snapshot walk against everything that real servers wrote: what it finds, however the bytes arrive, and damage. */
#include "base/buffer.h"
#include "base/memory.h"
#include "decode/snapshot.h"
#include "fixture.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SMALL (20 * 1024)

/* ---- events kept for comparison ---- */

struct kept {
	struct event event; /* its slices' data are not used */
	uint8_t *key;
	uint8_t *value; /* of anything but a key, whose value is told by its place */
	uint64_t value_at;
	uint64_t string_at;          /* UINT64_MAX: none */
	struct snapshot_place place; /* behind the event */
};

struct kept_list {
	struct kept *items;
	size_t count;
	size_t room;
};

static uint8_t *copy(struct slice bytes)
{
	uint8_t *made = memory_alloc(bytes.len);

	if (bytes.len > 0)
		memcpy(made, bytes.data, bytes.len);
	return made;
}

static void keep(struct kept_list *list, const struct event *event, struct slice in, const struct snapshot_decoder *decoder)
{
	struct kept kept = {.event = *event, .key = copy(event->key), .place = snapshot_decoder_place(decoder)};

	if (event->kind == EVENT_KEY) {
		kept.value_at = (uint64_t)(event->value.data - in.data);
		assert_true(kept.value_at + event->value.len == event->end - event->start);
		kept.string_at = event->string.data ? (uint64_t)(event->string.data - in.data) : UINT64_MAX;
	} else {
		kept.value = copy(event->value);
	}
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 256;
		list->items = memory_realloc_array(list->items, list->room, sizeof(*list->items));
	}
	list->items[list->count++] = kept;
}

static void forget(struct kept_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
	free(list->items);
	*list = (struct kept_list){0};
}

static void assert_same(const struct kept *kept, const struct event *event, struct slice in)
{
	assert_int_equal(event->kind, kept->event.kind);
	assert_int_equal(event->edge, TRANSACTION_NONE);
	assert_int_equal(event->type, kept->event.type);
	assert_int_equal(event->db, kept->event.db);
	assert_int_equal(event->start, kept->event.start);
	assert_int_equal(event->end, kept->event.end);
	assert_int_equal(event->expire_at_ms, kept->event.expire_at_ms);
	assert_int_equal(event->idle_seconds, kept->event.idle_seconds);
	assert_int_equal(event->frequency, kept->event.frequency);
	assert_true(slice_equal(event->key, slice_make(kept->key, kept->event.key.len)));
	if (event->kind != EVENT_KEY) {
		assert_true(slice_equal(event->value, slice_make(kept->value, kept->event.value.len)));
		return;
	}
	assert_int_equal(event->value.len, kept->event.value.len);
	assert_int_equal(event->value.data - in.data, kept->value_at);
	assert_int_equal(event->string.len, kept->event.string.len);
	assert_true(kept->string_at == UINT64_MAX ? event->string.data == NULL : event->string.data == in.data + kept->string_at);
}

/* All events of a file that is there as a whole, with `base` as the position of its first byte. */
static struct kept_list decode_whole(const struct fixture *fixture, uint64_t base)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct kept_list list = {0};
	struct event event = {0};
	struct error error = {0};
	uint64_t need, scanned;

	for (uint64_t at = 0; event.kind != EVENT_SNAPSHOT_END || at == 0; at = event.end - base) {
		struct slice in = slice_make(fixture->data + at, fixture->len - at);

		if (snapshot_decode(decoder, in, base + at, &event, &need, &scanned, &error) != PARSE_OK)
			fail_msg("%s at %llu: %s", fixture->name, (unsigned long long)at, error.text);
		assert_int_equal(event.start, base + at);
		assert_true(event.end > event.start && event.end - base <= fixture->len);
		assert_int_equal(scanned, event.end - event.start);
		keep(&list, &event, in, decoder);
	}
	assert_int_equal(event.end - base, fixture->len);
	assert_int_equal(snapshot_decode(decoder, slice_make(fixture->data, 1), 0, &event, &need, &scanned, &error), PARSE_BAD);
	snapshot_decoder_free(decoder);
	return list;
}

/* ---- what is in the files ---- */

static struct kept_list sorted_keys;

static int compare_keys(const void *left, const void *right)
{
	const struct kept *a = left;
	const struct kept *b = right;
	size_t common = a->event.key.len < b->event.key.len ? a->event.key.len : b->event.key.len;
	int order;

	if (a->event.db != b->event.db)
		return a->event.db < b->event.db ? -1 : 1;
	order = memcmp(a->key, b->key, common);
	return order ? order : a->event.key.len < b->event.key.len ? -1 : a->event.key.len > b->event.key.len;
}

static void assert_string_value(const struct fixture *fixture, const struct kept *key, const json_t *expected)
{
	const uint8_t *value = fixture->data + key->event.start + key->value_at;
	struct buffer memory;
	struct rdb_string string;
	struct parse_fault fault;
	struct slice plain;
	uint64_t need;

	buffer_init(&memory, RDB_PLAIN_MAX);
	assert_int_equal(rdb_string_read(slice_make(value, key->event.value.len), 0, &string, &need, &fault), PARSE_OK);
	assert_int_equal(string.header + string.stored, key->event.value.len);
	assert_null(rdb_string_plain(&string, value + string.header, &memory, &plain));
	assert_true(fixture_string_equal(json_object_get(expected, "value"), plain));
	if (string.form == RDB_STRING_RAW) {
		assert_int_equal(key->string_at, key->value_at + string.header);
		assert_int_equal(key->event.string.len, plain.len);
	} else {
		assert_int_equal(key->string_at, UINT64_MAX);
	}
	buffer_free(&memory);
}

static const char *type_of(const struct fixture *fixture, const struct kept *key, char name[RDB_MODULE_NAME_LEN + 1])
{
	const uint8_t *value = fixture->data + key->event.start + key->value_at;

	if (key->event.type == RDB_TYPE_MODULE_2)
		return rdb_module_name(rdb_length_decode(value, rdb_length_size(value[0])), name);
	return rdb_type_name(key->event.type, key->place.valkey);
}

static void assert_keys(const struct fixture *fixture, const struct kept_list *list)
{
	FILE *file = fopen(fixture->expected, "r");
	char name[RDB_MODULE_NAME_LEN + 1];
	char *line = NULL;
	size_t room = 0;
	size_t at = 0;

	assert_non_null(file);
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].event.kind == EVENT_KEY)
			sorted_keys.items[sorted_keys.count++] = list->items[i];
	qsort(sorted_keys.items, sorted_keys.count, sizeof(*sorted_keys.items), compare_keys);
	for (; getline(&line, &room, file) > 0; at++) {
		json_t *expected = json_loads(line, 0, NULL);
		const struct kept *key = &sorted_keys.items[at];
		const json_t *ttl = json_object_get(expected, "ttl_at_ms");

		assert_non_null(expected);
		assert_true(at < sorted_keys.count);
		assert_int_equal(key->event.db, json_integer_value(json_object_get(expected, "db")));
		assert_true(fixture_string_equal(json_object_get(expected, "key"), slice_make(key->key, key->event.key.len)));
		assert_string_equal(type_of(fixture, key, name), json_string_value(json_object_get(expected, "type")));
		assert_int_equal(key->event.expire_at_ms, json_is_null(ttl) ? EXPIRE_NEVER : json_integer_value(ttl));
		if (key->event.type == RDB_TYPE_STRING)
			assert_string_value(fixture, key, expected);
		json_decref(expected);
	}
	assert_int_equal(at, sorted_keys.count);
	free(line);
	fclose(file);
}

/* Every body that the server told is an event of that kind, and there are no others. */
static void assert_bodies(const char *path, const char *field, enum event_kind kind, const struct kept_list *list)
{
	json_t *expected = json_load_file(path, 0, NULL);
	size_t found = 0;
	size_t i;
	json_t *entry;

	assert_non_null(expected);
	json_array_foreach (expected, i, entry) {
		const json_t *body = json_object_get(entry, field);
		bool met = false;

		for (size_t k = 0; k < list->count && !met; k++)
			met = list->items[k].event.kind == kind &&
			      fixture_string_equal(body, slice_make(list->items[k].value, list->items[k].event.value.len));
		assert_true(met);
	}
	for (size_t k = 0; k < list->count; k++)
		found += list->items[k].event.kind == kind;
	assert_int_equal(found, json_array_size(expected));
	json_decref(expected);
}

/* IDLE and FREQ are in the files of the policies that have them, from 5.0 on, and nowhere else. */
static void assert_use(const struct fixture *fixture, const struct kept_list *list)
{
	bool has = list->items[0].place.rdb_version >= 9;
	bool lru = has && strstr(fixture->name, "-lru");
	bool lfu = has && strstr(fixture->name, "-lfu");

	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].event.kind != EVENT_KEY)
			continue;
		assert_int_equal(list->items[i].event.idle_seconds >= 0, lru);
		assert_int_equal(list->items[i].event.frequency >= 0, lfu);
	}
}

static void check_content(const struct fixture *fixture)
{
	struct kept_list list = decode_whole(fixture, 0);
	uint32_t version = list.items[0].place.rdb_version;
	uint64_t checksum = rdb_little_endian(fixture->data + fixture->len - RDB_CHECKSUM_LEN, 8);

	assert_int_equal(list.items[0].event.end, RDB_MAGIC_LEN);
	assert_true((version >= 6 && version <= 12) || (version == 80 && list.items[0].place.valkey));
	assert_int_equal(checksum, fixture->checksum ? crc64(0, fixture->data, fixture->len - RDB_CHECKSUM_LEN) : 0);
	sorted_keys.items = memory_alloc_zero(list.count, sizeof(*sorted_keys.items));
	sorted_keys.count = 0;
	assert_keys(fixture, &list);
	for (size_t i = 0; i < sorted_keys.count; i++) {
		int since = rdb_type_version(sorted_keys.items[i].event.type, sorted_keys.items[i].place.valkey);

		assert_true(since >= 6 && since <= (int)version);
	}
	if (fixture->functions[0])
		assert_bodies(fixture->functions, "code", EVENT_FUNCTION, &list);
	/* Redis 4.0 to 6.2 store scripts; a later server's or an older one's list says only what had been loaded. */
	if (fixture->scripts[0] && (version == 8 || version == 9))
		assert_bodies(fixture->scripts, "script", EVENT_SCRIPT, &list);
	assert_use(fixture, &list);
	free(sorted_keys.items);
	forget(&list);
}

static void test_content(void **state)
{
	(void)state;
	assert_true(fixture_each(0, check_content) > 90);
}

/* ---- bytes that arrive in pieces ---- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % bound;
}

/* Decodes the kept event from its bytes as they become more by step() each time, each time in memory of exactly that size. */
static void decode_growing(struct snapshot_decoder *decoder, const struct fixture *fixture, uint64_t base,
			   const struct kept *kept, uint64_t (*step)(void))
{
	uint64_t start = kept->event.start - base;
	uint64_t length = kept->event.end - kept->event.start;
	uint64_t len = 0;
	uint64_t scanned_before = 0;
	struct error error = {0};

	for (;;) {
		/* Copying makes every read beyond the end a fault under the address sanitizer; large values are used in place. */
		bool exact = len <= 4096;
		uint8_t *memory = exact ? copy(slice_make(fixture->data + start, len)) : fixture->data + start;
		struct slice in = slice_make(memory, len);
		struct event event;
		uint64_t need = 0, scanned = 0;
		enum parse answer = snapshot_decode(decoder, in, kept->event.start, &event, &need, &scanned, &error);

		if (answer == PARSE_OK) {
			struct snapshot_place place = snapshot_decoder_place(decoder);

			assert_int_equal(len, length);
			assert_same(kept, &event, in);
			assert_int_equal(place.rdb_version, kept->place.rdb_version);
			assert_int_equal(place.valkey, kept->place.valkey);
			assert_int_equal(place.db, kept->place.db);
		} else {
			if (answer == PARSE_BAD)
				fail_msg("%s, %llu of %llu bytes: %s", fixture->name, (unsigned long long)len,
					 (unsigned long long)length, error.text);
			assert_true(len < length);
			assert_true(need > len && need <= length);
			assert_true(scanned <= len && scanned >= scanned_before);
			scanned_before = scanned;
		}
		if (exact)
			free(memory);
		if (answer == PARSE_OK)
			return;
		len += step();
		if (len > length)
			len = length;
	}
}

static uint64_t one_byte(void)
{
	return 1;
}

static uint64_t random_bytes(void)
{
	return 1 + random_below(random_below(8) == 0 ? 5000 : 12);
}

static void check_pieces(const struct fixture *fixture)
{
	const uint64_t base = 1ULL << 41; /* positions of a spool begin anywhere */
	struct kept_list list = decode_whole(fixture, base);
	struct snapshot_decoder *single = snapshot_decoder_new();
	struct snapshot_decoder *split = snapshot_decoder_new();

	random_state = 88172645463325252ULL;
	for (size_t i = 0; i < list.count; i++) {
		decode_growing(single, fixture, base, &list.items[i], one_byte);
		decode_growing(split, fixture, base, &list.items[i], random_bytes);
	}
	snapshot_decoder_free(single);
	snapshot_decoder_free(split);
	forget(&list);
}

static void test_pieces(void **state)
{
	(void)state;
	fixture_each(0, check_pieces);
}

static uint64_t everything(void)
{
	return UINT32_MAX;
}

static void check_resume(const struct fixture *fixture)
{
	struct kept_list list = decode_whole(fixture, 0);

	for (size_t i = 1; i < list.count; i++) {
		struct snapshot_decoder *decoder = snapshot_decoder_new();

		/* Each event leaves the place the first time left: so the remainder is the same from any. */
		snapshot_decoder_resume(decoder, list.items[i - 1].place);
		decode_growing(decoder, fixture, 0, &list.items[i], everything);
		snapshot_decoder_free(decoder);
	}
	forget(&list);
}

static void test_resume(void **state)
{
	(void)state;
	fixture_each(0, check_resume);
}

/* What is reported as scanned may be unloaded: here it is overwritten. */
static void test_scanned_bytes_are_not_needed(void **state)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct snapshot_place place = {.rdb_version = 11};
	uint8_t data[4096];
	size_t len = 0;
	struct event event;
	struct error error;
	uint64_t need, scanned = 0;
	enum parse answer = PARSE_MORE;

	(void)state;
	data[len++] = RDB_TYPE_HASH;
	data[len++] = 0xc0; /* a key that is kept in the decoder's memory */
	data[len++] = 77;
	data[len++] = 0x40 | (200 >> 8);
	data[len++] = 200 & 0xff;
	for (unsigned i = 0; i < 200; i++) {
		data[len++] = 3;
		memcpy(data + len, "abc", 3);
		len += 3;
		data[len++] = 0xc1;
		data[len++] = (uint8_t)i;
		data[len++] = 0;
	}
	snapshot_decoder_resume(decoder, place);
	for (size_t got = 0; got <= len && answer == PARSE_MORE; got++) {
		answer = snapshot_decode(decoder, slice_make(data, got), 0, &event, &need, &scanned, &error);
		if (answer == PARSE_MORE)
			memset(data, 0xee, scanned);
	}
	assert_int_equal(answer, PARSE_OK);
	assert_int_equal(event.end, len);
	assert_true(slice_equal(event.key, SLICE("77")));
	snapshot_decoder_free(decoder);
}

/* ---- damage ---- */

/* Reads both ends, so that the address sanitizer sees whether they lie where they may. */
static void touch(struct slice bytes)
{
	if (bytes.len > 0)
		__asm__ volatile("" : : "r"(bytes.data[0] ^ bytes.data[bytes.len - 1]));
}

/* Decodes from the event `first` on, whose bytes begin at in.data, until something else than OK comes, the end, or an event of
 * the undamaged file begins behind `damaged`: from there on nothing differs. */
static enum parse decode_damaged(const struct kept_list *list, size_t first, struct slice in, uint64_t damaged,
				 struct error *error)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	uint64_t base = list->items[first].event.start;
	uint64_t at = base;
	enum parse answer = PARSE_OK;
	struct event event = {0};
	uint64_t need, scanned;

	if (first > 0)
		snapshot_decoder_resume(decoder, list->items[first - 1].place);
	while (answer == PARSE_OK && event.kind != EVENT_SNAPSHOT_END) {
		struct slice rest = slice_make(in.data + (at - base), in.len - (at - base));

		answer = snapshot_decode(decoder, rest, at, &event, &need, &scanned, error);
		if (answer == PARSE_MORE)
			assert_true(need > rest.len);
		if (answer != PARSE_OK)
			break;
		assert_true(event.start == at && event.end > at && event.end - at <= rest.len);
		if (event.kind == EVENT_KEY)
			assert_true(event.value.data + event.value.len == rest.data + (event.end - at));
		touch(event.key);
		touch(event.value);
		touch(event.string);
		at = event.end;
		while (first < list->count && list->items[first].event.start < at)
			first++;
		if (at > damaged && first < list->count && list->items[first].event.start == at)
			break;
	}
	snapshot_decoder_free(decoder);
	return answer;
}

/* Small files of every server, and all with modules. */
static bool wanted_for_damage(const struct fixture *fixture)
{
	return strstr(fixture->name, "nochecksum") || strstr(fixture->name, "module") || strstr(fixture->name, "cluster");
}

static void check_truncation(const struct fixture *fixture)
{
	struct kept_list list;
	struct error error;
	size_t event = 0;

	if (!wanted_for_damage(fixture))
		return;
	list = decode_whole(fixture, 0);
	for (size_t len = 0; len < fixture->len; len++) {
		uint64_t start;
		uint8_t *cut;

		while (list.items[event].event.end <= len)
			event++;
		/* The bytes of the event cut off, at the end of a block of memory. */
		start = list.items[event].event.start;
		cut = copy(slice_make(fixture->data + start, len - start));
		assert_int_equal(decode_damaged(&list, event, slice_make(cut, len - start), len, &error), PARSE_MORE);
		free(cut);
	}
	forget(&list);
}

static void test_truncation_is_more(void **state)
{
	(void)state;
	fixture_each(SMALL, check_truncation);
}

static void check_mutation(const struct fixture *fixture)
{
	static const uint8_t masks[] = {0xff, 0x80, 0x40, 0x01};
	unsigned answers[3] = {0};
	struct kept_list list;
	size_t event = 0;
	uint8_t *data;

	if (!wanted_for_damage(fixture))
		return;
	list = decode_whole(fixture, 0);
	data = copy(slice_make(fixture->data, fixture->len));
	for (size_t at = 0; at < fixture->len; at++) {
		while (list.items[event].event.end <= at)
			event++;
		for (size_t m = 0; m < sizeof(masks); m++) {
			uint64_t start = list.items[event].event.start;
			struct error error = {0};
			enum parse answer;

			data[at] ^= masks[m];
			answer = decode_damaged(&list, event, slice_make(data + start, fixture->len - start), at, &error);
			if (answer == PARSE_BAD) {
				assert_int_equal(error.kind, ERROR_SOURCE);
				assert_non_null(strstr(error.text, "position"));
			}
			answers[answer]++;
			data[at] ^= masks[m];
		}
	}
	/* Within a string's bytes it is for the checksum to find. */
	assert_true(answers[PARSE_OK] > 0 && answers[PARSE_MORE] > 0 && answers[PARSE_BAD] > 0);
	free(data);
	forget(&list);
}

static void test_mutation_is_survived(void **state)
{
	(void)state;
	fixture_each(SMALL, check_mutation);
}

/* ---- single events ---- */

static enum parse decode_bytes(struct slice in, bool valkey, struct event *event, struct error *error)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct snapshot_place place = {.rdb_version = valkey ? 80 : 12, .valkey = valkey, .db = 3};
	uint64_t need, scanned;
	enum parse answer;

	snapshot_decoder_resume(decoder, place);
	answer = snapshot_decode(decoder, in, 1000, event, &need, &scanned, error);
	snapshot_decoder_free(decoder);
	return answer;
}

static void assert_refused(struct slice in, bool valkey, const char *first, const char *second)
{
	struct event event;
	struct error error = {0};

	assert_int_equal(decode_bytes(in, valkey, &event, &error), PARSE_BAD);
	assert_int_equal(error.kind, ERROR_SOURCE);
	if (!strstr(error.text, first) || !strstr(error.text, second))
		fail_msg("\"%s\" should say \"%s\" and \"%s\"", error.text, first, second);
}

static void test_refusals(void **state)
{
	(void)state;
	assert_refused(SLICE("\x1a\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "position 1000", "value type 26 is not known");
	assert_refused(SLICE("\x1a\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "key \"abc\"", "database 3");
	assert_refused(SLICE("\x16\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "value type 22", "candidates of Redis 7.4");
	assert_refused(SLICE("\x18\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       true, "value type 24", "of Valkey");
	assert_refused(SLICE("\x06\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "value type 6", "candidates of Redis 4.0");
	assert_refused(SLICE("\x08\xff"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "value type 8", "not known");
	assert_refused(SLICE("\x08\x80\xff\xff\xff\xff"
			     "xxxxxxxxx"),
		       false, "value type 8", "not known");
	assert_refused(SLICE("\xf6\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "opcode 246", "candidates of Redis 7.0");
	assert_refused(SLICE("\xf3\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "opcode 243", "Redis 8.4");
	assert_refused(SLICE("\xd0\x03"
			     "abc"
			     "xxxxxxxxxxxx"),
		       false, "opcode 208", "not known");
	assert_refused(SLICE("\xfc"
			     "12345678"
			     "\xfe\x00"
			     "xxxx"),
		       false, "position 1009", "before an opcode");
	assert_refused(SLICE("\x02\x01k\x02\x01"
			     "a"
			     "\xc7xxxxxxxxxxxxx"),
		       false, "position 1006", "key \"k\"");
	assert_refused(SLICE("\x12\x01k\x01\x03\x01"
			     "a"
			     "xxxxxxxxxxxxx"),
		       false, "neither plain nor packed", "value type 18");
	assert_refused(SLICE("\x00\xc3\x02\x3f"
			     "ab"
			     "xxxxxxxxxxxxx"),
		       false, "compressed string is damaged", "1001");
	assert_refused(SLICE("\x00\xc3\x02\x80\x10\x00\x00\x00"
			     "abxxxxxxxx"),
		       false, "lengths are impossible", "1001");
	assert_refused(SLICE("\xfe\x80\xff\xff\xff\xff"
			     "xxxxxxxxx"),
		       false, "database", "1001");
	assert_refused(SLICE("\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01"
			     "\xf8\x01\xf8\x01\xf8\x01\xf8\x01\xf8\x01"),
		       false, "too many opcodes", "1032");
}

static void test_pieces_of_other_versions(void **state)
{
	struct event event;
	struct error error;

	(void)state;
	/* Seconds, of very old files. */
	assert_int_equal(decode_bytes(SLICE("\xfd\x00\x94\x35\x77\x00\x01k\x01v"), false, &event, &error), PARSE_OK);
	assert_int_equal(event.expire_at_ms, 2000000000000);
	/* A slot that holds nothing. */
	assert_int_equal(decode_bytes(SLICE("\xf4\x05\x00\x00\xfe\x01"), false, &event, &error), PARSE_OK);
	assert_int_equal(event.kind, EVENT_PROGRESS);
	assert_int_equal(event.type, RDB_OPCODE_SLOT_INFO);
	assert_int_equal(event.end, 1004);
	/* A Valkey cluster node that takes over slots 5 to 6 and 9. */
	assert_int_equal(decode_bytes(SLICE("\xf3\x03job\x02\x05\x06\x09\x09\xff"), true, &event, &error), PARSE_OK);
	assert_int_equal(event.kind, EVENT_PROGRESS);
	assert_int_equal(event.end, 1010);
}

static void test_checksum_since_version_5(void **state)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct event event;
	struct error error;
	uint64_t need, scanned;

	(void)state;
	snapshot_decoder_resume(decoder, (struct snapshot_place){.rdb_version = 4});
	assert_int_equal(snapshot_decode(decoder, SLICE("\xff"), 0, &event, &need, &scanned, &error), PARSE_OK);
	assert_int_equal(event.kind, EVENT_SNAPSHOT_END);
	assert_int_equal(event.end, 1);
	snapshot_decoder_resume(decoder, (struct snapshot_place){.rdb_version = 5});
	assert_int_equal(snapshot_decode(decoder, SLICE("\xff"), 0, &event, &need, &scanned, &error), PARSE_MORE);
	assert_int_equal(need, 9);
	snapshot_decoder_free(decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_scanned_bytes_are_not_needed),
		cmocka_unit_test(test_truncation_is_more),
		cmocka_unit_test(test_mutation_is_survived),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_pieces_of_other_versions),
		cmocka_unit_test(test_checksum_since_version_5),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
