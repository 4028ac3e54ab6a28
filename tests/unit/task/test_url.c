#include "task/options.h"
#include "task/stored.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool set(struct task_options *options, const char *url, struct error *error)
{
	error_clear(error);
	task_options_init(options);
	return task_options_set_url(options, true, url, error);
}

struct example {
	const char *url;
	const char *addresses; /* joined by spaces */
	enum deployment_mode mode;
	const char *username, *password, *master;
	int database; /* -1: all */
	bool tls;
};

static const struct example examples[] = {
	{"redis://h", "h:6379", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"redis://h:1/", "h:1", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"h:1", "h:1", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"h", "h:6379", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"h/2", "h:6379", MODE_AUTO, NULL, NULL, NULL, 2, false},
	{"::1", "[::1]:6379", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"a:1,b,[::1]:3", "a:1 b:6379 [::1]:3", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"redis://[fd00::1]:7/0", "[fd00::1]:7", MODE_AUTO, NULL, NULL, NULL, 0, false},
	{"redis://u:p@h:1/3?mode=standalone", "h:1", MODE_STANDALONE, "u", "p", NULL, 3, false},
	{"redis://u:p%40%3a%2F%25@h", "h:6379", MODE_AUTO, "u", "p@:/%", NULL, -1, false},
	{"redis://u:a@b:c@h", "h:6379", MODE_AUTO, "u", "a@b:c", NULL, -1, false}, /* '@' not encoded */
	{"redis://:p@h", "h:6379", MODE_AUTO, NULL, "p", NULL, -1, false},
	{"redis://p@h", "h:6379", MODE_AUTO, NULL, "p", NULL, -1, false},
	{"redis://u:@h", "h:6379", MODE_AUTO, "u", NULL, NULL, -1, false},
	{"REDISS://h?mode=cluster", "h:6379", MODE_CLUSTER, NULL, NULL, NULL, -1, true},
	{"valkey://h", "h:6379", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"valkeys://h", "h:6379", MODE_AUTO, NULL, NULL, NULL, -1, true},
	{"redis-sentinel://u:p@a,b:3/my%20master", "a:26379 b:3", MODE_SENTINEL, "u", "p", "my master", -1, false},
	{"rediss-sentinel://a/m", "a:26379", MODE_SENTINEL, NULL, NULL, "m", -1, true},
	{"redis://a/m?mode=sentinel", "a:26379", MODE_SENTINEL, NULL, NULL, "m", -1, false},
	{"unix:///run/redis.sock", "/run/redis.sock", MODE_AUTO, NULL, NULL, NULL, -1, false},
	{"unix://u:p@/run/a@b?mode=standalone", "/run/a@b", MODE_STANDALONE, "u", "p", NULL, -1, false},
	{"/run/redis.sock", "/run/redis.sock", MODE_AUTO, NULL, NULL, NULL, -1, false},
};

static void equal_or_both_null(const char *a, const char *b)
{
	if (!a || !b)
		assert_true(a == b);
	else
		assert_string_equal(a, b);
}

static void paths_of_files_are_read(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	assert_true(set(&options, "rdb:///backup/my%20dump.rdb", &error));
	assert_int_equal(options.source.mode, MODE_RDB);
	assert_string_equal(options.source.path, "/backup/my dump.rdb");
	assert_int_equal(options.source.address_count, 0);
	assert_true(options.all_databases);
	/* A later one replaces it. */
	assert_true(task_options_set_url(&options, true, "aof:///a/", &error));
	assert_int_equal(options.source.mode, MODE_AOF);
	assert_string_equal(options.source.path, "/a/");
	assert_true(task_options_set_url(&options, true, "redis://h", &error));
	assert_null(options.source.path);
	assert_true(task_options_set_url(&options, false, "jsonl:///a/{shard}", &error));
	assert_int_equal(options.target.mode, MODE_JSONL);
	assert_string_equal(options.target.path, "/a/{shard}");
	assert_false(task_options_set_url(&options, true, "jsonl:///a", &error));
	assert_string_equal(error.text, "source URL: lines of JSON are written, not read: jsonl is for a target");
	task_options_free(&options);
}

static void urls_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		struct task_options options;
		struct error error;
		char joined[512] = "", text[ENDPOINT_TEXT_MAX];

		if (!set(&options, example->url, &error))
			fail_msg("%s: %s", example->url, error.text);
		for (size_t j = 0; j < options.source.address_count; j++)
			snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s", j ? " " : "",
				 endpoint_format(&options.source.addresses[j], text));
		assert_string_equal(joined, example->addresses);
		assert_int_equal(options.source.mode, example->mode);
		equal_or_both_null(options.source.credentials.username, example->username);
		equal_or_both_null(options.source.credentials.password, example->password);
		equal_or_both_null(options.source.master, example->master);
		assert_int_equal(options.source.tls.enabled, example->tls);
		assert_int_equal(options.source.sentinel_tls.enabled, example->tls && example->mode == MODE_SENTINEL);
		assert_int_equal(options.all_databases, example->database < 0);
		for (int db = 0; example->database >= 0 && db < 16; db++)
			assert_int_equal(task_options_database_selected(&options, (uint32_t)db), db == example->database);
		assert_int_equal(options.target.address_count, 0);
		task_options_free(&options);
	}
}

