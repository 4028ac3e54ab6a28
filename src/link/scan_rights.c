#include "link/scan_rights.h"

#include "source/listener.h"

#include <stdio.h>
#include <string.h>

/* A name that nobody uses; all keys have to be readable. */
#define PROBE_KEY "keyferry:task:precheck"
#define NOTIFY_SETTING "notify-keyspace-events"

struct probe {
	const struct task_options *task;
	struct client *client;
	const struct server_info *info;
	char name[ENDPOINT_TEXT_MAX];
	void (*warn)(void *owner, const char *text);
	void *owner;
	char rules[256]; /* what the user lacks, as ACL rules */
};

struct endpoint scan_rights_read_from(const struct task_options *task, const struct shard *shard)
{
	return task->read_from == READ_FROM_PREFER_REPLICA && shard->replica_count > 0 ? shard->replicas[0] : shard->master;
}

static bool is_since(const struct server_info *info, uint32_t version)
{
	return info->family == FAMILY_VALKEY || info->version >= version;
}

static void add_rule(struct probe *probe, const char *rule)
{
	size_t used = strlen(probe->rules);

	/* ~* stands for each command that wants a key. */
	if (!strstr(probe->rules, rule))
		snprintf(probe->rules + used, sizeof(probe->rules) - used, "%s%s", used ? " " : "", rule);
}

static bool text_has(struct slice text, const char *word)
{
	return text.data && memmem(text.data, text.len, word, strlen(word)) != NULL;
}

/* Judges the answer to a command that the source must allow; `rule` is the right to it. False: the answer cannot be lived with. */
static bool judge(struct probe *probe, const struct client_reply *reply, const char *command, const char *rule,
		  struct error *error)
{
	struct slice text = reply->nodes[0].text;
	char quoted[200];

	if (reply->nodes[0].type != RESP_ERROR || slice_starts_with(text, SLICE("MOVED")) ||
	    slice_starts_with(text, SLICE("ASK")))
		return true;
	if (slice_starts_with(text, SLICE("NOPERM"))) {
		add_rule(probe, text_has(text, "channel")                           ? "allchannels"
				: text_has(text, "keys") || text_has(text, "a key") ? "~*"
										    : rule);
		return true;
	}
	error_set(error, ERROR_PRECHECK, "source %s: %s is answered with %s, and source.mode: scan needs it", probe->name,
		  command, slice_quote(text, quoted, sizeof(quoted)));
	error_hint(error, "Has the command another name there, or is it switched off?");
	return false;
}

#define ASK(probe, rule, error, ...) ask(probe, rule, error, (const char *const[]){__VA_ARGS__, NULL, NULL, NULL})

/* Up to three words. */
static bool ask(struct probe *probe, const char *rule, struct error *error, const char *const *words)
{
	struct client_reply reply;

	return client_call(probe->client, &reply, true, error, words[0], words[1], words[1] ? words[2] : NULL, NULL) &&
	       judge(probe, &reply, words[0], rule, error);
}

static bool check_rights(struct probe *probe, struct error *error)
{
	const struct task_options *task = probe->task;
	bool absolute = is_since(probe->info, VERSION(7, 0, 0));
	const char *user = task->source.credentials.username ? task->source.credentials.username : "default";
	bool listens = task->scan_follow && task->scan_notifications != SCAN_NOTIFICATIONS_OFF;

	probe->rules[0] = '\0';
	if (!ASK(probe, "+scan", error, "SCAN", "0") || !ASK(probe, "+dump", error, "DUMP", PROBE_KEY) ||
	    !(absolute ? ASK(probe, "+pexpiretime", error, "PEXPIRETIME", PROBE_KEY)
		       : ASK(probe, "+pttl", error, "PTTL", PROBE_KEY)) ||
	    (!absolute && !ASK(probe, "+time", error, "TIME")) ||
	    (probe->info->highest_db > 0 && !ASK(probe, "+select", error, "SELECT", "0")) ||
	    (listens && !ASK(probe, "+psubscribe", error, "PSUBSCRIBE", "__keyevent@*__:*")))
		return false;
	if (!probe->rules[0])
		return true;
	error_set(error, ERROR_PRECHECK, "source %s: the user '%s' lacks rights that source.mode: scan needs: %s", probe->name,
		  user, probe->rules);
	error_hint(error, "ACL SETUSER %s %s on that server (docs/least-rights.md has all of them)", user, probe->rules);
	return false;
}

static bool check_setting(struct probe *probe, struct error *error)
{
	const struct task_options *task = probe->task;
	struct client_reply reply;
	const struct resp_node *value;
	char wanted[32], text[700];
	unsigned channels;

	if (!task->scan_follow || task->scan_notifications == SCAN_NOTIFICATIONS_OFF)
		return true;
	if (!client_call(probe->client, &reply, true, error, "CONFIG", "GET", NOTIFY_SETTING, NULL))
		return false;
	value = reply.nodes[0].type == RESP_ARRAY ? resp_member(&reply.nodes[0], 1) : NULL;
	if (value && listener_setting(value->text, is_since(probe->info, VERSION(5, 0, 0)), &channels, wanted))
		return true;
	if (value) {
		error_set(error, ERROR_PRECHECK, "source %s does not tell of all changes to keys: %s is '%.*s'", probe->name,
			  NOTIFY_SETTING, (int)(value->text.len < 40 ? value->text.len : 40), (const char *)value->text.data);
		error_hint(
			error,
			"CONFIG SET %s %s on that server (and in its configuration), or source.scan.follow: false for one pass, or "
			"source.scan.notifications: off with source.scan.interval",
			NOTIFY_SETTING, wanted);
		return false;
	}
	snprintf(
		text, sizeof(text),
		"source %s does not let its setting %s be read (CONFIG GET): whether it tells of changes is not known. It has to be "
		"KEA, or at least AE or AK",
		probe->name, NOTIFY_SETTING);
	if (task->scan_notifications != SCAN_NOTIFICATIONS_REQUIRED) {
		probe->warn(probe->owner, text);
		return true;
	}
	error_set(error, ERROR_PRECHECK, "%s", text);
	error_hint(error, "Give the user +config|get, or, where you know that it is set, source.scan.notifications: auto");
	return false;
}

bool scan_rights_check(const struct task_options *task, struct loop *loop, struct deployment *source, uint32_t shard,
		       void (*warn)(void *owner, const char *text), void *owner, struct error *error)
{
	const struct deployment_options *options = deployment_options(source);
	struct client_options client = {
		.endpoint = scan_rights_read_from(task, &deployment_topology(source)->shards[shard]),
		.credentials = &options->credentials,
		.tls = deployment_tls(source),
		.tls_name = options->tls.server_name,
		.timeout_ms = task->connect_timeout_ms,
		.blame = ERROR_SOURCE,
	};
	struct probe probe = {.task = task,
			      .client = client_new(loop, &client),
			      .info = deployment_server(source, shard),
			      .warn = warn,
			      .owner = owner};
	struct client_reply reply;
	bool ok;

	endpoint_format(&client.endpoint, probe.name);
	/* A subscriber may ask nothing else, so that comes last. Only a replica of a cluster knows READONLY as more than an error. */
	ok = client_call(probe.client, &reply, true, error, "READONLY", NULL) && check_setting(&probe, error) &&
	     check_rights(&probe, error);
	client_free(probe.client);
	return ok;
}
