/* The repair: keys of the target become what they are at the source, while a link may be writing to both.
 *
 *   1  target: WATCH key
 *   2  source: DUMP key, and where its stream stands behind that
 *   3  wait until the target has everything up to there
 *   4  target: MULTI, RESTORE key ... REPLACE (or DEL), EXEC
 *
 * EXEC answers nil when anybody has written to the key since WATCH; then it begins again. When it does not, nobody has. So whatever of the stream stands before the value
 * was read had been applied before WATCH, and whatever stands behind it (it was written after the DUMP, so after WATCH) has not been applied yet: it will be, to the
 * very value that it was written for. So no command is lost and none is done twice, though the link knows nothing of all this.
 *
 * Where the target does not take the serialised form (it is older than the source, or of the other family), the last step writes the value as ordinary commands (remake.h).
 *
 * A cluster takes in one transaction the keys of one slot only. So several connections (lanes) go through these steps side by side, and wait once. */
#include "verify/field_times.h"
#include "verify/remake.h"
#include "verify/verify_state.h"

#include "base/clock.h"
#include "base/memory.h"
#include "transform/guard.h"

#include <stdio.h>
#include <stdlib.h>

#define LANES 32
#define LANE_KEYS 64
#define LANE_BYTES (8u << 20) /* of values; a larger one goes alone */
#define TRIES_MAX 30
#define AHEAD_BYTES (4u << 20) /* of a large key's commands, before their answers are waited for */

struct lane {
	struct repair *repair;
	struct client *client;
	uint32_t target_db, shard;
	uint16_t slot;
	bool alone;
	uint32_t keys[LANE_KEYS], count; /* pairs of the portion */
	bool refused;                    /* an answer was an error; `reason` */
	bool later;                      /* it said "not here" or "not now" */
	char reason[160];
	uint32_t commands, room; /* in its transaction */
	uint32_t *of_command;    /* key that each of them belongs to */
	bool executed;           /* EXEC did not answer nil */
	bool failed[LANE_KEYS];
	char failures[LANE_KEYS][160];
};

struct repair {
	struct verify *verify;
	struct portion_options portion_options;
	struct portion *portion;
	bool read; /* the portion is */
	struct lane lanes[LANES];
	uint32_t lane_count;
	uint32_t awaited; /* answers */
	bool answered;    /* none is, any more */
	bool lost;        /* a connection was */
	struct error error;
	uint8_t *tries; /* of each suspect */
	bool live;
	struct field_times *fields;
	struct remake *remake;
	bool *refused; /* of each suspect: the target has refused to RESTORE it */
};

/* ---- questions to the target ---- */

static void count_answer(struct repair *repair, const struct error *error)
{
	if (error) {
		repair->lost = true;
		repair->error = *error;
	}
	repair->answered = --repair->awaited == 0;
}

static void refuse(struct repair *repair, struct lane *lane, struct slice text)
{
	lane->later = lane->later || side_is_passing(&repair->verify->target, text);
	if (!lane->refused)
		snprintf(lane->reason, sizeof(lane->reason), "%.*s", (int)(text.len > 150 ? 150 : text.len),
			 (const char *)text.data);
	lane->refused = true;
}

static void on_simple(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct lane *lane = owner;

	if (reply && reply->nodes[0].type == RESP_ERROR)
		refuse(lane->repair, lane, reply->nodes[0].text);
	count_answer(lane->repair, error);
}

static void take_results(struct lane *lane, const struct resp_node *array)
{
	for (uint32_t i = 0; i < lane->commands; i++) {
		const struct resp_node *one = resp_member(array, i);
		uint32_t key = lane->of_command[i];

		if (!one || one->type != RESP_ERROR)
			continue;
		lane->failed[key] = true;
		snprintf(lane->failures[key], sizeof(lane->failures[key]), "%.*s",
			 (int)(one->text.len > 150 ? 150 : one->text.len), (const char *)one->text.data);
	}
}

static void on_exec(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct lane *lane = owner;

	if (reply && reply->nodes[0].type == RESP_ERROR)
		refuse(lane->repair, lane, reply->nodes[0].text);
	else if (reply && reply->nodes[0].type == RESP_ARRAY) {
		lane->executed = true;
		take_results(lane, &reply->nodes[0]);
	}
	count_answer(lane->repair, error);
}

