#include "control/task_links.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "link/scan_rights.h"

#include <stdio.h>
#include <stdlib.h>

#define LEAVE_MS 5000 /* the most that an ended link, which has nothing to do any more, takes to stop */
#define CLEAN_INTERVAL_US 30000000

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

/* ---- at the start ---- */

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

/* What all links have in common. */
static struct link_options common_options(struct task *task, const char *dir)
{
	return (struct link_options){
		.task = task->options,
		.source = task->source,
		.target = task->target,
		.target_topology = task->target ? deployment_topology(task->target) : NULL,
		.abilities = task->abilities,
		.cluster = deployment_topology(task->source)->cluster,
		/* A cluster of one master may get another one at any time. */
		.only_link = !deployment_topology(task->source)->cluster,
		.expiry = task->expiry,
		.handover = task->handover,
		.dir = dir,
		.incidents = task->incidents,
		.masters = task->masters,
		.changed = task->events->changed,
		.owner = task->owner,
	};
}

static bool open_one(struct task *task, uint32_t shard, const char *dir, struct error *error)
{
	const struct topology *source = deployment_topology(task->source);
	const struct server_info *info = deployment_server(task->source, shard);
	struct link_options options = common_options(task, dir);
	char address[ENDPOINT_TEXT_MAX];
	struct link *link;

	options.master = write_to(task->source, shard);
	options.known = checkpoint_find(&task->checkpoint, info->replid, info->replid2, endpoint_format(&options.master, address),
					!source->cluster && source->shard_count == 1);
	options.file = task->files ? &task->files[shard] : NULL;
	options.receive_from = scan_rights_read_from(task->options, &source->shards[shard]);
	options.slot = first_slot(source, shard);
	options.source_info = *info;
	options.source_keys = info->keys;
	link = link_open(&options, error);
	if (!link)
		return false;
	links_add(task->links, link);
	link_take_slots(link, source, shard);
	return task_check_file(task, shard, error);
}

/* Links of shards that have gone while nobody looked: what is in their spools was before what others have. Returns how many there are. */
static bool open_left(struct task *task, uint32_t *ret, struct error *error)
{
	char address[ENDPOINT_TEXT_MAX];
	struct endpoint master;
	const char *dir;

	*ret = 0;
	while (task->handover && links_count(task->links) < LINK_PLACES_MAX && (dir = work_dir_next_left(task->dir, &master))) {
		struct link_options options = common_options(task, dir);
		struct link *link;

		options.master = options.receive_from = master;
		link = link_open(&options, error);
		if (!link)
			return false;
		log_info("%s has no slots of the source any more; its link goes on until all that it had is applied",
			 endpoint_format(&master, address));
		links_add(task->links, link);
		++*ret;
	}
	return true;
}

static void number_owners(struct task *task, const uint32_t *link_of_slot)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		task->owners[slot] = link_of_slot[slot] == NO_SHARD
					     ? HANDOVER_NOBODY
					     : (uint16_t)link_member(links_at(task->links, link_of_slot[slot]));
}

static bool begin_handover(struct task *task, struct error *error)
{
	const struct topology *source = deployment_topology(task->source);
	uint32_t *link_of_slot;
	bool ok;

	if (!task->handover)
		return true;
	link_of_slot = memory_alloc(SLOT_COUNT * sizeof(*link_of_slot));
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		link_of_slot[slot] = source->owner[slot] == SHARD_NONE ? NO_SHARD : source->owner[slot];
	number_owners(task, link_of_slot);
	free(link_of_slot);
	ok = handover_begin(task->handover, task->owners, error);
	task->marks_left = ok && work_dir_ended(task->dir) != NULL;
	return ok;
}

bool task_links_open(struct task *task, struct error *error)
{
	const struct topology *source = deployment_topology(task->source);
	const char **paths = memory_alloc_zero(source->shard_count, sizeof(*paths));
	uint32_t gone, left = 0;
	bool ok = open_handover(task, error) && work_dir_assign(task->dir, source, paths, &gone, error) &&
		  task_name_files(task, paths, source->shard_count, error);

	for (uint32_t i = 0; ok && i < source->shard_count; i++)
		ok = open_one(task, i, paths[i], error);
	free(paths);
	ok = ok && open_left(task, &left, error);
	if (ok && gone > left)
		log_warning(
			"%u links of an earlier run have no master in the source any more; their folders are left as they are",
			gone - left);
	return ok && begin_handover(task, error);
}

/* ---- a source that fails over ---- */

