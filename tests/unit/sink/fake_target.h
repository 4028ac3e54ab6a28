/* A target server played on the test's own loop: it speaks enough of the protocol for a sink's connections, keeps what it
 * executed in order, and misbehaves as the test scripts it.
 *
 * Real where the sink depends on it: a database per connection, MULTI with a queue that an error poisons (EXECABORT), ASKING
 * for one command or one transaction, MOVED by an owner table that the fakes of a cluster share, CLIENT ID, LIST and KILL, and the hashes whose names
 * begin with "keyferry:" (they are kept apart from what it executed: fake_field()).
 * Whatever is not of that kind is executed and answered +OK, unless `decide` says otherwise. */
#ifndef KEYFERRY_TESTS_FAKE_TARGET_H
#define KEYFERRY_TESTS_FAKE_TARGET_H

#include "net/endpoint.h"
#include "net/loop.h"
#include "wire/slot.h"

#define FAKES_MAX 4

struct fake_target;

/* What decide() may answer beside a reply in RESP, which it writes with its CRLF ("-OOM ...\r\n"); NULL: executed, +OK. An
 * answer that begins with '-' was not executed, any other was. */
#define FAKE_CLOSE "close"             /* not executed; the connection is closed */
#define FAKE_CLOSE_EXECUTED "executed" /* executed; the connection is closed without an answer */
#define FAKE_CLOSE_IN_REPLY "in reply" /* executed; the connection is closed in the middle of the answer */
#define FAKE_SILENT "silent"           /* not executed; nothing more is read on this connection */

struct fake_command {
	uint32_t argc;
	const struct slice *argv;
	const char *text; /* "SET k v": arguments cut to 40 bytes */
	uint32_t db;
	bool asking;
	bool in_transaction; /* being queued */
	int connection;      /* counts from 1 */
};

struct fake_cluster {
	struct fake_target *members[FAKES_MAX];
	int count;
	int owner[SLOT_COUNT]; /* -1: nobody */
	int slots_asked;       /* CLUSTER SLOTS questions answered */
	bool slots_refused;    /* CLUSTER SLOTS is answered by an error */
};

struct fake_target {
	struct endpoint endpoint;
	struct fake_cluster *cluster; /* NULL: standalone */
	int index;                    /* among the cluster's members */
	const char *(*decide)(void *owner, struct fake_target *fake, const struct fake_command *command);
	const char *(*exec)(
		void *owner,
		struct fake_target *fake); /* what becomes of an EXEC: FAKE_CLOSE, FAKE_CLOSE_EXECUTED; NULL: as usual */
	const char *(*greeting)(void *owner, const struct fake_command *command); /* answers AUTH and CLIENT; NULL: as usual */
	/* What EXEC's reply holds for a command ("DUMP k [tx]"), in RESP; NULL: +OK, as without it. An error: it is not kept as executed. */
	const char *(*member)(void *owner, const char *text);
	void *owner;
	size_t reply_piece; /* bytes of replies written in one turn of the loop; 0: all at once */
	bool discard_denied;
	bool mute_hello; /* reads and answers nothing at all */
	/* what happened */
	char **executed; /* "db text", in order; commands of a transaction carry " [tx]" */
	size_t executed_count;
	size_t arrived;  /* commands read, handshakes included */
	int connections; /* accepted so far */
	int open;        /* now */
	int selects;
	int run; /* its run id, as INFO tells it */
	int discards;
	int kills;    /* CLIENT KILL of a connection that was there before */
	char *fields; /* of its hashes: "key\nfield\nvalue\n", the latest last */
	struct fake_state *state;
};

void fake_start(struct fake_target *fake, struct loop *loop);
/* Closes the listener and every connection: the node is gone. */
void fake_stop(struct fake_target *fake);
/* Closes the connections; new ones are taken. */
void fake_hang_up(struct fake_target *fake);
/* Stops and goes on reading from the connections. */
void fake_freeze(struct fake_target *fake, bool frozen);
/* What it executed as "db text" lines, each ended by '\n'; only those whose text contains `filter` (NULL: all). free(). */
char *fake_executed(const struct fake_target *fake, const char *filter);
size_t fake_executed_count(const struct fake_target *fake, const char *filter);
/* The value of a field of a hash "keyferry:..."; "": there is none. free(). */
char *fake_field(const struct fake_target *fake, const char *key, const char *field);
void fake_set_field(struct fake_target *fake, const char *key, const char *field, const char *value);
/* Stops it and frees its record. */
void fake_free(struct fake_target *fake);

void fake_cluster_init(struct fake_cluster *cluster, struct fake_target *fakes, int count);

#endif
