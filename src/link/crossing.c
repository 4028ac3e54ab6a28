#include "link/crossing.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "link/request.h"
#include "peer/server.h"
#include "sink/verdict.h"
#include "wire/command.h"
#include "wire/resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_EXPIRY (-1)
#define REPLY_SLACK (64u << 10)   /* of a reply, beside one value */
#define OWN_REPLY_MAX (64u << 20) /* of the command's own reply, which nobody wants */
#define TRIES_FOR_EXPIRY 20       /* two TIMEs around a PTTL nearly always tell the same millisecond */
#define BACKOFF_FIRST_MS 20
#define BACKOFF_MAX_MS 2000
#define KEPT_MAX (1u << 20)       /* a buffer larger than this is given back when the command is done */
#define KINDS_TOLD_MAX 64
#define NEXT_HOME 5471            /* a prime, about a third of all slots: most likely another master's */
#define NAME_MAX_LEN 64

enum phase { PHASE_IDLE, PHASE_DRAIN, PHASE_READ, PHASE_RUN, PHASE_WRITE };

/* A value as DUMP gives it. */
struct dumped {
	bool exists;
	struct slice payload;
	int64_t expire_at_ms; /* or NO_EXPIRY */
};

struct operand {
	struct question question;
	bool asked, again;
	uint32_t replies;
	uint32_t tries;
	struct dumped read, result;
	struct slice alias; /* the name that the command runs with */
	bool temporary;
};

struct crossing {
	struct crossing_options options;
	struct sink *sink;
	bool has_unlink, has_expiretime;
	enum phase phase;
	struct event event;
	uint32_t db_stream;
	struct crossing_plan plan;
	struct operand *operands; /* one per key of the plan */
	uint32_t operand_room;
	uint32_t ask_at;
	uint16_t home;
	uint32_t homes_tried;
	struct question run;
	bool run_asked;
	uint32_t run_tries;
	struct slice element; /* of a list move */
	uint32_t wave;        /* of writing */
	uint32_t write_at;
	struct request *requests; /* of this phase; request_count of them are in use */
	uint32_t request_count, request_room;
	struct slice *argv;
	uint32_t argv_room;
	struct arena arena;
	struct timer *retry;
	uint32_t backoff_ms;
	bool waits;
	const struct command_info *told[KINDS_TOLD_MAX];
	uint32_t told_count;
	struct crossing_counters counters;
};

static bool is_since(const struct target_abilities *target, uint32_t redis)
{
	return !target->redis || target->redis >= redis;
}

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
	crossing->has_unlink = is_since(options->target, VERSION(4, 0, 0));
	crossing->has_expiretime = is_since(options->target, VERSION(7, 0, 0));
	crossing->retry = timer_new(options->loop, on_retry, crossing);
	return crossing;
}

static void give_back(struct buffer *buffer)
{
	if (buffer->cap > KEPT_MAX)
		buffer_free(buffer);
	else
		buffer_clear(buffer);
}

static void end(struct crossing *crossing)
{
	crossing->phase = PHASE_IDLE;
	crossing->waits = false;
	timer_stop(crossing->retry);
	for (uint32_t i = 0; i < crossing->operand_room; i++)
		give_back(&crossing->operands[i].question.reply);
	give_back(&crossing->run.reply);
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

static struct request *new_request(struct crossing *crossing)
{
	struct request *request;

	if (crossing->request_count == crossing->request_room) {
		uint32_t room = crossing->request_room ? crossing->request_room * 2 : 8;

		crossing->requests = memory_realloc_array(crossing->requests, room, sizeof(crossing->requests[0]));
		memset(&crossing->requests[crossing->request_room], 0, (room - crossing->request_room) * sizeof(crossing->requests[0]));
		crossing->request_room = room;
	}
	request = &crossing->requests[crossing->request_count++];
	request_begin(request, &crossing->arena);
	return request;
}

#define ADD(request, ...) \
	request_add(request, sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice), (const struct slice[]){__VA_ARGS__})

