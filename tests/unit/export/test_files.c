/* How files take their place: cut short at every call, and by the power, then done again. */
#include "../spool/memory_disk.h"
#include "export/files.h"
#include "export/out.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SNAPSHOT "a whole snapshot"
#define OLD "what was there"

static void put_file(const char *path, const char *text)
{
	int file = disk_memory.open(path, O_RDWR | O_CREAT, 0644);

	assert_true(file >= 0);
	assert_int_equal(disk_memory.truncate(file, 0), 0);
	assert_int_equal(disk_memory.pwrite(file, text, strlen(text), 0), strlen(text));
	assert_int_equal(disk_memory.sync(file), 0);
	assert_int_equal(disk_memory.close(file), 0);
	assert_int_equal(disk_memory.sync_dir("/disk"), 0);
}

/* To be freed; NULL: there is no such file. */
static char *read_file(const char *path)
{
	int file = disk_memory.open(path, O_RDONLY, 0);
	int64_t size;
	char *text;

	if (file < 0)
		return NULL;
	size = disk_memory.size(file);
	text = memory_alloc_zero(1, (size_t)size + 1);
	assert_int_equal(disk_memory.pread(file, text, (size_t)size, 0), size);
	assert_int_equal(disk_memory.close(file), 0);
	return text;
}

static void assert_file(const char *path, const char *expected)
{
	char *text = read_file(path);

	if (expected) {
		assert_non_null(text);
		assert_string_equal(text, expected);
	} else {
		assert_null(text);
	}
	free(text);
}

static const struct files one = {.disk = &disk_memory, .path = "/disk/dump.rdb"};
static const struct files parts = {.disk = &disk_memory, .path = "/disk", .parts = true, .number = 2, .has_base = true};

static void begin(const struct files *files)
{
	char *partial = files_partial(files);

	memory_disk_reset();
	if (files->parts) {
		put_file("/disk/appendonly.aof.1.base.rdb", OLD);
		put_file("/disk/appendonly.aof.1.incr.aof", OLD);
		put_file("/disk/appendonly.aof.manifest", OLD);
	} else {
		put_file("/disk/dump.rdb", OLD);
	}
	put_file(partial, SNAPSHOT);
	free(partial);
}

