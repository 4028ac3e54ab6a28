/* The formats of files, behind one table; for scribe.c, which says what the functions do.
 * Thread: the link's applier. */
#ifndef KEYFERRY_EXPORT_FORMAT_H
#define KEYFERRY_EXPORT_FORMAT_H

#include "export/scribe.h"
#include "json/value.h"

struct scribe {
	const struct format *format;
	struct out *out;
	int64_t db;
	/* jsonl */
	FILE *text; /* its bytes go to `out` */
	struct json_value json;
};

struct format {
	void (*open)(struct scribe *scribe); /* NULL: nothing to do; so of the others */
	void (*close)(struct scribe *scribe);
	bool (*snapshot)(struct scribe *scribe, const struct event *event, const struct snapshot_place *place,
			 struct error *error);
	void (*snapshot_end)(struct scribe *scribe, const struct snapshot_place *place);
	void (*command)(struct scribe *scribe, const struct event *event);
};

extern const struct format format_rdb, format_aof, format_jsonl;

/* The snapshot's part of an append-only file is an RDB file, but for a field that tells what it is. */
void format_rdb_end(struct scribe *scribe, const struct snapshot_place *place);
bool format_rdb_event(struct scribe *scribe, const struct event *event, const struct snapshot_place *place, struct error *error);
void format_rdb_aux(struct scribe *scribe, struct slice name, struct slice value);

#endif
