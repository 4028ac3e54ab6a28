#include "task/options.h"

#include "task/options_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static bool parse(struct task_options *options, const char *text, struct error *error)
{
	error_clear(error);
	task_options_init(options);
	return task_options_parse(options, slice_of_string(text), "t.yaml", error);
}

static void defaults_are_those_of_the_reference(void **state)
{
	struct task_options options;

	(void)state;
	task_options_init(&options);
	assert_int_equal(options.source.mode, MODE_AUTO);
	assert_false(options.source.tls.enabled);
	assert_false(options.target.sentinel_tls.enabled);
	assert_true(options.all_databases);
	assert_int_equal(options.read_from, READ_FROM_MASTER);
	assert_int_equal(options.existing, EXISTING_FAIL);
	assert_int_equal(options.conflict, CONFLICT_OVERWRITE);
	assert_int_equal(options.on_conflict, ON_CONFLICT_STOP);
	assert_true(options.snapshot);
	assert_true(options.heartbeat);
	assert_int_equal(options.heartbeat_interval_ms, 5000);
	assert_int_equal(options.limit_records_per_second, 0);
	assert_int_equal(options.limit_bytes_per_second, 0);
	assert_int_equal(options.spool_max_size, 8ULL << 30);
	assert_int_equal(options.spool_segment_size, 16 << 20);
	assert_int_equal(options.in_flight_bytes, 8 << 20);
	assert_int_equal(options.in_flight_commands, 32768);
	assert_int_equal(options.connect_timeout_ms, 10000);
	assert_int_equal(options.repl_timeout_ms, 60000);
	assert_int_equal(options.stop_when, STOP_NEVER);
	task_options_free(&options);
}

/* Every enum's words stand in the order of its values. */
static void words_mean_their_values(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		unsigned value;
	} words[] = {
		{"source: {mode: auto}", offsetof(struct task_options, source.mode), MODE_AUTO},
		{"source: {mode: standalone}", offsetof(struct task_options, source.mode), MODE_STANDALONE},
		{"source: {mode: cluster}", offsetof(struct task_options, source.mode), MODE_CLUSTER},
		{"target: {mode: sentinel}", offsetof(struct task_options, target.mode), MODE_SENTINEL},
		{"source: {read_from: prefer-replica}", offsetof(struct task_options, read_from), READ_FROM_PREFER_REPLICA},
		{"target: {existing: merge}", offsetof(struct task_options, existing), EXISTING_MERGE},
		{"target: {existing: flush}", offsetof(struct task_options, existing), EXISTING_FLUSH},
		{"target: {conflict: skip}", offsetof(struct task_options, conflict), CONFLICT_SKIP},
		{"target: {conflict: stop}", offsetof(struct task_options, conflict), CONFLICT_STOP},
		{"on_conflict: skip", offsetof(struct task_options, on_conflict), ON_CONFLICT_SKIP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct task_options options;
		struct error error;
		unsigned value;

		assert_true(parse(&options, words[i].text, &error));
		memcpy(&value, (char *)&options + words[i].offset, sizeof(value));
		assert_int_equal(value, words[i].value);
		task_options_free(&options);
	}
}

