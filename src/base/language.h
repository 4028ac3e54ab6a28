/* The languages that what operators read is written in.
 *
 * Thread: any, while nobody changes the environment. */
#ifndef KEYFERRY_BASE_LANGUAGE_H
#define KEYFERRY_BASE_LANGUAGE_H

#include "base/error.h"

enum language { LANGUAGE_EN, LANGUAGE_ZH, LANGUAGES };

/* "zh", "en": *ret; false: another. */
bool language_parse(const char *name, enum language *ret) WARN_UNUSED;
/* As LC_ALL, LC_MESSAGES and LANG say; English where they do not name Chinese. */
enum language language_of_environment(void);

#endif
