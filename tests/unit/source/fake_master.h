/* A master played by a thread: it answers the handshake and serves made-up bytes, with faults planned per connection.
 *
 * Its history is one run of stream bytes behind `start_offset`; whoever asks for a byte of it under `replid` gets +CONTINUE,
 * everybody else the snapshot and all of the run. What it was asked and told is kept for the test to look at. */
#ifndef KEYFERRY_TESTS_FAKE_MASTER_H
#define KEYFERRY_TESTS_FAKE_MASTER_H

#include "net/endpoint.h"

#include <pthread.h>
#include <stdatomic.h>

#define FAKE_NEVER UINT64_MAX
#define FAKE_PLANS_MAX 32
#define FAKE_ID "8cb37055bb2018703850f3ee6ef31b566d88f6ca"
#define FAKE_OTHER_ID "53ab85a8e91ae3b1f06f07cb6c87def6a9dc337d"

/* What befalls one connection. The counts are of bytes sent after the PSYNC reply's line. */
struct fake_plan {
	uint64_t cut_at;    /* closes there */
	uint64_t silent_at; /* says nothing more from there on */
	uint64_t damage_at; /* the byte there is sent wrong */
	size_t piece;       /* bytes a write, with keep-alive newlines where they may come; 0: as they fit */
	bool marked;        /* the diskless form */
	bool full;          /* FULLRESYNC whatever was asked */
	const char *psync;  /* this reply line to PSYNC instead */
};

struct fake_master {
	struct endpoint endpoint;
	const char *password; /* NULL: none */
	const char *replid;
	const char *continue_as; /* +CONTINUE names this id */
	int64_t start_offset;
	const uint8_t *rdb;
	size_t rdb_len;
	const uint8_t *stream;
	size_t stream_len;
	struct fake_plan plans[FAKE_PLANS_MAX]; /* of the first connections; later ones go well */
	size_t plan_count;

	atomic_int connections;
	atomic_int full_resyncs;
	atomic_int continues;
	_Atomic int64_t asked; /* offset of the last PSYNC; -1 for "? -1" */
	_Atomic int64_t acknowledged;
	_Atomic uint64_t sent; /* on the connection at hand */
	int listener;
	int stop_pipe[2];
	pthread_t thread;
};

/* Plans that cut, silence and damage nothing. */
struct fake_plan fake_plan_fine(void);
/* Listens on a free port of the loopback; fields above `connections` are set before. */
void fake_master_start(struct fake_master *master);
/* Hangs up and ends the thread. */
void fake_master_stop(struct fake_master *master);

#endif
