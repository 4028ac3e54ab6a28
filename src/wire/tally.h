/* How often each command of the table was applied; those that are not in it together. 8 KiB, whatever a source sends.
 *
 * Thread: one adds, any reads. */
#ifndef KEYFERRY_WIRE_TALLY_H
#define KEYFERRY_WIRE_TALLY_H

#include "wire/command.h"

#include <stdatomic.h>

struct tally {
	atomic_uint_fast64_t counts[COMMAND_NUMBERS];
};

/* No atomic read-modify-write: there is one writer, and this is done for every command. */
static inline void tally_add(struct tally *tally, uint16_t number)
{
	uint64_t count = atomic_load_explicit(&tally->counts[number], memory_order_relaxed);

	atomic_store_explicit(&tally->counts[number], count + 1, memory_order_relaxed);
}

static inline uint64_t tally_count(const struct tally *tally, uint16_t number)
{
	return atomic_load_explicit(&tally->counts[number], memory_order_relaxed);
}

#endif
