#include "fake_master.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "wire/resp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANG_UP_MS 1000 /* a receiver that does not read is not waited for longer */
#define MARK "5c93cd6ee61db0627a012bf50e8f43ed96a7946a"

/* One connection. */
struct call {
	struct fake_master *master;
	struct fake_plan plan;
	int fd;
	struct buffer in;
	struct buffer answer;  /* short replies */
	struct buffer payload; /* all that follows the reply to PSYNC */
	uint64_t sent;         /* of the payload */
	bool streaming;
	bool authenticated;
	bool over;
};

struct fake_plan fake_plan_fine(void)
{
	return (struct fake_plan){.cut_at = FAKE_NEVER, .silent_at = FAKE_NEVER, .damage_at = FAKE_NEVER};
}

static void must(bool fine)
{
	if (!fine) {
		perror("fake master");
		abort();
	}
}

static void call_full_resync(struct call *call)
{
	const struct fake_master *master = call->master;
	struct buffer *payload = &call->payload;

	must(buffer_printf(&call->answer, "+FULLRESYNC %s %" PRId64 "\r\n", master->replid, master->start_offset));
	if (call->plan.piece > 0)
		must(buffer_printf(payload, "\n\n\n"));
	if (call->plan.marked)
		must(buffer_printf(payload, "$EOF:" MARK "\r\n"));
	else
		must(buffer_printf(payload, "$%zu\r\n", master->rdb_len));
	must(buffer_append(payload, master->rdb, master->rdb_len));
	if (call->plan.marked)
		must(buffer_printf(payload, MARK));
	must(buffer_append(payload, master->stream, master->stream_len));
}

static void call_psync(struct call *call, const struct slice *argv)
{
	struct fake_master *master = call->master;
	int64_t next, from;

	must(slice_to_int64(argv[2], &next));
	from = next - 1 - master->start_offset;
	atomic_store(&master->asked, next < 0 ? -1 : next);
	call->streaming = true;
	if (call->plan.psync != NULL) {
		must(buffer_printf(&call->answer, "%s\r\n", call->plan.psync));
	} else if (!call->plan.full && slice_equal(argv[1], slice_of_string(master->replid)) && from >= 0 &&
		   from <= (int64_t)master->stream_len) {
		atomic_fetch_add(&master->continues, 1);
		if (master->continue_as != NULL)
			must(buffer_printf(&call->answer, "+CONTINUE %s\r\n", master->continue_as));
		else
			must(buffer_printf(&call->answer, "+CONTINUE\r\n"));
		must(buffer_append(&call->payload, master->stream + from, master->stream_len - (size_t)from));
	} else {
		atomic_fetch_add(&master->full_resyncs, 1);
		call_full_resync(call);
	}
	if (call->plan.damage_at < call->payload.end)
		call->payload.data[call->plan.damage_at] ^= 0x20;
}

