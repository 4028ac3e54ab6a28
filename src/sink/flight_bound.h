/* How much a flight may hold (marker.h), learned from how long flights take.
 *
 * A standalone target gets one flight in each time that an answer takes, so where it is far away the size of a flight is what bounds the rate: 1024 commands in 100 ms are
 * no more than 10,000 a second. But the server serves nobody else while it executes one. So sizes beyond FLIGHT_UNITS_MAX are tried, and kept only where a flight of twice
 * as much takes hardly longer, that is, where the time is that of the way and not of the server:
 *
 *     units --twice as many--> took up to 5/4 of the time: kept, and tried further; longer: back, and a rest
 *           --half as many---> took less than 4/5 of the time: kept, and tried further; else back
 *
 * Pure: times are handed in. Thread: the link's applier. */
#ifndef KEYFERRY_SINK_FLIGHT_BOUND_H
#define KEYFERRY_SINK_FLIGHT_BOUND_H

#include <stdbool.h>
#include <stdint.h>

#define FLIGHT_UNITS_MAX 1024
/* On a standalone target, as long as that is answered soon: shorter ones cost the server less, for what MULTI keeps stays in its cache. */
#define FLIGHT_UNITS_SHORT 256
#define FLIGHT_BYTES_MAX (1u << 20)
/* On a cluster that is far away, of one slot. */
#define FLIGHT_UNITS_FAR 4096
/* From its end to its answer: a flight that takes longer goes to a target that is far away, one that takes less to one that is near. */
#define FLIGHT_FAR_US 5000
#define FLIGHT_NEAR_US 2000

struct flight_bound {
	uint32_t units;
	uint64_t bytes;
	/* the most that they may ever be */
	uint32_t units_most;
	uint64_t bytes_most;
	/* another size is being tried */
	enum { FLIGHT_BOUND_KEPT, FLIGHT_BOUND_MORE, FLIGHT_BOUND_LESS } trial;
	uint32_t units_before;
	uint64_t took_before_us;
	uint32_t rest; /* full flights until the next trial */
};

/* `units` and `bytes`: what may be on its way to the target at all. A flight takes three eighths of it at most, so that the next one is sent while one is answered. */
void flight_bound_init(struct flight_bound *bound, uint32_t units, uint64_t bytes);
/* A flight was answered. `full`: it held as much as the present bound lets it. */
void flight_bound_learn(struct flight_bound *bound, uint64_t took_us, bool full);
/* One was refused for the sake of one of its commands, which is looked for by trying each alone: in short flights it is found soon. */
void flight_bound_refused(struct flight_bound *bound);

#endif
