#include "service/outcome.h"

#include "base/error.h"

#include <string.h>

static const char *const names[] = {
	[WANTED_IDLE] = "idle", [WANTED_RUNNING] = "running", [WANTED_PAUSED] = "paused", [WANTED_FINISHED] = "finished"};

const char *wanted_name(enum wanted wanted)
{
	return names[wanted];
}

enum wanted wanted_parse(const char *name)
{
	for (enum wanted wanted = WANTED_IDLE; wanted <= WANTED_FINISHED; wanted++)
		if (strcmp(name, names[wanted]) == 0)
			return wanted;
	return WANTED_IDLE;
}

enum outcome outcome_of(const struct ending *ending)
{
	if (ending->cut_over || ending->wanted == WANTED_FINISHED)
		return OUTCOME_FINISHED;
	if (ending->known && ending->code == ERROR_NONE && ending->finished)
		return OUTCOME_FINISHED;
	if (ending->wanted == WANTED_PAUSED)
		return OUTCOME_PAUSED;
	if (ending->wanted == WANTED_IDLE)
		return OUTCOME_READY;
	if (ending->asked || (ending->cutting && ending->known && ending->code == ERROR_NONE))
		return OUTCOME_AGAIN_NOW;
	if (!ending->known)
		return OUTCOME_AGAIN;
	switch (ending->code) {
	case ERROR_NONE:
	case ERROR_INTERNAL: return OUTCOME_AGAIN;
	case ERROR_SOURCE:
	case ERROR_TARGET: return ending->begun ? OUTCOME_AGAIN : OUTCOME_PRECHECK_FAILED;
	case ERROR_PRECHECK: return ending->begun ? OUTCOME_FAILED : OUTCOME_PRECHECK_FAILED;
	case ERROR_BUSY: return ending->held ? OUTCOME_AGAIN_NOW : OUTCOME_FAILED;
	case ERROR_USAGE:
	case ERROR_CONFLICT:
	case ERROR_DIFFERENT: return OUTCOME_FAILED;
	}
	/* 127: the program could not be started; a sanitizer's own code; ... */
	return OUTCOME_AGAIN;
}

uint32_t outcome_pause(uint32_t pause_ms, uint64_t ran_ms)
{
	if (pause_ms == 0 || ran_ms >= OUTCOME_STABLE_MS)
		return OUTCOME_PAUSE_MS;
	return pause_ms >= OUTCOME_PAUSE_MAX_MS / 2 ? OUTCOME_PAUSE_MAX_MS : pause_ms * 2;
}
