/* The judge: kinds of differences, and times of expiry in all forms that the guard gives them. */
#include "verify/judge.h"

#include "base/clock.h"
#include "transform/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1700000000000
#define LATER (NOW + 3600000)
#define MARGIN 60000
#define TOLERANCE 1000

static int64_t now_ms(void)
{
	return NOW;
}

static uint64_t monotonic_us(void)
{
	return 1;
}

static const struct judge_options guarded = {
	.tolerance_ms = TOLERANCE, .guarded = true, .base = GUARD_KEY_BASE + 3 * GUARD_SPAN, .margin_ms = MARGIN};
static const struct judge_options plain = {.tolerance_ms = TOLERANCE};

static struct stash *stash;
static struct reading_place place;

static struct reading outline(const char *type, uint64_t length, int64_t expire_at_ms)
{
	return (struct reading){.state = READING_THERE,
				.form = READING_OUTLINE,
				.type = slice_of_string(type),
				.length = length,
				.expire_at_ms = expire_at_ms,
				.place = &place};
}

/* As DUMP gives it: type, value, version 9, a checksum that nobody looks at. */
static struct reading full(uint8_t type, struct slice value, int64_t expire_at_ms)
{
	struct reading reading = {.state = READING_THERE, .form = READING_FULL, .expire_at_ms = expire_at_ms, .place = &place};
	struct error error;

	stash_begin(stash, 1 + value.len + 10, &reading.payload);
	assert_true(stash_add(stash, &reading.payload, slice_make(&type, 1), &error));
	assert_true(stash_add(stash, &reading.payload, value, &error));
	assert_true(stash_add(stash, &reading.payload, SLICE("\x09\0\0\0\0\0\0\0\0\0"), &error));
	return reading;
}

static struct reading gone(void)
{
	return (struct reading){
		.state = READING_GONE, .form = READING_OUTLINE, .expire_at_ms = READING_NO_EXPIRY, .place = &place};
}

#define SAME (-1)
#define UNREAD (-2)

/* SAME, UNREAD, or the kind of the difference. */
static int judged(const struct judge_options *options, struct reading source, struct reading target, const char *text_part)
{
	struct judge *judge = judge_new(options);
	char text[VALUE_DIFFERENCE_MAX];
	enum difference_kind kind;
	enum verdict verdict = judge_pair(judge, &source, &target, source.expire_at_ms, &kind, text);

	judge_free(judge);
	if (verdict == VERDICT_DIFFERENT && text_part)
		assert_non_null(strstr(text, text_part));
	return verdict == VERDICT_SAME ? SAME : verdict == VERDICT_UNREAD ? UNREAD : (int)kind;
}

static int times(const struct judge_options *options, int64_t source, int64_t target)
{
	return judged(options, outline("string", 1, source), outline("string", 1, target), NULL);
}

static void test_presence(void **state)
{
	struct reading unread = {.place = &place};

	(void)state;
	assert_int_equal(judged(&plain, gone(), gone(), NULL), SAME);
	assert_int_equal(judged(&plain, outline("set", 3, -1), gone(), NULL), DIFFERENCE_MISSING);
	assert_int_equal(judged(&plain, gone(), outline("set", 3, -1), NULL), DIFFERENCE_EXTRA);
	assert_int_equal(judged(&plain, unread, outline("set", 3, -1), NULL), UNREAD);
	assert_int_equal(judged(&plain, gone(), unread, NULL), UNREAD);
	/* Its time has come: here a moment earlier than there. */
	assert_int_equal(judged(&plain, outline("set", 3, NOW + 10), gone(), NULL), SAME);
	assert_int_equal(judged(&plain, gone(), outline("set", 3, NOW - 10), NULL), SAME);
	assert_int_equal(judged(&plain, outline("set", 3, LATER), gone(), NULL), DIFFERENCE_MISSING);
	/* Held until the source's DEL comes, which is on its way. */
	assert_int_equal(judged(&guarded, gone(), outline("set", 3, guarded.base + NOW - 5000), NULL), SAME);
	assert_int_equal(judged(&guarded, gone(), outline("set", 3, guarded.base + LATER), NULL), DIFFERENCE_EXTRA);
}

