/* Sessions and the throttle of failed logins. */
#include "api/session.h"
#include "api/throttle.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000ULL

static struct sessions *sessions;

static int set_up(void **state)
{
	(void)state;
	sessions = memory_alloc_zero(1, sizeof(*sessions));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sessions_clear(sessions);
	free(sessions);
	return 0;
}

static char *header_of(const char *cookie)
{
	return memory_printf("theme=dark; " SESSION_COOKIE "=%s; other=1", cookie);
}

static void test_life(void **state)
{
	char cookie[SESSION_TEXT_MAX];
	struct session *session = session_begin(sessions, "kf_x", SECOND, cookie);
	char *header = header_of(cookie);

	(void)state;
	assert_int_equal(strlen(cookie), 43);
	assert_ptr_equal(session_find(sessions, header, 2 * SECOND), session);
	assert_string_equal(session->token, "kf_x");
	assert_true(session_csrf_equal(session, session->csrf));
	assert_false(session_csrf_equal(session, cookie));
	assert_false(session_csrf_equal(session, ""));
	assert_false(session_csrf_equal(session, NULL));
	assert_null(session_find(sessions, NULL, 2 * SECOND));
	assert_null(session_find(sessions, SESSION_COOKIE "=", 2 * SECOND));
	assert_null(session_find(sessions, SESSION_COOKIE "=wrong", 2 * SECOND));
	header[strlen("theme=dark; " SESSION_COOKIE "=") + 5] ^= 1;
	assert_null(session_find(sessions, header, 2 * SECOND));
	header[strlen("theme=dark; " SESSION_COOKIE "=") + 5] ^= 1;
	session_end(session);
	assert_null(session_find(sessions, header, 3 * SECOND));
	free(header);
}

static void test_ends(void **state)
{
	char cookie[SESSION_TEXT_MAX];
	char *header;
	uint64_t now = 10 * SECOND;

	(void)state;
	session_begin(sessions, "kf_x", now, cookie);
	header = header_of(cookie);
	assert_null(session_find(sessions, header, now + SESSION_IDLE_S * SECOND));
	/* Used again and again, it ends all the same. */
	while (now - 10 * SECOND < SESSION_LIFE_S * SECOND) {
		assert_non_null(session_find(sessions, header, now));
		now += (SESSION_IDLE_S - 1) * SECOND;
	}
	assert_null(session_find(sessions, header, now));
	free(header);
}

static void test_most(void **state)
{
	char first[SESSION_TEXT_MAX], second[SESSION_TEXT_MAX], cookie[SESSION_TEXT_MAX];
	char *headers[2];

	(void)state;
	session_begin(sessions, "kf_x", 1 * SECOND, first);
	session_begin(sessions, "kf_x", 2 * SECOND, second);
	for (int i = 2; i < SESSIONS_MAX + 1; i++)
		session_begin(sessions, "kf_x", (uint64_t)(i + 1) * SECOND, cookie);
	headers[0] = header_of(first);
	headers[1] = header_of(second);
	assert_null(session_find(sessions, headers[0], 500 * SECOND));
	assert_non_null(session_find(sessions, headers[1], 500 * SECOND));
	free(headers[0]);
	free(headers[1]);
}

static struct sockaddr *address(const char *text, struct sockaddr_storage *storage)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)storage;

	memset(storage, 0, sizeof(*storage));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		v4->sin_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		v6->sin6_family = AF_INET6;
	return (struct sockaddr *)storage;
}

static void test_throttle(void **state)
{
	struct throttle *throttle = memory_alloc_zero(1, sizeof(*throttle));
	struct sockaddr_storage a, b;
	uint64_t now = 1000 * SECOND;

	(void)state;
	for (int i = 0; i < THROTTLE_FAILURES; i++) {
		assert_int_equal(throttle_wait(throttle, address("10.0.0.1", &a), now), 0);
		throttle_failed(throttle, address("10.0.0.1", &a), now);
	}
	assert_true(throttle_wait(throttle, address("10.0.0.1", &a), now) > 0);
	assert_true(throttle_wait(throttle, address("::ffff:10.0.0.1", &a), now) > 0);
	assert_int_equal(throttle_wait(throttle, address("10.0.0.2", &b), now), 0);
	assert_int_equal(throttle_wait(throttle, address("10.0.0.1", &a), now + THROTTLE_SECONDS * SECOND), 0);
	throttle_failed(throttle, address("10.0.0.1", &a), now + THROTTLE_SECONDS * SECOND);
	assert_int_equal(throttle_wait(throttle, address("10.0.0.1", &a), now + THROTTLE_SECONDS * SECOND), 0);
	free(throttle);
}

/* Whoever has a /64 has 2^64 addresses. */
static void test_throttle_v6(void **state)
{
	struct throttle *throttle = memory_alloc_zero(1, sizeof(*throttle));
	struct sockaddr_storage a;
	char text[64];

	(void)state;
	for (int i = 0; i < THROTTLE_FAILURES; i++) {
		snprintf(text, sizeof(text), "2001:db8:1:2:%x::%x", i, i);
		throttle_failed(throttle, address(text, &a), SECOND);
	}
	assert_true(throttle_wait(throttle, address("2001:db8:1:2::99", &a), SECOND) > 0);
	assert_int_equal(throttle_wait(throttle, address("2001:db8:1:3::99", &a), SECOND), 0);
	free(throttle);
}

/* More addresses than the table has places: none is written past its end, and the newest counts. */
static void test_throttle_full(void **state)
{
	struct throttle *throttle = memory_alloc_zero(1, sizeof(*throttle));
	struct sockaddr_storage a;
	char text[64];

	(void)state;
	for (int i = 0; i < THROTTLE_ADDRESSES + 5; i++) {
		snprintf(text, sizeof(text), "10.1.%d.%d", i / 250, i % 250 + 1);
		throttle_failed(throttle, address(text, &a), SECOND + (uint64_t)i);
	}
	for (int i = 1; i < THROTTLE_FAILURES; i++)
		throttle_failed(throttle, address(text, &a), 2 * SECOND);
	assert_true(throttle_wait(throttle, address(text, &a), 2 * SECOND) > 0);
	free(throttle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_life, set_up, tear_down),
					   cmocka_unit_test_setup_teardown(test_ends, set_up, tear_down),
					   cmocka_unit_test_setup_teardown(test_most, set_up, tear_down),
					   cmocka_unit_test(test_throttle),
					   cmocka_unit_test(test_throttle_v6),
					   cmocka_unit_test(test_throttle_full)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
