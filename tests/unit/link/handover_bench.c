#include "handover_bench.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool on_executed(void *owner, int64_t offset, uint64_t *ret_us, int64_t *ret_to)
{
	struct source *source = owner;

	(void)offset;
	*ret_us = 0;
	*ret_to = source->now;
	return source->executed;
}

static bool on_fence(void *owner, uint64_t us, uint64_t *ret_generation, int64_t *ret_offset)
{
	struct source *source = owner;

	(void)us;
	*ret_generation = source->generation;
	*ret_offset = source->now;
	return !source->silent;
}

static int64_t on_received(void *owner)
{
	return ((struct source *)owner)->received;
}

/* Answered at once. */
static bool on_owners(void *owner, uint64_t us, const uint64_t *slots, uint64_t *ret_digest, uint64_t *ret_answered_us)
{
	struct source *source = owner;

	(void)slots;
	source->map_us = us;
	*ret_digest = source->map;
	*ret_answered_us = us + 1;
	return !source->silent;
}

static bool on_ended(void *owner, int64_t *ret_offset)
{
	struct source *source = owner;

	*ret_offset = source->now;
	return source->ended;
}

void handover_bench_join(struct handover_bench *bench, uint32_t link)
{
	static const char *const names[LINKS] = {"0", "1", "2"};
	const struct handover_source source = {on_executed, on_fence, on_received, on_ended, on_owners, &bench->sources[link]};

	assert_int_equal(handover_join(bench->handover, names[link], &source), link);
	handover_applied(bench->handover, link, 1, 1000);
}

void handover_bench_begin(struct handover_bench *bench, const char *path)
{
	uint16_t owners[SLOT_COUNT];
	struct error error;

	bench->handover = handover_open(path, &error);
	assert_non_null(bench->handover);
	for (uint32_t i = 0; i < LINKS; i++) {
		bench->sources[i] = (struct source){.now = 1000, .generation = 1};
		handover_bench_join(bench, i);
	}
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = slot == OTHER_SLOT ? 1 : 0;
	assert_true(handover_begin(bench->handover, owners, &error));
}

void handover_bench_end(struct handover_bench *bench)
{
	handover_close(bench->handover);
}

struct handover_event handover_bench_event(uint16_t slot, int64_t end, const char *key, bool imports)
{
	return (struct handover_event){.slot = slot,
				       .imports = imports,
				       .start = end - 10,
				       .end = end,
				       .received = end,
				       .key_count = 1,
				       .keys = {handover_hash(key, 1)}};
}

enum handover_answer handover_bench_ask(struct handover_bench *bench, uint32_t link, uint16_t slot, int64_t end, const char *key,
					bool imports)
{
	struct handover_event event = handover_bench_event(slot, end, key, imports);
	struct error error;
	uint16_t from;

	return handover_ask(bench->handover, link, &event, &from, &error);
}

enum handover_answer handover_bench_ask_brought(struct handover_bench *bench, uint32_t link, int64_t end, uint64_t job)
{
	static const uint64_t slots[SLOT_COUNT / 64] = {[SLOT / 64] = 3ULL << (SLOT % 64)};
	struct handover_event event = {.slot = SLOT,
				       .imports = true,
				       .brought = true,
				       .slots = slots,
				       .job = job,
				       .start = end - 10,
				       .end = end,
				       .received = end};
	struct error error;
	uint16_t from;

	return handover_ask(bench->handover, link, &event, &from, &error);
}

char *handover_bench_file(void)
{
	char folder[] = "/tmp/keyferry-handover-XXXXXX";

	assert_non_null(mkdtemp(folder));
	return memory_printf("%s/slots", folder);
}

void handover_bench_remove_file(char *path)
{
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	free(path);
}
