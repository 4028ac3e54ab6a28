/* The selection of commands: whole, not at all, or the part that is selected. */
#include "base/memory.h"
#include "transform/stage.h"
#include "wire/rdb.h"

#define HINT "Select all of these keys, or none; or leave the command out (filter.block: [{command: ...}])"

/* The types that the keys of a command may have. */
static uint32_t types_of(const struct event *event)
{
	switch ((enum command_group)event->info->group) {
	case COMMAND_GROUP_STRING:
	case COMMAND_GROUP_BITMAP:
	case COMMAND_GROUP_HYPERLOGLOG: return TYPE_BIT(VALUE_STRING);
	case COMMAND_GROUP_LIST: return TYPE_BIT(VALUE_LIST);
	case COMMAND_GROUP_HASH: return TYPE_BIT(VALUE_HASH);
	case COMMAND_GROUP_SET: return TYPE_BIT(VALUE_SET);
	case COMMAND_GROUP_SORTED_SET:
	case COMMAND_GROUP_GEO: return TYPE_BIT(VALUE_ZSET);
	case COMMAND_GROUP_STREAM: return TYPE_BIT(VALUE_STREAM);
	case COMMAND_GROUP_VECTOR_SET: return TYPE_BIT(VALUE_MODULE);
	default: return TYPES_ALL;
	}
}

uint32_t value_type_bits(uint8_t rdb_type)
{
	static const struct {
		const char *name;
		enum value_type type;
	} names[] = {{"string", VALUE_STRING}, {"list", VALUE_LIST},     {"set", VALUE_SET},      {"zset", VALUE_ZSET},
		     {"hash", VALUE_HASH},     {"stream", VALUE_STREAM}, {"module", VALUE_MODULE}};
	/* Numbers that mean different things in files of Redis and of Valkey are not shared by types that both can read. */
	const char *name = rdb_type_name(rdb_type, false) ? rdb_type_name(rdb_type, false) : rdb_type_name(rdb_type, true);

	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, name) == 0)
			return TYPE_BIT(names[i].type);
	return TYPES_ALL;
}

/* Of key number `number`, of which `last` is the last. */
static uint32_t types_of_key(const struct event *event, enum effect effect, uint32_t number, bool last)
{
	uint32_t types = types_of(event);

	if (effect == EFFECT_OVERWRITE && event->info->group == COMMAND_GROUP_GENERIC && event->argc > 3 &&
	    event->argv[3].len > 0)
		return value_type_bits(event->argv[3].data[0]);
	/* SORT */
	if (effect == EFFECT_STORE_LAST && event->info->group == COMMAND_GROUP_GENERIC)
		return last && number > 0 ? TYPE_BIT(VALUE_LIST)
					  : TYPE_BIT(VALUE_LIST) | TYPE_BIT(VALUE_SET) | TYPE_BIT(VALUE_ZSET);
	/* Sets may be read as sorted ones. */
	if (effect == EFFECT_STORE_FIRST && number > 0 && event->info->group == COMMAND_GROUP_SORTED_SET)
		return types | TYPE_BIT(VALUE_SET);
	return types;
}

static void add_use(void *owner, uint32_t index)
{
	struct transform *transform = owner;

	if (transform->use_count == transform->use_room) {
		transform->use_room = transform->use_room ? 2 * transform->use_room : 16;
		transform->uses = memory_realloc_array(transform->uses, transform->use_room, sizeof(*transform->uses));
	}
	transform->uses[transform->use_count++] = (struct key_use){.index = index};
}

static bool overwrites(enum effect effect, const struct event *event, uint32_t number, bool last)
{
	switch (effect) {
	case EFFECT_OVERWRITE: return true;
	case EFFECT_EACH: return event->info->group == COMMAND_GROUP_STRING; /* MSET */
	case EFFECT_STORE_FIRST: return number == 0;
	case EFFECT_STORE_LAST: return last && number > 0;
	default: return false;
	}
}

/* Asks for every key. False: refused. */
static bool ask_all(struct transform *transform, const struct event *event, enum effect effect, struct error *error)
{
	bool harmless = effect == EFFECT_HARMLESS || (effect == EFFECT_EACH && event->info->group == COMMAND_GROUP_GENERIC);

	for (uint32_t i = 0; i < transform->use_count; i++) {
		struct key_use *use = &transform->uses[i];
		bool last = i + 1 == transform->use_count;
		struct slice key = event->argv[use->index];

		use->answer = stage_ask(transform, event, event->db, key, types_of_key(event, effect, i, last));
		if (use->answer == ANSWER_UNDECIDED) {
			stage_undecided(event, error);
			return false;
		}
		/* A DEL of what is not there does nothing. */
		if (use->answer == ANSWER_MAYBE && harmless)
			use->answer = ANSWER_YES;
		if (use->answer == ANSWER_MAYBE) {
			stage_refuse(
				event, error,
				"whether it concerns what is selected depends on a value's type, which the stream does not tell",
				"Select by key names instead of types; or leave the command out (filter.block: [{command: "
				"...}])");
			return false;
		}
		if (use->answer == ANSWER_NO && overwrites(effect, event, i, last))
			use->overwritten = stage_ask(transform, event, event->db, key, TYPES_ALL) == ANSWER_MAYBE;
	}
	return true;
}

