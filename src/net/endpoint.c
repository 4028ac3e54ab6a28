#include "net/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t *find_last(struct slice text, uint8_t byte)
{
	for (size_t i = text.len; i > 0; i--) {
		if (text.data[i - 1] == byte)
			return text.data + i - 1;
	}
	return NULL;
}

/* No control characters, spaces or slashes: what stands in a host name, an address or an address with a zone. */
static bool host_is_plausible(struct slice host)
{
	if (host.len == 0 || host.len >= sizeof(((struct endpoint *)0)->host))
		return false;
	for (size_t i = 0; i < host.len; i++) {
		if (host.data[i] <= ' ' || host.data[i] >= 0x7f || memchr("/[]@\"'", host.data[i], 6))
			return false;
	}
	return true;
}

static bool port_parse(struct slice text, uint16_t *ret)
{
	uint64_t port;

	if (text.len > 5 || !slice_to_uint64(text, &port) || port == 0 || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static bool unix_parse(struct slice path, struct endpoint *ret)
{
	/* struct sockaddr_un takes 107 bytes and a NUL. */
	if (path.len > 107 || memchr(path.data, '\0', path.len))
		return false;
	*ret = (struct endpoint){.port = 0};
	memcpy(ret->host, path.data, path.len);
	return true;
}

bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *ret)
{
	const uint8_t *end = text.data + text.len;
	const uint8_t *colon;
	struct slice host = text;
	struct slice port = {NULL, 0};
	uint16_t number = default_port;
	bool has_port = false;

	if (text.len == 0)
		return false;
	if (text.data[0] == '/')
		return unix_parse(text, ret);

	if (text.data[0] == '[') {
		const uint8_t *bracket = find_last(text, ']');

		if (!bracket)
			return false;
		host = slice_make(text.data + 1, (size_t)(bracket - text.data - 1));
		if (host.len == 0 || !memchr(host.data, ':', host.len))
			return false;
		if (bracket + 1 < end) {
			if (bracket[1] != ':')
				return false;
			has_port = true;
			port = slice_make(bracket + 2, (size_t)(end - bracket - 2));
		}
	} else {
		colon = find_last(text, ':');
		/* More than one colon without brackets is an IPv6 address and no port. */
		if (colon && memchr(text.data, ':', text.len) == colon) {
			has_port = true;
			host = slice_make(text.data, (size_t)(colon - text.data));
			port = slice_make(colon + 1, (size_t)(end - colon - 1));
		}
	}
	if (!host_is_plausible(host) || (has_port && !port_parse(port, &number)) || number == 0)
		return false;
	*ret = (struct endpoint){.port = number};
	memcpy(ret->host, host.data, host.len);
	return true;
}

const char *endpoint_format(const struct endpoint *endpoint, char out[ENDPOINT_TEXT_MAX])
{
	if (endpoint_is_unix(endpoint))
		snprintf(out, ENDPOINT_TEXT_MAX, "%s", endpoint->host);
	else if (strchr(endpoint->host, ':'))
		snprintf(out, ENDPOINT_TEXT_MAX, "[%s]:%u", endpoint->host, endpoint->port);
	else
		snprintf(out, ENDPOINT_TEXT_MAX, "%s:%u", endpoint->host, endpoint->port);
	return out;
}

bool endpoint_numeric(const struct endpoint *endpoint, struct sockaddr_storage *ret, bool *ret_loopback)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, endpoint->host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(endpoint->port);
		*ret_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
		return true;
	}
	if (inet_pton(AF_INET6, endpoint->host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(endpoint->port);
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		return true;
	}
	return false;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && strcmp(a->host, b->host) == 0;
}
