/* What a source or a target holds, before there is a task. */
#include "api/api_state.h"
#include "api/handlers.h"
#include "base/memory.h"
#include "control/keyspace.h"
#include "task/stored.h"

#include <stdlib.h>

#define TIMEOUT_MS 5000

static json_t *keyspace_json(const struct deployment_options *side, const struct keyspace *keyspace)
{
	json_t *masters = json_array(), *databases = json_array();
	json_int_t keys = 0;

	for (uint32_t i = 0; i < keyspace->master_count; i++) {
		const struct keyspace_master *master = &keyspace->masters[i];

		json_array_append_new(masters, json_pack("{s:s, s:s, s:I}", "address", master->address, "version", master->server,
							 "keys", (json_int_t)master->keys));
	}
	for (uint32_t i = 0; i < keyspace->database_count; i++) {
		const struct keyspace_database *database = &keyspace->databases[i];

		json_array_append_new(databases,
				      json_pack("{s:i, s:I, s:I}", "database", (int)database->number, "keys",
						(json_int_t)database->keys, "expiring", (json_int_t)database->expiring));
		keys += (json_int_t)database->keys;
	}
	return json_pack("{s:s, s:o, s:o, s:I}", "mode",
			 side->mode == MODE_SENTINEL ? "sentinel"
			 : keyspace->cluster         ? "cluster"
						     : "standalone",
			 "masters", masters, "databases", databases, "keys", keys);
}

/* Of the document only the one side counts; the rest may still be missing, and files stand for the other. It has the secrets: nothing of it is told. */
static bool read_side(const json_t *document, const char *name, struct task_options *options, struct error *error)
{
	json_t *side = json_object_get(document, name);
	json_t *whole = json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "name", "databases", "source", "mode", "rdb", "path",
				  "/unused.rdb", "target", "mode", "jsonl", "path", "/unused-{shard}.jsonl");
	char *text;
	bool ok;

	json_object_set(whole, name, side ? side : json_null());
	text = json_dumps(whole, JSON_COMPACT);
	/* A secret that only a stored task has is no password. */
	ok = stored_put_secrets(whole, NULL, error) && task_options_parse(options, slice_of_string(text), "document", error) &&
	     task_options_finish(options, error);
	memory_wipe(text, strlen(text));
	free(text);
	json_decref(whole);
	return ok;
}

void handle_databases(struct api *api, const struct call *call, struct answer *answer)
{
	struct task_options options;
	struct keyspace keyspace;
	struct error error;
	json_t *document = json_deep_copy(json_object_get(call->json, "document"));
	const char *name = json_string_value(json_object_get(call->json, "side"));
	bool is_target = name && strcmp(name, "target") == 0;
	const struct deployment_options *side = is_target ? &options.target : &options.source;
	enum service_result result;

	error_clear(&error);
	task_options_init(&options);
	result = service_document_open(api->service, json_string_value(json_object_get(call->json, "task")), document, &error);
	if (result != SERVICE_OK) {
		answer_refusal(answer, call, result, &error);
	} else if (!read_side(document, is_target ? "target" : "source", &options, &error)) {
		answer_refusal(answer, call, SERVICE_INVALID, &error);
	} else if (deployment_options_are_files(side)) {
		answer_problem(answer, call, PROBLEM_DOCUMENT_INVALID, NULL,
			       "the %s is files, which only a precheck looks through", is_target ? "target" : "source");
	} else if (keyspace_read(side, TIMEOUT_MS, is_target ? ERROR_TARGET : ERROR_SOURCE, &keyspace, &error)) {
		answer_json(answer, 200, keyspace_json(side, &keyspace));
		keyspace_free(&keyspace);
	} else {
		answer_problem(answer, call, is_target ? PROBLEM_TARGET : PROBLEM_SOURCE, error.hint, "%s", error.text);
	}
	task_options_free(&options);
	json_decref(document);
}
