#include "peer/server.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define LOADING_POLL_MS 100

/* The highest RDB version a server reads, and so the highest footer its RESTORE accepts: rdb.h of each release. */
static const struct {
	enum server_family family;
	uint32_t since;
	int rdb_version;
} rdb_versions[] = {
	{FAMILY_VALKEY, VERSION(9, 0, 0), 80}, /* and those up to 11: 12 to 79 are Redis' own and refused */
	{FAMILY_VALKEY, VERSION(7, 2, 0), 11}, {FAMILY_REDIS, VERSION(7, 4, 0), 12}, {FAMILY_REDIS, VERSION(7, 2, 0), 11},
	{FAMILY_REDIS, VERSION(7, 0, 0), 10},  {FAMILY_REDIS, VERSION(5, 0, 0), 9},  {FAMILY_REDIS, VERSION(4, 0, 0), 8},
	{FAMILY_REDIS, VERSION(3, 2, 0), 7},   {FAMILY_REDIS, VERSION(0, 0, 0), 6},
};

static int rdb_version_of(enum server_family family, uint32_t version)
{
	for (size_t i = 0; i < sizeof(rdb_versions) / sizeof(rdb_versions[0]); i++) {
		if (rdb_versions[i].family == family && version >= rdb_versions[i].since)
			return rdb_versions[i].rdb_version;
	}
	return 11; /* a Valkey before its first release */
}

const char *server_name(const struct server_info *info, char out[64])
{
	snprintf(out, 64, "%s %u.%u.%u", info->family == FAMILY_VALKEY ? "Valkey" : "Redis", info->version >> 16,
		 info->version >> 8 & 0xff, info->version & 0xff);
	return out;
}

/* ---- INFO ---- */

/* Takes the next line, without its end. False: no more. */
static bool line_next(struct slice *text, struct slice *line)
{
	const uint8_t *end;

	if (text->len == 0)
		return false;
	end = memchr(text->data, '\n', text->len);
	line->data = text->data;
	line->len = end ? (size_t)(end - text->data) : text->len;
	text->data += line->len + (end != NULL);
	text->len -= line->len + (end != NULL);
	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* Splits at the first `mark`. False: there is none. */
static bool split(struct slice text, uint8_t mark, struct slice *before, struct slice *after)
{
	const uint8_t *at = text.len > 0 ? memchr(text.data, mark, text.len) : NULL;

	if (!at)
		return false;
	*before = slice_make(text.data, (size_t)(at - text.data));
	*after = slice_make(at + 1, text.len - before->len - 1);
	return true;
}

/* "7.0.15", "8.1", "9.0.0-rc1": up to three numbers. */
static bool version_parse(struct slice text, uint32_t *ret)
{
	uint32_t parts[3] = {0};
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		size_t digits = 0;

		while (at < text.len && text.data[at] >= '0' && text.data[at] <= '9' && digits < 4) {
			parts[i] = parts[i] * 10 + (uint32_t)(text.data[at++] - '0');
			digits++;
		}
		if (digits == 0)
			return i > 0 && (*ret = VERSION(parts[0], parts[1], parts[2])) != 0;
		if (parts[i] > 255)
			parts[i] = 255; /* versions built from an unreleased branch are 255.255.255 */
		if (at == text.len || text.data[at] != '.')
			break;
		at++;
	}
	*ret = VERSION(parts[0], parts[1], parts[2]);
	return true;
}

