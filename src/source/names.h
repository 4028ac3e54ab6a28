/* Names: those of all keys that a link has brought to the target, on disk. By it a pass over all keys of a source finds those that have gone
 * meanwhile without anybody hearing of it.
 *
 *   add ... add -> begin_pass -> add (each key of the pass) ... -> end_pass -> work ... work: names that were there before and were not added in the pass
 *
 * Names are appended to numbered files in a folder of their own; a name that was added a moment ago is not written again. Each file is records: database and
 * length as numbers of 7 bits a byte, lowest first, the high bit set on all bytes but the last; then the key. A record that is not whole ends a file (the process
 * was killed). end_pass sorts (base/sorter.h) what there was with what there is, in portions, into one file without doubles and without what is missing; it takes
 * the place of the others with names_commit(), which is for the moment in which the target has lost those keys too: a process that is killed before finds them
 * missing once more. Between passes the same is done to get rid of doubles when there are many.
 * Names are in the system's hands when names_flush() returns; a power cut may lose the newest.
 * Errors are ERROR_INTERNAL: the disk. What failed may be tried again.
 * Thread: owned by one. */
#ifndef KEYFERRY_SOURCE_NAMES_H
#define KEYFERRY_SOURCE_NAMES_H

#include "base/error.h"
#include "base/slice.h"

#include <stdint.h>

struct names;

/* `dir` is made if it is not there. ERROR_USAGE: it cannot be. */
struct names *names_open(const char *dir, struct error *error) WARN_UNUSED;
void names_close(struct names *names); /* NULL is fine */
/* Into memory, at most until the next flush. */
void names_add(struct names *names, uint32_t db, struct slice key);
bool names_flush(struct names *names, struct error *error) WARN_UNUSED;

/* From here on what is added belongs to the pass. */
bool names_begin_pass(struct names *names, struct error *error) WARN_UNUSED;
/* The pass is complete. Then names_work() until it says DONE. */
void names_end_pass(struct names *names);

enum names_answer {
	NAMES_DONE,
	NAMES_MORE,    /* call again */
	NAMES_MISSING, /* *db and *key, until the next call, were there before and are not in the pass; call again */
	NAMES_FAILED,  /* the disk: names_end_pass() begins anew */
};
enum names_answer names_work(struct names *names, uint32_t *db, struct slice *key, struct error *error) WARN_UNUSED;
bool names_working(const struct names *names);
/* DONE was said, and what was missing is gone from the target: forgets it. Nothing to do is fine. */
bool names_commit(struct names *names, struct error *error) WARN_UNUSED;
/* Between passes, once in a while: begins getting rid of doubles if that is worth it. Then names_working() is true, and nothing will be missing. */
void names_tidy(struct names *names);

#endif
