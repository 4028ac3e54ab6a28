#include "site.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(struct slice word, const char *wanted)
{
	return slice_equal_nocase(word, slice_of_string(wanted));
}

static bool run_ping(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	if (!session->replays)
		reply_raw(session, "+PONG\r\n");
	return false;
}

static bool run_ok(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	reply_raw(session, "+OK\r\n");
	return false;
}

static bool run_select(struct session *session, uint32_t argc, const struct slice *argv)
{
	uint64_t db;

	(void)argc;
	if (!slice_to_uint64(argv[1], &db) || db >= KEYSPACE_DATABASES) {
		reply_error(session, "ERR DB index is out of range");
	} else if (db > 0 && session->node->shard->site->cluster) {
		reply_error(session, "ERR SELECT is not allowed in cluster mode");
	} else {
		session->db = (uint32_t)db;
		reply_raw(session, "+OK\r\n");
	}
	return false;
}

static bool run_asking(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	session->asking = true;
	reply_raw(session, "+OK\r\n");
	return false;
}

/* ---- INFO ---- */

static bool run_info(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct server *node = session->node;
	struct group *shard = node->shard;
	const struct endpoint *master = &group_master(shard)->host.endpoint;
	char text[2048];
	int len = snprintf(text, sizeof(text),
			   "# Server\r\nredis_version:6.2.14\r\nredis_mode:%s\r\nrun_id:%s\r\n# Persistence\r\nloading:%d\r\n# "
			   "Memory\r\nused_memory:1000000\r\n"
			   "maxmemory:0\r\n# Replication\r\nrole:%s\r\n",
			   shard->site->cluster ? "cluster" : "standalone", node->run_id, node->loading,
			   server_is_master(node) ? "master" : "slave");

	(void)argc;
	(void)argv;
	if (!server_is_master(node))
		len += snprintf(text + len, sizeof(text) - (size_t)len, "master_host:%s\r\nmaster_port:%u\r\n", master->host,
				master->port);
	len += snprintf(text + len, sizeof(text) - (size_t)len,
			"master_replid:%s\r\nmaster_repl_offset:%lld\r\n# Cluster\r\ncluster_enabled:%d\r\n# Keyspace\r\n",
			shard->replid, (long long)replication_offset(shard), shard->site->cluster);
	for (unsigned db = 0; db < KEYSPACE_DATABASES; db++)
		if (node->data.keys[db] > 0)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "db%u:keys=%zu,expires=0,avg_ttl=0\r\n", db,
					node->data.keys[db]);
	reply_bulk(session, slice_make(text, (size_t)len));
	return false;
}

static bool run_dbsize(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	reply_integer(session, (int64_t)session->node->data.keys[session->db]);
	return false;
}

static bool run_role(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argc;
	(void)argv;
	reply_array(session, 3);
	reply_bulk(session, slice_of_string(server_is_master(session->node) ? "master" : "slave"));
	reply_integer(session, replication_offset(session->node->shard));
	reply_array(session, 0);
	return false;
}

/* ---- CLIENT ---- */

static void describe_client(const struct session *session, struct buffer *out)
{
	bool fits = buffer_printf(out,
				  "id=%lld addr=%s fd=8 name=%s age=1 idle=0 flags=N db=%u sub=0 psub=0 multi=-1 events=r "
				  "cmd=client user=default\n",
				  (long long)session->id, connection_address(session->connection), session->name, session->db);

	assert(fits);
	(void)fits;
}

static void list_clients(struct session *session)
{
	struct buffer text;

	buffer_init(&text, 1u << 20);
	for (const struct session *each = session->node->sessions; each; each = each->next)
		if (each->connection)
			describe_client(each, &text);
	reply_bulk(session, buffer_readable(&text));
	buffer_free(&text);
}

struct victims {
	int64_t id; /* 0: any */
	struct slice address;
	bool not_self;
};

