#include "control/status_page.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

const char *status_page_phase(enum link_phase phase)
{
	static const char *const names[] = {"connecting", "snapshot", "streaming", "stopped", "failed", "finished"};

	return names[phase];
}

/* An error may quote an argument. */
static json_t *text_json(const char *text)
{
	char *copy = memory_strdup(text);
	json_t *string;

	utf8_mend(copy, strlen(copy));
	string = json_string(copy);
	free(copy);
	return string;
}

static json_t *error_json(const struct error *error)
{
	if (error->kind == ERROR_NONE)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:i}", "kind", error_kind_name(error->kind), "text", text_json(error->text), "hint",
			 text_json(error->hint), "exit_code", (int)error->kind);
}

static json_t *away_json(const struct away_status *away)
{
	char since[32];

	if (away->since_ms == 0)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "since", clock_format_rfc3339(away->since_ms, since), "text", text_json(away->text),
			 "hint", text_json(away->hint));
}

static json_t *number_or_null(int64_t number)
{
	return number < 0 ? json_null() : json_integer(number);
}

int64_t status_page_lag_bytes(const struct link_status *link)
{
	int64_t source = link->source_offset > link->received_offset ? link->source_offset : link->received_offset;

	return link->away || link->applier.applied_offset < 0 || source < 0 ? -1 : source - link->applier.applied_offset;
}

static const char *const form_names[] = {
	[GUARD_OFF] = "true", [GUARD_IMPORT] = "true", [GUARD_LIVE] = "live", [GUARD_HELD] = "held"};

static json_t *link_json(const struct link_status *link)
{
	const struct applier_status *applier = &link->applier;
	json_t *root = json_object();

	json_object_set_new(root, "source", text_json(link->source));
	json_object_set_new(root, "target_file",
			    link->target_path ? json_pack("{s:o, s:I}", "path", text_json(link->target_path), "bytes",
							  (json_int_t)applier->file_bytes)
					      : json_null());
	json_object_set_new(root, "state", json_string(status_page_phase(link->phase)));
	json_object_set_new(root, "connected", json_boolean(link->connected));
	json_object_set_new(root, "caught_up", json_boolean(applier->caught_up));
	json_object_set_new(root, "waiting_for", applier->waiting_for[0] ? text_json(applier->waiting_for) : json_null());
	json_object_set_new(root, "source_away", away_json(&link->receiver.away));
	json_object_set_new(root, "error", error_json(&link->error));
	json_object_set_new(root, "snapshot",
			    json_pack("{s:I, s:I, s:I, s:I, s:I}", "bytes_total", (json_int_t)link->snapshot_bytes_total,
				      "bytes_done", (json_int_t)applier->snapshot_bytes_done, "keys_total",
				      (json_int_t)link->snapshot_keys_total, "keys_done", (json_int_t)applier->sink.keys,
				      "keys_expired", (json_int_t)applier->dispatch.expired_keys));
	json_object_set_new(root, "position",
			    json_pack("{s:o, s:o, s:o, s:I}", "replid", text_json(link->origin.replid), "received",
				      number_or_null(link->received_offset), "applied", number_or_null(applier->applied_offset),
				      "generation", (json_int_t)link->origin.generation));
	json_object_set_new(root, "lag",
			    json_pack("{s:o, s:o}", "seconds",
				      applier->lag_ms < 0 ? json_null() : json_real((double)applier->lag_ms / 1000), "bytes",
				      number_or_null(status_page_lag_bytes(link))));
	json_object_set_new(root, "rates",
			    json_pack("{s:f, s:f}", "commands_per_second", link->commands_per_second, "bytes_per_second",
				      link->bytes_per_second));
	json_object_set_new(root, "spool",
			    json_pack("{s:I, s:I}", "bytes", (json_int_t)link->spool_bytes, "disk_bytes",
				      (json_int_t)link->spool_disk_bytes));
	json_object_set_new(
		root, "counters",
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			  "commands_across_slots", (json_int_t)applier->dispatch.crossings.commands, "bytes_across_slots",
			  (json_int_t)applier->dispatch.crossings.bytes, "transactions_split",
			  (json_int_t)applier->dispatch.transactions_split, "commands_rewritten",
			  (json_int_t)applier->dispatch.commands.rewritten, "commands_lossy",
			  (json_int_t)applier->dispatch.commands.lossy, "keys_rewritten",
			  (json_int_t)applier->dispatch.rewritten_keys, "keys_lossy", (json_int_t)applier->dispatch.lossy_keys,
			  "keys_empty", (json_int_t)applier->dispatch.empty_keys, "keys_unsupported",
			  (json_int_t)applier->sink.unsupported_keys + (json_int_t)applier->dispatch.unsupported_keys,
			  "commands_unsupported", (json_int_t)applier->dispatch.unsupported_commands, "commands_applied",
			  (json_int_t)applier->sink.commands, "already_applied", (json_int_t)applier->sink.already_applied,
			  "bytes_received", (json_int_t)link->receiver.bytes_received, "left_out",
			  (json_int_t)applier->dispatch.left_out, "keys_skipped", (json_int_t)applier->sink.skipped_keys,
			  "conflicts", (json_int_t)applier->sink.conflicts, "script_errors",
			  (json_int_t)applier->sink.script_errors, "redirections", (json_int_t)applier->sink.redirections,
			  "retries", (json_int_t)applier->sink.retries));
	json_object_set_new(root, "handover",
			    json_pack("{s:I, s:I, s:f}", "slots_taken", (json_int_t)applier->handover.slots, "waits",
				      (json_int_t)applier->handover.waits, "waited_seconds",
				      (double)applier->handover.waited_us / 1e6));
	json_object_set_new(root, "expiry_times", json_string(form_names[applier->expiry_form]));
	json_object_set_new(root, "reconnects", json_integer((json_int_t)link->receiver.reconnects));
	json_object_set_new(root, "target_reconnects", json_integer((json_int_t)applier->sink.reconnects));
	json_object_set_new(root, "resyncs", json_integer((json_int_t)link->receiver.resyncs));
	json_object_set_new(root, "rollbacks",
			    json_pack("{s:I, s:I}", "count", (json_int_t)applier->rollbacks, "bytes_again",
				      (json_int_t)applier->rollback_bytes));
	return root;
}

