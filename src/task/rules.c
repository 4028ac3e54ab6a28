#include "task/rules.h"

#include "base/memory.h"
#include "base/pattern.h"

#include <stdio.h>
#include <stdlib.h>

#define SCALE_MIN 0.001
#define SCALE_MAX 1000.0

static void *field_of(const struct option_row *row, void *object)
{
	return (uint8_t *)object + row->offset;
}

static bool refuse_map(const struct option_value *value, struct error *error)
{
	if (value->form != OPTION_MAP)
		return false;
	error_set(error, ERROR_USAGE, "it takes one value or a list, not a mapping");
	return true;
}

static bool refuse_empty(const struct option_value *value, struct error *error)
{
	if (value->count > 0)
		return false;
	error_set(error, ERROR_USAGE, "the list is empty, so nothing would be meant");
	return true;
}

/* ---- numbers and ranges: [0, 3, 8-15] ---- */

static bool parse_range(struct slice text, uint64_t max, uint64_t *from, uint64_t *to)
{
	const uint8_t *dash = text.len ? memchr(text.data, '-', text.len) : NULL;
	struct slice low = dash ? slice_make(text.data, (size_t)(dash - text.data)) : text;
	struct slice high = dash ? slice_make(dash + 1, text.len - low.len - 1) : text;

	return slice_to_uint64(low, from) && slice_to_uint64(high, to) && *from <= *to && *to <= max;
}

static bool parse_numbers(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	uint64_t **field = field_of(row, object);
	uint64_t *set;

	if (refuse_map(value, error) || refuse_empty(value, error))
		return false;
	set = memory_alloc_zero(row->max / 64 + 1, sizeof(*set));
	for (size_t i = 0; i < value->count; i++) {
		uint64_t from, to;
		char quoted[64];

		if (!parse_range(value->items[i], row->max, &from, &to)) {
			error_set(error, ERROR_USAGE, "%s is not a number or range of numbers from 0 to %llu",
				  slice_quote(value->items[i], quoted, sizeof(quoted)), (unsigned long long)row->max);
			free(set);
			return false;
		}
		for (; from <= to; from++)
			set[from / 64] |= 1ULL << (from % 64);
	}
	free(*field);
	*field = set;
	return true;
}

/* ---- texts ---- */

void text_list_free(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list){0};
}

static bool regex_is_good(struct slice text, struct error *error)
{
	struct pattern *pattern = pattern_new(PATTERN_REGEX, text, error);

	pattern_free(pattern);
	return pattern != NULL;
}

static bool parse_texts_with(const struct option_row *row, void *object, const struct option_value *value,
			     bool (*is_good)(struct slice text, struct error *error), struct error *error)
{
	struct text_list *field = field_of(row, object);
	struct text_list list;

	if (refuse_map(value, error) || refuse_empty(value, error))
		return false;
	list = (struct text_list){.items = memory_alloc_zero(value->count, sizeof(*list.items))};
	for (size_t i = 0; i < value->count; i++) {
		if (value->items[i].len == 0)
			error_set(error, ERROR_USAGE, "the value is empty");
		if (value->items[i].len == 0 || (is_good && !is_good(value->items[i], error))) {
			text_list_free(&list);
			return false;
		}
		list.items[list.count++] = memory_strndup((const char *)value->items[i].data, value->items[i].len);
	}
	text_list_free(field);
	*field = list;
	return true;
}

static bool parse_texts(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	return parse_texts_with(row, object, value, NULL, error);
}

static bool parse_regexes(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	return parse_texts_with(row, object, value, regex_is_good, error);
}

/* One text that may be empty. */
static bool parse_text(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	char **field = field_of(row, object);

	if (value->form != OPTION_SCALAR) {
		error_set(error, ERROR_USAGE, "it takes one text, not a %s", value->form == OPTION_LIST ? "list" : "mapping");
		return false;
	}
	free(*field);
	*field = memory_strndup((const char *)value->items[0].data, value->items[0].len);
	return true;
}

