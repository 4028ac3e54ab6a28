#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static const uint8_t zeros[FORMAT_HEAD];

void segment_path(const struct segment_store *store, uint64_t number, char out[SEGMENT_PATH_MAX])
{
	char name[FORMAT_NAME_MAX];

	format_put_name(store->generation, number, name);
	snprintf(out, SEGMENT_PATH_MAX, "%s/%s", store->dir, name);
}

int segment_read_file(const struct disk *disk, int file, uint64_t offset, void *out, size_t len)
{
	uint8_t *at = out;

	while (len > 0) {
		ssize_t done = disk->pread(file, at, len, offset);

		if (done <= 0)
			return done < 0 ? (int)done : -ENODATA;
		at += done;
		offset += (uint64_t)done;
		len -= (size_t)done;
	}
	return 0;
}

int segment_write_file(const struct disk *disk, int file, uint64_t offset, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len > 0) {
		ssize_t done = disk->pwrite(file, at, len, offset);

		if (done <= 0)
			return done < 0 ? (int)done : -EIO;
		at += done;
		offset += (uint64_t)done;
		len -= (size_t)done;
	}
	return 0;
}

int segment_create(const struct segment_store *store, uint64_t number)
{
	uint8_t head[FORMAT_HEAD_USED];
	char path[SEGMENT_PATH_MAX];
	int file, result;

	segment_path(store, number, path);
	file = store->disk->open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file < 0)
		return file;
	format_put_head(&(struct format_head){.segment_size = store->size, .generation = store->generation, .number = number},
			head);
	result = segment_write_file(store->disk, file, 0, zeros, sizeof(zeros));
	if (result == 0)
		result = segment_write_file(store->disk, file, 0, head, sizeof(head));
	if (result < 0) {
		segment_close(store, file);
		return result;
	}
	return file;
}

int segment_open(const struct segment_store *store, uint64_t number, bool writable)
{
	char path[SEGMENT_PATH_MAX];

	segment_path(store, number, path);
	return store->disk->open(path, writable ? O_RDWR : O_RDONLY, 0);
}

void segment_close(const struct segment_store *store, int file)
{
	/* Nothing rests on the answer: what must be on the disk was synced, and failed there if it failed. */
	(void)store->disk->close(file);
}

int segment_write(const struct segment_store *store, int file, uint64_t offset, const void *data, size_t len)
{
	return segment_write_file(store->disk, file, FORMAT_HEAD + offset, data, len);
}

int segment_read(const struct segment_store *store, int file, uint64_t offset, void *out, size_t len)
{
	return segment_read_file(store->disk, file, FORMAT_HEAD + offset, out, len);
}

int segment_write_record(const struct segment_store *store, int file, uint64_t block, unsigned which,
			 const struct format_record *record)
{
	uint64_t at = format_record_at(which, block % store->size / FORMAT_BLOCK);
	uint8_t bytes[FORMAT_RECORD] = {0};

	if (record)
		format_put_record(record, store->generation, block, bytes);
	return segment_write_file(store->disk, file, at, bytes, sizeof(bytes));
}

int segment_remove(const struct segment_store *store, uint64_t number)
{
	char path[SEGMENT_PATH_MAX];
	int result;

	segment_path(store, number, path);
	result = store->disk->unlink(path);
	return result == -ENOENT ? 0 : result;
}

bool segment_result_is_full(int result)
{
	return result == -ENOSPC || result == -EDQUOT;
}

void segment_error(const struct segment_store *store, uint64_t number, int result, const char *what, struct error *error)
{
	char name[FORMAT_NAME_MAX];

	format_put_name(store->generation, number, name);
	error_set_errno(error, ERROR_INTERNAL, -result, "spool segment %s/%s: %s%s", store->dir, name, what,
			segment_result_is_full(result) ? ": disk full" : "");
	if (segment_result_is_full(result))
		error_hint(error, "free some space there, or give the task less spool (spool.max_size)");
}
