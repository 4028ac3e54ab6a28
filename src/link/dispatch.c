#include "link/dispatch_state.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "decode/value_empty.h"
#include "route/route.h"
#include "source/heartbeat.h"
#include "wire/rdb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- commands ---- */

static void send_split(struct dispatch *dispatch, const struct event *event)
{
	struct route_part *parts;
	uint32_t count = route_split(&dispatch->splitter, event, &parts);

	for (uint32_t i = 0; i < count; i++)
		sink_arguments(dispatch->sink, event, i + 1 == count ? event->end : event->start, parts[i].slot,
			       dispatch->db_stream, UNIT_REPLAY_SAFE, parts[i].argc, parts[i].argv);
}

/* A library that each of several source masters deletes is gone after the first of them. */
uint16_t dispatch_function_flags(const struct dispatch *dispatch, const struct event *event)
{
	return event->info == dispatch->function_delete ? UNIT_ANY_ERROR : 0;
}

/* As it came, or as it was made. */
static void send_one(struct dispatch *dispatch, const struct event *event, uint16_t slot)
{
	if (event->raw.data && event->info != dispatch->function_delete)
		sink_command(dispatch->sink, event, slot, dispatch->db_stream);
	else
		sink_arguments(dispatch->sink, event, event->end, slot, dispatch->db_stream,
			       dispatch_function_flags(dispatch, event), event->argc, event->argv);
}

/* To every master, in no order with anything else there. */
static void broadcast(struct dispatch *dispatch, const struct event *event)
{
	uint32_t masters = dispatch->master_count;
	uint32_t number = sink_number(dispatch->sink, event->start);

	/* Looking through all slots is too much for each; a master that is missed for a while does no harm. */
	if (masters == 0 || dispatch->masters_number != sink_map_number(dispatch->sink)) {
		masters = dispatch->master_count = sink_master_slots(dispatch->sink, dispatch->masters, DISPATCH_MASTERS_MAX);
		dispatch->masters_number = sink_map_number(dispatch->sink);
	}
	for (uint32_t i = 0; i < masters; i++)
		sink_arguments(dispatch->sink, event, i + 1 == masters ? event->end : event->start, dispatch->masters[i],
			       dispatch->db_stream, 0, event->argc, event->argv);
	sink_set_number(dispatch->sink, event->start, number + DISPATCH_MASTERS_MAX); /* as of a barrier */
}

/* They are given the libraries of the others. */
void dispatch_watch_masters(struct dispatch *dispatch)
{
	struct endpoint *masters;
	uint16_t slots[DISPATCH_MASTERS_MAX];
	uint32_t count;

	if (!dispatch->libraries || dispatch->map_number == sink_map_number(dispatch->sink))
		return;
	dispatch->map_number = sink_map_number(dispatch->sink);
	count = sink_master_slots(dispatch->sink, slots, DISPATCH_MASTERS_MAX);
	masters = memory_alloc((count + 1) * sizeof(masters[0]));
	for (uint32_t i = 0; i < count; i++)
		masters[i] = *sink_master(dispatch->sink, slots[i]);
	libraries_masters(dispatch->libraries, masters, count);
	free(masters);
}

/* A cluster has database 0 alone, or since Valkey 9 as many as it is told to have. */
static bool check_database(const struct dispatch *dispatch, const struct event *event, struct error *error)
{
	uint32_t databases = dispatch->options.abilities.databases;
	char key[160], place[EVENT_PLACE_MAX];

	if (event->db == 0 || event->db < databases || !sink_is_cluster(dispatch->sink))
		return true;
	if (databases > 1)
		error_set(error, ERROR_CONFLICT, "key %s goes to database %u (%s), and the cluster target has only %u databases",
			  slice_quote(event->key, key, sizeof(key)), event->db, event_place(event, place), databases);
	else
		error_set(error, ERROR_CONFLICT, "key %s goes to database %u (%s), and the cluster target has database 0 alone",
			  slice_quote(event->key, key, sizeof(key)), event->db, event_place(event, place));
	error_hint(
		error,
		"Choose the databases to copy with source.databases, bring them into others with target.database_map: {\"*\": 0}, use a standalone "
		"target, or Valkey 9 with more cluster-databases");
	return false;
}

