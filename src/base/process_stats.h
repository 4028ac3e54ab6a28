/* What this process takes of the machine, as proc(5) tells. Thread: (any). */
#ifndef KEYFERRY_BASE_PROCESS_STATS_H
#define KEYFERRY_BASE_PROCESS_STATS_H

#include <stdint.h>

struct process_stats {
	double cpu_seconds;        /* user and system */
	double start_time_seconds; /* Unix time */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t threads;
	uint64_t open_fds;
	uint64_t max_fds; /* UINT64_MAX: no limit */
};

/* What cannot be read is 0. */
struct process_stats process_stats_read(void);

#endif
