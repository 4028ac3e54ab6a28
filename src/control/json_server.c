#include "control/json_server.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "net/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_STEP 65536
#define ACCEPT_PAUSE_MS 100

struct client {
	struct json_server *server;
	int fd; /* -1: the place is free */
	unsigned uid;
	struct poller *poller;
	struct buffer in, out;
};

struct json_server {
	struct json_server_options options;
	int folder, fd;
	struct loop *loop;
	struct poller *poller;
	struct timer *again; /* accepting failed for want of something: tried again then */
	struct client clients[JSON_CLIENTS_MAX];
	pthread_t thread;
};

/* ---- connections ---- */

static void drop(struct client *client)
{
	poller_free(client->poller);
	close(client->fd);
	buffer_free(&client->in);
	buffer_free(&client->out);
	client->fd = -1;
}

/* False: the connection is gone. */
static bool send_rest(struct client *client)
{
	while (buffer_readable(&client->out).len > 0) {
		struct slice rest = buffer_readable(&client->out);
		ssize_t sent = send(client->fd, rest.data, rest.len, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (sent <= 0)
			return false;
		buffer_consumed(&client->out, (size_t)sent);
	}
	return true;
}

static bool answer_line(struct client *client, struct slice line)
{
	json_t *request = json_loadb((const char *)line.data, line.len, JSON_REJECT_DUPLICATES, NULL),
	       *reply = client->server->options.answer(client->server->options.owner, request, client->uid);
	char *text = json_dumps(reply, JSON_COMPACT);
	bool ok = text && buffer_printf(&client->out, "%s\n", text);

	free(text);
	json_decref(reply);
	json_decref(request);
	return ok;
}

/* One at a time: who does not read its answers is asked nothing more. False: the connection is gone, or not to be trusted. */
static bool answer_lines(struct client *client)
{
	while (buffer_readable(&client->out).len == 0) {
		struct slice have = buffer_readable(&client->in);
		const uint8_t *end = have.len ? memchr(have.data, '\n', have.len) : NULL;
		size_t len = end ? (size_t)(end - have.data) : 0;

		if (!end)
			return have.len < client->server->options.request_max;
		if (!answer_line(client, slice_make(have.data, len)))
			return false;
		buffer_consumed(&client->in, len + 1);
		if (!send_rest(client))
			return false;
	}
	return true;
}

static void on_client(void *owner, int ready)
{
	struct client *client = owner;
	size_t left = client->server->options.request_max - buffer_readable(&client->in).len;
	uint8_t bytes[READ_STEP];
	ssize_t got = 1;
	bool ok = true;

	if ((ready & POLLER_READ) && left > 0) {
		got = recv(client->fd, bytes, left < sizeof(bytes) ? left : sizeof(bytes), 0);
		ok = got > 0 ? buffer_append(&client->in, bytes, (size_t)got) : got < 0 && (errno == EAGAIN || errno == EINTR);
	}
	if (!ok || !send_rest(client) || !answer_lines(client))
		drop(client);
	else
		poller_start(client->poller, buffer_readable(&client->out).len > 0 ? POLLER_WRITE : POLLER_READ);
}

static bool may_ask(int fd, unsigned *ret_uid)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	*ret_uid = who.uid;
	return who.uid == geteuid() || who.uid == 0;
}

static void on_connected(void *owner, int ready)
{
	struct json_server *server = owner;
	unsigned uid;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ready;
	if (fd < 0) {
		/* Who waits there keeps waiting: without descriptors, every turn of the loop would end here. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			poller_stop(server->poller);
			timer_start(server->again, ACCEPT_PAUSE_MS);
		}
		return;
	}
	for (size_t i = 0; may_ask(fd, &uid) && i < JSON_CLIENTS_MAX; i++) {
		struct client *client = &server->clients[i];

		if (client->fd >= 0)
			continue;
		client->fd = fd;
		client->uid = uid;
		buffer_init(&client->in, server->options.request_max);
		buffer_init(&client->out, JSON_ANSWER_MAX);
		client->poller = poller_new(server->loop, fd, on_client, client);
		poller_start(client->poller, POLLER_READ);
		return;
	}
	close(fd);
}

static void on_again(void *owner)
{
	poller_start(((struct json_server *)owner)->poller, POLLER_READ);
}

static void *run(void *argument)
{
	struct json_server *server = argument;

	loop_run(server->loop);
	return NULL;
}

/* ---- public ---- */

static struct sockaddr_un address_in(int folder, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder, name);
	return address;
}

static bool listen_in(struct json_server *server, struct error *error)
{
	const struct json_server_options *options = &server->options;
	struct sockaddr_un address;

	server->folder = open(options->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->folder >= 0 && server->fd >= 0) {
		address = address_in(server->folder, options->name);
		unlinkat(server->folder, options->name, 0);
		/* The socket gets its mode before anybody can be connected. The umask would be that of all threads. */
		if (fchmod(server->fd, 0600) == 0 && bind(server->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(server->fd, JSON_CLIENTS_MAX) == 0)
			return true;
	}
	error_set_errno(error, ERROR_USAGE, errno, "the socket %s/%s cannot be made", options->folder, options->name);
	error_hint(error, "The folder has to be on a file system that takes unix sockets");
	return false;
}

static void free_server(struct json_server *server)
{
	if (server->fd >= 0)
		close(server->fd);
	if (server->folder >= 0)
		close(server->folder);
	free(server);
}

struct json_server *json_server_start(const struct json_server_options *options, struct error *error)
{
	struct json_server *server = memory_alloc_zero(1, sizeof(*server));
	int failed;

	server->options = *options;
	server->fd = server->folder = -1;
	if (!listen_in(server, error)) {
		free_server(server);
		return NULL;
	}
	for (size_t i = 0; i < JSON_CLIENTS_MAX; i++)
		server->clients[i] = (struct client){.server = server, .fd = -1};
	server->loop = loop_new();
	server->poller = poller_new(server->loop, server->fd, on_connected, server);
	server->again = timer_new(server->loop, on_again, server);
	poller_start(server->poller, POLLER_READ);
	failed = pthread_create(&server->thread, NULL, run, server);
	if (!failed)
		return server;
	error_set_errno(error, ERROR_INTERNAL, failed, "cannot start a thread");
	poller_free(server->poller);
	timer_free(server->again);
	loop_free(server->loop);
	free_server(server);
	return NULL;
}

void json_server_stop(struct json_server *server)
{
	if (!server)
		return;
	loop_stop(server->loop);
	pthread_join(server->thread, NULL);
	for (size_t i = 0; i < JSON_CLIENTS_MAX; i++)
		if (server->clients[i].fd >= 0)
			drop(&server->clients[i]);
	poller_free(server->poller);
	timer_free(server->again);
	loop_free(server->loop);
	unlinkat(server->folder, server->options.name, 0);
	free_server(server);
}

int json_server_connect(const char *folder, const char *name, int *ret_pid)
{
	int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC),
	    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = address_in(dir, name);
	struct ucred who;
	socklen_t len = sizeof(who);
	bool ok = dir >= 0 && fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0;

	if (dir >= 0)
		close(dir);
	if (ok) {
		*ret_pid = (int)who.pid;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}
