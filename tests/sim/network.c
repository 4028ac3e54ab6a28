#include "network.h"

#include "base/memory.h"
#include "net/stream.h"
#include "process.h"
#include "world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define HOSTS_MAX 32
#define WINDOW_MOST (256u << 10)
#define FORGOTTEN_MS 60000 /* a server learns after this time at the most that a silent client is gone */

/* `count` bytes, or the end of the bytes, that arrive at `at`. */
struct parcel {
	uint64_t at;
	size_t count;
	bool end;
};

struct wire {
	uint8_t *data;
	size_t start, arrived, sent, room; /* [start, arrived) can be read, [arrived, sent) is on its way */
	struct parcel *parcels;
	size_t parcel_start, parcel_count, parcel_room;
	size_t window; /* at most so much is not read yet */
	bool ended;    /* the end has arrived */
	bool closing;  /* the end was sent */
	bool silent;
	bool writer_waits;
	struct occasion arrival;
	struct connection *connection;
};

struct connection {
	struct connection *next;
	struct host *host;
	void *session;
	char address[32];
	struct wire up, down;
	struct stream *stream;  /* NULL: the client has let go of it */
	bool served;            /* the server has been told of it and has not closed it */
	struct occasion notice; /* for the server: it is readable, or writable */
	struct occasion forget;
};

enum stream_state { STREAM_CONNECTING, STREAM_OPEN, STREAM_DEAD };

struct stream {
	struct stream_events events;
	void *owner;
	struct stream_options options;
	char peer[ENDPOINT_TEXT_MAX];
	enum stream_state state;
	bool want_read, want_write;
	bool in_callback, freed;
	bool refused; /* what the connecting ends in */
	struct connection *connection;
	struct loop_occasion turn;
};

static struct {
	struct host *hosts[HOSTS_MAX];
	unsigned host_count;
	struct connection *connections;
	unsigned ports;
} network;

/* ---- wires ---- */

static void server_notice(struct connection *connection, uint64_t delay_us);
static void stream_turn_soon(struct stream *stream);

static void wire_arrived(void *owner)
{
	struct wire *wire = owner;
	struct connection *connection = wire->connection;

	while (wire->parcel_count > 0 && !wire->ended) {
		struct parcel *parcel = &wire->parcels[wire->parcel_start];

		if (parcel->at > world_now()) {
			occasion_plan(&wire->arrival, parcel->at);
			break;
		}
		wire->arrived += parcel->count;
		wire->ended |= parcel->end;
		wire->parcel_start++;
		wire->parcel_count--;
	}
	if (wire == &connection->up)
		server_notice(connection, chance_between(1, 60));
	else if (connection->stream)
		stream_turn_soon(connection->stream);
}

static void wire_send(struct wire *wire, size_t count, bool end)
{
	uint64_t delay = wire->connection->host->delay_us;
	uint64_t at = world_now() + delay / 2 + chance_below(delay + 1);

	if (chance_of(1))
		at += chance_below(200 * MS); /* sent again by TCP */
	if (wire->silent)
		return;
	if (wire->parcel_count > 0 && wire->parcels[wire->parcel_start + wire->parcel_count - 1].at > at)
		at = wire->parcels[wire->parcel_start + wire->parcel_count - 1].at;
	if (wire->parcel_start > 0 && wire->parcel_count == 0)
		wire->parcel_start = 0;
	if (wire->parcel_start + wire->parcel_count == wire->parcel_room) {
		wire->parcel_room = wire->parcel_room ? wire->parcel_room * 2 : 16;
		wire->parcels = memory_realloc_array(wire->parcels, wire->parcel_room, sizeof(*wire->parcels));
	}
	wire->parcels[wire->parcel_start + wire->parcel_count++] = (struct parcel){at, count, end};
	if (!occasion_planned(&wire->arrival))
		occasion_plan(&wire->arrival, at);
}

static size_t wire_write(struct wire *wire, const void *data, size_t len)
{
	size_t used = wire->sent - wire->start, room = wire->window > used ? wire->window - used : 0;

	if (wire->closing || wire->silent)
		return len; /* into nowhere */
	if (len > room)
		len = room;
	if (len > 1 && chance_of(10))
		len = 1 + (size_t)chance_below(len);
	if (len == 0) {
		wire->writer_waits = true;
		return 0;
	}
	if (wire->sent + len > wire->room) {
		if (used > 0)
			memmove(wire->data, wire->data + wire->start, used);
		wire->arrived -= wire->start;
		wire->sent -= wire->start;
		wire->start = 0;
		if (wire->sent + len > wire->room) {
			wire->room = (wire->sent + len) * 2;
			wire->data = memory_realloc(wire->data, wire->room);
		}
	}
	memcpy(wire->data + wire->sent, data, len);
	wire->sent += len;
	wire_send(wire, len, false);
	return len;
}

