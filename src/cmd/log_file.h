/* The log of a worker: the file `log` in its work directory, which is its standard error.
 *
 * It is turned by the worker itself, so that it stays bounded whoever supervises it: `log` becomes `log.1`, in the place of an older one, and a new `log` standard error.
 * Thread: one; lines that others write meanwhile go to one file or the other. */
#ifndef KEYFERRY_CMD_LOG_FILE_H
#define KEYFERRY_CMD_LOG_FILE_H

#include <stdint.h>

/* Turns it when it is larger than max_size. Where that cannot be done, it goes on growing. */
void log_file_turn(const char *data_dir, uint64_t max_size);

#endif
