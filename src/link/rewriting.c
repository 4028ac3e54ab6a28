#include "link/rewriting.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "wire/command.h"
#include "wire/resp.h"

#include <stdio.h>
#include <stdlib.h>

#define DIRECT_MAX (64u << 10) /* bytes of commands in one transaction; more go the long way */
#define KEY_MAX (512u << 20)

struct rewriting {
	struct rewriting_options options;
	struct sink *sink;
	struct rewrite *rewrite;
	struct buffer transaction; /* of a small key */
	/* a large key */
	bool under_way, place_next;
	struct rewriting_key key;
	struct event event;
	struct buffer name;  /* of the event: the decoder's memory, where it may lie, is used again by then */
	uint32_t place_argc; /* RENAME, once all parts are there; the rewrite keeps it */
	struct slice *place_argv;
	uint64_t retries_before; /* units the sink had sent again when it began */
	struct rewriting_counters counters;
};

struct rewriting *rewriting_new(const struct rewriting_options *options)
{
	struct rewriting *rewriting = memory_alloc_zero(1, sizeof(*rewriting));

	rewriting->options = *options;
	rewriting->rewrite = rewrite_new();
	buffer_init(&rewriting->transaction, DIRECT_MAX);
	buffer_init(&rewriting->name, KEY_MAX);
	return rewriting;
}

void rewriting_free(struct rewriting *rewriting)
{
	if (!rewriting)
		return;
	rewrite_free(rewriting->rewrite);
	buffer_free(&rewriting->transaction);
	buffer_free(&rewriting->name);
	free(rewriting);
}

void rewriting_reset(struct rewriting *rewriting, struct sink *sink)
{
	rewriting->sink = sink;
	rewriting->under_way = false;
}

void rewriting_set_times(struct rewriting *rewriting, const struct guard_times *times)
{
	rewrite_set_times(rewriting->rewrite, times);
}

static void done(struct rewriting *rewriting, const struct event *event)
{
	const char *losses = rewrite_losses(rewriting->rewrite);
	char key[160], text[512];

	rewriting->counters.keys++;
	if (!losses[0])
		return;
	rewriting->counters.lossy++;
	snprintf(text, sizeof(text),
		 "key %s (database %u) is in the target less %s, which %s has no command for (target.downgrade: lossy)",
		 slice_quote(event->key, key, sizeof(key)), event->db, losses, rewriting->options.target->name);
	rewriting->options.note(rewriting->options.owner, LOG_WARNING, text);
}

/* ---- small ---- */

enum direct { DIRECT_DONE, DIRECT_TOO_LARGE, DIRECT_FAILED };

/* As one transaction: nobody sees half of it, and sending it again does no harm. */
static enum direct send_direct(struct rewriting *rewriting, const struct rewriting_key *key, struct error *error)
{
	const struct event *event = key->event;
	struct buffer *bytes = &rewriting->transaction;
	uint32_t replies = 2, argc;
	enum rewrite_answer answer;
	struct slice *argv;
	bool fits;

	if (!rewrite_begin(rewriting->rewrite, event, slot_of_key(event->key), key->valkey, rewriting->options.target,
			   REWRITE_DIRECT, error))
		return DIRECT_FAILED;
	buffer_clear(bytes);
	fits = resp_command_write_strings(bytes, "MULTI", NULL);
	while ((answer = rewrite_next(rewriting->rewrite, &argc, &argv, error)) == REWRITE_COMMAND) {
		if (!fits || !resp_command_write(bytes, argc, argv))
			return DIRECT_TOO_LARGE;
		replies++;
	}
	if (answer == REWRITE_FAILED)
		return DIRECT_FAILED;
	if (!resp_command_write_strings(bytes, "EXEC", NULL))
		return DIRECT_TOO_LARGE;
	sink_encoded(rewriting->sink, event, key->end, key->slot, key->db_stream,
		     UNIT_KEY | UNIT_TRANSACTION | UNIT_REPLAY_SAFE | UNIT_COUNTED, buffer_readable(bytes), replies);
	done(rewriting, event);
	return DIRECT_DONE;
}

/* ---- large ---- */

