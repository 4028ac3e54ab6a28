#include "export/repeats.h"

#include "base/memory.h"
#include "base/sorter.h"
#include "decode/snapshot.h"
#include "wire/rdb.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SORT_MEMORY (64u << 20)
#define UNLOAD_STEP (64u << 20)
#define DB_LEN 4

static bool keep(struct sorter *sorter, const struct event *event, struct error *error)
{
	uint8_t *at;

	if (!sorter_add(sorter, DB_LEN + event->key.len, 0, &at, error))
		return false;
	for (unsigned i = 0; i < DB_LEN; i++)
		at[i] = (uint8_t)(event->db >> (24 - 8 * i));
	if (event->key.len > 0)
		memcpy(at + DB_LEN, event->key.data, event->key.len);
	return true;
}

static bool read_keys(struct sorter *sorter, const uint8_t *data, uint64_t length, struct error *error)
{
	struct snapshot_decoder *decoder = snapshot_decoder_new();
	struct event event = {.kind = EVENT_PROGRESS};
	uint64_t at = 0, unloaded = 0, need, scanned;
	bool ok = true;

	while (ok && event.kind != EVENT_SNAPSHOT_END) {
		if (snapshot_decode(decoder, slice_make(data + at, length - at), at, &event, &need, &scanned, error) !=
		    PARSE_OK) {
			error_set(error, ERROR_INTERNAL, "the snapshot that was written cannot be read at byte %" PRIu64, at);
			ok = false;
			break;
		}
		at = event.end;
		ok = event.kind != EVENT_KEY || keep(sorter, &event, error);
		if (at - unloaded >= UNLOAD_STEP) {
			madvise((void *)(uintptr_t)(data + unloaded), UNLOAD_STEP, MADV_DONTNEED);
			unloaded += UNLOAD_STEP;
		}
	}
	snapshot_decoder_free(decoder);
	return ok;
}

/* The sorter's slices live until it is cleared, so neighbours can be compared as they are. */
static bool compare_neighbours(struct sorter *sorter, struct error *error)
{
	struct slice key, before = {0}, unused;
	char quoted[160];

	while (sorter_next(sorter, &key, &unused)) {
		if (before.data && slice_equal(before, key)) {
			error_set(error, ERROR_CONFLICT,
				  "key %s would stand more than once in database %" PRIu64 " of the file, which no server loads",
				  slice_quote(slice_make(key.data + DB_LEN, key.len - DB_LEN), quoted, sizeof(quoted)),
				  rdb_big_endian(key.data, DB_LEN));
			error_hint(
				error,
				"Give the keys that meet there other names or databases (target.database_map, rename, lua), or leave some out with filter");
			return false;
		}
		before = key;
	}
	return true;
}

bool repeats_check(const char *path, uint64_t length, struct error *error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct sorter *sorter;
	void *data;
	bool ok;

	data = file < 0 ? MAP_FAILED : mmap(NULL, (size_t)length, PROT_READ, MAP_PRIVATE, file, 0);
	if (data == MAP_FAILED) {
		error_set_errno(error, ERROR_TARGET, errno, "%s cannot be read again", path);
		if (file >= 0)
			close(file);
		return false;
	}
	sorter = sorter_new(SORT_MEMORY);
	ok = read_keys(sorter, data, length, error) && sorter_sort(sorter, error) && compare_neighbours(sorter, error);
	sorter_free(sorter);
	munmap(data, (size_t)length);
	close(file);
	return ok;
}
