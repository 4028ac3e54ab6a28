#include "api/mailbox.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

struct mailbox {
	pthread_mutex_t lock;
	struct buffer queue;
	bool ended, closed, asleep;
	void (*sleep)(void *owner);
	void (*wake)(void *owner);
	void *owner;
};

struct mailbox *mailbox_new(void)
{
	struct mailbox *mailbox = memory_alloc_zero(1, sizeof(*mailbox));

	pthread_mutex_init(&mailbox->lock, NULL);
	buffer_init(&mailbox->queue, MAILBOX_MAX);
	return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
	buffer_free(&mailbox->queue);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

static void wake(struct mailbox *mailbox)
{
	if (!mailbox->asleep)
		return;
	mailbox->asleep = false;
	mailbox->wake(mailbox->owner);
}

/* All of it or nothing: half an event would be glued to the next one. */
static bool put(struct mailbox *mailbox, const char *id, const char *event, const char *data, size_t most)
{
	size_t len = strlen(data) + strlen(event) + (id ? strlen(id) + 5 : 0) + 32;
	bool there;

	pthread_mutex_lock(&mailbox->lock);
	there = !mailbox->ended && !mailbox->closed && buffer_readable(&mailbox->queue).len + len <= most &&
		buffer_reserve(&mailbox->queue, len);
	if (there)
		there = (!id || buffer_printf(&mailbox->queue, "id: %s\n", id)) &&
			buffer_printf(&mailbox->queue, "event: %s\ndata: ", event) &&
			buffer_append(&mailbox->queue, data, strlen(data)) && buffer_append(&mailbox->queue, "\n\n", 2);
	if (there)
		wake(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
	return there;
}

bool mailbox_put_snapshot(struct mailbox *mailbox, const char *event, const char *data)
{
	return put(mailbox, NULL, event, data, MAILBOX_MAX / 2);
}

bool mailbox_put_event(struct mailbox *mailbox, const char *id, const char *event, const char *data)
{
	if (put(mailbox, id, event, data, MAILBOX_MAX))
		return true;
	mailbox_end(mailbox);
	return false;
}

bool mailbox_has_room(struct mailbox *mailbox)
{
	bool room;

	pthread_mutex_lock(&mailbox->lock);
	room = !mailbox->ended && !mailbox->closed && buffer_readable(&mailbox->queue).len < MAILBOX_MAX / 2;
	pthread_mutex_unlock(&mailbox->lock);
	return room;
}

bool mailbox_put_id(struct mailbox *mailbox, const char *id)
{
	bool there;

	pthread_mutex_lock(&mailbox->lock);
	there = !mailbox->ended && !mailbox->closed && buffer_readable(&mailbox->queue).len < MAILBOX_MAX / 2 &&
		buffer_printf(&mailbox->queue, "id: %s\n\n", id);
	if (there)
		wake(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
	return there;
}

void mailbox_put_comment(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	/* Where something waits, that will do. */
	if (!mailbox->ended && buffer_readable(&mailbox->queue).len == 0 && buffer_append(&mailbox->queue, ":\n\n", 3))
		wake(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
}

void mailbox_end(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->ended = true;
	wake(mailbox);
	pthread_mutex_unlock(&mailbox->lock);
}

bool mailbox_is_closed(struct mailbox *mailbox)
{
	bool closed;

	pthread_mutex_lock(&mailbox->lock);
	closed = mailbox->closed;
	pthread_mutex_unlock(&mailbox->lock);
	return closed;
}

void mailbox_attach(struct mailbox *mailbox, void (*sleep)(void *owner), void (*wake_up)(void *owner), void *owner)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->sleep = sleep;
	mailbox->wake = wake_up;
	mailbox->owner = owner;
	pthread_mutex_unlock(&mailbox->lock);
}

ssize_t mailbox_read(struct mailbox *mailbox, char *out, size_t max)
{
	struct slice waiting;
	ssize_t result;

	pthread_mutex_lock(&mailbox->lock);
	waiting = buffer_readable(&mailbox->queue);
	if (waiting.len > 0) {
		result = (ssize_t)(waiting.len < max ? waiting.len : max);
		memcpy(out, waiting.data, (size_t)result);
		buffer_consumed(&mailbox->queue, (size_t)result);
	} else if (mailbox->ended) {
		result = -1;
	} else {
		result = 0;
		mailbox->asleep = true;
		mailbox->sleep(mailbox->owner);
	}
	pthread_mutex_unlock(&mailbox->lock);
	return result;
}

void mailbox_close(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->lock);
	mailbox->closed = true;
	mailbox->asleep = false;
	pthread_mutex_unlock(&mailbox->lock);
}
