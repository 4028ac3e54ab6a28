#include "peer/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct server_info parse(const char *text)
{
	struct server_info info;

	assert_true(server_info_parse(slice_of_string(text), &info));
	return info;
}

static void test_redis_master(void **state)
{
	struct server_info info =
		parse("# Server\r\nredis_version:7.0.15\r\nredis_mode:cluster\r\n"
		      "run_id:0123456789012345678901234567890123456789\r\n\r\n# Memory\r\nused_memory:1048576\r\n"
		      "maxmemory:4294967296\r\n# Persistence\r\nloading:0\r\nasync_loading:0\r\n# Replication\r\nrole:master\r\n"
		      "master_replid:abcdefabcdefabcdefabcdefabcdefabcdefabcd\r\nmaster_repl_offset:123456789012\r\n"
		      "# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\ndb0:keys=5,expires=1,avg_ttl=1000\r\n"
		      "db15:keys=2,expires=0,avg_ttl=0\r\n");
	char name[64];

	(void)state;
	assert_string_equal(server_name(&info, name), "Redis 7.0.15");
	assert_int_equal(info.role, ROLE_MASTER);
	assert_true(info.cluster);
	assert_false(info.loading);
	assert_int_equal(info.keys, 7);
	assert_int_equal(info.highest_db, 15);
	assert_int_equal(info.repl_offset, 123456789012);
	assert_string_equal(info.replid, "abcdefabcdefabcdefabcdefabcdefabcdefabcd");
	assert_string_equal(info.run_id, "0123456789012345678901234567890123456789");
	assert_int_equal(info.used_memory, 1048576);
	assert_int_equal(info.maxmemory, 4294967296);
	assert_int_equal(info.rdb_version, 10);
}

static void test_replica(void **state)
{
	struct server_info info = parse("redis_version:2.8.24\nrole:slave\nmaster_host:fd00::1\nmaster_port:6380\nloading:1\n"
					"run_id:0123456789012345678901234567890123456789\n");

	(void)state;
	assert_int_equal(info.role, ROLE_REPLICA);
	assert_string_equal(info.master.host, "fd00::1");
	assert_int_equal(info.master.port, 6380);
	assert_true(info.loading);
	assert_int_equal(info.highest_db, -1);
	/* Before 4.0 the run id is the replication id. */
	assert_string_equal(info.replid, info.run_id);
}

static void test_versions(void **state)
{
	static const struct {
		const char *info;
		const char *name;
		int rdb_version;
	} examples[] = {
		{"redis_version:2.8.24\r\n", "Redis 2.8.24", 6},
		{"redis_version:3.0.7\r\n", "Redis 3.0.7", 6},
		{"redis_version:3.2.13\r\n", "Redis 3.2.13", 7},
		{"redis_version:4.0.14\r\n", "Redis 4.0.14", 8},
		{"redis_version:5.0.14\r\n", "Redis 5.0.14", 9},
		{"redis_version:6.2.16\r\n", "Redis 6.2.16", 9},
		{"redis_version:7.2.6\r\n", "Redis 7.2.6", 11},
		{"redis_version:7.4.1\r\n", "Redis 7.4.1", 12},
		{"redis_version:8.0.6\r\n", "Redis 8.0.6", 12},
		{"redis_version:255.255.255\r\n", "Redis 255.255.255", 12},
		{"redis_version:8.2-m01\r\n", "Redis 8.2.0", 12},
		{"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.2.8\r\n", "Valkey 7.2.8", 11},
		{"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n", "Valkey 8.1.1", 11},
		{"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0-rc1\r\n", "Valkey 9.0.0", 80},
		{"valkey_version:9.1.2\r\nredis_version:7.2.4\r\n", "Valkey 9.1.2", 80},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct server_info info = parse(examples[i].info);
		char name[64];

		assert_string_equal(server_name(&info, name), examples[i].name);
		assert_int_equal(info.rdb_version, examples[i].rdb_version);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {"",
					    "\r\n",
					    "HTTP/1.1 200 OK\r\nServer: x\r\n",
					    "redis_version:\r\n",
					    "redis_version:x.y\r\n",
					    "redis_version",
					    "role:master\r\n"};
	struct server_info info = {.keys = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_false(server_info_parse(slice_of_string(texts[i]), &info));
	assert_int_equal(info.keys, 77);
}

static void test_odd_fields(void **state)
{
	struct server_info info =
		parse("redis_version:7.0.0\r\ndb0:keys=x\r\ndb:keys=1\r\ndb99999999999:keys=1\r\ndb3:keys=0,expires=0\r\n"
		      "master_port:99999\r\nmaster_repl_offset:99999999999999999999\r\n"
		      "run_id:toolongtoolongtoolongtoolongtoolongtoolongtoolong\r\ndb4:keys=3\r\nused_memory:-1\r\n");

	(void)state;
	assert_int_equal(info.keys, 3);
	assert_int_equal(info.highest_db, 4);
	assert_int_equal(info.master.port, 0);
	assert_int_equal(info.repl_offset, 0);
	assert_string_equal(info.run_id, "");
	assert_int_equal(info.used_memory, 0);
}

static void test_holdings(void **state)
{
	struct server_info info =
		parse("# Server\r\nredis_version:8.0.6\r\n# Memory\r\nnumber_of_libraries:3\r\n# Modules\r\n"
		      "module:name=vectorset,ver=1,api=1\r\nmodule:name=bf,ver=1,api=1\r\nmodule:broken\r\n# Keyspace\r\n"
		      "db0:keys=5,expires=1,avg_ttl=1000,subexpiry=2\r\ndb1:keys=2,expires=0,avg_ttl=0,subexpiry=4\r\n"
		      "db0_distrib_hashes_items:1=1\r\n");

	(void)state;
	assert_int_equal(info.libraries, 3);
	assert_int_equal(info.expiring_fields, 6);
	assert_int_equal(info.keys, 7);
	assert_string_equal(info.modules, "vectorset bf ");
	info = parse(
		"valkey_version:9.1.2\r\nredis_version:7.2.4\r\ndb0:keys=1,expires=0,avg_ttl=0,keys_with_volatile_items=1\r\n");
	assert_int_equal(info.expiring_fields, 1);
}

static void test_single_fields(void **state)
{
	struct slice info = SLICE(
		"# Replication\r\nrole:master\r\nmaster_replid:abc\r\nmaster_replid2:\r\nslave0:ip=::1,port=1\r\nmaster_repl_offset:12");

	(void)state;
	assert_true(slice_equal(server_info_field(info, "role"), SLICE("master")));
	assert_true(slice_equal(server_info_field(info, "master_replid"), SLICE("abc")));
	assert_true(slice_equal(server_info_field(info, "slave0"), SLICE("ip=::1,port=1")));
	assert_true(slice_equal(server_info_field(info, "master_repl_offset"), SLICE("12")));
	assert_int_equal(server_info_field(info, "master_replid2").len, 0);
	assert_int_equal(server_info_field(info, "replid").len, 0);
	assert_int_equal(server_info_field(info, "# Replication").len, 0);
	assert_int_equal(server_info_field(SLICE(""), "role").len, 0);
	assert_true(slice_equal(server_info_field(SLICE("run_id:1\nrun_id:2\n"), "run_id"), SLICE("1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redis_master),  cmocka_unit_test(test_holdings), cmocka_unit_test(test_replica),
		cmocka_unit_test(test_versions),      cmocka_unit_test(test_refused),  cmocka_unit_test(test_odd_fields),
		cmocka_unit_test(test_single_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
