#include "net/loop.h"

#include "base/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
	struct loop *loop;
	struct timer *timer;
	struct idle *idle;
	struct wake *wake;
	int fired;
	bool done;
};

static void count_and_stop_at_three(void *owner)
{
	struct scene *scene = owner;

	if (++scene->fired == 3)
		loop_stop(scene->loop);
}

static void test_timer_repeats(void **state)
{
	struct scene scene = {.loop = loop_new()};
	uint64_t start = clock_monotonic_us();

	(void)state;
	scene.timer = timer_new(scene.loop, count_and_stop_at_three, &scene);
	assert_false(timer_active(scene.timer));
	timer_repeat(scene.timer, 2, 3);
	assert_true(timer_active(scene.timer));
	loop_run(scene.loop);
	assert_int_equal(scene.fired, 3);
	assert_true(clock_monotonic_us() - start >= 7000);
	timer_stop(scene.timer);
	assert_false(timer_active(scene.timer));
	timer_free(scene.timer);
	loop_free(scene.loop);
}

static void finish(void *owner)
{
	struct scene *scene = owner;

	scene->fired++;
	scene->done = true;
}

static void test_run_until(void **state)
{
	struct scene scene = {.loop = loop_new()};
	uint64_t start = clock_monotonic_us();

	(void)state;
	/* Nothing happens: the deadline ends it. */
	assert_false(loop_run_until(scene.loop, &scene.done, start + 5000));
	assert_true(clock_monotonic_us() - start >= 5000);

	scene.timer = timer_new(scene.loop, finish, &scene);
	timer_start(scene.timer, 1);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	assert_int_equal(scene.fired, 1);
	assert_false(timer_active(scene.timer));
	/* Already done: no turn is made. */
	timer_start(scene.timer, 0);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	assert_int_equal(scene.fired, 1);
	timer_free(scene.timer);
	loop_free(scene.loop);
}

/* What is waited for comes from a timer that is due already: a turn of the loop runs it before it waits, and nothing else would end the wait. */
static void test_run_until_timer_due(void **state)
{
	struct scene scene = {.loop = loop_new()};

	(void)state;
	alarm(120);
	scene.timer = timer_new(scene.loop, finish, &scene);
	timer_start(scene.timer, 0);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	assert_int_equal(scene.fired, 1);
	/* The deadline's own timer can be due just so. */
	scene.done = false;
	for (int i = 0; i < 500; i++)
		assert_false(loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 50));
	alarm(0);
	timer_free(scene.timer);
	loop_free(scene.loop);
}

static void free_myself(void *owner)
{
	struct scene *scene = owner;

	timer_free(scene->timer);
	idle_free(scene->idle);
	wake_free(scene->wake);
	finish(scene);
}

static void test_free_in_callback(void **state)
{
	struct scene scene = {.loop = loop_new()};

	(void)state;
	scene.timer = timer_new(scene.loop, free_myself, &scene);
	scene.idle = idle_new(scene.loop, finish, &scene);
	scene.wake = wake_new(scene.loop, finish, &scene);
	timer_start(scene.timer, 0);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	loop_free(scene.loop);
	assert_int_equal(scene.fired, 1);
}

static void idle_again(void *owner)
{
	struct scene *scene = owner;

	if (++scene->fired < 3)
		idle_start(scene->idle);
	else
		scene->done = true;
}

static void test_idle(void **state)
{
	struct scene scene = {.loop = loop_new()};

	(void)state;
	scene.idle = idle_new(scene.loop, idle_again, &scene);
	idle_start(scene.idle);
	idle_start(scene.idle); /* still once */
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	assert_int_equal(scene.fired, 3);
	/* Not started again: it does not run again. */
	scene.done = false;
	assert_false(loop_run_until(scene.loop, &scene.done, clock_monotonic_us() + 2000));
	assert_int_equal(scene.fired, 3);
	idle_free(scene.idle);
	loop_free(scene.loop);
}

#define SENDERS 4
#define SENDS 1000

static void *send_many(void *arg)
{
	struct scene *scene = arg;

	for (int i = 0; i < SENDS; i++)
		wake_send(scene->wake);
	return NULL;
}

static void *stop_it(void *arg)
{
	struct scene *scene = arg;

	loop_stop(scene->loop);
	return NULL;
}

static void test_wake_from_threads(void **state)
{
	struct scene scene = {.loop = loop_new()};
	pthread_t threads[SENDERS];

	(void)state;
	scene.wake = wake_new(scene.loop, finish, &scene);
	for (int i = 0; i < SENDERS; i++)
		pthread_create(&threads[i], NULL, send_many, &scene);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	for (int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	assert_true(scene.fired >= 1 && scene.fired <= SENDERS * SENDS);
	/* A send after the last callback is not lost. */
	scene.done = false;
	wake_send(scene.wake);
	assert_true(loop_run_until(scene.loop, &scene.done, UINT64_MAX));
	wake_free(scene.wake);
	loop_free(scene.loop);
}

static void test_stop_from_thread(void **state)
{
	struct scene scene = {.loop = loop_new()};
	pthread_t thread;

	(void)state;
	for (int i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, stop_it, &scene);
		loop_run(scene.loop); /* whichever comes first */
		pthread_join(thread, NULL);
	}
	loop_free(scene.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_repeats),
		cmocka_unit_test(test_run_until),
		cmocka_unit_test(test_run_until_timer_due),
		cmocka_unit_test(test_free_in_callback),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_wake_from_threads),
		cmocka_unit_test(test_stop_from_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
