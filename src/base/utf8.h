/* UTF-8, as RFC 3629 defines it: no overlong forms, no surrogates, nothing over U+10FFFF.
 * Thread: pure functions. */
#ifndef KEYFERRY_BASE_UTF8_H
#define KEYFERRY_BASE_UTF8_H

#include "base/slice.h"

bool utf8_is_valid(struct slice text);

/* Servers' texts may hold any bytes, and a text may be cut within a character: where it is no UTF-8, each of its bytes beyond ASCII becomes '?'. */
void utf8_mend(char *text, size_t len);

#endif
