#include "base/units.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct example {
	const char *text;
	bool valid;
	uint64_t value;
};

static const struct example sizes[] = {
	{"0", true, 0},
	{"1500", true, 1500},
	{"1B", true, 1},
	{"64KiB", true, 65536},
	{"64MiB", true, 64ULL << 20},
	{"8GiB", true, 8ULL << 30},
	{"2TiB", true, 2ULL << 40},
	{"1KB", true, 1000},
	{"3MB", true, 3000000},
	{"1GB", true, 1000000000},
	{"1TB", true, 1000000000000},
	{"64 MiB", true, 64ULL << 20},
	{"18446744073709551615", true, UINT64_MAX},
	{"", false, 0},
	{" ", false, 0},
	{"MiB", false, 0},
	{"-1", false, 0},
	{"+1", false, 0},
	{"1.5GiB", false, 0},
	{"64mib", false, 0},
	{"64M", false, 0},
	{"64MiBs", false, 0},
	{"64  MiB", false, 0},
	{"64 ", false, 0},
	{" 64", false, 0},
	{"1_000", false, 0},
	{"18446744073709551616", false, 0},
	{"16777216TiB", false, 0},
	{"18446744073709551615KiB", false, 0},
};

static const struct example durations[] = {
	{"500ms", true, 500}, {"5s", true, 5000},    {"0s", true, 0},
	{"2m", true, 120000}, {"1h", true, 3600000}, {"1d", true, 86400000},
	{"5 s", true, 5000},  {"5", false, 0},       {"", false, 0},
	{"s", false, 0},      {"5S", false, 0},      {"5sec", false, 0},
	{"1m30s", false, 0},  {"-5s", false, 0},     {"18446744073709551615s", false, 0},
};

static void check(const struct example *example, bool (*parse)(struct slice text, uint64_t *ret))
{
	const uint64_t untouched = 424242;
	uint64_t value = untouched;
	bool valid = parse(slice_of_string(example->text), &value);

	if (valid != example->valid || value != (valid ? example->value : untouched))
		fail_msg("\"%s\": %s, %llu", example->text, valid ? "accepted" : "refused", (unsigned long long)value);
}

static void sizes_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check(&sizes[i], units_parse_size);
}

static void durations_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
		check(&durations[i], units_parse_duration);
}

static void the_shortest_form_reads_back(void **state)
{
	static const uint64_t values[] = {0,          1,         999,   1000,    1023,     1024,        1500,
					  65536,      60000,     90000, 3600000, 86400000, 64ULL << 20, (64ULL << 20) + 1,
					  1ULL << 40, UINT64_MAX};
	char text[UNITS_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint64_t value = ~values[i];

		assert_true(units_parse_size(slice_of_string(units_format_size(values[i], text)), &value));
		assert_int_equal(value, values[i]);
		value = ~values[i];
		assert_true(units_parse_duration(slice_of_string(units_format_duration(values[i], text)), &value));
		assert_int_equal(value, values[i]);
	}
	assert_string_equal(units_format_size(64ULL << 20, text), "64MiB");
	assert_string_equal(units_format_size(1500, text), "1500B");
	assert_string_equal(units_format_duration(5000, text), "5s");
	assert_string_equal(units_format_duration(1500, text), "1500ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(the_shortest_form_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
