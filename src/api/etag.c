#include "api/etag.h"

#include "base/slice.h"

#include <inttypes.h>
#include <stdio.h>

enum etag_wish etag_parse(const char *header, int64_t *ret_revision)
{
	size_t len = strlen(header);

	if (strcmp(header, "*") == 0)
		return ETAG_ANY;
	if (len < 3 || header[0] != '"' || header[len - 1] != '"' ||
	    !slice_to_int64(slice_make(header + 1, len - 2), ret_revision) || *ret_revision < 1)
		return ETAG_NONE;
	return ETAG_ONE;
}

bool etag_matches(const char *header, int64_t revision)
{
	char tag[32];
	const char *found;
	size_t len;

	if (!header)
		return false;
	if (strcmp(header, "*") == 0)
		return true;
	len = (size_t)snprintf(tag, sizeof(tag), "\"%" PRId64 "\"", revision);
	found = strstr(header, tag);
	return found && (found[len] == '\0' || found[len] == ',' || found[len] == ' ');
}
