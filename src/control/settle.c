#include "control/settle.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/memory.h"
#include "transform/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_COUNT "400"
#define GROUP_MAX 100    /* keys of one script: it blocks the server for well below a millisecond */
#define SMALL_HASH "128" /* fields that the script itself looks at */
#define FIELDS_COUNT "128"
#define PAUSE_MAX_MS 200
#define TEMPORARY SLICE("keyferry:tmp:")

/* ARGV of both scripts: hold or free, base, span, margin, final (1 or 0), PEXPIRETIME is known (1 or 0), base of fields, fields may have times (1 or 0).
 * `time_to_write` is given what a key or field has, -1 or -2 for none. TIME stands still neither before nor behind PTTL in old versions, so it is asked until both
 * are in the same millisecond. */
#define COMMON                                                                                                                   \
	"if redis.replicate_commands then redis.replicate_commands() end\n"                                                      \
	"local hold,base,span,margin,final=ARGV[1]=='hold',tonumber(ARGV[2]),tonumber(ARGV[3]),tonumber(ARGV[4]),ARGV[5]=='1'\n" \
	"local field_base=tonumber(ARGV[7])\n"                                                                                   \
	"local changed,passed=0,0\n"                                                                                             \
	"local function now() local t=redis.call('TIME') return t[1]*1000+math.floor(t[2]/1000) end\n"                           \
	"local soon=now()+1000\n"                                                                                                \
	"local function text(n) return string.format('%.0f',n) end\n"                                                            \
	"local function expiry(key)\n"                                                                                           \
	"if ARGV[6]=='1' then return redis.call('PEXPIRETIME',key) end\n"                                                        \
	"local before,left,after\n"                                                                                              \
	"repeat before=now() left=redis.call('PTTL',key) after=now() until before==after\n"                                      \
	"return left<0 and left or before+left\n"                                                                                \
	"end\n"                                                                                                                  \
	"local function time_to_write(v,base)\n"                                                                                 \
	"if hold then\n"                                                                                                         \
	"if v>=0 and v<span then return v-margin+base end\n"                                                                     \
	"elseif v>=base and v<base+span then\n"                                                                                  \
	"local t=v-base+margin\n"                                                                                                \
	"if final or t>soon then return t end\n"                                                                                 \
	"passed=passed+1\n"                                                                                                      \
	"end\n"                                                                                                                  \
	"end\n"                                                                                                                  \
	"local function fields(key,names,first)\n"                                                                               \
	"for i=first,#names do\n"                                                                                                \
	"local v=redis.call('HPEXPIRETIME',key,'FIELDS',1,names[i])\n"                                                           \
	"local t=type(v)=='table' and time_to_write(v[1],field_base)\n"                                                          \
	"if t then redis.call('HPEXPIREAT',key,text(t),'FIELDS',1,names[i]) changed=changed+1 end\n"                             \
	"end\n"                                                                                                                  \
	"end\n"

/* KEYS: keys. Returns: how many times were changed, how many have passed, then which keys are hashes too large to be looked at here. */
static const char script_keys[] = COMMON "local result={0,0}\n"
					 "for i,key in ipairs(KEYS) do\n"
					 "local t=time_to_write(expiry(key),base)\n"
					 "if t then redis.call('PEXPIREAT',key,text(t)) changed=changed+1 end\n"
					 "if ARGV[8]=='1' and redis.call('TYPE',key).ok=='hash' then\n"
					 "if redis.call('HLEN',key)>" SMALL_HASH
					 " then result[#result+1]=i else fields(key,redis.call('HKEYS',key),1) end\n"
					 "end\n"
					 "end\n"
					 "result[1]=changed result[2]=passed\n"
					 "return result";

/* KEYS: a hash. ARGV: those in common, then names of fields. */
static const char script_fields[] = COMMON "fields(KEYS[1],ARGV,9)\n"
					   "return {changed,passed}";

#define COMMON_ARGUMENTS 8

struct settle {
	const struct settle_options *options;
	struct settle_counts *counts;
	struct loop *loop;
	struct client *client; /* of the master at hand */
	const struct server_info *server;
	bool cluster;
	bool field_times;             /* the database at hand has some */
	struct arena portion, fields; /* of one portion of keys, of fields */
	struct arena *arena;          /* the one in use */
	char keys_sha[48], fields_sha[48];
	bool load; /* the scripts are not there, or not any more */
	/* commands on their way */
	uint32_t waiting;
	bool idle;
	struct error error; /* of the first that failed */
	bool failed;
	/* of the last portion */
	struct slice *large;
	uint32_t large_count, large_room;
	char base[24], span[24], margin[24], field_base[24];
};

