/* Calls, without a network: who may, what is asked for, what is answered. */
#include "api/api.h"

#include "api/route.h"
#include "api/schema.h"
#include "base/memory.h"
#include "fake_service.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct service *service;
static struct api *api;
static struct sockaddr_in peer = {.sin_family = AF_INET};

static int begin(bool ask)
{
	const struct api_options options = {.ask_for_token = ask, .version = "1.2.3", .streams_max = 2};

	service = fake_service_new();
	api = api_new(service, &options);
	return 0;
}

static int set_up_open(void **state)
{
	(void)state;
	return begin(false);
}

static int set_up_asking(void **state)
{
	(void)state;
	return begin(true);
}

static int tear_down(void **state)
{
	(void)state;
	api_end_streams(api);
	api_free(api);
	fake_service_free(service);
	return 0;
}

static struct call ask(const char *method, const char *target)
{
	return (struct call){.method = method,
			     .target = target,
			     .headers = {.host = "localhost"},
			     .peer = (struct sockaddr *)&peer,
			     .from = "127.0.0.1"};
}

static struct answer put(struct call *call, const char *body)
{
	struct answer answer = {0};

	call->body = body ? slice_of_string(body) : (struct slice){0};
	if (api_admit(api, call, &answer))
		api_handle(api, call, &answer);
	api_forget(call);
	return answer;
}

static const char *header_of(const struct answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->header_count; i++)
		if (strcmp(answer->headers[i].name, name) == 0)
			return answer->headers[i].value;
	return NULL;
}

/* The last part of a problem's type; "" when it is none. */
static const char *problem_of(const struct answer *answer, char out[64])
{
	json_t *body = answer->body ? json_loads(answer->body, 0, NULL) : NULL;
	const char *type = json_string_value(json_object_get(body, "type"));

	snprintf(out, 64, "%s", type ? strrchr(type, ':') + 1 : "");
	if (type) {
		assert_int_equal(json_integer_value(json_object_get(body, "status")), answer->status);
		assert_string_equal(answer->type, "application/problem+json");
	}
	json_decref(body);
	return out;
}

static void expect(struct call call, const char *body, unsigned status, const char *problem)
{
	struct answer answer = put(&call, body);
	char name[64];

	if (answer.status != status || strcmp(problem_of(&answer, name), problem) != 0)
		fail_msg("%s %s: %u %s, not %u %s", call.method, call.target, answer.status, answer.body ? answer.body : "",
			 status, problem);
	answer_free(&answer);
}

static struct call with_body(const char *method, const char *target, const char *type)
{
	struct call call = ask(method, target);

	call.headers.content_type = type;
	return call;
}

static void create(const char *name)
{
	char *document = memory_printf("{\"name\":\"%s\"}", name);

	expect(with_body("POST", "/api/v1/tasks", "application/json"), document, 201, "");
	free(document);
}

/* ---- who ---- */

static void test_nothing_without_token(void **state)
{
	/* But for the console's files (test_console.c). */
	static const char *const targets[] = {"/console", "/api/v1/tasks",        "/api/v1/nothing", "/healthz",
					      "/metrics", "/api/v1/openapi.json", "/api/v1/session", "/%zz",
					      "*",        "/api/v1/tasks/a/b/c/d"};
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"};

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		for (size_t k = 0; k < sizeof(methods) / sizeof(methods[0]); k++) {
			if (strcmp(targets[i], "/api/v1/session") == 0 && strcmp(methods[k], "POST") == 0)
				continue;
			expect(ask(methods[k], targets[i]), NULL, 401, "unauthenticated");
		}
	}
}

/* Where probes are open they tell everybody whether, and nothing else is told. */
static void test_open_probes(void **state)
{
	const struct api_options options = {.ask_for_token = true, .open_probes = true, .version = "1.2.3", .streams_max = 2};
	struct call call = ask("GET", "/readyz"), wrong = ask("GET", "/healthz");
	struct answer answer;

	(void)state;
	api_free(api);
	api = api_new(service, &options);
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 200);
	assert_memory_equal(answer.body, "ready\n", answer.len);
	answer_free(&answer);
	/* A token that is none does no harm, and is not looked at. */
	wrong.headers.authorization = "Bearer kf_wrong";
	answer = put(&wrong, NULL);
	assert_int_equal(answer.status, 200);
	assert_memory_equal(answer.body, "ok\n", answer.len);
	answer_free(&answer);
	fake_service_unwell(service);
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 503);
	assert_memory_equal(answer.body, "not ready\n", answer.len);
	answer_free(&answer);
	call.malformed = true;
	expect(call, NULL, 401, "unauthenticated");
	expect(ask("POST", "/healthz"), NULL, 401, "unauthenticated");
	expect(ask("GET", "/metrics"), NULL, 401, "unauthenticated");
	expect(ask("GET", "/api/v1/health"), NULL, 401, "unauthenticated");
}