static void send(struct crossing *crossing, uint16_t slot, uint16_t flags, const struct request *request, struct question *question)
{
	sink_pieces(crossing->sink, &crossing->event, slot, crossing->db_stream, flags, request->pieces, request->count, request->replies,
		    question);
}

/* Within a transaction: what tells when the key expires. */
static void add_expiry(const struct crossing *crossing, struct request *request, struct slice key)
{
	if (crossing->has_expiretime) {
		ADD(request, SLICE("PEXPIRETIME"), key);
		return;
	}
	ADD(request, SLICE("TIME"));
	ADD(request, SLICE("PTTL"), key);
	ADD(request, SLICE("TIME"));
}

/* RESTORE with its expiry. True: by more than one command. */
static bool add_restore(const struct crossing *crossing, struct request *request, struct slice key, const struct dumped *value, bool replace)
{
	bool expires = value->expire_at_ms != NO_EXPIRY;
	bool absolute = crossing->options.target->restore_absolute_ttl;
	struct slice argv[6] = {SLICE("RESTORE"), key, SLICE("0"), value->payload};
	struct slice at = expires ? arena_number(request->arena, value->expire_at_ms) : SLICE("0");
	uint32_t argc = 4;

	if (expires && absolute)
		argv[2] = at;
	if (replace)
		argv[argc++] = SLICE("REPLACE");
	if (expires && absolute)
		argv[argc++] = SLICE("ABSTTL");
	request_add(request, argc, argv);
	if (!expires || absolute)
		return false;
	ADD(request, SLICE("PEXPIREAT"), key, at);
	return true;
}

static struct slice word_for_deletion(const struct crossing *crossing)
{
	return crossing->has_unlink ? SLICE("UNLINK") : SLICE("DEL");
}

/* ---- replies ---- */

/* The next reply of several; false: there is none, or it is not of the protocol. */
static bool next_reply(struct slice *rest, struct resp_skim *ret)
{
	struct parse_fault fault;

	if (rest->len == 0 || resp_reply_skim(*rest, ret, &fault) != PARSE_OK)
		return false;
	*rest = slice_make(rest->data + ret->taken, rest->len - ret->taken);
	return true;
}

/* Passes MULTI's reply and those of queueing, and enters the array of EXEC. */
static bool enter_exec(struct slice *rest, uint32_t replies)
{
	struct resp_skim passed;
	const uint8_t *line_end;

	for (uint32_t i = 0; i + 1 < replies; i++)
		if (!next_reply(rest, &passed))
			return false;
	line_end = rest->len && rest->data[0] == '*' ? memchr(rest->data, '\n', rest->len) : NULL;
	if (!line_end)
		return false;
	*rest = slice_make(line_end + 1, rest->len - (size_t)(line_end + 1 - rest->data));
	return true;
}

enum taken { TAKEN, TAKEN_AGAIN, TAKEN_ERROR, TAKEN_NOTHING };

/* "*2 $10 seconds $6 microseconds" */
static bool take_time(struct slice *rest, int64_t *ret_ms)
{
	struct resp_skim seconds, micros;
	int64_t s, us;

	if (!enter_exec(rest, 1) || !next_reply(rest, &seconds) || !next_reply(rest, &micros) || !slice_to_int64(seconds.text, &s) ||
	    !slice_to_int64(micros.text, &us))
		return false;
	*ret_ms = s * 1000 + us / 1000;
	return true;
}

/* The replies to add_expiry(). `exact`: an expiry that may be off by a millisecond will not do. */
static enum taken take_expiry(const struct crossing *crossing, struct slice *rest, bool exact, struct dumped *value)
{
	struct resp_skim reply;
	int64_t before = 0, after = 0, number;

	if (!crossing->has_expiretime && !take_time(rest, &before))
		return TAKEN_NOTHING;
	if (!next_reply(rest, &reply) || reply.type != RESP_INTEGER || !slice_to_int64(reply.text, &number))
		return TAKEN_NOTHING;
	if (!crossing->has_expiretime && !take_time(rest, &after))
		return TAKEN_NOTHING;
	if (number == -2)
		value->exists = false; /* it expired in between */
	if (number < 0)
		return TAKEN;
	value->expire_at_ms = before + number;
	return exact && before != after ? TAKEN_AGAIN : TAKEN;
}

