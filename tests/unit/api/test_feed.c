/* The feed: what a listener is told, in which order, and what happens to one that does not read. */
#include "api/feed.h"

#include "base/clock.h"
#include "base/memory.h"
#include "fake_service.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define WAIT_MS 120000
#define STREAMS 5

static struct service *service;
static struct access *access_;
static struct feed *feed;
static struct sockaddr_in peer = {.sin_family = AF_INET};
static const struct service_caller caller = {"test", ""};

static int set_up(void **state)
{
	(void)state;
	service = fake_service_new();
	access_ = access_new(service, true);
	feed = feed_new(service, access_, STREAMS);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	feed_free(feed);
	access_free(access_);
	fake_service_free(service);
	return 0;
}

/* A client: what it has read so far. */
struct client {
	struct mailbox *mailbox;
	char *text;
	size_t len;
	bool ended;
};

static void on_sleep(void *owner)
{
	(void)owner;
}

/* `lines` 0: events. */
static struct client begin(int64_t task, uint32_t lines, const char *last_id)
{
	struct call call = {.method = "GET",
			    .peer = (struct sockaddr *)&peer,
			    .headers = {.authorization = "Bearer kf_viewer", .last_event_id = last_id},
			    .principal = {.kind = PRINCIPAL_TOKEN}};
	struct client client = {.mailbox = lines ? feed_follow_log(feed, &call, task, lines) : feed_listen(feed, &call, task),
				.text = memory_strdup("")};

	if (client.mailbox)
		mailbox_attach(client.mailbox, on_sleep, on_sleep, NULL);
	return client;
}

static struct client listen_to(int64_t task, const char *last_id)
{
	return begin(task, 0, last_id);
}

static void leave(struct client *client)
{
	mailbox_close(client->mailbox);
	free(client->text);
}

static void read_some(struct client *client)
{
	char block[4096];
	ssize_t len;

	while ((len = mailbox_read(client->mailbox, block, sizeof(block))) > 0) {
		client->text = memory_realloc(client->text, client->len + (size_t)len + 1);
		memcpy(client->text + client->len, block, (size_t)len);
		client->len += (size_t)len;
		client->text[client->len] = '\0';
	}
	client->ended |= len < 0;
}

