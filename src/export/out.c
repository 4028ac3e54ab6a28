#include "export/out.h"

#include "base/memory.h"
#include "wire/crc64.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>

#define BUFFER_SIZE (1u << 20)
/* Larger pieces go from where they lie to the file, in steps: mapped pages are looked at once for the file and once more for the sum while still warm. */
#define DIRECT_MIN (64u << 10)
#define DIRECT_STEP (1u << 20)

void out_init(struct out *out, const struct disk *disk)
{
	*out = (struct out){.disk = disk, .file = -1};
}

void out_close(struct out *out)
{
	if (out->file >= 0)
		out->disk->close(out->file);
	out->file = -1;
	free(out->path);
	out->path = NULL;
	out->used = 0;
	out->trouble = 0;
}

void out_free(struct out *out)
{
	out_close(out);
	free(out->buffer);
	out->buffer = NULL;
}

static bool refuse(struct out *out, int errnum, const char *what, struct error *error)
{
	error_set_errno(error, ERROR_TARGET, errnum, "%s %s", what, out->path);
	error_hint(error, "Its folder has to be there and writable, and the disk sound");
	out_close(out);
	return false;
}

static bool open_file(struct out *out, const char *path, int flags, struct error *error)
{
	out_close(out);
	out->path = memory_strdup(path);
	out->file = out->disk->open(path, O_RDWR | flags, 0644);
	if (out->file < 0) {
		int errnum = -out->file;

		out->file = -1;
		return refuse(out, errnum, "cannot open", error);
	}
	/* Two tasks that write one file would each cut off what the other wrote. A disk of a test is nobody else's. */
	if (out->disk == &disk_real && flock(out->file, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
		error_set(error, ERROR_TARGET, "%s is being written by another process", path);
		error_hint(error, "Give each task a target.path of its own");
		out_close(out);
		return false;
	}
	if (!out->buffer)
		out->buffer = memory_alloc(BUFFER_SIZE);
	return true;
}

bool out_create(struct out *out, const char *path, bool summed, struct error *error)
{
	int status;

	if (!open_file(out, path, O_CREAT, error))
		return false;
	status = out->disk->truncate(out->file, 0);
	if (status < 0)
		return refuse(out, -status, "cannot empty", error);
	out->summed = summed;
	out->flushed = out->mark = out->checksum = out->mark_checksum = 0;
	return true;
}

bool out_resume(struct out *out, const char *path, bool summed, uint64_t length, uint64_t checksum, struct error *error)
{
	int64_t size;
	int status;

	if (!open_file(out, path, 0, error))
		return false;
	size = out->disk->size(out->file);
	if (size < 0)
		return refuse(out, (int)-size, "cannot look at", error);
	if ((uint64_t)size < length) {
		error_set(error, ERROR_TARGET, "%s has %" PRId64 " bytes, and the task had written %" PRIu64, path, size, length);
		error_hint(
			error,
			"It was changed meanwhile: restore it, or begin anew with an empty work directory and target.existing: flush");
		out_close(out);
		return false;
	}
	status = out->disk->truncate(out->file, length);
	if (status < 0)
		return refuse(out, -status, "cannot cut off the end of", error);
	out->summed = summed;
	out->flushed = out->mark = length;
	out->checksum = out->mark_checksum = checksum;
	return true;
}

uint64_t out_checksum(const struct out *out)
{
	return crc64(out->checksum, out->buffer, out->used);
}

/* So many bytes more are in the file. The sum up to the mark is kept on the way: it may have to go on from there. */
static void account(struct out *out, const uint8_t *data, size_t len)
{
	size_t before = 0;

	if (out->summed) {
		if (out->mark > out->flushed && out->mark - out->flushed <= len) {
			before = (size_t)(out->mark - out->flushed);
			out->checksum = crc64(out->checksum, data, before);
			out->mark_checksum = out->checksum;
		}
		out->checksum = crc64(out->checksum, data + before, len - before);
	}
	out->flushed += len;
}

/* Returns how much of it went into the file; less than all: trouble. */
static size_t write_out(struct out *out, const uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		size_t step = len - at < DIRECT_STEP ? len - at : DIRECT_STEP;
		ssize_t n = out->disk->pwrite(out->file, data + at, step, out->flushed);

		if (n <= 0) {
			out->trouble = n < 0 ? (int)-n : ENOSPC;
			break;
		}
		account(out, data + at, (size_t)n);
		at += (size_t)n;
	}
	return at;
}

static bool drain(struct out *out)
{
	size_t done = write_out(out, out->buffer, out->used);

	if (done < out->used)
		memmove(out->buffer, out->buffer + done, out->used - done);
	out->used -= done;
	return out->used == 0;
}

static void put_direct(struct out *out, const uint8_t *data, size_t len)
{
	size_t step = 0;

	for (size_t at = 0; at < len && !out->trouble; at += step) {
		step = len - at < DIRECT_STEP ? len - at : DIRECT_STEP;
		write_out(out, data + at, step);
		if (out->passed)
			out->passed(out->owner, data + at, step);
	}
}

void out_put(struct out *out, const void *data, size_t len)
{
	if (out->trouble || len == 0)
		return;
	if (len > BUFFER_SIZE - out->used || len >= DIRECT_MIN) {
		if (!drain(out))
			return;
	}
	if (len >= DIRECT_MIN) {
		put_direct(out, data, len);
		return;
	}
	memcpy(out->buffer + out->used, data, len);
	out->used += len;
}

void out_mark(struct out *out)
{
	out->mark = out_length(out);
	if (out->used == 0)
		out->mark_checksum = out->checksum;
}

/* To a length whose checksum is known. */
static bool cut(struct out *out, uint64_t length, uint64_t checksum, struct error *error)
{
	int status;

	out->trouble = 0;
	if (length >= out->flushed) {
		out->used = (size_t)(length - out->flushed);
		return true;
	}
	out->used = 0;
	status = out->disk->truncate(out->file, length);
	if (status < 0) {
		error_set_errno(error, ERROR_TARGET, -status, "cannot cut off the end of %s", out->path);
		return false;
	}
	out->flushed = length;
	out->checksum = checksum;
	return true;
}

bool out_cut(struct out *out, struct error *error)
{
	return cut(out, out->mark, out->mark_checksum, error);
}

bool out_cut_to(struct out *out, uint64_t length, struct error *error)
{
	out->mark = length;
	return cut(out, length, 0, error);
}

bool out_flush(struct out *out)
{
	out->trouble = 0;
	return drain(out);
}

bool out_sync(struct out *out, struct error *error)
{
	int status = out->disk->sync(out->file);

	if (status == 0)
		return true;
	error_set_errno(error, ERROR_TARGET, -status, "%s could not be written to the disk", out->path);
	error_hint(error, "Look at the disk. Started again, the task writes anew what came after the last position that it kept");
	return false;
}

bool out_is_full(const struct out *out)
{
	return out->trouble == ENOSPC || out->trouble == EDQUOT;
}

void out_trouble_error(const struct out *out, struct error *error)
{
	error_set_errno(error, ERROR_TARGET, out->trouble, "cannot write %s", out->path);
	if (out->trouble == EFBIG)
		error_hint(
			error,
			"A file may not be so large here (ulimit -f, or the file system's limit); started again, the task goes on where it was");
	else
		error_hint(error, "Started again, the task goes on where it was");
}
