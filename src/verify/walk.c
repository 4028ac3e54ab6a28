#include "verify/walk.h"

#include "base/clock.h"
#include "base/memory.h"
#include "peer/scan_count.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT_LEAST 1000        /* a fraction of a millisecond of the server's time */
#define AHEAD_BYTES (64u << 10) /* of names that wait, after which a master is not asked for more */
#define NAMES_MAX (1u << 30)
#define CURSOR_MAX 24
#define RUN_ID_MAX 41
#define AGAIN_MAX 5 /* a master's address behind which processes change that often is no one's */

/* Of one master. */
struct path {
	struct walk *walk;
	uint32_t shard, map_number; /* as of the side's map of that number */
	struct endpoint master;
	char run_id[RUN_ID_MAX]; /* of the process that the cursor is one of */
	uint32_t *databases;
	uint32_t count, at;
	char cursor[CURSOR_MAX];
	bool asking;
	uint64_t asked_us, took_us; /* SCAN */
	bool ended;                 /* all names are here; it remains to be seen whether it was one process that told them */
	bool over;
	uint32_t again;      /* begun again, for another process answered */
	struct buffer names; /* of each: database, length, bytes */
};

struct heading {
	uint32_t db, len;
};

struct walk {
	struct side *side;
	bool (*wants)(void *owner, uint32_t db);
	void *owner;
	struct path *paths;
	uint32_t count, turn;
	bool held;          /* nothing more is asked */
	uint32_t lost;      /* masters */
	uint32_t restarted; /* likewise */
	uint64_t keys;
	uint32_t highest_db;
};

/* ---- SCAN ---- */

static void on_names(void *owner, uint32_t tag, const struct asker_answer *answer)
{
	struct path *path = owner;
	const struct resp_node *cursor, *names;
	struct heading heading = {.db = path->databases[path->at]};

	(void)tag;
	path->asking = false;
	if (!answer || !answer->nodes)
		return; /* asked again from the same place */
	if (answer->nodes[0].type == RESP_ERROR) {
		side_may_pass(path->walk->side, asker_peer(path->walk->side->askers[path->shard]), answer->nodes[0].text);
		return;
	}
	path->took_us = clock_monotonic_us() - path->asked_us;
	cursor = resp_member(&answer->nodes[0], 0);
	names = resp_member(&answer->nodes[0], 1);
	if (!cursor || !names || names->type != RESP_ARRAY || cursor->text.len >= CURSOR_MAX)
		return;
	for (uint32_t i = 0; i < names->count; i++) {
		struct slice name = names[1 + i].text; /* a name is one node */

		heading.len = (uint32_t)name.len;
		if (!buffer_append(&path->names, &heading, sizeof(heading)) || !buffer_append_slice(&path->names, name))
			return; /* not even one answer is that long */
	}
	snprintf(path->cursor, sizeof(path->cursor), "%.*s", (int)cursor->text.len, (const char *)cursor->text.data);
	if (strcmp(path->cursor, "0") == 0)
		path->ended = ++path->at == path->count;
}

/* ---- one process ---- */

/* Its run id in an answer to INFO server; "" where it tells none. */
static void take_run_id(struct slice info, char out[RUN_ID_MAX])
{
	static const char name[] = "\nrun_id:";
	const uint8_t *at = memmem(info.data, info.len, name, sizeof(name) - 1), *end;

	out[0] = '\0';
	if (!at)
		return;
	at += sizeof(name) - 1;
	end = memchr(at, '\r', info.len - (size_t)(at - info.data));
	snprintf(out, RUN_ID_MAX, "%.*s", end ? (int)(end - at) : 0, (const char *)at);
}

/* Each process of a server has an order of its own, in which its cursors count: those of another one have passed over keys. */
static void on_server(void *owner, uint32_t tag, const struct asker_answer *answer)
{
	struct path *path = owner;
	char run_id[RUN_ID_MAX];

	(void)tag;
	path->asking = false;
	if (!answer || !answer->nodes)
		return;
	if (answer->nodes[0].type == RESP_ERROR) {
		side_may_pass(path->walk->side, asker_peer(path->walk->side->askers[path->shard]), answer->nodes[0].text);
		return;
	}
	take_run_id(answer->nodes[0].text, run_id);
	path->over = strcmp(run_id, path->run_id) == 0 || path->again == AGAIN_MAX;
	path->walk->lost += path->over && strcmp(run_id, path->run_id) != 0;
	if (path->over)
		return;
	path->again++;
	memcpy(path->run_id, run_id, sizeof(run_id));
	path->ended = false;
	path->at = 0;
	path->walk->restarted++;
}

