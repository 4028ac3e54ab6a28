#include "control/metrics_page.h"

#include "control/common_metrics.h"
#include "control/status_page.h"

#include <stdio.h>

/* ---- of each link ---- */

static double up(const struct link_status *link)
{
	return link->connected;
}

static double caught_up(const struct link_status *link)
{
	return link->applier.caught_up;
}

static double waiting(const struct link_status *link)
{
	return link->applier.waiting_for[0] != '\0';
}

static double lag_seconds(const struct link_status *link)
{
	return link->applier.lag_ms < 0 ? -1 : (double)link->applier.lag_ms / 1000;
}

static double lag_bytes(const struct link_status *link)
{
	return (double)status_page_lag_bytes(link);
}

static double received_bytes(const struct link_status *link)
{
	return (double)link->receiver.bytes_received;
}

static double snapshot_keys(const struct link_status *link)
{
	return (double)link->applier.sink.keys;
}

static double snapshot_bytes(const struct link_status *link)
{
	return link->snapshot_bytes_total > 0 ? (double)link->snapshot_bytes_total : -1;
}

static double snapshot_applied_bytes(const struct link_status *link)
{
	return (double)link->applier.snapshot_bytes_done;
}

static double spool_bytes(const struct link_status *link)
{
	return (double)link->spool_bytes;
}

static double spool_max_bytes(const struct link_status *link)
{
	return link->spool_max_bytes > 0 ? (double)link->spool_max_bytes : -1;
}

static double spool_on_disk(const struct link_status *link)
{
	return (double)link->spool_disk_bytes;
}

static double in_flight_bytes(const struct link_status *link)
{
	return (double)link->applier.sink.in_flight_bytes;
}

static double held(const struct link_status *link)
{
	return link->applier.expiry_form == GUARD_HELD;
}

static double across_slots(const struct link_status *link)
{
	return (double)link->applier.dispatch.crossings.commands;
}

static double already_applied(const struct link_status *link)
{
	return (double)link->applier.sink.already_applied;
}

static double left_out(const struct link_status *link)
{
	return (double)link->applier.dispatch.left_out;
}

static double skipped_keys(const struct link_status *link)
{
	return (double)link->applier.sink.skipped_keys;
}

static double conflicts(const struct link_status *link)
{
	return (double)link->applier.sink.conflicts;
}

static double script_errors(const struct link_status *link)
{
	return (double)link->applier.sink.script_errors;
}

static double redirections(const struct link_status *link)
{
	return (double)link->applier.sink.redirections;
}

static double retries(const struct link_status *link)
{
	return (double)link->applier.sink.retries;
}

static double rollbacks(const struct link_status *link)
{
	return (double)link->applier.rollbacks;
}

static double rollback_bytes(const struct link_status *link)
{
	return (double)link->applier.rollback_bytes;
}

struct metric {
	const char *name; /* of a counter without _total */
	enum metric_type type;
	const char *help;
	double (*value)(const struct link_status *link); /* negative: not known, no sample */
};

