#include "sink/fence.h"

#include "base/memory.h"
#include "peer/client.h"
#include "sink/floor.h"
#include "sink/sink_state.h"
#include "sink/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 100
#define TURN_MS 10          /* another fence is taking the record over */
#define MARKS_AT_ONCE 1024
#define HISTORY_ID_MAX 64

enum fence_step { FENCE_OWNER, FENCE_LIST, FENCE_KILL, FENCE_HISTORY, FENCE_LOWS, FENCE_MARKS, FENCE_DONE };

struct fence {
	struct fence *next;
	struct sink *sink;
	struct node *node;
	bool whole;             /* something is lost: all slots of the node are read, by a new map of the target */
	uint64_t map_number;    /* before that */
	bool opens;             /* for a connection; else marks alone */
	enum fence_step step;
	struct client *client;  /* to the node */
	struct client *central; /* to the node of the record, where that is another one */
	struct timer *timer;
	bool again;             /* this attempt has failed; the timer begins another */
	bool lower;             /* a low mark is lower than it was */
	bool takes;             /* it is the one that makes this process the owner */
	char **kills;           /* id, or address with a colon, of each connection to end */
	uint32_t kill_count;
	uint16_t *slots;        /* whose marks are read */
	uint32_t slot_count, next_slot;
	uint32_t outstanding, answered;
	uint32_t predecessors;  /* of these, connections of earlier processes */
	uint32_t missed;        /* slots that another node has, or not this one alone */
	struct mark_low *found; /* low mark of each of the slots */
	uint32_t history;       /* number of the server's; 0: it does not tell */
	struct mark_low best;   /* the highest of them */
	uint32_t fallen_back;   /* slots whose mark, or low mark, is below what it was: the target has lost what it had acknowledged */
	uint32_t doubtful;      /* slots of which it may have lost commands that had no mark */
};

static void drop_lists(struct fence *fence)
{
	for (uint32_t i = 0; i < fence->kill_count; i++)
		free(fence->kills[i]);
	free(fence->kills);
	free(fence->slots);
	free(fence->found);
	fence->kills = NULL;
	fence->slots = NULL;
	fence->found = NULL;
	fence->kill_count = fence->slot_count = fence->next_slot = 0;
}

static void drop_clients(struct fence *fence)
{
	client_free(fence->client);
	client_free(fence->central);
	fence->client = fence->central = NULL;
	fence->outstanding = fence->answered = 0;
}

void fence_free(struct fence *fence)
{
	struct fence **at = &fence->sink->marker->fences;

	while (*at != fence)
		at = &(*at)->next;
	*at = fence->next;
	if (fence->takes)
		fence->sink->marker->taking = false;
	drop_clients(fence);
	drop_lists(fence);
	timer_free(fence->timer);
	free(fence);
}

void fence_node_lost(struct marker *marker, const struct node *node)
{
	for (struct fence *fence = marker->fences, *next; fence; fence = next) {
		next = fence->next;
		if (fence->node == node)
			fence_free(fence);
	}
}

/* Clients may not be freed within their own callbacks, so both ways out of one lead over the timer. */
static void fail(struct fence *fence, const struct error *error)
{
	if (error)
		sink_remember_cause(fence->sink, node_peer(fence->node), error->text);
	fence->again = true;
	timer_start(fence->timer, RETRY_MS);
}

static void step_done(struct fence *fence)
{
	fence->step++;
	timer_start(fence->timer, 0);
}

/* An error reply that waiting does not mend. True: the sink has failed. */
static bool stopped_by(struct fence *fence, const char *what, struct slice text)
{
	struct error error;
	char copy[256];

	snprintf(copy, sizeof(copy), "%.*s", (int)text.len, (const char *)text.data);
	if (verdict_of(copy) != VERDICT_DENIED && verdict_of(copy) != VERDICT_REFUSED && verdict_of(copy) != VERDICT_UNKNOWN) {
		sink_remember_cause(fence->sink, node_peer(fence->node), copy);
		return false;
	}
	error_set(&error, ERROR_TARGET, "target %s: %s: %s", node_peer(fence->node), what, copy);
	error_hint(&error, "%s", verdict_of(copy) == VERDICT_DENIED ? "Give the target's user the rights that docs/least-rights.md lists, or set checkpoint: local"
								    : "Marks are hashes that HSET and HMSET write and HMGET reads: see to it that the target knows them and that nobody else "
								      "uses the keys keyferry:*, or set checkpoint: local");
	sink_fail(fence->sink, &error);
	return true;
}

