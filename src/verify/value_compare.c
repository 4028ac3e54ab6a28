#include "verify/value_compare.h"

#include "base/memory.h"
#include "decode/value.h"
#include "transform/guard.h"
#include "wire/rdb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct side {
	const char *name; /* "source", "target" */
	const struct value_form *form;
	struct value_reader *reader;
	struct value_item item;
	struct parse_fault fault;
};

struct value_comparer {
	struct side source, target;
	const struct value_comparison *how;
	char *text;
};

struct value_comparer *value_comparer_new(size_t budget)
{
	struct value_comparer *comparer = memory_alloc_zero(1, sizeof(*comparer));

	comparer->source.name = "source";
	comparer->target.name = "target";
	comparer->source.reader = value_reader_new(budget);
	comparer->target.reader = value_reader_new(budget);
	return comparer;
}

void value_comparer_free(struct value_comparer *comparer)
{
	if (!comparer)
		return;
	value_reader_free(comparer->source.reader);
	value_reader_free(comparer->target.reader);
	free(comparer);
}

/* ---- telling ---- */

#define QUOTED 100
#define NAMED_MAX (4u << 20) /* elements of a value of which one that differs is named: each takes 40 bytes for that */

static const char *kind_name(enum value_kind kind)
{
	static const char *const names[] = {"string", "list", "set", "zset", "hash", "stream", "module"};

	return names[kind];
}

static enum value_verdict unreadable(struct value_comparer *comparer, const struct side *side)
{
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "the value in the %s is damaged at byte %llu: %s", side->name,
		 (unsigned long long)side->fault.offset, side->fault.what);
	return VALUES_UNREADABLE;
}

static enum value_verdict differ(struct value_comparer *comparer, const char *text)
{
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "%s", text);
	return VALUES_DIFFER;
}

static enum value_verdict differ_in(struct value_comparer *comparer, const char *what, struct slice source, struct slice target)
{
	char a[QUOTED], b[QUOTED];

	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "%s is %s in the source and %s in the target", what,
		 slice_quote(source, a, sizeof(a)), slice_quote(target, b, sizeof(b)));
	return VALUES_DIFFER;
}

static enum value_verdict differ_in_number(struct value_comparer *comparer, const char *what, uint64_t source, uint64_t target)
{
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "%s is %llu in the source and %llu in the target", what,
		 (unsigned long long)source, (unsigned long long)target);
	return VALUES_DIFFER;
}

/* ---- in order: strings, lists, modules ---- */

static void say_string(struct value_comparer *comparer, struct slice source, struct slice target)
{
	size_t at = 0, shorter = source.len < target.len ? source.len : target.len;
	char a[QUOTED], b[QUOTED];

	while (at < shorter && source.data[at] == target.data[at])
		at++;
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX,
		 "from byte %zu on it is %s in the source (%zu bytes in all) and %s in the target (%zu)", at,
		 slice_quote(slice_make(source.data + at, source.len - at), a, sizeof(a)), source.len,
		 slice_quote(slice_make(target.data + at, target.len - at), b, sizeof(b)), target.len);
}

static bool same_item(const struct value_item *a, const struct value_item *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case VALUE_ITEM_MODULE:
		return slice_equal(a->bytes, b->bytes) && a->module.id == b->module.id && a->module.version == b->module.version;
	case VALUE_ITEM_SIGNED: return a->integer == b->integer;
	case VALUE_ITEM_UNSIGNED: return a->number == b->number;
	case VALUE_ITEM_FLOAT:
	case VALUE_ITEM_DOUBLE: return a->real == b->real || (isnan(a->real) && isnan(b->real));
	default: return slice_equal(a->bytes, b->bytes);
	}
}

static enum value_verdict compare_in_order(struct value_comparer *comparer, enum value_kind kind)
{
	struct side *source = &comparer->source, *target = &comparer->target;
	char what[60];

