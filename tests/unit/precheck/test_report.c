/* Findings to a verdict, a table and JSON; items and the names by which they are waived. */
#include "base/memory.h"
#include "precheck/precheck_state.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct case_of {
	struct task_options task;
	struct precheck_options options;
	struct precheck precheck;
	struct node node;
};

static int set_up(void **state)
{
	struct case_of *given = memory_alloc_zero(1, sizeof(*given));

	task_options_init(&given->task);
	given->options.task = &given->task;
	given->precheck.options = &given->options;
	given->precheck.report.task = "orders";
	given->node = (struct node){.name = "10.0.0.1:6379"};
	*state = given;
	return 0;
}

static int tear_down(void **state)
{
	struct case_of *given = *state;

	precheck_report_free(&given->precheck.report);
	task_options_free(&given->task);
	free(given);
	return 0;
}

static void find(struct case_of *given, const char *item, enum precheck_side side, enum precheck_result result, enum text text)
{
	const struct subject subject = {&given->precheck, precheck_item_find(item), side,
					side == PRECHECK_HERE ? NULL : &given->node};
	struct finding *finding = finding_add(&subject, result, text);

	finding_argument(finding, "%s", "what \"was\" said\xff");
	finding_measured(finding, "%d", 7);
}

static void waive(struct case_of *given, const char *name)
{
	given->task.waive.items = memory_realloc_array(given->task.waive.items, given->task.waive.count + 1, sizeof(char *));
	given->task.waive.items[given->task.waive.count++] = memory_strdup(name);
}

static void the_kind_of_a_verdict(void **state)
{
	struct case_of *given = *state;
	const struct precheck_report *report = &given->precheck.report;
	const struct finding *first;

	assert_int_equal(precheck_verdict(report, &first), ERROR_NONE);
	assert_null(first);
	find(given, "clock", PRECHECK_SOURCE, PRECHECK_WARNING, TEXT_CLOCK);
	find(given, "psync", PRECHECK_SOURCE, PRECHECK_SKIPPED, TEXT_PSYNC_NOT_ASKED);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_NONE);
	find(given, "work-directory", PRECHECK_HERE, PRECHECK_FAILED, TEXT_WORK_DIR);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_USAGE);
	precheck_report_free(&given->precheck.report);
	find(given, "rights", PRECHECK_TARGET, PRECHECK_FAILED, TEXT_RIGHTS);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_TARGET);
	find(given, "connect", PRECHECK_SOURCE, PRECHECK_FAILED, TEXT_CONNECT);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_TARGET);
	find(given, "target-empty", PRECHECK_TARGET, PRECHECK_FAILED, TEXT_TARGET_EMPTY);
	assert_int_equal(precheck_verdict(report, &first), ERROR_PRECHECK);
	assert_string_equal(first->item->name, "target-empty");
}

static void what_is_waived_stops_nothing_and_shows(void **state)
{
	struct case_of *given = *state;
	const struct precheck_report *report = &given->precheck.report;
	char *text;

	waive(given, "slots");
	waive(given, "clock");
	find(given, "slots", PRECHECK_SOURCE, PRECHECK_FAILED, TEXT_SLOTS);
	find(given, "clock", PRECHECK_SOURCE, PRECHECK_PASSED, TEXT_NONE);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_NONE);
	assert_int_equal(precheck_report_count(report, PRECHECK_FAILED), 0);
	text = precheck_report_text(report, LANGUAGE_EN);
	assert_non_null(strstr(text, "waived  slots"));
	assert_non_null(strstr(text, "of 16384 slots of the source cluster have no master"));
	assert_non_null(strstr(text, "1 passed, 0 skipped, 0 warnings, 0 failed, 1 waived"));
	free(text);
	find(given, "psync", PRECHECK_SOURCE, PRECHECK_FAILED, TEXT_PSYNC_UNKNOWN);
	assert_int_equal(precheck_verdict(report, NULL), ERROR_SOURCE);
}

