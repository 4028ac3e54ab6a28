/* The handover of slots between links: who waits for whom, across moves there and back, restarts, and links that wait for each other. */
#include "handover_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_holder_and_exporter_do_not_ask(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_true(handover_is_free(bench.handover, 0, SLOT, false));
	assert_false(handover_is_free(bench.handover, 1, SLOT, false));
	assert_false(handover_is_free(bench.handover, 0, SLOT, true));
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO); /* all of the holder's is applied */
	assert_int_equal(handover_holder(bench.handover, SLOT), 1);
	assert_int_equal(handover_moving(bench.handover), 1);
	assert_true(handover_is_free(bench.handover, 0, SLOT, false));
	assert_false(handover_is_free(bench.handover, 0, SLOT, true));
	assert_false(handover_is_free(bench.handover, 1, SLOT, false));
	handover_bench_end(&bench);
}

static void test_importer_waits_for_the_fence(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = 1200;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	bench.sources[0].now = 9999; /* what the holder does later is not waited for */
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	assert_int_equal(handover_wanted(bench.handover, 0), 1200);
	handover_applied(bench.handover, 0, 1, 1199);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 1200);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	/* The key is the holder's now; another one has a fence of its own. */
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 60, "k", false), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 70, "n", true), HANDOVER_WAIT);
	assert_int_equal(handover_counters(bench.handover, 1).slots, 1);
	assert_int_equal(handover_counters(bench.handover, 1).waits, 2);
	handover_bench_end(&bench);
}

static void test_one_fence_covers_what_was_received(void **state)
{
	struct handover_event event = handover_bench_event(SLOT, 50, "k", true);
	struct handover_bench bench;
	struct error error;
	uint16_t from;

	(void)state;
	handover_bench_begin(&bench, NULL);
	event.received = 100;
	assert_int_equal(handover_ask(bench.handover, 1, &event, &from, &error), HANDOVER_GO);
	assert_int_equal(from, 0);
	bench.sources[0].now = 5000;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 90, "n", true), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 110, "m", true), HANDOVER_WAIT);
	handover_bench_end(&bench);
}

static void test_silent_source_is_waited_for(void **state)
{
	uint16_t owners[SLOT_COUNT];
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].silent = true;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 100000);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	/* Taken out of the cluster, at last. */
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = 1;
	for (int i = 0; i < 9; i++)
		assert_int_equal(handover_map(bench.handover, owners).gone, 0);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	assert_int_equal(handover_map(bench.handover, owners).gone, 1);
	assert_int_equal(handover_map(bench.handover, owners).gone, 0);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_map(bench.handover, owners).settled, 1);
	handover_bench_end(&bench);
}

/* What lies in the spool of a master that is gone comes first. */
static void test_gone_with_something_to_apply(void **state)
{
	uint16_t owners[SLOT_COUNT];
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].silent = true;
	bench.sources[0].received = 1500;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = 1;
	for (int i = 0; i < 20; i++)
		assert_int_equal(handover_map(bench.handover, owners).gone, 0);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_LEAVES);
	assert_false(handover_leave(bench.handover, 0));
	handover_applied(bench.handover, 0, 1, 1500);
	assert_int_equal(handover_map(bench.handover, owners).gone, 1);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_WAS_CUT_OFF);
	handover_bench_end(&bench);
}