	while (true) {
		enum value_answer a = value_reader_next(source->reader, &source->item, &source->fault);
		enum value_answer b = value_reader_next(target->reader, &target->item, &target->fault);

		if (a == VALUE_BAD)
			return unreadable(comparer, source);
		if (b == VALUE_BAD)
			return unreadable(comparer, target);
		if (a == VALUE_END && b == VALUE_END)
			return VALUES_EQUAL;
		if (a != b) {
			snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "the %s has element %llu, the %s has not",
				 a == VALUE_ITEM ? "source" : "target",
				 (unsigned long long)(a == VALUE_ITEM ? source : target)->item.index,
				 a == VALUE_ITEM ? "target" : "source");
			return VALUES_DIFFER;
		}
		if (same_item(&source->item, &target->item))
			continue;
		if (kind == VALUE_STRING) {
			say_string(comparer, source->item.bytes, target->item.bytes);
			return VALUES_DIFFER;
		}
		if (kind == VALUE_MODULE)
			return differ(comparer, "the module's data differ");
		snprintf(what, sizeof(what), "element %llu", (unsigned long long)source->item.index);
		return differ_in(comparer, what, source->item.bytes, target->item.bytes);
	}
}

/* ---- in any order: sets, sorted sets, hashes ---- */

struct sum {
	uint64_t count, low, high;
};

/* Of the element with all that belongs to it. */
static XXH128_hash_t hash_of(const struct value_item *item, enum value_kind kind)
{
	XXH128_hash_t hash = XXH3_128bits(item->bytes.data, item->bytes.len);
	struct {
		XXH128_hash_t name, content;
		int64_t rest;
	} all = {.name = hash};
	double score;

	if (kind == VALUE_SET)
		return hash;
	if (kind == VALUE_ZSET) {
		score = item->score == 0 ? 0 : item->score; /* -0 is 0 */
		memcpy(&all.rest, &score, sizeof(score));
	} else {
		all.content = XXH3_128bits(item->content.data, item->content.len);
		all.rest = item->expire_at_ms;
	}
	return XXH3_128bits(&all, sizeof(all));
}

static bool is_gone(const struct value_comparer *comparer, const struct value_item *item, enum value_kind kind)
{
	return kind == VALUE_HASH && item->expire_at_ms >= 0 && item->expire_at_ms <= comparer->how->now_ms;
}

/* The next element that counts. */
static enum value_answer next_element(const struct value_comparer *comparer, struct side *side, enum value_kind kind)
{
	enum value_answer answer;

	do {
		answer = value_reader_next(side->reader, &side->item, &side->fault);
		if (answer == VALUE_ITEM && kind == VALUE_HASH && side == &comparer->target)
			side->item.expire_at_ms = guard_true_field_time(comparer->how->held_times, comparer->how->margin_ms,
									side->item.expire_at_ms);
	} while (answer == VALUE_ITEM && is_gone(comparer, &side->item, kind));
	return answer;
}

static bool add_up(const struct value_comparer *comparer, struct side *side, enum value_kind kind, struct sum *ret)
{
	enum value_answer answer;

	*ret = (struct sum){0};
	while ((answer = next_element(comparer, side, kind)) == VALUE_ITEM) {
		XXH128_hash_t hash = hash_of(&side->item, kind);

		ret->count++;
		ret->low += hash.low64;
		ret->high += hash.high64 + (ret->low < hash.low64);
	}
	return answer == VALUE_END;
}

/* One element of the source. */
struct known {
	XXH128_hash_t name, all;
	bool met;
};

static int by_name(const void *a, const void *b)
{
	return XXH128_cmp(&((const struct known *)a)->name, &((const struct known *)b)->name);
}

static void rewind_side(struct side *side)
{
	value_reader_begin(side->reader, side->form->type, side->form->valkey, side->form->value);
}

