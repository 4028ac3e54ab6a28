#include "control/task.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/cutover_file.h"
#include "control/expiry_plan.h"
#include "control/finish.h"
#include "control/gate.h"
#include "control/rates.h"
#include "control/settler.h"
#include "control/source_watch.h"
#include "control/task_record.h"
#include "control/verifier.h"
#include "control/work_dir.h"
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
#define INCIDENTS_MAX 100 /* kept for the status */

struct task {
	const struct task_options *options;
	const struct task_events *events;
	void *owner;
	struct deployment *source, *target; /* source NULL: `input`; target NULL: `files` */
	struct file_target *files;          /* one per link */
	uint32_t file_count;
	struct input input;
	struct inspection inspection;
	uint64_t inspected_us;              /* when its progress was told last */
	struct work_dir *dir;
	struct checkpoint checkpoint;       /* what the target knew at the start */
	struct target_abilities abilities;
	char target_name[64];
	struct expiry_plan expiry;
	struct settler *settler;
	struct verifier *verifier; /* NULL: verify.every is 0, or a side is files */
	struct incidents *incidents;
	struct link **links;
	uint32_t link_count;
	struct handover *handover;  /* of slots that move between the source's masters; NULL: they cannot */
	struct source_watch *watch; /* NULL: the source is files, or not started */
	pthread_mutex_t lock; /* of what follows */
	enum task_state state;
	int64_t since_ms;
	struct link_rates {
		struct rate commands, bytes;
	} *rates;
	atomic_bool stopped;
};

const char *task_state_name(enum task_state state)
{
	static const char *const names[] = {"created", "prechecking", "precheck-failed", "ready", "snapshot", "streaming", "paused", "failed", "finished"};

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

/* The master that takes the heartbeat: a source of one server may have been given by its replica. */
static struct endpoint write_to(const struct deployment *source, uint32_t shard)
{
	const struct server_info *info = deployment_server(source, shard);

	return info && info->role == ROLE_REPLICA ? info->master : deployment_topology(source)->shards[shard].master;
}

static uint16_t first_slot(const struct topology *topology, uint32_t shard)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (topology->owner[slot] == shard)
			return (uint16_t)slot;
	return 0;
}

/* A supervisor that starts an ended process again must not copy from the old source once more. Asked before the work directory is locked: the cut-over locks it itself. */
static bool check_cutover(const struct task_options *options, struct error *error)
{
	char moment[CUTOVER_MOMENT_MAX];

	switch (cutover_file_read(options->data_dir, moment)) {
	case CUTOVER_NONE:
	case CUTOVER_UNDER_WAY: return true;
	case CUTOVER_ENDING:
		error_set(error, ERROR_BUSY, "task %s is being cut over: it was asked to end, and does not start meanwhile", options->name);
		error_hint(error, "Wait for the end of 'keyferry cutover'");
		return false;
	case CUTOVER_DONE:
		error_set(error, ERROR_PRECHECK, "task %s was cut over at %s: its target has taken the place of its source", options->name, moment);
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
		log_info("%s: %.1f %% of %llu bytes looked through", task->options->source.path, 100.0 * (double)done / (double)total,
			 (unsigned long long)total);
	}
	return !task->events->interrupted(task->owner);
}

/* Does the source send the DEL of each key that expires, soon, or, an append-only file, have an end after which no key lives longer? Who looks at all keys once in a
 * while finds out late. */
static bool deletes(const struct task_options *options)
{
	if (options->source.mode == MODE_AOF)
		return true;
	return !deployment_options_are_files(&options->source) && (options->source.mode != MODE_SCAN ||
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
		.kind = options->target.mode == MODE_RDB ? SCRIBE_RDB : options->target.mode == MODE_AOF ? SCRIBE_AOF : SCRIBE_JSONL,
		.path = files_resolve(options->target.path, slash ? slash + 1 : link_dir),
		.parts = options->target.mode == MODE_AOF && options->aof_format == AOF_MULTI_PART,
		.follows = options->target.mode != MODE_RDB && options->follow,
		.replaces = options->existing == EXISTING_FLUSH,
	};
	return files_prepare(file->path, file->parts, error);
}

static bool name_files(struct task *task, const char *const *link_dirs, uint32_t count, struct error *error)
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
static bool check_file(const struct task *task, uint32_t index, struct error *error)
{
	const struct file_target *file = task->files ? &task->files[index] : NULL;

	if (!file || file->replaces || link_has_history(task->links[index]) || files_free_of_others(file->path, file->parts, error))
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
		.changed = task->events->changed,
		.owner = task->owner,
	};

	if (!options.dir || !name_files(task, &options.dir, 1, error))
		return false;
	options.file = task->files;
	task->links = memory_alloc_zero(1, sizeof(task->links[0]));
	task->rates = memory_alloc_zero(1, sizeof(task->rates[0]));
	task->links[0] = link_open(&options, error);
	task->link_count = task->links[0] != NULL;
	return task->links[0] != NULL && check_file(task, 0, error);
}

