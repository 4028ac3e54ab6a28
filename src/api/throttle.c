#include "api/throttle.h"

#include <netinet/in.h>
#include <string.h>

#define SPAN_US (THROTTLE_SECONDS * 1000000ULL)

/* IPv4 as it is mapped into IPv6; of IPv6 the first 8 bytes. */
static void key_of(const struct sockaddr *address, uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (address->sa_family == AF_INET) {
		ret[10] = ret[11] = 0xff;
		memcpy(ret + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

		memcpy(ret, v6, IN6_IS_ADDR_V4MAPPED(v6) ? 16 : 8);
	}
}

static bool counts(const struct throttle_entry *entry, uint64_t now_us)
{
	return entry->since_us && now_us - entry->since_us < SPAN_US;
}

uint32_t throttle_wait(const struct throttle *throttle, const struct sockaddr *address, uint64_t now_us)
{
	uint8_t key[16];

	key_of(address, key);
	for (unsigned i = 0; i < THROTTLE_ADDRESSES; i++) {
		const struct throttle_entry *entry = &throttle->entries[i];

		if (counts(entry, now_us) && memcmp(entry->address, key, sizeof(key)) == 0)
			return entry->failures < THROTTLE_FAILURES
				       ? 0
				       : (uint32_t)((entry->since_us + SPAN_US - now_us) / 1000000) + 1;
	}
	return 0;
}

void throttle_failed(struct throttle *throttle, const struct sockaddr *address, uint64_t now_us)
{
	struct throttle_entry *place = &throttle->entries[0];
	uint8_t key[16];

	key_of(address, key);
	for (unsigned i = 0; i < THROTTLE_ADDRESSES; i++) {
		struct throttle_entry *entry = &throttle->entries[i];

		if (entry->since_us && memcmp(entry->address, key, sizeof(key)) == 0) {
			place = entry;
			break;
		}
		if (entry->since_us < place->since_us)
			place = entry;
	}
	if (!counts(place, now_us) || memcmp(place->address, key, sizeof(key)) != 0) {
		memcpy(place->address, key, sizeof(key));
		place->since_us = now_us;
		place->failures = 0;
	}
	place->failures++;
}
