#include "verify/reading.h"

#include "verify/type_guess.h"
#include "wire/rdb.h"

#include <xxhash.h>

#define VALKEY_RDB 80 /* versions of Valkey's own begin here (wire/rdb.h) */

enum part { PART_EXISTS, PART_TYPE, PART_TIME, PART_PTTL, PART_EXPIRETIME, PART_LENGTH, PART_DUMP };

static asker_callback on_part;

static void ask(struct reading *reading, enum part part, uint32_t argc, const struct slice *argv)
{
	reading->parts++;
	asker_ask(side_asker(reading->side, reading->key), reading->db, argc, argv, on_part, reading, part);
}

static void ask_of_key(struct reading *reading, enum part part, struct slice command)
{
	const struct slice argv[] = {command, reading->key};

	ask(reading, part, 2, argv);
}

/* ---- answers ---- */

static void take_type(struct reading *reading, struct slice type)
{
	struct slice command = type_length_command(type);

	if (slice_equal(type, SLICE("none"))) {
		reading->gone++;
		return;
	}
	reading->type = arena_copy(reading->place->arena, type);
	if (reading->form == READING_OUTLINE && command.len > 0)
		ask_of_key(reading, PART_LENGTH, command);
}

/* It is of another type than expected, or empty, which tells nothing: a key that is not there is empty, too. */
static void expect_no_more(struct reading *reading)
{
	reading->expected = false;
	reading->type = (struct slice){0};
	if (reading->gone == 0)
		ask_of_key(reading, PART_TYPE, SLICE("TYPE"));
}

static void take_length(struct reading *reading, int64_t length)
{
	if (reading->expected && length == 0) {
		expect_no_more(reading);
		return;
	}
	reading->has_length = true;
	reading->length = (uint64_t)length;
}

static void take_time(struct reading *reading, const struct resp_node *array)
{
	const struct resp_node *seconds = resp_member(array, 0), *micros = resp_member(array, 1);
	int64_t s, us;

	if (seconds && micros && slice_to_int64(seconds->text, &s) && slice_to_int64(micros->text, &us))
		reading->clock_ms = s * 1000 + us / 1000;
	else
		reading->failed = true;
}

static void keep(struct reading *reading, struct slice bytes)
{
	struct reading_place *place = reading->place;

	if (place->error.kind == ERROR_NONE && !stash_add(place->stash, &reading->payload, bytes, &place->error))
		reading->failed = true;
}

static void take_dump(struct reading *reading, const struct resp_node *node)
{
	if (node->type == RESP_NULL) {
		reading->gone++;
		return;
	}
	stash_begin(reading->place->stash, node->text.len, &reading->payload);
	keep(reading, node->text);
}

static void take_whole(struct reading *reading, enum part part, const struct resp_node *node)
{
	if (node->type == RESP_ERROR && part == PART_LENGTH && reading->expected &&
	    slice_starts_with(node->text, SLICE("WRONGTYPE"))) {
		expect_no_more(reading);
		return;
	}
	if (node->type == RESP_ERROR) {
		side_may_pass(reading->side, asker_peer(side_asker(reading->side, reading->key)), node->text);
		reading->failed = true;
		return;
	}
	switch (part) {
	case PART_EXISTS: reading->gone += node->integer == 0; break;
	case PART_TYPE: take_type(reading, node->text); break;
	case PART_TIME: take_time(reading, node); break;
	case PART_PTTL:
	case PART_EXPIRETIME:
		reading->gone += node->integer == -2;
		if (node->integer >= 0)
			reading->expire_at_ms = node->integer + (part == PART_PTTL ? reading->clock_ms : 0);
		break;
	case PART_LENGTH: take_length(reading, node->integer); break;
	case PART_DUMP: take_dump(reading, node); break;
	}
}

static void take_piece(struct reading *reading, const struct asker_answer *answer)
{
	if (answer->begins)
		stash_begin(reading->place->stash, answer->total, &reading->payload);
	keep(reading, answer->piece);
}

static void on_part(void *owner, uint32_t tag, const struct asker_answer *answer)
{
	struct reading *reading = owner;
	struct reading_place *place = reading->place;

	if (!answer)
		reading->failed = true;
	else if (answer->nodes)
		take_whole(reading, (enum part)tag, answer->nodes);
	else
		take_piece(reading, answer);
	if (answer && !answer->nodes && !answer->ends)
		return;
	if (--reading->parts > 0)
		return;
	/* Gone between two of its parts: then it is gone. */
	reading->state = reading->failed ? READING_UNREAD : reading->gone > 0 ? READING_GONE : READING_THERE;
	if (--place->awaited == 0)
		place->done(place->owner);
}

/* ---- asking ---- */

