#include "link/crossing_state.h"

#include "base/log.h"
#include "base/memory.h"
#include "peer/server.h"
#include "sink/verdict.h"
#include "wire/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 2000
#define KEPT_MAX (64u << 10) /* a buffer larger than this is given back when the command is done ... */
#define KEPT_OPERANDS 64     /* ... and so are those of more operands than that */
#define HOME_LOOK_MAX 64     /* keys among which the home slot is chosen */

static void on_retry(void *owner)
{
	struct crossing *crossing = owner;

	crossing->waits = false;
	crossing->options.go_on(crossing->options.owner);
}

struct crossing *crossing_new(const struct crossing_options *options)
{
	struct crossing *crossing = memory_alloc_zero(1, sizeof(*crossing));

	crossing->options = *options;
	crossing->deletion =
		!options->target->redis || options->target->redis >= VERSION(4, 0, 0) ? SLICE("UNLINK") : SLICE("DEL");
	crossing->retry = timer_new(options->loop, on_retry, crossing);
	return crossing;
}

static void give_back(struct buffer *buffer, bool keep)
{
	if (buffer->cap > KEPT_MAX || !keep)
		buffer_free(buffer);
	else
		buffer_clear(buffer);
}

static void end(struct crossing *crossing)
{
	crossing->phase = PHASE_IDLE;
	crossing->waits = false;
	timer_stop(crossing->retry);
	for (uint32_t i = 0; i < crossing->plan.key_count && i < crossing->operand_room; i++)
		give_back(&crossing->operands[i].question.reply, i < KEPT_OPERANDS);
	give_back(&crossing->run.reply, true);
	crossing->request_count = 0;
	arena_reset(&crossing->arena);
}

void crossing_free(struct crossing *crossing)
{
	if (!crossing)
		return;
	for (uint32_t i = 0; i < crossing->operand_room; i++)
		buffer_free(&crossing->operands[i].question.reply);
	for (uint32_t i = 0; i < crossing->request_room; i++)
		request_free(&crossing->requests[i]);
	free(crossing->operands);
	free(crossing->requests);
	free(crossing->argv);
	buffer_free(&crossing->run.reply);
	crossing_plan_free(&crossing->plan);
	arena_free(&crossing->arena);
	timer_free(crossing->retry);
	free(crossing);
}

void crossing_reset(struct crossing *crossing, struct sink *sink)
{
	crossing->sink = sink;
	end(crossing);
}

bool crossing_under_way(const struct crossing *crossing)
{
	return crossing->phase != PHASE_IDLE;
}

bool crossing_half_done(const struct crossing *crossing)
{
	return crossing->phase == PHASE_WRITE;
}

struct crossing_counters crossing_counters(const struct crossing *crossing)
{
	return crossing->counters;
}

/* ---- requests ---- */

struct request *crossing_request(struct crossing *crossing)
{
	struct request *request;

	if (crossing->request_count == crossing->request_room) {
		uint32_t room = crossing->request_room ? crossing->request_room * 2 : 8;

		crossing->requests = memory_realloc_array(crossing->requests, room, sizeof(crossing->requests[0]));
		memset(&crossing->requests[crossing->request_room], 0,
		       (room - crossing->request_room) * sizeof(crossing->requests[0]));
		crossing->request_room = room;
	}
	request = &crossing->requests[crossing->request_count++];
	request_begin(request, &crossing->arena);
	return request;
}

void crossing_send(struct crossing *crossing, uint16_t slot, uint16_t flags, const struct request *request,
		   struct question *question)
{
	sink_pieces(crossing->sink, &crossing->event, slot, crossing->db_stream, flags, request->pieces, request->count,
		    request->replies, question);
}

/* ---- refusals ---- */

enum crossing_step crossing_fail(struct crossing *crossing, struct error *error, const char *why, const char *hint)
{
	crossing_refuse(&crossing->event, error, why, hint);
	end(crossing);
	return STEP_FAILED;
}

enum crossing_step crossing_fail_by_size(struct crossing *crossing, struct error *error)
{
	char why[160];

	snprintf(why, sizeof(why), "a value of it is, serialised, longer than the target takes (proto-max-bulk-len, %llu bytes)",
		 (unsigned long long)crossing->options.target->bulk_max);
	return crossing_fail(crossing, error, why,
			     "Raise proto-max-bulk-len on the target, or use hash tags, so that its keys lie in one slot");
}

