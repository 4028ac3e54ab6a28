/* Calls of the service that need no running task: documents and their secrets, states, tokens, logs, what a killed daemon has left. */
#include "base/memory.h"
#include "service/call.h"
#include "service/service.h"
#include "store/store.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DOCUMENT                                                                                                                 \
	"name: orders\nsource: {address: 127.0.0.1:1, password: s3cret}\ntarget:\n  address: [127.0.0.1:2]\n  tls: {insecure: true}\nsnapshot: false\nlimit: {spec: small}\n"

static char folder[64];
static struct service_config config;
static struct service *service;
static const struct service_caller caller = {"token:test", "10.0.0.7"};
static struct error error;

static void open_service(void)
{
	service = service_open(&config, &error);
	if (!service)
		fail_msg("%s", error.text);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/keyferry-service-XXXXXX");
	assert_non_null(mkdtemp(folder));
	service_config_init(&config);
	config.data_dir = memory_printf("%s/data", folder);
	assert_true(service_config_finish(&config, &error));
	open_service();
	return 0;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
	(void)info;
	(void)kind;
	(void)where;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	service_close(service);
	service_config_free(&config);
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void reopen(void)
{
	service_close(service);
	open_service();
}

static json_t *create(const char *document)
{
	json_t *tree;

	if (service_task_create(service, &caller, slice_of_string(document), &tree, &error) != SERVICE_OK)
		fail_msg("%s", error.text);
	return tree;
}

static const char *text(const json_t *tree, const char *group, const char *name)
{
	const json_t *at = group ? json_object_get(json_object_get(tree, "document"), group) : tree;
	const char *value = json_string_value(json_object_get(at, name));

	return value ? value : "";
}

/* ---- documents ---- */

static void test_document_is_kept(void **state)
{
	json_t *tree = create(DOCUMENT), *again;

	(void)state;
	assert_string_equal(text(tree, NULL, "state"), "created");
	assert_string_equal(text(tree, "source", "password"), SERVICE_SECRET);
	assert_true(json_is_false(json_object_get(json_object_get(tree, "document"), "snapshot")));
	assert_true(json_is_true(json_object_get(
		json_object_get(json_object_get(json_object_get(tree, "document"), "target"), "tls"), "insecure")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "limit"), "records_per_second")), 2000);
	reopen();
	assert_int_equal(service_task_show(service, "1", &again, &error), SERVICE_OK);
	assert_true(json_equal(json_object_get(tree, "document"), json_object_get(again, "document")));
	json_decref(again);
	assert_int_equal(service_task_show(service, "orders", &again, &error), SERVICE_OK);
	json_decref(again);
	json_decref(tree);
	assert_int_equal(service_task_show(service, "2", &again, &error), SERVICE_NOT_FOUND);
}

static void refuse(const char *document, enum service_result result, const char *part)
{
	json_t *tree;

	assert_int_equal(service_task_create(service, &caller, slice_of_string(document), &tree, &error), result);
	if (!strstr(error.text, part))
		fail_msg("'%s' is not in '%s'", part, error.text);
	assert_null(strstr(error.text, "s3cret"));
	assert_null(strstr(error.hint, "s3cret"));
}

static void test_documents_that_are_refused(void **state)
{
	json_decref(create(DOCUMENT));

	(void)state;
	refuse(DOCUMENT, SERVICE_EXISTS, "orders already");
	refuse("", SERVICE_INVALID, "empty");
	refuse("name: [", SERVICE_INVALID, "document:");
	refuse("source: {address: a:1}\ntarget: {address: b:2}\n", SERVICE_INVALID, "'name' is missing");
	refuse("name: '12'\nsource: {address: a:1}\ntarget: {address: b:2}\n", SERVICE_INVALID, "number");
	refuse("name: a\nsource: {address: a:1, passwrd: s3cret}\ntarget: {address: b:2}\n", SERVICE_INVALID,
	       "document:2: unknown option 'source.passwrd'");
	refuse("name: a\nsource: {address: a:1, password: '" SERVICE_SECRET "'}\ntarget: {address: b:2}\n", SERVICE_INVALID,
	       "none is stored");
	refuse("name: a\nsource: {address: a:1}\ntarget: {address: a:1}\n", SERVICE_INVALID, "same server");
	refuse("name: a\nsource: {address: a:1, password_file: /nowhere/s}\ntarget: {address: b:2}\n", SERVICE_INVALID,
	       "password file");
	refuse("{\"name\": \"a\", \"source.password\": \"s3cret\"}", SERVICE_INVALID, "address");
}