static void test_roles(void **state)
{
	static const char *const tokens[] = {"Bearer kf_viewer", "bearer kf_operator", "Bearer  kf_admin"};

	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &route_table[i];

		for (int role = SERVICE_VIEWER; role <= SERVICE_ADMIN; role++) {
			char target[128];
			struct call call = with_body(route->method, target, route->body ? "application/json" : NULL);
			struct answer answer;

			/* As paths go, {task} and {id} are names like others. */
			snprintf(target, sizeof(target), "%s", route->path);
			call.headers.authorization = tokens[role];
			call.headers.accept = "application/json, text/plain";
			answer = put(&call, NULL);
			if ((answer.status == 403) != (!route->open && (int)route->role > role) || answer.status == 401)
				fail_msg("%s %s by %s: %u", route->method, route->path, tokens[role], answer.status);
			answer_free(&answer);
		}
	}
}

static void test_wrong_tokens(void **state)
{
	char *audit;

	(void)state;
	for (int i = 0; i < 12; i++) {
		struct call call = ask("GET", "/api/v1/tasks");

		call.headers.authorization = i % 2 ? "Bearer kf_wrong" : "Bearer ";
		expect(call, NULL, i < 10 ? 401 : 429, i < 10 ? "unauthenticated" : "too-many");
	}
	/* A good one is let in beside them; a login is not even looked at. */
	for (int i = 0; i < 2; i++) {
		struct call call = ask("GET", "/api/v1/tasks");

		call.headers.authorization = i ? "Basic a2Y6a2Y=" : "Bearer kf_viewer";
		expect(call, NULL, i ? 401 : 200, i ? "unauthenticated" : "");
	}
	expect(with_body("POST", "/api/v1/session", "application/json"), "{\"token\":\"kf_viewer\"}", 429, "too-many");
	audit = fake_service_audit(service);
	assert_non_null(strstr(audit, "token login refused;"));
	assert_null(strstr(audit, "wrong"));
	free(audit);
}

static void test_revoked(void **state)
{
	struct call call = ask("GET", "/api/v1/tasks");

	(void)state;
	call.headers.authorization = "Bearer kf_viewer";
	expect(call, NULL, 200, "");
	fake_service_revoke(service);
	expect(call, NULL, 401, "unauthenticated");
}

/* ---- the console's session ---- */

static void log_in(const char *token, char cookie[256], char csrf[64])
{
	char *body = memory_printf("{\"token\":\"%s\"}", token);
	struct call call = with_body("POST", "/api/v1/session", "application/json");
	struct answer answer = put(&call, body);
	json_t *session = json_loads(answer.body, 0, NULL);

	assert_int_equal(answer.status, 201);
	assert_non_null(strstr(header_of(&answer, "Set-Cookie"), "HttpOnly; SameSite=Strict"));
	snprintf(cookie, 256, "%.*s", (int)strcspn(header_of(&answer, "Set-Cookie"), ";"), header_of(&answer, "Set-Cookie"));
	snprintf(csrf, 64, "%s", json_string_value(json_object_get(session, "csrf_token")));
	assert_null(strstr(answer.body, strchr(cookie, '=') + 1));
	json_decref(session);
	answer_free(&answer);
	free(body);
}

static void test_session(void **state)
{
	char cookie[256], csrf[64];
	struct call call;

	(void)state;
	expect(with_body("POST", "/api/v1/session", "application/json"), "{\"token\":\"kf_wrong\"}", 401, "unauthenticated");
	log_in("kf_operator", cookie, csrf);
	call = ask("GET", "/api/v1/tasks");
	call.headers.cookie = cookie;
	expect(call, NULL, 200, "");
	call = with_body("POST", "/api/v1/tasks", "application/json");
	call.headers.cookie = cookie;
	expect(call, "{\"name\":\"a\"}", 403, "csrf");
	call.headers.csrf = "x";
	expect(call, "{\"name\":\"a\"}", 403, "csrf");
	call.headers.csrf = csrf;
	expect(call, "{\"name\":\"a\"}", 201, "");
	call.target = "/api/v1/tokens";
	expect(call, "{\"name\":\"a\",\"role\":\"admin\"}", 403, "forbidden");
	call = ask("DELETE", "/api/v1/session");
	call.headers.cookie = cookie;
	expect(call, NULL, 403, "csrf");
	call.headers.csrf = csrf;
	expect(call, NULL, 204, "");
	call = ask("GET", "/api/v1/tasks");
	call.headers.cookie = cookie;
	expect(call, NULL, 401, "unauthenticated");
}