/* ---- links ---- */

/* One master has nobody to move slots to, files keep the shards apart, and who reads values key by key has the last one in the end. */
static bool open_handover(struct task *task, struct error *error)
{
	char *path;

	if (!task->target || task->options->source.mode == MODE_SCAN || !deployment_topology(task->source)->cluster)
		return true;
	path = memory_printf("%s/slots", work_dir_path(task->dir));
	task->handover = handover_open(path, error);
	free(path);
	return task->handover != NULL;
}

static bool open_links(struct task *task, struct error *error)
{
	const struct topology *source = deployment_topology(task->source);
	const char **paths = memory_alloc_zero(source->shard_count, sizeof(*paths));
	uint32_t gone;
	bool ok = open_handover(task, error) && work_dir_assign(task->dir, source, paths, &gone, error) && name_files(task, paths, source->shard_count, error);

	if (ok && gone > 0)
		log_warning("%u links of an earlier run have no master in the source any more; their folders are left as they are", gone);
	task->links = memory_alloc_zero(source->shard_count, sizeof(task->links[0]));
	task->rates = memory_alloc_zero(source->shard_count, sizeof(task->rates[0]));
	for (uint32_t i = 0; ok && i < source->shard_count; i++) {
		char address[ENDPOINT_TEXT_MAX];
		struct endpoint master = write_to(task->source, i);
		struct link_options options = {
			.task = task->options,
			.known = checkpoint_find(&task->checkpoint, deployment_server(task->source, i)->replid, deployment_server(task->source, i)->replid2,
						 endpoint_format(&master, address), !source->cluster && source->shard_count == 1),
			.source = task->source,
			.target = task->target,
			.file = task->files ? &task->files[i] : NULL,
			.target_topology = task->target ? deployment_topology(task->target) : NULL,
			.abilities = task->abilities,
			.master = master,
			.receive_from = scan_rights_read_from(task->options, &source->shards[i]),
			.cluster = source->cluster,
			.slot = first_slot(source, i),
			.only_link = source->shard_count == 1,
			.source_info = *deployment_server(task->source, i),
			.expiry = task->expiry,
			.source_keys = deployment_server(task->source, i)->keys,
			.handover = task->handover,
			.dir = paths[i],
			.incidents = task->incidents,
			.changed = task->events->changed,
			.owner = task->owner,
		};

		task->links[i] = link_open(&options, error);
		ok = task->links[i] != NULL;
		task->link_count += ok;
		ok = ok && check_file(task, i, error);
		if (ok)
			link_take_slots(task->links[i], source, i);
	}
	free(paths);
	return ok && (!task->handover || handover_begin(task->handover, source->owner, error));
}

/* "target Redis 7.0.15 (cluster, 3 masters)", or the path of the files. */
static const char *describe_target(const struct task *task, char *out, size_t cap)
{
	char name[64];

	if (!task->target) {
		snprintf(out, cap, "%s", task->options->target.path);
	} else {
		const struct topology *target = deployment_topology(task->target);

		snprintf(out, cap, "%s (%s, %u master%s)", server_name(deployment_server(task->target, 0), name), target->cluster ? "cluster" : "standalone",
			 target->shard_count, target->shard_count == 1 ? "" : "s");
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
		log_info("task %s: source %s (%u file%s%s%s, %llu bytes, all of them looked through: %llu keys in a snapshot, %llu commands), target %s, "
			 "work directory %s",
			 task->options->name, task->input.path, task->input.count, task->input.count == 1 ? "" : "s", found->server[0] ? " of " : "",
			 found->server, (unsigned long long)task->input.total, (unsigned long long)found->keys, (unsigned long long)found->commands,
			 target, task->options->data_dir);
		return;
	}
	source = deployment_topology(task->source);
	log_info("task %s: source %s (%s, %u master%s), target %s, work directory %s", task->options->name,
		 server_name(deployment_server(task->source, 0), name), source->cluster ? "cluster" : "standalone", source->shard_count,
		 source->shard_count == 1 ? "" : "s", target, task->options->data_dir);
}