static const struct metric metrics[] = {
	{"keyferry_link_up", METRIC_GAUGE, "1 while the link receives from its source", up},
	{"keyferry_link_caught_up", METRIC_GAUGE, "1 once what the source held after the snapshot is applied", caught_up},
	{"keyferry_link_waiting", METRIC_GAUGE, "1 while the target takes nothing of a slot and the link waits for it", waiting},
	{"keyferry_link_lag_seconds", METRIC_GAUGE, "Seconds between a write at the source and its being applied", lag_seconds},
	{"keyferry_link_lag_bytes", METRIC_GAUGE, "Bytes of the source's stream that are not applied yet", lag_bytes},
	{"keyferry_link_received_bytes", METRIC_COUNTER, "Bytes received from the source", received_bytes},
	{"keyferry_link_snapshot_keys", METRIC_COUNTER, "Keys of the snapshot applied to the target", snapshot_keys},
	{"keyferry_link_snapshot_bytes", METRIC_GAUGE, "Size of the snapshot, where it is known", snapshot_bytes},
	{"keyferry_link_snapshot_applied_bytes", METRIC_GAUGE, "Bytes of the snapshot that are applied", snapshot_applied_bytes},
	{"keyferry_link_spool_bytes", METRIC_GAUGE, "Bytes received and not applied yet", spool_bytes},
	{"keyferry_link_spool_max_bytes", METRIC_GAUGE, "Bytes that the spool may hold (spool.max_size)", spool_max_bytes},
	{"keyferry_link_spool_disk_bytes", METRIC_GAUGE, "Bytes that the spool takes on disk", spool_on_disk},
	{"keyferry_link_in_flight_bytes", METRIC_GAUGE, "Bytes sent to the target and not answered yet", in_flight_bytes},
	{"keyferry_link_expiry_held", METRIC_GAUGE, "1 while times of expiry are written far away, for the link is behind", held},
	{"keyferry_link_commands_across_slots", METRIC_COUNTER,
	 "Commands done by keyferry because their keys lie in several slots of the target", across_slots},
	{"keyferry_link_already_applied_commands", METRIC_COUNTER,
	 "Commands that a mark of the target covers and that were not sent again", already_applied},
	{"keyferry_link_left_out", METRIC_COUNTER, "Keys and commands that the selection leaves out", left_out},
	{"keyferry_link_skipped_keys", METRIC_COUNTER,
	 "Keys of the snapshot that the target held already (target.conflict: skip)", skipped_keys},
	{"keyferry_link_conflicts", METRIC_COUNTER, "Commands that the target refused for good and that were skipped", conflicts},
	{"keyferry_link_script_errors", METRIC_COUNTER, "Scripts that ended in an error, as they did at the source",
	 script_errors},
	{"keyferry_link_redirections", METRIC_COUNTER, "MOVED and ASK answers of the target", redirections},
	{"keyferry_link_retries", METRIC_COUNTER, "Commands sent again", retries},
	{"keyferry_link_rollbacks", METRIC_COUNTER,
	 "Times that a target node had lost, or might have lost, what it had acknowledged", rollbacks},
	{"keyferry_link_rollback_bytes", METRIC_COUNTER, "Bytes of the stream gone through again for that", rollback_bytes},
};

/* Commands that never came have no series; "other" is always there, so that a rate over all of them is. */
static void put_commands(struct exposition *page, const struct task_status *status)
{
	const char *name;

	exposition_family(page, METRIC_COUNTER, "keyferry_link_applied_commands",
			  "Commands of the stream applied to the target; a transaction counts once, as multi");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];

		for (uint16_t number = 0; link->applied && (name = command_number_name(number)); number++) {
			uint64_t count = tally_count(link->applied, number);

			if (count > 0 || number == 0)
				exposition_put(page, "", (double)count, "task", status->name, "link", link->source, "command",
					       name, NULL);
		}
	}
}

static void put_delays(struct exposition *page, const struct task_status *status)
{
	exposition_family(page, METRIC_HISTOGRAM, "keyferry_link_delay_seconds",
			  "How long writes took from source to target, as heartbeats tell");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];
		uint64_t count = 0;
		char bound[32];

		if (!link->delays)
			continue;
		for (unsigned at = 0; at <= DELAY_BOUNDS; at++) {
			count += atomic_load(&link->delays->counts[at]);
			if (at < DELAY_BOUNDS)
				snprintf(bound, sizeof(bound), delay_bounds[at] < 1 ? "%g" : "%.1f", delay_bounds[at]);
			else
				snprintf(bound, sizeof(bound), "+Inf");
			exposition_put(page, "_bucket", (double)count, "task", status->name, "link", link->source, "le", bound,
				       NULL);
		}
		exposition_put(page, "_sum", (double)atomic_load(&link->delays->sum_ms) / 1000, "task", status->name, "link",
			       link->source, NULL);
		exposition_put(page, "_count", (double)count, "task", status->name, "link", link->source, NULL);
	}
}

/* Two or three samples of each link, told apart by a label. */
struct part {
	const char *value;
	uint64_t count;
};

static void put_parts(struct exposition *page, const struct task_status *status, const struct link_status *link,
		      const char *label, const struct part parts[2])
{
	for (int i = 0; i < 2; i++)
		exposition_put(page, "", (double)parts[i].count, "task", status->name, "link", link->source, label,
			       parts[i].value, NULL);
}

static void put_connections(struct exposition *page, const struct task_status *status)
{
	exposition_family(page, METRIC_COUNTER, "keyferry_link_reconnects", "Connections lost and made again");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];

		put_parts(
			page, status, link, "side",
			(const struct part[2]){{"source", link->receiver.reconnects}, {"target", link->applier.sink.reconnects}});
	}
	exposition_family(page, METRIC_COUNTER, "keyferry_link_resyncs",
			  "Times that the stream was taken up again: full by a new snapshot, partial where it had ended");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];

		put_parts(page, status, link, "kind",
			  (const struct part[2]){{"full", link->receiver.resyncs},
						 {"partial", link->incidents[INCIDENT_SOURCE_RECONNECTED] +
								     link->incidents[INCIDENT_SOURCE_FAILOVER]}});
	}
}

