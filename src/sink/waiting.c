/* What the sink waits for, as the operator sees it. */
#include "base/clock.h"
#include "sink/sink_state.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WAITING_TOLD_AFTER_MS 1000ULL

/* Does the text begin with the node's name, and not only with that of one whose name is longer (of port 63790 instead of 6379)? */
static bool is_named(const char *text, const char *peer)
{
	size_t len = strlen(peer);

	return strncmp(text, peer, len) == 0 && (text[len] == ':' || text[len] == ' ');
}

/* What a node answers does not name it; errors of its connection do, with or without the word. */
void sink_remember_cause(struct sink *sink, const char *peer, const char *why)
{
	static const char word[] = "target ";

	if (strncmp(why, word, strlen(word)) == 0 && is_named(why + strlen(word), peer))
		snprintf(sink->cause, sizeof(sink->cause), "%s", why);
	else
		snprintf(sink->cause, sizeof(sink->cause), "target %s: %s", peer,
			 is_named(why, peer) ? why + strlen(peer) + strspn(why + strlen(peer), ": ") : why);
}

void sink_waiting_ends(struct sink *sink)
{
	double seconds = (double)(clock_monotonic_us() - sink->waiting_since_us) / 1e6;
	struct incident incident;

	if (!sink->waiting_for[0])
		return;
	if (!sink->waiting_told_by_outage) {
		incident = incident_make(INCIDENT_TARGET_GOES_ON, sink_offset_before(sink, sink->window.position),
					 "the target takes commands again after %.1f s (%s)", seconds, sink->waiting_for);
		incident_add_cost(&incident, "seconds", seconds);
		sink->events->tell(sink->owner, &incident);
	}
	sink->waiting_for[0] = '\0';
	sink->cause[0] = '\0';
}

void sink_check_waiting(struct sink *sink)
{
	uint64_t now = clock_monotonic_us();
	struct incident incident;

	for (uint32_t i = 0; i < sink->lanes.held_count; i++) {
		const struct lane *lane = sink->lanes.held[i];

		if (now - lane->held_since_us < WAITING_TOLD_AFTER_MS * 1000)
			continue;
		if (sink->waiting_for[0])
			return;
		if (!sink->cause[0])
			sink_remember_cause(sink,
					    sink->owner_of[lane->slot] ? node_peer(sink->owner_of[lane->slot])
								       : "(slot without a master)",
					    "not connected yet");
		memcpy(sink->waiting_for, sink->cause, sizeof(sink->waiting_for));
		sink->waiting_since_us = lane->held_since_us;
		sink->waiting_told_by_outage = sink->outages.first != NULL;
		incident = incident_make(INCIDENT_TARGET_WAITS, sink_offset_before(sink, sink->window.position),
					 "waiting for %s; it goes on by itself when that is over", sink->waiting_for);
		sink->events->tell(sink->owner, &incident);
		return;
	}
	sink_waiting_ends(sink);
}