/* ---- commands ---- */

struct question {
	struct settle *settle;
	void (*take)(struct question *question, const struct resp_node *reply);
	struct slice *keys;
	uint32_t key_count;
};

static void fail(struct settle *settle, const struct error *error)
{
	if (!settle->failed)
		settle->error = *error;
	settle->failed = true;
}

/* The key lies elsewhere, is on its way, or has become another one: another pass will find it. */
static bool is_elsewhere(struct slice text)
{
	return slice_starts_with(text, SLICE("WRONGTYPE")) || slice_starts_with(text, SLICE("MOVED ")) ||
	       slice_starts_with(text, SLICE("ASK ")) || slice_starts_with(text, SLICE("TRYAGAIN"));
}

static void on_reply(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct question *question = owner;
	struct settle *settle = question->settle;
	struct error refused;

	if (--settle->waiting == 0)
		settle->idle = true;
	if (error) {
		fail(settle, error);
	} else if (reply->nodes[0].type != RESP_ERROR) {
		question->take(question, &reply->nodes[0]);
	} else if (is_elsewhere(reply->nodes[0].text)) {
		settle->counts->moved++;
	} else if (slice_starts_with(reply->nodes[0].text, SLICE("NOSCRIPT"))) {
		settle->counts->moved++;
		settle->load = true;
	} else {
		error_set(&refused, ERROR_TARGET, "target %s: %.*s", client_peer(settle->client),
			  (int)(reply->nodes[0].text.len > 300 ? 300 : reply->nodes[0].text.len),
			  (const char *)reply->nodes[0].text.data);
		fail(settle, &refused);
	}
}

static struct question *ask(struct settle *settle, uint32_t argc, const struct slice *argv,
			    void (*take)(struct question *question, const struct resp_node *reply))
{
	struct question *question = arena_take(settle->arena, sizeof(*question));

	*question = (struct question){.settle = settle, .take = take};
	settle->waiting++;
	settle->idle = false;
	client_send(settle->client, argc, argv, on_reply, question);
	return question;
}

/* All answers are there. False: one has failed. */
static bool await(struct settle *settle, struct error *error)
{
	if (settle->waiting > 0)
		client_wait(settle->client, &settle->idle);
	if (settle->failed)
		*error = settle->error;
	return !settle->failed;
}

static void put_common(const struct settle *settle, struct slice *argv)
{
	const struct server_info *server = settle->server;
	bool knows_time = server->family == FAMILY_VALKEY || server->version >= VERSION(7, 0, 0);

	argv[0] = settle->options->pass == SETTLE_HOLD ? SLICE("hold") : SLICE("free");
	argv[1] = slice_of_string(settle->base);
	argv[2] = slice_of_string(settle->span);
	argv[3] = slice_of_string(settle->margin);
	argv[4] = settle->options->final ? SLICE("1") : SLICE("0");
	argv[5] = knows_time ? SLICE("1") : SLICE("0");
	argv[6] = slice_of_string(settle->field_base);
	argv[7] = settle->field_times ? SLICE("1") : SLICE("0");
}

/* ---- keys ---- */

static int64_t number_at(const struct resp_node *reply, uint32_t index)
{
	const struct resp_node *member = reply->type == RESP_ARRAY ? resp_member(reply, index) : NULL;

	return member && member->type == RESP_INTEGER ? member->integer : 0;
}

static void take_keys(struct question *question, const struct resp_node *reply)
{
	struct settle *settle = question->settle;

	settle->counts->keys += question->key_count;
	settle->counts->changed += (uint64_t)number_at(reply, 0);
	settle->counts->passed += (uint64_t)number_at(reply, 1);
	for (uint32_t i = 2; i < reply->count; i++) {
		int64_t at = number_at(reply, i);

		if (at < 1 || at > question->key_count)
			continue;
		if (settle->large_count == settle->large_room) {
			settle->large_room = settle->large_room ? 2 * settle->large_room : 16;
			settle->large = memory_realloc_array(settle->large, settle->large_room, sizeof(settle->large[0]));
		}
		settle->large[settle->large_count++] = question->keys[at - 1];
	}
}

static void ask_keys(struct settle *settle, struct slice *keys, uint32_t count)
{
	struct slice *argv = arena_take(settle->arena, (3 + count + COMMON_ARGUMENTS) * sizeof(*argv));
	struct question *question;

	argv[0] = SLICE("EVALSHA");
	argv[1] = slice_of_string(settle->keys_sha);
	argv[2] = arena_number(settle->arena, count);
	memcpy(argv + 3, keys, count * sizeof(*keys));
	put_common(settle, argv + 3 + count);
	question = ask(settle, 3 + count + COMMON_ARGUMENTS, argv, take_keys);
	question->keys = keys;
	question->key_count = count;
}

