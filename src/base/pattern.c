#include "base/pattern.h"

#include "base/memory.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

/* Far above what an expression for keys needs, far below what would be noticed: some ms. */
#define MATCH_LIMIT 100000
#define HEAP_LIMIT_KIB 1024
#define JIT_STACK_MIN (32u << 10)
#define JIT_STACK_MAX (512u << 10)

struct pattern {
	enum pattern_kind kind;
	uint8_t *text;
	size_t len;
	pcre2_code *code;
	pcre2_match_data *found;
	pcre2_match_context *context;
	pcre2_jit_stack *stack;
};

/* ---- glob ---- */

static uint8_t fold(uint8_t byte, bool nocase)
{
	return nocase && byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* One "[...]" at glob->data; moves the glob behind it. A class that is not closed goes to the end of the glob, as at the server. */
static bool class_takes(struct slice *glob, uint8_t byte, bool nocase)
{
	const uint8_t *at = glob->data + 1, *end = glob->data + glob->len;
	bool none_of = at < end && *at == '^';
	bool takes = false;

	for (at += none_of; at < end && *at != ']'; at++) {
		uint8_t from, to;

		if (*at == '\\' && at + 1 < end)
			at++;
		from = to = fold(*at, nocase);
		if (end - at > 2 && at[1] == '-') {
			to = fold(at[2], nocase);
			at += 2;
		}
		if (from > to) {
			uint8_t swapped = from;

			from = to;
			to = swapped;
		}
		takes = takes || (byte >= from && byte <= to);
	}
	if (at < end)
		at++;
	*glob = slice_make(at, (size_t)(end - at));
	return takes != none_of;
}

/* The part of the glob before a `*` takes one byte; moves the glob. */
static bool step_takes(struct slice *glob, uint8_t byte, bool nocase)
{
	uint8_t wanted = glob->data[0];

	byte = fold(byte, nocase);
	if (wanted == '[')
		return class_takes(glob, byte, nocase);
	if (wanted == '\\' && glob->len > 1) {
		*glob = slice_make(glob->data + 1, glob->len - 1);
		wanted = glob->data[0];
	} else if (wanted == '?') {
		wanted = byte;
	}
	*glob = slice_make(glob->data + 1, glob->len - 1);
	return fold(wanted, nocase) == byte;
}

/* Only the last `*` is ever taken back, so the work is at most the product of both lengths. */
bool pattern_glob(struct slice glob, struct slice text, bool nocase)
{
	struct slice behind_star = {0};
	size_t at = 0, star_at = 0;
	bool star = false;

	while (true) {
		if (glob.len > 0 && glob.data[0] == '*') {
			glob = slice_make(glob.data + 1, glob.len - 1);
			behind_star = glob;
			star_at = at;
			star = true;
			continue;
		}
		if (at == text.len && glob.len == 0)
			return true;
		if (at < text.len && glob.len > 0 && step_takes(&glob, text.data[at], nocase)) {
			at++;
			continue;
		}
		if (!star || star_at >= text.len)
			return false;
		glob = behind_star;
		at = ++star_at;
	}
}

/* ---- regex ---- */

static bool regex_compile(struct pattern *pattern, struct error *error)
{
	PCRE2_SIZE offset;
	int number;

	pattern->code =
		pcre2_compile(pattern->text, pattern->len,
			      PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C,
			      &number, &offset, NULL);
	if (!pattern->code) {
		char quoted[128];
		PCRE2_UCHAR why[160];

		pcre2_get_error_message(number, why, sizeof(why));
		error_set(error, ERROR_USAGE, "%s is no regular expression: %s (at byte %zu)",
			  slice_quote(slice_make(pattern->text, pattern->len), quoted, sizeof(quoted)), (const char *)why,
			  (size_t)offset);
		return false;
	}
	pattern->found = pcre2_match_data_create_from_pattern(pattern->code, NULL);
	pattern->context = pcre2_match_context_create(NULL);
	pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
	pcre2_set_depth_limit(pattern->context, MATCH_LIMIT);
	pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
	/* Where the JIT is not to be had, pcre2_match() interprets. */
	if (pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0) {
		pattern->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
		pcre2_jit_stack_assign(pattern->context, NULL, pattern->stack);
	}
	return true;
}

static enum pattern_result regex_match(struct pattern *pattern, struct slice bytes)
{
	int found = pcre2_match(pattern->code, bytes.len ? bytes.data : (const uint8_t *)"", bytes.len, 0, 0, pattern->found,
				pattern->context);

	if (found >= 0)
		return PATTERN_YES;
	return found == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_EXHAUSTED;
}

struct slice pattern_group(const struct pattern *pattern, struct slice bytes, uint32_t number)
{
	const PCRE2_SIZE *places = pcre2_get_ovector_pointer(pattern->found);
	PCRE2_SIZE from, to;

	if (number >= pcre2_get_ovector_count(pattern->found))
		return (struct slice){0};
	from = places[2 * number];
	to = places[2 * number + 1];
	/* \K in a look-around may put the end before the beginning. */
	if (from == PCRE2_UNSET || to < from)
		return (struct slice){0};
	return slice_make(bytes.data + from, to - from);
}

uint32_t pattern_groups(const struct pattern *pattern)
{
	uint32_t count = 0;

	if (pattern->code)
		pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &count);
	return count;
}

uint32_t pattern_group_named(const struct pattern *pattern, struct slice name)
{
	char text[64];
	int number;

	if (!pattern->code || name.len >= sizeof(text))
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, (const char *)name.data);
	number = pcre2_substring_number_from_name(pattern->code, (const uint8_t *)text);
	return number > 0 ? (uint32_t)number : 0;
}

/* ---- public ---- */

struct pattern *pattern_new(enum pattern_kind kind, struct slice text, struct error *error)
{
	struct pattern *pattern = memory_alloc_zero(1, sizeof(*pattern));

	pattern->kind = kind;
	pattern->text = memory_alloc(text.len + 1);
	pattern->len = text.len;
	if (text.len)
		memcpy(pattern->text, text.data, text.len);
	if (kind == PATTERN_REGEX && !regex_compile(pattern, error)) {
		pattern_free(pattern);
		return NULL;
	}
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_jit_stack_free(pattern->stack);
	pcre2_match_context_free(pattern->context);
	pcre2_match_data_free(pattern->found);
	pcre2_code_free(pattern->code);
	free(pattern->text);
	free(pattern);
}

enum pattern_result pattern_match(struct pattern *pattern, struct slice bytes)
{
	struct slice text = slice_make(pattern->text, pattern->len);

	switch (pattern->kind) {
	case PATTERN_EXACT: return slice_equal(bytes, text) ? PATTERN_YES : PATTERN_NO;
	case PATTERN_PREFIX: return slice_starts_with(bytes, text) ? PATTERN_YES : PATTERN_NO;
	case PATTERN_GLOB: return pattern_glob(text, bytes, false) ? PATTERN_YES : PATTERN_NO;
	case PATTERN_REGEX: break;
	}
	return regex_match(pattern, bytes);
}
