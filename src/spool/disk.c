#include "spool/disk.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int real_open(const char *path, int flags, int mode)
{
	int file;

	do
		file = open(path, flags | O_CLOEXEC, mode);
	while (file < 0 && errno == EINTR);
	return file < 0 ? -errno : file;
}

static int real_close(int file)
{
	/* Linux has closed the file whatever close() answers; trying again could close somebody else's. */
	return close(file) < 0 && errno != EINTR ? -errno : 0;
}

static ssize_t real_pwrite(int file, const void *data, size_t len, uint64_t offset)
{
	ssize_t done;

	do
		done = pwrite(file, data, len, (off_t)offset);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static ssize_t real_pread(int file, void *out, size_t len, uint64_t offset)
{
	ssize_t done;

	do
		done = pread(file, out, len, (off_t)offset);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

static int real_truncate(int file, uint64_t size)
{
	int done;

	do
		done = ftruncate(file, (off_t)size);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : 0;
}

static int64_t real_size(int file)
{
	struct stat info;

	return fstat(file, &info) < 0 ? -errno : info.st_size;
}

static int real_sync(int file)
{
	int done;

	do
		done = fdatasync(file);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : 0;
}

static int real_sync_dir(const char *dir)
{
	int file = real_open(dir, O_RDONLY | O_DIRECTORY, 0);
	int result;

	if (file < 0)
		return file;
	result = file_sync(file) ? 0 : -errno;
	close(file);
	return result;
}

static int real_rename(const char *from, const char *to)
{
	return rename(from, to) < 0 ? -errno : 0;
}

static int real_unlink(const char *path)
{
	return unlink(path) < 0 ? -errno : 0;
}

static int real_map(int file, uint64_t offset, size_t len, void *at)
{
	return mmap(at, len, PROT_READ, MAP_SHARED | MAP_FIXED, file, (off_t)offset) == MAP_FAILED ? -errno : 0;
}

static int real_list(const char *dir, void (*visit)(void *owner, const char *name), void *owner)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	int result;

	if (!stream)
		return -errno;
	for (errno = 0; (entry = readdir(stream)); errno = 0)
		visit(owner, entry->d_name);
	result = -errno;
	closedir(stream);
	return result;
}

const struct disk disk_real = {
	.open = real_open,
	.close = real_close,
	.pwrite = real_pwrite,
	.pread = real_pread,
	.truncate = real_truncate,
	.size = real_size,
	.sync = real_sync,
	.sync_dir = real_sync_dir,
	.rename = real_rename,
	.unlink = real_unlink,
	.map = real_map,
	.list = real_list,
};
