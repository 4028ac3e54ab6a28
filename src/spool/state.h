/* The spool's state file: which history the bytes belong to. Two slots written in turn, see spool/format.h.
 * Thread: the writer's. */
#ifndef KEYFERRY_SPOOL_STATE_H
#define KEYFERRY_SPOOL_STATE_H

#include "spool/disk.h"
#include "spool/format.h"

struct state_file {
	const struct disk *disk;
	const char *dir; /* borrowed */
	int file;
};

/* Opens the file and reads the newest state. Where there is none yet, *ret_fresh is set and *ret is untouched: the caller makes
 * the first one with state_write(), once it knows that the directory holds nothing else. Fails with ERROR_USAGE where the
 * directory cannot be written. */
bool state_open(struct state_file *state, const struct disk *disk, const char *dir, struct format_state *ret, bool *ret_fresh,
		struct error *error) WARN_UNUSED;
/* Puts the state on the disk, durably; its sequence has grown since the last time. After a failure the last one still counts. */
bool state_write(struct state_file *state, const struct format_state *content, struct error *error) WARN_UNUSED;
void state_close(struct state_file *state);

#endif
