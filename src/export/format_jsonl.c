#include "export/format.h"

#include "json/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>

#define TEXT_BUFFER (64u << 10)

/* Trouble with the disk is out's own: for the printing functions every write succeeds. */
static ssize_t take(void *cookie, const char *data, size_t len)
{
	struct scribe *scribe = cookie;

	out_put(scribe->out, data, len);
	return (ssize_t)len;
}

static void open_text(struct scribe *scribe)
{
	scribe->text = fopencookie(scribe, "w", (cookie_io_functions_t){.write = take});
	/* It fails for want of memory alone, of which there is always some (base/memory.h). */
	if (!scribe->text)
		abort();
	setvbuf(scribe->text, NULL, _IOFBF, TEXT_BUFFER);
	__fsetlocking(scribe->text, FSETLOCKING_BYCALLER);
	json_value_init(&scribe->json, scribe->text);
}

static void close_text(struct scribe *scribe)
{
	json_value_free(&scribe->json);
	fclose(scribe->text);
}

/* Keys alone, as `keyferry rdb --format jsonl` has them. */
static bool put_snapshot(struct scribe *scribe, const struct event *event, const struct snapshot_place *place,
			 struct error *error)
{
	bool put;

	if (event->kind != EVENT_KEY)
		return true;
	put = json_value_print(&scribe->json, event, place->valkey, error);
	fflush(scribe->text);
	return put;
}

static void put_command(struct scribe *scribe, const struct event *event)
{
	fputs("{\"command\":[", scribe->text);
	for (uint32_t i = 0; i < event->argc; i++) {
		if (i > 0)
			putc(',', scribe->text);
		json_bytes_print(scribe->text, event->argv[i]);
	}
	fprintf(scribe->text, "],\"db\":%" PRIu32 ",\"offset\":%" PRId64 "}\n", event->db, event->offset);
	fflush(scribe->text);
}

const struct format format_jsonl = {.open = open_text, .close = close_text, .snapshot = put_snapshot, .command = put_command};
