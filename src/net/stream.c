#include "net/stream.h"

#include "net/tls_context.h"
#include "net/transport.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define CONNECT_TIMEOUT_MS 10000
#define ADDRESSES_MAX 16 /* of one name; further ones are not tried */

enum stream_state { STREAM_LOOKUP, STREAM_CONNECTING, STREAM_HANDSHAKE, STREAM_OPEN, STREAM_DEAD };

/* The name look-up runs on a thread of libuv and cannot always be stopped: it outlives its stream if need be. */
struct lookup {
	uv_getaddrinfo_t uv;
	struct stream *stream; /* NULL: nobody waits any more */
};

/* Readiness of one descriptor; outlives the stream until libuv has closed it. */
struct poller {
	uv_poll_t uv;
	struct stream *stream;
};

struct address {
	struct sockaddr_storage sockaddr;
	socklen_t len;
};

struct stream {
	struct loop *loop;
	struct stream_events events;
	void *owner;
	enum stream_state state;
	bool want_read;
	bool want_write;
	bool drained; /* the last read found nothing */
	bool in_callback;
	bool freed; /* by stream_free() in a callback; the memory goes when the callback returns */

	struct endpoint endpoint;
	char peer[ENDPOINT_TEXT_MAX];
	enum error_kind blame;
	struct tls_context *tls;
	char *tls_name;

	struct lookup *lookup;
	struct address addresses[ADDRESSES_MAX];
	int address_count;
	int address_at;     /* the one being tried */
	char failures[512]; /* the addresses tried before and why each failed */

	uint32_t timeout_ms;
	uint64_t deadline_us; /* for all of connecting */
	struct timer *timer;
	struct idle *idle; /* starts connecting; later, hands out what TLS holds */
	int fd;            /* while connecting; then the transport's */
	struct poller *poller;
	int polled; /* uv_poll events now asked for */
	struct transport *transport;
};

static void stream_advance(struct stream *stream);

/* ---- callbacks to the owner ---- */

/* False: the stream was freed in the callback and must not be touched. */
static bool stream_tell(struct stream *stream, void (*callback)(void *owner))
{
	stream->in_callback = true;
	callback(stream->owner);
	stream->in_callback = false;
	if (!stream->freed)
		return true;
	free(stream);
	return false;
}

/* ---- readiness ---- */

static void poller_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void poller_fired(uv_poll_t *uv, int status, int events);

static void stream_poll(struct stream *stream, int events)
{
	if (events == stream->polled)
		return;
	stream->polled = events;
	if (events == 0)
		uv_poll_stop(&stream->poller->uv);
	else
		uv_poll_start(&stream->poller->uv, events, poller_fired);
}

static int needed_event(enum transport_need need)
{
	return need == NEED_WRITABLE ? UV_WRITABLE : UV_READABLE;
}

/* Asks for what the state needs. */
static void stream_poll_update(struct stream *stream)
{
	struct transport *transport = stream->transport;
	int events = 0;

	switch (stream->state) {
	case STREAM_CONNECTING: events = UV_WRITABLE; break;
	case STREAM_HANDSHAKE: events = needed_event(transport->write_need); break;
	case STREAM_OPEN:
		if (stream->want_read) {
			events |= needed_event(transport->read_need);
			if (!stream->drained && transport->ops->has_unread(transport))
				idle_start(stream->idle);
		}
		if (stream->want_write || transport->ops->has_unsent(transport))
			events |= needed_event(transport->write_need);
		break;
	case STREAM_LOOKUP:
	case STREAM_DEAD: return;
	}
	stream_poll(stream, events);
}

/* ---- ends ---- */

/* Lets go of descriptor and poller. */
static void stream_disconnect(struct stream *stream)
{
	if (stream->poller) {
		stream->poller->stream = NULL;
		uv_close((uv_handle_t *)&stream->poller->uv, poller_closed);
		stream->poller = NULL;
		stream->polled = 0;
	}
	if (stream->transport)
		stream->transport->ops->shutdown(stream->transport);
	else if (stream->fd >= 0)
		close(stream->fd);
	stream->transport = NULL;
	stream->fd = -1;
}

static void stream_die(struct stream *stream)
{
	stream_disconnect(stream);
	stream->state = STREAM_DEAD;
	if (stream->lookup) {
		stream->lookup->stream = NULL;
		uv_cancel((uv_req_t *)&stream->lookup->uv);
		stream->lookup = NULL;
	}
	timer_free(stream->timer);
	idle_free(stream->idle);
	stream->timer = NULL;
	stream->idle = NULL;
	free(stream->tls_name);
	stream->tls_name = NULL;
}

