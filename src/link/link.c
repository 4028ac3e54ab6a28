#include "link/link_inside.h"

#include "base/log.h"
#include "base/memory.h"
#include "source/feeder.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HANDOVER_SAMPLE_MS 20
#define HANDOVER_HURRY_MS 5 /* while slots move */

/* ---- what the threads tell ---- */

/* Of a long path the end. Returns out. */
static const char *describe_source(const struct link *link, char out[ENDPOINT_TEXT_MAX])
{
	const char *path;
	size_t len;

	if (!link->options.input)
		return endpoint_format(&link->options.master, out);
	path = link->options.input->path;
	len = strlen(path);
	snprintf(out, ENDPOINT_TEXT_MAX, "%s%s", len < ENDPOINT_TEXT_MAX ? "" : "...",
		 len < ENDPOINT_TEXT_MAX ? path : path + len - (ENDPOINT_TEXT_MAX - 4));
	return out;
}

/* As it is called now: another server may have become the master. Returns out. */
static const char *name_source(struct link *link, char out[ENDPOINT_TEXT_MAX])
{
	pthread_mutex_lock(&link->lock);
	describe_source(link, out);
	pthread_mutex_unlock(&link->lock);
	return out;
}

static void on_note(void *owner, int log_level, const char *text)
{
	char source[ENDPOINT_TEXT_MAX];
	struct log_line line = {.level = (enum log_level)log_level, .link = name_source(owner, source)};

	log_line_write(&line, "%s", text);
}

/* Counted, and kept for the status. */
static void keep_incident(struct link *link, const struct incident *incident)
{
	char source[ENDPOINT_TEXT_MAX];

	atomic_fetch_add(&link->incidents[incident->kind], 1);
	incidents_add(link->options.incidents, name_source(link, source), incident);
}

static void on_tell(void *owner, const struct incident *incident)
{
	char source[ENDPOINT_TEXT_MAX];

	incident_log(incident, name_source(owner, source));
	keep_incident(owner, incident);
}

static void on_failed(void *owner, const struct error *error)
{
	struct link *link = owner;
	struct incident incident;
	bool first;

	pthread_mutex_lock(&link->lock);
	first = link->error.kind == ERROR_NONE;
	if (first)
		link->error = *error;
	pthread_mutex_unlock(&link->lock);
	if (!first)
		return;
	/* Not logged here: what a task ends with is said at its end. */
	incident = incident_make(error->kind == ERROR_BUSY ? INCIDENT_STOOD_DOWN : INCIDENT_FAILED, -1, "%s%s%s", error->text,
				 error->hint[0] ? ". " : "", error->hint);
	keep_incident(link, &incident);
	link->options.changed(link->options.owner);
}

static void on_data(void *owner)
{
	wake_send(((struct link *)owner)->data_wake);
}

/* receiver thread */
static void on_resync(void *owner)
{
	struct link *link = owner;

	atomic_store(&link->park, true);
	wake_send(link->request_wake);
}

/* applier thread */
static void on_parked(void *owner)
{
	struct source source = ((struct link *)owner)->source;

	source.ops->resync_ready(source.self);
}

static void on_drained(void *owner)
{
	loop_stop(((struct link *)owner)->applier_loop);
}

/* applier thread; a file is complete */
static void on_finished(void *owner)
{
	struct link *link = owner;

	atomic_store(&link->stop_receiver, true);
	wake_send(link->receiver_wake);
	link->options.changed(link->options.owner);
}

static const struct receiver_events receiver_callbacks = {on_note, on_tell, on_resync, on_failed};
static const struct feeder_events feeder_callbacks = {on_note, on_tell, on_failed};
static const struct applier_events applier_callbacks = {on_note, on_tell, on_failed, on_parked, on_drained, on_finished};
static const struct scanner_events scanner_callbacks = {on_note, on_tell, on_resync, on_failed};

/* ---- wake-ups ---- */

static void on_data_wake(void *owner)
{
	applier_wake(((struct link *)owner)->applier);
}

static void on_request_wake(void *owner)
{
	struct link *link = owner;

	if (atomic_exchange(&link->park, false))
		applier_park(link->applier);
	if (atomic_exchange(&link->drain, false))
		applier_drain(link->applier, atomic_load(&link->drain_deadline_ms));
}

/* Of a cluster: there a replica reads for those only who ask for it. */
static bool reads_replica(const struct link *link, const struct endpoint *master, const struct endpoint *receive_from)
{
	return link->options.cluster && !endpoint_equal(receive_from, master);
}

