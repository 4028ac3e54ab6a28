/* What a scanner reads out of INFO.
 * Format facts: INFO's sections commandstats ("cmdstat_flushall:calls=3,usec=...") and keyspace ("db0:keys=...").
 * Pure. Thread: none. */
#ifndef KEYFERRY_SOURCE_SCAN_FACTS_H
#define KEYFERRY_SOURCE_SCAN_FACTS_H

#include "base/slice.h"

/* How often commands were called that change keys and tell nobody: FLUSHALL, FLUSHDB, SWAPDB. */
uint64_t scan_facts_silent_calls(struct slice commandstats);
/* The databases that hold keys; returns how many. *ret is to be freed. */
uint32_t scan_facts_databases(struct slice keyspace, uint32_t **ret);

#endif