static size_t wire_read(struct wire *wire, void *out, size_t cap)
{
	size_t len = wire->arrived - wire->start;

	if (len > cap)
		len = cap;
	if (len > 1 && chance_of(10))
		len = 1 + (size_t)chance_below(len);
	if (len > 0)
		memcpy(out, wire->data + wire->start, len);
	wire->start += len;
	return len;
}

static bool wire_readable(const struct wire *wire)
{
	return wire->arrived > wire->start || wire->ended;
}

static void wire_close(struct wire *wire)
{
	if (wire->closing)
		return;
	wire->closing = true;
	wire_send(wire, 0, true);
}

/* Some last part of what is on its way is lost, and the end follows the rest. */
static void wire_cut(struct wire *wire)
{
	size_t kept = (size_t)chance_below(wire->parcel_count + 1);

	while (wire->parcel_count > kept)
		wire->sent -= wire->parcels[wire->parcel_start + --wire->parcel_count].count;
	if (wire->parcel_count > 0 && chance_of(50)) {
		struct parcel *last = &wire->parcels[wire->parcel_start + wire->parcel_count - 1];
		size_t part = (size_t)chance_below(last->count + 1);

		wire->sent -= last->count - part;
		last->count = part;
	}
	wire->closing = false;
	wire_close(wire);
}

/* The same for what goes to the server, where the rest may also be long on its way: TCP sends again what was lost, the
 * client has long given up, and a new connection overtakes it. */
static void wire_cut_up(struct wire *wire)
{
	uint64_t late = chance_of(40) ? chance_below(3 * SECOND) : 0;

	wire_cut(wire);
	for (size_t i = wire->parcel_start; late > 0 && i < wire->parcel_start + wire->parcel_count; i++)
		wire->parcels[i].at += late;
	if (late > 0 && wire->parcel_count > 0)
		occasion_plan(&wire->arrival, wire->parcels[wire->parcel_start].at);
}

static void wire_init(struct wire *wire, struct connection *connection)
{
	wire->connection = connection;
	wire->window = chance_of(20) ? (size_t)chance_between(512, 8192) : WINDOW_MOST;
	occasion_init(&wire->arrival, wire_arrived, wire);
}

static void wire_free(struct wire *wire)
{
	occasion_cancel(&wire->arrival);
	free(wire->data);
	free(wire->parcels);
}

/* ---- connections ---- */

static void connection_free(struct connection *connection)
{
	for (struct connection **at = &network.connections; *at; at = &(*at)->next) {
		if (*at == connection) {
			*at = connection->next;
			break;
		}
	}
	occasion_cancel(&connection->notice);
	occasion_cancel(&connection->forget);
	wire_free(&connection->up);
	wire_free(&connection->down);
	free(connection);
}

static void connection_release(struct connection *connection)
{
	if (!connection->stream && !connection->served)
		connection_free(connection);
}

static void on_notice(void *owner)
{
	struct connection *connection = owner;
	struct host *host = connection->host;

	if (!connection->served)
		return;
	if (connection->down.writer_waits && connection->down.sent - connection->down.start < connection->down.window) {
		connection->down.writer_waits = false;
		host->writable(host->owner, connection);
		if (wire_readable(&connection->up))
			occasion_plan_in(&connection->notice, 1);
		return;
	}
	host->readable(host->owner, connection);
}

static void server_notice(struct connection *connection, uint64_t delay_us)
{
	if (connection->served && !occasion_planned(&connection->notice))
		occasion_plan_in(&connection->notice, delay_us);
}

static void on_forgotten(void *owner)
{
	struct connection *connection = owner;

	connection->up.ended = true;
	server_notice(connection, 1);
}

void connection_set_session(struct connection *connection, void *session)
{
	connection->session = session;
}

void *connection_session(const struct connection *connection)
{
	return connection->session;
}

const char *connection_address(const struct connection *connection)
{
	return connection->address;
}

long connection_read(struct connection *connection, void *out, size_t cap)
{
	struct wire *wire = &connection->up;
	size_t len = wire_read(wire, out, cap);

	if (len > 0 && connection->stream)
		stream_turn_soon(connection->stream);
	if (len > 0 && wire_readable(wire))
		server_notice(connection, chance_between(1, 20));
	return len > 0 ? (long)len : wire->ended ? -1 : 0;
}

