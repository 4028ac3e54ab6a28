#include "scratch_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/keyferry-rdb-XXXXXX";
static char path[64];

int scratch_file_setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/dump.rdb", folder);
	return 0;
}

int scratch_file_teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

const char *scratch_file_path(void)
{
	return path;
}

void scratch_file_write(struct slice bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.len, file), bytes.len);
	assert_int_equal(fclose(file), 0);
}
