#include "process.h"

#include "base/clock.h"
#include "base/memory.h"
#include "disk.h"
#include "network.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define THREADS_MAX 256
#define LOOPS_MAX 64
#define STACK_SIZE (1u << 20)

struct loop {
	bool running;
	bool stopping; /* remembered until the next loop_run() */
	bool straight; /* in loop_run_until(): its caller waits, and comes back also in a dead process, whose connections all fail */
	uint64_t busy_until;
	uint32_t handles;
	struct loop_occasion *waiting; /* came due while it did not run */
};

/* What somebody waits for. */
struct waiting {
	bool (*over)(const struct waiting *waiting);
	const void *what;
	uint64_t deadline_us;
};

/* A thread of keyferry: a stack of its own, which is switched to when what it waits for has come. Callbacks of its loop do
 * not run there, but where the world is stepped: they never wait. */
struct thread {
	ucontext_t context;
	void *stack;
	void *fake_stack; /* AddressSanitizer's */
	void *(*start)(void *argument);
	void *argument;
	struct waiting waiting;
	bool used, finished;
};

static struct {
	bool dead;
	struct thread threads[THREADS_MAX];
	unsigned thread_count;
	struct thread main; /* where the world is stepped */
	const void *main_bottom;
	size_t main_size;
	struct thread *current; /* NULL: main */
	struct loop *loops[LOOPS_MAX];
} process;

/* ---- switching ---- */

static void switch_to(struct thread *from, struct thread *to, const void *bottom, size_t size)
{
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_start_switch_fiber(from->finished ? NULL : &from->fake_stack, bottom, size);
#endif
	(void)bottom;
	(void)size;
	swapcontext(&from->context, &to->context);
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(from->fake_stack, from == &process.main ? NULL : &process.main_bottom,
					from == &process.main ? NULL : &process.main_size);
#endif
}

static void to_main(struct thread *thread)
{
	switch_to(thread, &process.main, process.main_bottom, process.main_size);
}

static void thread_begin(void)
{
	struct thread *thread = process.current;

#ifdef __SANITIZE_ADDRESS__
	__sanitizer_finish_switch_fiber(NULL, &process.main_bottom, &process.main_size);
#endif
	thread->start(thread->argument);
	thread->finished = true;
	to_main(thread);
}

static void resume_ready(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (unsigned i = 0; i < process.thread_count; i++) {
			struct thread *thread = &process.threads[i];

			if (!thread->used || thread->finished || !thread->waiting.over(&thread->waiting))
				continue;
			process.current = thread;
			switch_to(&process.main, thread, thread->stack, STACK_SIZE);
			process.current = NULL;
			again = true;
		}
	}
}

/* The caller waits; the world goes on. */
static void wait_for(const struct waiting *waiting)
{
	if (process.current) {
		process.current->waiting = *waiting;
		if (!waiting->over(waiting))
			to_main(process.current);
		return;
	}
	resume_ready();
	while (!waiting->over(waiting) && world_step())
		resume_ready();
}

void process_step(void)
{
	resume_ready();
}

static bool at_once(const struct waiting *waiting)
{
	(void)waiting;
	return true;
}

static bool loop_was_stopped(const struct waiting *waiting)
{
	return ((const struct loop *)waiting->what)->stopping;
}

static bool is_done(const struct waiting *waiting)
{
	return *(const bool *)waiting->what || clock_monotonic_us() >= waiting->deadline_us;
}

/* A dead thread that its loop holds does not come back. */
static bool has_finished(const struct waiting *waiting)
{
	const struct thread *thread = waiting->what;

	return thread->finished ||
	       (process.dead && thread->waiting.over == loop_was_stopped && !loop_was_stopped(&thread->waiting));
}

void process_begin(void)
{
	process.dead = false;
	disk_freeze(false);
}

void process_end(void)
{
	/* Threads that a kill has left in their loops stay there; their stacks are used again. */
	for (unsigned i = 0; i < process.thread_count; i++)
		process.threads[i].used = false;
	process.thread_count = 0;
}

void process_kill(void)
{
	process.dead = true;
	disk_freeze(true);
	network_drop_client();
}

bool process_dead(void)
{
	return process.dead;
}

void process_hold_up(uint64_t us)
{
	for (unsigned i = 0; i < LOOPS_MAX; i++)
		if (process.loops[i] && chance_of(50))
			process.loops[i]->busy_until = world_now() + us;
}

/* ---- occasions on a loop ---- */

static void come_due(void *owner)
{
	struct loop_occasion *occasion = owner;
	struct loop *loop = occasion->loop;

	if (process.dead && !loop->straight)
		return;
	if (!loop->running) {
		occasion->waits = true;
		occasion->next = loop->waiting;
		loop->waiting = occasion;
		return;
	}
	if (loop->busy_until > world_now()) {
		occasion_plan(&occasion->occasion, loop->busy_until);
		return;
	}
	loop->busy_until = world_now() + chance_between(1, 20);
	occasion->callback(occasion->owner);
}

void loop_occasion_init(struct loop_occasion *occasion, struct loop *loop, void (*callback)(void *owner), void *owner)
{
	*occasion = (struct loop_occasion){.loop = loop, .callback = callback, .owner = owner};
	occasion_init(&occasion->occasion, come_due, occasion);
	loop->handles++;
}

void loop_occasion_cancel(struct loop_occasion *occasion)
{
	occasion_cancel(&occasion->occasion);
	if (!occasion->waits)
		return;
	for (struct loop_occasion **at = &occasion->loop->waiting; *at; at = &(*at)->next) {
		if (*at == occasion) {
			*at = occasion->next;
			break;
		}
	}
	occasion->waits = false;
}

