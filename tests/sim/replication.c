#include "site.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE (32u << 10)

int64_t replication_offset(const struct group *shard)
{
	return shard->base + (int64_t)shard->stream.end;
}

/* ---- the stream ---- */

static void write_stream(struct group *shard, uint32_t argc, const struct slice *argv)
{
	bool fits = resp_command_write(&shard->stream, argc, argv);

	assert(fits);
	(void)fits;
}

static void tell_replicas(struct group *shard)
{
	for (unsigned i = 0; i < SITE_NODES; i++) {
		struct server *node = &shard->nodes[i];

		if (server_is_master(node)) {
			for (struct session *session = node->sessions, *next; session; session = next) {
				next = session->next;
				replication_pump(session);
			}
		} else if (!node->cut_off && !occasion_planned(&node->follow)) {
			occasion_plan_in(&node->follow, node->lag_us);
		}
	}
}

void replication_append(struct group *shard, uint32_t db, uint32_t argc, const struct slice *argv)
{
	if (db != NO_DB && db != shard->stream_db) {
		char digits[16];
		struct slice select[] = {SLICE("SELECT"), slice_make(digits, (size_t)snprintf(digits, sizeof(digits), "%u", db))};

		write_stream(shard, 2, select);
		shard->stream_db = db;
	}
	write_stream(shard, argc, argv);
	tell_replicas(shard);
}

void replication_ping(struct group *shard, bool ask_acknowledgement)
{
	struct slice ask[] = {SLICE("REPLCONF"), SLICE("GETACK"), SLICE("*")};
	struct slice ping[] = {SLICE("PING")};

	replication_append(shard, NO_DB, ask_acknowledgement ? 3 : 1, ask_acknowledgement ? ask : ping);
}

/* ---- replicas outside: keyferry ---- */

static bool send_all(struct session *session, struct buffer *from)
{
	struct slice bytes = buffer_readable(from);
	size_t taken = bytes.len > 0 ? connection_write(session->connection, bytes.data, bytes.len) : 0;

	if (taken > 0)
		buffer_consumed(from, taken);
	return taken == bytes.len;
}

void replication_pump(struct session *session)
{
	const struct buffer *stream = &session->node->shard->stream;

	if (session->replication == REPLICATION_SENDING && session->out.end == session->out.start &&
	    send_all(session, &session->snapshot)) {
		/* A snapshot with a marked end: the stream follows when its first acknowledgement shows that it was taken. */
		session->replication = session->marked ? REPLICATION_SENT : REPLICATION_ONLINE;
	}
	while (session->replication == REPLICATION_ONLINE && session->out.end == session->out.start &&
	       session->sent < stream->end) {
		size_t len = stream->end - session->sent < PIECE ? (size_t)(stream->end - session->sent) : PIECE;
		size_t taken = connection_write(session->connection, stream->data + session->sent, len);

		session->sent += taken;
		if (taken < len)
			return;
	}
}

static void append(struct buffer *out, const void *data, size_t len)
{
	bool fits = buffer_append(out, data, len);

	assert(fits);
	(void)fits;
}

/* The snapshot is that of the moment of PSYNC; it arrives when the child process has written it. */
static void on_saved(void *owner)
{
	struct session *session = owner;

	session->replication = REPLICATION_SENDING;
	replication_pump(session);
}

static void make_snapshot(struct session *session)
{
	struct buffer rdb;
	char mark[REPLID_LEN + 1], header[64];

	buffer_init(&rdb, 256u << 20);
	keyspace_write_rdb(&session->node->data, &rdb);
	session->marked = chance_of(50);
	site_random_id(mark);
	if (chance_of(30))
		append(&session->snapshot, "\n\n", 2);
	if (session->marked)
		append(&session->snapshot, header, (size_t)snprintf(header, sizeof(header), "$EOF:%s\r\n", mark));
	else
		append(&session->snapshot, header, (size_t)snprintf(header, sizeof(header), "$%zu\r\n", rdb.end - rdb.start));
	append(&session->snapshot, rdb.data + rdb.start, rdb.end - rdb.start);
	if (session->marked)
		append(&session->snapshot, mark, REPLID_LEN);
	buffer_free(&rdb);
}

