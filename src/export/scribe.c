#include "export/scribe.h"

#include "base/memory.h"
#include "export/format.h"

#include <stdlib.h>

static const struct format *const formats[] = {
	[SCRIBE_RDB] = &format_rdb, [SCRIBE_AOF] = &format_aof, [SCRIBE_JSONL] = &format_jsonl};

struct scribe *scribe_new(enum scribe_kind kind, struct out *out)
{
	struct scribe *scribe = memory_alloc_zero(1, sizeof(*scribe));

	scribe->format = formats[kind];
	scribe->out = out;
	scribe->db = SCRIBE_NO_DATABASE;
	if (scribe->format->open)
		scribe->format->open(scribe);
	return scribe;
}

void scribe_free(struct scribe *scribe)
{
	if (!scribe)
		return;
	if (scribe->format->close)
		scribe->format->close(scribe);
	free(scribe);
}

void scribe_select(struct scribe *scribe, int64_t db)
{
	scribe->db = db;
}

int64_t scribe_database(const struct scribe *scribe)
{
	return scribe->db;
}

bool scribe_snapshot(struct scribe *scribe, const struct event *event, const struct snapshot_place *place, struct error *error)
{
	return scribe->format->snapshot(scribe, event, place, error);
}

void scribe_snapshot_end(struct scribe *scribe, const struct snapshot_place *place)
{
	if (scribe->format->snapshot_end)
		scribe->format->snapshot_end(scribe, place);
}

void scribe_command(struct scribe *scribe, const struct event *event)
{
	scribe->format->command(scribe, event);
}
