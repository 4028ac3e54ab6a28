#include "task/settings.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text is taken over. */
static void put(struct settings *settings, const char *path, char *text)
{
	size_t at = 0;

	while (at < settings->count && strcmp(settings->items[at].path, path) < 0)
		at++;
	if (at < settings->count && strcmp(settings->items[at].path, path) == 0) {
		free(settings->items[at].text);
		settings->items[at].text = text;
		return;
	}
	settings->items = memory_realloc_array(settings->items, settings->count + 1, sizeof(*settings->items));
	memmove(&settings->items[at + 1], &settings->items[at], (settings->count - at) * sizeof(*settings->items));
	settings->items[at] = (struct setting){memory_strdup(path), text};
	settings->count++;
}

void settings_free(struct settings *settings)
{
	for (size_t i = 0; i < settings->count; i++) {
		free(settings->items[i].path);
		free(settings->items[i].text);
	}
	free(settings->items);
	*settings = (struct settings){0};
}

/* The document it comes from is bounded by DOCUMENT_BYTES_MAX, and this at most doubles it. */
static void append(struct buffer *buffer, const char *text)
{
	if (!buffer_append(buffer, text, strlen(text)))
		abort();
}

/* In ASCII, for it is kept in a JSON file and told in errors. */
static void append_quoted(struct buffer *buffer, const char *text)
{
	append(buffer, "\"");
	for (const char *p = text; *p; p++) {
		char one[8] = {*p, '\0'};

		if (*p == '"' || *p == '\\')
			snprintf(one, sizeof(one), "\\%c", *p);
		else if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			snprintf(one, sizeof(one), "\\x%02x", (unsigned char)*p);
		append(buffer, one);
	}
	append(buffer, "\"");
}

/* In flow style: [{prefix: "user:"}] */
static void append_node(struct buffer *buffer, const struct document_node *node)
{
	bool map = node->kind == DOCUMENT_MAP;

	if (node->kind == DOCUMENT_NULL) {
		append(buffer, "null");
		return;
	}
	if (node->kind == DOCUMENT_SCALAR) {
		append_quoted(buffer, node->text);
		return;
	}
	append(buffer, map ? "{" : "[");
	for (const struct document_node *child = node->first; child; child = child->next) {
		if (child != node->first)
			append(buffer, ", ");
		if (map) {
			append(buffer, child->key);
			append(buffer, ": ");
		}
		append_node(buffer, child);
	}
	append(buffer, map ? "}" : "]");
}

static char *take_text(struct buffer *buffer)
{
	struct slice text = buffer_readable(buffer);
	char *copy = memory_strndup((const char *)text.data, text.len);

	buffer_free(buffer);
	return copy;
}

void settings_note(struct settings *settings, const struct option_row *row, const struct document_node *node)
{
	struct buffer text;

	if (!row->lasting)
		return;
	buffer_init(&text, 8 * DOCUMENT_BYTES_MAX);
	append_node(&text, node);
	put(settings, row->path, take_text(&text));
}

void settings_note_text(struct settings *settings, const struct option_row *row, const char *written)
{
	struct buffer text;

	if (!row->lasting)
		return;
	buffer_init(&text, 8 * DOCUMENT_BYTES_MAX);
	append_quoted(&text, written);
	put(settings, row->path, take_text(&text));
}
