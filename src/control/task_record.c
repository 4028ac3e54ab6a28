#include "control/task_record.h"

#include "base/memory.h"
#include "control/json_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 60 /* bytes of a setting, in an error */

static json_t *read_record(const char *path, struct error *error)
{
	json_t *record = json_file_read(path, error);

	if (!record && error->kind == ERROR_NONE)
		return json_object();
	if (!record || json_is_object(record))
		return record;
	json_file_foreign(path, NULL, error);
	json_decref(record);
	return NULL;
}

/* ---- settings ---- */

static void say(char *text, size_t size, const char *path, const char *old, const char *new)
{
	size_t used = strlen(text);

	if (used < size)
		snprintf(text + used, size - used, "%s%s (was %.*s%s, is %.*s%s)", used ? ", " : "", path, SHOWN,
			 old ? old : "not set", old && strlen(old) > SHOWN ? "..." : "", SHOWN, new ? new : "not set",
			 new &&strlen(new) > SHOWN ? "..." : "");
}

static const char *setting_of(const struct settings *settings, const char *path)
{
	for (size_t i = 0; i < settings->count; i++)
		if (strcmp(settings->items[i].path, path) == 0)
			return settings->items[i].text;
	return NULL;
}

static void compare_settings(const struct settings *settings, json_t *old, char *changed, size_t size)
{
	const char *path;
	json_t *value;

	json_object_foreach (old, path, value) {
		const char *was = json_string_value(value), *is = setting_of(settings, path);

		if (was && (!is || strcmp(was, is) != 0))
			say(changed, size, path, was, is);
	}
	for (size_t i = 0; i < settings->count; i++)
		if (!json_object_get(old, settings->items[i].path))
			say(changed, size, settings->items[i].path, NULL, settings->items[i].text);
}

static json_t *settings_as_json(const struct settings *settings)
{
	json_t *object = json_object();

	for (size_t i = 0; i < settings->count; i++)
		json_object_set_new(object, settings->items[i].path, json_string(settings->items[i].text));
	return object;
}

/* ---- sides ---- */

/* Is it one of the first `before`? It is among them all then. */
static bool add_name(json_t *addresses, size_t before, const char *name)
{
	size_t i;
	json_t *known;

	json_array_foreach (addresses, i, known)
		if (json_is_string(known) && strcmp(json_string_value(known), name) == 0)
			return i < before;
	json_array_append_new(addresses, json_string(name));
	return false;
}

/* Adds the members of the side; returns how many were known. */
static uint32_t add_members(json_t *addresses, size_t before, const struct topology *topology)
{
	char text[ENDPOINT_TEXT_MAX];
	uint32_t known = 0;

	for (uint32_t i = 0; i < topology->shard_count; i++) {
		const struct shard *shard = &topology->shards[i];

		for (uint32_t k = 0; k <= shard->replica_count; k++) {
			const struct endpoint *endpoint = k == 0 ? &shard->master : &shard->replicas[k - 1];

			known += add_name(addresses, before, endpoint_format(endpoint, text));
		}
	}
	return known;
}

/* The same of the addresses by which the task finds the master. */
static uint32_t add_finders(json_t *addresses, size_t before, const struct deployment_options *options)
{
	char text[ENDPOINT_TEXT_MAX];
	uint32_t known = 0;

	for (size_t i = 0; i < options->address_count; i++) {
		const char *address = endpoint_format(&options->addresses[i], text);
		char *name = options->mode == MODE_SENTINEL ? memory_printf("%s@%s", options->master, address)
							    : memory_strdup(address);

		known += add_name(addresses, before, name);
		free(name);
	}
	return known;
}

static bool check_side(json_t *record, const char *side, const struct topology *topology,
		       const struct deployment_options *options, const char *dir, struct error *error)
{
	uint32_t known;
	json_t *addresses = json_object_get(record, side);
	size_t before;
	char first[ENDPOINT_TEXT_MAX];

	if (!topology)
		return true;
	if (!json_is_array(addresses)) {
		addresses = json_array();
		json_object_set_new(record, side, addresses);
	}
	before = json_array_size(addresses);
	known = add_members(addresses, before, topology) + (topology->cluster ? 0 : add_finders(addresses, before, options));
	if (known > 0 || before == 0)
		return true;
	error_set(
		error, ERROR_PRECHECK,
		"the %s is another one than that which the task in %s was begun with: none of %s and its other servers was among %s%s",
		side, dir, endpoint_format(&topology->shards[0].master, first), json_string_value(json_array_get(addresses, 0)),
		before > 1 ? " and the others then" : "");
	error_hint(
		error,
		"Give the %s as it was to go on; for another one begin with an empty work directory (--data). If it is the same under new addresses, "
		"remove \"%s\" from %s/task.json",
		side, side, dir);
	return false;
}

/* ---- public ---- */

bool task_record_check(const char *dir, const struct task_record *now, bool begun, bool accept, char ret_accepted[512],
		       struct error *error)
{
	char *path = memory_printf("%s/task.json", dir);
	json_t *record = begun ? read_record(path, error) : json_object();
	char changed[512] = "";
	bool ok = record && check_side(record, "source", now->source, now->source_options, dir, error) &&
		  check_side(record, "target", now->target, now->target_options, dir, error);

	ret_accepted[0] = '\0';
	if (ok && json_is_object(json_object_get(record, "settings")))
		compare_settings(now->settings, json_object_get(record, "settings"), changed, sizeof(changed));
	if (ok && changed[0] && !accept) {
		error_set(error, ERROR_PRECHECK, "the task in %s was begun with other settings: %s", dir, changed);
		error_hint(
			error,
			"Go on with the settings as they were; or begin anew with an empty work directory (--data); or accept with --accept-changes that "
			"what is copied already stays as it is and what comes follows the new ones");
		ok = false;
	}
	if (ok) {
		json_object_set_new(record, "settings", settings_as_json(now->settings));
		ok = json_file_write(path, record, error);
	}
	if (ok)
		snprintf(ret_accepted, 512, "%s", changed);
	json_decref(record);
	free(path);
	return ok;
}
