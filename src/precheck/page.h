/* The report of a precheck as a page for people, made of its JSON form (docs/precheck.md): so a report that comes from elsewhere, as from a daemon, is shown as one of this process.
 *
 * What the tree lacks is shown as "-", words that are not known as they are. Thread: pure. */
#ifndef KEYFERRY_PRECHECK_PAGE_H
#define KEYFERRY_PRECHECK_PAGE_H

#include "base/language.h"

#include <jansson.h>

/* `language` is of headings and words; sentences are in that of the report. free() */
char *precheck_page_text(const json_t *report, enum language language);

#endif
