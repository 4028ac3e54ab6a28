#include "control/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/cutover_file.h"
#include "control/expiry_plan.h"
#include "control/finish.h"
#include "control/gate.h"
#include "control/settler.h"
#include "control/task_links.h"
#include "control/task_record.h"
#include "export/files.h"
#include "link/scan_rights.h"
#include "transform/transform.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSPECTION_NOTE_US 5000000
#define PRECHECK_SAMPLE_MS 200 /* of the source's writes: a start is not to wait for long */
#define INCIDENTS_MAX 100      /* kept for the status */

const char *task_state_name(enum task_state state)
{
	static const char *const names[] = {"created",   "prechecking", "precheck-failed", "ready",   "snapshot",
					    "streaming", "paused",      "failed",          "finished"};

	return names[state];
}

static void warn(const char *text)
{
	log_warning("%s", text);
}

static void tell(const char *text)
{
	log_info("%s", text);
}

/* A supervisor that starts an ended process again must not copy from the old source once more. Asked before the work directory is locked: the cut-over locks it itself. */
static bool check_cutover(const struct task_options *options, struct error *error)
{
	char moment[CUTOVER_MOMENT_MAX];

	switch (cutover_file_read(options->data_dir, moment)) {
	case CUTOVER_NONE:
	case CUTOVER_UNDER_WAY: return true;
	case CUTOVER_ENDING:
		error_set(error, ERROR_BUSY, "task %s is being cut over: it was asked to end, and does not start meanwhile",
			  options->name);
		error_hint(error, "Wait for the end of 'keyferry cutover'");
		return false;
	case CUTOVER_DONE:
		error_set(error, ERROR_PRECHECK, "task %s was cut over at %s: its target has taken the place of its source",
			  options->name, moment);
		error_hint(error, "To copy from this source again all the same, delete %s/cutover", options->data_dir);
		return false;
	}
	return true;
}

bool task_end_asked(const struct task *task)
{
	char moment[CUTOVER_MOMENT_MAX];

	return cutover_file_read(task->options->data_dir, moment) == CUTOVER_ENDING;
}

/* ---- files as source ---- */

static bool on_inspected(void *owner, uint64_t done, uint64_t total)
{
	struct task *task = owner;
	uint64_t now = clock_monotonic_us();

	if (now - task->inspected_us >= INSPECTION_NOTE_US) {
		task->inspected_us = now;
		log_info("%s: %.1f %% of %llu bytes looked through", task->options->source.path,
			 100.0 * (double)done / (double)total, (unsigned long long)total);
	}
	return !task->events->interrupted(task->owner);
}

/* Does the source send the DEL of each key that expires, soon, or, an append-only file, have an end after which no key lives longer? Who looks at all keys once in a
 * while finds out late. */
static bool deletes(const struct task_options *options)
{
	if (options->source.mode == MODE_AOF)
		return true;
	return !deployment_options_are_files(&options->source) &&
	       (options->source.mode != MODE_SCAN ||
		(options->scan_follow && options->scan_notifications != SCAN_NOTIFICATIONS_OFF));
}

static bool open_input(struct task *task, struct error *error)
{
	const struct deployment_options *source = &task->options->source;
	const struct inspection_events events = {on_inspected, task};

	task->inspected_us = clock_monotonic_us();
	if (!input_open(&task->input, source->mode == MODE_RDB ? INPUT_RDB : INPUT_AOF, source->path, error) ||
	    !inspection_run(&task->input, &events, &task->inspection, error))
		return false;
	if (task->inspection.cut[0])
		log_warning("%s", task->inspection.cut);
	return true;
}

/* ---- files as target ---- */

