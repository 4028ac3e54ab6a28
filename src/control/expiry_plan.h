/* How the task treats times of expiry (docs/expiry.md), decided before its links start: by target.expiry_guard, and by what the target is able to do.
 *
 *   the source sends no DEL, or off   true times   (RDB files; passes by SCAN without notifications)
 *   all masters are in import mode    true times; connections say CLIENT IMPORT-SOURCE ON, and the target waits for DEL
 *   otherwise                         guarded: held while a link is behind, live with the margin
 *
 * Where an earlier run has written times with another margin, or guarded times that are not to be any more, the target is put right here, before the links start.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_EXPIRY_PLAN_H
#define KEYFERRY_CONTROL_EXPIRY_PLAN_H

#include "link/expiry.h"
#include "peer/topology.h"
#include "task/options.h"

struct expiry_plan_options {
	const struct task_options *task;
	struct deployment *target;
	bool deletes;                   /* the source sends the DEL of each key that expires */
	bool own_data;                  /* the target holds what an earlier run has brought */
	void (*warn)(const char *text); /* a finished sentence */
	void (*tell)(const char *text); /* likewise, for information */
	bool (*go_on)(void *owner);     /* false: leave off */
	void *owner;
};

/* False with an error of kind ERROR_NONE: left off. */
bool expiry_plan_make(const struct expiry_plan_options *options, struct expiry_plan *ret, struct error *error) WARN_UNUSED;

/* Asks every master to take this connection for an import source. */
enum import_answer { IMPORT_YES, IMPORT_UNKNOWN, IMPORT_OFF /* it could, and import-mode is no */, IMPORT_NOT_REACHED };
enum import_answer expiry_ask_import(struct deployment *target);

/* Makes all times of the target true ones, step by step so that it may be cut off and done again, and writes that into the record. *counts are of the last pass. */
struct settle_counts;
bool expiry_settle_all(struct deployment *target, const char *data_dir, int64_t default_base, bool temporary,
		       bool (*go_on)(void *owner), void *owner, struct settle_counts *counts, struct error *error) WARN_UNUSED;

#endif