static bool can_continue(const struct group *shard, struct slice id, int64_t next)
{
	int64_t offset = replication_offset(shard);
	bool same = slice_equal_nocase(id, slice_of_string(shard->replid));
	bool earlier =
		shard->replid2[0] && slice_equal_nocase(id, slice_of_string(shard->replid2)) && next <= shard->second_offset + 1;

	return (same || earlier) && next <= offset + 1 && next > shard->base && offset + 1 - next <= (int64_t)shard->backlog;
}

bool replication_psync(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct group *shard = session->node->shard;
	char text[128];
	int64_t next;

	(void)argc;
	shard->acknowledged = -1;
	if (slice_to_int64(argv[2], &next) && can_continue(shard, argv[1], next)) {
		session->replication = REPLICATION_ONLINE;
		session->sent = (uint64_t)(next - 1 - shard->base);
		snprintf(text, sizeof(text), "+CONTINUE %s\r\n", shard->replid);
		trace("source %s: continues from %lld", shard->replid, (long long)next);
	} else {
		session->replication = REPLICATION_SAVING;
		session->sent = shard->stream.end;
		shard->stream_db = NO_DB;
		shard->full_resyncs++;
		make_snapshot(session);
		snprintf(text, sizeof(text), "+FULLRESYNC %s %lld\r\n", shard->replid, (long long)replication_offset(shard));
		trace("source %s: full resync at %lld", shard->replid, (long long)replication_offset(shard));
		occasion_init(&session->save, on_saved, session);
		occasion_plan_in(&session->save, chance_between(1, 800) * MS);
	}
	reply_raw(session, text);
	return false;
}

bool replication_replconf(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct group *shard = session->node->shard;

	if (session->replays)
		return false;
	if (!slice_equal_nocase(argv[1], SLICE("ACK"))) {
		reply_raw(session, "+OK\r\n");
		return false;
	}
	if (argc >= 3 && slice_to_int64(argv[2], &session->acknowledged) && session->replication == REPLICATION_ONLINE)
		shard->acknowledged = session->acknowledged;
	if (session->replication == REPLICATION_SENT)
		session->replication = REPLICATION_ONLINE;
	return false;
}

void replication_drop(struct group *shard)
{
	struct server *master = group_master(shard);

	for (struct session *session = master->sessions, *next; session; session = next) {
		next = session->next;
		if (session->replication != REPLICATION_NONE)
			session_end(session, true);
	}
}

/* ---- the replica of the shard ---- */

/* The next whole command of the stream. False: there is none. */
static bool replay_one(struct server *node)
{
	struct buffer *stream = &node->shard->stream;
	struct slice rest = slice_make(stream->data + node->replayed, stream->end - node->replayed);
	struct resp_command_parser *parser = &node->replay.parser;
	struct parse_fault fault;
	uint64_t taken, need;
	struct slice *argv;
	uint32_t argc;

	if (rest.len == 0 || resp_command_parse(parser, rest, &argc, &argv, &taken, &need, &fault) != PARSE_OK)
		return false;
	session_execute(&node->replay, argc, argv);
	buffer_clear(&node->replay.out);
	node->replayed += taken;
	if (!node->replay.in_multi)
		node->applied = node->replayed;
	return true;
}

void replica_follow(struct server *node)
{
	while (replay_one(node))
		continue;
}

static void on_follow(void *owner)
{
	struct server *node = owner;
	uint64_t steps = chance_between(1, 20);

	if (server_is_master(node) || node->cut_off)
		return;
	while (steps-- > 0 && replay_one(node))
		continue;
	if (node->replayed < node->shard->stream.end)
		occasion_plan_in(&node->follow, chance_between(1, node->lag_us + 1));
}

void replica_init(struct server *node)
{
	session_init(&node->replay, node, NULL);
	node->replay.replays = true;
	occasion_init(&node->follow, on_follow, node);
}

void replica_copy(struct server *node)
{
	struct group *shard = node->shard;

	keyspace_copy(&node->data, &group_master(shard)->data);
	session_free(&node->replay);
	session_init(&node->replay, node, NULL);
	node->replay.replays = true;
	node->applied = node->replayed = shard->stream.end;
	/* So that what follows begins with a SELECT. */
	shard->stream_db = NO_DB;
	node->cut_off = false;
}
