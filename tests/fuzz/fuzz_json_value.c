/* A value as a line of JSON: input as fuzz_value's. Whatever is printed is one line and reads as JSON; of a damaged value nothing is
 * printed at all. */
#include "wire/rdb.h"
#include "json/value.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_always)
{
	if (!true_always)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct event key = {.kind = EVENT_KEY, .expire_at_ms = EXPIRE_NEVER, .key = SLICE("k\0y")};
	struct json_value json;
	struct error error = {0};
	char *text = NULL;
	size_t len = 0;
	json_t *read;
	bool printed;
	FILE *out;

	if (size < 2 || rdb_type_version(data[0], data[1] & 1) == 0)
		return 0;
	/* The snapshot decoder hands out no module value without its id. */
	if (data[0] == RDB_TYPE_MODULE_2 && (size < 3 || rdb_length_size(data[2]) == 0 || size - 2 < rdb_length_size(data[2])))
		return 0;
	key.type = data[0];
	key.value = slice_make(data + 2, size - 2);
	key.end = size;
	out = open_memstream(&text, &len);
	if (!out)
		abort();
	json_value_init(&json, out);
	printed = json_value_print(&json, &key, data[1] & 1, &error);
	json_value_free(&json);
	fclose(out);
	if (printed) {
		require(len > 0 && memchr(text, '\n', len) == text + len - 1);
		read = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, NULL);
		require(read != NULL);
		json_decref(read);
	} else {
		require(len == 0 && error.kind == ERROR_SOURCE && error.text[0] != '\0');
	}
	free(text);
	return 0;
}
