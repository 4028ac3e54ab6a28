#include "sink/floor.h"

#include "base/clock.h"
#include "sink/fence.h"
#include "sink/sink_state.h"

#define BUSY_US 1000000ULL   /* between two low marks of a node that was sent something */
#define QUIET_US 10000000ULL /* ... and of one that was not */
#define STRETCH (16u << 20)  /* of the spool, after which they do not wait for their time */

struct mark_low floor_mark(const struct sink *sink, uint64_t position, uint32_t db)
{
	int64_t offset = sink_offset_before(sink, position);

	return (struct mark_low){.offset = offset >= 0 ? offset : -1 - (int64_t)position, .db = db, .known = true};
}

uint64_t floor_position(const struct sink *sink, struct mark_low low)
{
	if (low.offset < 0)
		return (uint64_t)(-1 - low.offset);
	return sink->options.spool ? spool_position_behind(sink->options.spool, low.offset) : (uint64_t)low.offset + 1;
}

static struct mark_low low_water(const struct sink *sink)
{
	return floor_mark(sink, sink->window.position, sink->window.db);
}

/* A position that the low-water position passes only when all of it is answered. */
static uint64_t position_above(const struct unit *unit)
{
	const struct unit *last = unit->flags & UNIT_FLIGHT ? ((const struct flight *)unit)->members.tail : unit;

	/* All parts of a transaction but the last one end where it begins. */
	return last->end > last->start ? last->end : last->start + 1;
}

void floor_touch(struct sink *sink, struct node *node, const struct unit *unit)
{
	struct floor *floor = node_floor(node);
	uint64_t above = position_above(unit);

	/* Nothing was sent since its low mark: that might as well say what is true now. */
	if (!floor->touched && !floor->out)
		floor->acked = low_water(sink);
	floor->touched = true;
	if (above > floor->sent)
		floor->sent = above;
}

struct mark_low floor_lowest(const struct sink *sink)
{
	struct mark_low lowest = low_water(sink);

	for (uint32_t i = 0; i < sink->node_count; i++) {
		const struct floor *floor = node_floor(sink->nodes[i]);

		if ((floor->touched || floor->out) && mark_low_before(floor->acked, lowest))
			lowest = floor->acked;
	}
	if (sink->marker->lost_floor.known && mark_low_before(sink->marker->lost_floor, lowest))
		lowest = sink->marker->lost_floor;
	return lowest;
}

/* Its low mark would say more than is known: slots of it have not been looked at since it was met, or lost, and it may turn out to be older than it was. */
static bool is_unexamined(const struct sink *sink, struct node *node)
{
	for (uint32_t slot = 0; slot < sink->marker->slots; slot++)
		if (sink->marker->stale[slot] && sink->owner_of[slot] == node)
			return true;
	return node_floor(node)->unmapped;
}

/* A slot that moved while its mark was read was not found. Nobody else asks for it again where the link has nothing to do there. */
static void examine(struct sink *sink, struct node *node)
{
	if (node_floor(node)->unmapped)
		refresh_want(sink->refresh);
	else
		fence_want(sink, node);
}

/* A slot of the node in which something can be written; the one before, if possible. */
static bool choose_slot(const struct sink *sink, struct node *node, uint16_t *slot)
{
	const struct marker *marker = sink->marker;

	for (uint32_t i = 0; i < marker->slots; i++) {
		uint16_t at = (uint16_t)((*slot + i) % marker->slots);

		/* What another node has of it under way, a slot that has just moved, is awaited there first. */
		if (sink->owner_of[at] != node || marker->stale[at] || lanes_find(&sink->lanes, at) ||
		    (sink->busy[at] > 0 && sink->busy_node[at] != node))
			continue;
		*slot = at;
		return true;
	}
	return false;
}

static bool is_due(const struct sink *sink, struct node *node, struct mark_low low, bool now, bool stretched)
{
	const struct floor *floor = node_floor(node);
	uint64_t passed = clock_monotonic_us() - floor->sent_us;
	/* The slot that had it may have moved away. */
	bool known = floor->written.known && sink->owner_of[floor->slot] == node;
	bool news = floor->touched || !known || floor->written.offset != low.offset;

	if (floor->out || !node_ready(node) || !news)
		return false;
	/* Begun again further back, the link is not where it was yet: one that goes down would look like a loss to the next run. */
	for (uint32_t slot = 0; slot < sink->marker->slots; slot++)
		if (sink->marker->lows[slot].known && sink->owner_of[slot] == node &&
		    mark_low_before(low, sink->marker->lows[slot]))
			return false;
	/* In the stream a standalone target's record says it. */
	if (!sink->cluster && low.offset >= 0)
		return false;
	if (now && (floor->touched || !known))
		return true;
	return passed >= (floor->touched || !known ? BUSY_US : QUIET_US) || (floor->touched && stretched);
}