static bool is_flush(const struct event *event)
{
	return slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")) || slice_equal_nocase(event->argv[0], SLICE("FLUSHDB"));
}

/* The transform has had its word; this is what a script of the operator makes, or leaves. */
static bool check_flush(const struct dispatch *dispatch, const struct event *event, struct error *error)
{
	char place[EVENT_PLACE_MAX];

	if (dispatch->options.only_link || !is_flush(event))
		return true;
	error_set(
		error, ERROR_CONFLICT,
		"%.*s that the Lua script has made, at one of several source masters (database %u, %s), would clear what the others have brought",
		(int)event->argv[0].len, (const char *)event->argv[0].data, event->db, event_place(event, place));
	error_hint(
		error,
		"Leave the source's FLUSHDB and FLUSHALL as they are in the script (return nothing), then they clear what this master's link has "
		"brought; or drop them");
	return false;
}

static bool send_command(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	struct route route;

	if (!check_flush(dispatch, event, error))
		return false;
	if (!sink_is_cluster(dispatch->sink)) {
		send_one(dispatch, event, 0);
		return true;
	}
	route = route_command(event, error);
	switch (route.kind) {
	case ROUTE_SLOT:
		if (!check_database(dispatch, event, error))
			return false;
		send_one(dispatch, event, route.slot);
		return true;
	case ROUTE_SPLIT:
		if (!check_database(dispatch, event, error))
			return false;
		send_split(dispatch, event);
		return true;
	case ROUTE_CROSSING:
		return check_database(dispatch, event, error) && dispatch_begin_crossing(dispatch, event, event->end, error);
	case ROUTE_ALL:
		if (event->db != 0 && event->db >= dispatch->options.abilities.databases &&
		    slice_equal_nocase(event->argv[0], SLICE("FLUSHDB"))) {
			dispatch_progress(dispatch,
					  event->end); /* a database that was refused, or left out: nothing of it is there */
			return true;
		}
		if (event->info == dispatch->script_load)
			broadcast(dispatch,
				  event); /* no call of a script needs it (adapt.h), and clients may load one for each call */
		else
			dispatch_begin_barrier(dispatch, event, dispatch_function_flags(dispatch, event));
		return true;
	case ROUTE_ANY: send_one(dispatch, event, event->argc > 1 ? slot_of_key(event->argv[1]) : 0); return true;
	case ROUTE_REFUSED: break;
	}
	return dispatch_refused(dispatch, event, error);
}

/* ---- rewriting ---- */

/* As the sink does with what is no rewriting: also where an earlier run has brought a part of the first snapshot, what else the target holds is not its own. */
static bool replaces(const struct dispatch *dispatch)
{
	return dispatch->generation > 1 || dispatch->options.task->conflict == CONFLICT_OVERWRITE;
}

static bool send_rewritten(struct dispatch *dispatch, const struct event *event, uint64_t end, uint16_t slot, bool valkey,
			   bool replaces, struct error *error)
{
	return rewriting_begin(dispatch->rewriting,
			       &(struct rewriting_key){event, end, slot, dispatch->db_stream, valkey, replaces}, error);
}

/* Nothing of it goes to the target; in a transaction its EXEC moves the position. */
static bool leave_out(struct dispatch *dispatch, const struct event *event)
{
	if (event->edge != TRANSACTION_INSIDE)
		dispatch_progress(dispatch, event->end);
	return true;
}

bool dispatch_skips(struct dispatch *dispatch, const struct error *error)
{
	char text[1024];

	if (dispatch->options.task->on_conflict != ON_CONFLICT_SKIP)
		return false;
	snprintf(text, sizeof(text), "skipped as on_conflict: skip says: %s", error->text);
	dispatch->options.note(dispatch->options.owner, LOG_WARNING, text);
	dispatch->counters.conflicts++;
	return true;
}