static enum taken take_dump(struct slice *rest, struct dumped *ret, char error[REPLY_TEXT_MAX])
{
	struct resp_skim reply;

	*ret = (struct dumped){.expire_at_ms = NO_EXPIRY};
	if (!next_reply(rest, &reply))
		return TAKEN_NOTHING;
	if (reply.type == RESP_ERROR) {
		snprintf(error, REPLY_TEXT_MAX, "%.*s", (int)(reply.text.len > 400 ? 400 : reply.text.len), (const char *)reply.text.data);
		return TAKEN_ERROR;
	}
	ret->exists = reply.type == RESP_BULK;
	ret->payload = reply.text;
	return TAKEN;
}

/* ---- refusals ---- */

static enum crossing_state fail(struct crossing *crossing, struct error *error, const char *why, const char *hint)
{
	crossing_refuse(&crossing->event, error, why, hint);
	end(crossing);
	return CROSSING_FAILED;
}

static enum crossing_state fail_by_target(struct crossing *crossing, struct error *error, const char *answer)
{
	char why[REPLY_TEXT_MAX + 32];

	snprintf(why, sizeof(why), "the target answers %.400s", answer);
	return fail(crossing, error, why,
		    "Somebody else may have written to the target: mend the key there and start again, or set on_conflict: skip");
}

static enum crossing_state fail_too_large(struct crossing *crossing, struct error *error)
{
	char why[160];

	snprintf(why, sizeof(why), "a value of it is, serialised, longer than the target takes (proto-max-bulk-len, %llu bytes)",
		 (unsigned long long)crossing->options.target->bulk_max);
	return fail(crossing, error, why, "Raise proto-max-bulk-len on the target, or use hash tags, so that its keys lie in one slot");
}

/* ---- beginning ---- */

/* The slot of most keys that are only read: these need not be copied. */
static uint16_t best_home(const struct crossing_plan *plan)
{
	uint16_t best = plan->keys[0].slot;
	uint32_t best_count = 0;

	/* Of a command with thousands of keys the first ones have to do: it is about saving copies. */
	for (uint32_t i = 0; i < plan->key_count && i < 64; i++) {
		uint32_t count = 0;

		for (uint32_t j = 0; j < plan->key_count && j < 64; j++)
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
		[CROSSING_RENAME] = "the value is read from the one (DUMP), written to the other (RESTORE) and deleted, in three round trips",
		[CROSSING_COPY] = "the value is read from the one (DUMP) and written to the other (RESTORE), in two round trips",
		[CROSSING_LIST_MOVE] = "the element is read, pushed and popped, in three round trips",
		[CROSSING_RUN] = "it runs on copies of the values (DUMP, RESTORE) in one slot, in three round trips",
	};
	const struct command_info *info = crossing->event.info;
	char text[400];

	for (uint32_t i = 0; i < crossing->told_count; i++)
		if (crossing->told[i] == info)
			return;
	if (crossing->told_count == KINDS_TOLD_MAX)
		return;
	crossing->told[crossing->told_count++] = info;
	snprintf(text, sizeof(text), "%.64s has keys in different slots of the target, so keyferry does it: %s, while what follows waits; hash tags would spare that",
		 info->name, texts[crossing->plan.kind]);
	crossing->options.note(crossing->options.owner, LOG_INFO, text);
}

static void make_operands(struct crossing *crossing)
{
	uint32_t count = crossing->plan.key_count;

	if (count > crossing->operand_room) {
		crossing->operands = memory_realloc_array(crossing->operands, count, sizeof(crossing->operands[0]));
		memset(&crossing->operands[crossing->operand_room], 0, (count - crossing->operand_room) * sizeof(crossing->operands[0]));
		for (uint32_t i = crossing->operand_room; i < count; i++)
			buffer_init(&crossing->operands[i].question.reply, 0);
		crossing->operand_room = count;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct operand *operand = &crossing->operands[i];

		operand->tries = 0;
		operand->question.reply.max = crossing->options.target->bulk_max + REPLY_SLACK;
	}
}

