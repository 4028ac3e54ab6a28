/* Items about what a server refuses writes for: snapshots that fail, too few replicas. */
#include "precheck/precheck_state.h"

#include <string.h>

void judge_persistence(const struct subject *subject)
{
	const struct node *node = subject->node;
	const char *stops = node->settings[SETTING_STOP_WRITES], *save = node->settings[SETTING_SAVE],
		   *diskless = node->settings[SETTING_DISKLESS_SYNC];
	bool source = subject->side == PRECHECK_SOURCE, snapshot_failed = node_word_is(node, "rdb_last_bgsave_status", "err");
	bool aof_failed = node_word_is(node, "aof_last_write_status", "err");
	/* The condition of the servers: with points for saving, and not switched off. Where settings are not told, the answer to a write says it. */
	bool refuses = aof_failed || strncmp(node->write_refusal, "\"MISCONF", 8) == 0 ||
		       (snapshot_failed && stops && strcmp(stops, "yes") == 0 && save && save[0]);
	struct finding *finding;

	if (refuses) {
		finding = finding_add(subject, source ? PRECHECK_WARNING : PRECHECK_FAILED,
				      source ? TEXT_PERSISTENCE_WRITES_SOURCE : TEXT_PERSISTENCE_WRITES_TARGET);
		finding_argument(finding, "%s",
				 node->write_refusal[0] ? node->write_refusal
				 : aof_failed           ? "aof_last_write_status: err"
							: "rdb_last_bgsave_status: err");
	} else if (source && snapshot_failed && diskless && strcmp(diskless, "no") == 0 &&
		   subject->precheck->options->task->source.mode != MODE_SCAN) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_PERSISTENCE_SNAPSHOT);
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	finding_measured(finding, "rdb_last_bgsave_status %s, aof_last_write_status %s", snapshot_failed ? "err" : "ok",
			 aof_failed ? "err" : "ok");
}

void judge_min_replicas(const struct subject *subject)
{
	const struct node *node = subject->node;
	enum node_setting setting = node->settings[SETTING_MIN_REPLICAS] ? SETTING_MIN_REPLICAS : SETTING_MIN_REPLICAS_OLD;
	bool source = subject->side == PRECHECK_SOURCE, refused = strncmp(node->write_refusal, "\"NOREPLICAS", 11) == 0;
	uint64_t wanted = 0, good = 0;
	bool known = node_setting_number(node, setting, &wanted);
	struct finding *finding;

	if (!known && !refused) {
		finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_SETTING_NOT_TOLD);
		finding_argument(finding, "%s", node_setting_name(setting));
		finding_argument(finding, "%s", node_settings_refusal(node));
		return;
	}
	/* Told only where the setting is more than 0. */
	if (!node_number(node, "min_slaves_good_slaves", &good) && !node_number(node, "min_replicas_good_replicas", &good))
		node_number(node, "connected_slaves", &good);
	if (refused || wanted > good) {
		finding = finding_add(subject, source ? PRECHECK_WARNING : PRECHECK_FAILED,
				      source ? TEXT_MIN_REPLICAS_SOURCE : TEXT_MIN_REPLICAS_TARGET);
		finding_argument(finding, "%s %llu", node_setting_name(setting), (unsigned long long)wanted);
		finding_argument(finding, "%llu", (unsigned long long)good);
		finding_argument(finding, "%s", node_setting_name(setting));
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	finding_measured(finding, "%s %llu, %llu", node_setting_name(setting), (unsigned long long)wanted,
			 (unsigned long long)good);
}
