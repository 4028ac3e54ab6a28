/* A disk in memory for tests: it can be full, fail at a chosen call, and lose its power.
 *
 * A power cut keeps what was synced. Of everything else each sector of 512 bytes is kept or not by itself, a file that grew or
 * shrank has either length or one between, and of what happened to names since the directory was synced some first part is kept.
 * One disk a process, whose directories are there as soon as a file is named in them; syncing one of them keeps the names in
 * all, as a journal does.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_MEMORY_DISK_H
#define KEYFERRY_TESTS_MEMORY_DISK_H

#include "spool/disk.h"

#include <stdbool.h>

extern const struct disk disk_memory;

/* An empty disk without limit or faults. Nothing may be open. */
void memory_disk_reset(void);
unsigned memory_disk_open_files(void);

/* Call number `call` from now on (1: the next) answers -errnum; 0: none. */
void memory_disk_fail(unsigned call, int errnum);
/* Calls that could have failed since memory_disk_fail(). */
unsigned memory_disk_calls(void);
/* Bytes that fit on it; a write that does not fit is cut short, one that begins there answers -ENOSPC. */
void memory_disk_limit(uint64_t bytes);
void memory_disk_power_cut(uint64_t seed);

/* For damage. file: counts the files that have names, in the order they were made; -1: no such file. */
int64_t memory_disk_file_size(unsigned file);
bool memory_disk_read(unsigned file, uint64_t offset, void *out, size_t len);
bool memory_disk_change(unsigned file, uint64_t offset, const void *data, size_t len);
bool memory_disk_truncate(unsigned file, uint64_t size);
bool memory_disk_remove(unsigned file);
/* Puts all files back to what they were at the last save; nothing may be open. */
void memory_disk_save(void);
void memory_disk_restore(void);

#endif