static void a_whole_document_is_read(void **state)
{
	struct task_options options;
	struct error error;
	char text[ENDPOINT_TEXT_MAX];

	(void)state;
	if (!parse(&options,
		   "name: orders\n"
		   "source:\n"
		   "  mode: sentinel\n"
		   "  address: [10.0.0.1:26379, '10.0.0.2', \"[::1]:7\"]\n"
		   "  master: m\n"
		   "  username: u\n"
		   "  password: 0123\n"
		   "  tls: {ca: /ca, cert: /c, key: /k, server_name: s, insecure: true}\n"
		   "  sentinel: {username: su, password: sp, tls: true}\n"
		   "  databases: [0, 4095]\n"
		   "target:\n"
		   "  address: /run/redis.sock\n"
		   "  database_map: {}\n"
		   "snapshot: false\n"
		   "heartbeat: {enabled: false, interval: 1m}\n"
		   "limit: {spec: 2xlarge, bytes_per_second: 20MiB}\n"
		   "spool: {max_size: 1GiB, segment_size: 1MiB}\n"
		   "buffers: {in_flight_bytes: 1MiB, in_flight_commands: 10}\n"
		   "timeouts: {connect: 500ms, replication: 2m}\n"
		   "filter: {allow: [], block: []}\n",
		   &error))
		fail_msg("%s", error.text);
	assert_string_equal(options.name, "orders");
	assert_int_equal(options.source.address_count, 3);
	assert_string_equal(endpoint_format(&options.source.addresses[0], text), "10.0.0.1:26379");
	assert_string_equal(endpoint_format(&options.source.addresses[2], text), "[::1]:7");
	assert_string_equal(options.source.master, "m");
	assert_string_equal(options.source.credentials.username, "u");
	assert_string_equal(options.source.credentials.password, "0123");
	assert_true(options.source.tls.enabled);
	assert_true(options.source.tls.insecure);
	assert_string_equal(options.source.tls.ca, "/ca");
	assert_string_equal(options.source.tls.certificate, "/c");
	assert_string_equal(options.source.tls.key, "/k");
	assert_string_equal(options.source.tls.server_name, "s");
	assert_string_equal(options.source.sentinel_credentials.username, "su");
	assert_string_equal(options.source.sentinel_credentials.password, "sp");
	assert_true(options.source.sentinel_tls.enabled);
	assert_false(options.all_databases);
	assert_true(task_options_database_selected(&options, 0));
	assert_false(task_options_database_selected(&options, 1));
	assert_true(task_options_database_selected(&options, 4095));
	assert_false(task_options_database_selected(&options, 4096));
	assert_string_equal(options.target.addresses[0].host, "/run/redis.sock");
	assert_null(options.target.credentials.password);
	assert_false(options.target.tls.enabled);
	assert_false(options.snapshot);
	assert_false(options.heartbeat);
	assert_int_equal(options.heartbeat_interval_ms, 60000);
	assert_int_equal(options.limit_records_per_second, 34000);
	assert_int_equal(options.limit_bytes_per_second, 20 << 20);
	assert_int_equal(options.spool_max_size, 1 << 30);
	assert_int_equal(options.spool_segment_size, 1 << 20);
	assert_int_equal(options.in_flight_bytes, 1 << 20);
	assert_int_equal(options.in_flight_commands, 10);
	assert_int_equal(options.connect_timeout_ms, 500);
	assert_int_equal(options.repl_timeout_ms, 120000);
	task_options_free(&options);
}

static void rules_are_read(void **state)
{
	struct task_options options;
	struct error error;
	const struct filter_rule *allow;
	const struct rename_rule *rename;
	const struct expiry_rule *expiry;

	(void)state;
	if (!parse(&options,
		   "filter:\n"
		   "  allow:\n"
		   "    - {prefix: [a, \"b,c\"], type: [hash, zset], database: [1, 5-7], slot: 0-99}\n"
		   "    - {command: \"FUNCTION *\", group: [generic, server]}\n"
		   "rename: [{match: \"^(a)\", to: \"$1${db}$$\"}, {prefix: \"\", to: x, database: 3}]\n"
		   "expiry: [{set: 1m}, {drop: true}, {scale: 0.5}]\n"
		   "target: {database_map: {1: 0, \"*\": 5}}\n",
		   &error))
		fail_msg("%s", error.text);
	allow = options.allow.items;
	rename = options.rename.items;
	expiry = options.expiry.items;
	assert_int_equal(options.allow.count, 2);
	assert_int_equal(allow[0].where.prefixes.count, 2);
	assert_string_equal(allow[0].where.prefixes.items[1], "b,c");
	assert_int_equal(allow[0].where.types, 1u << VALUE_HASH | 1u << VALUE_ZSET);
	assert_true(number_set_has(allow[0].where.databases, 6));
	assert_false(number_set_has(allow[0].where.databases, 8));
	assert_true(number_set_has(allow[0].where.slots, 99));
	assert_false(number_set_has(allow[0].where.slots, 100));
	assert_int_equal(allow[1].groups, 1 | 1u << 13);
	assert_string_equal(rename[0].to, "$1${db}$$");
	assert_string_equal(rename[1].prefix, "");
	assert_null(rename[1].match);
	assert_int_equal(expiry[0].set_ms, 60000);
	assert_true(expiry[1].drop);
	assert_true(expiry[2].scale > 0.49 && expiry[2].scale < 0.51);
	assert_int_equal(task_options_database_of(&options, 1), 0);
	assert_int_equal(task_options_database_of(&options, 2), 5);
	/* On the command line in the same words; the later one counts. */
	assert_true(task_options_set(&options, "filter.allow=[{glob: \"x*\"}]", "--set filter.allow=...", &error));
	assert_int_equal(options.allow.count, 1);
	assert_true(task_options_set(&options, "target.database_map={3: 4}", "--set target.database_map=...", &error));
	assert_int_equal(task_options_database_of(&options, 3), 4);
	assert_int_equal(task_options_database_of(&options, 2), 2);
	assert_false(task_options_set(&options, "filter.allow=[{glb: x}]", "--set filter.allow=...", &error));
	assert_non_null(strstr(
		error.text, "--set filter.allow: option 'filter.allow[0].glb': there is no such option: did you mean 'glob'?"));
	assert_int_equal(options.allow.count, 1);
	task_options_free(&options);
}

