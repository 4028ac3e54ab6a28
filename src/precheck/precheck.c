#include "precheck/precheck.h"

#include "base/memory.h"
#include "base/suggest.h"
#include "link/scan_rights.h"
#include "precheck/abilities.h"
#include "precheck/interview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a network and a target take at least, as a guess; a source that is slower says so by its last snapshot. */
#define SNAPSHOT_BYTES_PER_SECOND (50ULL << 20)

/* ---- nodes ---- */

/* The next node of a side behind `node` (NULL: the first). */
static const struct node *next_node(const struct precheck *precheck, enum precheck_side side, const struct node *node)
{
	for (node = node ? node + 1 : precheck->nodes; node < precheck->nodes + precheck->node_count; node++)
		if (node->side == side)
			return node;
	return NULL;
}

const struct node *precheck_next_master(const struct precheck *precheck, enum precheck_side side, const struct node *node)
{
	do {
		node = next_node(precheck, side, node);
	} while (node && (!node->master || !node->answered));
	return node;
}

bool precheck_is_cluster(const struct precheck *precheck, enum precheck_side side)
{
	const struct deployment *deployment = side == PRECHECK_SOURCE ? precheck->options->source : precheck->options->target;

	return deployment && deployment_topology(deployment)->cluster;
}

static void add_node(struct precheck *precheck, enum precheck_side side, uint32_t shard, const struct endpoint *endpoint,
		     bool master, bool reads)
{
	struct node *node;

	precheck->nodes = memory_realloc_array(precheck->nodes, precheck->node_count + 1, sizeof(*precheck->nodes));
	node = &precheck->nodes[precheck->node_count++];
	*node = (struct node){
		.side = side, .shard = shard, .endpoint = *endpoint, .master = master, .reads = reads, .sampled_offset = -1};
	endpoint_format(endpoint, node->name);
}

static void add_side(struct precheck *precheck, enum precheck_side side, struct deployment *deployment)
{
	const struct topology *topology = deployment ? deployment_topology(deployment) : NULL;

	for (uint32_t i = 0; topology && i < topology->shard_count; i++) {
		const struct shard *shard = &topology->shards[i];
		struct endpoint from = scan_rights_read_from(precheck->options->task, shard);

		add_node(precheck, side, i, &shard->master, true,
			 side == PRECHECK_SOURCE && endpoint_equal(&from, &shard->master));
		for (uint32_t k = 0; k < shard->replica_count; k++)
			add_node(precheck, side, i, &shard->replicas[k], false,
				 side == PRECHECK_SOURCE && endpoint_equal(&from, &shard->replicas[k]));
	}
}

struct limit {
	const char *name;
	double seconds;
};

struct estimate precheck_estimate(const struct precheck *precheck, const struct node *source)
{
	const struct task_options *task = precheck->options->task;
	struct estimate estimate = {.bytes = source->info.used_memory, .keys = source->info.keys};
	uint64_t dataset, last = 0;
	struct limit limits[4] = {{"50 MiB/s", 0}};

	/* Since 4.0: without buffers and tables. A file is smaller than what it was in memory, but for a few kinds of value. */
	if (node_number(source, "used_memory_dataset", &dataset) && dataset < estimate.bytes)
		estimate.bytes = dataset;
	limits[0].seconds = (double)estimate.bytes / (double)SNAPSHOT_BYTES_PER_SECOND;
	/* -1 before the first one is no number here. */
	if (node_number(source, "rdb_last_bgsave_time_sec", &last))
		limits[1] = (struct limit){"rdb_last_bgsave_time_sec", (double)last};
	if (task->limit_records_per_second)
		limits[2] = (struct limit){"limit.records_per_second",
					   (double)estimate.keys / (double)task->limit_records_per_second};
	if (task->limit_bytes_per_second)
		limits[3] =
			(struct limit){"limit.bytes_per_second", (double)estimate.bytes / (double)task->limit_bytes_per_second};
	for (int i = 0; i < 4; i++) {
		if (i > 0 && limits[i].seconds <= estimate.seconds)
			continue;
		estimate.seconds = limits[i].seconds;
		estimate.limit = limits[i].name;
	}
	return estimate;
}

/* ---- items ---- */

static bool is_open(const struct precheck *precheck, enum precheck_side side)
{
	return (side == PRECHECK_SOURCE ? precheck->options->source : precheck->options->target) != NULL;
}

/* Has every master of the side answered? */
static bool is_whole(const struct precheck *precheck, enum precheck_side side)
{
	const struct node *node = NULL;
	bool whole = is_open(precheck, side);

	while ((node = next_node(precheck, side, node)))
		whole &= !node->master || node->answered;
	return whole;
}

