#include "source/psync.h"

#include "base/memory.h"
#include "wire/resp.h"

#include <inttypes.h>
#include <stdio.h>

#define LINE_MAX_LEN 4096       /* longer reply lines do not come from a Redis */
#define INFO_MAX_LEN (4u << 20) /* INFO of a server with thousands of databases is some 100 KB */

void psync_init(struct psync *psync)
{
	*psync = (struct psync){.state = PSYNC_IDLE};
	buffer_init(&psync->reply, INFO_MAX_LEN);
}

void psync_free(struct psync *psync)
{
	buffer_free(&psync->reply);
}

/* ---- errors ---- */

/* The server's own words, fit for a message. An old or restricted server may repeat the arguments of a command that it does not
 * know, and with AUTH that is the password: that part never comes through. */
static const char *psync_quote(struct slice text, char *out, size_t cap)
{
	static const char repeats[] = "with args beginning";
	const uint8_t *found = memmem(text.data, text.len, repeats, sizeof(repeats) - 1);

	if (found != NULL) {
		text.len = (size_t)(found - text.data);
		while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == ','))
			text.len--;
	}
	return slice_quote(text, out, cap);
}

static enum psync_step psync_fail(struct psync *psync)
{
	psync->state = PSYNC_OVER;
	return PSYNC_FAILED;
}

static enum psync_step psync_refuse(struct psync *psync)
{
	psync->state = PSYNC_OVER;
	return PSYNC_REFUSED;
}

static enum psync_step psync_not_redis(struct psync *psync, struct slice seen)
{
	char quoted[120];

	error_set(&psync->error, ERROR_SOURCE, "this is not a Redis or Valkey server: it answered %s",
		  slice_quote(seen, quoted, sizeof(quoted)));
	/* 0x15 0x03: a TLS alert record. */
	if (seen.len >= 2 && seen.data[0] == 0x15 && seen.data[1] == 0x03)
		error_hint(&psync->error, "the port speaks TLS: configure tls for the source");
	else
		error_hint(&psync->error, "check the source's address and port");
	return psync_refuse(psync);
}

