/* Samples: of the source's keys, their types; of the target, which of the commands that the source's clients use it knows.
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_SAMPLE_H
#define KEYFERRY_PRECHECK_SAMPLE_H

#include "precheck/interview.h"

/* A round of the interview. */
void sample_ask(struct witness *witness);

#endif
