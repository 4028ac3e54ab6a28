/* The recorder: the outlet into a file.
 *
 *   event -> transform -> (adapt: times to live made absolute) -> export/scribe -> file
 *
 * The snapshot goes into a file beside (PATH.partial). When it is whole it is synced, the state file says so, and it takes its place by a rename; then
 * commands follow behind it, or the link is done. A crash at any point leaves a state whose position and length belong together: the next run cuts
 * the file off there and goes on, so that nothing is missing and nothing is twice. The file is synced each time the state is written: about once a second.
 *
 * All keys are written, with the time of expiry that they have: a server that loads the file knows by itself which have passed.
 * A full disk is waited out, with the event that met it cut off again; other trouble with it stops the link.
 * A new generation (a full resync) is written beside, too, and replaces what is there when its snapshot is whole.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_RECORDER_H
#define KEYFERRY_LINK_RECORDER_H

#include "export/scribe.h"
#include "link/outlet.h"

/* A file as the target of one link. */
struct file_target {
	enum scribe_kind kind;
	char *path;
	bool parts;    /* aof: a folder of parts */
	bool follows;  /* the stream is written too */
	bool replaces; /* what is there under the name: target.existing: flush */
};

struct recorder_options {
	struct loop *loop;
	const struct task_options *task;
	const struct file_target *file;    /* outlives it */
	struct target_abilities abilities; /* of a server that would load the file: those of the source */
	struct spool *spool;
	struct lag *lag;
	struct scripts *scripts; /* NULL: none are remembered */
	struct tally *tally;     /* of the commands that are written; outlives it. NULL: nobody wants to know */
};

struct outlet recorder_new(const struct recorder_options *options, const struct outlet_events *events, void *owner);

#endif
