/* A sink with everything around it that a test needs: fake targets on one loop, events made of plain words, and what the
 * sink told. The deployment of libpeer is stood in for by one without a network (options alone). */
#ifndef KEYFERRY_TESTS_SINK_BENCH_H
#define KEYFERRY_TESTS_SINK_BENCH_H

#include "fake_target.h"
#include "sink/sink.h"
#include "sink/unit.h"

struct deployment {
	struct deployment_options options;
};

struct sink_bench {
	struct loop *loop;
	struct fake_target fakes[FAKES_MAX];
	struct fake_cluster cluster;
	int fake_count;
	struct deployment deployment;
	struct topology topology;
	struct sink_options options; /* changed between sink_bench_open() and sink_bench_start() */
	struct sink *sink;
	uint64_t position; /* end of the last event handed in */
	void **kept;       /* bytes of events */
	size_t kept_count;
	/* what the sink told */
	bool failed;
	struct error error;
	uint64_t applied_max;
	unsigned rooms, turns;
	char notes[8192]; /* texts of incidents too */
	unsigned told[INCIDENT_KINDS];
	struct incident last_told[INCIDENT_KINDS];
	unsigned falls;
	struct sink_fall fall;
};

/* Fakes listen; a cluster with `count` > 0 masters that share the slots evenly, standalone with 0. */
void sink_bench_open(struct sink_bench *bench, int count);
void sink_bench_start(struct sink_bench *bench);
void sink_bench_close(struct sink_bench *bench);

/* "SET k v" as a command of the stream, in database db. sink_flush() is the caller's. Returns its end. */
uint64_t bench_command(struct sink_bench *bench, uint32_t db, const char *words);
/* A string key of the snapshot. */
void bench_key(struct sink_bench *bench, uint32_t db, const char *key, struct slice value);
/* MULTI, the commands, EXEC. Each stands in a piece of its own. */
uint64_t bench_transaction(struct sink_bench *bench, uint32_t db, uint32_t db_after, uint16_t flags, const char *const *commands);
/* Bytes of `words` as RESP; lives as long as the bench. */
struct slice bench_raw(struct sink_bench *bench, const char *words);

/* Runs the loop until the condition holds (or a generous deadline, which fails the test). */
#define bench_wait(bench, condition)                                                                                             \
	do {                                                                                                                     \
		uint64_t bench_deadline_ = clock_monotonic_us() + 120000000;                                                     \
		while (!(condition)) {                                                                                           \
			bench_turn(bench);                                                                                       \
			if (clock_monotonic_us() > bench_deadline_)                                                              \
				fail_msg("waited in vain for: %s (sink: %s, failed: %s)", #condition,                            \
					 sink_waiting_for((bench)->sink), (bench)->error.text);                                  \
		}                                                                                                                \
	} while (0)
/* Until everything handed in is answered, and nothing failed. */
#define bench_settle(bench)                                                                                                      \
	do {                                                                                                                     \
		sink_flush((bench)->sink);                                                                                       \
		bench_wait(bench, bench_is_idle(bench) || (bench)->failed);                                                      \
		if ((bench)->failed)                                                                                             \
			fail_msg("the sink failed: %s", (bench)->error.text);                                                    \
	} while (0)
/* All is answered, and the sink has said so. */
bool bench_is_idle(const struct sink_bench *bench);
void bench_turn(struct sink_bench *bench);
/* Lets so many ms pass on the loop: only to see that something does NOT happen. */
void bench_pass(struct sink_bench *bench, uint32_t ms);

#endif