static bool text_has(struct slice text, const char *part)
{
	return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

/* An error reply that ends the handshake. Which ones waiting does not mend: */
static enum psync_step psync_answered_error(struct psync *psync, const char *command, struct slice text)
{
	char quoted[240];

	error_set(&psync->error, ERROR_SOURCE, "%s was answered with %s", command, psync_quote(text, quoted, sizeof(quoted)));
	if (slice_starts_with(text, SLICE("NOAUTH")) || text_has(text, "operation not permitted")) {
		error_hint(&psync->error,
			   "the source asks for a password: set source.password_file, and source.username for an ACL user");
		return psync_refuse(psync);
	}
	if (slice_starts_with(text, SLICE("WRONGPASS")) || text_has(text, "invalid password")) {
		error_hint(&psync->error, "check source.username and the source's password");
		return psync_refuse(psync);
	}
	if (text_has(text, "no password is set") || text_has(text, "without any password")) {
		error_hint(&psync->error, "the source has no password: leave it out");
		return psync_refuse(psync);
	}
	if (slice_starts_with(text, SLICE("NOPERM"))) {
		error_hint(
			&psync->error,
			"the source's user needs +info +psync +replconf (docs/least-rights.md); where that cannot be had, source.mode: scan does without");
		return psync_refuse(psync);
	}
	if (slice_starts_with(text, SLICE("DENIED"))) {
		error_hint(&psync->error, "the source is in protected mode: without a password it takes connections from its own "
					  "host only");
		return psync_refuse(psync);
	}
	if (text_has(text, "unknown command") || text_has(text, "unknown subcommand")) {
		error_hint(&psync->error, "the source must allow PSYNC and REPLCONF (not renamed, not disabled by its provider), "
					  "and be 2.8 or later; source.mode: scan does without them");
		return psync_refuse(psync);
	}
	return psync_fail(psync);
}

/* ---- questions ---- */

static enum psync_step psync_ask(struct psync *psync, enum psync_state state, uint32_t argc, const struct slice *argv)
{
	if (!resp_command_write(psync->out, argc, argv)) {
		error_set(&psync->error, ERROR_SOURCE, "a command of the handshake is too long to be sent");
		return psync_refuse(psync);
	}
	psync->state = state;
	return PSYNC_NEED_MORE;
}

static enum psync_step psync_ask_ping(struct psync *psync)
{
	const struct slice argv[] = {SLICE("PING")};

	return psync_ask(psync, PSYNC_PING, 1, argv);
}

static enum psync_step psync_ask_info(struct psync *psync)
{
	const struct slice argv[] = {SLICE("INFO")};

	return psync_ask(psync, PSYNC_INFO, 1, argv);
}

static enum psync_step psync_ask_name(struct psync *psync)
{
	if (psync->request.name == NULL)
		return psync_ask_info(psync);

	const struct slice argv[] = {SLICE("CLIENT"), SLICE("SETNAME"), slice_of_string(psync->request.name)};

	return psync_ask(psync, PSYNC_NAME, 3, argv);
}

static enum psync_step psync_ask_auth(struct psync *psync)
{
	const struct credentials *credentials = psync->request.credentials;
	char *password = credentials_password(credentials);
	struct slice argv[3] = {SLICE("AUTH")};
	uint32_t argc = 1;
	enum psync_step step;

	if (!password)
		return psync_ask_name(psync);
	if (credentials->username != NULL)
		argv[argc++] = slice_of_string(credentials->username);
	argv[argc++] = slice_of_string(password);
	step = psync_ask(psync, PSYNC_AUTH, argc, argv);
	credentials_forget(password);
	return step;
}

static enum psync_step psync_ask_port(struct psync *psync)
{
	const struct slice argv[] = {SLICE("REPLCONF"), SLICE("listening-port"), SLICE("0")};

	return psync_ask(psync, PSYNC_PORT, 3, argv);
}

static enum psync_step psync_ask_capabilities(struct psync *psync)
{
	const struct slice argv[] = {SLICE("REPLCONF"), SLICE("capa"), SLICE("eof"), SLICE("capa"), SLICE("psync2")};

	return psync_ask(psync, PSYNC_CAPABILITIES, 5, argv);
}

static enum psync_step psync_ask_psync(struct psync *psync)
{
	const struct psync_request *request = &psync->request;
	char offset[24] = "-1";

	psync->offset = -1;
	snprintf(psync->replid, sizeof(psync->replid), "?");
	if (request->replid != NULL) {
		snprintf(psync->replid, sizeof(psync->replid), "%s", request->replid);
		psync->offset = request->offset;
	} else if (request->from_now) {
		const struct server_info *server = &psync->server;

		/* Before 4.0 a history goes by the run id of its master. */
		snprintf(psync->replid, sizeof(psync->replid), "%s", server->replid[0] != '\0' ? server->replid : server->run_id);
		psync->offset = server->repl_offset;
	}
	if (psync->offset >= 0)
		snprintf(offset, sizeof(offset), "%" PRId64, psync->offset + 1);

	const struct slice argv[] = {SLICE("PSYNC"), slice_of_string(psync->replid), slice_of_string(offset)};

	return psync_ask(psync, PSYNC_REQUEST, 3, argv);
}

static enum psync_step psync_ask_version(struct psync *psync)
{
	uint32_t version = psync->server.version;
	char text[32];

	if (psync->server.family != FAMILY_VALKEY)
		return psync_ask_psync(psync);
	snprintf(text, sizeof(text), "%" PRIu32 ".%" PRIu32 ".%" PRIu32, version >> 16, version >> 8 & 0xff, version & 0xff);

	const struct slice argv[] = {SLICE("REPLCONF"), SLICE("version"), slice_of_string(text)};

	return psync_ask(psync, PSYNC_VERSION, 3, argv);
}

void psync_begin(struct psync *psync, const struct psync_request *request, struct buffer *out)
{
	psync->request = *request;
	psync->out = out;
	psync->reply_is_bulk = false;
	psync->server = (struct server_info){0};
	psync->snapshot_length = 0;
	error_clear(&psync->error);
	buffer_clear(&psync->reply);
	(void)psync_ask_ping(psync); /* 14 bytes into an empty buffer */
}

/* ---- replies ---- */

static bool replid_is_valid(struct slice id)
{
	if (id.len != 40)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		uint8_t c = id.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
			return false;
	}
	return true;
}

