/* The disk of the simulated machine. Stands in for spool/disk.c at link time: disk_real is a disk in memory
 * (tests/unit/spool/memory_disk.h) that a dead process cannot write to, and state files, which are real ones in a temporary
 * folder, share its fate. Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_DISK_H
#define KEYFERRY_TESTS_SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

void disk_begin(void);
/* Frozen, it takes nothing any more and says that it did. */
void disk_freeze(bool frozen);
/* The machine lost its power; the process is gone and has been freed. What was not synced may be gone, and a renaming too. */
void disk_power_cut(void);
/* A mutation: what was synced is no safer than the rest. */
void disk_forget_syncs(bool on);

#endif
