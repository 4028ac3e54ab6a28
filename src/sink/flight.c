#include "base/clock.h"
#include "base/memory.h"
#include "sink/floor.h"
#include "sink/sink_state.h"
#include "wire/resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MULTI_LEN (sizeof(SINK_MULTI) - 1)
#define EXEC_LEN (sizeof(SINK_EXEC) - 1)
#define DISCARD "*1\r\n$7\r\nDISCARD\r\n"
/* Key, field names and headers around a record; a mark is shorter. */
#define RECORD_ROOM (2 * MARK_RECORD_MAX)
/* Short pieces are copied, as long as there is room: a flight of a few commands leaves as one piece of a system call. */
#define COPY_ROOM 512
#define COPY_MAX 128
#define TEXT_ROOM (COPY_ROOM + RECORD_ROOM)

static struct flight *take_spare(struct marker *marker)
{
	struct flight *flight = marker->spare, *all;
	struct slice *pieces;
	uint32_t room;
	char *text;

	if (!flight) {
		flight = memory_alloc_zero(1, sizeof(*flight));
		flight->text = memory_alloc(TEXT_ROOM);
		flight->all = marker->all;
		marker->all = flight;
		return flight;
	}
	marker->spare = flight->spare;
	all = flight->all;
	pieces = flight->pieces;
	room = flight->piece_room;
	text = flight->text;
	*flight = (struct flight){.all = all, .pieces = pieces, .piece_room = room, .text = text};
	return flight;
}

void flight_done(struct marker *marker, struct flight *flight)
{
	if (flight->record)
		marker->records_out--;
	flight->spare = marker->spare;
	marker->spare = flight;
}

/* Neighbours in memory become one piece: commands of one stretch of the stream are, and what is in the text. */
static void add_piece(struct flight *flight, struct slice bytes)
{
	struct unit *carrier = &flight->carrier;
	struct slice *last = carrier->piece_count ? &flight->pieces[carrier->piece_count - 1] : NULL;

	if (bytes.len == 0)
		return;
	carrier->size += bytes.len;
	if (last && last->data + last->len == bytes.data) {
		last->len += bytes.len;
		return;
	}
	if (carrier->piece_count == flight->piece_room) {
		flight->piece_room = flight->piece_room ? flight->piece_room * 2 : 4;
		flight->pieces = memory_realloc_array(flight->pieces, flight->piece_room, sizeof(flight->pieces[0]));
	}
	flight->pieces[carrier->piece_count++] = bytes;
}

/* The same, copied where it is short. */
static void add_bytes(struct flight *flight, struct slice bytes)
{
	if (bytes.len <= COPY_MAX && flight->text_len + bytes.len <= COPY_ROOM) {
		memcpy(flight->text + flight->text_len, bytes.data, bytes.len);
		bytes.data = (const uint8_t *)flight->text + flight->text_len;
		flight->text_len += bytes.len;
	}
	add_piece(flight, bytes);
}

/* Without its own MULTI and EXEC where it is a transaction. */
static void add_unit(struct flight *flight, const struct unit *unit)
{
	size_t at = unit->flags & UNIT_TRANSACTION ? MULTI_LEN : 0;
	size_t end = unit->flags & UNIT_TRANSACTION ? unit->size - EXEC_LEN : unit->size;
	size_t before = 0;

	for (uint32_t i = 0; i < unit->piece_count; i++) {
		struct slice piece = unit->pieces[i];
		size_t from = before < at ? at - before : 0;
		size_t to = before + piece.len > end ? (end > before ? end - before : 0) : piece.len;

		if (from < to)
			add_bytes(flight, slice_make(piece.data + from, to - from));
		before += piece.len;
	}
}

static void add_select(struct marker *marker, struct flight *flight, uint32_t db)
{
	if (!marker->selects)
		marker->selects = memory_alloc_zero(DATABASES_MAX, sizeof(marker->selects[0]));
	if (!marker->selects[db]) {
		char digits[16];
		int len = snprintf(digits, sizeof(digits), "%u", db);

		marker->selects[db] = memory_printf("*2\r\n$6\r\nSELECT\r\n$%d\r\n%s\r\n", len, digits);
	}
	add_bytes(flight, slice_of_string(marker->selects[db]));
	flight->carrier.replies++;
}

