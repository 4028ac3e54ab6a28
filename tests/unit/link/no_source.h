/* The link's tests have no source: receiver and heartbeat are stood in for by what is here. */
#ifndef KEYFERRY_TESTS_NO_SOURCE_H
#define KEYFERRY_TESTS_NO_SOURCE_H

#include <stdint.h>

extern int64_t no_source_applied; /* last told to the receiver; -1: nothing */

#endif
