#include "../decode/fixture.h"
#include "base/memory.h"
#include "json/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* To be freed. */
static char *printed(struct slice bytes)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	json_bytes_print(out, bytes);
	fclose(out);
	return text;
}

static void assert_printed(struct slice bytes, const char *expected)
{
	char *text = printed(bytes);

	assert_string_equal(text, expected);
	free(text);
}

static void test_forms(void **state)
{
	(void)state;
	assert_printed(SLICE(""), "\"\"");
	assert_printed(SLICE("a key"), "\"a key\"");
	assert_printed(SLICE(" ~"), "\" ~\"");
	assert_printed(SLICE("\"\\/"), "\"\\\"\\\\/\"");
	assert_printed(SLICE("a\"b\\\\c"), "\"a\\\"b\\\\\\\\c\"");
	assert_printed(SLICE("\x7f"), "{\"b64\":\"fw==\"}");
	assert_printed(SLICE("\x1f"
			     "ab"),
		       "{\"b64\":\"H2Fi\"}");
	assert_printed(SLICE("caf\xc3\xa9"), "{\"b64\":\"Y2Fmw6k=\"}");
}

static void test_long(void **state)
{
	char *text = memory_alloc_zero(1, JSON_BYTES_MAX + 1);
	json_t *parsed;
	char *out;

	(void)state;
	memset(text, 'a', JSON_BYTES_MAX + 1);
	assert_printed(slice_make(text, JSON_BYTES_MAX + 1),
		       "{\"sha256\":\"008ffc88d3c96a9f307524eb361e47c5222a887fc45fa0c1fb8d429c5c23b430\",\"len\":65537}");
	out = printed(slice_make(text, JSON_BYTES_MAX));
	assert_int_equal(strlen(out), JSON_BYTES_MAX + 2);
	free(out);
	/* Base64 is made piece by piece: it must join without a seam. */
	for (size_t i = 0; i < JSON_BYTES_MAX; i++)
		text[i] = (char)(i * 7 + i / 256);
	for (size_t len = JSON_BYTES_MAX - 4; len <= JSON_BYTES_MAX; len++) {
		out = printed(slice_make(text, len));
		parsed = json_loads(out, 0, NULL);
		assert_non_null(parsed);
		assert_true(fixture_string_equal(parsed, slice_make(text, len)));
		json_decref(parsed);
		free(out);
	}
	free(text);
}

static unsigned compared;

/* Every key of the expected data is printed as it stands there. */
static void check_keys(const struct fixture *fixture)
{
	static const char before[] = "\"key\":";
	FILE *file = fopen(fixture->expected, "r");
	char *line = NULL;
	size_t room = 0;

	assert_non_null(file);
	while (getline(&line, &room, file) > 0) {
		json_t *parsed = json_loads(line, 0, NULL);
		uint8_t *bytes;
		size_t len;

		assert_non_null(parsed);
		if (fixture_string(json_object_get(parsed, "key"), &bytes, &len)) {
			char *text = printed(slice_make(bytes, len));
			const char *at = strstr(line, before) + sizeof(before) - 1;

			assert_memory_equal(at, text, strlen(text));
			assert_memory_equal(at + strlen(text), ",\"type\":", 8);
			compared++;
			free(text);
			free(bytes);
		}
		json_decref(parsed);
	}
	free(line);
	fclose(file);
}

static void test_as_expected_data(void **state)
{
	(void)state;
	fixture_each(0, check_keys);
	assert_true(compared > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_as_expected_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
