#include "sink/fence.h"

#include "base/memory.h"
#include "peer/server.h"
#include "sink/fence_inside.h"
#include "sink/floor.h"
#include "sink/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 100
#define TURN_MS 10 /* another fence is taking the record over */
#define HISTORY_ID_MAX 64

void fence_drop_lists(struct fence *fence)
{
	for (uint32_t i = 0; i < fence->kill_count; i++)
		free(fence->kills[i]);
	free(fence->kills);
	free(fence->slots);
	free(fence->found);
	free(fence->redirects);
	fence->redirects = NULL;
	fence->redirect_count = fence->redirect_run = 0;
	fence->kills = NULL;
	fence->slots = NULL;
	fence->found = NULL;
	fence->kill_count = fence->slot_count = fence->next_slot = 0;
}

static void drop_clients(struct fence *fence)
{
	client_free(fence->client);
	client_free(fence->central);
	client_free(fence->aside);
	fence->client = fence->central = fence->aside = NULL;
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
	fence_drop_lists(fence);
	timer_free(fence->timer);
	free(fence);
}

bool fence_is_behind(const struct sink *sink, const struct node *node)
{
	if (node_ready(node))
		return true;
	for (const struct fence *fence = sink->marker->fences; fence; fence = fence->next)
		if (fence->node == node && fence->opens && !fence->again && fence->step > FENCE_KILL)
			return true;
	return false;
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
void fence_fail(struct fence *fence, const struct error *error)
{
	if (error)
		sink_remember_cause(fence->sink, node_peer(fence->node), error->text);
	fence->again = true;
	timer_start(fence->timer, RETRY_MS);
}

void fence_step_done(struct fence *fence)
{
	fence->step++;
	timer_start(fence->timer, 0);
}

/* An error reply that waiting does not mend. True: the sink has failed. */
bool fence_stopped_by(struct fence *fence, const char *what, struct slice text)
{
	struct error error;
	char copy[256];

	snprintf(copy, sizeof(copy), "%.*s", (int)text.len, (const char *)text.data);
	if (verdict_of(copy) != VERDICT_DENIED && verdict_of(copy) != VERDICT_REFUSED && verdict_of(copy) != VERDICT_UNKNOWN) {
		sink_remember_cause(fence->sink, node_peer(fence->node), copy);
		return false;
	}
	error_set(&error, ERROR_TARGET, "target %s: %s: %s", node_peer(fence->node), what, copy);
	error_hint(
		&error, "%s",
		verdict_of(copy) == VERDICT_DENIED
			? "Give the target's user the rights that docs/least-rights.md lists, or set checkpoint: local"
			: "Marks are hashes that HSET and HMSET write and HMGET reads: see to it that the target knows them and that nobody else "
			  "uses the keys keyferry:*, or set checkpoint: local");
	sink_fail(fence->sink, &error);
	return true;
}

struct client *fence_connect(struct fence *fence, const struct endpoint *endpoint)
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

static void on_asking(void *owner, const struct client_reply *reply, const struct error *error)
{
	/* What follows it tells. */
	(void)owner;
	(void)reply;
	(void)error;
}

void fence_send_asking(struct fence *fence, struct client *client)
{
	client_send_strings(client, on_asking, fence, "ASKING", NULL);
}

bool fence_names_other(const struct fence *fence, struct slice error, struct endpoint *ret)
{
	char text[REPLY_TEXT_MAX];
	uint16_t slot;

	snprintf(text, sizeof(text), "%.*s", (int)error.len, (const char *)error.data);
	return verdict_of(text) == VERDICT_ASK && verdict_redirection(text, node_endpoint(fence->node), &slot, ret);
}

/* ---- the owner ---- */

static void stand_down(struct fence *fence)
{
	struct error error;

	error_set(&error, ERROR_BUSY, "another process has taken over link %s of the task (target %s says so in key %s)",
		  fence->sink->marker->options.link, node_peer(fence->node), fence->sink->marker->task_key);
	error_hint(
		&error,
		"This one stands down, so that nothing is applied twice. Stop the other one first if it is this one that should run");
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
	/* Its slot is on its way, and it is there already. */
	if (refused && !fence->record_asks && fence_names_other(fence, reply->nodes[0].text, &fence->record_at)) {
		fence->record_asks = true;
		timer_start(fence->timer, 0);
		return false;
	}
	if (refused && fence_stopped_by(fence, "the record of the link cannot be read or written", reply->nodes[0].text))
		return false;
	if (refused)
		refresh_want(fence->sink->refresh);
	fence_fail(fence, error);
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
	fence_step_done(fence);
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
		fence_step_done(fence);
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
	if (fence->record_asks)
		fence_send_asking(fence, client);
	if (takes && (!record || record->type == RESP_NULL))
		client_send_strings(client, on_owner_written, fence, "HMSET", marker->task_key, field, marker->owner,
				    marker->options.link, value, NULL);
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
	if (keeper != fence->node || fence->record_asks) {
		client_free(fence->central);
		client = fence->central = fence_connect(fence, fence->record_asks ? &fence->record_at : node_endpoint(keeper));
	}
	owner_field(marker, field);
	if (!marker->taken)
		fence->takes = marker->taking = true;
	if (fence->record_asks)
		fence_send_asking(fence, client);
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
	sink_note(
		fence->sink, LOG_WARNING,
		"target %s: older connections of this link cannot be found and ended there (%.*s), so a command that one of them had under way might be "
		"applied twice: give the target's user +client|setname, +client|list and +client|kill",
		node_peer(fence->node), (int)(text.len < 200 ? text.len : 200), (const char *)text.data);
}

static void on_list(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;

	if (error) {
		fence_fail(fence, error);
		return;
	}
	if (reply->nodes[0].type == RESP_ERROR)
		tell_denied(fence, reply->nodes[0].text);
	else if (!take_list(fence, reply->nodes[0].text))
		tell_denied(fence, SLICE("CLIENT SETNAME is denied"));
	fence_step_done(fence);
}

static void on_killed(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct fence *fence = owner;

	if (error) {
		if (!fence->again)
			fence_fail(fence, error);
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
			"target %s: %" PRIu32
			" connection%s of an earlier process of this link ended there, so that nothing of what it sent can run any more",
			node_peer(fence->node), fence->predecessors, fence->predecessors == 1 ? " was" : "s were");

		incident_add_cost(&incident, "connections", fence->predecessors);
		fence->sink->events->tell(fence->sink->owner, &incident);
		fence->predecessors = 0;
	}
	fence_step_done(fence);
}

