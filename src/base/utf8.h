/* UTF-8, as RFC 3629 defines it: no overlong forms, no surrogates, nothing over U+10FFFF.
 * Thread: pure functions. */
#ifndef KEYFERRY_BASE_UTF8_H
#define KEYFERRY_BASE_UTF8_H

#include "base/slice.h"

bool utf8_is_valid(struct slice text);

#endif
