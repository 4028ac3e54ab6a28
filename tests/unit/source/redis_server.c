#include "redis_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(bool fine, const char *what)
{
	if (!fine) {
		perror(what);
		abort();
	}
}

static uint16_t free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		     getsockname(fd, (struct sockaddr *)&address, &len) == 0,
	     "a free port");
	close(fd);
	return ntohs(address.sin_port);
}

static void run_server(const struct redis_server *server, const char *const *options)
{
	const char *argv[40];
	char port[8];
	int argc = 0;

	snprintf(port, sizeof(port), "%u", server->endpoint.port);
	argv[argc++] = "redis-server";
	argv[argc++] = "--port";
	argv[argc++] = port;
	argv[argc++] = "--bind";
	argv[argc++] = "127.0.0.1";
	argv[argc++] = "--dir";
	argv[argc++] = server->dir;
	argv[argc++] = "--logfile";
	argv[argc++] = ""; /* to standard output */
	argv[argc++] = "--save";
	argv[argc++] = "";
	while (*options != NULL && argc < 39)
		argv[argc++] = *options++;
	argv[argc] = NULL;
	execvp("redis-server", (char *const *)argv);
	perror("redis-server");
	_exit(127);
}

/* Reads the server's log until it says that it is ready. False: it has ended before that, as when somebody else took the port meanwhile. */
static bool says_ready(int log)
{
	char text[16384];
	size_t used = 0;
	ssize_t got;

	while (used < sizeof(text) - 1 && (got = read(log, text + used, sizeof(text) - 1 - used)) > 0) {
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, "accept connections") != NULL)
			return true;
	}
	return false;
}

void redis_server_start(struct redis_server *server, const char *const *options)
{
	int log[2];

	snprintf(server->dir, sizeof(server->dir), "/tmp/keyferry-redis-XXXXXX");
	must(mkdtemp(server->dir) != NULL, "a folder");
	snprintf(server->endpoint.host, sizeof(server->endpoint.host), "127.0.0.1");
	for (int attempt = 0; attempt < 10; attempt++) {
		server->endpoint.port = free_port();
		must(pipe2(log, O_CLOEXEC) == 0, "a pipe");
		server->pid = fork();
		must(server->pid >= 0, "fork");
		if (server->pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails on the way */
			must(dup2(log[1], STDOUT_FILENO) >= 0, "dup2");
			run_server(server, options);
		}
		close(log[1]);
		if (says_ready(log[0])) {
			close(log[0]); /* what it logs from now on nobody reads, and it ignores SIGPIPE */
			return;
		}
		close(log[0]);
		waitpid(server->pid, NULL, 0);
	}
	must(false, "redis-server does not start");
}

void redis_server_stop(struct redis_server *server)
{
	struct dirent *entry;
	DIR *dir;

	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	dir = opendir(server->dir);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char name[512];

		snprintf(name, sizeof(name), "%s/%s", server->dir, entry->d_name);
		unlink(name);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(server->dir);
}

const char *redis_server_ask(struct redis_server *server, const char *a, const char *b, const char *c, const char *d)
{
	static char text[65536];
	const struct client_options options = {.endpoint = server->endpoint, .blame = ERROR_SOURCE};
	struct loop *loop = loop_new();
	struct client *client = client_new(loop, &options);
	struct client_reply reply;
	struct error error;

	if (!client_call(client, &reply, true, &error, a, b, c, d, NULL)) {
		fprintf(stderr, "%s: %s\n", a, error.text);
		abort();
	}
	if (reply.nodes[0].type == RESP_INTEGER)
		snprintf(text, sizeof(text), "%" PRId64, reply.nodes[0].integer);
	else
		snprintf(text, sizeof(text), "%.*s", (int)reply.nodes[0].text.len, (const char *)reply.nodes[0].text.data);
	client_free(client);
	loop_free(loop);
	return text;
}
