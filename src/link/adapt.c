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
	const struct command_info *eval, *evalsha, *eval_ro, *evalsha_ro, *function_load, *function_restore, *restore;
	struct slice *argv; /* of the command made last */
	uint32_t argv_room;
	struct event *events;
	uint32_t room;
	struct adapt_counters counters;
	bool told[DOWNGRADE_LOSSES];
};

static const struct command_info *row_of(const char *name, const char *sub)
{
	struct slice words[] = {slice_of_string(name), slice_of_string(sub)};

	return command_lookup(words[1].len > 0 ? 2 : 1, words);
}

struct adapt *adapt_new(const struct adapt_options *options)
{
	struct adapt *adapt = memory_alloc_zero(1, sizeof(*adapt));
	struct downgrade_target target = {
		.redis = options->target->redis,
		.valkey = options->target->valkey,
		.rdb_version = options->target->rdb_version,
		.valkey_rdb = options->target->valkey_rdb,
	};

	adapt->options = *options;
	adapt->downgrade = downgrade_new(&target);
	adapt->guard = guard_new();
	adapt->set = row_of("SET", "");
	adapt->eval = row_of("EVAL", "");
	adapt->evalsha = row_of("EVALSHA", "");
	adapt->eval_ro = row_of("EVAL_RO", "");
	adapt->evalsha_ro = row_of("EVALSHA_RO", "");
	adapt->restore = row_of("RESTORE", "");
	adapt->function_load = row_of("FUNCTION", "LOAD");
	adapt->function_restore = row_of("FUNCTION", "RESTORE");
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
	free(adapt->argv);
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
	/* The server takes any number of ms: one that no clock will ever reach stays one. */
	if (expire_at == 0)
		made->expire_at_ms = EXPIRE_NEVER;
	else if (__builtin_add_overflow(now, expire_at, &made->expire_at_ms))
		made->expire_at_ms = INT64_MAX;
	made->idle_seconds = -1;
	made->frequency = -1;
	*output = (struct adapt_output){.events = adapt->events,
					.count = 1,
					.valkey = rdb_little_endian(payload.data + payload.len - DUMP_FOOTER_LEN, 2) >= 80};
	return true;
}

/* The same command with `argc` arguments, for the caller to change. */
static void output_copy(struct adapt *adapt, const struct event *event, uint32_t argc, const struct command_info *info,
			struct adapt_output *output)
{
	if (argc > adapt->argv_room) {
		adapt->argv_room = argc;
		adapt->argv = memory_realloc_array(adapt->argv, adapt->argv_room, sizeof(adapt->argv[0]));
	}
	memcpy(adapt->argv, event->argv, (argc < event->argc ? argc : event->argc) * sizeof(adapt->argv[0]));
	output_reserve(adapt, 1);
	adapt->events[0] = *event;
	adapt->events[0].info = info;
	adapt->events[0].raw = (struct slice){0};
	adapt->events[0].argc = argc;
	adapt->events[0].argv = adapt->argv;
	*output = (struct adapt_output){.events = adapt->events, .count = 1};
}

/* The target would answer with a protocol error and close the connection, each time anew. */
static bool too_long(const struct adapt *adapt, const struct event *event, struct error *error)
{
	uint64_t max = adapt->options.target->bulk_max;
	char what[400];

	if (event->raw.data && event->raw.len <= max)
		return false;
	for (uint32_t i = 0; i < event->argc; i++) {
		if (event->argv[i].len <= max)
			continue;
		error_set(error, ERROR_CONFLICT,
			  "%s has an argument of %zu bytes, and %s takes %llu at most (proto-max-bulk-len)",
			  command_describe(event, what, sizeof(what)), event->argv[i].len, adapt->options.target->name,
			  (unsigned long long)max);
		error_hint(
			error,
			"Raise proto-max-bulk-len at the target and start again, or set on_conflict: skip to leave such commands out");
		return true;
	}
	return false;
}

