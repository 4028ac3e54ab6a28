#include "source/payload.h"

#include "wire/crc64.h"

void payload_begin_length(struct payload *payload, uint64_t length)
{
	*payload = (struct payload){.remaining = length};
}

void payload_begin_marked(struct payload *payload, const uint8_t mark[PAYLOAD_MARK])
{
	*payload = (struct payload){.marked = true};
	memcpy(payload->mark, mark, PAYLOAD_MARK);
}

/* Sums what is handed out, always keeping the last eight bytes out: they may be the checksum itself. */
static void payload_sum(struct payload *payload, struct slice bytes)
{
	const size_t most = sizeof(payload->trailer);
	size_t keep;

	payload->total += bytes.len;
	if (bytes.len >= most) {
		payload->sum = crc64(payload->sum, payload->trailer, payload->trailing);
		payload->sum = crc64(payload->sum, bytes.data, bytes.len - most);
		memcpy(payload->trailer, bytes.data + bytes.len - most, most);
		payload->trailing = most;
		return;
	}
	keep = most - bytes.len; /* so many of the old ones stay */
	if (payload->trailing > keep) {
		size_t out = payload->trailing - keep;

		payload->sum = crc64(payload->sum, payload->trailer, out);
		memmove(payload->trailer, payload->trailer + out, keep);
		payload->trailing = keep;
	}
	memcpy(payload->trailer + payload->trailing, bytes.data, bytes.len);
	payload->trailing += bytes.len;
}

uint64_t payload_sum_stored(const struct payload *payload)
{
	uint64_t stored = 0;

	for (size_t i = 0; i < payload->trailing; i++)
		stored |= (uint64_t)payload->trailer[i] << (8 * i);
	return stored;
}

static enum payload_step payload_hand_out(struct payload *payload, struct slice bytes, struct slice *ret_bytes)
{
	payload_sum(payload, bytes);
	*ret_bytes = bytes;
	return PAYLOAD_BYTES;
}

static enum payload_step payload_finish(const struct payload *payload)
{
	uint64_t stored = payload_sum_stored(payload);

	if (payload->total < PAYLOAD_RDB_MIN)
		return PAYLOAD_WRONG;
	return stored == 0 || stored == payload->sum ? PAYLOAD_END : PAYLOAD_WRONG;
}

static enum payload_step payload_next_length(struct payload *payload, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	size_t len = in.len < payload->remaining ? in.len : (size_t)payload->remaining;

	*ret_taken = len;
	if (payload->remaining == 0)
		return payload_finish(payload);
	if (len == 0)
		return PAYLOAD_MORE;
	payload->remaining -= len;
	return payload_hand_out(payload, slice_make(in.data, len), ret_bytes);
}

/* How many bytes at the end of `bytes` may be the beginning of the mark, without being all of it. */
static size_t payload_mark_begun(const struct payload *payload, struct slice bytes)
{
	size_t len = bytes.len < PAYLOAD_MARK - 1 ? bytes.len : PAYLOAD_MARK - 1;

	while (len > 0 && memcmp(bytes.data + bytes.len - len, payload->mark, len) != 0)
		len--;
	return len;
}

/* Decides over the held bytes with the next few: they are the mark, or its beginning still, or data after all. */
static enum payload_step payload_next_held(struct payload *payload, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	size_t held = payload->held;
	size_t added = in.len < PAYLOAD_MARK ? in.len : PAYLOAD_MARK;
	struct slice window = slice_make(payload->window, held + added);
	const uint8_t *found;
	size_t release;

	memcpy(payload->window, payload->mark, held);
	memcpy(payload->window + held, in.data, added);
	found = memmem(window.data, window.len, payload->mark, PAYLOAD_MARK);
	if (found != NULL)
		release = (size_t)(found - window.data);
	else
		release = window.len - payload_mark_begun(payload, window);
	if (release == 0 && found != NULL) {
		payload->held = 0;
		*ret_taken = PAYLOAD_MARK - held;
		return payload_finish(payload);
	}
	if (release < held) { /* the mark, or its beginning, starts among the held ones */
		payload->held = held - release;
		*ret_taken = 0;
		if (found == NULL) {
			payload->held += added;
			*ret_taken = added;
		}
		if (release == 0)
			return PAYLOAD_MORE;
	} else { /* none of the held ones belongs to it: the rest is looked at where it stands */
		payload->held = 0;
		*ret_taken = 0;
		release = held;
	}
	return payload_hand_out(payload, slice_make(window.data, release), ret_bytes);
}

static enum payload_step payload_next_marked(struct payload *payload, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	const uint8_t *found;
	size_t release;

	*ret_taken = 0;
	if (in.len == 0)
		return PAYLOAD_MORE;
	if (payload->held > 0)
		return payload_next_held(payload, in, ret_taken, ret_bytes);
	found = memmem(in.data, in.len, payload->mark, PAYLOAD_MARK);
	if (found == in.data) {
		*ret_taken = PAYLOAD_MARK;
		return payload_finish(payload);
	}
	if (found != NULL) {
		release = (size_t)(found - in.data);
		*ret_taken = release;
	} else {
		payload->held = payload_mark_begun(payload, in);
		release = in.len - payload->held;
		*ret_taken = in.len;
	}
	if (release == 0)
		return PAYLOAD_MORE;
	return payload_hand_out(payload, slice_make(in.data, release), ret_bytes);
}

enum payload_step payload_next(struct payload *payload, struct slice in, size_t *ret_taken, struct slice *ret_bytes)
{
	if (payload->marked)
		return payload_next_marked(payload, in, ret_taken, ret_bytes);
	return payload_next_length(payload, in, ret_taken, ret_bytes);
}
