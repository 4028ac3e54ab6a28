#include "source/names.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/sorter.h"
#include "wire/crc64.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECENT 65536 /* names that are known to be written; a power of two */
#define SORTER_MEMORY (32u << 20)
#define PORTION_BYTES (1u << 20)
#define PORTION_RECORDS 8192
#define KEY_MAX (512u << 20)
#define TIDY_MIN (64u << 20)

struct file {
	uint64_t number;
	uint64_t size;
};

enum phase { RESTING, READING, MERGING, MERGED };

struct names {
	char *dir;
	int fd;             /* of the last file; -1: none is open */
	struct file *files; /* in the order of their numbers */
	uint32_t count;
	struct buffer waiting;
	uint64_t *recent;    /* hashes of names added of late */
	uint64_t tidy_size;  /* bytes after the last job */
	uint64_t pass_first; /* files from this number on are the pass's */

	enum phase phase;
	bool forgets;     /* the job is a pass's: what is missing is left out */
	uint64_t job_end; /* files below this number take part */
	uint32_t reading; /* index of the file being read */
	int in, out;
	uint64_t out_size;
	struct buffer bytes;  /* of `in` */
	struct buffer merged; /* for `out` */
	struct sorter *sorter;
	struct slice group; /* the name whose records are being counted */
	bool group_seen, group_any, at_end;
};

static const char *path_of(const struct names *names, uint64_t number, bool temporary, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%020" PRIu64 ".%s", names->dir, number, temporary ? "tmp" : "names");
	return out;
}

static bool fail(const struct names *names, const char *what, struct error *error)
{
	error_set_errno(error, ERROR_INTERNAL, errno, "the names of keys in %s cannot be %s", names->dir, what);
	return false;
}

/* ---- opening ---- */

static int by_number(const void *a, const void *b)
{
	const struct file *left = a, *right = b;

	return left->number < right->number ? -1 : left->number > right->number;
}

static void add_file(struct names *names, uint64_t number, uint64_t size)
{
	names->files = memory_realloc_array(names->files, names->count + 1, sizeof(names->files[0]));
	names->files[names->count++] = (struct file){number, size};
}

static bool list_files(struct names *names, struct error *error)
{
	DIR *dir = opendir(names->dir);
	struct dirent *entry;

	if (!dir)
		return fail(names, "listed", error);
	while ((entry = readdir(dir)) != NULL) {
		struct stat facts;
		uint64_t number;
		size_t len = strlen(entry->d_name);

		if (len > 4 && strcmp(entry->d_name + len - 4, ".tmp") == 0)
			unlinkat(dirfd(dir), entry->d_name, 0); /* a job that was cut off */
		if (len != 26 || strcmp(entry->d_name + 20, ".names") != 0 ||
		    !slice_to_uint64(slice_make(entry->d_name, 20), &number) || fstatat(dirfd(dir), entry->d_name, &facts, 0) < 0)
			continue;
		add_file(names, number, (uint64_t)facts.st_size);
	}
	closedir(dir);
	if (names->count > 0)
		qsort(names->files, names->count, sizeof(names->files[0]), by_number);
	return true;
}

struct names *names_open(const char *dir, struct error *error)
{
	struct names *names;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot make the folder %s", dir);
		return NULL;
	}
	names = memory_alloc_zero(1, sizeof(*names));
	names->dir = memory_strdup(dir);
	names->fd = names->in = names->out = -1;
	names->recent = memory_alloc_zero(RECENT, sizeof(names->recent[0]));
	buffer_init(&names->waiting, SIZE_MAX / 2);
	buffer_init(&names->bytes, KEY_MAX + PORTION_BYTES);
	buffer_init(&names->merged, SIZE_MAX / 2);
	if (!list_files(names, error)) {
		names_close(names);
		return NULL;
	}
	return names;
}

