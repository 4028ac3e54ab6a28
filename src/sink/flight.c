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
/* Key, field names and headers around a mark, and around a record. */
#define MARK_ROOM (MARK_TEXT_MAX + 256)
#define RECORD_ROOM (2 * MARK_RECORD_MAX)

static struct flight *take_spare(struct marker *marker)
{
	struct flight *flight = marker->spare, *all;
	struct slice *pieces;
	size_t text_room;
	uint32_t room;
	char *text;

	if (!flight) {
		flight = memory_alloc_zero(1, sizeof(*flight));
		flight->all = marker->all;
		marker->all = flight;
		return flight;
	}
	marker->spare = flight->spare;
	all = flight->all;
	pieces = flight->pieces;
	room = flight->piece_room;
	text = flight->text;
	text_room = flight->text_room;
	*flight = (struct flight){.all = all, .pieces = pieces, .piece_room = room, .text = text, .text_room = text_room};
	return flight;
}

void flight_done(struct marker *marker, struct flight *flight)
{
	if (flight->record)
		marker->records_out--;
	flight->spare = marker->spare;
	marker->spare = flight;
}

/* Neighbours in memory become one piece: commands of one stretch of the stream are. */
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
			add_piece(flight, slice_make(piece.data + from, to - from));
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
	add_piece(flight, slice_of_string(marker->selects[db]));
	flight->carrier.replies++;
}

static char *put_bulk(char *at, const char *text, size_t len)
{
	at += resp_put_bulk_header((uint8_t *)at, len);
	memcpy(at, text, len);
	memcpy(at + len, "\r\n", 2);
	return at + len + 2;
}

static char *put_mark(const struct marker *marker, const struct flight *flight, uint16_t slot, char *at)
{
	char value[MARK_TEXT_MAX], key[64];
	size_t len = mark_put(marker->options.epoch, flight->mark, value);

	at += resp_put_array_header((uint8_t *)at, 4);
	at = put_bulk(at, "HSET", 4);
	at = put_bulk(at, key, (size_t)snprintf(key, sizeof(key), MARK_PREFIX "{%s}", slot_tag(slot)));
	at = put_bulk(at, marker->options.link, strlen(marker->options.link));
	return put_bulk(at, value, len);
}

/* HMSET takes several fields on every version. */
static char *put_record(const struct sink *sink, const struct flight *flight, int64_t offset, uint32_t db, char *at)
{
	const struct marker *marker = sink->marker;
	struct mark_record record = {.offset = offset, .db = db, .mark = flight->mark};
	char value[MARK_RECORD_MAX], owner[MARK_ID_LEN + sizeof(MARK_OWNER_SUFFIX)];
	size_t len;

	snprintf(record.epoch, sizeof(record.epoch), "%s", marker->options.epoch);
	snprintf(record.replid, sizeof(record.replid), "%s", sink->options.spool ? spool_origin(sink->options.spool).replid : "");
	if (!record.replid[0])
		snprintf(record.replid, sizeof(record.replid), "-");
	snprintf(record.source, sizeof(record.source), "%s", marker->options.source);
	len = mark_record_put(&record, value);
	at += resp_put_array_header((uint8_t *)at, 6);
	at = put_bulk(at, "HMSET", 5);
	at = put_bulk(at, marker->task_key, strlen(marker->task_key));
	at = put_bulk(at, marker->options.link, strlen(marker->options.link));
	at = put_bulk(at, value, len);
	at = put_bulk(at, owner, (size_t)snprintf(owner, sizeof(owner), "%s" MARK_OWNER_SUFFIX, marker->options.link));
	return put_bulk(at, marker->owner, strlen(marker->owner));
}

static char *make_text(struct flight *flight, size_t room)
{
	if (flight->text_room < room) {
		free(flight->text);
		flight->text = memory_alloc(room);
		flight->text_room = room;
	}
	return flight->text;
}