static void say_changed(struct value_comparer *comparer, enum value_kind kind, const struct value_item *target)
{
	struct side *source = &comparer->source;
	char name[QUOTED], a[QUOTED], b[QUOTED];

	/* Its other state is at the source, where it has been read over. */
	rewind_side(source);
	while (next_element(comparer, source, kind) == VALUE_ITEM && !slice_equal(source->item.bytes, target->bytes))
		;
	slice_quote(target->bytes, name, sizeof(name));
	if (kind == VALUE_ZSET)
		snprintf(comparer->text, VALUE_DIFFERENCE_MAX,
			 "the score of member %s is %.17g in the source and %.17g in the target", name, source->item.score,
			 target->score);
	else if (!slice_equal(source->item.content, target->content))
		snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "field %s is %s in the source and %s in the target", name,
			 slice_quote(source->item.content, a, sizeof(a)), slice_quote(target->content, b, sizeof(b)));
	else
		snprintf(comparer->text, VALUE_DIFFERENCE_MAX,
			 "field %s expires at %lld in the source and at %lld in the target (Unix ms; -1: never)", name,
			 (long long)source->item.expire_at_ms, (long long)target->expire_at_ms);
}

static void say_alone(struct value_comparer *comparer, enum value_kind kind, const struct side *side)
{
	char name[QUOTED];

	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "%s %s is in the %s alone", kind == VALUE_HASH ? "field" : "member",
		 slice_quote(side->item.bytes, name, sizeof(name)), side->name);
}

/* They are known to differ, and both are readable. */
static void name_element(struct value_comparer *comparer, enum value_kind kind, uint64_t source_count)
{
	struct side *source = &comparer->source, *target = &comparer->target;
	struct known *known = memory_alloc_zero(source_count, sizeof(*known));
	uint64_t count = 0;

	rewind_side(source);
	while (next_element(comparer, source, kind) == VALUE_ITEM && count < source_count)
		known[count++] = (struct known){XXH3_128bits(source->item.bytes.data, source->item.bytes.len),
						hash_of(&source->item, kind), false};
	qsort(known, count, sizeof(*known), by_name);
	rewind_side(target);
	while (next_element(comparer, target, kind) == VALUE_ITEM) {
		struct known wanted = {.name = XXH3_128bits(target->item.bytes.data, target->item.bytes.len)};
		struct known *found = bsearch(&wanted, known, count, sizeof(*known), by_name);

		if (found && XXH128_isEqual(found->all, hash_of(&target->item, kind))) {
			found->met = true;
			continue;
		}
		if (found)
			say_changed(comparer, kind, &target->item);
		else
			say_alone(comparer, kind, target);
		free(known);
		return;
	}
	rewind_side(source);
	while (next_element(comparer, source, kind) == VALUE_ITEM) {
		struct known wanted = {.name = XXH3_128bits(source->item.bytes.data, source->item.bytes.len)};
		struct known *found = bsearch(&wanted, known, count, sizeof(*known), by_name);

		if (found && found->met)
			continue;
		say_alone(comparer, kind, source);
		break;
	}
	free(known);
}

static enum value_verdict compare_unordered(struct value_comparer *comparer, enum value_kind kind)
{
	struct sum source, target;

	if (!add_up(comparer, &comparer->source, kind, &source))
		return unreadable(comparer, &comparer->source);
	if (!add_up(comparer, &comparer->target, kind, &target))
		return unreadable(comparer, &comparer->target);
	if (source.count == target.count && source.low == target.low && source.high == target.high)
		return VALUES_EQUAL;
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "the elements differ (%llu in the source, %llu in the target)",
		 (unsigned long long)source.count, (unsigned long long)target.count);
	if (source.count <= NAMED_MAX)
		name_element(comparer, kind, source.count);
	return VALUES_DIFFER;
}

/* ---- streams ---- */

static bool same_id(struct value_stream_id a, struct value_stream_id b)
{
	return a.ms == b.ms && a.seq == b.seq;
}

static enum value_verdict differ_in_id(struct value_comparer *comparer, const char *what, struct value_stream_id source,
				       struct value_stream_id target)
{
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "%s is %llu-%llu in the source and %llu-%llu in the target", what,
		 (unsigned long long)source.ms, (unsigned long long)source.seq, (unsigned long long)target.ms,
		 (unsigned long long)target.seq);
	return VALUES_DIFFER;
}

