#include "export/format.h"

#include "wire/rdb.h"
#include "wire/resp.h"

#include <inttypes.h>
#include <stdio.h>

/* The RDB versions of the servers that say so of a snapshot that commands follow: 4.0 to 6.2 in front of them, 7.0 in a file of its own. */
#define PREAMBLE_SINCE 8
#define BASE_SINCE 10
#define HEADER_MAX 32

static bool put_snapshot(struct scribe *scribe, const struct event *event, const struct snapshot_place *place,
			 struct error *error)
{
	if (!format_rdb_event(scribe, event, place, error))
		return false;
	if (event->kind != EVENT_PROGRESS || event->type != 0)
		return true;
	if (place->rdb_version >= BASE_SINCE)
		format_rdb_aux(scribe, SLICE("aof-base"), SLICE("1"));
	else if (place->rdb_version >= PREAMBLE_SINCE)
		format_rdb_aux(scribe, SLICE("aof-preamble"), SLICE("1"));
	return true;
}

static void put_arguments(struct out *out, const struct event *event)
{
	uint8_t header[HEADER_MAX];

	out_put(out, header, resp_put_array_header(header, event->argc));
	for (uint32_t i = 0; i < event->argc; i++) {
		out_put(out, header, resp_put_bulk_header(header, event->argv[i].len));
		out_put_slice(out, event->argv[i]);
		out_put(out, "\r\n", 2);
	}
}

static void put_command(struct scribe *scribe, const struct event *event)
{
	if (scribe->db != (int64_t)event->db) {
		char number[16], select[64];
		int digits = snprintf(number, sizeof(number), "%" PRIu32, event->db);

		out_put(scribe->out, select,
			(size_t)snprintf(select, sizeof(select), "*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", digits, number));
		scribe->db = event->db;
	}
	/* Of the two forms of a command, servers read one from a file. */
	if (event->raw.len > 0 && event->raw.data[0] == '*')
		out_put_slice(scribe->out, event->raw);
	else
		put_arguments(scribe->out, event);
}

const struct format format_aof = {.snapshot = put_snapshot, .snapshot_end = format_rdb_end, .command = put_command};
