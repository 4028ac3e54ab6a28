#include "site.h"

#include <stdio.h>
#include <string.h>

static struct value *find(struct session *session, struct slice name)
{
	return keyspace_find(&session->node->data, session->db, name);
}

/* The key as a value of that type, made where it is missing; NULL: it is of another type, which was answered. */
static struct value *make(struct session *session, struct slice name, enum model_type type)
{
	struct value *value = keyspace_make(&session->node->data, session->db, name, type);

	if (value->type == type)
		return value;
	reply_error(session, "WRONGTYPE Operation against a key holding the wrong kind of value");
	return NULL;
}

/* True also where there is none; false: of another type, which was answered. */
static bool find_typed(struct session *session, struct slice name, enum model_type type, struct value **ret)
{
	*ret = find(session, name);
	if (!*ret || (*ret)->type == type)
		return true;
	reply_error(session, "WRONGTYPE Operation against a key holding the wrong kind of value");
	return false;
}

static void reply_text(struct session *session, const struct value *value)
{
	if (value && value->type == MODEL_STRING && value->count > 0)
		reply_bulk(session, text_slice(&value->items[0]));
	else
		reply_raw(session, "$-1\r\n");
}

/* ---- strings ---- */

static bool run_set(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = find(session, argv[1]);
	bool only_new = false, only_old = false;

	for (uint32_t i = 3; i < argc; i++) {
		only_new |= slice_equal_nocase(argv[i], SLICE("NX"));
		only_old |= slice_equal_nocase(argv[i], SLICE("XX"));
	}
	if ((only_new && value) || (only_old && !value)) {
		reply_raw(session, "$-1\r\n");
		return false;
	}
	value_set(keyspace_make(&session->node->data, session->db, argv[1], MODEL_STRING), argv[2]);
	reply_raw(session, "+OK\r\n");
	return true;
}

static bool run_mset(struct session *session, uint32_t argc, const struct slice *argv)
{
	for (uint32_t i = 1; i + 1 < argc; i += 2)
		value_set(keyspace_make(&session->node->data, session->db, argv[i], MODEL_STRING), argv[i + 1]);
	reply_raw(session, "+OK\r\n");
	return true;
}

static bool add(struct session *session, struct slice name, int64_t by)
{
	struct value *value = make(session, name, MODEL_STRING);
	int64_t number = 0;
	char text[32];

	if (!value)
		return false;
	if (value->count > 0 && !slice_to_int64(text_slice(&value->items[0]), &number)) {
		reply_error(session, "ERR value is not an integer or out of range");
		return false;
	}
	number += by;
	value_set(value, slice_make(text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)number)));
	reply_integer(session, number);
	return true;
}

static bool run_incr(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	return add(session, argv[1], 1);
}

static bool run_incrby(struct session *session, uint32_t argc, const struct slice *argv)
{
	int64_t by = 0;

	(void)argc;
	return slice_to_int64(argv[2], &by) && add(session, argv[1], by);
}

static bool run_append(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = make(session, argv[1], MODEL_STRING);

	(void)argc;
	if (!value)
		return false;
	value_append(value, argv[2]);
	reply_integer(session, (int64_t)value->items[0].len);
	return true;
}

static bool run_get(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	reply_text(session, find(session, argv[1]));
	return false;
}

static bool run_mget(struct session *session, uint32_t argc, const struct slice *argv)
{
	reply_array(session, argc - 1);
	for (uint32_t i = 1; i < argc; i++)
		reply_text(session, find(session, argv[i]));
	return false;
}

/* The model has no times to live; the heartbeat alone uses it, and is not kept. */
static bool run_setex(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	reply_raw(session, "+OK\r\n");
	return true;
}

/* ---- lists ---- */

static bool push(struct session *session, uint32_t argc, const struct slice *argv, bool left)
{
	struct value *value = make(session, argv[1], MODEL_LIST);

	if (!value)
		return false;
	for (uint32_t i = 2; i < argc; i++)
		value_push(value, argv[i], left);
	reply_integer(session, (int64_t)value->count);
	return true;
}

static bool run_rpush(struct session *session, uint32_t argc, const struct slice *argv)
{
	return push(session, argc, argv, false);
}

static bool run_lpush(struct session *session, uint32_t argc, const struct slice *argv)
{
	return push(session, argc, argv, true);
}

