/* The plan of a crossing: what a command whose keys lie in several slots does with each of them.
 *
 *   rename     RENAME, RENAMENX               the value and its expiry go to the other name
 *   copy       COPY                           the same, and the first stays
 *   list move  LMOVE, RPOPLPUSH, BLMOVE ...   one element goes from an end of one list to an end of the other
 *   run        everything else                 the command is executed on copies: SUNIONSTORE, BITOP, SORT STORE, EVAL, a module's ...
 *
 * "Run" is exact for every command that knows its keys by its arguments alone, so it is what a command that is not in the table gets, with all keys read and
 * written. The table saves reading and writing where it is known what is only read or only written.
 * Refused: what finds further keys by the data (SORT BY or GET with a pattern) or keeps the names of its keys (TS.CREATERULE).
 * Thread: none; its memory belongs to the caller. */
#ifndef KEYFERRY_LINK_CROSSING_PLAN_H
#define KEYFERRY_LINK_CROSSING_PLAN_H

#include "base/error.h"
#include "decode/event.h"

enum crossing_kind { CROSSING_RENAME, CROSSING_COPY, CROSSING_LIST_MOVE, CROSSING_RUN };

struct crossing_key {
	struct slice name;
	uint16_t slot;
	bool reads;  /* what the command does depends on it */
	bool writes; /* the command may change it */
};

struct crossing_plan {
	enum crossing_kind kind;
	struct crossing_key *keys; /* each once, in the order of the arguments */
	uint32_t key_count, key_room;
	uint32_t *key_of; /* by argument: index into keys, or CROSSING_NO_KEY */
	uint32_t argument_room;
	uint32_t *order;         /* scratch */
	bool from_left, to_left; /* of a list move */
	uint32_t copy_db;        /* of a copy: the database it goes to */
};
#define CROSSING_NO_KEY UINT32_MAX

/* Does the target get by without knowing the command itself? Then it need not be adapted to an older one. */
bool crossing_plan_is_own(const struct event *event);

/* Of a command that route_command() calls a crossing; `plan` is used again. False: ERROR_CONFLICT. */
bool crossing_plan_make(struct crossing_plan *plan, const struct event *event, struct error *error) WARN_UNUSED;
void crossing_plan_free(struct crossing_plan *plan);

/* "SUNIONSTORE of key "k" (database 0, offset 4711) cannot be done across slots of the cluster: <why>". */
void crossing_refuse(const struct event *event, struct error *error, const char *why, const char *hint);

#endif
