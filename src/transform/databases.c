/* Commands that name databases, or concern all of one: MOVE, COPY, SWAPDB, FLUSHDB, FLUSHALL.
 *
 * Their arguments are numbers of the source. What they mean at the target depends on what is copied of each database and where it goes. */
#include "transform/stage.h"

#define HINT_MIXED "Choose all of these databases and keys, or none"

static bool number_of(struct slice text, uint32_t *ret)
{
	uint64_t number;

	if (!slice_to_uint64(text, &number) || number > INT32_MAX)
		return false;
	*ret = (uint32_t)number;
	return true;
}

/* The database of the source that comes to the same one of the target, and of which at least `least` is copied. */
static bool shares_target(struct transform *transform, const struct event *event, uint32_t db, enum answer least)
{
	uint32_t target = task_options_database_of(transform->options, db);

	for (uint32_t other = 0; transform->options->database_map && other < DATABASES_MAX; other++)
		if (other != db && task_options_database_of(transform->options, other) == target &&
		    stage_ask_whole(transform, event, other) >= least)
			return true;
	return false;
}

/* ---- clearing ---- */

const char *transform_clears_not(const struct transform *transform)
{
	if (!renamer_one_way(transform->renamer))
		return NULL;
	return "a rule of `rename` takes something of the key away that its template does not hold, so which keys of the target were brought "
	       "by this task cannot be told from their names";
}

/* What this link has brought, key by key. */
static enum transform_outcome clear(struct transform *transform, const struct event *event, struct error *error)
{
	const char *why = transform_clears_not(transform);

	if (why)
		return stage_refuse(
			event, error, why,
			"Write the rule so that `to` has every group of `match` and all else in `match` is plain text; or let the command be "
			"left out (filter.block: [{command: \"flush*\"}])");
	return TRANSFORM_CLEAR;
}

static enum transform_outcome flush_one(struct transform *transform, const struct event *event, struct error *error)
{
	enum answer answer = stage_ask_whole(transform, event, event->db);

	if (answer == ANSWER_NO)
		return TRANSFORM_DROPPED;
	/* Without new names by database no key of the target tells where it came from. */
	if (answer == ANSWER_YES && !transform->renamer && shares_target(transform, event, event->db, ANSWER_YES))
		return stage_refuse(
			event, error, "it clears one of several databases that target.database_map brings together in one",
			"Keep them apart with a prefix (rename: [{prefix: \"\", to: \"${db}:\"}]); or let the command be left out "
			"(filter.block: [{command: flushdb}])");
	if (answer != ANSWER_YES || transform->renamer || transform->target.shared ||
	    shares_target(transform, event, event->db, ANSWER_MAYBE))
		return clear(transform, event, error);
	event_list_add(&transform->made, event)->db = task_options_database_of(transform->options, event->db);
	return TRANSFORM_CHANGED;
}

/* Which databases of the target hold what was copied. */
static enum transform_outcome flush_all(struct transform *transform, const struct event *event, struct error *error)
{
	const struct database_map *map = transform->options->database_map;
	bool all = !map && !selection_asks_database(transform->selection), any = false;
	bool by_key = transform->renamer || transform->target.shared;
	uint32_t limit = transform->target.databases && transform->target.databases < DATABASES_MAX ? transform->target.databases
												    : DATABASES_MAX;
	uint64_t cleared[DATABASES_MAX / 64] = {0};

	for (uint32_t db = 0; db < (all ? 1 : DATABASES_MAX); db++) {
		enum answer answer = stage_ask_whole(transform, event, db);
		uint32_t target = task_options_database_of(transform->options, db);

		if (answer == ANSWER_NO)
			continue;
		any = true;
		/* Databases beyond what servers have unless told otherwise, not chosen by number, of a target that does not say how many it has: it is asked
		 * which hold keys. */
		if (answer != ANSWER_YES ||
		    (!all && target >= 16 && transform->options->all_databases && transform->target.databases == 0))
			by_key = true;
		if (target < limit)
			cleared[target / 64] |= 1ULL << (target % 64);
	}
	if (!any)
		return TRANSFORM_DROPPED;
	if (by_key)
		return clear(transform, event, error);
	if (all)
		return TRANSFORM_SAME;
	for (uint32_t db = 0; db < limit; db++) {
		struct slice *argv;

		if (!number_set_has(cleared, db))
			continue;
		/* With what stands behind it: ASYNC, SYNC. */
		argv = stage_arguments(transform, event->argc);
		memcpy(argv, event->argv, event->argc * sizeof(*argv));
		argv[0] = SLICE("FLUSHDB");
		stage_add_command(transform, event, db, event->argc, argv);
	}
	return transform->made.count > 0 ? TRANSFORM_CHANGED : TRANSFORM_DROPPED;
}

