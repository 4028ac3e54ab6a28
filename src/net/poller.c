#include "net/poller.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* Closed by libuv some turns later, so it lives in memory of its own that the close callback frees. */
struct poller {
	uv_poll_t uv;
	void (*callback)(void *owner, int ready);
	void *owner;
};

static void must(int result)
{
	if (result < 0) {
		fprintf(stderr, "keyferry: a descriptor cannot be waited for: %s\n", uv_strerror(result));
		abort();
	}
}

static void on_ready(uv_poll_t *uv, int status, int events)
{
	struct poller *poller = uv->data;

	if (status < 0)
		events = UV_READABLE;
	poller->callback(poller->owner, ((events & UV_READABLE) ? POLLER_READ : 0) | ((events & UV_WRITABLE) ? POLLER_WRITE : 0));
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct poller *poller_new(struct loop *loop, int fd, void (*callback)(void *owner, int ready), void *owner)
{
	struct poller *poller = memory_alloc_zero(1, sizeof(*poller));

	poller->callback = callback;
	poller->owner = owner;
	must(uv_poll_init(loop_handle(loop), &poller->uv, fd));
	poller->uv.data = poller;
	return poller;
}

void poller_start(struct poller *poller, int what)
{
	must(uv_poll_start(&poller->uv, ((what & POLLER_READ) ? UV_READABLE : 0) | ((what & POLLER_WRITE) ? UV_WRITABLE : 0),
			   on_ready));
}

void poller_stop(struct poller *poller)
{
	uv_poll_stop(&poller->uv);
}

void poller_free(struct poller *poller)
{
	if (poller)
		uv_close((uv_handle_t *)&poller->uv, on_closed);
}
