/* The survey: goes through the keys that the target holds, master by master, database by database (SCAN), and hands on those that are asked for.
 *
 *   plan (which masters, what each owns) -> scan -> plan again: the same? -> done
 *             ^-----------------------------------------'  no
 *
 * Every key that is there from the beginning of a pass to its end is found in it, as long as no slot changes its master: a key may move from a master
 * that is scanned later to one that was scanned before. So a pass counts when all masters own at its end what they owned at its beginning and nothing
 * is migrating. While slots move it goes on pass after pass, each in the opposite order; as a slot moves in one direction, two in a row, one there and one
 * back, that find nothing mean that nothing is left. So what is found has to be removed (or else no longer be judged YES), and a key may be found twice.
 *
 * Memory: what one SCAN answers. A node that fails or answers with an error is tried again, for ever, from the beginning of the pass.
 * It has connections of its own. Thread: the link's applier. */
#ifndef KEYFERRY_LINK_SURVEY_H
#define KEYFERRY_LINK_SURVEY_H

#include "peer/topology.h"

struct survey;

enum survey_answer {
	SURVEY_NO,
	SURVEY_BY_TYPE, /* ask again with its type */
	SURVEY_YES,
	SURVEY_STOP, /* the owner has had enough: nothing more is called */
};

struct survey_events {
	/* Of the databases that hold keys: is this one to be scanned? */
	bool (*wants)(void *owner, uint32_t db);
	/* `type`: as TYPE answers; empty: not known yet. */
	enum survey_answer (*judge)(void *owner, uint32_t db, struct slice key, struct slice type);
	/* A key judged YES. False: no room now; survey_go_on() when there is, and it is handed out again. */
	bool (*found)(void *owner, uint32_t db, struct slice key);
	/* All keys so far are handed out. True: what became of them is settled at the target, so that another look would show it; else survey_go_on() later. */
	bool (*settled)(void *owner);
	/* Nothing is left. Called by survey_go_on() or a reply. */
	void (*done)(void *owner);
	/* It cannot be done (rights): told instead of done. */
	void (*failed)(void *owner, const struct error *error);
	void (*note)(void *owner, int log_level, const char *text);
	/* Masters to begin with, by the latest map: a standalone target's only one, any of a cluster. */
	uint32_t (*masters)(void *owner, struct endpoint *out, uint32_t max);
};

struct survey_options {
	struct loop *loop;
	struct deployment *target;
	bool cluster;
	bool import_source; /* the target is in import mode: keys whose time has passed are shown to who says that it is the import's source alone */
	const char *name;    /* of its connections; outlives it */
	const char *purpose; /* "FLUSHALL", for messages; outlives it */
};

/* Begins at once; events come on later turns or from survey_go_on(). */
struct survey *survey_new(const struct survey_options *options, const struct survey_events *events, void *owner);
/* Not from within one of its events. */
void survey_free(struct survey *survey);
/* There may be room, or all may be settled. Not from within one of its events. */
void survey_go_on(struct survey *survey);

struct survey_counters {
	uint64_t scanned, found;
	uint32_t passes;
};
struct survey_counters survey_counters(const struct survey *survey);

#endif