static void test_session_ends_with_token(void **state)
{
	char cookie[256], csrf[64];
	struct call call = ask("GET", "/api/v1/session");

	(void)state;
	log_in("kf_viewer", cookie, csrf);
	call.headers.cookie = cookie;
	expect(call, NULL, 200, "");
	fake_service_revoke(service);
	expect(call, NULL, 401, "unauthenticated");
}

/* ---- what for ---- */

static void test_host_and_origin(void **state)
{
	struct call call = ask("GET", "/api/v1/tasks");

	(void)state;
	expect(call, NULL, 200, "");
	call.headers.host = "evil.example";
	expect(call, NULL, 403, "foreign-host");
	call.headers.host = NULL;
	expect(call, NULL, 403, "foreign-host");
	call = with_body("POST", "/api/v1/tasks", "application/json");
	call.headers.origin = "http://evil.example";
	expect(call, "{\"name\":\"a\"}", 403, "foreign-origin");
	call.headers.origin = "http://localhost";
	expect(call, "{\"name\":\"a\"}", 201, "");
	call.headers.fetch_site = "cross-site";
	expect(call, "{\"name\":\"b\"}", 403, "foreign-origin");
}

static void test_paths_and_methods(void **state)
{
	struct call call;
	struct answer answer;

	(void)state;
	expect(ask("GET", "/api/v1/nothing"), NULL, 404, "not-found");
	expect(ask("GET", "/api/v1/tasks/"), NULL, 404, "not-found");
	expect(ask("GET", "/api/v1/tasks/x/status"), NULL, 404, "task-not-found");
	expect(ask("GET", "/api/v1/%"), NULL, 400, "bad-request");
	expect(ask("BREW", "/api/v1/tasks"), NULL, 501, "method-unknown");
	expect(ask("PATCH", "/api/v1/tasks"), NULL, 405, "method-not-allowed");
	expect(ask("GET", "/api/v1/tasks?what=1"), NULL, 400, "parameter-invalid");
	expect(ask("GET", "/api/v1/events?limit=0"), NULL, 400, "parameter-invalid");
	expect(ask("GET", "/api/v1/events?limit=1001"), NULL, 400, "parameter-invalid");
	expect(ask("GET", "/api/v1/events?limit=x"), NULL, 400, "parameter-invalid");
	expect(ask("GET", "/api/v1/events?if_match=x"), NULL, 400, "parameter-invalid");
	expect(ask("GET", "/api/v1/events?limit=5&before=9&kind=failed"), NULL, 200, "");
	call = ask("PUT", "/api/v1/tasks");
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 405);
	assert_string_equal(header_of(&answer, "Allow"), "GET, HEAD, POST, OPTIONS");
	answer_free(&answer);
	call = ask("OPTIONS", "/api/v1/tasks");
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 204);
	assert_string_equal(header_of(&answer, "Allow"), "GET, HEAD, POST, OPTIONS");
	answer_free(&answer);
	call = ask("GET", "/api/v1/tasks");
	call.malformed = true;
	expect(call, NULL, 400, "bad-request");
	call = ask("GET", "/api/v1/tasks");
	call.headers.accept = "text/html";
	expect(call, NULL, 406, "not-acceptable");
	expect(ask("HEAD", "/api/v1/events"), NULL, 200, "");
}

