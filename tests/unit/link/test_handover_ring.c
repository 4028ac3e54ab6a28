/* Links that wait for each other for good: they are found, links that are slow are not taken for such, and what all begin anew with does not lead there again. */
#include "handover_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOOK_US 250000
#define SECOND 1000000ULL

/* Looks for as long; returns whether a ring was broken, and when: *now. */
static bool look_for(struct handover_bench *bench, uint64_t us, uint64_t *now, struct handover_ring *ring)
{
	for (uint64_t end = *now + us; *now < end;) {
		*now += LOOK_US;
		if (handover_break_ring(bench->handover, *now, ring))
			return true;
	}
	return false;
}

/* Whoever asks the link is told that; returns how many did. */
static uint32_t answer_all(struct handover_bench *bench, uint32_t link, enum handover_found found)
{
	struct handover_question question;
	uint32_t count = 0;

	/* What is not there yet is asked for again and again. */
	while (count < LINKS && handover_question(bench->handover, link, &question)) {
		handover_answer(bench->handover, link, &question, found);
		count++;
	}
	return count;
}

/* Both take snapshots, and each of these holds a key that was the other one's. Each has more of that key in its stream. */
static void begin_two(struct handover_bench *bench)
{
	struct handover_event event;
	struct error error;
	uint16_t from;

	handover_bench_begin(bench, NULL);
	for (uint32_t link = 0; link < 2; link++) {
		bench->sources[link] = (struct source){.now = 1500, .generation = 2};
		handover_in_snapshot(bench->handover, link, 2, 1100);
	}
	for (uint32_t link = 0; link < 2; link++) {
		event = handover_bench_event(link ? SLOT : OTHER_SLOT, 1100, "k", false);
		event.brought = true;
		event.start = 1100;
		bench->sources[link].map = 7;
		bench->sources[1 - link].map = 7;
		assert_int_equal(handover_ask(bench->handover, link, &event, &from, &error), HANDOVER_WAIT);
	}
}

static enum handover_answer ask_again(struct handover_bench *bench, uint32_t link)
{
	struct handover_event event = handover_bench_event(link ? SLOT : OTHER_SLOT, 1100, "k", false);
	struct error error;
	uint16_t from;

	event.brought = true;
	event.start = 1100;
	return handover_ask(bench->handover, link, &event, &from, &error);
}

static void test_two_snapshots(void **state)
{
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND;

	(void)state;
	begin_two(&bench);
	assert_false(look_for(&bench, 20 * SECOND, &now, &ring)); /* nobody has looked ahead yet */
	assert_int_equal(answer_all(&bench, 0, HANDOVER_SOME), 1);
	assert_false(look_for(&bench, 20 * SECOND, &now, &ring));
	assert_int_equal(answer_all(&bench, 1, HANDOVER_SOME), 1);
	assert_false(look_for(&bench, 5 * SECOND, &now, &ring));
	assert_int_equal(handover_rounds(bench.handover), 0);
	assert_int_equal(ask_again(&bench, 0), HANDOVER_WAIT);
	assert_int_equal(ask_again(&bench, 1), HANDOVER_WAIT);
	assert_true(look_for(&bench, SECOND, &now, &ring));
	assert_int_equal(ring.links, 2);
	assert_int_equal(ring.rounds, 1);
	assert_in_range(ring.stood_us, HANDOVER_RING_US, HANDOVER_RING_US + SECOND);
	assert_int_equal(handover_rounds(bench.handover), 1);
	handover_bench_end(&bench);
}

/* A -> B -> C -> A, in their streams. */
static void test_three(void **state)
{
	uint16_t owners[SLOT_COUNT];
	struct handover_ring ring;
	struct handover_bench bench;
	struct error error;
	uint64_t now = SECOND;

	(void)state;
	handover_bench_begin(&bench, NULL);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = (uint16_t)(slot % LINKS);
	handover_bench_end(&bench);
	bench.handover = handover_open(NULL, &error);
	for (uint32_t i = 0; i < LINKS; i++) {
		bench.sources[i] = (struct source){.now = 2000, .generation = 1};
		handover_bench_join(&bench, i);
	}
	assert_true(handover_begin(bench.handover, owners, &error));
	for (uint32_t i = 0; i < LINKS; i++)
		assert_int_equal(handover_bench_ask(&bench, i, (uint16_t)(i + 1), 1100, "k", true), HANDOVER_WAIT);
	for (uint32_t i = 0; i < LINKS; i++)
		assert_int_equal(answer_all(&bench, i, HANDOVER_SOME), 1);
	assert_true(look_for(&bench, 6 * SECOND, &now, &ring));
	assert_int_equal(ring.links, 3);
	handover_bench_end(&bench);
}

