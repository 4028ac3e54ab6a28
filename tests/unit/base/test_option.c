#include "base/option.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum colour { RED, GREEN };

struct thing {
	char *name;
	char *secret;
	bool enabled;
	bool wanted;
	enum colour colour;
	uint64_t size;
	uint32_t time_ms;
	uint32_t number;
};

#define FIELD(member) .offset = offsetof(struct thing, member), .width = sizeof(((struct thing *)0)->member)

static const char *const booleans[] = {"true", "false", NULL};
static const char *const colours[] = {"red", "green", NULL};
static const char *const colours_later[] = {"blue", NULL};

static const struct option_row rows[] = {
	{"name", OPTION_STRING, "text", NULL, .example = "a", FIELD(name)},
	{"lid.secret", OPTION_SECRET, "text", NULL, .example = "b", FIELD(secret)},
	{"lid.enabled", OPTION_BOOL, NULL, "false", booleans, .example = "true", FIELD(enabled),
	 .enables = offsetof(struct thing, wanted)},
	{"lid.colour", OPTION_ENUM, NULL, "green", colours, colours_later, "red", FIELD(colour)},
	{"box.size", OPTION_SIZE, "size", "1MiB", .example = "2MiB", FIELD(size), .min = 1024, .max = 1 << 21},
	{"box.time", OPTION_DURATION, "duration", "5s", .example = "1s", FIELD(time_ms)},
	{"box.number", OPTION_COUNT, "number", "7", .example = "8", FIELD(number), .min = 1, .max = 10},
};
static const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0])};

static bool set(struct thing *thing, const char *path, const char *text, struct error *error)
{
	struct slice item = slice_of_string(text);

	error_clear(error);
	return option_set(option_find(&table, slice_of_string(path)), thing,
			  &(struct option_value){OPTION_SCALAR, &item, 1, NULL}, error);
}

static void defaults_come_from_the_table(void **state)
{
	struct thing thing = {.wanted = false};

	(void)state;
	option_set_defaults(&table, &thing);
	assert_null(thing.name);
	assert_false(thing.enabled);
	assert_false(thing.wanted); /* a default does not enable */
	assert_int_equal(thing.colour, GREEN);
	assert_int_equal(thing.size, 1 << 20);
	assert_int_equal(thing.time_ms, 5000);
	assert_int_equal(thing.number, 7);
}

static void values_are_stored(void **state)
{
	struct thing thing = {0};
	struct error error;

	(void)state;
	assert_true(set(&thing, "name", "one", &error));
	assert_true(set(&thing, "name", "two", &error));
	assert_string_equal(thing.name, "two");
	assert_true(set(&thing, "lid.secret", "s", &error));
	assert_true(set(&thing, "lid.enabled", "false", &error));
	assert_true(thing.wanted);
	assert_true(set(&thing, "lid.colour", "red", &error));
	assert_int_equal(thing.colour, RED);
	assert_true(set(&thing, "box.size", "1KiB", &error));
	assert_int_equal(thing.size, 1024);
	assert_true(set(&thing, "box.number", "10", &error));
	assert_int_equal(thing.number, 10);
	option_free_strings(&table, &thing);
	assert_null(thing.name);
	assert_null(thing.secret);
}

static void what_does_not_fit_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *path, *text, *says;
	} wrong[] = {
		{"name", "", "the value is empty"},
		{"lid.enabled", "yes", "\"yes\" is not one of its values: true, false"},
		{"lid.colour", "reb", "\"reb\" is not one of its values: red, green"},
		{"lid.colour", "blue", "this version does not support \"blue\" yet; it takes: red, green"},
		{"box.size", "big", "\"big\" is not a size"},
		{"box.size", "1023", "\"1023\" is out of bounds: from 1KiB to 2MiB"},
		{"box.size", "3MiB", "\"3MiB\" is out of bounds: from 1KiB to 2MiB"},
		{"box.time", "5", "\"5\" is not a duration"},
		{"box.number", "0", "\"0\" is out of bounds: from 1 to 10"},
		{"box.number", "4294967297", "\"4294967297\" is out of bounds: from 1 to 10"},
	};
	struct thing before, thing = {0};
	struct error error;

	(void)state;
	option_set_defaults(&table, &thing);
	memcpy(&before, &thing, sizeof(before));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(set(&thing, wrong[i].path, wrong[i].text, &error));
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_string_equal(error.text, wrong[i].says);
		assert_non_null(strstr(error.hint, wrong[i].path));
		assert_memory_equal(&thing, &before, sizeof(thing));
	}
	assert_false(option_set(&rows[0], &thing, &(struct option_value){OPTION_LIST, NULL, 0, NULL}, &error));
	assert_string_equal(error.text, "it takes one value (text), not a list");
}

static const char *nearest(const char *path, char out[OPTION_PATH_MAX])
{
	return option_nearest(&table, slice_of_string(path), out);
}

static void the_nearest_option_is_named(void **state)
{
	char out[OPTION_PATH_MAX];

	(void)state;
	assert_string_equal(nearest("nmae", out), "name");
	assert_string_equal(nearest("boxx", out), "box");
	assert_string_equal(nearest("lid.color", out), "lid.colour");
	assert_string_equal(nearest("bx.size", out), "box.size"); /* the group is wrong */
	assert_string_equal(nearest("size", out), "box.size");    /* the group is missing */
	assert_string_equal(nearest("lid.number", out), "box.number");
	assert_null(nearest("frobnicate", out));
	assert_null(nearest("", out));
	assert_true(option_has_below(&table, SLICE("lid")));
	assert_false(option_has_below(&table, SLICE("li")));
	assert_false(option_has_below(&table, SLICE("name")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_come_from_the_table),
		cmocka_unit_test(values_are_stored),
		cmocka_unit_test(what_does_not_fit_is_refused_and_changes_nothing),
		cmocka_unit_test(the_nearest_option_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
