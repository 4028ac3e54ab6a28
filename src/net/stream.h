/* A byte stream to a peer: TCP, unix socket, TLS over either, or the simulator's, behind one table.
 *
 * Readiness style: the owner is told when it may read or write and then moves bytes with stream_read() and
 * stream_write() straight from and to its own memory; the stream buffers nothing (TLS aside) and allocates
 * nothing per call.
 *
 *   connecting --connected()--> open --failed(error)--> dead      stream_free() at any point, also in a callback
 *
 * After failed() nothing else is called. Failure texts name the peer's address and say what happened
 * ("10.0.0.1:6379: connection refused").
 * Thread: that of its loop. */
#ifndef KEYFERRY_NET_STREAM_H
#define KEYFERRY_NET_STREAM_H

#include "net/endpoint.h"
#include "net/loop.h"
#include "net/tls.h"

#include <sys/types.h>
#include <sys/uio.h>

struct stream;

struct stream_events {
	void (*connected)(void *owner);                         /* TLS handshake included */
	void (*readable)(void *owner);                          /* level-triggered while stream_want_read() is on */
	void (*writable)(void *owner);                          /* level-triggered while stream_want_write() is on */
	void (*failed)(void *owner, const struct error *error); /* kind is the `blame` below */
};

struct stream_options {
	struct endpoint endpoint;
	struct tls_context *tls;     /* NULL: plain */
	const char *tls_name;        /* name to verify; NULL: endpoint.host */
	uint32_t connect_timeout_ms; /* name look-up, connect and TLS handshake together; 0: 10,000 */
	enum error_kind blame;       /* kind of the errors: ERROR_SOURCE or ERROR_TARGET */
};

/* Starts connecting; the outcome always comes later, by callback. TCP keep-alive and no-delay are set. */
struct stream *stream_connect(struct loop *loop, const struct stream_options *options, const struct stream_events *events,
			      void *owner);
void stream_free(struct stream *stream); /* closes; NULL is fine */

/* Reads at most cap bytes. > 0 bytes read; 0 nothing now; -1 the stream is dead, *error says why (the peer
 * closing is "closed the connection"); failed() is then not called any more. */
ssize_t stream_read(struct stream *stream, void *out, size_t cap, struct error *error) WARN_UNUSED;
/* Writes what the peer takes now. >= 0 bytes taken (0: none now); -1 as above. At most IOV_MAX pieces. */
ssize_t stream_write(struct stream *stream, const struct iovec *pieces, int count, struct error *error) WARN_UNUSED;

/* Reading is wanted from the start, writing is not. TLS may hold decrypted bytes: readable() is called again
 * until stream_read() has answered 0. */
void stream_want_read(struct stream *stream, bool on);
void stream_want_write(struct stream *stream, bool on);

/* The peer's address as text, for messages. Valid as long as the stream. */
const char *stream_peer(const struct stream *stream);

#endif
