/* What servers tell of changes: notifications, the setting, and the facts of INFO that a scanner goes by. */
#include "source/listener.h"
#include "source/scan_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_key(const char *channel, const char *message, uint32_t want_db, const char *want_key)
{
	struct slice key;
	uint32_t db;

	assert_true(listener_parse(slice_of_string(channel), slice_of_string(message), &db, &key));
	assert_int_equal(db, want_db);
	assert_true(slice_equal(key, slice_of_string(want_key)));
}

static void test_notifications(void **state)
{
	static const char *const wrong[] = {
		"",     "__keyevent@",        "__keyevent@0", "__keyevent@x__:set", "__keyevent@99999999999__:set",
		"news", "__keyevent@-1__:set"};
	struct slice key;
	uint32_t db;

	(void)state;
	assert_key("__keyevent@0__:set", "foo", 0, "foo");
	assert_key("__keyevent@15__:rename_from", "__:", 15, "__:");
	assert_key("__keyspace@3__:foo", "del", 3, "foo");
	assert_key("__keyspace@0__:__:", "del", 0, "__:");
	assert_key("__keyspace@0__:", "del", 0, "");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(listener_parse(slice_of_string(wrong[i]), SLICE("k"), &db, &key));
}

static void assert_setting(const char *setting, bool streams, bool enough, unsigned want_channels, const char *want)
{
	unsigned channels;
	char wanted[32];

	assert_int_equal(listener_setting(slice_of_string(setting), streams, &channels, wanted), enough);
	if (enough)
		assert_int_equal(channels, want_channels);
	else
		assert_string_equal(wanted, want);
}

static void test_settings(void **state)
{
	(void)state;
	assert_setting("AKE", true, true, LISTENER_KEYEVENT, NULL);
	assert_setting("AE", true, true, LISTENER_KEYEVENT, NULL);
	assert_setting("AK", true, true, LISTENER_KEYSPACE, NULL);
	assert_setting("g$lshzxetE", true, true, LISTENER_KEYEVENT, NULL);
	assert_setting("g$lshzxeE", false, true, LISTENER_KEYEVENT, NULL); /* before 5.0 */
	assert_setting("g$lshzxeE", true, false, 0, "EA");
	assert_setting("", true, false, 0, "EA");
	assert_setting("A", true, false, 0, "EA");
	assert_setting("Kl", true, false, 0, "KA");
	assert_setting("KEg$nm", true, false, 0, "KEAmn"); /* what was on stays on */
	assert_setting("$lshzxetE", true, false, 0, "EA");
}

static void test_info(void **state)
{
	uint32_t *databases;

	(void)state;
	assert_int_equal(scan_facts_silent_calls(SLICE("")), 0);
	assert_int_equal(scan_facts_silent_calls(
				 SLICE("# Commandstats\r\ncmdstat_flushall:calls=3,usec=1\r\ncmdstat_flushdb:calls=12,usec=5\r\n"
				       "cmdstat_set:calls=100,usec=5\r\ncmdstat_swapdb:calls=1,usec=9\r\n")),
			 16);
	assert_int_equal(scan_facts_silent_calls(SLICE("cmdstat_flushall:calls=")), 0);
	assert_int_equal(
		scan_facts_databases(SLICE("# Keyspace\r\ndb0:keys=5,expires=0\r\ndb12:keys=1,expires=1\r\ndbx:keys=1\r\ndb3"),
				     &databases),
		2);
	assert_int_equal(databases[0], 0);
	assert_int_equal(databases[1], 12);
	free(databases);
	assert_int_equal(scan_facts_databases(SLICE(""), &databases), 0);
	assert_null(databases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notifications),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
