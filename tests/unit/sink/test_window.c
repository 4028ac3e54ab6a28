/* The window: its bounds, its circular memory, and the low-water position that never passes a unit that is not done. */
#include "sink/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB 1024u

static struct unit *add(struct window *window, uint64_t start, uint64_t end, size_t len)
{
	struct unit *unit = window_new_unit(window);
	uint8_t *memory = window_alloc(window, unit, len);

	memset(memory, (int)(start & 0xff), len);
	unit->start = start;
	unit->end = end;
	unit->db_stream = (uint32_t)(end % 16);
	unit->pieces[unit->piece_count++] = slice_make(memory, len);
	window_commit(window, unit);
	return unit;
}

static bool intact(const struct unit *unit)
{
	for (size_t i = 0; i < unit->pieces[0].len; i++)
		if (unit->pieces[0].data[i] != (uint8_t)unit->start)
			return false;
	return true;
}

static void test_low_water(void **state)
{
	struct window window;
	struct unit *a, *b, *c;

	(void)state;
	window_init(&window, 8, 1, 1 << 20, 100, 3);
	assert_true(window_empty(&window));
	assert_int_equal(window.position, 100);
	assert_int_equal(window.db, 3);
	a = add(&window, 100, 110, 10);
	b = add(&window, 110, 120, 10);
	c = add(&window, 120, 133, 10);
	window_progress(&window, 150, 9);
	assert_int_equal(window.position, 100);
	window_done(&window, b);
	assert_int_equal(window.position, 100);
	window_done(&window, a);
	assert_int_equal(window.position, 120);
	assert_int_equal(window.db, 120 % 16);
	window_done(&window, c);
	assert_int_equal(window.position, 150); /* nothing was to be applied behind it */
	assert_int_equal(window.db, 9);
	assert_int_equal(window.bytes, 0);
	window_progress(&window, 160, 1);
	assert_int_equal(window.position, 160);
	window_free(&window);
}

static void test_bounds(void **state)
{
	struct window window;
	int count = 0;

	(void)state;
	window_init(&window, 10, 4, 1 << 20, 0, 0);
	for (; window_has_room(&window); count++)
		add(&window, (uint64_t)count, (uint64_t)count + 1, 8);
	assert_int_equal(count, 10);
	/* one event let in as the last may be four units */
	window_done(&window, &window.units[0]);
	assert_true(window_has_room(&window));
	for (int i = 0; i < 4; i++)
		add(&window, (uint64_t)(count + i), (uint64_t)(count + i + 1), 8);
	assert_false(window_has_room(&window));
	window_free(&window);

	window_init(&window, 1000, 1, 256 * KIB, 0, 0);
	for (count = 0; window_has_room(&window); count++)
		add(&window, (uint64_t)count, (uint64_t)count + 1, 10 * KIB);
	assert_in_range(count, 20, 26);
	window_free(&window);

	/* larger than all bounds: alone, but it gets in */
	window_init(&window, 1000, 1, 64 * KIB, 0, 0);
	assert_true(intact(add(&window, 5, 6, 4096 * KIB)));
	assert_false(window_has_room(&window));
	window_done(&window, &window.units[0]);
	assert_true(window_has_room(&window));
	window_free(&window);
}

/* Units of all sizes come and go; none's bytes change before it is done, in whatever order they are done. */
static void test_memory_goes_round(void **state)
{
	struct unit *held[64];
	uint64_t position = 0;
	uint32_t random = 1, count = 0;
	struct window window;

	(void)state;
	window_init(&window, 64, 1, 96 * KIB, 0, 0);
	for (int i = 0; i < 20000; i++) {
		random = random * 1103515245 + 12345;
		if (count < 64 && window_has_room(&window) && random % 5 != 0) {
			size_t len = random >> 8 & (random % 7 == 0 ? 0xffff : 0xff);

			held[count++] = add(&window, position, position + 1, len + 1);
			position++;
		} else if (count > 0) {
			uint32_t which = (random >> 8) % count;

			assert_true(intact(held[which]));
			window_done(&window, held[which]);
			held[which] = held[--count];
		}
		assert_true(window.position <= position);
		for (uint32_t j = 0; j < count; j++)
			assert_true(window.position <= held[j]->start);
	}
	while (count > 0)
		window_done(&window, held[--count]);
	assert_true(window_empty(&window));
	assert_int_equal(window.position, position);
	window_free(&window);
}

static void test_trim_and_drop(void **state)
{
	struct window window;
	struct unit *unit;
	uint8_t *first, *second;

	(void)state;
	window_init(&window, 8, 1, 64 * KIB, 0, 0);
	unit = window_new_unit(&window);
	first = window_alloc(&window, unit, 1000);
	window_trim(&window, unit, first + 10);
	window_commit(&window, unit);
	unit = window_new_unit(&window);
	second = window_alloc(&window, unit, 10);
	assert_ptr_equal(second, first + 10);
	window_commit(&window, unit);
	/* to the last byte of the buffer, and trimmed there */
	unit = window_new_unit(&window);
	first = window_alloc(&window, unit, window.memory_size - 20);
	window_trim(&window, unit, first + window.memory_size - 20);
	assert_null(unit->own_memory);
	window_commit(&window, unit);
	assert_int_equal(window.tail - window.head, 3);
	window_free(&window);
}

static void test_insert(void **state)
{
	struct unit units[5];
	struct unit_list list = {0};

	(void)state;
	for (uint64_t i = 0; i < 5; i++)
		units[i] = (struct unit){.start = i * 10};
	unit_list_insert(&list, &units[2]);
	unit_list_insert(&list, &units[4]);
	unit_list_insert(&list, &units[0]);
	unit_list_insert(&list, &units[3]);
	unit_list_insert(&list, &units[1]);
	assert_ptr_equal(list.tail, &units[4]);
	for (int i = 0; i < 5; i++)
		assert_ptr_equal(unit_list_take(&list), &units[i]);
	assert_null(unit_list_take(&list));
	assert_null(list.tail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_low_water),     cmocka_unit_test(test_bounds), cmocka_unit_test(test_memory_goes_round),
		cmocka_unit_test(test_trim_and_drop), cmocka_unit_test(test_insert),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