static void assert_published(const struct files *files)
{
	if (!files->parts) {
		assert_file("/disk/dump.rdb", SNAPSHOT);
		assert_file("/disk/dump.rdb.partial", NULL);
		return;
	}
	assert_file("/disk/appendonly.aof.manifest",
		    "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
	assert_file("/disk/appendonly.aof.2.base.rdb", SNAPSHOT);
	assert_file("/disk/appendonly.aof.2.incr.aof", "");
	assert_file("/disk/appendonly.aof.1.base.rdb", NULL);
	assert_file("/disk/appendonly.aof.1.incr.aof", NULL);
}

/* What a reader finds meanwhile: all of the old, or all of the new. */
static void assert_old_or_new(const struct files *files)
{
	char *name = read_file(files->parts ? "/disk/appendonly.aof.manifest" : "/disk/dump.rdb");

	assert_non_null(name);
	if (strcmp(name, OLD) == 0 && files->parts) {
		assert_file("/disk/appendonly.aof.1.base.rdb", OLD);
		assert_file("/disk/appendonly.aof.1.incr.aof", OLD);
	} else if (strcmp(name, OLD) != 0 && files->parts) {
		assert_string_equal(name,
				    "file appendonly.aof.2.base.rdb seq 2 type b\nfile appendonly.aof.2.incr.aof seq 2 type i\n");
		assert_file("/disk/appendonly.aof.2.base.rdb", SNAPSHOT);
		assert_file("/disk/appendonly.aof.2.incr.aof", "");
	} else if (strcmp(name, OLD) != 0) {
		assert_string_equal(name, SNAPSHOT);
	}
	free(name);
}

static void check_faults(const struct files *files, bool power)
{
	struct error error;
	unsigned call = 0;
	bool done = false;

	while (!done) {
		begin(files);
		memory_disk_fail(++call, EIO);
		done = files_publish(files, strlen(SNAPSHOT), true, &error) && memory_disk_calls() < call;
		memory_disk_fail(0, 0);
		if (power)
			memory_disk_power_cut(call * 977);
		assert_old_or_new(files);
		assert_true(files_publish(files, strlen(SNAPSHOT), true, &error));
		assert_published(files);
		assert_int_equal(memory_disk_open_files(), 0);
	}
	assert_true(call > (files->parts ? 10 : 3));
}

static void test_one_file_cut_short(void **state)
{
	(void)state;
	check_faults(&one, false);
	check_faults(&one, true);
}

static void test_parts_cut_short(void **state)
{
	(void)state;
	check_faults(&parts, false);
	check_faults(&parts, true);
}

static void test_nothing_of_others_is_replaced(void **state)
{
	struct error error;

	(void)state;
	begin(&one);
	assert_false(files_publish(&one, strlen(SNAPSHOT), false, &error));
	assert_non_null(strstr(error.text, "somebody else"));
	assert_file("/disk/dump.rdb", OLD);
	assert_file("/disk/dump.rdb.partial", SNAPSHOT);
	disk_memory.unlink("/disk/dump.rdb");
	assert_true(files_publish(&one, strlen(SNAPSHOT), false, &error));
	assert_published(&one);
	/* Done already: the state file had not heard of it. */
	assert_true(files_publish(&one, strlen(SNAPSHOT), false, &error));
	/* Gone. */
	disk_memory.unlink("/disk/dump.rdb");
	assert_false(files_publish(&one, strlen(SNAPSHOT), false, &error));
	assert_non_null(strstr(error.text, "not there any more"));
}

static void test_manifest_of_somebody_else(void **state)
{
	struct error error;

	(void)state;
	begin(&parts);
	assert_false(files_check_manifest(&parts, &error));
	assert_true(files_publish(&parts, strlen(SNAPSHOT), true, &error));
	assert_true(files_check_manifest(&parts, &error));
	put_file("/disk/appendonly.aof.manifest", "file appendonly.aof.3.base.rdb seq 3 type b\n");
	assert_false(files_check_manifest(&parts, &error));
}

static void test_numbers(void **state)
{
	struct files files = parts;
	struct error error;

	(void)state;
	memory_disk_reset();
	assert_true(files_next_number(&files, &error));
	assert_int_equal(files.number, 1);
	put_file("/disk/appendonly.aof.7.incr.aof", "");
	put_file("/disk/appendonly.aof.9.base.rdb.partial", "");
	put_file("/disk/appendonly.aof.x.base.rdb", "");
	put_file("/disk/other.aof.12.base.rdb", "");
	assert_true(files_next_number(&files, &error));
	assert_int_equal(files.number, 10);
}

static void test_names(void **state)
{
	static const struct {
		const char *path, *resolved;
	} cases[] = {{"/a/{shard}.rdb", "/a/12.rdb"},
		     {"/a/b", "/a/b"},
		     {"/{shard}/{shard}", "/12/12"},
		     {"{shar}{shard", "{shar}{shard"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *resolved = files_resolve(cases[i].path, "12");

		assert_string_equal(resolved, cases[i].resolved);
		free(resolved);
	}
}

/* With real folders. */
static void test_preparing(void **state)
{
	char dir[] = "/tmp/keyferry-files-XXXXXX";
	char *deep, *file, *folder, *command;
	struct error error;

	(void)state;
	assert_non_null(mkdtemp(dir));
	deep = memory_printf("%s/no/such/dump.rdb", dir);
	file = memory_printf("%s/0/dump.rdb", dir);
	folder = memory_printf("%s/1/aof/", dir);
	command = memory_printf("rm -r %s", dir);
	assert_false(files_prepare(deep, false, &error));
	assert_true(files_prepare(file, false, &error));
	assert_true(files_free_of_others(file, false, &error));
	assert_true(files_prepare(folder, true, &error));
	assert_true(files_free_of_others(folder, true, &error));
	assert_false(files_prepare(folder, false, &error)); /* a folder where a file should be */
	assert_false(files_prepare("/dev/null", false, &error));
	assert_int_equal(close(open(file, O_CREAT | O_WRONLY, 0600)), 0);
	assert_false(files_free_of_others(file, false, &error));
	assert_false(files_prepare(file, true, &error));
	free(deep);
	free(file);
	free(folder);
	assert_int_equal(system(command), 0);
	free(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_file_cut_short),
		cmocka_unit_test(test_parts_cut_short),
		cmocka_unit_test(test_nothing_of_others_is_replaced),
		cmocka_unit_test(test_manifest_of_somebody_else),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_preparing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
