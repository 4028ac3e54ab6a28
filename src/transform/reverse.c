/* Names at the target, led back to names of the source.
 *
 *   name = head + template + tail     ->     key = head + what the expression matched + tail
 *
 * Every way to cut the name so is tried, and what comes out is asked the forward way: only what has this very name then counts. So the parsing of
 * expressions here may miss a form that it could have understood (one_way), but what it understands cannot mislead. */
#include "base/memory.h"
#include "transform/rename_rule.h"

#include <stdlib.h>

#define STEPS_MAX 50000 /* cuts of one name: some ms */

/* ---- reading an expression ---- */

static bool is_quantifier(char byte)
{
	return byte == '?' || byte == '*' || byte == '+' || byte == '{';
}

static bool is_word(char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* The way from '[' to behind its ']'; NULL: not closed. */
static const char *class_end(const char *at)
{
	at += at[1] == '^' ? 2 : 1;
	if (*at == ']')
		at++;
	while (*at && *at != ']') {
		if (*at == '\\' && at[1]) {
			at += 2;
		} else if (at[0] == '[' && at[1] == ':') {
			/* [:alpha:], [:^alpha:]; anything else is a plain bracket. */
			const char *end = at + 2 + (at[2] == '^');

			while (is_word(*end))
				end++;
			at = end[0] == ':' && end[1] == ']' ? end + 2 : at + 1;
		} else {
			at++;
		}
	}
	return *at ? at + 1 : NULL;
}

/* "(" alone or with a name: it captures. "(?:": it does not. All else is not understood. */
static bool group_begins(const char *at, bool *ret_captures)
{
	*ret_captures = true;
	if (at[1] == '*')
		return false;
	if (at[1] != '?')
		return true;
	if (at[2] == ':') {
		*ret_captures = false;
		return true;
	}
	if (at[2] == 'P')
		return at[3] == '<';
	return at[2] == '\'' || (at[2] == '<' && at[3] != '=' && at[3] != '!');
}

/* The way from '(' to behind its ')', and how many groups were counted. NULL: not understood. */
static const char *group_end(const char *at, uint32_t *groups)
{
	uint32_t depth = 0;

	while (*at) {
		bool captures;

		switch (*at) {
		case '(':
			if (!group_begins(at, &captures))
				return NULL;
			*groups += captures;
			depth++;
			break;
		case ')':
			if (--depth == 0)
				return at + 1;
			break;
		case '[':
			at = class_end(at);
			if (!at)
				return NULL;
			continue;
		case '\\':
			/* \Q quotes, \K moves the beginning of the match. */
			if (!at[1] || at[1] == 'Q' || at[1] == 'K')
				return NULL;
			at++;
			break;
		default: break;
		}
		at++;
	}
	return NULL;
}

static bool template_has_group(const struct rule *rule, uint32_t group)
{
	for (size_t i = 0; i < rule->part_count; i++)
		if (rule->parts[i].kind == PART_GROUP && rule->parts[i].group == group)
			return true;
	return false;
}

/* Literal bytes and groups, one behind the other; false: it is more than that. */
static bool pieces_parse(struct rule *rule)
{
	const char *at = rule->from->match;
	size_t literals = 0;
	uint32_t groups = 0;

	rule->pieces = memory_alloc_zero(strlen(at) + 1, sizeof(*rule->pieces));
	rule->literals = memory_alloc(strlen(at) + 1);
	if (*at == '^') {
		rule->at_start = true;
		at++;
	}
	while (*at) {
		struct piece *last = rule->piece_count ? &rule->pieces[rule->piece_count - 1] : NULL;

		if (at[0] == '$' && !at[1]) {
			rule->to_end = true;
			return true;
		}
		if (*at == '(') {
			uint32_t number = groups + 1;
			bool captures;

			if (!group_begins(at, &captures) || !captures || !template_has_group(rule, number))
				return false;
			at = group_end(at, &groups);
			if (!at || is_quantifier(*at))
				return false;
			rule->pieces[rule->piece_count++] = (struct piece){.is_group = true, .group = number};
			continue;
		}
		if (strchr("^$.[|)?*+{", *at) || (*at == '\\' && (!at[1] || is_word(at[1]))))
			return false;
		at += *at == '\\';
		rule->literals[literals] = (uint8_t)*at++;
		if (is_quantifier(*at))
			return false;
		if (!last || last->is_group) {
			last = &rule->pieces[rule->piece_count++];
			last->text = slice_make(rule->literals + literals, 0);
		}
		last->text.len++;
		literals++;
	}
	return true;
}

void rule_reverse_init(struct rule *rule)
{
	size_t len;
	bool plain;

	if (!rule->match) {
		rule->at_start = true;
		rule->pieces = memory_alloc_zero(1, sizeof(*rule->pieces));
		rule->pieces[rule->piece_count++].text = rule->prefix;
		return;
	}
	rule->whole = template_has_group(rule, 0);
	if (pieces_parse(rule))
		return;
	rule->one_way = !rule->whole;
	/* Anchors of the whole, where there is nothing that could make them anything else. */
	plain = !strpbrk(rule->from->match, "|") && !strstr(rule->from->match, "(?");
	len = strlen(rule->from->match);
	rule->at_start = plain && rule->from->match[0] == '^';
	rule->to_end = plain && len >= 2 && rule->from->match[len - 1] == '$' && rule->from->match[len - 2] != '\\';
}

void rule_reverse_free(struct rule *rule)
{
	free(rule->pieces);
	free(rule->literals);
}

const char *renamer_one_way(const struct renamer *renamer)
{
	for (size_t i = 0; renamer && i < renamer->count; i++)
		if (renamer->rules[i].one_way)
			return renamer->rules[i].from->match;
	return NULL;
}

/* ---- one name ---- */

struct bound {
	uint32_t group;
	struct slice text;
};

struct search {
	struct renamer *renamer;
	const struct rule *rule;
	const uint32_t *dbs;
	uint32_t db_count;
	struct slice name, head;
	struct arena *arena;
	void (*visit)(void *owner, uint32_t db, struct slice key);
	void *owner;
	uint32_t steps;
	bool exhausted;
	/* of the cut at hand */
	struct bound *bounds; /* values of groups, one a part at most */
	size_t bound_count;
	bool has_db;
	uint32_t db;
};

static const struct slice *value_of(const struct search *search, uint32_t group)
{
	for (size_t i = 0; i < search->bound_count; i++)
		if (search->bounds[i].group == group)
			return &search->bounds[i].text;
	return NULL;
}

/* Does the key have this name at the target? */
static void check(struct search *search, uint32_t db, struct slice key)
{
	struct slice name = key;

	if (renamer_apply(search->renamer, db, key, search->arena, &name) == ANSWER_UNDECIDED)
		search->exhausted = true;
	else if (slice_equal(name, search->name))
		search->visit(search->owner, db, key);
}

static void check_all(struct search *search, struct slice key)
{
	if (search->has_db)
		check(search, search->db, key);
	for (uint32_t i = 0; !search->has_db && i < search->db_count; i++)
		check(search, search->dbs[i], key);
}

static uint8_t *put(uint8_t *at, struct slice text)
{
	return text.len ? (uint8_t *)memcpy(at, text.data, text.len) + text.len : at;
}

static struct slice piece_text(const struct search *search, const struct piece *piece)
{
	return piece->is_group ? *value_of(search, piece->group) : piece->text;
}

/* head + what the expression has matched + tail */
static void propose(struct search *search, struct slice tail)
{
	const struct rule *rule = search->rule;
	struct slice whole = rule->whole ? *value_of(search, 0) : (struct slice){0};
	size_t len = search->head.len + whole.len + tail.len, pieces = rule->whole ? 0 : rule->piece_count;
	uint8_t *made, *at;

	for (size_t i = 0; i < pieces; i++)
		len += piece_text(search, &rule->pieces[i]).len;
	made = arena_take(search->arena, len + 1);
	at = put(put(made, search->head), whole);
	for (size_t i = 0; i < pieces; i++)
		at = put(at, piece_text(search, &rule->pieces[i]));
	put(at, tail);
	check_all(search, slice_make(made, len));
}

static void match_parts(struct search *search, size_t number, struct slice rest);

static void match_text(struct search *search, size_t number, struct slice rest, struct slice text)
{
	if (slice_starts_with(rest, text))
		match_parts(search, number + 1, slice_make(rest.data + text.len, rest.len - text.len));
}

/* The decimal digits of a number, as they are written: no zero in front. */
static void match_database(struct search *search, size_t number, struct slice rest)
{
	uint64_t db;

	if (search->has_db) {
		match_text(search, number, rest, arena_number(search->arena, search->db));
		return;
	}
	for (size_t len = 1; len <= rest.len && len <= 10; len++) {
		if (!slice_to_uint64(slice_make(rest.data, len), &db) || db > INT32_MAX || (len > 1 && rest.data[0] == '0'))
			return;
		search->has_db = true;
		search->db = (uint32_t)db;
		match_parts(search, number + 1, slice_make(rest.data + len, rest.len - len));
		search->has_db = false;
	}
}

static void match_group(struct search *search, size_t number, struct slice rest, uint32_t group)
{
	const struct slice *value = value_of(search, group);
	/* What is last and ends with the name has no choice. */
	size_t len = search->rule->to_end && number + 1 == search->rule->part_count ? rest.len : 0;

	if (value) {
		match_text(search, number, rest, *value);
		return;
	}
	for (; len <= rest.len && !search->exhausted; len++) {
		search->bounds[search->bound_count++] = (struct bound){group, slice_make(rest.data, len)};
		match_parts(search, number + 1, slice_make(rest.data + len, rest.len - len));
		search->bound_count--;
	}
}

/* The template from part `number` on, at the beginning of `rest`. */
static void match_parts(struct search *search, size_t number, struct slice rest)
{
	const struct rule *rule = search->rule;

	if (search->exhausted || ++search->steps > STEPS_MAX) {
		search->exhausted = true;
		return;
	}
	if (number == rule->part_count) {
		if (!rule->to_end || rest.len == 0)
			propose(search, rest);
		return;
	}
	switch (rule->parts[number].kind) {
	case PART_TEXT: match_text(search, number, rest, rule->parts[number].text); break;
	case PART_DATABASE: match_database(search, number, rest); break;
	case PART_GROUP: match_group(search, number, rest, rule->parts[number].group); break;
	}
}

enum answer renamer_reverse(struct renamer *renamer, const uint32_t *dbs, uint32_t db_count, struct slice name,
			    struct arena *arena, void (*visit)(void *owner, uint32_t db, struct slice key), void *owner)
{
	struct search search = {.renamer = renamer,
				.dbs = dbs,
				.db_count = db_count,
				.name = name,
				.arena = arena,
				.visit = visit,
				.owner = owner};

	for (uint32_t i = 0; !renamer && i < db_count; i++)
		visit(owner, dbs[i], name);
	if (!renamer)
		return ANSWER_YES;
	/* It may have kept its name ... */
	check_all(&search, name);
	/* ... or have it by one of the rules. */
	for (size_t i = 0; i < renamer->count && !search.exhausted; i++) {
		const struct rule *rule = search.rule = &renamer->rules[i];

		search.bounds = arena_take(arena, (rule->part_count + 1) * sizeof(*search.bounds));
		for (size_t head = 0; head <= (rule->at_start ? 0 : name.len) && !search.exhausted; head++) {
			search.head = slice_make(name.data, head);
			match_parts(&search, 0, slice_make(name.data + head, name.len - head));
		}
	}
	return search.exhausted ? ANSWER_UNDECIDED : ANSWER_YES;
}
