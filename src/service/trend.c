#include "service/trend.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FINE_STEP_S 5
#define FINE_COUNT (15 * 60 / FINE_STEP_S)
#define MINUTE_S 60
#define MINUTES (TREND_DAY_S / MINUTE_S)

struct point {
	int64_t at_s;
	float values[TREND_VALUES];
};

/* What is being gathered. */
struct bucket {
	int64_t at_s;
	uint32_t samples; /* 0: none is open */
	double values[TREND_VALUES];
};

/* first is the oldest of count points. */
struct ring {
	uint32_t step_s, size, first, count;
	struct bucket open;
	struct point *points;
};

struct trend {
	struct ring fine, minutes;
	uint32_t unstored; /* of the last minutes */
	struct point fine_points[FINE_COUNT], minute_points[MINUTES];
};

static const struct span {
	const char *name;
	uint32_t seconds, step_s;
} spans[] = {{"15m", 15 * 60, FINE_STEP_S}, {"1h", 3600, MINUTE_S}, {"24h", TREND_DAY_S, MINUTE_S}};

static const char *const names[TREND_VALUES] = {"lag_seconds", "commands_per_second", "bytes_per_second", "spool_bytes",
						"progress"};

struct trend *trend_new(void)
{
	struct trend *trend = memory_alloc_zero(1, sizeof(*trend));

	trend->fine = (struct ring){.step_s = FINE_STEP_S, .size = FINE_COUNT, .points = trend->fine_points};
	trend->minutes = (struct ring){.step_s = MINUTE_S, .size = MINUTES, .points = trend->minute_points};
	return trend;
}

void trend_free(struct trend *trend)
{
	free(trend);
}

static struct point *point_of(const struct ring *ring, uint32_t number)
{
	return &ring->points[(ring->first + number) % ring->size];
}

static void push(struct ring *ring, const struct point *point)
{
	if (ring->count == ring->size) {
		ring->first = (ring->first + 1) % ring->size;
		ring->count--;
	}
	*point_of(ring, ring->count++) = *point;
}

/* ---- taking ---- */

static struct point closed(const struct bucket *bucket)
{
	struct point point = {.at_s = bucket->at_s};

	for (int i = 0; i < TREND_VALUES; i++) {
		bool mean = i == TREND_COMMANDS || i == TREND_BYTES;

		point.values[i] = (float)(mean ? bucket->values[i] / bucket->samples : bucket->values[i]);
	}
	return point;
}

static void add(struct bucket *bucket, const double values[TREND_VALUES])
{
	for (int i = 0; i < TREND_VALUES; i++) {
		double *have = &bucket->values[i];

		if (bucket->samples == 0 || i == TREND_PROGRESS)
			*have = values[i];
		else if (i == TREND_COMMANDS || i == TREND_BYTES)
			*have += values[i];
		else
			*have = isnan(*have) || values[i] > *have ? values[i] : *have; /* that which is known, if one is not */
	}
	bucket->samples++;
}

/* The number of points that the clock has been put back behind. */
static uint32_t drop_later(struct ring *ring, int64_t at_s)
{
	uint32_t dropped = 0;

	for (; ring->count > 0 && point_of(ring, ring->count - 1)->at_s >= at_s; ring->count--)
		dropped++;
	return dropped;
}

/* How many points it has more now; less than 0: the clock was put back. */
static int take(struct ring *ring, int64_t now_s, const double values[TREND_VALUES])
{
	int64_t at_s = now_s - now_s % ring->step_s;
	int change = 0;

	if (ring->open.samples && ring->open.at_s != at_s) {
		struct point point = closed(&ring->open);

		if (ring->open.at_s < at_s) {
			push(ring, &point);
			change = 1;
		}
		ring->open.samples = 0;
	}
	if (!ring->open.samples) {
		change -= (int)drop_later(ring, at_s);
		ring->open.at_s = at_s;
	}
	add(&ring->open, values);
	return change;
}

