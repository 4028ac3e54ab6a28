#include "net/loop.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_async_t stopper;       /* brings loop_stop() from other threads into the loop, and keeps it alive */
	uv_timer_t deadline;      /* of loop_run_until() */
	uv_prepare_t before_wait; /* of loop_run_until() */
	const bool *done;         /* likewise */
	uint64_t deadline_us;
	atomic_bool stopping;
	bool running;
};

/* Handles are closed by libuv some turns later, so each lives in memory of its own that its close callback frees. */
struct timer {
	uv_timer_t uv;
	void (*callback)(void *owner);
	void *owner;
};

struct wake {
	uv_async_t uv;
	void (*callback)(void *owner);
	void *owner;
};

struct idle {
	uv_idle_t uv;
	void (*callback)(void *owner);
	void *owner;
};

/* libuv's set-up calls fail only when the machine has no descriptors or memory left. */
static void must(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "keyferry: %s: %s\n", what, uv_strerror(result));
		abort();
	}
}

static void handle_freed(uv_handle_t *handle)
{
	free(handle->data);
}

/* ---- loop ---- */

static void loop_woken(uv_async_t *async)
{
	(void)async; /* waking was all: loop_run() looks at `stopping` after each turn */
}

static void loop_deadline(uv_timer_t *timer)
{
	(void)timer; /* likewise: loop_run_until() looks at the clock */
}

static bool is_due(const struct loop *loop)
{
	return *loop->done || clock_monotonic_us() >= loop->deadline_us;
}

/* A turn of the loop runs the timers that are due first, and waits then: when it was one of them that loop_run_until() was waiting for, nothing
 * may ever end the wait. */
static void loop_before_wait(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;

	if (is_due(loop) || !uv_is_active((const uv_handle_t *)&loop->deadline))
		uv_stop(&loop->uv);
}

struct loop *loop_new(void)
{
	struct loop *loop = memory_alloc_zero(1, sizeof(*loop));

	must(uv_loop_init(&loop->uv), "event loop");
	must(uv_async_init(&loop->uv, &loop->stopper, loop_woken), "event loop");
	must(uv_timer_init(&loop->uv, &loop->deadline), "event loop");
	must(uv_prepare_init(&loop->uv, &loop->before_wait), "event loop");
	loop->before_wait.data = loop;
	atomic_init(&loop->stopping, false);
	return loop;
}

static void handle_must_be_closing(uv_handle_t *handle, void *arg)
{
	(void)arg;
	(void)handle;
	/* A handle that its owner forgot would keep the run below waiting for ever. */
	assert(uv_is_closing(handle));
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->running);
	uv_close((uv_handle_t *)&loop->stopper, NULL);
	uv_close((uv_handle_t *)&loop->deadline, NULL);
	uv_close((uv_handle_t *)&loop->before_wait, NULL);
	uv_walk(&loop->uv, handle_must_be_closing, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	must(uv_loop_close(&loop->uv), "event loop");
	free(loop);
}

void loop_run(struct loop *loop)
{
	assert(!loop->running);
	loop->running = true;
	while (!atomic_exchange(&loop->stopping, false))
		uv_run(&loop->uv, UV_RUN_ONCE);
	loop->running = false;
}

bool loop_run_until(struct loop *loop, const bool *done, uint64_t deadline_us)
{
	assert(!loop->running);
	loop->running = true;
	loop->done = done;
	loop->deadline_us = deadline_us;
	uv_prepare_start(&loop->before_wait, loop_before_wait);
	while (!is_due(loop)) {
		uint64_t now = clock_monotonic_us();
		uint64_t left_us = deadline_us > now ? deadline_us - now : 0;

		uv_update_time(&loop->uv);
		/* Without a deadline it is a timer for ever. */
		uv_timer_start(&loop->deadline, loop_deadline, left_us / 1000 + 1, 0);
		uv_run(&loop->uv, UV_RUN_ONCE);
	}
	uv_prepare_stop(&loop->before_wait);
	uv_timer_stop(&loop->deadline);
	loop->running = false;
	return *done;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopping, true);
	uv_async_send(&loop->stopper);
}

void *loop_handle(struct loop *loop)
{
	return &loop->uv;
}

/* ---- timer ---- */

static void timer_fired(uv_timer_t *uv)
{
	struct timer *timer = uv->data;

	timer->callback(timer->owner);
}

struct timer *timer_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct timer *timer = memory_alloc_zero(1, sizeof(*timer));

	timer->callback = callback;
	timer->owner = owner;
	must(uv_timer_init(&loop->uv, &timer->uv), "timer");
	timer->uv.data = timer;
	return timer;
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
	timer_repeat(timer, delay_ms, 0);
}

void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t interval_ms)
{
	/* libuv counts from the start of this turn of the loop; after a long callback that would come too early. */
	uv_update_time(timer->uv.loop);
	uv_timer_start(&timer->uv, timer_fired, delay_ms, interval_ms);
}

void timer_stop(struct timer *timer)
{
	uv_timer_stop(&timer->uv);
}

bool timer_active(const struct timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->uv);
}

void timer_free(struct timer *timer)
{
	if (timer)
		uv_close((uv_handle_t *)&timer->uv, handle_freed);
}

/* ---- wake ---- */

static void wake_fired(uv_async_t *uv)
{
	struct wake *wake = uv->data;

	wake->callback(wake->owner);
}

struct wake *wake_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct wake *wake = memory_alloc_zero(1, sizeof(*wake));

	wake->callback = callback;
	wake->owner = owner;
	must(uv_async_init(&loop->uv, &wake->uv, wake_fired), "wake-up");
	wake->uv.data = wake;
	return wake;
}

void wake_send(struct wake *wake)
{
	int before = errno; /* of what a signal handler that calls this has interrupted */

	uv_async_send(&wake->uv);
	errno = before;
}

void wake_free(struct wake *wake)
{
	if (wake)
		uv_close((uv_handle_t *)&wake->uv, handle_freed);
}

/* ---- idle ---- */

static void idle_fired(uv_idle_t *uv)
{
	struct idle *idle = uv->data;

	uv_idle_stop(uv);
	idle->callback(idle->owner);
}

struct idle *idle_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct idle *idle = memory_alloc_zero(1, sizeof(*idle));

	idle->callback = callback;
	idle->owner = owner;
	must(uv_idle_init(&loop->uv, &idle->uv), "idle");
	idle->uv.data = idle;
	return idle;
}

void idle_start(struct idle *idle)
{
	uv_idle_start(&idle->uv, idle_fired);
}

void idle_free(struct idle *idle)
{
	if (idle)
		uv_close((uv_handle_t *)&idle->uv, handle_freed);
}