static char *put_bulk(char *at, const char *text, size_t len)
{
	at += resp_put_bulk_header((uint8_t *)at, len);
	memcpy(at, text, len);
	memcpy(at + len, "\r\n", 2);
	return at + len + 2;
}

static char *put(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_mark(const struct marker *marker, const struct flight *flight, uint16_t slot, char *at)
{
	const char *tag = slot_tag(slot);
	size_t tag_len = strlen(tag);
	char value[MARK_TEXT_MAX];

	at = PUT(at, "*4\r\n$4\r\nHSET\r\n");
	at += resp_put_bulk_header((uint8_t *)at, sizeof(MARK_PREFIX "{}") - 1 + tag_len);
	at = PUT(at, MARK_PREFIX "{");
	at = put(at, tag, tag_len);
	at = PUT(at, "}\r\n");
	at = put_bulk(at, marker->options.link, strlen(marker->options.link));
	return put_bulk(at, value, mark_put(marker->options.epoch, flight->mark, value));
}

size_t marker_put_record(const struct sink *sink, struct mark mark, int64_t offset, uint32_t db, char out[MARK_RECORD_MAX])
{
	const struct marker *marker = sink->marker;
	struct mark_record record = {.offset = offset, .db = db, .mark = mark};

	snprintf(record.epoch, sizeof(record.epoch), "%s", marker->options.epoch);
	snprintf(record.replid, sizeof(record.replid), "%s", sink->options.spool ? spool_origin(sink->options.spool).replid : "");
	if (!record.replid[0])
		snprintf(record.replid, sizeof(record.replid), "-");
	snprintf(record.source, sizeof(record.source), "%s", marker->options.source);
	return mark_record_put(&record, out);
}

/* HMSET takes several fields on every version. */
static char *put_record(const struct sink *sink, const struct flight *flight, int64_t offset, uint32_t db, char *at)
{
	const struct marker *marker = sink->marker;
	char value[MARK_RECORD_MAX], owner[MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX)];
	size_t len = marker_put_record(sink, flight->mark, offset, db, value);

	at += resp_put_array_header((uint8_t *)at, 6);
	at = put_bulk(at, "HMSET", 5);
	at = put_bulk(at, marker->task_key, strlen(marker->task_key));
	at = put_bulk(at, marker->options.link, strlen(marker->options.link));
	at = put_bulk(at, value, len);
	at = put_bulk(at, owner, (size_t)snprintf(owner, sizeof(owner), "%s" MARK_OWNER_SUFFIX, marker->options.link));
	return put_bulk(at, marker->owner, strlen(marker->owner));
}

/* What was written behind the text becomes a piece. */
static void add_text(struct flight *flight, const char *end)
{
	char *from = flight->text + flight->text_len;

	flight->text_len = (size_t)(end - flight->text);
	add_piece(flight, slice_make(from, (size_t)(end - from)));
}

/* Nothing but the record: the low-water position moves without commands too, and on a cluster it stands in no mark. */
static void make_record(struct sink *sink, struct flight *flight, uint16_t slot)
{
	char *at = flight->text + flight->text_len;

	flight->record = true;
	flight->mark = sink->cluster ? MARK_NONE : sink->marker->marks[slot];
	flight->low_mark = sink->cluster ? floor_lowest(sink) : floor_mark(sink, sink->window.position, sink->window.db);
	at = put_record(sink, flight, flight->low_mark.offset, flight->low_mark.db, at);
	add_text(flight, at);
	flight->carrier.replies = 1;
	sink->marker->records_out++;
}

static char *put_low(const struct sink *sink, const struct flight *flight, uint16_t slot, char *at)
{
	const struct marker *marker = sink->marker;
	char value[MARK_TEXT_MAX], key[64], field[MARK_ID_LEN + sizeof(MARK_LOW_SUFFIX)];
	size_t len = mark_low_put(marker->options.epoch, flight->low_mark, value);

	at += resp_put_array_header((uint8_t *)at, 4);
	at = put_bulk(at, "HMSET", 5);
	if (sink->cluster)
		at = put_bulk(at, key, (size_t)snprintf(key, sizeof(key), MARK_PREFIX "{%s}", slot_tag(slot)));
	else
		at = put_bulk(at, marker->task_key, strlen(marker->task_key));
	at = put_bulk(at, field, (size_t)snprintf(field, sizeof(field), "%s" MARK_LOW_SUFFIX, marker->options.link));
	return put_bulk(at, value, len);
}