static void limits_have_names(void **state)
{
	static const struct {
		const char *spec;
		uint64_t records;
	} specs[] = {
		{"micro", 200},     {"small", 2000},    {"medium", 5000}, {"large", 11000}, {"xlarge", 17000},
		{"2xlarge", 34000}, {"4xlarge", 68000}, {"unlimited", 0}, {"1", 1},         {"123456", 123456},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		struct task_options options;
		struct error error;
		char assignment[64];

		task_options_init(&options);
		options.limit_records_per_second = 42;
		snprintf(assignment, sizeof(assignment), "limit.spec=%s", specs[i].spec);
		assert_true(task_options_set(&options, assignment, assignment, &error));
		assert_int_equal(options.limit_records_per_second, specs[i].records);
		task_options_free(&options);
	}
}

static void short_forms_work(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	assert_true(parse(&options, "heartbeat: false\nsource: {tls: true, databases: 3, address: 'a:1, b:2'}\n", &error));
	assert_false(options.heartbeat);
	assert_true(options.source.tls.enabled);
	assert_false(task_options_database_selected(&options, 0));
	assert_true(task_options_database_selected(&options, 3));
	assert_int_equal(options.source.address_count, 2);
	assert_string_equal(options.source.addresses[1].host, "b");
	task_options_free(&options);
	assert_true(parse(&options, "source: {tls: {ca: /x}, databases: all}\ntarget: {tls: {insecure: false}}\nfilter: {}\n",
			  &error));
	assert_true(options.source.tls.enabled);
	assert_true(options.target.tls.enabled);
	assert_true(options.all_databases);
	task_options_free(&options);
}

