#include "link/imports.h"

#include "base/memory.h"
#include "wire/command.h"
#include "wire/rdb.h"

#include <stdlib.h>
#include <string.h>

void imports_free(struct imports *imports)
{
	for (uint32_t i = 0; i < imports->count; i++)
		free(imports->list[i]);
	free(imports->list);
	*imports = (struct imports){0};
}

static bool add_range(struct import *import, uint64_t first, uint64_t last)
{
	if (first > last || last >= SLOT_COUNT)
		return false;
	for (uint64_t slot = first; slot <= last; slot++)
		import->slots[slot / 64] |= 1ULL << (slot % 64);
	return true;
}

static bool take_name(struct import *import, struct slice name)
{
	if (name.len == 0 || name.len > IMPORT_NAME_MAX || memchr(name.data, '\0', name.len))
		return false;
	memcpy(import->name, name.data, name.len);
	import->name[name.len] = '\0';
	return true;
}

static enum import_word read_establish(const struct event *event, struct import *ret)
{
	bool ranges = false;
	uint32_t at = 3;

	ret->whole = true;
	while (at + 1 < event->argc) {
		const struct slice *argv = event->argv + at;
		uint64_t first, last;

		if (slice_equal_nocase(argv[0], SLICE("SLOTSRANGE"))) {
			for (at++; at + 1 < event->argc && slice_to_uint64(event->argv[at], &first); at += 2) {
				if (!slice_to_uint64(event->argv[at + 1], &last) || !add_range(ret, first, last))
					return IMPORT_BAD;
				ranges = true;
			}
			continue;
		}
		/* Words of later versions have one value each, as SOURCE. */
		if (slice_equal_nocase(argv[0], SLICE("NAME")) && !take_name(ret, argv[1]))
			return IMPORT_BAD;
		at += 2;
	}
	return ranges && ret->name[0] ? IMPORT_ESTABLISH : IMPORT_BAD;
}

static enum import_word read_finish(const struct event *event, struct import *ret)
{
	enum import_word word = IMPORT_BAD;

	for (uint32_t at = 3; at + 1 < event->argc; at += 2) {
		const struct slice *argv = event->argv + at;

		if (slice_equal_nocase(argv[0], SLICE("STATE")))
			word = slice_equal_nocase(argv[1], SLICE("SUCCESS"))  ? IMPORT_SUCCESS
			       : slice_equal_nocase(argv[1], SLICE("FAILED")) ? IMPORT_FAILED
									      : IMPORT_BAD;
		else if (slice_equal_nocase(argv[0], SLICE("NAME")) && !take_name(ret, argv[1]))
			return IMPORT_BAD;
	}
	return ret->name[0] ? word : IMPORT_BAD;
}

/* The decoder has walked through it: its sizes are right. */
static bool read_number(struct slice *operands, uint64_t *ret)
{
	unsigned size = operands->len > 0 ? rdb_length_size(operands->data[0]) : 0;

	if (size == 0 || operands->len < size)
		return false;
	*ret = rdb_length_decode(operands->data, size);
	*operands = slice_make(operands->data + size, operands->len - size);
	return true;
}

static enum import_word read_opcode(struct slice operands, struct import *ret)
{
	uint64_t len, count, first, last;

	if (!read_number(&operands, &len) || len > operands.len || !take_name(ret, slice_make(operands.data, len)))
		return IMPORT_BAD;
	operands = slice_make(operands.data + len, operands.len - len);
	if (!read_number(&operands, &count))
		return IMPORT_BAD;
	for (uint64_t i = 0; i < count; i++)
		if (!read_number(&operands, &first) || !read_number(&operands, &last) || !add_range(ret, first, last))
			return IMPORT_BAD;
	ret->whole = false;
	return IMPORT_ESTABLISH;
}

enum import_word imports_read(const struct event *event, struct import *ret)
{
	if (event->kind == EVENT_PROGRESS && event->type == RDB_OPCODE_SLOT_IMPORT) {
		*ret = (struct import){.start = event->start, .finish = IMPORT_OPEN, .db = event->db};
		return read_opcode(event->value, ret);
	}
	if (event->kind != EVENT_COMMAND || event->argc < 3 || !slice_equal_nocase(event->argv[0], SLICE("CLUSTER")) ||
	    !slice_equal_nocase(event->argv[1], SLICE("SYNCSLOTS")))
		return IMPORT_NONE;
	*ret = (struct import){.start = event->start, .finish = IMPORT_OPEN, .db = event->db};
	if (slice_equal_nocase(event->argv[2], SLICE("ESTABLISH")))
		return read_establish(event, ret);
	if (slice_equal_nocase(event->argv[2], SLICE("FINISH")))
		return read_finish(event, ret);
	return IMPORT_OTHER;
}

/* ---- the list ---- */