/* Who is behind comes further: it does not wait, or has not received what it is asked for; but not where its spool has no room for that. */
static void test_slow_is_no_ring(void **state)
{
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND;

	(void)state;
	begin_two(&bench);
	answer_all(&bench, 0, HANDOVER_SOME);
	for (int i = 0; i < 100; i++) {
		assert_true(answer_all(&bench, 1, HANDOVER_LATER) > 0);
		assert_false(look_for(&bench, LOOK_US, &now, &ring));
	}
	for (int i = 0; i < 15; i++) {
		assert_true(answer_all(&bench, 1, HANDOVER_FULL) > 0);
		assert_false(look_for(&bench, LOOK_US, &now, &ring));
	}
	assert_true(answer_all(&bench, 1, HANDOVER_LATER) > 0); /* there is room again */
	assert_false(look_for(&bench, LOOK_US, &now, &ring));
	assert_true(answer_all(&bench, 1, HANDOVER_FULL) > 0);
	assert_false(look_for(&bench, 5 * SECOND, &now, &ring));
	assert_true(look_for(&bench, SECOND, &now, &ring));
	handover_bench_end(&bench);

	now = SECOND;
	begin_two(&bench);
	answer_all(&bench, 0, HANDOVER_SOME);
	answer_all(&bench, 1, HANDOVER_SOME);
	handover_forget(bench.handover, 1); /* it does not wait any more */
	assert_false(look_for(&bench, 20 * SECOND, &now, &ring));
	handover_bench_end(&bench);
}

/* Two wait for each other, and one of them for a third as well, which is merely behind: that may change everything. */
static void test_behind_a_third(void **state)
{
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_int_equal(handover_bench_ask(&bench, 2, SLOT, 1010, "k", true), HANDOVER_GO); /* 2 holds it, from 0 */
	for (uint32_t i = 0; i < LINKS; i++)
		bench.sources[i].now = 2000;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1110, "k", true), HANDOVER_WAIT);       /* for 2 and 0 */
	assert_int_equal(handover_bench_ask(&bench, 0, OTHER_SLOT, 1110, "n", true), HANDOVER_WAIT); /* for 1 */
	answer_all(&bench, 0, HANDOVER_SOME);
	answer_all(&bench, 1, HANDOVER_SOME);
	assert_false(look_for(&bench, 60 * SECOND, &now, &ring));
	handover_applied(bench.handover, 2, 1, 2000);
	assert_false(look_for(&bench, 5 * SECOND, &now, &ring));
	assert_true(look_for(&bench, SECOND, &now, &ring));
	assert_int_equal(ring.links, 2);
	handover_bench_end(&bench);
}

/* Any step of one of them begins the time anew, and has to be looked ahead from; time in which nobody looked is none. */
static void test_time_stands(void **state)
{
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = bench.sources[1].now = 2000;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1110, "k", true), HANDOVER_WAIT);
	assert_int_equal(handover_bench_ask(&bench, 0, OTHER_SLOT, 1110, "n", true), HANDOVER_WAIT);
	answer_all(&bench, 0, HANDOVER_SOME);
	answer_all(&bench, 1, HANDOVER_SOME);
	assert_false(look_for(&bench, 4 * SECOND, &now, &ring));
	handover_applied(bench.handover, 0, 1, 1050);
	assert_false(look_for(&bench, 20 * SECOND, &now, &ring));
	assert_int_equal(answer_all(&bench, 0, HANDOVER_SOME), 1);
	assert_false(look_for(&bench, 4 * SECOND, &now, &ring));
	now += 3600 * SECOND; /* the process was stopped */
	assert_false(look_for(&bench, LOOK_US, &now, &ring));
	assert_true(look_for(&bench, 2 * SECOND, &now, &ring));
	handover_bench_end(&bench);
}

/* The end of a snapshot does not wait for ever, so who waits for that does not either. */
static void test_snapshot_end_is_no_part(void **state)
{
	uint16_t owners[SLOT_COUNT] = {0};
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND;

	(void)state;
	begin_two(&bench);
	handover_forget(bench.handover, 0);
	owners[OTHER_SLOT] = 0;
	handover_map(bench.handover, owners);
	handover_map(bench.handover, owners);
	assert_int_equal(handover_ask_end(bench.handover, 0, 1100), HANDOVER_WAIT);
	answer_all(&bench, 0, HANDOVER_SOME);
	answer_all(&bench, 1, HANDOVER_SOME);
	assert_false(look_for(&bench, 20 * SECOND, &now, &ring));
	handover_bench_end(&bench);
}

/* With new snapshots, in which they come to the same. */
static void begin_anew(struct handover_bench *bench, uint64_t generation)
{
	for (uint32_t link = 0; link < 2; link++) {
		bench->sources[link].generation = generation;
		handover_in_snapshot(bench->handover, link, generation, 1100);
	}
	for (uint32_t link = 0; link < 2; link++)
		assert_int_equal(ask_again(bench, link), HANDOVER_WAIT);
}

