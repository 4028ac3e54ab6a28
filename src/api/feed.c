#include "api/feed.h"

#include "api/log_follower.h"
#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCESS_MS 2000
#define CURSORS 2 /* of the logs that are told: events, history */

static const enum service_log logs[CURSORS] = {SERVICE_EVENTS, SERVICE_HISTORY};
static const char *const log_events[CURSORS] = {"incident", "state"};

struct listener {
	struct listener *next;
	struct mailbox *mailbox;
	int64_t task;             /* 0: all */
	int64_t cursors[CURSORS]; /* the newest entry that was told; -1: begins with what comes */
	bool placed;              /* it knows where it begins */
	int64_t told;             /* tasks up to this id have been told as they are; those above it are still to be told */
	char *status;             /* of one task: as last told */
	struct log_follower *log; /* NULL: it listens to events */
	/* to see whether it still may */
	struct call call;
	struct sockaddr_storage peer;
	char *authorization, *cookie;
	uint64_t admitted_us, comment_us;
};

struct feed {
	struct service *service;
	struct access *access;
	uint32_t streams_max;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ended;
	struct listener *arrivals; /* since the last turn; all else is the thread's */
	uint32_t count;
	struct listener *listeners;
	json_t *tasks; /* {"7": "summary as text"}, as last told */
	int64_t newest[CURSORS];
	bool behind; /* a log has more */
	uint64_t turned_us;
};

static char *copy_of(const char *text)
{
	return text ? memory_strdup(text) : NULL;
}

static void wipe(char *text)
{
	if (text)
		memory_wipe(text, strlen(text));
	free(text);
}

static void listener_free(struct listener *listener)
{
	mailbox_free(listener->mailbox);
	wipe(listener->authorization);
	wipe(listener->cookie);
	free(listener->status);
	free(listener->log);
	free(listener);
}

/* "12-34". */
static void read_last_id(struct listener *listener, const char *text)
{
	const char *dash = text ? strchr(text, '-') : NULL;
	int64_t event, state;

	if (!dash || !slice_to_int64(slice_make(text, (size_t)(dash - text)), &event) ||
	    !slice_to_int64(slice_of_string(dash + 1), &state) || event < 0 || state < 0)
		return;
	listener->cursors[0] = event;
	listener->cursors[1] = state;
}

/* Takes `log`. */
static struct mailbox *take_listener(struct feed *feed, const struct call *call, int64_t task, struct log_follower *log)
{
	struct listener *listener;
	struct mailbox *mailbox = NULL;

	pthread_mutex_lock(&feed->lock);
	if (!feed->ended && feed->count < feed->streams_max) {
		listener = memory_alloc_zero(1, sizeof(*listener));
		listener->mailbox = mailbox = mailbox_new();
		listener->task = task;
		listener->log = log;
		log = NULL;
		listener->cursors[0] = listener->cursors[1] = -1;
		read_last_id(listener, call->headers.last_event_id);
		listener->authorization = copy_of(call->headers.authorization);
		listener->cookie = copy_of(call->headers.cookie);
		if (call->peer)
			memcpy(&listener->peer, call->peer,
			       call->peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
		listener->call = (struct call){.headers = {.authorization = listener->authorization, .cookie = listener->cookie},
					       .peer = (const struct sockaddr *)&listener->peer,
					       .principal = call->principal};
		listener->admitted_us = listener->comment_us = clock_monotonic_us();
		listener->next = feed->arrivals;
		feed->arrivals = listener;
		feed->count++;
		pthread_cond_signal(&feed->changed);
	}
	pthread_mutex_unlock(&feed->lock);
	free(log);
	return mailbox;
}

struct mailbox *feed_listen(struct feed *feed, const struct call *call, int64_t task)
{
	return take_listener(feed, call, task, NULL);
}

struct mailbox *feed_follow_log(struct feed *feed, const struct call *call, int64_t task, uint32_t lines)
{
	struct log_follower *log = memory_alloc(sizeof(*log));

	log_follower_begin(log, feed->service, task, lines, call->headers.last_event_id);
	return take_listener(feed, call, task, log);
}

/* ---- what has happened: the logs ---- */

static int64_t id_of(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "id"));
}

/* The newest entries, the newest first; NULL: none could be read. */
static json_t *read_log(struct feed *feed, int which, uint32_t most)
{
	struct error error;
	json_t *page = NULL, *items = NULL;

	if (service_log_list(feed->service, logs[which], NULL, NULL, 0, most, &page, &error) == SERVICE_OK)
		items = json_incref(json_object_get(page, "items"));
	json_decref(page);
	return items;
}

static int64_t task_id(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "task"));
}

static void tell_entry(struct listener *listener, int which, const json_t *entry)
{
	char id[48], *text;

	listener->cursors[which] = id_of(entry);
	if (listener->task && listener->task != task_id(entry))
		return;
	text = json_dumps(entry, JSON_COMPACT);
	snprintf(id, sizeof(id), "%" PRId64 "-%" PRId64, listener->cursors[0], listener->cursors[1]);
	if (text)
		mailbox_put_event(listener->mailbox, id, log_events[which], text);
	free(text);
}