bool dispatch_refused(struct dispatch *dispatch, const struct event *event, const struct error *error)
{
	return dispatch_skips(dispatch, error) && leave_out(dispatch, event);
}

/* ---- what the target has nothing for ---- */

static bool is_lost(const struct dispatch *dispatch, const struct event *event, bool valkey)
{
	const struct target_abilities *abilities = &dispatch->options.abilities;
	const char *type = rdb_type_name(event->type, valkey);

	return abilities->lossy && !abilities->streams && type && strcmp(type, "stream") == 0;
}

/* Each is told. */
static void lose_key(struct dispatch *dispatch, const struct event *event, const char *what)
{
	char key[160], place[EVENT_PLACE_MAX], text[512];

	dispatch->counters.lossy_keys++;
	snprintf(text, sizeof(text),
		 "left out as target.downgrade: lossy says: %s%s (%s, database %u, %s), which %s has nothing for", what,
		 event->key.data ? slice_quote(event->key, key, sizeof(key)) : "", event->key.data ? "key" : "snapshot",
		 event->db, event_place(event, place), dispatch->options.abilities.name);
	dispatch->options.note(dispatch->options.owner, LOG_WARNING, text);
}

/* ---- commands, as the target knows them ---- */

/* Key by key it is no part of a transaction: neither at once, nor done once when it is repeated after what stands behind it in the same EXEC. */
static bool refuse_flush(struct dispatch *dispatch, struct error *error)
{
	const struct event *flush = &dispatch->flush;
	char place[EVENT_PLACE_MAX];

	dispatch->has_flush = false;
	error_set(
		error, ERROR_CONFLICT,
		"%.*s (database %u, %s): it stands in a transaction beside other commands, and the target holds keys that it does not mean, so it would have to go "
		"key by key there",
		(int)flush->argv[0].len, (const char *)flush->argv[0].data, flush->db, event_place(flush, place));
	error_hint(
		error,
		"Clear by hand what the target has of it, then let the command be left out (on_conflict: skip, or filter.block: "
		"[{command: \"flush*\"}])");
	return dispatch_skips(dispatch, error);
}

static bool put_into_transaction(void *owner, const struct event *event, struct error *error)
{
	struct dispatch *dispatch = owner;
	bool cluster = sink_is_cluster(dispatch->sink);

	if (dispatch->has_flush && !refuse_flush(dispatch, error))
		return false;
	if (!check_flush(dispatch, event, error) || (cluster && !check_database(dispatch, event, error)))
		return false;
	return transaction_command(&dispatch->transaction, event, cluster, error) || dispatch_skips(dispatch, error);
}

/* Several commands that stand for one: in a transaction of our own. */
static bool send_together(struct dispatch *dispatch, const struct event *event, const struct adapt_output *output,
			  struct error *error)
{
	transaction_begin(&dispatch->transaction, event);
	for (uint32_t i = 0; i < output->count; i++) {
		if (!put_into_transaction(dispatch, &output->events[i], error)) {
			transaction_forget(&dispatch->transaction);
			return false;
		}
	}
	for (uint32_t i = 0; i < dispatch->transaction.run_count; i++)
		dispatch->transaction.runs[i].unsafe = !output->replay_safe;
	return dispatch_end_transaction(dispatch, event->end, error);
}

static bool send_value(struct dispatch *dispatch, const struct event *event, bool valkey, struct error *error)
{
	uint16_t slot = sink_is_cluster(dispatch->sink) ? slot_of_key(event->key) : 0;

	if (is_lost(dispatch, event, valkey)) {
		lose_key(dispatch, event, "stream ");
		return leave_out(dispatch, event);
	}
	if (event->edge == TRANSACTION_INSIDE)
		return rewriting_each(dispatch->rewriting, event, valkey, put_into_transaction, dispatch, error);
	return check_database(dispatch, event, error) && send_rewritten(dispatch, event, event->end, slot, valkey, true, error);
}