struct flight *flight_make_low(struct sink *sink, uint16_t slot, struct mark_low low)
{
	struct flight *flight = take_spare(sink->marker);

	flight->carrier.flags = UNIT_FLIGHT;
	flight->carrier.slot = slot;
	flight->ended_us = clock_monotonic_us();
	flight->low = true;
	flight->low_mark = low;
	add_text(flight, put_low(sink, flight, slot, flight->text));
	flight->carrier.replies = 1;
	flight->carrier.pieces = flight->pieces;
	return flight;
}

void flight_end(struct sink *sink, struct flight *flight)
{
	const struct unit *last = flight->members.tail;
	uint16_t slot = flight->carrier.slot;
	char *at;

	/* One that had been refused before may lie below it. */
	flight->mark = sink->marker->marks[slot];
	if (!mark_covers(flight->mark, last->offset, last->sub))
		flight->mark = (struct mark){last->offset, last->sub};
	/* Marks are in database 0, on a cluster of several databases too. */
	if (last->db_after != 0)
		add_select(sink->marker, flight, 0);
	at = flight->text + flight->text_len;
	if (sink->cluster) {
		at = put_mark(sink->marker, flight, slot, at);
	} else {
		flight->low_mark = floor_mark(sink, last->end, last->db_stream);
		sink->marker->recorded = flight->low_mark.offset;
		at = put_record(sink, flight, flight->low_mark.offset, last->db_stream, at);
	}
	add_text(flight, PUT(at, SINK_EXEC));
	flight->carrier.replies += 2;
	flight->carrier.pieces = flight->pieces;
	flight->carrier.flags &= (uint16_t)~UNIT_OPEN;
	flight->ended_us = clock_monotonic_us();
}

void flight_discard(struct flight *flight)
{
	add_piece(flight, SLICE(DISCARD));
	flight->carrier.replies++;
	flight->carrier.pieces = flight->pieces;
	flight->carrier.flags &= (uint16_t)~UNIT_OPEN;
	flight->discarded = true;
}

struct flight *flight_begin(struct sink *sink, struct node *node, uint16_t slot, struct unit_list *list, uint32_t units,
			    uint64_t bytes)
{
	struct flight *flight = take_spare(sink->marker);
	struct unit *carrier = &flight->carrier;
	uint32_t db;

	carrier->flags = UNIT_FLIGHT | UNIT_OPEN;
	carrier->slot = slot;
	carrier->start = list->head->start;
	carrier->db = db = list->head->db;
	/* Executed, it leaves database 0; aborted, the one that it was sent in. */
	carrier->db_after = db == 0 ? 0 : UINT32_MAX;
	carrier->replies = 1;
	add_bytes(flight, SLICE(SINK_MULTI));
	while (list->head && flight->count < units && (flight->count == 0 || flight->bytes + list->head->size <= bytes)) {
		struct unit *unit = list->head;

		/* A SELECT that fails inside would let what follows run in another database. */
		if (unit->db != db && (unit->db >= DATABASES_MAX || !node_knows_database(node, unit->db)))
			break;
		unit_list_take(list);
		if (unit->db != db)
			add_select(sink->marker, flight, unit->db);
		unit->exec_at = carrier->replies - 1;
		add_unit(flight, unit);
		carrier->replies += unit->flags & UNIT_TRANSACTION ? unit->replies - 2 : unit->replies;
		db = unit->db_after;
		flight->bytes += unit->size;
		unit_list_append(&flight->members, unit);
		flight->count++;
	}
	if (flight->count == units || (list->head && flight->bytes + list->head->size > bytes))
		flight->full_of = units;
	carrier->end = flight->members.tail->end;
	carrier->pieces = flight->pieces;
	return flight;
}

struct flight *flight_make(struct sink *sink, struct node *node, uint16_t slot, struct unit_list *list, uint32_t units,
			   uint64_t bytes)
{
	struct flight *flight;

	if (list->head) {
		flight = flight_begin(sink, node, slot, list, units, bytes);
		flight_end(sink, flight);
		return flight;
	}
	flight = take_spare(sink->marker);
	flight->carrier.flags = UNIT_FLIGHT;
	flight->carrier.slot = slot;
	make_record(sink, flight, slot);
	flight->carrier.pieces = flight->pieces;
	return flight;
}
