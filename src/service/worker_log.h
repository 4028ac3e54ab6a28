/* Reading the log of a task's worker: the files `log` and, before it, `log.1` of the work directory (cmd/log_file.h turns them).
 *
 * A place in it lasts: over a restart of worker or daemon, and over the turn of the files, as long as the file that it is in is one of the two. A file is known by its inode and its first line, which most often has
 * a time: the inode of one that is gone is given to another. Lines are read when they are whole; one of more than WORKER_LOG_READ bytes comes in pieces. What is not UTF-8 becomes '?'.
 * Thread: none in particular; the worker writes meanwhile. */
#ifndef KEYFERRY_SERVICE_WORKER_LOG_H
#define KEYFERRY_SERVICE_WORKER_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKER_LOG_READ 32768 /* bytes that are read at a time */
#define WORKER_LOG_PLACE_MAX 40

struct worker_log_place {
	uint64_t file;  /* 0: before all that there is, or will be */
	int64_t offset; /* bytes */
};

/* Where the last `most` lines begin; of very long ones fewer. */
void worker_log_back(const char *dir, uint32_t most, struct worker_log_place *ret);
/* Adds lines from the place on to the array, at most WORKER_LOG_READ bytes, and moves it behind them. False: that was the end. *ret_gap: lines between are not there any more. */
bool worker_log_read(const char *dir, struct worker_log_place *place, json_t *lines, bool *ret_gap);

/* "5d41402abc4b2a76-1234". */
void worker_log_format_place(const struct worker_log_place *place, char out[WORKER_LOG_PLACE_MAX]);
/* False: it is none. */
bool worker_log_parse_place(const char *text, struct worker_log_place *ret);

#endif
