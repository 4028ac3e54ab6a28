/* How many keys one SCAN is to look at. An answer takes a round trip however few they are, so a server that is far away is asked for more at once: about as many as keep
 * the server busy for a fortieth of that time (it looks at two keys in a microsecond, or more), and never more than SCAN_COUNT_MAX, some milliseconds.
 * Thread: any. */
#ifndef KEYFERRY_PEER_SCAN_COUNT_H
#define KEYFERRY_PEER_SCAN_COUNT_H

#include <stdint.h>

#define SCAN_COUNT_MAX 10000

/* `took_us`: the last SCAN, from its question to its answer; 0: there was none. `least`: what a server that is near is asked for. */
static inline uint32_t scan_count(uint64_t took_us, uint32_t least)
{
	uint64_t count = took_us / 20;

	return count < least ? least : count > SCAN_COUNT_MAX ? SCAN_COUNT_MAX : (uint32_t)count;
}

#endif
