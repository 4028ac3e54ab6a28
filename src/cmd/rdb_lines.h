/* An RDB file as lines of JSON, one a key with its whole value, ordered by database and then by the bytes of the key: equal data
 * make equal output, whatever server wrote the file and however it packed them.
 *
 * The file is read twice: for its keys, which are sorted with a bounded memory (base/sorter.h), and then key by key in their order.
 * Thread: one. */
#ifndef KEYFERRY_CMD_RDB_LINES_H
#define KEYFERRY_CMD_RDB_LINES_H

#include "cmd/rdb_file.h"

#include <stdio.h>

/* False: the file is damaged or cut off (ERROR_SOURCE); every key that is whole was printed all the same. Or the sorter's file
 * failed (ERROR_INTERNAL). A write to `out` that failed ends it, too, and is left to who looks at `out`. */
bool rdb_lines_print(struct rdb_file *file, FILE *out, struct error *error) WARN_UNUSED;

#endif
