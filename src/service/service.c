#include "service/service.h"

#include <string.h>

struct service *service_open(const struct service_config *config, struct error *error)
{
	(void)config;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return NULL;
}

bool service_run(struct service *service, struct error *error)
{
	(void)service;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return false;
}

void service_stop(struct service *service, enum service_end end)
{
	(void)service;
	(void)end;
}

enum service_end service_ended(const struct service *service)
{
	(void)service;
	return SERVICE_END_WORKERS;
}

void service_reload(struct service *service)
{
	(void)service;
}

void service_reload_set(struct service *service, void (*reload)(void *owner), void *owner)
{
	(void)service;
	(void)reload;
	(void)owner;
}

void service_configure(struct service *service, const struct service_config *config)
{
	(void)service;
	(void)config;
}

void service_close(struct service *service)
{
	(void)service;
}

enum service_result service_task_list(struct service *service, json_t **ret, struct error *error)
{
	(void)service;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_show(struct service *service, const char *task, json_t **ret, struct error *error)
{
	(void)service;
	(void)task;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_status(struct service *service, const char *task, json_t **ret, struct error *error)
{
	(void)service;
	(void)task;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_create(struct service *service, const struct service_caller *caller, struct slice document, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)document;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_update(struct service *service, const struct service_caller *caller, const char *task, int64_t revision, bool accept_changes, struct slice document, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)revision;
	(void)accept_changes;
	(void)document;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_delete(struct service *service, const struct service_caller *caller, const char *task, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_document_check(struct service *service, const char *task, struct slice document, json_t **ret, struct error *error)
{
	(void)service;
	(void)task;
	(void)document;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

const char *service_action_name(enum service_action action)
{
	(void)action;
	return NULL;
}

enum service_result service_task_do(struct service *service, const struct service_caller *caller, const char *task, enum service_action action, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)action;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_limit(struct service *service, const struct service_caller *caller, const char *task, uint64_t records_per_second, uint64_t bytes_per_second, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)records_per_second;
	(void)bytes_per_second;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_log_level(struct service *service, const struct service_caller *caller, const char *task, const char *level, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)level;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

const char *service_job_name(enum service_job job)
{
	(void)job;
	return NULL;
}

enum service_result service_job_start(struct service *service, const struct service_caller *caller, const char *task, enum service_job job, const json_t *options, const char *language, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)job;
	(void)options;
	(void)language;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_job_cancel(struct service *service, const struct service_caller *caller, const char *task, struct error *error)
{
	(void)service;
	(void)caller;
	(void)task;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_log_list(struct service *service, enum service_log log, const char *task, const char *kind, int64_t before, uint32_t most, json_t **ret, struct error *error)
{
	(void)service;
	(void)log;
	(void)task;
	(void)kind;
	(void)before;
	(void)most;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_task_log(struct service *service, const char *task, uint32_t most, json_t **ret, struct error *error)
{
	(void)service;
	(void)task;
	(void)most;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

void service_audit(struct service *service, const struct service_caller *caller, const char *action, const char *result, json_t *detail)
{
	(void)service;
	(void)caller;
	(void)action;
	(void)result;
	(void)detail;
}

uint64_t service_wait(struct service *service, uint64_t seen, uint32_t timeout_ms)
{
	(void)service;
	(void)seen;
	(void)timeout_ms;
	return 0;
}

bool service_stopping(const struct service *service)
{
	(void)service;
	return false;
}

const char *service_role_name(enum service_role role)
{
	(void)role;
	return NULL;
}

enum service_result service_token_create(struct service *service, const struct service_caller *caller, const char *name, enum service_role role, int64_t expires_ms, json_t **ret, struct error *error)
{
	(void)service;
	(void)caller;
	(void)name;
	(void)role;
	(void)expires_ms;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_token_list(struct service *service, json_t **ret, struct error *error)
{
	(void)service;
	(void)ret;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

enum service_result service_token_delete(struct service *service, const struct service_caller *caller, int64_t id, struct error *error)
{
	(void)service;
	(void)caller;
	(void)id;
	(void)error;
	error_set(error, ERROR_INTERNAL, "not built yet");
	return SERVICE_FAILED;
}

bool service_token_check(struct service *service, const char *token, enum service_role *ret_role, char name[128])
{
	(void)service;
	(void)token;
	(void)ret_role;
	(void)name;
	return false;
}

json_t *service_health(struct service *service)
{
	(void)service;
	return NULL;
}