/* DEL of what was overwritten by something that is not selected. */
static void delete_overwritten(struct transform *transform, const struct event *event)
{
	struct slice *argv = stage_arguments(transform, transform->use_count + 1);
	uint32_t argc = 1;

	argv[0] = SLICE("DEL");
	for (uint32_t i = 0; i < transform->use_count; i++)
		if (transform->uses[i].overwritten)
			argv[argc++] = event->argv[transform->uses[i].index];
	if (argc > 1)
		stage_add_command(transform, event, event->db, argc, argv);
}

static void keep_selected(struct transform *transform, const struct event *event)
{
	/* MSETEX: how many keys there are stands before them, options behind them. */
	bool counted = event->info->key_rule == COMMAND_KEYS_COUNTED;
	uint32_t step = counted ? event->info->key_step : (uint32_t)event->info->keys.step, argc = 1;
	uint32_t behind = transform->uses[transform->use_count - 1].index + step, selected = 0;
	struct slice *argv = stage_arguments(transform, event->argc);

	argv[0] = event->argv[0];
	for (uint32_t i = 0; i < transform->use_count; i++)
		selected += transform->uses[i].answer == ANSWER_YES;
	if (counted)
		argv[argc++] = arena_number(&transform->arena, selected);
	for (uint32_t i = 0; i < transform->use_count; i++) {
		const struct key_use *use = &transform->uses[i];

		for (uint32_t j = 0; use->answer == ANSWER_YES && j < step && use->index + j < event->argc; j++)
			argv[argc++] = event->argv[use->index + j];
	}
	for (uint32_t i = behind; counted && i < event->argc; i++)
		argv[argc++] = event->argv[i];
	stage_add_command(transform, event, event->db, argc, argv);
}

static void replace(struct transform *transform, const struct event *event, const char *name, struct slice key,
		    const struct slice *member)
{
	struct slice *argv = stage_arguments(transform, 3);

	argv[0] = slice_of_string(name);
	argv[1] = key;
	if (member)
		argv[2] = *member;
	stage_add_command(transform, event, event->db, member ? 3 : 2, argv);
}

/* From which end LMOVE takes, RPOPLPUSH always from the right. */
static const char *pop_of(const struct event *event)
{
	return event->argc > 4 && slice_equal_nocase(event->argv[3], SLICE("LEFT")) ? "LPOP" : "RPOP";
}

static enum transform_outcome made_or_dropped(const struct transform *transform)
{
	return transform->made.count > 0 ? TRANSFORM_CHANGED : TRANSFORM_DROPPED;
}

/* Some keys are selected, others not. */
static enum transform_outcome select_part(struct transform *transform, const struct event *event, enum effect effect,
					  struct error *error)
{
	const struct key_use *first = &transform->uses[0], *last = &transform->uses[transform->use_count - 1];
	bool from = first->answer == ANSWER_YES, to = last->answer == ANSWER_YES;

	switch (effect) {
	case EFFECT_EACH:
		delete_overwritten(transform, event);
		keep_selected(transform, event);
		return TRANSFORM_CHANGED;
	case EFFECT_STORE_FIRST:
		if (from)
			break;
		delete_overwritten(transform, event);
		return made_or_dropped(transform);
	case EFFECT_STORE_LAST:
		if (to)
			break;
		delete_overwritten(transform, event);
		return made_or_dropped(transform);
	case EFFECT_RENAME:
		if (!from)
			break;
		replace(transform, event, "DEL", event->argv[first->index], NULL);
		return TRANSFORM_CHANGED;
	case EFFECT_SMOVE:
		/* It stands in a stream only when the member has moved. */
		replace(transform, event, from ? "SREM" : "SADD", event->argv[(from ? first : last)->index], &event->argv[3]);
		return TRANSFORM_CHANGED;
	case EFFECT_LIST_MOVE:
		if (!from)
			break;
		replace(transform, event, pop_of(event), event->argv[first->index], NULL);
		return TRANSFORM_CHANGED;
	default: return stage_refuse(event, error, "of its keys only some are selected, and it cannot be cut down to them", HINT);
	}
	return stage_refuse(event, error,
			    "it writes to a key that is selected what it takes from one that is not, so the target cannot do it",
			    HINT);
}