/* Dies with the error, to which the peer is added. The stream must not be touched afterwards. */
static void stream_fail(struct stream *stream, struct error *error)
{
	error->kind = stream->blame;
	error_prefix(error, "%s", stream->peer);
	stream_die(stream);
	stream->in_callback = true;
	stream->events.failed(stream->owner, error);
	stream->in_callback = false;
	if (stream->freed)
		free(stream);
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	assert(!stream->freed);
	if (stream->state != STREAM_DEAD)
		stream_die(stream);
	stream->freed = true;
	if (!stream->in_callback)
		free(stream);
}

/* ---- open ---- */

static void stream_opened(struct stream *stream)
{
	timer_stop(stream->timer);
	stream->state = STREAM_OPEN;
	if (stream_tell(stream, stream->events.connected) && stream->state == STREAM_OPEN)
		stream_poll_update(stream);
}

static void stream_handshake(struct stream *stream)
{
	struct error error;
	int done = stream->transport->ops->handshake(stream->transport, &error);

	if (done < 0)
		stream_fail(stream, &error);
	else if (done > 0)
		stream_opened(stream);
	else
		stream_poll_update(stream);
}

static void stream_ready(struct stream *stream, int events)
{
	struct transport *transport = stream->transport;
	bool can_read = events & needed_event(transport->read_need);
	bool can_write = events & needed_event(transport->write_need);
	struct error error;

	if (can_write && transport->ops->has_unsent(transport) && transport->ops->flush(transport, &error) < 0) {
		stream_fail(stream, &error);
		return;
	}
	if (can_read && stream->want_read) {
		stream->drained = false;
		if (!stream_tell(stream, stream->events.readable))
			return;
	}
	if (can_write && stream->state == STREAM_OPEN && stream->want_write && !transport->ops->has_unsent(transport) &&
	    !stream_tell(stream, stream->events.writable))
		return;
	if (stream->state == STREAM_OPEN)
		stream_poll_update(stream);
}

static void stream_idle(void *owner)
{
	struct stream *stream = owner;
	struct error error;

	if (stream->state == STREAM_LOOKUP && stream->address_count > 0) {
		stream_advance(stream);
	} else if (stream->state == STREAM_LOOKUP) {
		error_set(&error, stream->blame, "name not found");
		stream_fail(stream, &error);
	} else if (stream->state == STREAM_OPEN && stream->want_read && !stream->drained &&
		   stream->transport->ops->has_unread(stream->transport) && stream_tell(stream, stream->events.readable) &&
		   stream->state == STREAM_OPEN) {
		stream_poll_update(stream);
	}
}

ssize_t stream_read(struct stream *stream, void *out, size_t cap, struct error *error)
{
	ssize_t n;

	assert(stream->state == STREAM_OPEN);
	n = stream->transport->ops->read(stream->transport, out, cap, error);
	stream->drained = n == 0;
	if (n < 0) {
		error->kind = stream->blame;
		error_prefix(error, "%s", stream->peer);
		stream_die(stream);
	} else if (!stream->in_callback) {
		stream_poll_update(stream);
	}
	return n;
}

ssize_t stream_write(struct stream *stream, const struct iovec *pieces, int count, struct error *error)
{
	ssize_t n;

	assert(stream->state == STREAM_OPEN);
	n = stream->transport->ops->write(stream->transport, pieces, count, error);
	if (n < 0) {
		error->kind = stream->blame;
		error_prefix(error, "%s", stream->peer);
		stream_die(stream);
	} else if (!stream->in_callback) {
		stream_poll_update(stream);
	}
	return n;
}

void stream_want_read(struct stream *stream, bool on)
{
	stream->want_read = on;
	if (!stream->in_callback && stream->state == STREAM_OPEN)
		stream_poll_update(stream);
}

void stream_want_write(struct stream *stream, bool on)
{
	stream->want_write = on;
	if (!stream->in_callback && stream->state == STREAM_OPEN)
		stream_poll_update(stream);
}

const char *stream_peer(const struct stream *stream)
{
	return stream->peer;
}

/* ---- connecting ---- */

static const char *address_text(const struct address *address, char out[INET6_ADDRSTRLEN])
{
	out[0] = '\0';
	if (address->sockaddr.ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->sockaddr)->sin_addr, out, INET6_ADDRSTRLEN);
	else if (address->sockaddr.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&address->sockaddr)->sin6_addr, out, INET6_ADDRSTRLEN);
	return out;
}

