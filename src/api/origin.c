#include "api/origin.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define HOST_MAX 256

/* Host without port and brackets. False: not a host. */
static bool name_of(const char *host, char out[HOST_MAX])
{
	const char *end;
	size_t len;

	if (*host == '[') {
		end = strchr(++host, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return false;
	} else {
		end = host + strcspn(host, ":");
	}
	len = (size_t)(end - host);
	if (len == 0 || len >= HOST_MAX)
		return false;
	memcpy(out, host, len);
	out[len] = '\0';
	return true;
}

bool origin_host_is_local(const char *host)
{
	char name[HOST_MAX];
	struct in_addr v4;
	struct in6_addr v6;

	if (!host || !name_of(host, name))
		return false;
	if (strcasecmp(name, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, name, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, name, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* "host" and "host:80" are one for http, "host" and "host:443" for https. */
static bool same_host(const char *a, const char *b, const char *default_port)
{
	size_t len = strlen(a), other = strlen(b), port = strlen(default_port);

	if (strcasecmp(a, b) == 0)
		return true;
	if (len == other + port)
		return strncasecmp(a, b, other) == 0 && strcmp(a + other, default_port) == 0;
	if (other == len + port)
		return strncasecmp(a, b, len) == 0 && strcmp(b + len, default_port) == 0;
	return false;
}

bool origin_is_own(const char *origin, const char *fetch_site, const char *host)
{
	if (fetch_site && strcmp(fetch_site, "same-origin") != 0 && strcmp(fetch_site, "none") != 0)
		return false;
	if (!origin)
		return true;
	if (!host)
		return false;
	if (strncmp(origin, "http://", 7) == 0)
		return same_host(origin + 7, host, ":80");
	if (strncmp(origin, "https://", 8) == 0)
		return same_host(origin + 8, host, ":443");
	return false; /* "null" and others */
}