static struct client *connect_to(struct fence *fence, const struct endpoint *endpoint)
{
	const struct sink_options *options = &fence->sink->options;
	const struct deployment_options *target = deployment_options(options->target);
	char *name = marker_connection_name(fence->sink);
	struct client *client;

	/* A successor has to find it: it may have the owner on its way. */
	client = client_new(options->loop, &(struct client_options){
						 .endpoint = *endpoint,
						 .credentials = &target->credentials,
						 .tls = deployment_tls(options->target),
						 .tls_name = target->tls.server_name,
						 .name = name,
						 .timeout_ms = options->connect_timeout_ms,
						 .blame = ERROR_TARGET,
					 });
	free(name);
	return client;
}

/* ---- the owner ---- */

static void stand_down(struct fence *fence)
{
	struct error error;

	error_set(&error, ERROR_BUSY, "another process has taken over link %s of the task (target %s says so in key %s)",
		  fence->sink->marker->options.link, node_peer(fence->node), fence->sink->marker->task_key);
	error_hint(&error, "This one stands down, so that nothing is applied twice. Stop the other one first if it is this one that should run");
	sink_fail(fence->sink, &error);
}

static void owner_field(const struct marker *marker, char out[MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX)])
{
	snprintf(out, MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX), "%s" MARK_OWNER_SUFFIX, marker->options.link);
}

/* False: this attempt is over, or the sink has failed. */
static bool owner_reply_is_good(struct fence *fence, const struct client_reply *reply, const struct error *error)
{
	bool refused = !error && reply->nodes[0].type == RESP_ERROR;

	if (!error && !refused)
		return true;
	if (fence->takes)
		fence->takes = fence->sink->marker->taking = false;
	if (refused && stopped_by(fence, "the record of the link cannot be read or written", reply->nodes[0].text))
		return false;
	if (refused)
		refresh_want(fence->sink->refresh);
	fail(fence, error);
	return false;
}

static void on_owner_written(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	struct marker *marker = fence->sink->marker;

	if (!owner_reply_is_good(fence, reply, error))
		return;
	if (fence->takes)
		fence->takes = marker->taking = false;
	step_done(fence);
}

/* One whose connections this process has ended: it wrote itself down before that, or what it had on its way came before. */
static bool is_ended(const struct marker *marker, struct slice text)
{
	for (uint32_t i = 0; i < marker->ended_count; i++)
		if (slice_starts_with(text, slice_of_string(marker->ended[i])))
			return true;
	return false;
}

/* Did the process that wrote it begin after this one? */
static bool comes_after(const struct marker *marker, struct slice text)
{
	uint64_t turn = marker_turn(text), mine = marker_turn(slice_of_string(marker->owner));

	/* Begun at the same time: one of them has to give way. */
	return turn != mine ? turn > mine : text.len != strlen(marker->owner) || memcmp(text.data, marker->owner, text.len) > 0;
}

static void on_owner(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	struct marker *marker = fence->sink->marker;
	struct client *client = fence->central ? fence->central : fence->client;
	char field[MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX)], value[MARK_RECORD_MAX];
	const struct resp_node *found, *record;
	bool takes = fence->takes;
	struct slice text;

	if (!owner_reply_is_good(fence, reply, error))
		return;
	found = resp_member(&reply->nodes[0], 0);
	text = found ? found->text : SLICE("");
	/* From now on it is the owner to be, whether the writing is answered or not. */
	if (takes)
		marker_take_turn(marker, marker_turn(text) + 1);
	if (!takes && slice_equal(text, slice_of_string(marker->owner))) {
		step_done(fence);
		return;
	}
	if (!takes && comes_after(marker, text)) {
		/* Both have read the same owner before them. Should it live after all, it has to give way, or the two would take the link from each other for ever. */
		if (marker_turn(text) != marker_turn(slice_of_string(marker->owner)) || !is_ended(marker, text)) {
			stand_down(fence);
			return;
		}
		marker_take_turn(marker, marker_turn(text) + 1);
	}
	/* An earlier owner, or none. A link that has no record yet gets one as well, in the snapshot: a process with an empty work directory knows a link by the source
	 * that its record names, and would else begin another one beside this, which neither of the two would hear of. */
	owner_field(marker, field);
	marker_put_record(fence->sink, MARK_NONE, EVENT_IN_SNAPSHOT, 0, value);
	record = resp_member(&reply->nodes[0], 1);
	if (takes && (!record || record->type == RESP_NULL))
		client_send_strings(client, on_owner_written, fence, "HMSET", marker->task_key, field, marker->owner, marker->options.link, value, NULL);
	else
		client_send_strings(client, on_owner_written, fence, "HSET", marker->task_key, field, marker->owner, NULL);
}