enum crossing_step crossing_refused(struct crossing *crossing, struct error *error, const char *answer)
{
	char why[REPLY_TEXT_MAX + 32];

	/* What an earlier run has applied already may find its keys as they became later, and then what follows puts that right. */
	if (verdict_of(answer) == VERDICT_REFUSED && sink_may_have_sent(crossing->sink, crossing->event.start))
		return STEP_DONE;
	snprintf(why, sizeof(why), "the target answers %.400s", answer);
	return crossing_fail(
		crossing, error, why,
		"Somebody else may have written to the target: mend the key there and start again, or set on_conflict: skip");
}

/* ---- beginning ---- */

/* The slot of most keys that are only read: these need not be copied. */
static uint16_t best_home(const struct crossing_plan *plan)
{
	uint16_t best = plan->keys[0].slot;
	uint32_t best_count = 0;

	/* Of a command with thousands of keys the first ones have to do: it is about saving copies. */
	for (uint32_t i = 0; i < plan->key_count && i < HOME_LOOK_MAX; i++) {
		uint32_t count = 0;

		for (uint32_t j = 0; j < plan->key_count && j < HOME_LOOK_MAX; j++)
			count += plan->keys[j].slot == plan->keys[i].slot && plan->keys[j].reads && !plan->keys[j].writes;
		if (count > best_count) {
			best = plan->keys[i].slot;
			best_count = count;
		}
	}
	return best;
}

static void tell_once(struct crossing *crossing)
{
	static const char *const texts[] = {
		[CROSSING_RENAME] =
			"the value is read from the one (DUMP), written to the other (RESTORE) and deleted, in three round trips",
		[CROSSING_COPY] = "the value is read from the one (DUMP) and written to the other (RESTORE), in two round trips",
		[CROSSING_LIST_MOVE] = "the element is read, pushed and popped, in three round trips",
		[CROSSING_RUN] = "it runs on copies of the values (DUMP, RESTORE) in one slot, in three round trips",
	};
	const struct command_info *info = crossing->event.info;
	char text[400];

	for (uint32_t i = 0; i < crossing->told_count; i++)
		if (crossing->told[i] == info)
			return;
	if (crossing->told_count == CROSSING_KINDS_TOLD_MAX)
		return;
	crossing->told[crossing->told_count++] = info;
	snprintf(
		text, sizeof(text),
		"%.64s has keys in different slots of the target, so keyferry does it: %s, while what follows waits; hash tags would spare that",
		info->name, texts[crossing->plan.kind]);
	crossing->options.note(crossing->options.owner, LOG_INFO, text);
}

static void make_operands(struct crossing *crossing)
{
	uint32_t count = crossing->plan.key_count;

	if (count > crossing->operand_room) {
		crossing->operands = memory_realloc_array(crossing->operands, count, sizeof(crossing->operands[0]));
		memset(&crossing->operands[crossing->operand_room], 0,
		       (count - crossing->operand_room) * sizeof(crossing->operands[0]));
		for (uint32_t i = crossing->operand_room; i < count; i++)
			buffer_init(&crossing->operands[i].question.reply, 0);
		crossing->operand_room = count;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct operand *operand = &crossing->operands[i];

		operand->tries = 0;
		operand->question.reply.max = crossing->options.target->bulk_max + CROSSING_REPLY_SLACK;
	}
}

/* A cluster has database 0, and from Valkey 9 on perhaps more. */
static bool check_copy(struct crossing *crossing, struct error *error)
{
	char why[120];
	uint32_t db = crossing->plan.copy_db;

	if (crossing->plan.kind != CROSSING_COPY || db == 0 || db < crossing->options.target->databases)
		return true;
	snprintf(why, sizeof(why), "it copies into database %u, which the target has not got", db);
	crossing_refuse(&crossing->event, error, why,
			"Bring the database into one that it has with target.database_map, or use a standalone target");
	return false;
}

bool crossing_begin(struct crossing *crossing, const struct event *event, uint32_t db_stream, bool again, struct error *error)
{
	crossing->event = *event;
	crossing->applied_before = again;
	crossing->db_stream = db_stream;
	if (!crossing_plan_make(&crossing->plan, &crossing->event, error) || !check_copy(crossing, error))
		return false;
	tell_once(crossing);
	make_operands(crossing);
	crossing->first_number = sink_number(crossing->sink, event->start);
	sink_set_number(crossing->sink, event->start, crossing->first_number + crossing->plan.key_count);
	crossing->home = best_home(&crossing->plan);
	crossing->run_tries = 0;
	crossing->backoff_ms = 0;
	crossing->phase = PHASE_DRAIN;
	return true;
}