static const char *expiry_mode(const struct settler_status *expiry)
{
	switch (expiry->form) {
	case GUARD_OFF: return "off";
	case GUARD_IMPORT: return expiry->import_lost ? "guard" : "import-mode";
	case GUARD_LIVE:
	case GUARD_HELD: break;
	}
	return expiry->always ? "always" : "guard";
}

static json_t *expiry_json(const struct settler_status *expiry)
{
	return json_pack("{s:s, s:b, s:b, s:I, s:I, s:I}", "mode", expiry_mode(expiry), "settled", expiry->settled, "settling",
			 expiry->running, "keys_looked_at", (json_int_t)expiry->counts.keys, "times_changed",
			 (json_int_t)expiry->counts.changed, "times_passed", (json_int_t)expiry->counts.passed);
}

static json_t *time_or_null(int64_t ms)
{
	char text[32];

	return ms ? json_string(clock_format_rfc3339(ms, text)) : json_null();
}

static json_t *verify_json(const struct verifier_status *verifier)
{
	const struct verify_counts *counts = &verifier->counts;
	json_t *differences = json_object();

	for (enum difference_kind kind = 0; kind < DIFFERENCE_KINDS; kind++)
		json_object_set_new(differences, difference_kind_name(kind), json_integer((json_int_t)counts->differences[kind]));
	return json_pack("{s:I, s:I, s:b, s:o, s:o, s:o, s:I, s:o, s:I, s:I, s:o}", "runs", (json_int_t)verifier->runs,
			 "failures", (json_int_t)verifier->failures, "running", verifier->running, "begun",
			 time_or_null(verifier->begun_ms), "ended", time_or_null(verifier->ended_ms), "next",
			 time_or_null(verifier->next_ms), "compared", (json_int_t)counts->compared, "differences", differences,
			 "undecided", (json_int_t)counts->undecided, "repaired", (json_int_t)counts->repaired, "error",
			 error_json(&verifier->error));
}

/* Whole numbers without a fraction. */
static json_t *cost_json(double value)
{
	return value == (double)(json_int_t)value ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *events_json(struct incidents *incidents)
{
	json_t *events = json_array();
	uint32_t count = 0;
	struct incident *list = incidents ? incidents_copy(incidents, &count) : NULL;

	for (uint32_t i = 0; i < count; i++) {
		const struct incident *incident = &list[i];
		json_t *cost = json_object();
		char at[32];

		for (uint32_t k = 0; k < incident->cost_count; k++)
			json_object_set_new(cost, incident->costs[k].name, cost_json(incident->costs[k].value));
		json_array_append_new(events, json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "time",
							clock_format_rfc3339(incident->at_ms, at), "link",
							incident->link[0] ? text_json(incident->link) : json_null(), "kind",
							incident_kind_name(incident->kind), "cause",
							incident->cause ? json_string(incident->cause) : json_null(), "text",
							text_json(incident->text), "offset", number_or_null(incident->offset),
							"cost", cost));
	}
	free(list);
	return events;
}

static json_t *targets_json(const struct task_status *status)
{
	json_t *targets = json_array();
	uint32_t count = 0;
	char(*list)[ENDPOINT_TEXT_MAX] = status->targets ? target_masters_copy(status->targets, &count) : NULL;

	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(targets, text_json(list[i]));
	free(list);
	return targets;
}

char *status_page_json(const struct task_status *status)
{
	json_t *root = json_object();
	json_t *links = json_array();
	char since[32];
	char *text;

	json_object_set_new(root, "task", text_json(status->name));
	json_object_set_new(root, "state", json_string(task_state_name(status->state)));
	json_object_set_new(root, "since", json_string(clock_format_rfc3339(status->since_ms, since)));
	json_object_set_new(root, "error", error_json(&status->error));
	json_object_set_new(root, "expiry", expiry_json(&status->expiry));
	for (uint32_t i = 0; i < status->link_count; i++)
		json_array_append_new(links, link_json(&status->links[i]));
	json_object_set_new(root, "verify", status->verifies ? verify_json(&status->verifier) : json_null());
	json_object_set_new(root, "targets", targets_json(status));
	json_object_set_new(root, "links", links);
	json_object_set_new(root, "events", events_json(status->incidents));
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	return text;
}
