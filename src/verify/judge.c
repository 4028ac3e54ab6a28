#include "verify/judge.h"

#include "base/clock.h"
#include "base/memory.h"
#include "transform/guard.h"
#include "wire/rdb.h"

#include <stdio.h>
#include <stdlib.h>

struct judge {
	struct judge_options options;
	struct value_comparer *comparer;
	struct judge_forms forms;
};

const char *difference_kind_name(enum difference_kind kind)
{
	static const char *const names[] = {"missing", "extra", "type", "value", "expiry"};

	return names[kind];
}

struct judge *judge_new(const struct judge_options *options)
{
	struct judge *judge = memory_alloc_zero(1, sizeof(*judge));

	judge->options = *options;
	judge->comparer = value_comparer_new(RDB_PLAIN_MAX);
	return judge;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	value_comparer_free(judge->comparer);
	free(judge);
}

struct judge_forms judge_forms(const struct judge *judge)
{
	return judge->forms;
}

/* ---- times ---- */

/* What a time at the target means: the true one, where it tells that; else as it is. */
static int64_t true_time(const struct judge_options *options, int64_t at_ms)
{
	if (options->guarded && at_ms >= options->base && at_ms < options->base + GUARD_SPAN)
		return at_ms - options->base;
	return at_ms;
}

static bool near(int64_t a, int64_t b, int64_t tolerance)
{
	return a > b ? a - b <= tolerance : b - a <= tolerance;
}

static bool same_time(struct judge *judge, int64_t source, int64_t target)
{
	const struct judge_options *options = &judge->options;
	int64_t known = true_time(options, target);

	if ((source == READING_NO_EXPIRY) != (target == READING_NO_EXPIRY))
		return false;
	if (source == READING_NO_EXPIRY)
		return true;
	if (near(source, known, options->tolerance_ms)) {
		*(known == target ? &judge->forms.same : &judge->forms.held) += 1;
		return true;
	}
	if (!options->guarded || known != target || !near(source, target - options->margin_ms, options->tolerance_ms))
		return false;
	judge->forms.live++;
	return true;
}

static bool is_over(const struct judge_options *options, int64_t at_ms)
{
	return at_ms != READING_NO_EXPIRY && at_ms <= clock_wall_ms() + options->tolerance_ms;
}

/* The source has it no more: is that because its time has come? */
static bool has_passed(const struct judge_options *options, int64_t target_ms)
{
	int64_t known = true_time(options, target_ms);
	bool live = options->guarded && options->no_deletes && known == target_ms && known != READING_NO_EXPIRY;

	return is_over(options, known) || (live && is_over(options, known - options->margin_ms));
}

static const char *time_text(int64_t at_ms, char out[40])
{
	char text[32];

	/* Far away: not a year that is written with four digits. */
	if (at_ms == READING_NO_EXPIRY)
		snprintf(out, 40, "never");
	else if (at_ms > 253402300799999)
		snprintf(out, 40, "at %lld", (long long)at_ms);
	else
		snprintf(out, 40, "at %s", clock_format_rfc3339(at_ms, text));
	return out;
}

/* ---- values ---- */

static enum verdict differ(enum difference_kind kind, enum difference_kind *ret)
{
	*ret = kind;
	return VERDICT_DIFFERENT;
}

static enum verdict judge_outline(const struct reading *source, const struct reading *target, enum difference_kind *ret_kind,
				  char text[VALUE_DIFFERENCE_MAX])
{
	if (!slice_equal(source->type, target->type)) {
		snprintf(text, VALUE_DIFFERENCE_MAX, "%.*s in the source and %.*s in the target",
			 (int)(source->type.len > 64 ? 64 : source->type.len), (const char *)source->type.data,
			 (int)(target->type.len > 64 ? 64 : target->type.len), (const char *)target->type.data);
		return differ(DIFFERENCE_TYPE, ret_kind);
	}
	if (source->length == target->length)
		return VERDICT_SAME;
	snprintf(text, VALUE_DIFFERENCE_MAX, "length %llu in the source and %llu in the target",
		 (unsigned long long)source->length, (unsigned long long)target->length);
	return differ(DIFFERENCE_VALUE, ret_kind);
}

