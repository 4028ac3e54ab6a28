#include "verify/resume.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define NOTES_MAX (1u << 30) /* between two states; suspects are looked at long before */
#define NO_KEY UINT32_MAX
#define FACTS_MAX 12

struct heading {
	uint32_t source_db, target_db, source_len, target_len;
};

struct resume {
	char *state_path, *found_path;
	int found;       /* -1: not open */
	bool idle;       /* nothing is kept: the other one's, or it could not be written */
	uint64_t length; /* of STEM.found, as far as it counts */
	uint64_t at;     /* read so far */
	struct buffer notes;
	uint8_t *keys; /* of the suspect read last */
	json_t *state;
};

struct resume *resume_new(const char *stem)
{
	struct resume *resume = memory_alloc_zero(1, sizeof(*resume));

	resume->state_path = memory_printf("%s.json", stem);
	resume->found_path = memory_printf("%s.found", stem);
	resume->found = -1;
	buffer_init(&resume->notes, NOTES_MAX);
	return resume;
}

void resume_free(struct resume *resume)
{
	if (!resume)
		return;
	if (resume->found >= 0)
		close(resume->found);
	buffer_free(&resume->notes);
	json_decref(resume->state);
	free(resume->keys);
	free(resume->state_path);
	free(resume->found_path);
	free(resume);
}

bool resume_exists(const char *stem)
{
	char *path = memory_printf("%s.json", stem);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* ---- the lock ---- */

/* One that was removed between opening and locking is nobody's. */
static bool is_named(const struct resume *resume)
{
	struct stat named, open;

	return stat(resume->found_path, &named) == 0 && fstat(resume->found, &open) == 0 && named.st_ino == open.st_ino &&
	       named.st_dev == open.st_dev;
}

/* `*ret_locked`: another process has it. */
static bool open_found(struct resume *resume, int flags, bool *ret_locked)
{
	*ret_locked = false;
	if (resume->found >= 0)
		return true;
	resume->found = open(resume->found_path, O_RDWR | O_CLOEXEC | flags, 0600);
	if (resume->found < 0)
		return false;
	*ret_locked = flock(resume->found, LOCK_EX | LOCK_NB) < 0 || !is_named(resume);
	if (!*ret_locked)
		return true;
	close(resume->found);
	resume->found = -1;
	return false;
}

/* ---- counts ---- */

struct fact {
	const char *name;
	uint64_t *value;
};

/* Those that add up from run to run. What differs is counted anew, when it is looked at again. */
static uint32_t facts_of(struct verify_counts *counts, struct fact out[FACTS_MAX])
{
	const struct fact facts[] = {
		{"keys_total", &counts->keys_total},     {"source_keys", &counts->source_keys},
		{"target_keys", &counts->target_keys},   {"compared", &counts->compared},
		{"left_out", &counts->left_out},         {"others", &counts->others},
		{"incomparable", &counts->incomparable},
	};

	memcpy(out, facts, sizeof(facts));
	return sizeof(facts) / sizeof(facts[0]);
}

static json_t *put_counts(const struct verify_counts *counts)
{
	struct verify_counts copy = *counts;
	struct fact facts[FACTS_MAX];
	json_t *json = json_object();

	for (uint32_t i = 0, count = facts_of(&copy, facts); i < count; i++)
		json_object_set_new(json, facts[i].name, json_integer((json_int_t)*facts[i].value));
	json_object_set_new(json, "stage", json_string(counts->stage == VERIFY_SOURCE ? "source" : "target"));
	return json;
}

static bool take_counts(json_t *json, struct verify_counts *ret)
{
	const char *stage = json_string_value(json_object_get(json, "stage"));
	struct fact facts[FACTS_MAX];

	*ret = (struct verify_counts){0};
	for (uint32_t i = 0, count = facts_of(ret, facts); i < count; i++) {
		json_t *value = json_object_get(json, facts[i].name);

		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return false;
		*facts[i].value = (uint64_t)json_integer_value(value);
	}
	ret->stage = stage && strcmp(stage, "target") == 0 ? VERIFY_TARGET : VERIFY_SOURCE;
	return stage != NULL;
}

/* ---- reading ---- */

static bool take_state(struct resume *resume, struct resume_state *ret, int64_t *ret_written)
{
	json_int_t begun, written, length;
	int format, highest;
	json_t *counts, *walk;

	if (json_unpack(resume->state, "{s:i, s:I, s:I, s:o, s:i, s:o, s:I}", "format", &format, "begun", &begun, "written",
			&written, "counts", &counts, "highest_database", &highest, "walk", &walk, "found", &length) < 0 ||
	    format != FORMAT || highest < 0 || length < 0 || !take_counts(counts, &ret->counts))
		return false;
	ret->begun_ms = begun;
	ret->highest_source_db = (uint32_t)highest;
	ret->walk = walk;
	resume->length = (uint64_t)length;
	*ret_written = written;
	return true;
}

/* The first member that is another one; NULL: there is none. */
static const char *other_member(json_t *then, const json_t *now)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)now, name, value)
		if (!json_equal(value, json_object_get(then, name)))
			return name;
	return NULL;
}

