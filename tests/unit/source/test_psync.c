/* Recorded and composed handshakes through the state machine, in every splitting. What comes out is written as one text ("full
 * resync <id> <offset>; snapshot 30; ...") and compared as such; the same text must come out however the bytes were cut. */
#include "source/psync.h"

#include "base/memory.h"
#include "wire/crc64.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID "8cb37055bb2018703850f3ee6ef31b566d88f6ca"
#define OTHER_ID "53ab85a8e91ae3b1f06f07cb6c87def6a9dc337d"
#define RUN_ID "0011223344556677889900112233445566778899"
#define MARK "5c93cd6ee61db0627a012bf50e8f43ed96a7946a"

#define INFO_REDIS(version)                                                                                                      \
	"# Server\r\nredis_version:" version "\r\nredis_mode:standalone\r\nrun_id:" RUN_ID "\r\n# Replication\r\nrole:master\r\n"
#define INFO_PSYNC2 "master_replid:" ID "\r\nmaster_repl_offset:4711\r\n"
#define INFO_28 INFO_REDIS("2.8.24") "master_repl_offset:4711\r\n"
#define INFO_32 INFO_REDIS("3.2.13") "master_repl_offset:4711\r\n"
#define INFO_70 INFO_REDIS("7.0.15") INFO_PSYNC2
#define INFO_VALKEY                                                                                                              \
	"# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nserver_mode:standalone\r\n"            \
	"run_id:" RUN_ID "\r\n# Replication\r\nrole:master\r\n" INFO_PSYNC2

/* A question (its words with spaces between) and what the master sends in answer. */
struct answer {
	const char *question;
	const char *reply; /* INFO: the bulk's text */
	size_t reply_len;  /* 0: a text */
};

struct session {
	struct buffer asked; /* every question, "; " behind each */
	struct buffer said;
};

/* Turns "*1\r\n$4\r\nPING\r\n" into "PING". One question is out at a time. */
static void read_question(struct buffer *out, char *text, size_t cap)
{
	struct slice in = buffer_readable(out);
	const char *at = (const char *)in.data, *end = at + in.len;
	long count = strtol(at + 1, (char **)&at, 10);
	size_t used = 0;

	assert_int_equal(in.data[0], '*');
	at += 2;
	for (long i = 0; i < count; i++) {
		long len = strtol(at + 1, (char **)&at, 10);

		used += (size_t)snprintf(text + used, cap - used, "%s%.*s", i > 0 ? " " : "", (int)len, at + 2);
		at += 2 + len + 2;
	}
	assert_ptr_equal(at, end);
	buffer_clear(out);
}

static void say(struct session *session, struct psync *psync, enum psync_step step, struct slice bytes)
{
	static uint64_t run;
	struct buffer *said = &session->said;
	bool fine = true;

	switch (step) {
	case PSYNC_NEED_MORE: break;
	case PSYNC_FULL_RESYNC: fine = buffer_printf(said, "full resync %s %" PRId64 "; ", psync->replid, psync->offset); break;
	case PSYNC_CONTINUED:
		fine = buffer_printf(said, "continued %s %" PRId64 "; ", psync->replid, psync->offset);
		run = 0;
		break;
	case PSYNC_SNAPSHOT_BEGIN:
		fine = buffer_printf(said, "snapshot %" PRIu64 "; ", psync->snapshot_length);
		run = 0;
		break;
	case PSYNC_SNAPSHOT_BYTES: run += bytes.len; break;
	case PSYNC_SNAPSHOT_END: fine = buffer_printf(said, "%" PRIu64 " bytes; ", run); break;
	case PSYNC_STREAM_BYTES: fine = buffer_append_slice(said, bytes); break;
	case PSYNC_FAILED: fine = buffer_printf(said, "failed: %s", psync->error.text); break;
	case PSYNC_REFUSED: fine = buffer_printf(said, "refused: %s", psync->error.text); break;
	}
	assert_true(fine);
}

static enum psync_step feed(struct session *session, struct psync *psync, struct slice in)
{
	uint8_t *copy = memory_alloc(in.len);
	enum psync_step step = PSYNC_NEED_MORE;
	size_t at = 0;