size_t connection_write(struct connection *connection, const void *data, size_t len)
{
	size_t taken = 0, part;

	while (taken < len && (part = wire_write(&connection->down, (const uint8_t *)data + taken, len - taken)) > 0)
		taken += part;
	return taken;
}

void connection_close(struct connection *connection)
{
	connection->served = false;
	connection->session = NULL;
	wire_close(&connection->down);
	/* What the client goes on sending finds nobody. */
	connection->up.closing = true;
	connection_release(connection);
}

void connection_abort(struct connection *connection)
{
	wire_cut(&connection->down);
	connection_close(connection);
}

/* ---- net/stream.h ---- */

static void stream_die(struct stream *stream, const char *why)
{
	struct error error;

	stream->state = STREAM_DEAD;
	error_set(&error, stream->options.blame, "%s: %s", stream->peer, why);
	stream->events.failed(stream->owner, &error);
}

static void open_connection(struct stream *stream)
{
	struct connection *connection = stream->connection;
	struct host *host = connection->host;

	stream->state = STREAM_OPEN;
	connection->served = true;
	trace("net %s connects to %s", connection->address, stream->peer);
	host->accepted(host->owner, connection);
	stream->events.connected(stream->owner);
}

static bool stream_can_read(const struct stream *stream)
{
	return stream->state == STREAM_OPEN && stream->want_read && wire_readable(&stream->connection->down);
}

static bool stream_can_write(const struct stream *stream)
{
	const struct wire *up = &stream->connection->up;

	return stream->state == STREAM_OPEN && stream->want_write &&
	       (up->closing || up->silent || up->sent - up->start < up->window);
}

static void stream_turn_soon(struct stream *stream)
{
	if (!stream->in_callback && !loop_occasion_planned(&stream->turn) &&
	    (stream_can_read(stream) || stream_can_write(stream)))
		loop_occasion_plan_in(&stream->turn, chance_between(1, 30));
}

static void on_turn(void *owner)
{
	struct stream *stream = owner;

	stream->in_callback = true;
	if (stream->state == STREAM_CONNECTING) {
		if (stream->connection && !process_dead())
			open_connection(stream);
		else
			stream_die(stream, stream->refused ? "connection refused" : "timed out while connecting");
	} else {
		if (stream_can_read(stream))
			stream->events.readable(stream->owner);
		if (!stream->freed && stream_can_write(stream))
			stream->events.writable(stream->owner);
	}
	stream->in_callback = false;
	if (stream->freed)
		free(stream);
	else if (stream->state == STREAM_OPEN)
		stream_turn_soon(stream);
}

static struct host *host_at(const struct endpoint *endpoint)
{
	for (unsigned i = 0; i < network.host_count; i++)
		if (endpoint_equal(&network.hosts[i]->endpoint, endpoint))
			return network.hosts[i];
	return NULL;
}

static struct connection *connection_new(struct host *host, struct stream *stream)
{
	struct connection *connection = memory_alloc_zero(1, sizeof(*connection));

	connection->host = host;
	connection->stream = stream;
	snprintf(connection->address, sizeof(connection->address), "10.9.0.1:%u", 40000 + network.ports++);
	wire_init(&connection->up, connection);
	wire_init(&connection->down, connection);
	occasion_init(&connection->notice, on_notice, connection);
	occasion_init(&connection->forget, on_forgotten, connection);
	connection->next = network.connections;
	network.connections = connection;
	return connection;
}

struct stream *stream_connect(struct loop *loop, const struct stream_options *options, const struct stream_events *events,
			      void *owner)
{
	struct stream *stream = memory_alloc_zero(1, sizeof(*stream));
	struct host *host = host_at(&options->endpoint);
	uint32_t timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : 10000;

	stream->events = *events;
	stream->owner = owner;
	stream->options = *options;
	stream->want_read = true;
	endpoint_format(&options->endpoint, stream->peer);
	loop_occasion_init(&stream->turn, loop, on_turn, stream);
	if ((!host || host->state == HOST_UNREACHABLE) && !process_dead()) {
		loop_occasion_plan_in(&stream->turn, timeout_ms * MS);
		return stream;
	}
	stream->refused = process_dead() || host->state == HOST_DOWN;
	if (!stream->refused)
		stream->connection = connection_new(host, stream);
	loop_occasion_plan_in(&stream->turn, stream->refused ? 1 : host->delay_us + chance_below(host->delay_us + 1));
	return stream;
}