/* With another argument in its place. */
static bool send_patched(struct dispatch *dispatch, const struct event *event, const struct adapt_output *output,
			 struct error *error)
{
	struct event *made = &output->events[0];
	struct route route = {.kind = ROUTE_SLOT};

	if (sink_is_cluster(dispatch->sink))
		route = route_command(event, error);
	if (route.kind != ROUTE_SLOT) {
		made->raw = (struct slice){0};
		return send_command(dispatch, made, error);
	}
	if (!check_database(dispatch, event, error))
		return false;
	sink_patched(dispatch->sink, event, route.slot, dispatch->db_stream, output->at, made->argv[output->at]);
	return true;
}

static bool send_adapted(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	bool inside = event->edge == TRANSACTION_INSIDE;
	struct adapt_output output;

	/* What is done by reading and writing values need not be known to the target. */
	if (sink_is_cluster(dispatch->sink) && crossing_plan_is_own(event) && route_command(event, error).kind == ROUTE_CROSSING)
		return inside ? put_into_transaction(dispatch, event, error) : send_command(dispatch, event, error);
	switch (adapt_command(dispatch->adapt, event, &output, error)) {
	case ADAPT_SAME: return inside ? put_into_transaction(dispatch, event, error) : send_command(dispatch, event, error);
	case ADAPT_VALUE: return send_value(dispatch, &output.events[0], output.valkey, error);
	case ADAPT_REFUSED: return dispatch_refused(dispatch, event, error);
	case ADAPT_PATCHED: return send_patched(dispatch, event, &output, error);
	case ADAPT_CHANGED: break;
	}
	if (output.count == 0)
		return leave_out(dispatch, event);
	if (!inside)
		return output.count == 1 ? send_command(dispatch, &output.events[0], error)
					 : send_together(dispatch, event, &output, error);
	for (uint32_t i = 0; i < output.count; i++)
		if (!put_into_transaction(dispatch, &output.events[i], error))
			return false;
	return true;
}

/* ---- transformed events ---- */

/* The times of a hash's fields lie inside its payload, where they cannot be given another form. */
static bool has_bare_field_times(const struct dispatch *dispatch, const struct event *event)
{
	return guard_changes(&dispatch->times) && dispatch->options.abilities.field_expiry &&
	       rdb_type_has_field_expiry(event->type, dispatch->valkey);
}

static bool send_key(struct dispatch *dispatch, const struct event *event, uint64_t end, struct error *error)
{
	struct event guarded;
	uint16_t slot = sink_is_cluster(dispatch->sink) ? slot_of_key(event->key) : 0;

	if (!check_database(dispatch, event, error) || !leftovers_note(dispatch->leftovers, event->db, event->key, error))
		return false;
	if (is_lost(dispatch, event, dispatch->valkey)) {
		lose_key(dispatch, event, "stream ");
		dispatch_progress(dispatch, end);
		return true;
	}
	if (!encode_possible(event, &dispatch->options.abilities, dispatch->valkey) || has_bare_field_times(dispatch, event)) {
		if (event->type == RDB_TYPE_MODULE_2) {
			dispatch_progress(dispatch, end);
			return unsupported_value(dispatch->unsupported, event, error);
		}
		return send_rewritten(dispatch, event, end, slot, dispatch->valkey, replaces(dispatch), error);
	}
	if (event->expire_at_ms != EXPIRE_NEVER && guard_changes(&dispatch->times)) {
		guarded = *event;
		guarded.expire_at_ms = guard_key_time(&dispatch->times, event->expire_at_ms, clock_wall_ms());
		event = &guarded;
	}
	sink_key(dispatch->sink, event, end, slot, dispatch->db_stream, dispatch->valkey);
	return true;
}

