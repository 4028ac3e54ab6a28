#include "cmd/rdb_file.h"

#include "base/memory.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is looked at, summed and unloaded at a time. Much smaller costs system calls, much larger memory. */
#define WINDOW (4ULL << 20)
/* Up to so many bytes a key is read again into memory of its own: mapping would load its surroundings, too. */
#define REREAD_ROOM (64ULL << 10)

bool rdb_file_open(struct rdb_file *file, const char *path, struct error *error)
{
	static uint8_t nothing[1]; /* an empty file cannot be mapped */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *data = nothing;

	if (fd < 0 || fstat(fd, &status) != 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be read", path);
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (!S_ISREG(status.st_mode)) {
		error_set(error, ERROR_USAGE, "%s is not a file", path);
		error_hint(error, "an RDB file is read as it lies on disk, not from a pipe: save it first");
		close(fd);
		return false;
	}
	if (status.st_size > 0)
		data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be mapped into memory", path);
		close(fd);
		return false;
	}
	if (status.st_size > 0)
		madvise(data, (size_t)status.st_size, MADV_SEQUENTIAL); /* advice: no harm where it is not taken */
	*file = (struct rdb_file){
		.path = path, .fd = fd, .data = data, .size = (uint64_t)status.st_size, .decoder = snapshot_decoder_new()};
	return true;
}

void rdb_file_close(struct rdb_file *file)
{
	if (file->size > 0)
		munmap((void *)(uintptr_t)file->data, file->size);
	snapshot_decoder_free(file->decoder);
	snapshot_decoder_free(file->rereader);
	free(file->reread_room);
	close(file->fd);
}

/* Sums the bytes up to `end` and unloads them, but for the page that `end` is in. What is still needed of them, a key, is loaded
 * again by itself. */
static void sum_to(struct rdb_file *file, uint64_t end)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	while (file->summed < end) {
		uint64_t len = end - file->summed < WINDOW ? end - file->summed : WINDOW;
		uint64_t whole;

		file->crc = crc64(file->crc, file->data + file->summed, len);
		file->summed += len;
		whole = file->summed / page * page;
		if (whole > file->unloaded) {
			madvise((void *)(uintptr_t)(file->data + file->unloaded), whole - file->unloaded, MADV_DONTNEED);
			file->unloaded = whole;
		}
	}
}

/* `event` is EVENT_SNAPSHOT_END. */
static bool check_sum(struct rdb_file *file, const struct event *event, enum rdb_checksum *checksum, struct error *error)
{
	uint64_t stored;

	*checksum = RDB_CHECKSUM_NONE;
	if (snapshot_decoder_place(file->decoder).rdb_version < RDB_CHECKSUM_SINCE)
		return true;
	stored = rdb_little_endian(file->data + event->end - RDB_CHECKSUM_LEN, RDB_CHECKSUM_LEN);
	if (stored == 0)
		return true;
	sum_to(file, event->end - RDB_CHECKSUM_LEN);
	if (file->crc == stored) {
		*checksum = RDB_CHECKSUM_RIGHT;
		return true;
	}
	*checksum = RDB_CHECKSUM_WRONG;
	error_set(error, ERROR_SOURCE,
		  "%s: the checksum at position %" PRIu64 " is %016" PRIx64 ", and that of the data %016" PRIx64, file->path,
		  event->end - RDB_CHECKSUM_LEN, stored, file->crc);
	error_hint(error, "bytes of the file were changed after it was written: take another copy, or let the server save again");
	return false;
}

bool rdb_file_next(struct rdb_file *file, struct event *event, enum rdb_checksum *checksum, struct error *error)
{
	uint64_t rest = file->size - file->at;
	uint64_t len = rest < WINDOW ? rest : WINDOW;
	uint64_t need = 0, scanned = 0;
	struct event next;

	/* Summed late, so that this is rare and not done for each small key. */
	if (file->at - file->summed >= WINDOW)
		sum_to(file, file->at);
	for (;;) {
		switch (snapshot_decode(file->decoder, slice_make(file->data + file->at, len), file->at, &next, &need, &scanned,
					error)) {
		case PARSE_OK:
			file->at = next.end;
			if (next.kind == EVENT_SNAPSHOT_END && !check_sum(file, &next, checksum, error))
				return false;
			*event = next;
			return true;
		case PARSE_BAD:
			error_prefix(error, "%s", file->path);
			error_hint(error, "the file is damaged, or of a newer server than this keyferry knows; all before that "
					  "position is whole");
			return false;
		case PARSE_MORE: break;
		}
		if (need > rest) {
			error_set(error, ERROR_SOURCE,
				  "%s is cut off: it ends at position %" PRIu64 ", and what begins at %" PRIu64
				  " needs at least %" PRIu64 " bytes more",
				  file->path, file->size, file->at, need - rest);
			error_hint(error, "the copying or saving of it did not come to its end");
			return false;
		}
		/* Not all of `need` at once: the walk through a large list loads what it looks at. */
		sum_to(file, file->at + scanned);
		len = rest - len < WINDOW ? rest : len + WINDOW;
	}
}

/* The bytes of a key that is read again. */
static const uint8_t *load_again(struct rdb_file *file, uint64_t start, uint64_t len)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (file->reread_end > file->reread_start)
		madvise((void *)(uintptr_t)(file->data + file->reread_start), file->reread_end - file->reread_start,
			MADV_DONTNEED);
	file->reread_start = file->reread_end = 0;
	if (len <= REREAD_ROOM) {
		if (!file->reread_room)
			file->reread_room = memory_alloc(REREAD_ROOM);
		return pread(file->fd, file->reread_room, len, (off_t)start) == (ssize_t)len ? file->reread_room : NULL;
	}
	file->reread_start = start / page * page;
	file->reread_end = start + len;
	return file->data + start;
}

bool rdb_file_read(struct rdb_file *file, uint32_t db, uint64_t start, uint64_t end, struct event *event, struct error *error)
{
	struct snapshot_place place = snapshot_decoder_place(file->decoder);
	const uint8_t *bytes = load_again(file, start, end - start);
	uint64_t need, scanned;

	if (!file->rereader)
		file->rereader = snapshot_decoder_new();
	place.db = db;
	snapshot_decoder_resume(file->rereader, place);
	if (bytes &&
	    snapshot_decode(file->rereader, slice_make(bytes, end - start), start, event, &need, &scanned, error) == PARSE_OK)
		return true;
	error_set(error, ERROR_SOURCE, "%s was changed at position %" PRIu64 " while it was read", file->path, start);
	return false;
}
