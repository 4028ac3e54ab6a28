/* The resumption: a verification that was cut off goes on where it was (resume.h has the files).
 *
 *   begin: is there a state of the same verification? --its suspects again--> the walk goes on where it stood
 *   now and then: the walk is held -> its names are used up, all portions done -> the state is kept -> the walk goes on
 *   end: the files go
 *
 * A short run leaves nothing and costs nothing: nothing is kept before KEEP_US have passed. */
#include "verify/resume.h"
#include "verify/verify_state.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define KEEP_US 2000000

static void note(struct verify *verify, int log_level, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(struct verify *verify, int log_level, const char *format, ...)
{
	va_list arguments;
	char text[900];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	verify->events->note(verify->owner, log_level, text);
}

/* ---- whose it is ---- */

/* The processes as well: a cursor, and what was compared, are theirs. */
static json_t *identity_of_side(const struct side *side)
{
	const struct topology *topology = deployment_topology(side->deployment);
	json_t *masters = json_array();
	char slots[20];

	snprintf(slots, sizeof(slots), "%016llx",
		 topology->cluster ? (unsigned long long)XXH3_64bits(topology->owner, sizeof(topology->owner)) : 0);
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		const struct server_info *info = deployment_server(side->deployment, i);
		char address[ENDPOINT_TEXT_MAX];

		json_array_append_new(masters, json_pack("[s, s]", endpoint_format(&topology->shards[i].master, address),
							 info ? info->run_id : ""));
	}
	return json_pack("{s:o, s:s}", "masters", masters, "slots", slots);
}

static json_t *identity_of_settings(const struct settings *settings)
{
	json_t *object = json_object();

	for (size_t i = 0; i < settings->count; i++)
		json_object_set_new(object, settings->items[i].path, json_string(settings->items[i].text));
	return object;
}

static json_t *make_identity(const struct verify *verify)
{
	const struct judge_options *judge = &verify->options->judge;

	return json_pack("{s:s, s:{s:I, s:b}, s:{s:b, s:I, s:I}, s:o, s:o, s:o}", "mode",
			 verify->options->full ? "full" : "outline", "comparison", "tolerance_ms",
			 (json_int_t)judge->tolerance_ms, "strict", (int)judge->strict, "expiry", "guarded", (int)judge->guarded,
			 "base", (json_int_t)judge->base, "margin_ms", (json_int_t)judge->margin_ms, "settings",
			 identity_of_settings(&verify->options->task->settings), "source", identity_of_side(&verify->source),
			 "target", identity_of_side(&verify->target));
}

/* Why a state is void whose member is another one; what is no member tells it itself. */
static const char *reason_of(const char *member)
{
	static const char *const reasons[][2] = {
		{"mode", "it had another --mode"},
		{"comparison", "it had another --tolerance or --strict"},
		{"expiry", "times of expiry at the target have other forms than then"},
		{"settings", "the settings of the task were others"},
		{"source", "the source's servers are others than then, were restarted, or have other slots"},
		{"target", "the target's servers are others than then, were restarted, or have other slots"},
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(member, reasons[i][0]) == 0)
			return reasons[i][1];
	return member;
}

/* ---- the beginning ---- */

static bool look_again(struct verify *verify, struct error *error)
{
	struct slice source_key, target_key;
	uint32_t source_db, target_db;

	while (resume_next(verify->resume, &source_db, &source_key, &target_db, &target_key)) {
		suspects_add(&verify->suspects, source_db, source_key, target_db, target_key);
		if (suspects_full(&verify->suspects) && !verify_decide(verify, error))
			return false;
	}
	return verify_decide(verify, error);
}

static bool go_on(struct verify *verify, const struct resume_state *state, struct error *error)
{
	char begun[32];

	*verify->counts = state->counts;
	verify->counts->resumed_keys = state->counts.source_keys + state->counts.target_keys;
	verify->begun_ms = state->begun_ms;
	verify->highest_source_db = state->highest_source_db;
	note(verify, LOG_INFO,
	     "going on with the verification begun at %s, which was cut off behind %llu of about %llu keys; --restart begins anew",
	     clock_format_rfc3339(state->begun_ms, begun), (unsigned long long)verify->counts->resumed_keys,
	     (unsigned long long)state->counts.keys_total);
	return look_again(verify, error);
}

static bool begin_anew(struct verify *verify, const char *why)
{
	if (why)
		note(verify, LOG_INFO, "the last verification was cut off, and this one cannot go on with it: %s. It begins anew",
		     why);
	resume_clear(verify->resume);
	return true;
}

static bool take_up(struct verify *verify, struct error *error)
{
	struct resume_state state;
	char why[160];

	switch (resume_read(verify->resume, verify->identity, &state, why)) {
	case RESUME_NOTHING: return true;
	case RESUME_LOCKED:
		note(verify, LOG_INFO,
		     "another verification of the task is under way: this one cannot be gone on with if it is cut off");
		return true;
	case RESUME_VOID: return begin_anew(verify, verify->options->restart ? NULL : reason_of(why));
	case RESUME_THERE: break;
	}
	if (verify->options->restart)
		return begin_anew(verify, NULL);
	verify->going_on = walk_go_on(state.counts.stage == VERIFY_SOURCE ? &verify->source : &verify->target, state.walk, error);
	if (!verify->going_on)
		return error->kind == ERROR_NONE &&
		       begin_anew(verify, "the servers do not tell their run ids, or were restarted");
	return go_on(verify, &state, error);
}

bool resumption_begin(struct verify *verify, struct error *error)
{
	verify->begun_ms = clock_wall_ms();
	verify->keep_due_us = clock_monotonic_us() + KEEP_US;
	if (!verify->options->state_stem)
		return true;
	verify->resume = resume_new(verify->options->state_stem);
	verify->identity = make_identity(verify);
	return take_up(verify, error);
}

/* ---- under way ---- */

void resumption_note(struct verify *verify, const struct pair *pair)
{
	if (verify->resume)
		resume_note(verify->resume, pair->source_db, pair->source_key, pair->target_db, pair->target_key);
}

bool resumption_is_due(const struct verify *verify)
{
	return verify->resume && clock_monotonic_us() >= verify->keep_due_us;
}

void resumption_keep(struct verify *verify, const struct walk *walk)
{
	struct resume_state state = {verify->begun_ms, *verify->counts, verify->highest_source_db, walk_place(walk)};
	struct error error;

	if (!resume_keep(verify->resume, verify->identity, &state, &error))
		note(verify, LOG_WARNING, "this verification cannot be gone on with if it is cut off: %s", error.text);
	json_decref(state.walk);
	verify->keep_due_us = clock_monotonic_us() + KEEP_US;
}

/* ---- the end ---- */

void resumption_end(struct verify *verify, bool done)
{
	if (done && verify->resume)
		resume_clear(verify->resume);
	resume_free(verify->resume);
	json_decref(verify->identity);
	walk_free(verify->going_on);
}
