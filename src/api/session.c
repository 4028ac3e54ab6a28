#include "api/session.h"

#include "base/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define RANDOM_BYTES 32
#define SECOND_US 1000000ULL

_Static_assert(sodium_base64_ENCODED_LEN(RANDOM_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= SESSION_TEXT_MAX,
	       "a secret fits");

static void make_secret(char out[SESSION_TEXT_MAX])
{
	uint8_t random[RANDOM_BYTES];

	randombytes_buf(random, sizeof(random));
	sodium_bin2base64(out, SESSION_TEXT_MAX, random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(random, sizeof(random));
}

static void hash_of(const char *text, size_t len, uint8_t out[32])
{
	crypto_generichash(out, 32, (const unsigned char *)text, len, NULL, 0);
}

static bool lives(const struct session *session, uint64_t now_us)
{
	return session->begun_us && now_us - session->begun_us < SESSION_LIFE_S * SECOND_US &&
	       now_us - session->used_us < SESSION_IDLE_S * SECOND_US;
}

struct session *session_begin(struct sessions *sessions, const char *token, uint64_t now_us, char ret_cookie[SESSION_TEXT_MAX])
{
	struct session *place = &sessions->items[0];

	for (size_t i = 0; i < SESSIONS_MAX && place->begun_us; i++) {
		struct session *session = &sessions->items[i];

		if (!lives(session, now_us) || session->used_us < place->used_us)
			place = session;
		if (!lives(place, now_us))
			break;
	}
	session_end(place);
	make_secret(ret_cookie);
	hash_of(ret_cookie, strlen(ret_cookie), place->hash);
	make_secret(place->csrf);
	snprintf(place->token, sizeof(place->token), "%s", token);
	place->begun_us = place->used_us = now_us ? now_us : 1;
	place->expires_ms = clock_wall_ms() + SESSION_LIFE_S * 1000LL;
	return place;
}

/* The value of our cookie in "a=1; keyferry_session=...; b=2". */
static const char *value_of(const char *header, size_t *ret_len)
{
	static const char name[] = SESSION_COOKIE "=";

	while (*header) {
		header += strspn(header, " ;\t");
		if (strncmp(header, name, sizeof(name) - 1) == 0) {
			header += sizeof(name) - 1;
			*ret_len = strcspn(header, "; \t");
			return header;
		}
		header += strcspn(header, ";");
	}
	return NULL;
}

struct session *session_find(struct sessions *sessions, const char *cookie_header, uint64_t now_us)
{
	struct session *found = NULL;
	uint8_t hash[32];
	const char *value;
	size_t len;

	if (!cookie_header || !(value = value_of(cookie_header, &len)) || len == 0 || len >= SESSION_TEXT_MAX)
		return NULL;
	hash_of(value, len, hash);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct session *session = &sessions->items[i];

		if (lives(session, now_us) && sodium_memcmp(session->hash, hash, sizeof(hash)) == 0)
			found = session;
	}
	if (found)
		found->used_us = now_us;
	return found;
}

void session_end(struct session *session)
{
	sodium_memzero(session, sizeof(*session));
}

bool session_csrf_equal(const struct session *session, const char *csrf)
{
	size_t len = strlen(session->csrf);

	return csrf && strlen(csrf) == len && sodium_memcmp(csrf, session->csrf, len) == 0;
}

void sessions_clear(struct sessions *sessions)
{
	sodium_memzero(sessions, sizeof(*sessions));
}
