/* Reading marks and low marks: of a node's slots; of those that are half moved, where ASK says. */
#include "base/clock.h"
#include "base/memory.h"
#include "sink/fence_inside.h"
#include "sink/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKS_AT_ONCE 1024

/* A slot that is known to have had a low mark, which has not been found yet. */
static bool is_missed(const struct marker *marker, uint32_t slot)
{
	return marker->stale[slot] && marker->lows[slot].known && !marker->low_found[slot];
}

/* A slot may have come from a master that had lost something before, and nothing in the slot itself need tell: what it had of the snapshot was lost without a trace. The low mark
 * of that master does tell, wherever its slot is by now. So no slot is made use of before all low marks have been found. False: they have. */
bool fence_awaits_lows(struct fence *fence)
{
	struct sink *sink = fence->sink;
	bool waits = false;

	if (fence->lower || fence->whole || !sink->cluster)
		return false;
	for (uint32_t slot = 0; slot < sink->marker->slots; slot++) {
		struct node *node = sink->owner_of[slot];

		if (!is_missed(sink->marker, slot))
			continue;
		waits = true;
		if (node && node != fence->node && node_ready(node)) {
			fence_want(sink, node);
			continue;
		}
		/* Or it has moved, or this is no master any more. */
		refresh_want(sink->refresh);
		if (node == fence->node)
			fence->step = FENCE_LOWS;
		else if (node)
			sink_remember_cause(sink, node_peer(node),
					    "not connected yet, and what it still has must be known before anything goes on");
	}
	return waits;
}

static void find_slots(struct fence *fence)
{
	const struct marker *marker = fence->sink->marker;

	fence_drop_lists(fence);
	fence->slots = memory_alloc_zero(marker->slots, sizeof(fence->slots[0]));
	fence->found = memory_alloc_zero(marker->slots, sizeof(fence->found[0]));
	for (uint32_t slot = 0; slot < marker->slots; slot++)
		if ((fence->step == FENCE_LOWS ? is_missed(marker, slot) : marker->stale[slot] || fence->whole) &&
		    fence->sink->owner_of[slot] == fence->node)
			fence->slots[fence->slot_count++] = (uint16_t)slot;
}

/* Mark and low mark as they were found. */
static void parse(const struct fence *fence, const struct resp_node *reply, struct mark *ret_mark, struct mark_low *ret_low)
{
	const struct resp_node *value = resp_member(reply, 0), *low = resp_member(reply, 1);
	const char *epoch = fence->sink->marker->options.epoch;
	struct mark_record record;

	*ret_mark = MARK_NONE;
	*ret_low = low && low->type != RESP_NULL ? mark_low_parse(low->text, epoch) : (struct mark_low){0};
	if (!value || value->type == RESP_NULL)
		return;
	if (fence->sink->cluster) {
		*ret_mark = mark_parse(value->text, epoch);
	} else if (mark_record_parse(value->text, &record) && strcmp(record.epoch, epoch) == 0) {
		*ret_mark = record.mark;
		if (record.offset >= 0)
			*ret_low = (struct mark_low){record.offset, record.db, true};
	}
}

static void take_low(struct fence *fence, uint32_t at, const struct resp_node *reply)
{
	struct marker *marker = fence->sink->marker;
	uint16_t slot = fence->slots[at];
	struct mark_low low;
	struct mark mark;

	parse(fence, reply, &mark, &low);
	if (!low.known || mark_low_before(low, marker->lows[slot]))
		fence->lower = true;
	else
		marker->low_found[slot] = true;
}

/* What was lost stays as it was known, and stale, until all slots of the node have been read: should that not come to its end, it is found again. */
static void take_mark(struct fence *fence, uint32_t at, const struct resp_node *reply)
{
	struct marker *marker = fence->sink->marker;
	uint16_t slot = fence->slots[at];
	struct mark_low low;
	struct mark mark;

	parse(fence, reply, &mark, &low);
	fence->found[at] = low;
	if (low.known && (!fence->best.known || mark_low_before(fence->best, low)))
		fence->best = low;
	if ((marker->marks[slot].offset >= 0 && !mark_covers(mark, marker->marks[slot].offset, marker->marks[slot].sub)) ||
	    (marker->lows[slot].known && (!low.known || mark_low_before(low, marker->lows[slot])))) {
		fence->fallen_back++;
		return;
	}
	if (marker->plain[slot] > floor_position(fence->sink, floor_lowest(fence->sink)) &&
	    (fence->history == 0 || fence->history != marker->history[slot])) {
		fence->doubtful++;
		return;
	}
	marker->marks[slot] = mark;
	if (low.known)
		marker->lows[slot] = low;
	marker->history[slot] = fence->history;
	marker->stale[slot] = false;
}

static void take(struct fence *fence, uint32_t at, const struct resp_node *reply)
{
	(fence->step == FENCE_LOWS ? take_low : take_mark)(fence, at, reply);
}

static void ask_marks(struct fence *fence);