static void equal_tls(const struct tls_options *a, const struct tls_options *b)
{
	assert_int_equal(a->enabled, b->enabled);
	assert_int_equal(a->insecure, b->insecure);
	equal_or_both_null(a->ca, b->ca);
	equal_or_both_null(a->certificate, b->certificate);
	equal_or_both_null(a->key, b->key);
}

static void equal_sides(const struct deployment_options *a, const struct deployment_options *b)
{
	char of_a[ENDPOINT_TEXT_MAX], of_b[ENDPOINT_TEXT_MAX];

	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->address_count, b->address_count);
	for (size_t i = 0; i < a->address_count; i++)
		assert_string_equal(endpoint_format(&a->addresses[i], of_a), endpoint_format(&b->addresses[i], of_b));
	equal_or_both_null(a->credentials.username, b->credentials.username);
	equal_or_both_null(a->credentials.password, b->credentials.password);
	equal_or_both_null(a->path, b->path);
	equal_or_both_null(a->master, b->master);
	equal_tls(&a->tls, &b->tls);
	equal_tls(&a->sentinel_tls, &b->sentinel_tls);
}

/* The document that is made of a URL says what the URL says. */
static void documents_are_made(void **state)
{
	static const char *const more[] = {"rdb:///backup/my%20dump.rdb",
					   "aof:///a/",
					   "redis://h?mode=scan",
					   "rediss-sentinel://h,i/m?ca=/a%20b/ca.pem&cert=/c&key=/k&insecure=true",
					   "rediss://u:p@h,[::1]:2/7?insecure=false&ca=/ca",
					   "redis://%22%3a%20%23%5b:true@h"};
	const size_t count = sizeof(examples) / sizeof(examples[0]);
	struct error error;

	(void)state;
	for (size_t i = 0; i < count + sizeof(more) / sizeof(more[0]); i++) {
		const char *url = i < count ? examples[i].url : more[i - count];
		struct task_options by_url, by_document;
		json_t *document = json_object();
		char *text;

		if (!set(&by_url, url, &error) || !stored_set_url(document, true, url, &error))
			fail_msg("%s: %s", url, error.text);
		text = json_dumps(document, 0);
		task_options_init(&by_document);
		if (!task_options_parse(&by_document, slice_of_string(text), "made", &error))
			fail_msg("%s: %s: %s", url, text, error.text);
		/* Like those of a URL of Sentinels, addresses of the document get their ports at the end; here all have one. */
		equal_sides(&by_url.source, &by_document.source);
		assert_int_equal(by_url.all_databases, by_document.all_databases);
		for (uint32_t db = 0; db < 16; db++)
			assert_int_equal(task_options_database_selected(&by_url, db),
					 task_options_database_selected(&by_document, db));
		free(text);
		json_decref(document);
		task_options_free(&by_url);
		task_options_free(&by_document);
	}
}

static void documents_are_refused(void **state)
{
	json_t *document = json_object();
	struct error error;

	(void)state;
	assert_true(stored_set_url(document, false, "jsonl:///a/{shard}", &error));
	assert_string_equal(json_string_value(stored_get(document, "target.mode")), "jsonl");
	assert_false(stored_set_url(document, true, "jsonl:///a", &error));
	assert_non_null(strstr(error.text, "source URL: lines of JSON"));
	assert_false(stored_set_url(document, true, "redis://:%ff@h", &error));
	assert_string_equal(error.text, "source URL: it is not UTF-8");
	assert_false(stored_set_url(document, false, "redis://h/3", &error));
	json_decref(document);
}

static void tls_options_are_read(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	assert_true(set(&options, "rediss-sentinel://h/m?ca=/a%20b/ca.pem&cert=/c&key=/k&insecure=true", &error));
	assert_string_equal(options.source.tls.ca, "/a b/ca.pem");
	assert_string_equal(options.source.sentinel_tls.ca, "/a b/ca.pem");
	assert_string_equal(options.source.tls.certificate, "/c");
	assert_string_equal(options.source.tls.key, "/k");
	assert_true(options.source.tls.insecure);
	assert_true(options.source.sentinel_tls.insecure);
	task_options_free(&options);
	assert_true(set(&options, "rediss://h?insecure=false", &error));
	assert_true(options.source.tls.enabled);
	assert_false(options.source.tls.insecure);
	task_options_free(&options);
}