static bool run_lpop(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value;

	(void)argc;
	if (!find_typed(session, argv[1], MODEL_LIST, &value))
		return false;
	if (!value) {
		reply_raw(session, "$-1\r\n");
		return false;
	}
	reply_bulk(session, text_slice(&value->items[0]));
	value_remove_item(value, 0, 1);
	if (value->count == 0)
		keyspace_remove(&session->node->data, session->db, argv[1]);
	return true;
}

/* ---- hashes ---- */

static bool run_hset(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = make(session, argv[1], MODEL_HASH);
	int64_t added = 0;

	if (!value)
		return false;
	for (uint32_t i = 2; i + 1 < argc; i += 2) {
		long at = value_field(value, argv[i]);

		if (at >= 0) {
			value_remove_item(value, (size_t)at, 2);
		} else {
			added++;
		}
		value_push(value, argv[i], false);
		value_push(value, argv[i + 1], false);
	}
	reply_integer(session, added);
	return true;
}

static bool run_hdel(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value;
	int64_t removed = 0;

	if (!find_typed(session, argv[1], MODEL_HASH, &value))
		return false;
	for (uint32_t i = 2; value && i < argc; i++) {
		long at = value_field(value, argv[i]);

		if (at >= 0) {
			value_remove_item(value, (size_t)at, 2);
			removed++;
		}
	}
	if (value && value->count == 0)
		keyspace_remove(&session->node->data, session->db, argv[1]);
	reply_integer(session, removed);
	return removed > 0;
}

static bool run_hget(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value;
	long at;

	(void)argc;
	if (!find_typed(session, argv[1], MODEL_HASH, &value))
		return false;
	at = value ? value_field(value, argv[2]) : -1;
	if (at < 0)
		reply_raw(session, "$-1\r\n");
	else
		reply_bulk(session, text_slice(&value->items[at + 1]));
	return false;
}

static bool run_hmget(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value;

	if (!find_typed(session, argv[1], MODEL_HASH, &value))
		return false;
	reply_array(session, argc - 2);
	for (uint32_t i = 2; i < argc; i++) {
		long at = value ? value_field(value, argv[i]) : -1;

		if (at < 0)
			reply_raw(session, "$-1\r\n");
		else
			reply_bulk(session, text_slice(&value->items[at + 1]));
	}
	return false;
}

static bool run_hgetall(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value;

	(void)argc;
	if (!find_typed(session, argv[1], MODEL_HASH, &value))
		return false;
	reply_array(session, value ? value->count : 0);
	for (size_t i = 0; value && i < value->count; i++)
		reply_bulk(session, text_slice(&value->items[i]));
	return false;
}

/* ---- keys ---- */

static bool run_del(struct session *session, uint32_t argc, const struct slice *argv)
{
	int64_t removed = 0;

	for (uint32_t i = 1; i < argc; i++)
		removed += keyspace_remove(&session->node->data, session->db, argv[i]);
	reply_integer(session, removed);
	return removed > 0;
}

static bool run_exists(struct session *session, uint32_t argc, const struct slice *argv)
{
	int64_t there = 0;

	for (uint32_t i = 1; i < argc; i++)
		there += find(session, argv[i]) != NULL;
	reply_integer(session, there);
	return false;
}

static bool run_type(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = find(session, argv[1]);

	(void)argc;
	reply_raw(session, !value                        ? "+none\r\n"
			   : value->type == MODEL_STRING ? "+string\r\n"
			   : value->type == MODEL_LIST   ? "+list\r\n"
							 : "+hash\r\n");
	return false;
}

static bool run_rename(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = find(session, argv[1]), moved;

	(void)argc;
	if (!value) {
		reply_error(session, "ERR no such key");
		return false;
	}
	reply_raw(session, "+OK\r\n");
	if (slice_equal(argv[1], argv[2]))
		return false;
	moved = *value;
	*value = (struct value){.type = moved.type};
	keyspace_remove(&session->node->data, session->db, argv[1]);
	value = keyspace_make(&session->node->data, session->db, argv[2], moved.type);
	value_clear(value);
	*value = moved;
	return true;
}

#define SCANNED 32 /* buckets that one SCAN goes through */

