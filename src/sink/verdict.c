#include "sink/verdict.h"

#include "wire/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verdict verdict_of(const char *error)
{
	static const struct {
		const char *prefix;
		enum verdict verdict;
	} table[] = {
		{"MOVED ", VERDICT_MOVED},
		{"ASK ", VERDICT_ASK},
		{"TRYAGAIN", VERDICT_WAIT},
		{"CLUSTERDOWN", VERDICT_WAIT},
		{"LOADING", VERDICT_WAIT},
		{"BUSY ", VERDICT_WAIT},
		{"READONLY", VERDICT_WAIT},
		{"OOM", VERDICT_WAIT},
		{"MISCONF", VERDICT_WAIT},
		{"NOREPLICAS", VERDICT_WAIT},
		{"MASTERDOWN", VERDICT_WAIT},
		{"EXECABORT", VERDICT_WAIT},
		{"ERR max number of clients", VERDICT_WAIT},
		{"BUSYKEY", VERDICT_EXISTS},
		{"NOSCRIPT", VERDICT_NOSCRIPT},
		{"NOPERM", VERDICT_DENIED},
		{"NOAUTH", VERDICT_DENIED},
		{"WRONGPASS", VERDICT_DENIED},
		{"ERR unknown command", VERDICT_UNKNOWN},
		{"ERR unknown subcommand", VERDICT_UNKNOWN},
		{"ERR Unknown subcommand", VERDICT_UNKNOWN},
		{"ERR wrong number of arguments", VERDICT_UNKNOWN},
		{"ERR syntax error", VERDICT_UNKNOWN},
		{"ERR Bad data format", VERDICT_UNKNOWN},
		{"ERR DUMP payload version", VERDICT_UNKNOWN},
		{"ERR DB index", VERDICT_UNKNOWN},
	};

	/* EXEC itself was refused, and since 7.0 says why. */
	if (strstr(error, "EXECABORT Transaction discarded because of: NOPERM") == error)
		return VERDICT_DENIED;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strncmp(error, table[i].prefix, strlen(table[i].prefix)) == 0)
			return table[i].verdict;
	/* A script's call that was refused for want of memory or of a writable master: before 7.0 the text is wrapped. */
	if (strstr(error, "-OOM command not allowed") || strstr(error, "-READONLY You can't write") || strstr(error, "-MISCONF "))
		return VERDICT_WAIT;
	/* A script's call that the source has executed and this server cannot: no error that the source saw as well. */
	if (strstr(error, "nknown Redis command called from") || strstr(error, "nknown command called from") ||
	    strstr(error, "attempted to access a non local key") ||
	    strstr(error, "attempted to access keys that do not hash to the same slot"))
		return VERDICT_UNKNOWN;
	return VERDICT_REFUSED;
}

bool verdict_redirection(const char *error, const struct endpoint *asked, uint16_t *ret_slot, struct endpoint *ret)
{
	const char *slot_text = strchr(error, ' ');
	const char *host = slot_text ? strchr(slot_text + 1, ' ') : NULL;
	const char *colon = host ? strrchr(host, ':') : NULL;
	unsigned long slot, port;
	struct endpoint endpoint = {0};
	char *end;

	if (!colon)
		return false;
	host++;
	slot = strtoul(slot_text + 1, &end, 10);
	if (end == slot_text + 1 || *end != ' ' || slot >= SLOT_COUNT)
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (end == colon + 1 || port == 0 || port > 65535)
		return false;
	if (colon == host || (colon == host + 1 && *host == '?'))
		snprintf(endpoint.host, sizeof(endpoint.host), "%s", asked->host);
	else if ((size_t)(colon - host) < sizeof(endpoint.host))
		memcpy(endpoint.host, host, (size_t)(colon - host));
	else
		return false;
	endpoint.port = (uint16_t)port;
	*ret_slot = (uint16_t)slot;
	*ret = endpoint;
	return true;
}