	memcpy(copy, in.data, in.len);
	for (;;) {
		struct slice bytes;
		size_t taken;

		step = psync_next(psync, slice_make(copy + at, in.len - at), &taken, &bytes);
		assert_true(taken <= in.len - at);
		at += taken;
		say(session, psync, step, bytes);
		if (step == PSYNC_NEED_MORE)
			assert_int_equal(at, in.len);
		if (step == PSYNC_NEED_MORE || step == PSYNC_FAILED || step == PSYNC_REFUSED)
			break;
	}
	free(copy);
	return step;
}

/* The whole conversation, each answer cut into pieces of `piece` bytes; with `knocking`, newlines before each answer. */
static void converse(const struct psync_request *request, const struct answer *answers, size_t piece, bool knocking,
		     struct session *session)
{
	struct psync psync;
	struct buffer out;

	buffer_init(&session->asked, 1 << 16);
	buffer_init(&session->said, 1 << 16);
	buffer_init(&out, 1 << 16);
	psync_init(&psync);
	psync_begin(&psync, request, &out);
	while (out.end > out.start) {
		const struct answer *answer = answers;
		struct buffer reply;
		char question[512];
		size_t len;

		read_question(&out, question, sizeof(question));
		assert_true(buffer_printf(&session->asked, "%s; ", question));
		while (answer->question != NULL && strcmp(answer->question, question) != 0)
			answer++;
		if (answer->question == NULL)
			break;
		len = answer->reply_len > 0 ? answer->reply_len : strlen(answer->reply);
		buffer_init(&reply, 1 << 16);
		if (knocking)
			assert_true(buffer_printf(&reply, "\n\r\n\n"));
		if (strcmp(question, "INFO") == 0 && answer->reply[0] == '#')
			assert_true(buffer_printf(&reply, "$%zu\r\n%s\r\n", len, answer->reply));
		else
			assert_true(buffer_append(&reply, answer->reply, len));
		for (size_t at = 0; at < reply.end; at += piece) {
			size_t n = piece < reply.end - at ? piece : reply.end - at;
			enum psync_step step = feed(session, &psync, slice_make(reply.data + at, n));

			if (step != PSYNC_NEED_MORE) {
				assert_int_equal(out.end, out.start);
				break;
			}
		}
		buffer_free(&reply);
	}
	assert_true(buffer_append(&session->asked, "", 1));
	assert_true(buffer_append(&session->said, "", 1));
	buffer_free(&out);
	psync_free(&psync);
}

static void check(const struct psync_request *request, const struct answer *answers, const char *asked, const char *said)
{
	for (size_t piece = 1; piece <= 120; piece += piece < 60 ? 1 : 30) {
		struct session session;

		converse(request, answers, piece, piece % 2 == 0, &session);
		assert_string_equal(session.asked.data, asked);
		assert_string_equal(session.said.data, said);
		buffer_free(&session.asked);
		buffer_free(&session.said);
	}
}

/* PSYNC's answer with a snapshot of 40 bytes behind it and a stream behind that. */
static char *full_resync(const char *offset, const char *form, size_t *ret_len)
{
	uint8_t rdb[40] = "REDIS0010";
	struct buffer all;
	uint64_t sum;

	rdb[31] = 0xff;
	sum = crc64(0, rdb, 32);
	for (size_t i = 0; i < 8; i++)
		rdb[32 + i] = (uint8_t)(sum >> (8 * i));
	buffer_init(&all, 4096);
	assert_true(buffer_printf(&all, "+FULLRESYNC " ID " %s\r\n\n\n%s\r\n", offset, form));
	assert_true(buffer_append(&all, rdb, sizeof(rdb)));
	if (form[1] == 'E')
		assert_true(buffer_printf(&all, MARK));
	assert_true(buffer_printf(&all, "*1\r\n$4\r\nping\r\n"));
	*ret_len = all.end;
	return (char *)all.data;
}

#define ASKED_PLAIN "PING; INFO; REPLCONF listening-port 0; REPLCONF capa eof capa psync2; PSYNC ? -1; "
#define GOT_SNAPSHOT(offset, length) "full resync " ID " " offset "; snapshot " length "; 40 bytes; *1\r\n$4\r\nping\r\n"

