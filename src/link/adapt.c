#include "link/adapt.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "transform/downgrade.h"
#include "wire/rdb.h"

#include <stdio.h>
#include <stdlib.h>

#define DUMP_FOOTER_LEN 10 /* RDB version and CRC-64 (wire/rdb.h) */

struct adapt {
	struct adapt_options options;
	struct downgrade *downgrade;
	struct guard *guard;
	struct guard_times times;
	struct arena arena; /* of guarded arguments; of one command */
	uint64_t last_move;
	const struct command_info *set; /* SET: the most frequent command is asked for by its row */
	struct event *events;
	uint32_t room;
	struct adapt_counters counters;
	bool told[DOWNGRADE_LOSSES];
};

struct adapt *adapt_new(const struct adapt_options *options)
{
	struct adapt *adapt = memory_alloc_zero(1, sizeof(*adapt));
	struct slice set = SLICE("SET");
	struct downgrade_target target = {
		.redis = options->target->redis,
		.valkey = options->target->valkey,
		.rdb_version = options->target->rdb_version,
		.valkey_rdb = options->target->valkey_rdb,
	};

	adapt->options = *options;
	adapt->downgrade = downgrade_new(&target);
	adapt->guard = guard_new();
	adapt->set = command_lookup(1, &set);
	return adapt;
}

void adapt_free(struct adapt *adapt)
{
	if (!adapt)
		return;
	downgrade_free(adapt->downgrade);
	guard_free(adapt->guard);
	arena_free(&adapt->arena);
	free(adapt->events);
	free(adapt);
}

static void output_reserve(struct adapt *adapt, uint32_t count)
{
	if (count > adapt->room) {
		adapt->room = count;
		adapt->events = memory_realloc_array(adapt->events, adapt->room, sizeof(adapt->events[0]));
	}
}

static void output_fill(struct adapt *adapt, const struct event *event, const struct downgrade_result *result,
			struct adapt_output *output)
{
	output_reserve(adapt, result->count);
	for (uint32_t i = 0; i < result->count; i++) {
		const struct downgrade_command *command = &result->commands[i];
		struct event *made = &adapt->events[i];
		uint32_t at = command->info ? command_first_key(command->info, command->argc, command->argv) : 0;

		*made = *event;
		made->info = command->info;
		made->raw = (struct slice){0};
		made->argc = command->argc;
		made->argv = (struct slice *)command->argv;
		made->key = at ? command->argv[at] : (struct slice){0};
	}
	*output = (struct adapt_output){adapt->events, result->count, result->replay_safe, false, 0};
}

/* "HSETEX of key "k" (database 0, offset 4711)" */
static const char *command_describe(const struct event *event, char *out, size_t cap)
{
	char key[160], place[EVENT_PLACE_MAX];

	snprintf(out, cap, "%.*s%s%s (database %u, %s)", (int)(event->argv[0].len > 64 ? 64 : event->argv[0].len),
		 (const char *)event->argv[0].data, event->key.data ? " of key " : "",
		 event->key.data ? slice_quote(event->key, key, sizeof(key)) : "", event->db, event_place(event, place));
	return out;
}

static void refuse(const struct adapt *adapt, const struct event *event, const struct downgrade_result *result,
		   struct error *error)
{
	char what[400];

	error_set(error, ERROR_CONFLICT, "%s would lose at %s %s", command_describe(event, what, sizeof(what)),
		  adapt->options.target->name, result->lost);
	error_hint(error, "Use a target of the source's version, or set target.downgrade: lossy to go on without %s",
		   downgrade_loss_name(result->loss));
}

static void tell(struct adapt *adapt, const struct event *event, const struct downgrade_result *result)
{
	char what[400], text[800];

	adapt->counters.lossy++;
	if (adapt->told[result->loss])
		return;
	adapt->told[result->loss] = true;
	snprintf(text, sizeof(text),
		 "%s has lost at %s %s; target.downgrade: lossy goes on, and further losses of %s are counted alone",
		 command_describe(event, what, sizeof(what)), adapt->options.target->name, result->lost,
		 downgrade_loss_name(result->loss));
	adapt->options.note(adapt->options.owner, LOG_WARNING, text);
}

/* The key of RESTORE key ttl payload [REPLACE] [ABSTTL] ... False: the payload is none. */
static bool output_value(struct adapt *adapt, const struct event *event, int64_t now, struct adapt_output *output)
{
	struct slice payload = event->argv[3];
	struct event *made;
	int64_t expire_at;

	if (payload.len <= DUMP_FOOTER_LEN + 1 || !slice_to_int64(event->argv[2], &expire_at))
		return false;
	for (uint32_t i = 4; i < event->argc; i++)
		if (slice_equal_nocase(event->argv[i], SLICE("ABSTTL")))
			now = 0;
	output_reserve(adapt, 1);
	made = &adapt->events[0];
	*made = *event;
	made->kind = EVENT_KEY;
	made->key = event->argv[1];
	made->raw = made->string = (struct slice){0};
	made->type = payload.data[0];
	made->value = slice_make(payload.data + 1, payload.len - 1 - DUMP_FOOTER_LEN);
	made->expire_at_ms = expire_at ? now + expire_at : EXPIRE_NEVER;
	made->idle_seconds = -1;
	made->frequency = -1;
	*output = (struct adapt_output){.events = adapt->events, .count = 1,
					.valkey = rdb_little_endian(payload.data + payload.len - DUMP_FOOTER_LEN, 2) >= 80};
	return true;
}

