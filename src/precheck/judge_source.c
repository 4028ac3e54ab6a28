/* Items about how the source is able to replicate: memory and time for a snapshot, buffers, time-outs. */
#include "precheck/precheck_state.h"

#include <stdio.h>
#include <string.h>

#define COVER_LEAST_S 60 /* a restart, or a short loss of the network */
#define COVER_WANTED_S 300
#define RATE_LEAST 1024 /* bytes a second: below it the figures mean nothing */
#define LONG_SNAPSHOT_S (12 * 3600)
#define REPL_TIMEOUT_LEAST_S 10
#define DISKLESS_DELAY_MOST_S 60
#define BUFFER_LEAST (256ULL << 20)

/* The next power of two that is no smaller, from 1 MiB on. */
static uint64_t round_up(double bytes)
{
	uint64_t size = 1ULL << 20;

	while ((double)size < bytes && size < 1ULL << 50)
		size *= 2;
	return size;
}

/* A setting that is not told. */
static void not_told(const struct subject *subject, enum node_setting setting)
{
	struct finding *finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_SETTING_NOT_TOLD);

	finding_argument(finding, "%s", node_setting_name(setting));
	finding_argument(finding, "%s", node_settings_refusal(subject->node));
}

void judge_snapshot(const struct subject *subject)
{
	struct estimate estimate = precheck_estimate(subject->precheck, subject->node);
	bool limited = estimate.seconds > LONG_SNAPSHOT_S && strncmp(estimate.limit, "limit.", 6) == 0;
	char bytes[MEASURE_MAX], seconds[MEASURE_MAX];
	struct finding *finding;

	if (!subject->precheck->options->task->snapshot)
		return;
	finding = finding_add(subject, limited ? PRECHECK_WARNING : PRECHECK_PASSED, limited ? TEXT_SNAPSHOT_LONG : TEXT_NONE);
	finding_argument(finding, "%s", measure_bytes(estimate.bytes, bytes));
	finding_argument(finding, "%s", measure_seconds(estimate.seconds, seconds));
	finding_argument(finding, "%s", estimate.limit);
	finding_measured(finding, "%llu keys, <= %s, ~%s (%s)", (unsigned long long)estimate.keys, bytes, seconds,
			 estimate.limit);
}

void judge_fork_memory(const struct subject *subject)
{
	const struct node *node = subject->node;
	char used_text[MEASURE_MAX], total_text[MEASURE_MAX];
	uint64_t used = node->info.used_memory, total = 0, resident;
	struct finding *finding;
	bool tight;

	if (!subject->precheck->options->task->snapshot || subject->precheck->options->task->source.mode == MODE_SCAN)
		return;
	if (!node_number(node, "total_system_memory", &total) || total == 0) {
		finding_argument(finding_add(subject, PRECHECK_SKIPPED, TEXT_INFO_NOT_TOLD), "total_system_memory");
		return;
	}
	if (node_number(node, "used_memory_rss", &resident) && resident > used)
		used = resident;
	tight = used > total / 2;
	finding = finding_add(subject, tight ? PRECHECK_WARNING : PRECHECK_PASSED, tight ? TEXT_FORK_MEMORY : TEXT_NONE);
	finding_argument(finding, "%s", measure_bytes(used, used_text));
	finding_argument(finding, "%s", measure_bytes(total, total_text));
	finding_measured(finding, "%s / %s", used_text, total_text);
}

void judge_backlog(const struct subject *subject)
{
	const struct node *node = subject->node;
	uint64_t rate = node_write_rate(node), size = 0;
	uint64_t wanted = round_up((double)rate * COVER_WANTED_S);
	char size_text[MEASURE_MAX], rate_text[MEASURE_MAX], covers[MEASURE_MAX];
	struct finding *finding;
	double seconds;

	if (subject->precheck->options->task->source.mode == MODE_SCAN)
		return;
	measure_bytes(rate, rate_text);
	/* INFO tells it as well, where CONFIG does not. */
	if (!node_setting_number(node, SETTING_BACKLOG_SIZE, &size) && !node_number(node, "repl_backlog_size", &size)) {
		if (rate < RATE_LEAST) {
			not_told(subject, SETTING_BACKLOG_SIZE);
			return;
		}
		finding = finding_add(subject, PRECHECK_SKIPPED, TEXT_BACKLOG_RATE);
		finding_argument(finding, "%s", rate_text);
		finding_argument(finding, "%s", node_settings_refusal(node));
		finding_argument(finding, "%s", "");
		finding_argument(finding, "%llu", (unsigned long long)wanted);
		return;
	}
	measure_bytes(size, size_text);
	seconds = rate < RATE_LEAST ? 0 : (double)size / (double)rate;
	if (rate < RATE_LEAST || seconds >= COVER_LEAST_S) {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	} else {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_BACKLOG);
		finding_argument(finding, "%s", rate_text);
		finding_argument(finding, "%s", size_text);
		finding_argument(finding, "%s", measure_seconds(seconds, covers));
		finding_argument(finding, "%llu", (unsigned long long)wanted);
	}
	finding_measured(finding, "repl-backlog-size %s, %s/s", size_text, rate_text);
}

