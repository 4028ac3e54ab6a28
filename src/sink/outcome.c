/* What the target's answers lead to: done, sent again, told to the operator, or the end. */
#include "base/clock.h"
#include "sink/floor.h"
#include "sink/question.h"
#include "sink/sink_state.h"
#include "sink/verdict.h"
#include "wire/command.h"
#include "wire/rdb.h"
#include "wire/tally.h"

#include <stdio.h>
#include <string.h>

#define WAIT_FIRST_MS 50
#define MOVED_AGAIN_MS 10
/* So many units of a migrating slot that its old master has executed, one after the other: they may go together again. */
#define ONE_BY_ONE_MAX 64

/* `in_flight`: with the mark of its slot. */
static void unit_done(struct sink *sink, struct unit *unit, bool in_flight)
{
	if (sink->marker) {
		marker_accept(sink, unit);
		if (!in_flight && unit->end > sink->marker->plain[unit->slot])
			sink->marker->plain[unit->slot] = unit->end;
	}
	if (unit->flags & UNIT_KEY) {
		sink->counters.keys++;
	} else if (unit->flags & UNIT_COUNTED) {
		sink->counters.commands++;
		if (sink->options.tally)
			tally_add(sink->options.tally, unit->command);
	}
	if (unit->flags & UNIT_UNSURE)
		outage_resolve(sink, unit, false);
	window_done(&sink->window, unit);
}

/* Takes "<mark><number>\r\n" off the front. */
static bool take_header(struct slice *in, char mark, int64_t *number)
{
	const uint8_t *end = in->len ? memchr(in->data, '\n', in->len) : NULL;

	if (!end || in->data[0] != (uint8_t)mark || end < in->data + 2 ||
	    !slice_to_int64(slice_make(in->data + 1, (size_t)(end - in->data) - 2), number))
		return false;
	*in = slice_make(end + 1, in->len - (size_t)(end + 1 - in->data));
	return true;
}

/* The first arguments of a command of which the rest may lie in further pieces. Returns their number. */
static uint32_t take_arguments(struct slice *in, struct slice *argv, uint32_t max)
{
	uint32_t count = 0;
	int64_t argc, len;

	if (!take_header(in, '*', &argc))
		return 0;
	while (count < max && count < argc && take_header(in, '$', &len) && len >= 0 && (uint64_t)len + 2 <= in->len) {
		argv[count++] = slice_make(in->data, (size_t)len);
		*in = slice_make(in->data + len + 2, in->len - (size_t)len - 2);
	}
	return count;
}

/* "SET of key ..." of the unit's first command; of the first one after MULTI for a transaction. */
static void describe(const struct unit *unit, char *out, size_t cap)
{
	struct slice in = unit->pieces[0];
	struct slice argv[4];
	uint32_t argc = take_arguments(&in, argv, 4);
	const struct command_info *info;
	uint32_t at = 1;
	char key[160];

	if (argc == 1 && (unit->flags & UNIT_TRANSACTION)) {
		if (in.len == 0 && unit->piece_count > 1)
			in = unit->pieces[1];
		argc = take_arguments(&in, argv, 4);
	}
	if (argc == 0) {
		snprintf(out, cap, "a command");
		return;
	}
	info = command_lookup(argc, argv);
	if (info && info->keys.first > 0)
		at = (uint32_t)info->keys.first;
	snprintf(out, cap, "%.*s%s%s", (int)(argv[0].len > 64 ? 64 : argv[0].len), (const char *)argv[0].data,
		 at < argc ? " of key " : "", at < argc ? slice_quote(argv[at], key, sizeof(key)) : "");
}

/* The name of the module's type in the payload of RESTORE key ttl payload. Returns out. */
static const char *module_name(const struct unit *unit, char out[RDB_MODULE_NAME_LEN + 1])
{
	struct slice in = unit->pieces[0], argv[3];
	unsigned size;
	int64_t len;

	snprintf(out, RDB_MODULE_NAME_LEN + 1, "?");
	if (take_arguments(&in, argv, 3) < 3 || !take_header(&in, '$', &len) || in.len == 0)
		return out;
	in = in.len > 1 ? slice_make(in.data + 1, in.len - 1) : unit->piece_count > 1 ? unit->pieces[1] : (struct slice){0};
	size = in.len ? rdb_length_size(in.data[0]) : 0;
	return size > 0 && size <= in.len ? rdb_module_name(rdb_length_decode(in.data, size), out) : out;
}

