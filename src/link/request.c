#include "link/request.h"

#include "base/memory.h"
#include "wire/resp.h"

#include <stdlib.h>
#include <string.h>

#define COPY_MAX 4096
#define HEADER_MAX 32

void request_begin(struct request *request, struct arena *arena)
{
	request->arena = arena;
	request->count = 0;
	request->replies = 0;
}

void request_free(struct request *request)
{
	free(request->pieces);
	*request = (struct request){0};
}

static void add_piece(struct request *request, const void *data, size_t len)
{
	struct sink_piece *last = request->count ? &request->pieces[request->count - 1] : NULL;

	if (len == 0)
		return;
	if (last && last->bytes.data + last->bytes.len == (const uint8_t *)data) {
		last->bytes.len += len;
		return;
	}
	if (request->count == request->room) {
		request->room = request->room ? request->room * 2 : 16;
		request->pieces = memory_realloc_array(request->pieces, request->room, sizeof(request->pieces[0]));
	}
	request->pieces[request->count++] = (struct sink_piece){slice_make(data, len), false};
}

/* `at` and what follows is one allocation: a long argument cuts it. */
static uint8_t *add_argument(struct request *request, uint8_t **begin, uint8_t *at, struct slice argument)
{
	at += resp_put_bulk_header(at, argument.len);
	if (argument.len > COPY_MAX) {
		add_piece(request, *begin, (size_t)(at - *begin));
		add_piece(request, argument.data, argument.len);
		*begin = at;
	} else if (argument.len > 0) {
		memcpy(at, argument.data, argument.len);
		at += argument.len;
	}
	*at++ = '\r';
	*at++ = '\n';
	return at;
}

void request_add(struct request *request, uint32_t argc, const struct slice *argv)
{
	size_t room = HEADER_MAX;
	uint8_t *begin, *at;

	for (uint32_t i = 0; i < argc; i++)
		room += HEADER_MAX + (argv[i].len > COPY_MAX ? 0 : argv[i].len) + 2;
	begin = at = arena_take(request->arena, room);
	at += resp_put_array_header(at, argc);
	for (uint32_t i = 0; i < argc; i++)
		at = add_argument(request, &begin, at, argv[i]);
	add_piece(request, begin, (size_t)(at - begin));
	request->replies++;
}