static void on_receiver_wake(void *owner)
{
	struct link *link = owner;
	struct endpoint master, receive_from;
	uint16_t slot;

	if (atomic_exchange(&link->move, false)) {
		pthread_mutex_lock(&link->lock);
		master = link->options.master;
		receive_from = link->options.receive_from;
		slot = link->options.slot;
		pthread_mutex_unlock(&link->lock);
		heartbeat_move(link->heartbeat, &master, slot);
		if (link->scanner)
			scanner_move(link->scanner, &receive_from, reads_replica(link, &master, &receive_from));
	}
	if (atomic_exchange(&link->rename, false)) {
		pthread_mutex_lock(&link->lock);
		slot = link->options.slot;
		pthread_mutex_unlock(&link->lock);
		heartbeat_rename(link->heartbeat, slot);
	}
	if (!atomic_load(&link->stop_receiver))
		return;
	link->source.ops->stop(link->source.self);
	loop_stop(link->receiver_loop);
}

static void *receiver_main(void *argument)
{
	struct link *link = argument;

	log_set_label("source"); /* its notes name the node, which may be a replica */
	/* Of a file that an earlier run has completed there is nothing to ask. */
	if (link->state.file.phase == FILE_DONE)
		return NULL;
	link->source.ops->start(link->source.self);
	loop_run(link->receiver_loop);
	return NULL;
}

static void *applier_main(void *argument)
{
	struct link *link = argument;

	log_set_label(link->label);
	applier_wake(link->applier);
	loop_run(link->applier_loop);
	return NULL;
}

/* ---- opening ---- */

static bool open_spool(struct link *link, struct error *error)
{
	char dir[PATH_MAX];
	struct spool_options options = {
		.dir = dir,
		.segment_size = link->options.task->spool_segment_size,
		.max_size = link->options.task->spool_max_size,
		.keep_size = link->options.file ? 0 : link->options.task->spool_keep_size,
	};
	uint64_t cut;

	snprintf(dir, sizeof(dir), "%s/spool", link->options.dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot make the folder %s", dir);
		error_hint(error, "Give a work directory with --data that may be written to");
		return false;
	}
	link->spool = spool_open(&options, &cut, error);
	if (!link->spool)
		return false;
	if (cut > 0)
		log_warning(
			"%s: the spool ended in %llu bytes that were not whole (the last run was cut off); they are asked for again",
			link->label, (unsigned long long)cut);
	return true;
}

static void forget_history(struct link_state *state, uint64_t generation)
{
	struct link_state anew = {.generation = generation};

	memcpy(anew.link, state->link, sizeof(anew.link));
	memcpy(anew.task, state->task, sizeof(anew.task));
	link_state_free(state);
	*state = anew;
}

/* An empty work directory, and the target knows the link: it goes on from there, if the source still has what came since (else it sends a snapshot). Who reads by SCAN
 * begins anew at each start, and offsets of an earlier one mean nothing. The state is on the disk before the spool begins: without the epoch a next run would
 * not know the marks of what this one is about to apply. */
static bool adopt_checkpoint(struct link *link, struct error *error)
{
	const struct checkpoint_link *known = link->options.known;
	struct spool_origin origin = {.generation = 1};
	struct link_state *state = &link->state;

	if (!known || spool_origin(link->spool).generation > 0 || (state->link[0] && strcmp(state->link, known->id) != 0))
		return true;
	memcpy(state->link, known->id, sizeof(state->link));
	if (link->names || !known->record.epoch[0] || known->record.offset < 0)
		return true;
	memcpy(origin.replid, known->record.replid, sizeof(origin.replid));
	origin.offset = known->record.offset;
	memcpy(state->epoch, known->record.epoch, sizeof(state->epoch));
	snprintf(state->task, sizeof(state->task), "%s", link->options.task->name ? link->options.task->name : "");
	state->generation = origin.generation;
	state->db = known->record.db;
	if (!link_state_write(link->state_path, state, error) || !spool_start(link->spool, &origin, false, error))
		return false;
	link->adopted = true;
	return true;
}

static bool open_scripts(struct link *link, struct error *error)
{
	char *path = memory_printf("%s/scripts", link->options.dir);
	uint64_t cut;

	link->scripts = scripts_open(path, SCRIPTS_BYTES_MAX, &cut, error);
	if (link->scripts && cut > 0)
		log_warning(
			"%s: %llu bytes at the end of %s were not whole or damaged (the last run was cut off), and are cut off",
			link->label, (unsigned long long)cut, path);
	free(path);
	return link->scripts != NULL;
}