bool crossing_begin(struct crossing *crossing, const struct event *event, uint32_t db_stream, struct error *error)
{
	crossing->event = *event;
	crossing->db_stream = db_stream;
	if (!crossing_plan_make(&crossing->plan, &crossing->event, error))
		return false;
	tell_once(crossing);
	make_operands(crossing);
	crossing->home = best_home(&crossing->plan);
	crossing->homes_tried = 0;
	crossing->run_tries = 0;
	crossing->backoff_ms = 0;
	crossing->phase = PHASE_DRAIN;
	return true;
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
		crossing->operands[i].read = crossing->operands[i].result = (struct dumped){.expire_at_ms = NO_EXPIRY};
	}
}

static void ask(struct crossing *crossing, uint32_t i)
{
	const struct crossing_key *key = &crossing->plan.keys[i];
	struct request *request = new_request(crossing);
	bool transaction = false;

	if (crossing->plan.kind == CROSSING_LIST_MOVE) {
		ADD(request, SLICE("LINDEX"), key->name, crossing->plan.from_left ? SLICE("0") : SLICE("-1"));
	} else {
		transaction = needs_expiry(crossing, i) && !crossing->has_expiretime;
		if (transaction)
			ADD(request, SLICE("MULTI"));
		ADD(request, SLICE("DUMP"), key->name);
		if (needs_expiry(crossing, i))
			add_expiry(crossing, request, key->name);
		if (transaction)
			ADD(request, SLICE("EXEC"));
	}
	crossing->operands[i].asked = true;
	crossing->operands[i].replies = request->replies;
	crossing->operands[i].question.answered = false;
	send(crossing, key->slot, transaction ? UNIT_TRANSACTION : 0, request, &crossing->operands[i].question);
}

/* What was asked is answered: takes it. */
static enum taken take_read(struct crossing *crossing, uint32_t i, char error[REPLY_TEXT_MAX])
{
	struct operand *operand = &crossing->operands[i];
	struct slice rest = buffer_readable(&operand->question.reply);
	enum taken taken;

	if (operand->question.error[0]) {
		snprintf(error, REPLY_TEXT_MAX, "%s", operand->question.error);
		return TAKEN_ERROR;
	}
	if (crossing->plan.kind == CROSSING_LIST_MOVE)
		return take_dump(&rest, &operand->read, error);
	if (needs_expiry(crossing, i) && !crossing->has_expiretime && !enter_exec(&rest, operand->replies))
		return TAKEN_NOTHING;
	taken = take_dump(&rest, &operand->read, error);
	if (taken == TAKEN && needs_expiry(crossing, i))
		taken = take_expiry(crossing, &rest, operand->tries < TRIES_FOR_EXPIRY, &operand->read);
	return taken;
}

enum step { STEP_ON, STEP_WAIT, STEP_AGAIN, STEP_FAILED };

static enum step read_keys(struct crossing *crossing, struct error *error)
{
	bool complete = true;

	for (; crossing->ask_at < crossing->plan.key_count; crossing->ask_at++) {
		if (!must_read(crossing, crossing->ask_at))
			continue;
		if (!sink_has_room(crossing->sink))
			return STEP_WAIT;
		ask(crossing, crossing->ask_at);
	}
	for (uint32_t i = 0; i < crossing->plan.key_count && complete; i++)
		complete = !crossing->operands[i].asked || crossing->operands[i].question.answered;
	if (!complete)
		return STEP_WAIT;
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		struct operand *operand = &crossing->operands[i];
		char text[REPLY_TEXT_MAX] = "what is no answer to DUMP";