/* A value of a module that the target has not loaded, or not in a version that reads it. True: the unit is settled. */
static bool unsupported(struct sink *sink, struct node *node, struct unit *unit, const char *text)
{
	char what[256], place[EVENT_PLACE_MAX], module[RDB_MODULE_NAME_LEN + 1];
	const struct target_abilities *abilities = &sink->options.abilities;
	bool lossy;
	struct error error;

	describe(unit, what, sizeof(what));
	event_place_text(EVENT_IN_SNAPSHOT, unit->start, place);
	module_name(unit, module);
	/* Vector sets are a module's values in form alone: their commands go by the policy of those that the target has not got. */
	lossy = abilities->lossy && strcmp(module, "vectorset") == 0;
	if (abilities->skip_unsupported || lossy) {
		sink->counters.unsupported_keys++;
		sink_note(
			sink, LOG_WARNING,
			"left out as target.%s says: %s (database %u, %s), a value of module type %s that target %s cannot read",
			lossy ? "downgrade: lossy" : "unsupported: skip", what, unit->db, place, module, node_peer(node));
		return true;
	}
	error_set(&error, ERROR_CONFLICT, "target %s refuses %s (database %u, %s), a value of module type %s: %s",
		  node_peer(node), what, unit->db, place, module, text);
	error_hint(
		&error,
		"Load that module into the target, in a version that is not older, or set target.unsupported: skip to leave such values out");
	sink_fail(sink, &error);
	return false;
}

/* The target refuses for good: what the policy says. True: the unit is settled. `executed`: what it belongs to was. */
static bool refused(struct sink *sink, struct node *node, struct unit *unit, const char *text, bool executed)
{
	const char *hint =
		"Somebody else may have written to the target: mend the key there and start again, or set on_conflict: skip";
	struct error error;
	char what[256], place[EVENT_PLACE_MAX];

	describe(unit, what, sizeof(what));
	event_place_text(sink->options.spool ? spool_offset_of(sink->options.spool, unit->start) : EVENT_IN_SNAPSHOT, unit->start,
			 place);
	if (sink->options.on_conflict == ON_CONFLICT_SKIP && !(unit->flags & UNIT_KEY)) {
		sink->counters.conflicts++;
		sink_note(sink, LOG_WARNING, "skipped as on_conflict: skip says: %s%s (database %u, %s): target %s answered %s",
			  unit->flags & UNIT_TRANSACTION ? "a transaction with " : "", what, unit->db, place, node_peer(node),
			  text);
		return true;
	}
	error_set(&error, ERROR_CONFLICT, "target %s refuses %s%s (database %u, %s): %s", node_peer(node),
		  unit->flags & UNIT_TRANSACTION ? "a transaction with " : "", what, unit->db, place, text);
	if (sink->marker && unit->offset >= 0) {
		if ((unit->flags & UNIT_TRANSACTION) && executed)
			hint = "The rest of the transaction is applied, and started again keyferry goes on behind it: set the key right by hand first. Or set "
			       "on_conflict: skip";
		else
			marker_refuse(sink, unit);
	}
	if (unit->flags & UNIT_KEY)
		hint = "The value cannot be restored there; compare the versions and modules of source and target";
	error_hint(&error, "%s", hint);
	sink_fail(sink, &error);
	return false;
}

static bool key_exists(struct sink *sink, struct node *node, struct unit *unit)
{
	struct error error;
	char what[256];

	/* What an earlier sending has put there is no conflict. */
	if (unit->flags & UNIT_RESENT)
		return true;
	if (sink->options.conflict == CONFLICT_SKIP) {
		sink->counters.skipped_keys++;
		return true;
	}
	describe(unit, what, sizeof(what));
	error_set(&error, ERROR_CONFLICT, "target %s holds a key already that the snapshot brings: %s (database %u)",
		  node_peer(node), what, unit->db);
	error_hint(&error, "Remove it there, or set target.conflict to overwrite or skip");
	sink_fail(sink, &error);
	return false;
}