static void ask_owner(struct fence *fence)
{
	struct marker *marker = fence->sink->marker;
	struct node *keeper = fence->sink->owner_of[marker->record_slot];
	char field[MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX)];
	struct client *client = fence->client;

	if (!keeper || (!marker->taken && marker->taking)) {
		timer_start(fence->timer, TURN_MS);
		return;
	}
	if (keeper != fence->node)
		client = fence->central = connect_to(fence, node_endpoint(keeper));
	owner_field(marker, field);
	if (!marker->taken)
		fence->takes = marker->taking = true;
	client_send_strings(client, on_owner, fence, "HMGET", marker->task_key, field, marker->options.link, NULL);
}

/* ---- the killing ---- */

/* The value of "<name>=..." in a line of CLIENT LIST; empty: there is none. */
static struct slice field_of(struct slice line, const char *name)
{
	size_t len = strlen(name);

	for (size_t at = 0; at + len < line.len; at++) {
		const uint8_t *begin = line.data + at, *end;

		if ((at > 0 && line.data[at - 1] != ' ') || memcmp(begin, name, len) != 0)
			continue;
		begin += len;
		end = memchr(begin, ' ', (size_t)(line.data + line.len - begin));
		return slice_make(begin, end ? (size_t)(end - begin) : (size_t)(line.data + line.len - begin));
	}
	return SLICE("");
}