/* Live times of fields do not tell whether they are, so both are tried. */
static enum value_verdict compare(struct judge *judge, const struct value_form *source, const struct value_form *target,
				  char text[VALUE_DIFFERENCE_MAX])
{
	struct value_comparison how = {
		.strict = judge->options.strict, .now_ms = clock_wall_ms(), .held_times = judge->options.guarded};
	enum value_verdict verdict = value_compare(judge->comparer, source, target, &how, text);
	char other[VALUE_DIFFERENCE_MAX];

	how.margin_ms = judge->options.margin_ms;
	if (verdict != VALUES_DIFFER || !judge->options.guarded || how.margin_ms == 0 ||
	    !rdb_type_has_field_expiry(target->type, target->valkey))
		return verdict;
	return value_compare(judge->comparer, source, target, &how, other) == VALUES_EQUAL ? VALUES_EQUAL : VALUES_DIFFER;
}

/* Long ones in steps, so that what is mapped does not stay in memory. */
static bool same_bytes(struct reading *source, struct slice a, struct reading *target, struct slice b)
{
	if (a.len != b.len)
		return false;
	for (size_t at = 0; at < a.len; at += STASH_STEP) {
		size_t len = a.len - at < STASH_STEP ? a.len - at : STASH_STEP;
		bool same = memcmp(a.data + at, b.data + at, len) == 0;

		stash_let_go(source->place->stash, slice_make(a.data + at, len));
		stash_let_go(target->place->stash, slice_make(b.data + at, len));
		if (!same)
			return false;
	}
	return true;
}

static enum verdict judge_full(struct judge *judge, struct reading *source, struct reading *target,
			       enum difference_kind *ret_kind, char text[VALUE_DIFFERENCE_MAX])
{
	struct value_form forms[2];
	const char *types[2];

	if (!reading_value(source, &forms[0]) || !reading_value(target, &forms[1])) {
		snprintf(text, VALUE_DIFFERENCE_MAX, "DUMP gave what is no value");
		return source->place->error.kind == ERROR_NONE ? differ(DIFFERENCE_VALUE, ret_kind) : VERDICT_UNREAD;
	}
	if (forms[0].type == forms[1].type && forms[0].valkey == forms[1].valkey &&
	    same_bytes(source, forms[0].value, target, forms[1].value) &&
	    !rdb_type_has_field_expiry(forms[0].type, forms[0].valkey))
		return VERDICT_SAME;
	for (int i = 0; i < 2; i++)
		types[i] = rdb_type_name(forms[i].type, forms[i].valkey);
	if (types[0] && types[1] && strcmp(types[0], types[1]) != 0) {
		snprintf(text, VALUE_DIFFERENCE_MAX, "%s in the source and %s in the target", types[0], types[1]);
		return differ(DIFFERENCE_TYPE, ret_kind);
	}
	return compare(judge, &forms[0], &forms[1], text) == VALUES_EQUAL ? VERDICT_SAME : differ(DIFFERENCE_VALUE, ret_kind);
}

/* ---- a pair ---- */

enum verdict judge_pair(struct judge *judge, struct reading *source, struct reading *target, int64_t expire_at_ms,
			enum difference_kind *ret_kind, char text[VALUE_DIFFERENCE_MAX])
{
	const struct judge_options *options = &judge->options;
	char times[2][40];
	enum verdict verdict;

	text[0] = '\0';
	if (source->state == READING_UNREAD || target->state == READING_UNREAD)
		return VERDICT_UNREAD;
	if (source->state == READING_GONE && target->state == READING_GONE)
		return VERDICT_SAME;
	if (source->state == READING_GONE)
		return has_passed(options, target->expire_at_ms) ? VERDICT_SAME : differ(DIFFERENCE_EXTRA, ret_kind);
	if (target->state == READING_GONE)
		return is_over(options, expire_at_ms) ? VERDICT_SAME : differ(DIFFERENCE_MISSING, ret_kind);
	verdict = source->form == READING_FULL ? judge_full(judge, source, target, ret_kind, text)
					       : judge_outline(source, target, ret_kind, text);
	if (verdict != VERDICT_SAME)
		return verdict;
	text[0] = '\0';
	if (same_time(judge, expire_at_ms, target->expire_at_ms))
		return VERDICT_SAME;
	snprintf(text, VALUE_DIFFERENCE_MAX, "expires %s in the source and %s in the target", time_text(expire_at_ms, times[0]),
		 time_text(true_time(options, target->expire_at_ms), times[1]));
	return differ(DIFFERENCE_EXPIRY, ret_kind);
}
