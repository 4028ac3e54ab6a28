#include "base/log_limit.h"

#include <stdio.h>
#include <string.h>

#define MICRO 1000000u

static uint64_t hash_more(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return (hash ^ 0xff) * 0x100000001b3u;
}

void log_limit_init(struct log_limit *limit, uint64_t now_us)
{
	memset(limit, 0, sizeof(*limit));
	for (unsigned level = 0; level < LOG_LEVELS; level++)
		limit->buckets[level] = (struct log_bucket){.micro_lines = (uint64_t)LOG_BURST * MICRO, .at_us = now_us};
}

/* ---- repeats ---- */

/* Counts it where it is known. Else remembers it, if there is a place: of one that is due nobody may forget the count. */
static bool is_repeat(struct log_limit *limit, unsigned level, const char *label, const char *link, const char *text,
		      uint64_t now_us)
{
	uint64_t hash = hash_more(hash_more(hash_more(0xcbf29ce484222325u + level, label), link), text);
	struct log_repeat *place = NULL;

	for (unsigned i = 0; i < LOG_REPEATS; i++) {
		struct log_repeat *repeat = &limit->repeats[i];
		bool over = now_us - repeat->begun_us >= LOG_REPEAT_US;

		if (repeat->used && repeat->hash == hash && !(over && repeat->count == 0)) {
			repeat->count++;
			return true;
		}
		if (!repeat->used || (over && repeat->count == 0))
			place = repeat;
	}
	if (!place)
		return false;
	*place = (struct log_repeat){.hash = hash, .begun_us = now_us, .level = level, .used = true};
	snprintf(place->label, sizeof(place->label), "%s", label);
	snprintf(place->link, sizeof(place->link), "%s", link);
	snprintf(place->text, sizeof(place->text), "%s", text);
	return false;
}

/* ---- rate ---- */

static bool take(struct log_bucket *bucket, uint64_t now_us)
{
	uint64_t more = (now_us - bucket->at_us) * LOG_PER_SECOND, most = (uint64_t)LOG_BURST * MICRO;

	bucket->at_us = now_us;
	bucket->micro_lines = bucket->micro_lines + more < most ? bucket->micro_lines + more : most;
	if (bucket->micro_lines < MICRO)
		return false;
	bucket->micro_lines -= MICRO;
	return true;
}

bool log_limit_pass(struct log_limit *limit, unsigned level, const char *label, const char *link, const char *text,
		    uint64_t now_us)
{
	if (is_repeat(limit, level, label, link, text, now_us)) {
		limit->left_out++;
		return false;
	}
	if (take(&limit->buckets[level], now_us))
		return true;
	limit->buckets[level].suppressed++;
	limit->left_out++;
	return false;
}

/* ---- what is to be told ---- */

static void tell_repeat(struct log_repeat *repeat, uint64_t now_us, struct log_due *ret)
{
	uint64_t seconds = (now_us - repeat->begun_us) / MICRO;

	*ret = (struct log_due){.level = repeat->level,
				.kind = "log_repeated",
				.label = repeat->label,
				.link = repeat->link,
				.count = repeat->count};
	snprintf(ret->text, sizeof(ret->text), "%s (%llu time%s more in %llu s)", repeat->text, (unsigned long long)repeat->count,
		 repeat->count == 1 ? "" : "s", (unsigned long long)seconds);
	repeat->begun_us = now_us;
	repeat->count = 0;
}

bool log_limit_due(struct log_limit *limit, uint64_t now_us, bool all, struct log_due *ret)
{
	for (unsigned i = 0; i < LOG_REPEATS; i++) {
		struct log_repeat *repeat = &limit->repeats[i];

		if (repeat->count > 0 && (all || now_us - repeat->begun_us >= LOG_REPEAT_US)) {
			tell_repeat(repeat, now_us, ret);
			return true;
		}
	}
	for (unsigned level = 0; level < LOG_LEVELS; level++) {
		struct log_bucket *bucket = &limit->buckets[level];

		if (bucket->suppressed == 0 || !(take(bucket, now_us) || all))
			continue;
		*ret = (struct log_due){
			.level = level, .kind = "log_suppressed", .label = "", .link = "", .count = bucket->suppressed};
		snprintf(ret->text, sizeof(ret->text),
			 "%llu lines of this level were left out: they came faster than %u a second",
			 (unsigned long long)bucket->suppressed, (unsigned)LOG_PER_SECOND);
		bucket->suppressed = 0;
		return true;
	}
	return false;
}