static bool contains(struct slice text, const char *part)
{
	return text.len > 0 && memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* Names are <task's>:<link>:<token>:<life>-<node>.<number>. This sink's own ones to the same server under another address are no predecessors. */
static bool is_older(const struct fence *fence, struct slice name)
{
	const struct marker_options *options = &fence->sink->marker->options;
	const char *mine = node_connection_name(fence->node);
	char link[MARK_ID_LEN + 3], process[MARK_ID_LEN + 64];
	size_t node_len = (size_t)(strrchr(mine, '.') - mine) + 1;

	snprintf(link, sizeof(link), ":%s:", options->link);
	snprintf(process, sizeof(process), ":%s:%s:%u-", options->link, options->token, options->life);
	if (!slice_starts_with(name, SLICE("keyferry:")) || !contains(name, link) || slice_equal(name, slice_of_string(mine)))
		return false;
	return !contains(name, process) || slice_starts_with(name, slice_make(mine, node_len));
}

static void note_ended(struct fence *fence, struct slice name)
{
	struct marker *marker = fence->sink->marker;
	char link[MARK_ID_LEN + 3];
	const uint8_t *token;

	snprintf(link, sizeof(link), ":%s:", marker->options.link);
	token = memmem(name.data, name.len, link, strlen(link));
	if (!token || (size_t)(name.data + name.len - token) < strlen(link) + MARK_ID_LEN)
		return;
	token += strlen(link);
	if (is_ended(marker, slice_make(token, MARK_ID_LEN)))
		return;
	marker->ended = memory_realloc_array(marker->ended, marker->ended_count + 1, sizeof(marker->ended[0]));
	memcpy(marker->ended[marker->ended_count], token, MARK_ID_LEN);
	marker->ended[marker->ended_count++][MARK_ID_LEN] = '\0';
}

/* False: our own name is not among them. */
static bool take_list(struct fence *fence, struct slice text)
{
	char own[MARK_ID_LEN + 3];
	bool named = false;

	snprintf(own, sizeof(own), ":%s:", fence->sink->marker->options.token);

	while (text.len > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		struct slice line = slice_make(text.data, end ? (size_t)(end - text.data) : text.len);
		struct slice id = field_of(line, "id="), address = field_of(line, "addr=");

		text = end ? slice_make(end + 1, text.len - line.len - 1) : SLICE("");
		named |= slice_equal(field_of(line, "name="), slice_of_string(node_connection_name(fence->node)));
		if (!is_older(fence, field_of(line, "name=")) || (id.len == 0 && address.len == 0))
			continue;
		if (!contains(field_of(line, "name="), own)) {
			fence->predecessors++;
			note_ended(fence, field_of(line, "name="));
		}
		fence->kills = memory_realloc_array(fence->kills, fence->kill_count + 1, sizeof(fence->kills[0]));
		fence->kills[fence->kill_count++] = id.len ? memory_strndup((const char *)id.data, id.len)
							   : memory_strndup((const char *)address.data, address.len);
	}
	return named;
}

static void tell_denied(struct fence *fence, struct slice text)
{
	struct marker *marker = fence->sink->marker;

	if (marker->kill_denied)
		return;
	marker->kill_denied = true;
	sink_note(fence->sink, LOG_WARNING,
		  "target %s: older connections of this link cannot be found and ended there (%.*s), so a command that one of them had under way might be "
		  "applied twice: give the target's user +client|setname, +client|list and +client|kill",
		  node_peer(fence->node), (int)(text.len < 200 ? text.len : 200), (const char *)text.data);
}

static void on_list(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;

	if (error) {
		fail(fence, error);
		return;
	}
	if (reply->nodes[0].type == RESP_ERROR)
		tell_denied(fence, reply->nodes[0].text);
	else if (!take_list(fence, reply->nodes[0].text))
		tell_denied(fence, SLICE("CLIENT SETNAME is denied"));
	step_done(fence);
}

static void on_killed(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;

	if (error) {
		if (!fence->again)
			fail(fence, error);
		return;
	}
	/* "No such client": it has gone by itself. */
	if (reply->nodes[0].type == RESP_ERROR && slice_starts_with(reply->nodes[0].text, SLICE("NOPERM")))
		tell_denied(fence, reply->nodes[0].text);
	if (++fence->answered < fence->outstanding || fence->again)
		return;
	if (fence->predecessors > 0) {
		struct incident incident = incident_make(
			INCIDENT_PREDECESSOR_FENCED, sink_offset_before(fence->sink, fence->sink->window.position),
			"target %s: %" PRIu32 " connection%s of an earlier process of this link ended there, so that nothing of what it sent can run any more", node_peer(fence->node),
			fence->predecessors, fence->predecessors == 1 ? " was" : "s were");

		incident_add_cost(&incident, "connections", fence->predecessors);
		fence->sink->events->tell(fence->sink->owner, &incident);
		fence->predecessors = 0;
	}
	step_done(fence);
}

static void kill_them(struct fence *fence)
{
	fence->outstanding = fence->kill_count;
	fence->answered = 0;
	if (fence->kill_count == 0) {
		step_done(fence);
		return;
	}
	for (uint32_t i = 0; i < fence->kill_count; i++) {
		if (strchr(fence->kills[i], ':'))
			client_send_strings(fence->client, on_killed, fence, "CLIENT", "KILL", fence->kills[i], NULL);
		else
			client_send_strings(fence->client, on_killed, fence, "CLIENT", "KILL", "ID", fence->kills[i], NULL);
	}
}

/* ---- the history ---- */

/* The value of "<name>:..." in INFO; empty: there is none. */
static struct slice info_value(struct slice info, const char *name)
{
	size_t len = strlen(name);

	while (info.len > 0) {
		const uint8_t *end = memchr(info.data, '\n', info.len);
		struct slice line = slice_make(info.data, end ? (size_t)(end - info.data) : info.len);

		info = end ? slice_make(end + 1, info.len - line.len - 1) : SLICE("");
		if (line.len > len && memcmp(line.data, name, len) == 0 && line.data[len] == ':')
			return slice_make(line.data + len + 1, line.len - len - 1);
	}
	return SLICE("");
}

static uint32_t number_of_history(struct marker *marker, struct slice run, struct slice replid)
{
	char *text = memory_printf("%.*s %.*s", (int)run.len, (const char *)run.data, (int)replid.len, (const char *)replid.data);

	for (uint32_t i = 0; i < marker->history_count; i++) {
		if (strcmp(marker->histories[i], text) != 0)
			continue;
		free(text);
		return i + 1;
	}
	marker->histories = memory_realloc_array(marker->histories, marker->history_count + 1, sizeof(marker->histories[0]));
	marker->histories[marker->history_count++] = text;
	return marker->history_count;
}

static void on_info(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	struct slice run;

	if (error) {
		fail(fence, error);
		return;
	}
	fence->history = 0;
	/* Before 4.0 there is no replication id: a master that was a replica meanwhile cannot be told from one that was not. */
	run = reply->nodes[0].type == RESP_ERROR ? SLICE("") : info_value(reply->nodes[0].text, "run_id");
	if (run.len > 0 && run.len <= HISTORY_ID_MAX && info_value(reply->nodes[0].text, "master_replid").len <= HISTORY_ID_MAX)
		fence->history = number_of_history(fence->sink->marker, run, info_value(reply->nodes[0].text, "master_replid"));
	step_done(fence);
}

/* ---- the marks ---- */

/* A slot that is known to have had a low mark, which has not been found yet. */
static bool is_missed(const struct marker *marker, uint32_t slot)
{
	return marker->stale[slot] && marker->lows[slot].known && !marker->low_found[slot];
}

/* A slot may have come from a master that had lost something before, and nothing in the slot itself need tell: what it had of the snapshot was lost without a trace. The low mark
 * of that master does tell, wherever its slot is by now. So no slot is made use of before all low marks have been found. False: they have. */
static bool awaits_lows(struct fence *fence)
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
			sink_remember_cause(sink, node_peer(node), "not connected yet, and what it still has must be known before anything goes on");
	}
	return waits;
}

