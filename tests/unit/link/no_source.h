/* The link's tests have no source: source and heartbeat are stood in for by what is here. */
#ifndef KEYFERRY_TESTS_NO_SOURCE_H
#define KEYFERRY_TESTS_NO_SOURCE_H

#include "source/source.h"

extern const struct source no_source;
extern int64_t no_source_applied; /* last told to it; -1: nothing */

#endif
