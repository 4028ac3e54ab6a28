/* Calls about tokens. Those that are there are kept in memory too: each request of the API asks for one. */
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "service/service_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 100
#define USED_EVERY_MS 60000 /* "about" */

static const char *const role_names[] = {"viewer", "operator", "admin"};

const char *service_role_name(enum service_role role)
{
	return role_names[role];
}

static enum service_role role_parse(const char *name)
{
	for (enum service_role role = SERVICE_VIEWER; role <= SERVICE_ADMIN; role++)
		if (strcmp(name, role_names[role]) == 0)
			return role;
	return SERVICE_VIEWER;
}

static json_t *view_token(const struct store_token *token)
{
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o}", "id", (json_int_t)token->id, "name", token->name, "role", token->role,
			 "created", view_time(token->created_ms), "expires", view_time(token->expires_ms), "used",
			 view_time(token->used_ms));
}

static bool is_usable(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > NAME_MAX_BYTES)
		return false;
	for (const char *p = name; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return false;
	return true;
}

static enum service_result add_token(struct service *service, const char *name, enum service_role role, int64_t expires_ms,
				     json_t **ret, struct error *error)
{
	struct store_token token = {.created_ms = clock_wall_ms(), .expires_ms = expires_ms};
	char text[VAULT_TOKEN_MAX];

	if (!is_usable(name)) {
		error_set(error, ERROR_USAGE, "that cannot name a token");
		error_hint(error, "a name has 1 to %d letters, digits and signs, without blanks", NAME_MAX_BYTES);
		return SERVICE_INVALID;
	}
	for (size_t i = 0; i < service->token_count; i++) {
		if (strcmp(service->tokens[i].name, name) != 0)
			continue;
		error_set(error, ERROR_USAGE, "there is a token %s already", name);
		error_hint(error, "Give this one another name, or delete the other first");
		return SERVICE_EXISTS;
	}
	if (service->token_count >= STORE_TOKENS_MAX) {
		error_set(error, ERROR_USAGE, "there are %d tokens, and more are not taken", STORE_TOKENS_MAX);
		error_hint(error, "Delete those that nobody uses");
		return SERVICE_FULL;
	}
	vault_token_make(text);
	vault_token_hash(service->vault, text, token.hash);
	token.name = memory_strdup(name);
	token.role = memory_strdup(service_role_name(role));
	if (!store_token_add(service->store, &token, error)) {
		store_token_free(&token);
		return SERVICE_FAILED;
	}
	service->tokens = memory_realloc_array(service->tokens, service->token_count + 1, sizeof(token));
	service->tokens[service->token_count++] = token;
	*ret = view_token(&token);
	json_object_set_new(*ret, "token", json_string(text));
	memory_wipe(text, sizeof(text));
	return SERVICE_OK;
}

enum service_result service_token_create(struct service *service, const struct service_caller *caller, const char *name,
					 enum service_role role, int64_t expires_ms, json_t **ret, struct error *error)
{
	enum service_result result;

	pthread_mutex_lock(&service->lock);
	result = add_token(service, name, role, expires_ms, ret, error);
	service_note(service, caller, "token.create", NULL, result, error,
		     result == SERVICE_OK ? json_pack("{s:s, s:s}", "token", name, "role", service_role_name(role)) : NULL);
	pthread_mutex_unlock(&service->lock);
	return result;
}

enum service_result service_token_list(struct service *service, json_t **ret, struct error *error)
{
	json_t *list = json_array();

	(void)error;
	pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->token_count; i++)
		json_array_append_new(list, view_token(&service->tokens[i]));
	pthread_mutex_unlock(&service->lock);
	*ret = list;
	return SERVICE_OK;
}

static enum service_result remove_token(struct service *service, int64_t id, json_t **ret_detail, struct error *error)
{
	bool found;

	if (!store_token_remove(service->store, id, &found, error))
		return SERVICE_FAILED;
	for (size_t i = 0; i < service->token_count; i++) {
		if (service->tokens[i].id != id)
			continue;
		*ret_detail = json_pack("{s:s}", "token", service->tokens[i].name);
		store_token_free(&service->tokens[i]);
		service->token_count--;
		memmove(&service->tokens[i], &service->tokens[i + 1], (service->token_count - i) * sizeof(service->tokens[0]));
		break;
	}
	if (found)
		return SERVICE_OK;
	error_set(error, ERROR_USAGE, "there is no token %lld", (long long)id);
	error_hint(error, "The list of tokens has their numbers");
	return SERVICE_NOT_FOUND;
}

enum service_result service_token_delete(struct service *service, const struct service_caller *caller, int64_t id,
					 struct error *error)
{
	enum service_result result;
	json_t *detail = NULL;

	pthread_mutex_lock(&service->lock);
	result = remove_token(service, id, &detail, error);
	service_note(service, caller, "token.delete", NULL, result, error, detail);
	pthread_mutex_unlock(&service->lock);
	return result;
}

bool service_token_check(struct service *service, const char *token, enum service_role *ret_role, char name[128])
{
	uint8_t hash[STORE_HASH_LEN];
	int64_t now = clock_wall_ms();
	struct error error;
	bool found = false;

	vault_token_hash(service->vault, token, hash);
	pthread_mutex_lock(&service->lock);
	for (size_t i = 0; i < service->token_count && !found; i++) {
		struct store_token *known = &service->tokens[i];

		if (!vault_hash_equal(known->hash, hash) || (known->expires_ms && now >= known->expires_ms))
			continue;
		found = true;
		*ret_role = role_parse(known->role);
		snprintf(name, 128, "%s", known->name);
		if (now - known->used_ms < USED_EVERY_MS)
			continue;
		known->used_ms = now;
		if (!store_token_used(service->store, known->id, now, &error))
			log_error_value(LOG_WARNING, &error);
	}
	pthread_mutex_unlock(&service->lock);
	return found;
}
