#include "spool/state.h"

#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define FILE_SIZE (2 * FORMAT_STATE_SLOT)

static void fail(const struct state_file *state, int result, const char *what, struct error *error)
{
	error_set_errno(error, ERROR_INTERNAL, -result, "spool state %s/" FORMAT_STATE_NAME ": %s%s", state->dir, what,
			segment_result_is_full(result) ? ": disk full" : "");
	if (segment_result_is_full(result))
		error_hint(error, "free some space there");
}

static bool load(struct state_file *state, struct format_state *ret, bool *ret_fresh, struct error *error)
{
	uint8_t bytes[FILE_SIZE] = {0};
	struct format_state slots[2];
	bool valid[2], blank = true;
	int64_t size = state->disk->size(state->file);
	int result;

	result = size < 0 ? (int)size
			  : segment_read_file(state->disk, state->file, 0, bytes, size < FILE_SIZE ? (size_t)size : FILE_SIZE);
	if (result < 0) {
		fail(state, result, "cannot be read", error);
		return false;
	}
	for (unsigned i = 0; i < 2; i++)
		valid[i] = format_get_state(bytes + i * FORMAT_STATE_SLOT, &slots[i]) && slots[i].sequence % 2 == i;
	for (size_t i = 0; i < FILE_SIZE; i++)
		blank = blank && bytes[i] == 0;
	if (valid[0] || valid[1]) {
		*ret = valid[0] && (!valid[1] || slots[0].sequence > slots[1].sequence) ? slots[0] : slots[1];
		*ret_fresh = false;
		return true;
	}
	/* A power cut while the spool was being made leaves a file of zeros, or an empty one. */
	if (blank && size <= FILE_SIZE) {
		*ret_fresh = true;
		return true;
	}
	error_set(error, ERROR_INTERNAL, "spool state %s/" FORMAT_STATE_NAME ": this is no state of a spool, or it is damaged",
		  state->dir);
	error_hint(error, "if the spool was damaged, delete everything in that directory: the link takes a new snapshot then");
	return false;
}

bool state_open(struct state_file *state, const struct disk *disk, const char *dir, struct format_state *ret, bool *ret_fresh,
		struct error *error)
{
	char path[SEGMENT_PATH_MAX];
	int file;

	*state = (struct state_file){.disk = disk, .dir = dir, .file = -1};
	snprintf(path, sizeof(path), "%s/" FORMAT_STATE_NAME, dir);
	file = disk->open(path, O_RDWR | O_CREAT, 0600);
	if (file < 0) {
		bool denied = file == -EACCES || file == -EPERM || file == -EROFS || file == -ENOENT || file == -ENOTDIR;

		fail(state, file, "cannot be opened for writing", error);
		if (denied) {
			error->kind = ERROR_USAGE;
			error_hint(error, "the work directory must exist and be writable");
		}
		return false;
	}
	state->file = file;
	if (!load(state, ret, ret_fresh, error)) {
		state_close(state);
		return false;
	}
	return true;
}

bool state_write(struct state_file *state, const struct format_state *content, struct error *error)
{
	uint64_t slot = content->sequence % 2;
	uint8_t bytes[FORMAT_STATE_SLOT] = {0};
	int64_t size = state->disk->size(state->file);
	int result = size < 0 ? (int)size : 0;

	/* Both slots have their room from the beginning. */
	if (result == 0 && size < FILE_SIZE) {
		static const uint8_t zeros[FILE_SIZE];

		result = segment_write_file(state->disk, state->file, (uint64_t)size, zeros, (size_t)(FILE_SIZE - size));
		if (result == 0)
			result = state->disk->sync_dir(state->dir);
	}
	format_put_state(content, bytes);
	if (result == 0)
		result = segment_write_file(state->disk, state->file, slot * FORMAT_STATE_SLOT, bytes, sizeof(bytes));
	/* When this fails the slot may have reached the disk or not, and what is found after a power cut may be either state. Both are sound: a state of another generation
	 * finds segments of the old one, which are not its own, and the link takes a new snapshot; it never takes one history's bytes for another's. */
	if (result == 0)
		result = state->disk->sync(state->file);
	if (result < 0) {
		fail(state, result, "cannot be written", error);
		return false;
	}
	return true;
}

void state_close(struct state_file *state)
{
	if (state->file >= 0)
		(void)state->disk->close(state->file);
	state->file = -1;
}
