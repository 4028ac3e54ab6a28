#include "base/clock.h"
#include "base/memory.h"
#include "service/service_state.h"
#include "task/options.h"
#include "task/stored.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *view_time(int64_t ms)
{
	char text[32];

	return ms ? json_string(clock_format_rfc3339(ms, text)) : json_null();
}

static json_t *copy_or_null(json_t *value)
{
	return value ? json_deep_copy(value) : json_null();
}

static json_t *side(const struct entry *entry, const char *name)
{
	static const char *const members[] = {"mode", "address", "path", "master"};
	json_t *of = json_object_get(entry->document, name), *shown = json_object();

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(of, members[i]);

		if (value)
			json_object_set_new(shown, members[i], json_deep_copy(value));
	}
	return shown;
}

json_t *view_job(const struct job *job)
{
	return job ? json_pack("{s:I, s:s, s:o}", "id", (json_int_t)job->id, "kind", service_job_name(job->kind), "begun",
			       view_time(job->begun_ms))
		   : json_null();
}

static json_t *view_worker(const struct entry *entry)
{
	const struct worker *worker = &entry->worker;
	uint64_t now = clock_monotonic_us();

	if (worker->pidfd < 0)
		return json_null();
	return json_pack("{s:i, s:o, s:o, s:I, s:b, s:b, s:b}", "pid", (int)worker->pid, "version",
			 worker->version[0] ? json_string(worker->version) : json_null(), "started",
			 view_time(worker->started_ms), "document_revision", (json_int_t)worker->revision, "adopted",
			 worker->adopted, "ending", worker->ending, "answers",
			 worker->line != NULL && worker->answered_us > 0 && now - worker->answered_us < 10000000);
}

/* ---- sums over the links of a status ---- */

struct sums {
	uint32_t links, connected;
	double bytes_done, bytes_total, keys_done, keys_total;
	double commands, bytes, lag_seconds, lag_bytes, spool_bytes;
	bool lag_known, lag_bytes_known;
};