/* the watch's thread */
static bool on_seen(void *owner, uint32_t index, struct deployment *source, uint32_t shard)
{
	struct task *task = owner;
	struct link *link = links_at(task->links, index);
	const struct topology *topology = deployment_topology(source);
	struct endpoint old_master, old_from, master = write_to(source, shard), from = topology->shards[shard].master;
	bool connected = link_connected(link);
	struct error error;

	link_take_slots(link, topology, shard);
	link_endpoints(link, &old_master, &old_from);
	/* A replica that was read and is still connected goes on being read; one that is gone is not waited for. */
	if (connected && !endpoint_equal(&old_from, &old_master))
		from = old_from;
	if (endpoint_equal(&old_master, &master) && (connected || endpoint_equal(&old_from, &from)))
		return true;
	/* A node that has not heard of the failover yet still names the one that is gone. */
	if (!deployment_client(source, shard, &error))
		return false;
	if (!work_dir_note_shard(task->dir, index, &topology->shards[shard], &error))
		log_warning("%s; %s. After a restart the link of this shard would begin anew with a snapshot", error.text,
			    error.hint);
	link_move(link, &master, &from, first_slot(topology, shard));
	return true;
}

/* ---- masters that come ---- */

static void tell(struct task *task, const char *link, const struct incident *incident)
{
	log_write(incident_kind_level(incident->kind), "%s", incident->text);
	incidents_add(task->incidents, link, incident);
}

/* Each reading of the map tries again. */
static bool refuse(struct task *task, const char *address, const struct error *error)
{
	task->refused++;
	if (task->refused == 1)
		log_warning("%s has slots of the source now, and cannot be followed: %s%s%s; it is tried again", address,
			    error->text, error->hint[0] ? ". " : "", error->hint);
	return false;
}

static struct link *open_new(struct task *task, const struct topology *source, uint32_t shard, const struct server_info *info,
			     struct error *error)
{
	const char *dir = work_dir_add(task->dir, &source->shards[shard], error);
	struct link_options options;
	struct link *link;

	if (!dir)
		return NULL;
	options = common_options(task, dir);
	options.master = options.receive_from = source->shards[shard].master;
	options.slot = first_slot(source, shard);
	options.source_info = *info;
	options.source_keys = info->keys;
	link = link_open(&options, error);
	if (link) {
		link_take_slots(link, source, shard);
		if (link_start(link, error))
			return link;
		(void)handover_leave(task->handover, link_member(link)); /* it has nothing */
		link_free(link);
	}
	work_dir_take_back(task->dir);
	return NULL;
}

/* the watch's thread */
static bool on_came(void *owner, struct deployment *source, uint32_t shard)
{
	struct task *task = owner;
	const struct topology *topology = deployment_topology(source);
	const struct server_info *info = deployment_server(source, shard);
	char address[ENDPOINT_TEXT_MAX];
	struct incident incident;
	struct error error;
	struct link *link;

	if (!task->handover || !info)
		return false;
	endpoint_format(&topology->shards[shard].master, address);
	if (links_count(task->links) == LINK_PLACES_MAX) {
		error_set(&error, ERROR_INTERNAL, "a task has %u links at most between two starts", LINK_PLACES_MAX);
		error_hint(&error, "Start it again");
		return refuse(task, address, &error);
	}
	if (!deployment_client(source, shard, &error) || !(link = open_new(task, topology, shard, info, &error)))
		return refuse(task, address, &error);
	task->refused = 0;
	links_add(task->links, link);
	incident = incident_make(INCIDENT_LINK_ADDED, -1, "%s has slots of the source now (%u): a link follows it from now on",
				 address, topology->shards[shard].slots);
	incident_add_cost(&incident, "slots", topology->shards[shard].slots);
	tell(task, address, &incident);
	return true;
}

/* ---- masters that go ---- */

/* Of links that have ended. */
static bool remove_marks(struct task *task, struct error *error)
{
	char *name = memory_printf("keyferry:%s:links", task->options->name);
	struct loop *loop = loop_new();
	struct deployment *target = deployment_open_until(loop, &task->options->target, name, task->options->connect_timeout_ms,
							  ERROR_TARGET, &task->stopping, error);
	const char *ended;
	bool ok = target != NULL;

	while (ok && (ended = work_dir_ended(task->dir))) {
		char id[MARK_ID_LEN + 1];

		snprintf(id, sizeof(id), "%s", ended);
		ok = checkpoint_forget_link(target, task->options->name, id, error) && work_dir_bury(task->dir, id, error);
	}
	deployment_free(target);
	loop_free(loop);
	free(name);
	return ok;
}