/* Cursors are numbers of buckets, so a key that stays is met whatever else comes and goes. */
static bool run_scan(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct key *const *buckets = session->node->data.buckets[session->db];
	uint64_t from = 0, to, count = 0;
	char text[16];

	(void)argc;
	if (!slice_to_uint64(argv[1], &from) || from >= KEYSPACE_BUCKETS) {
		reply_error(session, "ERR invalid cursor");
		return false;
	}
	to = from + SCANNED < KEYSPACE_BUCKETS ? from + SCANNED : KEYSPACE_BUCKETS;
	for (uint64_t i = from; i < to; i++)
		for (const struct key *key = buckets[i]; key; key = key->next)
			count++;
	reply_array(session, 2);
	reply_bulk(session,
		   slice_make(text, (size_t)snprintf(text, sizeof(text), "%u", to == KEYSPACE_BUCKETS ? 0 : (unsigned)to)));
	reply_array(session, count);
	for (uint64_t i = from; i < to; i++)
		for (const struct key *key = buckets[i]; key; key = key->next)
			reply_bulk(session, text_slice(&key->name));
	return false;
}

static bool run_dump(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value *value = find(session, argv[1]);
	struct buffer payload;

	(void)argc;
	if (!value) {
		reply_raw(session, "$-1\r\n");
		return false;
	}
	buffer_init(&payload, 256u << 20);
	keyspace_dump(value, &payload);
	reply_bulk(session, buffer_readable(&payload));
	buffer_free(&payload);
	return false;
}

static bool run_restore(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct value value = {.type = MODEL_STRING};
	bool replace = false;

	for (uint32_t i = 4; i < argc; i++)
		replace |= slice_equal_nocase(argv[i], SLICE("REPLACE"));
	if (!replace && find(session, argv[1])) {
		reply_error(session, "BUSYKEY Target key name already exists.");
		return false;
	}
	if (!keyspace_load(&value, argv[3])) {
		value_clear(&value);
		reply_error(session, "ERR DUMP payload version or checksum are wrong");
		return false;
	}
	keyspace_remove(&session->node->data, session->db, argv[1]);
	*keyspace_make(&session->node->data, session->db, argv[1], value.type) = value;
	reply_raw(session, "+OK\r\n");
	return true;
}

static bool run_flushdb(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	keyspace_clear(&session->node->data, session->db);
	reply_raw(session, "+OK\r\n");
	return true;
}

static bool run_flushall(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	keyspace_free(&session->node->data);
	reply_raw(session, "+OK\r\n");
	return true;
}

static const struct model_command commands[] = {
	{"SET", 3, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_set},
	{"SETEX", 4, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_setex},
	{"MSET", 3, 1, -1, 2, MODEL_WRITE | MODEL_GROWS, run_mset},
	{"INCR", 2, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_incr},
	{"INCRBY", 3, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_incrby},
	{"APPEND", 3, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_append},
	{"GET", 2, 1, 1, 1, 0, run_get},
	{"MGET", 2, 1, -1, 1, 0, run_mget},
	{"RPUSH", 3, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_rpush},
	{"LPUSH", 3, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_lpush},
	{"LPOP", 2, 1, 1, 1, MODEL_WRITE, run_lpop},
	{"HSET", 4, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_hset},
	{"HMSET", 4, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_hset},
	{"HDEL", 3, 1, 1, 1, MODEL_WRITE, run_hdel},
	{"HGET", 3, 1, 1, 1, 0, run_hget},
	{"HMGET", 3, 1, 1, 1, 0, run_hmget},
	{"HGETALL", 2, 1, 1, 1, 0, run_hgetall},
	{"DEL", 2, 1, -1, 1, MODEL_WRITE, run_del},
	{"UNLINK", 2, 1, -1, 1, MODEL_WRITE, run_del},
	{"EXISTS", 2, 1, -1, 1, 0, run_exists},
	{"TYPE", 2, 1, 1, 1, 0, run_type},
	{"RENAME", 3, 1, 2, 1, MODEL_WRITE, run_rename},
	{"SCAN", 2, 0, 0, 0, 0, run_scan},
	{"DUMP", 2, 1, 1, 1, 0, run_dump},
	{"RESTORE", 4, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_restore},
	{"RESTORE-ASKING", 4, 1, 1, 1, MODEL_WRITE | MODEL_GROWS, run_restore},
	{"FLUSHDB", 1, 0, 0, 0, MODEL_WRITE, run_flushdb},
	{"FLUSHALL", 1, 0, 0, 0, MODEL_WRITE, run_flushall},
};

const struct model_command *data_command(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (slice_equal_nocase(name, slice_of_string(commands[i].name)))
			return &commands[i];
	return NULL;
}