enum dispatch_state dispatch_hand_in(struct dispatch *dispatch, struct error *error)
{
	while (dispatch->pending_at < dispatch->pending.count) {
		struct event *event = &dispatch->pending.events[dispatch->pending_at];
		uint64_t end = dispatch->pending_at + 1 == dispatch->pending.count ? dispatch->pending_end : event->start;

		if (dispatch_waits(dispatch) || !sink_has_room(dispatch->sink))
			return DISPATCH_WAITS;
		dispatch->pending_at++;
		if (event->kind == EVENT_KEY) {
			if (!send_key(dispatch, event, end, error))
				return DISPATCH_FAILED;
			continue;
		}
		event->end = end;
		if (!send_adapted(dispatch, event, error))
			return DISPATCH_FAILED;
	}
	return dispatch_waits(dispatch) ? DISPATCH_WAITS : DISPATCH_READY;
}

static bool send_same(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	if (event->kind == EVENT_KEY)
		return send_key(dispatch, event, event->end, error);
	return send_adapted(dispatch, event, error);
}

static bool clear(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	if (event->edge != TRANSACTION_INSIDE) {
		clearing_begin(dispatch->clearing, event, dispatch->db_stream);
		return true;
	}
	if (dispatch->has_flush && !refuse_flush(dispatch, error))
		return false;
	dispatch->flush = *event;
	dispatch->flush.edge = TRANSACTION_NONE;
	dispatch->flush.argv = dispatch->flush_argv;
	if (event->argc > 2)
		dispatch->flush.argc = 2;
	memcpy(dispatch->flush_argv, event->argv, dispatch->flush.argc * sizeof(dispatch->flush_argv[0]));
	dispatch->has_flush = dispatch->transaction.commands == 0;
	return dispatch->has_flush || refuse_flush(dispatch, error);
}

/* A key, or a command that is no edge of a transaction. */
static bool handle(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	struct transform_output output;

	switch (transform_event(dispatch->transform, event, &output, error)) {
	case TRANSFORM_SAME: return send_same(dispatch, event, error);
	case TRANSFORM_DROPPED: dispatch->counters.left_out++; return leave_out(dispatch, event);
	case TRANSFORM_REFUSED: return dispatch_refused(dispatch, event, error);
	case TRANSFORM_CLEAR: return clear(dispatch, event, error);
	case TRANSFORM_CHANGED: break;
	}
	if (event->edge == TRANSACTION_INSIDE) {
		for (uint32_t i = 0; i < output.count; i++)
			if (!send_adapted(dispatch, &output.events[i], error))
				return false;
		return true;
	}
	dispatch->pending = output;
	dispatch->pending_at = 0;
	dispatch->pending_end = event->end;
	return dispatch_hand_in(dispatch, error) != DISPATCH_FAILED;
}

static bool handle_edge(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	struct transaction *transaction = &dispatch->transaction;

	if (event->edge == TRANSACTION_BEGIN) {
		transaction_begin(transaction, event);
		dispatch->has_flush = false;
		return true;
	}
	if (transaction->commands == 0) {
		transaction_forget(transaction);
		if (dispatch->has_flush) {
			dispatch->flush.end = event->end;
			clearing_begin(dispatch->clearing, &dispatch->flush, dispatch->db_stream);
			return true;
		}
		dispatch_progress(dispatch, event->end);
		return true;
	}
	return dispatch_end_transaction(dispatch, event->end, error);
}

static bool handle_command(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	if (event->edge == TRANSACTION_BEGIN || event->edge == TRANSACTION_END)
		return handle_edge(dispatch, event, error);
	if (lag_is_beat(event)) {
		lag_note(dispatch->options.lag, event);
		return leave_out(dispatch, event);
	}
	return handle(dispatch, event, error);
}

static void tell_empty(struct dispatch *dispatch, const struct event *event)
{
	char key[160], place[EVENT_PLACE_MAX], text[400];

	snprintf(text, sizeof(text),
		 "left out, as a server does when it loads a snapshot: key %s (database %u, %s), a %s without elements",
		 slice_quote(event->key, key, sizeof(key)), event->db, event_place(event, place),
		 rdb_type_name(event->type, dispatch->valkey));
	dispatch->options.note(dispatch->options.owner, LOG_WARNING, text);
}

