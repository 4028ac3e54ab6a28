/* A file in a folder of its own, for tests of what reads files. */
#ifndef KEYFERRY_TESTS_SCRATCH_FILE_H
#define KEYFERRY_TESTS_SCRATCH_FILE_H

#include "base/slice.h"

/* For cmocka: the folder is made before the group's tests and removed behind them. */
int scratch_file_setup(void **state);
int scratch_file_teardown(void **state);

/* Where the file is, once it is written. */
const char *scratch_file_path(void);
/* Anew, with these bytes. */
void scratch_file_write(struct slice bytes);

#endif