/* Dotted names are options too, and what stands there no less a secret. */
static void test_dotted_secret(void **state)
{
	json_t *tree = create(
		"{\"name\": \"a\", \"source.password\": \"s3cret\", \"source.address\": \"a:1\", \"target.address\": \"b:2\"}");
	char *dumped = json_dumps(tree, 0);

	(void)state;
	assert_null(strstr(dumped, "s3cret"));
	assert_string_equal(text(tree, "source", "password"), SERVICE_SECRET);
	free(dumped);
	json_decref(tree);
}

static void test_update(void **state)
{
	json_t *tree = create(DOCUMENT), *document, *part;
	char *dumped;

	(void)state;
	document = json_deep_copy(json_object_get(tree, "document"));
	json_decref(tree);
	json_object_set_new(document, "snapshot", json_true());
	dumped = json_dumps(document, 0);
	assert_int_equal(service_task_update(service, &caller, "orders", 2, false, slice_of_string(dumped), &tree, &error),
			 SERVICE_CHANGED);
	assert_int_equal(service_task_update(service, &caller, "orders", 1, false, slice_of_string(dumped), &tree, &error),
			 SERVICE_OK);
	assert_int_equal(json_integer_value(json_object_get(tree, "revision")), 2);
	json_decref(tree);
	/* The secret is still there, through another start. */
	reopen();
	assert_int_equal(service_document_check(service, "orders", slice_of_string(dumped), &tree, &error), SERVICE_OK);
	json_decref(tree);
	assert_int_equal(service_document_check(service, NULL, slice_of_string(dumped), &tree, &error), SERVICE_INVALID);
	free(dumped);
	/* A part of a document, too, for whoever asks its servers. */
	part = json_pack("{s:{s:s}}", "source", "password", SERVICE_SECRET);
	assert_int_equal(service_document_open(service, NULL, part, &error), SERVICE_INVALID);
	assert_int_equal(service_document_open(service, "nobody", part, &error), SERVICE_NOT_FOUND);
	assert_int_equal(service_document_open(service, "orders", part, &error), SERVICE_OK);
	assert_string_not_equal(json_string_value(json_object_get(json_object_get(part, "source"), "password")), SERVICE_SECRET);
	json_decref(part);
	json_object_set_new(document, "name", json_string("other"));
	dumped = json_dumps(document, 0);
	assert_int_equal(service_task_update(service, &caller, "orders", 0, false, slice_of_string(dumped), &tree, &error),
			 SERVICE_INVALID);
	assert_non_null(strstr(error.text, "cannot be named"));
	free(dumped);
	/* Taken out of the document it is gone. */
	json_object_set_new(document, "name", json_string("orders"));
	json_object_del(json_object_get(document, "source"), "password");
	dumped = json_dumps(document, 0);
	assert_int_equal(service_task_update(service, &caller, "orders", 0, false, slice_of_string(dumped), &tree, &error),
			 SERVICE_OK);
	json_decref(tree);
	free(dumped);
	json_object_set_new(json_object_get(document, "source"), "password", json_string(SERVICE_SECRET));
	dumped = json_dumps(document, 0);
	assert_int_equal(service_task_update(service, &caller, "orders", 0, false, slice_of_string(dumped), &tree, &error),
			 SERVICE_INVALID);
	free(dumped);
	json_decref(document);
}

