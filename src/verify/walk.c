#include "verify/walk.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT "1000"             /* a fraction of a millisecond of the server's time */
#define AHEAD_BYTES (64u << 10)  /* of names that wait, after which a master is not asked for more */
#define NAMES_MAX (1u << 30)
#define CURSOR_MAX 24

/* Of one master. */
struct path {
	struct walk *walk;
	uint32_t shard, map_number; /* as of the side's map of that number */
	struct endpoint master;
	uint32_t *databases;
	uint32_t count, at;
	char cursor[CURSOR_MAX];
	bool asking, over;
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
	bool held;     /* nothing more is asked */
	uint32_t lost; /* masters */
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
	if (strcmp(path->cursor, "0") == 0 && ++path->at == path->count)
		path->over = true;
}

static void ask(struct path *path)
{
	const struct slice argv[] = {SLICE("SCAN"), slice_of_string(path->cursor), SLICE("COUNT"), SLICE(COUNT)};
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
	asker_ask(walk->side->askers[path->shard], path->databases[path->at], 4, argv, on_names, path, 0);
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

static bool find_databases(struct path *path, struct error *error)
{
	struct client_reply reply;
	char *text, *rest;

	if (!side_call(path->walk->side, path->shard, &reply, error, "INFO", "keyspace"))
		return false;
	if (reply.nodes[0].type == RESP_ERROR) {
		side_may_pass(path->walk->side, "", reply.nodes[0].text);
		*error = path->walk->side->error;
		return false;
	}
	text = memory_strndup((const char *)reply.nodes[0].text.data, reply.nodes[0].text.len);
	for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
		take_line(path, line);
	free(text);
	path->over = path->count == 0;
	return true;
}

/* ---- public ---- */

struct walk *walk_new(struct side *side, bool (*wants)(void *owner, uint32_t db), void *owner, struct error *error)
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
	for (uint32_t i = 0; i < walk->count; i++) {
		if (!find_databases(&walk->paths[i], error)) {
			walk_free(walk);
			return NULL;
		}
	}
	return walk;
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