/* A master without slots leaves once all that it did is applied; nobody asks for it any more, and what it had is the others'. */
static void test_leaves(void **state)
{
	uint16_t owners[SLOT_COUNT];
	char *path = handover_bench_file();
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, path);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = slot == 7 ? 2 : 1;
	bench.sources[0].now = 1800;
	for (int i = 0; i < 4; i++) {
		handover_map(bench.handover, owners);
		assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_LEAVES);
	}
	handover_map(bench.handover, owners);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_LEAVES);
	assert_int_equal(handover_stay(bench.handover, 1), HANDOVER_STAYS);
	/* It does not answer any more, but was seen as a replica that knows where it ended. */
	bench.sources[0].silent = bench.sources[0].ended = true;
	handover_applied(bench.handover, 0, 1, 1799);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_LEAVES);
	handover_applied(bench.handover, 0, 1, 1800);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_HAS_LEFT);
	/* A slot comes back to it just now. */
	assert_int_equal(handover_bench_ask(&bench, 0, OTHER_SLOT, 1900, "k", true), HANDOVER_GO);
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_LEAVES);
	assert_false(handover_leave(bench.handover, 0));
	assert_int_equal(handover_bench_ask(&bench, 1, OTHER_SLOT, 950, "k", true), HANDOVER_GO);
	assert_true(handover_leave(bench.handover, 0));
	assert_int_equal(handover_stay(bench.handover, 0), HANDOVER_STAYS);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 2000, "k", false), HANDOVER_WAIT); /* it applies nothing any more */
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		assert_int_equal(handover_holder(bench.handover, (uint16_t)slot),
				 slot == SLOT || slot == OTHER_SLOT ? 1 : owners[slot]);
	assert_int_equal(handover_moving(bench.handover), 0);
	assert_true(handover_is_free(bench.handover, 2, 7, false));
	handover_bench_end(&bench);
	handover_bench_begin(&bench, path);
	assert_int_equal(handover_holder(bench.handover, 7), 2);
	handover_bench_end(&bench);
	handover_bench_remove_file(path);
}

static void test_new_history_is_asked_anew(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = 1200;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	bench.sources[0].now = 7;
	bench.sources[0].generation = 2;
	handover_in_snapshot(bench.handover, 0, 2, 6);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 2, 7);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	handover_bench_end(&bench);
}

/* A master has come back with less than it had. Until its link has gone over to that, its offsets say nothing of what the link has applied. */
static void test_offset_of_another_history_is_no_fence(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = 900;
	bench.sources[0].generation = 0;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	assert_int_equal(handover_wanted(bench.handover, 0), -1);
	bench.sources[0].generation = 2; /* it receives the new history, and is in the old one's end */
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_in_snapshot(bench.handover, 0, 2, 850);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 2, 900);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	handover_bench_end(&bench);
}

/* Of what had gone to another master when its snapshot was taken it has nothing, however long that takes. */
static void test_snapshot_behind_the_fence(void **state)
{
	struct handover_question question;
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0] = (struct source){.now = 500, .generation = 2};
	handover_in_snapshot(bench.handover, 0, 2, 499);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_WAIT);
	/* It may look ahead, behind its snapshot. */
	assert_true(handover_question(bench.handover, 0, &question));
	assert_int_equal(question.until, 500);
	handover_answer(bench.handover, 0, &question, HANDOVER_LATER);
	assert_true(handover_question(bench.handover, 0, &question));
	handover_answer(bench.handover, 0, &question, HANDOVER_SOME);
	assert_false(handover_question(bench.handover, 0, &question));
	handover_in_snapshot(bench.handover, 0, 2, 500);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	handover_bench_end(&bench);
}

/* What an earlier snapshot has left in a slot may be removed once the others are done with it; then for good, though their masters go on. */
static void test_others_are_awaited(void **state)
{
	uint16_t owners[SLOT_COUNT] = {0};
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	owners[OTHER_SLOT] = 1;
	for (int i = 0; i < 2; i++) {
		assert_true(handover_wants_map(bench.handover));
		assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_WAIT);
		handover_map(bench.handover, owners);
	}
	assert_false(handover_wants_map(bench.handover));
	assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_GO); /* by the map it is another one's still */
	owners[SLOT] = 1;
	bench.sources[0].now = 1100;
	handover_map(bench.handover, owners);
	assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_WAIT);
	assert_false(handover_is_done_with(bench.handover, 1, SLOT));
	handover_applied(bench.handover, 0, 1, 1100);
	assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_GO);
	bench.sources[0].now = 1200;
	assert_true(handover_is_done_with(bench.handover, 1, SLOT));
	/* It goes back: what was done with is begun anew. */
	owners[SLOT] = 0;
	handover_map(bench.handover, owners);
	bench.sources[1].now = 1300;
	handover_applied(bench.handover, 0, 1, 1200);
	handover_applied(bench.handover, 1, 1, 1300);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 1250, "k", true), HANDOVER_GO);
	bench.sources[1].now = 1400;
	assert_int_equal(handover_ask_end(bench.handover, 1, 40), HANDOVER_GO);
	assert_int_equal(handover_ask_end(bench.handover, 0, 40), HANDOVER_WAIT);
	handover_bench_end(&bench);
}

