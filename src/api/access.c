#include "api/access.h"

#include "api/throttle.h"
#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct access {
	struct service *service;
	bool ask_for_token;
	pthread_mutex_t lock;
	struct sessions sessions;
	struct throttle throttle;
};

struct access *access_new(struct service *service, bool ask_for_token)
{
	struct access *access = memory_alloc_zero(1, sizeof(*access));

	access->service = service;
	access->ask_for_token = ask_for_token;
	pthread_mutex_init(&access->lock, NULL);
	return access;
}

void access_free(struct access *access)
{
	sessions_clear(&access->sessions);
	pthread_mutex_destroy(&access->lock);
	free(access);
}

/* One that is not a token is not even looked up. */
static bool is_token(struct access *access, const char *token, struct principal *ret)
{
	char name[128];
	enum service_role role;

	if (strlen(token) >= VAULT_TOKEN_MAX || !service_token_check(access->service, token, &role, name))
		return false;
	ret->role = role;
	snprintf(ret->who, sizeof(ret->who), "token:%s", name);
	return true;
}

static bool unauthenticated(struct answer *answer, const struct call *call, const char *detail)
{
	answer_header(answer, "WWW-Authenticate", "Bearer realm=\"keyferry\"");
	answer_problem(answer, call, PROBLEM_UNAUTHENTICATED,
		       "Send it as 'Authorization: Bearer kf_...'; 'keyferry token create' makes one", "%s", detail);
	return false;
}

/* A wrong token counts, and after too many of them is not even looked at. */
static bool refuse(struct access *access, const struct call *call, struct answer *answer, const char *what)
{
	struct service_caller caller = {what, call->from};
	uint32_t wait;

	pthread_mutex_lock(&access->lock);
	wait = throttle_wait(&access->throttle, call->peer, clock_monotonic_us());
	if (wait == 0)
		throttle_failed(&access->throttle, call->peer, clock_monotonic_us());
	pthread_mutex_unlock(&access->lock);
	if (wait == 0) {
		service_audit(access->service, &caller, "login", "refused", NULL);
		return unauthenticated(answer, call, "the token is not known, revoked, or expired");
	}
	answer_header(answer, "Retry-After", "%u", wait);
	answer_problem(answer, call, PROBLEM_TOO_MANY, NULL, "too many wrong tokens from this address: wait %u s", wait);
	return false;
}

static uint32_t wait_of(struct access *access, const struct call *call)
{
	uint32_t wait;

	pthread_mutex_lock(&access->lock);
	wait = throttle_wait(&access->throttle, call->peer, clock_monotonic_us());
	pthread_mutex_unlock(&access->lock);
	return wait;
}

static bool admit_token(struct access *access, struct call *call, struct answer *answer)
{
	const char *token = call->headers.authorization;

	if (strncasecmp(token, "Bearer ", 7) != 0)
		return unauthenticated(answer, call, "of the Authorization schemes only Bearer is known here");
	/* Whoever guesses is not told whether the guess was right, once there were too many; but a good token that others' mistakes beside it (one address of many
	 * machines) would lock out is let in: it cannot be guessed. */
	call->principal.kind = PRINCIPAL_TOKEN;
	return is_token(access, token + 7 + strspn(token + 7, " "), &call->principal) || refuse(access, call, answer, "token");
}

/* *ret_found false: no session lives. */
static bool admit_session(struct access *access, struct call *call, struct answer *answer, bool *ret_found)
{
	struct session *session;
	bool known = false, proven = false;

	pthread_mutex_lock(&access->lock);
	session = session_find(&access->sessions, call->headers.cookie, clock_monotonic_us());
	if (session) {
		known = is_token(access, session->token, &call->principal);
		proven = session_csrf_equal(session, call->headers.csrf);
		if (!known)
			session_end(session);
	}
	pthread_mutex_unlock(&access->lock);
	*ret_found = known;
	if (!known)
		return false;
	call->principal.kind = PRINCIPAL_SESSION;
	if (!call_changes(call) || proven)
		return true;
	answer_problem(answer, call, PROBLEM_CSRF, "GET /api/v1/session tells it",
		       "what changes something needs the session's CSRF token in the header X-CSRF-Token");
	return false;
}

