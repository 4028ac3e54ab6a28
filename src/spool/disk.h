/* The file system, behind a table, so that the simulator can own the disk: fill it, tear writes, forget what was not synced.
 * Functions return 0 or a byte count, or a negative errno. Paths are absolute or relative to the process.
 * Thread: the table is constant; calls may come from any thread. */
#ifndef KEYFERRY_SPOOL_DISK_H
#define KEYFERRY_SPOOL_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct disk {
	int (*open)(const char *path, int flags, int mode); /* a file handle >= 0 */
	int (*close)(int file);
	ssize_t (*pwrite)(int file, const void *data, size_t len, uint64_t offset); /* may be short */
	ssize_t (*pread)(int file, void *out, size_t len, uint64_t offset);         /* may be short; 0: the file's end */
	int (*truncate)(int file, uint64_t size);
	int64_t (*size)(int file);
	int (*sync)(int file); /* what was written, and the size, are on the disk */
	int (*sync_dir)(const char *dir);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	/* Maps len bytes of the file read-only and shared at exactly `at` (MAP_FIXED); they may reach past the file's end, and
	 * appear as the file grows. The mapping stays when the file is closed or unlinked; whoever asked for it replaces or
	 * unmaps it by itself. */
	int (*map)(int file, uint64_t offset, size_t len, void *at);
	/* Calls visit for every name in the directory. */
	int (*list)(const char *dir, void (*visit)(void *owner, const char *name), void *owner);
};

extern const struct disk disk_real;

#endif