/* ---- times of expiry ---- */

void adapt_set_times(struct adapt *adapt, const struct guard_times *times)
{
	adapt->times = *times;
}

static enum guard_outcome guarded(struct adapt *adapt, struct event *event, uint32_t *ret_at)
{
	struct guard_command command;
	enum guard_outcome outcome =
		guard_command(adapt->guard, &adapt->times, clock_wall_ms(), event->info, event->argc, event->argv, &adapt->arena, &command);

	if (outcome == GUARD_SAME)
		return outcome;
	event->info = command.info;
	event->argc = command.argc;
	event->argv = command.argv;
	*ret_at = command.at;
	return outcome;
}

/* RESTORE of a hash whose fields have times: these lie inside the payload. */
static bool holds_field_times(const struct adapt *adapt, const struct event *event)
{
	struct slice payload;

	if (event->info->safe_form != COMMAND_FORM_RESTORE || event->argc < 4)
		return false;
	payload = event->argv[3];
	return payload.len > DUMP_FOOTER_LEN + 1 && adapt->options.target->field_expiry &&
	       rdb_type_has_field_expiry(payload.data[0], rdb_little_endian(payload.data + payload.len - DUMP_FOOTER_LEN, 2) >= 80);
}

/* A command that the target knows. */
static enum adapt_outcome adapt_times(struct adapt *adapt, const struct event *event, int64_t now, struct adapt_output *output)
{
	struct event made = *event;
	enum guard_outcome outcome;
	uint32_t at = 0;

	if (!guard_changes(&adapt->times) || !(event->info->flags & COMMAND_EXPIRY))
		return ADAPT_SAME;
	if (holds_field_times(adapt, event) && output_value(adapt, event, now, output)) {
		adapt->counters.rewritten++;
		return ADAPT_VALUE;
	}
	outcome = guarded(adapt, &made, &at);
	if (outcome == GUARD_SAME)
		return ADAPT_SAME;
	output_reserve(adapt, 1);
	adapt->events[0] = made;
	*output = (struct adapt_output){.events = adapt->events, .count = 1, .at = at,
					.replay_safe = command_is_replay_safe(made.info, made.argc, made.argv)};
	if (outcome == GUARD_PATCHED && event->raw.data && event->edge != TRANSACTION_INSIDE)
		return ADAPT_PATCHED;
	adapt->events[0].raw = (struct slice){0};
	return ADAPT_CHANGED;
}

static void guard_output(struct adapt *adapt, struct adapt_output *output)
{
	uint32_t at;

	for (uint32_t i = 0; i < output->count; i++)
		guarded(adapt, &output->events[i], &at);
}

/* ---- one command ---- */

enum adapt_outcome adapt_command(struct adapt *adapt, const struct event *event, struct adapt_output *output, struct error *error)
{
	struct downgrade_result result;
	int64_t now = 0;

	if (!event->info) {
		adapt->last_move = event->end;
		return ADAPT_SAME;
	}
	if (event->info == adapt->set && event->argc <= 3)
		return ADAPT_SAME;
	arena_reset(&adapt->arena);
	if (guard_moves_times(event->info))
		adapt->last_move = event->end;
	if (event->info->flags & COMMAND_RELATIVE_EXPIRY)
		now = lag_stream_ms(adapt->options.lag, event->offset);
	downgrade_command(adapt->downgrade, event->info, event->argc, event->argv, now, &result);
	switch (result.outcome) {
	case DOWNGRADE_SAME: return adapt_times(adapt, event, now, output);
	case DOWNGRADE_REWRITTEN: adapt->counters.rewritten++; break;
	case DOWNGRADE_CANNOT:
		if (result.loss == DOWNGRADE_LOSS_PAYLOAD && output_value(adapt, event, now, output)) {
			adapt->counters.rewritten++;
			return ADAPT_VALUE;
		}
		if (!adapt->options.target->lossy) {
			refuse(adapt, event, &result, error);
			return ADAPT_REFUSED;
		}
		tell(adapt, event, &result);
		break;
	}
	output_fill(adapt, event, &result, output);
	if (guard_changes(&adapt->times))
		guard_output(adapt, output);
	return ADAPT_CHANGED;
}

uint64_t adapt_last_move(const struct adapt *adapt)
{
	return adapt->last_move;
}

struct adapt_counters adapt_counters(const struct adapt *adapt)
{
	return adapt->counters;
}