/* More than is told again lies between. */
static void tell_gap(struct listener *listener, int which)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"of\":\"%s\"}", log_events[which]);
	mailbox_put_event(listener->mailbox, NULL, "gap", text);
}

static void tell_log(struct feed *feed, struct listener *listener, int which, const json_t *items)
{
	size_t count = json_array_size(items);

	if (listener->cursors[which] < 0 || listener->cursors[which] > feed->newest[which])
		listener->cursors[which] = feed->newest[which]; /* begins now; or has ids of another daemon's database */
	if (count == FEED_AGAIN && id_of(json_array_get(items, count - 1)) > listener->cursors[which] + 1)
		tell_gap(listener, which);
	for (size_t i = count; i-- > 0;) {
		const json_t *entry = json_array_get(items, i);

		if (id_of(entry) > listener->cursors[which])
			tell_entry(listener, which, entry);
	}
}

/* A client that has been told nothing with an id yet is to come again where it began, too. */
static void tell_place(struct listener *listener)
{
	char id[48];

	if (listener->placed || listener->cursors[0] < 0 || listener->cursors[1] < 0)
		return;
	snprintf(id, sizeof(id), "%" PRId64 "-%" PRId64, listener->cursors[0], listener->cursors[1]);
	listener->placed = mailbox_put_id(listener->mailbox, id);
}

static void turn_log(struct feed *feed, int which)
{
	json_t *items = read_log(feed, which, 1);
	bool behind = false;

	if (!items)
		return;
	if (json_array_size(items) > 0)
		feed->newest[which] = id_of(json_array_get(items, 0));
	json_decref(items);
	for (struct listener *listener = feed->listeners; listener; listener = listener->next) {
		if (listener->cursors[which] < 0 || listener->log)
			listener->cursors[which] = feed->newest[which];
		behind |= listener->cursors[which] != feed->newest[which];
	}
	items = behind ? read_log(feed, which, FEED_AGAIN) : NULL;
	for (struct listener *listener = feed->listeners; items && listener; listener = listener->next)
		if (!listener->log)
			tell_log(feed, listener, which, items);
	json_decref(items);
}

/* ---- how it is: tasks and their status ---- */

/* Let go of where there is no room, it is told again from there on. */
static void tell_task(struct listener *listener, int64_t id, const char *text)
{
	if (listener->task || id > listener->told)
		return;
	if (!mailbox_put_snapshot(listener->mailbox, "task", text))
		listener->told = id - 1;
}

static void tell_removed(struct feed *feed, int64_t id)
{
	char text[48];

	snprintf(text, sizeof(text), "{\"id\":%" PRId64 "}", id);
	for (struct listener *listener = feed->listeners; listener; listener = listener->next) {
		if (listener->task && listener->task != id)
			continue;
		if (mailbox_put_event(listener->mailbox, NULL, "removed", text) && listener->task)
			mailbox_end(listener->mailbox);
	}
}

/* The tasks that were still to be told, as far as there is room; `tasks` is by id. */
static void tell_rest(struct listener *listener, const json_t *tasks, json_t *texts)
{
	const json_t *task;
	size_t i;

	if (listener->task)
		return;
	json_array_foreach (tasks, i, task) {
		char key[24];

		if (id_of(task) <= listener->told)
			continue;
		snprintf(key, sizeof(key), "%" PRId64, id_of(task));
		if (!mailbox_put_snapshot(listener->mailbox, "task", json_string_value(json_object_get(texts, key))))
			return;
		listener->told = id_of(task);
	}
	listener->told = INT64_MAX;
}

static void turn_tasks(struct feed *feed)
{
	struct error error;
	json_t *tasks = NULL, *texts = json_object(), *task, *old;
	const char *key;
	size_t i;

	if (service_task_list(feed->service, &tasks, &error) != SERVICE_OK) {
		json_decref(texts);
		return;
	}
	json_array_foreach (tasks, i, task) {
		char name[24], *text = json_dumps(task, JSON_COMPACT);
		const char *before;

		if (!text)
			continue;
		snprintf(name, sizeof(name), "%" PRId64, id_of(task));
		before = json_string_value(json_object_get(feed->tasks, name));
		json_object_set_new(texts, name, json_string(text));
		if (!before || strcmp(before, text) != 0)
			for (struct listener *listener = feed->listeners; listener; listener = listener->next)
				tell_task(listener, id_of(task), text);
		free(text);
	}
	json_object_foreach (feed->tasks, key, old)
		if (!json_object_get(texts, key))
			tell_removed(feed, strtoll(key, NULL, 10));
	for (struct listener *listener = feed->listeners; listener; listener = listener->next)
		tell_rest(listener, tasks, texts);
	json_decref(feed->tasks);
	feed->tasks = texts;
	json_decref(tasks);
}

