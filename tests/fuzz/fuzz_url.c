/* A URL of the source or target; the first byte says which. A secret is put before every '@': an error must never show it. */
#include "base/error.h"
#include "base/memory.h"
#include "task/options.h"

#include <stdlib.h>

#define SECRET "S3cretS3cret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *insert_secrets(const uint8_t *data, size_t size)
{
	char *url = memory_alloc(size * sizeof(SECRET) + 1);
	size_t len = 0;

	for (size_t i = 0; i < size && data[i] != '\0'; i++) {
		if (data[i] == '@') {
			memcpy(url + len, SECRET, sizeof(SECRET) - 1);
			len += sizeof(SECRET) - 1;
		}
		url[len++] = (char)data[i];
	}
	url[len] = '\0';
	return url;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct task_options options;
	struct error error;
	char *url;

	/* An input that has the secret itself may show it. */
	if (size == 0 || memmem(data, size, SECRET, sizeof(SECRET) - 1))
		return 0;
	url = insert_secrets(data + 1, size - 1);
	error_clear(&error);
	task_options_init(&options);
	if (!task_options_set_url(&options, data[0] & 1, url, &error) &&
	    (error.text[0] == '\0' || strstr(error.text, SECRET) || strstr(error.hint, SECRET)))
		abort();
	task_options_free(&options);
	free(url);
	return 0;
}