static void close_file(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* What was done of the job is thrown away; its files stay. */
static void drop_job(struct names *names)
{
	char path[PATH_MAX];

	close_file(&names->in);
	if (names->out >= 0 || names->phase == MERGED)
		unlink(path_of(names, names->job_end, true, path));
	close_file(&names->out);
	sorter_free(names->sorter);
	names->sorter = NULL;
	names->phase = RESTING;
	buffer_free(&names->bytes);
	buffer_free(&names->merged);
}

void names_close(struct names *names)
{
	struct error ignored;

	if (!names)
		return;
	if (names->fd >= 0 && names_flush(names, &ignored))
		fdatasync(names->fd);
	drop_job(names);
	close_file(&names->fd);
	buffer_free(&names->waiting);
	free(names->recent);
	free(names->files);
	free(names->dir);
	free(names);
}

/* ---- adding ---- */

static void put_number(uint8_t *out, size_t *len, uint64_t number)
{
	while (number >= 0x80) {
		out[(*len)++] = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	out[(*len)++] = (uint8_t)number;
}

static void append_record(struct buffer *out, uint32_t db, struct slice key)
{
	uint8_t head[20];
	size_t len = 0;
	bool fits;

	put_number(head, &len, db);
	put_number(head, &len, key.len);
	fits = buffer_append(out, head, len) && buffer_append_slice(out, key);
	(void)fits; /* these buffers have no bound of their own: whoever fills them empties them */
}

void names_add(struct names *names, uint32_t db, struct slice key)
{
	uint64_t hash = crc64(db + 1, key.data, key.len) | 1;
	uint64_t *recent = &names->recent[(hash >> 1 ^ hash >> 33) & (RECENT - 1)];

	if (*recent == hash)
		return;
	*recent = hash;
	append_record(&names->waiting, db, key);
}

static size_t waiting(const struct names *names)
{
	return buffer_readable(&names->waiting).len;
}

static bool write_out(const struct names *names, int fd, struct buffer *from, uint64_t *size, struct error *error)
{
	while (buffer_readable(from).len > 0) {
		struct slice bytes = buffer_readable(from);
		ssize_t wrote = write(fd, bytes.data, bytes.len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return fail(names, "written", error);
		buffer_consumed(from, (size_t)wrote);
		*size += (uint64_t)wrote;
	}
	return true;
}

/* What is added from now on goes into a file of its own. */
static bool begin_file(struct names *names, struct error *error)
{
	uint64_t number = names->count > 0 ? names->files[names->count - 1].number + 1 : 1;
	char path[PATH_MAX];
	int fd;

	/* A job's result takes its last number but one. */
	if (number <= names->job_end)
		number = names->job_end + 1;
	fd = open(path_of(names, number, false, path), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(names, "written", error);
	close_file(&names->fd);
	names->fd = fd;
	add_file(names, number, 0);
	return true;
}

bool names_flush(struct names *names, struct error *error)
{
	if (waiting(names) == 0)
		return true;
	return (names->fd >= 0 || begin_file(names, error)) &&
	       write_out(names, names->fd, &names->waiting, &names->files[names->count - 1].size, error);
}

bool names_begin_pass(struct names *names, struct error *error)
{
	if (!names_flush(names, error))
		return false;
	drop_job(names);
	if (!begin_file(names, error))
		return false;
	names->pass_first = names->files[names->count - 1].number;
	memset(names->recent, 0, RECENT * sizeof(names->recent[0]));
	return true;
}

/* ---- the job ---- */

static void begin_job(struct names *names, bool forgets)
{
	drop_job(names);
	names->forgets = forgets;
	names->phase = READING;
	names->job_end = 0;
}

void names_end_pass(struct names *names)
{
	begin_job(names, true);
}

bool names_working(const struct names *names)
{
	return names->phase == READING || names->phase == MERGING;
}

void names_tidy(struct names *names)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < names->count; i++)
		size += names->files[i].size;
	if (names->phase == RESTING && size > TIDY_MIN + 2 * names->tidy_size)
		begin_job(names, false);
}

/* Files from before the pass; without any, nothing can be missing. */
static bool any_before(const struct names *names)
{
	for (uint32_t i = 0; i < names->count; i++)
		if (names->files[i].number < names->pass_first && names->files[i].size > 0)
			return true;
	return false;
}

/* The job's first step, here because it may fail. */
static bool set_out(struct names *names, struct error *error)
{
	char path[PATH_MAX];
	uint64_t last;

	if (!names_flush(names, error))
		return false;
	last = names->count > 0 ? names->files[names->count - 1].number : 0;
	names->job_end = last + 1; /* the number of the result; the next file has a higher one */
	if (!begin_file(names, error))
		return false;
	names->out = open(path_of(names, names->job_end, true, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (names->out < 0)
		return fail(names, "written", error);
	names->sorter = sorter_new(SORTER_MEMORY);
	names->reading = 0;
	names->out_size = 0;
	names->group_any = names->at_end = false;
	return true;
}

static bool get_number(struct slice *bytes, uint64_t *ret)
{
	uint64_t number = 0;

	for (unsigned shift = 0; bytes->len > 0 && shift < 63; shift += 7) {
		uint8_t byte = *bytes->data;

		*bytes = slice_make(bytes->data + 1, bytes->len - 1);
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*ret = number;
			return true;
		}
	}
	return false;
}

/* Puts whole records of `bytes` into the sorter. */
static bool sort_records(struct names *names, bool seen, struct error *error)
{
	for (;;) {
		struct slice bytes = buffer_readable(&names->bytes), rest = bytes;
		uint64_t db, len;
		uint8_t *record;

		if (!get_number(&rest, &db) || !get_number(&rest, &len) || rest.len < len)
			return true;
		if (!sorter_add(names->sorter, 4 + (size_t)len, 1, &record, error))
			return false;
		for (int i = 0; i < 4; i++)
			record[i] = (uint8_t)(db >> (24 - 8 * i));
		memcpy(record + 4, rest.data, (size_t)len);
		record[4 + len] = seen;
		buffer_consumed(&names->bytes, bytes.len - rest.len + (size_t)len);
	}
}

static bool read_portion(struct names *names, struct error *error)
{
	const struct file *file = &names->files[names->reading];
	char path[PATH_MAX];
	ssize_t got;
	size_t room;
	uint8_t *out;

	if (names->in < 0) {
		names->in = open(path_of(names, file->number, false, path), O_RDONLY | O_CLOEXEC);
		if (names->in < 0)
			return fail(names, "read", error);
		buffer_clear(&names->bytes);
	}
	if (!buffer_reserve(&names->bytes, PORTION_BYTES)) {
		errno = EBADMSG;
		return fail(names, "read", error);
	}
	out = buffer_room(&names->bytes, &room);
	do
		got = read(names->in, out, room < PORTION_BYTES ? room : PORTION_BYTES);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return fail(names, "read", error);
	if (got > 0) {
		buffer_produced(&names->bytes, (size_t)got);
		return sort_records(names, !names->forgets || file->number >= names->pass_first, error);
	}
	close_file(&names->in);
	names->reading++;
	return true;
}

static uint32_t group_db(struct slice group)
{
	return (uint32_t)group.data[0] << 24 | (uint32_t)group.data[1] << 16 | (uint32_t)group.data[2] << 8 | group.data[3];
}

/* The records of one name stand together. True: its group has ended, and it was not in the pass. */
static bool close_group(struct names *names, uint32_t *db, struct slice *key)
{
	if (!names->group_any)
		return false;
	names->group_any = false;
	*db = group_db(names->group);
	*key = slice_make(names->group.data + 4, names->group.len - 4);
	if (!names->group_seen)
		return true;
	append_record(&names->merged, *db, *key);
	return false;
}

static enum names_answer merge_portion(struct names *names, uint32_t *db, struct slice *key, struct error *error)
{
	for (unsigned i = 0; i < PORTION_RECORDS && !names->at_end; i++) {
		struct slice next, seen;
		bool missing = false;

		if (!sorter_next(names->sorter, &next, &seen)) {
			names->at_end = true;
			missing = close_group(names, db, key);
		} else if (names->group_any && slice_equal(next, names->group)) {
			names->group_seen |= seen.data[0] != 0;
		} else {
			missing = close_group(names, db, key);
			names->group = next;
			names->group_seen = seen.data[0] != 0;
			names->group_any = true;
		}
		if (missing)
			return NAMES_MISSING;
	}
	if (!write_out(names, names->out, &names->merged, &names->out_size, error))
		return NAMES_FAILED;
	if (!names->at_end)
		return NAMES_MORE;
	if (fdatasync(names->out) < 0) { /* before the others go */
		fail(names, "written", error);
		return NAMES_FAILED;
	}
	close_file(&names->out);
	sorter_free(names->sorter);
	names->sorter = NULL;
	names->phase = MERGED;
	if (!names->forgets && !names_commit(names, error))
		return NAMES_FAILED;
	return NAMES_DONE;
}

static enum names_answer work(struct names *names, uint32_t *db, struct slice *key, struct error *error)
{
	if (names->phase != READING)
		return names_working(names) ? merge_portion(names, db, key, error) : NAMES_DONE;
	if (!names->sorter) {
		if (names->forgets && !any_before(names)) {
			names->phase = RESTING;
			return NAMES_DONE;
		}
		return set_out(names, error) ? NAMES_MORE : NAMES_FAILED;
	}
	if (names->reading < names->count && names->files[names->reading].number < names->job_end)
		return read_portion(names, error) ? NAMES_MORE : NAMES_FAILED;
	if (!sorter_sort(names->sorter, error))
		return NAMES_FAILED;
	names->phase = MERGING;
	return NAMES_MORE;
}

enum names_answer names_work(struct names *names, uint32_t *db, struct slice *key, struct error *error)
{
	enum names_answer answer = work(names, db, key, error);

	if (answer == NAMES_FAILED)
		drop_job(names);
	return answer;
}

bool names_commit(struct names *names, struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct file merged = {names->job_end, names->out_size};
	uint32_t kept = 0;

	if (names->phase != MERGED)
		return true;
	if (rename(path_of(names, names->job_end, true, from), path_of(names, names->job_end, false, to)) < 0) {
		fail(names, "written", error);
		drop_job(names);
		return false;
	}
	names->phase = RESTING;
	for (uint32_t i = 0; i < names->count; i++)
		if (names->files[i].number < merged.number)
			unlink(path_of(names, names->files[i].number, false, from));
	/* The merged one takes the place of the first. */
	for (uint32_t i = 0; i < names->count; i++)
		if (names->files[i].number > merged.number)
			names->files[kept++] = names->files[i];
	names->count = kept;
	add_file(names, merged.number, merged.size);
	qsort(names->files, names->count, sizeof(names->files[0]), by_number);
	names->tidy_size = merged.size;
	drop_job(names);
	return true;
}