/* All that was asked for is answered. What is elsewhere is asked for there, by connections that may not be freed within their own callbacks. */
static void answered(struct fence *fence)
{
	if (fence->redirect_count > 0)
		timer_start(fence->timer, 0);
	else if (fence->next_slot < fence->slot_count)
		ask_marks(fence);
	else
		fence_step_done(fence);
}

/* The slot is on its way, and its mark is there already, or nowhere: MIGRATE takes a key away only when the other one has it. A command of this sink that is under way there would not be in it. */
static bool note_redirect(struct fence *fence, uint32_t at, struct slice error)
{
	struct redirect redirect = {.at = at};

	if (!fence_names_other(fence, error, &redirect.to) || fence->sink->busy[fence->slots[at]] > 0)
		return false;
	fence->redirects = memory_realloc_array(fence->redirects, fence->redirect_count + 1, sizeof(fence->redirects[0]));
	fence->redirects[fence->redirect_count++] = redirect;
	return true;
}

static void on_mark(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	uint32_t at = fence->next_slot - fence->outstanding + fence->answered;

	fence->answered++;
	if (error) {
		if (!fence->again)
			fence_fail(fence, error);
		return;
	}
	if (reply->nodes[0].type != RESP_ERROR) {
		take(fence, at, &reply->nodes[0]);
	} else if (!note_redirect(fence, at, reply->nodes[0].text)) {
		/* It has moved: it stays stale, and is asked for where it is then. */
		if (fence_stopped_by(fence, "a mark cannot be read", reply->nodes[0].text))
			return;
		fence->missed++;
	}
	if (fence->answered == fence->outstanding && !fence->again)
		answered(fence);
}

static void ask_mark(struct fence *fence, struct client *client, client_callback *callback, uint16_t slot)
{
	const struct marker *marker = fence->sink->marker;
	char key[64], low[MARK_ID_LEN + sizeof(MARK_LOW_SUFFIX)];

	snprintf(key, sizeof(key), MARK_PREFIX "{%s}", slot_tag(slot));
	snprintf(low, sizeof(low), "%s" MARK_LOW_SUFFIX, marker->options.link);
	client_send_strings(client, callback, fence, "HMGET", fence->sink->cluster ? key : marker->task_key, marker->options.link,
			    low, NULL);
}

static void ask_marks(struct fence *fence)
{
	uint32_t first = fence->next_slot, count = fence->slot_count - first;

	if (count == 0) {
		fence_step_done(fence);
		return;
	}
	if (count > MARKS_AT_ONCE)
		count = MARKS_AT_ONCE;
	fence->outstanding = count;
	fence->answered = 0;
	fence->next_slot = first + count;
	for (uint32_t i = first; i < first + count; i++)
		ask_mark(fence, fence->client, on_mark, fence->slots[i]);
}

void fence_read_marks(struct fence *fence)
{
	find_slots(fence);
	ask_marks(fence);
}

/* ---- slots on their way ---- */

static void end_run(struct fence *fence)
{
	fence->redirect_count -= fence->redirect_run;
	memmove(fence->redirects, fence->redirects + fence->redirect_run, fence->redirect_count * sizeof(fence->redirects[0]));
	fence->redirect_run = 0;
	answered(fence);
}

static void on_mark_aside(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	uint32_t at = fence->redirects[fence->answered++].at;

	/* The way there is no matter of this node, whose other slots need not wait: it is asked for again, like one that has moved on. */
	if (error || reply->nodes[0].type == RESP_ERROR) {
		if (!error && fence_stopped_by(fence, "a mark cannot be read", reply->nodes[0].text))
			return;
		fence->missed++;
	} else {
		take(fence, at, &reply->nodes[0]);
	}
	if (fence->answered == fence->redirect_run && !fence->again)
		end_run(fence);
}

/* Those that are at the same node come first. */
static void gather_run(struct fence *fence)
{
	struct redirect *redirects = fence->redirects;

	fence->redirect_run = 1;
	for (uint32_t i = 1; i < fence->redirect_count; i++) {
		struct redirect found = redirects[i];

		if (!endpoint_equal(&found.to, &redirects[0].to))
			continue;
		redirects[i] = redirects[fence->redirect_run];
		redirects[fence->redirect_run++] = found;
	}
}

void fence_follow(struct fence *fence)
{
	struct sink *sink = fence->sink;
	struct node *node = sink_node_at(sink, &fence->redirects[0].to);

	gather_run(fence);
	client_free(fence->aside);
	fence->aside = NULL;
	if (node)
		node_floor(node)->asked_us = clock_monotonic_us();
	/* What an older connection has under way there would come behind the mark that is read. */
	if (!node || !fence_is_behind(sink, node)) {
		fence->missed += fence->redirect_run;
		end_run(fence);
		return;
	}
	fence->answered = 0;
	fence->aside = fence_connect(fence, &fence->redirects[0].to);
	for (uint32_t i = 0; i < fence->redirect_run; i++) {
		fence_send_asking(fence, fence->aside);
		ask_mark(fence, fence->aside, on_mark_aside, fence->slots[fence->redirects[i].at]);
	}
}
