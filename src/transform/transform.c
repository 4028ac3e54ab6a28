#include "transform/transform.h"

#include "base/clock.h"
#include "base/memory.h"
#include "transform/stage.h"

#include <stdlib.h>

/* ---- shared with the other files of this stage ---- */

struct event *event_list_add(struct event_list *list, const struct event *event)
{
	if (list->count == list->room) {
		list->room = list->room ? 2 * list->room : 4;
		list->items = memory_realloc_array(list->items, list->room, sizeof(*list->items));
	}
	list->items[list->count] = *event;
	return &list->items[list->count++];
}

struct slice *stage_arguments(struct transform *transform, uint32_t count)
{
	return arena_take(&transform->arena, count * sizeof(struct slice));
}

static void set_arguments(struct event *event, uint32_t argc, struct slice *argv)
{
	uint32_t first;

	event->argc = argc;
	event->argv = argv;
	event->raw = (struct slice){0};
	event->info = command_lookup(argc, argv) ? command_lookup(argc, argv) : event->info;
	first = event->info ? command_first_key(event->info, argc, argv) : 0;
	event->key = first > 0 ? argv[first] : (struct slice){0};
}

void stage_add_command(struct transform *transform, const struct event *in, uint32_t db, uint32_t argc, struct slice *argv)
{
	struct event *event = event_list_add(&transform->made, in);

	event->db = db;
	set_arguments(event, argc, argv);
}

enum transform_outcome stage_refuse(const struct event *event, struct error *error, const char *why, const char *hint)
{
	char key[160], place[EVENT_PLACE_MAX];
	struct slice name = event->kind == EVENT_COMMAND ? event->argv[0] : SLICE("the snapshot's value");

	error_set(error, ERROR_CONFLICT, "%.*s%s%s (database %u, %s): %s", (int)(name.len > 64 ? 64 : name.len),
		  (const char *)name.data, event->key.data ? " of key " : "",
		  event->key.data ? slice_quote(event->key, key, sizeof(key)) : "", event->db, event_place(event, place), why);
	error_hint(error, "%s", hint);
	return TRANSFORM_REFUSED;
}

enum transform_outcome stage_undecided(const struct event *event, struct error *error)
{
	return stage_refuse(event, error, "a regular expression of the rules needs too many steps for this key",
			    "Write it so that it needs less (anchors, no nested repetitions), or use prefix or glob");
}

bool stage_rename(struct transform *transform, uint32_t db, struct slice key, struct slice *ret)
{
	*ret = key;
	return !transform->renamer || renamer_apply(transform->renamer, db, key, &transform->arena, ret) != ANSWER_UNDECIDED;
}

/* ---- names, databases, times ---- */

struct renaming {
	struct transform *transform;
	uint32_t db;
	struct slice *argv;
	bool changed, undecided;
};

static void rename_argument(void *owner, uint32_t index)
{
	struct renaming *renaming = owner;

	switch (renamer_apply(renaming->transform->renamer, renaming->db, renaming->argv[index], &renaming->transform->arena,
			      &renaming->argv[index])) {
	case ANSWER_YES: renaming->changed = true; break;
	case ANSWER_UNDECIDED: renaming->undecided = true; break;
	default: break;
	}
}

static enum transform_outcome rename_keys(struct transform *transform, struct event *event, struct error *error)
{
	struct renaming renaming = {.transform = transform, .db = event->db};
	bool own_script;

	if (!transform->renamer || !event->info)
		return TRANSFORM_SAME;
	renaming.argv = stage_arguments(transform, event->argc);
	memcpy(renaming.argv, event->argv, event->argc * sizeof(*event->argv));
	command_keys(event->info, event->argc, event->argv, rename_argument, &renaming);
	if (renaming.undecided)
		return stage_undecided(event, error);
	if (!renaming.changed)
		return TRANSFORM_SAME;
	own_script = event->info == &transform->own_script;
	set_arguments(event, event->argc, renaming.argv);
	if (own_script)
		event->info = &transform->own_script;
	return TRANSFORM_CHANGED;
}

