/* An event loop: timers, file readiness and wake-ups from other threads, over libuv.
 *
 * Everything that waits in keyferry waits here. The loop is reached only through this header, so that the
 * simulator can put a virtual one in its place.
 * Thread: a loop and all that hangs on it belong to the thread that runs it; wake_send() and loop_stop() alone
 * may be called from any thread. */
#ifndef KEYFERRY_NET_LOOP_H
#define KEYFERRY_NET_LOOP_H

#include "base/error.h"

#include <stdint.h>

struct loop;

struct loop *loop_new(void);
/* All timers, wakes and streams must be closed before; runs the loop until libuv has let go of them. */
void loop_free(struct loop *loop);
/* Runs until loop_stop(). May be called again afterwards. */
void loop_run(struct loop *loop);
/* Runs until *done is true or deadline (clock_monotonic_us()) has passed; returns *done. For control code that
 * is written as a straight line; never nested inside a callback of the same loop. */
bool loop_run_until(struct loop *loop, const bool *done, uint64_t deadline_us);
void loop_stop(struct loop *loop);
/* The uv_loop_t, for net/ alone. */
void *loop_handle(struct loop *loop);

/* A timer; the callback runs on the loop's thread. */
struct timer;
struct timer *timer_new(struct loop *loop, void (*callback)(void *owner), void *owner);
void timer_start(struct timer *timer, uint64_t delay_ms);                        /* once; restarts a running one */
void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t interval_ms); /* again and again */
void timer_stop(struct timer *timer);
bool timer_active(const struct timer *timer);
void timer_free(struct timer *timer); /* NULL is fine; no callback after this */

/* A wake-up: any number of sends before the loop gets to it make one callback. */
struct wake;
struct wake *wake_new(struct loop *loop, void (*callback)(void *owner), void *owner);
void wake_send(struct wake *wake); /* any thread, and a signal handler */
void wake_free(struct wake *wake); /* the loop's thread; no sender may remain */

/* Runs the callback once on a later turn of the loop, before it waits for anything. */
struct idle;
struct idle *idle_new(struct loop *loop, void (*callback)(void *owner), void *owner);
void idle_start(struct idle *idle); /* runs once per start */
void idle_free(struct idle *idle);

#endif
