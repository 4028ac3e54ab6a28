/* Items about room for the data at the target. */
#include "precheck/precheck_state.h"
#include "sink/checkpoint.h"

#include <stdio.h>
#include <string.h>

#define MARKS_MOST 200000ULL /* keys on one master: of more not all are marks */

/* DBSIZE counts one database; the keyspace of INFO counts all. */
void judge_target_empty(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	uint64_t keys = subject->node->info.keys, marks;
	bool fails = options->task->existing == EXISTING_FAIL;
	struct finding *finding;
	struct error ignored;

	if (options->own_data || options->task->existing == EXISTING_MERGE) {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
		finding_measured(finding, "%llu keys, %s", (unsigned long long)keys,
				 options->own_data ? "keyferry:task" : "target.existing: merge");
		return;
	}
	/* Marks of other tasks are no data. */
	if (keys > 0 && keys <= MARKS_MOST && checkpoint_count(options->target, subject->node->shard, &marks, &ignored))
		keys -= marks < keys ? marks : keys;
	finding = finding_add(subject,
			      keys == 0 ? PRECHECK_PASSED
			      : fails   ? PRECHECK_FAILED
					: PRECHECK_WARNING,
			      keys == 0 ? TEXT_NONE
			      : fails   ? TEXT_TARGET_EMPTY
					: TEXT_TARGET_FLUSH);
	finding_argument(finding, "%llu", (unsigned long long)keys);
	finding_measured(finding, "%llu keys", (unsigned long long)keys);
}

static bool evicts(const struct node *node)
{
	return node->settings[SETTING_EVICTION] && strcmp(node->settings[SETTING_EVICTION], "noeviction") != 0;
}

/* The room of one node; UINT64_MAX: without bounds, or it makes room itself. */
static uint64_t room_of(const struct node *node)
{
	uint64_t most = node->info.maxmemory, total;

	if (most == 0 && node_number(node, "total_system_memory", &total))
		most = total;
	if (most == 0 || (node->info.maxmemory > 0 && evicts(node)))
		return UINT64_MAX;
	return most > node->info.used_memory ? most - node->info.used_memory : 0;
}

/* The data of all source masters against the room of all target masters: how they are spread over them is not known. */
static bool is_short(const struct precheck *precheck, uint64_t *ret_needed, uint64_t *ret_room)
{
	const struct node *node = NULL;

	*ret_needed = *ret_room = 0;
	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node)))
		*ret_needed += precheck_estimate(precheck, node).bytes;
	while ((node = precheck_next_master(precheck, PRECHECK_TARGET, node))) {
		uint64_t room = room_of(node);

		if (room == UINT64_MAX)
			return false;
		*ret_room += room;
	}
	return *ret_needed > *ret_room;
}

void judge_target_memory(const struct subject *subject)
{
	const struct precheck *precheck = subject->precheck;
	const struct server_info *info = &subject->node->info;
	const char *refusal = subject->node->write_refusal;
	char needed_text[MEASURE_MAX], room_text[MEASURE_MAX];
	struct finding *finding;
	uint64_t needed, room;

	if (strncmp(refusal, "\"OOM", 4) == 0 && !evicts(subject->node)) {
		/* The figures, where they say it themselves. */
		bool full = info->maxmemory > 0 && info->used_memory >= info->maxmemory;

		finding = finding_add(subject, PRECHECK_FAILED, full ? TEXT_MEMORY_FULL : TEXT_MEMORY_REFUSED);
		if (full) {
			finding_argument(finding, "%llu", (unsigned long long)info->used_memory);
			finding_argument(finding, "%llu", (unsigned long long)info->maxmemory);
		} else {
			finding_argument(finding, "%s", refusal);
		}
	} else if (info->maxmemory > 0 && subject->node->settings[SETTING_EVICTION] && !evicts(subject->node) &&
		   info->used_memory >= info->maxmemory) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_MEMORY_FULL);
		finding_argument(finding, "%llu", (unsigned long long)info->used_memory);
		finding_argument(finding, "%llu", (unsigned long long)info->maxmemory);
	} else if (!precheck->options->own_data && subject->node == precheck_next_master(precheck, PRECHECK_TARGET, NULL) &&
		   is_short(precheck, &needed, &room)) {
		/* Once for all of them. */
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_MEMORY_SHORT);
		finding_argument(finding, "%s", measure_bytes(needed, needed_text));
		finding_argument(finding, "%s", measure_bytes(room, room_text));
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	finding_measured(finding, "maxmemory %llu, used_memory %llu", (unsigned long long)info->maxmemory,
			 (unsigned long long)info->used_memory);
}

