/* Rounds: what differs though nobody touches it?
 *
 *   quick looks    source, then target, at once: what was read at different moments is found to be the same now
 *   wait           until the target has all that the source had written after the last look
 *   sure look      target, then source again
 *
 * If the source's value was the same in the last quick look and in the sure one, then it was this value all along, the target had all that led to it when it was read, and
 * should have had it. So if it had another, they differ. One thing could still deceive: a key that had another value in between and then the first one again (a lock that
 * is taken and released). That is why it has to be seen more than once (suspect_confirm()). */
#include "verify/verify_state.h"

#include "base/clock.h"
#include "wire/rdb.h"

#include <stdio.h>

#define QUICK_LOOKS 3
#define REST_US 300000

enum look { LOOK_QUICK, LOOK_SURE, LOOK_ONLY };

/* ---- one suspect ---- */

static uint32_t type_bits(struct reading *reading)
{
	struct value_form form;
	const char *name;

	if (reading->form != READING_FULL || reading->state != READING_THERE || !reading_value(reading, &form))
		return transform_type_bits(reading->type);
	name = rdb_type_name(form.type, form.valkey);
	return transform_type_bits(name ? slice_of_string(name) : SLICE("?"));
}

static void take_pair(struct verify *verify, struct suspect *suspect, struct pair *pair, enum look look)
{
	suspect->source_print = look == LOOK_SURE ? suspect->source_print : 0;
	switch (pair->fate) {
	case FATE_UNREAD: snprintf(suspect->text, sizeof(suspect->text), "it could not be read on both sides"); return;
	case FATE_SAME:
	case FATE_GONE:
	case FATE_LEFT_OUT:
	case FATE_INCOMPARABLE: suspect->over = true; return;
	case FATE_DIFFERENT: break;
	}
	/* Now that its type is known, it may turn out to be somebody else's. */
	if (pair->kind == DIFFERENCE_EXTRA &&
	    !verify_is_ours(verify, pair->target_db, pair->target_key, type_bits(&pair->target))) {
		suspect->over = true;
		return;
	}
	suspect->kind = pair->kind;
	snprintf(suspect->text, sizeof(suspect->text), "%s", pair->text);
	if (look == LOOK_ONLY)
		suspect->proven = true;
	else if (look == LOOK_SURE)
		suspect_confirm(suspect, reading_fingerprint(&pair->source), reading_fingerprint(&pair->target));
	else
		suspect->source_print = reading_fingerprint(&pair->source);
}

/* ---- a look at all of them ---- */

static void take_look(struct verify *verify, struct portion *portion, enum look look)
{
	for (uint32_t i = 0; i < portion->count; i++) {
		struct pair *pair = &portion->pairs[i];

		if (pair->target_key.data && !verify->suspects.items[pair->number]->target_key.data)
			suspects_name(&verify->suspects, pair->number, pair->target_db, pair->target_key);
		take_pair(verify, verify->suspects.items[pair->number], pair, look);
	}
}

static void take_quick(struct verify *verify, struct portion *portion)
{
	take_look(verify, portion, LOOK_QUICK);
}

static void take_sure_look(struct verify *verify, struct portion *portion)
{
	take_look(verify, portion, LOOK_SURE);
}

static void take_only(struct verify *verify, struct portion *portion)
{
	take_look(verify, portion, LOOK_ONLY);
}

static bool is_wanted(const struct suspect *suspect, enum look look)
{
	return !suspect->over && !suspect->proven &&
	       (look != LOOK_SURE || (suspect->source_print != 0 && suspect->target_key.data));
}

static bool look_at_all(struct verify *verify, enum look look, struct error *error)
{
	uint32_t at = 0;

	verify->take = look == LOOK_QUICK ? take_quick : look == LOOK_SURE ? take_sure_look : take_only;
	while (at < verify->suspects.count) {
		struct portion *portion = verify_portion(verify);

		if (!portion) {
			if (!verify_await(verify, error))
				return false;
			continue;
		}
		for (; at < verify->suspects.count && portion->count < PORTION_KEYS; at++) {
			const struct suspect *suspect = verify->suspects.items[at];

			if (is_wanted(suspect, look))
				portion_add(portion, suspect->source_db, suspect->source_key, suspect->target_db,
					    suspect->target_key)
					->number = at;
		}
		if (portion->count > 0)
			portion_start(portion, look == LOOK_SURE ? PORTION_TARGET_FIRST : PORTION_SOURCE_FIRST);
	}
	return verify_drain(verify, error);
}

static bool any_left(const struct verify *verify)
{
	for (uint32_t i = 0; i < verify->suspects.count; i++)
		if (!verify->suspects.items[i]->over && !verify->suspects.items[i]->proven)
			return true;
	return false;
}

/* The map of a side that has sent keys elsewhere. */
static bool refresh(struct verify *verify, struct error *error)
{
	return (!verify->source.moved || side_refresh(&verify->source, error)) &&
	       (!verify->target.moved || side_refresh(&verify->target, error));
}

/* What could not be read, may be in a moment. */
static bool rest(struct verify *verify, struct error *error)
{
	static const bool never;

	if (any_left(verify))
		loop_run_until(verify->loop, &never, clock_monotonic_us() + REST_US);
	return verify_await(verify, error);
}

static bool run_round(struct verify *verify, struct error *error)
{
	bool live;

	if (!refresh(verify, error) || !catch_up_find(&verify->catch_up, &live, error))
		return false;
	verify->counts->rounds++;
	verify->counts->live = verify->counts->live || live;
	if (!live)
		return look_at_all(verify, LOOK_ONLY, error) && rest(verify, error);
	for (int i = 0; i < QUICK_LOOKS; i++)
		if (!look_at_all(verify, LOOK_QUICK, error))
			return false;
	return !any_left(verify) || (catch_up_wait(&verify->catch_up, error) && look_at_all(verify, LOOK_SURE, error));
}

bool rounds_run(struct verify *verify, struct error *error)
{
	for (uint32_t round = 0; round < verify->options->rounds && any_left(verify); round++)
		if (!run_round(verify, error))
			return false;
	suspects_sweep(&verify->suspects);
	return true;
}
