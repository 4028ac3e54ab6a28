#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_write_at(int file, struct slice bytes, uint64_t offset)
{
	while (bytes.len > 0) {
		ssize_t written = pwrite(file, bytes.data, bytes.len, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written == 0)
			errno = EIO;
		if (written <= 0)
			return false;
		offset += (uint64_t)written;
		bytes = slice_make(bytes.data + written, bytes.len - (size_t)written);
	}
	return true;
}

/* close() must not hide why something before it has failed. */
static bool close_after(int file, bool ok)
{
	int reason = errno;

	close(file);
	errno = reason;
	return ok;
}

bool file_sync(int file)
{
	int done;

	do
		done = fsync(file);
	while (done < 0 && errno == EINTR);
	return done == 0;
}

bool file_sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash == path ? memory_strdup("/")
		       : slash       ? memory_strndup(path, (size_t)(slash - path))
				     : memory_strdup(".");
	int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(folder);
	return file >= 0 && close_after(file, file_sync(file));
}

static bool write_synced(const char *path, struct slice content)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	/* One that an earlier run has left keeps its mode when it is opened. */
	return file >= 0 && close_after(file, fchmod(file, 0600) == 0 && file_write_at(file, content, 0) && file_sync(file));
}

bool file_replace(const char *path, struct slice content)
{
	char *beside = memory_printf("%s.new", path);
	bool ok = write_synced(beside, content) && rename(beside, path) == 0 && file_sync_folder(path);
	int reason = errno;

	free(beside);
	errno = reason;
	return ok;
}
