#include "control/cutover.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/cutover_file.h"
#include "control/source_pause.h"
#include "control/verification.h"
#include "control/work_dir.h"
#include "control/write_watch.h"
#include "source/heartbeat.h"
#include "verify/catch_up.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define POLL_MS 50
#define LOOK_MS 500
#define QUIET_MS 3000 /* without a write: whoever stops writers by hand is done then */
#define TELL_US 5000000
#define END_MS 20000 /* the process of the task waits up to 10 s for what is in flight */

struct cutover {
	struct loop *loop;
	const struct cutover_options *options;
	const struct task_options *task;
	const struct cutover_events *events;
	void *owner;
	struct cutover_result *result;
	char *name;
	uint64_t deadline_us;
	struct cutover_file *file;
	struct side source, target;
	struct deployment *pausing; /* the pause's own connections */
	struct source_pause *pause; /* NULL: by hand, or not yet */
	struct write_watch *watch;
	bool ended;       /* the task's process */
	struct error why; /* go_on() said no; of kind ERROR_NONE: interrupted */
	bool stopped;     /* it has said so */
};

static void note(struct cutover *cutover, int log_level, const char *format, ...) PRINTF_LIKE(3, 4);

static void note(struct cutover *cutover, int log_level, const char *format, ...)
{
	va_list arguments;
	char text[900];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	cutover->events->note(cutover->owner, log_level, text);
}

/* ---- going on ---- */

static uint32_t left_ms(const struct cutover *cutover)
{
	uint64_t now = clock_monotonic_us();

	return now < cutover->deadline_us ? (uint32_t)((cutover->deadline_us - now) / 1000) : 0;
}

/* Called by the pause's timer too. */
static bool may_go_on(void *owner)
{
	struct cutover *cutover = owner;

	return cutover->events->go_on(cutover->owner) && (cutover->ended || left_ms(cutover) > 0);
}

static bool go_on(void *owner)
{
	struct cutover *cutover = owner;

	if (cutover->stopped)
		return false;
	error_clear(&cutover->why);
	if (!cutover->events->go_on(cutover->owner)) {
		cutover->stopped = true;
	} else if (!may_go_on(cutover)) {
		error_set(&cutover->why, ERROR_TARGET, "the cut-over was not done within %u s",
			  cutover->options->timeout_ms / 1000);
		error_hint(&cutover->why, "Give it longer with --timeout, or have it verify less (--verify outline, none)");
		cutover->stopped = true;
	} else {
		cutover->stopped = cutover->pause && !source_pause_holds(cutover->pause, &cutover->why);
	}
	return !cutover->stopped;
}

/* Of what left off because go_on() said so, the reason. */
static bool because(struct cutover *cutover, bool ok, struct error *error)
{
	if (!ok && cutover->stopped && error->kind == ERROR_NONE)
		*error = cutover->why;
	return ok;
}

static bool pause_for(struct cutover *cutover, uint32_t ms, struct error *error)
{
	static const bool never;

	loop_run_until(cutover->loop, &never, clock_monotonic_us() + ms * 1000ULL);
	error_clear(error);
	return because(cutover, go_on(cutover), error);
}

/* ---- steps ---- */

static void on_turn(void *owner)
{
	(void)owner;
}

static bool check_running(struct cutover *cutover, struct error *error)
{
	const char *data_dir = cutover->task->data_dir;
	char holder[32];

	if (!work_dir_is_held(data_dir, holder)) {
		error_set(error, ERROR_PRECHECK, "no process is running the task in %s: a cut-over is made from a running task",
			  data_dir);
		error_hint(
			error,
			"Start it ('keyferry sync'), wait until it is streaming, and run this beside it, with the same work directory (--data)");
		return false;
	}
	if (cutover->task->source.mode != MODE_SCAN || cutover->options->verify != CUTOVER_VERIFY_NONE)
		return true;
	error_set(error, ERROR_PRECHECK,
		  "the source is read by SCAN: nothing but a verification tells whether everything is at the target");
	error_hint(error, "Say --verify full, or outline");
	return false;
}

/* A pause of a replica would pause nobody. */
static bool check_masters(struct cutover *cutover, struct error *error)
{
	for (uint32_t i = 0; i < deployment_topology(cutover->source.deployment)->shard_count; i++) {
		const struct server_info *info = deployment_server(cutover->source.deployment, i);
		char address[ENDPOINT_TEXT_MAX];

		if (info && info->role == ROLE_MASTER)
			continue;
		endpoint_format(&deployment_topology(cutover->source.deployment)->shards[i].master, address);
		error_set(error, ERROR_PRECHECK, "source %s is no master: its writers write elsewhere", address);
		error_hint(error, "Name the master as --source here; the task itself may go on reading its replica");
		return false;
	}
	return true;
}

