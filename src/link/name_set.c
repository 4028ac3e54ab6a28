#include "link/name_set.h"

#include "base/memory.h"
#include "base/sorter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "keyferry names 1\n"
#define MAGIC_SIZE 32
#define HEADER_SIZE (MAGIC_SIZE + 8)
#define NAME_SIZE ((size_t)16)
#define BUFFERED 4096 /* names that wait for one write */
#define SORT_MEMORY ((size_t)16 << 20)
#define PREFIXES 65536 /* of the first two bytes: where their names begin */

struct name_set {
	char *path;
	int file;
	uint64_t count;
	uint8_t *waiting; /* names not written yet */
	size_t waiting_count;
	/* sealed */
	const uint8_t *sorted; /* NULL: not yet, or empty */
	uint64_t sorted_count;
	uint64_t *begins; /* PREFIXES + 1 */
};

static bool fail(const struct name_set *set, struct error *error, const char *what)
{
	error_set_errno(error, ERROR_INTERNAL, errno, "cannot %s %s", what, set->path);
	error_hint(error, "Make room on the disk of the work directory, then start again: the link goes on where it was");
	return false;
}

static bool write_all(int file, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(file, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static void make_header(uint8_t header[HEADER_SIZE], uint64_t generation)
{
	memset(header, 0, HEADER_SIZE);
	memcpy(header, MAGIC, sizeof(MAGIC) - 1);
	for (int i = 0; i < 8; i++)
		header[MAGIC_SIZE + i] = (uint8_t)(generation >> (8 * i));
}

/* What a crash left half written at its end is cut off: the position on the disk does not cover it. */
static bool take_up(struct name_set *set, uint64_t generation, struct error *error)
{
	uint8_t wanted[HEADER_SIZE], found[HEADER_SIZE];
	struct stat stat;
	bool same;

	make_header(wanted, generation);
	if (fstat(set->file, &stat) < 0)
		return fail(set, error, "read");
	same = stat.st_size >= (off_t)HEADER_SIZE && pread(set->file, found, HEADER_SIZE, 0) == (ssize_t)HEADER_SIZE &&
	       memcmp(wanted, found, HEADER_SIZE) == 0;
	set->count = same ? ((uint64_t)stat.st_size - HEADER_SIZE) / NAME_SIZE : 0;
	if (ftruncate(set->file, same ? (off_t)(HEADER_SIZE + set->count * NAME_SIZE) : 0) < 0 ||
	    lseek(set->file, 0, SEEK_END) < 0 || (!same && !write_all(set->file, wanted, HEADER_SIZE)))
		return fail(set, error, "write");
	return true;
}

struct name_set *name_set_open(const char *path, uint64_t generation, struct error *error)
{
	struct name_set *set = memory_alloc_zero(1, sizeof(*set));

	set->path = memory_strdup(path);
	set->waiting = memory_alloc(BUFFERED * NAME_SIZE);
	set->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (set->file >= 0 ? take_up(set, generation, error) : fail(set, error, "open"))
		return set;
	name_set_close(set);
	return NULL;
}

void name_set_close(struct name_set *set)
{
	if (!set)
		return;
	if (set->sorted)
		munmap((void *)(uintptr_t)set->sorted, set->sorted_count * NAME_SIZE);
	if (set->file >= 0)
		close(set->file);
	free(set->begins);
	free(set->waiting);
	free(set->path);
	free(set);
}

void name_set_remove(struct name_set *set)
{
	if (!set)
		return;
	unlink(set->path);
	name_set_close(set);
}

static void hash_name(uint32_t db, struct slice name, uint8_t out[NAME_SIZE])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(name.data, name.len, db));
	memcpy(out, canonical.digest, NAME_SIZE);
}

static bool flush(struct name_set *set, struct error *error)
{
	if (!write_all(set->file, set->waiting, set->waiting_count * NAME_SIZE))
		return fail(set, error, "write");
	set->waiting_count = 0;
	return true;
}