bool access_admit(struct access *access, struct call *call, struct answer *answer)
{
	bool found;

	call->principal = (struct principal){.kind = PRINCIPAL_NOBODY};
	if (call->headers.authorization)
		return admit_token(access, call, answer);
	if (admit_session(access, call, answer, &found))
		return true;
	if (found)
		return false;
	if (access->ask_for_token)
		return unauthenticated(answer, call, "a token is needed");
	call->principal = (struct principal){PRINCIPAL_LOCAL, SERVICE_ADMIN, "local"};
	return true;
}

bool access_lasts(struct access *access, const struct call *call, enum service_role role)
{
	struct call again = {.method = "GET",
			     .headers = {.authorization = call->headers.authorization, .cookie = call->headers.cookie},
			     .peer = call->peer};
	struct answer answer = {0};
	bool found;

	if (call->principal.kind == PRINCIPAL_LOCAL)
		return true;
	if (call->principal.kind == PRINCIPAL_TOKEN) {
		const char *token = again.headers.authorization + 7;

		return is_token(access, token + strspn(token, " "), &again.principal) && again.principal.role >= role;
	}
	return admit_session(access, &again, &answer, &found) && again.principal.role >= role;
}

static json_t *describe(const struct principal *principal, const struct session *session)
{
	static const char *const kinds[] = {"nobody", "local", "token", "session"};
	json_t *object = json_pack("{s:s, s:s, s:s, s:n, s:n}", "who", principal->who, "role", service_role_name(principal->role),
				   "kind", kinds[principal->kind], "csrf_token", "expires");
	char time[32];

	if (session) {
		json_object_set_new(object, "csrf_token", json_string(session->csrf));
		json_object_set_new(object, "expires", json_string(clock_format_rfc3339(session->expires_ms, time)));
	}
	return object;
}

json_t *access_log_in(struct access *access, const struct call *call, const char *token, struct answer *answer)
{
	struct principal principal = {.kind = PRINCIPAL_SESSION};
	char cookie[SESSION_TEXT_MAX];
	struct service_caller caller;
	json_t *object;

	if (wait_of(access, call) > 0 || !is_token(access, token, &principal)) {
		(void)refuse(access, call, answer, "console");
		return NULL;
	}
	pthread_mutex_lock(&access->lock);
	object = describe(&principal, session_begin(&access->sessions, token, clock_monotonic_us(), cookie));
	pthread_mutex_unlock(&access->lock);
	/* SameSite=Strict: no page of another site has it sent. HttpOnly: no script reads it. */
	answer_header(answer, "Set-Cookie", SESSION_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", cookie,
		      SESSION_LIFE_S, call->secure ? "; Secure" : "");
	memory_wipe(cookie, sizeof(cookie));
	caller = (struct service_caller){principal.who, call->from};
	service_audit(access->service, &caller, "login", "ok", NULL);
	return object;
}

void access_log_out(struct access *access, const struct call *call, struct answer *answer)
{
	struct service_caller caller = call_caller(call);
	struct session *session;

	pthread_mutex_lock(&access->lock);
	session = session_find(&access->sessions, call->headers.cookie, clock_monotonic_us());
	if (session)
		session_end(session);
	pthread_mutex_unlock(&access->lock);
	answer_header(answer, "Set-Cookie", SESSION_COOKIE "=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict%s",
		      call->secure ? "; Secure" : "");
	if (session)
		service_audit(access->service, &caller, "logout", "ok", NULL);
}

json_t *access_describe(struct access *access, const struct call *call)
{
	json_t *object;

	pthread_mutex_lock(&access->lock);
	object = describe(&call->principal, call->principal.kind == PRINCIPAL_SESSION
						    ? session_find(&access->sessions, call->headers.cookie, clock_monotonic_us())
						    : NULL);
	pthread_mutex_unlock(&access->lock);
	return object;
}
