#include "site.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define READ_SIZE (64u << 10)
#define BUFFER_MAX (256u << 20)

/* ---- replies ---- */

static void put(struct session *session, const void *data, size_t len)
{
	bool fits = buffer_append(&session->out, data, len);

	assert(fits);
	(void)fits;
}

void reply_raw(struct session *session, const char *text)
{
	put(session, text, strlen(text));
}

void reply_error(struct session *session, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text) - 2, format, args);
	va_end(args);
	if (session->connection)
		trace("%s:%u %s is answered %.*s", session->node->host.endpoint.host, session->node->host.endpoint.port,
		      connection_address(session->connection), len, text);
	put(session, "-", 1);
	put(session, text, (size_t)len);
	put(session, "\r\n", 2);
}

void reply_integer(struct session *session, int64_t number)
{
	char text[32];

	put(session, text, (size_t)snprintf(text, sizeof(text), ":%lld\r\n", (long long)number));
}

void reply_bulk(struct session *session, struct slice bytes)
{
	char text[32];

	put(session, text, (size_t)snprintf(text, sizeof(text), "$%zu\r\n", bytes.len));
	put(session, bytes.data, bytes.len);
	put(session, "\r\n", 2);
}

void reply_array(struct session *session, uint64_t count)
{
	char text[32];

	put(session, text, (size_t)snprintf(text, sizeof(text), "*%llu\r\n", (unsigned long long)count));
}

/* ---- what stands before a command ---- */

static const struct model_command *find_command(struct slice name)
{
	const struct model_command *command = data_command(name);

	return command ? command : admin_command(name);
}

/* The slot of all keys of a command; -1: it has none, -2: they lie in several. */
static int slot_of(const struct model_command *command, uint32_t argc, const struct slice *argv)
{
	int last = command->last < 0 ? (int)argc + command->last : command->last, slot = -1;

	if (command->first == 0)
		return -1;
	for (int i = command->first; i <= last && i < (int)argc; i += command->step) {
		int found = slot_of_key(argv[i]);

		if (slot >= 0 && slot != found)
			return -2;
		slot = found;
	}
	return slot;
}

static void count_keys(struct server *node, const struct model_command *command, uint32_t argc, const struct slice *argv,
		       unsigned *there, unsigned *missing)
{
	int last = command->last < 0 ? (int)argc + command->last : command->last;

	for (int i = command->first; command->first > 0 && i <= last && i < (int)argc; i += command->step) {
		if (keyspace_find(&node->data, 0, argv[i]))
			++*there;
		else
			++*missing;
	}
}

static void reply_redirection(struct session *session, const char *kind, unsigned slot, unsigned shard)
{
	struct site *site = session->node->shard->site;
	const struct endpoint *to = &site->shards[shard].nodes[session->node->view_master[shard]].host.endpoint;

	reply_error(session, "%s %u %s:%u", kind, slot, to->host, to->port);
}

/* True: the slot is served here. Redis: getNodeByQuery(). */
static bool serves_slot(struct session *session, unsigned slot, unsigned there, unsigned missing)
{
	struct server *node = session->node;
	struct site *site = node->shard->site;
	unsigned self = (unsigned)(node->shard - site->shards);
	bool moves = site->moving.active && site->moving.slot == slot;

	if (node->cluster_down) {
		reply_error(session, "CLUSTERDOWN The cluster is down");
		return false;
	}
	if (moves && site->moving.to == self && session->asking && server_is_master(node)) {
		if (missing > 0 && there + missing > 1) {
			reply_error(session, "TRYAGAIN Multiple keys request during rehashing of slot");
			return false;
		}
		return true;
	}
	if (node->view[slot] != self || node->view_master[self] != (unsigned)(node - node->shard->nodes)) {
		reply_redirection(session, "MOVED", slot, node->view[slot]);
		return false;
	}
	if (moves && site->moving.from == self && missing > 0) {
		if (there > 0)
			reply_error(session, "TRYAGAIN Multiple keys request during rehashing of slot");
		else
			reply_redirection(session, "ASK", slot, site->moving.to);
		return false;
	}
	return true;
}