const struct event *crossing_event(const struct crossing *crossing)
{
	return &crossing->event;
}

/* Its keys may have gone on since, where they were not lost: running it again would read what came later. */
static enum crossing_step look_for_marks(const struct crossing *crossing)
{
	enum crossing_step step = STEP_DONE;

	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		const struct crossing_key *key = &crossing->plan.keys[i];

		if (!key->writes)
			continue;
		switch (sink_covers(crossing->sink, key->slot, crossing->event.start, crossing->first_number + i)) {
		case COVERS_YES: break;
		case COVERS_UNKNOWN: return STEP_WAIT;
		case COVERS_NO: step = STEP_LOST; break;
		}
	}
	return step;
}

static bool slots_idle(const struct crossing *crossing)
{
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (!sink_slot_idle(crossing->sink, crossing->plan.keys[i].slot))
			return false;
	return true;
}

/* ---- reading ---- */

/* A key of the home slot that is only read stays where it is, and so does what is overwritten. */
static bool must_read(const struct crossing *crossing, uint32_t i)
{
	const struct crossing_key *key = &crossing->plan.keys[i];

	if (crossing->plan.kind != CROSSING_RUN)
		return i == 0;
	return key->reads && (key->writes || key->slot != crossing->home);
}

static bool needs_expiry(const struct crossing *crossing, uint32_t i)
{
	return crossing->plan.kind != CROSSING_RUN || crossing->plan.keys[i].writes;
}

static void begin_reading(struct crossing *crossing)
{
	crossing->phase = PHASE_READ;
	crossing->ask_at = 0;
	crossing->request_count = 0;
	arena_reset(&crossing->arena);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		crossing->operands[i].asked = false;
		crossing->operands[i].read = crossing->operands[i].result = (struct dumped){.expire_at_ms = DUMPED_NO_EXPIRY};
	}
}

/* Several commands have to be asked at one moment. Besides, ASKING holds for one command or one transaction. */
static bool asks_in_transaction(const struct crossing *crossing, uint32_t i)
{
	return crossing->plan.kind != CROSSING_LIST_MOVE && needs_expiry(crossing, i);
}

static void ask(struct crossing *crossing, uint32_t i)
{
	const struct crossing_key *key = &crossing->plan.keys[i];
	struct operand *operand = &crossing->operands[i];
	struct request *request = crossing_request(crossing);
	bool transaction = asks_in_transaction(crossing, i);

	if (transaction)
		REQUEST_ADD(request, SLICE("MULTI"));
	if (crossing->plan.kind == CROSSING_LIST_MOVE)
		REQUEST_ADD(request, SLICE("LINDEX"), key->name, crossing->plan.from_left ? SLICE("0") : SLICE("-1"));
	else
		dumped_ask(request, crossing->options.target, key->name, needs_expiry(crossing, i));
	if (transaction)
		REQUEST_ADD(request, SLICE("EXEC"));
	operand->asked = true;
	operand->replies = request->replies;
	operand->question.answered = false;
	crossing_send(crossing, key->slot, transaction ? UNIT_TRANSACTION : 0, request, &operand->question);
}

static enum dumped_taken take_replies(const struct crossing *crossing, uint32_t i, char text[REPLY_TEXT_MAX])
{
	struct operand *operand = &crossing->operands[i];
	struct slice rest = buffer_readable(&operand->question.reply);

	if (crossing->plan.kind == CROSSING_LIST_MOVE)
		return dumped_take_bulk(&rest, &operand->read, text);
	if (asks_in_transaction(crossing, i) && !replies_enter_last(&rest, operand->replies))
		return DUMPED_NO_REPLIES;
	return dumped_take(&rest, crossing->options.target, needs_expiry(crossing, i), &operand->read, text);
}

/* What was asked is answered: takes it. */
static enum crossing_step take_read(struct crossing *crossing, uint32_t i, struct error *error)
{
	struct operand *operand = &crossing->operands[i];
	char text[REPLY_TEXT_MAX];

