/* The scripts: bodies that the source has brought, by their SHA1, so that the target never has to know one.
 *
 * Sources before 5.0, and later ones with lua-replicate-commands no, send scripts as they were called: EVAL, and EVALSHA for a body that they have sent before. A
 * target may have lost it (restarted, failed over, SCRIPT FLUSH by somebody else) or never had it (the slot has moved), and finds out only when commands behind that one
 * are on their way, too late to put it in order. So an EVALSHA goes to the target as EVAL with the body.
 * Bodies come in the snapshot (AUX "lua") and in the stream: EVAL, SCRIPT LOAD. They stay in the link's folder:
 *
 *   decoded --see--> in memory --keep--> in the file --> the state file may say that what brought it is applied
 *
 * SCRIPT FLUSH and a new snapshot make the bodies before them unreachable: they go once the state file says that this is applied. A body too many does no harm.
 * The source keeps all its bodies in memory; here they have a bound, beyond which those go first that were never called by their SHA1 (EVAL with a text made for each
 * call), the longest unused first.
 * Thread: the link's applier; opening before it starts. */
#ifndef KEYFERRY_LINK_SCRIPTS_H
#define KEYFERRY_LINK_SCRIPTS_H

#include "base/error.h"
#include "decode/event.h"

#define SCRIPTS_BYTES_MAX (64ULL << 20) /* of bodies, and what is kept with each; one larger body is kept alone */

struct scripts;

/* With those in the file at `path`; NULL: they are kept in memory alone. `bytes_max`: SCRIPTS_BYTES_MAX. *ret_cut: bytes of the file that were damaged, or not whole
 * after a crash. */
struct scripts *scripts_open(const char *path, uint64_t bytes_max, uint64_t *ret_cut, struct error *error);
void scripts_free(struct scripts *scripts);

/* A new snapshot begins. */
void scripts_begin(struct scripts *scripts);
/* An event as it came, in order, before anything is done with it: what it brings is remembered. */
void scripts_see(struct scripts *scripts, const struct event *event);
/* The body of this SHA1 (hexadecimal, either case), valid until the next scripts_see(). False: it is not known. */
bool scripts_find(struct scripts *scripts, struct slice sha, struct slice *ret_body);

/* To be called before the state file is written: everything seen is on the disk. False: ERROR_INTERNAL, the state file must not be written. */
bool scripts_keep(struct scripts *scripts, struct error *error) WARN_UNUSED;
/* The state file says that everything below `position` is applied. */
void scripts_applied(struct scripts *scripts, uint64_t position);

/* For tests, `evicted` above all: bytes_max is held by it. */
struct scripts_counters {
	uint32_t bodies;
	uint64_t bytes;
	uint64_t evicted; /* for want of room */
};
struct scripts_counters scripts_counters(const struct scripts *scripts);

#endif
