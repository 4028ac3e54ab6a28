/* Options out of a document's nodes: scalars, lists, mappings of scalars, and lists of mappings with a table of their own.
 * Thread: none in particular. */
#ifndef KEYFERRY_TASK_OPTION_NODE_H
#define KEYFERRY_TASK_OPTION_NODE_H

#include "base/option.h"
#include "task/document.h"

/* Where in the document a value is wrong. */
struct option_place {
	unsigned line;
	char path[OPTION_PATH_MAX]; /* "filter.allow[2].regex" */
};

/* Stores the node's value by its row. False: the object is unchanged; `place` has the caller's path and line at the call and is made more exact
 * where the mistake lies deeper. */
bool option_node_set(const struct option_row *row, void *object, const struct document_node *node, struct option_place *place,
		     struct error *error) WARN_UNUSED;

#endif
