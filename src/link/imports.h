/* The imports of a link: slots that come to its source's master by atomic migration (Valkey 9: CLUSTER MIGRATESLOTS), as its stream tells of them.
 *
 *   CLUSTER SYNCSLOTS ESTABLISH SOURCE <id> NAME <job> SLOTSRANGE <first> <last> ...   the import is open: what comes for these slots is a copy
 *   ...                                                                               the keys as an append-only file has them, SNAPSHOT-EOF, the commands since
 *   CLUSTER SYNCSLOTS FINISH STATE SUCCESS|FAILED NAME <job> MESSAGE <text>            it is over: the slots are this master's, or their former owner's as before;
 *                                                                                     what had come is removed again before a FAILED
 *
 * In a snapshot that was made meanwhile, opcode 243 (RDB_OPCODE_SLOT_IMPORT: job, number of ranges, first and last of each) says that it is open; a part of the copy is among the keys then.
 * Source: cluster_migrateslots.c of Valkey 9.1, and recordings of it (docs/delivery.md). All other words of SYNCSLOTS (ACK, SNAPSHOT-EOF, PAUSED, FAILOVER-GRANTED) ask for nothing.
 *
 * An import that is over is remembered until the spool has let go of it: applying may go back behind its end.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_IMPORTS_H
#define KEYFERRY_LINK_IMPORTS_H

#include "decode/event.h"
#include "wire/slot.h"

#include <jansson.h>

#define IMPORT_NAME_MAX 40
#define IMPORTS_MAX 1024 /* remembered at once: more is an error of the source's */
#define IMPORT_OPEN UINT64_MAX

struct import {
	char name[IMPORT_NAME_MAX + 1]; /* the job's */
	uint64_t start;                 /* position of what opened it */
	uint64_t finish;                /* where the command that ended it begins; IMPORT_OPEN */
	uint32_t db;                    /* selected in the stream at `start` */
	bool whole;                     /* all of the copy lies in the stream behind `start` */
	uint64_t slots[SLOT_COUNT / 64];
};

struct imports {
	struct import **list; /* by start; each stays where it is */
	uint32_t count, room;
	uint32_t open;
	uint64_t slots[SLOT_COUNT / 64]; /* of the open ones */
};

enum import_word {
	IMPORT_NONE, /* the event is not of an import */
	IMPORT_ESTABLISH,
	IMPORT_SUCCESS,
	IMPORT_FAILED,
	IMPORT_OTHER, /* asks for nothing */
	IMPORT_BAD,   /* cannot be read */
};

static inline bool imports_slot(const uint64_t *slots, uint16_t slot)
{
	return slots[slot / 64] >> (slot % 64) & 1;
}

void imports_free(struct imports *imports);
/* What the event says of imports; of what is opened or ended *ret has name and slots (of an ESTABLISH alone). */
enum import_word imports_read(const struct event *event, struct import *ret);
/* Takes a copy, as open. False: too many. */
bool imports_open(struct imports *imports, const struct import *import);
/* The open one of that name; NULL: there is none. */
struct import *imports_find(const struct imports *imports, const char *name);
void imports_finish(struct imports *imports, struct import *import, uint64_t position);
/* Is it of a slot whose copy is under way? */
static inline bool imports_takes(const struct imports *imports, uint16_t slot)
{
	return imports->open > 0 && imports_slot(imports->slots, slot);
}
/* Applying goes on at `position`: as it was there. */
void imports_rewind(struct imports *imports, uint64_t position);
/* Nothing before `position` will be applied again. */
void imports_forget(struct imports *imports, uint64_t position);
/* The lowest start of those whose copy is needed when applying goes on at `position`; UINT64_MAX: nothing is. */
uint64_t imports_needed(const struct imports *imports, uint64_t position);
/* What lies before `position` is not to be had any more. Returns how many copies are lost by that. */
uint32_t imports_lose(struct imports *imports, uint64_t position);

/* For the state file: those that are open at `position`, as [{"job", "position", "database", "whole", "slots": [first, last, ...]}, ...]. New. */
json_t *imports_write(const struct imports *imports, uint64_t position);
/* The other way round; NULL: none. False: not such an array. */
bool imports_take(struct imports *imports, const json_t *array);

#endif