/* SORT k BY w_* GET o_*: keys that are named by the data. */
static bool reads_by_pattern(const struct event *event)
{
	if (!slice_equal_nocase(event->argv[0], SLICE("SORT")))
		return false;
	for (uint32_t i = 2; i + 1 < event->argc; i++)
		if ((slice_equal_nocase(event->argv[i], SLICE("BY")) || slice_equal_nocase(event->argv[i], SLICE("GET"))) &&
		    event->argv[i + 1].len > 0 && memchr(event->argv[i + 1].data, '*', event->argv[i + 1].len))
			return true;
	return false;
}

static enum transform_outcome select_keyless(struct transform *transform, const struct event *event, struct error *error)
{
	bool script = event->info->flags & COMMAND_SCRIPT;
	enum answer answer;

	if (script && transform_needs_keys(transform))
		return stage_refuse(event, error,
				    "a script that names no keys may write any, so what of it is selected cannot be told",
				    "Scripts have to name their keys; or leave them out (filter.block: [{group: scripting}])");
	if (script)
		answer = stage_ask(transform, event, event->db, (struct slice){0}, TYPES_ALL);
	else
		answer = selection_of_keyless(transform->selection, event->info, event->argv[0],
					      event->argc > 1 ? event->argv[1] : SLICE(""));
	return answer == ANSWER_YES ? TRANSFORM_SAME : TRANSFORM_DROPPED;
}

/* RENAME and RENAMENX, where the type decides. `ret_handled` false: it does not. */
static enum transform_outcome rename_by_type(struct transform *transform, const struct event *event, bool *ret_handled,
					     struct error *error)
{
	struct slice from = event->argv[transform->uses[0].index], to = event->argv[transform->uses[1].index];
	enum answer of_from = stage_ask(transform, event, event->db, from, TYPES_ALL),
		    of_to = stage_ask(transform, event, event->db, to, TYPES_ALL);
	struct typed_move move = {.replaces = true, .db = event->db, .from = from, .to = to};

	*ret_handled =
		of_from != ANSWER_UNDECIDED && of_to != ANSWER_UNDECIDED && (of_from == ANSWER_MAYBE || of_to == ANSWER_MAYBE);
	if (!*ret_handled)
		return TRANSFORM_SAME;
	if (of_to == ANSWER_NO) {
		replace(transform, event, "DEL", from, NULL);
		return TRANSFORM_CHANGED;
	}
	if (!stage_types(transform, event, event->db, from, &move.from_types) ||
	    !stage_types(transform, event, event->db, to, &move.to_types))
		return stage_undecided(event, error);
	return stage_move_by_type(transform, event, &move, error);
}

enum transform_outcome partial_select(struct transform *transform, const struct event *event, struct error *error)
{
	enum effect effect = effect_of(&transform->effects, event->info);
	uint32_t selected = 0;
	int keys;

	transform->use_count = 0;
	keys = event->info ? command_keys(event->info, event->argc, event->argv, add_use, transform) : -1;
	if (keys == 0)
		return select_keyless(transform, event, error);
	if (keys < 0) {
		/* A rule that leaves the command out by name settles it. */
		enum answer answer = stage_ask(transform, event, event->db, (struct slice){0}, TYPES_ALL);

		if (answer == ANSWER_NO)
			return TRANSFORM_DROPPED;
		if (!transform_needs_keys(transform) && answer == ANSWER_YES)
			return TRANSFORM_SAME;
		return stage_refuse(
			event, error, "its keys are not known, and what is selected or renamed depends on them",
			"Leave the command out (filter.block: [{command: ...}]), or select and rename nothing by key");
	}
	if (effect == EFFECT_RENAME && transform->use_count == 2) {
		bool handled;
		enum transform_outcome outcome = rename_by_type(transform, event, &handled, error);

		if (handled)
			return outcome;
	}
	if (!ask_all(transform, event, effect, error))
		return TRANSFORM_REFUSED;
	for (uint32_t i = 0; i < transform->use_count; i++)
		selected += transform->uses[i].answer == ANSWER_YES;
	if (selected == 0) {
		delete_overwritten(transform, event);
		return made_or_dropped(transform);
	}
	if (transform_needs_keys(transform) && reads_by_pattern(event))
		return stage_refuse(
			event, error,
			"it reads keys that are named by the data (BY, GET), so whether they are selected cannot be told", HINT);
	return selected == transform->use_count ? TRANSFORM_SAME : select_part(transform, event, effect, error);
}
