/* Which slot of the target a command belongs to, and how it is split where it belongs to several.
 *
 * A standalone target is one slot (0): everything goes there as it is. On a cluster all keys of a command decide; commands without a key go to every
 * master or to any one.
 * Thread: none; no state but what the caller gives. */
#ifndef KEYFERRY_ROUTE_ROUTE_H
#define KEYFERRY_ROUTE_ROUTE_H

#include "base/error.h"
#include "decode/event.h"
#include "wire/command.h"
#include "wire/slot.h"

enum route_kind {
	ROUTE_SLOT,     /* as it is, to `slot` */
	ROUTE_SPLIT,    /* keys of several slots, each acted on by itself: route_split() */
	ROUTE_CROSSING, /* keys of several slots that depend on each other: no node can execute it */
	ROUTE_ALL,      /* to every master, between everything before and everything after */
	ROUTE_ANY,      /* to any one master; ordered with nothing */
	ROUTE_REFUSED,  /* cannot be done on a cluster: the error says why */
};

struct route {
	enum route_kind kind;
	uint16_t slot;
};

/* For a cluster target. REFUSED fills error (ERROR_CONFLICT) with command, first key, database and position. */
struct route route_command(const struct event *event, struct error *error);

/* One part of a split command: the arguments of one slot, name first. */
struct route_part {
	uint16_t slot;
	uint32_t argc;
	struct slice *argv;
};

/* Working memory of route_split(), reused. */
struct route_splitter {
	struct slice *argv;
	struct route_part *parts;
	uint64_t *order; /* slot and argument index of each key, sorted */
	uint32_t argv_room, parts_room, order_room;
};
void route_splitter_free(struct route_splitter *splitter);

/* The parts of a command that route_command() answered ROUTE_SPLIT for, in order of slot; within a slot the arguments keep their order. What stands in a
 * stream has succeeded, so MSETNX has set all its keys and becomes MSETs, SMOVE has moved its member and becomes SADD and SREM. Valid
 * until the next call. Returns their number. */
uint32_t route_split(struct route_splitter *splitter, const struct event *event, struct route_part **ret);

#endif
