#include "cmd/rdb_lines.h"

#include "base/sorter.h"
#include "wire/rdb.h"
#include "json/value.h"

#include <inttypes.h>

/* Keys that are sorted in memory, about a million; more go through a file. */
#define SORT_MEMORY (64U << 20)

/* A key in the sorter: the database, big-endian, and the key; then where its event begins and ends in the file. */
#define DB_LEN 4
#define PLACE_LEN 16

static void put_number(uint8_t *at, uint64_t number, unsigned len)
{
	while (len-- > 0) {
		at[len] = (uint8_t)number;
		number >>= 8;
	}
}

static bool keep_key(struct sorter *keys, const struct event *event, struct error *error)
{
	uint8_t *at;

	if (!sorter_add(keys, DB_LEN + event->key.len, PLACE_LEN, &at, error))
		return false;
	put_number(at, event->db, DB_LEN);
	at += DB_LEN;
	if (event->key.len > 0)
		memcpy(at, event->key.data, event->key.len);
	at += event->key.len;
	put_number(at, event->start, 8);
	put_number(at + 8, event->end, 8);
	return true;
}

/* Reads the file to its end, or to where it is damaged: *ended is false then and *damage says it. False: the sorter failed. */
static bool read_keys(struct rdb_file *file, struct sorter *keys, bool *ended, struct error *damage, struct error *error)
{
	enum rdb_checksum checksum;
	struct event event;

	do {
		*ended = rdb_file_next(file, &event, &checksum, damage);
		if (*ended && event.kind == EVENT_KEY && !keep_key(keys, &event, error))
			return false;
	} while (*ended && event.kind != EVENT_SNAPSHOT_END);
	return sorter_sort(keys, error);
}

/* Prints all keys. *damaged: how many could not be, *damage the first of them. False: a sorter failed. */
static bool print_keys(struct rdb_file *file, struct sorter *keys, struct json_value *json, uint64_t *damaged,
		       struct error *damage, struct error *error)
{
	bool valkey = snapshot_decoder_place(file->decoder).valkey;
	struct slice key, place;

	while (sorter_next(keys, &key, &place) && !ferror(json->out)) {
		uint32_t db = (uint32_t)rdb_big_endian(key.data, DB_LEN);
		struct event event;

		if (rdb_file_read(file, db, rdb_big_endian(place.data, 8), rdb_big_endian(place.data + 8, 8), &event, error) &&
		    json_value_print(json, &event, valkey, error))
			continue;
		if (error->kind != ERROR_SOURCE)
			return false;
		if ((*damaged)++ == 0)
			*damage = *error;
	}
	return true;
}

bool rdb_lines_print(struct rdb_file *file, FILE *out, struct error *error)
{
	struct sorter *keys = sorter_new(SORT_MEMORY);
	struct error file_damage, value_damage;
	struct json_value json;
	uint64_t damaged = 0;
	bool ended = true;
	bool done;

	json_value_init(&json, out);
	done = read_keys(file, keys, &ended, &file_damage, error) &&
	       print_keys(file, keys, &json, &damaged, &value_damage, error);
	json_value_free(&json);
	sorter_free(keys);
	if (!done)
		return false;
	if (damaged > 0) {
		*error = value_damage;
		if (damaged > 1)
			error_prefix(error, "%s: %" PRIu64 " values are damaged, the first of them", file->path, damaged);
		else
			error_prefix(error, "%s", file->path);
		error_hint(error, "its bytes were changed, or it was so in the server already; all other keys are whole");
	}
	if (!ended && damaged > 0)
		error_prefix(&file_damage, "%" PRIu64 " of the values before it are damaged, and", damaged);
	if (!ended)
		*error = file_damage;
	return ended && damaged == 0;
}