static void test_limit(void **state)
{
	json_t *tree = create(DOCUMENT), *limit;

	(void)state;
	json_decref(tree);
	assert_int_equal(service_task_limit(service, &caller, "orders", 7, 1000000, &tree, &error), SERVICE_OK);
	limit = json_object_get(json_object_get(tree, "document"), "limit");
	assert_null(json_object_get(limit, "spec"));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "limit"), "records_per_second")), 7);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "limit"), "bytes_per_second")), 1000000);
	json_decref(tree);
	reopen();
	assert_int_equal(service_task_show(service, "orders", &tree, &error), SERVICE_OK);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(tree, "limit"), "records_per_second")), 7);
	json_decref(tree);
	assert_int_equal(service_task_limit(service, &caller, "orders", 0, 0, &tree, &error), SERVICE_OK);
	assert_null(json_object_get(json_object_get(tree, "document"), "limit"));
	json_decref(tree);
	assert_int_equal(service_task_limit(service, &caller, "orders", UINT64_MAX, 0, &tree, &error), SERVICE_INVALID);
	assert_int_equal(service_task_log_level(service, &caller, "orders", "loud", &tree, &error), SERVICE_INVALID);
	assert_int_equal(service_task_log_level(service, &caller, "orders", "debug", &tree, &error), SERVICE_OK);
	assert_string_equal(text(tree, NULL, "log_level"), "debug");
	json_decref(tree);
}

/* ---- states: what is refused where nothing runs ---- */

static void expect(enum service_action action, enum service_result result, const char *state_after)
{
	json_t *tree;

	assert_int_equal(service_task_do(service, &caller, "orders", action, &tree, &error), result);
	if (result == SERVICE_OK)
		json_decref(tree);
	else
		assert_true(error.hint[0] != '\0');
	assert_int_equal(service_task_show(service, "orders", &tree, &error), SERVICE_OK);
	assert_string_equal(text(tree, NULL, "state"), state_after);
	json_decref(tree);
}

static void test_actions(void **state)
{
	json_t *tree;

	(void)state;
	json_decref(create(DOCUMENT));
	expect(SERVICE_PAUSE, SERVICE_STATE, "created");
	expect(SERVICE_RESUME, SERVICE_STATE, "created");
	expect(SERVICE_STOP, SERVICE_STATE, "created");
	expect(SERVICE_RESTART, SERVICE_STATE, "created");
	expect(SERVICE_START, SERVICE_OK, "created"); /* the main thread, which would start it, does not run here */
	assert_int_equal(service_task_delete(service, &caller, "orders", &error), SERVICE_STATE);
	assert_int_equal(service_job_start(service, &caller, "orders", SERVICE_JOB_FINISH, NULL, NULL, &tree, &error),
			 SERVICE_STATE);
	expect(SERVICE_PAUSE, SERVICE_OK, "paused");
	/* That holds for the next daemon. */
	reopen();
	expect(SERVICE_PAUSE, SERVICE_STATE, "paused");
	expect(SERVICE_RESUME, SERVICE_OK, "paused");
	expect(SERVICE_STOP, SERVICE_OK, "ready");
	assert_int_equal(service_job_start(service, &caller, "orders", SERVICE_JOB_PRECHECK, NULL, "zh", &tree, &error),
			 SERVICE_OK);
	json_decref(tree);
	expect(SERVICE_START, SERVICE_STATE, "prechecking");
	assert_int_equal(service_task_delete(service, &caller, "orders", &error), SERVICE_STATE);
	assert_int_equal(service_job_start(service, &caller, "orders", SERVICE_JOB_PRECHECK, NULL, "zh", &tree, &error),
			 SERVICE_STATE);
	reopen();
	assert_int_equal(service_task_delete(service, &caller, "orders", &error), SERVICE_OK);
	assert_int_equal(service_task_delete(service, &caller, "orders", &error), SERVICE_NOT_FOUND);
}

