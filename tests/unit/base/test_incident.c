#include "base/incident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST 4

static void add(struct incidents *incidents, int number)
{
	struct incident incident = incident_make(INCIDENT_RESUMED, number, "number %d", number);

	incidents_add(incidents, "link", &incident);
}

/* The list, as "2 3 4 5 ". */
static void assert_listed(struct incidents *incidents, const char *expected)
{
	uint32_t count;
	struct incident *list = incidents_copy(incidents, &count);
	char text[64] = "";

	for (uint32_t i = 0; i < count; i++) {
		assert_string_equal(list[i].link, "link");
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%d ", (int)list[i].offset);
	}
	assert_string_equal(text, expected);
	free(list);
}

static void the_last_ones_are_kept(void **state)
{
	struct incidents *incidents = incidents_new(MOST);

	(void)state;
	assert_listed(incidents, "");
	add(incidents, 1);
	assert_listed(incidents, "1 ");
	for (int number = 2; number <= MOST; number++)
		add(incidents, number);
	assert_listed(incidents, "1 2 3 4 ");
	add(incidents, 5);
	assert_listed(incidents, "2 3 4 5 ");
	for (int number = 6; number <= 11; number++)
		add(incidents, number);
	assert_listed(incidents, "8 9 10 11 ");
	incidents_free(incidents);
}

static void long_texts_are_cut(void **state)
{
	static char longer[2 * INCIDENT_TEXT_MAX];
	struct incident incident;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	incident = incident_make(INCIDENT_FAILED, -1, "%s", longer);
	incident_add_text(&incident, " and %s", longer);
	assert_int_equal(strlen(incident.text), INCIDENT_TEXT_MAX - 1);
}

static void costs_keep_their_order(void **state)
{
	struct incident incident = incident_make(INCIDENT_TARGET_RECONNECTED, 7, "back");

	(void)state;
	incident_add_cost(&incident, "seconds", 1.5);
	incident_add_cost(&incident, "in_flight", 3);
	assert_int_equal(incident.cost_count, 2);
	assert_string_equal(incident.costs[1].name, "in_flight");
	assert_true(incident.costs[0].value == 1.5);
}

/* Metrics and documents rely on it. */
static void every_kind_has_a_word_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < INCIDENT_KINDS; a++) {
		assert_non_null(incident_kind_name((enum incident_kind)a));
		assert_int_equal(strspn(incident_kind_name((enum incident_kind)a), "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(incident_kind_name((enum incident_kind)a)));
		for (int b = 0; b < a; b++)
			assert_string_not_equal(incident_kind_name((enum incident_kind)a),
						incident_kind_name((enum incident_kind)b));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_ones_are_kept),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(costs_keep_their_order),
		cmocka_unit_test(every_kind_has_a_word_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