static void call_command(struct call *call, uint32_t argc, const struct slice *argv)
{
	struct fake_master *master = call->master;
	struct buffer *answer = &call->answer;

	if (argc == 0)
		return; /* a newline: the replica lives */
	if (slice_equal(argv[0], SLICE("AUTH"))) {
		call->authenticated = master->password != NULL && slice_equal(argv[argc - 1], slice_of_string(master->password));
		must(buffer_printf(answer, call->authenticated ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n"));
	} else if (master->password != NULL && !call->authenticated) {
		must(buffer_printf(answer, "-NOAUTH Authentication required.\r\n"));
	} else if (slice_equal(argv[0], SLICE("INFO"))) {
		char info[512];

		snprintf(info, sizeof(info),
			 "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:%s\r\n"
			 "# Replication\r\nrole:master\r\nmaster_replid:%s\r\nmaster_repl_offset:%" PRId64 "\r\n",
			 master->replid, master->replid, master->start_offset);
		must(buffer_printf(answer, "$%zu\r\n%s\r\n", strlen(info), info));
	} else if (slice_equal(argv[0], SLICE("PSYNC"))) {
		call_psync(call, argv);
	} else if (argc == 3 && slice_equal(argv[1], SLICE("ACK"))) {
		int64_t offset;

		must(slice_to_int64(argv[2], &offset));
		atomic_store(&master->acknowledged, offset);
	} else {
		must(buffer_printf(answer, "+OK\r\n"));
	}
}

static void call_read(struct call *call)
{
	struct resp_command_parser parser;
	size_t room;
	ssize_t n;

	must(buffer_reserve(&call->in, 4096));
	n = read(call->fd, buffer_room(&call->in, &room), 4096);
	if (n <= 0) {
		call->over = n == 0 || errno != EAGAIN;
		return;
	}
	buffer_produced(&call->in, (size_t)n);
	resp_command_parser_init(&parser);
	for (;;) {
		struct parse_fault fault;
		uint64_t taken, need;
		struct slice *argv;
		uint32_t argc;

		if (call->in.end == call->in.start ||
		    resp_command_parse(&parser, buffer_readable(&call->in), &argc, &argv, &taken, &need, &fault) != PARSE_OK)
			break;
		call_command(call, argc, argv);
		buffer_consumed(&call->in, taken);
	}
	resp_command_parser_free(&parser);
}

/* Up to where the plan lets this connection go now. */
static uint64_t call_limit(const struct call *call)
{
	uint64_t limit = call->payload.end;

	if (call->plan.cut_at < limit)
		limit = call->plan.cut_at;
	if (call->plan.silent_at < limit)
		limit = call->plan.silent_at;
	return limit;
}

static void call_write(struct call *call)
{
	uint64_t limit = call_limit(call);
	ssize_t n;

	if (call->answer.end > call->answer.start) {
		struct slice bytes = buffer_readable(&call->answer);

		n = send(call->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
		if (n > 0)
			buffer_consumed(&call->answer, (size_t)n);
		return;
	}
	if (call->sent < limit) {
		size_t len = (size_t)(limit - call->sent);

		if (call->plan.piece > 0 && len > call->plan.piece)
			len = call->plan.piece;
		n = send(call->fd, call->payload.data + call->sent, len, MSG_NOSIGNAL);
		if (n > 0)
			call->sent += (uint64_t)n;
		else
			call->over = errno != EAGAIN;
		atomic_store(&call->master->sent, call->sent);
	}
	if (call->streaming && call->sent == call->plan.cut_at)
		call->over = true;
}

static bool call_has_more(const struct call *call)
{
	return call->answer.end > call->answer.start ||
	       (call->streaming && (call->sent < call_limit(call) || call->sent == call->plan.cut_at));
}

/* Closing with unread bytes (an acknowledgement on its way) would reset the connection; the other side shall see its plain end. */
static void hang_up(int fd)
{
	struct pollfd poll_end = {.fd = fd, .events = POLLIN};
	char unread[4096];

	shutdown(fd, SHUT_WR);
	while (poll(&poll_end, 1, HANG_UP_MS) > 0 && read(fd, unread, sizeof(unread)) > 0)
		;
}

/* False: the test is over. */
static bool serve(struct fake_master *master, int fd)
{
	int number = atomic_fetch_add(&master->connections, 1);
	struct call call = {.master = master, .fd = fd, .plan = fake_plan_fine()};
	bool go_on = true;

	if ((size_t)number < master->plan_count)
		call.plan = master->plans[number];
	buffer_init(&call.in, 1 << 20);
	buffer_init(&call.answer, 1 << 20);
	buffer_init(&call.payload, 1 << 30);
	must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	while (!call.over && go_on) {
		struct pollfd polls[] = {
			{.fd = fd, .events = (short)(POLLIN | (call_has_more(&call) ? POLLOUT : 0))},
			{.fd = master->stop_pipe[0], .events = POLLIN},
		};

		must(poll(polls, 2, -1) > 0);
		go_on = polls[1].revents == 0;
		if (polls[0].revents & (POLLIN | POLLHUP | POLLERR))
			call_read(&call);
		if (polls[0].revents & POLLOUT)
			call_write(&call);
	}
	buffer_free(&call.in);
	buffer_free(&call.answer);
	buffer_free(&call.payload);
	if (go_on)
		hang_up(fd);
	close(fd);
	return go_on;
}

static void *run(void *arg)
{
	struct fake_master *master = arg;

	for (;;) {
		struct pollfd polls[] = {
			{.fd = master->listener, .events = POLLIN},
			{.fd = master->stop_pipe[0], .events = POLLIN},
		};
		int fd;

		must(poll(polls, 2, -1) > 0);
		if (polls[1].revents != 0)
			return NULL;
		fd = accept(master->listener, NULL, NULL);
		must(fd >= 0);
		if (!serve(master, fd))
			return NULL;
	}
}

void fake_master_start(struct fake_master *master)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	master->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(master->listener >= 0);
	must(bind(master->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(master->listener, 16) == 0);
	must(getsockname(master->listener, (struct sockaddr *)&address, &len) == 0);
	must(pipe2(master->stop_pipe, O_CLOEXEC) == 0);
	snprintf(master->endpoint.host, sizeof(master->endpoint.host), "127.0.0.1");
	master->endpoint.port = ntohs(address.sin_port);
	atomic_store(&master->asked, INT64_MIN);
	atomic_store(&master->acknowledged, INT64_MIN);
	must(pthread_create(&master->thread, NULL, run, master) == 0);
}

void fake_master_stop(struct fake_master *master)
{
	must(write(master->stop_pipe[1], "", 1) == 1);
	pthread_join(master->thread, NULL);
	close(master->listener);
	close(master->stop_pipe[0]);
	close(master->stop_pipe[1]);
}