static void mistakes_are_explained(void **state)
{
	static const struct {
		const char *text, *says, *hint;
	} wrong[] = {
		{"sorce: 1\n", "t.yaml:1: unknown option 'sorce': did you mean 'source'?",
		 "'keyferry help options' lists all options"},
		{"a: 1\n", "t.yaml:1: unknown option 'a'", NULL},
		{"source:\n  adress: a\n", "t.yaml:2: unknown option 'source.adress': did you mean 'source.address'?", NULL},
		{"source:\n  tls:\n    cacert: a\n",
		 "t.yaml:3: unknown option 'source.tls.cacert': did you mean 'source.tls.cert'?", NULL},
		{"max_size: 1GiB\n", "t.yaml:1: unknown option 'max_size': did you mean 'spool.max_size'?", NULL},
		{"on_conflict: sto\n", "t.yaml:1: option 'on_conflict': \"sto\" is not one of its values: stop, skip",
		 "for example on_conflict: skip"},
		{"on_conflict: repair\n",
		 "t.yaml:1: option 'on_conflict': this version does not support \"repair\" yet; it takes: stop, skip", NULL},
		{"source:\n  mode: scn\n",
		 "t.yaml:2: option 'source.mode': \"scn\" is not one of its values: auto, standalone, cluster, sentinel, rdb, aof, scan",
		 "for example source.mode: cluster"},
		{"target:\n  mode: scan\n",
		 "t.yaml:2: option 'target.mode': \"scan\" is not one of its values: auto, standalone, cluster, sentinel, rdb, aof, "
		 "jsonl",
		 NULL},
		{"target:\n  paht: /x\n", "t.yaml:2: unknown option 'target.paht': did you mean 'target.path'?", NULL},
		{"filter: {allow: [x]}\n", "t.yaml:1: option 'filter.allow[0]': a mapping is expected, not a plain value",
		 "for example filter.allow: [{prefix: \"user:\"}, {type: hash}]"},
		{"filter: {block: x}\n", "t.yaml:1: option 'filter.block': it takes a list of mappings, not \"x\"", NULL},
		{"filter: {block: {prefix: x}}\n", "t.yaml:1: option 'filter.block': it takes a list of mappings, not a mapping",
		 NULL},
		{"filter:\n  allow:\n    - prefix: a\n    - {prefx: b}\n",
		 "t.yaml:4: option 'filter.allow[1].prefx': there is no such option: did you mean 'prefix'?", NULL},
		{"filter: {allow: [{}]}\n", "t.yaml:1: option 'filter.allow[0]': a mapping is expected, not an empty one", NULL},
		{"filter: {allow: [{prefix: []}]}\n",
		 "t.yaml:1: option 'filter.allow[0].prefix': the list is empty, so nothing would be meant", NULL},
		{"filter: {allow: [{prefix: \"\"}]}\n", "t.yaml:1: option 'filter.allow[0].prefix': the value is empty", NULL},
		{"filter: {allow: [{prefix: {a: b}}]}\n",
		 "t.yaml:1: option 'filter.allow[0].prefix': it takes one value or a list, not a mapping", NULL},
		{"filter: {allow: [{database: [0, 4096]}]}\n",
		 "t.yaml:1: option 'filter.allow[0].database': \"4096\" is not a number or range of numbers from 0 to 4095",
		 "for example database: [0, 8-15]"},
		{"filter: {allow: [{regex: \"a(\"}]}\n",
		 "t.yaml:1: option 'filter.allow[0].regex': \"a(\" is no regular expression: missing closing parenthesis (at byte 2)",
		 "for example regex: \"^user:[0-9]+$\""},
		{"filter: {allow: [{regex: \"(*UTF)a\"}]}\n",
		 "t.yaml:1: option 'filter.allow[0].regex': \"(*UTF)a\" is no regular expression: "
		 "using UTF is disabled by the application (at byte 6)",
		 NULL},
		{"filter: {allow: [{type: [hash, sorted-set]}]}\n",
		 "t.yaml:1: option 'filter.allow[0].type': \"sorted-set\" is not one of its values: "
		 "string, list, set, zset, hash, stream, module",
		 "for example type: [hash, zset]"},
		{"target: {database_map: {0: 1, x: 2}}\n",
		 "t.yaml:1: option 'target.database_map': \"x\" is not a database number: 0 to 4095, or \"*\" "
		 "for all others",
		 "for example target.database_map: {1: 0, \"*\": 5}"},
		{"target: {database_map: {0: -1}}\n",
		 "t.yaml:1: option 'target.database_map': \"-1\" is not a database number: 0 to 4095", NULL},
		{"target: {database_map: 5}\n",
		 "t.yaml:1: option 'target.database_map': it takes a mapping of database numbers, not \"5\"", NULL},
		{"rename: [{prefix: a, match: b, to: c}]\n",
		 "t.yaml:1: option 'rename[0]': 'prefix' and 'match' are two ways to say which keys are "
		 "meant: give one of them",
		 NULL},
		{"rename: [{to: c}]\n",
		 "t.yaml:1: option 'rename[0]': either 'prefix' or 'match' is needed: which keys are meant", NULL},
		{"rename: [{prefix: a, to: \"$1\"}]\n",
		 "t.yaml:1: option 'rename[0]': its template has \"$1\", which only a regular expression "
		 "('match') could fill",
		 "groups are $1 or ${name}, the database is ${db}, a dollar sign is $$"},
		{"rename: [{match: \"(a)\", to: \"$1$2\"}]\n",
		 "t.yaml:1: option 'rename[0]': its template has \"$2\", which is no group of the "
		 "regular expression",
		 NULL},
		{"expiry: [{prefix: a, set: 1h, drop: true}]\n",
		 "t.yaml:1: option 'expiry[0]': exactly one of 'set', 'drop' and 'scale' is needed, not "
		 "several",
		 "for example expiry: [{prefix: \"session:\", set: 1h}]"},
		{"expiry: [{scale: -1}]\n", "t.yaml:1: option 'expiry[0].scale': \"-1\" is not a factor from 0.001 to 1000",
		 "for example scale: 1.5"},
		{"name: [a]\n", "t.yaml:1: option 'name': it takes one value (text), not a list",
		 "for example name: orders-to-new-idc"},
		{"name: {a: b}\n", "t.yaml:1: option 'name': it takes one value (text), not a mapping", NULL},
		{"name:\n", "t.yaml:1: option 'name': it has no value",
		 "leave the option out for its default, or write for example name: orders-to-new-idc"},
		{"source: redis\n", "t.yaml:1: option 'source': it is a group of options and takes no value of its own",
		 "for example source.mode: cluster"},
		{"source:\n  address: []\n", "t.yaml:2: option 'source.address': the list of addresses is empty", NULL},
		{"source:\n  address: [[a]]\n",
		 "t.yaml:2: option 'source.address': its list holds a list where a plain value is expected", NULL},
		{"source:\n  address:\n  - a\n  - 'a:x'\n", "t.yaml:2: option 'source.address': \"a:x\" is not an address", NULL},
		{"source:\n  databases: [0, 4096]\n",
		 "t.yaml:2: option 'source.databases': \"4096\" is not a database number: 0 to 4095", NULL},
		{"source:\n  databases: []\n",
		 "t.yaml:2: option 'source.databases': the list is empty, so nothing would be copied", NULL},
		{"source:\n  tls: []\n",
		 "t.yaml:2: option 'source.tls': it takes true, false or a mapping of its options, not a list", NULL},
		{"source:\n  tls: {}\n",
		 "t.yaml:2: option 'source.tls': it takes true, false or a mapping of its options, not an empty one", NULL},
		{"heartbeat: {interval: 5}\n", "t.yaml:1: option 'heartbeat.interval': \"5\" is not a duration",
		 "for example heartbeat.interval: 10s"},
		{"limit: {spec: 0}\n", "t.yaml:1: option 'limit.spec': a limit of 0 would stop the task",
		 "write 'unlimited' for none"},
		{"limit: {bytes_per_second: fast}\n",
		 "t.yaml:1: option 'limit.bytes_per_second': \"fast\" is not a limit: it takes unlimited, or "
		 "size",
		 NULL},
		{"limit: {records_per_second: small}\n",
		 "t.yaml:1: option 'limit.records_per_second': \"small\" is not a limit: it takes unlimited, "
		 "or number",
		 NULL},
		{"limit:\n  spec: micro\n  records_per_second: 5\n",
		 "t.yaml:3: option 'limit.records_per_second': it sets the same as 'limit.spec' "
		 "in line 2: give one of them",
		 NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct task_options options;
		struct error error;

		if (parse(&options, wrong[i].text, &error))
			fail_msg("accepted: %s", wrong[i].text);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_string_equal(error.text, wrong[i].says);
		if (wrong[i].hint)
			assert_string_equal(error.hint, wrong[i].hint);
		task_options_free(&options);
	}
}

static void secrets_are_not_shown(void **state)
{
	static const char *const texts[] = {
		"source:\n  password:geheim\n",
		"source:\n  address: 'redis://u:geheim@h'\n",
		"source:\n  password: [geheim]\n",
		"source:\n  password: {geheim: 1}\n",
		"source: geheim\n",
		"pasword: geheim\n",
	};
	static const char *const assignments[] = {"sorce.password=geheim", "source=geheim", "source.address=redis://u:geheim@h",
						  "pasword=geheim", "=geheim"};
	struct task_options options;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(parse(&options, texts[i], &error));
		assert_null(strstr(error.text, "geheim"));
		assert_null(strstr(error.hint, "geheim"));
		task_options_free(&options);
	}
	task_options_init(&options);
	for (size_t i = 0; i < sizeof(assignments) / sizeof(assignments[0]); i++) {
		char origin[64];

		snprintf(origin, sizeof(origin), "--set %s", assignments[i]);
		error_clear(&error);
		assert_false(task_options_set(&options, assignments[i], origin, &error));
		assert_null(strstr(error.text, "geheim"));
		assert_null(strstr(error.hint, "geheim"));
	}
	task_options_free(&options);
}