static void test_outline(void **state)
{
	(void)state;
	assert_int_equal(judged(&plain, outline("set", 3, -1), outline("set", 3, -1), NULL), SAME);
	assert_int_equal(judged(&plain, outline("set", 3, -1), outline("set", 4, -1), "length 3 in the source and 4"),
			 DIFFERENCE_VALUE);
	assert_int_equal(judged(&plain, outline("set", 3, -1), outline("zset", 3, -1), "set in the source and zset"),
			 DIFFERENCE_TYPE);
}

static void test_values(void **state)
{
	static const uint8_t one_two[] = {2, 1, 'a', 1, 'b'}, two_one[] = {2, 1, 'b', 1, 'a'};
	struct slice ab = slice_make(one_two, sizeof(one_two)), ba = slice_make(two_one, sizeof(two_one));
	struct reading broken = full(1, ab, -1);

	(void)state;
	assert_int_equal(judged(&plain, full(1, ab, -1), full(1, ab, -1), NULL), SAME);
	assert_int_equal(judged(&plain, full(1, ab, -1), full(1, ba, -1), "element 0"), DIFFERENCE_VALUE);
	assert_int_equal(judged(&plain, full(2, ab, -1), full(2, ba, -1), NULL), SAME);
	assert_int_equal(judged(&plain, full(1, ab, -1), full(2, ab, -1), "list in the source and set"), DIFFERENCE_TYPE);
	assert_int_equal(judged(&plain, full(1, ab, LATER), full(1, ab, -1),
				"expires at 2023-11-14T23:13:20.000Z in the source and never"),
			 DIFFERENCE_EXPIRY);
	broken.payload.filled = 5;
	assert_int_equal(judged(&plain, full(1, ab, -1), broken, "no value"), DIFFERENCE_VALUE);
}

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(times(&plain, -1, -1), SAME);
	assert_int_equal(times(&plain, LATER, LATER + TOLERANCE), SAME);
	assert_int_equal(times(&plain, LATER, LATER - TOLERANCE), SAME);
	assert_int_equal(times(&plain, LATER, LATER + TOLERANCE + 1), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&plain, LATER, -1), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&plain, -1, LATER), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&plain, LATER, LATER + MARGIN), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&guarded, LATER, LATER), SAME);
	assert_int_equal(times(&guarded, LATER, LATER + MARGIN), SAME);
	assert_int_equal(times(&guarded, LATER, LATER + MARGIN + TOLERANCE + 1), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&guarded, LATER, LATER + MARGIN / 2), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&guarded, LATER, guarded.base + LATER), SAME);
	assert_int_equal(times(&guarded, LATER, guarded.base + LATER + MARGIN), DIFFERENCE_EXPIRY);
	assert_int_equal(times(&guarded, LATER, guarded.base + GUARD_SPAN + LATER), DIFFERENCE_EXPIRY); /* another task's */
	assert_int_equal(times(&plain, LATER, guarded.base + LATER), DIFFERENCE_EXPIRY);
}

static void test_forms(void **state)
{
	struct judge *judge = judge_new(&guarded);
	const int64_t seen[] = {LATER, LATER, LATER + MARGIN, guarded.base + LATER, LATER + MARGIN / 2, -1};
	struct judge_forms forms;

	(void)state;
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
		struct reading source = outline("string", 1, LATER), target = outline("string", 1, seen[i]);
		char text[VALUE_DIFFERENCE_MAX];
		enum difference_kind kind;

		judge_pair(judge, &source, &target, LATER, &kind, text);
	}
	forms = judge_forms(judge);
	assert_int_equal(forms.same, 2);
	assert_int_equal(forms.live, 1);
	assert_int_equal(forms.held, 1);
	judge_free(judge);
}

static int set_up(void **state)
{
	static const struct clock_source source = {monotonic_us, now_ms};

	(void)state;
	clock_use(&source);
	stash = stash_new(1 << 20);
	place = (struct reading_place){.stash = stash};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	stash_free(stash);
	clock_use(NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_presence), cmocka_unit_test(test_outline), cmocka_unit_test(test_values),
		cmocka_unit_test(test_times),    cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
