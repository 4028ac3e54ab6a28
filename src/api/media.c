#include "api/media.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "text/html;level=1" without its parameters. */
static size_t type_len(const char *text)
{
	return strcspn(text, "; \t,");
}

bool media_is(const char *content_type, const char *type)
{
	return content_type && type_len(content_type) == strlen(type) && strncasecmp(content_type, type, strlen(type)) == 0;
}

/* How exactly a range means the type: 3 itself, 2 its kind, 1 anything, 0 not. */
static int fits(const char *range, size_t len, const char *type)
{
	size_t kind = strcspn(type, "/") + 1;

	if (len == type_len(type) && strncasecmp(range, type, len) == 0)
		return 3;
	if (len == kind + 1 && range[kind] == '*' && strncasecmp(range, type, kind) == 0)
		return 2;
	return len == 3 && memcmp(range, "*/*", 3) == 0;
}

/* "q=0.5" among the parameters, in thousandths; without it 1000. */
static int quality_of(const char *parameters, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++) {
		if ((parameters[i] == ';' || parameters[i] == ' ') && (parameters[i + 1] == 'q' || parameters[i + 1] == 'Q') &&
		    parameters[i + 2] == '=') {
			int value = parameters[i + 3] == '1' ? 1000 : 0;
			int weight = 100;

			if (value == 0 && i + 4 < len && parameters[i + 4] == '.')
				for (size_t j = i + 5; j < len && weight > 0 && parameters[j] >= '0' && parameters[j] <= '9';
				     j++, weight /= 10)
					value += (parameters[j] - '0') * weight;
			return value;
		}
	}
	return 1000;
}

/* The quality that the most exact range gives it. */
static int liking(const char *accept, const char *type)
{
	int best = 0, quality = 0;

	while (*accept) {
		size_t len, all;
		int exact;

		accept += strspn(accept, " \t,");
		len = type_len(accept);
		all = strcspn(accept, ",");
		exact = len > 0 ? fits(accept, len, type) : 0;
		if (exact > best) {
			best = exact;
			quality = quality_of(accept + len, all - len);
		}
		accept += all;
	}
	return quality;
}

const char *media_choose(const char *accept, const char *const *types)
{
	const char *chosen = NULL;
	int most = 0;

	if (!accept || !*accept)
		return types[0];
	for (; *types; types++) {
		int quality = liking(accept, *types);

		if (quality > most) {
			most = quality;
			chosen = *types;
		}
	}
	return chosen;
}
