/* Replies are written as trees, "[[slots [0 5460] nodes [...]]]", and go through the real parser: a word is a bulk, a number
 * an integer, '' an empty bulk, nil a null. */
#include "peer/topology.h"

#include "base/memory.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct endpoint asked = {"asked.example.com", 7777};

/* ---- trees to replies ---- */

static struct buffer bytes;
static struct resp_node nodes[4096];

static const char *skip_spaces(const char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

static const char *word_end(const char *at)
{
	while (*at && !isspace((unsigned char)*at) && *at != ']')
		at++;
	return at;
}

static uint32_t count_members(const char *at)
{
	uint32_t count = 0;
	int depth = 0;

	for (at = skip_spaces(at); *at && !(depth == 0 && *at == ']'); at = skip_spaces(at)) {
		if (depth == 0 && *at != ']')
			count++;
		if (*at == '[') {
			depth++;
			at++;
		} else if (*at == ']') {
			depth--;
			at++;
		} else {
			at = word_end(at);
		}
	}
	return count;
}

static const char *write_value(const char *at)
{
	const char *end;

	at = skip_spaces(at);
	if (*at == '[') {
		at = skip_spaces(at + 1);
		assert_true(buffer_printf(&bytes, "*%u\r\n", count_members(at)));
		while (*at != ']')
			at = skip_spaces(write_value(at));
		return at + 1;
	}
	end = word_end(at);
	if (strncmp(at, "nil", 3) == 0)
		assert_true(buffer_printf(&bytes, "$-1\r\n"));
	else if (strncmp(at, "''", 2) == 0)
		assert_true(buffer_printf(&bytes, "$0\r\n\r\n"));
	else if (strspn(at, "-0123456789") == (size_t)(end - at))
		assert_true(buffer_printf(&bytes, ":%.*s\r\n", (int)(end - at), at));
	else
		assert_true(buffer_printf(&bytes, "$%d\r\n%.*s\r\n", (int)(end - at), (int)(end - at), at));
	return end;
}

static struct client_reply reply_of(const char *tree)
{
	struct parse_fault fault;
	uint64_t taken;

	buffer_free(&bytes);
	buffer_init(&bytes, 1 << 20);
	write_value(tree);
	assert_int_equal(resp_reply_parse(buffer_readable(&bytes), nodes, 4096, &taken, &fault), PARSE_OK);
	return (struct client_reply){nodes, nodes[0].span};
}

/* "host:port=slots+replica+replica host:port=slots ..." */
static void check(struct topology *topology, const char *expected)
{
	struct buffer text;
	char endpoint[ENDPOINT_TEXT_MAX];
	uint32_t covered = 0;

	buffer_init(&text, 1 << 20);
	for (uint32_t i = 0; i < topology->shard_count; i++) {
		const struct shard *shard = &topology->shards[i];
		uint32_t owned = 0;

		assert_true(
			buffer_printf(&text, "%s%s=%u", i ? " " : "", endpoint_format(&shard->master, endpoint), shard->slots));
		for (uint32_t k = 0; k < shard->replica_count; k++)
			assert_true(buffer_printf(&text, "+%s", endpoint_format(&shard->replicas[k], endpoint)));
		for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
			owned += topology->owner[slot] == i;
		assert_int_equal(owned, shard->slots);
		covered += owned;
	}
	assert_true(buffer_append(&text, "", 1));
	assert_string_equal((const char *)text.data, expected);
	assert_int_equal(topology->uncovered, SLOT_COUNT - covered);
	assert_true(topology->cluster);
	buffer_free(&text);
	topology_free(topology);
}

/* ---- CLUSTER SHARDS ---- */

static void shards(const char *tree, bool tls, const char *expected)
{
	struct client_reply reply = reply_of(tree);
	struct topology topology;

	assert_true(topology_from_shards(&reply, &asked, tls, &topology));
	check(&topology, expected);
}

static void test_shards(void **state)
{
	(void)state;
	/* The order of a real 7.0.15, whose first master has just been replaced by its replica. */
	shards("[[slots [10923 16383] nodes [[id c port 18313 ip 127.0.0.1 endpoint 127.0.0.1 role master "
	       "replication-offset 0 health online]]]"
	       " [slots [] nodes [[id a port 18311 ip 127.0.0.1 endpoint 127.0.0.1 role master replication-offset 70 "
	       "health fail]]]"
	       " [slots [5461 10922] nodes [[id b port 18312 ip 127.0.0.1 endpoint 127.0.0.1 role master "
	       "replication-offset 0 health online]"
	       "   [id e port 18315 ip 127.0.0.1 endpoint 127.0.0.1 role replica replication-offset 0 health online]"
	       "   [id f port 18316 ip 127.0.0.1 endpoint 127.0.0.1 role replica replication-offset 0 health loading]]]"
	       " [slots [0 5460] nodes [[id d port 18314 ip 127.0.0.1 endpoint 127.0.0.1 role master "
	       "replication-offset 70 health online]]]]",
	       false, "127.0.0.1:18314=5461 127.0.0.1:18312=5462+127.0.0.1:18315 127.0.0.1:18313=5461");
	shards("[]", false, "");
}

static void test_shards_of_several_ranges(void **state)
{
	(void)state;
	shards("[[slots [5 5 100 199] nodes [[id b port 2 ip 10.0.0.2 endpoint 10.0.0.2 role master health online]]]"
	       " [slots [0 4 6 99] nodes [[id a port 1 ip 10.0.0.1 endpoint 10.0.0.1 role master health online]]]]",
	       false, "10.0.0.1:1=99 10.0.0.2:2=101");
}

static void test_shards_hosts(void **state)
{
	(void)state;
	/* A host name, an unknown one, null and empty: the last two are the host that was asked. */
	shards("[[slots [0 0] nodes [[id a port 1 ip 10.0.0.1 endpoint a.example.com hostname a.example.com role "
	       "master health online]]]"
	       " [slots [1 1] nodes [[id b port 2 ip 10.0.0.2 endpoint ? hostname '' role master health online]]]"
	       " [slots [2 2] nodes [[id c port 3 ip 10.0.0.3 endpoint nil role master health online]]]"
	       " [slots [3 3] nodes [[id d port 4 ip '' endpoint '' role master health online]]]"
	       " [slots [4 4] nodes [[id e port 5 ip fd00::5 endpoint fd00::5 role master health online]]]"
	       " [slots [5 5] nodes [[id f port 6 ip 10.0.0.6 role master health online]]]]",
	       false, "a.example.com:1=1 10.0.0.2:2=1 asked.example.com:3=1 asked.example.com:4=1 [fd00::5]:5=1 10.0.0.6:6=1");
}

static void test_shards_ports(void **state)
{
	static const char tree[] = "[[slots [0 0] nodes [[id a port 1 tls-port 11 ip 10.0.0.1 endpoint 10.0.0.1 role "
				   "master health online]]]"
				   " [slots [1 1] nodes [[id b tls-port 12 ip 10.0.0.2 endpoint 10.0.0.2 role master "
				   "health online]]]"
				   " [slots [2 2] nodes [[id c port 3 ip 10.0.0.3 endpoint 10.0.0.3 role master health "
				   "online]]]]";

	(void)state;
	shards(tree, false, "10.0.0.1:1=1 10.0.0.2:12=1 10.0.0.3:3=1");
	shards(tree, true, "10.0.0.1:11=1 10.0.0.2:12=1 10.0.0.3:3=1");
}

static void test_shards_masters(void **state)
{
	(void)state;
	/* The one that is well, else the one that failed; without any the slots are uncovered. */
	shards("[[slots [0 0] nodes [[id a port 1 ip 10.0.0.1 endpoint 10.0.0.1 role master health failed]"
	       "                     [id b port 2 ip 10.0.0.2 endpoint 10.0.0.2 role master health online]]]"
	       " [slots [1 1] nodes [[id c port 3 ip 10.0.0.3 endpoint 10.0.0.3 role master health failed]]]"
	       " [slots [2 2] nodes [[id d port 4 ip 10.0.0.4 endpoint 10.0.0.4 role replica health online]]]"
	       " [slots [3 3] nodes [[id e port 0 ip 10.0.0.5 endpoint 10.0.0.5 role master health online]]]]",
	       false, "10.0.0.2:2=1 10.0.0.3:3=1");
}

static void test_shards_refused(void **state)
{
	static const char *const trees[] = {
		"OK",
		"[OK]",
		"[[]]",
		"[[slots [0 1]]]",
		"[[slots [0] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [0 16384] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [-1 1] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [5 1] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [a b] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [[] 1] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [0 1 1 2] nodes [[id a port 1 ip 10.0.0.1 role master]]]]",
		"[[slots [0 1] nodes 7]]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		struct client_reply reply = reply_of(trees[i]);
		struct topology topology;

		if (topology_from_shards(&reply, &asked, false, &topology))
			fail_msg("accepted: %s", trees[i]);
	}
}

/* ---- CLUSTER SLOTS ---- */

static void slots(const char *tree, const char *expected)
{
	struct client_reply reply = reply_of(tree);
	struct topology topology;

	assert_true(topology_from_slots(&reply, &asked, &topology));
	check(&topology, expected);
}

static void test_slots(void **state)
{
	(void)state;
	slots("[]", "");
	/* 3.0: no ids */
	slots("[[5461 16383 [10.0.0.2 7001]] [0 5000 [10.0.0.1 7000] [10.0.0.3 7002]] [5002 5460 [10.0.0.1 7000] "
	      "[10.0.0.3 7002] [10.0.0.4 7003]]]",
	      "10.0.0.1:7000=5460+10.0.0.3:7002+10.0.0.4:7003 10.0.0.2:7001=10923");
	/* 4.0 to 6.2: ids, and an address of a node may change between two lines of no reply, but its id does not */
	slots("[[0 1 [10.0.0.1 7000 aaaa] ['' 7002 cccc]] [2 3 [10.0.0.2 7001 bbbb]] [4 4 [10.0.0.1 7000 aaaa]]]",
	      "10.0.0.1:7000=3+asked.example.com:7002 10.0.0.2:7001=2");
	/* 7.0: metadata; an unknown host name, a null host */
	slots("[[0 1 [? 7000 aaaa [ip 10.0.0.1]]] [2 3 [b.example.com 7001 bbbb [ip 10.0.0.2]]] [4 5 [nil 7002 cccc "
	      "[ip 10.0.0.3]]]]",
	      "10.0.0.1:7000=2 b.example.com:7001=2 asked.example.com:7002=2");
}

static void test_slots_refused(void **state)
{
	static const char *const trees[] = {
		"7",
		"[7]",
		"[[0 1]]",
		"[[0 1 x]]",
		"[[0 1 [10.0.0.1]]]",
		"[[0 1 [10.0.0.1 0]]]",
		"[[0 1 [10.0.0.1 65536]]]",
		"[[0 1 [7 7000]]]",
		"[[0 1 [/etc/passwd 7000]]]",
		"[[1 0 [10.0.0.1 7000]]]",
		"[[0 16384 [10.0.0.1 7000]]]",
		"[[0 1 [10.0.0.1 7000]] [1 2 [10.0.0.2 7000]]]",
		"[[[] 1 [10.0.0.1 7000]]]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		struct client_reply reply = reply_of(trees[i]);
		struct topology topology;

		if (topology_from_slots(&reply, &asked, &topology))
			fail_msg("accepted: %s", trees[i]);
	}
}

static void test_asked_by_unix_socket(void **state)
{
	struct endpoint path = {"/run/redis.sock", 0};
	struct client_reply reply = reply_of("[[0 16383 ['' 7000]]]");
	struct topology topology;

	(void)state;
	assert_true(topology_from_slots(&reply, &path, &topology));
	check(&topology, "/run/redis.sock=16384");
}

static void test_too_many_shards(void **state)
{
	struct buffer tree;
	struct client_reply reply;
	struct resp_node *many = memory_alloc_zero(16000, sizeof(*many));
	struct parse_fault fault;
	struct topology topology;
	uint64_t taken;

	(void)state;
	for (uint32_t count = TOPOLOGY_SHARDS_MAX; count <= TOPOLOGY_SHARDS_MAX + 1; count++) {
		buffer_init(&tree, 1 << 20);
		assert_true(buffer_printf(&tree, "*%u\r\n", count));
		for (uint32_t i = 0; i < count; i++)
			assert_true(buffer_printf(&tree, "*3\r\n:%u\r\n:%u\r\n*2\r\n$1\r\nh\r\n:%u\r\n", i, i, i + 1));
		assert_int_equal(resp_reply_parse(buffer_readable(&tree), many, 16000, &taken, &fault), PARSE_OK);
		reply = (struct client_reply){many, many[0].span};
		assert_int_equal(topology_from_slots(&reply, &asked, &topology), count == TOPOLOGY_SHARDS_MAX);
		if (count == TOPOLOGY_SHARDS_MAX)
			topology_free(&topology);
		buffer_free(&tree);
	}
	free(many);
}

/* ---- CLUSTER NODES ---- */

static void nodes_text(const char *text, bool tls, const char *expected)
{
	struct topology topology;

	assert_true(topology_from_nodes(slice_of_string(text), &asked, tls, &topology));
	check(&topology, expected);
}

static void test_nodes(void **state)
{
	(void)state;
	/* 3.0 has no bus port; a replica stands above its master */
	nodes_text("r1 10.0.0.3:7002 slave m1 0 1 1 connected\n"
		   "m1 10.0.0.1:7000 myself,master - 0 0 1 connected 0-5460 5462 [5463->-m2]\n"
		   "m2 10.0.0.2:7001 master - 0 1 2 connected 5463-16383 [5461-<-m1]\n",
		   false, "10.0.0.1:7000=5462+10.0.0.3:7002 10.0.0.2:7001=10921");
	/* 7.0: bus port, host name; IPv6; a node that does not know its own address; states */
	nodes_text("m1 :7000@17000,a.example.com myself,master - 0 0 1 connected 0-100\n"
		   "m2 fd00::2:7001@17001, master,fail? - 0 1 2 connected 101-200\n"
		   "m3 10.0.0.3:7002@17002 master,fail - 0 1 3 disconnected 201-300\n"
		   "m4 :0@0 master,noaddr - 0 1 4 disconnected 301-400\n"
		   "m5 10.0.0.5:7004@17004 master - 0 1 5 connected\n"
		   "m6 10.0.0.6:7005@17005 handshake - 0 1 6 connected\n"
		   "m7 10.0.0.7:7006@17006 master - 0 1 7 connected [500-<-m1]\n"
		   "r2 10.0.0.8:7007@17007 slave m2 0 1 2 connected\n"
		   "r3 10.0.0.9:7008@17008 slave,fail m2 0 1 2 disconnected\n"
		   "r4 10.0.0.10:7009@17009 slave m5 0 1 2 connected\n",
		   false, "asked.example.com:7000=101 [fd00::2]:7001=100+10.0.0.8:7007 10.0.0.3:7002=100");
	/* 7.2: further fields after the host name */
	nodes_text("m1 10.0.0.1:7000@17000,,tls-port=7100,shard-id=69 myself,master - 0 0 1 connected "
		   "0-16383\n",
		   false, "10.0.0.1:7000=16384");
	nodes_text("m1 10.0.0.1:7000@17000,,tls-port=7100,shard-id=69 myself,master - 0 0 1 connected "
		   "0-16383\n",
		   true, "10.0.0.1:7100=16384");
}

static void test_nodes_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"hello\n",
		"m1 10.0.0.1:7000@17000 master - 0 0 1\n",
		"m1 10.0.0.1:7000@17000 master - 0 0 1 connected 0-16384\n",
		"m1 10.0.0.1:7000@17000 master - 0 0 1 connected 7-\nm2 10.0.0.2:7000@17000 master - 0 0 1 connected 7\n",
		"m1 10.0.0.1:7000@17000 master - 0 0 1 connected a-b\n",
		"m1 10.0.0.1:7000@17000 master - 0 0 1 connected 5-4\n",
		"01234567890123456789012345678901234567890 10.0.0.1:7000@17000 master - 0 0 1 connected 5\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct topology topology;

		if (topology_from_nodes(slice_of_string(texts[i]), &asked, false, &topology))
			fail_msg("accepted: %s", texts[i]);
	}
}

