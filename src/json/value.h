/* One key of a snapshot, with its whole value, as a line of JSON:
 *
 *     {"db":0,"key":"...","type":"...","ttl_at_ms":4102444800123,"value":...}
 *
 * ttl_at_ms: absolute, or null. Bytes as json_bytes_print() writes them. The value:
 *     string     the bytes
 *     list       [element, ...] in order
 *     set        [member, ...] by bytes
 *     hash       [[field, value], ...] by the field's bytes; [field, value, expire_at_ms] where the field expires
 *     zset       [[member, "score"], ...] by score, then member; the score as printf's %.17g writes it
 *     stream     {"entries":[[id, [field, value, ...]], ...], "last_id", from Redis 7.0 on "max_deleted_id" and "entries_added",
 *                "groups":[{"name", "last_id", from 7.0 on "entries_read" (null: unknown), "consumers":[name, ...],
 *                "pel":[[id, consumer, delivery_count], ...] by id}, ...]}
 *     of modules json/module.h
 * So equal data make equal lines, however the server had them packed.
 *
 * Memory: one item, one packed node, and what a sorter may take; larger collections are sorted on disk (base/sorter.h).
 * Thread: one. */
#ifndef KEYFERRY_JSON_VALUE_H
#define KEYFERRY_JSON_VALUE_H

#include "base/error.h"
#include "base/sorter.h"
#include "decode/event.h"
#include "decode/value.h"

#include <stdio.h>

struct json_value {
	FILE *out;
	struct value_reader *reader;
	struct sorter *sorter;
	/* of the key that is being printed */
	const struct event *key;
	bool valkey;
	struct error *error;
};

void json_value_init(struct json_value *json, FILE *out);
void json_value_free(struct json_value *json);

/* False: ERROR_SOURCE, the value is damaged (position and key are named) and nothing was printed; or ERROR_INTERNAL, the sorter's
 * file. `key` is an EVENT_KEY. */
bool json_value_print(struct json_value *json, const struct event *key, bool valkey, struct error *error) WARN_UNUSED;

/* ---- for the files that each know a kind of value ---- */

/* Begins the value anew. */
void json_value_restart(struct json_value *json);
/* The next item of it; VALUE_BAD sets the error. */
enum value_answer json_value_next(struct json_value *json, struct value_item *item);
/* Reads it to its end. False: it is not whole. */
bool json_value_read_rest(struct json_value *json) WARN_UNUSED;
/* Sets the error for what was found at `offset` of the value. Returns false. */
bool json_value_damaged(struct json_value *json, uint64_t offset, const char *what);

#endif