static bool catch_up(struct cutover *cutover, struct error *error)
{
	const struct catch_up_options options = {
		.task = cutover->task,
		.source = &cutover->source,
		.target = &cutover->target,
		.demanded = true,
		.wait_ms = left_ms(cutover),
		.go_on = go_on,
		.owner = cutover,
	};

	error_clear(error);
	return because(cutover, catch_up_wait(&options, error), error);
}

static bool pause_source(struct cutover *cutover, struct error *error)
{
	cutover->pausing = deployment_open(cutover->loop, &cutover->task->source, cutover->name,
					   cutover->task->connect_timeout_ms, ERROR_SOURCE, error);
	if (!cutover->pausing)
		return false;
	cutover->pause = source_pause_begin(cutover->loop, cutover->pausing, may_go_on, cutover, error);
	return cutover->pause && write_watch_begin(cutover->watch, error);
}

/* Until nobody has written for a while. */
static bool await_quiet(struct cutover *cutover, struct error *error)
{
	uint64_t begun = clock_monotonic_us(), told = begun, writes;
	char text[WRITE_WATCH_TEXT_MAX];

	note(cutover, LOG_WARNING,
	     "stop everything that writes to the source now, and keep it stopped; waiting up to %u s for it",
	     left_ms(cutover) / 1000);
	cutover->result->moment_ms = clock_wall_ms();
	if (!write_watch_begin(cutover->watch, error))
		return false;
	while (clock_monotonic_us() - begun < QUIET_MS * 1000ULL) {
		if (!pause_for(cutover, LOOK_MS, error) || !write_watch_look(cutover->watch, &writes, text, error))
			return false;
		if (writes == 0)
			continue;
		begun = clock_monotonic_us();
		cutover->result->moment_ms = clock_wall_ms();
		if (begun - told >= TELL_US) {
			told = begun;
			note(cutover, LOG_INFO, "the source is still written to: %s", text);
		}
		if (!write_watch_begin(cutover->watch, error))
			return false;
	}
	return true;
}

static bool read_masters(struct cutover *cutover, struct error *error)
{
	const struct topology *topology = deployment_topology(cutover->source.deployment);
	struct cutover_result *result = cutover->result;

	result->masters = memory_alloc_zero(topology->shard_count, sizeof(result->masters[0]));
	result->master_count = topology->shard_count;
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		struct client *client = deployment_client(cutover->source.deployment, i, error);
		struct server_info info;

		if (!client || !server_info_fetch(client, &info, error))
			return false;
		endpoint_format(&topology->shards[i].master, result->masters[i].address);
		snprintf(result->masters[i].replid, sizeof(result->masters[i].replid), "%s", info.replid);
		result->masters[i].offset = info.repl_offset;
	}
	return true;
}

static bool stop_writers(struct cutover *cutover, struct error *error)
{
	if (cutover->options->dry_run) {
		note(cutover, LOG_INFO, "%s",
		     cutover->result->by_hand ? "dry run: here you would be told to stop the writers"
					      : "dry run: here the writes of the source would be paused");
		return write_watch_begin(cutover->watch, error) && read_masters(cutover, error);
	}
	if (cutover->result->by_hand ? !await_quiet(cutover, error) : !pause_source(cutover, error))
		return false;
	if (!cutover->result->by_hand)
		cutover->result->moment_ms = clock_wall_ms();
	note(cutover, LOG_INFO, "%s",
	     cutover->result->by_hand ? "the source is not written to any more" : "the writes of the source are paused");
	return read_masters(cutover, error);
}

/* ---- verification ---- */

static bool on_verify_go_on(void *owner, const struct verify_counts *counts)
{
	(void)counts;
	return go_on(owner);
}

static void on_difference(void *owner, const struct verify_difference *difference)
{
	struct cutover *cutover = owner;

	cutover->events->difference(cutover->owner, difference);
}

static void on_note(void *owner, int log_level, const char *text)
{
	struct cutover *cutover = owner;

	cutover->events->note(cutover->owner, log_level, text);
}

static const struct verify_events verify_callbacks = {on_verify_go_on, on_difference, on_note};