/* As a daemon that was killed has left it. */
static void fail_task(int64_t at_ms, const char *cause)
{
	char *path = memory_printf("%s/keyferry.db", config.data_dir);
	struct store *store;
	struct store_task *tasks;
	size_t count;

	service_close(service);
	store = store_open(path, &error);
	assert_non_null(store);
	assert_true(store_task_list(store, &tasks, &count, &error));
	assert_int_equal(count, 1);
	free(tasks[0].state);
	free(tasks[0].error);
	tasks[0].state = memory_strdup("failed");
	tasks[0].error = memory_strdup(cause);
	tasks[0].since_ms = at_ms;
	assert_true(store_task_update(store, &tasks[0], &error));
	store_task_free(&tasks[0]);
	free(tasks);
	store_close(store);
	free(path);
	open_service();
}

/* What made a task fail can be asked for when its state has changed, and after the daemon was started again. */
static void test_last_error_stays(void **state)
{
	json_t *tree;

	(void)state;
	json_decref(create(DOCUMENT));
	fail_task(1700000000000, "{\"kind\": \"target\", \"text\": \"it is full\", \"hint\": \"\", \"exit_code\": 5}");
	for (int round = 0; round < 2; round++) {
		const json_t *last;

		assert_int_equal(service_task_show(service, "orders", &tree, &error), SERVICE_OK);
		assert_string_equal(text(tree, NULL, "state"), round ? "ready" : "failed");
		assert_int_equal(json_is_null(json_object_get(tree, "error")), round);
		last = json_object_get(tree, "last_error");
		assert_string_equal(text(last, NULL, "text"), "it is full");
		assert_string_equal(text(last, NULL, "at"), "2023-11-14T22:13:20.000Z");
		json_decref(tree);
		if (round == 0)
			expect(SERVICE_STOP, SERVICE_OK, "ready");
	}
}

static void test_job_options(void **state)
{
	static const char *const wrong[] = {"[]",
					    "{\"mode\": \"half\"}",
					    "{\"mode\": 1}",
					    "{\"repair\": \"yes\"}",
					    "{\"depth\": 1}",
					    "{\"hold\": \"1s\"}",
					    "\"full\""};
	json_t *tree;

	(void)state;
	json_decref(create(DOCUMENT));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *options = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

		assert_int_equal(service_job_start(service, &caller, "orders", SERVICE_JOB_VERIFY, options, NULL, &tree, &error),
				 SERVICE_INVALID);
		json_decref(options);
	}
	assert_int_equal(service_job_start(service, &caller, "orders", SERVICE_JOB_VERIFY, NULL, NULL, &tree, &error),
			 SERVICE_STATE);
	assert_int_equal(service_job_cancel(service, &caller, "orders", &error), SERVICE_STATE);
}

/* ---- tokens and logs ---- */

static void test_tokens(void **state)
{
	json_t *tree, *list;
	enum service_role role;
	char name[128], *token;

	(void)state;
	assert_int_equal(service_token_create(service, &caller, "ci", SERVICE_OPERATOR, 0, &tree, &error), SERVICE_OK);
	token = memory_strdup(text(tree, NULL, "token"));
	assert_int_equal(strncmp(token, "kf_", 3), 0);
	assert_int_equal(service_token_create(service, &caller, "ci", SERVICE_VIEWER, 0, &list, &error), SERVICE_EXISTS);
	assert_int_equal(service_token_create(service, &caller, "a b", SERVICE_VIEWER, 0, &list, &error), SERVICE_INVALID);
	assert_int_equal(service_token_create(service, &caller, "", SERVICE_VIEWER, 0, &list, &error), SERVICE_INVALID);
	reopen();
	assert_true(service_token_check(service, token, &role, name));
	assert_int_equal(role, SERVICE_OPERATOR);
	assert_string_equal(name, "ci");
	assert_false(service_token_check(service, "kf_", &role, name));
	assert_false(service_token_check(service, "", &role, name));
	token[10] ^= 1;
	assert_false(service_token_check(service, token, &role, name));
	token[10] ^= 1;
	assert_int_equal(service_token_list(service, &list, &error), SERVICE_OK);
	assert_int_equal(json_array_size(list), 1);
	assert_null(json_object_get(json_array_get(list, 0), "token"));
	json_decref(list);
	assert_int_equal(service_token_delete(service, &caller, json_integer_value(json_object_get(tree, "id")), &error),
			 SERVICE_OK);
	assert_false(service_token_check(service, token, &role, name));
	assert_int_equal(service_token_delete(service, &caller, 99, &error), SERVICE_NOT_FOUND);
	json_decref(tree);
	/* One that is over. */
	assert_int_equal(service_token_create(service, &caller, "old", SERVICE_ADMIN, 1, &tree, &error), SERVICE_OK);
	assert_false(service_token_check(service, text(tree, NULL, "token"), &role, name));
	json_decref(tree);
	free(token);
}