static void count_open(struct imports *imports)
{
	imports->open = 0;
	memset(imports->slots, 0, sizeof(imports->slots));
	for (uint32_t i = 0; i < imports->count; i++) {
		if (imports->list[i]->finish != IMPORT_OPEN)
			continue;
		imports->open++;
		for (uint32_t word = 0; word < SLOT_COUNT / 64; word++)
			imports->slots[word] |= imports->list[i]->slots[word];
	}
}

bool imports_open(struct imports *imports, const struct import *import)
{
	if (imports->count == IMPORTS_MAX)
		return false;
	if (imports->count == imports->room) {
		imports->room = imports->room ? 2 * imports->room : 8;
		imports->list = memory_realloc_array(imports->list, imports->room, sizeof(imports->list[0]));
	}
	imports->list[imports->count] = memory_alloc(sizeof(*import));
	*imports->list[imports->count++] = *import;
	count_open(imports);
	return true;
}

struct import *imports_find(const struct imports *imports, const char *name)
{
	for (uint32_t i = 0; i < imports->count; i++)
		if (imports->list[i]->finish == IMPORT_OPEN && strcmp(imports->list[i]->name, name) == 0)
			return imports->list[i];
	return NULL;
}

void imports_finish(struct imports *imports, struct import *import, uint64_t position)
{
	import->finish = position;
	count_open(imports);
}

/* Those of which `keep` is true stay. */
static void filter(struct imports *imports, bool (*keep)(const struct import *import, uint64_t position), uint64_t position)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < imports->count; i++) {
		if (keep(imports->list[i], position))
			imports->list[count++] = imports->list[i];
		else
			free(imports->list[i]);
	}
	imports->count = count;
	count_open(imports);
}

static bool began_before(const struct import *import, uint64_t position)
{
	return import->start < position;
}

static bool ends_behind(const struct import *import, uint64_t position)
{
	return import->finish >= position;
}

void imports_rewind(struct imports *imports, uint64_t position)
{
	for (uint32_t i = 0; i < imports->count; i++)
		if (imports->list[i]->finish >= position)
			imports->list[i]->finish = IMPORT_OPEN;
	filter(imports, began_before, position);
}

void imports_forget(struct imports *imports, uint64_t position)
{
	if (imports->count > imports->open)
		filter(imports, ends_behind, position);
}

uint64_t imports_needed(const struct imports *imports, uint64_t position)
{
	uint64_t lowest = UINT64_MAX;

	for (uint32_t i = 0; i < imports->count; i++)
		if (imports->list[i]->whole && imports->list[i]->finish >= position && imports->list[i]->start < lowest)
			lowest = imports->list[i]->start;
	return lowest;
}

uint32_t imports_lose(struct imports *imports, uint64_t position)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < imports->count; i++) {
		if (imports->list[i]->whole && imports->list[i]->start < position && imports->list[i]->finish >= position) {
			imports->list[i]->whole = false;
			lost++;
		}
	}
	return lost;
}

/* ---- the state file ---- */

static json_t *write_slots(const uint64_t *slots)
{
	json_t *array = json_array();

	for (uint32_t first = 0; first < SLOT_COUNT; first++) {
		uint32_t last = first;

		if (!imports_slot(slots, (uint16_t)first))
			continue;
		while (last + 1 < SLOT_COUNT && imports_slot(slots, (uint16_t)(last + 1)))
			last++;
		json_array_append_new(array, json_integer(first));
		json_array_append_new(array, json_integer(last));
		first = last;
	}
	return array;
}

json_t *imports_write(const struct imports *imports, uint64_t position)
{
	json_t *array = json_array();

	for (uint32_t i = 0; imports && i < imports->count; i++) {
		const struct import *import = imports->list[i];

		if (import->start < position && import->finish >= position)
			json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:b, s:o}", "job", import->name, "position",
							       (json_int_t)import->start, "database", (json_int_t)import->db,
							       "whole", (int)import->whole, "slots", write_slots(import->slots)));
	}
	return array;
}

static bool take_one(struct imports *imports, json_t *entry)
{
	struct import import = {.finish = IMPORT_OPEN};
	json_int_t position, db;
	const char *name;
	json_t *slots;
	int whole;

	if (json_unpack(entry, "{s:s, s:I, s:I, s:b, s:o}", "job", &name, "position", &position, "database", &db, "whole", &whole,
			"slots", &slots) < 0 ||
	    position < 0 || db < 0 || db > UINT32_MAX || !take_name(&import, slice_of_string(name)) ||
	    json_array_size(slots) % 2 != 0)
		return false;
	for (size_t i = 0; i < json_array_size(slots); i += 2) {
		json_int_t first = json_integer_value(json_array_get(slots, i)),
			   last = json_integer_value(json_array_get(slots, i + 1));

		if (first < 0 || last < 0 || !add_range(&import, (uint64_t)first, (uint64_t)last))
			return false;
	}
	import.start = (uint64_t)position;
	import.db = (uint32_t)db;
	import.whole = whole;
	return imports_open(imports, &import);
}

bool imports_take(struct imports *imports, const json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!take_one(imports, json_array_get(array, i)))
			return false;
	return true;
}
