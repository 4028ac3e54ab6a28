/* A URL of the source or target; the first byte says which. What is refused must not be shown: an error that repeats the bytes
 * before an '@' would put a password into a log. */
#include "base/error.h"
#include "base/memory.h"
#include "task/options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool shows_secret(const struct error *error, const char *url)
{
	const char *at = strrchr(url, '@');

	/* The last bytes before the '@': long enough not to occur in an error's own words by chance. */
	if (!at || at - url < 12)
		return false;
	return memmem(error->text, strlen(error->text), at - 12, 12) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct task_options options;
	struct error error;
	char *url;

	if (size == 0)
		return 0;
	url = memory_strndup((const char *)data + 1, size - 1);
	error_clear(&error);
	task_options_init(&options);
	if (!task_options_set_url(&options, data[0] & 1, url, &error) && (error.text[0] == '\0' || shows_secret(&error, url)))
		abort();
	task_options_free(&options);
	free(url);
	return 0;
}
