/* The HTTP API of the daemon, whatever carries it: who may call, what a call asks for, what it gets (docs/api.md).
 *
 * A call goes through two doors. api_admit() sees its line and headers: who calls (token, session, or nobody asked on a loopback address), whether it is addressed to us and comes
 * from our own page, which route, role, accepted types, the size of its body. api_handle() checks the body by the route's schema and answers.
 * Without a valid token every path says 401, also those that do not exist; the login, the files of the console (api/console.h) and, where that is wanted, probes are open.
 * No answer holds a secret; what a body says is quoted nowhere.
 * Thread: (any). */
#ifndef KEYFERRY_API_API_H
#define KEYFERRY_API_API_H

#include "api/answer.h"

#define API_HEAD_MAX (32u << 10)    /* bytes of request line and headers */
#define API_BODY_MAX (64u << 10)    /* bytes of a JSON body */
#define API_DOCUMENT_MAX (1u << 20) /* of a task document */

struct api;

struct api_options {
	bool ask_for_token; /* false: nobody is asked, only Host and Origin are looked at */
	bool open_probes;   /* but for probes nobody is asked: they say no more than whether */
	const char *version;
	uint32_t streams_max; /* server-sent events at the same time */
};

/* Returns an API that makes calls of the service until api_free(). */
struct api *api_new(struct service *service, const struct api_options *options);
/* No call may be under way. */
void api_free(struct api *api);
/* Ends all streams: what is behind them goes on to api_free(). */
void api_end_streams(struct api *api);

/* False: the answer is made. */
bool api_admit(struct api *api, struct call *call, struct answer *answer) WARN_UNUSED;
/* How large a body the call may have, once admitted. */
size_t api_body_max(const struct call *call);
void api_handle(struct api *api, struct call *call, struct answer *answer);
/* Frees what the two have put into the call. */
void api_forget(struct call *call);

#endif