static void kill_them(struct fence *fence)
{
	fence->outstanding = fence->kill_count;
	fence->answered = 0;
	if (fence->kill_count == 0) {
		fence_step_done(fence);
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
		fence_fail(fence, error);
		return;
	}
	fence->history = 0;
	/* Before 4.0 there is no replication id: a master that was a replica meanwhile cannot be told from one that was not. */
	run = reply->nodes[0].type == RESP_ERROR ? SLICE("") : server_info_field(reply->nodes[0].text, "run_id");
	if (run.len > 0 && run.len <= HISTORY_ID_MAX &&
	    server_info_field(reply->nodes[0].text, "master_replid").len <= HISTORY_ID_MAX)
		fence->history =
			number_of_history(fence->sink->marker, run, server_info_field(reply->nodes[0].text, "master_replid"));
	fence_step_done(fence);
}

/* ---- the whole ---- */

/* The node is not what it was: from where everything has to be sent again that marks do not cover. Nothing goes out any more. */
static void fall(struct fence *fence)
{
	struct sink *sink = fence->sink;
	struct marker *marker = sink->marker;
	struct mark_low from = floor_lowest(sink);
	struct sink_fall told = {.peer = node_peer(fence->node),
				 .slots = fence->fallen_back,
				 .repairable = fence->fallen_back == 0 || fence->best.known};

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
	fence_drop_lists(fence);
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
		fence->client = fence_connect(fence, node_endpoint(fence->node));
	if (fence->redirect_count > 0) {
		fence_follow(fence);
		return;
	}
	switch (fence->step) {
	case FENCE_OWNER: ask_owner(fence); break;
	case FENCE_LIST: client_send_strings(fence->client, on_list, fence, "CLIENT", "LIST", NULL); break;
	case FENCE_KILL: kill_them(fence); break;
	case FENCE_HISTORY: client_send_strings(fence->client, on_info, fence, "INFO", NULL); break;
	case FENCE_MARKS:
		if (fence_awaits_lows(fence)) {
			timer_start(fence->timer, RETRY_MS);
			return;
		}
		/* fall through */
	case FENCE_LOWS: fence_read_marks(fence); break;
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
		fence_drop_lists(fence);
		fence->again = fence->record_asks = false;
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