static void a_later_url_replaces(void **state)
{
	struct task_options options;
	struct error error;

	(void)state;
	assert_true(set(&options, "redis://u:p@a,b/3?mode=cluster", &error));
	assert_true(task_options_set_url(&options, true, "c:1", &error));
	assert_int_equal(options.source.address_count, 1);
	assert_string_equal(options.source.addresses[0].host, "c");
	assert_int_equal(options.source.mode, MODE_AUTO);
	assert_true(task_options_set_url(&options, false, "redis://t/0", &error));
	assert_string_equal(options.target.addresses[0].host, "t");
	assert_true(task_options_database_selected(&options, 3)); /* the target's /0 is no selection */
	task_options_free(&options);
}

static void mistakes_are_explained_without_secrets(void **state)
{
	static const struct {
		const char *url, *says;
	} wrong[] = {
		{"", "source URL: it is empty"},
		{"redis://", "source URL: \"\" is not host:port"},
		{"redis:///0", "source URL: \"\" is not host:port"},
		{"redis://h:x", "source URL: \"h:x\" is not host:port"},
		{"redis://a,,b", "source URL: \"\" is not host:port"},
		{"http://u:s3cret@h",
		 "source URL: the scheme before '://' is none of redis, rediss, valkey, valkeys, redis-sentinel, "
		 "rediss-sentinel, unix, rdb, aof, jsonl"},
		{"u:s3cret@h", "source URL: an address with a password needs its scheme"},
		{"redis://u:s3cret/x@h", "source URL: there is an '@' behind the first '/', '?' or '#'"},
		{"redis://u:s3cret#x@h", "source URL: there is an '@' behind the first '/', '?' or '#'"},
		{"redis://u:s3cret%@h", "source URL: the password is not percent-encoded correctly"},
		{"redis://u:s3cret%00@h", "source URL: the password is not percent-encoded correctly"},
		{"rdb://", "source URL: the path of a file is absolute"},
		{"rdb:///", "source URL: the path of a file is absolute"},
		{"rdb://dump.rdb", "source URL: the path of a file is absolute"},
		{"aof:///a?mode=x", "source URL: files have no options"},
		{"aof:///a#b", "source URL: files have no options"},
		{"rdb:///a%", "source URL: the path is not percent-encoded correctly"},
		{"redis://h#x", "source URL: it has a '#'"},
		{"redis://h/x", "source URL: what follows the '/' is not a database number"},
		{"redis://h/4096", "source URL: what follows the '/' is not a database number"},
		{"redis://h?mod=x", "source URL: unknown option after '?': did you mean 'mode'?"},
		{"redis://h?password=s3cret", "source URL: unknown option after '?'"},
		{"redis://h?mode", "source URL: an option after '?' has no value: write ?option=value"},
		{"redis://h?mode=x", "source URL: ?mode= takes auto, standalone, cluster, sentinel or (a source) scan"},
		{"redis://h?ca=/x", "source URL: ca, cert, key and insecure are options of TLS, which this URL does not ask for"},
		{"rediss://h?insecure=yes", "source URL: ?insecure= takes true or false"},
		{"redis-sentinel://h", "source URL: the master's name is missing"},
		{"redis-sentinel://h/m?mode=cluster", "source URL: a redis-sentinel URL has the mode 'sentinel' and no other"},
		{"unix://run/x", "source URL: the path of a unix socket is absolute: unix:///run/redis.sock"},
		{"unix://", "source URL: it has no path of a unix socket, or one that is too long: unix:///run/redis.sock"},
	};
	struct task_options options;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (set(&options, wrong[i].url, &error))
			fail_msg("accepted: %s", wrong[i].url);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_string_equal(error.text, wrong[i].says);
		assert_null(strstr(error.hint, "s3cret"));
		assert_int_equal(options.source.address_count, 0);
		assert_null(options.source.credentials.password);
		task_options_free(&options);
	}
	task_options_init(&options);
	assert_false(task_options_set_url(&options, false, "redis://h/2", &error));
	assert_string_equal(error.text,
			    "target URL: a target's URL names no database: each key goes to the one it came from, unless that is "
			    "mapped to another");
	assert_non_null(strstr(error.hint, "database_map"));
	task_options_free(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_of_files_are_read),
		cmocka_unit_test(urls_are_read),
		cmocka_unit_test(documents_are_made),
		cmocka_unit_test(documents_are_refused),
		cmocka_unit_test(tls_options_are_read),
		cmocka_unit_test(a_later_url_replaces),
		cmocka_unit_test(mistakes_are_explained_without_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