static bool parse_regex(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	if (value->form == OPTION_SCALAR && !regex_is_good(value->items[0], error))
		return false;
	return parse_text(row, object, value, error);
}

/* ---- words out of a fixed list, as bits ---- */

static bool parse_words(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	uint32_t bits = 0;

	if (refuse_map(value, error) || refuse_empty(value, error))
		return false;
	for (size_t i = 0; i < value->count; i++) {
		unsigned bit = 0;
		char quoted[64], allowed[256];

		while (row->values[bit] && !slice_equal(value->items[i], slice_of_string(row->values[bit])))
			bit++;
		if (!row->values[bit]) {
			error_set(error, ERROR_USAGE, "%s is not one of its values: %s",
				  slice_quote(value->items[i], quoted, sizeof(quoted)),
				  option_describe(row, allowed, sizeof(allowed)));
			return false;
		}
		bits |= 1u << bit;
	}
	memcpy(field_of(row, object), &bits, sizeof(bits));
	return true;
}

static bool parse_scale(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	char text[32], quoted[64], *end = NULL;
	double scale = 0;

	if (value->form == OPTION_SCALAR && value->items[0].len > 0 && value->items[0].len < sizeof(text)) {
		snprintf(text, sizeof(text), "%.*s", (int)value->items[0].len, (const char *)value->items[0].data);
		if (strspn(text, "0123456789.") == strlen(text))
			scale = strtod(text, &end);
	}
	if (!end || *end || scale < SCALE_MIN || scale > SCALE_MAX) {
		error_set(error, ERROR_USAGE, "%s is not a factor from %g to %g",
			  value->form == OPTION_SCALAR ? slice_quote(value->items[0], quoted, sizeof(quoted)) : "a list",
			  SCALE_MIN, SCALE_MAX);
		return false;
	}
	memcpy(field_of(row, object), &scale, sizeof(scale));
	return true;
}

/* ---- the rows ---- */

static const char *const types[] = {"string", "list", "set", "zset", "hash", "stream", "module", NULL};
static const char *const groups[] = {"generic", "string", "bitmap",     "hyperloglog", "list",   "hash",   "set", "sorted-set",
				     "geo",     "stream", "vector-set", "scripting",   "pubsub", "server", NULL};
static const char *const booleans[] = {"true", "false", NULL};

_Static_assert(sizeof(types) / sizeof(types[0]) == VALUE_TYPES + 1, "one word per type");

#define FIELD(owner, member) .offset = offsetof(struct owner, member), .width = sizeof(((struct owner *)0)->member)

#define CONDITION_ROWS(owner)                                                                                                    \
	{"database",                                                                                                             \
	 OPTION_OTHER,                                                                                                           \
	 "number, range or list of them",                                                                                        \
	 NULL,                                                                                                                   \
	 .example = "[0, 8-15]",                                                                                                 \
	 FIELD(owner, where.databases),                                                                                          \
	 .max = DATABASES_MAX - 1,                                                                                               \
	 .parse = parse_numbers,                                                                                                 \
	 .sentence = "Database of the source."},                                                                                 \
		{"key",                                                                                                          \
		 OPTION_OTHER,                                                                                                   \
		 "text or list of texts",                                                                                        \
		 NULL,                                                                                                           \
		 .example = "config",                                                                                            \
		 FIELD(owner, where.keys),                                                                                       \
		 .parse = parse_texts,                                                                                           \
		 .sentence = "The key itself, as the source names it."},                                                         \
		{"prefix",                                                                                                       \
		 OPTION_OTHER,                                                                                                   \
		 "text or list of texts",                                                                                        \
		 NULL,                                                                                                           \
		 .example = "\"user:\"",                                                                                         \
		 FIELD(owner, where.prefixes),                                                                                   \
		 .parse = parse_texts,                                                                                           \
		 .sentence = "How the key begins."},                                                                             \
		{"glob",                                                                                                         \
		 OPTION_OTHER,                                                                                                   \
		 "pattern or list of patterns",                                                                                  \
		 NULL,                                                                                                           \
		 .example = "\"user:*:cart\"",                                                                                   \
		 FIELD(owner, where.globs),                                                                                      \
		 .parse = parse_texts,                                                                                           \
		 .sentence = "The whole key, as the server's command KEYS takes it: `*`, `?`, `[a-z]`, `[^a]`, `\\`."},          \
		{"regex",                                                                                                        \
		 OPTION_OTHER,                                                                                                   \
		 "regular expression or list of them",                                                                           \
		 NULL,                                                                                                           \
		 .example = "\"^user:[0-9]+$\"",                                                                                 \
		 FIELD(owner, where.regexes),                                                                                    \
		 .parse = parse_regexes,                                                                                         \
		 .sentence = "A regular expression (PCRE2, over bytes) that is found in the key."},                              \
	{                                                                                                                        \
		"slot", OPTION_OTHER, "number, range or list of them", NULL,                                                     \
			.example = "[0-5460, 10923]", FIELD(owner, where.slots), .max = RULE_SLOTS - 1, .parse = parse_numbers,  \
			.sentence = "Hash slot of the key, whether the source is a cluster or not."                              \
	}