void loop_occasion_plan_in(struct loop_occasion *occasion, uint64_t delay_us)
{
	loop_occasion_cancel(occasion);
	occasion_plan_in(&occasion->occasion, delay_us);
}

bool loop_occasion_planned(const struct loop_occasion *occasion)
{
	return occasion->waits || occasion_planned(&occasion->occasion);
}

void loop_occasion_end(struct loop_occasion *occasion)
{
	loop_occasion_cancel(occasion);
	occasion->loop->handles--;
}

/* ---- net/loop.h ---- */

struct loop *loop_new(void)
{
	struct loop *loop = memory_alloc_zero(1, sizeof(*loop));
	unsigned i = 0;

	while (process.loops[i])
		i++;
	assert(i < LOOPS_MAX);
	process.loops[i] = loop;
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(loop->handles == 0);
	for (unsigned i = 0; i < LOOPS_MAX; i++)
		if (process.loops[i] == loop)
			process.loops[i] = NULL;
	free(loop);
}

static void begin_running(struct loop *loop)
{
	assert(!loop->running);
	loop->running = true;
	while (loop->waiting) {
		struct loop_occasion *occasion = loop->waiting;

		loop->waiting = occasion->next;
		occasion->waits = false;
		occasion_plan_in(&occasion->occasion, 0);
	}
}

void loop_run(struct loop *loop)
{
	begin_running(loop);
	wait_for(&(struct waiting){.over = loop_was_stopped, .what = loop});
	loop->stopping = loop->running = false;
}

static void pass(void *owner)
{
	(void)owner;
}

bool loop_run_until(struct loop *loop, const bool *done, uint64_t deadline_us)
{
	struct occasion deadline;

	begin_running(loop);
	loop->straight = true;
	occasion_init(&deadline, pass, NULL);
	if (deadline_us != UINT64_MAX)
		occasion_plan_in(&deadline, deadline_us > clock_monotonic_us() ? deadline_us - clock_monotonic_us() : 0);
	wait_for(&(struct waiting){.over = is_done, .what = done, .deadline_us = deadline_us});
	occasion_cancel(&deadline);
	loop->running = loop->straight = false;
	return *done;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void *loop_handle(struct loop *loop)
{
	return loop;
}

struct timer {
	struct loop_occasion due;
	void (*callback)(void *owner);
	void *owner;
	uint64_t interval_ms;
};

static void timer_due(void *owner)
{
	struct timer *timer = owner;

	if (timer->interval_ms > 0)
		loop_occasion_plan_in(&timer->due, timer->interval_ms * MS);
	timer->callback(timer->owner);
}

struct timer *timer_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct timer *timer = memory_alloc_zero(1, sizeof(*timer));

	timer->callback = callback;
	timer->owner = owner;
	loop_occasion_init(&timer->due, loop, timer_due, timer);
	return timer;
}

void timer_start(struct timer *timer, uint64_t delay_ms)
{
	timer_repeat(timer, delay_ms, 0);
}

void timer_repeat(struct timer *timer, uint64_t delay_ms, uint64_t interval_ms)
{
	timer->interval_ms = interval_ms;
	loop_occasion_plan_in(&timer->due, delay_ms * MS + chance_below(1000));
}

void timer_stop(struct timer *timer)
{
	timer->interval_ms = 0;
	loop_occasion_cancel(&timer->due);
}

bool timer_active(const struct timer *timer)
{
	return loop_occasion_planned(&timer->due);
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	loop_occasion_end(&timer->due);
	free(timer);
}

struct wake {
	struct loop_occasion due;
};

struct wake *wake_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct wake *wake = memory_alloc_zero(1, sizeof(*wake));

	loop_occasion_init(&wake->due, loop, callback, owner);
	return wake;
}

void wake_send(struct wake *wake)
{
	if (!loop_occasion_planned(&wake->due))
		loop_occasion_plan_in(&wake->due, chance_between(1, 100));
}

void wake_free(struct wake *wake)
{
	if (!wake)
		return;
	loop_occasion_end(&wake->due);
	free(wake);
}

struct idle {
	struct loop_occasion due;
};

struct idle *idle_new(struct loop *loop, void (*callback)(void *owner), void *owner)
{
	struct idle *idle = memory_alloc_zero(1, sizeof(*idle));

	loop_occasion_init(&idle->due, loop, callback, owner);
	return idle;
}

void idle_start(struct idle *idle)
{
	if (!loop_occasion_planned(&idle->due))
		loop_occasion_plan_in(&idle->due, chance_between(1, 10));
}

void idle_free(struct idle *idle)
{
	if (!idle)
		return;
	loop_occasion_end(&idle->due);
	free(idle);
}

/* ---- threads (linked with --wrap) ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_join(pthread_t thread, void **result);

static void give_stack(struct thread *thread)
{
	if (!thread->stack)
		thread->stack =
			mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(thread->stack != MAP_FAILED);
	getcontext(&thread->context);
	thread->context.uc_stack.ss_sp = thread->stack;
	thread->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&thread->context, thread_begin, 0);
}

int __wrap_pthread_create(pthread_t *number, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	struct thread *thread = &process.threads[process.thread_count];

	(void)attributes;
	assert(process.thread_count < THREADS_MAX);
	*thread = (struct thread){
		.used = true, .stack = thread->stack, .start = start, .argument = argument, .waiting = {.over = at_once}};
	give_stack(thread);
	*number = (pthread_t)process.thread_count++;
	return 0;
}

int __wrap_pthread_join(pthread_t number, void **result)
{
	(void)result;
	wait_for(&(struct waiting){.over = has_finished, .what = &process.threads[number]});
	return 0;
}
