#include "link/dangling.h"

#include "base/memory.h"

#include <stdlib.h>

#define ROOM_KEPT 65536 /* more is given back after the stream that needed it */

static int compare(const void *a, const void *b)
{
	const struct value_stream_id *x = a, *y = b;

	if (x->ms != y->ms)
		return x->ms < y->ms ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void dangling_free(struct dangling *dangling)
{
	free(dangling->ids);
	*dangling = (struct dangling){0};
}

void dangling_clear(struct dangling *dangling)
{
	if (dangling->room > ROOM_KEPT)
		dangling_free(dangling);
	*dangling = (struct dangling){.ids = dangling->ids, .room = dangling->room};
}

bool dangling_collect(struct dangling *dangling, struct value_reader *reader)
{
	struct parse_fault ignored; /* whoever reads the value comes upon it again */
	struct value_item item;

	dangling_clear(dangling);
	while (value_reader_next(reader, &item, &ignored) == VALUE_ITEM) {
		if (item.kind != VALUE_ITEM_PENDING)
			continue;
		if (dangling->pending == DANGLING_PENDING_MAX)
			return false;
		if (dangling->pending == dangling->room) {
			dangling->room = dangling->room ? 2 * dangling->room : 256;
			dangling->ids = memory_realloc_array(dangling->ids, dangling->room, sizeof(dangling->ids[0]));
		}
		dangling->ids[dangling->pending++] = item.pending.id;
	}
	if (dangling->pending > 0)
		qsort(dangling->ids, dangling->pending, sizeof(dangling->ids[0]), compare);
	return true;
}

bool dangling_next(struct dangling *dangling, const struct value_stream_id *entry, struct value_stream_id *ret)
{
	while (dangling->at < dangling->pending) {
		struct value_stream_id id = dangling->ids[dangling->at];
		int order = entry ? compare(&id, entry) : -1;

		if (order > 0)
			break;
		dangling->at++;
		/* That of another group as well, or of an entry that is there. */
		if (order == 0 || (dangling->count > 0 && compare(&id, &dangling->ids[dangling->count - 1]) == 0))
			continue;
		dangling->ids[dangling->count++] = id;
		dangling->leading += !dangling->entry_seen;
		*ret = id;
		return true;
	}
	dangling->entry_seen = true;
	return false;
}
