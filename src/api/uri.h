/* The target of a request line, taken apart: the segments of its path and the parameters of its query, each decoded.
 *
 *     /api/v1/tasks/orders%2Deu/log?lines=100&level=warning
 *      segments: api v1 tasks orders-eu log      parameters: lines=100 level=warning
 *
 * Decoding is strict (RFC 3986): a percent sign is followed by two hexadecimal digits; what comes out is UTF-8 without control characters, and a
 * segment holds no '/'. '+' is a space in the query, as forms write it. An absolute target ("http://host/path") is refused: it is for proxies.
 * Thread: a value type; segments and parameters point into it, so it must not be moved. */
#ifndef KEYFERRY_API_URI_H
#define KEYFERRY_API_URI_H

#include <stdbool.h>
#include <stddef.h>

#define URI_BYTES_MAX 2048
#define URI_SEGMENTS_MAX 12
#define URI_PARAMETERS_MAX 16

enum uri_answer { URI_OK, URI_TOO_LONG, URI_BAD };

struct uri_parameter {
	const char *name, *value;
};

struct uri {
	const char *segments[URI_SEGMENTS_MAX];
	size_t segment_count;
	struct uri_parameter parameters[URI_PARAMETERS_MAX];
	size_t parameter_count;
	char text[URI_BYTES_MAX + 2];
};

/* `target` as it stands in the request line. On failure there are no segments and parameters. */
enum uri_answer uri_parse(struct uri *uri, const char *target);
/* NULL: not given. */
const char *uri_parameter(const struct uri *uri, const char *name);

#endif