static void moved(struct sink *sink, struct node *node, struct unit *unit, const char *text, bool ask)
{
	bool was_probe = lanes_find(&sink->lanes, unit->slot) && lanes_find(&sink->lanes, unit->slot)->probe == unit;
	struct endpoint endpoint;
	struct lane *lane;
	uint16_t slot;

	sink->counters.redirections++;
	lane = sink_hold(sink, unit);
	if (!verdict_redirection(text, node_endpoint(node), &slot, &endpoint)) {
		lane_back_off(lane, WAIT_FIRST_MS, clock_monotonic_us());
		return;
	}
	if (ask) {
		lane->one_by_one = true;
		lane->passed = 0;
		lane->asking = was_probe && !lane->asking;
		lane->ask = endpoint;
		return;
	}
	/* The migration is over. */
	lane->asking = lane->one_by_one = false;
	if (slot == unit->slot)
		sink_met(sink, slot, &endpoint);
	if (was_probe) /* two nodes may point at each other while the news travels */
		lane_back_off(lane, MOVED_AGAIN_MS, clock_monotonic_us());
	refresh_want(sink->refresh);
}

static void must_wait(struct sink *sink, struct node *node, struct unit *unit, const char *text)
{
	struct lane *lane = sink_hold(sink, unit);

	/* All units that were in flight meet the same answer: one step of back-off for them together. */
	lane->asking = false;
	if (clock_monotonic_us() >= lane->retry_at_us)
		lane_back_off(lane, WAIT_FIRST_MS, clock_monotonic_us());
	sink_remember_cause(sink, node_peer(node), text);
	refresh_want(sink->refresh);
}

static void denied(struct sink *sink, struct node *node, const char *text)
{
	struct error error;

	error_set(&error, ERROR_TARGET, "target %s: %s", node_peer(node), text);
	error_hint(&error, "Give the target's user the rights that docs/least-rights.md lists");
	sink_fail(sink, &error);
}

/* Answered well, or as well as it will be. */
static void settled(struct sink *sink, struct unit *unit, bool in_flight)
{
	struct lane *lane = lanes_find(&sink->lanes, unit->slot);

	if (lane && lane->probe == unit) {
		/* A slot that migrates and never has nothing to do would stay one by one for ever, were the migration given up. */
		lane->passed = lane->asking ? 0 : lane->passed + 1;
		if (lane->passed == ONE_BY_ONE_MAX)
			lane->one_by_one = false;
		lane->probe = NULL;
		lane->backoff_ms = 0;
		lane->asking = false;
		lane->held_since_us = clock_monotonic_us();
		unit_done(sink, unit, in_flight);
		if (!lane->one_by_one && sink->busy[lane->slot] == 0 && sink->owner_of[lane->slot] &&
		    node_ready(sink->owner_of[lane->slot]))
			sink_release_rest(sink, lane);
		return;
	}
	/* An earlier unit of this slot was turned away while this one got through: it has to run again behind that one. Where running twice would do harm
	 * it is left at that. */
	if (lane && lane->waiting.head && lane->waiting.head->start < unit->start && (unit->flags & UNIT_REPLAY_SAFE)) {
		unit->flags |= UNIT_RESENT;
		sink_hold(sink, unit);
		return;
	}
	unit_done(sink, unit, in_flight);
}

/* ---- flights ---- */

static struct unit *member_at(const struct flight *flight, uint32_t reply)
{
	struct unit *found = flight->members.head;

	while (found->next && found->next->exec_at <= reply)
		found = found->next;
	return found;
}

void sink_member_error(void *owner, struct node *node, struct unit *carrier, uint32_t reply, const char *text)
{
	struct sink *sink = owner;
	struct unit *unit = member_at((struct flight *)carrier, reply);

	if (unit->flags & UNIT_ANY_ERROR)
		return;
	if (verdict_of(text) == VERDICT_REFUSED) {
		/* What may have run before meets what it has led to (docs/replay-safety.md). */
		if ((unit->flags & UNIT_RESENT) && (unit->flags & UNIT_REPLAY_SAFE))
			return;
		if (unit->flags & UNIT_SCRIPT) {
			sink->counters.script_errors++;
			return;
		}
	}
	if (!sink->failed)
		refused(sink, node, unit, text, true);
	else if (!(unit->flags & UNIT_TRANSACTION) && sink->options.on_conflict != ON_CONFLICT_SKIP)
		marker_refuse(sink, unit);
}

