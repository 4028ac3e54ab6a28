#include "sink/mark.h"

#include "wire/resp.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

size_t mark_put(const char *epoch, struct mark mark, char out[MARK_TEXT_MAX])
{
	size_t len = strnlen(epoch, MARK_EPOCH_LEN);

	/* Once for every flight to a cluster, so without printf(). */
	memcpy(out, epoch, len);
	out[len++] = ' ';
	len += resp_put_int64((uint8_t *)out + len, mark.offset);
	out[len++] = ' ';
	len += resp_put_int64((uint8_t *)out + len, mark.sub);
	out[len] = '\0';
	return len;
}

size_t mark_record_put(const struct mark_record *record, char out[MARK_RECORD_MAX])
{
	return (size_t)snprintf(out, MARK_RECORD_MAX, "%s %s %" PRId64 " %" PRIu32 " %" PRId64 " %" PRIu32 " %s", record->epoch,
				record->replid, record->offset, record->db, record->mark.offset, record->mark.sub,
				record->source);
}

size_t mark_low_put(const char *epoch, struct mark_low low, char out[MARK_TEXT_MAX])
{
	return (size_t)snprintf(out, MARK_TEXT_MAX, "%s %" PRId64 " %" PRIu32, epoch, low.offset, low.db);
}

/* Takes a word off the front; the rest begins behind one blank. */
static struct slice take_word(struct slice *text)
{
	const uint8_t *blank = text->len ? memchr(text->data, ' ', text->len) : NULL;
	size_t len = blank ? (size_t)(blank - text->data) : text->len;
	struct slice word = slice_make(text->data, len);

	*text = blank ? slice_make(blank + 1, text->len - len - 1) : slice_make(text->data + len, 0);
	return word;
}

static bool take_number(struct slice *text, int64_t least, int64_t most, int64_t *ret)
{
	return slice_to_int64(take_word(text), ret) && *ret >= least && *ret <= most;
}

static bool take_mark(struct slice *text, struct mark *ret)
{
	int64_t offset, sub;

	if (!take_number(text, -1, INT64_MAX, &offset) || !take_number(text, 0, UINT32_MAX, &sub))
		return false;
	*ret = (struct mark){offset, (uint32_t)sub};
	return true;
}

struct mark mark_parse(struct slice text, const char *epoch)
{
	struct mark mark;

	if (!slice_equal(take_word(&text), slice_of_string(epoch)) || !take_mark(&text, &mark) || text.len > 0)
		return MARK_NONE;
	return mark;
}

struct mark_low mark_low_parse(struct slice text, const char *epoch)
{
	struct mark_low low = {.known = true};
	int64_t db;

	if (!slice_equal(take_word(&text), slice_of_string(epoch)) || !take_number(&text, INT64_MIN, INT64_MAX, &low.offset) ||
	    !take_number(&text, 0, UINT32_MAX, &db) || text.len > 0)
		return (struct mark_low){0};
	low.db = (uint32_t)db;
	return low;
}

static bool take_text(struct slice *text, char *out, size_t cap)
{
	struct slice word = take_word(text);

	if (word.len == 0 || word.len >= cap || memchr(word.data, '\0', word.len))
		return false;
	memcpy(out, word.data, word.len);
	out[word.len] = '\0';
	return true;
}

bool mark_record_parse(struct slice text, struct mark_record *ret)
{
	struct mark_record record = {0};
	int64_t db;

	if (!take_text(&text, record.epoch, sizeof(record.epoch)) || !take_text(&text, record.replid, sizeof(record.replid)) ||
	    !take_number(&text, -1, INT64_MAX, &record.offset) || !take_number(&text, 0, UINT32_MAX, &db) ||
	    !take_mark(&text, &record.mark) || text.len >= sizeof(record.source))
		return false;
	record.db = (uint32_t)db;
	memcpy(record.source, text.data, text.len);
	*ret = record;
	return true;
}

void mark_random(char *out, size_t digits)
{
	uint8_t bytes[64];
	size_t got = 0;

	/* At most 256 bytes come whole, and only before the system has gathered entropy is there any waiting. */
	while (got < sizeof(bytes)) {
		ssize_t n = getrandom(bytes + got, sizeof(bytes) - got, 0);

		if (n > 0)
			got += (size_t)n;
	}
	for (size_t i = 0; i < digits; i++)
		out[i] = "0123456789abcdef"[bytes[i % sizeof(bytes)] & 15];
	out[digits] = '\0';
}
