#include "link/script_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "wire/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[] = "keyferry scripts 1\n";
#define MAGIC_LEN (sizeof(magic) - 1)
#define HEADER_LEN (1 + SHA1_LEN + 4)
#define BUFFER_MAX (8ULL << 30)

struct script_file {
	char *path;
	uint64_t size;         /* of the file that is there, all of it good; 0: there is none */
	bool restart;          /* the buffer is to stand alone */
	struct buffer pending; /* not on the disk yet */
};

/* The record at the front of `in`. Returns its length; 0: it is not whole, or damaged. */
static size_t read_record(struct slice in, struct script_record *ret)
{
	uint8_t sha[SHA1_LEN];
	uint64_t len;

	if (in.len < HEADER_LEN || (in.data[0] != 'b' && in.data[0] != 'c'))
		return 0;
	len = rdb_little_endian(in.data + 1 + SHA1_LEN, 4);
	*ret = (struct script_record){in.data[0] == 'c', in.data + 1, slice_make(in.data + HEADER_LEN, (size_t)len)};
	if (in.len - HEADER_LEN < len || (ret->called && len > 0))
		return 0;
	if (!ret->called) {
		sha1(ret->body, sha);
		if (memcmp(sha, ret->sha, SHA1_LEN) != 0)
			return 0;
	}
	return HEADER_LEN + (size_t)len;
}

/* Returns how many bytes are good. */
static uint64_t read_records(struct slice in, void (*each)(void *owner, const struct script_record *record), void *owner)
{
	uint64_t at = MAGIC_LEN;
	struct script_record record;
	size_t len;

	while ((len = read_record(slice_make(in.data + at, (size_t)(in.len - at)), &record)) > 0) {
		each(owner, &record);
		at += len;
	}
	return at;
}

static bool refuse(struct error *error, const char *path)
{
	error_set(error, ERROR_USAGE, "%s is not a file of scripts of this version of keyferry", path);
	error_hint(error, "Restore it, continue with the version that wrote it, or begin anew with an empty work directory");
	return false;
}

static bool read_file(struct script_file *file, int fd, void (*each)(void *owner, const struct script_record *record),
		      void *owner, uint64_t *cut, struct error *error)
{
	struct stat status;
	uint8_t *data;

	if (fstat(fd, &status) < 0) {
		error_set_errno(error, ERROR_INTERNAL, errno, "cannot read %s", file->path);
		return false;
	}
	if ((uint64_t)status.st_size < MAGIC_LEN) {
		/* The very first writing was cut off. */
		*cut = (uint64_t)status.st_size;
		return true;
	}
	data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		error_set_errno(error, ERROR_INTERNAL, errno, "cannot read %s", file->path);
		return false;
	}
	if (memcmp(data, magic, MAGIC_LEN) != 0) {
		munmap(data, (size_t)status.st_size);
		return refuse(error, file->path);
	}
	file->size = read_records(slice_make(data, (size_t)status.st_size), each, owner);
	*cut = (uint64_t)status.st_size - file->size;
	munmap(data, (size_t)status.st_size);
	if (*cut > 0 && ftruncate(fd, (off_t)file->size) < 0) {
		error_set_errno(error, ERROR_INTERNAL, errno, "cannot cut %s to %llu bytes", file->path,
				(unsigned long long)file->size);
		return false;
	}
	return true;
}

struct script_file *script_file_open(const char *path, void (*each)(void *owner, const struct script_record *record), void *owner,
				     uint64_t *ret_cut, struct error *error)
{
	struct script_file *file = memory_alloc_zero(1, sizeof(*file));
	uint64_t cut = 0;
	bool good = true;
	int fd;

	file->path = memory_strdup(path);
	buffer_init(&file->pending, BUFFER_MAX);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		good = read_file(file, fd, each, owner, &cut, error);
		close(fd);
	} else if (errno != ENOENT) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot open %s", path);
		good = false;
	}
	if (!good) {
		script_file_free(file);
		return NULL;
	}
	*ret_cut = cut;
	return file;
}

void script_file_free(struct script_file *file)
{
	if (!file)
		return;
	buffer_free(&file->pending);
	free(file->path);
	free(file);
}

uint64_t script_file_size(const struct script_file *file)
{
	return file->restart ? 0 : file->size;
}

uint64_t script_file_pending(const struct script_file *file)
{
	return buffer_readable(&file->pending).len;
}

/* The buffer's bound is far beyond what is kept, so appending cannot fail. */
static void append(struct buffer *buffer, const void *data, size_t len)
{
	if (!buffer_append(buffer, data, len))
		abort();
}

void script_file_add(struct script_file *file, const struct script_record *record)
{
	uint8_t header[HEADER_LEN] = {record->called ? 'c' : 'b'};

	memcpy(header + 1, record->sha, SHA1_LEN);
	for (unsigned i = 0; i < 4 && !record->called; i++)
		header[1 + SHA1_LEN + i] = (uint8_t)(record->body.len >> (8 * i));
	append(&file->pending, header, sizeof(header));
	if (!record->called)
		append(&file->pending, record->body.data, record->body.len);
}

static bool write_anew(struct script_file *file, struct slice bytes)
{
	struct buffer content;
	bool ok;

	buffer_init(&content, BUFFER_MAX + MAGIC_LEN);
	append(&content, magic, MAGIC_LEN);
	append(&content, bytes.data, bytes.len);
	ok = file_replace(file->path, buffer_readable(&content));
	buffer_free(&content);
	return ok;
}

static bool write_behind(const struct script_file *file, struct slice bytes)
{
	int fd = open(file->path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && file_write_at(fd, bytes, file->size) && fdatasync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool script_file_sync(struct script_file *file, struct error *error)
{
	struct slice bytes = buffer_readable(&file->pending);
	bool anew = file->restart || file->size == 0;

	if (bytes.len == 0 && !file->restart)
		return true;
	if (!(anew ? write_anew(file, bytes) : write_behind(file, bytes))) {
		error_set_errno(error, ERROR_INTERNAL, errno, "cannot write %s", file->path);
		error_hint(error, "Make room in the work directory, and make it writable");
		return false;
	}
	file->size = (anew ? MAGIC_LEN : file->size) + bytes.len;
	file->restart = false;
	/* A burst's memory is given back. */
	buffer_free(&file->pending);
	buffer_init(&file->pending, BUFFER_MAX);
	return true;
}

void script_file_restart(struct script_file *file)
{
	buffer_clear(&file->pending);
	file->restart = true;
}
