#include "keyferry.h"

#include "base/log.h"
#include "base/memory.h"
#include "control/task.h"
#include "disk.h"
#include "process.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define DRAIN_MS 10000
#define FAILED_STARTS_MAX 200 /* in a row */

struct keyferry {
	struct task_options options;
	const struct site *source;
	struct loop *loop;
	struct task *task; /* NULL: it does not run */
	bool busy;         /* being opened or stopped: what happens to it now is seen to afterwards */
	bool changed, stop_wanted, power_cut;
	bool conflict;
	uint64_t start_at;
	struct occasion wake; /* so that the world goes on to then */
	uint64_t starts;
	unsigned failed_starts;
	struct error error;
	char failure[sizeof(((struct error *)NULL)->text) + 64];
};

/* ---- the log goes into the trace (linked with --wrap) ---- */

static void trace_log(enum log_level level, const char *format, va_list args)
{
	char text[900];

	vsnprintf(text, sizeof(text), format, args);
	trace("log %s%s", level >= LOG_ERROR ? "error: " : level >= LOG_WARNING ? "warning: " : "", text);
}

void __wrap_log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

void __wrap_log_write(enum log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	trace_log(level, format, args);
	va_end(args);
}

void __wrap_log_line_write(const struct log_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

void __wrap_log_line_write(const struct log_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	trace_log(line->level, format, args);
	va_end(args);
}

/* Delays are spread by the address of an object in memory, which no seed decides. */
struct backoff;
void __real_backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t most_ms, uint64_t seed);
void __wrap_backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t most_ms, uint64_t seed);

void __wrap_backoff_init(struct backoff *backoff, uint32_t first_ms, uint32_t most_ms, uint64_t seed)
{
	(void)seed;
	__real_backoff_init(backoff, first_ms, most_ms, chance_below(UINT64_MAX));
}

/* Nor does a seed decide what the system's random numbers are. */
ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags);

ssize_t __wrap_getrandom(void *out, size_t len, unsigned flags)
{
	uint8_t *bytes = out;

	(void)flags;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)chance_below(256);
	return (ssize_t)len;
}

/* ---- the task ---- */

static void on_changed(void *owner)
{
	((struct keyferry *)owner)->changed = true;
}

static bool on_interrupted(void *owner)
{
	(void)owner;
	return false;
}

static const struct task_events callbacks = {.changed = on_changed, .interrupted = on_interrupted};

static void set(struct task_options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void set(struct task_options *options, const char *format, ...)
{
	char text[200];
	struct error error;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!task_options_set(options, text, text, &error)) {
		fprintf(stderr, "%s: %s\n", text, error.text);
		abort();
	}
}

static void on_wake(void *owner)
{
	(void)owner;
}

struct keyferry *keyferry_new(struct site *source, struct site *target)
{
	struct keyferry *keyferry = memory_alloc_zero(1, sizeof(*keyferry));
	struct task_options *options = &keyferry->options;
	struct error error;

	keyferry->source = source;
	task_options_init(options);
	set(options, "name=sim");
	set(options, "source.address=%s:6379", source->shards[0].nodes[0].host.endpoint.host);
	set(options, "target.address=%s:6379,%s:6379", target->shards[0].nodes[0].host.endpoint.host,
	    target->shards[0].nodes[1].host.endpoint.host);
	set(options, "spool.segment_size=1MiB");
	set(options, "spool.max_size=%uMiB", chance_of(50) ? 4 : 16);
	set(options, "timeouts.connect=2s");
	set(options, "timeouts.replication=%us", chance_of(50) ? 3 : 10);
	set(options, "heartbeat.interval=%us", (unsigned)chance_between(1, 5));
	set(options, "buffers.in_flight_commands=%u",
	    (unsigned)(chance_of(30) ? chance_between(1, 20) : chance_between(20, 4000)));
	set(options, "buffers.in_flight_bytes=%uKiB", chance_of(30) ? 64 : 1024);
	options->data_dir = memory_strdup("work");
	occasion_init(&keyferry->wake, on_wake, keyferry);
	if (!task_options_finish(options, &error)) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	return keyferry;
}

static void end_process(struct keyferry *keyferry)
{
	task_free(keyferry->task);
	keyferry->task = NULL;
	loop_free(keyferry->loop);
	keyferry->loop = NULL;
	process_end();
	if (process_dead() && keyferry->power_cut)
		disk_power_cut();
	keyferry->power_cut = keyferry->stop_wanted = keyferry->changed = false;
	keyferry->start_at = world_now() + chance_below(3 * SECOND);
	occasion_plan(&keyferry->wake, keyferry->start_at);
}

void keyferry_free(struct keyferry *keyferry)
{
	keyferry->busy = true;
	process_kill();
	end_process(keyferry);
	occasion_cancel(&keyferry->wake);
	task_options_free(&keyferry->options);
	free(keyferry);
}