static bool verify(struct cutover *cutover, struct error *error)
{
	struct verify_options options = {
		.task = cutover->task,
		.full = cutover->options->verify == CUTOVER_VERIFY_FULL,
		.judge = {.tolerance_ms = VERIFICATION_TOLERANCE_MS, .no_deletes = cutover->pause != NULL},
		.rounds = VERIFICATION_ROUNDS,
		.wait_ms = left_ms(cutover),
	};
	struct verify_counts *counts = &cutover->result->verified;
	uint64_t differences;

	if (cutover->options->verify == CUTOVER_VERIFY_NONE)
		return true;
	error_clear(error);
	if (!verification_take_guard(cutover->task, &options.judge, error) ||
	    !because(cutover, verify_run(cutover->loop, &options, &verify_callbacks, cutover, counts, error), error))
		return false;
	differences = verify_differences(counts);
	if (differences == 0 && (counts->undecided == 0 || cutover->options->dry_run)) {
		note(cutover, LOG_INFO, "verified: %llu keys, no differences", (unsigned long long)counts->compared);
		return true;
	}
	error_set(error, ERROR_DIFFERENT, "the target differs in %llu keys (%llu more undecided) of %llu",
		  (unsigned long long)differences, (unsigned long long)counts->undecided, (unsigned long long)counts->compared);
	error_hint(error,
		   "'keyferry verify' lists them, and --repair makes them right while the task is running; then try again");
	return false;
}

/* ---- proof ---- */

static bool same_masters(struct cutover *cutover, struct error *error)
{
	struct cutover_result *result = cutover->result;
	const struct topology *topology;

	if (!deployment_refresh(cutover->source.deployment, error))
		return false;
	topology = deployment_topology(cutover->source.deployment);
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		const struct server_info *info = deployment_server(cutover->source.deployment, i);
		char address[ENDPOINT_TEXT_MAX];
		bool known = false;

		endpoint_format(&topology->shards[i].master, address);
		for (uint32_t j = 0; j < result->master_count; j++)
			known = known || strcmp(result->masters[j].address, address) == 0;
		if (known && info && info->role == ROLE_MASTER)
			continue;
		error_set(error, ERROR_SOURCE, "the source's masters changed meanwhile (%s): what was written there is not known",
			  address);
		error_hint(error, "Try again");
		return false;
	}
	return true;
}

/* Nobody has written since the moment. */
static bool prove(struct cutover *cutover, struct error *error)
{
	char text[WRITE_WATCH_TEXT_MAX];
	uint64_t writes;

	if (cutover->options->dry_run)
		return true;
	error_clear(error);
	if (!because(cutover, go_on(cutover), error) || !same_masters(cutover, error) ||
	    !write_watch_look(cutover->watch, &writes, text, error))
		return false;
	if (writes == 0)
		return true;
	error_set(error, ERROR_SOURCE, "the source was written to after its writes had stopped: %s", text);
	error_hint(error, "Find out who writes ('CLIENT LIST' there), and try again");
	return false;
}

/* ---- the end ---- */

static bool end_task(struct cutover *cutover, struct error *error)
{
	uint64_t deadline = clock_monotonic_us() + END_MS * 1000ULL;
	char holder[32];

	/* Its times are behind: what follows takes as long as it takes. */
	cutover->ended = true;
	if (!cutover_file_end(cutover->file, error))
		return false;
	while (work_dir_is_held(cutover->task->data_dir, holder)) {
		if (clock_monotonic_us() > deadline) {
			error_set(error, ERROR_BUSY,
				  "process %s, which runs the task, has not ended within %u s of being asked to", holder,
				  END_MS / 1000);
			error_hint(error, "Look at its log; once it has ended, start the task again and try again");
			return false;
		}
		if (!pause_for(cutover, POLL_MS, error))
			return false;
	}
	note(cutover, LOG_INFO, "the process that ran the task has ended");
	return true;
}

static bool on_settled(void *owner, const struct settle_counts *counts)
{
	(void)counts;
	return go_on(owner);
}

static const struct finish_events finish_callbacks = {on_settled};

static bool settle(struct cutover *cutover, struct error *error)
{
	struct finish_result *finish = &cutover->result->finish;

	/* Who looks whether others use the target's temporary keys should not find this. */
	side_close(&cutover->target);
	error_clear(error);
	if (!because(cutover, finish_run(cutover->loop, cutover->task, &finish_callbacks, cutover, finish, error), error))
		return false;
	if (finish->cut_off_links > 0)
		note(cutover, LOG_WARNING,
		     "the task's process was cut off instead of ending: its marks were left in the target ('keyferry finish' tells more)");
	return true;
}

static uint16_t slot_of_shard(const struct topology *topology, uint32_t shard)
{
	for (uint32_t slot = 0; topology->cluster && slot < SLOT_COUNT; slot++)
		if (topology->owner[slot] == shard)
			return (uint16_t)slot;
	return 0;
}

/* They would go by themselves; where the source takes writes, at once. */
static void remove_heartbeats(struct cutover *cutover)
{
	const struct topology *topology = deployment_topology(cutover->source.deployment);

	for (uint32_t i = 0; cutover->task->heartbeat && i < topology->shard_count; i++) {
		char name[HEARTBEAT_NAME_MAX];
		struct client_reply reply;
		struct error ignored;

		heartbeat_name(topology->cluster, slot_of_shard(topology, i), name);
		if (!side_call(&cutover->source, i, &reply, &ignored, "DEL", name))
			note(cutover, LOG_INFO, "%s was not removed (%s); it expires by itself", name, ignored.text);
	}
}

