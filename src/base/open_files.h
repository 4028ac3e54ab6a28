/* How many files and connections this process may have open. Thread: (any). */
#ifndef KEYFERRY_BASE_OPEN_FILES_H
#define KEYFERRY_BASE_OPEN_FILES_H

#include "base/error.h"

#include <stdint.h>

/* Up to the hard limit. The soft one, 1024 nearly everywhere, is as low as it is for the sake of programs that use select(). */
void open_files_raise(void);
/* False, ERROR_INTERNAL: the limit is below what is needed. */
bool open_files_check(uint64_t needed, struct error *error);

#endif