static void assignments_name_their_origin(void **state)
{
	static const struct {
		const char *assignment, *says;
	} wrong[] = {
		{"limit.spec=big",
		 "--set limit.spec: \"big\" is not a limit: it takes micro, small, medium, large, xlarge, 2xlarge, 4xlarge, "
		 "unlimited, or records per second"},
		{"limit.spek=big", "--set limit.spek: unknown option 'limit.spek': did you mean 'limit.spec'?"},
		{"taget.mode=cluster", "--set taget.mode: unknown option 'taget.mode': did you mean 'target.mode'?"},
		{"snapshot", "--set: an option is set by name=value"},
		{"limit=small", "--set limit: it is a group of options and takes no value of its own"},
	};
	struct task_options options;
	struct error error;

	(void)state;
	task_options_init(&options);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char origin[64];

		snprintf(origin, sizeof(origin), "--set %s", wrong[i].assignment);
		assert_false(task_options_set(&options, wrong[i].assignment, origin, &error));
		assert_string_equal(error.text, wrong[i].says);
	}
	assert_true(task_options_set(&options, "source.password=a=b", "--set source.password=a=b", &error));
	assert_string_equal(options.source.credentials.password, "a=b");
	assert_true(task_options_set(&options, "source.tls.ca=/x", "--set", &error));
	assert_true(options.source.tls.enabled);
	assert_true(task_options_set(&options, "heartbeat=false", "--set", &error));
	assert_true(task_options_set(&options, "heartbeat.interval=1s", "--set", &error));
	assert_false(options.heartbeat);
	task_options_free(&options);
}

