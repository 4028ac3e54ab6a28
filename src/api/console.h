/* The web console: the files of web/, which tools/embed-web has put into the program, served at `/`.
 *
 * They are for everybody, also for whoever has no token yet: the page is where one logs in, and holds nothing of anybody. The page itself is asked for anew each time (ETag);
 * all else has a digest of all files in its path and is kept by the browser for a year. Gzipped for those who take that.
 * What the page may do is told by its Content-Security-Policy: scripts, styles and connections of this server alone, nothing inline.
 * Thread: constant. */
#ifndef KEYFERRY_API_CONSOLE_H
#define KEYFERRY_API_CONSOLE_H

#include "api/answer.h"

#include <stddef.h>

struct web_file {
	const char *path; /* "/", "/console/0123456789abcdef/main.js" */
	const char *type;
	const char *tag; /* digest of its contents */
	const char *plain;
	size_t plain_len;
	const char *packed; /* gzip */
	size_t packed_len;
};

/* Made by tools/embed-web. */
extern const struct web_file web_files[];
extern const size_t web_file_count;

/* GET or HEAD of a file of the console: true, the answer is made. */
bool console_answer(const struct call *call, struct answer *answer) WARN_UNUSED;

#endif
