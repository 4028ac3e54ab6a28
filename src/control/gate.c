#include "control/gate.h"

#include "precheck/item.h"
#include "sink/checkpoint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(void (*warn)(const char *text), const char *format, ...) PRINTF_LIKE(2, 3);

static void say(void (*warn)(const char *text), const char *format, ...)
{
	char text[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	warn(text);
}

/* "CAUSE. REMEDY (precheck item NAME)" */
static void tell(const struct precheck_report *report, const struct finding *finding, const char *before,
		 void (*warn)(const char *text))
{
	char *cause = finding_cause(report, finding, LANGUAGE_EN), *remedy = finding_remedy(report, finding, LANGUAGE_EN);

	say(warn, "%s%s%s%s (precheck item %s)", before, cause ? cause : finding->item->name, remedy ? ". " : "",
	    remedy ? remedy : "", finding->item->name);
	free(cause);
	free(remedy);
}

static void tell_all(const struct precheck_report *report, const struct finding *first, void (*warn)(const char *text))
{
	for (uint32_t i = 0; i < report->count; i++) {
		const struct finding *finding = &report->findings[i];

		if (finding->waived)
			tell(report, finding, "waived: ", warn);
		else if (finding->result == PRECHECK_FAILED && finding != first)
			tell(report, finding, "failed: ", warn);
		else if (finding->result == PRECHECK_WARNING && !finding->item->told_later)
			tell(report, finding, "", warn);
	}
}

static void refuse(const struct precheck_report *report, const struct finding *first, enum error_kind kind, struct error *error)
{
	char *cause = finding_cause(report, first, LANGUAGE_EN), *remedy = finding_remedy(report, first, LANGUAGE_EN);

	error_set(error, kind, "%s", cause ? cause : first->item->name);
	if (remedy)
		error_hint(error, "%s", remedy);
	free(cause);
	free(remedy);
}

/* Memory is freed after the answer. Before it, that of many keys may take longer than an answer is waited for. */
static bool flushes_lazily(const struct server_info *info)
{
	return info->family == FAMILY_VALKEY || info->version >= VERSION(4, 0, 0);
}

/* Marks of other tasks are removed with the rest: they are of data that is not there any more. */
static bool empty_target(const struct precheck_options *options, void (*warn)(const char *text), struct error *error)
{
	char name[ENDPOINT_TEXT_MAX];
	struct client_reply reply;

	for (uint32_t i = 0; i < deployment_topology(options->target)->shard_count; i++) {
		const struct server_info *info = deployment_server(options->target, i);
		uint64_t keys = info->keys, marks;
		struct client *client;
		struct error ignored;

		if (keys > 0 && checkpoint_count(options->target, i, &marks, &ignored))
			keys -= marks < keys ? marks : keys;
		if (keys == 0)
			continue;
		client = deployment_client(options->target, i, error);
		if (!client ||
		    !client_call(client, &reply, false, error, "FLUSHALL", flushes_lazily(info) ? "ASYNC" : NULL, NULL))
			return false;
		say(warn, "target %s: its %llu keys were removed, as target.existing: flush says",
		    endpoint_format(&deployment_topology(options->target)->shards[i].master, name), (unsigned long long)keys);
	}
	return true;
}

bool gate_pass(const struct precheck_options *options, void (*warn)(const char *text), struct target_abilities *ret,
	       char name[64], struct error *error)
{
	struct target_abilities abilities;
	const struct finding *first;
	struct precheck_report report;
	enum error_kind verdict;
	char found[64];

	if (!precheck_run(options, &report, &abilities, found, error))
		return false;
	verdict = precheck_verdict(&report, &first);
	tell_all(&report, first, warn);
	if (verdict != ERROR_NONE)
		refuse(&report, first, verdict, error);
	precheck_report_free(&report);
	if (verdict != ERROR_NONE || (options->target && !options->own_data && options->task->existing == EXISTING_FLUSH &&
				      !empty_target(options, warn, error)))
		return false;
	memcpy(name, found, sizeof(found));
	*ret = abilities;
	ret->name = name;
	return true;
}
