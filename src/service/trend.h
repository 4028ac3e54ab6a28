/* How a task went: lag, rates, spool and progress of the snapshot over the last day, for charts.
 *
 * Of each status that a worker tells, one a second, the sums over its links are taken into two rings of means: 5 seconds over the last quarter of an hour, and minutes over the
 * last day. So a task that has run takes about 52 KiB of memory, and never more. Minutes that are over are stored too (store.h), so that a restart of the daemon keeps them; of the
 * quarter before a restart minutes are told.
 * Buckets lie on the wall clock's multiples of their step. Where that clock is put back, what was taken later than its new time is dropped.
 * Within a bucket: lag and spool are the highest, rates the mean, progress the last. NAN and null: not known.
 * Thread: behind the service's lock. */
#ifndef KEYFERRY_SERVICE_TREND_H
#define KEYFERRY_SERVICE_TREND_H

#include "store/store.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct trend;

enum trend_value { TREND_LAG, TREND_COMMANDS, TREND_BYTES, TREND_SPOOL, TREND_PROGRESS, TREND_VALUES };
_Static_assert(TREND_VALUES == STORE_TREND_VALUES, "the store keeps them in this order");

#define TREND_DAY_S 86400

struct trend *trend_new(void);
void trend_free(struct trend *trend); /* NULL is fine */

void trend_take(struct trend *trend, int64_t now_ms, const double values[TREND_VALUES]);
/* A minute as it was stored, newer than all that are there; it counts as stored. */
void trend_put_back(struct trend *trend, const struct store_trend *minute);
/* The oldest minute that is over and not stored yet. False: there is none. trend_stored(): it is now. */
bool trend_unstored(const struct trend *trend, struct store_trend *ret);
void trend_stored(struct trend *trend);
/* The minute that is not over yet is taken as if it were, for the daemon ends. */
void trend_close_minute(struct trend *trend);

/* `span`: "15m", "1h", "24h"; false from trend_is_span(): none of these. `trend` NULL: nothing was taken. New tree:
 * {"span","step": seconds, "time": [seconds since 1970, ...], "lag_seconds": [...], "commands_per_second": [...], "bytes_per_second": [...], "spool_bytes": [...], "progress": [...]}
 * each as long as `time`, the oldest first, from `now_ms` back; a bucket that has no entry is a time at which the task did not run. The last one goes on. */
bool trend_is_span(const char *span);
json_t *trend_tree(const struct trend *trend, const char *span, int64_t now_ms);

#endif
