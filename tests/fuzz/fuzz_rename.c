/* Rules of `rename`: whatever the expression and the template, a name that a key gets leads back to that key, unless the rule is known as one-way.
 *
 * Input: lines. A flag ('m': the next is an expression, 'p': a prefix), the expression or prefix, the template, then keys. */
#include "transform/rename.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool line_next(struct slice *rest, struct slice *line)
{
	const uint8_t *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, '\n', rest->len);
	*line = slice_make(rest->data, end ? (size_t)(end - rest->data) : rest->len);
	*rest = slice_make(rest->data + line->len + (end != NULL), rest->len - line->len - (end != NULL));
	return true;
}

static char *text_of(struct slice line)
{
	return memchr(line.data, 0, line.len) ? NULL : strndup((const char *)line.data, line.len);
}

struct looking {
	uint32_t db;
	struct slice key;
	bool found;
};

static void on_key(void *owner, uint32_t db, struct slice key)
{
	struct looking *looking = owner;

	looking->found = looking->found || (db == looking->db && slice_equal(key, looking->key));
}

static void one_key(struct renamer *renamer, uint32_t db, struct slice key)
{
	struct looking looking = {.db = db, .key = key};
	struct arena arena = {0};
	struct slice name = key;

	if (renamer_apply(renamer, db, key, &arena, &name) != ANSWER_UNDECIDED && !renamer_one_way(renamer) &&
	    renamer_reverse(renamer, &db, 1, name, &arena, on_key, &looking) != ANSWER_UNDECIDED && !looking.found)
		abort();
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_make(data, size), flag, what, to, key;
	struct rename_rule rule = {0};
	struct task_options options = {.rename = {.items = &rule, .count = 1}};
	struct renamer *renamer;
	struct error error;

	/* Keys are short, and so is what an operator writes. */
	if (size > 400 || !line_next(&rest, &flag) || flag.len != 1 || !line_next(&rest, &what) || !line_next(&rest, &to))
		return 0;
	if (flag.data[0] == 'm')
		rule.match = text_of(what);
	else
		rule.prefix = text_of(what);
	rule.to = text_of(to);
	if ((rule.match || rule.prefix) && rule.to && rename_rule_check(&rule, &error)) {
		renamer = renamer_new(&options);
		for (uint32_t db = 0; line_next(&rest, &key); db += 7)
			one_key(renamer, db, key);
		renamer_free(renamer);
	}
	rename_rule_free(&rule);
	return 0;
}