/* Of its owner nothing has to be given back: client_free() calls nobody any more when the repair is cut off between question and answer. */
static void send(struct repair *repair, struct lane *lane, client_callback *callback, uint32_t argc, const struct slice *argv)
{
	repair->awaited++;
	repair->answered = false;
	client_send(lane->client, argc, argv, callback, lane);
}

#define SEND(repair, lane, callback, ...)                                                                                        \
	send(repair, lane, callback, sizeof((struct slice[]){__VA_ARGS__}) / sizeof(struct slice), (struct slice[]){__VA_ARGS__})

/* False: a connection is lost, or to be left off. */
static bool await_answers(struct repair *repair, struct error *error)
{
	while (repair->awaited > 0) {
		loop_run_until(repair->verify->loop, &repair->answered, clock_monotonic_us() + 200000);
		if (repair->awaited > 0 && !verify_go_on(repair->verify)) {
			error_clear(error);
			return false;
		}
	}
	if (repair->lost)
		*error = repair->error;
	return !repair->lost;
}

/* ---- 1: lanes ---- */

static bool suits(const struct repair *repair, const struct lane *lane, const struct suspect *suspect, uint32_t shard,
		  uint16_t slot, bool alone)
{
	return !lane->alone && !alone && lane->count < LANE_KEYS && lane->target_db == suspect->target_db &&
	       lane->shard == shard && (!repair->verify->target.cluster || lane->slot == slot);
}

static struct lane *find_lane(struct repair *repair, const struct suspect *suspect, bool alone)
{
	struct side *target = &repair->verify->target;
	uint32_t shard = side_shard(target, suspect->target_key);
	uint16_t slot = target->cluster ? slot_of_key(suspect->target_key) : 0;
	struct lane *lane;

	for (uint32_t i = 0; i < repair->lane_count; i++)
		if (suits(repair, &repair->lanes[i], suspect, shard, slot, alone))
			return &repair->lanes[i];
	if (repair->lane_count == LANES)
		return NULL;
	lane = &repair->lanes[repair->lane_count++];
	*lane = (struct lane){.repair = repair, .target_db = suspect->target_db, .shard = shard, .slot = slot, .alone = alone};
	return lane;
}

/* False: there is nothing left to do. */
static bool choose(struct repair *repair)
{
	struct suspects *suspects = &repair->verify->suspects;

	repair->lane_count = 0;
	for (uint32_t i = 0; i < suspects->count && repair->portion->count < PORTION_KEYS; i++) {
		const struct suspect *suspect = suspects->items[i];
		struct lane *lane;

		if (!suspect->proven || suspect->repaired || repair->tries[i] >= TRIES_MAX)
			continue;
		lane = find_lane(repair, suspect, repair->tries[i] > 0);
		if (!lane)
			continue;
		lane->keys[lane->count++] = repair->portion->count;
		portion_add(repair->portion, suspect->source_db, suspect->source_key, suspect->target_db, suspect->target_key)
			->number = i;
	}
	return repair->portion->count > 0;
}

static void open_lane(struct repair *repair, struct lane *lane)
{
	const struct verify *verify = repair->verify;
	const struct side *target = &verify->target;
	const struct client_options options = {
		.endpoint = deployment_topology(target->deployment)->shards[lane->shard].master,
		.credentials = &target->options->credentials,
		.tls = deployment_tls(target->deployment),
		.tls_name = target->options->tls.server_name,
		.name = target->name,
		.timeout_ms = target->timeout_ms,
		.blame = ERROR_TARGET,
	};
	uint8_t digits[24];

	lane->client = client_new(verify->loop, &options);
	if (lane->target_db > 0)
		SEND(repair, lane, on_simple, SLICE("SELECT"), slice_make(digits, resp_put_uint64(digits, lane->target_db)));
	for (uint32_t i = 0; i < lane->count; i++)
		SEND(repair, lane, on_simple, SLICE("WATCH"), repair->portion->pairs[lane->keys[i]].target_key);
}

static void close_lanes(struct repair *repair)
{
	for (uint32_t i = 0; i < repair->lane_count; i++) {
		client_free(repair->lanes[i].client);
		free(repair->lanes[i].of_command);
	}
	repair->lane_count = 0;
}

/* ---- 2: the source ---- */

