#include "export/files.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Servers' default of `appendfilename`. */
#define PART_NAME "appendonly.aof"
#define MANIFEST PART_NAME ".manifest"
#define MANIFEST_NEW "temp-" MANIFEST
#define MANIFEST_MAX 256

/* ---- names ---- */

char *files_resolve(const char *path, const char *shard)
{
	char *resolved = memory_strdup(path), *at;

	while ((at = strstr(resolved, FILES_SHARD))) {
		char *next = memory_printf("%.*s%s%s", (int)(at - resolved), resolved, shard, at + strlen(FILES_SHARD));

		free(resolved);
		resolved = next;
	}
	return resolved;
}

char *files_base(const struct files *files)
{
	return files->parts ? memory_printf("%s/" PART_NAME ".%" PRIu32 ".base.rdb", files->path, files->number)
			    : memory_strdup(files->path);
}

char *files_partial(const struct files *files)
{
	char *base = files_base(files), *partial = memory_printf("%s.partial", base);

	free(base);
	return partial;
}

char *files_stream(const struct files *files)
{
	return files->parts ? memory_printf("%s/" PART_NAME ".%" PRIu32 ".incr.aof", files->path, files->number)
			    : memory_strdup(files->path);
}

static char *manifest_path(const struct files *files)
{
	return memory_printf("%s/" MANIFEST, files->path);
}

/* To be freed. */
static char *folder_of(const char *path)
{
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	while (len > 0 && path[len - 1] != '/')
		len--;
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len > 0 ? memory_strndup(path, len) : memory_strdup(".");
}

static bool fail(struct error *error, int errnum, const char *what, const char *path)
{
	error_set_errno(error, ERROR_TARGET, errnum, "cannot %s %s", what, path);
	error_hint(
		error,
		"Its folder has to be there and writable, and the disk have room; started again, the task goes on where it was");
	return false;
}

/* ---- before the start ---- */

static bool make_folder(const char *path, struct error *error)
{
	struct stat status;

	if (mkdir(path, 0755) == 0 || (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode)))
		return true;
	return fail(error, errno == EEXIST ? ENOTDIR : errno, "make the folder", path);
}

bool files_prepare(const char *path, bool parts, struct error *error)
{
	char *folder = folder_of(path);
	bool made = make_folder(folder, error) && (!parts || make_folder(path, error));
	struct stat status;

	free(folder);
	/* A device or a folder would be replaced by the file. */
	if (made && !parts && lstat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
		error_set(error, ERROR_TARGET, "%s is %s", path,
			  S_ISDIR(status.st_mode) ? "a folder" : "no file that could be replaced");
		error_hint(error, "Give target.path the name of a file");
		return false;
	}
	return made;
}

struct find {
	bool found;
	uint32_t highest;
};

/* The number in "appendonly.aof.12.base.rdb"; 0: it is no part. */
static uint32_t part_number(const char *name)
{
	unsigned long number;
	char *end;

	if (strncmp(name, PART_NAME ".", sizeof(PART_NAME)) != 0 || name[sizeof(PART_NAME)] < '1' ||
	    name[sizeof(PART_NAME)] > '9')
		return 0;
	number = strtoul(name + sizeof(PART_NAME), &end, 10);
	return *end == '.' && number < UINT32_MAX ? (uint32_t)number : 0;
}

static void find_part(void *owner, const char *name)
{
	struct find *find = owner;
	uint32_t number = part_number(name);

	find->found |= number > 0 || strcmp(name, MANIFEST) == 0;
	if (number > find->highest)
		find->highest = number;
}

bool files_free_of_others(const char *path, bool parts, struct error *error)
{
	const struct files files = {.disk = &disk_real, .path = path};
	char *partial = files_partial(&files);
	struct find find = {0};
	struct stat status;
	bool exists = stat(path, &status) == 0;

	if (parts && exists)
		disk_real.list(path, find_part, &find);
	if (!parts && (exists || stat(partial, &status) == 0)) {
		error_set(error, ERROR_TARGET, "%s exists already", exists ? path : partial);
		error_hint(error, "Name another with target.path, or replace it with target.existing: flush");
	} else if (find.found) {
		error_set(error, ERROR_TARGET, "%s holds an append-only file already", path);
		error_hint(error, "Name another folder with target.path, or replace it with target.existing: flush");
	} else {
		free(partial);
		return true;
	}
	free(partial);
	return false;
}

bool files_next_number(struct files *files, struct error *error)
{
	struct find find = {0};
	int status = files->disk->list(files->path, find_part, &find);

	if (status < 0)
		return fail(error, -status, "look into", files->path);
	files->number = find.highest + 1;
	return true;
}

/* ---- taking its place ---- */

/* -1: there is none. */
static int64_t size_of(const struct disk *disk, const char *path)
{
	int file = disk->open(path, O_RDONLY, 0);
	int64_t size;

	if (file < 0)
		return -1;
	size = disk->size(file);
	disk->close(file);
	return size;
}

