#include "cmd/title.h"

#include <string.h>

static void hide(char *from, const char *end)
{
	while (from < end)
		*from++ = '*';
}

void process_title_hide_urls(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *scheme = strstr(argv[i], "://");
		char *assignment = strstr(argv[i], "password=");
		char *at = strrchr(argv[i], '@');

		/* Rather too much than too little: without a scheme it may still be "user:password@host", and a password with a '/' or
		 * '@' that was not encoded is one all the same. So all up to the last '@' goes, the user name too: a lone part there
		 * is the password. */
		if (at) {
			char *from = argv[i];

			if (scheme && scheme < at)
				from = scheme + 3;
			else if (strncmp(from, "--", 2) == 0 && strchr(from, '='))
				from = strchr(from, '=') + 1;
			hide(from, at);
		}
		if (assignment)
			hide(assignment + strlen("password="), argv[i] + strlen(argv[i]));
	}
}
