/* What the applier holds back until another link has applied what it has to come behind: see handover.h. */
#include "link/applier_state.h"

#include "base/clock.h"
#include "wire/slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FENCE_TICK_MS 2 /* how often it is asked again */
#define TOLD_AFTER_US 5000000
#define STATUS_AFTER_US 1000000
#define TOLD_AGAIN_US 60000000 /* that slots move here */
#define LOOK_AHEAD_MAX (64u << 20)
#define SNAPSHOT_END_US 10000000 /* how long others are waited for at the end of a snapshot */

/* ---- what is asked ---- */

struct collector {
	const struct slice *argv;
	uint64_t *keys;
	uint32_t count;
};

static void collect(void *owner, uint32_t index)
{
	struct collector *collector = owner;

	if (collector->count < HANDOVER_KEYS_MAX)
		collector->keys[collector->count] = handover_hash(collector->argv[index].data, collector->argv[index].len);
	collector->count++;
}

/* Returns how many; 0: too many to be told. */
static uint32_t hash_keys(const struct event *event, uint64_t keys[HANDOVER_KEYS_MAX])
{
	struct collector collector = {event->argv, keys, 0};

	if (event->kind == EVENT_KEY) {
		keys[0] = handover_hash(event->key.data, event->key.len);
		return 1;
	}
	if (command_keys(event->info, event->argc, event->argv, collect, &collector) < 0 || collector.count > HANDOVER_KEYS_MAX)
		return 0;
	return collector.count;
}

static void describe(const struct applier *applier, const struct event *event, struct handover_event *ret)
{
	struct spool *spool = applier->options.spool;

	*ret = (struct handover_event){
		.slot = slot_of_key(event->key),
		.imports = event->kind == EVENT_COMMAND && event->info == applier->restore_asking,
		.brought = event->kind == EVENT_KEY,
	};
	if (applier->snapshot) {
		ret->start = ret->end = ret->received = spool_origin(spool).offset;
	} else {
		/* A transaction is applied as a whole: what lies before it is all that is applied when it waits. */
		ret->start =
			spool_offset_before(spool, event->edge == TRANSACTION_INSIDE ? applier->transaction_start : event->start);
		ret->end = spool_offset_before(spool, event->end);
		ret->received = spool_offset_before(spool, spool_end(spool));
	}
	if (!applier->arrival) {
		ret->key_count = hash_keys(event, ret->keys);
		return;
	}
	ret->imports = ret->brought = true;
	ret->slots = applier->arrival->slots;
	ret->job = handover_hash(applier->arrival->name, strlen(applier->arrival->name));
	for (ret->slot = 0; !imports_slot(ret->slots, ret->slot);)
		ret->slot++;
}

/* At its end what an earlier snapshot has left is removed, in slots that no other link has anything left to do with (transform's `owns`). Where a slot has just come here, the other one is
 * waited for. Not for ever: it may be away, or wait for this one. */
static bool may_end_snapshot(struct applier *applier)
{
	struct handover *handover = applier->options.handover;

	if ((applier->generation == 1 && !applier->options.brought_before) ||
	    handover_ask_end(handover, applier->options.member, spool_origin(applier->options.spool).offset) == HANDOVER_GO)
		return true;
	if (!applier->is_held || clock_monotonic_us() - applier->held_since_us < SNAPSHOT_END_US)
		return false;
	applier_note(
		applier, LOG_WARNING,
		"the links of masters that had slots of this one before are behind, and not waited for any longer: of these slots, keys that the source has deleted "
		"since its last snapshot may stay in the target; keyferry verify --repair removes them");
	handover_forget(handover, applier->options.member);
	return true;
}

static bool ask(struct applier *applier, const struct event *event)
{
	struct handover *handover = applier->options.handover;
	struct handover_event asked;
	struct error error;
	uint64_t now;
	uint16_t from;

	if (event->kind == EVENT_SNAPSHOT_END)
		return may_end_snapshot(applier);
	describe(applier, event, &asked);
	switch (handover_ask(handover, applier->options.member, &asked, &from, &error)) {
	case HANDOVER_GO: break;
	case HANDOVER_WAIT: return false;
	case HANDOVER_FAILED:
		if (!applier->held_told)
			applier_note(applier, LOG_WARNING, "%s. %s; it is tried again", error.text, error.hint);
		applier->held_told = true;
		return false;
	}
	now = clock_monotonic_us();
	if (from != HANDOVER_NOBODY && (!applier->move_told_us || now - applier->move_told_us > TOLD_AGAIN_US)) {
		applier_note(applier, LOG_INFO,
			     "slots of the source move here, slot %u is the first: what comes for them is applied behind what "
			     "their former master has sent",
			     asked.slot);
		applier->move_told_us = now;
	}
	return true;
}