/* ---- two databases ---- */

static enum transform_outcome swap(struct transform *transform, const struct event *event, struct error *error)
{
	const struct task_options *options = transform->options;
	uint32_t a, b, to_a, to_b;
	enum answer of_a, of_b;
	struct slice *argv;

	if (event->argc != 3 || !number_of(event->argv[1], &a) || !number_of(event->argv[2], &b))
		return TRANSFORM_SAME; /* the server refuses it as well */
	of_a = stage_ask_whole(transform, event, a);
	of_b = stage_ask_whole(transform, event, b);
	if (of_a == ANSWER_NO && of_b == ANSWER_NO)
		return TRANSFORM_DROPPED;
	/* Of both the same part is copied when no rule asks for the database. */
	if (of_a != of_b || (of_a != ANSWER_YES && selection_asks_database(transform->selection)))
		return stage_refuse(event, error, "it touches databases of which not the same is selected", HINT_MIXED);
	if (transform->renamer && renamer_asks_database(transform->renamer))
		return stage_refuse(
			event, error, "it exchanges databases whose keys have names by their database",
			"Rename without 'database' and ${db}, or leave the command out (filter.block: [{command: swapdb}])");
	to_a = task_options_database_of(options, a);
	to_b = task_options_database_of(options, b);
	if (to_a == to_b)
		return TRANSFORM_DROPPED; /* all of it is in one database, before and after */
	if (transform->target.cluster)
		return stage_refuse(event, error, "a cluster cannot exchange databases",
				    "Use a standalone target, or leave the command out (filter.block: [{command: swapdb}])");
	/* It exchanges all that is there, foreign keys too. */
	if (options->existing == EXISTING_MERGE && (of_a != ANSWER_YES || transform->renamer))
		return stage_refuse(
			event, error,
			"it would exchange whole databases, of which this task copies only some keys, while others are in the target already "
			"(target.existing: merge)",
			"Copy into databases of their own (target.database_map) that were empty, or leave the command out (filter.block: "
			"[{command: swapdb}])");
	if (!options->database_map)
		return TRANSFORM_SAME;
	if (shares_target(transform, event, a, ANSWER_MAYBE) || shares_target(transform, event, b, ANSWER_MAYBE))
		return stage_refuse(event, error,
				    "it exchanges databases of which one is brought together with others by target.database_map",
				    HINT_MIXED);
	argv = stage_arguments(transform, 3);
	argv[0] = event->argv[0];
	argv[1] = arena_number(&transform->arena, to_a);
	argv[2] = arena_number(&transform->arena, to_b);
	stage_add_command(transform, event, task_options_database_of(options, event->db), 3, argv);
	return TRANSFORM_CHANGED;
}

/* ---- one key from one database to another ---- */

struct move {
	bool copy, replace;
	uint32_t db;      /* where it goes */
	struct slice key; /* its name there */
};

static bool move_parse(const struct event *event, struct move *ret)
{
	struct move move = {.copy = slice_equal_nocase(event->argv[0], SLICE("COPY")), .db = event->db};

	if (event->argc < 3)
		return false;
	move.key = event->argv[move.copy ? 2 : 1];
	if (!move.copy && !number_of(event->argv[2], &move.db))
		return false;
	for (uint32_t i = 3; move.copy && i < event->argc; i++) {
		if (slice_equal_nocase(event->argv[i], SLICE("REPLACE")))
			move.replace = true;
		else if (!slice_equal_nocase(event->argv[i], SLICE("DB")) || ++i == event->argc ||
			 !number_of(event->argv[i], &move.db))
			return false;
	}
	*ret = move;
	return true;
}

static enum transform_outcome move_whole(struct transform *transform, const struct event *event, const struct move *move,
					 struct error *error)
{
	uint32_t from_db = task_options_database_of(transform->options, event->db);
	uint32_t to_db = task_options_database_of(transform->options, move->db);
	struct slice *argv = stage_arguments(transform, 6);
	struct slice from, to;
	uint32_t argc = 0;

