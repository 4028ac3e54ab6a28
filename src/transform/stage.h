/* What the files of this stage share. */
#ifndef KEYFERRY_TRANSFORM_STAGE_H
#define KEYFERRY_TRANSFORM_STAGE_H

#include "base/arena.h"
#include "transform/effect.h"
#include "transform/expiry.h"
#include "transform/hook.h"
#include "transform/rename.h"
#include "transform/selection.h"
#include "transform/transform.h"

/* Events being made; grows, is emptied for each event. */
struct event_list {
	struct event *items;
	uint32_t count, room;
};

struct key_use {
	uint32_t index; /* argument */
	enum answer answer;
	bool overwritten; /* left out for its type alone: what the target has under this name is gone at the source */
};

struct transform {
	const struct task_options *options;
	struct transform_target target;
	struct selection *selection;
	struct renamer *renamer; /* NULL: no rules */
	struct expiry *expiry;   /* likewise */
	struct hook *hook;       /* likewise */
	struct effects effects;
	struct command_info own_script; /* EVAL, with an error that the source did not see */
	struct arena arena;
	struct arena origin_arena; /* of one question about a key of the target */
	struct origins { /* databases of the source that come to one of the target; one stands for all that the rules treat alike */
		bool valid;
		uint32_t target_db;
		struct brought_scope scope;
		uint32_t *dbs;
		uint32_t count, room;
	} origins;
	struct event_list made, hooked;
	struct key_use *uses; /* of the command at hand */
	uint32_t use_count, use_room;
	bool active;  /* anything at all to do */
	bool selects; /* anything to do for the selection */
};

/* A copy of the event, in the list. Valid until the next one is added. */
struct event *event_list_add(struct event_list *list, const struct event *event);

/* A command in place of `in`, with new arguments (the caller's, in the arena). */
void stage_add_command(struct transform *transform, const struct event *in, uint32_t db, uint32_t argc, struct slice *argv);
struct slice *stage_arguments(struct transform *transform, uint32_t count);
/* Fills the error: "COMMAND of key K (database D, offset N): <why>". Returns TRANSFORM_REFUSED. */
enum transform_outcome stage_refuse(const struct event *event, struct error *error, const char *why, const char *hint);
enum transform_outcome stage_undecided(const struct event *event, struct error *error);

static inline enum answer stage_ask(struct transform *transform, const struct event *event, uint32_t db, struct slice key,
				    uint32_t types)
{
	struct subject subject = {db, key, types};

	return selection_of_command_key(transform->selection, &subject, event->info, event->argv[0],
					event->argc > 1 ? event->argv[1] : SLICE(""));
}

/* partial.c: selection of a command. SAME: whole, as it is. CHANGED: transform->made has what is left, still under the source's names and databases. */
enum transform_outcome partial_select(struct transform *transform, const struct event *in, struct error *error);
/* databases.c: commands that name or concern databases, from selection to mapping in one. CHANGED: transform->made is ready for the script.
 * `ret_handled` false: it is none of these. */
enum transform_outcome databases_handle(struct transform *transform, const struct event *in, bool *ret_handled,
					struct error *error);

/* The answer of the selection for a command of whatever key of a database. */
static inline enum answer stage_ask_whole(struct transform *transform, const struct event *event, uint32_t db)
{
	return stage_ask(transform, event, db, (struct slice){0}, TYPES_ALL);
}

/* by_type.c: the types of which the key is selected. False: a regular expression met its bound. */
bool stage_types(struct transform *transform, const struct event *event, uint32_t db, struct slice key, uint32_t *ret);
struct typed_move {
	uint32_t from_types, to_types; /* selected under the old name, under the new one */
	bool copies;                   /* COPY, else the old key goes */
	bool replaces;                 /* what was under the new name is gone */
	uint32_t db;                   /* of the command that is made */
	uint32_t from_db, to_db;       /* at the target */
	struct slice from, to;
};
/* One key to another name or database, should its type be one that is selected. CHANGED or REFUSED. */
enum transform_outcome stage_move_by_type(struct transform *transform, const struct event *event, const struct typed_move *move,
					  struct error *error);

/* The bits of an RDB value type; all of them where it is not known. */
uint32_t value_type_bits(uint8_t rdb_type);

/* The new name, or the old one; false: a regular expression met its bound. */
bool stage_rename(struct transform *transform, uint32_t db, struct slice key, struct slice *ret);

#endif
