#include "api/uri.h"

#include "base/utf8.h"

#include <string.h>

static int hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return -1;
}

/* In place: what is decoded is never longer. */
static bool decode(char *text, bool query)
{
	const char *from = text;
	char *to = text;

	for (; *from; from++) {
		char byte = *from;

		if (byte == '%') {
			int high = hex(from[1]), low = high < 0 ? -1 : hex(from[2]);

			if (low < 0)
				return false;
			byte = (char)(high << 4 | low);
			from += 2;
		} else if (byte == '+' && query) {
			byte = ' ';
		}
		if ((unsigned char)byte < 0x20 || byte == 0x7f || (byte == '/' && !query))
			return false;
		*to++ = byte;
	}
	*to = '\0';
	return utf8_is_valid(slice_of_string(text));
}

static bool take_path(struct uri *uri, char *path)
{
	/* "/" alone has no segments, and a '/' at the end makes an empty one, which no route has. */
	while (path && *path) {
		char *next = strchr(path, '/');

		if (next)
			*next++ = '\0';
		if (uri->segment_count == URI_SEGMENTS_MAX || !decode(path, false))
			return false;
		uri->segments[uri->segment_count++] = path;
		if (next && !*next) {
			if (uri->segment_count == URI_SEGMENTS_MAX)
				return false;
			uri->segments[uri->segment_count++] = next;
		}
		path = next;
	}
	return true;
}

static bool take_query(struct uri *uri, char *query)
{
	while (query && *query) {
		char *next = strchr(query, '&');
		char *value;

		if (next)
			*next++ = '\0';
		value = strchr(query, '=');
		if (value)
			*value++ = '\0';
		if (*query || value) {
			if (uri->parameter_count == URI_PARAMETERS_MAX || !decode(query, true) || (value && !decode(value, true)))
				return false;
			if (uri_parameter(uri, query))
				return false; /* twice: which one is meant? */
			uri->parameters[uri->parameter_count++] = (struct uri_parameter){query, value ? value : ""};
		}
		query = next;
	}
	return true;
}

enum uri_answer uri_parse(struct uri *uri, const char *target)
{
	size_t len = strnlen(target, URI_BYTES_MAX + 1);
	char *query;

	uri->segment_count = 0;
	uri->parameter_count = 0;
	if (len > URI_BYTES_MAX)
		return URI_TOO_LONG;
	memcpy(uri->text, target, len + 1);
	query = strchr(uri->text, '?');
	if (query)
		*query++ = '\0';
	if (uri->text[0] == '/' && !strchr(uri->text, '#') && take_path(uri, uri->text + 1) && take_query(uri, query))
		return URI_OK;
	uri->segment_count = 0;
	uri->parameter_count = 0;
	return URI_BAD;
}

const char *uri_parameter(const struct uri *uri, const char *name)
{
	for (size_t i = 0; i < uri->parameter_count; i++)
		if (strcmp(uri->parameters[i].name, name) == 0)
			return uri->parameters[i].value;
	return NULL;
}
