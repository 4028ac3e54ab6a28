/* The process that keyferry is: its loops and threads on the virtual clock, and its death.
 *
 * Stands in for net/loop.h at link time, and for pthread_create() and pthread_join(). A thread is a stack that is switched
 * to when what it waits for has come: its loop was stopped, a call on it is answered, another thread has ended. Only one
 * runs at any time, and never while an occasion happens. Each callback takes a little virtual time, and now and then a
 * thread is held up for long.
 *
 * Killed, its threads run no callback any more, its disk takes nothing, its connections are cut and every call that waits
 * comes back; what it held is then freed by the ordinary functions, whose effects nobody outside sees.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_PROCESS_H
#define KEYFERRY_TESTS_SIM_PROCESS_H

#include "net/loop.h"
#include "world.h"

/* A new life: nothing of the one before is left. */
void process_begin(void);
/* All that it had is freed. */
void process_end(void);
void process_kill(void);
bool process_dead(void);

/* After each step of the world: threads whose waiting is over go on. */
void process_step(void);

/* An occasion on the thread of a loop: a timer, a wake-up, a stream that is ready. */
struct loop_occasion {
	struct occasion occasion;
	struct loop *loop;
	void (*callback)(void *owner);
	void *owner;
	struct loop_occasion *next; /* among those that wait until the loop runs */
	bool waits;
};

void loop_occasion_init(struct loop_occasion *occasion, struct loop *loop, void (*callback)(void *owner), void *owner);
void loop_occasion_plan_in(struct loop_occasion *occasion, uint64_t delay_us);
void loop_occasion_cancel(struct loop_occasion *occasion);
/* Takes it off its loop for good. */
void loop_occasion_end(struct loop_occasion *occasion);
bool loop_occasion_planned(const struct loop_occasion *occasion);
/* Nothing happens on the loop for so long: its thread was not scheduled. */
void process_hold_up(uint64_t us);

#endif
