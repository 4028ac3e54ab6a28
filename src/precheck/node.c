#include "precheck/node.h"

#include "wire/command.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const setting_names[NODE_SETTINGS] = {
	[SETTING_BACKLOG_SIZE] = "repl-backlog-size",
	[SETTING_OUTPUT_BUFFER] = "client-output-buffer-limit",
	[SETTING_REPL_TIMEOUT] = "repl-timeout",
	[SETTING_PING_PERIOD] = "repl-ping-replica-period",
	[SETTING_PING_PERIOD_OLD] = "repl-ping-slave-period",
	[SETTING_DISKLESS_SYNC] = "repl-diskless-sync",
	[SETTING_DISKLESS_DELAY] = "repl-diskless-sync-delay",
	[SETTING_MIN_REPLICAS] = "min-replicas-to-write",
	[SETTING_MIN_REPLICAS_OLD] = "min-slaves-to-write",
	[SETTING_STOP_WRITES] = "stop-writes-on-bgsave-error",
	[SETTING_SAVE] = "save",
	[SETTING_EVICTION] = "maxmemory-policy",
	[SETTING_DATABASES] = "databases",
	[SETTING_CLUSTER_DATABASES] = "cluster-databases",
	[SETTING_BULK_MAX] = "proto-max-bulk-len",
};

void node_release(struct node *node)
{
	for (int i = 0; i < NODE_TEXTS; i++) {
		free(node->texts[i]);
		free(node->text_refusals[i]);
	}
	for (int i = 0; i < NODE_SETTINGS; i++)
		free(node->settings[i]);
	free(node->settings_refusal);
	free(node->sample_refusal);
	free(node->commands_refusal);
}

bool node_line(const char **rest, struct slice *ret)
{
	size_t len;

	if (!*rest || !**rest)
		return false;
	len = strcspn(*rest, "\r\n");
	*ret = slice_make(*rest, len);
	*rest += len;
	*rest += strspn(*rest, "\r\n");
	return true;
}

bool node_field(const struct node *node, const char *name, struct slice *ret)
{
	const char *rest = node->texts[NODE_INFO];
	size_t len = strlen(name);
	struct slice line;

	while (node_line(&rest, &line)) {
		if (line.len <= len || line.data[len] != ':' || memcmp(line.data, name, len) != 0)
			continue;
		*ret = slice_make(line.data + len + 1, line.len - len - 1);
		return true;
	}
	return false;
}

bool node_number(const struct node *node, const char *name, uint64_t *ret)
{
	struct slice value;

	return node_field(node, name, &value) && slice_to_uint64(value, ret);
}

bool node_word_is(const struct node *node, const char *name, const char *word)
{
	struct slice value;

	return node_field(node, name, &value) && slice_equal(value, slice_of_string(word));
}

bool node_setting_number(const struct node *node, enum node_setting setting, uint64_t *ret)
{
	return node->settings[setting] && slice_to_uint64(slice_of_string(node->settings[setting]), ret);
}

const char *node_setting_name(enum node_setting setting)
{
	return setting_names[setting];
}

const char *node_settings_refusal(const struct node *node)
{
	return node->settings_refusal ? node->settings_refusal : "CONFIG GET";
}

/* Of all commands that clients have called, so many write; 1 where that is not told. */
static double share_of_writes(const struct node *node)
{
	const char *rest = node->texts[NODE_COMMANDSTATS];
	uint64_t writes = 0, all = 0, calls;
	struct slice line, name;

	while (node_line(&rest, &line)) {
		const uint8_t *bar;
		const struct command_info *info;
		struct slice argv[2];

		if (!node_command_line(line, &name, &calls))
			continue;
		bar = memchr(name.data, '|', name.len);
		argv[0] = slice_make(name.data, bar ? (size_t)(bar - name.data) : name.len);
		argv[1] = bar ? slice_make(bar + 1, name.len - argv[0].len - 1) : SLICE("");
		info = command_lookup(bar ? 2 : 1, argv);
		all += calls;
		/* What is not in the table may write. */
		if (!info || (info->flags & (COMMAND_WRITE | COMMAND_SCRIPT)))
			writes += calls;
	}
	return all > 0 ? (double)writes / (double)all : 1;
}

uint64_t node_write_rate(const struct node *node)
{
	struct slice value;
	uint64_t backlog = 0;
	const uint8_t *dot;

	/* Without a backlog the offset stands still, whatever is written. */
	if (node_number(node, "repl_backlog_active", &backlog) && backlog && node->sampled_us > 0 &&
	    node->sampled_offset >= node->info.repl_offset)
		return (uint64_t)((double)(node->sampled_offset - node->info.repl_offset) * 1e6 / (double)node->sampled_us);
	/* "12.34": kilobytes a second. */
	if (!node_field(node, "instantaneous_input_kbps", &value) || !(dot = memchr(value.data, '.', value.len)))
		return 0;
	value.len = (size_t)(dot - value.data);
	return slice_to_uint64(value, &backlog) ? (uint64_t)((double)backlog * 1024 * share_of_writes(node)) : 0;
}

const char *node_user(const struct node *node, const struct credentials *credentials)
{
	return node->texts[NODE_USER] ? node->texts[NODE_USER] : credentials->username ? credentials->username : "default";
}

bool node_command_line(struct slice line, struct slice *ret_name, uint64_t *ret_calls)
{
	static const char before[] = "cmdstat_", between[] = ":calls=";
	const uint8_t *at, *end;

	if (!slice_starts_with(line, SLICE("cmdstat_")))
		return false;
	at = memmem(line.data, line.len, between, sizeof(between) - 1);
	if (!at)
		return false;
	*ret_name = slice_make(line.data + sizeof(before) - 1, (size_t)(at - line.data) - (sizeof(before) - 1));
	at += sizeof(between) - 1;
	end = memchr(at, ',', line.len - (size_t)(at - line.data));
	return slice_to_uint64(slice_make(at, end ? (size_t)(end - at) : line.len - (size_t)(at - line.data)), ret_calls);
}

void words_add(char *list, size_t cap, const char *mark, const char *word)
{
	size_t used = strlen(list), len = strlen(word), mark_len = strlen(mark);

	for (const char *at = list; (at = strstr(at, word)); at += len) {
		bool begins = at == list || (at >= list + mark_len && memcmp(at - mark_len, mark, mark_len) == 0);

		if (begins && (at[len] == '\0' || strncmp(at + len, mark, mark_len) == 0))
			return;
	}
	if (used + len + mark_len < cap)
		snprintf(list + used, cap - used, "%s%s", used ? mark : "", word);
}
