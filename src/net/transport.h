/* How the bytes of a stream travel once its socket is connected: plain, or inside TLS. For net/ alone.
 *
 * A transport owns its descriptor. Errors say what happened without the peer's name, which the stream adds.
 * Thread: that of its stream. */
#ifndef KEYFERRY_NET_TRANSPORT_H
#define KEYFERRY_NET_TRANSPORT_H

#include "net/tls.h"

#include <sys/types.h>
#include <sys/uio.h>

/* What the descriptor must become before the same step is worth trying again. They differ from the step's own direction only
 * while TLS exchanges keys: a read may have to write first, and the other way round. */
enum transport_need { NEED_READABLE, NEED_WRITABLE };

struct transport {
	const struct transport_ops *ops;
	int fd;
	enum transport_need read_need;
	enum transport_need write_need; /* also that of handshake and flush */
};

struct transport_ops {
	/* 1 open, 0 wait for write_need, -1 failed. */
	int (*handshake)(struct transport *transport, struct error *error);
	/* As stream_read() and stream_write(). */
	ssize_t (*read)(struct transport *transport, void *out, size_t cap, struct error *error);
	ssize_t (*write)(struct transport *transport, const struct iovec *pieces, int count, struct error *error);
	/* Bytes that were taken from the writer and not yet by the descriptor: sends them. 1 none left, 0 some, -1 failed. */
	int (*flush)(struct transport *transport, struct error *error);
	bool (*has_unsent)(const struct transport *transport);
	/* Bytes that were taken from the descriptor and not yet by the reader. */
	bool (*has_unread)(const struct transport *transport);
	/* Says goodbye where the protocol has a word for it, closes the descriptor and frees. */
	void (*shutdown)(struct transport *transport);
};

/* strerror() for the middle of a line: "connection refused". Returns out. */
#define REASON_MAX 128
const char *transport_reason(int errnum, char out[REASON_MAX]);

struct transport *transport_plain(int fd);
/* `name`: host name or address that the certificate must be for; NULL: the chain alone is verified. */
struct transport *transport_tls(int fd, struct tls_context *context, const char *name, enum error_kind blame);

#endif