static void test_audit(void **state)
{
	json_t *log, *first;

	(void)state;
	json_decref(create(DOCUMENT));
	refuse(DOCUMENT, SERVICE_EXISTS, "already");
	service_audit(service, &caller, "login", "refused", json_pack("{s:s}", "why", "password"));
	assert_int_equal(service_log_list(service, SERVICE_AUDIT, NULL, NULL, 0, 2, &log, &error), SERVICE_OK);
	first = json_array_get(json_object_get(log, "items"), 0);
	assert_string_equal(text(first, NULL, "action"), "login");
	assert_string_equal(text(first, NULL, "who"), "token:test");
	assert_string_equal(text(first, NULL, "from"), "10.0.0.7");
	assert_string_equal(text(json_array_get(json_object_get(log, "items"), 1), NULL, "result"), "exists");
	assert_int_equal(json_integer_value(json_object_get(log, "next")),
			 json_integer_value(json_object_get(json_array_get(json_object_get(log, "items"), 1), "id")));
	json_decref(log);
	assert_int_equal(service_log_list(service, SERVICE_HISTORY, "orders", NULL, 0, 0, &log, &error), SERVICE_OK);
	assert_int_equal(json_array_size(json_object_get(log, "items")), 1);
	json_decref(log);
}

static void test_second_daemon(void **state)
{
	(void)state;
	assert_null(service_open(&config, &error));
	assert_int_equal(error.kind, ERROR_BUSY);
}

/* ---- calls as JSON ---- */

static json_t *ask(const char *request)
{
	json_t *tree = json_loads(request, JSON_DECODE_ANY, NULL), *reply = call_answer(service, &caller, tree);

	json_decref(tree);
	assert_non_null(reply);
	return reply;
}

static void test_calls(void **state)
{
	static const char *const wrong[] = {"",
					    "1",
					    "[]",
					    "{}",
					    "{\"call\": 1}",
					    "{\"call\": \"none\"}",
					    "{\"call\": \"task.show\"}",
					    "{\"call\": \"task.show\", \"task\": 1}",
					    "{\"call\": \"task.create\", \"document\": {}}",
					    "{\"call\": \"token.create\", \"name\": \"a\", \"role\": \"root\"}",
					    "{\"call\": \"task.limit\", \"task\": \"orders\", \"records_per_second\": -1}"};
	json_t *reply;

	(void)state;
	json_decref(create(DOCUMENT));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		reply = ask(wrong[i]);
		assert_true(json_is_false(json_object_get(reply, "ok")));
		assert_true(json_is_object(json_object_get(reply, "error")));
		json_decref(reply);
	}
	reply = ask("{\"call\": \"task.list\"}");
	assert_true(json_is_true(json_object_get(reply, "ok")));
	assert_int_equal(json_array_size(json_object_get(reply, "result")), 1);
	json_decref(reply);
	reply = ask("{\"call\": \"task.status\", \"task\": \"orders\"}");
	assert_true(json_is_null(json_object_get(json_object_get(reply, "result"), "as_of")));
	json_decref(reply);
	reply = ask("{\"call\": \"health\"}");
	assert_true(json_is_true(json_object_get(json_object_get(reply, "result"), "healthy")));
	json_decref(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_document_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_documents_that_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dotted_secret, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_update, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_actions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_last_error_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_job_options, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_audit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_second_daemon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_calls, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
