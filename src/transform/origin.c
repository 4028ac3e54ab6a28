/* Whose key is it? Of a key of the target: which keys of the source would have this name, in this database, and are they what is asked about.
 *
 *   in scope      chosen by the rules, in a slot of this link, in one of the databases asked about
 *   beside it     chosen by the rules as well, but in another database, or a slot of another link
 *
 * Only in scope: this link's. Only beside it, or not chosen at all: not. Both: nobody can tell. */
#include "base/memory.h"
#include "transform/stage.h"
#include "wire/slot.h"

static bool in_set(const uint64_t *set, uint32_t db)
{
	return !set || (db < DATABASES_MAX && number_set_has(set, db));
}

static bool rules_treat_alike(const struct option_objects *filters, uint32_t a, uint32_t b)
{
	const struct filter_rule *rules = filters->items;

	for (size_t i = 0; i < filters->count; i++)
		if (in_set(rules[i].where.databases, a) != in_set(rules[i].where.databases, b))
			return false;
	return true;
}

static bool in_scope(const struct brought_scope *scope, uint32_t db)
{
	return scope->every_database || db == scope->db;
}

/* But for ${db}, which the way back reads from the name. */
static bool alike(const struct transform *transform, const struct brought_scope *scope, uint32_t a, uint32_t b)
{
	const struct task_options *options = transform->options;
	const struct rename_rule *renames = options->rename.items;

	if (in_scope(scope, a) != in_scope(scope, b))
		return false;
	for (size_t i = 0; i < options->rename.count; i++)
		if (in_set(renames[i].databases, a) != in_set(renames[i].databases, b))
			return false;
	return rules_treat_alike(&options->allow, a, b) && rules_treat_alike(&options->block, a, b);
}

static void consider(struct transform *transform, const struct brought_scope *scope, uint32_t target_db, uint32_t db)
{
	struct origins *origins = &transform->origins;

	if (!task_options_database_selected(transform->options, db) ||
	    task_options_database_of(transform->options, db) != target_db)
		return;
	for (uint32_t i = 0; i < origins->count; i++)
		if (alike(transform, scope, origins->dbs[i], db))
			return;
	if (origins->count == origins->room) {
		origins->room = origins->room ? 2 * origins->room : 8;
		origins->dbs = memory_realloc_array(origins->dbs, origins->room, sizeof(*origins->dbs));
	}
	origins->dbs[origins->count++] = db;
}

/* The databases of the source that come to this one of the target. */
static void find_origins(struct transform *transform, const struct brought_scope *scope, uint32_t target_db)
{
	struct origins *origins = &transform->origins;

	if (origins->valid && origins->target_db == target_db && origins->scope.every_database == scope->every_database &&
	    origins->scope.db == scope->db)
		return;
	origins->count = 0;
	if (!transform->options->database_map) {
		consider(transform, scope, target_db, target_db);
	} else {
		/* Of those that cannot be named in a map one more stands for all. */
		for (uint32_t db = 0; db <= DATABASES_MAX; db++)
			consider(transform, scope, target_db, db);
		if (target_db > DATABASES_MAX)
			consider(transform, scope, target_db, target_db);
	}
	origins->valid = true;
	origins->target_db = target_db;
	origins->scope = *scope;
}

struct verdict {
	struct transform *transform;
	const struct brought_scope *scope;
	uint32_t target_db, types;
	enum answer inside, beside;
	bool unclear;
};

static enum answer ask(struct transform *transform, const struct brought_scope *scope, uint32_t db, struct slice key,
		       uint32_t types)
{
	struct subject subject = {db, key, types};

	if (scope->command)
		return stage_ask(transform, scope->command, db, key, types);
	return selection_of_snapshot_key(transform->selection, &subject);
}

