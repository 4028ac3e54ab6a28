#include "profile.h"

#include <string.h>

#define SOURCE (FAULT_SOURCE_LINK | FAULT_SOURCE_RENAME)
#define CRASH (FAULT_STOP | FAULT_KILL | FAULT_POWER)

/* The expected results. What is less than exact here is what docs/testing.md says of it; a rule that becomes true is made true here in one line. */
const struct profile profiles[] = {
	/*                                                                              safe             all */
	{"none",     0,                                                                {PROMISE_EXACT,   PROMISE_EXACT}},
	{"source",   SOURCE,                                                           {PROMISE_EXACT,   PROMISE_EXACT}},
	{"stop",     SOURCE | FAULT_STOP,                                              {PROMISE_EXACT,   PROMISE_EXACT}},
	{"move",     SOURCE | FAULT_TARGET_MOVES,                                      {PROMISE_EXACT,   PROMISE_EXACT}},
	{"refuse",   SOURCE | FAULT_TARGET_REFUSES,                                    {PROMISE_EXACT,   PROMISE_NOTHING}},
	{"target",   SOURCE | FAULT_TARGET_LINK | FAULT_TARGET_REFUSES | FAULT_TARGET_MOVES, {PROMISE_EXACT, PROMISE_NOTHING}},
	{"kill",     SOURCE | FAULT_STOP | FAULT_KILL,                                 {PROMISE_EXACT,   PROMISE_NOTHING}},
	{"crash",    SOURCE | CRASH,                                                   {PROMISE_EXACT,   PROMISE_NOTHING}},
	{"resync",   SOURCE | FAULT_SOURCE_RESYNC,                                     {PROMISE_EXACT,   PROMISE_EXACT}},
	{"failover", SOURCE | FAULT_TARGET_LINK | FAULT_TARGET_LOSES,                  {PROMISE_NOTHING, PROMISE_NOTHING}},
	{"all",      (FAULT_POWER << 1) - 1,                                           {PROMISE_NOTHING, PROMISE_NOTHING}},
};

/* A key that was removed while nobody looked stays at the target, and what is written to it later is added to the old value. */
const enum promise promise_after_resync = PROMISE_NOTHING;

const unsigned profile_count = sizeof(profiles) / sizeof(profiles[0]);

const struct profile *profile_find(const char *name)
{
	for (unsigned i = 0; i < profile_count; i++)
		if (strcmp(profiles[i].name, name) == 0)
			return &profiles[i];
	return NULL;
}