static void names_to_waive(void **state)
{
	struct case_of *given = *state;
	struct error error;

	assert_true(precheck_waive_check(&given->task, &error));
	waive(given, "repl-backlog-size");
	assert_true(precheck_waive_check(&given->task, &error));
	waive(given, "repl-backlogsize");
	assert_false(precheck_waive_check(&given->task, &error));
	assert_non_null(strstr(error.text, "did you mean 'repl-backlog-size'?"));
	assert_int_equal(error.kind, ERROR_USAGE);
	free(given->task.waive.items[1]);
	given->task.waive.items[1] = memory_strdup("target-empty");
	assert_false(precheck_waive_check(&given->task, &error));
	assert_non_null(strstr(error.text, "cannot be waived"));
}

static void json_has_every_field(void **state)
{
	struct case_of *given = *state;
	json_t *page, *item;
	char *text;

	find(given, "target-empty", PRECHECK_TARGET, PRECHECK_FAILED, TEXT_TARGET_EMPTY);
	find(given, "disk", PRECHECK_HERE, PRECHECK_PASSED, TEXT_NONE);
	text = precheck_report_json(&given->precheck.report, LANGUAGE_ZH);
	page = json_loads(text, 0, NULL);
	assert_non_null(page);
	assert_string_equal(json_string_value(json_object_get(page, "task")), "orders");
	assert_false(json_boolean_value(json_object_get(page, "passed")));
	assert_int_equal(json_integer_value(json_object_get(page, "exit_code")), 3);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(page, "counts"), "failed")), 1);
	item = json_array_get(json_object_get(page, "items"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "result")), "failed");
	/* What is no UTF-8 does not make the page unreadable. */
	assert_non_null(strstr(json_string_value(json_object_get(item, "cause")), "what \"was\" said?"));
	item = json_array_get(json_object_get(page, "items"), 1);
	assert_true(json_is_null(json_object_get(item, "cause")) && json_is_null(json_object_get(item, "remedy")) &&
		    json_is_null(json_object_get(item, "node")));
	assert_string_equal(json_string_value(json_object_get(item, "side")), "here");
	json_decref(page);
	free(text);
}

static void items_are_well_formed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < precheck_item_count; i++) {
		const struct precheck_item *item = &precheck_items[i];

		assert_ptr_equal(precheck_item_find(item->name), item);
		assert_int_equal(strspn(item->name, "abcdefghijklmnopqrstuvwxyz-"), strlen(item->name));
		assert_non_null(item->judge);
		assert_true(item->what[LANGUAGE_EN] && item->what[LANGUAGE_ZH]);
		assert_true((item->scope & (SCOPE_OF_SOURCE | SCOPE_OF_TARGET)) || (item->scope & SCOPE_ONCE));
		assert_true(item->kind == ERROR_PRECHECK || item->kind == ERROR_SOURCE || item->kind == ERROR_USAGE);
	}
	assert_null(precheck_item_find("none"));
}

static void lists_have_every_item(void **state)
{
	(void)state;
	for (int format = PRECHECK_LIST_TEXT; format <= PRECHECK_LIST_MARKDOWN; format++) {
		for (int language = 0; language < LANGUAGES; language++) {
			char *text = precheck_list(format, language);

			for (uint32_t i = 0; i < precheck_item_count; i++)
				assert_non_null(strstr(text, precheck_items[i].name));
			free(text);
		}
	}
}

static void measures(void **state)
{
	char out[MEASURE_MAX];

	(void)state;
	assert_string_equal(measure_bytes(0, out), "0 B");
	assert_string_equal(measure_bytes(1536, out), "1.5 KiB");
	assert_string_equal(measure_bytes(UINT64_MAX, out), "16384.0 PiB");
	assert_string_equal(measure_seconds(0.083, out), "0.08 s");
	assert_string_equal(measure_seconds(61, out), "61 s");
	assert_string_equal(measure_seconds(600, out), "10 min");
	assert_string_equal(measure_seconds(1e6, out), "277.8 h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_kind_of_a_verdict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_waived_stops_nothing_and_shows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names_to_waive, set_up, tear_down),
		cmocka_unit_test_setup_teardown(json_has_every_field, set_up, tear_down),
		cmocka_unit_test(items_are_well_formed),
		cmocka_unit_test(lists_have_every_item),
		cmocka_unit_test(measures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