struct group *site_serving(struct site *site, uint16_t slot, uint32_t argc, const struct slice *argv)
{
	struct group *from = site_shard_of_slot(site, slot), *to = &site->shards[site->moving.to];
	const struct model_command *command = find_command(argv[0]);
	unsigned there = 0, missing = 0, brought = 0, lacking = 0;

	if (!site->moving.active || site->moving.slot != slot)
		return from;
	count_keys(group_master(from), command, argc, argv, &there, &missing);
	if (missing == 0)
		return from;
	count_keys(group_master(to), command, argc, argv, &brought, &lacking);
	return there > 0 || (lacking > 0 && brought + lacking > 1) ? NULL : to;
}

/* True: may be executed, or queued. */
static bool may_run(struct session *session, const struct model_command *command, uint32_t argc, const struct slice *argv)
{
	struct server *node = session->node;
	unsigned there = 0, missing = 0;
	int slot;

	if (session->replays)
		return true;
	if (!command) {
		reply_error(session, "ERR unknown command `%.*s`", (int)argv[0].len, (const char *)argv[0].data);
		return false;
	}
	if (argc < command->least) {
		reply_error(session, "ERR wrong number of arguments for '%s' command", command->name);
		return false;
	}
	if (node->loading && !(command->flags & MODEL_ANY_TIME)) {
		reply_error(session, "LOADING Redis is loading the dataset in memory");
		return false;
	}
	if (node->shard->site->cluster && session->connection && (slot = slot_of(command, argc, argv)) != -1) {
		if (slot < 0) {
			reply_error(session, "CROSSSLOT Keys in request don't hash to the same slot");
			return false;
		}
		count_keys(node, command, argc, argv, &there, &missing);
		if (!serves_slot(session, (unsigned)slot, there, missing))
			return false;
	}
	if (!server_is_master(node) && (command->flags & MODEL_WRITE)) {
		reply_error(session, "READONLY You can't write against a read only replica.");
		return false;
	}
	if (node->out_of_memory && (command->flags & MODEL_GROWS) && session->connection) {
		reply_error(session, "OOM command not allowed when used memory > 'maxmemory'.");
		return false;
	}
	return true;
}

/* ---- executing ---- */

static void describe(char *out, size_t cap, uint32_t argc, const struct slice *argv)
{
	size_t used = 0;

	for (uint32_t i = 0; i < argc && used + 64 < cap; i++) {
		char quoted[64];

		if (i > 0)
			out[used++] = ' ';
		slice_quote(slice_make(argv[i].data, argv[i].len < 40 ? argv[i].len : 40), quoted, sizeof(quoted));
		used += (size_t)snprintf(out + used, cap - used, "%s", quoted);
	}
	out[used] = '\0';
}

/* `reply`: bytes that were there before its own. */
static void trace_command(const struct session *session, const struct model_command *command, uint32_t argc,
			  const struct slice *argv, size_t reply)
{
	struct slice all = buffer_readable(&session->out);
	size_t len = all.len - reply;
	char text[400], answer[100];

	if (!session->connection || !(command->flags & MODEL_WRITE))
		return;
	describe(text, sizeof(text), argc, argv);
	slice_quote(slice_make(all.data + reply, len < 40 ? len : 40), answer, sizeof(answer));
	trace("%s:%u %s db%u %s -> %s", session->node->host.endpoint.host, session->node->host.endpoint.port,
	      connection_address(session->connection), session->db, text, answer);
}

/* Executes one command now; its effect goes into the stream of a master. */
static void run_now(struct session *session, const struct model_command *command, uint32_t argc, const struct slice *argv)
{
	size_t reply = buffer_readable(&session->out).len;
	bool changed = command->run(session, argc, argv);

	trace_command(session, command, argc, argv, reply);
	if (changed && !session->replays)
		replication_append(session->node->shard, session->db, argc, argv);
}

static bool named(struct slice name, const char *wanted)
{
	return slice_equal_nocase(name, slice_of_string(wanted));
}

static void leave_multi(struct session *session)
{
	session->in_multi = session->poisoned = false;
	session->queued = 0;
	buffer_clear(&session->queue);
}

static void queue_command(struct session *session, uint32_t argc, const struct slice *argv)
{
	bool fits = resp_command_write(&session->queue, argc, argv);

	assert(fits);
	(void)fits;
	session->queued++;
	reply_raw(session, "+QUEUED\r\n");
}

