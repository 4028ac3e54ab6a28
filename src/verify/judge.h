/* The judge: are both sides' readings of a key the same, and if not, in what way?
 *
 * Times of expiry at the target are compared by what they mean, whatever form the guard gave them (transform/guard.h): a held time tells its true one; a live one is
 * later by the margin, or already true. A key of either side whose true time has passed, or is about to, may be gone or not.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_VERIFY_JUDGE_H
#define KEYFERRY_VERIFY_JUDGE_H

#include "verify/reading.h"

enum difference_kind {
	DIFFERENCE_MISSING,
	DIFFERENCE_EXTRA,
	DIFFERENCE_TYPE,
	DIFFERENCE_VALUE,
	DIFFERENCE_EXPIRY,
	DIFFERENCE_KINDS
};
/* "missing", "extra", "type", "value", "expiry". */
const char *difference_kind_name(enum difference_kind kind);

struct judge_options {
	bool strict;          /* of value_compare.h */
	int64_t tolerance_ms; /* of times of expiry */
	bool guarded;         /* the target's times may have the guard's forms, with: */
	int64_t base;         /* of held times of this task's keys */
	int64_t margin_ms;    /* of live ones */
	bool no_deletes; /* the source's writes are paused: it sends no DEL of keys whose time comes, and the target keeps them for the margin */
	bool writes_guarded; /* what a repair writes is to have them */
};

/* In what forms times of expiry at the target were seen to be, of keys that are the same. */
struct judge_forms {
	uint64_t held, live, same; /* live: later by the margin */
};

enum verdict { VERDICT_SAME, VERDICT_DIFFERENT, VERDICT_UNREAD };

struct judge;
struct judge *judge_new(const struct judge_options *options);
void judge_free(struct judge *judge);
struct judge_forms judge_forms(const struct judge *judge);

/* Both readings are of one form. `expire_at_ms`: what the target's time should be, where the source's key is there. DIFFERENT: *ret_kind, and `text` says what differs, the
 * source's side first; "" where the kind says all. UNREAD: one of them is, or place->error says why a value cannot be had. */
enum verdict judge_pair(struct judge *judge, struct reading *source, struct reading *target, int64_t expire_at_ms,
			enum difference_kind *ret_kind, char text[VALUE_DIFFERENCE_MAX]);

#endif
