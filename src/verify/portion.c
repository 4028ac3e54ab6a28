#include "verify/portion.h"

#include "base/memory.h"
#include "wire/rdb.h"

#include <stdlib.h>

static void next_step(void *owner);

struct portion *portion_new(const struct portion_options *options, void (*done)(void *owner, struct portion *portion),
			    void *owner)
{
	struct portion *portion = memory_alloc_zero(1, sizeof(*portion));

	portion->options = options;
	portion->stash = stash_new(PORTION_BYTES);
	portion->done = done;
	portion->owner = owner;
	return portion;
}

void portion_free(struct portion *portion)
{
	if (!portion)
		return;
	stash_free(portion->stash);
	arena_free(&portion->arena);
	free(portion);
}

struct pair *portion_add(struct portion *portion, uint32_t source_db, struct slice source_key, uint32_t target_db,
			 struct slice target_key)
{
	struct pair *pair = &portion->pairs[portion->count++];

	*pair = (struct pair){
		.source_db = source_db, .target_db = target_db, .source_key = arena_copy(&portion->arena, source_key)};
	if (target_key.data)
		pair->target_key = arena_copy(&portion->arena, target_key);
	return pair;
}

void portion_clear(struct portion *portion)
{
	portion->count = 0;
	portion->busy = false;
	arena_reset(&portion->arena);
	stash_reset(portion->stash);
}

/* ---- where it would be ---- */

/* A type of the RDB that stands for what TYPE says. */
static uint8_t type_of(struct slice name)
{
	static const struct {
		const char *name;
		uint8_t type;
	} types[] = {{"string", RDB_TYPE_STRING}, {"list", RDB_TYPE_LIST}, {"set", RDB_TYPE_SET},
		     {"zset", RDB_TYPE_ZSET_2},   {"hash", RDB_TYPE_HASH}, {"stream", RDB_TYPE_STREAM_LISTPACKS}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_equal(name, slice_of_string(types[i].name)))
			return types[i].type;
	return RDB_TYPE_MODULE_2;
}

/* The event that the snapshot would have brought. */
static bool make_event(struct portion *portion, struct pair *pair, struct event *ret)
{
	struct value_form form = {0};

	if (!portion->options->full)
		form.type = type_of(pair->source.type);
	else if (!reading_value(&pair->source, &form))
		return false;
	*ret = (struct event){
		.kind = EVENT_KEY,
		.db = pair->source_db,
		.offset = EVENT_IN_SNAPSHOT,
		.key = pair->source_key,
		.value = form.value,
		.type = form.type,
		.expire_at_ms = pair->source.expire_at_ms,
		.idle_seconds = -1,
		.frequency = -1,
	};
	return true;
}

static void map_pair(struct portion *portion, struct pair *pair)
{
	struct transform_output output = {0};
	struct event event;
	struct error ignored;

	if (!make_event(portion, pair, &event)) {
		pair->fate = FATE_UNREAD;
		return;
	}
	switch (transform_event(portion->options->transform, &event, &output, &ignored)) {
	case TRANSFORM_SAME: output = (struct transform_output){&event, 1}; break;
	case TRANSFORM_CHANGED: break;
	case TRANSFORM_DROPPED: pair->fate = FATE_LEFT_OUT; return;
	case TRANSFORM_REFUSED:
	case TRANSFORM_CLEAR: pair->fate = FATE_INCOMPARABLE; return;
	}
	if (output.count != 1 || output.events[0].kind != EVENT_KEY) {
		pair->fate = FATE_INCOMPARABLE;
		return;
	}
	pair->target_db = output.events[0].db;
	pair->target_key = arena_copy(&portion->arena, output.events[0].key);
	pair->expire_at_ms = output.events[0].expire_at_ms;
}

/* What the source's reading alone decides. False: the target is not to be asked. */
static bool take_source(struct portion *portion, struct pair *pair)
{
	pair->expire_at_ms = READING_NO_EXPIRY;
	pair->fate = FATE_SAME;
	if (pair->source.state == READING_UNREAD)
		pair->fate = FATE_UNREAD;
	else if (pair->source.state == READING_THERE)
		map_pair(portion, pair);
	else if (!pair->target_key.data)
		pair->fate = FATE_GONE;
	return pair->fate == FATE_SAME;
}

/* ---- steps ---- */

static enum reading_form form_of(const struct portion *portion)
{
	return portion->options->full ? READING_FULL : READING_OUTLINE;
}