static double number(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* While its source is away nobody knows how far that has gone on: what was measured last is no lag. */
static bool is_away(const json_t *link)
{
	const char *state = json_string_value(json_object_get(link, "state"));
	bool follows = state && (strcmp(state, "snapshot") == 0 || strcmp(state, "streaming") == 0);

	return follows && !json_is_true(json_object_get(link, "connected"));
}

/* The lag of a task is that of the link which is furthest behind; bytes are all links'. */
static struct sums add_links(const json_t *status)
{
	struct sums sums = {.lag_known = true, .lag_bytes_known = true};
	const json_t *link;
	size_t i;

	json_array_foreach (json_object_get(status, "links"), i, link) {
		const json_t *snapshot = json_object_get(link, "snapshot"), *lag = json_object_get(link, "lag"),
			     *rates = json_object_get(link, "rates");

		sums.links++;
		sums.connected += json_is_true(json_object_get(link, "connected"));
		sums.bytes_done += number(snapshot, "bytes_done");
		sums.bytes_total += number(snapshot, "bytes_total");
		sums.keys_done += number(snapshot, "keys_done");
		sums.keys_total += number(snapshot, "keys_total");
		sums.commands += number(rates, "commands_per_second");
		sums.bytes += number(rates, "bytes_per_second");
		sums.spool_bytes += number(json_object_get(link, "spool"), "bytes");
		sums.lag_known = sums.lag_known && !is_away(link) && json_is_number(json_object_get(lag, "seconds"));
		sums.lag_bytes_known = sums.lag_bytes_known && !is_away(link) && json_is_number(json_object_get(lag, "bytes"));
		sums.lag_seconds = number(lag, "seconds") > sums.lag_seconds ? number(lag, "seconds") : sums.lag_seconds;
		sums.lag_bytes += number(lag, "bytes");
	}
	return sums;
}

/* By bytes; where a diskless source tells no size, by its count of keys. */
static double progress_of(const struct sums *sums)
{
	double total = sums->bytes_total > 0 ? sums->bytes_total : sums->keys_total,
	       done = sums->bytes_total > 0 ? sums->bytes_done : sums->keys_done;

	if (total <= 0)
		return (double)NAN;
	return done >= total ? 1 : done / total;
}

static json_t *number_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

bool view_values(const struct entry *entry, double ret[TREND_VALUES])
{
	struct sums sums = add_links(entry->status);

	ret[TREND_LAG] = sums.lag_known ? sums.lag_seconds : (double)NAN;
	ret[TREND_COMMANDS] = sums.commands;
	ret[TREND_BYTES] = sums.bytes;
	ret[TREND_SPOOL] = sums.spool_bytes;
	ret[TREND_PROGRESS] = entry_state(entry) == TASK_SNAPSHOT ? progress_of(&sums) : (double)NAN;
	return sums.links > 0;
}

static void add_sums(json_t *tree, const struct entry *entry)
{
	const json_t *status = entry->worker.pidfd >= 0 ? entry->status : NULL;
	struct sums sums = add_links(status);

	json_object_set_new(tree, "progress",
			    number_or_null(status && entry_state(entry) == TASK_SNAPSHOT ? progress_of(&sums) : (double)NAN));
	json_object_set_new(
		tree, "lag",
		json_pack("{s:o, s:o}", "seconds", sums.links && sums.lag_known ? json_real(sums.lag_seconds) : json_null(),
			  "bytes", sums.links && sums.lag_bytes_known ? json_integer((json_int_t)sums.lag_bytes) : json_null()));
	json_object_set_new(tree, "rates",
			    json_pack("{s:f, s:f}", "commands_per_second", sums.commands, "bytes_per_second", sums.bytes));
	json_object_set_new(tree, "links", json_integer(sums.links));
	json_object_set_new(tree, "links_connected", json_integer(sums.connected));
}

json_t *view_task(const struct entry *entry, bool with_document)
{
	const struct store_task *row = &entry->row;
	json_t *tree = json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:s, s:I, s:o, s:o}", "id", (json_int_t)row->id, "name",
				 row->name, "state", row->state, "since", view_time(row->since_ms), "error",
				 copy_or_null(entry->error), "last_error", copy_or_null(entry->last_error), "wanted", row->wanted,
				 "revision", (json_int_t)row->revision, "created", view_time(row->created_ms), "updated",
				 view_time(row->updated_ms));

	json_object_set_new(tree, "source", side(entry, "source"));
	json_object_set_new(tree, "target", side(entry, "target"));
	json_object_set_new(tree, "restarts", json_integer(entry->restarts));
	json_object_set_new(tree, "restart_at", view_time(entry->restart_at_ms));
	json_object_set_new(tree, "worker", view_worker(entry));
	json_object_set_new(tree, "job", view_job(entry->job));
	add_sums(tree, entry);
	json_object_set_new(tree, "limit",
			    json_pack("{s:I, s:I}", "records_per_second", (json_int_t)entry->limit_records, "bytes_per_second",
				      (json_int_t)entry->limit_bytes));
	json_object_set_new(tree, "log_level",
			    json_string(row->log_level ? row->log_level : log_level_name(entry->service->config->log_level)));
	if (with_document)
		json_object_set_new(tree, "document", json_deep_copy(entry->document));
	return tree;
}

json_t *view_status(const struct entry *entry)
{
	json_t *tree = entry->status
			       ? json_deep_copy(entry->status)
			       : json_pack("{s:n, s:n, s:[], s:[], s:[]}", "expiry", "verify", "targets", "links", "events");

	json_object_set_new(tree, "task", json_string(entry->row.name));
	json_object_set_new(tree, "state", json_string(entry->row.state));
	json_object_set_new(tree, "since", view_time(entry->row.since_ms));
	json_object_set_new(tree, "error", copy_or_null(entry->error));
	json_object_set_new(tree, "as_of", entry->status ? view_time(entry->status_ms) : json_null());
	return tree;
}
