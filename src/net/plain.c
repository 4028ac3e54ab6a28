#include "net/transport.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *transport_reason(int errnum, char out[REASON_MAX])
{
	char room[REASON_MAX];

	snprintf(out, REASON_MAX, "%s", strerror_r(errnum, room, sizeof(room)));
	if (out[0] >= 'A' && out[0] <= 'Z' && out[1] >= 'a' && out[1] <= 'z')
		out[0] = (char)(out[0] + 'a' - 'A');
	return out;
}

static bool errno_is_transient(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int plain_handshake(struct transport *transport, struct error *error)
{
	(void)transport;
	(void)error;
	return 1;
}

static ssize_t plain_read(struct transport *transport, void *out, size_t cap, struct error *error)
{
	char reason[REASON_MAX];
	ssize_t n = recv(transport->fd, out, cap, 0);

	if (n > 0)
		return n;
	if (n < 0 && errno_is_transient())
		return 0;
	if (n == 0 && cap == 0)
		return 0;
	if (n == 0)
		error_set(error, ERROR_INTERNAL, "closed the connection");
	else
		error_set(error, ERROR_INTERNAL, "%s", transport_reason(errno, reason));
	return -1;
}

static ssize_t plain_write(struct transport *transport, const struct iovec *pieces, int count, struct error *error)
{
	/* writev() would raise SIGPIPE; sendmsg() can be told not to. It only reads the pieces. */
	struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
	char reason[REASON_MAX];
	ssize_t n = sendmsg(transport->fd, &message, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	if (errno_is_transient())
		return 0;
	if (errno == EPIPE)
		error_set(error, ERROR_INTERNAL, "closed the connection");
	else
		error_set(error, ERROR_INTERNAL, "%s", transport_reason(errno, reason));
	return -1;
}

static int plain_flush(struct transport *transport, struct error *error)
{
	(void)transport;
	(void)error;
	return 1;
}

static bool plain_has_none(const struct transport *transport)
{
	(void)transport;
	return false;
}

static void plain_shutdown(struct transport *transport)
{
	close(transport->fd);
	free(transport);
}

static const struct transport_ops plain_ops = {
	.handshake = plain_handshake,
	.read = plain_read,
	.write = plain_write,
	.flush = plain_flush,
	.has_unsent = plain_has_none,
	.has_unread = plain_has_none,
	.shutdown = plain_shutdown,
};

struct transport *transport_plain(int fd)
{
	struct transport *transport = memory_alloc_zero(1, sizeof(*transport));

	*transport = (struct transport){&plain_ops, fd, NEED_READABLE, NEED_WRITABLE};
	return transport;
}