static void count_unstored(struct trend *trend, int change)
{
	int64_t left = (int64_t)trend->unstored + change;

	trend->unstored = left < 0 ? 0 : left > trend->minutes.count ? trend->minutes.count : (uint32_t)left;
}

void trend_take(struct trend *trend, int64_t now_ms, const double values[TREND_VALUES])
{
	take(&trend->fine, now_ms / 1000, values);
	count_unstored(trend, take(&trend->minutes, now_ms / 1000, values));
}

/* ---- the store's minutes ---- */

void trend_put_back(struct trend *trend, const struct store_trend *minute)
{
	struct point point = {.at_s = minute->at_s};

	for (int i = 0; i < TREND_VALUES; i++)
		point.values[i] = (float)minute->values[i];
	push(&trend->minutes, &point);
}

bool trend_unstored(const struct trend *trend, struct store_trend *ret)
{
	const struct point *point;

	if (!trend->unstored)
		return false;
	point = point_of(&trend->minutes, trend->minutes.count - trend->unstored);
	ret->at_s = point->at_s;
	for (int i = 0; i < TREND_VALUES; i++)
		ret->values[i] = point->values[i];
	return true;
}

void trend_stored(struct trend *trend)
{
	trend->unstored--;
}

void trend_close_minute(struct trend *trend)
{
	struct point point;

	if (!trend->minutes.open.samples)
		return;
	point = closed(&trend->minutes.open);
	push(&trend->minutes, &point);
	trend->minutes.open.samples = 0;
	count_unstored(trend, 1);
}

/* ---- telling ---- */

static const struct span *span_of(const char *name)
{
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
		if (strcmp(spans[i].name, name) == 0)
			return &spans[i];
	return NULL;
}

bool trend_is_span(const char *span)
{
	return span_of(span) != NULL;
}

static json_t *value_tree(enum trend_value value, double number)
{
	if (!isfinite(number))
		return json_null();
	/* None is below 0. Shares and seconds to the thousandth; bytes and commands are whole. */
	if (value == TREND_LAG || value == TREND_PROGRESS)
		return json_real((double)(int64_t)(number * 1000 + 0.5) / 1000);
	return json_integer((json_int_t)(number + 0.5));
}

static void add_point(json_t *tree, const struct point *point)
{
	json_array_append_new(json_object_get(tree, "time"), json_integer(point->at_s));
	for (enum trend_value i = 0; i < TREND_VALUES; i++)
		json_array_append_new(json_object_get(tree, names[i]), value_tree(i, point->values[i]));
}

/* From `since` up to before `until`, both seconds. */
static void add_ring(json_t *tree, const struct ring *ring, int64_t since, int64_t until)
{
	struct point last;

	for (uint32_t i = 0; i < ring->count; i++) {
		const struct point *point = point_of(ring, i);

		if (point->at_s >= since && point->at_s + ring->step_s <= until)
			add_point(tree, point);
	}
	if (!ring->open.samples || ring->open.at_s < since || ring->open.at_s + ring->step_s > until)
		return;
	last = closed(&ring->open);
	add_point(tree, &last);
}

static int64_t first_of(const struct ring *ring)
{
	if (ring->count > 0)
		return point_of(ring, 0)->at_s;
	return ring->open.samples ? ring->open.at_s : INT64_MAX;
}

json_t *trend_tree(const struct trend *trend, const char *span, int64_t now_ms)
{
	const struct span *of = span_of(span);
	json_t *tree = json_pack("{s:s, s:i, s:[]}", "span", of->name, "step", (int)of->step_s, "time");
	int64_t since = now_ms / 1000 - of->seconds;

	for (int i = 0; i < TREND_VALUES; i++)
		json_object_set_new(tree, names[i], json_array());
	if (!trend)
		return tree;
	if (of->step_s == FINE_STEP_S) {
		/* What was before this daemon. */
		add_ring(tree, &trend->minutes, since, first_of(&trend->fine));
		add_ring(tree, &trend->fine, since, INT64_MAX);
	} else {
		add_ring(tree, &trend->minutes, since, INT64_MAX);
	}
	return tree;
}