static void start(struct keyferry *keyferry)
{
	bool killed;

	process_begin();
	trace("keyferry starts");
	keyferry->starts++;
	keyferry->busy = true;
	keyferry->loop = loop_new();
	keyferry->task = task_open(keyferry->loop, &keyferry->options, &callbacks, keyferry, &keyferry->error);
	if (keyferry->task && !process_dead() && !task_start(keyferry->task, &keyferry->error)) {
		task_free(keyferry->task);
		keyferry->task = NULL;
	}
	keyferry->busy = false;
	if (keyferry->task) {
		keyferry->failed_starts = 0;
		return;
	}
	trace("keyferry cannot start: %s", keyferry->error.text);
	killed = process_dead();
	end_process(keyferry);
	if (killed)
		return;
	if (++keyferry->failed_starts == FAILED_STARTS_MAX || keyferry->error.kind == ERROR_USAGE ||
	    keyferry->error.kind == ERROR_INTERNAL)
		snprintf(keyferry->failure, sizeof(keyferry->failure), "it does not start: %s", keyferry->error.text);
}

static void stop(struct keyferry *keyferry)
{
	trace("keyferry is stopped");
	keyferry->busy = true;
	task_stop(keyferry->task, DRAIN_MS);
	keyferry->busy = false;
	end_process(keyferry);
}

static void look(struct keyferry *keyferry)
{
	struct task_status status;

	keyferry->changed = false;
	task_status(keyferry->task, &status);
	keyferry->conflict = status.error.kind == ERROR_CONFLICT;
	if (status.error.kind != ERROR_NONE)
		snprintf(keyferry->failure, sizeof(keyferry->failure), "a link has stopped: %s", status.error.text);
	task_status_free(&status);
}

void keyferry_watch(struct keyferry *keyferry)
{
	if (keyferry->failure[0])
		return;
	if (!keyferry->task) {
		if (world_now() >= keyferry->start_at)
			start(keyferry);
		return;
	}
	if (process_dead()) {
		end_process(keyferry);
		return;
	}
	if (keyferry->changed)
		look(keyferry);
	if (keyferry->stop_wanted)
		stop(keyferry);
}

bool keyferry_runs(const struct keyferry *keyferry)
{
	return keyferry->task && !process_dead();
}

const char *keyferry_failure(const struct keyferry *keyferry)
{
	return keyferry->failure[0] ? keyferry->failure : NULL;
}

bool keyferry_met_conflict(const struct keyferry *keyferry)
{
	return keyferry->conflict;
}

uint64_t keyferry_starts(const struct keyferry *keyferry)
{
	return keyferry->starts;
}

/* The link's shard: links stand in the order in which they were found. */
static unsigned shard_of(const struct keyferry *keyferry, const struct link_status *link)
{
	char name[sizeof(link->source)];

	for (unsigned i = 0; i < keyferry->source->shard_count; i++) {
		for (unsigned k = 0; k < SITE_NODES; k++) {
			const struct endpoint *endpoint = &keyferry->source->shards[i].nodes[k].host.endpoint;

			snprintf(name, sizeof(name), "%s:%u", endpoint->host, endpoint->port);
			if (strcmp(name, link->source) == 0)
				return i;
		}
	}
	return 0; /* standalone: by whatever name */
}

bool keyferry_has_applied(struct keyferry *keyferry, const int64_t *offsets, unsigned count)
{
	struct task_status status;
	bool applied;

	task_status(keyferry->task, &status);
	applied = status.link_count == count;
	for (uint32_t i = 0; applied && i < count; i++)
		applied = status.links[i].applier.streaming &&
			  status.links[i].applier.applied_offset >= offsets[shard_of(keyferry, &status.links[i])];
	task_status_free(&status);
	return applied;
}

void keyferry_tell(struct keyferry *keyferry)
{
	struct task_status status;

	if (!keyferry->task)
		return;
	task_status(keyferry->task, &status);
	for (uint32_t i = 0; i < status.link_count; i++) {
		const struct link_status *link = &status.links[i];

		trace("link %s: connected %d, received %lld, applied %lld, position %llu, %u units and %llu bytes in flight, %u "
		      "slots held, waits for \"%s\"",
		      link->source, link->connected, (long long)link->received_offset, (long long)link->applier.applied_offset,
		      (unsigned long long)link->applier.position, link->applier.sink.in_flight_units,
		      (unsigned long long)link->applier.sink.in_flight_bytes, link->applier.sink.held_slots,
		      link->applier.waiting_for);
	}
	task_status_free(&status);
}

void keyferry_stop(struct keyferry *keyferry)
{
	if (keyferry->task)
		keyferry->stop_wanted = true;
}

void keyferry_kill(struct keyferry *keyferry, bool power_cut)
{
	if (!keyferry->loop || process_dead())
		return;
	trace("fault: keyferry is killed%s", power_cut ? ", and the power fails" : "");
	keyferry->power_cut = power_cut;
	process_kill();
}