static void pause_a_little(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void wait_for(struct client *client, const char *text)
{
	uint64_t until = clock_monotonic_us() + WAIT_MS * 1000ULL;

	for (read_some(client); !strstr(client->text, text); read_some(client)) {
		if (clock_monotonic_us() > until)
			fail_msg("no %s in:\n%s", text, client->text);
		pause_a_little();
	}
}

static void wait_for_end(struct client *client)
{
	uint64_t until = clock_monotonic_us() + WAIT_MS * 1000ULL;

	for (read_some(client); !client->ended; read_some(client)) {
		if (clock_monotonic_us() > until)
			fail_msg("it does not end:\n%s", client->text);
		pause_a_little();
	}
}

static void create(const char *name)
{
	char *document = memory_printf("{\"name\":\"%s\"}", name);
	json_t *task = NULL;
	struct error error;

	assert_int_equal(service_task_create(service, &caller, slice_of_string(document), &task, &error), SERVICE_OK);
	json_decref(task);
	free(document);
}

static void test_tasks_and_changes(void **state)
{
	struct client client;
	struct error error;

	(void)state;
	create("first");
	client = listen_to(0, NULL);
	wait_for(&client, "event: task\ndata: {\"id\":1,\"name\":\"first\"");
	create("second");
	wait_for(&client, "\"name\":\"second\"");
	fake_service_set(service, "first", "state", json_string("streaming"));
	wait_for(&client, "\"state\":\"streaming\"");
	fake_service_tell(service, SERVICE_HISTORY, 1, "streaming");
	wait_for(&client, "event: state\n");
	fake_service_tell(service, SERVICE_EVENTS, 1, "resumed");
	wait_for(&client, "event: incident\n");
	assert_int_equal(service_task_delete(service, &caller, "second", &error), SERVICE_OK);
	wait_for(&client, "event: removed\ndata: {\"id\":2}\n\n");
	/* Nothing is told twice. */
	assert_null(strstr(strstr(client.text, "event: incident") + 1, "event: incident"));
	leave(&client);
}

static void test_one_task(void **state)
{
	struct client client;
	struct error error;

	(void)state;
	create("first");
	create("second");
	client = listen_to(2, NULL);
	wait_for(&client, "event: status\ndata: {\"task\":\"second\"");
	fake_service_tell(service, SERVICE_EVENTS, 1, "of_the_first");
	fake_service_tell(service, SERVICE_EVENTS, 2, "of_the_second");
	wait_for(&client, "of_the_second");
	assert_null(strstr(client.text, "of_the_first"));
	assert_null(strstr(client.text, "event: task\n"));
	assert_int_equal(service_task_delete(service, &caller, "second", &error), SERVICE_OK);
	wait_for_end(&client);
	assert_non_null(strstr(client.text, "event: removed\n"));
	leave(&client);
}

/* The id that stands last in what was read. */
static char *last_id(const struct client *client)
{
	const char *found = NULL;

	for (const char *at = strstr(client->text, "id: "); at; at = strstr(at + 1, "\nid: "))
		found = at[0] == '\n' ? at + 1 : at;
	assert_non_null(found);
	return memory_strndup(found + 4, strcspn(found + 4, "\n"));
}

static void test_again_from_the_last_id(void **state)
{
	struct client client, later;
	char *id;

	(void)state;
	create("first");
	fake_service_tell(service, SERVICE_EVENTS, 1, "before");
	client = listen_to(0, NULL);
	wait_for(&client, "event: task\n");
	fake_service_tell(service, SERVICE_EVENTS, 1, "seen");
	wait_for(&client, "\"seen\"");
	assert_null(strstr(client.text, "\"before\""));
	id = last_id(&client);
	leave(&client);
	fake_service_tell(service, SERVICE_EVENTS, 1, "missed");
	fake_service_tell(service, SERVICE_HISTORY, 1, "missed_too");
	later = listen_to(0, id);
	wait_for(&later, "\"missed\"");
	wait_for(&later, "\"missed_too\"");
	assert_null(strstr(later.text, "\"seen\""));
	leave(&later);
	/* One of another daemon, and one of no form. */
	later = listen_to(0, "900-900");
	wait_for(&later, "event: task\n");
	fake_service_tell(service, SERVICE_EVENTS, 1, "new");
	wait_for(&later, "\"new\"");
	assert_null(strstr(later.text, "\"seen\""));
	leave(&later);
	free(id);
}

static void test_gap(void **state)
{
	struct client client;

	(void)state;
	create("first");
	for (int i = 0; i < FEED_AGAIN + 50; i++)
		fake_service_tell(service, SERVICE_EVENTS, 1, i == 0 ? "the_first" : "another");
	client = listen_to(0, "0-0");
	wait_for(&client, "event: gap\ndata: {\"of\":\"incident\"}");
	wait_for(&client, "\"another\"");
	assert_null(strstr(client.text, "the_first"));
	leave(&client);
}

static void test_bounds(void **state)
{
	struct client clients[STREAMS], third;

	(void)state;
	for (int i = 0; i < STREAMS; i++)
		clients[i] = listen_to(0, NULL);
	third = listen_to(0, NULL);
	assert_null(third.mailbox);
	free(third.text);
	leave(&clients[0]);
	/* Its place is free soon. */
	for (uint64_t until = clock_monotonic_us() + WAIT_MS * 1000ULL; !third.mailbox && clock_monotonic_us() < until;
	     pause_a_little()) {
		third = listen_to(0, NULL);
		if (!third.mailbox)
			free(third.text);
	}
	assert_non_null(third.mailbox);
	leave(&third);
	for (int i = 1; i < STREAMS; i++)
		leave(&clients[i]);
}

/* Who does not read is let go, but first snapshots are. */
static void test_slow_reader(void **state)
{
	struct mailbox *mailbox = mailbox_new();
	char *large = memory_alloc_zero(1, 60001);
	char block[4096];
	size_t got = 0;
	int snapshots = 0, events = 0;
	ssize_t len;

	(void)state;
	memset(large, 'x', 60000);
	mailbox_attach(mailbox, on_sleep, on_sleep, NULL);
	while (mailbox_put_snapshot(mailbox, "task", large))
		snapshots++;
	assert_true(snapshots > 0 && (size_t)snapshots * 60000 <= MAILBOX_MAX / 2);
	while (mailbox_put_event(mailbox, "1-1", "incident", large))
		events++;
	assert_true(events > 0);
	assert_false(mailbox_put_event(mailbox, "1-1", "incident", ""));
	while ((len = mailbox_read(mailbox, block, sizeof(block))) > 0)
		got += (size_t)len;
	assert_int_equal(len, -1);
	assert_true(got > (size_t)(snapshots + events) * 60000);
	mailbox_free(mailbox);
	free(large);
}

static void test_log(void **state)
{
	struct client client, later, elsewhere;
	struct error error;
	char *id;

	(void)state;
	create("first");
	for (int i = 0; i < 5; i++)
		fake_service_log(service, i == 3 ? "the \\ fourth\t" : "before");
	client = begin(1, 2, NULL);
	wait_for(&client, "id: 0000000000000001-4\nevent: lines\ndata: {\"lines\":[\"the \\\\ fourth\\t\"]}\n\n");
	fake_service_log(service, "sixth");
	wait_for(&client, "id: 0000000000000001-6\nevent: lines\ndata: {\"lines\":[\"sixth\"]}\n\n");
	/* Of nothing else. */
	fake_service_tell(service, SERVICE_EVENTS, 1, "resumed");
	fake_service_log(service, "seventh");
	wait_for(&client, "seventh");
	assert_null(strstr(client.text, "resumed"));
	assert_null(strstr(client.text, "event: status"));
	id = last_id(&client);
	leave(&client);
	fake_service_log(service, "missed");
	later = begin(1, 5, id);
	wait_for(&later, "missed");
	assert_null(strstr(later.text, "seventh"));
	/* From a place that is not there any more, and from none. */
	elsewhere = begin(1, 5, "00000000000000ff-5");
	wait_for(&elsewhere, "event: gap\ndata: {\"of\":\"lines\"}\n\n");
	wait_for(&elsewhere, "missed");
	assert_non_null(strstr(elsewhere.text, "before"));
	leave(&elsewhere);
	elsewhere = begin(1, 1, "7-7");
	wait_for(&elsewhere, "missed");
	assert_null(strstr(elsewhere.text, "seventh"));
	assert_int_equal(service_task_delete(service, &caller, "first", &error), SERVICE_OK);
	wait_for_end(&later);
	wait_for_end(&elsewhere);
	assert_non_null(strstr(later.text, "event: removed\n"));
	leave(&later);
	leave(&elsewhere);
	/* Of a task that is gone before the first turn. */
	client = begin(1, 5, NULL);
	wait_for_end(&client);
	leave(&client);
	free(id);
}

/* All of a log that is larger than what waits for a client, in its order. */
static void test_long_log(void **state)
{
	struct client client;
	char *line = memory_alloc_zero(1, 20001), *at;
	const int count = 200;

	(void)state;
	create("first");
	memset(line, 'x', 20000);
	for (int i = 0; i < count; i++) {
		line[sprintf(line, "line %d.", i)] = 'x';
		fake_service_log(service, line);
	}
	client = begin(1, 10000, NULL);
	/* It waits for who does not read, and does not let him go. */
	for (int i = 0; i < 30; i++)
		pause_a_little();
	wait_for(&client, "line 199.");
	assert_false(client.ended);
	at = client.text;
	for (int i = 0; i < count; i++) {
		char wanted[24];

		sprintf(wanted, "\"line %d.", i);
		at = strstr(at, wanted);
		assert_non_null(at);
	}
	leave(&client);
	free(line);
}

static void test_end(void **state)
{
	struct client client;

	(void)state;
	client = listen_to(0, NULL);
	feed_end(feed);
	wait_for_end(&client);
	leave(&client);
	client = listen_to(0, NULL);
	assert_null(client.mailbox);
	free(client.text);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {CASE(test_tasks_and_changes),
					   CASE(test_one_task),
					   CASE(test_again_from_the_last_id),
					   CASE(test_gap),
					   CASE(test_bounds),
					   CASE(test_log),
					   CASE(test_long_log),
					   cmocka_unit_test(test_slow_reader),
					   CASE(test_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