	operand->again = false;
	if (operand->question.too_long)
		return crossing_fail_by_size(crossing, error);
	if (operand->question.error[0])
		return crossing_refused(crossing, error, operand->question.error);
	switch (take_replies(crossing, i, text)) {
	case DUMPED_TAKEN: break;
	case DUMPED_UNSURE: operand->again = operand->tries < CROSSING_EXPIRY_TRIES; break;
	case DUMPED_ERROR: return crossing_refused(crossing, error, text);
	case DUMPED_NO_REPLIES: return crossing_refused(crossing, error, "what is no answer to DUMP");
	}
	return operand->read.payload.len > crossing->options.target->bulk_max ? crossing_fail_by_size(crossing, error) : STEP_ON;
}

static bool all_answered(const struct crossing *crossing)
{
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (crossing->operands[i].asked && !crossing->operands[i].question.answered)
			return false;
	return true;
}

static enum crossing_step read_keys(struct crossing *crossing, struct error *error)
{
	enum crossing_step step = STEP_ON;

	for (; crossing->ask_at < crossing->plan.key_count; crossing->ask_at++) {
		if (!must_read(crossing, crossing->ask_at))
			continue;
		if (!sink_has_room(crossing->sink))
			return STEP_WAIT;
		ask(crossing, crossing->ask_at);
	}
	if (!all_answered(crossing))
		return STEP_WAIT;
	for (uint32_t i = 0; step == STEP_ON && i < crossing->plan.key_count; i++)
		if (crossing->operands[i].asked)
			step = take_read(crossing, i, error);
	/* Asked again only now: no question may be on its way when the command is given up. */
	for (uint32_t i = 0; (step == STEP_ON || step == STEP_WAIT) && i < crossing->plan.key_count; i++) {
		if (!crossing->operands[i].asked || !crossing->operands[i].again)
			continue;
		crossing->operands[i].tries++;
		ask(crossing, i);
		step = STEP_WAIT;
	}
	for (uint32_t i = 0; step == STEP_ON && i < crossing->plan.key_count; i++)
		crossing->counters.bytes += crossing->operands[i].read.payload.len;
	return step;
}

/* ---- writing ---- */

/* What is written depends on what is read: a key has its number whatever becomes of the others. */
static void send_write(struct crossing *crossing, uint32_t key, uint16_t flags, const struct request *request)
{
	sink_set_number(crossing->sink, crossing->event.start, crossing->first_number + key);
	crossing_send(crossing, crossing->plan.keys[key].slot, flags, request, NULL);
	sink_set_number(crossing->sink, crossing->event.start, crossing->first_number + crossing->plan.key_count);
}

static void write_value(struct crossing *crossing, uint32_t key, const struct dumped *value)
{
	const struct target_abilities *target = crossing->options.target;
	struct slice name = crossing->plan.keys[key].name;
	struct request *request = crossing_request(crossing);
	bool transaction = value->exists && dumped_restore_commands(target, value) > 1;

	if (transaction)
		REQUEST_ADD(request, SLICE("MULTI"));
	if (value->exists)
		dumped_restore(request, target, name, value, true);
	else
		REQUEST_ADD(request, crossing->deletion, name);
	if (transaction)
		REQUEST_ADD(request, SLICE("EXEC"));
	send_write(crossing, key, transaction ? UNIT_TRANSACTION : 0, request);
}

/* What the command has left as it was need not be written. */
static bool must_write(const struct crossing *crossing, uint32_t i)
{
	const struct crossing_key *key = &crossing->plan.keys[i];

	return key->writes && (!key->reads || !dumped_equal(&crossing->operands[i].read, &crossing->operands[i].result));
}

static bool write_results(struct crossing *crossing)
{
	for (; crossing->write_at < crossing->plan.key_count; crossing->write_at++) {
		if (!must_write(crossing, crossing->write_at))
			continue;
		if (!sink_has_room(crossing->sink))
			return false;
		write_value(crossing, crossing->write_at, &crossing->operands[crossing->write_at].result);
	}
	return true;
}

/* The first wave gives, the second takes away. */
static void write_list_move(struct crossing *crossing, uint32_t wave)
{
	const struct crossing_plan *plan = &crossing->plan;
	struct request *request = crossing_request(crossing);
	uint32_t key = wave == 0 ? 1 : 0;

	if (wave == 0)
		REQUEST_ADD(request, plan->to_left ? SLICE("LPUSH") : SLICE("RPUSH"), plan->keys[key].name,
			    crossing->operands[0].read.payload);
	else
		REQUEST_ADD(request, plan->from_left ? SLICE("LPOP") : SLICE("RPOP"), plan->keys[key].name);
	send_write(crossing, key, 0, request);
}

