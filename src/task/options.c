#include "task/options.h"

#include "base/memory.h"
#include "base/option.h"
#include "task/document.h"
#include "task/option_node.h"
#include "task/options_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void task_options_init(struct task_options *options)
{
	*options = (struct task_options){0};
	option_set_defaults(&task_option_table, options);
}

void task_options_free(struct task_options *options)
{
	option_free_strings(&task_option_table, options);
	free(options->source.addresses);
	free(options->target.addresses);
	free(options->database_map);
	text_list_free(&options->waive);
	free(options->data_dir);
	free(options->listen);
	settings_free(&options->settings);
	*options = (struct task_options){0};
}

/* ---- a document ---- */

struct walk {
	struct task_options *options;
	const char *file;
	struct error *error;
	char path[OPTION_PATH_MAX]; /* of the node at hand */
};

static struct slice path_slice(const struct walk *walk)
{
	return slice_of_string(walk->path);
}

static bool fail_at(const struct walk *walk, const struct document_node *node)
{
	error_prefix(walk->error, "%s:%u: option '%s'", walk->file, node->line, walk->path);
	return false;
}

static void set_unknown(const char *path, struct error *error)
{
	char nearest[OPTION_PATH_MAX], shown[OPTION_PATH_MAX];
	size_t len = 0;

	for (; path[len] && len + 1 < sizeof(shown); len++)
		shown[len] = (unsigned char)path[len] < ' ' || path[len] == 0x7f ? '?' : path[len];
	shown[len] = '\0';
	if (option_nearest(&task_option_table, slice_of_string(path), nearest))
		error_set(error, ERROR_USAGE, "unknown option '%s': did you mean '%s'?", shown, nearest);
	else
		error_set(error, ERROR_USAGE, "unknown option '%s'", shown);
	error_hint(error, "'keyferry help options' lists all options");
}

/* A value where a group of options is expected is not shown: "password:s3cret" without its space is such a value. */
static void set_not_a_group(const char *path, struct error *error)
{
	const struct option_row *first = NULL;
	size_t len = strlen(path);

	for (size_t i = 0; i < task_option_table.count && !first; i++)
		if (strncmp(task_option_table.rows[i].path, path, len) == 0 && task_option_table.rows[i].path[len] == '.')
			first = &task_option_table.rows[i];
	error_set(error, ERROR_USAGE, "it is a group of options and takes no value of its own");
	if (first)
		error_hint(error, "for example %s: %s", first->path, first->example);
}

static bool set_scalar(struct task_options *options, const struct option_row *row, const char *text, struct error *error)
{
	struct slice item = slice_of_string(text);

	return option_set(row, options, &(struct option_value){OPTION_SCALAR, &item, 1, NULL}, error);
}

/* The value of a leaf. */
static bool set_node(struct walk *walk, const struct option_row *row, const struct document_node *node)
{
	struct option_place place = {.line = node->line};

	snprintf(place.path, sizeof(place.path), "%s", walk->path);
	if (option_node_set(row, walk->options, node, &place, walk->error)) {
		settings_note(&walk->options->settings, row, node);
		return true;
	}
	error_prefix(walk->error, "%s:%u: option '%s'", walk->file, place.line, place.path);
	return false;
}

static bool walk_node(struct walk *walk, const struct document_node *node);

/* Two rows of one mapping that store into one field contradict each other; across mappings and --set the later one counts. */
static bool check_rivals(struct walk *walk, const struct document_node *parent, const struct document_node *node,
			 const struct option_row *row, size_t parent_len)
{
	if (!row || row->width == 0)
		return true;
	for (const struct document_node *other = parent->first; other != node; other = other->next) {
		char path[OPTION_PATH_MAX];
		const struct option_row *rival;

		snprintf(path, sizeof(path), "%.*s%s", (int)parent_len, walk->path, other->key);
		rival = option_find(&task_option_table, slice_of_string(path));
		if (!rival || rival->width == 0 || rival->offset != row->offset)
			continue;
		error_set(walk->error, ERROR_USAGE, "it sets the same as '%s' in line %u: give one of them", rival->path,
			  other->line);
		return fail_at(walk, node);
	}
	return true;
}

static bool walk_children(struct walk *walk, const struct document_node *parent)
{
	size_t len = strlen(walk->path);

	if (len > 0 && len + 1 < sizeof(walk->path)) {
		walk->path[len++] = '.';
		walk->path[len] = '\0';
	}
	for (const struct document_node *node = parent->first; node; node = node->next) {
		const struct option_row *row;
		int written = snprintf(walk->path + len, sizeof(walk->path) - len, "%s", node->key);

		if (written < 0 || (size_t)written >= sizeof(walk->path) - len) {
			error_set(walk->error, ERROR_USAGE, "%s:%u: the name of an option is too long", walk->file, node->line);
			return false;
		}
		row = option_find(&task_option_table, path_slice(walk));
		if (!check_rivals(walk, parent, node, row, len) || !walk_node(walk, node))
			return false;
	}
	walk->path[len > 0 ? len - 1 : 0] = '\0';
	return true;
}

