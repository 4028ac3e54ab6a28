#include "service/worker_line.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "control/control_socket.h"
#include "control/json_server.h"
#include "net/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PENDING_MAX 16
#define READ_STEP (64u << 10)

struct worker_line {
	int fd;
	struct poller *poller;
	struct buffer in, out;
	const struct worker_line_events *events;
	void *owner;
	struct pending {
		enum worker_request request;
		int64_t sent_ms;
	} pending[PENDING_MAX];
	unsigned count;
	bool closed;
};

static void close_line(struct worker_line *line)
{
	if (line->closed)
		return;
	line->closed = true;
	poller_stop(line->poller);
	line->events->closed(line->owner);
}

static bool send_rest(struct worker_line *line)
{
	while (buffer_readable(&line->out).len > 0) {
		struct slice rest = buffer_readable(&line->out);
		ssize_t sent = send(line->fd, rest.data, rest.len, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (sent <= 0)
			return false;
		buffer_consumed(&line->out, (size_t)sent);
	}
	return true;
}

static bool tell_answer(struct worker_line *line, struct slice text)
{
	json_t *answer = json_loadb((const char *)text.data, text.len, 0, NULL);
	struct pending first = line->pending[0];

	if (!answer || line->count == 0) {
		json_decref(answer);
		return false;
	}
	line->count--;
	memmove(line->pending, line->pending + 1, line->count * sizeof(line->pending[0]));
	line->events->answered(line->owner, first.request, answer, first.sent_ms);
	json_decref(answer);
	return true;
}

static bool read_answers(struct worker_line *line)
{
	ssize_t got = 1;

	while (got > 0) {
		size_t room;
		uint8_t *to;

		if (!buffer_reserve(&line->in, READ_STEP))
			return false;
		to = buffer_room(&line->in, &room);
		got = recv(line->fd, to, room, 0);
		if (got > 0)
			buffer_produced(&line->in, (size_t)got);
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		return false;
	while (true) {
		struct slice have = buffer_readable(&line->in);
		const uint8_t *end = have.len ? memchr(have.data, '\n', have.len) : NULL;
		size_t len = end ? (size_t)(end - have.data) : 0;

		if (!end)
			return true;
		if (!tell_answer(line, slice_make(have.data, len)) || line->closed)
			return false;
		buffer_consumed(&line->in, len + 1);
	}
}

static void on_ready(void *owner, int ready)
{
	struct worker_line *line = owner;

	if (((ready & POLLER_READ) && !read_answers(line)) || !send_rest(line))
		close_line(line);
	else
		poller_start(line->poller, POLLER_READ | (buffer_readable(&line->out).len > 0 ? POLLER_WRITE : 0));
}

struct worker_line *worker_line_open(struct loop *loop, const char *data_dir, const struct worker_line_events *events,
				     void *owner, pid_t *ret_pid)
{
	int pid, fd = json_server_connect(data_dir, CONTROL_NAME, &pid);
	struct worker_line *line;

	if (fd < 0)
		return NULL;
	line = memory_alloc_zero(1, sizeof(*line));
	line->fd = fd;
	line->events = events;
	line->owner = owner;
	buffer_init(&line->in, JSON_ANSWER_MAX + READ_STEP);
	buffer_init(&line->out, PENDING_MAX * CONTROL_REQUEST_MAX);
	line->poller = poller_new(loop, fd, on_ready, line);
	poller_start(line->poller, POLLER_READ);
	*ret_pid = pid;
	return line;
}

void worker_line_free(struct worker_line *line)
{
	if (!line)
		return;
	poller_free(line->poller);
	close(line->fd);
	buffer_free(&line->in);
	buffer_free(&line->out);
	free(line);
}

void worker_line_ask(struct worker_line *line, enum worker_request request, json_t *tree)
{
	char *text = line->count < PENDING_MAX && !line->closed ? json_dumps(tree, JSON_COMPACT) : NULL;

	if (text && buffer_printf(&line->out, "%s\n", text)) {
		line->pending[line->count++] = (struct pending){request, clock_wall_ms()};
		/* What does not go off now is sent by the poller, which also finds out what is broken. */
		if (send_rest(line) && buffer_readable(&line->out).len > 0)
			poller_start(line->poller, POLLER_READ | POLLER_WRITE);
	}
	free(text);
	json_decref(tree);
}

unsigned worker_line_pending(const struct worker_line *line)
{
	return line->count;
}