/* The next word of a line; empty at its end. */
static struct slice line_word(struct slice *line)
{
	const uint8_t *data = line->data;
	size_t start = 0, end;

	while (start < line->len && data[start] == ' ')
		start++;
	end = start;
	while (end < line->len && data[end] != ' ')
		end++;
	*line = slice_make(data + end, line->len - end);
	return slice_make(data + start, end - start);
}

static void psync_take_replid(struct psync *psync, struct slice id)
{
	memcpy(psync->replid, id.data, 40);
	psync->replid[40] = '\0';
}

static enum psync_step psync_not_understood(struct psync *psync, const char *command, struct slice text)
{
	char quoted[120];

	error_set(&psync->error, ERROR_SOURCE, "%s was answered with %s, which is not understood", command,
		  slice_quote(text, quoted, sizeof(quoted)));
	error_hint(&psync->error,
		   "check that the source's address is that of a Redis or Valkey server, without a proxy in between");
	return psync_refuse(psync);
}

/* The reply to PSYNC, the line's first byte included. */
static enum psync_step psync_got_request(struct psync *psync, struct slice line)
{
	struct slice rest = line;
	struct slice word = line_word(&rest);
	struct slice id, offset;

	if (slice_equal(word, SLICE("+FULLRESYNC"))) {
		int64_t number;

		id = line_word(&rest);
		offset = line_word(&rest);
		if (!replid_is_valid(id) || !slice_to_int64(offset, &number) || number < 0 || number > INT64_MAX / 2)
			return psync_not_understood(psync, "PSYNC", line);
		psync_take_replid(psync, id);
		psync->offset = number;
		psync->state = PSYNC_HEADER;
		return PSYNC_FULL_RESYNC;
	}
	if (slice_equal(word, SLICE("+CONTINUE"))) {
		id = line_word(&rest);
		if (psync->offset < 0 || (id.len > 0 && !replid_is_valid(id)))
			return psync_not_understood(psync, "PSYNC", line);
		if (id.len > 0)
			psync_take_replid(psync, id);
		psync->state = PSYNC_STREAM;
		return PSYNC_CONTINUED;
	}
	return psync_not_understood(psync, "PSYNC", line);
}

/* The payload's header line. */
static enum psync_step psync_got_header(struct psync *psync, struct slice line)
{
	static const char marked[] = "$EOF:";
	uint64_t length;

	if (slice_starts_with(line, SLICE("-"))) {
		char quoted[240];

		error_set(&psync->error, ERROR_SOURCE, "the source could not make its snapshot and says %s",
			  slice_quote(slice_make(line.data + 1, line.len - 1), quoted, sizeof(quoted)));
		error_hint(&psync->error, "look into the source's log (memory for its child process, disk space)");
		return psync_fail(psync);
	}
	if (line.len == sizeof(marked) - 1 + PAYLOAD_MARK && memcmp(line.data, marked, sizeof(marked) - 1) == 0) {
		payload_begin_marked(&psync->payload, line.data + sizeof(marked) - 1);
		psync->snapshot_length = 0;
	} else if (line.len > 1 && line.data[0] == '$' && slice_to_uint64(slice_make(line.data + 1, line.len - 1), &length)) {
		payload_begin_length(&psync->payload, length);
		psync->snapshot_length = length;
	} else {
		return psync_not_understood(psync, "the snapshot's header", line);
	}
	psync->state = PSYNC_PAYLOAD;
	return PSYNC_SNAPSHOT_BEGIN;
}

