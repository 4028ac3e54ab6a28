#include "verify/verify.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "source/heartbeat.h"
#include "verify/verify_state.h"

#include <stdio.h>
#include <stdlib.h>

#define TELL_US 200000
#define CANDIDATES_MAX 64 /* keys of the source that come to one name */

/* ---- waiting ---- */

static void on_turn(void *owner)
{
	((struct verify *)owner)->turn = true;
}

bool verify_go_on(void *owner)
{
	struct verify *verify = owner;

	verify->told_us = clock_monotonic_us();
	return verify->events->go_on(verify->owner, verify->counts);
}

static bool is_lost(struct verify *verify, struct error *error)
{
	const struct error *errors[] = {&verify->source.error, &verify->target.error, &verify->portion_error};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i]->kind == ERROR_NONE)
			continue;
		*error = *errors[i];
		return true;
	}
	return false;
}

bool verify_await(struct verify *verify, struct error *error)
{
	uint64_t now = clock_monotonic_us();

	loop_run_until(verify->loop, &verify->turn, now + TELL_US);
	verify->turn = false;
	if (is_lost(verify, error))
		return false;
	if (clock_monotonic_us() - verify->told_us < TELL_US || verify_go_on(verify))
		return true;
	error_clear(error);
	return false;
}

/* ---- portions ---- */

static void on_portion(void *owner, struct portion *portion)
{
	struct verify *verify = owner;

	if (portion->place.error.kind != ERROR_NONE)
		verify->portion_error = portion->place.error;
	else
		verify->take(verify, portion);
	portion_clear(portion);
	verify->turn = true;
}

struct portion *verify_portion(struct verify *verify)
{
	for (uint32_t i = 0; i < PORTIONS; i++)
		if (!verify->portions[i]->busy)
			return verify->portions[i];
	return NULL;
}

bool verify_drain(struct verify *verify, struct error *error)
{
	for (uint32_t i = 0; i < PORTIONS; i++)
		while (verify->portions[i]->busy)
			if (!verify_await(verify, error))
				return false;
	return true;
}

/* ---- differences ---- */

uint64_t verify_differences(const struct verify_counts *counts)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < DIFFERENCE_KINDS; i++)
		sum += counts->differences[i];
	return sum;
}

static void report(struct verify *verify, const struct suspect *suspect)
{
	const struct verify_difference difference = {
		.undecided = !suspect->proven,
		.repaired = suspect->repaired,
		.kind = suspect->kind,
		.source_db = suspect->source_db,
		.target_db = suspect->target_db,
		.source_key = suspect->source_key,
		.target_key = suspect->target_key.data ? suspect->target_key : suspect->source_key,
		.text = suspect->text,
	};

	if (suspect->proven)
		verify->counts->differences[suspect->kind]++;
	else
		verify->counts->undecided++;
	verify->counts->repaired += suspect->repaired;
	verify->events->difference(verify->owner, &difference);
}

/* Everything that was written is as it should be, or is looked at once more; what is still different then, is told as not repaired. */
static bool repair(struct verify *verify, struct error *error)
{
	struct suspects all = verify->suspects;
	bool ok;

	verify->counts->stage = VERIFY_REPAIR;
	if (!repair_run(verify, error))
		return false;
	verify->suspects = (struct suspects){0};
	for (uint32_t i = 0; i < all.count; i++)
		if (all.items[i]->repaired)
			suspects_add(&verify->suspects, all.items[i]->source_db, all.items[i]->source_key,
				     all.items[i]->target_db, all.items[i]->target_key);
	ok = rounds_run(verify, error);
	/* Both are in the order of their keys. */
	for (uint32_t i = 0, at = 0; ok && i < verify->suspects.count; i++) {
		const struct suspect *still = verify->suspects.items[i];

		while (at < all.count && (all.items[at]->source_db != still->source_db ||
					  !slice_equal(all.items[at]->source_key, still->source_key)))
			at++;
		if (at < all.count && still->proven)
			all.items[at]->repaired = false;
	}
	suspects_free(&verify->suspects);
	verify->suspects = all;
	return ok;
}