static void on_read(void *owner, struct portion *portion)
{
	struct repair *repair = owner;

	(void)portion;
	repair->read = true;
	repair->verify->turn = true;
}

static bool read_source(struct repair *repair, struct error *error)
{
	repair->read = false;
	portion_start(repair->portion, PORTION_SOURCE_ONLY);
	while (!repair->read)
		if (!verify_await(repair->verify, error))
			return false;
	if (repair->portion->place.error.kind != ERROR_NONE)
		*error = repair->portion->place.error;
	return repair->portion->place.error.kind == ERROR_NONE;
}

/* ---- 4: writing ---- */

/* As those around it: in step it is live, and what a stopped task has left may be live, held, or true. */
static enum guard_form form_to_write(const struct repair *repair)
{
	struct judge_forms forms = judge_forms(repair->verify->judge);

	if (!repair->verify->options->judge.writes_guarded)
		return GUARD_OFF;
	if (repair->live || forms.live > 0)
		return GUARD_LIVE;
	return forms.held > forms.same ? GUARD_HELD : GUARD_OFF;
}

static struct guard_times times_to_write(const struct repair *repair)
{
	const struct judge_options *judge = &repair->verify->options->judge;

	return (struct guard_times){.form = form_to_write(repair), .base = judge->base, .margin_ms = judge->margin_ms};
}

static void put_command(struct repair *repair, struct lane *lane, uint32_t key, uint32_t argc, const struct slice *argv)
{
	if (lane->commands == lane->room) {
		lane->room = lane->room ? 2 * lane->room : 2 * LANE_KEYS;
		lane->of_command = memory_realloc_array(lane->of_command, lane->room, sizeof(*lane->of_command));
	}
	lane->of_command[lane->commands++] = key;
	send(repair, lane, on_simple, argc, argv);
}

struct field_writing {
	struct repair *repair;
	struct lane *lane;
	uint32_t key;
	struct slice name;
	struct guard_times times;
};

static void put_field_time(void *owner, struct slice field, int64_t at_ms)
{
	struct field_writing *writing = owner;
	uint8_t digits[24];
	struct slice at = slice_make(digits, resp_put_int64(digits, guard_field_time(&writing->times, at_ms, clock_wall_ms())));

	put_command(writing->repair, writing->lane, writing->key, 6,
		    (struct slice[]){SLICE("HPEXPIREAT"), writing->name, at, SLICE("FIELDS"), SLICE("1"), field});
}

/* RESTORE has brought the true times of its fields. Whoever takes the margin off live ones later would take it off theirs, too. */
static void put_field_times(struct repair *repair, struct lane *lane, uint32_t key, struct slice name)
{
	struct field_writing writing = {repair, lane, key, name, times_to_write(repair)};
	struct value_form form;

	if (guard_changes(&writing.times) && reading_value(&repair->portion->pairs[lane->keys[key]].source, &form))
		field_times_each(repair->fields, &form, put_field_time, &writing);
}

static bool restore(struct repair *repair, struct lane *lane, uint32_t key, struct slice payload)
{
	struct pair *pair = &repair->portion->pairs[lane->keys[key]];
	bool expires = pair->expire_at_ms != READING_NO_EXPIRY, absolute = expires && repair->verify->target.absolute_ttl;
	struct guard_times times = times_to_write(repair);
	uint8_t digits[24];
	struct slice at = slice_make(
		digits, resp_put_int64(digits, expires ? guard_key_time(&times, pair->expire_at_ms, clock_wall_ms()) : 0));
	struct slice argv[6] = {SLICE("RESTORE"), pair->target_key, absolute ? at : SLICE("0"),
				payload,          SLICE("REPLACE"), SLICE("ABSTTL")};

	put_command(repair, lane, key, absolute ? 6 : 5, argv);
	if (expires && !absolute)
		put_command(repair, lane, key, 3, (struct slice[]){SLICE("PEXPIREAT"), pair->target_key, at});
	put_field_times(repair, lane, key, pair->target_key);
	return true;
}

/* ---- as ordinary commands ---- */

static bool is_remade(struct repair *repair, const struct lane *lane, uint32_t key, struct slice payload)
{
	return repair->refused[repair->portion->pairs[lane->keys[key]].number] || remake_is_needed(repair->remake, payload);
}