/* Sends a wave. False: there is none any more. */
static bool write_wave(struct crossing *crossing, uint32_t wave)
{
	static const struct dumped nothing = {0};

	switch (crossing->plan.kind) {
	case CROSSING_RENAME:
		if (wave > 1)
			return false;
		write_value(crossing, wave == 0 ? 1 : 0, wave == 0 ? &crossing->operands[0].read : &nothing);
		return true;
	case CROSSING_LIST_MOVE:
		if (wave > 1)
			return false;
		write_list_move(crossing, wave);
		return true;
	case CROSSING_COPY:
		if (wave > 0)
			return false;
		crossing->event.db = crossing->plan.copy_db;
		write_value(crossing, 1, &crossing->operands[0].read);
		return true;
	case CROSSING_RUN: break;
	}
	return false;
}

static enum crossing_step write_all(struct crossing *crossing)
{
	if (crossing->plan.kind == CROSSING_RUN && !write_results(crossing))
		return STEP_WAIT;
	while (slots_idle(crossing)) {
		if (!sink_has_room(crossing->sink))
			return STEP_WAIT;
		if (!write_wave(crossing, crossing->wave))
			return STEP_DONE;
		crossing->wave++;
	}
	return STEP_WAIT;
}

static void begin_writing(struct crossing *crossing)
{
	crossing->phase = PHASE_WRITE;
	crossing->wave = 0;
	crossing->write_at = 0;
}

/* ---- going on ---- */

static enum crossing_state done(struct crossing *crossing)
{
	crossing->counters.commands++;
	sink_count(crossing->sink, crossing_event(crossing));
	end(crossing);
	return CROSSING_DONE;
}

static void begin_again(struct crossing *crossing)
{
	crossing->counters.repetitions++;
	crossing->backoff_ms = crossing->backoff_ms ? crossing->backoff_ms * 2 : BACKOFF_FIRST_MS;
	if (crossing->backoff_ms > BACKOFF_MAX_MS)
		crossing->backoff_ms = BACKOFF_MAX_MS;
	crossing->phase = PHASE_DRAIN;
	crossing->waits = true;
	timer_start(crossing->retry, crossing->backoff_ms);
}

/* What was read is all that is needed, or what the command runs on. */
static enum crossing_step after_reading(struct crossing *crossing, struct error *error)
{
	crossing->run_asked = false;
	if (crossing->plan.kind == CROSSING_RUN) {
		crossing->phase = PHASE_RUN;
		return STEP_ON;
	}
	if (crossing->operands[0].read.exists) {
		begin_writing(crossing);
		return STEP_ON;
	}
	/* LMOVE and COPY do nothing then; for RENAME it is an error, as it would be at a single target. */
	return crossing->plan.kind == CROSSING_RENAME ? crossing_refused(crossing, error, "ERR no such key") : STEP_DONE;
}

static enum crossing_step work(struct crossing *crossing, struct error *error)
{
	enum crossing_step step;

	switch (crossing->phase) {
	case PHASE_IDLE: return STEP_DONE;
	case PHASE_DRAIN:
		if (!slots_idle(crossing))
			return STEP_WAIT;
		if (crossing->applied_before)
			return look_for_marks(crossing);
		begin_reading(crossing);
		return STEP_ON;
	case PHASE_READ: step = read_keys(crossing, error); return step == STEP_ON ? after_reading(crossing, error) : step;
	case PHASE_RUN:
		step = crossing_run(crossing, error);
		if (step == STEP_ON)
			begin_writing(crossing);
		return step;
	case PHASE_WRITE: return write_all(crossing);
	}
	return STEP_DONE;
}

enum crossing_state crossing_go_on(struct crossing *crossing, struct error *error)
{
	while (!crossing->waits) {
		switch (work(crossing, error)) {
		case STEP_ON: break;
		case STEP_WAIT: return CROSSING_WAITS;
		case STEP_AGAIN: begin_again(crossing); break;
		case STEP_DONE: return done(crossing);
		case STEP_LOST: return CROSSING_LOST;
		case STEP_FAILED: return CROSSING_FAILED;
		}
	}
	return CROSSING_WAITS;
}