static void turn_status(struct feed *feed, struct listener *listener)
{
	json_t *status = NULL;
	struct error error;
	char id[24], *text;
	enum service_result result;

	snprintf(id, sizeof(id), "%" PRId64, listener->task);
	result = service_task_status(feed->service, id, &status, &error);
	if (result == SERVICE_NOT_FOUND)
		mailbox_end(listener->mailbox); /* removed before this stream's first turn */
	if (result != SERVICE_OK)
		return;
	text = json_dumps(status, JSON_COMPACT);
	json_decref(status);
	if (text && (!listener->status || strcmp(text, listener->status) != 0) &&
	    mailbox_put_snapshot(listener->mailbox, "status", text)) {
		free(listener->status);
		listener->status = text;
		text = NULL;
	}
	free(text);
}

/* ---- the thread ---- */

static void take_arrivals(struct feed *feed)
{
	while (feed->arrivals) {
		struct listener *listener = feed->arrivals;

		feed->arrivals = listener->next;
		feed->turned_us = 0;
		listener->next = feed->listeners;
		feed->listeners = listener;
	}
}

static void drop_closed(struct feed *feed)
{
	struct listener **at = &feed->listeners;

	while (*at) {
		struct listener *listener = *at;

		if (!mailbox_is_closed(listener->mailbox)) {
			at = &listener->next;
			continue;
		}
		*at = listener->next;
		listener_free(listener);
		pthread_mutex_lock(&feed->lock);
		feed->count--;
		pthread_mutex_unlock(&feed->lock);
	}
}

static void look_after(struct feed *feed, struct listener *listener)
{
	uint64_t now_us = clock_monotonic_us();

	if (now_us - listener->comment_us >= FEED_HEARTBEAT_MS * 1000ULL) {
		mailbox_put_comment(listener->mailbox);
		listener->comment_us = now_us;
	}
	if (now_us - listener->admitted_us >= ACCESS_MS * 1000ULL) {
		if (!access_lasts(feed->access, &listener->call, SERVICE_VIEWER))
			mailbox_end(listener->mailbox);
		listener->admitted_us = now_us;
	}
}

static void turn_worker_logs(struct feed *feed)
{
	feed->behind = false;
	for (struct listener *listener = feed->listeners; listener; listener = listener->next)
		if (listener->log && log_follower_turn(listener->log, feed->service, listener->mailbox))
			feed->behind = true;
}

static void turn(struct feed *feed)
{
	uint64_t now_us = clock_monotonic_us();

	drop_closed(feed);
	turn_worker_logs(feed);
	if (!feed->listeners || (feed->behind && now_us - feed->turned_us < FEED_TURN_MS * 1000ULL))
		return;
	feed->turned_us = now_us;
	turn_tasks(feed);
	for (int which = 0; which < CURSORS; which++)
		turn_log(feed, which);
	for (struct listener *listener = feed->listeners; listener; listener = listener->next) {
		if (!listener->log)
			tell_place(listener);
		if (listener->task && !listener->log)
			turn_status(feed, listener);
		if (listener->log && listener->log->gone)
			mailbox_end(listener->mailbox); /* its removal has been told, or it was before this stream's first turn */
		look_after(feed, listener);
	}
}

static struct timespec after_ms(uint32_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

/* Until somebody listens; then a pause between two turns, which an arrival ends. False: the end. */
static bool wait_for_turn(struct feed *feed)
{
	struct timespec until = after_ms(feed->behind ? FEED_BEHIND_MS : FEED_TURN_MS);
	bool ended;

	pthread_mutex_lock(&feed->lock);
	while (!feed->ended && feed->count == 0)
		pthread_cond_wait(&feed->changed, &feed->lock);
	while (!feed->ended && !feed->arrivals && pthread_cond_timedwait(&feed->changed, &feed->lock, &until) != ETIMEDOUT)
		;
	take_arrivals(feed);
	ended = feed->ended;
	pthread_mutex_unlock(&feed->lock);
	return !ended;
}

static void *run(void *owner)
{
	struct feed *feed = owner;

	while (wait_for_turn(feed))
		turn(feed);
	for (struct listener *listener = feed->listeners; listener; listener = listener->next)
		mailbox_end(listener->mailbox);
	return NULL;
}

struct feed *feed_new(struct service *service, struct access *access, uint32_t streams_max)
{
	struct feed *feed = memory_alloc_zero(1, sizeof(*feed));
	pthread_condattr_t monotonic;

	feed->service = service;
	feed->access = access;
	feed->streams_max = streams_max;
	feed->tasks = json_object();
	pthread_mutex_init(&feed->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&feed->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&feed->thread, NULL, run, feed) != 0) {
		fprintf(stderr, "keyferry: cannot start a thread\n");
		abort();
	}
	return feed;
}

void feed_end(struct feed *feed)
{
	bool already;

	pthread_mutex_lock(&feed->lock);
	already = feed->ended;
	feed->ended = true;
	pthread_cond_signal(&feed->changed);
	pthread_mutex_unlock(&feed->lock);
	if (!already)
		pthread_join(feed->thread, NULL);
}

void feed_free(struct feed *feed)
{
	feed_end(feed);
	take_arrivals(feed);
	while (feed->listeners) {
		struct listener *listener = feed->listeners;

		feed->listeners = listener->next;
		listener_free(listener);
	}
	json_decref(feed->tasks);
	pthread_cond_destroy(&feed->changed);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}