static void say(struct suspect *suspect, const char *what, const char *why)
{
	size_t used = strlen(suspect->text);

	if (!strstr(suspect->text, why))
		snprintf(suspect->text + used, sizeof(suspect->text) - used, "%s%s%s", used ? "; " : "", what, why);
}

/* False: it cannot be, which is told as the key's outcome. */
static bool begin_remaking(struct repair *repair, struct lane *lane, uint32_t key, bool large)
{
	struct pair *pair = &repair->portion->pairs[lane->keys[key]];
	struct remake_key remade = {pair->target_db, pair->target_key, {0}, pair->expire_at_ms, times_to_write(repair)};
	struct error error;

	error_set(&error, ERROR_CONFLICT, "its serialised form cannot be read");
	if (reading_value(&pair->source, &remade.form) && remake_begin(repair->remake, &remade, large, &error))
		return true;
	lane->failed[key] = true;
	snprintf(lane->failures[key], sizeof(lane->failures[key]), "%.150s", error.text);
	return false;
}

/* Of the key that was gone through last. */
static void tell_losses(struct repair *repair, const struct lane *lane, uint32_t key)
{
	const char *losses = remake_losses(repair->remake);

	if (losses[0])
		say(repair->verify->suspects.items[repair->portion->pairs[lane->keys[key]].number], "written without ", losses);
}

static void put_remade(struct repair *repair, struct lane *lane, uint32_t key)
{
	struct slice *argv;
	struct error error;
	uint32_t argc;

	if (!begin_remaking(repair, lane, key, false))
		return;
	while (remake_next(repair->remake, &argc, &argv, &error) == REWRITE_COMMAND)
		put_command(repair, lane, key, argc, argv);
	tell_losses(repair, lane, key);
}

static bool put_value(struct repair *repair, struct lane *lane, uint32_t key, struct error *error)
{
	struct slice payload;

	if (!stash_get(repair->portion->stash, &repair->portion->pairs[lane->keys[key]].source.payload, &payload, error))
		return false;
	if (!is_remade(repair, lane, key, payload))
		return restore(repair, lane, key, payload);
	put_remade(repair, lane, key);
	return true;
}

static bool put_key(struct repair *repair, struct lane *lane, uint32_t key, struct error *error)
{
	struct pair *pair = &repair->portion->pairs[lane->keys[key]];

	if (pair->fate == FATE_SAME && pair->source.state == READING_THERE)
		return put_value(repair, lane, key, error);
	if (pair->fate == FATE_SAME && pair->source.state == READING_GONE)
		put_command(repair, lane, key, 2, (struct slice[]){SLICE("DEL"), pair->target_key});
	return true;
}

static uint64_t bytes_of(const struct repair *repair, const struct lane *lane)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < lane->count; i++)
		sum += repair->portion->pairs[lane->keys[i]].source.payload.filled;
	return sum;
}

static void note_outcome(struct repair *repair, struct lane *lane)
{
	for (uint32_t i = 0; i < lane->count; i++) {
		const struct pair *pair = &repair->portion->pairs[lane->keys[i]];
		struct suspect *suspect = repair->verify->suspects.items[pair->number];
		const char *why = lane->refused ? lane->reason : lane->failed[i] ? lane->failures[i] : NULL;

		repair->tries[pair->number]++;
		if (lane->later)
			continue;
		if (why && !repair->refused[pair->number] && remake_is_refusal(slice_of_string(why))) {
			repair->refused[pair->number] = true; /* otherwise, the next time */
		} else if (why) {
			say(suspect, "not repaired: ", why);
			repair->tries[pair->number] = TRIES_MAX;
		} else if (lane->executed && pair->fate == FATE_SAME && pair->source.state != READING_UNREAD) {
			suspect->repaired = true;
		}
	}
}

/* Is one of its keys to be written into a temporary key first? Then it has to be alone. */
static bool is_large(struct repair *repair, const struct lane *lane, bool *ret, struct error *error)
{
	*ret = false;
	for (uint32_t i = 0; i < lane->count; i++) {
		const struct pair *pair = &repair->portion->pairs[lane->keys[i]];
		struct slice payload;

		if (pair->source.state != READING_THERE || pair->source.payload.filled <= REMAKE_LARGE)
			continue;
		if (!stash_get(repair->portion->stash, &pair->source.payload, &payload, error))
			return false;
		*ret = *ret || is_remade(repair, lane, i, payload);
	}
	return true;
}