bool verify_decide(struct verify *verify, struct error *error)
{
	enum verify_stage stage = verify->counts->stage;
	bool ok;

	verify->counts->stage = VERIFY_ROUNDS;
	suspects_unite(&verify->suspects);
	verify->counts->suspects += verify->suspects.count;
	ok = verify->suspects.count == 0 || rounds_run(verify, error);
	if (ok && verify->options->repair && verify->suspects.count > 0)
		ok = repair(verify, error);
	for (uint32_t i = 0; ok && i < verify->suspects.count; i++)
		report(verify, verify->suspects.items[i]);
	suspects_free(&verify->suspects);
	verify->counts->stage = stage;
	return ok;
}

static void suspect(struct verify *verify, const struct pair *pair)
{
	suspects_add(&verify->suspects, pair->source_db, pair->source_key, pair->target_db, pair->target_key);
	resumption_note(verify, pair);
}

/* ---- keys of the source ---- */

static bool source_wants(void *owner, uint32_t db)
{
	const struct verify *verify = owner;

	return task_options_database_selected(verify->options->task, db);
}

static void take_source(struct verify *verify, struct portion *portion)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		const struct pair *pair = &portion->pairs[i];

		switch (pair->fate) {
		case FATE_SAME: verify->counts->compared++; break;
		case FATE_LEFT_OUT: verify->counts->left_out++; break;
		case FATE_INCOMPARABLE: verify->counts->incomparable++; break;
		case FATE_GONE: break;
		case FATE_DIFFERENT:
		case FATE_UNREAD:
			verify->counts->compared++; /* if not now, then in the rounds */
			suspect(verify, pair);
			break;
		}
	}
}

static void fill_source(struct verify *verify, struct walk *walk, struct portion *portion)
{
	struct slice key;
	uint32_t db;

	while (portion->count < PORTION_KEYS && walk_next(walk, &db, &key)) {
		verify->counts->source_keys++;
		if (!heartbeat_is_key(key))
			portion_add(portion, db, key, db, (struct slice){0});
	}
	if (portion->count > 0)
		portion_start(portion, PORTION_SOURCE_FIRST);
}

/* ---- keys of the target ---- */

static const struct brought_scope whole = {.every_database = true};

bool verify_is_ours(struct verify *verify, uint32_t target_db, struct slice key, uint32_t types)
{
	switch (transform_brought(verify->transform, &whole, target_db, key, types)) {
	case BROUGHT_NO: return false;
	case BROUGHT_BY_TYPE:
	case BROUGHT_YES:
	case BROUGHT_UNCLEAR: return true;
	}
	return true;
}

static bool target_wants(void *owner, uint32_t db)
{
	const struct verify *verify = owner;

	return transform_brings_to(verify->transform, &whole, db);
}

/* Which keys of the source may have come here. */
struct candidates {
	struct portion *portion;
	uint32_t target_db;
	struct slice target_key;
	uint32_t number, count;
};

static void add_candidate(void *owner, uint32_t db, struct slice key)
{
	struct candidates *candidates = owner;
	struct pair *pair;

	if (candidates->count++ >= CANDIDATES_MAX)
		return;
	pair = portion_add(candidates->portion, db, key, candidates->target_db, candidates->target_key);
	pair->number = candidates->number;
}

static void add_target_key(struct verify *verify, struct portion *portion, uint32_t db, struct slice key, uint32_t number)
{
	struct candidates candidates = {portion, db, key, number, 0};
	uint32_t before = portion->count;

	if (heartbeat_is_key(key) || !verify_is_ours(verify, db, key, transform_type_bits((struct slice){0}))) {
		verify->counts->others++;
		return;
	}
	if (!transform_origins(verify->transform, db, key, verify->highest_source_db, add_candidate, &candidates) ||
	    candidates.count == 0 || candidates.count > CANDIDATES_MAX) {
		portion->count = before;
		verify->counts->incomparable++;
	}
}

