#include "sink/window.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

/* What a small command may take at most; window_has_room() promises this much. */
#define ORDINARY_UNIT (16 * 1024)

static bool before(const struct unit *a, const struct unit *b)
{
	return a->start < b->start || (a->start == b->start && a->sub < b->sub);
}

void unit_list_insert(struct unit_list *list, struct unit *unit)
{
	struct unit **at = &list->head;

	if (!list->tail || before(list->tail, unit)) {
		unit_list_append(list, unit);
		return;
	}
	while (*at && !before(unit, *at))
		at = &(*at)->next;
	unit->next = *at;
	*at = unit;
	if (!unit->next)
		list->tail = unit;
}

static struct unit *unit_at(const struct window *window, uint64_t counter)
{
	return &window->units[counter % window->room];
}

void window_init(struct window *window, uint32_t commands, uint32_t event_units, uint64_t bytes, uint64_t position, uint32_t db)
{
	*window = (struct window){
		.units = memory_alloc_zero((size_t)commands + event_units, sizeof(struct unit)),
		.room = commands + event_units,
		.commands = commands,
		.memory_size = bytes < 4 * ORDINARY_UNIT ? 4 * ORDINARY_UNIT : bytes,
		.bytes_max = bytes,
		.position = position,
		.db = db,
		.latest = position,
		.latest_db = db,
	};
	window->memory = memory_alloc(window->memory_size);
}

static void leave(struct window *window, struct unit *unit)
{
	free(unit->own_memory);
	unit->own_memory = NULL;
	window->bytes -= unit->size;
	window->memory_head = unit->memory_end;
	window->position = unit->end;
	window->db = unit->db_stream;
	window->head++;
}

void window_free(struct window *window)
{
	while (!window_empty(window))
		leave(window, unit_at(window, window->head));
	free(window->units);
	free(window->memory);
	*window = (struct window){0};
}

bool window_has_room(const struct window *window)
{
	if (window_empty(window))
		return true;
	return window->tail - window->head < window->commands && window->bytes < window->bytes_max &&
	       window->memory_size - (window->memory_tail - window->memory_head) >= 2 * ORDINARY_UNIT;
}

struct unit *window_new_unit(struct window *window)
{
	struct unit *unit;

	assert(window->tail - window->head < window->room);
	if (window_empty(window))
		window->memory_head = window->memory_tail = 0;
	unit = unit_at(window, window->tail++);
	*unit = (struct unit){.pieces = unit->inline_pieces, .memory_end = window->memory_tail};
	return unit;
}

uint8_t *window_alloc(struct window *window, struct unit *unit, size_t len)
{
	uint64_t at = window->memory_tail % window->memory_size;
	uint64_t start = window->memory_tail;

	/* Never over the seam: the rest of the buffer is skipped. */
	if (at + len > window->memory_size)
		start += window->memory_size - at;
	if (start + len - window->memory_head > window->memory_size) {
		assert(!unit->own_memory);
		unit->own_memory = memory_alloc(len);
		return unit->own_memory;
	}
	window->memory_tail = start + len;
	unit->memory_end = window->memory_tail;
	return window->memory + start % window->memory_size;
}

void window_trim(struct window *window, struct unit *unit, uint8_t *end)
{
	uint64_t last = (window->memory_tail - 1) % window->memory_size + 1;

	if (unit->own_memory)
		return;
	window->memory_tail -= last - (uint64_t)(end - window->memory);
	unit->memory_end = window->memory_tail;
}

void window_commit(struct window *window, struct unit *unit)
{
	unit->size = 0;
	for (uint32_t i = 0; i < unit->piece_count; i++)
		unit->size += unit->pieces[i].len;
	window->bytes += unit->size;
	window->latest = unit->end;
	window->latest_db = unit->db_stream;
}

void window_progress(struct window *window, uint64_t position, uint32_t db)
{
	window->latest = position;
	window->latest_db = db;
	if (window_empty(window)) {
		window->position = position;
		window->db = db;
	}
}

void window_done(struct window *window, struct unit *unit)
{
	unit->flags |= UNIT_DONE;
	while (!window_empty(window)) {
		struct unit *oldest = unit_at(window, window->head);

		if (!(oldest->flags & UNIT_DONE))
			return;
		leave(window, oldest);
	}
	window->position = window->latest;
	window->db = window->latest_db;
}