static void test_redis(void **state)
{
	const struct psync_request request = {0};
	struct answer answers[] = {
		{"PING", "+PONG\r\n", 0},
		{"INFO", INFO_70, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "+OK\r\n", 0},
		{"PSYNC ? -1", NULL, 0},
		{0},
	};

	(void)state;
	answers[4].reply = full_resync("0", "$40", &answers[4].reply_len);
	check(&request, answers, ASKED_PLAIN, GOT_SNAPSHOT("0", "40"));
	free((char *)answers[4].reply);
	answers[4].reply = full_resync("0", "$EOF:" MARK, &answers[4].reply_len);
	check(&request, answers, ASKED_PLAIN, GOT_SNAPSHOT("0", "0"));
	free((char *)answers[4].reply);
}

/* 2.8 and 3.0 know no capabilities, 3.2 answered FULLRESYNC with offset 1 on a fresh backlog. */
static void test_old_redis(void **state)
{
	const struct psync_request request = {0};
	struct answer answers[] = {
		{"PING", "+PONG\r\n", 0},
		{"INFO", INFO_28, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "-ERR Unrecognized REPLCONF option: capa\r\n", 0},
		{"PSYNC ? -1", NULL, 0},
		{0},
	};

	(void)state;
	answers[4].reply = full_resync("1", "$40", &answers[4].reply_len);
	check(&request, answers, ASKED_PLAIN, GOT_SNAPSHOT("1", "40"));
	answers[1].reply = INFO_32;
	answers[3].reply = "+OK\r\n";
	check(&request, answers, ASKED_PLAIN, GOT_SNAPSHOT("1", "40"));
	free((char *)answers[4].reply);
}

static void test_valkey_with_acl_user(void **state)
{
	char user[] = "sync", password[] = "p w";
	const struct credentials credentials = {.username = user, .password = password};
	const struct psync_request request = {.credentials = &credentials, .name = "keyferry:task:link"};
	struct answer answers[] = {
		{"PING", "-NOAUTH Authentication required.\r\n", 0},
		{"AUTH sync p w", "+OK\r\n", 0},
		{"CLIENT SETNAME keyferry:task:link",
		 "-NOPERM User sync has no permissions to run the 'client|setname' command\r\n", 0},
		{"INFO", INFO_VALKEY, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "+OK\r\n", 0},
		{"REPLCONF version 9.1.2", "+OK\r\n", 0},
		{"PSYNC ? -1", NULL, 0},
		{0},
	};
	const char *asked = "PING; AUTH sync p w; CLIENT SETNAME keyferry:task:link; INFO; REPLCONF listening-port 0; "
			    "REPLCONF capa eof capa psync2; REPLCONF version 9.1.2; PSYNC ? -1; ";

	(void)state;
	answers[7].reply = full_resync("0", "$EOF:" MARK, &answers[7].reply_len);
	check(&request, answers, asked, GOT_SNAPSHOT("0", "0"));
	answers[6].reply = "-ERR Unrecognized REPLCONF option: version\r\n"; /* 7.2 */
	answers[2].reply = "+OK\r\n";
	check(&request, answers, asked, GOT_SNAPSHOT("0", "0"));
	free((char *)answers[7].reply);
}

static void test_continue(void **state)
{
	const struct psync_request request = {.replid = ID, .offset = 1000};
	struct answer answers[] = {
		{"PING", "+PONG\r\n", 0},
		{"INFO", INFO_70, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "+OK\r\n", 0},
		{"PSYNC " ID " 1001", "+CONTINUE\r\n\n*1\r\n$4\r\nping\r\n", 0},
		{0},
	};
	const char *asked = "PING; INFO; REPLCONF listening-port 0; REPLCONF capa eof capa psync2; PSYNC " ID " 1001; ";

	(void)state;
	/* The newline belongs to the stream here: it counts. */
	check(&request, answers, asked, "continued " ID " 1000; \n*1\r\n$4\r\nping\r\n");
	answers[4].reply = "+CONTINUE " OTHER_ID "\r\n*1\r\n";
	check(&request, answers, asked, "continued " OTHER_ID " 1000; *1\r\n");
	answers[4].reply = "+CONTINUE xyz\r\n";
	check(&request, answers, asked, "refused: PSYNC was answered with \"+CONTINUE xyz\", which is not understood");
	answers[4].reply = "+FULLRESYNC " OTHER_ID " 77\r\n";
	check(&request, answers, asked, "full resync " OTHER_ID " 77; ");
}

