#include "api/log_follower.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define READS 8 /* of one turn: others wait for theirs */

void log_follower_begin(struct log_follower *follower, struct service *service, int64_t task, uint32_t lines, const char *last_id)
{
	struct error ignored;

	*follower = (struct log_follower){.told = false};
	snprintf(follower->task, sizeof(follower->task), "%" PRId64, task);
	if (last_id && worker_log_parse_place(last_id, &follower->place))
		return;
	/* A task that is gone meanwhile is noticed at the first turn. */
	if (service_task_log_back(service, follower->task, lines, &follower->place, &ignored) != SERVICE_OK)
		follower->place = (struct worker_log_place){0};
}

/* There is room: the most that is read at a time, with all of it escaped, is less than half a mailbox. */
static void tell_lines(const struct log_follower *follower, struct mailbox *mailbox, json_t *lines)
{
	char id[WORKER_LOG_PLACE_MAX], *text;
	json_t *data = json_pack("{s:O}", "lines", lines);

	worker_log_format_place(&follower->place, id);
	text = json_dumps(data, JSON_COMPACT);
	if (text)
		mailbox_put_event(mailbox, id, "lines", text);
	free(text);
	json_decref(data);
}

static bool read_on(struct log_follower *follower, struct service *service, struct mailbox *mailbox)
{
	json_t *lines = json_array();
	bool more = false, gap = false;
	struct error ignored;

	follower->gone = service_task_log_read(service, follower->task, &follower->place, lines, &more, &gap, &ignored) ==
			 SERVICE_NOT_FOUND;
	if (gap)
		mailbox_put_event(mailbox, NULL, "gap", "{\"of\":\"lines\"}");
	if (json_array_size(lines) > 0)
		tell_lines(follower, mailbox, lines);
	json_decref(lines);
	return more;
}

bool log_follower_turn(struct log_follower *follower, struct service *service, struct mailbox *mailbox)
{
	char id[WORKER_LOG_PLACE_MAX];

	if (!follower->told) {
		worker_log_format_place(&follower->place, id);
		follower->told = mailbox_put_id(mailbox, id);
	}
	for (int i = 0; i < READS; i++) {
		if (!mailbox_has_room(mailbox))
			return true;
		if (!read_on(follower, service, mailbox))
			return false;
	}
	return true;
}
