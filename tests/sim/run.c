#include "run.h"

#include "base/memory.h"
#include "disk.h"
#include "keyferry.h"
#include "process.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_MOST (400 * SECOND)
#define STEPS_MOST 30000000ULL /* something goes round in circles */
#define QUIET                                                                                                                    \
	(10 *                                                                                                                    \
	 SECOND) /* commands that a dead connection has left behind would come in this time, and a loss of the target is made good */

struct run {
	const struct run_options *options;
	struct site *source, *target;
	struct load load;
	struct keyferry *keyferry;
	struct occasion fault;
	struct occasion move;  /* of a slot of the source ... */
	uint64_t moves_wanted; /* ... as many times */
	bool may_return;       /* also one that has moved before */
	bool moved[SLOT_COUNT];
	bool faults_over;
	int64_t wanted[SITE_SHARDS_MAX]; /* offsets when the load had ended; later ones are heartbeats */
	uint64_t pause_us;               /* between faults, on average */
};

/* ---- faults ---- */

static struct server *any_node(struct site *site)
{
	return &site->shards[chance_below(site->shard_count)].nodes[chance_below(SITE_NODES)];
}

static struct server *any_master(struct site *site)
{
	return group_master(&site->shards[chance_below(site->shard_count)]);
}

static void disturb_link(struct site *site)
{
	const struct server *node = any_master(site);

	switch (chance_below(4)) {
	case 0: network_silence(&node->host); break;
	case 1: network_cut_all(&node->host); break;
	default: network_cut(&node->host); break;
	}
}

static void disturb_source(struct run *run)
{
	if (chance_of(20)) {
		uint64_t us = chance_between(1, 1500) * MS;

		trace("fault: keyferry hangs for %.3f s", (double)us / SECOND);
		process_hold_up(us);
	} else if (chance_of(20)) {
		server_freeze(any_master(run->source), chance_between(1, 4000) * MS);
	} else {
		disturb_link(run->source);
	}
}

/* The same data under a new id, as a replica that had everything goes on. */
static void rename_source(struct run *run)
{
	struct group *shard = &run->source->shards[chance_below(run->source->shard_count)];

	memcpy(shard->replid2, shard->replid, sizeof(shard->replid2));
	shard->second_offset = replication_offset(shard);
	site_random_id(shard->replid);
	trace("fault: the history of %s goes on as %s", group_master(shard)->host.endpoint.host, shard->replid);
	replication_drop(shard);
}

static void resync_source(struct run *run)
{
	struct group *shard = &run->source->shards[chance_below(run->source->shard_count)];
	struct server *replica = group_replica(shard);

	/* A failover that loses something removes keys, too. */
	if (!run->load.removes || chance_of(50)) {
		trace("fault: %s has lost its backlog", group_master(shard)->host.endpoint.host);
		site_random_id(shard->replid);
		shard->replid2[0] = '\0';
		replication_drop(shard);
	} else if (replica->applied > 0) {
		site_restart_older(shard, chance_between(1, 3000) * MS);
	}
}

static void disturb_target(struct run *run)
{
	switch (chance_below(6)) {
	case 0: server_freeze(any_master(run->target), chance_between(1, 5000) * MS); break;
	case 1:
		if (!run->target->moving.active)
			server_go_down(any_node(run->target), chance_between(1, 5000) * MS);
		break;
	case 2:
		if (run->target->cluster)
			server_lose_cluster(any_master(run->target), chance_between(1, 3000) * MS);
		break;
	default: disturb_link(run->target); break;
	}
}

static void refuse_at_target(struct run *run)
{
	struct server *node = any_master(run->target);

	if (chance_of(60))
		server_run_out_of_memory(node, chance_between(1, 3000) * MS);
	else
		server_load(node, chance_between(1, 2000) * MS);
}