/* The address at hand failed: on to the next, or the end. */
static void stream_next_address(struct stream *stream, const char *reason)
{
	struct error error;
	char text[INET6_ADDRSTRLEN];
	size_t used = strlen(stream->failures);

	stream_disconnect(stream);
	if (stream->address_count == 1) {
		error_set(&error, stream->blame, "%s", reason);
		stream_fail(stream, &error);
		return;
	}
	snprintf(stream->failures + used, sizeof(stream->failures) - used, "%s%s: %s", used > 0 ? "; " : "",
		 address_text(&stream->addresses[stream->address_at], text), reason);
	if (++stream->address_at < stream->address_count) {
		stream_advance(stream);
		return;
	}
	error_set(&error, stream->blame, "%s", stream->failures);
	stream_fail(stream, &error);
}

static void stream_set_options(int fd, int family)
{
	int on = 1;
	int idle = 30;
	int interval = 10;
	int probes = 3;

	if (family == AF_UNIX)
		return;
	/* A failure here costs speed or a late notice of a dead peer, not correctness. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* Tries the address at hand. Those after it keep their share of the time, so that one that swallows packets does
 * not use it up. */
static void stream_advance(struct stream *stream)
{
	struct address *address = &stream->addresses[stream->address_at];
	uint64_t now = clock_monotonic_us();
	uint64_t left_ms = stream->deadline_us > now ? (stream->deadline_us - now) / 1000 : 0;
	struct poller *poller;
	char reason[REASON_MAX];
	int errnum;

	stream->state = STREAM_CONNECTING;
	stream->fd = socket(address->sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd < 0) {
		stream_next_address(stream, transport_reason(errno, reason));
		return;
	}
	stream_set_options(stream->fd, address->sockaddr.ss_family);
	if (connect(stream->fd, (struct sockaddr *)&address->sockaddr, address->len) < 0 && errno != EINPROGRESS) {
		stream_next_address(stream, transport_reason(errno, reason));
		return;
	}
	poller = memory_alloc_zero(1, sizeof(*poller));
	poller->stream = stream;
	poller->uv.data = poller;
	errnum = uv_poll_init(loop_handle(stream->loop), &poller->uv, stream->fd);
	if (errnum < 0) {
		free(poller);
		stream_next_address(stream, transport_reason(-errnum, reason));
		return;
	}
	stream->poller = poller;
	timer_start(stream->timer, left_ms / (uint64_t)(stream->address_count - stream->address_at));
	stream_poll_update(stream);
}

/* On loopback a socket can be given the very port it connects to, when nobody listens there, and then meets itself. */
static bool is_connected_to_itself(int fd)
{
	struct sockaddr_storage own = {0}, other = {0};
	socklen_t own_len = sizeof(own), other_len = sizeof(other);

	return getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 &&
	       getpeername(fd, (struct sockaddr *)&other, &other_len) == 0 && own.ss_family != AF_UNIX && own_len == other_len &&
	       memcmp(&own, &other, own_len) == 0;
}

static void stream_connect_done(struct stream *stream)
{
	int errnum = 0;
	socklen_t len = sizeof(errnum);
	uint64_t now = clock_monotonic_us();
	const char *name = NULL;
	char reason[REASON_MAX];

	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
		errnum = errno;
	if (errnum == 0 && is_connected_to_itself(stream->fd))
		errnum = ECONNREFUSED;
	if (errnum != 0) {
		stream_next_address(stream, transport_reason(errnum, reason));
		return;
	}
	timer_start(stream->timer, stream->deadline_us > now ? (stream->deadline_us - now) / 1000 : 0);
	if (!stream->tls) {
		stream->transport = transport_plain(stream->fd);
		stream_opened(stream);
		return;
	}
	if (stream->tls_name)
		name = stream->tls_name;
	else if (stream->tls->server_name)
		name = stream->tls->server_name;
	else if (!endpoint_is_unix(&stream->endpoint))
		name = stream->endpoint.host;
	stream->transport = transport_tls(stream->fd, stream->tls, name, stream->blame);
	stream->state = STREAM_HANDSHAKE;
	stream_handshake(stream);
}

static void poller_fired(uv_poll_t *uv, int status, int events)
{
	struct stream *stream = ((struct poller *)uv->data)->stream;

	if (status < 0) {
		/* The socket has an error, libuv has stopped polling, and the step that waits finds out which error. */
		events = UV_READABLE | UV_WRITABLE;
		stream->polled = 0;
	}
	if (stream->state == STREAM_CONNECTING)
		stream_connect_done(stream);
	else if (stream->state == STREAM_HANDSHAKE)
		stream_handshake(stream);
	else
		stream_ready(stream, events);
}

static void stream_timeout(void *owner)
{
	struct stream *stream = owner;
	struct error error;

	if (stream->state == STREAM_CONNECTING && stream->address_count > 1) {
		stream_next_address(stream, "timed out");
		return;
	}
	error_set(&error, stream->blame, "timed out after %g s while %s", stream->timeout_ms / 1000.0,
		  stream->state == STREAM_LOOKUP      ? "looking up the name"
		  : stream->state == STREAM_HANDSHAKE ? "waiting for the TLS handshake"
						      : "connecting");
	if (stream->state == STREAM_HANDSHAKE)
		error_hint(&error, "does the server speak TLS on this port?");
	stream_fail(stream, &error);
}

/* Keeps the addresses of a finished look-up. */
static void stream_take_addresses(struct stream *stream, const struct addrinfo *list)
{
	for (; list && stream->address_count < ADDRESSES_MAX; list = list->ai_next) {
		struct address *address = &stream->addresses[stream->address_count];

		if ((list->ai_family != AF_INET && list->ai_family != AF_INET6) || list->ai_addrlen > sizeof(address->sockaddr))
			continue;
		memcpy(&address->sockaddr, list->ai_addr, list->ai_addrlen);
		address->len = list->ai_addrlen;
		stream->address_count++;
	}
}

static void lookup_done(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
	struct lookup *lookup = uv->data;
	struct stream *stream = lookup->stream;
	struct error error;

	free(lookup);
	if (stream) {
		stream->lookup = NULL;
		if (status == 0)
			stream_take_addresses(stream, list);
	}
	uv_freeaddrinfo(list);
	if (!stream)
		return;
	if (stream->address_count > 0) {
		stream_advance(stream);
		return;
	}
	if (status == UV_EAI_NONAME || status == UV_EAI_NODATA || status == 0)
		error_set(&error, stream->blame, "name not found");
	else
		error_set(&error, stream->blame, "looking up the name: %s", uv_strerror(status));
	stream_fail(stream, &error);
}

/* An address in digits needs no look-up, nor does a path. */
static bool stream_resolve_at_once(struct stream *stream)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char port[8];

	if (endpoint_is_unix(&stream->endpoint)) {
		struct sockaddr_un *path = (struct sockaddr_un *)&stream->addresses[0].sockaddr;

		path->sun_family = AF_UNIX;
		snprintf(path->sun_path, sizeof(path->sun_path), "%s", stream->endpoint.host);
		stream->addresses[0].len = sizeof(*path);
		stream->address_count = 1;
		return true;
	}
	snprintf(port, sizeof(port), "%u", stream->endpoint.port);
	if (getaddrinfo(stream->endpoint.host, port, &hints, &list) != 0)
		return false;
	stream_take_addresses(stream, list);
	freeaddrinfo(list);
	return stream->address_count > 0;
}

