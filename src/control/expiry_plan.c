#include "control/expiry_plan.h"

#include "control/expiry_record.h"
#include "control/settle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PASSES_MAX 10 /* while slots are on the move */

static void say(void (*how)(const char *text), const char *format, ...) PRINTF_LIKE(2, 3);

static void say(void (*how)(const char *text), const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	how(text);
}

/* ---- what the target is able to do ---- */

static bool could_import(const struct server_info *info)
{
	return info && info->family == FAMILY_VALKEY && info->version >= VERSION(8, 1, 0);
}

enum import_answer expiry_ask_import(struct deployment *target)
{
	enum import_answer answer = IMPORT_YES;

	for (uint32_t i = 0; i < deployment_topology(target)->shard_count; i++) {
		struct client_reply reply;
		struct error ignored;
		struct client *client;

		if (!could_import(deployment_server(target, i)))
			return IMPORT_UNKNOWN;
		client = deployment_client(target, i, &ignored);
		if (!client || !client_call(client, &reply, true, &ignored, "CLIENT", "IMPORT-SOURCE", "ON", NULL))
			return IMPORT_NOT_REACHED;
		if (reply.nodes[0].type != RESP_ERROR)
			continue;
		if (slice_starts_with(reply.nodes[0].text, SLICE("NOPERM")))
			return IMPORT_UNKNOWN;
		answer = IMPORT_OFF;
	}
	return answer;
}

/* `why`: times cannot be guarded here, for this; "": they can. False: a connection was lost before that was known, or a server has put it off (LOADING). */
static bool find_hindrance(struct deployment *target, char why[600], struct error *error)
{
	enum settle_may may;

	why[0] = '\0';
	for (uint32_t i = 0; i < deployment_topology(target)->shard_count; i++) {
		const struct server_info *info = deployment_server(target, i);
		char peer[ENDPOINT_TEXT_MAX], name[64];

		if (info->family == FAMILY_VALKEY || info->version >= SETTLE_REDIS_SINCE)
			continue;
		snprintf(why, 600, "%s is %s, and scripts that put the times right need Redis 3.2",
			 endpoint_format(&deployment_topology(target)->shards[i].master, peer), server_name(info, name));
		return true;
	}
	may = settle_probe(target, error);
	if (may == SETTLE_MAY_NOT)
		snprintf(why, 600, "what puts the times right is refused (%.500s)", error->text);
	return may != SETTLE_MAY_UNKNOWN;
}

/* ---- passes ---- */

/* Again while keys are on the move. Nobody writes, so one that moved is found by the next pass. */
static bool pass(const struct settle_options *options, struct settle_counts *counts, struct error *error)
{
	struct settle_counts sum = {0};

	for (int i = 0; i < PASSES_MAX; i++) {
		enum settle_outcome outcome = settle_run(options, counts, error);

		sum.keys += counts->keys;
		sum.changed += counts->changed;
		sum.temporary += counts->temporary;
		sum.passed = counts->passed;
		if (outcome == SETTLE_LEFT_OFF)
			error_clear(error);
		if (outcome != SETTLE_DONE)
			return false;
		if (counts->moved == 0)
			break;
	}
	sum.moved = counts->moved;
	*counts = sum;
	if (counts->moved == 0)
		return true;
	error_set(error, ERROR_TARGET, "slots of the target are on the move: %llu keys could not be looked at",
		  (unsigned long long)counts->moved);
	error_hint(error, "Let the move of slots end, then run it again");
	return false;
}

bool expiry_settle_all(struct deployment *target, const char *data_dir, int64_t default_base, bool temporary,
		       bool (*go_on)(void *owner), void *owner, struct settle_counts *counts, struct error *error)
{
	struct settle_options options = {.target = target, .pass = SETTLE_HOLD, .go_on = go_on, .owner = owner};
	struct expiry_record record;

	*counts = (struct settle_counts){0};
	if (!expiry_record_read(data_dir, &record, error))
		return false;
	options.base = record.exists ? record.base : default_base;
	options.margin_ms = record.margin_ms;
	if (record.exists && record.margin_ms > 0) {
		if (!pass(&options, counts, error))
			return false;
		/* All are held: from here on a time that is not is a true one. */
		record.margin_ms = 0;
		if (!expiry_record_write(data_dir, &record, error))
			return false;
	}
	options.pass = SETTLE_FREE;
	options.margin_ms = 0;
	options.final = true;
	options.temporary = temporary;
	return pass(&options, counts, error);
}