static void move_at_target(struct run *run)
{
	struct site *target = run->target;

	for (unsigned i = 0; i < target->shard_count; i++)
		if (group_replica(&target->shards[i])->cut_off)
			return; /* a rollback to come would lose keys between two nodes, which no replica of it could know */
	if (target->shard_count > 1)
		site_move_slot(target, load_slot(), (unsigned)chance_below(target->shard_count));
}

#define MOVES_MOST 8 /* one after the other */

/* A full resync while a slot is on its way may leave keys of it in the target (docs/delivery.md), and who is killed in its first snapshot takes another one. */
static bool may_move(struct run *run, uint16_t slot)
{
	static const int64_t begun[SITE_SHARDS_MAX];

	return run->may_return || (!run->moved[slot] && keyferry_runs(run->keyferry) &&
				   keyferry_has_applied(run->keyferry, begun, run->source->shard_count));
}

static void on_move(void *owner)
{
	struct run *run = owner;
	struct site *source = run->source;
	uint16_t slot;

	if (run->faults_over || run->moves_wanted == 0)
		return;
	slot = load_slot();
	if (may_move(run, slot) && site_move_slot(source, slot, (unsigned)chance_below(source->shard_count))) {
		run->moved[slot] = true;
		run->moves_wanted--;
	}
	occasion_plan_in(&run->move, chance_between(1, 300) * MS);
}

static void move_at_source(struct run *run, bool may_return)
{
	run->may_return = may_return;
	run->moves_wanted = chance_between(1, MOVES_MOST);
	if (!occasion_planned(&run->move))
		occasion_plan_in(&run->move, chance_between(1, 100) * MS);
}

static void lose_at_target(struct run *run)
{
	struct site *target = run->target;
	struct group *shard = &target->shards[chance_below(target->shard_count)];
	struct server *replica = group_replica(shard);

	if (target->moving.active)
		return;
	if (!replica->cut_off) {
		trace("fault: the replica of %s is cut off", group_master(shard)->host.endpoint.host);
		replica->cut_off = true;
	} else if (target->cluster) {
		site_fail_over(shard, chance_between(1, 5000) * MS);
	} else {
		site_restart_older(shard, chance_between(1, 5000) * MS);
	}
}

static void cause(struct run *run, enum fault fault)
{
	switch (fault) {
	case FAULT_SOURCE_LINK: disturb_source(run); break;
	case FAULT_SOURCE_RENAME: rename_source(run); break;
	case FAULT_SOURCE_RESYNC: resync_source(run); break;
	case FAULT_TARGET_LINK: disturb_target(run); break;
	case FAULT_TARGET_REFUSES: refuse_at_target(run); break;
	case FAULT_TARGET_MOVES: move_at_target(run); break;
	case FAULT_TARGET_LOSES: lose_at_target(run); break;
	case FAULT_STOP: keyferry_stop(run->keyferry); break;
	case FAULT_KILL: keyferry_kill(run->keyferry, false); break;
	case FAULT_POWER: keyferry_kill(run->keyferry, true); break;
	case FAULT_SOURCE_MOVES: move_at_source(run, false); break;
	case FAULT_SOURCE_RETURNS: move_at_source(run, true); break;
	}
}

static void on_fault(void *owner)
{
	struct run *run = owner;
	unsigned faults = run->options->profile->faults, bit;

	if (run->faults_over)
		return;
	do
		bit = 1u << chance_below(faults & FAULT_SOURCE_MOVES ? 12 : 10);
	while (!(faults & bit));
	cause(run, (enum fault)bit);
	occasion_plan_in(&run->fault, chance_below(2 * run->pause_us));
}

/* ---- comparing ---- */

struct comparison {
	struct keyspace *other;
	unsigned differences;
	char first[400];
};

/* The last of its items. */
static void show_value(const struct value *value, char out[120])
{
	size_t used = 0;

	out[0] = '\0';
	if (!value)
		snprintf(out, 120, "missing");
	for (size_t i = value && value->count > 6 ? value->count - 6 : 0; value && i < value->count && used + 40 < 120; i++) {
		const struct text *item = &value->items[i];
		size_t tail = item->len > 24 ? item->len - 24 : 0;

		used += (size_t)snprintf(out + used, 120 - used, "%s%.*s", used > 0 ? " " : "", (int)(item->len - tail),
					 (const char *)item->data + tail);
	}
}