/* "normal 0 0 0 slave 268435456 67108864 60 pubsub ...": hard bytes, soft bytes, soft seconds of replicas. *ret_word: what the server calls them. */
static bool replica_limits(const char *text, uint64_t ret[3], const char **ret_word)
{
	static const char *const words[] = {"slave ", "replica "};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = strstr(text, words[i]);
		unsigned long long hard, soft, seconds;

		if (!at || sscanf(at + strlen(words[i]), "%llu %llu %llu", &hard, &soft, &seconds) != 3)
			continue;
		ret[0] = hard;
		ret[1] = soft;
		ret[2] = seconds;
		*ret_word = i == 0 ? "slave" : "replica";
		return true;
	}
	return false;
}

void judge_output_buffer(const struct subject *subject)
{
	const struct node *node = subject->node;
	struct estimate estimate = precheck_estimate(subject->precheck, node);
	double gathers = (double)node_write_rate(node) * estimate.seconds;
	const char *setting = node->settings[SETTING_OUTPUT_BUFFER], *word;
	char limit_text[MEASURE_MAX], rate_text[MEASURE_MAX], gathers_text[MEASURE_MAX];
	struct finding *finding;
	uint64_t limits[3], wanted;
	bool hard, soft;

	if (subject->precheck->options->task->source.mode == MODE_SCAN || !subject->precheck->options->task->snapshot)
		return;
	if (!setting || !replica_limits(setting, limits, &word)) {
		not_told(subject, SETTING_OUTPUT_BUFFER);
		return;
	}
	hard = limits[0] > 0 && gathers > (double)limits[0];
	soft = limits[1] > 0 && gathers > (double)limits[1] && estimate.seconds > (double)limits[2];
	finding = finding_add(subject, hard || soft ? PRECHECK_WARNING : PRECHECK_PASSED,
			      hard || soft ? TEXT_OUTPUT_BUFFER : TEXT_NONE);
	wanted = round_up(2 * gathers);
	finding_argument(finding, "%s", measure_bytes(hard ? limits[0] : limits[1], limit_text));
	finding_argument(finding, "client-output-buffer-limit %s %llu %llu %llu", word, (unsigned long long)limits[0],
			 (unsigned long long)limits[1], (unsigned long long)limits[2]);
	finding_argument(finding, "%s", measure_bytes(node_write_rate(node), rate_text));
	finding_argument(finding, "%s", measure_bytes((uint64_t)gathers, gathers_text));
	finding_argument(finding, "%llu", (unsigned long long)(wanted > BUFFER_LEAST ? wanted : BUFFER_LEAST));
	finding_argument(finding, "%s", word);
	finding_measured(finding, "%s %llu %llu %llu", word, (unsigned long long)limits[0], (unsigned long long)limits[1],
			 (unsigned long long)limits[2]);
}

void judge_repl_timeout(const struct subject *subject)
{
	const struct node *node = subject->node;
	const struct task_options *task = subject->precheck->options->task;
	enum node_setting period = node->settings[SETTING_PING_PERIOD] ? SETTING_PING_PERIOD : SETTING_PING_PERIOD_OLD;
	char patience[MEASURE_MAX];
	struct finding *finding;
	uint64_t timeout, ping = 0;

	if (task->source.mode == MODE_SCAN)
		return;
	if (!node_setting_number(node, SETTING_REPL_TIMEOUT, &timeout)) {
		not_told(subject, SETTING_REPL_TIMEOUT);
		return;
	}
	if (node_setting_number(node, period, &ping) && (uint64_t)task->repl_timeout_ms <= ping * 1000) {
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_REPL_PING);
		finding_argument(finding, "%llu", (unsigned long long)ping);
		finding_argument(finding, "%s", node_setting_name(period));
		finding_argument(finding, "%s", measure_seconds(task->repl_timeout_ms / 1000.0, patience));
	} else {
		finding = finding_add(subject, timeout < REPL_TIMEOUT_LEAST_S ? PRECHECK_WARNING : PRECHECK_PASSED,
				      timeout < REPL_TIMEOUT_LEAST_S ? TEXT_REPL_TIMEOUT : TEXT_NONE);
		finding_argument(finding, "%llu", (unsigned long long)timeout);
	}
	finding_measured(finding, "repl-timeout %llu", (unsigned long long)timeout);
}

void judge_diskless_sync(const struct subject *subject)
{
	const struct node *node = subject->node;
	uint64_t delay = 0;
	struct finding *finding;
	bool diskless, late;

	if (subject->precheck->options->task->source.mode == MODE_SCAN || !subject->precheck->options->task->snapshot)
		return;
	if (!node->settings[SETTING_DISKLESS_SYNC]) {
		not_told(subject, SETTING_DISKLESS_SYNC);
		return;
	}
	diskless = strcmp(node->settings[SETTING_DISKLESS_SYNC], "yes") == 0;
	node_setting_number(node, SETTING_DISKLESS_DELAY, &delay);
	late = diskless && delay > DISKLESS_DELAY_MOST_S;
	finding = finding_add(subject, late ? PRECHECK_WARNING : PRECHECK_PASSED, late ? TEXT_DISKLESS_DELAY : TEXT_NONE);
	finding_argument(finding, "%llu", (unsigned long long)delay);
	finding_measured(finding, "repl-diskless-sync %s, delay %llu", diskless ? "yes" : "no", (unsigned long long)delay);
}