static void find_slots(struct fence *fence)
{
	const struct marker *marker = fence->sink->marker;

	drop_lists(fence);
	fence->slots = memory_alloc_zero(marker->slots, sizeof(fence->slots[0]));
	fence->found = memory_alloc_zero(marker->slots, sizeof(fence->found[0]));
	for (uint32_t slot = 0; slot < marker->slots; slot++)
		if ((fence->step == FENCE_LOWS ? is_missed(marker, slot) : marker->stale[slot] || fence->whole) && fence->sink->owner_of[slot] == fence->node)
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

static void ask_marks(struct fence *fence);

static void on_mark(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;
	uint32_t at = fence->next_slot - fence->outstanding + fence->answered;

	fence->answered++;
	if (error) {
		if (!fence->again)
			fail(fence, error);
		return;
	}
	if (reply->nodes[0].type == RESP_ERROR) {
		/* It has moved, or is on its way: it stays stale, and is asked for where it is then. */
		if (stopped_by(fence, "a mark cannot be read", reply->nodes[0].text))
			return;
		fence->missed++;
	} else {
		(fence->step == FENCE_LOWS ? take_low : take_mark)(fence, at, &reply->nodes[0]);
	}
	if (fence->answered < fence->outstanding || fence->again)
		return;
	if (fence->next_slot < fence->slot_count)
		ask_marks(fence);
	else
		step_done(fence);
}

static void ask_marks(struct fence *fence)
{
	const struct marker *marker = fence->sink->marker;
	uint32_t first = fence->next_slot, count = fence->slot_count - first;

	if (count == 0) {
		step_done(fence);
		return;
	}
	if (count > MARKS_AT_ONCE)
		count = MARKS_AT_ONCE;
	fence->outstanding = count;
	fence->answered = 0;
	fence->next_slot = first + count;
	for (uint32_t i = first; i < first + count; i++) {
		char key[64], low[MARK_ID_LEN + sizeof(MARK_LOW_SUFFIX)];

		snprintf(key, sizeof(key), MARK_PREFIX "{%s}", slot_tag(fence->slots[i]));
		snprintf(low, sizeof(low), "%s" MARK_LOW_SUFFIX, marker->options.link);
		client_send_strings(fence->client, on_mark, fence, "HMGET", fence->sink->cluster ? key : marker->task_key, marker->options.link, low, NULL);
	}
}

/* ---- the whole ---- */

/* The node is not what it was: from where everything has to be sent again that marks do not cover. Nothing goes out any more. */
static void fall(struct fence *fence)
{
	struct sink *sink = fence->sink;
	struct marker *marker = sink->marker;
	struct mark_low from = floor_lowest(sink);
	struct sink_fall told = {.peer = node_peer(fence->node), .slots = fence->fallen_back, .repairable = fence->fallen_back == 0 || fence->best.known};

	if (fence->fallen_back > 0 && fence->best.known && mark_low_before(fence->best, from))
		from = fence->best;
	told.position = floor_position(sink, from);
	told.db = from.db;
	told.repairable = told.repairable && told.position != SPOOL_UNKNOWN;
	for (uint32_t i = 0; i < fence->slot_count; i++)
		marker->lows[fence->slots[i]] = fence->found[i];
	sink_let_go(sink);
	sink->events->fell(sink->owner, &told);
}

static void clear_findings(struct fence *fence)
{
	fence->missed = fence->fallen_back = fence->doubtful = 0;
	fence->lower = false;
	fence->best.known = false;
}

/* The node may have more slots than is known yet, when it was a replica until now: the one with its low mark among them. */
static void look_at_all(struct fence *fence)
{
	fence->whole = true;
	fence->map_number = fence->sink->map_number;
	fence->step = FENCE_MARKS;
	drop_lists(fence);
	clear_findings(fence);
	refresh_want(fence->sink->refresh);
	timer_start(fence->timer, TURN_MS);
}

static void finish(struct fence *fence)
{
	struct sink *sink = fence->sink;
	struct node *node = fence->node;
	bool missed = fence->missed > 0;

	if (fence->fallen_back > 0 || fence->doubtful > 0) {
		if (fence->whole || !sink->cluster)
			fall(fence);
		else
			look_at_all(fence);
		return;
	}
	if (fence->opens) {
		node_open(node);
		outage_back(sink, node);
	}
	if (missed)
		refresh_want(sink->refresh);
	fence_free(fence);
	idle_start(sink->turn);
}

static void go_on(struct fence *fence)
{
	if (!fence->client)
		fence->client = connect_to(fence, node_endpoint(fence->node));
	switch (fence->step) {
	case FENCE_OWNER: ask_owner(fence); break;
	case FENCE_LIST: client_send_strings(fence->client, on_list, fence, "CLIENT", "LIST", NULL); break;
	case FENCE_KILL: kill_them(fence); break;
	case FENCE_HISTORY: client_send_strings(fence->client, on_info, fence, "INFO", NULL); break;
	case FENCE_MARKS:
		if (awaits_lows(fence)) {
			timer_start(fence->timer, RETRY_MS);
			return;
		}
		/* fall through */
	case FENCE_LOWS:
		find_slots(fence);
		ask_marks(fence);
		break;
	case FENCE_DONE: finish(fence); break;
	}
}

static void on_timer(void *owner)
{
	struct fence *fence = owner;

	if (fence->sink->failed)
		return;
	if (fence->whole && fence->sink->map_number == fence->map_number) {
		refresh_want(fence->sink->refresh);
		timer_start(fence->timer, RETRY_MS);
		return;
	}
	if (fence->again) {
		drop_clients(fence);
		drop_lists(fence);
		fence->again = false;
		fence->predecessors = 0;
		clear_findings(fence);
		fence->step = fence->opens ? FENCE_OWNER : FENCE_HISTORY;
	}
	go_on(fence);
}

static struct fence *make(struct sink *sink, struct node *node, bool opens, uint32_t delay_ms)
{
	struct fence *fence = memory_alloc_zero(1, sizeof(*fence));

	fence->sink = sink;
	fence->node = node;
	fence->opens = opens;
	fence->step = opens ? FENCE_OWNER : FENCE_HISTORY;
	fence->next = sink->marker->fences;
	sink->marker->fences = fence;
	fence->timer = timer_new(sink->options.loop, on_timer, fence);
	timer_start(fence->timer, delay_ms);
	return fence;
}

void fence_start(struct sink *sink, struct node *node)
{
	make(sink, node, true, 0);
}

void fence_want(struct sink *sink, struct node *node)
{
	for (struct fence *fence = sink->marker->fences; fence; fence = fence->next)
		if (fence->node == node)
			return;
	make(sink, node, false, RETRY_MS);
}