bool applier_may_apply(struct applier *applier, const struct event *event)
{
	const struct handover *handover = applier->options.handover;
	bool imports;

	if (event->kind == EVENT_COMMAND && event->edge == TRANSACTION_BEGIN)
		applier->transaction_start = event->start;
	if (event->kind != EVENT_SNAPSHOT_END && !applier->arrival) {
		if ((event->kind != EVENT_COMMAND && event->kind != EVENT_KEY) || !event->key.data)
			return true;
		imports = event->kind == EVENT_COMMAND && event->info == applier->restore_asking;
		if (handover_is_free(handover, applier->options.member, slot_of_key(event->key), imports) || lag_is_beat(event))
			return true;
	}
	applier->held_told = false;
	if (ask(applier, event))
		return true;
	applier->is_held = true;
	applier->held_since_us = clock_monotonic_us();
	timer_repeat(applier->fence_timer, FENCE_TICK_MS, FENCE_TICK_MS);
	return false;
}

/* ---- what is told to others ---- */

static int64_t offset_before(const struct applier *applier, uint64_t position)
{
	return applier_in_snapshot(applier, position) ? -1 : spool_offset_before(applier->options.spool, position);
}

/* Is everything that is applied covered by the target's mark? On a cluster what may be applied twice is not: a crash would have a DEL sent again, when the new owner's
 * RESTORE is applied already and is not. There a position counts once it is in the state file, from which the next run goes on. */
static bool counts_at_once(const struct applier *applier)
{
	return applier_is_marked(&applier->options) && !applier->options.topology->cluster;
}

/* Up to where all is done for good. */
static uint64_t settled_position(const struct applier *applier, uint32_t *db)
{
	uint64_t position;

	if (counts_at_once(applier)) {
		applier_low_water(applier, &position, db);
		return position;
	}
	*db = applier->saved.db;
	return applier->saved.generation == applier->generation ? applier->saved.position : 0;
}

/* Somebody waits for what is applied and not in the state file yet. A link that waits itself will not come further: then any step counts. */
static void settle_wanted(struct applier *applier)
{
	int64_t wanted = handover_wanted(applier->options.handover, applier->options.member);
	uint64_t position;
	uint32_t db;

	applier_low_water(applier, &position, &db);
	if (wanted > offset_before(applier, settled_position(applier, &db)) &&
	    (applier->is_held || offset_before(applier, position) >= wanted) && !applier->save_failed)
		applier_save_state(applier, false);
}

void applier_tell_handover(struct applier *applier)
{
	struct handover *handover = applier->options.handover;
	int64_t offset;
	uint32_t db;

	if (!handover || applier->run_state == PARKED)
		return;
	if (!counts_at_once(applier))
		settle_wanted(applier);
	offset = offset_before(applier, settled_position(applier, &db));
	if (offset < 0)
		handover_in_snapshot(handover, applier->options.member, applier->generation,
				     spool_origin(applier->options.spool).offset);
	else
		handover_applied(handover, applier->options.member, applier->generation, offset);
}

/* ---- what others ask of a link that waits ---- */

/* Of the question's keys, by bit: those that were imported ahead. */
struct ahead {
	const struct handover_question *question;
	const struct command_info *restore_asking, *del, *unlink;
	uint32_t imported;
};

static bool is_asked_for(struct ahead *ahead, const struct event *event)
{
	const struct handover_question *question = ahead->question;
	uint64_t keys[HANDOVER_KEYS_MAX];
	uint32_t count;

	if (event->kind != EVENT_COMMAND || event->edge == TRANSACTION_BEGIN || event->edge == TRANSACTION_END)
		return false;
	if (!event->info)
		return true; /* nobody knows its keys */
	if (!event->key.data)
		return event->info->flags & COMMAND_ALL_NODES;
	if (question->ends)
		return question->slots[slot_of_key(event->key) / 64] >> (slot_of_key(event->key) % 64) & 1;
	if (slot_of_key(event->key) != question->slot)
		return false;
	count = hash_keys(event, keys);
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = 0; j < question->key_count; j++) {
			if (keys[i] != question->keys[j])
				continue;
			if (event->info == ahead->restore_asking)
				ahead->imported |= 1u << j;
			else if (!(ahead->imported >> j & 1) ||
				 (question->imports && (event->info == ahead->del || event->info == ahead->unlink)))
				return true;
		}
	}
	return count == 0 || question->key_count == 0;
}

/* What is held back gives no room to the spool. */
static enum handover_found not_received(const struct spool *spool)
{
	return spool_room(spool) > 0 ? HANDOVER_LATER : HANDOVER_FULL;
}

