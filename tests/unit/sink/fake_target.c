#include "fake_target.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "wire/command.h"
#include "wire/resp.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <uv.h>

#define TEXT_MAX 512
#define BUFFER_MAX (256u << 20)

struct connection {
	uv_tcp_t uv;
	uv_idle_t idle; /* writes replies piece by piece */
	int closing;    /* handles still to be closed */
	struct fake_target *fake;
	struct connection *next;
	int number;
	uint32_t db;
	bool asking, multi, dirty, silent;
	char name[256];
	char **queue; /* texts of a transaction's commands, with their database */
	size_t queue_count;
	uint32_t queue_db;
	struct buffer in, out;
	struct resp_command_parser parser;
};

struct fake_state {
	struct fake_target *fake;
	struct loop *loop;
	uv_tcp_t listener;
	bool listening;
	bool frozen;
	struct connection *first;
};

static void listener_closed(uv_handle_t *handle)
{
	((struct fake_state *)handle->data)->listening = false;
}

static void connection_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	if (--connection->closing > 0)
		return;
	for (size_t i = 0; i < connection->queue_count; i++)
		free(connection->queue[i]);
	free(connection->queue);
	buffer_free(&connection->in);
	buffer_free(&connection->out);
	resp_command_parser_free(&connection->parser);
	free(connection);
}

static void connection_close(struct connection *connection)
{
	struct connection **at = &connection->fake->state->first;

	if (connection->closing)
		return;
	while (*at != connection)
		at = &(*at)->next;
	*at = connection->next;
	connection->fake->open--;
	connection->closing = 2;
	uv_close((uv_handle_t *)&connection->uv, connection_closed);
	uv_close((uv_handle_t *)&connection->idle, connection_closed);
}

/* ---- replies ---- */

/* Writes at most `most` bytes of what is due. Not by uv_try_write(): where the other side has just hung up that raises SIGPIPE, which is not ignored here, so that
 * it ends the test when keyferry's own code raises it. */
static void push(struct connection *connection, size_t most)
{
	struct slice due = buffer_readable(&connection->out);
	ssize_t wrote;
	int fd;

	if (due.len == 0)
		return;
	assert(uv_fileno((uv_handle_t *)&connection->uv, &fd) == 0);
	wrote = send(fd, due.data, due.len < most ? due.len : most, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (wrote > 0)
		buffer_consumed(&connection->out, (size_t)wrote);
	else if (wrote < 0 && errno != EAGAIN && errno != EINTR)
		connection_close(connection);
}

static void on_idle(uv_idle_t *idle)
{
	struct connection *connection = idle->data;
	size_t piece = connection->fake->reply_piece;

	push(connection, piece ? piece : SIZE_MAX);
	if (!connection->closing && buffer_readable(&connection->out).len == 0)
		uv_idle_stop(idle);
}

static void say(struct connection *connection, const char *reply)
{
	assert(buffer_append(&connection->out, reply, strlen(reply)));
	if (connection->fake->reply_piece == 0 && !uv_is_active((uv_handle_t *)&connection->idle))
		push(connection, SIZE_MAX);
	if (!connection->closing && buffer_readable(&connection->out).len > 0)
		uv_idle_start(&connection->idle, on_idle);
}

/* ---- commands ---- */

static void keep(struct fake_target *fake, char *text)
{
	fake->executed = memory_realloc_array(fake->executed, fake->executed_count + 1, sizeof(char *));
	fake->executed[fake->executed_count++] = text;
}

static void text_of(uint32_t argc, const struct slice *argv, char out[TEXT_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < argc && at + 48 < TEXT_MAX; i++)
		at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s%.*s", i ? " " : "",
				       (int)(argv[i].len < 40 ? argv[i].len : 40), (const char *)argv[i].data);
}

static bool is(struct slice name, const char *text)
{
	return slice_equal_nocase(name, slice_of_string(text));
}

