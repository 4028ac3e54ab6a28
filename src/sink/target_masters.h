/* The masters of a task's target, as the link that has learned of a change last knows them: for the status. Where the target has not been written to since, that may be an older one.
 * Thread: (any). */
#ifndef KEYFERRY_SINK_TARGET_MASTERS_H
#define KEYFERRY_SINK_TARGET_MASTERS_H

#include "net/endpoint.h"

#include <stdint.h>

struct target_masters;

struct target_masters *target_masters_new(void);
void target_masters_free(struct target_masters *masters); /* NULL is fine */
void target_masters_tell(struct target_masters *masters, const struct endpoint *list, uint32_t count);
/* Their addresses; free(). NULL: there are none. */
char (*target_masters_copy(struct target_masters *masters, uint32_t *ret_count))[ENDPOINT_TEXT_MAX];

#endif