static bool handle_key(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	if (lag_is_beat(event))
		return leave_out(dispatch, event);
	/* A key past its time is gone for every reader of the source already; its DEL follows in the stream. Where the target waits for that DEL, it is
	 * created as a replica creates it: what made it live on may come first. */
	if (dispatch->times.form == GUARD_OFF && event->expire_at_ms != EXPIRE_NEVER && event->expire_at_ms <= clock_wall_ms()) {
		dispatch->counters.expired_keys++;
		return leave_out(dispatch, event);
	}
	if (value_is_empty(event->type, event->value)) {
		dispatch->counters.empty_keys++;
		tell_empty(dispatch, event);
		return leave_out(dispatch, event);
	}
	return handle(dispatch, event, error);
}

/* A function library or a script body of the snapshot becomes a command for all masters. */
static bool handle_library(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	struct event command = *event;
	char place[EVENT_PLACE_MAX];
	struct transform_output unused;
	uint32_t argc = 0;
	uint16_t flags = 0;

	if (transform_event(dispatch->transform, event, &unused, error) == TRANSFORM_DROPPED) {
		dispatch->counters.left_out++;
		return leave_out(dispatch, event);
	}
	command.argv = dispatch->library_arguments;
	if (event->kind == EVENT_SCRIPT) {
		command.argv[argc++] = SLICE("SCRIPT");
		command.argv[argc++] = SLICE("LOAD");
	} else {
		if (!dispatch->options.abilities.functions && dispatch->options.abilities.lossy) {
			lose_key(dispatch, event, "a function library");
			return leave_out(dispatch, event);
		}
		if (!dispatch->options.abilities.functions) {
			error_set(error, ERROR_CONFLICT, "the source has a function library (%s), and %s knows no functions",
				  event_place(event, place), dispatch->options.abilities.name);
			error_hint(
				error,
				"Use a target of Redis 7.0 or newer, remove the library from the source, or set target.downgrade: lossy");
			return false;
		}
		command.argv[argc++] = SLICE("FUNCTION");
		command.argv[argc++] = SLICE("LOAD");
		/* With stop, one that an earlier run has brought would be taken for a conflict. */
		if (replaces(dispatch) || (dispatch->own_data && dispatch->options.task->conflict == CONFLICT_STOP))
			command.argv[argc++] = SLICE("REPLACE");
		else if (dispatch->options.task->conflict == CONFLICT_SKIP)
			flags = UNIT_ANY_ERROR;
	}
	command.argv[argc++] = event->value;
	command.argc = argc;
	if (sink_is_cluster(dispatch->sink) && event->kind == EVENT_SCRIPT)
		broadcast(dispatch, &command);
	else if (sink_is_cluster(dispatch->sink))
		dispatch_begin_barrier(dispatch, &command, flags);
	else
		sink_arguments(dispatch->sink, &command, event->end, 0, dispatch->db_stream, flags, argc, command.argv);
	return true;
}

/* ---- unknown commands ---- */

static void on_learned(void *owner, const struct command_info *info)
{
	struct dispatch *dispatch = owner;

	dispatch->unknown.info = info;
	if (info) {
		uint32_t at = command_first_key(info, dispatch->unknown.argc, dispatch->unknown.argv);

		if (at > 0 && at < dispatch->unknown.argc)
			dispatch->unknown.key = dispatch->unknown.argv[at];
	}
	dispatch->learned_it = true;
	dispatch->options.go_on(dispatch->options.owner);
}

