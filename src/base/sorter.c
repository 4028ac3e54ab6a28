#include "base/sorter.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* In memory and in the file alike: this, the key, the payload. */
struct header {
	uint64_t key_len;
	uint64_t payload_len;
};

/* One per record in memory. Most comparisons are settled by the first bytes of the key, without a look at the record. */
struct entry {
	uint64_t first; /* of the key, as a big-endian number, with zeros behind a shorter one */
	uint64_t at;    /* of the header, in the sorter's memory */
};

/* What one record costs beside its bytes; qsort_r() works on a copy of the entries. */
#define ENTRY_COST (2 * sizeof(struct entry))

/* A sorted part of the file. */
struct run {
	uint64_t at;
	uint64_t end;
	uint64_t unloaded; /* up to here, what was handed out has been given back to the system */
};

/* So much of a run stays loaded behind the record that was handed out last. */
#define RUN_KEPT (1U << 20)

struct sorter {
	size_t limit;
	uint8_t *memory;
	size_t used;
	size_t room;
	struct entry *entries;
	size_t count;
	size_t entry_room;
	FILE *file; /* made when it is first needed */
	uint64_t written;
	struct run *runs;
	size_t run_count;
	size_t run_room;
	/* while records are handed out */
	const uint8_t *map; /* the file; NULL: all records are in memory */
	size_t next;        /* in `entries`, where all records are in memory */
};

struct sorter *sorter_new(size_t memory)
{
	struct sorter *sorter = memory_alloc_zero(1, sizeof(*sorter));

	sorter->limit = memory;
	return sorter;
}

void sorter_clear(struct sorter *sorter)
{
	if (sorter->map)
		munmap((void *)(uintptr_t)sorter->map, sorter->written);
	sorter->map = NULL;
	if (sorter->file)
		fclose(sorter->file); /* its room on disk is free then; nobody needs its bytes, written or not */
	sorter->file = NULL;
	sorter->written = 0;
	sorter->run_count = 0;
	sorter->used = 0;
	sorter->count = 0;
	sorter->next = 0;
	if (sorter->room > sorter->limit) { /* one very large record */
		free(sorter->memory);
		sorter->memory = NULL;
		sorter->room = 0;
	}
}

void sorter_free(struct sorter *sorter)
{
	if (!sorter)
		return;
	sorter_clear(sorter);
	free(sorter->runs);
	free(sorter->entries);
	free(sorter->memory);
	free(sorter);
}

/* ---- order ---- */

static struct header header_at(const uint8_t *record)
{
	struct header header;

	memcpy(&header, record, sizeof(header)); /* records stand one behind the other, on any address */
	return header;
}