void judge_eviction(const struct subject *subject)
{
	const struct node *node = subject->node;
	struct finding *finding;
	bool loses;

	if (!node->settings[SETTING_EVICTION]) {
		/* Without a bound nothing is evicted. */
		if (node->info.maxmemory == 0) {
			finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "maxmemory 0");
			return;
		}
		finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_SETTING_NOT_TOLD);
		finding_argument(finding, "%s", node_setting_name(SETTING_EVICTION));
		finding_argument(finding, "%s", node_settings_refusal(node));
		return;
	}
	loses = node->info.maxmemory > 0 && evicts(node);
	finding = finding_add(subject, loses ? PRECHECK_WARNING : PRECHECK_PASSED, loses ? TEXT_EVICTION : TEXT_NONE);
	finding_argument(finding, "%s", node->settings[SETTING_EVICTION]);
	finding_measured(finding, "maxmemory-policy %s, maxmemory %llu", node->settings[SETTING_EVICTION],
			 (unsigned long long)node->info.maxmemory);
}

/* ---- databases ---- */

/* The databases of the source that hold keys and are copied; returns the highest, -1: none. */
static int read_databases(const struct precheck *precheck, uint64_t ret[DATABASES_MAX / 64])
{
	const struct inspection *files = precheck->options->files;
	const struct node *node = NULL;
	int highest = -1;

	_Static_assert(INSPECTION_DATABASES == DATABASES_MAX, "both have as many");
	memset(ret, 0, DATABASES_MAX / 8);
	if (files)
		memcpy(ret, files->databases, DATABASES_MAX / 8);
	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node))) {
		const char *rest = node->texts[NODE_INFO];
		struct slice line;

		while (node_line(&rest, &line)) {
			const uint8_t *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
			uint64_t db;

			if (colon && slice_starts_with(line, SLICE("db")) &&
			    slice_to_uint64(slice_make(line.data + 2, (size_t)(colon - line.data) - 2), &db) &&
			    db < DATABASES_MAX)
				ret[db / 64] |= 1ULL << (db % 64);
		}
	}
	for (int db = 0; db < DATABASES_MAX; db++) {
		if (!(ret[db / 64] >> (db % 64) & 1))
			continue;
		if (task_options_database_selected(precheck->options->task, (uint32_t)db))
			highest = db;
		else
			ret[db / 64] &= ~(1ULL << (db % 64));
	}
	return highest;
}

/* Lists those that go where another one goes, too. */
static void list_meeting(const struct task_options *task, const uint64_t databases[DATABASES_MAX / 64], char out[256])
{
	uint8_t comes[DATABASES_MAX] = {0};
	char number[16];

	out[0] = '\0';
	for (int round = 0; round < 2; round++) {
		for (uint32_t db = 0; db < DATABASES_MAX; db++) {
			uint32_t to = task_options_database_of(task, db);

			if (!(databases[db / 64] >> (db % 64) & 1))
				continue;
			snprintf(number, sizeof(number), "%u", db);
			if (round == 0 && comes[to] < 2)
				comes[to]++;
			else if (round == 1 && comes[to] > 1)
				words_add(out, 256, ", ", number);
		}
	}
}

void judge_databases(const struct subject *subject)
{
	const struct precheck *precheck = subject->precheck;
	const struct task_options *task = precheck->options->task;
	bool cluster = precheck_is_cluster(precheck, PRECHECK_TARGET);
	uint64_t databases[DATABASES_MAX / 64];
	int highest = read_databases(precheck, databases);
	uint32_t count = precheck->abilities.databases, most = 0;
	struct finding *finding;
	char meeting[256];
	int worst = -1;

	/* The one that goes to the highest number is the first that is not there. */
	for (int db = 0; db <= highest; db++) {
		uint32_t to = task_options_database_of(task, (uint32_t)db);

		if ((databases[db / 64] >> (db % 64) & 1) && (to > most || worst < 0)) {
			most = to;
			worst = db;
		}
	}
	list_meeting(task, databases, meeting);
	if (worst >= 0 && count > 0 && most >= count) {
		finding = finding_add(subject, PRECHECK_FAILED,
				      !cluster     ? TEXT_DATABASES_FEW
				      : count == 1 ? TEXT_DATABASES_CLUSTER
						   : TEXT_DATABASES_CLUSTER_FEW);
		finding_argument(finding, "%d", worst);
		finding_argument(finding, "%u", count);
	} else if (meeting[0]) {
		finding_argument(finding = finding_add(subject, PRECHECK_WARNING, TEXT_DATABASES_MEET), "%s", meeting);
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	if (count > 0)
		finding_measured(finding, "0..%d -> %u", highest < 0 ? 0 : highest, count);
}