static void stream_start_lookup(struct stream *stream)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct lookup *lookup = memory_alloc_zero(1, sizeof(*lookup));
	char port[8];

	snprintf(port, sizeof(port), "%u", stream->endpoint.port);
	lookup->uv.data = lookup;
	lookup->stream = stream;
	stream->lookup = lookup;
	if (uv_getaddrinfo(loop_handle(stream->loop), &lookup->uv, lookup_done, stream->endpoint.host, port, &hints) < 0) {
		/* The name is none that could be looked up. The outcome comes later, as always: from the idle callback. */
		stream->lookup = NULL;
		free(lookup);
		idle_start(stream->idle);
	}
}

struct stream *stream_connect(struct loop *loop, const struct stream_options *options, const struct stream_events *events,
			      void *owner)
{
	struct stream *stream = memory_alloc_zero(1, sizeof(*stream));

	stream->loop = loop;
	stream->events = *events;
	stream->owner = owner;
	stream->state = STREAM_LOOKUP;
	stream->want_read = true;
	stream->fd = -1;
	stream->endpoint = options->endpoint;
	endpoint_format(&stream->endpoint, stream->peer);
	stream->blame = options->blame;
	stream->tls = options->tls;
	stream->tls_name = options->tls_name ? memory_strdup(options->tls_name) : NULL;
	stream->timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_TIMEOUT_MS;
	stream->deadline_us = clock_monotonic_us() + (uint64_t)stream->timeout_ms * 1000;
	stream->timer = timer_new(loop, stream_timeout, stream);
	stream->idle = idle_new(loop, stream_idle, stream);
	timer_start(stream->timer, stream->timeout_ms);
	if (stream_resolve_at_once(stream))
		idle_start(stream->idle);
	else
		stream_start_lookup(stream);
	return stream;
}