static void ask(struct path *path)
{
	uint8_t digits[24];
	const struct slice scan[] = {SLICE("SCAN"), slice_of_string(path->cursor), SLICE("COUNT"),
				     slice_make(digits, resp_put_uint64(digits, scan_count(path->took_us, COUNT_LEAST)))};
	const struct slice info[] = {SLICE("INFO"), SLICE("server")};
	struct walk *walk = path->walk;

	if (path->asking || path->over || walk->held || buffer_readable(&path->names).len > AHEAD_BYTES)
		return;
	if (path->map_number != walk->side->map_number) {
		path->shard = side_shard_of(walk->side, &path->master);
		path->map_number = walk->side->map_number;
		/* Its keys have gone elsewhere. */
		path->over = path->shard == SHARD_NONE;
		walk->lost += path->over;
		if (path->over)
			return;
	}
	path->asking = true;
	path->asked_us = clock_monotonic_us();
	if (path->ended)
		asker_ask(walk->side->askers[path->shard], path->databases[path->count - 1], 2, info, on_server, path, 0);
	else
		asker_ask(walk->side->askers[path->shard], path->databases[path->at], 4, scan, on_names, path, 0);
}

/* ---- databases ---- */

static void take_line(struct path *path, const char *line)
{
	struct walk *walk = path->walk;
	const char *keys = strstr(line, "keys=");
	uint32_t db = (uint32_t)strtoul(line + 2, NULL, 10);

	if (strncmp(line, "db", 2) != 0 || !keys)
		return;
	if (db > walk->highest_db)
		walk->highest_db = db;
	if (!walk->wants(walk->owner, db))
		return;
	walk->keys += strtoull(keys + 5, NULL, 10);
	path->databases = memory_realloc_array(path->databases, path->count + 1, sizeof(*path->databases));
	path->databases[path->count++] = db;
}

static bool ask_info(struct path *path, const char *section, struct slice *ret, struct error *error)
{
	struct client_reply reply;

	if (!side_call(path->walk->side, path->shard, &reply, error, "INFO", section))
		return false;
	*ret = reply.nodes[0].text;
	if (reply.nodes[0].type != RESP_ERROR)
		return true;
	side_may_pass(path->walk->side, "", reply.nodes[0].text);
	*error = path->walk->side->error;
	return false;
}

static bool find_databases(struct path *path, struct error *error)
{
	struct slice info;
	char *text, *rest;

	if (!ask_info(path, "keyspace", &info, error))
		return false;
	text = memory_strndup((const char *)info.data, info.len);
	for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
		take_line(path, line);
	free(text);
	path->over = path->count == 0;
	return true;
}

static bool find_process(struct path *path, struct error *error)
{
	struct slice info;

	if (!ask_info(path, "server", &info, error))
		return false;
	take_run_id(info, path->run_id);
	return true;
}

/* ---- a place to go on from ---- */

static json_t *path_place(const struct path *path)
{
	json_t *databases = json_array();
	char master[ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < path->count; i++)
		json_array_append_new(databases, json_integer(path->databases[i]));
	return json_pack("{s:s, s:s, s:o, s:i, s:s, s:b, s:b}", "master", endpoint_format(&path->master, master), "run_id",
			 path->run_id, "databases", databases, "at", (int)path->at, "cursor", path->cursor, "ended",
			 (int)path->ended, "over", (int)path->over);
}

static bool is_number(const char *text)
{
	uint64_t number;

	return slice_to_uint64(slice_of_string(text), &number);
}

/* False: it is none, or of another process. */
static bool take_place(struct path *path, json_t *place)
{
	const char *master, *run_id, *cursor;
	char address[ENDPOINT_TEXT_MAX];
	int at, ended, over;
	json_t *databases, *db;
	size_t i;

	if (json_unpack(place, "{s:s, s:s, s:o, s:i, s:s, s:b, s:b}", "master", &master, "run_id", &run_id, "databases",
			&databases, "at", &at, "cursor", &cursor, "ended", &ended, "over", &over) < 0 ||
	    strcmp(master, endpoint_format(&path->master, address)) != 0 || strcmp(run_id, path->run_id) != 0 || !run_id[0])
		return false;
	path->count = (uint32_t)json_array_size(databases);
	if (strlen(cursor) >= CURSOR_MAX || !is_number(cursor) || at < 0 || (uint32_t)at > path->count ||
	    (!ended && !over && (uint32_t)at == path->count))
		return false;
	path->databases = memory_alloc_zero(path->count + 1, sizeof(*path->databases));
	json_array_foreach (databases, i, db)
		path->databases[i] = (uint32_t)json_integer_value(db);
	snprintf(path->cursor, sizeof(path->cursor), "%s", cursor);
	path->at = (uint32_t)at;
	path->ended = ended;
	path->over = over;
	return true;
}

