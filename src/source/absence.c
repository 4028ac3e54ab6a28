#include "source/absence.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TOLD_AFTER_US 1000000ULL
#define UNREAD_US 1000000ULL       /* who has not read for so long may have been cut for it */
#define UNREAD_SEEN_US 10000000ULL /* which is seen when what was sent before has been read */

void absence_begin(struct absence *absence, const char *cause, const char *why)
{
	if (absence->away)
		return;
	absence->away = true;
	absence->told = false;
	absence->since_us = clock_monotonic_us();
	if (absence->since_us - absence->unread_end_us > UNREAD_SEEN_US)
		absence->unread_us = 0;
	absence->cause = cause;
	snprintf(absence->why, sizeof(absence->why), "%s", why);
}

void absence_unread(struct absence *absence, uint64_t us)
{
	if (us < UNREAD_US)
		return;
	absence->unread_us = us;
	absence->unread_end_us = clock_monotonic_us();
}

static double seconds(const struct absence *absence)
{
	return absence->away ? (double)(clock_monotonic_us() - absence->since_us) / 1e6 : 0;
}

bool absence_is_due(const struct absence *absence)
{
	return absence->away && !absence->told && clock_monotonic_us() - absence->since_us >= TOLD_AFTER_US;
}

struct incident absence_tell(struct absence *absence, const char *now, const char *plan)
{
	struct incident incident = incident_make(INCIDENT_SOURCE_LOST, -1, "%s; trying again, to go on %s", now, plan);

	incident.cause = absence->cause;
	absence->told = true;
	return incident;
}

static bool is_restarted(const struct absence *absence, const struct absence_end *end)
{
	return absence->had && absence->run_id[0] && end->server->run_id[0] && endpoint_equal(&absence->from, end->endpoint) &&
	       strcmp(absence->run_id, end->server->run_id) != 0;
}

static bool is_moved(const struct absence *absence, const struct absence_end *end)
{
	return absence->had && !endpoint_equal(&absence->from, end->endpoint);
}

/* What the new connection has found out of the end of the one before. */
static void find_cause(struct absence *absence, const struct absence_end *end)
{
	size_t len = strlen(absence->why);

	if (!absence->had || is_moved(absence, end))
		return;
	if (is_restarted(absence, end)) {
		absence->cause = "restarted";
		snprintf(absence->why + len, sizeof(absence->why) - len, "; the source was restarted");
	} else if (absence->output_cuts >= 0 && end->server->output_cuts > absence->output_cuts) {
		absence->cause = "output_buffer";
		snprintf(absence->why + len, sizeof(absence->why) - len,
			 "; the source has ended connections at its client-output-buffer-limit: raise it");
	} else if (absence->unread_us > 0) {
		absence->cause = "not_read";
		snprintf(
			absence->why + len, sizeof(absence->why) - len,
			"; nothing had been read for %.1f s, for the spool took nothing, which sources end at their client-output-buffer-limit: raise it, or spool.max_size",
			(double)absence->unread_us / 1e6);
	}
}

static void remember(struct absence *absence, const struct absence_end *end)
{
	absence->away = absence->told = false;
	absence->had = true;
	absence->from = *end->endpoint;
	snprintf(absence->run_id, sizeof(absence->run_id), "%s", end->server->run_id);
	absence->output_cuts = end->server->output_cuts;
	absence->unread_us = 0;
}

struct incident absence_continued(struct absence *absence, const struct absence_end *end)
{
	char peer[ENDPOINT_TEXT_MAX], before[ENDPOINT_TEXT_MAX];
	struct incident incident;