static size_t bytes_in(uint32_t argc, const struct slice *argv)
{
	size_t sum = 0;

	for (uint32_t i = 0; i < argc; i++)
		sum += argv[i].len;
	return sum;
}

/* The commands up to the one that puts it in its place, which is left in argc and argv. */
static bool fill_temporary(struct repair *repair, struct lane *lane, uint32_t *ret_argc, struct slice **ret_argv,
			   struct error *error)
{
	size_t bytes = 0;

	while (remake_next(repair->remake, ret_argc, ret_argv, error) == REWRITE_COMMAND) {
		bytes += bytes_in(*ret_argc, *ret_argv);
		send(repair, lane, on_simple, *ret_argc, *ret_argv);
		if (bytes <= AHEAD_BYTES)
			continue;
		bytes = 0;
		if (!await_answers(repair, error))
			return false;
	}
	return await_answers(repair, error);
}

static bool write_large(struct repair *repair, struct lane *lane, struct error *error)
{
	struct slice *argv;
	uint32_t argc;

	if (!begin_remaking(repair, lane, 0, true))
		return true;
	if (!fill_temporary(repair, lane, &argc, &argv, error))
		return false;
	tell_losses(repair, lane, 0);
	if (!lane->refused) {
		SEND(repair, lane, on_simple, SLICE("MULTI"));
		put_command(repair, lane, 0, argc, argv);
		SEND(repair, lane, on_exec, SLICE("EXEC"));
		if (!await_answers(repair, error))
			return false;
	}
	if (!lane->executed || lane->failed[0])
		SEND(repair, lane, on_simple, SLICE("DEL"), remake_temporary(repair->remake));
	return await_answers(repair, error);
}

static bool write_small(struct repair *repair, struct lane *lane, struct error *error)
{
	SEND(repair, lane, on_simple, SLICE("MULTI"));
	for (uint32_t i = 0; i < lane->count; i++)
		if (!put_key(repair, lane, i, error))
			return false;
	SEND(repair, lane, on_exec, SLICE("EXEC"));
	return await_answers(repair, error);
}

static bool write_lane(struct repair *repair, struct lane *lane, struct error *error)
{
	bool large, ok = true;

	if (!is_large(repair, lane, &large, error))
		return false;
	/* Too much at once: each alone, the next time. */
	if (!lane->refused && (lane->count == 1 || (!large && bytes_of(repair, lane) <= LANE_BYTES)))
		ok = large ? write_large(repair, lane, error) : write_small(repair, lane, error);
	if (ok)
		note_outcome(repair, lane);
	return ok;
}

/* ---- all of them ---- */

static bool sweep(struct repair *repair, struct error *error)
{
	struct verify *verify = repair->verify;

	remake_ask(repair->remake, &verify->target);
	for (uint32_t i = 0; i < repair->lane_count; i++)
		open_lane(repair, &repair->lanes[i]);
	if (!await_answers(repair, error) || !catch_up_find(&verify->catch_up, &repair->live, error) ||
	    !read_source(repair, error) || (repair->live && !catch_up_wait(&verify->catch_up, error)))
		return false;
	for (uint32_t i = 0; i < repair->lane_count; i++)
		if (!write_lane(repair, &repair->lanes[i], error))
			return false;
	return true;
}

bool repair_run(struct verify *verify, struct error *error)
{
	struct repair repair = {.verify = verify, .portion_options = verify->portion_options};
	bool ok = true;

	repair.portion_options.full = true;
	repair.portion = portion_new(&repair.portion_options, on_read, &repair);
	repair.fields = field_times_new();
	repair.remake = remake_new(verify->options->task);
	repair.refused = memory_alloc_zero(verify->suspects.count + 1, sizeof(*repair.refused));
	repair.tries = memory_alloc_zero(verify->suspects.count + 1, sizeof(*repair.tries));
	while (ok && (!verify->target.moved || (ok = side_refresh(&verify->target, error))) && choose(&repair)) {
		ok = sweep(&repair, error);
		close_lanes(&repair);
		portion_clear(repair.portion);
	}
	close_lanes(&repair);
	portion_free(repair.portion);
	field_times_free(repair.fields);
	remake_free(repair.remake);
	free(repair.refused);
	free(repair.tries);
	return ok;
}