	if (!stage_rename(transform, event->db, event->argv[1], &from) || !stage_rename(transform, move->db, move->key, &to))
		return stage_undecided(event, error);
	if (from_db == to_db && slice_equal(from, to))
		return TRANSFORM_DROPPED; /* it is there already */
	if (!move->copy && from_db != to_db && !slice_equal(from, to))
		return stage_refuse(event, error, "the key has another name in the database that it moves to", HINT_MIXED);
	argv[argc++] = move->copy || from_db != to_db ? event->argv[0] : SLICE("RENAME");
	argv[argc++] = from;
	if (move->copy || from_db == to_db)
		argv[argc++] = to;
	if (move->copy && from_db != to_db)
		argv[argc++] = SLICE("DB");
	if (from_db != to_db)
		argv[argc++] = arena_number(&transform->arena, to_db);
	if (move->replace)
		argv[argc++] = SLICE("REPLACE");
	stage_add_command(transform, event, from_db, argc, argv);
	return TRANSFORM_CHANGED;
}

static enum transform_outcome move_typed(struct transform *transform, const struct event *event, const struct move *move,
					 struct error *error)
{
	struct typed_move typed = {
		.copies = move->copy,
		.replaces = move->replace,
		.db = task_options_database_of(transform->options, event->db),
		.from_db = task_options_database_of(transform->options, event->db),
		.to_db = task_options_database_of(transform->options, move->db),
	};

	if (!stage_types(transform, event, event->db, event->argv[1], &typed.from_types) ||
	    !stage_types(transform, event, move->db, move->key, &typed.to_types) ||
	    !stage_rename(transform, event->db, event->argv[1], &typed.from) ||
	    !stage_rename(transform, move->db, move->key, &typed.to))
		return stage_undecided(event, error);
	if (typed.from_db == typed.to_db && slice_equal(typed.from, typed.to))
		return stage_refuse(event, error, "both keys are one at the target, and of them not the same types are selected",
				    HINT_MIXED);
	return stage_move_by_type(transform, event, &typed, error);
}

static enum transform_outcome move_key(struct transform *transform, const struct event *event, struct error *error)
{
	enum answer from, to;
	struct move move;
	struct slice *argv, name;

	if (!move_parse(event, &move))
		return TRANSFORM_SAME;
	from = stage_ask(transform, event, event->db, event->argv[1], TYPES_ALL);
	to = stage_ask(transform, event, move.db, move.key, TYPES_ALL);
	if (from == ANSWER_UNDECIDED || to == ANSWER_UNDECIDED)
		return stage_undecided(event, error);
	if (to == ANSWER_NO && (from == ANSWER_NO || move.copy))
		return TRANSFORM_DROPPED;
	if (from == ANSWER_YES && to == ANSWER_YES)
		return move_whole(transform, event, &move, error);
	if (from != ANSWER_NO && to != ANSWER_NO)
		return move_typed(transform, event, &move, error);
	if (from == ANSWER_NO)
		return stage_refuse(event, error, "it brings a key from where it is not selected to where it is", HINT_MIXED);
	/* It goes where it is not selected, whatever its type. */
	if (!stage_rename(transform, event->db, event->argv[1], &name))
		return stage_undecided(event, error);
	argv = stage_arguments(transform, 2);
	argv[0] = SLICE("DEL");
	argv[1] = name;
	stage_add_command(transform, event, task_options_database_of(transform->options, event->db), 2, argv);
	return TRANSFORM_CHANGED;
}

enum transform_outcome databases_handle(struct transform *transform, const struct event *event, bool *ret_handled,
					struct error *error)
{
	*ret_handled = event->info && effect_of(&transform->effects, event->info) == EFFECT_DATABASES;
	if (!*ret_handled)
		return TRANSFORM_SAME;
	if (slice_equal_nocase(event->argv[0], SLICE("FLUSHDB")))
		return flush_one(transform, event, error);
	if (slice_equal_nocase(event->argv[0], SLICE("FLUSHALL")))
		return flush_all(transform, event, error);
	if (slice_equal_nocase(event->argv[0], SLICE("SWAPDB")))
		return swap(transform, event, error);
	return move_key(transform, event, error);
}
