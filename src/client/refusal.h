/* What an answer of 400 and above means for who has asked: its problem details (RFC 9457) as an error.
 *
 *     orders is not valid: unknown option 'source.adress': did you mean 'source.address'?
 *       'keyferry help options' lists all options
 *
 * The kind, and so the exit code: what the caller has to change (400 to 499) is ERROR_USAGE, what the daemon cannot do now (429, 500 and above) ERROR_INTERNAL; a problem `source` or `target`
 * is ERROR_SOURCE or ERROR_TARGET, `precheck-failed` ERROR_PRECHECK.
 * Thread: pure. */
#ifndef KEYFERRY_CLIENT_REFUSAL_H
#define KEYFERRY_CLIENT_REFUSAL_H

#include "base/error.h"
#include "base/slice.h"

#define REFUSAL_NAME_MAX 32

/* `body` may be anything: what no keyferry has said (a proxy's page) is told by its status alone. `server` and `path` name who was asked for what; `with_token`: one was sent. `ret_name` is the last word
 * of the problem's type ("exists"), "" for none. */
void refusal_read(unsigned status, struct slice body, const char *server, const char *path, bool with_token,
		  char ret_name[REFUSAL_NAME_MAX], struct error *error);

#endif
