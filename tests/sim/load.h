/* What is written to the model source: bursts of commands whose effects can be told apart.
 *
 * Every value carries a number of its own, so that the comparison sees each doubled, lost or reordered write. A key's name
 * tells its type, so that no command fails at the source.
 * Thread: one. */
#ifndef KEYFERRY_TESTS_SIM_LOAD_H
#define KEYFERRY_TESTS_SIM_LOAD_H

#include "site.h"

enum load_kind {
	LOAD_SAFE, /* commands that may be applied again from any point on: SET, MSET, HSET; DEL */
	LOAD_ALL,  /* also INCR, INCRBY, APPEND, RPUSH, LPUSH; LPOP, HDEL, RENAME */
};

#define LOAD_TAGS 6

struct load {
	struct site *source;
	enum load_kind kind;
	bool databases;  /* several are used */
	bool many_slots; /* one command may have keys of several slots */
	bool removes;    /* keys and fields go as well */
	bool bulky;      /* values of many KB among the others */
	struct session sessions[SITE_SHARDS_MAX];
	uint64_t serial;
	uint64_t bulk; /* bytes of such values so far */
	uint64_t commands;
	uint64_t ends_at;
	uint64_t pause_us; /* between bursts, at most */
	struct occasion burst;
};

/* Fills the source at once; then bursts until `duration_us` from now. */
void load_begin(struct load *load, struct site *source, enum load_kind kind, uint64_t duration_us);
void load_end(struct load *load);
/* The slot of one of the tags, for faults that concern slots which hold something. */
uint16_t load_slot(void);

#endif