	endpoint_format(end->endpoint, peer);
	endpoint_format(&absence->from, before);
	if (!absence->away) {
		absence->cause = "renamed";
		snprintf(absence->why, sizeof(absence->why), "while keyferry did not run");
	}
	find_cause(absence, end);
	if (is_moved(absence, end) && end->renamed)
		incident = incident_make(INCIDENT_SOURCE_FAILOVER, end->offset,
					 "failover of the source: %s is the master now, in place of %s (%s)", peer, before,
					 absence->why);
	else if (end->renamed && !absence->had)
		incident = incident_make(INCIDENT_SOURCE_RECONNECTED, end->offset,
					 "%s: was restarted, or is the master after a failover (%s)", peer, absence->why);
	else if (end->renamed && end->server->role == ROLE_REPLICA)
		incident = incident_make(
			INCIDENT_SOURCE_FAILOVER, end->offset,
			"failover of the source: %s is the master now, and %s, a replica now, passes its stream on (%s)",
			endpoint_format(&end->server->master, before), peer, absence->why);
	else if (end->renamed && !is_restarted(absence, end))
		incident = incident_make(INCIDENT_SOURCE_FAILOVER, end->offset,
					 "failover of the source: %s goes on with its history (%s)", peer, absence->why);
	else if (is_moved(absence, end))
		incident = incident_make(INCIDENT_SOURCE_RECONNECTED, end->offset, "%s: is not read any more; going on with %s",
					 before, peer);
	else
		incident = incident_make(INCIDENT_SOURCE_RECONNECTED, end->offset, "%s: connected again after %.1f s (%s)", peer,
					 seconds(absence), absence->why);
	incident_add_text(&incident, ": streaming from offset %" PRId64 "%s", end->offset,
			  end->renamed ? ", under a new replication id" : "");
	if (incident.kind == INCIDENT_SOURCE_FAILOVER)
		incident_add_text(&incident, ", after %.1f s", seconds(absence));
	else
		incident.cause = absence->cause;
	incident_add_cost(&incident, "seconds", seconds(absence));
	remember(absence, end);
	return incident;
}

/* Why it cannot go on where it was. */
static const char *resync_cause(const struct absence *absence, const struct absence_end *end)
{
	if (end->asked_replid[0] == '\0')
		return "incomplete";
	if (strcmp(end->asked_replid, end->replid) == 0)
		return "backlog";
	if (is_moved(absence, end))
		return "failover";
	return is_restarted(absence, end) ? "restarted" : "unknown_history";
}

struct incident absence_resynced(struct absence *absence, const struct absence_end *end)
{
	bool first = end->generation == 0;
	char peer[ENDPOINT_TEXT_MAX], before[ENDPOINT_TEXT_MAX], server[64];
	struct incident incident =
		incident_make(first ? INCIDENT_SNAPSHOT_BEGUN : INCIDENT_FULL_RESYNC, end->offset,
			      "%s: %s: full resync, %s at offset %" PRId64 " of replication id %s",
			      endpoint_format(end->endpoint, peer), server_name(end->server, server),
			      end->snapshot ? "a snapshot" : "the stream alone begins", end->offset, end->replid);

	if (!first) {
		incident.cause = resync_cause(absence, end);
		find_cause(absence, end);
	}
	if (first)
		;
	else if (end->asked_anew)
		incident_add_text(&incident, ": the target needs it");
	else if (end->asked_replid[0] == '\0')
		incident_add_text(&incident, ": the one before was not received to its end");
	else if (strcmp(end->asked_replid, end->replid) == 0)
		incident_add_text(&incident, ": its backlog does not hold offset %" PRId64 " any more", end->asked_offset + 1);
	else
		incident_add_text(&incident, ": it does not know offset %" PRId64 " of replication id %s", end->asked_offset + 1,
				  end->asked_replid);
	if (!first && is_moved(absence, end))
		incident_add_text(&incident, "; it is read in place of %s", endpoint_format(&absence->from, before));
	if (absence->away) {
		incident_add_text(&incident, " (%s; away for %.1f s)", absence->why, seconds(absence));
		incident_add_cost(&incident, "seconds", seconds(absence));
	}
	if (!first && !end->snapshot)
		incident_add_text(
			&incident,
			". Snapshot is off, so what the source changed between the two is missing in the target; begin again with a snapshot to have it");
	remember(absence, end);
	return incident;
}