static enum transform_outcome change_time(struct transform *transform, struct event *event, struct slice source_key,
					  struct error *error)
{
	struct subject subject = {event->db, source_key, TYPES_ALL};
	const struct expiry_rule *rule;

	if (!transform->expiry || !source_key.data)
		return TRANSFORM_SAME;
	if (!expiry_find(transform->expiry, &subject, &rule))
		return stage_undecided(event, error);
	if (!rule)
		return TRANSFORM_SAME;
	if (slice_equal_nocase(event->argv[0], SLICE("MSETEX")))
		return stage_refuse(event, error,
				    "it gives one time to live to several keys, which the rules of `expiry` cannot change",
				    "Leave the command out (filter.block: [{command: msetex}]), or the rules");
	switch (expiry_change(rule, event, clock_wall_ms(), &transform->arena)) {
	case EXPIRY_SAME: return TRANSFORM_SAME;
	case EXPIRY_DROPPED: return TRANSFORM_DROPPED;
	case EXPIRY_CHANGED: break;
	}
	set_arguments(event, event->argc, event->argv);
	return TRANSFORM_CHANGED;
}

/* A selected command: its times, names and database. DROPPED: nothing is left of it. */
static enum transform_outcome map_command(struct transform *transform, struct event *event, struct error *error)
{
	uint32_t db = task_options_database_of(transform->options, event->db);
	enum transform_outcome timed = change_time(transform, event, event->key, error), renamed;

	if (timed == TRANSFORM_DROPPED || timed == TRANSFORM_REFUSED)
		return timed;
	renamed = rename_keys(transform, event, error);
	if (renamed == TRANSFORM_REFUSED)
		return renamed;
	if (timed == TRANSFORM_SAME && renamed == TRANSFORM_SAME && db == event->db)
		return TRANSFORM_SAME;
	event->db = db;
	return TRANSFORM_CHANGED;
}

static enum transform_outcome map_key(struct transform *transform, struct event *event, struct error *error)
{
	struct subject subject = {event->db, event->key, TYPES_ALL};
	const struct expiry_rule *rule = NULL;
	struct slice name;

	if (transform->expiry && event->expire_at_ms != EXPIRE_NEVER && !expiry_find(transform->expiry, &subject, &rule))
		return stage_undecided(event, error);
	if (!stage_rename(transform, event->db, event->key, &name))
		return stage_undecided(event, error);
	if (rule)
		event->expire_at_ms = expiry_apply(rule, event->expire_at_ms, clock_wall_ms());
	event->key = name;
	event->db = task_options_database_of(transform->options, event->db);
	return TRANSFORM_CHANGED;
}

/* ---- one event ---- */

/* Fills `made` with what is selected, mapped and renamed. SAME: `made` is of no concern. */
static enum transform_outcome make_command(struct transform *transform, const struct event *in, struct error *error)
{
	bool handled = false, changed;
	enum transform_outcome outcome = databases_handle(transform, in, &handled, error);
	uint32_t kept = 0;

	if (handled)
		return outcome;
	outcome = transform->selects || transform->renamer ? partial_select(transform, in, error) : TRANSFORM_SAME;
	if (outcome == TRANSFORM_DROPPED || outcome == TRANSFORM_REFUSED)
		return outcome;
	changed = outcome == TRANSFORM_CHANGED;
	if (!changed)
		event_list_add(&transform->made, in);
	for (uint32_t i = 0; i < transform->made.count; i++) {
		struct event *event = &transform->made.items[i];

		outcome = map_command(transform, event, error);
		if (outcome == TRANSFORM_REFUSED)
			return outcome;
		changed = changed || outcome != TRANSFORM_SAME;
		if (outcome != TRANSFORM_DROPPED)
			transform->made.items[kept++] = *event;
	}
	transform->made.count = kept;
	if (kept == 0)
		return TRANSFORM_DROPPED;
	return changed ? TRANSFORM_CHANGED : TRANSFORM_SAME;
}