		operand->again = false;
		if (!operand->asked)
			continue;
		if (operand->question.too_long) {
			fail_too_large(crossing, error);
			return STEP_FAILED;
		}
		switch (take_read(crossing, i, text)) {
		case TAKEN: break;
		case TAKEN_AGAIN: operand->again = true; break;
		case TAKEN_ERROR:
		case TAKEN_NOTHING: fail_by_target(crossing, error, text); return STEP_FAILED;
		}
		if (operand->read.payload.len > crossing->options.target->bulk_max) {
			fail_too_large(crossing, error);
			return STEP_FAILED;
		}
	}
	/* Only now: a question on its way must not be given up. */
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		if (!crossing->operands[i].again)
			continue;
		crossing->operands[i].tries++;
		ask(crossing, i);
		complete = false;
	}
	if (!complete)
		return STEP_WAIT;
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		crossing->counters.bytes += crossing->operands[i].read.payload.len;
	return STEP_ON;
}

/* ---- running ---- */

/* Temporary names: gone at the end of the transaction that makes them, so that nothing else can meet them. */
static void name_operands(struct crossing *crossing)
{
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		const struct crossing_key *key = &crossing->plan.keys[i];
		struct operand *operand = &crossing->operands[i];
		char *name;

		operand->temporary = key->writes || key->slot != crossing->home;
		operand->alias = key->name;
		if (!operand->temporary)
			continue;
		name = arena_take(&crossing->arena, NAME_MAX_LEN);
		snprintf(name, NAME_MAX_LEN, "keyferry:tmp:%u:{%s}", i, slot_tag(crossing->home));
		operand->alias = slice_of_string(name);
	}
}

static struct slice *arguments(struct crossing *crossing, uint32_t count)
{
	if (crossing->argv_room < count) {
		crossing->argv_room = count;
		crossing->argv = memory_realloc_array(crossing->argv, count, sizeof(crossing->argv[0]));
	}
	return crossing->argv;
}

static void add_cleaning(struct crossing *crossing, struct request *request)
{
	struct slice *argv = arguments(crossing, crossing->plan.key_count + 1);
	uint32_t argc = 0;

	argv[argc++] = word_for_deletion(crossing);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (crossing->operands[i].temporary)
			argv[argc++] = crossing->operands[i].alias;
	request_add(request, argc, argv);
}

static void add_command(struct crossing *crossing, struct request *request)
{
	const struct event *event = &crossing->event;
	struct slice *argv = arguments(crossing, event->argc);

	for (uint32_t i = 0; i < event->argc; i++) {
		uint32_t key = crossing->plan.key_of[i];

		argv[i] = key == CROSSING_NO_KEY ? event->argv[i] : crossing->operands[key].alias;
	}
	request_add(request, event->argc, argv);
}

/* What is only written never expires: the commands that only write a key make it anew. */
static bool may_expire(const struct crossing *crossing, uint32_t i)
{
	return crossing->plan.keys[i].reads;
}

static void ask_run(struct crossing *crossing)
{
	struct request *request = new_request(crossing);
	uint64_t results = 0;

	name_operands(crossing);
	ADD(request, SLICE("MULTI"));
	add_cleaning(crossing, request);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (crossing->operands[i].read.exists)
			add_restore(crossing, request, crossing->operands[i].alias, &crossing->operands[i].read, false);
	add_command(crossing, request);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		if (!crossing->plan.keys[i].writes)
			continue;
		ADD(request, SLICE("DUMP"), crossing->operands[i].alias);
		if (may_expire(crossing, i))
			add_expiry(crossing, request, crossing->operands[i].alias);
		results++;
	}
	add_cleaning(crossing, request);
	ADD(request, SLICE("EXEC"));
	buffer_clear(&crossing->run.reply);
	crossing->run.reply.max = OWN_REPLY_MAX + results * (crossing->options.target->bulk_max + REPLY_SLACK);
	crossing->run.anywhere = true;
	crossing->run.answered = false;
	crossing->run_asked = true;
	send(crossing, crossing->home, UNIT_TRANSACTION, request, &crossing->run);
}

/* A script that the target's cluster mode hinders, which the source's did not. */
static bool is_cluster_error(const char *text)
{
	return strstr(text, "non local key") || strstr(text, "CROSSSLOT") || strstr(text, "same slot") || strstr(text, "undeclared");
}