/* Where applying goes on; false when the spool has not got it any more. */
static bool settle_state(struct link *link, struct error *error)
{
	struct spool_origin origin = spool_origin(link->spool);
	struct link_state *state = &link->state;

	if (!link_state_read(link->state_path, state, error))
		return false;
	if (state->position > 0 && (state->file.phase != FILE_NONE) != (link->options.file != NULL)) {
		error_set(error, ERROR_USAGE, "%s is of a task whose target was %s", link->options.dir,
			  link->options.file ? "servers" : "a file");
		error_hint(error, "Leave target.mode as it was, or begin anew with an empty work directory");
		return false;
	}
	if (origin.generation == 0 && state->generation <= 1 && state->position == 0) {
		/* Nothing has begun; or the last run was cut off before the spool began at what the target has. */
		forget_history(state, 0);
		return true;
	}
	if (origin.generation != state->generation)
		/* The spool had begun a new history that nothing was applied of yet. */
		forget_history(state, origin.generation);
	if (state->position >= spool_begin_position(link->spool) && origin.generation > 0)
		return true;
	error_set(error, ERROR_USAGE, "%s: the spool begins at position %llu, and the target has only what lies before %llu",
		  link->options.dir, (unsigned long long)spool_begin_position(link->spool), (unsigned long long)state->position);
	error_hint(
		error,
		"Files of the work directory are missing: restore them, or begin anew with an empty work directory and target.existing: merge");
	return false;
}

/* The files must be those that the spool's history was begun with. */
static bool check_input(const struct link *link, struct error *error)
{
	struct spool_origin origin = spool_origin(link->spool);

	if (!link->options.input || origin.generation == 0 || strcmp(origin.replid, link->options.input->identity) == 0)
		return true;
	error_set(error, ERROR_USAGE, "%s is not what the task in %s was begun with: its bytes have changed",
		  link->options.input->path, link->options.dir);
	error_hint(
		error,
		"Give the files as they were to go on, or begin anew with an empty work directory and target.existing: merge or flush");
	return false;
}

static bool slots_move(void *owner)
{
	return handover_moving(((const struct link *)owner)->options.handover) > 0;
}

/* A connection of the link's to a server of the source. */
static struct client_options source_client(const struct link *link, struct endpoint endpoint)
{
	const struct link_options *options = &link->options;
	const struct deployment_options *source = deployment_options(options->source);

	return (struct client_options){
		.endpoint = endpoint,
		.credentials = &source->credentials,
		.tls = deployment_tls(options->source),
		.tls_name = source->tls.server_name,
		.name = link->name,
		.timeout_ms = options->task->connect_timeout_ms,
		.blame = ERROR_SOURCE,
	};
}

/* Of a heartbeat there is what it is measured by: samples of its own, or the scanner's. */
static void make_heartbeat(struct link *link, bool fed)
{
	const struct link_options *options = &link->options;
	struct heartbeat_options heartbeat = {
		.client = source_client(link, options->master),
		/* What nobody tells of would only be found by the next pass; and a snapshot alone has no lag to be measured. */
		.write = options->task->heartbeat && (!options->file || options->file->follows) &&
			 (!fed || (options->task->scan_follow && options->task->scan_notifications != SCAN_NOTIFICATIONS_OFF)),
		.fed = fed,
		.cluster = options->cluster,
		.slot = options->slot,
		.interval_ms = options->task->heartbeat_interval_ms,
		/* The finer, the less of one link's stream is taken for older than another's. */
		.sample_ms = options->handover ? HANDOVER_SAMPLE_MS : 0,
		.hurry_ms = HANDOVER_HURRY_MS,
		.hurries = options->handover ? slots_move : NULL,
	};

	link->heartbeat = heartbeat_new(link->receiver_loop, &heartbeat, on_note, link);
}

static bool open_names(struct link *link, struct error *error)
{
	char *dir;

	if (!link->options.source || deployment_options(link->options.source)->mode != MODE_SCAN)
		return true;
	dir = memory_printf("%s/names", link->options.dir);
	link->names = names_open(dir, error);
	free(dir);
	return link->names != NULL;
}

