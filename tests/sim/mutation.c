#include "mutation.h"

#include "disk.h"
#include "link/handover.h"
#include "link/state.h"
#include "sink/encode.h"
#include "sink/sink_state.h"
#include "sink/verdict.h"
#include "source/intake.h"
#include "spool/spool.h"

#include <string.h>

const struct mutation mutations[] = {
	{"syncs-forgotten", "what was synced to disk survives a power cut", "crash", LOAD_SAFE},
	{"kill-ignored", "the connection before is killed before its commands are sent again", "kill", LOAD_ALL},
	{"marks-unread", "what the target has applied is not sent again", "kill", LOAD_ALL},
	{"redirection-swallowed", "a redirected command is sent again", "move", LOAD_SAFE},
	{"refusal-swallowed", "a command that was refused for a while is sent again", "refuse", LOAD_SAFE},
	{"order-lost", "what is sent again keeps its order", "target", LOAD_SAFE},
	{"state-ahead", "the state file says no more than what is applied", "mixed", LOAD_SAFE},
	{"database-forgotten", "the position is kept with its database", "stop", LOAD_SAFE},
	{"offset-too-high", "the stream continues with the byte after the last one held", "source", LOAD_SAFE},
	{"offset-too-low", "the stream continues with no byte that is held already", "source", LOAD_SAFE},
	{"low-marks-unread", "what a target node has lost is sent again from where the node then was", "failover", LOAD_ALL},
	{"snapshot-keeps-old", "a later snapshot replaces what an earlier one brought", "resync", LOAD_SAFE},
	{"fences-open", "what moves at the source is applied behind what its former master did", "reshard", LOAD_ALL},
	{"rings-stand", "links that wait for each other for good begin anew", "rebalance", LOAD_SAFE},
};

const unsigned mutation_count = sizeof(mutations) / sizeof(mutations[0]);

static const struct mutation *chosen;
static uint64_t latest_position;
static uint32_t latest_db;

static bool is(const char *name)
{
	return chosen && strcmp(chosen->name, name) == 0;
}

void mutation_choose(const struct mutation *mutation)
{
	chosen = mutation;
	disk_forget_syncs(is("syncs-forgotten"));
}

const struct mutation *mutation_find(const char *name)
{
	for (unsigned i = 0; i < mutation_count; i++)
		if (strcmp(mutations[i].name, name) == 0)
			return &mutations[i];
	return NULL;
}

void mutation_apply(struct site *source, struct site *target)
{
	(void)source;
	target->kills_refused = is("kill-ignored");
}

/* ---- wrapped functions of the product ---- */

void __real_sink_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer);
void __wrap_sink_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer);
void __real_unit_list_insert(struct unit_list *list, struct unit *unit);
void __wrap_unit_list_insert(struct unit_list *list, struct unit *unit);
void __real_sink_applied(const struct sink *sink, uint64_t *position, uint32_t *db);
void __wrap_sink_applied(const struct sink *sink, uint64_t *position, uint32_t *db);
bool __real_link_state_write(const char *path, const struct link_state *state, struct error *error);
bool __wrap_link_state_write(const char *path, const struct link_state *state, struct error *error);
struct mark __real_mark_parse(struct slice text, const char *epoch);
struct mark __wrap_mark_parse(struct slice text, const char *epoch);
struct mark_low __real_mark_low_parse(struct slice text, const char *epoch);
struct mark_low __wrap_mark_low_parse(struct slice text, const char *epoch);
int64_t __real_intake_held_offset(const struct intake *intake);
int64_t __wrap_intake_held_offset(const struct intake *intake);
void __real_encode_key(struct window *window, struct unit *unit, const struct event *event, const struct encode_options *options);
void __wrap_encode_key(struct window *window, struct unit *unit, const struct event *event, const struct encode_options *options);
enum handover_answer __real_handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
					 uint16_t *ret_from, struct error *error);
enum handover_answer __wrap_handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
					 uint16_t *ret_from, struct error *error);
bool __real_handover_break_ring(struct handover *handover, uint64_t now_us, struct handover_ring *ret);
bool __wrap_handover_break_ring(struct handover *handover, uint64_t now_us, struct handover_ring *ret);

void __wrap_sink_answered(void *owner, struct node *node, struct unit *unit, const struct unit_answer *answer)
{
	enum verdict verdict = answer->error ? verdict_of(answer->error) : VERDICT_REFUSED;
	struct unit_answer swallowed = *answer;

	if ((is("redirection-swallowed") && (verdict == VERDICT_MOVED || verdict == VERDICT_ASK)) ||
	    (is("refusal-swallowed") && verdict == VERDICT_WAIT))
		swallowed.error = NULL;
	__real_sink_answered(owner, node, unit, &swallowed);
}

void __wrap_unit_list_insert(struct unit_list *list, struct unit *unit)
{
	if (is("order-lost"))
		unit_list_append(list, unit);
	else
		__real_unit_list_insert(list, unit);
}

void __wrap_sink_applied(const struct sink *sink, uint64_t *position, uint32_t *db)
{
	__real_sink_applied(sink, position, db);
	latest_position = sink->window.latest;
	latest_db = sink->window.latest_db;
}

bool __wrap_link_state_write(const char *path, const struct link_state *state, struct error *error)
{
	struct link_state changed = *state;

	if (is("state-ahead")) { /* the low-water position was asked for just before */
		changed.position = latest_position;
		changed.db = changed.place.db = latest_db;
	}
	if (is("database-forgotten"))
		changed.db = changed.place.db = 0;
	return __real_link_state_write(path, &changed, error);
}

struct mark __wrap_mark_parse(struct slice text, const char *epoch)
{
	return is("marks-unread") ? MARK_NONE : __real_mark_parse(text, epoch);
}

struct mark_low __wrap_mark_low_parse(struct slice text, const char *epoch)
{
	struct mark_low low = __real_mark_low_parse(text, epoch);

	if (is("low-marks-unread"))
		low = (struct mark_low){.offset = INT64_MAX / 2, .known = true};
	return low;
}

int64_t __wrap_intake_held_offset(const struct intake *intake)
{
	int64_t offset = __real_intake_held_offset(intake);

	if (offset <= intake->origin_offset)
		return offset;
	return offset + is("offset-too-high") - is("offset-too-low");
}

void __wrap_encode_key(struct window *window, struct unit *unit, const struct event *event, const struct encode_options *options)
{
	struct encode_options changed = *options;

	if (is("snapshot-keeps-old"))
		changed.replace = false;
	__real_encode_key(window, unit, event, &changed);
}

enum handover_answer __wrap_handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
					 uint16_t *ret_from, struct error *error)
{
	*ret_from = HANDOVER_NOBODY;
	return is("fences-open") ? HANDOVER_GO : __real_handover_ask(handover, link, event, ret_from, error);
}

bool __wrap_handover_break_ring(struct handover *handover, uint64_t now_us, struct handover_ring *ret)
{
	return !is("rings-stand") && __real_handover_break_ring(handover, now_us, ret);
}
