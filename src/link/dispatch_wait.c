/* What the dispatch waits for: barriers, crossings, the parts of a transaction, a large key, a clearing. */
#include "link/dispatch_state.h"

#include <stdio.h>

static bool is_flush(const struct event *event)
{
	return event->argc > 0 &&
	       (slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")) || slice_equal_nocase(event->argv[0], SLICE("FLUSHDB")));
}

static void give_up(struct dispatch *dispatch, const char *what, const struct event *event)
{
	char text[300], place[EVENT_PLACE_MAX];

	if (dispatch->beyond_repair)
		return;
	dispatch->beyond_repair = true;
	snprintf(text, sizeof(text), "%s (%s) is among what a node of the target has lost, and the others have not", what,
		 event_place(event, place));
	dispatch->options.beyond_repair(dispatch->options.owner, text);
}

void dispatch_begin_barrier(struct dispatch *dispatch, const struct event *event, uint16_t flags)
{
	/* It has taken the marks of all nodes along; those that did not fall back have newer data since. */
	if (event->start < dispatch->replay_until && is_flush(event))
		give_up(dispatch, "FLUSHALL or FLUSHDB", event);
	dispatch->barrier_event = *event;
	dispatch->barrier_flags = flags;
	dispatch->barrier = BARRIER_BEFORE;
	dispatch->waits_begun++;
}

bool dispatch_begin_crossing(struct dispatch *dispatch, const struct event *event, uint64_t end, struct error *error)
{
	dispatch->crossing_end = end;
	adapt_note_move(dispatch->adapt, event->end);
	dispatch->waits_begun++;
	return crossing_begin(dispatch->crossing, event, dispatch->db_stream, end <= dispatch->replay_until, error) ||
	       dispatch_refused(dispatch, event, error);
}

static bool is_under_way(const struct dispatch *dispatch)
{
	return dispatch->barrier != BARRIER_NONE || rewriting_under_way(dispatch->rewriting) ||
	       crossing_under_way(dispatch->crossing) || clearing_under_way(dispatch->clearing);
}

bool dispatch_waits(const struct dispatch *dispatch)
{
	return is_under_way(dispatch) || dispatch->transaction.handing_out;
}

/* ---- transactions ---- */

/* A part that cannot be sent as it is. Its position is that of the transaction's beginning. */
static bool send_whole(struct dispatch *dispatch, const struct event *event, struct error *error)
{
	if (event->info->flags & COMMAND_ALL_NODES) {
		dispatch_begin_barrier(dispatch, event, dispatch_function_flags(dispatch, event));
		return true;
	}
	adapt_note_move(dispatch->adapt, dispatch->transaction_end);
	return dispatch_begin_crossing(dispatch, event, event->start, error);
}

/* The parts of a transaction, as far as they can be handed in. */
static enum dispatch_state hand_out_transaction(struct dispatch *dispatch, struct error *error)
{
	struct transaction *transaction = &dispatch->transaction;
	struct transaction_part part;

	while (transaction->handing_out) {
		if (is_under_way(dispatch) || !sink_has_room(dispatch->sink))
			return DISPATCH_WAITS;
		if (!transaction_next(transaction, &part)) {
			dispatch_progress(dispatch, dispatch->transaction_end);
			break;
		}
		if (transaction->parts_given == 2)
			dispatch->counters.transactions_split++;
		if (!part.whole)
			sink_transaction(dispatch->sink, transaction->start,
					 part.last ? dispatch->transaction_end : transaction->start, part.slot, part.db,
					 part.db_after, dispatch->db_stream, part.pieces, part.piece_count, part.replies,
					 part.flags);
		else if (!send_whole(dispatch, part.whole, error))
			return DISPATCH_FAILED;
	}
	return DISPATCH_READY;
}

bool dispatch_end_transaction(struct dispatch *dispatch, uint64_t end, struct error *error)
{
	transaction_close(&dispatch->transaction);
	dispatch->transaction_end = end;
	return hand_out_transaction(dispatch, error) != DISPATCH_FAILED;
}

/* ---- going on ---- */

/* True: nothing stands in the way any more. */
static bool pass_barrier(struct dispatch *dispatch)
{
	const struct event *event = &dispatch->barrier_event;
	uint16_t slots[DISPATCH_MASTERS_MAX];
	uint32_t masters, number, db;
	uint64_t kept, applied;

	if (dispatch->barrier == BARRIER_NONE)
		return true;
	if (dispatch->beyond_repair)
		return false;
	if (!sink_idle(dispatch->sink) || (dispatch->libraries && libraries_busy(dispatch->libraries)))
		return false;
	if (dispatch->barrier == BARRIER_AFTER) {
		/* What it has taken along of marks must never be looked for. */
		sink_settle(dispatch->sink);
		sink_kept(dispatch->sink, &kept, &db);
		sink_applied(dispatch->sink, &applied, &db);
		if ((is_flush(event) && kept < applied) ||
		    (dispatch->options.save && !dispatch->options.save(dispatch->options.owner)))
			return false;
		dispatch->barrier = BARRIER_NONE;
		return true;
	}
	if (is_flush(event))
		sink_forget_witnesses(dispatch->sink);
	masters = sink_master_slots(dispatch->sink, slots, DISPATCH_MASTERS_MAX);
	number = sink_number(dispatch->sink, event->start);
	for (uint32_t i = 0; i < masters; i++)
		sink_arguments(dispatch->sink, event, i + 1 == masters ? event->end : event->start, slots[i], dispatch->db_stream,
			       dispatch->barrier_flags, event->argc, event->argv);
	/* What follows is counted as if there were as many as there may ever be: masters come and go. */
	sink_set_number(dispatch->sink, event->start, number + DISPATCH_MASTERS_MAX);
	sink_flush(dispatch->sink);
	dispatch->barrier = BARRIER_AFTER;
	return false;
}

bool dispatch_in_transaction(const struct dispatch *dispatch)
{
	return dispatch->transaction.open;
}

bool dispatch_at_barrier(const struct dispatch *dispatch)
{
	return dispatch_waits(dispatch);
}

static enum dispatch_state pass_clearing(struct dispatch *dispatch, struct error *error)
{
	if (!clearing_under_way(dispatch->clearing))
		return DISPATCH_READY;
	switch (clearing_go_on(dispatch->clearing, error)) {
	case CLEARING_DONE:
		if (!dispatch->removes)
			break;
		/* Done again by the next run it would remove what the stream's commands have made since. */
		dispatch->removes = false;
		dispatch->barrier = BARRIER_AFTER;
		dispatch->waits_begun++;
		return DISPATCH_WAITS;
	case CLEARING_WAITS: return DISPATCH_WAITS;
	case CLEARING_FAILED:
		if (error->kind != ERROR_CONFLICT || !dispatch_refused(dispatch, clearing_event(dispatch->clearing), error))
			return DISPATCH_FAILED;
	}
	return DISPATCH_READY;
}

bool dispatch_half_done(const struct dispatch *dispatch)
{
	return crossing_half_done(dispatch->crossing) ||
	       (dispatch->transaction.handing_out && dispatch->transaction.parts_given > 0) ||
	       (dispatch->pending_at > 0 && dispatch->pending_at < dispatch->pending.count);
}

static enum dispatch_state pass_crossing(struct dispatch *dispatch, struct error *error)
{
	if (!crossing_under_way(dispatch->crossing))
		return DISPATCH_READY;
	switch (crossing_go_on(dispatch->crossing, error)) {
	case CROSSING_WAITS: return DISPATCH_WAITS;
	case CROSSING_DONE: break;
	case CROSSING_LOST:
		give_up(dispatch, "a command across slots", crossing_event(dispatch->crossing));
		return DISPATCH_WAITS;
	case CROSSING_FAILED:
		if (!dispatch_skips(dispatch, error))
			return DISPATCH_FAILED;
		break;
	}
	dispatch_progress(dispatch, dispatch->crossing_end);
	return DISPATCH_READY;
}

static enum dispatch_state go_on(struct dispatch *dispatch, struct error *error)
{
	enum dispatch_state state;

	dispatch_watch_masters(dispatch);
	if (!pass_barrier(dispatch))
		return DISPATCH_WAITS;
	state = pass_clearing(dispatch, error);
	if (state != DISPATCH_READY)
		return state;
	if (rewriting_under_way(dispatch->rewriting)) {
		switch (rewriting_go_on(dispatch->rewriting, error)) {
		case REWRITING_DONE: break;
		case REWRITING_WAITS: return DISPATCH_WAITS;
		case REWRITING_FAILED: return DISPATCH_FAILED;
		}
	}
	state = pass_crossing(dispatch, error);
	if (state == DISPATCH_READY)
		state = hand_out_transaction(dispatch, error);
	if (state != DISPATCH_READY)
		return state;
	if (dispatch->learning) {
		if (!dispatch->learned_it)
			return DISPATCH_WAITS;
		dispatch->learning = false;
		if (!dispatch_unknown(dispatch, error))
			return DISPATCH_FAILED;
	}
	return dispatch_hand_in(dispatch, error);
}

enum dispatch_state dispatch_ready(struct dispatch *dispatch, struct error *error)
{
	enum dispatch_state state;
	uint64_t begun;

	/* What has just begun may have nothing to wait for, and then nobody would come back. */
	do {
		begun = dispatch->waits_begun;
		state = go_on(dispatch, error);
	} while (state == DISPATCH_WAITS && dispatch->waits_begun != begun);
	return state;
}
