/* Two serialised values, compared by what they mean: encodings, the order in a hash table, and versions may differ.
 *
 * Lists and streams are compared in their order. Of sets, sorted sets and hashes every element is hashed (128 bits) and the hashes are added up, so that order does not
 * matter and no element is kept; that two different collections of one length come to the same sum is as likely as two equal random 128-bit numbers. Only where they
 * differ are the hashes of one side kept (40 bytes an element), to name one that does.
 *
 * What a replica of the same version would not get right either is passed over unless `strict`: when a consumer was seen last, how many entries a group has read,
 * consumers without pending entries, delivery times (a replica notes its own).
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_VERIFY_VALUE_COMPARE_H
#define KEYFERRY_VERIFY_VALUE_COMPARE_H

#include "base/slice.h"

/* As in an RDB file, or in a DUMP payload without type byte, version and checksum. */
struct value_form {
	uint8_t type;
	bool valkey; /* type numbers are Valkey's */
	struct slice value;
};

enum value_verdict {
	VALUES_EQUAL,
	VALUES_DIFFER,
	VALUES_UNREADABLE, /* one of them is damaged or of an unknown type; the text says which */
};

struct value_comparer;

/* `budget` as of value_reader_new(). */
struct value_comparer *value_comparer_new(size_t budget);
void value_comparer_free(struct value_comparer *comparer);

struct value_comparison {
	bool strict;
	int64_t now_ms;    /* fields of hashes whose time has passed then are as good as gone, on both sides */
	bool held_times;   /* the target's fields may have held times (transform/guard.h): what is true is compared */
	int64_t margin_ms; /* and other times at the target are so much later than the true ones */
};

#define VALUE_DIFFERENCE_MAX 320
/* `text` says what differs first, the source's side first: "element 7 is \"a\" in the source and \"b\" in the target"; "" when equal. */
enum value_verdict value_compare(struct value_comparer *comparer, const struct value_form *source,
				 const struct value_form *target, const struct value_comparison *how,
				 char text[VALUE_DIFFERENCE_MAX]);

#endif
