#include "disk.h"

#include "spool/disk.h"
#include "world.h"

#include "../unit/spool/memory_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RENAMED_MAX 16

static bool frozen, forgetful;

/* Files that were replaced by renaming: their last contents but one, beside them. */
static char renamed[RENAMED_MAX][128];
static unsigned renamed_count;

static int open_file(const char *path, int flags, int mode)
{
	int handle;

	if (!frozen)
		return disk_memory.open(path, flags, mode);
	handle = disk_memory.open(path, flags & ~(O_CREAT | O_TRUNC), mode);
	return handle < 0 ? -EIO : handle;
}

static ssize_t write_file(int file, const void *data, size_t len, uint64_t offset)
{
	if (!frozen && len > 1 && chance_of(2))
		len = 1 + (size_t)chance_below(len);
	return frozen ? (ssize_t)len : disk_memory.pwrite(file, data, len, offset);
}

static int truncate_file(int file, uint64_t size)
{
	return frozen ? 0 : disk_memory.truncate(file, size);
}

static int sync_file(int file)
{
	return frozen || forgetful ? 0 : disk_memory.sync(file);
}

static int sync_dir(const char *dir)
{
	if (frozen || forgetful)
		return 0;
	renamed_count = 0; /* the journal has them */
	return disk_memory.sync_dir(dir);
}

static int unlink_file(const char *path)
{
	if (frozen)
		return 0;
	renamed_count = 0; /* a journal keeps the order of what happens to names */
	return disk_memory.unlink(path);
}

static int close_file(int file)
{
	return disk_memory.close(file);
}

static ssize_t read_file(int file, void *out, size_t len, uint64_t offset)
{
	return disk_memory.pread(file, out, len, offset);
}

static int64_t size_of_file(int file)
{
	return disk_memory.size(file);
}

static int map_file(int file, uint64_t offset, size_t len, void *at)
{
	return disk_memory.map(file, offset, len, at);
}

static int list_dir(const char *dir, void (*visit)(void *owner, const char *name), void *owner)
{
	return disk_memory.list(dir, visit, owner);
}

static int rename_file(const char *from, const char *to)
{
	(void)from;
	(void)to;
	return -ENOSYS; /* the spool renames nothing */
}

const struct disk disk_real = {
	.open = open_file,
	.close = close_file,
	.pwrite = write_file,
	.pread = read_file,
	.truncate = truncate_file,
	.size = size_of_file,
	.sync = sync_file,
	.sync_dir = sync_dir,
	.rename = rename_file,
	.unlink = unlink_file,
	.map = map_file,
	.list = list_dir,
};

/* ---- state files (linked with --wrap) ---- */

int __wrap_rename(const char *from, const char *to);
int __real_rename(const char *from, const char *to);

static void keep_before(const char *path)
{
	char beside[160];
	unsigned i;

	for (i = 0; i < renamed_count && strcmp(renamed[i], path) != 0; i++)
		continue;
	if (i < renamed_count || i == RENAMED_MAX)
		return; /* what the journal has is older still */
	snprintf(renamed[renamed_count++], sizeof(renamed[0]), "%s", path);
	snprintf(beside, sizeof(beside), "%s.before", path);
	unlink(beside);
	(void)!link(path, beside);
}

int __wrap_rename(const char *from, const char *to)
{
	if (frozen)
		return 0;
	keep_before(to);
	return __real_rename(from, to);
}

bool __wrap_file_sync_folder(const char *path);

bool __wrap_file_sync_folder(const char *path)
{
	(void)path;
	if (!frozen && !forgetful)
		renamed_count = 0; /* the journal has them */
	return true;
}

void disk_begin(void)
{
	memory_disk_reset();
	renamed_count = 0;
	frozen = false;
}

void disk_freeze(bool on)
{
	frozen = on;
}

void disk_power_cut(void)
{
	memory_disk_power_cut(chance_below(UINT64_MAX));
	for (unsigned i = 0; i < renamed_count; i++) {
		char beside[160];

		snprintf(beside, sizeof(beside), "%s.before", renamed[i]);
		if (!chance_of(50))
			continue;
		trace("disk: %s is what it was before", renamed[i]);
		if (access(beside, F_OK) == 0)
			__real_rename(beside, renamed[i]);
		else
			unlink(renamed[i]);
	}
	renamed_count = 0;
}

void disk_forget_syncs(bool on)
{
	forgetful = on;
}