static void compare_key(void *owner, unsigned db, const struct key *key)
{
	struct comparison *comparison = owner;
	const struct value *other = keyspace_find(comparison->other, db, text_slice(&key->name));
	char a[120], b[120];

	if (other && value_equal(&key->value, other))
		return;
	show_value(&key->value, a);
	show_value(other, b);
	trace("differs: db%u %.*s: source ...%s (%zu), target ...%s (%zu)", db, (int)key->name.len, (const char *)key->name.data,
	      a, key->value.count, b, other ? other->count : 0);
	if (comparison->differences++ == 0)
		snprintf(comparison->first, sizeof(comparison->first), "db%u %.*s is ...%s at the source and ...%s at the target",
			 db, (int)key->name.len, (const char *)key->name.data, a, b);
}

static void extra_key(void *owner, unsigned db, const struct key *key)
{
	struct comparison *comparison = owner;

	if (keyspace_find(comparison->other, db, text_slice(&key->name)))
		return;
	trace("differs: db%u %.*s is at the target alone", db, (int)key->name.len, (const char *)key->name.data);
	if (comparison->differences++ == 0)
		snprintf(comparison->first, sizeof(comparison->first), "db%u %.*s is at the target alone", db, (int)key->name.len,
			 (const char *)key->name.data);
}

static enum promise promise_of(const struct run *run)
{
	return run->options->strict ? PROMISE_EXACT : run->options->profile->promises[run->options->load];
}

static void compare(struct run *run, enum promise promise, struct run_result *result)
{
	struct keyspace *source = memory_alloc_zero(1, sizeof(*source)), *target = memory_alloc_zero(1, sizeof(*target));
	struct comparison comparison = {.other = target};

	site_collect(run->source, source);
	site_collect(run->target, target);
	keyspace_each(source, compare_key, &comparison);
	comparison.other = source;
	keyspace_each(target, extra_key, &comparison);
	if (comparison.differences > 0 && promise == PROMISE_EXACT) {
		result->good = false;
		snprintf(result->why, sizeof(result->why), "%u keys differ: %s", comparison.differences, comparison.first);
	}
	keyspace_free(source);
	keyspace_free(target);
	free(source);
	free(target);
}

/* ---- the course of a run ---- */

/* Steps until the condition holds. False: keyferry failed, or the time is over. */
static bool go_on(struct run *run, bool (*reached)(struct run *run), uint64_t until)
{
	while (!reached(run)) {
		keyferry_watch(run->keyferry);
		if (keyferry_failure(run->keyferry) || world_now() >= until || world_steps() > STEPS_MOST || !world_step())
			return false;
		process_step();
	}
	return true;
}

static bool load_is_over(struct run *run)
{
	return world_now() >= run->load.ends_at;
}

static bool all_acknowledged(struct run *run)
{
	if (!keyferry_runs(run->keyferry) || run->target->moving.active)
		return false;
	for (unsigned i = 0; i < run->source->shard_count; i++)
		if (run->source->shards[i].acknowledged < run->wanted[i])
			return false;
	return keyferry_has_applied(run->keyferry, run->wanted, run->source->shard_count);
}

static bool never(struct run *run)
{
	(void)run;
	return false;
}

static void fail(struct run *run, struct run_result *result, const char *otherwise)
{
	const char *failure = keyferry_failure(run->keyferry);

	result->good = keyferry_met_conflict(run->keyferry) && promise_of(run) == PROMISE_NOTHING;
	keyferry_tell(run->keyferry);
	for (unsigned i = 0; i < run->source->shard_count; i++)
		trace("source %u: offset %lld, acknowledged %lld", i, (long long)replication_offset(&run->source->shards[i]),
		      (long long)run->source->shards[i].acknowledged);
	snprintf(result->why, sizeof(result->why), "%s", failure ? failure : otherwise);
}