/* Visits each queued command. */
static void each_queued(struct session *session, struct slice queue,
			void (*visit)(struct session *, uint32_t, const struct slice *, void *), void *argument)
{
	struct resp_command_parser parser;
	struct parse_fault fault;
	uint64_t taken, need;
	struct slice *argv;
	uint32_t argc;

	resp_command_parser_init(&parser);
	while (queue.len > 0 && resp_command_parse(&parser, queue, &argc, &argv, &taken, &need, &fault) == PARSE_OK) {
		visit(session, argc, argv, argument);
		queue = slice_make(queue.data + taken, queue.len - taken);
	}
	resp_command_parser_free(&parser);
}

struct queue_facts {
	bool writes, grows;
	unsigned there, missing;
	int slot;
};

static void look_at_queued(struct session *session, uint32_t argc, const struct slice *argv, void *argument)
{
	const struct model_command *command = find_command(argv[0]);
	struct queue_facts *facts = argument;
	int slot = slot_of(command, argc, argv);

	facts->writes |= command->flags & MODEL_WRITE;
	facts->grows |= command->flags & MODEL_GROWS;
	if (slot == -1)
		return;
	facts->slot = facts->slot == -1 || facts->slot == slot ? slot : -2;
	count_keys(session->node, command, argc, argv, &facts->there, &facts->missing);
}

static void run_queued(struct session *session, uint32_t argc, const struct slice *argv, void *argument)
{
	uint64_t *began = argument;
	struct group *shard = session->node->shard;
	uint64_t before = shard->stream.end;
	const struct model_command *command = find_command(argv[0]);
	size_t reply = buffer_readable(&session->out).len;
	bool changed = command->run(session, argc, argv);

	trace_command(session, command, argc, argv, reply);
	if (!changed || session->replays)
		return;
	if (*began == UINT64_MAX) {
		*began = before;
		replication_append(shard, NO_DB, 1, (struct slice[]){SLICE("MULTI")});
	}
	replication_append(shard, session->db, argc, argv);
}

static void execute_transaction(struct session *session)
{
	struct queue_facts facts = {.slot = -1};
	struct buffer queue = session->queue;
	uint32_t queued = session->queued;
	bool poisoned = session->poisoned;
	uint64_t began = UINT64_MAX;

	buffer_init(&session->queue, BUFFER_MAX);
	leave_multi(session);
	if (poisoned) {
		reply_error(session, "EXECABORT Transaction discarded because of previous errors.");
		buffer_free(&queue);
		return;
	}
	each_queued(session, buffer_readable(&queue), look_at_queued, &facts);
	if (session->node->loading && !session->replays) {
		reply_error(session,
			    "EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory");
	} else if (session->node->out_of_memory && facts.grows && !session->replays && session->connection) {
		reply_error(
			session,
			"EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.");
	} else if (facts.slot == -2 && session->node->shard->site->cluster && session->connection) {
		reply_error(session, "CROSSSLOT Keys in request don't hash to the same slot");
	} else if (!session->replays && session->connection && session->node->shard->site->cluster && facts.slot >= 0 &&
		   !serves_slot(session, (unsigned)facts.slot, facts.there, facts.missing)) {
		/* answered */
	} else if (!session->replays && facts.writes && !server_is_master(session->node)) {
		reply_error(session, "READONLY You can't write against a read only replica.");
	} else {
		reply_array(session, queued);
		each_queued(session, buffer_readable(&queue), run_queued, &began);
		if (began != UINT64_MAX)
			replication_append(session->node->shard, NO_DB, 1, (struct slice[]){SLICE("EXEC")});
	}
	buffer_free(&queue);
}

void session_execute(struct session *session, uint32_t argc, const struct slice *argv)
{
	const struct model_command *command = find_command(argv[0]);

	if (named(argv[0], "MULTI")) {
		if (!may_run(session, command, argc, argv))
			return;
		session->in_multi = true;
		reply_raw(session, "+OK\r\n");
		return;
	}
	if (session->in_multi && named(argv[0], "EXEC")) {
		execute_transaction(session);
	} else if (session->in_multi && named(argv[0], "DISCARD")) {
		leave_multi(session);
		reply_raw(session, "+OK\r\n");
	} else if (!may_run(session, command, argc, argv)) {
		session->poisoned |= session->in_multi;
	} else if (session->in_multi) {
		queue_command(session, argc, argv);
	} else {
		run_now(session, command, argc, argv);
	}
	/* ASKING holds for the next command, or the transaction that it begins. */
	if (!session->in_multi && !named(argv[0], "ASKING"))
		session->asking = false;
}