static void judge(void *owner, uint32_t db, struct slice key)
{
	struct verdict *verdict = owner;
	struct transform *transform = verdict->transform;
	const struct transform_target *target = &transform->target;
	bool inside = in_scope(verdict->scope, db) && (!target->shared || target->owns(target->owner, slot_of_key(key)));
	enum answer *at = inside ? &verdict->inside : &verdict->beside, answer;

	/* ${db} may have led to a database that does not come here. */
	if (task_options_database_of(transform->options, db) != verdict->target_db || selection_is_own_key(key))
		return;
	answer = ask(transform, verdict->scope, db, key, verdict->types);
	if (answer == ANSWER_UNDECIDED)
		verdict->unclear = true;
	else
		*at = answer_or(*at, answer);
}

enum brought transform_brought(struct transform *transform, const struct brought_scope *scope, uint32_t target_db,
			       struct slice key, uint32_t types)
{
	struct verdict verdict = {.transform = transform,
				  .scope = scope,
				  .target_db = target_db,
				  .types = types,
				  .inside = ANSWER_NO,
				  .beside = ANSWER_NO};

	if (selection_is_own_key(key))
		return BROUGHT_NO;
	find_origins(transform, scope, target_db);
	arena_reset(&transform->origin_arena);
	if (renamer_reverse(transform->renamer, transform->origins.dbs, transform->origins.count, key, &transform->origin_arena,
			    judge, &verdict) == ANSWER_UNDECIDED ||
	    verdict.unclear)
		return BROUGHT_UNCLEAR;
	if (verdict.inside == ANSWER_NO)
		return BROUGHT_NO;
	if (verdict.inside == ANSWER_MAYBE || verdict.beside == ANSWER_MAYBE)
		return BROUGHT_BY_TYPE;
	return verdict.beside == ANSWER_NO ? BROUGHT_YES : BROUGHT_UNCLEAR;
}

struct visiting {
	const struct task_options *options;
	uint32_t target_db;
	void (*visit)(void *owner, uint32_t db, struct slice key);
	void *owner;
};

static void visit_origin(void *owner, uint32_t db, struct slice key)
{
	struct visiting *visiting = owner;

	if (task_options_database_selected(visiting->options, db) &&
	    task_options_database_of(visiting->options, db) == visiting->target_db)
		visiting->visit(visiting->owner, db, key);
}

bool transform_origins(struct transform *transform, uint32_t target_db, struct slice key, uint32_t highest_db,
		       void (*visit)(void *owner, uint32_t db, struct slice key), void *owner)
{
	struct visiting visiting = {transform->options, target_db, visit, owner};
	uint32_t dbs[DATABASES_MAX], count = 0;

	for (uint32_t db = 0; transform->options->database_map && db <= highest_db && db < DATABASES_MAX; db++)
		if (task_options_database_of(transform->options, db) == target_db)
			dbs[count++] = db;
	if (!transform->options->database_map)
		dbs[count++] = target_db;
	arena_reset(&transform->origin_arena);
	return renamer_reverse(transform->renamer, dbs, count, key, &transform->origin_arena, visit_origin, &visiting) !=
	       ANSWER_UNDECIDED;
}

bool transform_brings_to(struct transform *transform, const struct brought_scope *scope, uint32_t target_db)
{
	const struct origins *origins = &transform->origins;

	find_origins(transform, scope, target_db);
	for (uint32_t i = 0; i < origins->count; i++)
		if (in_scope(scope, origins->dbs[i]) &&
		    ask(transform, scope, origins->dbs[i], (struct slice){0}, TYPES_ALL) != ANSWER_NO)
			return true;
	return false;
}

uint32_t transform_type_bits(struct slice name)
{
	static const char *const names[VALUE_TYPES] = {
		[VALUE_STRING] = "string", [VALUE_LIST] = "list",     [VALUE_SET] = "set", [VALUE_ZSET] = "zset",
		[VALUE_HASH] = "hash",     [VALUE_STREAM] = "stream", [VALUE_MODULE] = ""};

	if (name.len == 0)
		return TYPES_ALL;
	for (uint32_t type = 0; type < VALUE_MODULE; type++)
		if (slice_equal(name, slice_of_string(names[type])))
			return TYPE_BIT(type);
	return TYPE_BIT(VALUE_MODULE);
}
