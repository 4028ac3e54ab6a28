/* Items about the deployments: who can be reached, who is who, whether the clusters are whole. */
#include "precheck/precheck_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLOCK_MOST_MS 1000 /* further off is a warning */
#define NAMES_MAX 512

static struct deployment *deployment_of(const struct subject *subject)
{
	return subject->side == PRECHECK_SOURCE ? subject->precheck->options->source : subject->precheck->options->target;
}

void judge_connect(const struct subject *subject)
{
	const struct precheck_options *options = subject->precheck->options;
	const struct node *node = subject->node;
	const struct error *error = node                               ? &node->error
				    : subject->side == PRECHECK_SOURCE ? options->source_error
								       : options->target_error;
	struct finding *finding;
	char name[64];

	if (node && node->answered) {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
		finding_measured(finding, "%s%s", server_name(&node->info, name), node->master ? "" : " (replica)");
		return;
	}
	if (!error)
		return;
	/* One that is read instead of its master is as good as one. */
	finding = finding_add(subject, node && !node->master && !node->reads ? PRECHECK_WARNING : PRECHECK_FAILED,
			      node && !node->master && !node->reads ? TEXT_CONNECT_REPLICA : TEXT_CONNECT);
	/* Errors of a whole side say which one it is. */
	finding_argument(finding, "%s%s%s", node && node->master ? precheck_side_name(subject->side) : "",
			 node && node->master ? " " : "", error->text);
	finding_argument(finding, "%s", error->hint);
}

void judge_same_server(const struct subject *subject)
{
	const struct node *target = NULL;

	while ((target = precheck_next_master(subject->precheck, PRECHECK_TARGET, target))) {
		if (!target->info.run_id[0] || strcmp(target->info.run_id, subject->node->info.run_id) != 0)
			continue;
		finding_argument(finding_add(subject, PRECHECK_FAILED, TEXT_SAME_SERVER), "%s", target->name);
		return;
	}
	finding_measured(finding_add(subject, PRECHECK_PASSED, TEXT_NONE), "run_id %s", subject->node->info.run_id);
}

void judge_slots(const struct subject *subject)
{
	const struct topology *topology = deployment_topology(deployment_of(subject));
	struct finding *finding;

	if (!topology->cluster)
		return;
	finding = finding_add(subject, topology->uncovered ? PRECHECK_FAILED : PRECHECK_PASSED,
			      topology->uncovered ? TEXT_SLOTS : TEXT_NONE);
	finding_measured(finding, "%u / 16384", SLOT_COUNT - topology->uncovered);
	finding_argument(finding, "%u", topology->uncovered);
	endpoint_format(&topology->shards[0].master, finding->node);
}

/* ---- what a node says of its cluster ---- */

/* The next word of a line. */
static bool word_next(struct slice *line, struct slice *ret)
{
	size_t len = 0;

	while (line->len > 0 && line->data[0] == ' ')
		*line = slice_make(line->data + 1, line->len - 1);
	while (len < line->len && line->data[len] != ' ')
		len++;
	*ret = slice_make(line->data, len);
	*line = slice_make(line->data + len, line->len - len);
	return len > 0;
}