static enum value_verdict compare_stream_facts(struct value_comparer *comparer, const struct value_item *a,
					       const struct value_item *b)
{
	if (!same_id(a->stream.last_id, b->stream.last_id))
		return differ_in_id(comparer, "the last id", a->stream.last_id, b->stream.last_id);
	if (a->stream.length != b->stream.length)
		return differ_in_number(comparer, "the number of entries", a->stream.length, b->stream.length);
	if (a->stream.groups != b->stream.groups)
		return differ_in_number(comparer, "the number of groups", a->stream.groups, b->stream.groups);
	/* A version before 7.0 keeps no counts. */
	if (!a->stream.counted || !b->stream.counted)
		return VALUES_EQUAL;
	if (!same_id(a->stream.max_deleted_id, b->stream.max_deleted_id))
		return differ_in_id(comparer, "the highest deleted id", a->stream.max_deleted_id, b->stream.max_deleted_id);
	if (a->stream.entries_added != b->stream.entries_added)
		return differ_in_number(comparer, "the number of entries ever added", a->stream.entries_added,
					b->stream.entries_added);
	return VALUES_EQUAL;
}

static enum value_verdict compare_group(struct value_comparer *comparer, const struct value_item *a, const struct value_item *b)
{
	if (!slice_equal(a->bytes, b->bytes))
		return differ_in(comparer, "a group's name", a->bytes, b->bytes);
	if (!same_id(a->group.last_id, b->group.last_id))
		return differ_in_id(comparer, "a group's last delivered id", a->group.last_id, b->group.last_id);
	if (a->group.pending != b->group.pending)
		return differ_in_number(comparer, "the number of a group's pending entries", a->group.pending, b->group.pending);
	if (!comparer->how->strict)
		return VALUES_EQUAL;
	if (a->group.consumers != b->group.consumers)
		return differ_in_number(comparer, "the number of a group's consumers", a->group.consumers, b->group.consumers);
	if (a->group.entries_read != b->group.entries_read)
		return differ_in_number(comparer, "the number of entries a group has read", (uint64_t)a->group.entries_read,
					(uint64_t)b->group.entries_read);
	return VALUES_EQUAL;
}

static enum value_verdict compare_pending(struct value_comparer *comparer, const struct value_item *a, const struct value_item *b)
{
	if (!same_id(a->pending.id, b->pending.id))
		return differ_in_id(comparer, "a pending entry", a->pending.id, b->pending.id);
	if (a->pending.delivery_count != b->pending.delivery_count)
		return differ_in_number(comparer, "how often a pending entry was delivered", a->pending.delivery_count,
					b->pending.delivery_count);
	if (comparer->how->strict && a->pending.delivered_at_ms != b->pending.delivered_at_ms)
		return differ_in_number(comparer, "when a pending entry was delivered", (uint64_t)a->pending.delivered_at_ms,
					(uint64_t)b->pending.delivered_at_ms);
	return VALUES_EQUAL;
}

static enum value_verdict compare_stream_items(struct value_comparer *comparer)
{
	const struct value_item *a = &comparer->source.item, *b = &comparer->target.item;