static void fill_target(struct verify *verify, struct walk *walk, struct portion *portion)
{
	uint32_t db, number = 0;
	struct slice key;

	/* A key that comes back in many names is one of many. */
	while (portion->count + CANDIDATES_MAX <= PORTION_KEYS && walk_next(walk, &db, &key)) {
		verify->counts->target_keys++;
		add_target_key(verify, portion, db, key, number++);
	}
	if (portion->count > 0)
		portion_start(portion, PORTION_EXISTS);
}

/* The candidates of one key stand together. Where none is there, it is one too many. */
static void take_target(struct verify *verify, struct portion *portion)
{
	for (uint32_t i = 0, next; i < portion->count; i = next) {
		const struct pair *first = &portion->pairs[i];
		bool there = false;

		for (next = i; next < portion->count && portion->pairs[next].number == first->number; next++)
			there = there || portion->pairs[next].source.state == READING_THERE;
		if (!there)
			suspect(verify, first);
	}
}

/* ---- a walk ---- */

struct direction {
	enum verify_stage stage;
	struct side *side;
	bool (*wants)(void *owner, uint32_t db);
	void (*fill)(struct verify *verify, struct walk *walk, struct portion *portion);
	void (*take)(struct verify *verify, struct portion *portion);
};

static void feed(struct verify *verify, struct walk *walk, const struct direction *direction)
{
	struct portion *portion;
	uint64_t wait_ms;

	while ((portion = verify_portion(verify)) && limit_ready(&verify->rate, clock_monotonic_us(), &wait_ms)) {
		uint64_t before = verify->counts->source_keys + verify->counts->target_keys;

		direction->fill(verify, walk, portion);
		limit_spend(&verify->rate, verify->counts->source_keys + verify->counts->target_keys - before);
		if (!portion->busy)
			return;
	}
}

/* In the middle of a walk: while the suspects are decided the map of a side may be read anew. */
static bool decide_between(struct verify *verify, struct walk *walk, struct error *error)
{
	bool ok;

	walk_hold(walk, true);
	ok = verify_drain(verify, error);
	while (ok && !walk_quiet(walk))
		ok = verify_await(verify, error);
	ok = ok && verify_decide(verify, error);
	walk_hold(walk, false);
	return ok;
}

/* How far it is, once in a while. The walk is held until its names are used up, and then everything is of one moment. */
static bool keep_between(struct verify *verify, struct walk *walk, struct error *error)
{
	if (!resumption_is_due(verify))
		return true;
	walk_hold(walk, true);
	if (!walk_empty(walk))
		return true;
	if (!verify_drain(verify, error))
		return false;
	resumption_keep(verify, walk);
	walk_hold(walk, false);
	return true;
}

static bool go_through(struct verify *verify, struct walk *walk, const struct direction *direction, struct error *error)
{
	while (!walk_over(walk)) {
		verify->take = direction->take;
		feed(verify, walk, direction);
		if (!verify_await(verify, error) || (suspects_full(&verify->suspects) && !decide_between(verify, walk, error)) ||
		    !keep_between(verify, walk, error))
			return false;
	}
	return verify_drain(verify, error) && keep_between(verify, walk, error) && verify_decide(verify, error);
}

static const char *direction_name(const struct direction *direction)
{
	return direction->stage == VERIFY_SOURCE ? "source" : "target";
}

static void tell_of_moves(struct verify *verify, const struct walk *walk, const struct direction *direction, uint32_t map_number)
{
	char text[300];

	if (walk_restarted(walk) > 0) {
		snprintf(text, sizeof(text),
			 "%u times a master of the %s was gone through anew, for it had been restarted meanwhile",
			 walk_restarted(walk), direction_name(direction));
		verify->events->note(verify->owner, LOG_INFO, text);
	}
	if (walk_lost(walk) == 0 && direction->side->map_number == map_number && !direction->side->moved)
		return;
	snprintf(
		text, sizeof(text),
		"slots of the %s moved while its keys were gone through, which may have hidden some: verify again when they stand still",
		direction_name(direction));
	verify->events->note(verify->owner, LOG_WARNING, text);
}

static struct walk *open_walk(struct verify *verify, const struct direction *direction, struct error *error)
{
	struct walk *walk = verify->going_on;

