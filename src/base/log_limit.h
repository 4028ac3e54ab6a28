/* What keeps the log of a process that runs for months readable: a line that repeats is counted, not repeated, and lines of one level are written only so fast.
 *
 *   repeats   the same text of the same part and link within LOG_REPEAT_US is counted; when that time is over one line tells how often it came, and so on while it
 *             keeps coming. LOG_REPEATS different ones are known at once; more of them are left to the rate.
 *   rate      each level has LOG_BURST lines at once and LOG_PER_SECOND in the long run, so that a flood of one does not hide another. What is over that is
 *             counted, and told as soon as a line may be written again.
 *
 * Nothing is dropped without being counted in a line that follows. Time comes from outside (clock_monotonic_us()).
 * Thread: its owner guards it. */
#ifndef KEYFERRY_BASE_LOG_LIMIT_H
#define KEYFERRY_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_REPEAT_US 30000000u
#define LOG_REPEATS 32
#define LOG_BURST 200
#define LOG_PER_SECOND 10
#define LOG_LEVELS 4 /* of enum log_level (log.h) */
#define LOG_REPEAT_TEXT_MAX 512
#define LOG_LABEL_MAX 128
#define LOG_LINK_MAX 320

struct log_limit {
	struct log_repeat {
		uint64_t hash, begun_us;
		uint64_t count; /* since begun_us, the first one left out */
		unsigned level;
		bool used;
		char label[LOG_LABEL_MAX], link[LOG_LINK_MAX], text[LOG_REPEAT_TEXT_MAX];
	} repeats[LOG_REPEATS];
	struct log_bucket {
		uint64_t micro_lines; /* that may be written now, in millionths */
		uint64_t at_us;
		uint64_t suppressed; /* not told yet */
	} buckets[LOG_LEVELS];
	uint64_t left_out; /* of both reasons, since the start */
};

/* What is to be told of lines that were not written. */
struct log_due {
	unsigned level;
	const char *kind;  /* "log_repeated" or "log_suppressed" */
	const char *label; /* of the lines, and their link, or ""; valid until the next call */
	const char *link;
	uint64_t count;
	char text[LOG_REPEAT_TEXT_MAX + 128];
};

void log_limit_init(struct log_limit *limit, uint64_t now_us);
/* May this line be written? False: it is counted. `link`: "" for none. */
bool log_limit_pass(struct log_limit *limit, unsigned level, const char *label, const char *link, const char *text,
		    uint64_t now_us);
/* The next thing to be told; to be asked until it answers false. `all`: also what is not due yet, for it is the end. */
bool log_limit_due(struct log_limit *limit, uint64_t now_us, bool all, struct log_due *ret);

#endif