static void take_removed(struct question *question, const struct resp_node *reply)
{
	if (reply->type == RESP_INTEGER)
		question->settle->counts->temporary += (uint64_t)reply->integer;
}

static int compare_slot(const void *a, const void *b)
{
	return (int)slot_of_key(*(const struct slice *)a) - (int)slot_of_key(*(const struct slice *)b);
}

/* A script may touch one slot of a cluster only. */
static void ask_portion(struct settle *settle, struct slice *keys, uint32_t count)
{
	if (settle->cluster)
		qsort(keys, count, sizeof(*keys), compare_slot);
	for (uint32_t first = 0, end; first < count; first = end) {
		for (end = first + 1; end < count && end - first < GROUP_MAX; end++)
			if (settle->cluster && slot_of_key(keys[end]) != slot_of_key(keys[first]))
				break;
		ask_keys(settle, keys + first, end - first);
	}
}

/* ---- large hashes ---- */

struct cursor {
	struct slice text; /* in the arena */
	struct slice *items;
	uint32_t count;
};

/* The reply of SCAN and HSCAN, copied. */
static bool read_cursor(struct settle *settle, const struct client_reply *reply, struct cursor *cursor)
{
	const struct resp_node *text = resp_member(&reply->nodes[0], 0), *items = resp_member(&reply->nodes[0], 1);

	if (!text || !items || items->type != RESP_ARRAY)
		return false;
	cursor->text = arena_copy(settle->arena, text->text);
	cursor->items = arena_take(settle->arena, (items->count + 1) * sizeof(*cursor->items));
	cursor->count = items->count;
	for (uint32_t i = 0; i < items->count; i++)
		cursor->items[i] = arena_copy(settle->arena, resp_member(items, i)->text);
	return true;
}

#define CURSOR_MAX 24

/* What no server answers ends the walk. */
static void copy_cursor(char out[CURSOR_MAX], const struct cursor *cursor)
{
	if (cursor->text.len == 0 || cursor->text.len >= CURSOR_MAX)
		strcpy(out, "0");
	else
		snprintf(out, CURSOR_MAX, "%.*s", (int)cursor->text.len, (const char *)cursor->text.data);
}

struct straight {
	struct settle *settle;
	struct cursor *cursor;
	bool ok;
};

static void take_cursor(struct question *question, const struct resp_node *reply)
{
	struct straight *straight = (struct straight *)question->keys;
	struct client_reply whole = {reply, 1};

	straight->ok = reply->type == RESP_ARRAY && read_cursor(question->settle, &whole, straight->cursor);
}

static bool scan_step(struct settle *settle, uint32_t argc, const struct slice *argv, struct cursor *cursor, struct error *error)
{
	struct straight straight = {.settle = settle, .cursor = cursor};

	ask(settle, argc, argv, take_cursor)->keys = (struct slice *)&straight;
	if (!await(settle, error))
		return false;
	/* A hash whose slot has moved meanwhile: there is nothing more to see. */
	if (!straight.ok)
		*cursor = (struct cursor){.text = SLICE("0")};
	return true;
}

static void take_fields(struct question *question, const struct resp_node *reply)
{
	question->settle->counts->changed += (uint64_t)number_at(reply, 0);
	question->settle->counts->passed += (uint64_t)number_at(reply, 1);
}

static bool walk_hash(struct settle *settle, struct slice key, struct error *error)
{
	char text[CURSOR_MAX] = "0";
	struct cursor cursor;

	do {
		const struct slice scan[] = {SLICE("HSCAN"),   key, slice_of_string(text), SLICE("COUNT"), SLICE(FIELDS_COUNT),
					     SLICE("NOVALUES")};
		struct slice *argv;

		arena_reset(&settle->fields);
		if (!scan_step(settle, 6, scan, &cursor, error))
			return false;
		copy_cursor(text, &cursor);
		if (cursor.count == 0)
			continue;
		argv = arena_take(settle->arena, (4 + COMMON_ARGUMENTS + cursor.count) * sizeof(*argv));
		argv[0] = SLICE("EVALSHA");
		argv[1] = slice_of_string(settle->fields_sha);
		argv[2] = SLICE("1");
		argv[3] = key;
		put_common(settle, argv + 4);
		memcpy(argv + 4 + COMMON_ARGUMENTS, cursor.items, cursor.count * sizeof(*argv));
		ask(settle, 4 + COMMON_ARGUMENTS + cursor.count, argv, take_fields);
		if (!await(settle, error))
			return false;
	} while (strcmp(text, "0") != 0);
	return true;
}

