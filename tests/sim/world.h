/* The simulated world: one virtual clock, one order of events, one source of chance.
 *
 * Everything that happens is an occasion: it has a time, and happens when nothing earlier is left. Occasions at the same
 * time happen in the order in which they were planned, so a seed decides everything: two runs of a seed are the same to the
 * last byte of the trace. Thread: one. Nothing in a simulation runs at the same time as anything else. */
#ifndef KEYFERRY_TESTS_SIM_WORLD_H
#define KEYFERRY_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS 1000ULL
#define SECOND 1000000ULL

/* Lies in the object that it concerns. */
struct occasion {
	uint64_t at;
	uint64_t order;
	void (*happen)(void *owner);
	void *owner;
	size_t place; /* in the heap, from 1; 0: not planned */
};

/* A new world at time 0. Nothing may be planned in the old one. `show`: the trace is printed as it is made. */
void world_begin(uint64_t seed, bool show);
uint64_t world_now(void); /* microseconds */

void occasion_init(struct occasion *occasion, void (*happen)(void *owner), void *owner);
/* Replaces an earlier plan; a time in the past means now. */
void occasion_plan(struct occasion *occasion, uint64_t at);
void occasion_plan_in(struct occasion *occasion, uint64_t delay_us);
void occasion_cancel(struct occasion *occasion);
static inline bool occasion_planned(const struct occasion *occasion)
{
	return occasion->place > 0;
}

/* The next occasion happens. False: none is planned. */
bool world_step(void);
uint64_t world_steps(void);

/* Evenly spread: below `limit` (> 0), and from..to inclusive. */
uint64_t chance_below(uint64_t limit);
uint64_t chance_between(uint64_t from, uint64_t to);
bool chance_of(unsigned percent);

/* A line of the trace, with the time before it. Goes into the hash whether it is shown or not. */
void trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t trace_hash(void);

#endif