/* With an empty work directory the task may have run on another machine before. Who wants the target emptied wants to begin anew. */
static bool read_checkpoint(struct task *task, struct error *error)
{
	if (!task->target || task->options->checkpoint == CHECKPOINT_LOCAL || (task->options->existing == EXISTING_FLUSH && !work_dir_has_links(task->dir)))
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

	if (!task_record_check(work_dir_path(task->dir), &now, work_dir_has_links(task->dir), task->options->accept_changes, accepted, error))
		return false;
	if (accepted[0])
		log_warning("settings have changed since the task was begun, and what was copied already stays as it is (--accept-changes): %s", accepted);
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
	return (files ? open_input(task, error)
		      : (task->source = deployment_open(loop, &options->source, name, timeout, ERROR_SOURCE, error)) != NULL) &&
	       (to_files || (task->target = deployment_open(loop, &options->target, name, timeout, ERROR_TARGET, error))) &&
	       check_record(task, error) && read_checkpoint(task, error) && pass_gate(task, loop, error);
}

static void warn_of_clearing(const struct task_options *options)
{
	const char *why = transform_options_clear_not(options);

	if (why)
		log_warning("FLUSHDB and FLUSHALL of the source cannot be copied: %s. Should one come, it is treated as on_conflict says; filter.block: "
			    "[{command: \"flush*\"}] leaves them out", why);
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
		log_warning("%s: %llu times of expiry in it have passed. The target removes such a key at once, also where a later command of the file "
			    "makes it live longer: it is missing then (see target.expiry_guard)",
			    task->options->source.path, (unsigned long long)task->inspection.past_expiries);
	settler.plan = task->expiry;
	task->settler = settler_new(&settler);
	task->expiry.import_lost = settler_import_lost(task->settler);
	task->abilities.import_source = task->expiry.form == GUARD_IMPORT;
	return true;
}

struct task *task_open(struct loop *loop, const struct task_options *options, const struct task_events *events, void *owner, struct error *error)
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
	ok = transform_check(options, error) && check_cutover(options, error) && (task->dir = work_dir_open(options->data_dir, error)) && (!events->locked || events->locked(owner, error)) &&
	     open_sides(task, loop, name, error) && plan_expiry(task, error) &&
	     (task->source ? open_links(task, error) : open_file_link(task, error));
	free(name);
	if (!ok) {
		task_free(task);
		return NULL;
	}
	warn_of_clearing(options);
	describe(task);
	if (task->target && options->checkpoint == CHECKPOINT_LOCAL)
		log_info("task %s: checkpoint: local: after a crash or a lost connection to the target commands of about the last second are applied twice", options->name);
	task->state = TASK_READY;
	return task;
}

/* ---- a source that fails over ---- */

/* the watch's thread */
static bool on_seen(void *owner, uint32_t index, struct deployment *source, uint32_t shard)
{
	struct task *task = owner;
	const struct topology *topology = deployment_topology(source);
	struct endpoint old_master, old_from, master = write_to(source, shard), from = topology->shards[shard].master;
	bool connected = link_connected(task->links[index]);
	struct error error;

	link_take_slots(task->links[index], topology, shard);
	link_endpoints(task->links[index], &old_master, &old_from);
	/* A replica that was read and is still connected goes on being read; one that is gone is not waited for. */
	if (connected && !endpoint_equal(&old_from, &old_master))
		from = old_from;
	if (endpoint_equal(&old_master, &master) && (connected || endpoint_equal(&old_from, &from)))
		return true;
	/* A node that has not heard of the failover yet still names the one that is gone. */
	if (!deployment_client(source, shard, &error))
		return false;
	if (!work_dir_note_shard(task->dir, index, &topology->shards[shard], &error))
		log_warning("%s; %s. After a restart the link of this shard would begin anew with a snapshot", error.text, error.hint);
	link_move(task->links[index], &master, &from, first_slot(topology, shard));
	return true;
}

/* the watch's thread */
static void on_mapped(void *owner, const uint32_t *link_of_slot)
{
	struct task *task = owner;
	uint16_t owners[SLOT_COUNT];
	struct handover_news news;

	if (!task->handover)
		return;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		owners[slot] = link_of_slot[slot] == NO_SHARD ? HANDOVER_NOBODY : (uint16_t)link_of_slot[slot];
	news = handover_map(task->handover, owners);
	if (news.gone > 0)
		log_warning("%u master%s of the source without slots %s not answer any more: nothing waits for what was not received from there", news.gone,
			    news.gone == 1 ? "" : "s", news.gone == 1 ? "does" : "do");
	if (news.settled > 0 && handover_moving(task->handover) == 0)
		log_info("no slot of the source is on its way from one master to another any more");
}

/* the watch's thread */
static bool on_calm_asked(void *owner)
{
	struct task *task = owner;

	if (task->handover && handover_wants_map(task->handover))
		return false;
	for (uint32_t i = 0; i < task->link_count; i++)
		if (!link_connected(task->links[i]))
			return false;
	return true;
}

