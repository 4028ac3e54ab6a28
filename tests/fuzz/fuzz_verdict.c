/* Error texts: a verdict for each, and a redirection only with a slot and a place that connecting makes sense to. */
#include "sink/verdict.h"

#include "wire/slot.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint asked = {.host = "asked", .port = 1}, endpoint, old = {.host = "untouched", .port = 2};
	uint16_t slot = 7;
	char *text = malloc(size + 1);
	enum verdict verdict;

	check(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	verdict = verdict_of(text);
	check(verdict <= VERDICT_REFUSED);
	check((verdict == VERDICT_MOVED) == (strncmp(text, "MOVED ", 6) == 0));
	endpoint = old;
	if (verdict_redirection(text, &asked, &slot, &endpoint)) {
		check(slot < SLOT_COUNT && endpoint.port > 0);
		check(endpoint.host[0] && strlen(endpoint.host) < sizeof(endpoint.host));
		check(strstr(text, endpoint.host) ||
		      endpoint_equal(&(struct endpoint){.host = "asked", .port = endpoint.port}, &endpoint));
	} else {
		check(slot == 7 && endpoint_equal(&endpoint, &old));
	}
	free(text);
	return 0;
}