static enum psync_step psync_got_info(struct psync *psync, struct slice text)
{
	if (!server_info_parse(text, &psync->server))
		return psync_not_redis(psync, text);
	if (psync->request.no_foreign_replica && psync->server.role == ROLE_REPLICA &&
	    (psync->request.replid == NULL || strcmp(psync->request.replid, psync->server.replid) != 0)) {
		error_set(&psync->error, ERROR_SOURCE, "it is a replica now, of another history than the one to go on with");
		return psync_fail(psync);
	}
	return psync_ask_port(psync);
}

/* One reply line, its first byte included, to the question that `state` stands for. Errors: */
static enum psync_step psync_got_error(struct psync *psync, struct slice text)
{
	switch (psync->state) {
	case PSYNC_PING:
		/* Most errors come from AUTH being due, or concern data (MISCONF): the next questions will tell. */
		if (slice_starts_with(text, SLICE("LOADING")) || slice_starts_with(text, SLICE("DENIED")) ||
		    text_has(text, "max number of clients"))
			return psync_answered_error(psync, "PING", text);
		return psync_ask_auth(psync);
	case PSYNC_AUTH: return psync_answered_error(psync, "AUTH", text);
	case PSYNC_NAME: return psync_ask_info(psync);
	case PSYNC_INFO: return psync_answered_error(psync, "INFO", text);
	case PSYNC_PORT:
		/* Without REPLCONF no acknowledgement would be taken later, and the master would cut the connection every time. */
		return psync_answered_error(psync, "REPLCONF listening-port", text);
	case PSYNC_CAPABILITIES: return psync_ask_version(psync);
	case PSYNC_VERSION: return psync_ask_psync(psync);
	default: return psync_answered_error(psync, "PSYNC", text);
	}
}

static enum psync_step psync_got_line(struct psync *psync, struct slice line)
{
	if (psync->state == PSYNC_HEADER)
		return psync_got_header(psync, line);
	if (line.data[0] == '-')
		return psync_got_error(psync, slice_make(line.data + 1, line.len - 1));
	if (psync->state == PSYNC_REQUEST)
		return psync_got_request(psync, line);
	if (line.data[0] == '+') {
		switch (psync->state) {
		case PSYNC_PING: return psync_ask_auth(psync);
		case PSYNC_AUTH: return psync_ask_name(psync);
		case PSYNC_NAME: return psync_ask_info(psync);
		case PSYNC_PORT: return psync_ask_capabilities(psync);
		case PSYNC_CAPABILITIES: return psync_ask_version(psync);
		case PSYNC_VERSION: return psync_ask_psync(psync);
		default: break;
		}
	}
	if (psync->state == PSYNC_INFO && line.data[0] == '$') {
		uint64_t length;

		if (slice_to_uint64(slice_make(line.data + 1, line.len - 1), &length) && length > 0 &&
		    length <= INFO_MAX_LEN - 2) {
			psync->reply_is_bulk = true;
			psync->reply_left = (size_t)length + 2;
			return PSYNC_NEED_MORE;
		}
	}
	return psync_not_redis(psync, line);
}

/* Gathers one line, without its end; newlines before it are the master's keep-alive. */
static enum psync_step psync_next_line(struct psync *psync, struct slice in, size_t *ret_taken)
{
	const uint8_t *newline;
	enum psync_step step;
	struct slice line;
	size_t len;