static enum transform_outcome make_key(struct transform *transform, const struct event *in, struct error *error)
{
	struct subject subject = {in->db, in->key, value_type_bits(in->type)};

	switch (selection_of_snapshot_key(transform->selection, &subject)) {
	case ANSWER_NO: return TRANSFORM_DROPPED;
	case ANSWER_UNDECIDED: return stage_undecided(in, error);
	case ANSWER_MAYBE:
	case ANSWER_YES: break;
	}
	return map_key(transform, event_list_add(&transform->made, in), error);
}

/* The script sees the command as one for the whole database; left as it is, it goes key by key. */
static enum transform_outcome call_hook_on_clearing(struct transform *transform, const struct event *in, struct error *error)
{
	struct event event = *in;

	event.db = task_options_database_of(transform->options, in->db);
	transform->hooked.count = 0;
	switch (hook_call(transform->hook, &event, &transform->arena, &transform->hooked, error)) {
	case HOOK_FAILED: return TRANSFORM_REFUSED;
	case HOOK_SAME: return TRANSFORM_CLEAR;
	case HOOK_CHANGED: break;
	}
	return transform->hooked.count > 0 ? TRANSFORM_CHANGED : TRANSFORM_DROPPED;
}

/* The script sees each of `made`; what it leaves is in `hooked`. */
static enum transform_outcome call_hook(struct transform *transform, struct error *error)
{
	transform->hooked.count = 0;
	for (uint32_t i = 0; i < transform->made.count; i++) {
		const struct event *event = &transform->made.items[i];

		switch (hook_call(transform->hook, event, &transform->arena, &transform->hooked, error)) {
		case HOOK_FAILED: return TRANSFORM_REFUSED;
		case HOOK_SAME: event_list_add(&transform->hooked, event); break;
		case HOOK_CHANGED: break;
		}
	}
	return transform->hooked.count > 0 ? TRANSFORM_CHANGED : TRANSFORM_DROPPED;
}

static enum transform_outcome make(struct transform *transform, const struct event *in, struct error *error)
{
	enum transform_outcome outcome;
	const struct command_info *loads;

	transform->made.count = 0;
	arena_reset(&transform->arena);
	switch (in->kind) {
	case EVENT_KEY: outcome = make_key(transform, in, error); break;
	case EVENT_COMMAND:
		if (in->edge == TRANSACTION_BEGIN || in->edge == TRANSACTION_END)
			return TRANSFORM_SAME;
		outcome = make_command(transform, in, error);
		break;
	case EVENT_FUNCTION:
	case EVENT_SCRIPT:
		loads = in->kind == EVENT_FUNCTION ? transform->effects.function_load : transform->effects.script_load;
		return selection_of_keyless(transform->selection, loads,
					    in->kind == EVENT_FUNCTION ? SLICE("function") : SLICE("script"),
					    SLICE("load")) == ANSWER_YES
			       ? TRANSFORM_SAME
			       : TRANSFORM_DROPPED;
	default: return TRANSFORM_SAME;
	}
	if (!transform->hook || outcome == TRANSFORM_DROPPED || outcome == TRANSFORM_REFUSED)
		return outcome;
	if (outcome == TRANSFORM_CLEAR)
		return call_hook_on_clearing(transform, in, error);
	if (outcome == TRANSFORM_SAME && transform->made.count == 0)
		event_list_add(&transform->made, in);
	return call_hook(transform, error);
}

/* ---- public ---- */