static void ask_source(struct portion *portion, enum reading_form form)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		struct pair *pair = &portion->pairs[i];

		reading_ask(&pair->source, form, portion->options->source, &portion->place, pair->source_db, pair->source_key,
			    form == READING_OUTLINE ? type_guess(portion->options->guesses, pair->source_key)
						    : (struct slice){0});
	}
}

static void ask_target(struct portion *portion)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		struct pair *pair = &portion->pairs[i];

		if (pair->fate == FATE_SAME)
			reading_ask(&pair->target, form_of(portion), portion->options->target, &portion->place, pair->target_db,
				    pair->target_key, pair->source.type);
	}
}

static void judge_all(struct portion *portion)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		struct pair *pair = &portion->pairs[i];
		char text[VALUE_DIFFERENCE_MAX];

		if (pair->fate != FATE_SAME)
			continue;
		switch (judge_pair(portion->options->judge, &pair->source, &pair->target, pair->expire_at_ms, &pair->kind,
				   text)) {
		case VERDICT_SAME: continue;
		case VERDICT_UNREAD: pair->fate = FATE_UNREAD; continue;
		case VERDICT_DIFFERENT: pair->fate = FATE_DIFFERENT; break;
		}
		pair->text = arena_take(&portion->arena, strlen(text) + 1);
		memcpy(pair->text, text, strlen(text) + 1);
	}
}

static void take_all_sources(struct portion *portion)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		const struct reading *source = &portion->pairs[i].source;

		if (source->form == READING_OUTLINE && source->state == READING_THERE)
			type_guess_learn(portion->options->guesses, portion->pairs[i].source_key, source->type);
		take_source(portion, &portion->pairs[i]);
	}
}

static void ask_for_all(struct portion *portion)
{
	const struct side *source = portion->options->source;
	struct slice keys[PORTION_KEYS];

	portion->all_there = false;
	if (source->cluster || !source->exists_many)
		return;
	for (uint32_t i = 0; i < portion->count; i++) {
		if (portion->pairs[i].source_db != portion->pairs[0].source_db)
			return;
		keys[i] = portion->pairs[i].source_key;
	}
	reading_ask_all(portion->options->source, &portion->place, portion->pairs[0].source_db, portion->count, keys,
			&portion->all_there);
}

static void ask_for_each(struct portion *portion)
{
	if (!portion->all_there)
		ask_source(portion, READING_EXISTS);
	for (uint32_t i = 0; portion->all_there && i < portion->count; i++)
		portion->pairs[i].source.state = READING_THERE;
}

/* Nothing is asked while `awaited` may fall to nothing: it is held up until all questions of a step are asked. */
static void run_step(struct portion *portion)
{
	switch (portion->order) {
	case PORTION_SOURCE_FIRST:
		if (portion->step == 1) {
			ask_source(portion, form_of(portion));
		} else if (portion->step == 2) {
			take_all_sources(portion);
			ask_target(portion);
		}
		break;
	case PORTION_TARGET_FIRST:
		if (portion->step == 1)
			ask_target(portion);
		else if (portion->step == 2)
			ask_source(portion, form_of(portion));
		else
			take_all_sources(portion);
		break;
	case PORTION_EXISTS:
		if (portion->step == 1)
			ask_for_all(portion);
		else if (portion->step == 2)
			ask_for_each(portion);
		break;
	case PORTION_SOURCE_ONLY:
		if (portion->step == 1)
			ask_source(portion, form_of(portion));
		else
			take_all_sources(portion);
		break;
	}
}

static void next_step(void *owner)
{
	struct portion *portion = owner;
	bool judged = portion->order == PORTION_SOURCE_FIRST || portion->order == PORTION_TARGET_FIRST;
	int last = portion->order == PORTION_SOURCE_ONLY ? 2 : 3;

	do {
		portion->step++;
		portion->place.awaited = 1;
		run_step(portion);
	} while (--portion->place.awaited == 0 && portion->step < last);
	if (portion->step < last)
		return;
	if (judged)
		judge_all(portion);
	portion->done(portion->owner, portion);
}

void portion_start(struct portion *portion, enum portion_order order)
{
	portion->order = order;
	portion->step = 0;
	portion->busy = true;
	portion->place =
		(struct reading_place){.arena = &portion->arena, .stash = portion->stash, .done = next_step, .owner = portion};
	next_step(portion);
}
