/* The network between keyferry and the model servers. Stands in for net/stream.h at link time.
 *
 *   stream (keyferry's end) ==> up   wire: bytes on their way, then bytes that have arrived ==> server
 *                           <== down wire                                                    <==
 *
 * A wire keeps the order of its bytes and nothing else: they leave in the pieces that fit, arrive in others, after delays of
 * their own, and each read and write moves as much as chance says. Closing is a mark behind the bytes sent; so what a server
 * was sent before its client went away it still reads, and executes, when it comes to it. A cut connection loses a part of
 * what is on its way, in each direction another one. A silent one loses everything from then on, and neither end is told.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_NETWORK_H
#define KEYFERRY_TESTS_SIM_NETWORK_H

#include "base/slice.h"
#include "net/endpoint.h"

struct connection; /* the server's view of one */

/* A listener at an endpoint. */
struct host {
	struct endpoint endpoint;
	/* What a new connection finds: accepted, refused, or no answer at all. */
	enum host_state { HOST_UP, HOST_DOWN, HOST_UNREACHABLE } state;
	void (*accepted)(void *owner, struct connection *connection);
	/* Bytes are there to be read, or the end is. */
	void (*readable)(void *owner, struct connection *connection);
	/* There is room again after connection_write() took less than all. */
	void (*writable)(void *owner, struct connection *connection);
	void *owner;
	uint64_t delay_us; /* of one way, on average */
};

void network_begin(void);
void network_add(struct host *host);
/* Frees all that is left of both ends. */
void network_end(void);

/* Of the server's end. */
void connection_set_session(struct connection *connection, void *session);
void *connection_session(const struct connection *connection);
const char *connection_address(const struct connection *connection); /* "10.9.0.1:40001" */
/* 0: nothing now, -1: the client has closed, or the connection was cut. */
long connection_read(struct connection *connection, void *out, size_t cap);
/* Bytes taken; what does not fit is to be offered again at writable(). */
size_t connection_write(struct connection *connection, const void *data, size_t len);
/* The server closes. What it has written still arrives. The pointer is dead afterwards. */
void connection_close(struct connection *connection);
/* The same of a server that has died. */
void connection_abort(struct connection *connection);

/* ---- faults ---- */

/* Keyferry's process is gone: the kernel closes its ends. */
void network_drop_client(void);
/* One of the open connections to the host (NULL: to any), by chance; its ends find out on their own. False: there is none. */
bool network_cut(const struct host *host);
bool network_silence(const struct host *host);
void network_cut_all(const struct host *host);
unsigned network_connections(const struct host *host);

#endif
