/* Media types: what a body is, and which form of the answer is preferred (RFC 9110 12.5.1).
 * Thread: pure functions. */
#ifndef KEYFERRY_API_MEDIA_H
#define KEYFERRY_API_MEDIA_H

#include <stdbool.h>

/* Is the Content-Type this one, whatever its parameters ("application/json; charset=utf-8")? NULL is not. */
bool media_is(const char *content_type, const char *type);
/* Of `types` (the preferred first, NULL at the end) the one that the Accept header likes best; NULL header: the first. NULL: it takes none of them. Parameters of a type are
 * not compared. */
const char *media_choose(const char *accept, const char *const *types);

#endif
