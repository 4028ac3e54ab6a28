/* Sessions of the console: who has logged in with a token gets a cookie, which a script of the page cannot read, and a CSRF token, which a page of another site cannot read.
 *
 * A session ends SESSION_LIFE_S after the login, SESSION_IDLE_S after its last request, with its token (revoked or expired), or with the daemon: they are in memory alone. Of the cookie's 256 random
 * bits only the hash is kept. There are at most SESSIONS_MAX; a new one takes the place of the one that was quiet the longest.
 * Thread: the caller's lock. */
#ifndef KEYFERRY_API_SESSION_H
#define KEYFERRY_API_SESSION_H

#include "store/vault.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSIONS_MAX 256
#define SESSION_LIFE_S (12 * 3600)
#define SESSION_IDLE_S (2 * 3600)
#define SESSION_TEXT_MAX 48
#define SESSION_COOKIE "keyferry_session"

struct session {
	uint8_t hash[32];
	char csrf[SESSION_TEXT_MAX];
	char token[VAULT_TOKEN_MAX]; /* looked at with each request, so that its end is the session's */
	uint64_t begun_us, used_us;  /* 0: free */
	int64_t expires_ms;          /* wall clock */
};

struct sessions {
	struct session items[SESSIONS_MAX];
};

/* *ret_cookie is told once. What is returned is good while the lock is held. */
struct session *session_begin(struct sessions *sessions, const char *token, uint64_t now_us, char ret_cookie[SESSION_TEXT_MAX]);
/* Of a Cookie header; NULL: there is none that lives. */
struct session *session_find(struct sessions *sessions, const char *cookie_header, uint64_t now_us);
void session_end(struct session *session);
/* In constant time. NULL is not equal. */
bool session_csrf_equal(const struct session *session, const char *csrf);
/* Wipes all of them. */
void sessions_clear(struct sessions *sessions);

#endif
