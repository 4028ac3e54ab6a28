/* The differences that the last verification of a task has found, in a file of its work directory.
 *
 * `differences` has one line of JSON per difference as `keyferry verify --format json` prints it, behind a first line {"job": N} that says whose they are. A verification that is under
 * way writes `differences.new`, which takes its place at the end. DIFFERENCES_KEPT lines and DIFFERENCES_BYTES are kept; what is more is counted by the summary alone.
 * Thread: a writer one at a time; reading any, also while a file is replaced: a page is of one file. */
#ifndef KEYFERRY_SERVICE_DIFFERENCES_H
#define KEYFERRY_SERVICE_DIFFERENCES_H

#include "base/error.h"
#include "base/slice.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define DIFFERENCES_KEPT 100000
#define DIFFERENCES_BYTES (64u << 20)

struct differences_writer;

/* NULL + error: no file can be made in `dir`. */
struct differences_writer *differences_begin(const char *dir, int64_t job, struct error *error) WARN_UNUSED;
/* A line without its end. What is over the bounds, or does not get onto the disk, is left out. */
void differences_add(struct differences_writer *writer, struct slice line);
/* The file takes the place of the one before, and the writer is freed. NULL is fine. */
void differences_end(struct differences_writer *writer);
/* As if it had never begun; the file before stays. NULL is fine. */
void differences_drop(struct differences_writer *writer);

/* A page: of one kind (NULL: all), from `after` on, which is `next` of the page before (0: from the beginning), at most `most`, less where they are large. New tree:
 * {"job": N | null, "items": [...], "next": null | NUMBER}. job null: there was no verification yet. Of an `after` that is none of this file's the page is empty: another verification
 * has ended meanwhile, as its job says. False: the disk. */
bool differences_read(const char *dir, const char *kind, int64_t after, uint32_t most, json_t **ret,
		      struct error *error) WARN_UNUSED;

#endif