/* The same again after each new snapshot: twice as long each time, but not for ever; once all is calm, as at first. */
static void test_again_and_again(void **state)
{
	uint16_t owners[SLOT_COUNT] = {[OTHER_SLOT] = 1};
	struct handover_ring ring;
	struct handover_bench bench;
	uint64_t now = SECOND, limit = HANDOVER_RING_US;

	(void)state;
	begin_two(&bench);
	for (uint32_t round = 1; round < 12; round++) {
		answer_all(&bench, 0, HANDOVER_SOME);
		answer_all(&bench, 1, HANDOVER_SOME);
		assert_false(look_for(&bench, limit, &now, &ring));
		assert_true(look_for(&bench, SECOND, &now, &ring));
		assert_int_equal(ring.rounds, round);
		handover_map(bench.handover, owners); /* nobody has begun anew yet */
		limit = 2 * limit < HANDOVER_RING_MAX_US ? 2 * limit : HANDOVER_RING_MAX_US;
		begin_anew(&bench, round + 2);
		handover_map(bench.handover, owners);
	}
	for (uint32_t link = 0; link < LINKS; link++) {
		handover_forget(bench.handover, link);
		bench.sources[link].generation = 40;
		handover_applied(bench.handover, link, 40, 1200);
	}
	handover_map(bench.handover, owners);
	begin_anew(&bench, 41);
	answer_all(&bench, 0, HANDOVER_SOME);
	answer_all(&bench, 1, HANDOVER_SOME);
	assert_true(look_for(&bench, HANDOVER_RING_US + SECOND, &now, &ring));
	assert_int_equal(ring.rounds, 1);
	handover_bench_end(&bench);
}

/* What all begin anew with: slots that the map gave to others before the snapshots were taken are theirs, and nobody waits for them. */
static void test_new_snapshots_follow_the_map(void **state)
{
	uint16_t owners[SLOT_COUNT] = {[SLOT] = 1};
	char *path = handover_bench_file();
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, path);
	for (int i = 0; i < 4; i++)
		handover_map(bench.handover, owners);
	assert_int_equal(handover_holder(bench.handover, SLOT),
			 0); /* in the stream, it is the new owner's when that one comes to it */
	for (uint32_t link = 0; link < 2; link++) {
		bench.sources[link] = (struct source){.now = 1050, .generation = 2};
		handover_in_snapshot(bench.handover, link, 2, 1049);
	}
	handover_map(bench.handover, owners);
	assert_int_equal(handover_holder(bench.handover, SLOT), 0); /* that snapshot was taken before, and may have keys of it */
	handover_bench_end(&bench);

	handover_bench_remove_file(path);
	path = handover_bench_file();
	handover_bench_begin(&bench, path);
	for (int i = 0; i < 2; i++)
		handover_map(bench.handover, owners);
	for (uint32_t link = 0; link < 2; link++) {
		bench.sources[link] = (struct source){.now = 1050, .generation = 2};
		handover_in_snapshot(bench.handover, link, 2, 1050);
	}
	handover_map(bench.handover, owners);
	assert_int_equal(handover_holder(bench.handover, SLOT), 1);
	assert_int_equal(handover_holder(bench.handover, OTHER_SLOT), 0);
	assert_true(handover_is_free(bench.handover, 1, SLOT, false));
	assert_true(handover_is_free(bench.handover, 0, OTHER_SLOT, false));
	assert_false(handover_is_free(bench.handover, 0, SLOT, false));
	assert_int_equal(handover_moving(bench.handover), 0);
	handover_bench_end(&bench);
	handover_bench_begin(&bench, path);
	assert_int_equal(handover_holder(bench.handover, SLOT), 1);
	handover_bench_end(&bench);
	handover_bench_remove_file(path);
}

/* ... but not while anybody else is behind, who may have had it in between; and then that one does not go back alone. */
static void test_following_waits_for_all(void **state)
{
	uint16_t owners[SLOT_COUNT] = {[OTHER_SLOT] = 1};
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_GO); /* 1 holds it, from 0 */
	owners[SLOT] = owners[OTHER_SLOT] = 2;
	for (int i = 0; i < 2; i++)
		handover_map(bench.handover, owners);
	bench.sources[0].now = 1200;
	bench.sources[1] = (struct source){.now = 1100, .generation = 2};
	handover_in_snapshot(bench.handover, 1, 2, 1100);
	handover_map(bench.handover, owners);
	assert_int_equal(handover_holder(bench.handover, SLOT), 1);
	assert_int_equal(handover_holder(bench.handover, OTHER_SLOT), 1);
	handover_applied(bench.handover, 0, 1, 1200);
	handover_map(bench.handover, owners);
	assert_int_equal(handover_holder(bench.handover, SLOT), 2);
	assert_int_equal(handover_holder(bench.handover, OTHER_SLOT), 2);
	assert_int_equal(handover_moving(bench.handover), 0);
	assert_false(handover_may_go_back(bench.handover, 0, 1199));
	handover_bench_end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_snapshots),
		cmocka_unit_test(test_three),
		cmocka_unit_test(test_slow_is_no_ring),
		cmocka_unit_test(test_behind_a_third),
		cmocka_unit_test(test_time_stands),
		cmocka_unit_test(test_snapshot_end_is_no_part),
		cmocka_unit_test(test_again_and_again),
		cmocka_unit_test(test_new_snapshots_follow_the_map),
		cmocka_unit_test(test_following_waits_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
