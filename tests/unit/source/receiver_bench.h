/* A receiver over a real spool in a folder of its own, on a loop that the test runs until something is true. */
#ifndef KEYFERRY_TESTS_RECEIVER_BENCH_H
#define KEYFERRY_TESTS_RECEIVER_BENCH_H

#include "source/receiver.h"

#include "base/buffer.h"

struct bench {
	char dir[64];
	struct loop *loop;
	struct spool *spool;
	struct receiver *receiver;
	struct receiver_options options;
	struct spool_options spool_options;
	struct buffer notes; /* all of them, a line each; those of incidents too */
	uint32_t told[INCIDENT_KINDS];
	struct incident last_told[INCIDENT_KINDS];
	int resyncs;
	bool ready_at_once; /* the applier lets go as soon as it is asked */
	bool gave_up;
	struct error error; /* why */
	bool (*wanted)(struct bench *bench);
	bool done;
	void *master;    /* the test's */
	uint64_t number; /* the test's */
};

void bench_open(struct bench *bench); /* sets all but receiver; options may be changed after */
void bench_start(struct bench *bench, const struct endpoint *endpoint);
/* Runs the loop until wanted() or for 20 s; false: then it is not so. */
bool bench_run(struct bench *bench, bool (*wanted)(struct bench *bench));
/* Stops the receiver, closes the spool and opens both again. */
void bench_restart(struct bench *bench);
void bench_close(struct bench *bench);

int bench_count_notes(const struct bench *bench, const char *part);
/* Asserts that the spool holds exactly these bytes from `position` to its end. */
void bench_check_held(struct bench *bench, uint64_t position, const void *data, size_t len);

#endif
