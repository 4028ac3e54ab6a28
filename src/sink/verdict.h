/* What an error reply of the target means for the unit that met it.
 * Source: the error prefixes of Redis and Valkey (server.c, cluster.c: "shared.*err", addReplyErrorObject).
 * Thread: none. */
#ifndef KEYFERRY_SINK_VERDICT_H
#define KEYFERRY_SINK_VERDICT_H

#include "net/endpoint.h"

enum verdict {
	VERDICT_MOVED,  /* the slot lives elsewhere */
	VERDICT_ASK,    /* this key is on its way elsewhere */
	VERDICT_WAIT,   /* passes by itself or by the operator's hand: LOADING, OOM, READONLY, CLUSTERDOWN, ... */
	VERDICT_EXISTS, /* BUSYKEY */
	VERDICT_NOSCRIPT,
	VERDICT_DENIED,  /* NOPERM, NOAUTH, WRONGPASS */
	VERDICT_UNKNOWN, /* the target does not understand the command or value, whatever its data */
	VERDICT_REFUSED, /* anything else: the data at the target is not what the command expects */
};

enum verdict verdict_of(const char *error);

/* "MOVED 3999 10.0.0.1:6381", "ASK 3999 ::1:6381", "MOVED 3999 :6381" or "MOVED 3999 ?:6381" (host not known: that of `asked` it is). False: not of that form. */
bool verdict_redirection(const char *error, const struct endpoint *asked, uint16_t *ret_slot, struct endpoint *ret);

#endif