static bool must_learn(const struct dispatch *dispatch, const struct event *event)
{
	/* With target.unsupported: skip, a command that the target does not know may not go there, for it would take its transaction along. */
	return event->kind == EVENT_COMMAND && !event->info && event->edge != TRANSACTION_BEGIN &&
	       event->edge != TRANSACTION_END &&
	       (sink_is_cluster(dispatch->sink) || transform_needs_keys(dispatch->transform) ||
		dispatch->options.abilities.skip_unsupported);
}

/* The target does not know it either. */
static bool leave_unknown(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	return unsupported_command(dispatch->unsupported, event, error) && leave_out(dispatch, event);
}

bool dispatch_unknown(struct dispatch *dispatch, struct error *error)
{
	const struct event *event = &dispatch->unknown;

	return event->info ? handle_command(dispatch, event, error) : leave_unknown(dispatch, event, error);
}

static void begin_learning(struct dispatch *dispatch, const struct event *event)
{
	dispatch->unknown = *event;
	dispatch->learning = true;
	dispatch->learned_it = false;
	learner_ask(dispatch->learner, event->argv[0], on_learned, dispatch);
}

/* ---- public ---- */

struct dispatch *dispatch_new(const struct dispatch_options *options)
{
	struct dispatch *dispatch = memory_alloc_zero(1, sizeof(*dispatch));

	dispatch->options = *options;
	dispatch->transform = transform_new(options->task, &(struct transform_target){.databases = options->abilities.databases,
										      .cluster = options->topology->cluster,
										      .shared = !options->only_link,
										      .owns = options->owns,
										      .owner = options->owns_owner});
	dispatch->adapt = adapt_new(&(struct adapt_options){&dispatch->options.abilities, options->lag, options->scripts,
							    options->note, options->owner});
	dispatch->rewriting =
		rewriting_new(&(struct rewriting_options){&dispatch->options.abilities, options->note, options->owner});
	dispatch->crossing = crossing_new(&(struct crossing_options){options->loop, &dispatch->options.abilities, options->note,
								     options->go_on, options->owner});
	dispatch->script_load = command_lookup(2, (const struct slice[]){SLICE("SCRIPT"), SLICE("LOAD")});
	dispatch->unsupported =
		unsupported_new(&(struct unsupported_options){&dispatch->options.abilities, options->note, options->owner});
	dispatch->function_delete = command_lookup(2, (const struct slice[]){SLICE("FUNCTION"), SLICE("DELETE")});
	if (options->topology->cluster && options->abilities.functions)
		dispatch->libraries = libraries_new(&(struct libraries_options){options->loop, options->target, options->name,
										options->note, options->go_on, options->owner});
	dispatch->clearing = clearing_new(&(struct clearing_options){.loop = options->loop,
								     .target = options->target,
								     .transform = dispatch->transform,
								     .abilities = options->abilities,
								     .name = options->name,
								     .note = options->note,
								     .go_on = options->go_on,
								     .owner = options->owner});
	dispatch->leftovers = leftovers_new(&(struct leftovers_options){options->task, options->names_path,
									options->brought_before, options->note, options->owner});
	dispatch->learned = command_table_new();
	dispatch->learner = learner_new(options->loop, options->target, options->topology, options->name, dispatch->learned);
	return dispatch;
}

void dispatch_free(struct dispatch *dispatch)
{
	if (!dispatch)
		return;
	clearing_free(dispatch->clearing);
	leftovers_free(dispatch->leftovers);
	rewriting_free(dispatch->rewriting);
	crossing_free(dispatch->crossing);
	unsupported_free(dispatch->unsupported);
	adapt_free(dispatch->adapt);
	learner_free(dispatch->learner);
	libraries_free(dispatch->libraries);
	command_table_free(dispatch->learned);
	transform_free(dispatch->transform);
	transaction_free(&dispatch->transaction);
	route_splitter_free(&dispatch->splitter);
	free(dispatch);
}