/* Each link has a file of its own, named by the number of its folder, which stays with the shard. */
static bool name_file(struct task *task, uint32_t index, const char *link_dir, struct error *error)
{
	const struct task_options *options = task->options;
	const char *slash = strrchr(link_dir, '/');
	struct file_target *file = &task->files[index];

	*file = (struct file_target){
		.kind = options->target.mode == MODE_RDB   ? SCRIBE_RDB
			: options->target.mode == MODE_AOF ? SCRIBE_AOF
							   : SCRIBE_JSONL,
		.path = files_resolve(options->target.path, slash ? slash + 1 : link_dir),
		.parts = options->target.mode == MODE_AOF && options->aof_format == AOF_MULTI_PART,
		.follows = options->target.mode != MODE_RDB && options->follow,
		.replaces = options->existing == EXISTING_FLUSH,
	};
	return files_prepare(file->path, file->parts, error);
}

bool task_name_files(struct task *task, const char *const *link_dirs, uint32_t count, struct error *error)
{
	if (!deployment_options_are_files(&task->options->target))
		return true;
	task->files = memory_alloc_zero(count, sizeof(task->files[0]));
	task->file_count = count;
	for (uint32_t i = 0; i < count; i++)
		if (!name_file(task, i, link_dirs[i], error))
			return false;
	return true;
}

/* What is there already belongs to this task, or may be replaced, or is nothing. */
bool task_check_file(const struct task *task, uint32_t index, struct error *error)
{
	const struct file_target *file = task->files ? &task->files[index] : NULL;

	if (!file || file->replaces || link_has_history(links_at(task->links, index)) ||
	    files_free_of_others(file->path, file->parts, error))
		return true;
	error->kind = ERROR_PRECHECK;
	return false;
}

static bool open_file_link(struct task *task, struct error *error)
{
	struct link_options options = {
		.task = task->options,
		.target = task->target,
		.target_topology = task->target ? deployment_topology(task->target) : NULL,
		.abilities = task->abilities,
		.expiry = task->expiry,
		.input = &task->input,
		.only_link = true,
		.source_keys = task->inspection.keys,
		.dir = work_dir_assign_files(task->dir, error),
		.incidents = task->incidents,
		.masters = task->masters,
		.changed = task->events->changed,
		.owner = task->owner,
	};
	struct link *link;

	if (!options.dir || !task_name_files(task, &options.dir, 1, error))
		return false;
	options.file = task->files;
	link = link_open(&options, error);
	if (!link)
		return false;
	links_add(task->links, link);
	return task_check_file(task, 0, error);
}

/* "target Redis 7.0.15 (cluster, 3 masters)", or the path of the files. */
static const char *describe_target(const struct task *task, char *out, size_t cap)
{
	char name[64];

	if (!task->target) {
		snprintf(out, cap, "%s", task->options->target.path);
	} else {
		const struct topology *target = deployment_topology(task->target);

		snprintf(out, cap, "%s (%s, %u master%s)", server_name(deployment_server(task->target, 0), name),
			 target->cluster ? "cluster" : "standalone", target->shard_count, target->shard_count == 1 ? "" : "s");
	}
	return out;
}

static void describe(const struct task *task)
{
	const struct inspection *found = &task->inspection;
	char target[600], name[64];
	const struct topology *source;

	describe_target(task, target, sizeof(target));
	if (!task->source) {
		log_info(
			"task %s: source %s (%u file%s%s%s, %llu bytes, all of them looked through: %llu keys in a snapshot, %llu commands), target %s, "
			"work directory %s",
			task->options->name, task->input.path, task->input.count, task->input.count == 1 ? "" : "s",
			found->server[0] ? " of " : "", found->server, (unsigned long long)task->input.total,
			(unsigned long long)found->keys, (unsigned long long)found->commands, target, task->options->data_dir);
		return;
	}
	source = deployment_topology(task->source);
	log_info("task %s: source %s (%s, %u master%s), target %s, work directory %s", task->options->name,
		 server_name(deployment_server(task->source, 0), name), source->cluster ? "cluster" : "standalone",
		 source->shard_count, source->shard_count == 1 ? "" : "s", target, task->options->data_dir);
}