/* The slots of lost nodes have all been looked at. */
static void end_lost_floor(struct sink *sink)
{
	struct marker *marker = sink->marker;

	/* While the cluster is down nobody may have a slot: it is looked at when somebody has it again. */
	for (uint32_t slot = 0; slot < marker->slots; slot++)
		if (marker->stale[slot] && (sink->owner_of[slot] || marker->plain[slot] > 0 || marker->marks[slot].offset >= 0 ||
					    marker->lows[slot].known))
			return;
	marker->lost_floor.known = false;
}

static void send_low(struct sink *sink, struct node *node, struct mark_low low)
{
	struct floor *floor = node_floor(node);

	if (!floor->touched)
		floor->acked = low;
	sink_put_on_node(sink, node, &flight_make_low(sink, floor->slot, low)->carrier);
	floor->out = true;
	/* What was answered ahead of the low-water position, or is under way, it says nothing of. */
	floor->touched = floor->sent > sink->window.position;
	floor->sent_us = clock_monotonic_us();
}

static bool send(struct sink *sink, bool now, bool stretched)
{
	struct mark_low low = low_water(sink);
	bool out = false;

	if (sink->marker->lost_floor.known)
		end_lost_floor(sink);
	for (uint32_t i = 0; i < sink->node_count; i++) {
		struct node *node = sink->nodes[i];

		if (is_due(sink, node, low, now, stretched)) {
			if (is_unexamined(sink, node))
				examine(sink, node);
			else if (choose_slot(sink, node, &node_floor(node)->slot))
				send_low(sink, node, low);
		}
		out |= node_floor(node)->out;
	}
	return out;
}

bool floor_send(struct sink *sink, bool now)
{
	return send(sink, now, false);
}

void floor_turn(struct sink *sink)
{
	bool stream = sink_offset_before(sink, sink->window.position) >= 0;

	/* The snapshot is over: nobody should have to go back into it. */
	if (stream && !sink->marker->in_stream) {
		sink->marker->in_stream = true;
		send(sink, true, false);
		marker_record(sink);
	}
	if (sink->window.position < sink->marker->low_due)
		return;
	sink->marker->low_due = sink->window.position + STRETCH;
	send(sink, false, true);
}

void floor_answered(struct sink *sink, struct node *node, const struct flight *flight, bool done)
{
	struct marker *marker = sink->marker;
	uint16_t slot = flight->carrier.slot;
	struct floor *floor = node_floor(node);

	if (flight->low)
		floor->out = false;
	if (!done) {
		floor->touched = true;
		return;
	}
	floor->acked = floor->written = flight->low_mark;
	/* One flight at a time: what is behind it, if anything, was not answered. */
	if (!flight->low)
		floor->touched = node_has_units(node);
	marker->lows[slot] = flight->low_mark;
	/* One for each master is enough. */
	for (uint32_t i = 0; i < marker->slots; i++)
		if (i != slot && marker->lows[i].known && sink->owner_of[i] == node && !marker->stale[i])
			marker->lows[i].known = false;
}

void floor_node_lost(struct sink *sink, struct node *node)
{
	struct marker *marker = sink->marker;
	struct floor *floor = node_floor(node);

	floor->touched |= floor->out;
	floor->out = false;
	if (floor->touched && (!marker->lost_floor.known || mark_low_before(floor->acked, marker->lost_floor)))
		marker->lost_floor = floor->acked;
}

/* All marks of the target are about to go (FLUSHALL): their absence means nothing. */
static void forget_lows(struct sink *sink)
{
	for (uint32_t i = 0; i < sink->marker->slots; i++)
		sink->marker->lows[i].known = false;
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_floor(sink->nodes[i])->written.known = false;
}

/* ---- sink.h ---- */

void sink_kept(const struct sink *sink, uint64_t *position, uint32_t *db)
{
	struct mark_low lowest;

	sink_applied(sink, position, db);
	if (!sink->marker)
		return;
	lowest = floor_lowest(sink);
	/* In the snapshot a low mark is a position itself. */
	*position = floor_position(sink, lowest);
	*db = lowest.db;
}

uint32_t sink_witnesses(const struct sink *sink, struct mark_witness *out, uint32_t max)
{
	const struct marker *marker = sink->marker;
	uint32_t count = 0;

	for (uint32_t slot = 0; marker && slot < marker->slots; slot++) {
		if (!marker->lows[slot].known)
			continue;
		if (count < max)
			out[count] = (struct mark_witness){(uint16_t)slot, marker->lows[slot]};
		count++;
	}
	return count;
}

void sink_forget_witnesses(struct sink *sink)
{
	if (sink->marker)
		forget_lows(sink);
}

enum sink_covers sink_covers(const struct sink *sink, uint16_t slot, uint64_t start, uint32_t number)
{
	const struct marker *marker = sink->marker;
	int64_t offset = sink->options.spool ? spool_offset_of(sink->options.spool, start) : (int64_t)start;

	if (!marker || marker->stale[slot])
		return COVERS_UNKNOWN;
	return mark_covers(marker->marks[slot], offset, number) ? COVERS_YES : COVERS_NO;
}

void sink_let_go(struct sink *sink)
{
	sink->failed = true;
	for (uint32_t i = 0; i < sink->node_count; i++)
		node_stop(sink->nodes[i]);
}