static const struct source_watch_events watch_callbacks = {on_seen, on_mapped, on_calm_asked};

static bool watch_source(struct task *task, struct error *error)
{
	char *name = memory_printf("keyferry:%s:watch", task->options->name);
	const struct source_watch_options options = {
		.source = &task->options->source,
		.client_name = name,
		.connect_timeout_ms = task->options->connect_timeout_ms,
		.topology = deployment_topology(task->source),
	};

	task->watch = source_watch_start(&options, &watch_callbacks, task, error);
	free(name);
	return task->watch != NULL;
}

/* ---- life ---- */

bool task_start(struct task *task, struct error *error)
{
	if (task->source && !watch_source(task, error))
		return false;
	for (uint32_t i = 0; i < task->link_count; i++) {
		if (!link_start(task->links[i], error)) {
			task_stop(task, 0);
			return false;
		}
	}
	if (task->source && task->target && task->options->verify_every_ms > 0)
		task->verifier = verifier_new(task->options, task->incidents);
	if (!settler_start(task->settler, task->links, task->link_count, error) ||
	    (task->verifier && !verifier_start(task->verifier, task->links, task->link_count, error))) {
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
	    (!finish_forget_low_marks(task->dir, &error) || !checkpoint_forget(task->target, task->options->name, &links, &error)))
		log_warning("the task is finished; its marks could not be removed from the target: %s", error.text);
	task_status_free(&status);
}

void task_stop(struct task *task, uint32_t deadline_ms)
{
	struct stopping *all = memory_alloc_zero(task->link_count, sizeof(*all));

	settler_stop(task->settler);
	verifier_stop(task->verifier);
	source_watch_stop(task->watch);
	task->watch = NULL;
	for (uint32_t i = 0; i < task->link_count; i++) {
		all[i] = (struct stopping){.link = task->links[i], .deadline_ms = deadline_ms};
		all[i].threaded = pthread_create(&all[i].thread, NULL, stop_one, &all[i]) == 0;
		if (!all[i].threaded)
			stop_one(&all[i]);
	}
	for (uint32_t i = 0; i < task->link_count; i++)
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
	if (!expiry_settle_all(task->target, task->options->data_dir, guard_base(task->options->name), false, not_interrupted, task, &counts, error))
		return false;
	log_info("task %s: times of expiry are the true ones, and keys whose time has passed are gone (%llu times put right)", task->options->name,
		 (unsigned long long)counts.changed);
	return true;
}

void task_limit(struct task *task, uint64_t records_per_second, uint64_t bytes_per_second)
{
	for (uint32_t i = 0; i < task->link_count; i++)
		link_limit(task->links[i], records_per_second, bytes_per_second);
}

void task_free(struct task *task)
{
	if (!task)
		return;
	settler_free(task->settler);
	verifier_free(task->verifier);
	source_watch_stop(task->watch);
	for (uint32_t i = 0; i < task->link_count; i++)
		link_free(task->links[i]);
	for (uint32_t i = 0; i < task->file_count; i++)
		free(task->files[i].path);
	free(task->files);
	free(task->links);
	handover_close(task->handover);
	free(task->rates);
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
	uint64_t now = clock_monotonic_us();

	for (uint32_t i = 0; i < task->link_count; i++) {
		struct link_status status;

		link_status(task->links[i], &status);
		pthread_mutex_lock(&task->lock);
		rate_sample(&task->rates[i].commands, status.applier.sink.keys + status.applier.sink.commands, now);
		rate_sample(&task->rates[i].bytes, status.applier.bytes_done, now);
		pthread_mutex_unlock(&task->lock);
	}
}

void task_status(struct task *task, struct task_status *ret)
{
	struct task_status status = {.name = task->options->name, .incidents = task->incidents, .link_count = task->link_count, .caught_up = true};

	status.links = memory_alloc_zero(task->link_count, sizeof(status.links[0]));
	for (uint32_t i = 0; i < task->link_count; i++) {
		link_status(task->links[i], &status.links[i]);
		if (!status.links[i].applier.caught_up)
			status.caught_up = false;
		if (status.error.kind == ERROR_NONE && status.links[i].error.kind != ERROR_NONE)
			status.error = status.links[i].error;
	}
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
	for (uint32_t i = 0; i < task->link_count; i++) {
		status.links[i].commands_per_second = rate_per_second(&task->rates[i].commands);
		status.links[i].bytes_per_second = rate_per_second(&task->rates[i].bytes);
	}
	pthread_mutex_unlock(&task->lock);
	*ret = status;
}

void task_status_free(struct task_status *status)
{
	free(status->links);
	status->links = NULL;
}