static void answer_slots(struct connection *connection)
{
	struct fake_cluster *cluster = connection->fake->cluster;
	char head[32], text[512];
	struct buffer body;
	int ranges = 0;

	cluster->slots_asked++;
	if (cluster->slots_refused) {
		say(connection, "-ERR not now\r\n");
		return;
	}
	buffer_init(&body, BUFFER_MAX);
	for (int first = 0, last; first < SLOT_COUNT; first = last + 1) {
		const struct endpoint *endpoint;

		for (last = first; last + 1 < SLOT_COUNT && cluster->owner[last + 1] == cluster->owner[first]; last++)
			;
		if (cluster->owner[first] < 0)
			continue;
		endpoint = &cluster->members[cluster->owner[first]]->endpoint;
		snprintf(text, sizeof(text), "*3\r\n:%d\r\n:%d\r\n*2\r\n$%zu\r\n%s\r\n:%u\r\n", first, last,
			 strlen(endpoint->host), endpoint->host, endpoint->port);
		assert(buffer_append(&body, text, strlen(text)));
		ranges++;
	}
	assert(buffer_append(&body, "", 1));
	snprintf(head, sizeof(head), "*%d\r\n", ranges);
	say(connection, head);
	say(connection, (const char *)buffer_readable(&body).data);
	buffer_free(&body);
}

/* ---- the hashes of marks ---- */

char *fake_field(const struct fake_target *fake, const char *key, const char *field)
{
	char *wanted = memory_printf("%s\n%s\n", key, field);
	const char *found = NULL;
	char *value;

	for (const char *at = fake->fields; at && (at = strstr(at, wanted)); at++)
		if (at == fake->fields || at[-1] == '\n')
			found = at + strlen(wanted);
	value = found ? memory_strndup(found, strcspn(found, "\n")) : memory_strdup("");
	free(wanted);
	return value;
}

void fake_set_field(struct fake_target *fake, const char *key, const char *field, const char *value)
{
	char *longer = memory_printf("%s%s\n%s\n%s\n", fake->fields ? fake->fields : "", key, field, value);

	free(fake->fields);
	fake->fields = longer;
}

static bool is_mark(uint32_t argc, const struct slice *argv)
{
	return argc >= 3 && slice_starts_with(argv[1], SLICE("keyferry:")) &&
	       (is(argv[0], "HSET") || is(argv[0], "HMSET") || is(argv[0], "HGET") || is(argv[0], "HMGET"));
}

/* In the form of `fields`, for all that it sets. */
static char *mark_text(uint32_t argc, const struct slice *argv)
{
	char *all = memory_strdup("");

	for (uint32_t i = 2; i + 1 < argc; i += 2) {
		char *longer =
			memory_printf("%s%.*s\n%.*s\n%.*s\n", all, (int)argv[1].len, (const char *)argv[1].data, (int)argv[i].len,
				      (const char *)argv[i].data, (int)argv[i + 1].len, (const char *)argv[i + 1].data);

		free(all);
		all = longer;
	}
	return all;
}

static void set_marks(struct fake_target *fake, const char *text)
{
	char *longer = memory_printf("%s%s", fake->fields ? fake->fields : "", text);

	free(fake->fields);
	fake->fields = longer;
}

static void answer_mark(struct connection *connection, uint32_t argc, const struct slice *argv)
{
	char key[128], field[128], *value, *reply;

	if (is(argv[0], "HMGET")) {
		char head[16];

		snprintf(head, sizeof(head), "*%u\r\n", argc - 2);
		say(connection, head);
	} else if (!is(argv[0], "HGET")) {
		value = mark_text(argc, argv);
		set_marks(connection->fake, value);
		free(value);
		say(connection, "+OK\r\n");
		return;
	}
	snprintf(key, sizeof(key), "%.*s", (int)argv[1].len, (const char *)argv[1].data);
	for (uint32_t i = 2; i < argc; i++) {
		snprintf(field, sizeof(field), "%.*s", (int)argv[i].len, (const char *)argv[i].data);
		value = fake_field(connection->fake, key, field);
		reply = value[0] ? memory_printf("$%zu\r\n%s\r\n", strlen(value), value) : memory_strdup("$-1\r\n");
		say(connection, reply);
		free(value);
		free(reply);
	}
}

static void tell_history(struct connection *connection)
{
	char text[160];
	int len = snprintf(text, sizeof(text), "# Server\r\nrun_id:%040d\r\n# Replication\r\nmaster_replid:%040d\r\n",
			   connection->fake->run, connection->fake->run);
	char *reply = memory_printf("$%d\r\n%s\r\n", len, text);

	say(connection, reply);
	free(reply);
}

static void list_clients(struct connection *connection)
{
	char *all = memory_strdup(""), *reply;

	for (struct connection *other = connection->fake->state->first; other; other = other->next) {
		char *longer = memory_printf("%sid=%d addr=127.0.0.1:%d fd=8 name=%s age=1 idle=0\n", all, 1000 + other->number,
					     40000 + other->number, other->name);

		free(all);
		all = longer;
	}
	reply = memory_printf("$%zu\r\n%s\r\n", strlen(all), all);
	say(connection, reply);
	free(all);
	free(reply);
}