static int compare_bytes(const uint8_t *a, uint64_t a_len, const uint8_t *b, uint64_t b_len)
{
	uint64_t common = a_len < b_len ? a_len : b_len;
	int order = common > 0 ? memcmp(a, b, common) : 0;

	return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int compare_records(const uint8_t *a, const uint8_t *b)
{
	struct header left = header_at(a), right = header_at(b);
	int order;

	a += sizeof(left);
	b += sizeof(right);
	order = compare_bytes(a, left.key_len, b, right.key_len);
	return order ? order : compare_bytes(a + left.key_len, left.payload_len, b + right.key_len, right.payload_len);
}

static int compare_entries(const void *left, const void *right, void *memory)
{
	const struct entry *a = left;
	const struct entry *b = right;

	if (a->first != b->first)
		return a->first < b->first ? -1 : 1;
	return compare_records((const uint8_t *)memory + a->at, (const uint8_t *)memory + b->at);
}

static void sort_memory(struct sorter *sorter)
{
	for (size_t i = 0; i < sorter->count; i++) {
		const uint8_t *record = sorter->memory + sorter->entries[i].at;
		uint64_t len = header_at(record).key_len;
		uint64_t first = 0;

		for (unsigned b = 0; b < 8; b++)
			first = first << 8 | (b < len ? record[sizeof(struct header) + b] : 0);
		sorter->entries[i].first = first;
	}
	if (sorter->count > 1)
		qsort_r(sorter->entries, sorter->count, sizeof(*sorter->entries), compare_entries, sorter->memory);
}

/* ---- the file ---- */

static const char *temporary_folder(void)
{
	const char *folder = getenv("TMPDIR");

	/* Not /tmp, which on many machines is memory. */
	return folder && folder[0] ? folder : "/var/tmp";
}

static bool fail(struct error *error, const char *what)
{
	error_set_errno(error, ERROR_INTERNAL, errno, "a temporary file for sorting cannot be %s in %s", what,
			temporary_folder());
	error_hint(error, "set TMPDIR to a folder with room, and permission to write there");
	return false;
}

static bool open_file(struct sorter *sorter, struct error *error)
{
	char *path = memory_printf("%s/keyferry-sort-XXXXXX", temporary_folder());
	int fd = mkostemp(path, O_CLOEXEC);

	if (fd < 0) {
		free(path);
		return fail(error, "made");
	}
	unlink(path);
	free(path);
	sorter->file = fdopen(fd, "w+");
	if (sorter->file)
		return true;
	close(fd);
	return fail(error, "opened");
}

/* All records in memory become one more run of the file. */
static bool spill(struct sorter *sorter, struct error *error)
{
	uint64_t start = sorter->written;

	if (!sorter->file && !open_file(sorter, error))
		return false;
	sort_memory(sorter);
	for (size_t i = 0; i < sorter->count; i++) {
		const uint8_t *record = sorter->memory + sorter->entries[i].at;
		struct header header = header_at(record);
		uint64_t len = sizeof(header) + header.key_len + header.payload_len;

		if (fwrite(record, 1, len, sorter->file) != len)
			return fail(error, "written");
		sorter->written += len;
	}
	if (sorter->run_count == sorter->run_room) {
		sorter->run_room = sorter->run_room ? 2 * sorter->run_room : 16;
		sorter->runs = memory_realloc_array(sorter->runs, sorter->run_room, sizeof(*sorter->runs));
	}
	sorter->runs[sorter->run_count++] = (struct run){start, sorter->written, start};
	sorter->used = 0;
	sorter->count = 0;
	return true;
}

/* ---- in ---- */

/* A doubled room, but none beyond the limit unless `need` itself is. */
static size_t grown(size_t room, size_t need, size_t limit)
{
	size_t doubled = room < 4096 ? 4096 : 2 * room;

	if (doubled > limit)
		doubled = limit;
	return doubled < need ? need : doubled;
}

bool sorter_add(struct sorter *sorter, size_t key_len, size_t payload_len, uint8_t **record, struct error *error)
{
	struct header header = {key_len, payload_len};
	size_t len = sizeof(header) + key_len + payload_len;
	size_t held = sorter->used + sorter->count * ENTRY_COST;

	if (sorter->count > 0 && held + len + ENTRY_COST > sorter->limit && !spill(sorter, error))
		return false;
	if (sorter->room - sorter->used < len) {
		sorter->room = grown(sorter->room, sorter->used + len, sorter->limit);
		sorter->memory = memory_realloc(sorter->memory, sorter->room);
	}
	if (sorter->count == sorter->entry_room) {
		sorter->entry_room = grown(sorter->entry_room, sorter->count + 1, sorter->limit / ENTRY_COST);
		sorter->entries = memory_realloc_array(sorter->entries, sorter->entry_room, sizeof(*sorter->entries));
	}
	memcpy(sorter->memory + sorter->used, &header, sizeof(header));
	*record = sorter->memory + sorter->used + sizeof(header);
	sorter->entries[sorter->count++].at = sorter->used;
	sorter->used += len;
	return true;
}

/* ---- out ---- */

static bool comes_before(const struct sorter *sorter, size_t a, size_t b)
{
	return compare_records(sorter->map + sorter->runs[a].at, sorter->map + sorter->runs[b].at) < 0;
}

/* The runs are a heap by their first records: none comes before that of its parent. Restores it where only `at` may be too
 * large. */
static void sift_down(struct sorter *sorter, size_t at)
{
	for (;;) {
		size_t least = at;
		struct run run;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sorter->run_count; child++)
			if (comes_before(sorter, child, least))
				least = child;
		if (least == at)
			return;
		run = sorter->runs[at];
		sorter->runs[at] = sorter->runs[least];
		sorter->runs[least] = run;
		at = least;
	}
}

bool sorter_sort(struct sorter *sorter, struct error *error)
{
	void *map;

	if (sorter->run_count == 0) {
		sort_memory(sorter);
		return true;
	}
	if (sorter->count > 0 && !spill(sorter, error))
		return false;
	if (fflush(sorter->file) != 0)
		return fail(error, "written");
	map = mmap(NULL, sorter->written, PROT_READ, MAP_PRIVATE, fileno(sorter->file), 0);
	if (map == MAP_FAILED)
		return fail(error, "mapped");
	sorter->map = map;
	for (size_t i = sorter->run_count / 2; i-- > 0;)
		sift_down(sorter, i);
	return true;
}

/* Gives back the memory of whole pages before the run's next record; a slice that is still in use loads its page again by itself. */
static void unload(struct sorter *sorter, struct run *run)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = run->unloaded / page * page;
	uint64_t end = run->at / page * page;

	if (run->at - run->unloaded < RUN_KEPT && run->at < run->end)
		return;
	if (end > start)
		madvise((void *)(uintptr_t)(sorter->map + start), end - start, MADV_DONTNEED);
	run->unloaded = run->at;
}

bool sorter_next(struct sorter *sorter, struct slice *key, struct slice *payload)
{
	struct header header;
	const uint8_t *record;

	if (sorter->map) {
		if (sorter->run_count == 0)
			return false;
		record = sorter->map + sorter->runs[0].at;
	} else {
		if (sorter->next == sorter->count)
			return false;
		record = sorter->memory + sorter->entries[sorter->next++].at;
	}
	header = header_at(record);
	*key = slice_make(record + sizeof(header), header.key_len);
	*payload = slice_make(record + sizeof(header) + header.key_len, header.payload_len);
	if (sorter->map) {
		sorter->runs[0].at += sizeof(header) + header.key_len + header.payload_len;
		unload(sorter, &sorter->runs[0]);
		if (sorter->runs[0].at == sorter->runs[0].end)
			sorter->runs[0] = sorter->runs[--sorter->run_count];
		sift_down(sorter, 0);
	}
	return true;
}