/* ---- the plan ---- */

/* Guarded: what is there gets this task's margin. */
static bool take_margin(const struct expiry_plan_options *options, struct expiry_record *record, int64_t margin_ms,
			struct error *error)
{
	struct settle_options settle = {
		.target = options->target,
		.pass = SETTLE_HOLD,
		.base = record->base,
		.margin_ms = record->margin_ms,
		.go_on = options->go_on,
		.owner = options->owner,
	};
	struct settle_counts counts;

	if (record->margin_ms != margin_ms && options->own_data) {
		say(options->tell,
		    "the times of expiry in the target were written with a margin of %lld ms, and are from now on with %lld ms: they are made anew",
		    (long long)record->margin_ms, (long long)margin_ms);
		if (!pass(&settle, &counts, error))
			return false;
	}
	record->exists = true;
	record->margin_ms = margin_ms;
	return expiry_record_write(options->task->data_dir, record, error);
}

static bool leave_guard(const struct expiry_plan_options *options, const struct expiry_record *record, struct error *error)
{
	const struct expiry_record none = {0};
	struct settle_counts counts;

	if (!record->exists)
		return true;
	say(options->tell, "the times of expiry in the target were guarded, and are not from now on: they are made true");
	return expiry_settle_all(options->target, options->task->data_dir, record->base, false, options->go_on, options->owner,
				 &counts, error) &&
	       expiry_record_write(options->task->data_dir, &none, error);
}

/* OFF, IMPORT or HELD, told where it is not what one may expect. A lost connection is no answer: whoever went on without the guard for it would do so for as long as
 * the task runs. */
static bool choose(const struct expiry_plan_options *options, enum guard_form *ret, struct error *error)
{
	char why[600];

	*ret = GUARD_OFF;
	if (!options->deletes || options->task->expiry_guard == EXPIRY_GUARD_OFF)
		return true;
	switch (expiry_ask_import(options->target)) {
	case IMPORT_YES:
		say(options->tell,
		    "the target is in import mode: it expires nothing by itself and waits for the source. CONFIG SET import-mode no ends that, when "
		    "the task is done");
		*ret = GUARD_IMPORT;
		return true;
	case IMPORT_OFF:
		say(options->tell,
		    "the target would wait for the source to expire keys after CONFIG SET import-mode yes (on every master, and in its "
		    "configuration); as it is, times of expiry are guarded");
		break;
	case IMPORT_UNKNOWN:
	case IMPORT_NOT_REACHED: break;
	}
	if (!find_hindrance(options->target, why, error))
		return false;
	if (!why[0]) {
		*ret = GUARD_HELD;
		return true;
	}
	say(options->warn,
	    "times of expiry cannot be guarded: %s. A key whose life the source extends while keyferry is behind may be gone from the target before that "
	    "comes (target.expiry_guard: off silences this)",
	    why);
	return true;
}

bool expiry_plan_make(const struct expiry_plan_options *options, struct expiry_plan *ret, struct error *error)
{
	bool always = options->task->expiry_guard == EXPIRY_GUARD_ALWAYS;
	struct expiry_record record;
	int64_t margin_ms;
	bool guarded;

	if (!expiry_record_read(options->task->data_dir, &record, error))
		return false;
	if (!record.exists)
		record.base = guard_base(options->task->name);
	*ret = (struct expiry_plan){.always = always, .base = record.base};
	if (!choose(options, &ret->form, error))
		return false;
	guarded = guard_changes(&(struct guard_times){.form = ret->form});
	/* Without live times there is no margin. Of what ends when it has caught up, the times have to be true then. Should import mode end under way, there is no
	 * record of a margin. */
	margin_ms = !guarded || always || options->task->stop_when == STOP_WHEN_CAUGHT_UP ? 0 : options->task->expiry_margin_ms;
	ret->margin_ms = margin_ms;
	return guarded ? take_margin(options, &record, margin_ms, error) : leave_guard(options, &record, error);
}
