/* A client that follows a task's log: whole lines into its mailbox, as fast as it reads them. What it has not read stays in the files.
 * Thread: the feed's; log_follower_begin() any. */
#ifndef KEYFERRY_API_LOG_FOLLOWER_H
#define KEYFERRY_API_LOG_FOLLOWER_H

#include "api/mailbox.h"
#include "service/service.h"

struct log_follower {
	char task[24]; /* its id */
	struct worker_log_place place;
	bool told; /* where it begins */
	bool gone; /* the task is */
};

/* Behind `last_id`, or, when that is NULL or no place in a log, with the last lines. */
void log_follower_begin(struct log_follower *follower, struct service *service, int64_t task, uint32_t lines,
			const char *last_id);
/* True: there is more than the mailbox takes now, or than is read at a time. */
bool log_follower_turn(struct log_follower *follower, struct service *service, struct mailbox *mailbox);

#endif
