/* The rows of every option of a task document: what options.c parses by and what help and the reference page are made of.
 * Paths are a contract with operators. Thread: constant. */
#ifndef KEYFERRY_TASK_OPTIONS_TABLE_H
#define KEYFERRY_TASK_OPTIONS_TABLE_H

#include "base/option.h"

/* The object of the rows is a struct task_options. */
extern const struct option_table task_option_table;

#endif