void stream_free(struct stream *stream)
{
	struct connection *connection;

	if (!stream)
		return;
	connection = stream->connection;
	if (connection) {
		connection->stream = NULL;
		if (connection->up.silent)
			occasion_plan_in(&connection->forget, chance_between(1, FORGOTTEN_MS) * MS);
		else if (connection->served && chance_of(30))
			wire_cut_up(&connection->up); /* closed with bytes unread: a reset overtakes what was sent */
		else
			wire_close(&connection->up);
		connection_release(connection);
	}
	loop_occasion_end(&stream->turn);
	stream->state = STREAM_DEAD;
	stream->freed = true;
	if (!stream->in_callback)
		free(stream);
}

ssize_t stream_read(struct stream *stream, void *out, size_t cap, struct error *error)
{
	struct wire *down = &stream->connection->down;
	size_t len;

	assert(stream->state == STREAM_OPEN);
	len = wire_read(down, out, cap);
	if (len > 0) {
		if (down->writer_waits)
			server_notice(stream->connection, chance_between(1, 60));
		stream_turn_soon(stream);
		return (ssize_t)len;
	}
	if (!down->ended)
		return 0;
	stream->state = STREAM_DEAD;
	error_set(error, stream->options.blame, "%s: closed the connection", stream->peer);
	return -1;
}

ssize_t stream_write(struct stream *stream, const struct iovec *pieces, int count, struct error *error)
{
	ssize_t taken = 0;

	assert(stream->state == STREAM_OPEN);
	if (stream->connection->down.ended && chance_of(50)) {
		stream->state = STREAM_DEAD;
		error_set(error, stream->options.blame, "%s: connection reset by peer", stream->peer);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		size_t part = wire_write(&stream->connection->up, pieces[i].iov_base, pieces[i].iov_len);

		taken += (ssize_t)part;
		if (part < pieces[i].iov_len)
			break;
	}
	stream_turn_soon(stream);
	return taken;
}

void stream_want_read(struct stream *stream, bool on)
{
	stream->want_read = on;
	if (stream->state == STREAM_OPEN)
		stream_turn_soon(stream);
}

void stream_want_write(struct stream *stream, bool on)
{
	stream->want_write = on;
	if (stream->state == STREAM_OPEN)
		stream_turn_soon(stream);
}

const char *stream_peer(const struct stream *stream)
{
	return stream->peer;
}

/* ---- the whole ---- */

void network_begin(void)
{
	network.host_count = 0;
	network.ports = 0;
	assert(!network.connections);
}

void network_add(struct host *host)
{
	assert(network.host_count < HOSTS_MAX);
	network.hosts[network.host_count++] = host;
}

void network_end(void)
{
	while (network.connections) {
		assert(!network.connections->stream);
		connection_free(network.connections);
	}
	network.host_count = 0;
}

/* ---- faults ---- */

void network_drop_client(void)
{
	for (struct connection *connection = network.connections; connection; connection = connection->next) {
		if (!connection->stream || !connection->served)
			continue;
		if (chance_of(30))
			wire_cut_up(&connection->up);
		else
			wire_close(&connection->up);
		connection->down.start = connection->down.arrived;
		connection->down.ended = true;
		stream_turn_soon(connection->stream);
	}
}

static bool counts(const struct connection *connection, const struct host *host)
{
	return connection->stream && connection->served && !connection->up.silent && (!host || connection->host == host);
}

unsigned network_connections(const struct host *host)
{
	unsigned count = 0;

	for (struct connection *connection = network.connections; connection; connection = connection->next)
		count += counts(connection, host);
	return count;
}

static struct connection *any_connection(const struct host *host)
{
	unsigned count = network_connections(host);
	unsigned wanted = count > 0 ? (unsigned)chance_below(count) : 0;

	for (struct connection *connection = network.connections; connection; connection = connection->next)
		if (counts(connection, host) && wanted-- == 0)
			return connection;
	return NULL;
}

static void cut(struct connection *connection)
{
	trace("fault: the connection of %s to %s is cut", connection->address, connection->stream->peer);
	wire_cut_up(&connection->up);
	wire_cut(&connection->down);
}

bool network_cut(const struct host *host)
{
	struct connection *connection = any_connection(host);

	if (connection)
		cut(connection);
	return connection;
}

bool network_silence(const struct host *host)
{
	struct connection *connection = any_connection(host);

	if (!connection)
		return false;
	trace("fault: the connection of %s to %s falls silent", connection->address, connection->stream->peer);
	connection->up.silent = connection->down.silent = true;
	return true;
}

void network_cut_all(const struct host *host)
{
	for (struct connection *connection = network.connections; connection; connection = connection->next)
		if (counts(connection, host))
			cut(connection);
}