/* The reply of one member of EXEC that ought to be no error. `own`: of the command itself. */
static enum step judge(struct crossing *crossing, const struct resp_skim *reply, bool own, struct error *error)
{
	struct slice message = reply->type == RESP_ERROR ? reply->text : (struct slice){0};
	char text[REPLY_TEXT_MAX];

	if (!message.data)
		return STEP_ON;
	snprintf(text, sizeof(text), "%.*s", (int)(message.len > 400 ? 400 : message.len), (const char *)message.data);
	if (verdict_of(text) == VERDICT_WAIT)
		return STEP_AGAIN;
	if (own && crossing->event.info->flags & COMMAND_SCRIPT && verdict_of(text) != VERDICT_NOSCRIPT && !is_cluster_error(text)) {
		crossing->counters.script_errors++;
		return STEP_ON;
	}
	fail_by_target(crossing, error, text);
	return STEP_FAILED;
}

static enum step not_understood(struct crossing *crossing, struct error *error)
{
	fail_by_target(crossing, error, "what is no answer to the transaction");
	return STEP_FAILED;
}

static enum step take_run(struct crossing *crossing, const struct request *request, struct error *error)
{
	struct slice rest = buffer_readable(&crossing->run.reply);
	bool exact = crossing->run_tries < TRIES_FOR_EXPIRY;
	char text[REPLY_TEXT_MAX];
	uint32_t restores = 0;
	struct resp_skim reply;

	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		const struct dumped *read = &crossing->operands[i].read;

		restores += read->exists;
		restores += read->exists && read->expire_at_ms != NO_EXPIRY && !crossing->options.target->restore_absolute_ttl;
	}
	if (!enter_exec(&rest, request->replies) || !next_reply(&rest, &reply)) /* the first cleaning */
		return not_understood(crossing, error);
	for (uint32_t i = 0; i <= restores; i++) {
		enum step step = next_reply(&rest, &reply) ? judge(crossing, &reply, i == restores, error) : not_understood(crossing, error);

		if (step != STEP_ON)
			return step;
	}
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		struct dumped *result = &crossing->operands[i].result;
		enum taken taken;

		if (!crossing->plan.keys[i].writes)
			continue;
		taken = take_dump(&rest, result, text);
		if (taken == TAKEN && may_expire(crossing, i))
			taken = take_expiry(crossing, &rest, exact, result);
		if (taken == TAKEN_AGAIN) {
			crossing->run_tries++;
			return STEP_AGAIN;
		}
		if (taken != TAKEN)
			return not_understood(crossing, error);
		if (result->payload.len > crossing->options.target->bulk_max) {
			fail_too_large(crossing, error);
			return STEP_FAILED;
		}
	}
	return STEP_ON;
}

static enum step run(struct crossing *crossing, struct error *error)
{
	if (!crossing->run_asked) {
		if (!sink_has_room(crossing->sink))
			return STEP_WAIT;
		ask_run(crossing);
		return STEP_WAIT;
	}
	if (!crossing->run.answered)
		return STEP_WAIT;
	if (crossing->run.too_long) {
		fail_too_large(crossing, error);
		return STEP_FAILED;
	}
	if (crossing->run.error[0]) {
		enum verdict verdict = verdict_of(crossing->run.error);

		if (verdict == VERDICT_ASK || verdict == VERDICT_WAIT) {
			/* The home moves: several keys that are not there can be made on neither side of the move. */
			crossing->home = (uint16_t)((crossing->home + NEXT_HOME) % SLOT_COUNT);
			return STEP_AGAIN;
		}
		fail_by_target(crossing, error, crossing->run.error);
		return STEP_FAILED;
	}
	return take_run(crossing, &crossing->requests[crossing->request_count - 1], error);
}

/* ---- writing ---- */

static void write_request(struct crossing *crossing, uint32_t key, const struct request *request, bool transaction)
{
	send(crossing, crossing->plan.keys[key].slot, transaction ? UNIT_TRANSACTION : 0, request, NULL);
}