/* ---- a database ---- */

static bool handle_portion(struct settle *settle, struct cursor *cursor, struct error *error)
{
	uint32_t kept = 0;

	settle->large_count = 0;
	for (uint32_t i = 0; i < cursor->count; i++) {
		const struct slice remove[] = {SLICE("DEL"), cursor->items[i]};

		if (settle->options->temporary && slice_starts_with(cursor->items[i], TEMPORARY))
			ask(settle, 2, remove, take_removed);
		else
			cursor->items[kept++] = cursor->items[i];
	}
	ask_portion(settle, cursor->items, kept);
	if (!await(settle, error))
		return false;
	settle->arena = &settle->fields;
	for (uint32_t i = 0; i < settle->large_count; i++)
		if (!walk_hash(settle, settle->large[i], error))
			return false;
	return true;
}

static void rest(const struct settle *settle, uint64_t worked_us)
{
	static const bool never;
	uint64_t ms = worked_us / 1000;

	if (settle->options->gentle)
		loop_run_until(settle->loop, &never,
			       clock_monotonic_us() + (ms < PAUSE_MAX_MS ? worked_us : PAUSE_MAX_MS * 1000));
}

static bool load_script(struct settle *settle, const char *body, char out[48], struct error *error)
{
	struct client_reply reply;

	if (!client_call(settle->client, &reply, false, error, "SCRIPT", "LOAD", body, NULL))
		return false;
	snprintf(out, 48, "%.*s", (int)(reply.nodes[0].text.len < 48 ? reply.nodes[0].text.len : 0),
		 (const char *)reply.nodes[0].text.data);
	return true;
}

static bool load_scripts(struct settle *settle, struct error *error)
{
	settle->load = false;
	return load_script(settle, script_keys, settle->keys_sha, error) &&
	       load_script(settle, script_fields, settle->fields_sha, error);
}

static enum settle_outcome walk_database(struct settle *settle, struct error *error)
{
	char text[CURSOR_MAX] = "0";

	do {
		const struct slice scan[] = {SLICE("SCAN"), slice_of_string(text), SLICE("COUNT"), SLICE(SCAN_COUNT)};
		uint64_t began = clock_monotonic_us();
		struct cursor cursor;

		if (!settle->options->go_on(settle->options->owner))
			return SETTLE_LEFT_OFF;
		arena_reset(&settle->portion);
		settle->arena = &settle->portion;
		if (settle->load && !load_scripts(settle, error))
			return SETTLE_FAILED;
		if (!scan_step(settle, 4, scan, &cursor, error) || !handle_portion(settle, &cursor, error))
			return SETTLE_FAILED;
		copy_cursor(text, &cursor);
		rest(settle, clock_monotonic_us() - began);
	} while (strcmp(text, "0") != 0);
	return SETTLE_DONE;
}

/* ---- a master ---- */