bool name_set_add(struct name_set *set, uint32_t db, struct slice name, struct error *error)
{
	if (set->waiting_count == BUFFERED && !flush(set, error))
		return false;
	hash_name(db, name, set->waiting + set->waiting_count * NAME_SIZE);
	set->waiting_count++;
	set->count++;
	return true;
}

bool name_set_sync(struct name_set *set, struct error *error)
{
	if (!flush(set, error))
		return false;
	return fdatasync(set->file) == 0 || fail(set, error, "write");
}

/* ---- sealing ---- */

static bool read_names(struct name_set *set, struct sorter *sorter, struct error *error)
{
	uint8_t *names = memory_alloc(BUFFERED * NAME_SIZE);
	off_t at = HEADER_SIZE;
	bool ok = true;

	for (uint64_t left = set->count; ok && left > 0;) {
		size_t count = left < BUFFERED ? (size_t)left : BUFFERED;

		if (pread(set->file, names, count * NAME_SIZE, at) != (ssize_t)(count * NAME_SIZE)) {
			ok = fail(set, error, "read");
			break;
		}
		for (size_t i = 0; ok && i < count; i++) {
			uint8_t *record;

			ok = sorter_add(sorter, NAME_SIZE, 0, &record, error);
			if (ok)
				memcpy(record, names + i * NAME_SIZE, NAME_SIZE);
		}
		at += (off_t)(count * NAME_SIZE);
		left -= count;
	}
	free(names);
	return ok;
}

static unsigned prefix_of(const uint8_t *name)
{
	return (unsigned)name[0] << 8 | name[1];
}

/* In their order into a file without a name; `begins` is filled on the way. */
static bool write_sorted(struct name_set *set, struct sorter *sorter, int file, struct error *error)
{
	struct slice name, nothing;
	unsigned prefix = 0;
	size_t waiting = 0;

	while (sorter_next(sorter, &name, &nothing)) {
		for (; prefix <= prefix_of(name.data); prefix++)
			set->begins[prefix] = set->sorted_count;
		memcpy(set->waiting + waiting * NAME_SIZE, name.data, NAME_SIZE);
		set->sorted_count++;
		if (++waiting < BUFFERED)
			continue;
		if (!write_all(file, set->waiting, waiting * NAME_SIZE))
			return fail(set, error, "sort");
		waiting = 0;
	}
	for (; prefix <= PREFIXES; prefix++)
		set->begins[prefix] = set->sorted_count;
	return write_all(file, set->waiting, waiting * NAME_SIZE) || fail(set, error, "sort");
}

static bool map_sorted(struct name_set *set, struct sorter *sorter, struct error *error)
{
	char *beside = memory_printf("%s.sorted", set->path);
	int file = open(beside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = file >= 0;
	void *map;

	if (ok)
		unlink(beside);
	else
		fail(set, error, "sort");
	free(beside);
	ok = ok && write_sorted(set, sorter, file, error);
	if (ok && set->sorted_count > 0) {
		map = mmap(NULL, set->sorted_count * NAME_SIZE, PROT_READ, MAP_SHARED, file, 0);
		if (map != MAP_FAILED)
			set->sorted = map;
		else
			ok = fail(set, error, "sort");
	}
	if (file >= 0)
		close(file);
	return ok;
}

bool name_set_seal(struct name_set *set, struct error *error)
{
	struct sorter *sorter = sorter_new(SORT_MEMORY);
	bool ok;

	set->begins = memory_alloc_zero(PREFIXES + 1, sizeof(*set->begins));
	ok = flush(set, error) && read_names(set, sorter, error) && sorter_sort(sorter, error) && map_sorted(set, sorter, error);
	sorter_free(sorter);
	return ok;
}

bool name_set_has(const struct name_set *set, uint32_t db, struct slice name)
{
	uint8_t wanted[NAME_SIZE];
	uint64_t low, high;

	hash_name(db, name, wanted);
	low = set->begins[prefix_of(wanted)];
	high = set->begins[prefix_of(wanted) + 1];
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int order = memcmp(set->sorted + middle * NAME_SIZE, wanted, NAME_SIZE);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

uint64_t name_set_count(const struct name_set *set)
{
	return set->count;
}