static void kill_clients(struct session *session, const struct victims *victims, bool counts)
{
	struct server *node = session->node;
	int64_t killed = 0;

	for (struct session *each = node->sessions, *next; each; each = next) {
		next = each->next;
		if ((victims->id != 0 && each->id != victims->id) || (victims->not_self && each == session) ||
		    (victims->address.len > 0 &&
		     !slice_equal(victims->address, slice_of_string(connection_address(each->connection)))))
			continue;
		killed++;
		trace("%s:%u kills %s", node->host.endpoint.host, node->host.endpoint.port, connection_address(each->connection));
		if (node->shard->site->kills_refused)
			continue;
		if (each == session)
			each->closing = true;
		else
			session_end(each, false);
	}
	if (counts)
		reply_integer(session, killed);
	else if (killed > 0)
		reply_raw(session, "+OK\r\n");
	else
		reply_error(session, "ERR No such client");
}

static bool client_kill(struct session *session, uint32_t argc, const struct slice *argv)
{
	struct victims victims = {.not_self = true};

	if (argc == 3) {
		kill_clients(session, &(struct victims){.address = argv[2]}, false);
		return false;
	}
	for (uint32_t i = 2; i + 1 < argc; i += 2) {
		if (is(argv[i], "ID") && slice_to_int64(argv[i + 1], &victims.id))
			continue;
		if (is(argv[i], "ADDR"))
			victims.address = argv[i + 1];
		else if (is(argv[i], "SKIPME"))
			victims.not_self = is(argv[i + 1], "yes");
		else if (!is(argv[i], "TYPE"))
			reply_error(session, "ERR syntax error");
	}
	kill_clients(session, &victims, true);
	return false;
}

static bool run_client(struct session *session, uint32_t argc, const struct slice *argv)
{
	if (is(argv[1], "SETNAME") && argc == 3) {
		snprintf(session->name, sizeof(session->name), "%.*s", (int)argv[2].len, (const char *)argv[2].data);
		reply_raw(session, "+OK\r\n");
	} else if (is(argv[1], "ID")) {
		reply_integer(session, session->id);
	} else if (is(argv[1], "LIST")) {
		list_clients(session);
	} else if (is(argv[1], "KILL") && argc >= 3) {
		return client_kill(session, argc, argv);
	} else if (is(argv[1], "NO-EVICT") || is(argv[1], "REPLY")) {
		reply_raw(session, "+OK\r\n");
	} else {
		reply_error(session, "ERR Unknown subcommand or wrong number of arguments for '%.*s'", (int)argv[1].len,
			    (const char *)argv[1].data);
	}
	return false;
}

/* ---- CONFIG, COMMAND ---- */

static bool run_config(struct session *session, uint32_t argc, const struct slice *argv)
{
	if (argc < 3 || !is(argv[2], "databases")) {
		reply_array(session, 0);
		return false;
	}
	reply_array(session, 2);
	reply_bulk(session, argv[2]);
	reply_bulk(session, SLICE("4"));
	return false;
}

/* COMMAND INFO of what the model knows: nothing that the product has to learn from it. */
static bool run_command(struct session *session, uint32_t argc, const struct slice *argv)
{
	(void)argv;
	reply_array(session, argc > 2 ? argc - 2 : 0);
	for (uint32_t i = 2; i < argc; i++)
		reply_raw(session, "*-1\r\n");
	return false;
}

/* ---- CLUSTER ---- */

static void reply_node(struct session *session, const struct server *node)
{
	reply_array(session, 3);
	reply_bulk(session, slice_of_string(node->host.endpoint.host));
	reply_integer(session, node->host.endpoint.port);
	reply_bulk(session, slice_of_string(node->id));
}

static void reply_range(struct session *session, unsigned from, unsigned to, unsigned owner)
{
	const struct group *shard = &session->node->shard->site->shards[owner];
	unsigned master = session->node->view_master[owner];

	reply_array(session, 4);
	reply_integer(session, from);
	reply_integer(session, to);
	reply_node(session, &shard->nodes[master]);
	reply_node(session, &shard->nodes[SITE_NODES - 1 - master]);
}

static void cluster_slots(struct session *session)
{
	const uint8_t *view = session->node->view;
	unsigned ranges = 1, from = 0;

	for (unsigned slot = 1; slot < SLOT_COUNT; slot++)
		ranges += view[slot] != view[slot - 1];
	reply_array(session, ranges);
	for (unsigned slot = 1; slot <= SLOT_COUNT; slot++) {
		if (slot < SLOT_COUNT && view[slot] == view[from])
			continue;
		reply_range(session, from, slot - 1, view[from]);
		from = slot;
	}
}

