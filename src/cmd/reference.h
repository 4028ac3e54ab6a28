/* The reference of the options of a task document, printed from their table.
 * Thread: the main one. */
#ifndef KEYFERRY_CMD_REFERENCE_H
#define KEYFERRY_CMD_REFERENCE_H

#include "base/language.h"

#include <stdio.h>

enum reference_format { REFERENCE_TEXT, REFERENCE_MARKDOWN, REFERENCE_MAN };

/* All options. MAN is the source of a manual page's section, for scdoc. */
void reference_print(FILE *out, enum reference_format format, enum language language);
/* The option `topic` and those below it, as text. False: there are none; nothing was printed. */
bool reference_print_topic(FILE *out, const char *topic, enum language language);

#endif
