/* Trends of all tasks: taken from what workers say, kept in the store minute by minute. */
#include "base/clock.h"
#include "base/log.h"
#include "service/service_state.h"

#include <stdlib.h>

#define SAVE_EVERY_US 60000000

bool trends_load(struct entry *entry, struct error *error)
{
	struct store_trend *minutes;
	size_t count;

	if (!store_trend_list(entry->service->store, entry->row.id, &minutes, &count, error))
		return false;
	if (count)
		entry->trend = trend_new();
	for (size_t i = 0; i < count; i++)
		trend_put_back(entry->trend, &minutes[i]);
	free(minutes);
	return true;
}

void trends_take(struct entry *entry)
{
	double values[TREND_VALUES];

	if (!view_values(entry, values))
		return;
	if (!entry->trend)
		entry->trend = trend_new();
	trend_take(entry->trend, entry->status_ms, values);
}

/* One task's; what is too old by now goes. Minutes count as stored before the transaction is: one that it does not take is a gap in a chart after a restart, no more. */
static bool save(struct entry *entry, struct error *error)
{
	struct store *store = entry->service->store;
	struct store_trend minute = {0};
	bool ok = true;

	while (ok && trend_unstored(entry->trend, &minute)) {
		ok = store_trend_add(store, entry->row.id, &minute, error);
		if (ok)
			trend_stored(entry->trend);
	}
	return ok && (minute.at_s == 0 || store_trend_prune(store, entry->row.id, minute.at_s - TREND_DAY_S, error));
}

void trends_save(struct service *service, bool all)
{
	uint64_t now = clock_monotonic_us();
	struct store_trend minute;
	struct error error;
	bool begun = false, ok = true;

	if (!all && now - service->trends_us < SAVE_EVERY_US)
		return;
	service->trends_us = now;
	for (size_t i = 0; ok && i < service->count; i++) {
		struct entry *entry = service->entries[i];

		if (!entry->trend)
			continue;
		if (all)
			trend_close_minute(entry->trend);
		if (!trend_unstored(entry->trend, &minute))
			continue;
		if (!begun)
			ok = begun = store_begin(service->store, &error);
		ok = ok && save(entry, &error);
	}
	if (begun && (!ok || !store_commit(service->store, &error))) {
		store_rollback(service->store);
		ok = false;
	}
	if (!ok && !service->store_failed)
		log_error_value(LOG_ERROR, &error);
}