static void live(struct run *run, struct run_result *result)
{
	if (run->options->profile->faults)
		occasion_plan_in(&run->fault, chance_below(2 * run->pause_us));
	if (!go_on(run, load_is_over, UINT64_MAX)) {
		fail(run, result, "the world stands still");
		return;
	}
	trace("the load has ended: %llu commands", (unsigned long long)run->load.commands);
	run->faults_over = true;
	occasion_cancel(&run->fault);
	occasion_cancel(&run->move);
	site_heal(run->source);
	site_heal(run->target);
	for (unsigned i = 0; i < run->source->shard_count; i++)
		run->wanted[i] = replication_offset(&run->source->shards[i]);
	if (!go_on(run, all_acknowledged, world_now() + SETTLE_MOST)) {
		fail(run, result, "it does not catch up");
		return;
	}
	go_on(run, never, world_now() + QUIET);
	if (keyferry_failure(run->keyferry)) {
		fail(run, result, "");
		return;
	}
	trace("at rest");
	compare(run, promise_of(run), result);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	return walk->level > 0 ? remove(path) : 0;
}

static void make_world(struct run *run)
{
	bool source_cluster = chance_of(40), target_cluster = chance_of(60) || source_cluster;
	bool moves = run->options->profile->faults & FAULT_SOURCE_MOVES;
	uint64_t duration = chance_between(2, 15) * SECOND;

	if (run->options->profile->faults & FAULT_TARGET_MOVES)
		target_cluster = true;
	if (moves)
		source_cluster = target_cluster = true;
	site_init(run->source, "source", source_cluster, source_cluster ? (unsigned)chance_between(moves ? 2 : 1, 3) : 1, 1,
		  chance_between(20, 2000));
	site_init(run->target, "target", target_cluster, target_cluster ? (unsigned)chance_between(2, 4) : 1, 2,
		  chance_between(20, 5000));
	if (run->options->mutate)
		run->options->mutate(run->source, run->target);
	run->load.databases = !source_cluster && !target_cluster;
	run->load.many_slots = !source_cluster;
	run->load.removes = chance_of(60);
	run->load.bulky = chance_of(10);
	run->pause_us = chance_between(100, 2000) * MS;
	occasion_init(&run->fault, on_fault, run);
	occasion_init(&run->move, on_move, run);
	load_begin(&run->load, run->source, run->options->load, duration);
	run->keyferry = keyferry_new(run->source, run->target);
}

void run_seed(const struct run_options *options, struct run_result *ret)
{
	struct run run = {.options = options};

	*ret = (struct run_result){.good = true};
	if (chdir(options->folder) < 0) {
		perror(options->folder);
		exit(2);
	}
	world_begin(options->seed, options->show);
	disk_begin();
	network_begin();
	run.source = memory_alloc_zero(1, sizeof(*run.source));
	run.target = memory_alloc_zero(1, sizeof(*run.target));
	make_world(&run);
	live(&run, ret);
	if (!ret->good)
		trace("failed: %s", ret->why);
	ret->hash = trace_hash();
	ret->commands = run.load.commands;
	ret->steps = world_steps();
	ret->virtual_us = world_now();
	ret->starts = keyferry_starts(run.keyferry);
	ret->moves = run.target->moves;
	ret->source_moves = run.source->moves;
	ret->failovers = run.target->failovers;
	for (unsigned i = 0; i < run.source->shard_count; i++)
		ret->full_resyncs += run.source->shards[i].full_resyncs;
	occasion_cancel(&run.fault);
	occasion_cancel(&run.move);
	keyferry_free(run.keyferry);
	load_end(&run.load);
	site_free(run.source);
	site_free(run.target);
	network_end();
	free(run.source);
	free(run.target);
	nftw(".", remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