/* Both are at the end of snapshots that were taken when the slots had moved: neither's stream has anything of the slots that the other one awaits. */
static void test_ends_that_wait_for_each_other(void **state)
{
	struct handover_question question;
	uint16_t owners[SLOT_COUNT] = {0};
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	owners[SLOT] = 1;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 0, OTHER_SLOT, 50, "k", true), HANDOVER_GO);
	for (uint32_t link = 0; link < 2; link++) {
		bench.sources[link] = (struct source){.now = 1200, .generation = 2};
		handover_in_snapshot(bench.handover, link, 2, 1100);
	}
	handover_map(bench.handover, owners);
	handover_map(bench.handover, owners);
	for (uint32_t link = 0; link < 2; link++)
		assert_int_equal(handover_ask_end(bench.handover, link, 1100), HANDOVER_WAIT);
	for (uint32_t link = 0; link < 2; link++) {
		uint16_t slot = link ? OTHER_SLOT : SLOT; /* the asker's */

		assert_true(handover_question(bench.handover, link, &question));
		assert_true(question.ends);
		assert_int_equal(question.until, 1200);
		assert_true(question.slots[slot / 64] >> (slot % 64) & 1);
		question.slots[slot / 64] &= ~(1ULL << (slot % 64));
		for (uint32_t i = 0; i < SLOT_COUNT / 64; i++)
			assert_int_equal(question.slots[i], 0);
		handover_answer(bench.handover, link, &question, HANDOVER_NONE);
	}
	for (uint32_t link = 0; link < 2; link++)
		assert_int_equal(handover_ask_end(bench.handover, link, 1100), HANDOVER_GO);
	assert_true(handover_is_done_with(bench.handover, 1, SLOT));
	handover_bench_end(&bench);
}

/* The slot has left its holder and come back, and the other link is behind: it has had the slot in between. */
static void test_back_again_while_the_other_is_behind(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	handover_applied(bench.handover, 0, 1, 2000);
	bench.sources[0].now = 3000;
	bench.sources[1].now = 500;
	handover_applied(bench.handover, 1, 1, 40);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 2010, "k", true), HANDOVER_WAIT);
	/* Now the other one comes to the slot; its fence is late, and yet it goes first. */
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_holder(bench.handover, SLOT), 1);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 60, "n", false), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 2010, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 1, 1, 500);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 2010, "k", true), HANDOVER_GO);
	assert_int_equal(handover_holder(bench.handover, SLOT), 0);
	handover_bench_end(&bench);
}

/* Two slots move in opposite directions; each link waits for the other, which looks ahead. */
static void test_links_that_wait_for_each_other(void **state)
{
	struct handover_question question;
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0].now = bench.sources[1].now = 2000;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_WAIT);
	assert_false(handover_question(bench.handover, 1, &question));
	assert_int_equal(handover_bench_ask(&bench, 0, OTHER_SLOT, 1010, "n", true), HANDOVER_WAIT);
	assert_true(handover_question(bench.handover, 0, &question));
	assert_int_equal(question.asker, 1);
	assert_int_equal(question.slot, SLOT);
	assert_int_equal(question.until, 2000);
	assert_true(question.imports);
	assert_false(handover_question(bench.handover, 0, &question)); /* told once ... */
	handover_answer(bench.handover, 0, &question, HANDOVER_LATER);
	assert_true(handover_question(bench.handover, 0, &question)); /* ... unless it could not be told yet ... */
	handover_answer(bench.handover, 0, &question, HANDOVER_SOME);
	assert_false(handover_question(bench.handover, 0, &question));
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 1001);
	assert_true(handover_question(bench.handover, 0, &question)); /* ... or more is applied */
	handover_answer(bench.handover, 0, &question, HANDOVER_NONE);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_GO);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1020, "m", true),
			 HANDOVER_WAIT); /* an answer holds for its event alone */
	handover_bench_end(&bench);
}

