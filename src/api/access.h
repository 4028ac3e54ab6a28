/* Who calls: tokens, sessions of the console, and how often somebody may be wrong.
 * Thread: (any). */
#ifndef KEYFERRY_API_ACCESS_H
#define KEYFERRY_API_ACCESS_H

#include "api/answer.h"
#include "api/session.h"

struct access;

/* `ask_for_token` false: who brings nothing is PRINCIPAL_LOCAL, an admin. */
struct access *access_new(struct service *service, bool ask_for_token);
void access_free(struct access *access);

/* Fills call->principal. False: the answer is a 401, or 429 after too many wrong ones. What is wrong is written to the audit log. A session that changes something needs its CSRF token: 403. */
bool access_admit(struct access *access, struct call *call, struct answer *answer) WARN_UNUSED;
/* Is somebody who was admitted with this token or session still to be let in? For streams, which last. */
bool access_lasts(struct access *access, const struct call *call, enum service_role role) WARN_UNUSED;

/* A login with a token: sets the cookie and returns what access_describe() will. NULL: 401 or 429. */
json_t *access_log_in(struct access *access, const struct call *call, const char *token, struct answer *answer) WARN_UNUSED;
/* Ends the call's session, if it has one, and takes the cookie back. */
void access_log_out(struct access *access, const struct call *call, struct answer *answer);
/* {"who","role","kind","csrf_token","expires"} of the caller. */
json_t *access_describe(struct access *access, const struct call *call);

#endif
