/* Settings that decide what is copied, as they were written: what a task that goes on compares with those it was begun with.
 *
 * Held are the rows of the option table that are marked `lasting`, as text in one form, whatever the notation of the document was; a later one of the same path
 * takes the earlier one's place. No secret is among them.
 * Thread: none in particular; owned by the task_options. */
#ifndef KEYFERRY_TASK_SETTINGS_H
#define KEYFERRY_TASK_SETTINGS_H

#include "base/option.h"
#include "task/document.h"

#include <stddef.h>

struct setting {
	char *path;
	char *text;
};

struct settings {
	struct setting *items; /* in the order of their paths */
	size_t count;
};

/* Rows that are not lasting are passed over. */
void settings_note(struct settings *settings, const struct option_row *row, const struct document_node *node);
void settings_note_text(struct settings *settings, const struct option_row *row, const char *text);
void settings_free(struct settings *settings);

#endif
