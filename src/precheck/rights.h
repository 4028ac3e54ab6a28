/* Which rights the user of a node has, asked so that nothing is done there.
 *
 *   ACL DRYRUN       since Redis 7.0, where the user may run it: the server says what it would answer, and logs nothing
 *   MULTI, commands  the target: the server looks at the rights, and at whether it takes writes at all, when it queues a command; closing the connection drops the queue
 *   as they are      commands whose arguments are refused after the rights were looked at: SETEX with 0 seconds, EXEC without MULTI, REPLCONF alone,
 *                    PSYNC ... FAILOVER (6.2: a master refuses it, a replica too, for another replication id); in 6.0 PSYNC is queued as above, where MULTI is permitted
 * Facts: processCommand() and syncCommand() of Redis 6.0 to 8.x and Valkey 7.2 to 9.x; before 6.0 there are no rights.
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_RIGHTS_H
#define KEYFERRY_PRECHECK_RIGHTS_H

#include "precheck/interview.h"

/* Rounds of the interview: may it be asked by ACL DRYRUN; what is asked as it is; what is queued. */
void rights_ask_how(struct witness *witness);
void rights_ask(struct witness *witness);
void rights_ask_queued(struct witness *witness);

/* The judgement of one answer, pure: what the server says about a command that was asked for by `dry_run` or as it is. */
enum denial { DENIAL_NONE, DENIAL_COMMAND, DENIAL_KEY, DENIAL_UNKNOWN /* no such command */ };
enum denial rights_denial(const struct resp_node *answer, bool dry_run);

#endif