/* By the master's id; a node that the map does not name and a line that is none change nothing. */
static void test_epochs(void **state)
{
	struct shard shards[] = {{.node_id = "m1", .epoch = 9}, {.node_id = "m2"}, {.node_id = "m3"}};
	struct topology topology = {.shards = shards, .shard_count = 3};

	(void)state;
	topology_take_epochs(&topology,
			     slice_of_string("m2 10.0.0.2:7001@17001,name master - 0 1 18446744073709551615 connected 5-6\n"
					     "r1 10.0.0.4:7003@17003 slave m1 0 1 77 connected\n"
					     "\n"
					     "m3 10.0.0.3:7002@17002 master - 0 1 many connected 7\r\n"
					     "m1 10.0.0.1:7000@17000 myself,master - 0 0 12 connected 0-4"));
	assert_int_equal(shards[0].epoch, 12);
	assert_true(shards[1].epoch == UINT64_MAX);
	assert_int_equal(shards[2].epoch, 0);
	topology_take_epochs(&topology, (struct slice){NULL, 0});
	assert_int_equal(shards[0].epoch, 12);
}

static void test_one(void **state)
{
	struct topology topology;

	(void)state;
	topology_of_one(&asked, &topology);
	assert_false(topology.cluster);
	assert_int_equal(topology.shard_count, 1);
	assert_int_equal(topology.owner[0], 0);
	assert_int_equal(topology.owner[SLOT_COUNT - 1], 0);
	assert_int_equal(topology.uncovered, 0);
	assert_true(endpoint_equal(&topology.shards[0].master, &asked));
	topology_free(&topology);
}

static int release(void **state)
{
	(void)state;
	buffer_free(&bytes);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shards),
		cmocka_unit_test(test_shards_of_several_ranges),
		cmocka_unit_test(test_shards_hosts),
		cmocka_unit_test(test_shards_ports),
		cmocka_unit_test(test_shards_masters),
		cmocka_unit_test(test_shards_refused),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_slots_refused),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_nodes_refused),
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_asked_by_unix_socket),
		cmocka_unit_test(test_epochs),
		cmocka_unit_test(test_too_many_shards),
	};

	return cmocka_run_group_tests(tests, NULL, release);
}