static void test_bodies(void **state)
{
	struct call call = with_body("PUT", "/api/v1/tasks/a/limits", "application/json");
	char *deep = memory_alloc_zero(1, 20000);

	(void)state;
	create("a");
	expect(call, "{\"records_per_second\":5}", 200, "");
	expect(call, "{\"records_per_second\":\"S3cret\"}", 400, "body-invalid");
	expect(call, "{\"records_per_second\":1,\"records_per_second\":2}", 400, "body-invalid");
	expect(call, "{\"records_per_second\":99999999999999999999999}", 400, "body-invalid");
	expect(call, "", 400, "body-invalid");
	expect(call, "[]", 400, "body-invalid");
	expect(call, "{", 400, "body-invalid");
	expect(call, "{\"\\u0000\":1}", 400, "body-invalid");
	memset(deep, '[', 19000);
	expect(call, deep, 400, "body-invalid");
	call.headers.content_type = "text/plain";
	expect(call, "{}", 415, "media-type");
	call.headers.content_type = NULL;
	expect(call, "{}", 415, "media-type");
	call.headers.content_type = "application/json";
	call.headers.content_length = "65537";
	expect(call, "{}", 413, "too-large");
	call.headers.content_length = "99999999999999999999";
	expect(call, "{}", 413, "too-large");
	expect(ask("POST", "/api/v1/tasks/a/start"), "x", 400, "body-invalid");
	expect(ask("POST", "/api/v1/tasks/a/verify"), NULL, 202, "");
	expect(with_body("POST", "/api/v1/tasks/a/verify", "application/json"), "{\"mode\":\"all\"}", 400, "body-invalid");
	expect(with_body("POST", "/api/v1/tasks", "application/json"), "name: b", 400, "body-invalid");
	expect(with_body("POST", "/api/v1/tasks", "application/yaml"), "{\"name\":\"b\"}", 201, "");
	free(deep);
}

/* What a body says is not in the answer, whatever is wrong with it. */
static void test_no_secret_in_answers(void **state)
{
	static const char *const bodies[] = {"{\"token\": S3cret}",
					     "{\"S3cret",
					     "{\"token\":5,\"x\":\"S3cret\"}",
					     "\"S3cret\"",
					     "{\"token\":\"S3cret\"}",
					     "{\"token\":\"S3cret\"} S3cret"};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct call call = with_body("POST", "/api/v1/session", "application/json");
		struct answer answer = put(&call, bodies[i]);

		assert_true(answer.status == 400 || answer.status == 401);
		assert_null(strstr(answer.body, "S3cret"));
		answer_free(&answer);
	}
}

static void test_documents(void **state)
{
	struct call call;
	struct answer answer;

	(void)state;
	create("a");
	expect(with_body("POST", "/api/v1/tasks", "application/json"), "{\"name\":\"a\"}", 409, "exists");
	call = with_body("POST", "/api/v1/tasks", "application/json");
	answer = put(&call, "{\"x\":1}");
	assert_int_equal(answer.status, 422);
	assert_non_null(strstr(answer.body, "\"option\":\"name\""));
	assert_non_null(strstr(answer.body, "\"line\":2"));
	answer_free(&answer);
	/* A condition is never passed over; and what changes without the document has no ETag. */
	call = ask("DELETE", "/api/v1/tasks/a");
	call.headers.if_match = "\"1\"";
	expect(call, NULL, 400, "parameter-invalid");
	call = ask("GET", "/api/v1/tasks/a");
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 200);
	assert_null(header_of(&answer, "ETag"));
	answer_free(&answer);
	call = ask("GET", "/api/v1/tasks/a/document");
	answer = put(&call, NULL);
	assert_string_equal(header_of(&answer, "ETag"), "\"1\"");
	assert_string_equal(answer.body, "{\"name\":\"a\"}");
	answer_free(&answer);
	call.headers.accept = "application/yaml";
	answer = put(&call, NULL);
	assert_string_equal(answer.body, "name: a\n");
	answer_free(&answer);
	call.headers.if_none_match = "\"1\"";
	expect(call, NULL, 304, "");
	call = with_body("PUT", "/api/v1/tasks/a/document", "application/json");
	expect(call, "{\"name\":\"a\",\"n\":2}", 428, "precondition-required");
	call.headers.if_match = "\"2\"";
	expect(call, "{\"name\":\"a\",\"n\":2}", 412, "changed");
	call.headers.if_match = "W/\"1\"";
	expect(call, "{\"name\":\"a\",\"n\":2}", 412, "changed");
	call.headers.if_match = "\"1\"";
	expect(call, "{\"name\":\"a\",\"n\":2}", 200, "");
	call.headers.if_match = "*";
	expect(call, "{\"name\":\"a\",\"n\":3}", 200, "");
}