static const struct option_row filter_rows[] = {
	CONDITION_ROWS(filter_rule),
	{"type", OPTION_OTHER, NULL, NULL, types, .example = "[hash, zset]", FIELD(filter_rule, where.types),
	 .parse = parse_words,
	 .sentence = "Type of the value; bitmaps and HyperLogLogs are strings, geographical sets are sorted sets."},
	{"command", OPTION_OTHER, "name or list of names", NULL, .example = "[flushall, \"function *\"]",
	 FIELD(filter_rule, commands), .parse = parse_texts,
	 .sentence = "Name of a command of the stream, with its sub-command where it has one; `*` and `?` as in `glob`."},
	{"group", OPTION_OTHER, NULL, NULL, groups, .example = "scripting", FIELD(filter_rule, groups), .parse = parse_words,
	 .sentence = "Group that a command of the stream belongs to."},
};

static const struct option_row rename_rows[] = {
	{"database", OPTION_OTHER, "number, range or list of them", NULL, .example = "3", FIELD(rename_rule, databases),
	 .max = DATABASES_MAX - 1, .parse = parse_numbers, .sentence = "Only keys of this database of the source."},
	{"prefix", OPTION_OTHER, "text", NULL, .example = "\"user:\"", FIELD(rename_rule, prefix), .parse = parse_text,
	 .sentence = "How the key begins; this is replaced. Empty for all keys: `to` is put in front."},
	{"match", OPTION_OTHER, "regular expression", NULL, .example = "\"^user:(.*)$\"", FIELD(rename_rule, match),
	 .parse = parse_regex,
	 .sentence = "A regular expression (PCRE2, over bytes) found in the key; what it matches is replaced."},
	{"to", OPTION_OTHER, "text", NULL, .example = "\"u:$1\"", FIELD(rename_rule, to), .parse = parse_text,
	 .sentence = "What comes in its place: `$1` and `${name}` are groups of `match`, `$0` all of it, `${db}` is the source's "
		     "database number, "
		     "`$$` a dollar sign."},
};

static const struct option_row expiry_rows[] = {
	CONDITION_ROWS(expiry_rule),
	{"set", OPTION_DURATION, "duration", NULL, .example = "1h", FIELD(expiry_rule, set_ms), .min = 1,
	 .max = 3650ULL * 86400000, .sentence = "Every time to live that the source gives becomes this one."},
	{"drop", OPTION_BOOL, NULL, NULL, booleans, .example = "true", FIELD(expiry_rule, drop),
	 .sentence = "Keys do not expire at the target by themselves."},
	{"scale", OPTION_OTHER, "factor", NULL, .example = "1.5", FIELD(expiry_rule, scale), .parse = parse_scale,
	 .sentence = "The time that is left is multiplied by this."},
};

