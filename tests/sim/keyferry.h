/* Keyferry itself in the simulation: the task with its links, started, watched, stopped, killed and started again as an
 * operator's init system does. Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_KEYFERRY_H
#define KEYFERRY_TESTS_SIM_KEYFERRY_H

#include "site.h"

struct keyferry;

struct keyferry *keyferry_new(struct site *source, struct site *target);
void keyferry_free(struct keyferry *keyferry);

/* To be called between two steps of the world: starts it when that is due, sees whether it has died or failed. */
void keyferry_watch(struct keyferry *keyferry);
bool keyferry_runs(const struct keyferry *keyferry);
/* What it has stopped with, or could not start with for long; NULL: nothing. */
const char *keyferry_failure(const struct keyferry *keyferry);
/* Was that a command that the target refused for good? */
bool keyferry_met_conflict(const struct keyferry *keyferry);
uint64_t keyferry_starts(const struct keyferry *keyferry);
/* Does every link follow its stream, and has it applied it up to these offsets? The acknowledgement does not say: behind a
 * snapshot that is received it tells the snapshot's offset, as real replicas do. */
bool keyferry_has_applied(struct keyferry *keyferry, const int64_t *offsets, unsigned count);
/* Where each link stands, into the trace. */
void keyferry_tell(struct keyferry *keyferry);

/* Faults. They may come while it is being opened or stopped. */
void keyferry_stop(struct keyferry *keyferry);
void keyferry_kill(struct keyferry *keyferry, bool power_cut);

#endif
