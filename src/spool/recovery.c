#include "spool/recovery.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

struct name {
	uint64_t generation;
	uint64_t number;
};

/* One segment file as it was found. */
struct found {
	uint64_t number;
	uint64_t bytes; /* behind the head, at most the segment's size */
	bool whole_head;
	struct format_record *records; /* two for each block; end 0: not valid */
};

struct job {
	const struct segment_store *store;
	struct name *names;
	size_t name_count;
	struct found *found; /* this generation's, ascending */
	size_t found_count;
	uint8_t *buffer; /* one block */
	uint64_t seen;   /* the furthest byte that the files or records know of */
	uint64_t synced;
	/* Where the walk stopped: position, the segment's place in found, the record that covers the last block. */
	uint64_t tail;
	size_t tail_found;
	int tail_record; /* -1: the tail is the end of a block */
};

static void visit_name(void *owner, const char *name)
{
	struct job *job = owner;
	struct name entry;

	if (!format_get_name(name, &entry.generation, &entry.number))
		return;
	job->names = memory_realloc_array(job->names, job->name_count + 1, sizeof(*job->names));
	job->names[job->name_count++] = entry;
}

static int compare_found(const void *a, const void *b)
{
	uint64_t left = ((const struct found *)a)->number, right = ((const struct found *)b)->number;

	return left < right ? -1 : left > right;
}

static void job_free(struct job *job)
{
	for (size_t i = 0; i < job->found_count; i++)
		free(job->found[i].records);
	free(job->found);
	free(job->names);
	free(job->buffer);
}

static bool list_names(struct job *job, struct error *error)
{
	const struct segment_store *store = job->store;
	int result = store->disk->list(store->dir, visit_name, job);

	if (result < 0) {
		error_set_errno(error, ERROR_INTERNAL, -result, "spool %s: the directory cannot be listed", store->dir);
		return false;
	}
	job->found = memory_alloc_zero(job->name_count, sizeof(*job->found));
	for (size_t i = 0; i < job->name_count; i++) {
		const struct name *name = &job->names[i];

		if (name->generation > store->generation) {
			error_set(error, ERROR_INTERNAL,
				  "spool %s: it holds segments of generation %llu, but its state knows only %llu: the state file "
				  "is damaged",
				  store->dir, (unsigned long long)name->generation, (unsigned long long)store->generation);
			error_hint(error, "delete everything in that directory: the link takes a new snapshot then");
			return false;
		}
		if (name->generation == store->generation)
			job->found[job->found_count++].number = name->number;
	}
	qsort(job->found, job->found_count, sizeof(*job->found), compare_found);
	return true;
}

static int read_table(struct job *job, struct found *found, int file)
{
	const struct segment_store *store = job->store;
	uint64_t start = found->number * store->size, blocks = store->size / FORMAT_BLOCK;
	uint8_t bytes[FORMAT_HEAD_USED], table[FORMAT_BLOCKS_MAX * FORMAT_RECORD];
	int64_t size = store->disk->size(file);
	struct format_head head;
	int result;

	if (size < FORMAT_HEAD)
		return size < 0 ? (int)size : 0;
	found->bytes = (uint64_t)size - FORMAT_HEAD < store->size ? (uint64_t)size - FORMAT_HEAD : store->size;
	result = segment_read_file(store->disk, file, 0, bytes, sizeof(bytes));
	found->whole_head = result == 0 && format_get_head(bytes, &head);
	if (!found->whole_head)
		return result;
	/* A whole head of another segment was not torn by anything: somebody moved the file here, or changed the state. */
	if (head.segment_size != store->size || head.generation != store->generation || head.number != found->number)
		return -EBADMSG;
	found->records = memory_alloc_zero(2 * blocks, sizeof(*found->records));
	for (unsigned which = 0; which < 2; which++) {
		result = segment_read_file(store->disk, file, format_record_at(which, 0), table, blocks * FORMAT_RECORD);
		if (result < 0)
			return result;
		for (uint64_t i = 0; i < blocks; i++) {
			struct format_record *record = &found->records[2 * i + which];

			if (!format_get_record(table + i * FORMAT_RECORD, store->generation, start + i * FORMAT_BLOCK, record))
				continue;
			job->synced = record->synced > job->synced ? record->synced : job->synced;
			job->seen = record->end > job->seen ? record->end : job->seen;
		}
	}
	return 0;
}