static void client_command(struct connection *connection, const struct slice *argv, uint32_t argc)
{
	char text[32];

	if (argc >= 4 && is(argv[1], "KILL")) {
		for (struct connection *other = connection->fake->state->first; other; other = other->next) {
			snprintf(text, sizeof(text), "%d", 1000 + other->number);
			if (other != connection && is(argv[3], text)) {
				connection->fake->kills++;
				connection_close(other);
				say(connection, ":1\r\n");
				return;
			}
		}
		say(connection, ":0\r\n");
		return;
	}
	if (argc >= 3 && is(argv[1], "SETNAME"))
		snprintf(connection->name, sizeof(connection->name), "%.*s", (int)argv[2].len, (const char *)argv[2].data);
	if (argc >= 2 && is(argv[1], "LIST")) {
		list_clients(connection);
		return;
	}
	snprintf(text, sizeof(text), ":%d\r\n", 1000 + connection->number);
	say(connection, argc >= 2 && is(argv[1], "ID") ? text : "+OK\r\n");
}

static void drop_queue(struct connection *connection)
{
	for (size_t i = 0; i < connection->queue_count; i++)
		free(connection->queue[i]);
	connection->queue_count = 0;
}

static void execute_queue(struct connection *connection)
{
	const char *fate;
	char head[32];

	connection->multi = connection->asking = false;
	if (connection->dirty) {
		drop_queue(connection);
		say(connection, "-EXECABORT Transaction discarded because of previous errors.\r\n");
		return;
	}
	connection->db = connection->queue_db;
	fate = connection->fake->exec ? connection->fake->exec(connection->fake->owner, connection->fake) : NULL;
	if (fate && strcmp(fate, FAKE_CLOSE) == 0) {
		connection_close(connection);
		return;
	}
	snprintf(head, sizeof(head), "*%zu\r\n", connection->queue_count);
	if (!fate)
		say(connection, head);
	for (size_t i = 0; i < connection->queue_count; i++) {
		struct fake_target *fake = connection->fake;
		char *queued = connection->queue[i];
		bool mark = strncmp(queued, "keyferry:", 9) == 0;
		const char *text = mark ? queued : strchr(queued, ' ') + 1;
		const char *reply = fake->member && !mark ? fake->member(fake->owner, text) : NULL;

		if (mark)
			set_marks(fake, queued);
		if (!mark && !strstr(queued, " SELECT ") && !(reply && reply[0] == '-'))
			keep(fake, queued);
		else
			free(queued);
		if (!fate)
			say(connection, reply ? reply : "+OK\r\n");
	}
	connection->queue_count = 0;
	if (fate)
		connection_close(connection);
}

static const char *moved_away(struct connection *connection, uint32_t argc, const struct slice *argv, char out[400])
{
	struct fake_cluster *cluster = connection->fake->cluster;
	const struct command_info *info = command_lookup(argc, argv);
	uint32_t at = info ? command_first_key(info, argc, argv) : 0;
	uint16_t slot;
	char text[ENDPOINT_TEXT_MAX];

	if (!cluster || at == 0 || connection->asking)
		return NULL;
	slot = slot_of_key(argv[at]);
	if (cluster->owner[slot] == connection->fake->index)
		return NULL;
	if (cluster->owner[slot] < 0)
		return "-CLUSTERDOWN Hash slot not served\r\n";
	snprintf(out, 400, "-MOVED %u %s\r\n", slot, endpoint_format(&cluster->members[cluster->owner[slot]]->endpoint, text));
	return out;
}