static bool is_long_enough(const struct resume *resume)
{
	struct stat facts;

	return fstat(resume->found, &facts) == 0 && (uint64_t)facts.st_size >= resume->length;
}

static bool judge(struct resume *resume, const json_t *identity, struct resume_state *ret, char why[160])
{
	int64_t written, now = clock_wall_ms();
	const char *other;

	if (!resume->state || !take_state(resume, ret, &written) || !is_long_enough(resume)) {
		snprintf(why, 160, "what it has left is damaged");
		return false;
	}
	other = other_member(json_object_get(resume->state, "identity"), identity);
	if (other) {
		snprintf(why, 160, "%.100s", other);
		return false;
	}
	if (written <= now && now - written < RESUME_AGE_MAX_MS)
		return true;
	snprintf(why, 160, "it was cut off more than %d hours ago", (int)(RESUME_AGE_MAX_MS / 3600000));
	return false;
}

enum resume_found resume_read(struct resume *resume, const json_t *identity, struct resume_state *ret, char why[160])
{
	bool locked;

	if (!open_found(resume, 0, &locked)) {
		resume->idle = locked;
		return locked ? RESUME_LOCKED : RESUME_NOTHING;
	}
	if (access(resume->state_path, F_OK) < 0)
		return RESUME_NOTHING;
	resume->state = json_load_file(resume->state_path, 0, NULL);
	if (judge(resume, identity, ret, why))
		return RESUME_THERE;
	resume->length = 0;
	return RESUME_VOID;
}

static bool read_at(struct resume *resume, void *out, uint64_t len)
{
	if (len > resume->length - resume->at || pread(resume->found, out, len, (off_t)resume->at) != (ssize_t)len)
		return false;
	resume->at += len;
	return true;
}

bool resume_next(struct resume *resume, uint32_t *ret_source_db, struct slice *ret_source_key, uint32_t *ret_target_db,
		 struct slice *ret_target_key)
{
	struct heading heading;
	uint64_t bytes;

	if (!read_at(resume, &heading, sizeof(heading)))
		return false;
	bytes = heading.source_len + (heading.target_len == NO_KEY ? 0 : (uint64_t)heading.target_len);
	if (bytes > resume->length - resume->at)
		return false;
	free(resume->keys);
	resume->keys = memory_alloc(bytes + 1); /* an empty name has an address, too */
	if (!read_at(resume, resume->keys, bytes))
		return false;
	*ret_source_db = heading.source_db;
	*ret_target_db = heading.target_db;
	*ret_source_key = slice_make(resume->keys, heading.source_len);
	*ret_target_key = heading.target_len == NO_KEY ? (struct slice){0}
						       : slice_make(resume->keys + heading.source_len, heading.target_len);
	return true;
}

/* ---- writing ---- */

void resume_note(struct resume *resume, uint32_t source_db, struct slice source_key, uint32_t target_db, struct slice target_key)
{
	struct heading heading = {source_db, target_db, (uint32_t)source_key.len,
				  target_key.data ? (uint32_t)target_key.len : NO_KEY};

	if (resume->idle)
		return;
	if (!buffer_append(&resume->notes, &heading, sizeof(heading)) || !buffer_append_slice(&resume->notes, source_key) ||
	    !buffer_append_slice(&resume->notes, target_key))
		resume->idle = true; /* no state may count a part of it */
}

static bool write_notes(struct resume *resume)
{
	struct slice notes = buffer_readable(&resume->notes);

	if ((resume->length == 0 && ftruncate(resume->found, 0) < 0) || !file_write_at(resume->found, notes, resume->length))
		return false;
	resume->length += notes.len;
	buffer_clear(&resume->notes);
	return fdatasync(resume->found) == 0;
}

static bool write_state(struct resume *resume, json_t *state)
{
	char *text = json_dumps(state, JSON_INDENT(1));
	bool ok = text && file_replace(resume->state_path, slice_of_string(text));

	free(text);
	return ok;
}

bool resume_keep(struct resume *resume, const json_t *identity, const struct resume_state *state, struct error *error)
{
	bool locked = false, ok;
	json_t *json;

	if (resume->idle)
		return true;
	ok = open_found(resume, O_CREAT, &locked) && write_notes(resume);
	if (ok) {
		json = json_pack("{s:i, s:I, s:I, s:O, s:O, s:o, s:i, s:I}", "format", FORMAT, "begun",
				 (json_int_t)state->begun_ms, "written", (json_int_t)clock_wall_ms(), "identity", identity,
				 "walk", state->walk, "counts", put_counts(&state->counts), "highest_database",
				 (int)state->highest_source_db, "found", (json_int_t)resume->length);
		ok = write_state(resume, json);
		json_decref(json);
	}
	resume->idle = !ok;
	if (ok)
		return true;
	if (locked)
		error_set(error, ERROR_BUSY, "another verification of the task has %s", resume->found_path);
	else
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be written", resume->state_path);
	return false;
}

void resume_clear(struct resume *resume)
{
	/* Who has not got the lock has written nothing. */
	if (resume->found >= 0) {
		/* The state first: without it the names count for nothing. */
		unlink(resume->state_path);
		unlink(resume->found_path);
		close(resume->found);
	}
	resume->found = -1;
	resume->length = resume->at = 0;
	buffer_clear(&resume->notes);
}
