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
	struct writer *writer = cookie;

	out_put(writer->out, data, len);
	return (ssize_t)len;
}

static void open_text(struct writer *writer)
{
	writer->text = fopencookie(writer, "w", (cookie_io_functions_t){.write = take});
	/* It fails for want of memory alone, of which there is always some (base/memory.h). */
	if (!writer->text)
		abort();
	setvbuf(writer->text, NULL, _IOFBF, TEXT_BUFFER);
	__fsetlocking(writer->text, FSETLOCKING_BYCALLER);
	json_value_init(&writer->json, writer->text);
}

static void close_text(struct writer *writer)
{
	json_value_free(&writer->json);
	fclose(writer->text);
}

/* Keys alone, as `keyferry rdb --format jsonl` has them. */
static bool put_snapshot(struct writer *writer, const struct event *event, const struct snapshot_place *place, struct error *error)
{
	bool put;

	if (event->kind != EVENT_KEY)
		return true;
	put = json_value_print(&writer->json, event, place->valkey, error);
	fflush(writer->text);
	return put;
}

static void put_command(struct writer *writer, const struct event *event)
{
	fputs("{\"command\":[", writer->text);
	for (uint32_t i = 0; i < event->argc; i++) {
		if (i > 0)
			putc(',', writer->text);
		json_bytes_print(writer->text, event->argv[i]);
	}
	fprintf(writer->text, "],\"db\":%" PRIu32 ",\"offset\":%" PRId64 "}\n", event->db, event->offset);
	fflush(writer->text);
}

const struct format format_jsonl = {.open = open_text, .close = close_text, .snapshot = put_snapshot, .command = put_command};