static bool begin_large(struct rewriting *rewriting, struct error *error)
{
	rewriting->under_way = true;
	rewriting->place_next = false;
	rewriting->retries_before = sink_counters(rewriting->sink).retries;
	return rewrite_begin(rewriting->rewrite, &rewriting->event, slot_of_key(rewriting->event.key), rewriting->key.valkey,
			     rewriting->options.target, rewriting->key.replaces ? REWRITE_RENAME : REWRITE_RENAMENX, error);
}

bool rewriting_begin(struct rewriting *rewriting, const struct rewriting_key *key, struct error *error)
{
	if (key->replaces && key->event->value.len <= DIRECT_MAX / 2) {
		switch (send_direct(rewriting, key, error)) {
		case DIRECT_DONE: return true;
		case DIRECT_FAILED: return false;
		case DIRECT_TOO_LARGE: break;
		}
	}
	rewriting->key = *key;
	rewriting->event = *key->event;
	buffer_clear(&rewriting->name);
	if (!buffer_append_slice(&rewriting->name, key->event->key)) {
		error_set(error, ERROR_CONFLICT, "a key of %zu bytes is too long to be rewritten", key->event->key.len);
		return false;
	}
	rewriting->event.key = buffer_readable(&rewriting->name);
	return begin_large(rewriting, error);
}

bool rewriting_under_way(const struct rewriting *rewriting)
{
	return rewriting->under_way;
}

static void send(struct rewriting *rewriting, uint16_t flags, uint32_t argc, const struct slice *argv)
{
	sink_arguments(rewriting->sink, &rewriting->event, rewriting->event.start, rewriting->key.slot, rewriting->key.db_stream,
		       flags, argc, argv);
}

/* In the stream the target's marks see to it, also over a restart: to begin again would count its commands anew. */
static bool applied_once(const struct rewriting *rewriting)
{
	return sink_is_guarded(rewriting->sink) && rewriting->event.offset >= 0;
}

enum rewriting_state rewriting_go_on(struct rewriting *rewriting, struct error *error)
{
	struct slice *argv;
	uint32_t argc;

	while (sink_has_room(rewriting->sink)) {
		if (rewriting->place_next) {
			/* All parts have to be there, once: what was sent again may have been added twice. */
			if (!sink_idle(rewriting->sink))
				return REWRITING_WAITS;
			if (!applied_once(rewriting) && sink_counters(rewriting->sink).retries != rewriting->retries_before) {
				if (!begin_large(rewriting, error))
					return REWRITING_FAILED;
				continue;
			}
			rewriting->place_next = false;
			send(rewriting, UNIT_KEY | UNIT_PLACE, rewriting->place_argc, rewriting->place_argv);
			continue;
		}
		switch (rewrite_next(rewriting->rewrite, &argc, &argv, error)) {
		case REWRITE_COMMAND: send(rewriting, 0, argc, argv); break;
		case REWRITE_PLACE:
			rewriting->place_argc = argc;
			rewriting->place_argv = argv;
			rewriting->place_next = true;
			break;
		case REWRITE_END:
			rewriting->under_way = false;
			sink_progress(rewriting->sink, rewriting->key.end, rewriting->key.db_stream);
			done(rewriting, &rewriting->event);
			return REWRITING_DONE;
		case REWRITE_FAILED: return REWRITING_FAILED;
		}
	}
	return REWRITING_WAITS;
}

bool rewriting_each(struct rewriting *rewriting, const struct event *event, bool valkey,
		    bool (*put)(void *owner, const struct event *command, struct error *error), void *owner, struct error *error)
{
	struct event made = *event;
	enum rewrite_answer answer;

	made.kind = EVENT_COMMAND;
	if (!rewrite_begin(rewriting->rewrite, event, slot_of_key(event->key), valkey, rewriting->options.target, REWRITE_DIRECT,
			   error))
		return false;
	while ((answer = rewrite_next(rewriting->rewrite, &made.argc, &made.argv, error)) == REWRITE_COMMAND) {
		made.info = command_lookup(made.argc, made.argv);
		if (!put(owner, &made, error))
			return false;
	}
	if (answer == REWRITE_FAILED)
		return false;
	done(rewriting, event);
	return true;
}

struct rewriting_counters rewriting_counters(const struct rewriting *rewriting)
{
	return rewriting->counters;
}