const struct option_table filter_rule_table = {filter_rows, sizeof(filter_rows) / sizeof(filter_rows[0])};
const struct option_table rename_rule_table = {rename_rows, sizeof(rename_rows) / sizeof(rename_rows[0])};
const struct option_table expiry_rule_table = {expiry_rows, sizeof(expiry_rows) / sizeof(expiry_rows[0])};

/* ---- what belongs together ---- */

bool filter_rule_check(const void *item, struct error *error)
{
	(void)item;
	(void)error;
	return true; /* it has at least one entry, and each of them is a condition */
}

/* A template's groups must be those of its expression. */
static bool template_is_good(const struct rename_rule *rule, struct error *error)
{
	struct pattern *pattern = rule->match ? pattern_new(PATTERN_REGEX, slice_of_string(rule->match), error) : NULL;
	const char *bad = NULL;

	if (rule->match && !pattern)
		return false;
	for (const char *at = strchr(rule->to, '$'); at && !bad; at = strchr(at, '$')) {
		const char *end = at[1] == '{' ? strchr(at, '}') : NULL;
		struct slice name = end ? slice_make(at + 2, (size_t)(end - at) - 2) : slice_make(at + 1, at[1] ? 1 : 0);
		bool known = !end && slice_equal(name, SLICE("$"));
		uint64_t number;

		if (end && slice_equal(name, SLICE("db")))
			known = true;
		else if (pattern && slice_to_uint64(name, &number))
			known = number <= pattern_groups(pattern);
		else if (pattern && end)
			known = pattern_group_named(pattern, name) > 0;
		if (!known)
			bad = at;
		at = end ? end + 1 : at + 1 + (at[1] != '\0');
	}
	pattern_free(pattern);
	if (bad) {
		char quoted[64];

		error_set(error, ERROR_USAGE, "its template has %s, which %s",
			  slice_quote(slice_of_string(bad), quoted, sizeof(quoted)),
			  rule->match ? "is no group of the regular expression"
				      : "only a regular expression ('match') could fill");
		error_hint(error, "groups are $1 or ${name}, the database is ${db}, a dollar sign is $$");
	}
	return !bad;
}

bool rename_rule_check(const void *item, struct error *error)
{
	const struct rename_rule *rule = item;

	if (!rule->prefix == !rule->match) {
		error_set(error, ERROR_USAGE,
			  rule->prefix ? "'prefix' and 'match' are two ways to say which keys are meant: give one of them"
				       : "either 'prefix' or 'match' is needed: which keys are meant");
		return false;
	}
	if (!rule->to) {
		error_set(error, ERROR_USAGE, "'to' is missing: what the key becomes");
		return false;
	}
	return template_is_good(rule, error);
}

bool expiry_rule_check(const void *item, struct error *error)
{
	const struct expiry_rule *rule = item;
	int given = (rule->set_ms > 0) + rule->drop + (rule->scale > 0);

	if (given == 1)
		return true;
	error_set(error, ERROR_USAGE, "%s of 'set', 'drop' and 'scale' is needed, not %s", "exactly one",
		  given ? "several" : "none");
	return false;
}

/* ---- freeing ---- */

static void conditions_free(struct key_conditions *where)
{
	free(where->databases);
	free(where->slots);
	text_list_free(&where->keys);
	text_list_free(&where->prefixes);
	text_list_free(&where->globs);
	text_list_free(&where->regexes);
}

void filter_rule_free(void *item)
{
	struct filter_rule *rule = item;

	conditions_free(&rule->where);
	text_list_free(&rule->commands);
}

void rename_rule_free(void *item)
{
	struct rename_rule *rule = item;

	free(rule->databases);
	free(rule->prefix);
	free(rule->match);
	free(rule->to);
}

void expiry_rule_free(void *item)
{
	conditions_free(&((struct expiry_rule *)item)->where);
}