/* The reference promises it: each example can be copied. */
static void every_example_is_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < task_option_table.count; i++) {
		const struct option_row *row = &task_option_table.rows[i];
		struct task_options options;
		struct error error;
		char text[512];
		char path[OPTION_PATH_MAX];
		size_t len = 0, depth = 0;

		/* "source.tls.ca" becomes "{source: {tls: {ca: ..." in YAML's flow form, begun so that it is not taken for JSON. */
		snprintf(path, sizeof(path), "%s", row->path);
		len = (size_t)snprintf(text, sizeof(text), "--- {");
		for (char *name = strtok(path, "."); name; name = strtok(NULL, "."), depth++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, depth ? ": {%s" : "%s", name);
		len += (size_t)snprintf(text + len, sizeof(text) - len, ": %s", row->example);
		for (; depth > 0; depth--)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "}");
		if (!parse(&options, text, &error))
			fail_msg("%s: %s", text, error.text);
		task_options_free(&options);
		assert_non_null(row->sentence);
		assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(row->path, task_option_table.rows[j].path);
	}
}

static void files_that_cannot_be_read_are_named(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	task_options_init(&options);
	assert_false(task_options_read(&options, "/nonexistent/task.yaml", &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_string_equal(error.text, "/nonexistent/task.yaml: the task document cannot be opened: No such file or directory");
	assert_false(task_options_read(&options, "/", &error));
	assert_string_equal(error.text, "/: the task document cannot be read: Is a directory");
	assert_false(task_options_read(&options, "/dev/zero", &error));
	assert_string_equal(error.text, "/dev/zero: larger than 1048576 bytes, which no task document is");
	task_options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_the_reference),
		cmocka_unit_test(words_mean_their_values),
		cmocka_unit_test(a_whole_document_is_read),
		cmocka_unit_test(rules_are_read),
		cmocka_unit_test(limits_have_names),
		cmocka_unit_test(short_forms_work),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(secrets_are_not_shown),
		cmocka_unit_test(assignments_name_their_origin),
		cmocka_unit_test(every_example_is_accepted),
		cmocka_unit_test(files_that_cannot_be_read_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