/* A command of the data: executed, queued, or what the script says. */
static void data_command(struct connection *connection, uint32_t argc, const struct slice *argv)
{
	struct fake_target *fake = connection->fake;
	char text[TEXT_MAX], moved[400];
	struct fake_command command = {argc,
				       argv,
				       text,
				       connection->multi ? connection->queue_db : connection->db,
				       connection->asking,
				       connection->multi,
				       connection->number};
	const char *reply;
	char *record;

	text_of(argc, argv, text);
	reply = fake->decide ? fake->decide(fake->owner, fake, &command) : NULL;
	if (!reply)
		reply = moved_away(connection, argc, argv, moved);
	if (!connection->multi)
		connection->asking = false;
	if (reply && strcmp(reply, FAKE_CLOSE) == 0) {
		connection_close(connection);
		return;
	}
	if (reply && strcmp(reply, FAKE_SILENT) == 0) {
		connection->silent = true;
		uv_read_stop((uv_stream_t *)&connection->uv); /* it does not notice the end of the connection either */
		return;
	}
	if (reply && reply[0] == '-') {
		connection->dirty = connection->multi;
		say(connection, reply);
		return;
	}
	if (is(argv[0], "INFO")) {
		tell_history(connection);
		return;
	}
	if (is_mark(argc, argv) && !connection->multi) {
		answer_mark(connection, argc, argv);
		return;
	}
	record = is_mark(argc, argv) ? mark_text(argc, argv)
				     : memory_printf("%u %s%s", command.db, text, connection->multi ? " [tx]" : "");
	if (connection->multi) {
		connection->queue = memory_realloc_array(connection->queue, connection->queue_count + 1, sizeof(char *));
		connection->queue[connection->queue_count++] = record;
		if (is(argv[0], "SELECT"))
			connection->queue_db = (uint32_t)atoi((const char *)argv[1].data);
		say(connection, "+QUEUED\r\n");
		return;
	}
	keep(fake, record);
	if (reply && strcmp(reply, FAKE_CLOSE_EXECUTED) == 0) {
		connection_close(connection);
	} else if (reply && strcmp(reply, FAKE_CLOSE_IN_REPLY) == 0) {
		say(connection, "+O");
		connection_close(connection);
	} else {
		say(connection, reply ? reply : "+OK\r\n");
	}
}