static void make_scanner(struct link *link)
{
	const struct link_options *options = &link->options;
	const struct server_info *info = &options->source_info;
	struct scanner_options scanner = {
		.client = source_client(link, options->receive_from),
		.task = options->task,
		.pexpiretime = info->family == FAMILY_VALKEY || info->version >= VERSION(7, 0, 0),
		.streams = info->family == FAMILY_VALKEY || info->version >= VERSION(5, 0, 0),
		.readonly = reads_replica(link, &options->master, &options->receive_from),
		.dir = options->dir,
		.names = link->names,
		.spool = link->spool,
	};

	link->scanner = scanner_new(link->receiver_loop, &scanner, &scanner_callbacks, link);
	link->names = NULL; /* the scanner's from here on */
	link->source = scanner_as_source(link->scanner);
	make_heartbeat(link, true);
	scanner_set_heartbeat(link->scanner, link->heartbeat);
}

static void make_receiver(struct link *link)
{
	const struct link_options *options = &link->options;
	const struct deployment_options *source = deployment_options(options->source);
	struct receiver_options receiver = {
		.endpoint = options->receive_from,
		.credentials = &source->credentials,
		.tls = deployment_tls(options->source),
		.tls_name = source->tls.server_name,
		.name = link->name,
		.connect_timeout_ms = options->task->connect_timeout_ms,
		.repl_timeout_ms = options->task->repl_timeout_ms,
		.spool = link->spool,
		.master = options->cluster && options->task->read_from == READ_FROM_MASTER,
		.snapshot = options->task->snapshot,
	};

	link->receiver = receiver_new(link->receiver_loop, &receiver, &receiver_callbacks, link);
	link->source = receiver_as_source(link->receiver);
	make_heartbeat(link, false);
}

static void make_parts(struct link *link)
{
	const struct link_options *options = &link->options;
	struct applier_options applier = {
		.task = options->task,
		.target = options->target,
		.topology = options->target_topology,
		.abilities = options->abilities,
		.names_path = link->names_path,
		.brought_before = options->known != NULL && link->state.generation == 0,
		.file = options->file,
		.only_link = options->only_link,
		.owns = link_owns_slot,
		.owns_owner = link,
		.expiry = options->expiry,
		.name = link->name,
		.state_path = link->state_path,
		.scripts = link->scripts,
		.spool = link->spool,
		.token = link->token,
		.source_name = link->source_name,
		.masters = link->options.masters,
		.tally = &link->applied,
		.delays = &link->delays,
	};

	link->receiver_loop = loop_new();
	link->applier_loop = loop_new();
	link->receiver_wake = wake_new(link->receiver_loop, on_receiver_wake, link);
	link->data_wake = wake_new(link->applier_loop, on_data_wake, link);
	link->request_wake = wake_new(link->applier_loop, on_request_wake, link);
	spool_on_data(link->spool, on_data, link);
	if (options->input)
		link->source =
			feeder_as_source(feeder_new(link->receiver_loop, options->input, link->spool, &feeder_callbacks, link));
	else if (link->names)
		make_scanner(link);
	else
		make_receiver(link);
	applier.loop = link->applier_loop;
	applier.source = link->source;
	applier.heartbeat = link->heartbeat;
	applier.handover = options->handover;
	if (options->handover)
		applier.member = link->member = link_join(link);
	link->applier = applier_new(&applier, &link->state, &applier_callbacks, link);
}

struct link *link_open(const struct link_options *options, struct error *error)
{
	struct link *link = memory_alloc_zero(1, sizeof(*link));
	char source[ENDPOINT_TEXT_MAX];

	link->options = *options;
	link->options.dir = memory_strdup(options->dir);
	/* A path may have bytes that the name of a connection may not. */
	link->name = memory_printf("keyferry:%s:%s", options->task->name,
				   options->input ? "file" : endpoint_format(&options->master, source));
	link->state_path = memory_printf("%s/state.json", options->dir);
	/* Who reads by SCAN finds out what has gone by itself. */
	if (!options->input && options->task->source.mode != MODE_SCAN)
		link->names_path = memory_printf("%s/snapshot-names", options->dir);
	snprintf(link->label, sizeof(link->label), "link %s", describe_source(link, source));
	pthread_mutex_init(&link->lock, NULL);
	if (!open_spool(link, error) || !check_input(link, error) || !settle_state(link, error) || !open_scripts(link, error) ||
	    !open_names(link, error) || !adopt_checkpoint(link, error)) {
		link_free(link);
		return NULL;
	}
	if (!link->state.link[0])
		mark_random(link->state.link, MARK_ID_LEN);
	mark_random(link->token, MARK_ID_LEN);
	describe_source(link, link->source_name);
	make_parts(link);
	return link;
}