bool transform_check(const struct task_options *options, struct error *error)
{
	const struct option_objects *lists[] = {&options->allow, &options->block};
	struct hook *hook;

	for (size_t list = 0; list < 2; list++) {
		const struct filter_rule *rules = lists[list]->items;

		for (size_t i = 0; i < lists[list]->count; i++) {
			for (size_t j = 0; j < rules[i].commands.count; j++) {
				const char *name = rules[i].commands.items[j], *blank = strchr(name, ' ');
				struct slice words[2] = {slice_of_string(name), SLICE("")};

				/* A module's command has a dot; what is newer than the table can be written with a `*`. */
				if (strpbrk(name, ".*?["))
					continue;
				if (blank)
					words[0].len = (size_t)(blank - name);
				words[1] = blank ? slice_of_string(blank + 1) : words[1];
				if (command_lookup(blank ? 2 : 1, words))
					continue;
				error_set(error, ERROR_USAGE,
					  "option 'filter.%s[%zu].command': '%.64s' is the name of no command",
					  list ? "block" : "allow", i, name);
				error_hint(error, "for example command: [flushall, \"function *\"]; one that is newer than this "
						  "program is written with a "
						  "`*`, as in \"newcommand*\"");
				return false;
			}
		}
	}
	if (!options->lua_script)
		return true;
	hook = hook_new(options, error);
	hook_free(hook);
	return hook != NULL;
}

const char *transform_options_clear_not(const struct task_options *options)
{
	struct transform *transform;
	const struct effects *effects;
	const char *why = NULL;

	if (options->rename.count == 0)
		return NULL;
	transform = transform_new(options, &(struct transform_target){0});
	effects = &transform->effects;
	if (selection_of_keyless(transform->selection, effects->flushdb, SLICE("flushdb"), SLICE("")) == ANSWER_YES ||
	    selection_of_keyless(transform->selection, effects->flushall, SLICE("flushall"), SLICE("")) == ANSWER_YES)
		why = transform_clears_not(transform);
	transform_free(transform);
	return why;
}

struct transform *transform_new(const struct task_options *options, const struct transform_target *target)
{
	struct transform *transform = memory_alloc_zero(1, sizeof(*transform));
	struct error never; /* transform_check() has run it */

	transform->options = options;
	transform->target = *target;
	transform->selection = selection_new(options);
	transform->renamer = renamer_new(options);
	transform->expiry = expiry_new(options);
	transform->hook = options->lua_script ? hook_new(options, &never) : NULL;
	effects_init(&transform->effects);
	transform->selects = !selection_is_everything(transform->selection);
	transform->active =
		transform->selects || transform->renamer || transform->expiry || transform->hook || options->database_map;
	return transform;
}

void transform_free(struct transform *transform)
{
	if (!transform)
		return;
	selection_free(transform->selection);
	renamer_free(transform->renamer);
	expiry_free(transform->expiry);
	hook_free(transform->hook);
	arena_free(&transform->arena);
	arena_free(&transform->origin_arena);
	free(transform->origins.dbs);
	free(transform->made.items);
	free(transform->hooked.items);
	free(transform->uses);
	free(transform);
}

bool transform_needs_keys(const struct transform *transform)
{
	return transform->renamer || selection_asks_keys(transform->selection);
}

/* Even a full copy has no right to a target that others share, and no cluster exchanges databases. */
static bool always_asks(const struct transform *transform, const struct event *event)
{
	const struct effects *effects = &transform->effects;

	if (event->kind != EVENT_COMMAND || !event->info)
		return false;
	return (transform->target.shared && (event->info == effects->flushdb || event->info == effects->flushall)) ||
	       (transform->target.cluster && event->info == effects->swapdb);
}

enum transform_outcome transform_event(struct transform *transform, const struct event *in, struct transform_output *output,
				       struct error *error)
{
	enum transform_outcome outcome;
	struct event_list *list;

	if (in->key.data && selection_is_own_key(in->key))
		return TRANSFORM_DROPPED;
	if (!transform->active && !always_asks(transform, in))
		return TRANSFORM_SAME;
	outcome = make(transform, in, error);
	if (outcome != TRANSFORM_CHANGED)
		return outcome;
	list = transform->hook ? &transform->hooked : &transform->made;
	*output = (struct transform_output){list->items, list->count};
	return TRANSFORM_CHANGED;
}
