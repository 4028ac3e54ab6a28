#include "source/aof_manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The files in their order, separated by '|'. */
static void assert_files(const char *text, const char *expected)
{
	struct aof_manifest manifest;
	struct error error;
	char joined[512] = "";

	if (!aof_manifest_parse(slice_of_string(text), &manifest, &error))
		fail_msg("%s: %s", text, error.text);
	for (uint32_t i = 0; i < manifest.count; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", i ? "|" : "", manifest.files[i]);
	assert_string_equal(joined, expected);
	aof_manifest_free(&manifest);
}

static void assert_refused(struct slice text, const char *expected)
{
	struct aof_manifest manifest;
	struct error error;

	if (aof_manifest_parse(text, &manifest, &error))
		fail_msg("taken: %.*s", (int)text.len, (const char *)text.data);
	assert_int_equal(error.kind, ERROR_SOURCE);
	assert_string_equal(error.text, expected);
}

static void files_in_their_order(void **state)
{
	(void)state;
	assert_files("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n",
		     "appendonly.aof.1.base.rdb|appendonly.aof.1.incr.aof");
	assert_files("file i1 seq 1 type i\n", "i1");
	assert_files("file i4 seq 4 type i\nfile b seq 3 type b\nfile i5 seq 5 type i\nfile old seq 1 type h\n", "b|i4|i5");
	assert_files("# a comment\ntype b  seq 7\tfile b\r\n", "b");
	assert_files("FILE b Seq 7 TYPE b startoffset 0 endoffset 99\n", "b");
}

static void quoted_names(void **state)
{
	(void)state;
	assert_files("file \"two words.aof\" seq 1 type b\n", "two words.aof");
	assert_files("file \"a\\x41\\\"\\\\\\n\" seq 1 type b\n", "aA\"\\\n");
	assert_files("file 'it\\'s \\x' seq 1 type b\n", "it's \\x");
	assert_files("file \"\\xzz\" seq 1 type b\n", "xzz");
}

static void what_servers_refuse(void **state)
{
	(void)state;
	assert_refused(SLICE(""), "line 0: it ends without having named a file to read");
	assert_refused(SLICE("# c\n"), "line 1: it ends without having named a file to read");
	assert_refused(SLICE("file h seq 1 type h\n"), "line 1: it ends without having named a file to read");
	assert_refused(SLICE("file a seq 1 type b"), "line 1: it has no line end, so it is not whole");
	assert_refused(SLICE("file a seq 1 type b\n\n"), "line 2: file, seq or type is missing");
	assert_refused(SLICE("file a seq 1\n"), "line 1: file, seq or type is missing");
	assert_refused(SLICE("file a seq 1 type\n"), "line 1: a name without a value");
	assert_refused(SLICE("file a seq 0 type b\n"), "line 1: seq is not a number from 1 on");
	assert_refused(SLICE("file a seq -1 type b\n"), "line 1: seq is not a number from 1 on");
	assert_refused(SLICE("file a seq 9223372036854775808 type b\n"), "line 1: seq is not a number from 1 on");
	assert_refused(SLICE("file a seq 1 type x\n"), "line 1: type is none of b, i, h");
	assert_refused(SLICE("file a seq 1 type bb\n"), "line 1: type is none of b, i, h");
	assert_refused(SLICE("file a seq 1 type \"\\x00\"\n"), "line 1: type is none of b, i, h");
	assert_refused(SLICE("file a seq 1 type b\nfile c seq 2 type b\n"), "line 2: a second base file");
	assert_refused(SLICE("file a seq 2 type i\nfile c seq 2 type i\n"), "line 2: the seq of the increments does not rise");
	assert_refused(SLICE("file ../a seq 2 type i\n"),
		       "line 1: the name of the file has a slash; all files of a manifest lie in its own folder");
	assert_refused(SLICE("file \"\" seq 2 type i\n"), "line 1: no file can have such a name");
	assert_refused(SLICE("file \"a\\x00b\" seq 2 type i\n"), "line 1: no file can have such a name");
	assert_refused(SLICE("file \"a seq 2 type i\n"), "line 1: quotes that are not closed, or go on behind their end");
	assert_refused(SLICE("file \"a\"b seq 2 type i\n"), "line 1: quotes that are not closed, or go on behind their end");
	assert_refused(SLICE("file \"a\\\n"), "line 1: quotes that are not closed, or go on behind their end");
}

static void bounds(void **state)
{
	char line[AOF_MANIFEST_LINE_MAX + 2];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[AOF_MANIFEST_LINE_MAX] = '\n';
	assert_refused(slice_make(line, AOF_MANIFEST_LINE_MAX + 1), "line 1: it is longer than a server takes");
	line[AOF_MANIFEST_LINE_MAX - 1] = '\n';
	assert_refused(slice_make(line, AOF_MANIFEST_LINE_MAX), "line 1: a name without a value");
	memcpy(line, "file ", 5);
	memcpy(line + 300, " seq 1 type b\n", 14);
	assert_refused(slice_make(line, 314), "line 1: no file can have such a name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_in_their_order),
		cmocka_unit_test(quoted_names),
		cmocka_unit_test(what_servers_refuse),
		cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
