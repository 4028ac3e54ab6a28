#include "client/api_client.h"
#include "client/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void read_refusal(unsigned status, const char *body, bool with_token, char name[REFUSAL_NAME_MAX], struct error *error)
{
	refusal_read(status, slice_of_string(body), "http://h:1", "/api/v1/tasks", with_token, name, error);
}

static void problems_are_told(void **state)
{
	static const struct {
		unsigned status;
		const char *body, *name;
		enum error_kind kind;
		const char *text, *hint;
	} cases[] = {
		{404,
		 "{\"type\":\"urn:keyferry:problem:task-not-found\",\"title\":\"There is no such task\",\"status\":404,\"detail\":\"x\"}",
		 "task-not-found", ERROR_USAGE, "There is no such task: x", "'keyferry task list' shows all tasks"},
		{422,
		 "{\"type\":\"urn:keyferry:problem:document-invalid\",\"title\":\"T\",\"detail\":\"d:3: wrong\",\"hint\":\"h\","
		 "\"errors\":[{\"option\":\"source.x\",\"detail\":\"wrong\"},{\"option\":\"limit.y\",\"detail\":\"too large\"}]}",
		 "document-invalid", ERROR_USAGE, "T: d:3: wrong; limit.y: too large", "h"},
		{502, "{\"type\":\"urn:keyferry:problem:source\",\"title\":\"S\"}", "source", ERROR_SOURCE, "S", ""},
		{502, "{\"type\":\"urn:keyferry:problem:target\",\"title\":\"S\"}", "target", ERROR_TARGET, "S", ""},
		{503, "{\"type\":\"urn:keyferry:problem:busy\",\"title\":\"B\"}", "busy", ERROR_INTERNAL, "B", ""},
		{429, "{\"type\":\"urn:keyferry:problem:too-many\",\"title\":\"M\"}", "too-many", ERROR_INTERNAL, "M", ""},
		{409, "{\"type\":\"urn:keyferry:problem:state\",\"title\":\"No\",\"detail\":\"\\u001b]0;x\\u0007\\u009b2J\"}",
		 "state", ERROR_USAGE, "No:  ]0;x   2J", ""},
	};
	char name[REFUSAL_NAME_MAX];
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_refusal(cases[i].status, cases[i].body, true, name, &error);
		assert_string_equal(error.text, cases[i].text);
		assert_string_equal(error.hint, cases[i].hint);
		assert_string_equal(name, cases[i].name);
		assert_int_equal(error.kind, cases[i].kind);
	}
}

static void strangers_are_told_by_their_status(void **state)
{
	static const char *const bodies[] = {"",
					     "<html>no</html>",
					     "{}",
					     "[1]",
					     "{\"type\":7,\"title\":[]}",
					     "{\"type\":\"about:blank\",\"title\":\"Teapot\"}",
					     "{\"type\":\"urn:keyferry:problem:x\"}",
					     "\xff\xfe"};
	char name[REFUSAL_NAME_MAX];
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		read_refusal(418, bodies[i], false, name, &error);
		assert_non_null(strstr(error.text, "with status 418"));
		assert_int_equal(error.kind, ERROR_USAGE);
		read_refusal(502, bodies[i], false, name, &error);
		assert_int_equal(error.kind, ERROR_INTERNAL);
	}
}

static void who_has_no_token_is_told_how_to_give_one(void **state)
{
	static const char body[] = "{\"type\":\"urn:keyferry:problem:unauthenticated\",\"title\":\"A valid token is needed\"}";
	char name[REFUSAL_NAME_MAX];
	struct error error;

	(void)state;
	read_refusal(401, body, false, name, &error);
	assert_non_null(strstr(error.hint, "--token-file"));
	read_refusal(401, body, true, name, &error);
	assert_non_null(strstr(error.hint, "revoked"));
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *server;
		bool is_private;
	} good[] = {
		{"localhost", "http://localhost:7280", true},
		{"10.0.0.1:80", "http://10.0.0.1:80", false},
		{"http://127.0.0.1:7280/", "http://127.0.0.1:7280", true},
		{"https://k.example.org", "https://k.example.org:443", true},
		{"https://k.example.org/keyferry//", "https://k.example.org:443/keyferry", true},
		{"http://[::1]:7280", "http://[::1]:7280", true},
		{"http://127.0.0.1.example.org:1", "http://127.0.0.1.example.org:1", false},
		{"http://localhost.example.org:1", "http://localhost.example.org:1", false},
	};
	static const char *const bad[] = {"",
					  "ftp://h",
					  "http://u:p@h",
					  "http://h?x=s3cret",
					  "http://h#s3cret",
					  "http://h:99999",
					  "file:///etc/passwd",
					  "http://"};
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *server = api_client_server(good[i].text, &error);

		assert_non_null(server);
		assert_string_equal(server, good[i].server);
		assert_int_equal(api_client_is_private(server), good[i].is_private);
		free(server);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_null(api_client_server(bad[i], &error));
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_null(strstr(error.text, "s3cret"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_are_told),
		cmocka_unit_test(strangers_are_told_by_their_status),
		cmocka_unit_test(who_has_no_token_is_told_how_to_give_one),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