json_t *walk_place(const struct walk *walk)
{
	json_t *paths = json_array();

	for (uint32_t i = 0; i < walk->count; i++)
		json_array_append_new(paths, path_place(&walk->paths[i]));
	return paths;
}

/* ---- public ---- */

static struct walk *make(struct side *side, bool (*wants)(void *owner, uint32_t db), void *owner)
{
	struct walk *walk = memory_alloc_zero(1, sizeof(*walk));

	walk->side = side;
	walk->wants = wants;
	walk->owner = owner;
	walk->count = side->count;
	walk->paths = memory_alloc_zero(side->count, sizeof(walk->paths[0]));
	for (uint32_t i = 0; i < walk->count; i++) {
		walk->paths[i] = (struct path){
			.walk = walk,
			.shard = i,
			.map_number = side->map_number,
			.master = deployment_topology(side->deployment)->shards[i].master,
			.cursor = "0",
		};
		buffer_init(&walk->paths[i].names, NAMES_MAX);
	}
	return walk;
}

struct walk *walk_new(struct side *side, bool (*wants)(void *owner, uint32_t db), void *owner, struct error *error)
{
	struct walk *walk = make(side, wants, owner);

	for (uint32_t i = 0; i < walk->count; i++) {
		if (!find_process(&walk->paths[i], error) || !find_databases(&walk->paths[i], error)) {
			walk_free(walk);
			return NULL;
		}
	}
	return walk;
}

struct walk *walk_go_on(struct side *side, json_t *place, struct error *error)
{
	struct walk *walk = make(side, NULL, NULL);
	bool ok = json_array_size(place) == walk->count;

	error_clear(error);
	for (uint32_t i = 0; ok && i < walk->count; i++)
		ok = find_process(&walk->paths[i], error) && take_place(&walk->paths[i], json_array_get(place, i));
	if (ok)
		return walk;
	walk_free(walk);
	return NULL;
}

void walk_free(struct walk *walk)
{
	if (!walk)
		return;
	for (uint32_t i = 0; i < walk->count; i++) {
		free(walk->paths[i].databases);
		buffer_free(&walk->paths[i].names);
	}
	free(walk->paths);
	free(walk);
}

bool walk_next(struct walk *walk, uint32_t *ret_db, struct slice *ret_key)
{
	/* One master after the other, so that all of them are kept busy. */
	for (uint32_t tried = 0; tried < walk->count; tried++) {
		struct path *path = &walk->paths[walk->turn];
		struct slice names = buffer_readable(&path->names);
		struct heading heading;

		ask(path);
		walk->turn = (walk->turn + 1) % walk->count;
		if (names.len == 0)
			continue;
		memcpy(&heading, names.data, sizeof(heading));
		*ret_db = heading.db;
		*ret_key = slice_make(names.data + sizeof(heading), heading.len);
		/* The bytes stay where they are until more are added. */
		buffer_consumed(&path->names, sizeof(heading) + heading.len);
		return true;
	}
	return false;
}

bool walk_over(const struct walk *walk)
{
	for (uint32_t i = 0; i < walk->count; i++)
		if (!walk->paths[i].over || buffer_readable(&walk->paths[i].names).len > 0)
			return false;
	return true;
}

void walk_hold(struct walk *walk, bool held)
{
	walk->held = held;
}

bool walk_quiet(const struct walk *walk)
{
	for (uint32_t i = 0; i < walk->count; i++)
		if (walk->paths[i].asking)
			return false;
	return true;
}

bool walk_empty(const struct walk *walk)
{
	for (uint32_t i = 0; i < walk->count; i++)
		if (walk->paths[i].asking || buffer_readable(&walk->paths[i].names).len > 0)
			return false;
	return true;
}

uint32_t walk_restarted(const struct walk *walk)
{
	return walk->restarted;
}

uint32_t walk_lost(const struct walk *walk)
{
	return walk->lost;
}

uint64_t walk_keys(const struct walk *walk)
{
	return walk->keys;
}

uint32_t walk_highest_db(const struct walk *walk)
{
	return walk->highest_db;
}
