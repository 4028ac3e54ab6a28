/* A page of metrics in the making: the text format of Prometheus (0.0.4), or OpenMetrics 1.0 for who asks for it. They differ in how a counter's family is named (without
 * _total), in the types, and in the line that ends the page.
 *
 *   exposition_family(&e, METRIC_COUNTER, "keyferry_link_retries", "Units sent again")     names of counters come without _total
 *   exposition_put(&e, "", 3, "task", "orders", NULL)                                      its samples, before the next family
 *
 * Thread: its owner's. */
#ifndef KEYFERRY_CONTROL_EXPOSITION_H
#define KEYFERRY_CONTROL_EXPOSITION_H

#include "base/buffer.h"

#define EXPOSITION_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPEN_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_INFO };

struct exposition {
	struct buffer page;
	bool open_metrics;
	bool ok; /* false: the page grew beyond its bound */
	enum metric_type type;
	const char *name;
};

void exposition_begin(struct exposition *exposition, bool open_metrics);
/* `name` outlives the family. */
void exposition_family(struct exposition *exposition, enum metric_type type, const char *name, const char *help);
/* A sample of the family: `suffix` is "" but for histograms; then label names and values by turns, NULL behind the last. Values may hold any bytes. */
void exposition_put(struct exposition *exposition, const char *suffix, double value, ...);
/* NUL-terminated text; free(). Empty where it grew beyond its bound. */
char *exposition_end(struct exposition *exposition);

#endif