	verify->going_on = NULL;
	if (walk)
		return walk;
	walk = walk_new(direction->side, direction->wants, verify, error);
	if (!walk)
		return NULL;
	verify->counts->keys_total += walk_keys(walk);
	if (direction->stage == VERIFY_SOURCE)
		verify->highest_source_db = walk_highest_db(walk);
	return walk;
}

static bool walk_side(struct verify *verify, const struct direction *direction, struct error *error)
{
	uint32_t map_number = direction->side->map_number;
	struct walk *walk;
	bool ok;

	verify->counts->stage = direction->stage;
	walk = open_walk(verify, direction, error);
	if (!walk)
		return false;
	ok = go_through(verify, walk, direction, error);
	if (ok)
		tell_of_moves(verify, walk, direction, map_number);
	walk_free(walk);
	return ok;
}

/* ---- the run ---- */

static bool compare_both(struct verify *verify, struct error *error)
{
	const struct direction from_source = {VERIFY_SOURCE, &verify->source, source_wants, fill_source, take_source};
	const struct direction from_target = {VERIFY_TARGET, &verify->target, target_wants, fill_target, take_target};
	const char *why = verify->options->task->lua_script
				  ? "names that a script gives cannot be led back to those of the source"
				  : transform_clears_not(verify->transform);
	char text[600];

	if (!resumption_begin(verify, error) || !catch_up_find(&verify->catch_up, &verify->counts->live, error) ||
	    (verify->counts->stage == VERIFY_SOURCE && !walk_side(verify, &from_source, error)))
		return false;
	if (!why)
		return walk_side(verify, &from_target, error);
	snprintf(text, sizeof(text), "keys of the target that the source has not were not looked for: %.500s", why);
	verify->events->note(verify->owner, LOG_WARNING, text);
	return true;
}

static bool open_both(struct verify *verify, struct error *error)
{
	const struct task_options *task = verify->options->task;

	return transform_check(task, error) &&
	       side_open(&verify->source, verify->loop, &task->source, verify->name, task->connect_timeout_ms, ERROR_SOURCE,
			 verify->options->stop, on_turn, verify, error) &&
	       side_open(&verify->target, verify->loop, &task->target, verify->name, task->connect_timeout_ms, ERROR_TARGET,
			 verify->options->stop, on_turn, verify, error);
}

static void begin(struct verify *verify)
{
	const struct verify_options *options = verify->options;
	const struct transform_target target = {.cluster = verify->target.cluster};

	verify->transform = transform_new(options->task, &target);
	verify->judge = judge_new(&options->judge);
	verify->portion_options = (struct portion_options){&verify->source, &verify->target, verify->transform,
							   verify->judge,   options->full,   &verify->guesses};
	for (uint32_t i = 0; i < PORTIONS; i++)
		verify->portions[i] = portion_new(&verify->portion_options, on_portion, verify);
	limit_init(&verify->rate, options->rate);
	verify->catch_up = (struct catch_up_options){
		.task = options->task,
		.source = &verify->source,
		.target = &verify->target,
		.wait_ms = options->wait_ms,
		.go_on = verify_go_on,
		.owner = verify,
	};
}

static void end(struct verify *verify)
{
	side_close(&verify->source);
	side_close(&verify->target);
	for (uint32_t i = 0; i < PORTIONS; i++)
		portion_free(verify->portions[i]);
	judge_free(verify->judge);
	transform_free(verify->transform);
	suspects_free(&verify->suspects);
	free(verify->name);
}

bool verify_run(struct loop *loop, const struct verify_options *options, const struct verify_events *events, void *owner,
		struct verify_counts *counts, struct error *error)
{
	struct verify verify = {.options = options, .events = events, .owner = owner, .counts = counts, .loop = loop};
	bool ok;

	*counts = (struct verify_counts){0};
	verify.name = memory_printf("keyferry:%s:verify", options->task->name);
	ok = open_both(&verify, error);
	if (ok) {
		begin(&verify);
		ok = compare_both(&verify, error);
	}
	resumption_end(&verify, ok);
	end(&verify);
	return ok;
}
