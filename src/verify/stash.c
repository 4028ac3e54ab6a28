#include "verify/stash.h"

#include "base/arena.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapping {
	void *at;
	size_t len;
};

struct stash {
	struct arena arena;
	uint64_t memory_max, memory_used;
	int file; /* -1: there is none */
	uint64_t file_end;
	struct mapping *mappings;
	uint32_t mapping_count, mapping_room;
};

struct stash *stash_new(uint64_t memory_max)
{
	struct stash *stash = memory_alloc_zero(1, sizeof(*stash));

	stash->memory_max = memory_max;
	stash->file = -1;
	return stash;
}

void stash_reset(struct stash *stash)
{
	for (uint32_t i = 0; i < stash->mapping_count; i++)
		munmap(stash->mappings[i].at, stash->mappings[i].len);
	stash->mapping_count = 0;
	/* The disk's room is given back at once; a new file is cheaper to be had than to be kept. */
	if (stash->file >= 0)
		close(stash->file);
	stash->file = -1;
	stash->file_end = 0;
	stash->memory_used = 0;
	arena_reset(&stash->arena);
}

void stash_free(struct stash *stash)
{
	if (!stash)
		return;
	stash_reset(stash);
	arena_free(&stash->arena);
	free(stash->mappings);
	free(stash);
}

void stash_begin(struct stash *stash, uint64_t len, struct stash_item *ret)
{
	*ret = (struct stash_item){.len = len};
	if (len <= stash->memory_max - stash->memory_used) {
		ret->memory = arena_take(&stash->arena, len);
		stash->memory_used += len;
		return;
	}
	ret->at = stash->file_end;
	stash->file_end += len;
}

static const char *folder(void)
{
	const char *set = getenv("TMPDIR");

	return set && *set ? set : "/var/tmp";
}

static bool open_file(struct stash *stash, struct error *error)
{
	char *path;

	if (stash->file >= 0)
		return true;
	stash->file = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (stash->file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		/* A file system that knows no files without names. */
		path = memory_printf("%s/keyferry-verify-XXXXXX", folder());
		stash->file = mkostemp(path, O_CLOEXEC);
		if (stash->file >= 0)
			unlink(path);
		free(path);
	}
	if (stash->file >= 0)
		return true;
	error_set_errno(error, ERROR_INTERNAL, errno, "no file for large values can be made in %.300s", folder());
	error_hint(error, "Set TMPDIR to a folder on a disk with room for the largest values of both sides");
	return false;
}

bool stash_add(struct stash *stash, struct stash_item *item, struct slice bytes, struct error *error)
{
	uint64_t left = item->len - item->filled;
	size_t len = bytes.len < left ? bytes.len : (size_t)left;

	if (item->memory) {
		if (len > 0)
			memcpy(item->memory + item->filled, bytes.data, len);
		item->filled += len;
		return true;
	}
	if (!open_file(stash, error))
		return false;
	while (len > 0) {
		ssize_t written = pwrite(stash->file, bytes.data, len, (off_t)(item->at + item->filled));

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			error_set_errno(error, ERROR_INTERNAL, errno, "a large value cannot be kept in %.300s", folder());
			error_hint(error, "Set TMPDIR to a folder on a disk with room for the largest values of both sides");
			return false;
		}
		item->filled += (uint64_t)written;
		bytes = slice_make(bytes.data + written, bytes.len - (size_t)written);
		len -= (size_t)written;
	}
	return true;
}

bool stash_get(struct stash *stash, const struct stash_item *item, struct slice *ret, struct error *error)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), begin = item->at / page * page;
	struct mapping mapping;

	if (item->memory || item->filled == 0) {
		*ret = slice_make(item->memory, item->filled);
		return true;
	}
	mapping.len = (size_t)(item->at + item->filled - begin);
	mapping.at = mmap(NULL, mapping.len, PROT_READ, MAP_SHARED, stash->file, (off_t)begin);
	if (mapping.at == MAP_FAILED) {
		error_set_errno(error, ERROR_INTERNAL, errno, "a large value of %zu bytes cannot be read back",
				(size_t)item->filled);
		return false;
	}
	madvise(mapping.at, mapping.len, MADV_SEQUENTIAL);
	if (stash->mapping_count == stash->mapping_room) {
		stash->mapping_room = stash->mapping_room ? 2 * stash->mapping_room : 8;
		stash->mappings = memory_realloc_array(stash->mappings, stash->mapping_room, sizeof(*stash->mappings));
	}
	stash->mappings[stash->mapping_count++] = mapping;
	*ret = slice_make((const uint8_t *)mapping.at + (item->at - begin), (size_t)item->filled);
	return true;
}

void stash_let_go(struct stash *stash, struct slice part)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)part.data, begin = (at + page - 1) / page * page;

	/* Of memory of our own it would be the end, so only what is known to be mapped. */
	for (uint32_t i = 0; i < stash->mapping_count; i++) {
		uintptr_t low = (uintptr_t)stash->mappings[i].at, high = low + stash->mappings[i].len;

		if (at >= low && at + part.len <= high && begin < at + part.len)
			madvise((void *)begin, at + part.len - begin, MADV_DONTNEED);
	}
}
