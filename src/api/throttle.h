/* Failed logins, counted by who tries: more than THROTTLE_FAILURES within THROTTLE_SECONDS, and the address is told to wait.
 *
 * An address is an IPv4 address or the /64 that an IPv6 address lies in, since one machine may choose among those. The table is of fixed size: a new address takes the place of the one
 * that was quiet the longest.
 * Thread: the caller's lock. */
#ifndef KEYFERRY_API_THROTTLE_H
#define KEYFERRY_API_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define THROTTLE_FAILURES 10
#define THROTTLE_SECONDS 60
#define THROTTLE_ADDRESSES 1024

struct throttle_entry {
	uint8_t address[16];
	uint64_t since_us; /* when the counting began; 0: empty */
	uint32_t failures;
};

struct throttle {
	struct throttle_entry entries[THROTTLE_ADDRESSES];
};

/* Seconds that the address has to wait; 0: none. */
uint32_t throttle_wait(const struct throttle *throttle, const struct sockaddr *address, uint64_t now_us);
void throttle_failed(struct throttle *throttle, const struct sockaddr *address, uint64_t now_us);

#endif