/* With an empty work directory the task may have run on another machine before. Who wants the target emptied wants to begin anew. */
static bool read_checkpoint(struct task *task, struct error *error)
{
	if (!task->target || task->options->checkpoint == CHECKPOINT_LOCAL ||
	    (task->options->existing == EXISTING_FLUSH && !work_dir_has_links(task->dir)))
		return true;
	return checkpoint_read(task->target, task->options->name, &task->checkpoint, error);
}

/* Is it what it was begun as? */
static bool check_record(struct task *task, struct error *error)
{
	const struct task_record now = {
		.settings = &task->options->settings,
		.source = task->source ? deployment_topology(task->source) : NULL,
		.target = task->target ? deployment_topology(task->target) : NULL,
		.source_options = &task->options->source,
		.target_options = &task->options->target,
	};
	char accepted[512];

	if (!task_record_check(work_dir_path(task->dir), &now, work_dir_has_links(task->dir), task->options->accept_changes,
			       accepted, error))
		return false;
	if (accepted[0])
		log_warning(
			"settings have changed since the task was begun, and what was copied already stays as it is (--accept-changes): %s",
			accepted);
	return true;
}

static bool pass_gate(struct task *task, struct loop *loop, struct error *error)
{
	bool files = task->source == NULL;
	const struct precheck_options options = {
		.task = task->options,
		.loop = loop,
		.source = task->source,
		.target = task->target,
		.input = files ? &task->input : NULL,
		.files = files ? &task->inspection : NULL,
		.own_data = work_dir_has_links(task->dir) || task->checkpoint.count > 0,
		.sample_ms = PRECHECK_SAMPLE_MS,
	};

	return gate_pass(&options, warn, &task->abilities, task->target_name, error);
}

static void note_masters(struct task *task)
{
	const struct topology *target = task->target ? deployment_topology(task->target) : NULL;
	struct endpoint *list;

	if (!target)
		return;
	list = memory_alloc(target->shard_count * sizeof(list[0]));
	for (uint32_t i = 0; i < target->shard_count; i++)
		list[i] = target->shards[i].master;
	task->masters = target_masters_new();
	target_masters_tell(task->masters, list, target->shard_count);
	free(list);
}

/* Both sides, checked. */
static bool open_sides(struct task *task, struct loop *loop, const char *name, struct error *error)
{
	const struct task_options *options = task->options;
	uint32_t timeout = options->connect_timeout_ms;
	bool files = deployment_options_are_files(&options->source), to_files = deployment_options_are_files(&options->target);

	if (files && !to_files) {
		/* A target that cannot be reached is told before the files are looked through; its connections would not outlast that. */
		task->target = deployment_open(loop, &options->target, name, timeout, ERROR_TARGET, error);
		if (!task->target)
			return false;
		deployment_free(task->target);
		task->target = NULL;
	}
	if (!(files ? open_input(task, error)
		    : (task->source = deployment_open(loop, &options->source, name, timeout, ERROR_SOURCE, error)) != NULL) ||
	    (!to_files && !(task->target = deployment_open(loop, &options->target, name, timeout, ERROR_TARGET, error))))
		return false;
	note_masters(task);
	return check_record(task, error) && read_checkpoint(task, error) && pass_gate(task, loop, error);
}

static void warn_of_clearing(const struct task_options *options)
{
	const char *why = transform_options_clear_not(options);

	if (why)
		log_warning(
			"FLUSHDB and FLUSHALL of the source cannot be copied: %s. Should one come, it is treated as on_conflict says; filter.block: "
			"[{command: \"flush*\"}] leaves them out",
			why);
}

static bool not_interrupted(void *owner)
{
	struct task *task = owner;

	return !task->events->interrupted(task->owner);
}