static void ask_expiry(struct reading *reading)
{
	const struct slice time[] = {SLICE("TIME")};

	if (reading->side->tells_times) {
		ask_of_key(reading, PART_EXPIRETIME, SLICE("PEXPIRETIME"));
		return;
	}
	ask(reading, PART_TIME, 1, time);
	ask_of_key(reading, PART_PTTL, SLICE("PTTL"));
}

/* The expiry first: of a key that is not there it says so, and its length need not be explained. */
static void ask_outline(struct reading *reading, struct slice type)
{
	struct slice command = type_length_command(type);

	ask_expiry(reading);
	reading->expected = command.len > 0;
	if (reading->expected)
		reading->type = type;
	ask_of_key(reading, reading->expected ? PART_LENGTH : PART_TYPE, reading->expected ? command : SLICE("TYPE"));
}

void reading_ask(struct reading *reading, enum reading_form form, struct side *side, struct reading_place *place, uint32_t db,
		 struct slice key, struct slice type)
{
	*reading = (struct reading){
		.form = form, .side = side, .place = place, .db = db, .key = key, .expire_at_ms = READING_NO_EXPIRY};
	place->awaited++;
	switch (form) {
	case READING_EXISTS: ask_of_key(reading, PART_EXISTS, SLICE("EXISTS")); break;
	case READING_TYPE: ask_of_key(reading, PART_TYPE, SLICE("TYPE")); break;
	case READING_OUTLINE: ask_outline(reading, type); break;
	case READING_FULL:
		ask_expiry(reading);
		ask_of_key(reading, PART_DUMP, SLICE("DUMP"));
		break;
	}
}

struct group {
	struct reading_place *place;
	uint32_t count;
	bool *ret;
};

static void on_all(void *owner, uint32_t tag, const struct asker_answer *answer)
{
	struct group *group = owner; /* in the place's arena */

	(void)tag;
	if (answer && answer->nodes && answer->nodes[0].type == RESP_INTEGER)
		*group->ret = answer->nodes[0].integer == group->count;
	if (--group->place->awaited == 0)
		group->place->done(group->place->owner);
}

void reading_ask_all(struct side *side, struct reading_place *place, uint32_t db, uint32_t count, const struct slice *keys,
		     bool *ret)
{
	struct group *group = arena_take(place->arena, sizeof(*group));
	struct slice *argv = arena_take(place->arena, (count + 1) * sizeof(*argv));

	*group = (struct group){place, count, ret};
	*ret = false;
	argv[0] = SLICE("EXISTS");
	memcpy(argv + 1, keys, count * sizeof(*argv));
	place->awaited++;
	asker_ask(side_asker(side, keys[0]), db, count + 1, argv, on_all, group, 0);
}

/* ---- what it says ---- */

static bool payload(struct reading *reading, struct slice *ret)
{
	return stash_get(reading->place->stash, &reading->payload, ret, &reading->place->error);
}

bool reading_value(struct reading *reading, struct value_form *ret)
{
	struct slice bytes;

	if (!payload(reading, &bytes) || bytes.len < 1 + READING_FOOTER_LEN)
		return false;
	ret->type = bytes.data[0];
	ret->valkey = rdb_little_endian(bytes.data + bytes.len - READING_FOOTER_LEN, 2) >= VALKEY_RDB;
	ret->value = slice_make(bytes.data + 1, bytes.len - 1 - READING_FOOTER_LEN);
	return true;
}

static uint64_t hash_of(struct reading *reading, struct slice bytes)
{
	XXH3_state_t *state;
	uint64_t hash;

	if (bytes.len <= STASH_STEP)
		return XXH3_64bits(bytes.data, bytes.len);
	state = XXH3_createState();
	XXH3_64bits_reset(state);
	for (size_t at = 0; at < bytes.len; at += STASH_STEP) {
		struct slice step = slice_make(bytes.data + at, bytes.len - at < STASH_STEP ? bytes.len - at : STASH_STEP);

		XXH3_64bits_update(state, step.data, step.len);
		stash_let_go(reading->place->stash, step);
	}
	hash = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return hash;
}

uint64_t reading_fingerprint(struct reading *reading)
{
	struct {
		uint64_t state, bytes, type, length;
		int64_t expire_at_ms;
	} all = {.state = (uint64_t)reading->state, .length = reading->length, .expire_at_ms = reading->expire_at_ms};
	struct slice bytes;

	/* Without PEXPIRETIME the time is a sum of two readings, which is one millisecond more or less. */
	if (!reading->side || !reading->side->tells_times)
		all.expire_at_ms = reading->expire_at_ms == READING_NO_EXPIRY ? 0 : 1;
	if (reading->state == READING_THERE && reading->form == READING_FULL && payload(reading, &bytes))
		all.bytes = hash_of(reading, bytes);
	if (reading->type.data)
		all.type = XXH3_64bits(reading->type.data, reading->type.len);
	return XXH3_64bits(&all, sizeof(all));
}
