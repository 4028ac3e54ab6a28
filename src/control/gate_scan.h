/* The part of the gate (control/gate.h) for source.mode scan: the rights that reading by SCAN and DUMP takes, and whether the source tells of its changes.
 * Thread: the control thread, straight-line. */
#ifndef KEYFERRY_CONTROL_GATE_SCAN_H
#define KEYFERRY_CONTROL_GATE_SCAN_H

#include "peer/topology.h"

/* Which server of a shard is read, as source.read_from says. */
struct endpoint gate_read_from(const struct task_options *task, const struct shard *shard);

/* Asks each server that will be read. ERROR_PRECHECK names what is missing, and the command that gives it. */
bool gate_check_scan(const struct task_options *task, struct loop *loop, struct deployment *source, void (*warn)(const char *text),
		     struct error *error) WARN_UNUSED;

#endif