	if (a->kind == VALUE_ITEM_ENTRY && b->kind == VALUE_ITEM_ENTRY) {
		if (!same_id(a->entry.id, b->entry.id))
			return differ_in_id(comparer, "an entry", a->entry.id, b->entry.id);
		return a->entry.fields == b->entry.fields
			       ? VALUES_EQUAL
			       : differ_in_number(comparer, "the number of an entry's fields", a->entry.fields, b->entry.fields);
	}
	if (a->kind != b->kind)
		return differ(comparer, a->kind == VALUE_ITEM_ENTRY   ? "the source has more entries than the target"
					: b->kind == VALUE_ITEM_ENTRY ? "the target has more entries than the source"
								      : "groups or consumers are in one of the two alone");
	switch (a->kind) {
	case VALUE_ITEM_FIELD:
		if (!slice_equal(a->bytes, b->bytes))
			return differ_in(comparer, "the name of an entry's field", a->bytes, b->bytes);
		return slice_equal(a->content, b->content) ? VALUES_EQUAL
							   : differ_in(comparer, "an entry's field", a->content, b->content);
	case VALUE_ITEM_STREAM: return compare_stream_facts(comparer, a, b);
	case VALUE_ITEM_GROUP: return compare_group(comparer, a, b);
	case VALUE_ITEM_CONSUMER:
		if (!slice_equal(a->bytes, b->bytes))
			return differ_in(comparer, "a consumer's name", a->bytes, b->bytes);
		return a->consumer.pending == b->consumer.pending
			       ? VALUES_EQUAL
			       : differ_in_number(comparer, "the number of a consumer's pending entries", a->consumer.pending,
						  b->consumer.pending);
	case VALUE_ITEM_PENDING: return compare_pending(comparer, a, b);
	default: return VALUES_EQUAL; /* a stream has no others */
	}
}

static enum value_answer next_of_stream(const struct value_comparer *comparer, struct side *side)
{
	enum value_answer answer;

	do
		answer = value_reader_next(side->reader, &side->item, &side->fault);
	while (answer == VALUE_ITEM && !comparer->how->strict && side->item.kind == VALUE_ITEM_CONSUMER &&
	       side->item.consumer.pending == 0);
	return answer;
}

static enum value_verdict compare_streams(struct value_comparer *comparer)
{
	while (true) {
		enum value_answer a = next_of_stream(comparer, &comparer->source),
				  b = next_of_stream(comparer, &comparer->target);
		enum value_verdict verdict;

		if (a == VALUE_BAD)
			return unreadable(comparer, &comparer->source);
		if (b == VALUE_BAD)
			return unreadable(comparer, &comparer->target);
		if (a == VALUE_END && b == VALUE_END)
			return VALUES_EQUAL;
		if (a != b)
			return differ(comparer, a == VALUE_ITEM ? "the target lacks some of the groups or consumers"
								: "the source lacks some of the groups or consumers");
		verdict = compare_stream_items(comparer);
		if (verdict != VALUES_EQUAL)
			return verdict;
	}
}

/* ---- public ---- */

static bool begin(struct value_comparer *comparer, struct side *side, const struct value_form *form)
{
	side->form = form;
	if (value_reader_begin(side->reader, form->type, form->valkey, form->value))
		return true;
	snprintf(comparer->text, VALUE_DIFFERENCE_MAX, "the value in the %s: %s", side->name,
		 rdb_type_refusal(form->type, form->valkey));
	return false;
}

enum value_verdict value_compare(struct value_comparer *comparer, const struct value_form *source,
				 const struct value_form *target, const struct value_comparison *how,
				 char text[VALUE_DIFFERENCE_MAX])
{
	enum value_kind kind, other;

	comparer->how = how;
	comparer->text = text;
	text[0] = '\0';
	if (source->type == target->type && source->valkey == target->valkey && slice_equal(source->value, target->value))
		return VALUES_EQUAL;
	if (!begin(comparer, &comparer->source, source) || !begin(comparer, &comparer->target, target))
		return VALUES_UNREADABLE;
	kind = value_reader_kind(comparer->source.reader);
	other = value_reader_kind(comparer->target.reader);
	if (kind != other) {
		snprintf(text, VALUE_DIFFERENCE_MAX, "it is a %s in the source and a %s in the target", kind_name(kind),
			 kind_name(other));
		return VALUES_DIFFER;
	}
	switch (kind) {
	case VALUE_SET:
	case VALUE_ZSET:
	case VALUE_HASH: return compare_unordered(comparer, kind);
	case VALUE_STREAM: return compare_streams(comparer);
	case VALUE_STRING:
	case VALUE_LIST:
	case VALUE_MODULE: break;
	}
	return compare_in_order(comparer, kind);
}
