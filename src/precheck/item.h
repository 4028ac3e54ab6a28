/* An item of the precheck: its name, which operators and programs rely on, where it is judged, and how.
 *
 * The table (item_table.c) is all there is: the report's rows, precheck.waive, `keyferry precheck --list` and the reference page come of it.
 * Thread: constant. */
#ifndef KEYFERRY_PRECHECK_ITEM_H
#define KEYFERRY_PRECHECK_ITEM_H

#include "precheck/finding.h"

enum item_scope {
	SCOPE_NODES = 1 << 0,   /* each node of a side, replicas and those that do not answer too */
	SCOPE_MASTERS = 1 << 1, /* each master that answers */
	SCOPE_SIDE = 1 << 2,    /* once for a side whose masters have all answered */
	SCOPE_OF_SOURCE = 1 << 3,
	SCOPE_OF_TARGET = 1 << 4,
	SCOPE_ONCE = 1 << 5,     /* once, whatever the sides are */
	SCOPE_COMPARES = 1 << 6, /* only where all masters of both sides have answered, or the source is files */
};

struct precheck_item {
	const char *name;
	unsigned scope;              /* enum item_scope */
	const char *what[LANGUAGES]; /* what is looked at: a few words for the lists */
	enum error_kind kind;        /* what a failure of it amounts to; ERROR_SOURCE: of the side that it is found at */
	bool fixed;                  /* cannot be waived: the task could not run, or has an option of its own for it */
	bool waited_out;             /* a running task waits for it: no obstacle for one that goes on */
	bool told_later;             /* the running task warns of it itself */
	void (*judge)(const struct subject *subject);
};

extern const struct precheck_item precheck_items[];
extern const uint32_t precheck_item_count;

/* NULL: there is none of that name. */
const struct precheck_item *precheck_item_find(const char *name);

/* ---- the functions of the table, by what they look at ---- */

/* judge_sides.c: the deployments */
void judge_connect(const struct subject *subject);
void judge_same_server(const struct subject *subject);
void judge_slots(const struct subject *subject);
void judge_cluster_state(const struct subject *subject);
void judge_role(const struct subject *subject);
void judge_clock(const struct subject *subject);
void judge_loop(const struct subject *subject);
void judge_other_task(const struct subject *subject);
/* judge_rights.c */
void judge_psync(const struct subject *subject);
void judge_scan(const struct subject *subject);
void judge_heartbeat(const struct subject *subject);
void judge_rights(const struct subject *subject);
/* judge_source.c: how the source is able to replicate */
void judge_snapshot(const struct subject *subject);
void judge_fork_memory(const struct subject *subject);
void judge_backlog(const struct subject *subject);
void judge_output_buffer(const struct subject *subject);
void judge_repl_timeout(const struct subject *subject);
void judge_diskless_sync(const struct subject *subject);
/* judge_writes.c: what a server refuses writes for */
void judge_persistence(const struct subject *subject);
void judge_min_replicas(const struct subject *subject);
/* judge_target.c: room for the data */
void judge_target_empty(const struct subject *subject);
void judge_target_memory(const struct subject *subject);
void judge_eviction(const struct subject *subject);
void judge_databases(const struct subject *subject);
/* judge_data.c: data and commands of the source against the target */
void judge_types(const struct subject *subject);
void judge_commands(const struct subject *subject);
void judge_across_slots(const struct subject *subject);
/* losses.c */
void judge_versions(const struct subject *subject);
void judge_modules(const struct subject *subject);
/* judge_here.c: files and this machine */
void judge_source_files(const struct subject *subject);
void judge_target_files(const struct subject *subject);
void judge_work_directory(const struct subject *subject);
void judge_disk(const struct subject *subject);

#endif
