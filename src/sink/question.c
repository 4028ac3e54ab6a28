#include "sink/question.h"

#include "sink/node.h"
#include "sink/verdict.h"

#include <stdio.h>
#include <string.h>

void question_begin(struct question *question)
{
	buffer_clear(&question->reply);
	question->answered = question->too_long = false;
	question->error[0] = '\0';
}

void question_take(struct question *question, struct slice bytes)
{
	if (!question->too_long && !buffer_append_slice(&question->reply, bytes))
		question->too_long = true;
}

static bool is_answer(const struct question *question, const struct unit_answer *answer)
{
	if (!answer->error || answer->inside_exec)
		return true;
	if (answer->error_at == UNIT_PREFIX)
		return false;
	switch (verdict_of(answer->error)) {
	case VERDICT_MOVED:
	case VERDICT_DENIED: return false;
	case VERDICT_ASK: return question->anywhere;
	case VERDICT_WAIT: return question->anywhere && strncmp(answer->error, "TRYAGAIN", 8) == 0;
	default: return true;
	}
}

bool question_answered(struct question *question, const struct unit_answer *answer)
{
	if (!is_answer(question, answer))
		return false;
	question->answered = true;
	if (answer->error && !answer->inside_exec)
		snprintf(question->error, sizeof(question->error), "%s", answer->error);
	return true;
}