/* ---- sessions ---- */

static void on_serve(void *owner);

void session_init(struct session *session, struct server *node, struct connection *connection)
{
	*session = (struct session){.node = node, .connection = connection, .acknowledged = -1};
	buffer_init(&session->queue, BUFFER_MAX);
	buffer_init(&session->in, BUFFER_MAX);
	buffer_init(&session->out, BUFFER_MAX);
	buffer_init(&session->snapshot, BUFFER_MAX);
	resp_command_parser_init(&session->parser);
	occasion_init(&session->serve, on_serve, session);
}

void session_free(struct session *session)
{
	occasion_cancel(&session->serve);
	occasion_cancel(&session->save);
	buffer_free(&session->queue);
	buffer_free(&session->in);
	buffer_free(&session->out);
	buffer_free(&session->snapshot);
	resp_command_parser_free(&session->parser);
}

void session_end(struct session *session, bool aborted)
{
	for (struct session **at = &session->node->sessions; *at; at = &(*at)->next) {
		if (*at == session) {
			*at = session->next;
			break;
		}
	}
	if (session->replication != REPLICATION_NONE)
		session->node->shard->acknowledged = -1;
	if (aborted)
		connection_abort(session->connection);
	else
		connection_close(session->connection);
	session_free(session);
	free(session);
}

void session_flush(struct session *session)
{
	struct slice bytes = buffer_readable(&session->out);
	size_t taken = bytes.len > 0 ? connection_write(session->connection, bytes.data, bytes.len) : 0;

	if (taken > 0)
		buffer_consumed(&session->out, taken);
}

size_t session_feed(struct session *session, struct slice bytes)
{
	struct parse_fault fault;
	uint64_t taken, need;
	struct slice *argv;
	size_t all = 0;
	uint32_t argc;

	while (bytes.len > 0 && !session->closing &&
	       resp_command_parse(&session->parser, bytes, &argc, &argv, &taken, &need, &fault) == PARSE_OK) {
		if (argc > 0)
			session_execute(session, argc, argv);
		all += (size_t)taken;
		bytes = slice_make(bytes.data + taken, bytes.len - taken);
	}
	return all;
}

static void on_serve(void *owner)
{
	struct session *session = owner;
	size_t room, taken;
	long got;
	bool fits;

	if (session->node->frozen_until > world_now())
		return; /* it is served when the node goes on */
	fits = buffer_reserve(&session->in, READ_SIZE);
	assert(fits);
	(void)fits;
	got = connection_read(session->connection, buffer_room(&session->in, &room), READ_SIZE);
	if (got < 0) {
		session_end(session, false);
		return;
	}
	buffer_produced(&session->in, (size_t)got);
	taken = session_feed(session, buffer_readable(&session->in));
	if (taken > 0)
		buffer_consumed(&session->in, taken);
	session_flush(session);
	if (session->closing)
		session_end(session, false);
	else
		replication_pump(session);
}

bool session_run(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct slice reply;
	bool error;

	buffer_clear(&session->out);
	session_execute(session, argc, argv);
	reply = buffer_readable(&session->out);
	error = slice_starts_with(reply, SLICE("-"));
	buffer_clear(&session->out);
	return error;
}

void server_accepted(void *owner, struct connection *connection)
{
	struct server *node = owner;
	struct session *session = memory_alloc_zero(1, sizeof(*session));

	session_init(session, node, connection);
	session->id = ++node->shard->site->ids;
	session->next = node->sessions;
	node->sessions = session;
	connection_set_session(connection, session);
}

void server_readable(void *owner, struct connection *connection)
{
	struct session *session = connection_session(connection);

	(void)owner;
	if (!occasion_planned(&session->serve))
		occasion_plan_in(&session->serve, chance_between(5, 150));
}

void server_writable(void *owner, struct connection *connection)
{
	struct session *session = connection_session(connection);

	(void)owner;
	session_flush(session);
	replication_pump(session);
}