static bool plan_expiry(struct task *task, struct error *error)
{
	struct expiry_plan_options options = {
		.task = task->options,
		.target = task->target,
		.deletes = deletes(task->options),
		.own_data = work_dir_has_links(task->dir),
		.warn = warn,
		.tell = tell,
		.go_on = not_interrupted,
		.owner = task,
	};
	struct settler_options settler = {.task = task->options};

	/* In a file times are true ones: it expires nothing. */
	if (!task->target)
		task->expiry = (struct expiry_plan){.form = GUARD_OFF};
	else if (!expiry_plan_make(&options, &task->expiry, error))
		return false;
	if (task->inspection.past_expiries > 0 && task->target && task->expiry.form == GUARD_OFF)
		log_warning(
			"%s: %llu times of expiry in it have passed. The target removes such a key at once, also where a later command of the file "
			"makes it live longer: it is missing then (see target.expiry_guard)",
			task->options->source.path, (unsigned long long)task->inspection.past_expiries);
	settler.plan = task->expiry;
	task->settler = settler_new(&settler);
	task->expiry.import_lost = settler_import_lost(task->settler);
	task->abilities.import_source = task->expiry.form == GUARD_IMPORT;
	return true;
}

struct task *task_open(struct loop *loop, const struct task_options *options, const struct task_events *events, void *owner,
		       struct error *error)
{
	struct task *task = memory_alloc_zero(1, sizeof(*task));
	char *name = memory_printf("keyferry:%s:control", options->name);
	bool ok;

	task->options = options;
	task->events = events;
	task->owner = owner;
	task->state = TASK_PRECHECKING;
	task->since_ms = clock_wall_ms();
	pthread_mutex_init(&task->lock, NULL);
	task->incidents = incidents_new(INCIDENTS_MAX);
	task->links = links_new();
	ok = transform_check(options, error) && check_cutover(options, error) &&
	     (task->dir = work_dir_open(options->data_dir, error)) && (!events->locked || events->locked(owner, error)) &&
	     open_sides(task, loop, name, error) && plan_expiry(task, error) &&
	     (task->source ? task_links_open(task, error) : open_file_link(task, error));
	free(name);
	if (!ok) {
		task_free(task);
		return NULL;
	}
	/* Before anybody asks for the status. */
	if (task->source && task->target && options->verify_every_ms > 0)
		task->verifier = verifier_new(options, task->incidents);
	warn_of_clearing(options);
	describe(task);
	if (task->target && options->checkpoint == CHECKPOINT_LOCAL)
		log_info(
			"task %s: checkpoint: local: after a crash or a lost connection to the target commands of about the last second are applied twice",
			options->name);
	task->state = TASK_READY;
	return task;
}

/* ---- life ---- */

bool task_start(struct task *task, struct error *error)
{
	for (uint32_t i = 0; i < links_count(task->links); i++) {
		if (!link_start(links_at(task->links, i), error)) {
			task_stop(task, 0);
			return false;
		}
	}
	/* From now on the links are the watch's. */
	if (task->source && !task_links_watch(task, error)) {
		task_stop(task, 0);
		return false;
	}
	if (!settler_start(task->settler, task->links, error) ||
	    (task->verifier && !verifier_start(task->verifier, task->links, error))) {
		task_stop(task, 0);
		return false;
	}
	return true;
}

struct stopping {
	struct link *link;
	uint32_t deadline_ms;
	pthread_t thread;
	bool threaded;
};

static void *stop_one(void *argument)
{
	struct stopping *stopping = argument;

	link_stop(stopping->link, stopping->deadline_ms);
	return NULL;
}

/* A task of files that is finished has nothing to go on with, and leaves nothing of its own in the target. */
static void forget_marks(struct task *task)
{
	struct task_status status;
	struct error error;
	uint32_t links;

	task_status(task, &status);
	if (status.state == TASK_FINISHED && task->target && task->options->checkpoint == CHECKPOINT_TARGET &&
	    (!finish_forget_low_marks(task->dir, &error) ||
	     !checkpoint_forget(task->target, task->options->name, &links, &error)))
		log_warning("the task is finished; its marks could not be removed from the target: %s", error.text);
	task_status_free(&status);
}

