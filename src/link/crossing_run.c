/* The command on copies of its operands, in one slot and one transaction. */
#include "link/crossing_state.h"

#include "base/memory.h"
#include "sink/verdict.h"
#include "wire/command.h"

#include <stdio.h>
#include <string.h>

#define OWN_REPLY_MAX (64u << 20) /* of the command's own reply, which nobody wants */
#define NEXT_HOME 5471            /* a prime, about a third of all slots: most likely another master's */
#define NAME_MAX_LEN 64

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

	argv[argc++] = crossing->deletion;
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

static void ask(struct crossing *crossing)
{
	const struct target_abilities *target = crossing->options.target;
	struct request *request = crossing_request(crossing);
	uint64_t results = 0;

	name_operands(crossing);
	REQUEST_ADD(request, SLICE("MULTI"));
	add_cleaning(crossing, request);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (crossing->operands[i].read.exists)
			dumped_restore(request, target, crossing->operands[i].alias, &crossing->operands[i].read, false);
	add_command(crossing, request);
	for (uint32_t i = 0; i < crossing->plan.key_count; i++) {
		if (!crossing->plan.keys[i].writes)
			continue;
		dumped_ask(request, target, crossing->operands[i].alias, may_expire(crossing, i));
		results++;
	}
	add_cleaning(crossing, request);
	REQUEST_ADD(request, SLICE("EXEC"));
	buffer_clear(&crossing->run.reply);
	crossing->run.reply.max = OWN_REPLY_MAX + results * (target->bulk_max + CROSSING_REPLY_SLACK);
	crossing->run.anywhere = true;
	crossing->run.answered = false;
	crossing->run_asked = true;
	crossing_send(crossing, crossing->home, UNIT_TRANSACTION, request, &crossing->run);
}

/* A script that the target's cluster mode hinders, which the source's did not. */
static bool is_cluster_error(const char *text)
{
	return strstr(text, "non local key") || strstr(text, "CROSSSLOT") || strstr(text, "same slot") ||
	       strstr(text, "undeclared");
}

static enum crossing_step not_understood(struct crossing *crossing, struct error *error)
{
	return crossing_fail(crossing, error, "the target's answer to the transaction cannot be read",
			     "What stands between keyferry and the target may have changed it; please report it otherwise");
}

/* The reply of one member of EXEC that ought to be no error. `own`: of the command itself. */
static enum crossing_step judge(struct crossing *crossing, struct slice *rest, bool own, struct error *error)
{
	struct resp_skim reply;
	char text[REPLY_TEXT_MAX];

	if (!replies_next(rest, &reply))
		return not_understood(crossing, error);
	if (reply.type != RESP_ERROR)
		return STEP_ON;
	snprintf(text, sizeof(text), "%.*s", (int)(reply.text.len > 400 ? 400 : reply.text.len), (const char *)reply.text.data);
	if (verdict_of(text) == VERDICT_WAIT)
		return STEP_AGAIN;
	if (own && (crossing->event.info->flags & COMMAND_SCRIPT) && verdict_of(text) != VERDICT_NOSCRIPT &&
	    !is_cluster_error(text)) {
		crossing->counters.script_errors++;
		return STEP_ON;
	}
	return crossing_refused(crossing, error, text);
}

static enum crossing_step take_result(struct crossing *crossing, uint32_t i, struct slice *rest, struct error *error)
{
	struct dumped *result = &crossing->operands[i].result;
	char text[REPLY_TEXT_MAX];

	switch (dumped_take(rest, crossing->options.target, may_expire(crossing, i), result, text)) {
	case DUMPED_TAKEN: break;
	case DUMPED_UNSURE:
		if (crossing->run_tries++ < CROSSING_EXPIRY_TRIES)
			return STEP_AGAIN;
		break;
	case DUMPED_ERROR:
	case DUMPED_NO_REPLIES: return not_understood(crossing, error);
	}
	return result->payload.len > crossing->options.target->bulk_max ? crossing_fail_by_size(crossing, error) : STEP_ON;
}

static enum crossing_step take(struct crossing *crossing, struct error *error)
{
	const struct request *request = &crossing->requests[crossing->request_count - 1];
	struct slice rest = buffer_readable(&crossing->run.reply);
	enum crossing_step step = STEP_ON;
	uint32_t restores = 0;

	for (uint32_t i = 0; i < crossing->plan.key_count; i++)
		if (crossing->operands[i].read.exists)
			restores += dumped_restore_commands(crossing->options.target, &crossing->operands[i].read);
	if (!replies_enter_last(&rest, request->replies))
		return not_understood(crossing, error);
	/* The first cleaning, what was restored, the command. */
	for (uint32_t i = 0; step == STEP_ON && i < 1 + restores + 1; i++)
		step = judge(crossing, &rest, i == 1 + restores, error);
	for (uint32_t i = 0; step == STEP_ON && i < crossing->plan.key_count; i++)
		if (crossing->plan.keys[i].writes)
			step = take_result(crossing, i, &rest, error);
	return step;
}

enum crossing_step crossing_run(struct crossing *crossing, struct error *error)
{
	if (!crossing->run_asked) {
		if (sink_has_room(crossing->sink))
			ask(crossing);
		return STEP_WAIT;
	}
	if (!crossing->run.answered)
		return STEP_WAIT;
	if (crossing->run.too_long)
		return crossing_fail_by_size(crossing, error);
	if (!crossing->run.error[0])
		return take(crossing, error);
	switch (verdict_of(crossing->run.error)) {
	case VERDICT_ASK:
	case VERDICT_WAIT:
		/* The home moves: several keys that are not there can be made on neither side of the move. */
		crossing->home = (uint16_t)((crossing->home + NEXT_HOME) % SLOT_COUNT);
		return STEP_AGAIN;
	default: return crossing_refused(crossing, error, crossing->run.error);
	}
}
