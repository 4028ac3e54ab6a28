/* Looks for keys that stand twice in an RDB file: no server loads such a file. They come about where two keys of the source get one name and database
 * (target.database_map, rename, lua), which nothing but all keys together can tell.
 *
 * One pass over the file, which is mapped; names are sorted in a bounded memory and beyond it in a temporary file (base/sorter.h).
 * Thread: the caller's. */
#ifndef KEYFERRY_EXPORT_REPEATS_H
#define KEYFERRY_EXPORT_REPEATS_H

#include "base/error.h"

#include <stdint.h>

/* `length` bytes of the file are a whole snapshot. False: ERROR_CONFLICT names the key and the database; or the file or the sorter failed. */
bool repeats_check(const char *path, uint64_t length, struct error *error) WARN_UNUSED;

#endif