static bool clean_up(struct task *task)
{
	struct error error;

	task->cleaned_us = clock_monotonic_us();
	task->marks_left = !remove_marks(task, &error);
	if (task->marks_left)
		log_warning("marks of a link that has ended cannot be removed from the target: %s; it is tried again",
			    error.text);
	return !task->marks_left;
}

/* False: it has something to do again. */
static bool end_link(struct task *task, uint32_t place, bool cut_off)
{
	struct link *link = links_at(task->links, place);
	struct link_status status;
	struct incident incident;
	struct error error;

	if (!handover_leave(task->handover, link_member(link)))
		return false;
	links_take(task->links, place);
	link_stop(link, LEAVE_MS);
	link_status(link, &status);
	/* A next start that finds it again ends it again. */
	if (!work_dir_end_link(task->dir, place, link_id(link), &error))
		log_warning("%s. %s", error.text, error.hint);
	link_free(link);
	incident = incident_make(INCIDENT_LINK_ENDED, status.applier.applied_offset, "%s has no slots of the source any more, ",
				 status.source);
	incident.cause = cut_off ? "cut_off" : "complete";
	if (cut_off)
		incident_add_text(
			&incident,
			"and cannot be asked any more where it ended: all that was received from it is applied, up to offset %lld, and its link has ended. Should it have "
			"deleted keys after that, they are in the target still: 'keyferry verify --repair' tells and mends",
			(long long)status.applier.applied_offset);
	else
		incident_add_text(&incident, "and all that it wrote is applied: its link has ended at offset %lld",
				  (long long)status.applier.applied_offset);
	if (task->options->checkpoint == CHECKPOINT_TARGET && clean_up(task))
		incident_add_text(&incident, "; its marks are removed from the target");
	tell(task, status.source, &incident);
	return true;
}

/* the watch's thread */
static bool on_left(void *owner, uint32_t place)
{
	struct task *task = owner;
	enum handover_stay stay;

	if (!task->handover)
		return false;
	stay = handover_stay(task->handover, link_member(links_at(task->links, place)));
	if (stay == HANDOVER_LEAVES)
		task->leaving = true;
	if (stay == HANDOVER_STAYS || stay == HANDOVER_LEAVES)
		return false;
	return end_link(task, place, stay == HANDOVER_WAS_CUT_OFF);
}

/* the watch's thread */
static void on_mapped(void *owner, const uint32_t *link_of_slot)
{
	struct task *task = owner;
	struct handover_news news;

	if (!task->handover)
		return;
	task->leaving = false;
	number_owners(task, link_of_slot);
	news = handover_map(task->handover, task->owners);
	if (news.gone > 0)
		log_warning(
			"%u master%s of the source without slots %s not answer any more: nothing waits for what was not received from there",
			news.gone, news.gone == 1 ? "" : "s", news.gone == 1 ? "does" : "do");
	if (news.settled > 0 && handover_moving(task->handover) == 0)
		log_info("no slot of the source is on its way from one master to another any more");
	if (task->marks_left && clock_monotonic_us() - task->cleaned_us >= CLEAN_INTERVAL_US && clean_up(task))
		log_info("the marks of links that have ended are removed from the target");
}

/* the watch's thread */
static bool on_calm_asked(void *owner)
{
	struct task *task = owner;

	if (task->leaving || (task->handover && handover_wants_map(task->handover)))
		return false;
	for (uint32_t i = 0; i < links_count(task->links); i++)
		if (links_at(task->links, i) && !link_connected(links_at(task->links, i)))
			return false;
	return true;
}

static const struct source_watch_events watch_callbacks = {on_seen, on_came, on_mapped, on_left, on_calm_asked};

bool task_links_watch(struct task *task, struct error *error)
{
	char *name = memory_printf("keyferry:%s:watch", task->options->name);
	struct endpoint *left = NULL;
	struct source_watch_options options = {
		.source = &task->options->source,
		.client_name = name,
		.connect_timeout_ms = task->options->connect_timeout_ms,
		.topology = deployment_topology(task->source),
		.left_count = links_count(task->links) - deployment_topology(task->source)->shard_count,
	};

	options.left = left = memory_alloc_zero(options.left_count, sizeof(*left));
	for (uint32_t i = 0; i < options.left_count; i++) {
		struct endpoint from;

		link_endpoints(links_at(task->links, options.topology->shard_count + i), &left[i], &from);
	}
	task->watch = source_watch_start(&options, &watch_callbacks, task, error);
	free(left);
	free(name);
	return task->watch != NULL;
}