/* Two ask the same one: whose answer has to wait does not keep the other from its own; who needs none any more does not ask. */
static void test_several_ask(void **state)
{
	struct handover_question question;
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	bench.sources[0] = (struct source){.now = 2400, .generation = 2};
	handover_in_snapshot(bench.handover, 0, 2, 2300);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_WAIT);
	bench.sources[0].now = 3000;
	assert_int_equal(handover_bench_ask(&bench, 2, SLOT + 2, 1010, "k", true), HANDOVER_WAIT);
	for (uint32_t i = 0; i < 4; i++) {
		assert_true(handover_question(bench.handover, 0, &question));
		assert_int_equal(question.asker, 1 + i % 2);
		handover_answer(bench.handover, 0, &question, HANDOVER_LATER);
	}
	handover_in_snapshot(bench.handover, 0, 2, 2500); /* the first one has what it needs */
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(handover_question(bench.handover, 0, &question));
		assert_int_equal(question.asker, 2);
		handover_answer(bench.handover, 0, &question, HANDOVER_LATER);
	}
	handover_bench_end(&bench);
}

/* The slot has left the first link for the second and comes back; what the second one waited with, as its holder, is older than what comes back. */
static void test_taken_from_one_that_waits(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 1010, "k", true), HANDOVER_GO);
	handover_applied(bench.handover, 1, 1, 2000);
	bench.sources[0].now = 5000;
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 2005, "n", false), HANDOVER_WAIT); /* its fence lies at 5000 */
	bench.sources[1].now = 2000;
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 1500, "k", true), HANDOVER_GO); /* takes it back */
	bench.sources[1].now = 3000;
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 1600, "n", true), HANDOVER_WAIT);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 2005, "n", false), HANDOVER_GO);
	handover_applied(bench.handover, 1, 1, 3000);
	assert_int_equal(handover_bench_ask(&bench, 0, SLOT, 1600, "n", true), HANDOVER_GO);
	handover_bench_end(&bench);
}

static void test_settles_when_the_map_says_so_twice(void **state)
{
	uint16_t owners[SLOT_COUNT] = {0};
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_int_equal(handover_map(bench.handover, owners).settled, 0);
	owners[SLOT] = 1;
	bench.sources[0].now = 1500;
	assert_int_equal(handover_map(bench.handover, owners).settled, 0);
	assert_int_equal(handover_map(bench.handover, owners).settled, 0); /* the exporter has not applied all */
	handover_applied(bench.handover, 0, 1, 1500);
	assert_int_equal(handover_map(bench.handover, owners).settled, 1);
	assert_int_equal(handover_moving(bench.handover), 0);
	assert_true(handover_is_free(bench.handover, 1, SLOT, false));
	assert_false(handover_is_free(bench.handover, 0, SLOT, false));
	handover_bench_end(&bench);
}

static void test_third_link_waits_for_both(void **state)
{
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, NULL);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	bench.sources[0].now = bench.sources[1].now = 1100;
	assert_int_equal(handover_bench_ask(&bench, 2, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 1, 1, 1100);
	assert_int_equal(handover_bench_ask(&bench, 2, SLOT, 50, "k", true), HANDOVER_WAIT);
	handover_applied(bench.handover, 0, 1, 1100);
	assert_int_equal(handover_bench_ask(&bench, 2, SLOT, 50, "k", true), HANDOVER_GO);
	assert_true(handover_is_free(bench.handover, 1, SLOT, false));
	handover_bench_end(&bench);
}

