/* Items about rights: what the users may do. Asked by rights.h. */
#include "link/scan_rights.h"
#include "precheck/precheck_state.h"

#include <stdio.h>

static const char *user_of(const struct subject *subject)
{
	const struct task_options *task = subject->precheck->options->task;

	return node_user(subject->node, subject->side == PRECHECK_SOURCE ? &task->source.credentials : &task->target.credentials);
}

void judge_psync(const struct subject *subject)
{
	const struct precheck *precheck = subject->precheck;
	const struct node *node = subject->node;
	struct subject at = *subject;
	struct finding *finding;

	if (precheck->options->task->source.mode == MODE_SCAN)
		return;
	/* Where a replica is read, it is that one. */
	for (uint32_t i = 0; i < precheck->node_count; i++)
		if (precheck->nodes[i].side == PRECHECK_SOURCE && precheck->nodes[i].reads &&
		    precheck->nodes[i].shard == node->shard)
			at.node = &precheck->nodes[i];
	node = at.node;
	if (node->psync.state == RIGHT_UNKNOWN) {
		finding_argument(finding_add(&at, PRECHECK_FAILED, TEXT_PSYNC_UNKNOWN), "%s", node->psync.said);
	} else if (node->psync.state == RIGHT_MISSING || node->rules_needed[0]) {
		bool missing = node->psync.state == RIGHT_MISSING;

		finding = finding_add(&at, PRECHECK_FAILED, TEXT_PSYNC_DENIED);
		finding_argument(finding, "%s", user_of(&at));
		finding_argument(finding, "%s%s%s", missing ? "+psync" : "", missing && node->rules_needed[0] ? " " : "",
				 node->rules_needed);
		finding_argument(finding, "%s", missing ? node->psync.said : node->denial);
	} else if (node->psync.state == RIGHT_NOT_ASKED) {
		finding_argument(finding_add(&at, PRECHECK_SKIPPED, TEXT_PSYNC_NOT_ASKED), "Redis 6.0");
	} else {
		finding_measured(finding_add(&at, PRECHECK_PASSED, TEXT_NONE), "PSYNC");
	}
}

/* What scan_rights_check() warns of. */
static void note_warning(void *owner, const char *text)
{
	finding_argument(finding_add(owner, PRECHECK_WARNING, TEXT_SCAN_TOLD), "%s", text);
}

void judge_scan(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	struct subject copy = *subject;
	uint32_t before = subject->precheck->report.count;
	struct finding *finding;
	struct error error;

	if (options->task->source.mode != MODE_SCAN)
		return;
	if (scan_rights_check(options->task, options->loop, options->source, subject->node->shard, note_warning, &copy, &error)) {
		if (subject->precheck->report.count == before)
			finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
		return;
	}
	finding = finding_add(subject, PRECHECK_FAILED, TEXT_SCAN);
	finding_argument(finding, "%s", error.text);
	finding_argument(finding, "%s", error.hint);
}

void judge_heartbeat(const struct subject *subject)
{
	const struct node *node = subject->node;
	struct finding *finding;

	if (!subject->precheck->options->task->heartbeat)
		return;
	if (node->info.role == ROLE_REPLICA) {
		finding_add(subject, PRECHECK_SKIPPED, TEXT_HEARTBEAT_NOT_ASKED);
		return;
	}
	if (node->heartbeat.state == RIGHT_GRANTED) {
		finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "SETEX");
		return;
	}
	finding = finding_add(subject, PRECHECK_WARNING, TEXT_HEARTBEAT);
	finding_argument(finding, "%s",
			 node->heartbeat.said[0]  ? node->heartbeat.said
			 : node->write_refusal[0] ? node->write_refusal
						  : "SETEX");
	finding_argument(finding, "%s", user_of(subject));
}

void judge_rights(const struct subject *subject)
{
	const struct node *node = subject->node;
	struct finding *finding;

	if (node->rules_needed[0]) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_RIGHTS);
		finding_argument(finding, "%s", user_of(subject));
		finding_argument(finding, "%s", node->rules_needed);
		finding_argument(finding, "%s", node->denial);
	} else if (!node->rights_asked || node->rights_refusal[0]) {
		finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_RIGHTS_NOT_ASKED), "%s",
				 node->rights_refusal[0] ? node->rights_refusal : "EXEC");
		return;
	}
	if (node->rules_later[0]) {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_RIGHTS_LATER);
		finding_argument(finding, "%s", user_of(subject));
		finding_argument(finding, "%s", node->rules_later);
		finding_argument(finding, "%s", node->later_why);
	}
	if (node->rules_seen[0]) {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_RIGHTS_SEEN);
		finding_argument(finding, "%s", user_of(subject));
		finding_argument(finding, "%s", node->rules_seen);
	}
	if (!node->rules_needed[0] && !node->rules_later[0] && !node->rules_seen[0])
		finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "%s", user_of(subject));
}