static void copy_text(struct slice text, char *out, size_t cap)
{
	if (text.len >= cap)
		return;
	memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

/* "db3:keys=12,expires=0,avg_ttl=0" */
static void keyspace_parse(struct slice number, struct slice facts, struct server_info *info)
{
	struct slice keys, rest = {0}, name;
	uint64_t db, count;

	if (!slice_starts_with(facts, SLICE("keys=")) || !slice_to_uint64(number, &db) || db > INT32_MAX)
		return;
	if (!split(facts, ',', &keys, &rest))
		keys = facts;
	if (!slice_to_uint64(slice_make(keys.data + 5, keys.len - 5), &count) || count == 0)
		return;
	info->keys += count;
	while (split(rest, '=', &name, &rest)) {
		if (!split(rest, ',', &number, &rest)) {
			number = rest;
			rest = (struct slice){0};
		}
		if ((slice_equal(name, SLICE("subexpiry")) || slice_equal(name, SLICE("keys_with_volatile_items"))) &&
		    slice_to_uint64(number, &count))
			info->expiring_fields += count;
	}
	if ((int)db > info->highest_db)
		info->highest_db = (int)db;
}

/* "name=vectorset,ver=1,..." */
static void module_parse(struct slice facts, struct server_info *info)
{
	size_t used = strlen(info->modules);
	struct slice name, rest;

	if (!slice_starts_with(facts, SLICE("name=")) || !split(facts, ',', &name, &rest))
		return;
	name = slice_make(name.data + 5, name.len - 5);
	if (used + name.len + 2 <= sizeof(info->modules))
		snprintf(info->modules + used, sizeof(info->modules) - used, "%.*s ", (int)name.len, (const char *)name.data);
}

struct facts {
	bool has_redis_version;
	bool has_valkey_version;
	bool sentinel;
	uint32_t valkey_version;
};

static void field_parse(struct slice name, struct slice value, struct server_info *info, struct facts *facts)
{
	uint64_t number = 0;
	bool is_number = slice_to_uint64(value, &number);

	if (slice_equal(name, SLICE("redis_version")))
		facts->has_redis_version = version_parse(value, &info->version);
	else if (slice_equal(name, SLICE("valkey_version")))
		facts->has_valkey_version = version_parse(value, &facts->valkey_version);
	else if (slice_equal(name, SLICE("server_name")) && slice_equal(value, SLICE("valkey")))
		info->family = FAMILY_VALKEY;
	else if (slice_equal(name, SLICE("redis_mode")) || slice_equal(name, SLICE("server_mode")))
		facts->sentinel = slice_equal(value, SLICE("sentinel"));
	else if (slice_equal(name, SLICE("role")))
		info->role = slice_equal(value, SLICE("master")) ? ROLE_MASTER : ROLE_REPLICA;
	else if (slice_equal(name, SLICE("cluster_enabled")))
		info->cluster = number == 1;
	else if (slice_equal(name, SLICE("loading")))
		info->loading = number == 1;
	else if (slice_equal(name, SLICE("master_host")))
		copy_text(value, info->master.host, sizeof(info->master.host));
	else if (slice_equal(name, SLICE("master_port")) && number <= UINT16_MAX)
		info->master.port = (uint16_t)number;
	else if (slice_equal(name, SLICE("master_replid")))
		copy_text(value, info->replid, sizeof(info->replid));
	else if (slice_equal(name, SLICE("master_replid2")) && !slice_starts_with(value, SLICE("00000000")))
		copy_text(value, info->replid2, sizeof(info->replid2));
	else if (slice_equal(name, SLICE("client_output_buffer_limit_disconnections")))
		info->output_cuts = is_number && number <= INT64_MAX ? (int64_t)number : -1;
	else if (slice_equal(name, SLICE("run_id")))
		copy_text(value, info->run_id, sizeof(info->run_id));
	else if (slice_equal(name, SLICE("master_repl_offset")))
		info->repl_offset = is_number && number <= INT64_MAX ? (int64_t)number : 0;
	else if (slice_equal(name, SLICE("used_memory")))
		info->used_memory = number;
	else if (slice_equal(name, SLICE("maxmemory")))
		info->maxmemory = number;
	else if (slice_equal(name, SLICE("number_of_libraries")))
		info->libraries = number;
	else if (slice_equal(name, SLICE("module")))
		module_parse(value, info);
	else if (slice_starts_with(name, SLICE("db")))
		keyspace_parse(slice_make(name.data + 2, name.len - 2), value, info);
}

struct slice server_info_field(struct slice info, const char *name)
{
	struct slice line, found, value;

	while (line_next(&info, &line))
		if (split(line, ':', &found, &value) && slice_equal(found, slice_of_string(name)))
			return value;
	return SLICE("");
}

static bool info_parse(struct slice text, struct server_info *ret, struct facts *facts)
{
	struct server_info info = {.family = FAMILY_REDIS, .output_cuts = -1, .highest_db = -1};
	struct slice line, name, value;

	*facts = (struct facts){0};
	while (line_next(&text, &line)) {
		if (split(line, ':', &name, &value))
			field_parse(name, value, &info, facts);
	}
	if (facts->has_valkey_version) {
		info.family = FAMILY_VALKEY;
		info.version = facts->valkey_version;
	}
	if (!facts->has_redis_version && !facts->has_valkey_version)
		return false;
	if (info.replid[0] == '\0') /* before 4.0 the run id names the history */
		memcpy(info.replid, info.run_id, sizeof(info.replid));
	info.rdb_version = rdb_version_of(info.family, info.version);
	*ret = info;
	return true;
}

bool server_info_parse(struct slice text, struct server_info *ret)
{
	struct facts facts;

	return info_parse(text, ret, &facts);
}

/* ---- asking ---- */

static void rest(struct client *client, uint32_t delay_ms)
{
	const bool never = false;

	loop_run_until(client_loop(client), &never, clock_monotonic_us() + (uint64_t)delay_ms * 1000);
}

bool server_info_fetch(struct client *client, struct server_info *ret, struct error *error)
{
	const char *side = client_blame(client) == ERROR_TARGET ? "target" : "source";
	uint64_t deadline_us = clock_monotonic_us() + (uint64_t)client_timeout_ms(client) * 1000;
	struct client_reply reply;
	struct server_info info;
	struct facts facts;
	char name[64];

	for (;;) {
		if (!client_call(client, &reply, false, error, "INFO", NULL))
			return false;
		if (reply.nodes[0].type != RESP_BULK || !info_parse(reply.nodes[0].text, &info, &facts)) {
			error_set(error, client_blame(client), "%s: not a Redis or Valkey server: no version in its INFO",
				  client_peer(client));
			error_hint(error, "check host and port");
			return false;
		}
		if (facts.sentinel) {
			error_set(error, client_blame(client), "%s: this is a Sentinel, not a server with data",
				  client_peer(client));
			error_hint(error, "write %s.mode: sentinel and %s.master: NAME, or give the server's own address", side,
				   side);
			return false;
		}
		if (info.family == FAMILY_REDIS && info.version < VERSION(2, 8, 0)) {
			error_set(error, client_blame(client), "%s: %s is too old: 2.8 is the oldest that can be used",
				  client_peer(client), server_name(&info, name));
			return false;
		}
		if (!info.loading) {
			*ret = info;
			return true;
		}
		if (clock_monotonic_us() >= deadline_us) {
			error_set(error, client_blame(client), "%s: the server is still loading its data set after %g s",
				  client_peer(client), client_timeout_ms(client) / 1000.0);
			error_hint(error, "wait until it has finished (loading:0 in INFO) and start again");
			return false;
		}
		rest(client, LOADING_POLL_MS);
	}
}
