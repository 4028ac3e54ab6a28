/* Slots that an atomic migration of the source brings: whom the new owner's link waits for. */
#include "handover_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_brought_by_atomic_migration(void **state)
{
	struct handover_question question;
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = 1200;
	bench.sources[2].map = 1; /* it says that they are its own: the others have not heard of it */
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 50, 7), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 1200);
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 50, 7), HANDOVER_WAIT); /* no fence counts before */
	bench.sources[0].map = 1;
	bench.sources[0].now = 1300; /* with the keys removed */
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 50, 7), HANDOVER_WAIT);
	bench.sources[1].map = 1;
	handover_applied(bench.handover, 0, 1, 1300);
	assert_true(bench.sources[0].map_us > 0);
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 50, 7), HANDOVER_GO); /* that of OTHER_SLOT has applied all */
	assert_int_equal(handover_holder(bench.handover, SLOT), 2);
	assert_int_equal(handover_holder(bench.handover, OTHER_SLOT), 2);
	assert_int_equal(handover_moving(bench.handover), 2);
	assert_false(handover_question(bench.handover, 0, &question));
	handover_bench_end(&bench);
}

/* Back again, while the link in between has not come so far: it goes first, whoever asks first, and though their masters' maps are the last one's. */
static void test_brought_back(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = bench.sources[1].now = bench.sources[2].now = 2000;
	assert_int_equal(handover_bench_ask_brought(&bench, 0, 1100, 2), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 1090);
	handover_applied(bench.handover, 2, 1, 490);
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 1), HANDOVER_WAIT); /* the one of OTHER_SLOT is awaited */
	handover_applied(bench.handover, 1, 1, 2000);
	assert_int_equal(handover_bench_ask_brought(&bench, 0, 1100, 2), HANDOVER_WAIT);
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 1), HANDOVER_GO);
	assert_int_equal(handover_bench_ask_brought(&bench, 0, 1100, 2), HANDOVER_WAIT);
	handover_applied(bench.handover, 2, 1, 2000);
	assert_int_equal(handover_bench_ask_brought(&bench, 0, 1100, 2), HANDOVER_GO);
	assert_int_equal(handover_holder(bench.handover, SLOT), 0);
	handover_bench_end(&bench);
}

/* A fence that was asked for before does not know of its removal, nor one that was agreed upon for other slots. */
static void test_brought_has_a_fence_of_its_own(void **state)
{
	static const uint64_t other[SLOT_COUNT / 64] = {[OTHER_SLOT / 64] = 1ULL << (OTHER_SLOT % 64)};
	struct handover_event before = handover_bench_event(SLOT, 300, "k", false), more = {.slot = OTHER_SLOT,
											    .imports = true,
											    .brought = true,
											    .slots = other,
											    .job = 8,
											    .start = 590,
											    .end = 600};
	struct handover_bench bench;
	struct error error;
	uint16_t from;

	(void)state;
	handover_bench_begin(&bench, NULL);
	before.received = more.received = 900; /* all that follows is there already */
	bench.sources[0].now = bench.sources[1].now = 1000;
	assert_int_equal(handover_ask(bench.handover, 2, &before, &from, &error), HANDOVER_GO);
	bench.sources[2].map = bench.sources[1].map = 1;
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 7), HANDOVER_WAIT);
	bench.sources[0].map = 1;
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 7), HANDOVER_GO);
	bench.sources[2].map = 2;
	assert_int_equal(handover_ask(bench.handover, 2, &more, &from, &error), HANDOVER_WAIT);
	handover_bench_end(&bench);
}

/* Two masters take over slots from each other: each link's master deletes its keys behind what the link waits with. */
static void test_brought_both_ways(void **state)
{
	static const uint64_t one[SLOT_COUNT / 64] = {[SLOT / 64] = 1ULL << (SLOT % 64)},
					       other[SLOT_COUNT / 64] = {[OTHER_SLOT / 64] = 1ULL << (OTHER_SLOT % 64)};
	struct handover_event there = {.slot = SLOT,
				       .imports = true,
				       .brought = true,
				       .slots = one,
				       .job = 1,
				       .start = 1000,
				       .end = 1010,
				       .received = 1200};
	struct handover_event back = {.slot = OTHER_SLOT,
				      .imports = true,
				      .brought = true,
				      .slots = other,
				      .job = 2,
				      .start = 1000,
				      .end = 1010,
				      .received = 1200};
	struct handover_question question;
	struct handover_bench bench;
	struct handover_ring ring;
	struct error error;
	uint16_t from;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = bench.sources[1].now = 1200;
	assert_int_equal(handover_ask(bench.handover, 1, &there, &from, &error), HANDOVER_WAIT);
	assert_int_equal(handover_ask(bench.handover, 0, &back, &from, &error), HANDOVER_WAIT);
	for (uint32_t link = 0; link < 2; link++) {
		assert_true(handover_question(bench.handover, link, &question));
		assert_true(question.ends);
		handover_answer(bench.handover, link, &question, HANDOVER_SOME); /* the removal */
	}
	for (uint64_t now = 0; now < HANDOVER_RING_US; now += 250000)
		assert_false(handover_break_ring(bench.handover, now, &ring));
	assert_true(handover_break_ring(bench.handover, HANDOVER_RING_US + 500000, &ring));
	assert_int_equal(ring.links, 2);
	assert_int_equal(handover_rounds(bench.handover), 1);
	handover_bench_end(&bench);
}

/* A run that was killed comes to it again: who has waited for it since is behind it. */
static void test_brought_again_after_a_restart(void **state)
{
	char *path = handover_bench_file();
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, path);
	handover_applied(bench.handover, 2, 1, 490);
	assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 7), HANDOVER_GO);
	handover_bench_end(&bench);
	for (int i = 0; i < 2; i++) { /* as read from what was added, and from what was written anew */
		handover_bench_begin(&bench, path);
		bench.sources[0].now = 5000;
		assert_int_equal(handover_bench_ask_brought(&bench, 2, 500, 7), HANDOVER_GO);
		assert_int_equal(handover_bench_ask_brought(&bench, 2, 700, 8), HANDOVER_WAIT);
		handover_bench_end(&bench);
	}
	handover_bench_remove_file(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brought_by_atomic_migration),    cmocka_unit_test(test_brought_back),
		cmocka_unit_test(test_brought_has_a_fence_of_its_own), cmocka_unit_test(test_brought_both_ways),
		cmocka_unit_test(test_brought_again_after_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