static void judge_side(struct precheck *precheck, const struct precheck_item *item, enum precheck_side side)
{
	struct subject subject = {.precheck = precheck, .item = item, .side = side};

	if (item->scope & SCOPE_NODES) {
		if (!is_open(precheck, side))
			item->judge(&subject);
		while ((subject.node = next_node(precheck, side, subject.node)))
			item->judge(&subject);
	} else if (item->scope & SCOPE_MASTERS) {
		while ((subject.node = precheck_next_master(precheck, side, subject.node)))
			item->judge(&subject);
	} else if (is_whole(precheck, side)) {
		item->judge(&subject);
	}
}

static void judge_item(struct precheck *precheck, const struct precheck_item *item)
{
	struct subject here = {.precheck = precheck, .item = item, .side = PRECHECK_HERE};

	/* What compares both sides needs all of both. */
	if ((item->scope & SCOPE_COMPARES) &&
	    (!is_whole(precheck, PRECHECK_TARGET) || (!precheck->options->files && !is_whole(precheck, PRECHECK_SOURCE))))
		return;
	if (item->scope & SCOPE_ONCE)
		item->judge(&here);
	if (item->scope & SCOPE_OF_SOURCE)
		judge_side(precheck, item, PRECHECK_SOURCE);
	if (item->scope & SCOPE_OF_TARGET)
		judge_side(precheck, item, PRECHECK_TARGET);
}

bool precheck_waive_check(const struct task_options *task, struct error *error)
{
	const char *names[64];
	size_t count = 0;

	for (; count < precheck_item_count; count++)
		names[count] = precheck_items[count].name;
	for (size_t i = 0; i < task->waive.count; i++) {
		const struct precheck_item *item = precheck_item_find(task->waive.items[i]);
		const char *near = suggest_nearest(slice_of_string(task->waive.items[i]), names, count);
		char quoted[80];

		if (item && !item->fixed)
			continue;
		slice_quote(slice_of_string(task->waive.items[i]), quoted, sizeof(quoted));
		if (item)
			error_set(error, ERROR_USAGE, "precheck.waive: the item %s cannot be waived", quoted);
		else
			error_set(error, ERROR_USAGE, "precheck.waive: there is no item %s%s%s%s", quoted,
				  near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
		error_hint(error, "'keyferry precheck --list' shows all items, and which can be waived");
		return false;
	}
	return true;
}

static void read_abilities(struct precheck *precheck)
{
	const struct precheck_options *options = precheck->options;
	bool to_files = deployment_options_are_files(&options->task->target);
	enum precheck_side side = to_files ? PRECHECK_SOURCE : PRECHECK_TARGET;

	if (!abilities_read(precheck, side, &precheck->abilities, precheck->target_name) && to_files)
		precheck->abilities = abilities_of_files(precheck->target_name);
}

bool precheck_run(const struct precheck_options *options, struct precheck_report *ret, struct target_abilities *ret_abilities,
		  char name[64], struct error *error)
{
	struct precheck precheck = {.options = options, .report = {.task = options->task->name}};

	if (!precheck_waive_check(options->task, error))
		return false;
	add_side(&precheck, PRECHECK_SOURCE, options->source);
	add_side(&precheck, PRECHECK_TARGET, options->target);
	interview_run(&precheck);
	read_abilities(&precheck);
	for (uint32_t i = 0; i < precheck_item_count; i++)
		judge_item(&precheck, &precheck_items[i]);
	if (ret_abilities) {
		memcpy(name, precheck.target_name, sizeof(precheck.target_name));
		*ret_abilities = precheck.abilities;
		ret_abilities->name = name;
	}
	for (uint32_t i = 0; i < precheck.node_count; i++)
		node_release(&precheck.nodes[i]);
	free(precheck.nodes);
	usage_free(&precheck.usage);
	*ret = precheck.report;
	return true;
}

/* ---- the verdict ---- */

static enum error_kind kind_of(const struct finding *finding)
{
	if (finding->item->kind == ERROR_SOURCE && finding->side == PRECHECK_TARGET)
		return ERROR_TARGET;
	return finding->item->kind;
}

enum error_kind precheck_verdict(const struct precheck_report *report, const struct finding **ret_finding)
{
	const struct finding *worst = NULL;

	for (uint32_t i = 0; i < report->count; i++) {
		const struct finding *finding = &report->findings[i];

		if (finding->result != PRECHECK_FAILED || finding->waived)
			continue;
		/* The first of all, unless one behind it is an obstacle of the task itself. */
		if (!worst || (kind_of(worst) != ERROR_PRECHECK && kind_of(finding) == ERROR_PRECHECK))
			worst = finding;
	}
	if (ret_finding)
		*ret_finding = worst;
	return worst ? kind_of(worst) : ERROR_NONE;
}
