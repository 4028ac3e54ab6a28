/* The input: the files that take the place of a source server, as one line of bytes in the form in which a server would have sent them.
 *
 *   RDB file                     | snapshot ............................ |
 *   append-only file (AOF)       | commands ............................ |
 *   AOF with RDB preamble        | snapshot ........ | commands ........ |
 *   multi-part AOF (7.0+)        | base: either form | S increment | S increment ... |
 *
 * S is a SELECT 0 that the input puts before every file but the first: servers begin each file with database 0 selected.
 * Positions are those in the spool. A file counts up to its `length`, which input_open() sets to its size; link/inspection.h looks through all of
 * them and sets what is whole, before anything is read for the spool.
 * The files stay open, so that a server may replace or delete them meanwhile: servers write others and rename them. What is written behind a
 * file's length later is not read.
 * Thread: read-only once opened and inspected; input_read() from any. */
#ifndef KEYFERRY_SOURCE_INPUT_H
#define KEYFERRY_SOURCE_INPUT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum input_kind { INPUT_RDB, INPUT_AOF };

struct input_file {
	char *path;
	int file;
	uint64_t size;     /* when it was opened */
	uint64_t length;   /* of it so many bytes count */
	uint64_t position; /* in the line of bytes: of its first byte; what is put before it comes before */
};

struct input {
	enum input_kind kind;
	char *path; /* as it was given */
	struct input_file *files;
	uint32_t count;
	/* Set by the inspection. */
	uint64_t snapshot_end; /* 0: there is no snapshot */
	uint64_t total;
	char identity[41]; /* of the bytes: takes the place of a replication id */
};

/* path: an RDB file; an append-only file, the manifest of a multi-part one, or the folder with that manifest. ERROR_SOURCE: it cannot be read. */
bool input_open(struct input *input, enum input_kind kind, const char *path, struct error *error) WARN_UNUSED;
void input_close(struct input *input);

/* Gives the files their positions, and the total, by their lengths. */
void input_lay_out(struct input *input);

/* Reads up to cap bytes from `position` (below the total) on; at least one. False: the disk fails, or the file is shorter than it was. */
bool input_read(const struct input *input, uint64_t position, void *out, size_t cap, size_t *ret_len,
		struct error *error) WARN_UNUSED;

#endif
