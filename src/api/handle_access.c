/* Sessions of the console, and tokens. */
#include "api/access.h"
#include "api/api_state.h"
#include "api/handlers.h"
#include "base/clock.h"

#include <string.h>

void handle_session_show(struct api *api, const struct call *call, struct answer *answer)
{
	answer_json(answer, 200, access_describe(api->access, call));
}

void handle_session_begin(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *session = access_log_in(api->access, call, json_string_value(json_object_get(call->json, "token")), answer);

	if (session)
		answer_json(answer, 201, session);
}

void handle_session_end(struct api *api, const struct call *call, struct answer *answer)
{
	access_log_out(api->access, call, answer);
	answer_nothing(answer);
}

void handle_token_list(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *tokens = NULL;
	struct error error;
	enum service_result result = service_token_list(api->service, &tokens, &error);

	if (result == SERVICE_OK)
		answer_json(answer, 200, json_pack("{s:o}", "items", tokens));
	else
		answer_refusal(answer, call, result, &error);
}

void handle_token_create(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	int64_t seconds = json_integer_value(json_object_get(call->json, "expires_in_seconds"));
	enum service_role role = SERVICE_VIEWER;
	json_t *token = NULL;
	struct error error;
	enum service_result result;

	/* The schema has the same names. */
	while (strcmp(service_role_name(role), json_string_value(json_object_get(call->json, "role"))) != 0)
		role++;
	result = service_token_create(api->service, &caller, json_string_value(json_object_get(call->json, "name")), role,
				      seconds ? clock_wall_ms() + seconds * 1000 : 0, &token, &error);
	if (result == SERVICE_OK) {
		answer_header(answer, "Location", "/api/v1/tokens/%" JSON_INTEGER_FORMAT,
			      json_integer_value(json_object_get(token, "id")));
		answer_json(answer, 201, token);
	} else {
		answer_refusal(answer, call, result, &error);
	}
}

void handle_token_delete(struct api *api, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	struct error error;
	enum service_result result;
	int64_t id;

	error_clear(&error);
	if (!slice_to_int64(slice_of_string(call->arguments[0]), &id)) {
		answer_problem(answer, call, PROBLEM_NOT_FOUND, NULL, "a token is named by its number");
		return;
	}
	result = service_token_delete(api->service, &caller, id, &error);
	if (result == SERVICE_OK)
		answer_nothing(answer);
	else if (result == SERVICE_NOT_FOUND)
		answer_problem(answer, call, PROBLEM_NOT_FOUND, NULL, "there is no token of this number");
	else
		answer_refusal(answer, call, result, &error);
}