static void executed_flight(struct sink *sink, struct node *node, struct flight *flight)
{
	struct marker *marker = sink->marker;
	uint16_t slot = flight->carrier.slot;
	struct unit_list members = flight->members;
	struct unit *unit;

	if (!flight->record)
		marker->marks[slot] = flight->mark;
	if (!sink->cluster)
		floor_answered(sink, node, flight, true);
	marker_executed(sink, flight);
	flight_done(marker, flight);
	while ((unit = unit_list_take(&members))) {
		if (unit->flags & UNIT_REFUSED)
			continue; /* the position stays before it */
		if (sink->failed)
			unit_done(sink, unit, true);
		else
			settled(sink, unit, true);
	}
}

/* Several in one flight that was not executed: all wait, in order. The cause decides for how long; where it is one of them, each is tried alone. */
static void turned_away(struct sink *sink, struct node *node, struct unit_list members, const struct unit_answer *answer)
{
	struct unit *first = unit_list_take(&members);
	uint16_t slot = first->slot;
	struct error error;

	switch (verdict_of(answer->error)) {
	case VERDICT_MOVED:
	case VERDICT_ASK: moved(sink, node, first, answer->error, verdict_of(answer->error) == VERDICT_ASK); break;
	case VERDICT_WAIT: must_wait(sink, node, first, answer->error); break;
	case VERDICT_DENIED:
		sink_hold(sink, first);
		denied(sink, node, answer->error);
		break;
	default:
		sink_hold(sink, first);
		if (answer->error_at == UNIT_PREFIX) {
			error_set(&error, ERROR_CONFLICT, "target %s has no database %u: %s", node_peer(node), first->db,
				  answer->error);
			error_hint(&error, "Raise `databases` on the target, or choose databases with source.databases");
			sink_fail(sink, &error);
		}
		lanes_find(&sink->lanes, slot)->one_by_one = true;
		lanes_find(&sink->lanes, slot)->passed = 0;
		break;
	}
	sink_hold_all(sink, members);
}

/* The link's record, by itself. */
static void record_answered(struct sink *sink, struct node *node, struct flight *flight, const struct unit_answer *answer)
{
	bool low = flight->low;

	if (low || !sink->cluster)
		floor_answered(sink, node, flight, !answer->error);
	/* The slot's mark is on its way elsewhere, and it may be long until the slot follows: the next low mark goes to another one. */
	if (low && answer->error && verdict_of(answer->error) == VERDICT_ASK)
		node_floor(node)->slot = (uint16_t)((node_floor(node)->slot + 1) % sink->marker->slots);
	flight_done(sink->marker, flight);
	if (!answer->error || sink->failed)
		return;
	if (!low)
		sink->marker->recorded = -1; /* with the next second */
	if (verdict_of(answer->error) == VERDICT_DENIED)
		denied(sink, node, answer->error);
	else if (verdict_of(answer->error) != VERDICT_REFUSED)
		refresh_want(sink->refresh);
}

/* It had been sent ahead, and the one before it was turned away. */
static void given_up(struct sink *sink, struct node *node, struct flight *flight, const struct unit_answer *answer)
{
	struct unit_list members = flight->members;
	struct error error;

	if (answer->last_error) {
		/* Its transaction is open still: what is sent there would become a part of it. */
		error_set(&error, ERROR_TARGET, "target %s: DISCARD: %s", node_peer(node), answer->last);
		node_drop(node, &error);
	}
	flight_done(sink->marker, flight);
	if (!sink->failed)
		sink_hold_all(sink, members);
}

/* A unit that has to be looked at as if it had come alone, for its flight was not executed; NULL: all is done. */
static struct unit *flight_answered(struct sink *sink, struct node *node, struct flight *flight, const struct unit_answer *answer)
{
	struct unit_list members = flight->members;

