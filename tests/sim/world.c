#include "world.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a day long ago; only differences matter. */
#define WALL_BEGIN_MS 1700000000000LL

static struct {
	uint64_t now, order, steps;
	uint64_t random;
	uint64_t hash;
	bool show;
	struct occasion **heap; /* from index 1 */
	size_t count, room;
} world;

/* ---- time ---- */

static uint64_t monotonic_us(void)
{
	/* 0 stands for "never" in more than one place of the product. */
	return world.now + SECOND;
}

static int64_t wall_ms(void)
{
	return WALL_BEGIN_MS + (int64_t)(world.now / MS);
}

static const struct clock_source virtual_clock = {monotonic_us, wall_ms};

void world_begin(uint64_t seed, bool show)
{
	assert(world.count == 0);
	world.now = world.order = world.steps = 0;
	world.random = seed * 0x9e3779b97f4a7c15ULL + 1;
	world.hash = 0xcbf29ce484222325ULL;
	world.show = show;
	clock_use(&virtual_clock);
}

uint64_t world_now(void)
{
	return world.now;
}

/* ---- occasions: a binary heap ---- */

static bool before(const struct occasion *a, const struct occasion *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void put(struct occasion *occasion, size_t place)
{
	world.heap[place] = occasion;
	occasion->place = place;
}

static void sift_up(struct occasion *occasion, size_t place)
{
	for (; place > 1 && before(occasion, world.heap[place / 2]); place /= 2)
		put(world.heap[place / 2], place);
	put(occasion, place);
}

static void sift_down(struct occasion *occasion, size_t place)
{
	for (;;) {
		size_t child = place * 2;

		if (child > world.count)
			break;
		if (child < world.count && before(world.heap[child + 1], world.heap[child]))
			child++;
		if (!before(world.heap[child], occasion))
			break;
		put(world.heap[child], place);
		place = child;
	}
	put(occasion, place);
}

void occasion_init(struct occasion *occasion, void (*happen)(void *owner), void *owner)
{
	*occasion = (struct occasion){.happen = happen, .owner = owner};
}

void occasion_plan(struct occasion *occasion, uint64_t at)
{
	occasion_cancel(occasion);
	occasion->at = at < world.now ? world.now : at;
	occasion->order = world.order++;
	if (world.count + 2 > world.room) {
		world.room = world.room ? world.room * 2 : 256;
		world.heap = memory_realloc_array(world.heap, world.room, sizeof(*world.heap));
	}
	world.count++;
	sift_up(occasion, world.count);
}

void occasion_plan_in(struct occasion *occasion, uint64_t delay_us)
{
	occasion_plan(occasion, world.now + delay_us);
}

void occasion_cancel(struct occasion *occasion)
{
	size_t place = occasion->place;
	struct occasion *last;

	if (place == 0)
		return;
	occasion->place = 0;
	last = world.heap[world.count--];
	if (last == occasion)
		return;
	if (place > 1 && before(last, world.heap[place / 2]))
		sift_up(last, place);
	else
		sift_down(last, place);
}

bool world_step(void)
{
	struct occasion *next;

	if (world.count == 0)
		return false;
	next = world.heap[1];
	occasion_cancel(next);
	world.now = next->at;
	world.steps++;
	next->happen(next->owner);
	return true;
}

uint64_t world_steps(void)
{
	return world.steps;
}

/* ---- chance: splitmix64 ---- */

static uint64_t next_random(void)
{
	uint64_t mixed = world.random += 0x9e3779b97f4a7c15ULL;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
	return mixed ^ (mixed >> 31);
}

uint64_t chance_below(uint64_t limit)
{
	return next_random() % limit;
}

uint64_t chance_between(uint64_t from, uint64_t to)
{
	return from + chance_below(to - from + 1);
}

bool chance_of(unsigned percent)
{
	return chance_below(100) < percent;
}

/* ---- the trace: FNV-1a over its lines ---- */

void trace(const char *format, ...)
{
	char line[1024];
	va_list args;
	int len = snprintf(line, sizeof(line), "%10.6f ", (double)world.now / SECOND);

	va_start(args, format);
	vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
	va_end(args);
	for (const char *at = line; *at; at++)
		world.hash = (world.hash ^ (uint8_t)*at) * 0x100000001b3ULL;
	if (world.show)
		puts(line);
}

uint64_t trace_hash(void)
{
	return world.hash;
}