static bool leave_source(struct cutover *cutover, struct error *error)
{
	struct cutover_result *result = cutover->result;

	if (cutover->pause && cutover->options->hold_ms > 0) {
		result->held_until_ms = clock_wall_ms() + (int64_t)cutover->options->hold_ms;
		if (source_pause_keep(cutover->pause, cutover->options->hold_ms, error))
			return true;
		result->held_until_ms = 0;
		return false;
	}
	if (cutover->pause && !source_pause_end(cutover->pause, error))
		return false;
	remove_heartbeats(cutover);
	return true;
}

static bool complete(struct cutover *cutover, struct error *error)
{
	struct cutover_result *result = cutover->result;
	char moment[32];

	if (cutover->options->dry_run) {
		note(cutover, LOG_INFO,
		     "dry run: here the task's process would be asked to end, times of expiry made true and marks removed");
		return true;
	}
	if (!end_task(cutover, error) || !settle(cutover, error) || !prove(cutover, error) ||
	    !cutover_file_done(cutover->file, clock_format_rfc3339(result->moment_ms, moment), error))
		return false;
	result->done = true;
	result->end_ms = clock_wall_ms();
	return leave_source(cutover, error);
}

/* ---- the run ---- */

static bool open_all(struct cutover *cutover, struct error *error)
{
	const struct task_options *task = cutover->task;

	if (!check_running(cutover, error) || !(cutover->file = cutover_file_open(task->data_dir, error)) ||
	    !side_open(&cutover->source, cutover->loop, &task->source, cutover->name, task->connect_timeout_ms, ERROR_SOURCE,
		       NULL, on_turn, cutover, error) ||
	    !side_open(&cutover->target, cutover->loop, &task->target, cutover->name, task->connect_timeout_ms, ERROR_TARGET,
		       NULL, on_turn, cutover, error) ||
	    !check_masters(cutover, error))
		return false;
	cutover->watch = write_watch_new(&cutover->source, task->heartbeat ? task->heartbeat_interval_ms : 0);
	cutover->result->by_hand = cutover->options->by_hand;
	if (!cutover->result->by_hand && !source_pause_known(cutover->source.deployment)) {
		note(cutover, LOG_WARNING,
		     "a source before Redis 6.2 cannot pause writes alone: you will be asked to stop the writers");
		cutover->result->by_hand = true;
	}
	return true;
}

static bool run(struct cutover *cutover, struct error *error)
{
	if (!open_all(cutover, error))
		return false;
	/* In step before anybody has to wait: so the pause is short. */
	note(cutover, LOG_INFO, "waiting until the target is in step with the source");
	if (!catch_up(cutover, error) || !stop_writers(cutover, error) || !catch_up(cutover, error))
		return false;
	cutover->result->applied_ms = clock_wall_ms();
	note(cutover, LOG_INFO, "everything is applied at the target");
	/* What a writer by hand has sent meanwhile is found by the proof. */
	return verify(cutover, error) && prove(cutover, error) && catch_up(cutover, error) && complete(cutover, error);
}

static void roll_back(struct cutover *cutover)
{
	struct error error;

	if (cutover->pause && source_pause_end(cutover->pause, &error))
		note(cutover, LOG_INFO, "rolled back: the source takes writes again");
	else if (cutover->pause)
		note(cutover, LOG_WARNING,
		     "not all source masters could be told to take writes again (%s); they do by themselves within %d s",
		     error.text, SOURCE_PAUSE_LEASE_MS / 1000);
	if (cutover->ended)
		note(cutover, LOG_WARNING,
		     "the process that ran the task was asked to end: start the task again ('keyferry sync'), it goes on where it stood");
}

bool cutover_run(struct loop *loop, const struct cutover_options *options, const struct cutover_events *events, void *owner,
		 struct cutover_result *ret, struct error *error)
{
	struct cutover cutover = {
		.loop = loop,
		.options = options,
		.task = options->task,
		.events = events,
		.owner = owner,
		.result = ret,
		.deadline_us = clock_monotonic_us() + options->timeout_ms * 1000ULL,
	};
	bool ok;

	*ret = (struct cutover_result){0};
	cutover.name = memory_printf("keyferry:%s:cutover", options->task->name);
	ok = run(&cutover, error);
	if (!ok && !ret->done)
		roll_back(&cutover);
	source_pause_free(cutover.pause);
	write_watch_free(cutover.watch);
	side_close(&cutover.source);
	side_close(&cutover.target);
	deployment_free(cutover.pausing);
	cutover_file_close(cutover.file);
	free(cutover.name);
	return ok;
}