	if (!members.head) {
		record_answered(sink, node, flight, answer);
		return NULL;
	}
	if (flight->discarded) {
		given_up(sink, node, flight, answer);
		return NULL;
	}
	if (!answer->error || answer->inside_exec) {
		executed_flight(sink, node, flight);
		return NULL;
	}
	if (!sink->cluster)
		sink->marker->recorded = -1;
	flight_done(sink->marker, flight);
	if (sink->failed)
		return NULL;
	if (!members.head->next)
		return members.head;
	turned_away(sink, node, members, answer);
	return NULL;
}

/* False: it waits in its lane, or the sink has failed. True: it is settled. */
static bool take_refusal(struct sink *sink, struct node *node, struct unit *unit, const char *text, bool executed)
{
	if (unit->flags & UNIT_ANY_ERROR)
		return true;
	if ((unit->flags & UNIT_PLACE) && (unit->flags & UNIT_RESENT) && strstr(text, "no such key"))
		return true;
	if ((unit->flags & UNIT_RESENT) && !(unit->flags & UNIT_KEY) && executed)
		return true; /* XADD, XGROUP CREATE, RENAME, ...: refused because it has been applied already */
	if ((unit->flags & UNIT_SCRIPT) && executed) {
		sink->counters.script_errors++;
		return true;
	}
	return refused(sink, node, unit, text, executed);
}

/* The same for every error. */
static bool take_error(struct sink *sink, struct node *node, struct unit *unit, const struct unit_answer *answer, bool executed)
{
	enum verdict verdict = verdict_of(answer->error);
	struct error error;

	if (answer->error_at == UNIT_PREFIX && verdict != VERDICT_DENIED) {
		error_set(&error, ERROR_CONFLICT, "target %s has no database %u: %s", node_peer(node), unit->db, answer->error);
		error_hint(&error, "Raise `databases` on the target, or choose databases with source.databases");
		sink_fail(sink, &error);
		return false;
	}
	switch (verdict) {
	case VERDICT_MOVED:
	case VERDICT_ASK: moved(sink, node, unit, answer->error, verdict == VERDICT_ASK); return false;
	case VERDICT_DENIED: denied(sink, node, answer->error); return false;
	case VERDICT_WAIT:
		if (answer->inside_exec)
			return refused(sink, node, unit, answer->error, executed);
		must_wait(sink, node, unit, answer->error);
		return false;
	case VERDICT_EXISTS:
		if (unit->flags & UNIT_KEY)
			return key_exists(sink, node, unit);
		return ((unit->flags & UNIT_RESENT) && executed) || refused(sink, node, unit, answer->error, executed);
	case VERDICT_NOSCRIPT:
	case VERDICT_UNKNOWN:
		return unit->flags & UNIT_MODULE ? unsupported(sink, node, unit, answer->error)
						 : refused(sink, node, unit, answer->error, executed);
	case VERDICT_REFUSED: break;
	}
	return take_refusal(sink, node, unit, answer->error, executed);
}

/* Answered well. A key that was to be put where none is may be there already, which is no error of these commands. */
static bool take_success(struct sink *sink, struct node *node, struct unit *unit, const struct unit_answer *answer)
{
	bool there = answer->null || ((unit->flags & UNIT_PLACE) && strcmp(answer->last, "0") == 0);

	return !(unit->flags & UNIT_KEY) || !there || key_exists(sink, node, unit);
}

void sink_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer)
{
	struct sink *sink = owner;
	/* A transaction that was turned away has not been executed, whatever it holds. */
	bool executed = !(unit->flags & UNIT_TRANSACTION) || answer->inside_exec;

	sink->busy[unit->slot]--;
	idle_start(sink->turn);
	if (sink->marker)
		marker_more(sink, unit->slot);
	if (unit->flags & UNIT_FLIGHT) {
		unit = flight_answered(sink, node, (struct flight *)unit, answer);
		executed = false;
		if (!unit)
			return;
	}
	if (sink->failed) {
		/* Counts all the same: after the restart it need not be applied again. */
		if (!answer->error && !((unit->flags & UNIT_KEY) && answer->null))
			unit_done(sink, unit, false);
		return;
	}
	if (unit->question && question_answered(unit->question, answer)) {
		settled(sink, unit, true); /* it has changed nothing */
		return;
	}
	if (answer->error ? take_error(sink, node, unit, answer, executed) : take_success(sink, node, unit, answer))
		settled(sink, unit, false);
}