/* "id ip:port@cport flags master ping pong epoch link slots" of each node. */
static void cluster_nodes(struct session *session)
{
	struct site *site = session->node->shard->site;
	struct buffer text;
	bool fits = true;

	buffer_init(&text, 1u << 20);
	for (unsigned i = 0; i < site->shard_count; i++) {
		for (unsigned k = 0; k < SITE_NODES; k++) {
			const struct server *server = &site->shards[i].nodes[k];
			unsigned master = session->node->view_master[i];

			fits &= buffer_printf(&text, "%s %s:%u@%u %s%s %s 0 0 %u connected", server->id,
					      server->host.endpoint.host, server->host.endpoint.port,
					      server->host.endpoint.port + 10000, server == session->node ? "myself," : "",
					      k == master ? "master" : "slave",
					      k == master ? "-" : site->shards[i].nodes[master].id, session->node->view_epoch[i]);
			for (unsigned slot = 0, end; k == master && slot < SLOT_COUNT; slot = end) {
				for (end = slot + 1; end < SLOT_COUNT && session->node->view[end] == session->node->view[slot];
				     end++)
					continue;
				if (session->node->view[slot] == i)
					fits &= buffer_printf(&text, " %u-%u", slot, end - 1);
			}
			fits &= buffer_printf(&text, "\n");
		}
	}
	assert(fits);
	reply_bulk(session, buffer_readable(&text));
	buffer_free(&text);
}

static bool run_cluster(struct session *session, uint32_t argc, const struct slice *argv)
{
	if (!session->node->shard->site->cluster)
		reply_error(session, "ERR This instance has cluster support disabled");
	else if (is(argv[1], "SLOTS"))
		cluster_slots(session);
	else if (is(argv[1], "NODES"))
		cluster_nodes(session);
	else if (is(argv[1], "MYID"))
		reply_bulk(session, slice_of_string(session->node->id));
	else if (is(argv[1], "KEYSLOT") && argc == 3)
		reply_integer(session, slot_of_key(argv[2]));
	else
		reply_error(session, "ERR Unknown subcommand or wrong number of arguments for '%.*s'", (int)argv[1].len,
			    (const char *)argv[1].data);
	return false;
}

static const struct model_command commands[] = {
	{"PING", 1, 0, 0, 0, 0, run_ping},
	{"AUTH", 2, 0, 0, 0, MODEL_ANY_TIME, run_ok},
	{"SELECT", 2, 0, 0, 0, 0, run_select},
	{"ASKING", 1, 0, 0, 0, 0, run_asking},
	{"READONLY", 1, 0, 0, 0, 0, run_ok},
	{"MULTI", 1, 0, 0, 0, MODEL_ANY_TIME, run_ok},
	{"EXEC", 1, 0, 0, 0, MODEL_ANY_TIME, run_ok},
	{"DISCARD", 1, 0, 0, 0, MODEL_ANY_TIME, run_ok},
	{"INFO", 1, 0, 0, 0, MODEL_ANY_TIME, run_info},
	{"DBSIZE", 1, 0, 0, 0, 0, run_dbsize},
	{"ROLE", 1, 0, 0, 0, MODEL_ANY_TIME, run_role},
	{"CLIENT", 2, 0, 0, 0, MODEL_ANY_TIME, run_client},
	{"CONFIG", 2, 0, 0, 0, MODEL_ANY_TIME, run_config},
	{"COMMAND", 1, 0, 0, 0, MODEL_ANY_TIME, run_command},
	{"CLUSTER", 2, 0, 0, 0, MODEL_ANY_TIME, run_cluster},
	{"PSYNC", 3, 0, 0, 0, 0, replication_psync},
	{"REPLCONF", 2, 0, 0, 0, MODEL_ANY_TIME, replication_replconf},
};

const struct model_command *admin_command(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (is(name, commands[i].name))
			return &commands[i];
	return NULL;
}
