/* The last step of reading a task's options: what belongs together, what comes from outside the document, what is derived. */
#include "base/memory.h"
#include "base/utf8.h"
#include "task/options.h"
#include "task/options_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME_MAX_BYTES 100
#define SCRIPT_MAX (1u << 20)
#define PATH_NAME_MAX 40 /* of a path's last part, in the name of a task */
#define REDIS_PORT 6379
#define SENTINEL_PORT 26379
#define MACHINE_STATE "/var/lib/keyferry"

static bool fail(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

static bool fail(struct error *error, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(error, ERROR_USAGE, "%s", text);
	return false;
}

static bool finish_tls(const struct tls_options *tls, const char *group, struct error *error)
{
	if (!tls->certificate == !tls->key)
		return true;
	fail(error, "%s.tls.%s is given without %s.tls.%s", group, tls->certificate ? "cert" : "key", group,
	     tls->key ? "cert" : "key");
	error_hint(error, "a client certificate and its private key belong together");
	return false;
}

/* ---- source and target ---- */

static bool finish_sentinel(struct deployment_options *side, const char *group, struct error *error)
{
	const struct credentials *credentials = &side->sentinel_credentials;
	char sentinel[32];

	if (side->mode != MODE_SENTINEL) {
		if (!side->master && !credentials->username && !credentials->password && !credentials->password_file &&
		    !credentials->password_env && !side->sentinel_tls.enabled)
			return true;
		fail(error, "%s.%s is for Sentinels, but %s.mode is not 'sentinel'", group, side->master ? "master" : "sentinel",
		     group);
		error_hint(error, "write %s.mode: sentinel, with the addresses of the Sentinels in %s.address", group, group);
		return false;
	}
	if (!side->master) {
		fail(error, "%s.master is missing: the name under which the Sentinels know the master", group);
		error_hint(error, "for example %s.master: mymaster", group);
		return false;
	}
	snprintf(sentinel, sizeof(sentinel), "%s.sentinel", group);
	return credentials_finish(&side->sentinel_credentials, sentinel, error) &&
	       finish_tls(&side->sentinel_tls, sentinel, error);
}

static const char *mode_name(const struct deployment_options *side)
{
	return side->mode == MODE_RDB ? "rdb" : side->mode == MODE_AOF ? "aof" : "jsonl";
}

/* Files have a path, and nothing of a server. */
static bool check_files(const struct deployment_options *side, const char *group, const char *example, struct error *error)
{
	const struct credentials *credentials = &side->credentials;

	if (!side->path) {
		fail(error, "%s.path is missing: %s.mode '%s' %s files", group, group, mode_name(side),
		     strcmp(group, "source") == 0 ? "reads" : "writes");
		error_hint(error, "for example %s.path: %s", group, example);
		return false;
	}
	if (side->address_count > 0 || credentials->username || credentials->password || credentials->password_file ||
	    credentials->password_env || side->tls.enabled || side->master) {
		fail(error, "%s.%s is for servers, but %s.mode is '%s'", group,
		     side->address_count > 0 ? "address"
		     : side->tls.enabled     ? "tls"
		     : side->master          ? "master"
		     : credentials->username ? "username"
					     : "password",
		     group, mode_name(side));
		error_hint(error, "leave it out: of files there is only %s.path", group);
		return false;
	}
	return true;
}

static bool finish_source_files(const struct task_options *options, struct error *error)
{
	if (!check_files(&options->source, "source",
			 options->source.mode == MODE_RDB ? "/backup/dump.rdb" : "/var/lib/redis/appendonlydir", error))
		return false;
	if (!options->snapshot) {
		fail(error, "snapshot is false, but source.mode '%s' has nothing that would be written from now on",
		     mode_name(&options->source));
		error_hint(error, "leave snapshot out");
		return false;
	}
	return true;
}

static bool finish_target_files(const struct task_options *options, struct error *error)
{
	const struct deployment_options *source = &options->source, *target = &options->target;
	bool follows = target->mode != MODE_RDB && options->follow;

	if (!check_files(target, "target",
			 target->mode == MODE_AOF   ? "/backup/orders-aof"
			 : target->mode == MODE_RDB ? "/backup/orders.rdb"
						    : "/backup/orders.jsonl",
			 error))
		return false;
	if (options->existing == EXISTING_MERGE) {
		fail(error, "target.existing is 'merge', but nothing can be added to a file of another task");
		error_hint(error, "write target.existing: flush to replace it, or name another file with target.path");
		return false;
	}
	if (!options->snapshot && !follows) {
		fail(error, "snapshot is false and the stream is not followed either: nothing would be written");
		error_hint(error, target->mode == MODE_RDB ? "leave snapshot out: target.mode 'rdb' is the snapshot"
							   : "leave snapshot out, or target.follow");
		return false;
	}
	if (source->mode == MODE_AOF && !follows) {
		fail(error, "source.mode is 'aof' and target.%s: the commands of an append-only file cannot be made a snapshot",
		     target->mode == MODE_RDB ? "mode 'rdb'" : "follow false");
		error_hint(
			error,
			"write target.mode: aof or jsonl, with target.follow: true; or load it into a server and let that save");
		return false;
	}
	if (source->path && strcmp(source->path, target->path) == 0) {
		fail(error, "source.path and target.path are the same: %.200s", target->path);
		error_hint(error, "name another file with target.path");
		return false;
	}
	return true;
}

static bool finish_scan(const struct task_options *options, struct error *error)
{
	bool set = !options->scan_follow || options->scan_notifications != SCAN_NOTIFICATIONS_AUTO || options->scan_interval_ms;

	if (options->source.mode != MODE_SCAN) {
		if (!set)
			return true;
		fail(error, "source.scan is for source.mode 'scan', and source.mode is another");
		error_hint(error, "write source.mode: scan, or leave source.scan out");
		return false;
	}
	if (options->scan_follow && options->scan_notifications == SCAN_NOTIFICATIONS_OFF && !options->scan_interval_ms) {
		fail(error, "source.scan.notifications is off, and without source.scan.interval no change would ever be found");
		error_hint(error, "for example source.scan.interval: 10m, or source.scan.follow: false for one pass");
		return false;
	}
	if (!options->snapshot && (!options->scan_follow || options->scan_notifications == SCAN_NOTIFICATIONS_OFF)) {
		fail(error, "snapshot is false, and source.scan.%s leaves nothing else to do",
		     options->scan_follow ? "notifications: off" : "follow: false");
		error_hint(error, "leave snapshot out");
		return false;
	}
	return true;
}

static bool finish_side(struct deployment_options *side, const char *group, struct error *error)
{
	if (side->path) {
		fail(error, "%s.path is for files, but %s.mode is none of rdb, aof%s", group, group,
		     strcmp(group, "target") == 0 ? ", jsonl" : "");
		error_hint(error, "write %s.mode: rdb, or leave %s.path out", group, group);
		return false;
	}
	if (side->address_count == 0) {
		fail(error, "%s.address is missing: where the %s is", group, group);
		error_hint(error, "for example %s.address: [10.0.0.1:6379]", group);
		return false;
	}
	if (side->mode == MODE_STANDALONE && side->address_count > 1) {
		fail(error, "%s.mode is 'standalone', but %s.address lists %zu addresses", group, group, side->address_count);
		error_hint(error, "give the one server, or write %s.mode: cluster or sentinel", group);
		return false;
	}
	for (size_t i = 0; i < side->address_count; i++)
		if (side->addresses[i].port == 0 && !endpoint_is_unix(&side->addresses[i]))
			side->addresses[i].port = side->mode == MODE_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
	return credentials_finish(&side->credentials, group, error) && finish_tls(&side->tls, group, error) &&
	       finish_sentinel(side, group, error);
}

/* Copying a server onto itself would never end. Sentinels may watch both sides, so their addresses say nothing. */
static bool check_sides_differ(const struct task_options *options, struct error *error)
{
	const struct deployment_options *source = &options->source, *target = &options->target;
	char text[ENDPOINT_TEXT_MAX];

	if (source->mode == MODE_SENTINEL || target->mode == MODE_SENTINEL)
		return true;
	for (size_t i = 0; i < source->address_count; i++)
		for (size_t j = 0; j < target->address_count; j++)
			if (endpoint_equal(&source->addresses[i], &target->addresses[j]))
				return fail(error, "source and target are the same server: %s",
					    endpoint_format(&source->addresses[i], text));
	return true;
}

static bool check_spool(const struct task_options *options, struct error *error)
{
	if (options->spool_segment_size % (1 << 20) != 0) {
		fail(error, "spool.segment_size is %llu bytes: not whole MiB", (unsigned long long)options->spool_segment_size);
		error_hint(error, "for example spool.segment_size: 16MiB");
		return false;
	}
	if (options->spool_max_size / 4 < options->spool_segment_size) {
		fail(error, "spool.max_size is less than four times spool.segment_size");
		error_hint(error, "raise spool.max_size, or lower spool.segment_size");
		return false;
	}
	return true;
}

static bool check_databases(const struct task_options *options, struct error *error)
{
	if (options->source.mode != MODE_CLUSTER || task_options_database_selected(options, 0))
		return true;
	fail(error, "source.databases leaves out database 0, the only one that a cluster has");
	error_hint(error, "leave source.databases out, or write [0]");
	return false;
}

/* ---- the script ---- */

/* What counts is the script, not where it stands. */
static void note_script(struct task_options *options)
{
	if (options->lua_script)
		settings_note_text(&options->settings, option_find(&task_option_table, SLICE("lua.script")), options->lua_script);
}

static bool finish_script(struct task_options *options, struct error *error)
{
	char *text;
	size_t len = 0;
	FILE *file;

	if (!options->lua_file) {
		note_script(options);
		return true;
	}
	if (options->lua_script) {
		fail(error, "lua.script and lua.file are two ways to give one script: both are set");
		error_hint(error, "keep one of them");
		return false;
	}
	file = fopen(options->lua_file, "re");
	text = memory_alloc(SCRIPT_MAX + 1);
	if (file)
		len = fread(text, 1, SCRIPT_MAX + 1, file);
	if (!file || ferror(file))
		error_set_errno(error, ERROR_USAGE, errno, "option 'lua.file': '%s' cannot be read", options->lua_file);
	else if (len == 0 || len > SCRIPT_MAX || memchr(text, '\0', len))
		fail(error, "option 'lua.file': '%s' is %s", options->lua_file,
		     len == 0           ? "empty"
		     : len > SCRIPT_MAX ? "longer than 1 MiB"
					: "no text: it holds a NUL byte");
	else
		options->lua_script = memory_strndup(text, len);
	if (file)
		fclose(file);
	free(text);
	if (!options->lua_script)
		return false;
	/* Read once: finishing again is harmless. */
	free(options->lua_file);
	options->lua_file = NULL;
	note_script(options);
	return true;
}

/* ---- name, work directory, listener ---- */

/* What a name is good for: a folder, a metric's label, a part of a key, a word of a command line. */
static bool name_is_usable(const char *name)
{
	struct slice text = slice_of_string(name);

	if (text.len == 0 || text.len > NAME_MAX_BYTES || name[0] == '.' || name[0] == '-' || !utf8_is_valid(text))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!letter && c < 0x80 && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

/* "10.0.0.1-6379", "__1-6379", "_run_redis.sock": colons of IPv6 and slashes become '_', which no host name has. */
static void append_endpoint(char *out, size_t cap, const struct endpoint *endpoint)
{
	size_t at = strlen(out);

	snprintf(out + at, cap - at, "%s", endpoint->host);
	for (; out[at]; at++)
		if (strchr(":/%", out[at]))
			out[at] = '_';
	if (!endpoint_is_unix(endpoint))
		snprintf(out + at, cap - at, "-%u", endpoint->port);
}

/* "dump.rdb": the last part of the path, with '_' for what a name cannot have. */
static void append_path(char *out, size_t cap, const char *path)
{
	size_t len = strlen(path), from, begin = strlen(out);

	out += begin;
	cap -= begin;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (from = len; from > 0 && path[from - 1] != '/';)
		from--;
	snprintf(out, cap, "%.*s", (int)(len - from > PATH_NAME_MAX ? PATH_NAME_MAX : len - from), path + from);
	for (size_t i = 0; out[i]; i++) {
		char c = out[i];
		bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';

		if (!kept && !((c == '.' || c == '-') && i > 0))
			out[i] = '_';
	}
	if (out[0] == '\0')
		snprintf(out, cap, "_");
}

static void append_side(char *out, size_t cap, const struct deployment_options *side)
{
	if (deployment_options_are_files(side))
		append_path(out, cap, side->path);
	else
		append_endpoint(out, cap, &side->addresses[0]);
}

static bool finish_name(struct task_options *options, struct error *error)
{
	char derived[2 * ENDPOINT_TEXT_MAX] = "";

	if (options->name) {
		char quoted[160];

		if (name_is_usable(options->name))
			return true;
		fail(error, "%s cannot name a task", slice_quote(slice_of_string(options->name), quoted, sizeof(quoted)));
		error_hint(
			error,
			"a name has letters, digits, '.', '_' and '-', does not begin with '.' or '-', and is at most %d bytes long",
			NAME_MAX_BYTES);
		return false;
	}
	append_side(derived, sizeof(derived), &options->source);
	strcat(derived, "-to-");
	append_side(derived, sizeof(derived), &options->target);
	if (!name_is_usable(derived)) {
		fail(error, "no name can be made of the addresses: %s",
		     strlen(derived) > NAME_MAX_BYTES ? "they are too long"
						      : "they have characters that a file name cannot have");
		error_hint(error, "name the task: --name NAME, or 'name: NAME' in its document");
		return false;
	}
	options->name = memory_strdup(derived);
	return true;
}

/* Of root, and of the user that the service runs as, so that both mean the same folder of a task. */
static bool state_is_of_the_machine(void)
{
	return geteuid() == 0 || euidaccess(MACHINE_STATE, W_OK | X_OK) == 0;
}

static bool finish_data_dir(struct task_options *options, struct error *error)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

	if (options->data_dir) {
		if (options->data_dir[0] != '\0')
			return true;
		return fail(error, "the work directory (--data) is empty");
	}
	/* The XDG base directory specification has relative paths ignored. */
	if (state_is_of_the_machine()) {
		options->data_dir = memory_printf(MACHINE_STATE "/%s", options->name);
	} else if (state && state[0] == '/') {
		options->data_dir = memory_printf("%s/keyferry/%s", state, options->name);
	} else if (home && home[0] == '/') {
		options->data_dir = memory_printf("%s/.local/state/keyferry/%s", home, options->name);
	} else {
		fail(error, "no work directory: neither XDG_STATE_HOME nor HOME is set");
		error_hint(error, "name one with --data DIR");
		return false;
	}
	return true;
}

static bool check_listen(const struct task_options *options, struct error *error)
{
	struct endpoint endpoint;
	char quoted[128];

	if (!options->listen || (endpoint_parse(slice_of_string(options->listen), 0, &endpoint) && !endpoint_is_unix(&endpoint)))
		return true;
	fail(error, "--listen %s is not an address with a port",
	     slice_quote(slice_of_string(options->listen), quoted, sizeof(quoted)));
	error_hint(error, "for example --listen 127.0.0.1:9121");
	return false;
}

bool task_options_finish(struct task_options *options, struct error *error)
{
	const struct deployment_options *source = &options->source, *target = &options->target;

	return (deployment_options_are_files(source) ? finish_source_files(options, error)
						     : finish_side(&options->source, "source", error)) &&
	       (deployment_options_are_files(target) ? finish_target_files(options, error)
						     : finish_side(&options->target, "target", error)) &&
	       finish_scan(options, error) && check_sides_differ(options, error) && check_databases(options, error) &&
	       check_spool(options, error) && finish_script(options, error) && check_listen(options, error) &&
	       finish_name(options, error) && finish_data_dir(options, error);
}