static void write_value(struct crossing *crossing, uint32_t key, const struct dumped *value)
{
	struct slice name = crossing->plan.keys[key].name;
	struct request *request = new_request(crossing);
	bool transaction = value->exists && value->expire_at_ms != NO_EXPIRY && !crossing->options.target->restore_absolute_ttl;

	if (transaction)
		ADD(request, SLICE("MULTI"));
	if (value->exists)
		add_restore(crossing, request, name, value, true);
	else
		ADD(request, word_for_deletion(crossing), name);
	if (transaction)
		ADD(request, SLICE("EXEC"));
	write_request(crossing, key, request, transaction);
}

static bool is_same(const struct dumped *a, const struct dumped *b)
{
	return a->exists == b->exists && (!a->exists || (a->expire_at_ms == b->expire_at_ms && slice_equal(a->payload, b->payload)));
}

/* What the command has left as it was need not be written. */
static bool must_write(const struct crossing *crossing, uint32_t i)
{
	const struct crossing_key *key = &crossing->plan.keys[i];

	return key->writes && (!key->reads || !is_same(&crossing->operands[i].read, &crossing->operands[i].result));
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
	struct request *request = new_request(crossing);

	if (wave == 0)
		ADD(request, plan->to_left ? SLICE("LPUSH") : SLICE("RPUSH"), plan->keys[1].name, crossing->operands[0].read.payload);
	else
		ADD(request, plan->from_left ? SLICE("LPOP") : SLICE("RPOP"), plan->keys[0].name);
	write_request(crossing, wave == 0 ? 1 : 0, request, false);
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
		write_value(crossing, 1, &crossing->operands[0].read);
		return true;
	case CROSSING_RUN: break;
	}
	return false;
}

static enum step write_all(struct crossing *crossing)
{
	if (crossing->plan.kind == CROSSING_RUN && !write_results(crossing))
		return STEP_WAIT;
	while (slots_idle(crossing)) {
		if (!sink_has_room(crossing->sink))
			return STEP_WAIT;
		if (!write_wave(crossing, crossing->wave))
			return STEP_ON;
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

/* There is nothing to rename, copy or move. */
static enum crossing_state nothing_there(struct crossing *crossing, struct error *error)
{
	/* LMOVE and COPY do nothing then; RENAME has been done already, or it is an error, as it would be at a single target. */
	if (crossing->plan.kind != CROSSING_RENAME || sink_may_have_sent(crossing->sink, crossing->event.start))
		return done(crossing);
	return fail_by_target(crossing, error, "ERR no such key");
}

enum crossing_state crossing_go_on(struct crossing *crossing, struct error *error)
{
	enum step step = STEP_ON;

	while (crossing->phase != PHASE_IDLE && !crossing->waits) {
		switch (crossing->phase) {
		case PHASE_IDLE: break;
		case PHASE_DRAIN:
			if (!slots_idle(crossing))
				return CROSSING_WAITS;
			begin_reading(crossing);
			break;
		case PHASE_READ:
			step = read_keys(crossing, error);
			if (step != STEP_ON)
				break;
			crossing->run_asked = false;
			if (crossing->plan.kind == CROSSING_RUN)
				crossing->phase = PHASE_RUN;
			else if (!crossing->operands[0].read.exists)
				return nothing_there(crossing, error);
			else
				begin_writing(crossing);
			break;
		case PHASE_RUN:
			step = run(crossing, error);
			if (step == STEP_ON)
				begin_writing(crossing);
			break;
		case PHASE_WRITE:
			step = write_all(crossing);
			if (step == STEP_ON)
				return done(crossing);
			break;
		}
		switch (step) {
		case STEP_ON: break;
		case STEP_WAIT: return CROSSING_WAITS;
		case STEP_AGAIN: begin_again(crossing); break;
		case STEP_FAILED: return CROSSING_FAILED;
		}
	}
	return crossing->phase == PHASE_IDLE ? CROSSING_DONE : CROSSING_WAITS;
}
