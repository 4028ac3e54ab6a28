/* The manifest of an append-only file: whatever it says, the names that come out are names of files in its own folder. */
#include "source/aof_manifest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aof_manifest manifest;
	struct error error;

	error_clear(&error);
	if (!aof_manifest_parse(slice_make(data, size), &manifest, &error)) {
		if (error.text[0] == '\0')
			abort();
		return 0;
	}
	if (manifest.count == 0 || manifest.count > AOF_MANIFEST_FILES_MAX)
		abort();
	for (uint32_t i = 0; i < manifest.count; i++)
		if (manifest.files[i][0] == '\0' || strchr(manifest.files[i], '/'))
			abort();
	aof_manifest_free(&manifest);
	return 0;
}
