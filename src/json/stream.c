#include "json/stream.h"

#include "base/memory.h"
#include "json/bytes.h"

#include <inttypes.h>
#include <stdlib.h>

/* A pending entry in the sorter: the id, big-endian, then the times delivered, then the consumer's name. */
#define ID_LEN 16

struct printer {
	struct json_value *json;
	FILE *out;
	bool counted; /* the stream has the counts of Redis 7.0 */
	uint64_t groups;
	uint64_t consumers; /* of the group, printed so far */
	uint8_t *consumer;  /* the name of the one whose pending entries come */
	size_t consumer_len;
};

static void print_id(FILE *out, struct value_stream_id id)
{
	fprintf(out, "\"%" PRIu64 "-%" PRIu64 "\"", id.ms, id.seq);
}

/* Everything up to the STREAM item, which it leaves in `item`. */
static bool print_entries(struct printer *printer, struct value_item *item)
{
	uint64_t entries = 0, fields = 0;
	FILE *out = printer->out;
	enum value_answer answer;

	fputs("{\"entries\":[", out);
	while ((answer = json_value_next(printer->json, item)) == VALUE_ITEM && item->kind != VALUE_ITEM_STREAM) {
		if (item->kind == VALUE_ITEM_ENTRY) {
			fputs(entries++ > 0 ? "]],[" : "[", out);
			print_id(out, item->entry.id);
			fputs(",[", out);
			fields = 0;
			continue;
		}
		if (fields++ > 0)
			putc(',', out);
		json_bytes_print(out, item->bytes);
		putc(',', out);
		json_bytes_print(out, item->content);
	}
	fputs(entries > 0 ? "]]]" : "]", out);
	return answer == VALUE_ITEM;
}

static void print_stream(struct printer *printer, const struct value_item *item)
{
	FILE *out = printer->out;

	printer->counted = item->stream.counted;
	fputs(",\"last_id\":", out);
	print_id(out, item->stream.last_id);
	if (item->stream.counted) {
		fputs(",\"max_deleted_id\":", out);
		print_id(out, item->stream.max_deleted_id);
		fprintf(out, ",\"entries_added\":%" PRIu64, item->stream.entries_added);
	}
	fputs(",\"groups\":[", out);
}

static void begin_group(struct printer *printer, const struct value_item *item)
{
	FILE *out = printer->out;

	fputs(printer->groups++ > 0 ? ",{\"name\":" : "{\"name\":", out);
	json_bytes_print(out, item->bytes);
	fputs(",\"last_id\":", out);
	print_id(out, item->group.last_id);
	if (printer->counted) {
		if (item->group.entries_read == VALUE_READ_UNKNOWN)
			fputs(",\"entries_read\":null", out);
		else
			fprintf(out, ",\"entries_read\":%" PRId64, item->group.entries_read);
	}
	fputs(",\"consumers\":[", out);
	printer->consumers = 0;
	sorter_clear(printer->json->sorter);
}

static void begin_consumer(struct printer *printer, const struct value_item *item)
{
	if (printer->consumers++ > 0)
		putc(',', printer->out);
	json_bytes_print(printer->out, item->bytes);
	printer->consumer_len = item->bytes.len;
	printer->consumer = memory_realloc(printer->consumer, item->bytes.len + 1);
	if (item->bytes.len > 0)
		memcpy(printer->consumer, item->bytes.data, item->bytes.len);
}

static bool keep_pending(struct printer *printer, const struct value_item *item)
{
	uint64_t count = item->pending.delivery_count;
	uint8_t *at;

	if (!sorter_add(printer->json->sorter, ID_LEN, sizeof(count) + printer->consumer_len, &at, printer->json->error))
		return false;
	for (unsigned i = 0; i < 8; i++) {
		at[i] = (uint8_t)(item->pending.id.ms >> (56 - 8 * i));
		at[8 + i] = (uint8_t)(item->pending.id.seq >> (56 - 8 * i));
	}
	memcpy(at + ID_LEN, &count, sizeof(count));
	if (printer->consumer_len > 0)
		memcpy(at + ID_LEN + sizeof(count), printer->consumer, printer->consumer_len);
	return true;
}

static struct value_stream_id read_id(const uint8_t *p)
{
	struct value_stream_id id = {0, 0};

	for (unsigned i = 0; i < 8; i++) {
		id.ms = id.ms << 8 | p[i];
		id.seq = id.seq << 8 | p[8 + i];
	}
	return id;
}

static bool end_group(struct printer *printer)
{
	const char *between = "],\"pel\":[[";
	struct slice id, rest;
	FILE *out = printer->out;

	if (printer->groups == 0)
		return true;
	if (!sorter_sort(printer->json->sorter, printer->json->error))
		return false;
	for (; sorter_next(printer->json->sorter, &id, &rest); between = ",[") {
		uint64_t count;

		fputs(between, out);
		print_id(out, read_id(id.data));
		putc(',', out);
		memcpy(&count, rest.data, sizeof(count));
		json_bytes_print(out, slice_make(rest.data + sizeof(count), rest.len - sizeof(count)));
		fprintf(out, ",%" PRIu64 "]", count);
	}
	fputs(between[0] == ',' ? "]}" : "],\"pel\":[]}", out);
	return true;
}

static bool print_groups(struct printer *printer)
{
	struct value_item item;

	while (json_value_next(printer->json, &item) == VALUE_ITEM) {
		switch (item.kind) {
		case VALUE_ITEM_GROUP:
			if (!end_group(printer))
				return false;
			begin_group(printer, &item);
			break;
		case VALUE_ITEM_CONSUMER: begin_consumer(printer, &item); break;
		default:
			if (!keep_pending(printer, &item))
				return false;
			break;
		}
	}
	return end_group(printer);
}

bool json_stream_print(struct json_value *json)
{
	struct printer printer = {.json = json, .out = json->out};
	struct value_item item;
	bool printed = print_entries(&printer, &item);

	if (printed) {
		print_stream(&printer, &item);
		printed = print_groups(&printer);
		fputs("]}", json->out);
	}
	free(printer.consumer);
	return printed;
}