/* Without a snapshot: from where INFO says the master stands. Before 4.0 the run id names the history. */
static void test_from_now(void **state)
{
	const struct psync_request request = {.from_now = true};
	struct answer answers[] = {
		{"PING", "+PONG\r\n", 0},
		{"INFO", INFO_70, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "+OK\r\n", 0},
		{"PSYNC " ID " 4712", "+CONTINUE " ID "\r\n", 0},
		{"PSYNC " RUN_ID " 4712", "+CONTINUE\r\n", 0},
		{0},
	};

	(void)state;
	check(&request, answers, "PING; INFO; REPLCONF listening-port 0; REPLCONF capa eof capa psync2; PSYNC " ID " 4712; ",
	      "continued " ID " 4711; ");
	answers[1].reply = INFO_28;
	check(&request, answers, "PING; INFO; REPLCONF listening-port 0; REPLCONF capa eof capa psync2; PSYNC " RUN_ID " 4712; ",
	      "continued " RUN_ID " 4711; ");
}

/* One answer in place of the good one, and what becomes of it. */
static void check_answer(const char *question, const char *reply, const char *said)
{
	char user[] = "sync", password[] = "secret";
	const struct credentials credentials = {.username = user, .password = password};
	const struct psync_request request = {.credentials = &credentials};
	struct answer answers[] = {
		{"PING", "+PONG\r\n", 0},
		{"AUTH sync secret", "+OK\r\n", 0},
		{"INFO", INFO_70, 0},
		{"REPLCONF listening-port 0", "+OK\r\n", 0},
		{"REPLCONF capa eof capa psync2", "+OK\r\n", 0},
		{"PSYNC ? -1", "+FULLRESYNC " ID " 9\r\n", 0},
		{0},
	};
	bool replaced = false;

	for (struct answer *answer = answers; answer->question != NULL; answer++) {
		if (strcmp(answer->question, question) == 0) {
			answer->reply = reply;
			replaced = true;
		}
	}
	assert_true(replaced);
	for (size_t piece = 1; piece < 200; piece += 11) {
		struct session session;

		converse(&request, answers, piece, false, &session);
		assert_string_equal(session.said.data, said);
		assert_null(strstr((char *)session.said.data, "secret"));
		buffer_free(&session.asked);
		buffer_free(&session.said);
	}
}