static bool read_tables(struct job *job, struct error *error)
{
	const struct segment_store *store = job->store;

	for (size_t i = 0; i < job->found_count; i++) {
		struct found *found = &job->found[i];
		int file = segment_open(store, found->number, false);
		int result = file;

		if (file >= 0) {
			result = read_table(job, found, file);
			segment_close(store, file);
		}
		if (result < 0) {
			segment_error(store, found->number, result,
				      result == -EBADMSG ? "its head is that of another segment" : "cannot be read", error);
			return false;
		}
		if (found->bytes > 0 && found->number * store->size + found->bytes > job->seen)
			job->seen = found->number * store->size + found->bytes;
	}
	return true;
}

/* Which of the block's records holds: -1 none, -2 the disk failed (error is set). The longer one first. */
static int choose_record(struct job *job, const struct found *found, int file, uint64_t block, struct error *error)
{
	const struct segment_store *store = job->store;
	const struct format_record *pair = &found->records[2 * (block % store->size / FORMAT_BLOCK)];
	int first = pair[1].end > pair[0].end;

	for (int turn = 0; turn < 2; turn++) {
		const struct format_record *record = &pair[turn ? !first : first];
		uint64_t len = record->end - block;
		int result;

		/* Also a trusted block must be there in full: what is behind a file's end cannot be mapped. */
		if (record->end == 0 || block % store->size + len > found->bytes)
			continue;
		if (len == FORMAT_BLOCK && record->end <= job->synced)
			return turn ? !first : first;
		result = segment_read(store, file, block % store->size, job->buffer, len);
		if (result < 0 && result != -ENODATA) {
			segment_error(store, found->number, result, "cannot be read", error);
			return -2;
		}
		if (result == 0 && XXH3_64bits(job->buffer, len) == record->sum)
			return turn ? !first : first;
	}
	return -1;
}

/* Walks one segment; false: the disk failed. *ret_whole: the walk goes on with the next segment. */
static bool walk_segment(struct job *job, size_t at, struct recovery *out, XXH3_state_t *hash, bool *ret_whole,
			 struct error *error)
{
	const struct segment_store *store = job->store;
	const struct found *found = &job->found[at];
	uint64_t stop = (found->number + 1) * store->size;
	int file = segment_open(store, found->number, false), which = 0;

	if (file < 0) {
		segment_error(store, found->number, file, "cannot be read", error);
		return false;
	}
	while (job->tail < stop && job->tail_record < 0) {
		uint64_t block = job->tail;
		const struct format_record *record;

		which = choose_record(job, found, file, block, error);
		if (which < 0)
			break;
		record = &found->records[2 * (block % store->size / FORMAT_BLOCK) + (unsigned)which];
		job->tail = record->end;
		if (record->end - block == FORMAT_BLOCK) {
			out->blocks = memory_realloc_array(out->blocks, out->block_count + 1, sizeof(*out->blocks));
			out->blocks[out->block_count++] =
				(struct recovery_block){.sum = record->sum, .verified = record->end > job->synced};
		} else {
			job->tail_record = which;
			XXH3_64bits_update(hash, job->buffer, record->end - block);
		}
	}
	segment_close(store, file);
	if (which == -2)
		return false;
	*ret_whole = job->tail == stop;
	return true;
}

static bool missing(const struct job *job, uint64_t number)
{
	for (size_t i = 0; i < job->found_count; i++)
		if (job->found[i].number == number)
			return false;
	return true;
}

static bool walk(struct job *job, struct recovery *out, XXH3_state_t *hash, struct error *error)
{
	const struct segment_store *store = job->store;
	char path[SEGMENT_PATH_MAX];
	bool whole = true;

	XXH3_64bits_reset(hash);
	job->tail = job->found_count ? job->found[0].number * store->size : 0;
	out->begin = job->tail;
	for (size_t i = 0; i < job->found_count && whole; i++) {
		/* A segment that is missing, or whose head is torn, ends what is whole. */
		if (!job->found[i].whole_head || job->found[i].number != job->found[0].number + i)
			break;
		job->tail_found = i;
		if (!walk_segment(job, i, out, hash, &whole, error))
			return false;
	}
	if (job->tail >= job->synced)
		return true;
	segment_path(store, job->tail / store->size, path);
	error_set(error, ERROR_INTERNAL,
		  "spool segment %s: %s at byte %llu of the file (position %llu); %llu bytes behind it had been on the disk",
		  path, missing(job, job->tail / store->size) ? "missing" : "damaged",
		  (unsigned long long)(FORMAT_HEAD + job->tail % store->size), (unsigned long long)job->tail,
		  (unsigned long long)(job->synced - job->tail));
	error_hint(error, "the disk, or somebody, changed the file; delete everything in that directory: the link takes a new "
			  "snapshot then");
	return false;
}

