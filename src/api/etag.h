/* Entity tags of documents: the revision, quoted ("3").
 * Thread: pure functions. */
#ifndef KEYFERRY_API_ETAG_H
#define KEYFERRY_API_ETAG_H

#include <stdbool.h>
#include <stdint.h>

enum etag_wish { ETAG_ANY, ETAG_ONE, ETAG_NONE };

/* What an If-Match header asks for: any, one revision, or one that cannot be ("W/..." is weak, which If-Match does not take; a list is not taken either). */
enum etag_wish etag_parse(const char *header, int64_t *ret_revision);
/* Does an If-None-Match header name this revision (weak ones too), or "*"? NULL does not. */
bool etag_matches(const char *header, int64_t revision);

#endif