static void test_errors(void **state)
{
	(void)state;
	check_answer("PING", "-ERR operation not permitted\r\n", "full resync " ID " 9; ");
	check_answer("PING", "-MISCONF Redis is configured to save RDB snapshots\r\n", "full resync " ID " 9; ");
	check_answer("PING", "-LOADING Redis is loading the dataset in memory\r\n",
		     "failed: PING was answered with \"LOADING Redis is loading the dataset in memory\"");
	check_answer("PING", "-DENIED Redis is running in protected mode\r\n",
		     "refused: PING was answered with \"DENIED Redis is running in protected mode\"");
	check_answer("PING", "-ERR max number of clients reached\r\n",
		     "failed: PING was answered with \"ERR max number of clients reached\"");
	check_answer("AUTH sync secret", "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
		     "refused: AUTH was answered with \"WRONGPASS invalid username-password pair or user is disabled.\"");
	check_answer("AUTH sync secret", "-ERR Client sent AUTH, but no password is set\r\n",
		     "refused: AUTH was answered with \"ERR Client sent AUTH, but no password is set\"");
	check_answer("AUTH sync secret", "-ERR unknown command `AUTH`, with args beginning with: `sync`, `secret`, \r\n",
		     "refused: AUTH was answered with \"ERR unknown command `AUTH`\"");
	check_answer("INFO", "-NOAUTH Authentication required.\r\n",
		     "refused: INFO was answered with \"NOAUTH Authentication required.\"");
	check_answer("INFO", "# Something else\r\n",
		     "refused: this is not a Redis or Valkey server: it answered \"# Something else\\x0d\\x0a\"");
	check_answer("REPLCONF listening-port 0", "-NOPERM this user has no permissions\r\n",
		     "refused: REPLCONF listening-port was answered with \"NOPERM this user has no permissions\"");
	check_answer("PSYNC ? -1", "-NOPERM this user has no permissions to run the 'psync' command\r\n",
		     "refused: PSYNC was answered with \"NOPERM this user has no permissions to run the 'psync' command\"");
	check_answer("PSYNC ? -1", "-ERR unknown command 'PSYNC'\r\n",
		     "refused: PSYNC was answered with \"ERR unknown command 'PSYNC'\"");
	check_answer("PSYNC ? -1", "-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
		     "failed: PSYNC was answered with \"NOMASTERLINK Can't SYNC while not connected with my master\"");
	check_answer("PSYNC ? -1", "+CONTINUE\r\n", "refused: PSYNC was answered with \"+CONTINUE\", which is not understood");
	check_answer("PSYNC ? -1", "+FULLRESYNC abc 9\r\n",
		     "refused: PSYNC was answered with \"+FULLRESYNC abc 9\", which is not understood");
	check_answer("PSYNC ? -1", "+FULLRESYNC " ID " -9\r\n",
		     "refused: PSYNC was answered with \"+FULLRESYNC " ID " -9\", which is not understood");
	check_answer("PSYNC ? -1", "+FULLRESYNC " ID " 9\r\n-ERR BGSAVE failed, replication can't continue\r\n",
		     "full resync " ID " 9; failed: the source could not make its snapshot and says "
		     "\"ERR BGSAVE failed, replication can't continue\"");
	check_answer("PSYNC ? -1", "+FULLRESYNC " ID " 9\r\n$EOF:123\r\n",
		     "full resync " ID
		     " 9; refused: the snapshot's header was answered with \"$EOF:123\", which is not understood");
	check_answer("PSYNC ? -1", "+FULLRESYNC " ID " 9\r\n$20\r\nREDIS00100123456789x*1\r\n",
		     "full resync " ID
		     " 9; snapshot 20; failed: the snapshot's checksum is wrong: its 20 bytes were damaged on the way "
		     "(cdc77c982dac406b, and not 7839383736353433)");
	check_answer("PSYNC ? -1", "+FULLRESYNC " ID " 9\r\n$0\r\n",
		     "full resync " ID " 9; snapshot 0; failed: the snapshot has only 0 bytes, too few to be one");
}

static void test_not_a_redis(void **state)
{
	struct psync_request request = {0};
	const struct {
		const char *greeting;
		size_t len;
		const char *said;
	} rows[] = {
		{"SSH-2.0-OpenSSH_9.2p1 Debian", 0, "SSH-2.0-OpenSSH_9.2p1 Debian"},
		{"HTTP/1.1 400 Bad Request\r\n", 0, "HTTP/1.1 400 Bad Request\\x0d\\x0a"},
		{"\x15\x03\x01\x00\x02\x02", 6, "\\x15\\x03\\x01\\x00\\x02\\x02"},
		{"\0abc", 4, "\\x00abc"},
		{"*1\r\n", 0, "*1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct answer answers[] = {{"PING", rows[i].greeting, rows[i].len}, {0}};
		char said[200];
		struct session session;

		snprintf(said, sizeof(said), "refused: this is not a Redis or Valkey server: it answered \"%s\"", rows[i].said);
		converse(&request, answers, 1000, false, &session);
		assert_string_equal(session.said.data, said);
		buffer_free(&session.asked);
		buffer_free(&session.said);
	}
}

/* A reply line without end is cut off, not gathered for ever. */
static void test_endless_line(void **state)
{
	const struct psync_request request = {0};
	struct psync psync;
	struct buffer out;
	enum psync_step step = PSYNC_NEED_MORE;
	size_t fed = 0;

	(void)state;
	buffer_init(&out, 1 << 16);
	psync_init(&psync);
	psync_begin(&psync, &request, &out);
	while (step == PSYNC_NEED_MORE && fed < 100000) {
		struct slice bytes;
		size_t taken;

		step = psync_next(&psync, SLICE("+PONGPONGPONG"), &taken, &bytes);
		fed += taken;
	}
	assert_int_equal(step, PSYNC_REFUSED);
	assert_in_range(fed, 1000, 5000);
	buffer_free(&out);
	psync_free(&psync);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redis),
		cmocka_unit_test(test_old_redis),
		cmocka_unit_test(test_valkey_with_acl_user),
		cmocka_unit_test(test_continue),
		cmocka_unit_test(test_from_now),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_not_a_redis),
		cmocka_unit_test(test_endless_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
