/* Three links whose sources are at hand: what the tests of the handover begin with. SLOT and all others are the first link's, OTHER_SLOT the second's. */
#ifndef KEYFERRY_TESTS_LINK_HANDOVER_BENCH_H
#define KEYFERRY_TESTS_LINK_HANDOVER_BENCH_H

#include "link/handover.h"

#define LINKS 3
#define SLOT 93
#define OTHER_SLOT 94

/* A source whose time is counted in steps: at step t its offset is offsets[t]. */
struct source {
	int64_t now; /* its offset */
	bool silent; /* nobody answers */
	int64_t received;
	bool ended;          /* as a master, at `now` */
	uint64_t generation; /* of its link, to which its offsets belong */
	uint64_t map;        /* what it says of who has the slots ... */
	uint64_t map_us;     /* ... and when it was asked last */
	bool executed;       /* its samples tell that everything was executed by the beginning of time */
};

struct handover_bench {
	struct handover *handover;
	struct source sources[LINKS];
};

/* path: of the file of slots; NULL: none. */
void handover_bench_begin(struct handover_bench *bench, const char *path);
/* One of the links, by itself: bench->sources[link] is its source. */
void handover_bench_join(struct handover_bench *bench, uint32_t link);
void handover_bench_end(struct handover_bench *bench);
struct handover_event handover_bench_event(uint16_t slot, int64_t end, const char *key, bool imports);
enum handover_answer handover_bench_ask(struct handover_bench *bench, uint32_t link, uint16_t slot, int64_t end, const char *key,
					bool imports);
/* An atomic migration brings SLOT and OTHER_SLOT. */
enum handover_answer handover_bench_ask_brought(struct handover_bench *bench, uint32_t link, int64_t end, uint64_t job);
/* A new folder's file of slots, to be removed with handover_bench_remove_file(). */
char *handover_bench_file(void);
void handover_bench_remove_file(char *path);

#endif
