/* What the daemon tells of itself. */
#include "api/all_metrics.h"
#include "api/api_state.h"
#include "api/handlers.h"
#include "api/option_page.h"
#include "api/parameter.h"
#include "base/memory.h"
#include "control/exposition.h"

#include <string.h>

void handle_openapi(struct api *api, const struct call *call, struct answer *answer)
{
	(void)call;
	answer_text(answer, 200, ANSWER_JSON, memory_strdup(api->document));
}

void handle_options(struct api *api, const struct call *call, struct answer *answer)
{
	(void)api;
	answer_header(answer, "Vary", "Accept-Language");
	answer_json(answer, 200, option_page(parameter_language(call)));
}

void handle_version(struct api *api, const struct call *call, struct answer *answer)
{
	(void)call;
	answer_json(answer, 200, json_pack("{s:s, s:s}", "version", api->options.version, "api", "v1"));
}

void handle_health(struct api *api, const struct call *call, struct answer *answer)
{
	(void)call;
	answer_json(answer, 200, service_health(api->service));
}

/* It answers: that is all that a probe of life asks. */
void handle_healthz(struct api *api, const struct call *call, struct answer *answer)
{
	(void)api;
	(void)call;
	answer_text(answer, 200, ANSWER_TEXT, memory_strdup("ok\n"));
}

/* Why not is for those who may know. */
void handle_readyz(struct api *api, const struct call *call, struct answer *answer)
{
	json_t *health = service_health(api->service);

	if (json_is_true(json_object_get(health, "healthy")) && !service_stopping(api->service))
		answer_text(answer, 200, ANSWER_TEXT, memory_strdup("ready\n"));
	else if (call->principal.kind == PRINCIPAL_NOBODY)
		answer_text(answer, 503, ANSWER_TEXT, memory_strdup("not ready\n"));
	else
		answer_problem(answer, call, PROBLEM_BUSY, NULL,
			       service_stopping(api->service) ? "the daemon ends"
							      : "the store takes no writes, or the daemon hangs");
	json_decref(health);
}

void handle_metrics(struct api *api, const struct call *call, struct answer *answer)
{
	struct error error;
	char *text;

	error_clear(&error);
	text = all_metrics_text(api->service, strcmp(call->type, EXPOSITION_OPEN_METRICS) == 0, &error);
	if (text)
		answer_text(answer, 200, call->type, text);
	else
		answer_refusal(answer, call, SERVICE_FAILED, &error);
}
