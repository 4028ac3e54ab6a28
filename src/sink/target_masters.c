#include "sink/target_masters.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct target_masters {
	pthread_mutex_t lock;
	char (*texts)[ENDPOINT_TEXT_MAX];
	uint32_t count;
};

struct target_masters *target_masters_new(void)
{
	struct target_masters *masters = memory_alloc_zero(1, sizeof(*masters));

	pthread_mutex_init(&masters->lock, NULL);
	return masters;
}

void target_masters_free(struct target_masters *masters)
{
	if (!masters)
		return;
	free(masters->texts);
	pthread_mutex_destroy(&masters->lock);
	free(masters);
}

void target_masters_tell(struct target_masters *masters, const struct endpoint *list, uint32_t count)
{
	char(*texts)[ENDPOINT_TEXT_MAX] = memory_alloc_zero(count, sizeof(*texts)), (*old)[ENDPOINT_TEXT_MAX];

	for (uint32_t i = 0; i < count; i++)
		(void)endpoint_format(&list[i], texts[i]);
	pthread_mutex_lock(&masters->lock);
	old = masters->texts;
	masters->texts = texts;
	masters->count = count;
	pthread_mutex_unlock(&masters->lock);
	free(old);
}

char (*target_masters_copy(struct target_masters *masters, uint32_t *ret_count))[ENDPOINT_TEXT_MAX]
{
	char(*texts)[ENDPOINT_TEXT_MAX] = NULL;

	pthread_mutex_lock(&masters->lock);
	*ret_count = masters->count;
	if (masters->count > 0) {
		texts = memory_alloc(masters->count * sizeof(*texts));
		memcpy(texts, masters->texts, masters->count * sizeof(*texts));
	}
	pthread_mutex_unlock(&masters->lock);
	return texts;
}
