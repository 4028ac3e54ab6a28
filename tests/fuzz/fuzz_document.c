/* A task document, YAML or JSON, from its bytes to finished options: whatever it holds, it is read or refused with a reason. */
#include "base/error.h"
#include "base/slice.h"
#include "task/options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct task_options options;
	struct error error;

	error_clear(&error);
	task_options_init(&options);
	/* task_options_finish() is left out: it would read the files that a document names. */
	if (!task_options_parse(&options, slice_make(data, size), "task.yaml", &error) && error.text[0] == '\0')
		abort();
	task_options_free(&options);
	return 0;
}