static bool calls_by_sha(const struct adapt *adapt, const struct event *event)
{
	return (event->info == adapt->evalsha || event->info == adapt->evalsha_ro) && event->argc > 2;
}

/* The target may have lost the body, or never have had it. */
static enum adapt_outcome output_eval(struct adapt *adapt, const struct event *event, struct adapt_output *output,
				      struct error *error)
{
	bool only_reads = event->info == adapt->evalsha_ro;
	char what[400], sha[80];
	struct slice body;

	if (!scripts_find(adapt->options.scripts, event->argv[1], &body)) {
		error_set(error, ERROR_CONFLICT,
			  "%s calls a script that neither the snapshot nor the stream has brought: SHA1 %s",
			  command_describe(event, what, sizeof(what)), slice_quote(event->argv[1], sha, sizeof(sha)));
		error_hint(
			error,
			"Begin anew with an empty work directory, for a new snapshot brings what the source knows, or set on_conflict: skip to leave such calls out");
		return ADAPT_REFUSED;
	}
	output_copy(adapt, event, event->argc, only_reads ? adapt->eval_ro : adapt->eval, output);
	adapt->argv[0] = only_reads ? SLICE("EVAL_RO") : SLICE("EVAL");
	adapt->argv[1] = body;
	return ADAPT_CHANGED;
}

/* FUNCTION LOAD code, FUNCTION RESTORE payload, as the source has executed them. Where it has several masters, each of them brings the same library, so
 * here it takes the place of the one before. */
static bool output_library(struct adapt *adapt, const struct event *event, struct adapt_output *output)
{
	bool load = event->info == adapt->function_load && event->argc == 3;
	bool restore = event->info == adapt->function_restore &&
		       (event->argc == 3 || (event->argc == 4 && slice_equal_nocase(event->argv[3], SLICE("APPEND"))));

	if (!load && !restore)
		return false;
	output_copy(adapt, event, 4, event->info, output);
	adapt->argv[load ? 2 : 3] = SLICE("REPLACE");
	adapt->argv[load ? 3 : 2] = event->argv[2];
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
	enum guard_outcome outcome = guard_command(adapt->guard, &adapt->times, clock_wall_ms(), event->info, event->argc,
						   event->argv, &adapt->arena, &command);

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
	       rdb_type_has_field_expiry(payload.data[0],
					 rdb_little_endian(payload.data + payload.len - DUMP_FOOTER_LEN, 2) >= 80);
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
	*output = (struct adapt_output){.events = adapt->events,
					.count = 1,
					.at = at,
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

	if (too_long(adapt, event, error)) {
		/* A payload may be rewritten, what stands for itself may not. */
		if (event->info != adapt->restore || event->argc < 4)
			return ADAPT_REFUSED;
		now = lag_stream_ms(adapt->options.lag, event->offset);
		if (!output_value(adapt, event, now, output))
			return ADAPT_REFUSED;
		adapt->counters.rewritten++;
		return ADAPT_VALUE;
	}
	if (!event->info) {
		adapt->last_move = event->end;
		return ADAPT_SAME;
	}
	if (event->info == adapt->set && event->argc <= 3)
		return ADAPT_SAME;
	arena_reset(&adapt->arena);
	if (guard_moves_times(event->info))
		adapt->last_move = event->end;
	if (adapt->options.scripts && calls_by_sha(adapt, event))
		return output_eval(adapt, event, output, error);
	if (adapt->options.target->functions && output_library(adapt, event, output))
		return ADAPT_CHANGED;
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

void adapt_note_move(struct adapt *adapt, uint64_t end)
{
	if (end > adapt->last_move)
		adapt->last_move = end;
}

uint64_t adapt_last_move(const struct adapt *adapt)
{
	return adapt->last_move;
}

struct adapt_counters adapt_counters(const struct adapt *adapt)
{
	return adapt->counters;
}