static void take_command(struct connection *connection, uint32_t argc, const struct slice *argv)
{
	struct fake_target *fake = connection->fake;

	fake->arrived++;
	if (is(argv[0], "CLIENT") || is(argv[0], "AUTH")) {
		char text[TEXT_MAX];
		struct fake_command command = {argc, argv, text, 0, false, false, connection->number};
		const char *reply;

		text_of(argc, argv, text);
		reply = fake->greeting ? fake->greeting(fake->owner, &command) : NULL;
		if (reply)
			say(connection, reply);
		else
			client_command(connection, argv, argc);
	} else if (is(argv[0], "CLUSTER")) {
		answer_slots(connection);
	} else if (is(argv[0], "ASKING")) {
		connection->asking = true;
		say(connection, "+OK\r\n");
	} else if (is(argv[0], "SELECT") && !connection->multi) {
		char text[TEXT_MAX];
		struct fake_command command = {argc, argv, text, connection->db, false, false, connection->number};
		const char *reply;

		text_of(argc, argv, text);
		reply = fake->decide ? fake->decide(fake->owner, fake, &command) : NULL;
		fake->selects++;
		if (!reply && fake->cluster && !is(argv[1], "0"))
			reply = "-ERR SELECT is not allowed in cluster mode\r\n";
		if (!reply)
			connection->db = (uint32_t)atoi((const char *)argv[1].data);
		say(connection, reply ? reply : "+OK\r\n");
	} else if (is(argv[0], "MULTI") && connection->multi) {
		say(connection, "-ERR MULTI calls can not be nested\r\n");
	} else if (is(argv[0], "MULTI")) {
		connection->multi = true;
		connection->dirty = false;
		connection->queue_db = connection->db;
		say(connection, "+OK\r\n");
	} else if (is(argv[0], "EXEC")) {
		execute_queue(connection);
	} else if (is(argv[0], "DISCARD") && fake->discard_denied) {
		connection->dirty = true;
		say(connection, "-NOPERM this user has no permissions to run the 'discard' command\r\n");
	} else if (is(argv[0], "DISCARD")) {
		connection->multi = connection->asking = false;
		drop_queue(connection);
		fake->discards++;
		say(connection, "+OK\r\n");
	} else {
		data_command(connection, argc, argv);
	}
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	struct connection *connection = handle->data;
	size_t room;
	uint8_t *at;

	(void)size;
	assert(buffer_reserve(&connection->in, 64 << 10));
	at = buffer_room(&connection->in, &room);
	*ret = uv_buf_init((char *)at, (unsigned)room);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *room)
{
	struct connection *connection = stream->data;

	(void)room;
	if (got < 0) {
		connection_close(connection);
		return;
	}
	buffer_produced(&connection->in, (size_t)got);
	while (!connection->closing && !connection->silent && !connection->fake->mute_hello) {
		struct slice in = buffer_readable(&connection->in);
		struct parse_fault fault;
		uint32_t argc;
		struct slice *argv;
		uint64_t taken, need;

		if (in.len == 0 || resp_command_parse(&connection->parser, in, &argc, &argv, &taken, &need, &fault) != PARSE_OK)
			return;
		take_command(connection, argc, argv);
		if (!connection->closing)
			buffer_consumed(&connection->in, taken);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct fake_target *fake = ((struct fake_state *)listener->data)->fake;
	struct connection *connection = memory_alloc_zero(1, sizeof(*connection));

	assert(status == 0);
	connection->fake = fake;
	connection->number = ++fake->connections;
	buffer_init(&connection->in, BUFFER_MAX);
	buffer_init(&connection->out, BUFFER_MAX);
	resp_command_parser_init(&connection->parser);
	uv_tcp_init(listener->loop, &connection->uv);
	uv_idle_init(listener->loop, &connection->idle);
	connection->uv.data = connection->idle.data = connection;
	connection->next = fake->state->first;
	fake->state->first = connection;
	fake->open++;
	assert(uv_accept(listener, (uv_stream_t *)&connection->uv) == 0);
	uv_tcp_nodelay(&connection->uv, 1);
	if (!fake->state->frozen)
		uv_read_start((uv_stream_t *)&connection->uv, on_alloc, on_read);
}

void fake_start(struct fake_target *fake, struct loop *loop)
{
	struct sockaddr_in address;
	int len = sizeof(address);
	uint16_t port = fake->endpoint.port; /* 0, or the one it had before it was stopped */

	if (!fake->state)
		fake->state = memory_alloc_zero(1, sizeof(*fake->state));
	fake->state->fake = fake;
	fake->state->loop = loop;
	fake->state->listening = true;
	uv_tcp_init(loop_handle(loop), &fake->state->listener);
	fake->state->listener.data = fake->state;
	uv_ip4_addr("127.0.0.1", port, &address);
	assert(uv_tcp_bind(&fake->state->listener, (struct sockaddr *)&address, 0) == 0);
	assert(uv_listen((uv_stream_t *)&fake->state->listener, 16, on_connection) == 0);
	assert(uv_tcp_getsockname(&fake->state->listener, (struct sockaddr *)&address, &len) == 0);
	snprintf(fake->endpoint.host, sizeof(fake->endpoint.host), "127.0.0.1");
	fake->endpoint.port = ntohs(address.sin_port);
}

void fake_hang_up(struct fake_target *fake)
{
	while (fake->state->first)
		connection_close(fake->state->first);
}

void fake_stop(struct fake_target *fake)
{
	fake_hang_up(fake);
	if (!fake->state->listening)
		return;
	uv_close((uv_handle_t *)&fake->state->listener, listener_closed);
	while (fake->state->listening)
		uv_run(loop_handle(fake->state->loop), UV_RUN_NOWAIT);
}

void fake_freeze(struct fake_target *fake, bool frozen)
{
	fake->state->frozen = frozen;
	for (struct connection *connection = fake->state->first; connection; connection = connection->next) {
		if (frozen)
			uv_read_stop((uv_stream_t *)&connection->uv);
		else
			uv_read_start((uv_stream_t *)&connection->uv, on_alloc, on_read);
	}
}

char *fake_executed(const struct fake_target *fake, const char *filter)
{
	char *all = memory_strdup("");

	for (size_t i = 0; i < fake->executed_count; i++) {
		char *longer;

		if (filter && !strstr(fake->executed[i], filter))
			continue;
		longer = memory_printf("%s%s\n", all, fake->executed[i]);
		free(all);
		all = longer;
	}
	return all;
}

size_t fake_executed_count(const struct fake_target *fake, const char *filter)
{
	size_t count = 0;

	for (size_t i = 0; i < fake->executed_count; i++)
		count += !filter || strstr(fake->executed[i], filter);
	return count;
}

void fake_free(struct fake_target *fake)
{
	fake_stop(fake);
	for (size_t i = 0; i < fake->executed_count; i++)
		free(fake->executed[i]);
	free(fake->executed);
	free(fake->fields);
	fake->fields = NULL;
	free(fake->state);
	fake->executed = NULL;
	fake->executed_count = 0;
	fake->state = NULL;
}

void fake_cluster_init(struct fake_cluster *cluster, struct fake_target *fakes, int count)
{
	*cluster = (struct fake_cluster){.count = count};
	for (int i = 0; i < count; i++) {
		cluster->members[i] = &fakes[i];
		fakes[i].cluster = cluster;
		fakes[i].index = i;
	}
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		cluster->owner[slot] = slot * count / SLOT_COUNT;
}
