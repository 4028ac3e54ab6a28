#include "export/writer.h"

#include "base/memory.h"
#include "export/format.h"

#include <stdlib.h>

static const struct format *const formats[] = {[WRITER_RDB] = &format_rdb, [WRITER_AOF] = &format_aof, [WRITER_JSONL] = &format_jsonl};

struct writer *writer_new(enum writer_kind kind, struct out *out)
{
	struct writer *writer = memory_alloc_zero(1, sizeof(*writer));

	writer->format = formats[kind];
	writer->out = out;
	writer->db = WRITER_NO_DATABASE;
	if (writer->format->open)
		writer->format->open(writer);
	return writer;
}

void writer_free(struct writer *writer)
{
	if (!writer)
		return;
	if (writer->format->close)
		writer->format->close(writer);
	free(writer);
}

void writer_select(struct writer *writer, int64_t db)
{
	writer->db = db;
}

int64_t writer_database(const struct writer *writer)
{
	return writer->db;
}

bool writer_snapshot(struct writer *writer, const struct event *event, const struct snapshot_place *place, struct error *error)
{
	return writer->format->snapshot(writer, event, place, error);
}

void writer_snapshot_end(struct writer *writer, const struct snapshot_place *place)
{
	if (writer->format->snapshot_end)
		writer->format->snapshot_end(writer, place);
}

void writer_command(struct writer *writer, const struct event *event)
{
	writer->format->command(writer, event);
}