/* A group: a mapping of further options, or, where its row takes one, a short value ("tls: true"). */
static bool walk_group(struct walk *walk, const struct document_node *node, const struct option_row *row)
{
	if (node->kind == DOCUMENT_MAP && node->count > 0)
		return walk_children(walk, node);
	if (node->kind == DOCUMENT_MAP && !row)
		return true;
	if (row && node->kind == DOCUMENT_SCALAR)
		return set_scalar(walk->options, row, node->text, walk->error) || fail_at(walk, node);
	if (row) {
		error_set(walk->error, ERROR_USAGE, "it takes true, false or a mapping of its options, %s",
			  node->kind == DOCUMENT_LIST  ? "not a list"
			  : node->kind == DOCUMENT_MAP ? "not an empty one"
						       : "but has no value");
		error_hint(walk->error, "for example %s: %s", row->path, row->example);
	} else {
		set_not_a_group(walk->path, walk->error);
	}
	return fail_at(walk, node);
}

static bool walk_node(struct walk *walk, const struct document_node *node)
{
	const struct option_row *row = option_find(&task_option_table, path_slice(walk));

	if (option_has_below(&task_option_table, path_slice(walk)))
		return walk_group(walk, node, row);
	if (!row) {
		set_unknown(walk->path, walk->error);
		error_prefix(walk->error, "%s:%u", walk->file, node->line);
		return false;
	}
	return set_node(walk, row, node);
}

bool task_options_parse(struct task_options *options, struct slice text, const char *file, struct error *error)
{
	struct document_node *root = document_parse(text, file, error);
	struct walk walk = {.options = options, .file = file, .error = error};
	bool parsed;

	if (!root)
		return false;
	parsed = walk_children(&walk, root);
	document_free(root);
	return parsed;
}

bool task_options_read(struct task_options *options, const char *file, struct error *error)
{
	/* One byte over the bound, so that a document that is too long is seen to be. */
	size_t cap = DOCUMENT_BYTES_MAX + 1, len = 0;
	uint8_t *text;
	bool parsed = false;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s: the task document cannot be opened", file);
		return false;
	}
	text = memory_alloc(cap);
	while (len < cap) {
		ssize_t got = read(fd, text + len, cap - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			error_set_errno(error, ERROR_USAGE, errno, "%s: the task document cannot be read", file);
			goto out;
		}
		if (got == 0)
			break;
		len += (size_t)got;
	}
	parsed = task_options_parse(options, slice_make(text, len), file, error);
out:
	/* It may hold passwords. */
	memory_wipe(text, len);
	free(text);
	close(fd);
	return parsed;
}

/* ---- one assignment ---- */

/* Lists and mappings are written as in a document, in one line: --set 'filter.allow=[{prefix: "user:"}]'. */
static bool set_structured(struct task_options *options, const struct option_row *row, const char *text, struct error *error)
{
	char *document = memory_printf("value: %s\n", text);
	struct document_node *root = document_parse(slice_of_string(document), "the value", error);
	struct option_place place = {.line = 1};
	bool set = false;

	free(document);
	if (!root) {
		error_hint(error, "for example %s: %s", row->path, row->example);
		return false;
	}
	snprintf(place.path, sizeof(place.path), "%s", row->path);
	set = option_node_set(row, options, root->first, &place, error);
	if (!set && strcmp(place.path, row->path) != 0)
		error_prefix(error, "option '%s'", place.path);
	if (set)
		settings_note(&options->settings, row, root->first);
	document_free(root);
	return set;
}

static bool set_text(struct task_options *options, const struct option_row *row, const char *text, struct error *error)
{
	if (row->type == OPTION_OBJECTS || row->structured)
		return set_structured(options, row, text, error);
	if (!set_scalar(options, row, text, error))
		return false;
	settings_note_text(&options->settings, row, text);
	return true;
}

bool task_options_set(struct task_options *options, const char *assignment, const char *origin, struct error *error)
{
	const char *equals = strchr(assignment, '=');
	size_t len = equals ? (size_t)(equals - assignment) : strlen(assignment);
	const char *origin_end = strchr(origin, '=');
	const struct option_row *row;
	char path[OPTION_PATH_MAX];

	/* The value may be a secret, so of the origin only what stands before it is shown; without '=' that cannot be told. */
	if (!equals || len == 0 || len >= sizeof(path)) {
		error_set(error, ERROR_USAGE, "%.*s: an option is set by name=value", (int)strcspn(origin, " ="), origin);
		error_hint(error, "for example --set limit.spec=medium");
		return false;
	}
	snprintf(path, sizeof(path), "%.*s", (int)len, assignment);
	row = option_find(&task_option_table, slice_of_string(path));
	if (row && set_text(options, row, equals + 1, error))
		return true;
	if (!row && option_has_below(&task_option_table, slice_of_string(path)))
		set_not_a_group(path, error);
	else if (!row)
		set_unknown(path, error);
	error_prefix(error, "%.*s", origin_end ? (int)(origin_end - origin) : (int)strcspn(origin, " "), origin);
	return false;
}