static void test_holders_outlive_a_restart(void **state)
{
	char *path = handover_bench_file();
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, path);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	handover_bench_end(&bench);
	for (int i = 0; i < 2; i++) { /* as read from what was added, and from what was written anew */
		handover_bench_begin(&bench, path);
		assert_int_equal(handover_holder(bench.handover, SLOT), 1);
		assert_int_equal(handover_moving(bench.handover), 1);
		assert_true(handover_is_free(bench.handover, 0, SLOT, false));
		assert_int_equal(handover_holder(bench.handover, SLOT + 2), 0);
		handover_bench_end(&bench);
	}
	handover_bench_remove_file(path);
}

/* What others have come behind is not sent again by one link alone, also by the next run; a new history begins anew. */
static void test_going_back(void **state)
{
	char *path = handover_bench_file();
	struct handover_bench bench;

	(void)state;
	handover_bench_begin(&bench, path);
	assert_true(handover_may_go_back(bench.handover, 0, 5));
	bench.sources[0].now = 1200;
	handover_applied(bench.handover, 0, 1, 1200);
	assert_int_equal(handover_bench_ask(&bench, 1, SLOT, 50, "k", true), HANDOVER_GO);
	assert_true(handover_may_go_back(bench.handover, 0, 1200));
	assert_int_equal(handover_rounds(bench.handover), 0);
	assert_false(handover_may_go_back(bench.handover, 0, 1199));
	assert_int_equal(handover_rounds(bench.handover), 1);
	assert_true(handover_may_go_back(bench.handover, 1, 1)); /* nobody has come behind the new holder */
	handover_bench_end(&bench);
	for (int i = 0; i < 2; i++) { /* as read from what was added, and from what was written anew */
		handover_bench_begin(&bench, path);
		assert_false(handover_may_go_back(bench.handover, 0, 1199));
		assert_true(handover_may_go_back(bench.handover, 0, 1200));
		handover_bench_end(&bench);
	}
	handover_bench_begin(&bench, path);
	handover_applied(bench.handover, 0, 2, 10);
	assert_true(handover_may_go_back(bench.handover, 0, 5));
	handover_bench_end(&bench);
	handover_bench_remove_file(path);
}

static void test_torn_line_says_nothing(void **state)
{
	char *path = handover_bench_file();
	struct handover_bench bench;
	FILE *file;

	(void)state;
	file = fopen(path, "w");
	fputs("keyferry slots 1\n0-16383 0\nnonsense\n99999 1\n7 unknown\n93 1 0\n94 2", file);
	fclose(file);
	handover_bench_begin(&bench, path);
	assert_int_equal(handover_holder(bench.handover, 93), 1);
	assert_int_equal(handover_holder(bench.handover, 94), 0);
	assert_int_equal(handover_holder(bench.handover, 7), 0);
	handover_bench_end(&bench);
	handover_bench_remove_file(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holder_and_exporter_do_not_ask),
		cmocka_unit_test(test_importer_waits_for_the_fence),
		cmocka_unit_test(test_one_fence_covers_what_was_received),
		cmocka_unit_test(test_silent_source_is_waited_for),
		cmocka_unit_test(test_new_history_is_asked_anew),
		cmocka_unit_test(test_offset_of_another_history_is_no_fence),
		cmocka_unit_test(test_snapshot_behind_the_fence),
		cmocka_unit_test(test_others_are_awaited),
		cmocka_unit_test(test_ends_that_wait_for_each_other),
		cmocka_unit_test(test_back_again_while_the_other_is_behind),
		cmocka_unit_test(test_links_that_wait_for_each_other),
		cmocka_unit_test(test_several_ask),
		cmocka_unit_test(test_gone_with_something_to_apply),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_taken_from_one_that_waits),
		cmocka_unit_test(test_settles_when_the_map_says_so_twice),
		cmocka_unit_test(test_third_link_waits_for_both),
		cmocka_unit_test(test_holders_outlive_a_restart),
		cmocka_unit_test(test_going_back),
		cmocka_unit_test(test_torn_line_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