static void test_actions(void **state)
{
	char *audit;

	(void)state;
	create("a");
	expect(ask("POST", "/api/v1/tasks/a/pause"), NULL, 409, "state");
	expect(ask("POST", "/api/v1/tasks/1/start"), NULL, 200, "");
	expect(ask("DELETE", "/api/v1/tasks/a/job"), NULL, 409, "state");
	expect(ask("POST", "/api/v1/tasks/a/precheck?lang=zh"), NULL, 202, "");
	expect(ask("GET", "/api/v1/tasks/a/precheck"), NULL, 200, "");
	expect(ask("DELETE", "/api/v1/tasks/a/job"), NULL, 204, "");
	expect(ask("DELETE", "/api/v1/tokens/9"), NULL, 404, "not-found");
	expect(ask("DELETE", "/api/v1/tokens/x"), NULL, 404, "not-found");
	expect(ask("DELETE", "/api/v1/tasks/a"), NULL, 204, "");
	expect(ask("DELETE", "/api/v1/tasks/a"), NULL, 404, "task-not-found");
	audit = fake_service_audit(service);
	assert_non_null(strstr(audit, "local start ok;"));
	free(audit);
}

/* Of all tasks on one page; one that does not answer has its state. */
static void test_metrics(void **state)
{
	struct call call = ask("GET", "/metrics");
	struct answer answer;
	char *text;

	(void)state;
	create("a");
	create("silent");
	create("b");
	answer = put(&call, NULL);
	assert_int_equal(answer.status, 200);
	text = memory_printf("%.*s", (int)answer.len, answer.body);
	assert_non_null(strstr(
		text, "keyferry_task_up{task=\"a\"} 1\nkeyferry_task_up{task=\"silent\"} 0\nkeyferry_task_up{task=\"b\"} 1\n#"));
	assert_non_null(strstr(
		text,
		"counter\nkeyferry_link_retries_total{task=\"a\",link=\"a:1\"} 3\nkeyferry_link_retries_total{task=\"a\",link=\"b:2\"} 4\n"
		"keyferry_link_retries_total{task=\"b\",link=\"a:1\"} 3\nkeyferry_link_retries_total{task=\"b\",link=\"b:2\"} 4\n"));
	assert_non_null(strstr(text, "\nprocess_threads{task=\"a\"} 7\nprocess_threads{task=\"b\"} 7\n#"));
	assert_non_null(strstr(text, "keyferry_task_state{task=\"silent\",state=\"created\"} 1\n"));
	free(text);
	answer_free(&answer);
}

/* Every answer is what the OpenAPI document says that it is. */
static void test_answers_fit_their_schemas(void **state)
{
	json_t *components = schema_load();

	(void)state;
	create("{task}");
	fake_service_tell(service, SERVICE_EVENTS, 1, "resumed");
	fake_service_tell(service, SERVICE_HISTORY, 1, "streaming");
	fake_service_tell(service, SERVICE_RESULTS, 1, "verify");
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &route_table[i];
		struct call call =
			ask(route->method, strcmp(route->path, "/api/v1/tokens/{id}") == 0 ? "/api/v1/tokens/1" : route->path);
		struct schema_fault fault;
		struct answer answer;
		json_t *value;

		/* Braces are no part of a path, so the name is escaped. */
		char target[128];
		const char *brace = strchr(route->path, '{');

		if (brace && call.target == route->path) {
			snprintf(target, sizeof(target), "%.*s%%7Btask%%7D%s", (int)(brace - route->path), route->path,
				 strchr(brace, '}') + 1);
			call.target = target;
		}
		if (strcmp(route->method, "GET") != 0)
			continue;
		answer = put(&call, NULL);
		if (answer.status != route->success)
			fail_msg("%s %s: %u %s", route->method, route->path, answer.status, answer.body);
		value = route->answer_schema ? json_loads(answer.body, 0, NULL) : NULL;
		if (route->answer_schema && !schema_check(components, route->answer_schema, value, &fault))
			fail_msg("%s %s: %s: %s", route->method, route->path, fault.pointer, fault.text);
		json_decref(value);
		answer_free(&answer);
	}
	json_decref(components);
}

int main(void)
{
#define OPEN(test) cmocka_unit_test_setup_teardown(test, set_up_open, tear_down)
#define ASKING(test) cmocka_unit_test_setup_teardown(test, set_up_asking, tear_down)
	const struct CMUnitTest tests[] = {
		ASKING(test_nothing_without_token),
		ASKING(test_open_probes),
		ASKING(test_roles),
		ASKING(test_wrong_tokens),
		ASKING(test_revoked),
		ASKING(test_session),
		ASKING(test_session_ends_with_token),
		OPEN(test_host_and_origin),
		OPEN(test_paths_and_methods),
		OPEN(test_bodies),
		OPEN(test_no_secret_in_answers),
		OPEN(test_documents),
		OPEN(test_actions),
		OPEN(test_metrics),
		OPEN(test_answers_fit_their_schemas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