void task_stop(struct task *task, uint32_t deadline_ms)
{
	struct stopping *all;
	uint32_t count;

	settler_stop(task->settler);
	verifier_stop(task->verifier);
	atomic_store(&task->stopping, true);
	source_watch_stop(task->watch);
	task->watch = NULL;
	count = links_count(task->links);
	all = memory_alloc_zero(count, sizeof(*all));
	for (uint32_t i = 0; i < count; i++) {
		all[i] = (struct stopping){.link = links_at(task->links, i), .deadline_ms = deadline_ms};
		all[i].threaded = all[i].link && pthread_create(&all[i].thread, NULL, stop_one, &all[i]) == 0;
		if (all[i].link && !all[i].threaded)
			stop_one(&all[i]);
	}
	for (uint32_t i = 0; i < count; i++)
		if (all[i].threaded)
			pthread_join(all[i].thread, NULL);
	free(all);
	atomic_store(&task->stopped, true);
	if (!task->source)
		forget_marks(task);
}

bool task_settle_end(struct task *task, struct error *error)
{
	struct settle_counts counts = {0};

	if (!task->target || !deployment_options_are_files(&task->options->source) || task->expiry.form != GUARD_HELD)
		return true;
	if (!expiry_settle_all(task->target, task->options->data_dir, guard_base(task->options->name), false, not_interrupted,
			       task, &counts, error))
		return false;
	log_info("task %s: times of expiry are the true ones, and keys whose time has passed are gone (%llu times put right)",
		 task->options->name, (unsigned long long)counts.changed);
	return true;
}

void task_limit(struct task *task, uint64_t records_per_second, uint64_t bytes_per_second)
{
	links_limit(task->links, records_per_second, bytes_per_second);
}

void task_free(struct task *task)
{
	if (!task)
		return;
	settler_free(task->settler);
	verifier_free(task->verifier);
	source_watch_stop(task->watch);
	links_free(task->links);
	target_masters_free(task->masters);
	for (uint32_t i = 0; i < task->file_count; i++)
		free(task->files[i].path);
	free(task->files);
	handover_close(task->handover);
	input_close(&task->input);
	deployment_free(task->source);
	deployment_free(task->target);
	checkpoint_free(&task->checkpoint);
	work_dir_close(task->dir);
	incidents_free(task->incidents);
	pthread_mutex_destroy(&task->lock);
	free(task);
}

/* ---- status ---- */

static enum task_state state_of(const struct task_status *status)
{
	bool streaming = true, finished = true;

	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];

		if (link->phase == LINK_FAILED)
			return TASK_FAILED;
		if (link->phase != LINK_FINISHED)
			finished = false;
		if (!link->applier.streaming || link->files)
			streaming = false;
	}
	if (finished)
		return TASK_FINISHED;
	return streaming ? TASK_STREAMING : TASK_SNAPSHOT;
}

void task_sample(struct task *task)
{
	links_sample(task->links);
}

void task_status(struct task *task, struct task_status *ret)
{
	struct task_status status = {.name = task->options->name, .incidents = task->incidents, .caught_up = true};
	uint32_t count = links_count(task->links);

	status.links = memory_alloc_zero(count, sizeof(status.links[0]));
	for (uint32_t i = 0; i < count; i++) {
		struct link_status *link = &status.links[status.link_count];

		if (!links_status(task->links, i, link))
			continue;
		status.link_count++;
		if (!link->applier.caught_up)
			status.caught_up = false;
		if (status.error.kind == ERROR_NONE && link->error.kind != ERROR_NONE)
			status.error = link->error;
	}
	status.targets = task->masters;
	settler_status(task->settler, &status.expiry);
	status.verifies = task->verifier != NULL;
	if (status.verifies)
		verifier_status(task->verifier, &status.verifier);
	status.state = state_of(&status);
	if (atomic_load(&task->stopped) && status.error.kind == ERROR_NONE && status.state != TASK_FINISHED)
		status.state = TASK_PAUSED;
	pthread_mutex_lock(&task->lock);
	if (task->state != status.state) {
		task->state = status.state;
		task->since_ms = clock_wall_ms();
	}
	status.since_ms = task->since_ms;
	pthread_mutex_unlock(&task->lock);
	*ret = status;
}

void task_status_free(struct task_status *status)
{
	free(status->links);
	status->links = NULL;
}
