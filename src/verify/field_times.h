/* The fields of a serialised hash that expire. (A file of its own: decode/value.h and task/options.h name the kinds of values alike.)
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_VERIFY_FIELD_TIMES_H
#define KEYFERRY_VERIFY_FIELD_TIMES_H

#include "verify/value_compare.h"

struct field_times;

struct field_times *field_times_new(void);
void field_times_free(struct field_times *times);
/* Calls visit for each field that has a time (Unix ms); of other values for none. The field lives during the call. A damaged value ends it. */
void field_times_each(struct field_times *times, const struct value_form *form,
		      void (*visit)(void *owner, struct slice field, int64_t at_ms), void *owner);

#endif