	*ret_taken = 0;
	if (psync->reply.end == psync->reply.start) {
		while (*ret_taken < in.len && (in.data[*ret_taken] == '\n' || in.data[*ret_taken] == '\r'))
			++*ret_taken;
		in = slice_make(in.data + *ret_taken, in.len - *ret_taken);
		if (in.len == 0)
			return PSYNC_NEED_MORE;
		/* At once, and not at the end of a line that may never come: other protocols greet first. */
		if (strchr("+-:$*", in.data[0]) == NULL || in.data[0] == '\0')
			return psync_not_redis(psync, slice_make(in.data, in.len < 80 ? in.len : 80));
	}
	newline = memchr(in.data, '\n', in.len);
	len = newline != NULL ? (size_t)(newline - in.data) + 1 : in.len;
	if (len > LINE_MAX_LEN - (psync->reply.end - psync->reply.start))
		return psync_not_redis(psync, slice_make(in.data, in.len < 80 ? in.len : 80));
	if (!buffer_append(&psync->reply, in.data, len)) {
		error_set(&psync->error, ERROR_SOURCE, "a reply line is too long");
		return psync_fail(psync);
	}
	*ret_taken += len;
	if (newline == NULL)
		return PSYNC_NEED_MORE;
	line = buffer_readable(&psync->reply);
	line.len--;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	step = psync_got_line(psync, line);
	buffer_clear(&psync->reply);
	return step;
}

static enum psync_step psync_next_bulk(struct psync *psync, struct slice in, size_t *ret_taken)
{
	size_t len = in.len < psync->reply_left ? in.len : psync->reply_left;
	enum psync_step step;
	struct slice text;

	if (!buffer_append(&psync->reply, in.data, len)) { /* its length was checked against the bound */
		error_set(&psync->error, ERROR_SOURCE, "the reply to INFO is too long");
		*ret_taken = 0;
		return psync_fail(psync);
	}
	*ret_taken = len;
	psync->reply_left -= len;
	if (psync->reply_left > 0)
		return PSYNC_NEED_MORE;
	text = buffer_readable(&psync->reply);
	text.len -= 2;
	psync->reply_is_bulk = false;
	step = psync_got_info(psync, text);
	buffer_free(&psync->reply); /* the one long reply: lines need little */
	return step;
}

static enum psync_step psync_next_payload(struct psync *psync, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	switch (payload_next(&psync->payload, in, ret_taken, ret_bytes)) {
	case PAYLOAD_MORE: return PSYNC_NEED_MORE;
	case PAYLOAD_BYTES: return PSYNC_SNAPSHOT_BYTES;
	case PAYLOAD_END: psync->state = PSYNC_STREAM; return PSYNC_SNAPSHOT_END;
	case PAYLOAD_WRONG: break;
	}
	if (psync->payload.total < PAYLOAD_RDB_MIN)
		error_set(&psync->error, ERROR_SOURCE, "the snapshot has only %" PRIu64 " bytes, too few to be one",
			  psync->payload.total);
	else
		error_set(&psync->error, ERROR_SOURCE,
			  "the snapshot's checksum is wrong: its %" PRIu64 " bytes were damaged on the way (%016" PRIx64
			  ", and not %016" PRIx64 ")",
			  psync->payload.total, psync->payload.sum, payload_sum_stored(&psync->payload));
	return psync_fail(psync);
}

enum psync_step psync_next(struct psync *psync, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	enum psync_step step;
	size_t taken = 0;

	*ret_bytes = slice_make(NULL, 0);
	*ret_taken = 0;
	switch (psync->state) {
	case PSYNC_STREAM:
		*ret_taken = in.len;
		*ret_bytes = in;
		return in.len > 0 ? PSYNC_STREAM_BYTES : PSYNC_NEED_MORE;
	case PSYNC_PAYLOAD: return psync_next_payload(psync, in, ret_taken, ret_bytes);
	case PSYNC_IDLE:
	case PSYNC_OVER: *ret_taken = in.len; return PSYNC_NEED_MORE;
	default: break;
	}
	if (in.len == 0)
		return PSYNC_NEED_MORE;
	/* Replies: NEED_MORE from one of them only means that the next question is out; there may be more input all the same. */
	do {
		struct slice rest = slice_make(in.data + *ret_taken, in.len - *ret_taken);

		if (psync->reply_is_bulk)
			step = psync_next_bulk(psync, rest, &taken);
		else
			step = psync_next_line(psync, rest, &taken);
		*ret_taken += taken;
	} while (step == PSYNC_NEED_MORE && *ret_taken < in.len);
	return step;
}
