#include "control/cutover_file.h"

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

#define TEXT_MAX 64
#define LOCK_TRIES 50 /* a reader has it for a moment */
#define LOCK_PAUSE_US 10000

struct cutover_file {
	char *path;
	int file;
	bool done;
};

static bool write_text(struct cutover_file *file, const char *text, struct error *error)
{
	if (ftruncate(file->file, 0) == 0 && pwrite(file->file, text, strlen(text), 0) == (ssize_t)strlen(text) &&
	    file_sync(file->file))
		return true;
	error_set_errno(error, ERROR_USAGE, errno, "%s cannot be written", file->path);
	error_hint(error, "Make room on the disk of the work directory");
	return false;
}

static bool lock(int file)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(file, LOCK_EX | LOCK_NB) == 0)
			return true;
		usleep(LOCK_PAUSE_US);
	}
	return false;
}

/* One that was removed between opening and locking is nobody's. */
static bool is_there(const char *path, int file)
{
	struct stat named, open;

	return stat(path, &named) == 0 && fstat(file, &open) == 0 && named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

struct cutover_file *cutover_file_open(const char *data_dir, struct error *error)
{
	struct cutover_file *file = memory_alloc_zero(1, sizeof(*file));

	file->path = memory_printf("%s/cutover", data_dir);
	file->file = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file->file < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be made", file->path);
		error_hint(error, "Run it as the user of the task, with the task's work directory (--data)");
	} else if (!lock(file->file) || !is_there(file->path, file->file)) {
		error_set(error, ERROR_BUSY, "another cut-over of the task in %s is under way", data_dir);
		error_hint(error, "Wait for its end");
	} else if (write_text(file, "", error)) {
		return file;
	}
	if (file->file >= 0)
		close(file->file);
	free(file->path);
	free(file);
	return NULL;
}

bool cutover_file_end(struct cutover_file *file, struct error *error)
{
	return write_text(file, "end\n", error);
}

bool cutover_file_done(struct cutover_file *file, const char *moment, struct error *error)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "done %s\n", moment);
	file->done = write_text(file, text, error);
	return file->done;
}

void cutover_file_close(struct cutover_file *file)
{
	if (!file)
		return;
	if (!file->done)
		unlink(file->path);
	close(file->file);
	free(file->path);
	free(file);
}

static enum cutover_stage stage_of(const char *text, bool held, char *moment)
{
	if (strncmp(text, "done ", 5) == 0) {
		snprintf(moment, CUTOVER_MOMENT_MAX, "%.*s", (int)strcspn(text + 5, "\n"), text + 5);
		return CUTOVER_DONE;
	}
	if (!held)
		return CUTOVER_NONE;
	return strcmp(text, "end\n") == 0 ? CUTOVER_ENDING : CUTOVER_UNDER_WAY;
}

enum cutover_stage cutover_file_read(const char *data_dir, char moment[CUTOVER_MOMENT_MAX])
{
	char *path = memory_printf("%s/cutover", data_dir), text[TEXT_MAX];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	enum cutover_stage stage = CUTOVER_NONE;
	ssize_t got;

	free(path);
	if (file < 0)
		return CUTOVER_NONE;
	got = pread(file, text, sizeof(text) - 1, 0);
	text[got > 0 ? got : 0] = '\0';
	stage = stage_of(text, flock(file, LOCK_SH | LOCK_NB) < 0, moment);
	close(file);
	return stage;
}
