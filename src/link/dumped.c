#include "link/dumped.h"

#include "peer/server.h"

#include <stdio.h>
#include <string.h>

/* ---- replies ---- */

bool replies_next(struct slice *rest, struct resp_skim *ret)
{
	struct parse_fault fault;

	if (rest->len == 0 || resp_reply_skim(*rest, ret, &fault) != PARSE_OK)
		return false;
	*rest = slice_make(rest->data + ret->taken, rest->len - ret->taken);
	return true;
}

bool replies_enter_last(struct slice *rest, uint32_t count)
{
	struct resp_skim passed;
	const uint8_t *line_end;

	for (uint32_t i = 0; i + 1 < count; i++)
		if (!replies_next(rest, &passed))
			return false;
	line_end = rest->len && rest->data[0] == '*' ? memchr(rest->data, '\n', rest->len) : NULL;
	if (!line_end)
		return false;
	*rest = slice_make(line_end + 1, rest->len - (size_t)(line_end + 1 - rest->data));
	return true;
}

/* ---- asking ---- */

static bool expiry_is_told(const struct target_abilities *target)
{
	return !target->redis || target->redis >= VERSION(7, 0, 0);
}

void dumped_ask(struct request *request, const struct target_abilities *target, struct slice key, bool expiry)
{
	REQUEST_ADD(request, SLICE("DUMP"), key);
	if (!expiry)
		return;
	if (expiry_is_told(target)) {
		REQUEST_ADD(request, SLICE("PEXPIRETIME"), key);
		return;
	}
	REQUEST_ADD(request, SLICE("TIME"));
	REQUEST_ADD(request, SLICE("PTTL"), key);
	REQUEST_ADD(request, SLICE("TIME"));
}

enum dumped_taken dumped_take_bulk(struct slice *rest, struct dumped *ret, char text[REPLY_TEXT_MAX])
{
	struct resp_skim reply;

	*ret = (struct dumped){.expire_at_ms = DUMPED_NO_EXPIRY};
	if (!replies_next(rest, &reply))
		return DUMPED_NO_REPLIES;
	if (reply.type == RESP_ERROR) {
		snprintf(text, REPLY_TEXT_MAX, "%.*s", (int)(reply.text.len > 400 ? 400 : reply.text.len),
			 (const char *)reply.text.data);
		return DUMPED_ERROR;
	}
	ret->exists = reply.type == RESP_BULK;
	ret->payload = reply.text;
	return DUMPED_TAKEN;
}

/* [seconds, microseconds] */
static bool take_time(struct slice *rest, int64_t *ret_ms)
{
	struct resp_skim seconds, micros;
	int64_t s, us;

	if (!replies_enter_last(rest, 1) || !replies_next(rest, &seconds) || !replies_next(rest, &micros) ||
	    !slice_to_int64(seconds.text, &s) || !slice_to_int64(micros.text, &us))
		return false;
	*ret_ms = s * 1000 + us / 1000;
	return true;
}

static enum dumped_taken take_expiry(struct slice *rest, bool told, struct dumped *value)
{
	int64_t before = 0, after = 0, number;
	struct resp_skim reply;

	if ((!told && !take_time(rest, &before)) || !replies_next(rest, &reply) || reply.type != RESP_INTEGER ||
	    !slice_to_int64(reply.text, &number) || (!told && !take_time(rest, &after)))
		return DUMPED_NO_REPLIES;
	if (number == -2)
		value->exists = false; /* it expired in between */
	if (number < 0)
		return DUMPED_TAKEN;
	value->expire_at_ms = before + number;
	return before == after ? DUMPED_TAKEN : DUMPED_UNSURE;
}

enum dumped_taken dumped_take(struct slice *rest, const struct target_abilities *target, bool expiry, struct dumped *ret,
			      char text[REPLY_TEXT_MAX])
{
	enum dumped_taken taken = dumped_take_bulk(rest, ret, text);

	return taken == DUMPED_TAKEN && expiry ? take_expiry(rest, expiry_is_told(target), ret) : taken;
}

bool dumped_equal(const struct dumped *a, const struct dumped *b)
{
	return a->exists == b->exists &&
	       (!a->exists || (a->expire_at_ms == b->expire_at_ms && slice_equal(a->payload, b->payload)));
}

/* ---- restoring ---- */

uint32_t dumped_restore_commands(const struct target_abilities *target, const struct dumped *value)
{
	return value->expire_at_ms != DUMPED_NO_EXPIRY && !target->restore_absolute_ttl ? 2 : 1;
}

void dumped_restore(struct request *request, const struct target_abilities *target, struct slice key, const struct dumped *value,
		    bool replace)
{
	bool expires = value->expire_at_ms != DUMPED_NO_EXPIRY;
	bool absolute = expires && target->restore_absolute_ttl;
	struct slice at = expires ? arena_number(request->arena, value->expire_at_ms) : SLICE("0");
	struct slice argv[6] = {SLICE("RESTORE"), key, absolute ? at : SLICE("0"), value->payload};
	uint32_t argc = 4;

	if (replace)
		argv[argc++] = SLICE("REPLACE");
	if (absolute)
		argv[argc++] = SLICE("ABSTTL");
	request_add(request, argc, argv);
	if (expires && !absolute)
		REQUEST_ADD(request, SLICE("PEXPIREAT"), key, at);
}