static bool has(struct slice text, const char *word)
{
	return text.data && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

static void name_add(char names[NAMES_MAX], struct slice name)
{
	char text[128];

	snprintf(text, sizeof(text), "%.*s", (int)name.len, (const char *)name.data);
	words_add(names, NAMES_MAX, ", ", text);
}

/* "<id> <ip:port@cport[,name]> <flags> <master> <ping> <pong> <epoch> <link> <slot> ... [93-<-id] [77->-id]" */
static void read_nodes(const struct node *node, char failing[NAMES_MAX], char moving[NAMES_MAX])
{
	const char *rest = node->texts[NODE_CLUSTER_NODES];
	struct slice line;

	failing[0] = moving[0] = '\0';
	while (node_line(&rest, &line)) {
		struct slice id, address, flags, word;

		if (!word_next(&line, &id) || !word_next(&line, &address) || !word_next(&line, &flags))
			continue;
		if (has(flags, "fail") && !has(flags, "nofailover"))
			name_add(failing, address);
		if (!has(flags, "myself"))
			continue;
		while (word_next(&line, &word))
			if (word.data[0] == '[' && (has(word, "-<-") || has(word, "->-")))
				name_add(moving, slice_make(word.data + 1,
							    memchr(word.data, '-', word.len)
								    ? (size_t)((const uint8_t *)memchr(word.data, '-', word.len) -
									       word.data) -
									      1
								    : 0));
	}
}

void judge_cluster_state(const struct subject *subject)
{
	const struct node *node = subject->node;
	const char *rest = node->texts[NODE_CLUSTER_INFO];
	char failing[NAMES_MAX], moving[NAMES_MAX], state[32] = "";
	struct finding *finding;
	struct slice line;

	if (!precheck_is_cluster(subject->precheck, subject->side))
		return;
	while (node_line(&rest, &line))
		if (slice_starts_with(line, SLICE("cluster_state:")))
			snprintf(state, sizeof(state), "%.*s", (int)line.len - 14, (const char *)line.data + 14);
	read_nodes(node, failing, moving);
	if (state[0] && strcmp(state, "ok") != 0) {
		finding = finding_add(subject, PRECHECK_FAILED, TEXT_CLUSTER_STATE);
		finding_argument(finding, "%s", state);
	} else if (failing[0]) {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_CLUSTER_NODES);
		finding_argument(finding, "%s", failing);
	} else if (moving[0]) {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_CLUSTER_MOVES);
		finding_argument(finding, "%s", moving);
	} else if (!state[0]) {
		finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_INFO_NOT_TOLD);
		finding_argument(finding, "cluster_state");
	} else {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	}
	if (state[0])
		finding_measured(finding, "cluster_state %s", state);
}

void judge_role(const struct subject *subject)
{
	const struct server_info *info = &subject->node->info;
	bool source = subject->side == PRECHECK_SOURCE;
	char master[ENDPOINT_TEXT_MAX];
	struct finding *finding;

	if (info->role != ROLE_REPLICA || (source && subject->precheck->options->task->read_from == READ_FROM_PREFER_REPLICA)) {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	} else {
		finding = finding_add(subject, PRECHECK_FAILED, source ? TEXT_ROLE_SOURCE : TEXT_ROLE_TARGET);
		finding_argument(finding, "%s", endpoint_format(&info->master, master));
	}
	finding_measured(finding, "role %s", info->role == ROLE_REPLICA ? "slave" : "master");
}

void judge_clock(const struct subject *subject)
{
	const struct node *node = subject->node;
	int64_t off = node->clock_ahead_ms < 0 ? -node->clock_ahead_ms : node->clock_ahead_ms;
	char text[MEASURE_MAX];
	struct finding *finding;

	if (!node->clock_known) {
		finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_INFO_NOT_TOLD);
		finding_argument(finding, "TIME");
		return;
	}
	finding = finding_add(subject, off > CLOCK_MOST_MS + node->clock_doubt_ms ? PRECHECK_WARNING : PRECHECK_PASSED,
			      off > CLOCK_MOST_MS + node->clock_doubt_ms ? TEXT_CLOCK : TEXT_NONE);
	finding_measured(finding, "%+lld ms", (long long)node->clock_ahead_ms);
	finding_argument(finding, "%s", measure_seconds((double)off / 1000, text));
}

/* ---- who else is there ---- */

/* A connection of a keyferry task in a line of CLIENT LIST: "keyferry:TASK:REST". */
struct connection {
	struct slice task, rest;
	bool replica; /* it reads by replication */
};

static bool field_of(struct slice line, const char *name, struct slice *ret)
{
	struct slice word;
	size_t len = strlen(name);

	while (word_next(&line, &word)) {
		if (word.len <= len || word.data[len] != '=' || memcmp(word.data, name, len) != 0)
			continue;
		*ret = slice_make(word.data + len + 1, word.len - len - 1);
		return true;
	}
	return false;
}

