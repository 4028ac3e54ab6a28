/* What an option does, in the languages that people read.
 * Thread: pure. */
#ifndef KEYFERRY_TASK_OPTION_WORDS_H
#define KEYFERRY_TASK_OPTION_WORDS_H

#include "base/option.h"

/* language: "en", "zh". `path` is the row's, with "LIST[]." before it for an option of a rule. */
const char *option_words(const char *path, const struct option_row *row, const char *language);

#endif