bool link_has_history(const struct link *link)
{
	return link->state.generation > 0;
}

/* A run that goes on: from where. What the spool has not got whole is told by the full resync that follows. */
static void tell_resumed(struct link *link)
{
	struct spool_origin origin = spool_origin(link->spool);
	const struct link_state *state = &link->state;
	uint64_t snapshot_end = spool_snapshot_end(link->spool), end = spool_end(link->spool);
	bool in_snapshot = state->position < snapshot_end;
	int64_t offset = in_snapshot ? -1 : spool_offset_before(link->spool, state->position);
	struct incident incident = incident_make(INCIDENT_RESUMED, offset, "%s: ", link->label);

	if (origin.generation == 0 || snapshot_end == SPOOL_UNKNOWN || link->options.task->source.mode == MODE_SCAN)
		return;
	incident.cause = link->adopted ? "target" : state->clean ? "stopped" : "unanswered";
	if (link->adopted)
		incident_add_text(
			&incident,
			"nothing of it in the work directory; going on from what the target has: replication id %s, offset %lld",
			origin.replid, (long long)origin.offset);
	else
		incident_add_text(
			&incident, "resumed%s: ",
			state->clean
				? ""
				: " (the run before was killed, or left commands unanswered: what it had applied is found out)");
	if (!link->adopted && link->options.input)
		incident_add_text(&incident, "from byte %llu of %llu", (unsigned long long)state->position,
				  (unsigned long long)link->options.input->total);
	else if (!link->adopted && in_snapshot)
		incident_add_text(&incident, "in the snapshot, from byte %llu of %llu", (unsigned long long)state->position,
				  (unsigned long long)snapshot_end);
	else if (!link->adopted)
		incident_add_text(&incident, "from offset %lld", (long long)offset);
	if (!link->adopted && !link->options.input)
		incident_add_text(&incident,
				  "; the spool holds the stream up to offset %lld, so %llu bytes need not be received again",
				  (long long)spool_offset_before(link->spool, end),
				  (unsigned long long)(end > state->position ? end - state->position : 0));
	incident_add_cost(&incident, "spool_bytes", end > state->position ? (double)(end - state->position) : 0);
	on_tell(link, &incident);
}

bool link_start(struct link *link, struct error *error)
{
	int failed;

	tell_resumed(link);
	failed = pthread_create(&link->receiver_thread, NULL, receiver_main, link);
	if (!failed) {
		failed = pthread_create(&link->applier_thread, NULL, applier_main, link);
		if (failed) {
			atomic_store(&link->stop_receiver, true);
			wake_send(link->receiver_wake);
			pthread_join(link->receiver_thread, NULL);
		}
	}
	if (failed) {
		error_set_errno(error, ERROR_INTERNAL, failed, "%s: cannot start a thread", link->label);
		return false;
	}
	link->started = true;
	return true;
}

void link_limit(struct link *link, uint64_t records_per_second, uint64_t bytes_per_second)
{
	applier_limit(link->applier, records_per_second, bytes_per_second);
	wake_send(link->data_wake);
}

void link_stop(struct link *link, uint32_t deadline_ms)
{
	if (!link->started)
		return;
	atomic_store(&link->drain_deadline_ms, deadline_ms);
	atomic_store(&link->drain, true);
	wake_send(link->request_wake);
	pthread_join(link->applier_thread, NULL);
	atomic_store(&link->stop_receiver, true);
	wake_send(link->receiver_wake);
	pthread_join(link->receiver_thread, NULL);
	link->started = false;
	atomic_store(&link->stopped, true);
}

void link_free(struct link *link)
{
	if (!link)
		return;
	applier_free(link->applier);
	heartbeat_free(link->heartbeat);
	if (link->source.ops)
		link->source.ops->free(link->source.self);
	if (link->receiver_loop) {
		wake_free(link->receiver_wake);
		wake_free(link->data_wake);
		wake_free(link->request_wake);
		loop_free(link->receiver_loop);
		loop_free(link->applier_loop);
	}
	names_close(link->names);
	spool_close(link->spool);
	pthread_mutex_destroy(&link->lock);
	link_state_free(&link->state);
	free((char *)link->options.dir);
	free(link->name);
	scripts_free(link->scripts);
	free(link->state_path);
	free(link->names_path);
	free(link);
}