static enum handover_found look_ahead(struct applier *applier, const struct handover_question *question)
{
	struct spool *spool = applier->options.spool;
	enum handover_found found = HANDOVER_NONE;
	struct ahead ahead = {
		.question = question,
		.restore_asking = applier->restore_asking,
		.del = command_lookup(1, (const struct slice[]){SLICE("DEL")}),
		.unlink = command_lookup(1, (const struct slice[]){SLICE("UNLINK")}),
	};
	struct stream_decoder *decoder;
	uint64_t position, snapshot_end = spool_snapshot_end(spool), end, at = 0, need;
	const uint8_t *data;
	struct error error;
	uint32_t db;

	position = settled_position(applier, &db);
	if (applier_in_snapshot(applier, position)) {
		/* Of a key with which nothing is done from there on the snapshot has nothing: it would still be this master's. */
		if (snapshot_end == SPOOL_UNKNOWN)
			return not_received(spool);
		position = snapshot_end;
		db = 0;
	}
	end = position + (uint64_t)(question->until - spool_offset_before(spool, position));
	if (end > spool_end(spool))
		return not_received(spool);
	if (end - position > LOOK_AHEAD_MAX || !(data = spool_view(spool, position, end - position, &error)))
		return HANDOVER_SOME;
	decoder = stream_decoder_new(applier->outlet.ops->commands(applier->outlet.self));
	stream_decoder_resume(decoder, db);
	while (found == HANDOVER_NONE && position + at < end) {
		struct event event;

		if (stream_decode(decoder, slice_make(data + at, (size_t)(end - position - at)), position + at, &event, &need,
				  &error) != PARSE_OK ||
		    is_asked_for(&ahead, &event))
			found = HANDOVER_SOME;
		else
			at = event.end - position;
	}
	stream_decoder_free(decoder);
	return found;
}

static void answer(struct applier *applier)
{
	struct handover *handover = applier->options.handover;
	struct handover_question question;

	if (handover_question(handover, applier->options.member, &question))
		handover_answer(handover, applier->options.member, &question, look_ahead(applier, &question));
}

/* Is it one of links that wait for each other for good? */
static void break_ring(struct applier *applier)
{
	struct handover_ring ring;
	struct incident incident;

	if (!handover_break_ring(applier->options.handover, clock_monotonic_us(), &ring))
		return;
	incident = incident_make(INCIDENT_LINKS_DEADLOCKED, -1,
				 "slots of the source have moved in several directions, so that the links of %" PRIu32
				 " masters wait for each other, and none can go on: all links of the task take new snapshots",
				 ring.links);
	if (ring.rounds > 1)
		incident_add_text(&incident, "; %" PRIu32 " times in a row by now", ring.rounds);
	incident_add_cost(&incident, "seconds", (double)ring.stood_us / 1e6);
	incident_add_cost(&incident, "links", ring.links);
	incident_add_cost(&incident, "rounds", ring.rounds);
	applier->events->tell(applier->owner, &incident);
}

bool applier_may_go_on(struct applier *applier)
{
	uint64_t waited = clock_monotonic_us() - applier->held_since_us;

	if (!applier->is_held)
		return true;
	if (!ask(applier, &applier->held)) {
		applier_tell_handover(applier);
		answer(applier);
		break_ring(applier);
		if (waited > TOLD_AFTER_US && !applier->held_told) {
			char text[128];

			applier_note(applier, LOG_INFO, "waiting for %s", applier_fence_text(applier, text));
			applier->held_told = true;
		}
		return false;
	}
	if (applier->held_told)
		applier_note(applier, LOG_INFO, "going on after %.1f s", (double)waited / 1e6);
	applier->is_held = false;
	timer_stop(applier->fence_timer);
	return true;
}

void applier_let_held_go(struct applier *applier)
{
	if (!applier->is_held)
		return;
	applier->is_held = false;
	timer_stop(applier->fence_timer);
	handover_forget(applier->options.handover, applier->options.member);
}

const char *applier_fence_text(const struct applier *applier, char out[128])
{
	out[0] = '\0';
	if (!applier->is_held || clock_monotonic_us() - applier->held_since_us <= STATUS_AFTER_US)
		return out;
	if (applier->held.kind == EVENT_SNAPSHOT_END)
		snprintf(out, 128, "links of masters that had slots of this one before: they are behind");
	else if (applier->arrival)
		snprintf(out, 128, "slots that atomic migration has brought here: the link of their former master is behind");
	else
		snprintf(out, 128, "slot %u, which has moved here from another master of the source: its link is behind",
			 slot_of_key(applier->held.key));
	return out;
}
