#include "verify/field_times.h"

#include "base/memory.h"
#include "decode/value.h"
#include "wire/rdb.h"

#include <stdlib.h>

struct field_times {
	struct value_reader *reader;
};

struct field_times *field_times_new(void)
{
	struct field_times *times = memory_alloc_zero(1, sizeof(*times));

	times->reader = value_reader_new(RDB_PLAIN_MAX);
	return times;
}

void field_times_free(struct field_times *times)
{
	if (!times)
		return;
	value_reader_free(times->reader);
	free(times);
}

void field_times_each(struct field_times *times, const struct value_form *form,
		      void (*visit)(void *owner, struct slice field, int64_t at_ms), void *owner)
{
	struct value_item item;
	struct parse_fault fault;

	if (!rdb_type_has_field_expiry(form->type, form->valkey) ||
	    !value_reader_begin(times->reader, form->type, form->valkey, form->value))
		return;
	while (value_reader_next(times->reader, &item, &fault) == VALUE_ITEM)
		if (item.expire_at_ms >= 0)
			visit(owner, item.bytes, item.expire_at_ms);
}