/* "db3:keys=4,expires=2,avg_ttl=0,subexpiry=1": subexpiry at Redis, keys_with_volatile_items at Valkey. */
static uint64_t number_behind(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

static enum settle_outcome walk_line(struct settle *settle, const char *line, struct error *error)
{
	unsigned long database = strtoul(line + 2, NULL, 10);
	enum settle_outcome outcome;
	struct client_reply reply;
	struct error ignored;
	char number[24];

	settle->field_times = number_behind(line, "subexpiry=") > 0 || number_behind(line, "keys_with_volatile_items=") > 0;
	if (!settle->field_times && number_behind(line, "expires=") == 0 && !settle->options->temporary)
		return SETTLE_DONE;
	/* The connection is the deployment's, and whoever uses it next counts on database 0: there lie the marks, for one. Where that is all there is, as in most
	 * clusters, the user need not be allowed SELECT. */
	snprintf(number, sizeof(number), "%lu", database);
	if (database > 0 && !client_call(settle->client, &reply, false, error, "SELECT", number, NULL))
		return SETTLE_FAILED;
	outcome = walk_database(settle, error);
	if (database > 0 &&
	    !client_call(settle->client, &reply, false, outcome == SETTLE_FAILED ? &ignored : error, "SELECT", "0", NULL))
		return SETTLE_FAILED;
	return outcome;
}

static bool choose_master(struct settle *settle, uint32_t shard, struct error *error)
{
	settle->load = true;
	settle->server = deployment_server(settle->options->target, shard);
	settle->client = deployment_client(settle->options->target, shard, error);
	if (settle->client && !settle->server)
		error_set(error, ERROR_TARGET, "target %s is new in the cluster, and has not told who it is",
			  client_peer(settle->client));
	if (!settle->client || !settle->server)
		return false;
	settle->loop = client_loop(settle->client);
	return true;
}

static enum settle_outcome walk_master(struct settle *settle, uint32_t shard, struct error *error)
{
	enum settle_outcome outcome = SETTLE_DONE;
	struct client_reply reply;
	char *lines, *line, *rest_of;

	if (!choose_master(settle, shard, error) || !client_call(settle->client, &reply, false, error, "INFO", "keyspace", NULL))
		return SETTLE_FAILED;
	lines = memory_strndup((const char *)reply.nodes[0].text.data, reply.nodes[0].text.len);
	for (line = strtok_r(lines, "\r\n", &rest_of); line && outcome == SETTLE_DONE; line = strtok_r(NULL, "\r\n", &rest_of))
		if (strncmp(line, "db", 2) == 0)
			outcome = walk_line(settle, line, error);
	free(lines);
	return outcome;
}

/* ---- public ---- */

static void begin(struct settle *settle, const struct settle_options *options, struct settle_counts *counts)
{
	*settle = (struct settle){.options = options, .counts = counts, .cluster = deployment_topology(options->target)->cluster};
	*counts = (struct settle_counts){0};
	snprintf(settle->base, sizeof(settle->base), "%lld", (long long)options->base);
	snprintf(settle->span, sizeof(settle->span), "%lld", (long long)GUARD_SPAN);
	snprintf(settle->margin, sizeof(settle->margin), "%lld", (long long)options->margin_ms);
	snprintf(settle->field_base, sizeof(settle->field_base), "%lld", (long long)GUARD_FIELD_BASE);
}

static void end(struct settle *settle)
{
	arena_free(&settle->portion);
	arena_free(&settle->fields);
	free(settle->large);
}

enum settle_outcome settle_run(const struct settle_options *options, struct settle_counts *counts, struct error *error)
{
	enum settle_outcome outcome = SETTLE_DONE;
	struct settle settle;

	*counts = (struct settle_counts){0};
	if (!deployment_refresh(options->target, error))
		return SETTLE_FAILED;
	begin(&settle, options, counts);
	for (uint32_t i = 0; i < deployment_topology(options->target)->shard_count && outcome == SETTLE_DONE; i++)
		outcome = walk_master(&settle, i, error);
	end(&settle);
	return outcome;
}

static uint16_t slot_of_shard(const struct topology *topology, uint32_t shard)
{
	for (uint32_t slot = 0; topology->cluster && slot < SLOT_COUNT; slot++)
		if (topology->owner[slot] == shard)
			return (uint16_t)slot;
	return 0;
}

static bool probe_master(struct settle *settle, uint32_t shard, struct error *error)
{
	const struct slice scan[] = {SLICE("SCAN"), SLICE("0"), SLICE("COUNT"), SLICE("1")};
	const struct topology *topology = deployment_topology(settle->options->target);
	struct cursor cursor;
	char name[64];
	struct slice key;

	snprintf(name, sizeof(name), "keyferry:tmp:{%s}", slot_tag(slot_of_shard(topology, shard)));
	key = slice_of_string(name);
	settle->arena = &settle->portion;
	if (!choose_master(settle, shard, error) || !load_scripts(settle, error) || !scan_step(settle, 4, scan, &cursor, error))
		return false;
	ask_keys(settle, &key, 1);
	return await(settle, error);
}

/* A refusal that says nothing of what the server lets the task do. */
static bool is_passing(const struct error *error)
{
	static const char *const words[] = {"LOADING ", "CLUSTERDOWN ", "MASTERDOWN ", "READONLY ", "MOVED ", "BUSY "};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(error->text, words[i]))
			return true;
	return false;
}

enum settle_may settle_probe(struct deployment *target, struct error *error)
{
	const struct settle_options options = {.target = target, .pass = SETTLE_FREE, .base = GUARD_KEY_BASE};
	struct settle_counts counts;
	struct settle settle;
	enum settle_may may = SETTLE_MAY;

	begin(&settle, &options, &counts);
	for (uint32_t i = 0; i < deployment_topology(target)->shard_count && may == SETTLE_MAY; i++)
		if (!probe_master(&settle, i, error))
			may = settle.client && !client_is_dead(settle.client) && !is_passing(error) ? SETTLE_MAY_NOT
												    : SETTLE_MAY_UNKNOWN;
	end(&settle);
	return may;
}