/* The records of the segment that the tail is in, and the bytes behind it, must not be taken for what will be written there. */
static int cut_segment(struct job *job, const struct found *found)
{
	const struct segment_store *store = job->store;
	uint64_t start = found->number * store->size, keep = job->tail - start;
	uint64_t block = keep / FORMAT_BLOCK;
	/* The record that counts may be in the page cache only, while the other one is on the disk: now it is safe to give that
	 * up. */
	bool changed = found->bytes != keep || job->tail_record >= 0;
	int file = segment_open(store, found->number, true);
	int result = 0;

	if (file < 0)
		return file;
	if (changed)
		result = store->disk->truncate(file, FORMAT_HEAD + keep);
	for (uint64_t i = block; i < store->size / FORMAT_BLOCK && result == 0; i++) {
		for (int which = 0; which < 2 && result == 0; which++) {
			const struct format_record *record = &found->records[2 * i + (unsigned)which];

			if (record->end <= job->tail)
				continue;
			result = segment_write_record(store, file, start + i * FORMAT_BLOCK, (unsigned)which, NULL);
			changed = true;
		}
	}
	if (result == 0 && changed)
		result = store->disk->sync(file);
	segment_close(store, file);
	return result;
}

static int repair_last(struct job *job, const struct found *found)
{
	int file;

	if (found->whole_head)
		return cut_segment(job, found);
	file = segment_create(job->store, found->number);
	if (file < 0)
		return file;
	segment_close(job->store, file);
	return 0;
}

/* Makes the files agree with the tail: later segments go, the one it is in ends there. */
static bool cut(struct job *job, struct recovery *out, struct error *error)
{
	const struct segment_store *store = job->store;
	size_t last = job->tail_found;

	if (job->found_count == 0)
		return true;
	/* Nothing in it is whole, so it goes too; but the first segment stays all the same: its name says where the spool
	 * stands. */
	if (last > 0 && job->found[last].number * store->size == job->tail)
		last--;
	for (size_t i = job->found_count; i-- > last;) {
		const struct found *found = &job->found[i];
		int result = i > last ? segment_remove(store, found->number) : repair_last(job, found);

		if (result < 0) {
			segment_error(store, found->number, result, "cannot be repaired", error);
			return false;
		}
	}
	out->next_segment = job->found[last].number + 1;
	return true;
}

/* A crash between the new state and the removal of the old generation leaves its files. */
static bool remove_old(struct job *job, struct error *error)
{
	struct segment_store old = *job->store;
	int result;

	for (size_t i = 0; i < job->name_count; i++) {
		old.generation = job->names[i].generation;
		if (old.generation == job->store->generation)
			continue;
		result = segment_remove(&old, job->names[i].number);
		if (result < 0) {
			segment_error(&old, job->names[i].number, result, "cannot be deleted", error);
			return false;
		}
	}
	result = old.disk->sync_dir(old.dir);
	if (result < 0)
		error_set_errno(error, ERROR_INTERNAL, -result, "spool %s: the directory cannot be synced", old.dir);
	return result == 0;
}

bool recovery_run(const struct segment_store *store, XXH3_state_t *hash, struct recovery *ret, struct error *error)
{
	struct job job = {.store = store, .tail_record = -1};
	struct recovery out = {0};
	bool done;

	job.buffer = memory_alloc(FORMAT_BLOCK);
	done = list_names(&job, error) && read_tables(&job, error) && walk(&job, &out, hash, error) && cut(&job, &out, error) &&
	       remove_old(&job, error);
	if (done) {
		out.end = job.tail;
		out.synced = job.synced;
		out.next_record = job.tail_record == 0;
		out.cut = job.seen > job.tail ? job.seen - job.tail : 0;
		*ret = out;
	} else {
		free(out.blocks);
	}
	job_free(&job);
	return done;
}