static bool sync_folder(const struct files *files, const char *folder, struct error *error)
{
	int status = files->disk->sync_dir(folder);

	return status == 0 || fail(error, -status, "write the folder", folder);
}

static bool rename_base(const struct files *files, uint64_t length, bool replaces, struct error *error)
{
	char *partial = files_partial(files), *base = files_base(files), *folder = folder_of(base);
	bool ok = true;
	int status;

	if (size_of(files->disk, partial) >= 0) {
		if (!replaces && size_of(files->disk, base) >= 0) {
			error_set(error, ERROR_TARGET, "%s was made by somebody else meanwhile", base);
			error_hint(error, "Move it away and start the task again: its own snapshot is whole, in %s", partial);
			ok = false;
		} else {
			status = files->disk->rename(partial, base);
			ok = status == 0 || fail(error, -status, "give its name to", base);
		}
	} else if (size_of(files->disk, base) < (int64_t)length) {
		error_set(error, ERROR_TARGET, "%s, which the task had written, is not there any more", partial);
		error_hint(error, "Restore it, or begin anew with an empty work directory and target.existing: flush");
		ok = false;
	}
	ok = ok && sync_folder(files, folder, error);
	free(partial);
	free(base);
	free(folder);
	return ok;
}

/* A small file, whole and on the disk. */
static bool write_file(const struct disk *disk, const char *path, const char *text, struct error *error)
{
	int file = disk->open(path, O_RDWR | O_CREAT, 0644);
	size_t len = strlen(text), at = 0;
	int status = file < 0 ? file : disk->truncate(file, 0);

	while (status == 0 && at < len) {
		ssize_t n = disk->pwrite(file, text + at, len - at, at);

		if (n <= 0)
			status = n < 0 ? (int)n : -ENOSPC;
		else
			at += (size_t)n;
	}
	if (status == 0)
		status = disk->sync(file);
	if (file >= 0)
		disk->close(file);
	return status == 0 || fail(error, -status, "write", path);
}

static size_t manifest_text(const struct files *files, char out[MANIFEST_MAX])
{
	int at = 0;

	if (files->has_base)
		at = snprintf(out, MANIFEST_MAX, "file " PART_NAME ".%" PRIu32 ".base.rdb seq %" PRIu32 " type b\n",
			      files->number, files->number);
	at += snprintf(out + at, MANIFEST_MAX - (size_t)at, "file " PART_NAME ".%" PRIu32 ".incr.aof seq %" PRIu32 " type i\n",
		       files->number, files->number);
	return (size_t)at;
}

struct sweep {
	const struct files *files;
};

static void remove_other_part(void *owner, const char *name)
{
	const struct files *files = ((struct sweep *)owner)->files;
	uint32_t number = part_number(name);
	char *path;

	if (number == 0 || number == files->number)
		return;
	path = memory_printf("%s/%s", files->path, name);
	files->disk->unlink(path); /* nothing names it any more: if it stays, it takes room and does no harm */
	free(path);
}

static bool publish_manifest(const struct files *files, struct error *error)
{
	char *stream = files_stream(files), *manifest = manifest_path(files),
	     *beside = memory_printf("%s/" MANIFEST_NEW, files->path);
	struct sweep sweep = {files};
	char text[MANIFEST_MAX];
	bool ok;
	int status;

	manifest_text(files, text);
	ok = write_file(files->disk, stream, "", error) && write_file(files->disk, beside, text, error);
	if (ok) {
		status = files->disk->rename(beside, manifest);
		ok = status == 0 || fail(error, -status, "give its name to", manifest);
	}
	ok = ok && sync_folder(files, files->path, error);
	if (ok)
		files->disk->list(files->path, remove_other_part, &sweep);
	free(stream);
	free(manifest);
	free(beside);
	return ok;
}

bool files_publish(const struct files *files, uint64_t length, bool replaces, struct error *error)
{
	if (!files->parts)
		return rename_base(files, length, replaces, error);
	/* The number of a part is its own: there can be none to replace. */
	return (!files->has_base || rename_base(files, length, true, error)) && publish_manifest(files, error);
}

bool files_check_manifest(const struct files *files, struct error *error)
{
	char *path = manifest_path(files);
	char expected[MANIFEST_MAX], found[MANIFEST_MAX];
	size_t len = manifest_text(files, expected);
	int file = files->disk->open(path, O_RDONLY, 0);
	ssize_t got = file < 0 ? -1 : files->disk->pread(file, found, sizeof(found), 0);
	bool same = got == (ssize_t)len && memcmp(found, expected, len) == 0;

	if (file >= 0)
		files->disk->close(file);
	if (!same) {
		error_set(error, ERROR_TARGET, "%s is not as the task had written it", path);
		error_hint(
			error,
			"A server that is started on the folder writes into it: give it a copy. Restore the folder, or begin anew with an empty work "
			"directory and target.existing: flush");
	}
	free(path);
	return same;
}