/* Nothing but the record: the low-water position moves without commands too, and on a cluster it stands in no mark. */
static void make_record(struct sink *sink, struct flight *flight, uint16_t slot)
{
	char *at = make_text(flight, RECORD_ROOM);

	flight->record = true;
	flight->mark = sink->cluster ? MARK_NONE : sink->marker->marks[slot];
	flight->low_mark = sink->cluster ? floor_lowest(sink) : floor_mark(sink, sink->window.position, sink->window.db);
	at = put_record(sink, flight, flight->low_mark.offset, flight->low_mark.db, at);
	add_piece(flight, slice_make(flight->text, (size_t)(at - flight->text)));
	flight->carrier.replies = 1;
	sink->marker->records_out++;
}

static char *put_low(const struct sink *sink, const struct flight *flight, uint16_t slot, char *at)
{
	const struct marker *marker = sink->marker;
	char value[MARK_TEXT_MAX], key[64], field[MARK_ID_LEN + sizeof(MARK_LOW_SUFFIX)];
	size_t len = mark_low_put(marker->options.epoch, flight->low_mark, value);

	at += resp_put_array_header((uint8_t *)at, 4);
	at = put_bulk(at, "HSET", 4);
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
	char *at = make_text(flight, RECORD_ROOM);

	flight->carrier.flags = UNIT_FLIGHT;
	flight->carrier.slot = slot;
	flight->low = true;
	flight->low_mark = low;
	at = put_low(sink, flight, slot, at);
	add_piece(flight, slice_make(flight->text, (size_t)(at - flight->text)));
	flight->carrier.replies = 1;
	flight->carrier.pieces = flight->pieces;
	return flight;
}

static void finish(struct sink *sink, struct flight *flight, uint16_t slot, uint32_t db)
{
	const struct unit *last = flight->members.tail;
	char *at = make_text(flight, sink->cluster ? MARK_ROOM : RECORD_ROOM);

	/* One that had been refused before may lie below it. */
	flight->mark = sink->marker->marks[slot];
	if (!mark_covers(flight->mark, last->offset, last->sub))
		flight->mark = (struct mark){last->offset, last->sub};
	/* Marks are in database 0, on a cluster of several databases too. */
	if (db != 0)
		add_select(sink->marker, flight, 0);
	if (sink->cluster) {
		at = put_mark(sink->marker, flight, slot, at);
	} else {
		flight->low_mark = floor_mark(sink, last->end, last->db_stream);
		sink->marker->recorded = flight->low_mark.offset;
		at = put_record(sink, flight, flight->low_mark.offset, last->db_stream, at);
	}
	memcpy(at, SINK_EXEC, EXEC_LEN);
	add_piece(flight, slice_make(flight->text, (size_t)(at - flight->text) + EXEC_LEN));
	flight->carrier.replies += 2;
	/* Executed, it leaves database 0; aborted, the one that it was sent in. */
	flight->carrier.db_after = flight->carrier.db == 0 ? 0 : UINT32_MAX;
}

struct flight *flight_make(struct sink *sink, struct node *node, uint16_t slot, struct unit_list *list, uint32_t most)
{
	struct flight *flight = take_spare(sink->marker);
	struct unit *carrier = &flight->carrier;
	uint64_t bytes = 0;
	uint32_t db;

	carrier->flags = UNIT_FLIGHT;
	carrier->slot = slot;
	if (!list->head) {
		make_record(sink, flight, slot);
		carrier->pieces = flight->pieces;
		return flight;
	}
	carrier->start = list->head->start;
	carrier->db = db = list->head->db;
	carrier->replies = 1;
	add_piece(flight, SLICE(SINK_MULTI));
	while (list->head && flight->count < most && (flight->count == 0 || bytes + list->head->size <= FLIGHT_BYTES_MAX)) {
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
		bytes += unit->size;
		unit_list_append(&flight->members, unit);
		flight->count++;
	}
	carrier->end = flight->members.tail->end;
	finish(sink, flight, slot, db);
	carrier->pieces = flight->pieces;
	return flight;
}
