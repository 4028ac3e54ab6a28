/* Metrics in the making: families with their samples, and the page that is made of them: the text format of Prometheus (0.0.4), or OpenMetrics 1.0 for who asks for it. They differ in how
 * a counter's family is named (without _total), in the types, and in the line that ends the page.
 *
 *   exposition_begin(&e)
 *   exposition_family(&e, METRIC_COUNTER, "keyferry_link_retries", "Units sent again")     names of counters come without _total
 *   exposition_put(&e, "", 3, "task", "orders", NULL)                                      its samples, before the next family
 *   text = exposition_text(&e, open_metrics)
 *   exposition_free(&e)
 *
 * Another process gets them as a tree, and puts those of many together (exposition_merge), so that a family stands once, with all of its samples:
 *
 *   {"keyferry_link_retries": {"type": "counter", "help": "...", "samples": [["", 3, "task", "orders"], ...]}, ...}     suffix, value, then labels and their texts by turns
 *
 * Thread: its owner's. */
#ifndef KEYFERRY_CONTROL_EXPOSITION_H
#define KEYFERRY_CONTROL_EXPOSITION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define EXPOSITION_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_OPEN_METRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum metric_type { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM, METRIC_INFO };

struct exposition {
	json_t *families; /* by name, in the order in which they came */
	json_t *samples;  /* of the family that is made now */
};

void exposition_begin(struct exposition *exposition);
void exposition_free(struct exposition *exposition);
/* One that is there already goes on. */
void exposition_family(struct exposition *exposition, enum metric_type type, const char *name, const char *help);
/* A sample of the family: `suffix` is "" but for histograms; then label names and texts by turns, NULL behind the last. Texts may hold any bytes; what is no UTF-8 becomes '?'. */
void exposition_put(struct exposition *exposition, const char *suffix, double value, ...);
/* Adds what another process has told, with `task` as the text of the label of that name in every sample. What is no family, or not the one of that name here, is left out. */
void exposition_merge(struct exposition *exposition, const json_t *families, const char *task);
/* NUL-terminated text; free(). NULL: it would be larger than EXPOSITION_PAGE_MAX. */
char *exposition_text(const struct exposition *exposition, bool open_metrics);

#define EXPOSITION_PAGE_MAX (64u << 20)

#endif
