#include "base/language.h"

#include <stdlib.h>
#include <string.h>

bool language_parse(const char *name, enum language *ret)
{
	if (strcmp(name, "en") != 0 && strcmp(name, "zh") != 0)
		return false;
	*ret = name[0] == 'z' ? LANGUAGE_ZH : LANGUAGE_EN;
	return true;
}

enum language language_of_environment(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

	/* The first that is set counts, as POSIX has it. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && value[0])
			return strncmp(value, "zh", 2) == 0 ? LANGUAGE_ZH : LANGUAGE_EN;
	}
	return LANGUAGE_EN;
}