void dispatch_begin(struct dispatch *dispatch, struct sink *sink, const struct dispatch_start *start)
{
	dispatch->sink = sink;
	dispatch->map_number = UINT64_MAX;
	dispatch->master_count = 0;
	dispatch_watch_masters(dispatch);
	dispatch->own_data = start->own_data;
	dispatch->generation = start->generation;
	dispatch->replay_until = start->replay_until;
	dispatch->beyond_repair = false;
	dispatch->removes = false;
	leftovers_begin(dispatch->leftovers, start->generation, start->position, start->in_snapshot);
	dispatch->barrier = BARRIER_NONE;
	dispatch->learning = false;
	dispatch->pending = (struct transform_output){0};
	dispatch->pending_at = 0;
	rewriting_reset(dispatch->rewriting, sink);
	clearing_reset(dispatch->clearing, sink);
	crossing_reset(dispatch->crossing, sink);
	transaction_forget(&dispatch->transaction);
	dispatch->has_flush = false;
}

bool dispatch_sync(struct dispatch *dispatch, struct error *error)
{
	return leftovers_sync(dispatch->leftovers, error);
}

void dispatch_snapshot_kept(struct dispatch *dispatch)
{
	leftovers_done(dispatch->leftovers);
}

const struct command_table *dispatch_commands(const struct dispatch *dispatch)
{
	return dispatch->learned;
}

void dispatch_set_times(struct dispatch *dispatch, const struct guard_times *times)
{
	dispatch->times = *times;
	adapt_set_times(dispatch->adapt, times);
	rewriting_set_times(dispatch->rewriting, times);
}

uint64_t dispatch_last_move(const struct dispatch *dispatch)
{
	return adapt_last_move(dispatch->adapt);
}

static bool handle_snapshot_end(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	bool removes;

	if (!leftovers_seal(dispatch->leftovers, &removes, error))
		return false;
	dispatch->removes = removes;
	if (removes)
		clearing_begin_leftovers(dispatch->clearing, event, dispatch->db_stream, leftovers_keeps, dispatch->leftovers);
	else
		dispatch_progress(dispatch, event->end);
	return true;
}

bool dispatch_event(struct dispatch *dispatch, const struct event *event, uint32_t db_stream, bool valkey, struct error *error)
{
	dispatch->db_stream = db_stream;
	dispatch->valkey = valkey;
	/* Also of keys that are left out: others may call the same script. */
	if (dispatch->options.scripts)
		scripts_see(dispatch->options.scripts, event);
	switch (event->kind) {
	case EVENT_KEY: return handle_key(dispatch, event, error);
	case EVENT_FUNCTION:
	case EVENT_SCRIPT: return handle_library(dispatch, event, error);
	case EVENT_COMMAND:
		if (must_learn(dispatch, event)) {
			if (unsupported_is_known(dispatch->unsupported, event->argv[0]))
				return leave_unknown(dispatch, event, error);
			begin_learning(dispatch, event);
			return true;
		}
		return handle_command(dispatch, event, error);
	case EVENT_SNAPSHOT_END: return handle_snapshot_end(dispatch, event, error);
	case EVENT_PROGRESS:
		if (event->type == RDB_OPCODE_MODULE_AUX && !unsupported_aux(dispatch->unsupported, event, error))
			return false;
		/* Inside, a SELECT is made anew where it is needed. */
		if (!dispatch->transaction.open)
			break;
		return true;
	}
	dispatch_progress(dispatch, event->end);
	return true;
}

struct dispatch_counters dispatch_counters(const struct dispatch *dispatch)
{
	struct dispatch_counters counters = dispatch->counters;

	counters.rewritten_keys = rewriting_counters(dispatch->rewriting).keys;
	counters.lossy_keys += rewriting_counters(dispatch->rewriting).lossy;
	counters.commands = adapt_counters(dispatch->adapt);
	counters.crossings = crossing_counters(dispatch->crossing);
	counters.leftovers = clearing_leftovers(dispatch->clearing);
	counters.unsupported_commands = unsupported_counters(dispatch->unsupported).commands;
	counters.unsupported_keys = unsupported_counters(dispatch->unsupported).keys;
	return counters;
}