static bool read_connection(struct slice line, struct connection *ret)
{
	static const char prefix[] = "keyferry:";
	struct slice name, flags;
	const uint8_t *colon;

	if (!field_of(line, "name", &name) || !slice_starts_with(name, SLICE("keyferry:")))
		return false;
	name = slice_make(name.data + sizeof(prefix) - 1, name.len - (sizeof(prefix) - 1));
	colon = memchr(name.data, ':', name.len);
	if (!colon)
		return false;
	ret->task = slice_make(name.data, (size_t)(colon - name.data));
	ret->rest = slice_make(colon + 1, name.len - ret->task.len - 1);
	ret->replica = field_of(line, "flags", &flags) && memchr(flags.data, 'S', flags.len) != NULL;
	return true;
}

/* Of other tasks: the links' connections, not those that only ask. */
static bool next_connection(const struct subject *subject, const char **rest, struct connection *ret)
{
	static const char *const asking[] = {"precheck", "control", "watch", "expiry", "finish"};
	struct slice line;

	while (node_line(rest, &line)) {
		bool asks = false;

		if (!read_connection(line, ret) ||
		    slice_equal(ret->task, slice_of_string(subject->precheck->options->task->name)))
			continue;
		for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++)
			asks |= slice_equal(ret->rest, slice_of_string(asking[i]));
		if (!asks)
			return true;
	}
	return false;
}

/* Does a task have connections to a side; by replication? */
static bool is_connected(const struct subject *subject, enum precheck_side side, struct slice task, bool replica)
{
	const struct node *node = NULL;

	while ((node = precheck_next_master(subject->precheck, side, node))) {
		const char *rest = node->texts[NODE_CLIENTS];
		struct connection connection;

		while (next_connection(subject, &rest, &connection))
			if (slice_equal(connection.task, task) && (!replica || connection.replica))
				return true;
	}
	return false;
}

static void clients_not_told(const struct subject *subject)
{
	const char *refusal = subject->node->text_refusals[NODE_CLIENTS];

	finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_CLIENTS_NOT_TOLD), "%s", refusal ? refusal : "CLIENT LIST");
}

void judge_loop(const struct subject *subject)
{
	const char *rest = subject->node->texts[NODE_CLIENTS];
	const struct node *source = NULL;
	struct connection connection;

	while ((source = precheck_next_master(subject->precheck, PRECHECK_SOURCE, source))) {
		struct subject at_source = *subject;

		if (source->info.role != ROLE_REPLICA || !endpoint_equal(&source->info.master, &subject->node->endpoint))
			continue;
		at_source.side = PRECHECK_SOURCE;
		at_source.node = source;
		finding_argument(finding_add(&at_source, PRECHECK_FAILED, TEXT_LOOP_REPLICA), "%s", subject->node->name);
		return;
	}
	/* It reads here, and is connected there. */
	while (next_connection(subject, &rest, &connection)) {
		if (!connection.replica || !is_connected(subject, PRECHECK_SOURCE, connection.task, false))
			continue;
		finding_argument(finding_add(subject, PRECHECK_FAILED, TEXT_LOOP_TASK), "%.*s", (int)connection.task.len,
				 (const char *)connection.task.data);
		return;
	}
	if (subject->node->texts[NODE_CLIENTS])
		finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	else
		clients_not_told(subject);
}

void judge_other_task(const struct subject *subject)
{
	const char *rest = subject->node->texts[NODE_CLIENTS];
	struct connection connection;
	char names[NAMES_MAX] = "";

	/* A task that replicates from here reads, whatever other connections it has here (its heartbeat). */
	while (next_connection(subject, &rest, &connection))
		if (!connection.replica && !is_connected(subject, PRECHECK_TARGET, connection.task, true))
			name_add(names, connection.task);
	if (names[0])
		finding_argument(finding_add(subject, PRECHECK_WARNING, TEXT_OTHER_TASK), "%s", names);
	else if (subject->node->texts[NODE_CLIENTS])
		finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	else
		clients_not_told(subject);
}
