/* Suspects: keys that were seen to differ, and may just have been read at different moments.
 * Thread: the loop's. */
#ifndef KEYFERRY_VERIFY_SUSPECTS_H
#define KEYFERRY_VERIFY_SUSPECTS_H

#include "verify/judge.h"

/* More are not kept at once; then they are looked at again before the walk goes on. */
#define SUSPECTS_MAX 50000
#define SUSPECTS_BYTES (8u << 20)

struct suspect {
	uint32_t source_db, target_db;
	struct slice source_key, target_key; /* target_key.data NULL: not known, its rules have not said yet */
	uint64_t source_print;               /* fingerprint of the last reading; 0: there is none */
	uint64_t confirmed_source, confirmed_target;
	uint32_t confirmed,
		alike; /* rounds in which the source stood still and the target differed; of them, the last ones with the same values */
	bool over;   /* no suspect any more: it is the same, or counted otherwise */
	bool proven; /* a difference */
	bool repaired;
	enum difference_kind kind;
	char text[VALUE_DIFFERENCE_MAX];
};

/* A round has shown that it differs: what was read last, where the source was the same before (source_print); else nothing is shown. Twice with the same values at both sides, or
 * three times at all, and it is proven. */
void suspect_confirm(struct suspect *suspect, uint64_t source_print, uint64_t target_print);

struct suspects {
	struct suspect **items;
	uint32_t count, room;
	uint64_t bytes;
};

/* Copies the names. */
void suspects_add(struct suspects *suspects, uint32_t source_db, struct slice source_key, uint32_t target_db,
		  struct slice target_key);
/* Now its name at the target is known. */
void suspects_name(struct suspects *suspects, uint32_t index, uint32_t target_db, struct slice target_key);
bool suspects_full(const struct suspects *suspects);
/* Each key once: a walk may hand one out twice. */
void suspects_unite(struct suspects *suspects);
/* Those that are over go. */
void suspects_sweep(struct suspects *suspects);
void suspects_free(struct suspects *suspects);

#endif