/* Files have an end instead of a stream that goes on: until it is applied, all of them is the snapshot. */
static void settle_file_status(const struct link *link, struct link_status *status)
{
	uint64_t total = link->options.input->total;

	status->files = true;
	status->snapshot_bytes_total = total;
	status->applier.snapshot_bytes_done = status->applier.position;
	status->applier.caught_up = status->applier.finished || (status->receiver.complete && status->applier.position == total);
	if (status->phase == LINK_FAILED)
		return;
	if (status->applier.caught_up)
		status->phase = LINK_FINISHED;
	else if (status->phase == LINK_STREAMING)
		status->phase = LINK_SNAPSHOT;
}

/* Without its source nobody knows how far that has gone on: what was measured last is no lag. */
static void settle_away(struct link_status *status)
{
	bool follows = status->phase == LINK_CONNECTING || status->phase == LINK_SNAPSHOT || status->phase == LINK_STREAMING;

	status->away = !status->files && follows && !status->connected;
	if (status->away)
		status->applier.lag_ms = -1;
	else
		status->receiver.away = (struct away_status){0};
}

void link_status(struct link *link, struct link_status *ret)
{
	struct link_status status = {
		.received_offset = -1, .source_offset = -1, .applied = &link->applied, .delays = &link->delays};
	uint64_t end = spool_end(link->spool);
	uint64_t sampled_us;

	pthread_mutex_lock(&link->lock);
	status.error = link->error;
	describe_source(link, status.source);
	pthread_mutex_unlock(&link->lock);
	status.target_path = link->options.file ? link->options.file->path : NULL;
	status.receiver = link->source.ops->status(link->source.self);
	status.applier = applier_status(link->applier);
	status.origin = spool_origin(link->spool);
	/* The applier has not said anything of the new history yet. */
	if (status.applier.generation != status.origin.generation) {
		status.applier.streaming = status.applier.caught_up = status.applier.expiry_ready = false;
		status.applier.applied_offset = -1;
	}
	status.connected = status.receiver.connected;
	for (int kind = 0; kind < INCIDENT_KINDS; kind++)
		status.incidents[kind] = atomic_load(&link->incidents[kind]);
	status.resumed = link->state.generation > 0;
	status.snapshot_bytes_total = spool_snapshot_end(link->spool);
	if (status.snapshot_bytes_total == SPOOL_UNKNOWN)
		status.snapshot_bytes_total = status.receiver.snapshot_bytes_total;
	else if (status.origin.generation > 0)
		status.received_offset = spool_offset_before(link->spool, end);
	if (!link->heartbeat || !heartbeat_source_offset(link->heartbeat, &status.source_offset, &sampled_us))
		status.source_offset = -1;
	status.spool_bytes = end > status.applier.position ? end - status.applier.position : 0;
	status.snapshot_keys_total = link->options.source_keys;
	status.spool_disk_bytes = spool_disk_bytes(link->spool);
	status.spool_max_bytes = link->options.task->spool_max_size;
	if (status.error.kind != ERROR_NONE)
		status.phase = LINK_FAILED;
	else if (status.applier.finished)
		status.phase = LINK_FINISHED;
	else if (atomic_load(&link->stopped))
		status.phase = LINK_STOPPED;
	else if (status.origin.generation == 0)
		status.phase = LINK_CONNECTING;
	else
		status.phase = status.applier.streaming ? LINK_STREAMING : LINK_SNAPSHOT;
	if (link->options.input)
		settle_file_status(link, &status);
	else if (status.receiver.complete && status.phase != LINK_FAILED && status.applier.position == end) {
		/* One pass was all that was asked for. */
		status.applier.caught_up = true;
		status.phase = LINK_FINISHED;
	}
	settle_away(&status);
	*ret = status;
}

bool link_connected(const struct link *link)
{
	return link->source.ops->status(link->source.self).connected;
}

void link_move(struct link *link, const struct endpoint *master, const struct endpoint *receive_from, uint16_t slot)
{
	pthread_mutex_lock(&link->lock);
	link->options.master = *master;
	link->options.receive_from = *receive_from;
	link->options.slot = slot;
	pthread_mutex_unlock(&link->lock);
	if (link->receiver)
		receiver_move(link->receiver, receive_from);
	atomic_store(&link->move, true);
	wake_send(link->receiver_wake);
}

const char *link_id(const struct link *link)
{
	return link->state.link;
}

void link_endpoints(struct link *link, struct endpoint *ret_master, struct endpoint *ret_receive_from)
{
	pthread_mutex_lock(&link->lock);
	*ret_master = link->options.master;
	*ret_receive_from = link->options.receive_from;
	pthread_mutex_unlock(&link->lock);
}