/* What the target could not take as it came. */
static void put_changes(struct exposition *page, const struct task_status *status)
{
	exposition_family(page, METRIC_COUNTER, "keyferry_link_rewritten",
			  "Keys and commands that went to the target as other commands of the same effect");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct dispatch_counters *done = &status->links[i].applier.dispatch;

		put_parts(page, status, &status->links[i], "of",
			  (const struct part[2]){{"commands", done->commands.rewritten}, {"keys", done->rewritten_keys}});
	}
	exposition_family(page, METRIC_COUNTER, "keyferry_link_lossy",
			  "Of these, with something left out (target.downgrade: lossy)");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct dispatch_counters *done = &status->links[i].applier.dispatch;

		put_parts(page, status, &status->links[i], "of",
			  (const struct part[2]){{"commands", done->commands.lossy}, {"keys", done->lossy_keys}});
	}
	exposition_family(page, METRIC_COUNTER, "keyferry_link_unsupported",
			  "Values and commands of modules left out (target.unsupported: skip)");
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct applier_status *applier = &status->links[i].applier;

		put_parts(page, status, &status->links[i], "of",
			  (const struct part[2]){{"commands", applier->dispatch.unsupported_commands},
						 {"keys", applier->sink.unsupported_keys + applier->dispatch.unsupported_keys}});
	}
}

static void put_events(struct exposition *page, const struct task_status *status)
{
	exposition_family(page, METRIC_COUNTER, "keyferry_link_events", "Events by kind, as the status document lists them");
	for (uint32_t i = 0; i < status->link_count; i++)
		for (int kind = 0; kind < INCIDENT_KINDS; kind++)
			exposition_put(page, "", (double)status->links[i].incidents[kind], "task", status->name, "link",
				       status->links[i].source, "kind", incident_kind_name((enum incident_kind)kind), NULL);
}

/* ---- of the task ---- */

static void put_verify(struct exposition *page, const struct task_status *status)
{
	const struct verifier_status *verifier = &status->verifier;

	if (!status->verifies)
		return;
	exposition_family(page, METRIC_COUNTER, "keyferry_verify_runs", "Verifications of the running task");
	exposition_put(page, "", (double)verifier->runs, "task", status->name, "result", "done", NULL);
	exposition_put(page, "", (double)verifier->failures, "task", status->name, "result", "failed", NULL);
	if (verifier->runs == 0)
		return;
	exposition_family(page, METRIC_GAUGE, "keyferry_verify_last_seconds",
			  "Unix time at which the last whole verification ended");
	exposition_put(page, "", (double)verifier->ended_ms / 1000, "task", status->name, NULL);
	exposition_family(page, METRIC_GAUGE, "keyferry_verify_differences", "Keys that differed in it");
	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		exposition_put(page, "", (double)verifier->counts.differences[kind], "task", status->name, "kind",
			       difference_kind_name(kind), NULL);
}

static void put_page(struct exposition *page, const struct task_status *status)
{
	exposition_begin(page);
	common_metrics_put_state(page, status->name, task_state_name(status->state));
	for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
		exposition_family(page, metrics[m].type, metrics[m].name, metrics[m].help);
		for (uint32_t i = 0; i < status->link_count; i++) {
			double value = metrics[m].value(&status->links[i]);

			if (value >= 0)
				exposition_put(page, "", value, "task", status->name, "link", status->links[i].source, NULL);
		}
	}
	put_commands(page, status);
	put_delays(page, status);
	put_connections(page, status);
	put_changes(page, status);
	put_events(page, status);
	put_verify(page, status);
	common_metrics_put_process(page);
}

char *metrics_page_text(const struct task_status *status, bool open_metrics)
{
	struct exposition page;
	char *text;

	put_page(&page, status);
	text = exposition_text(&page, open_metrics);
	exposition_free(&page);
	return text;
}

json_t *metrics_page_tree(const struct task_status *status)
{
	struct exposition page;
	json_t *tree;

	put_page(&page, status);
	tree = json_incref(page.families);
	json_object_del(tree, COMMON_METRICS_STATE);
	exposition_free(&page);
	return tree;
}
