/* The table of options as JSON, for forms: schema "Options".
 * Thread: pure. */
#ifndef KEYFERRY_API_OPTION_PAGE_H
#define KEYFERRY_API_OPTION_PAGE_H

#include <jansson.h>

/* language: "en" or "zh". */
json_t *option_page(const char *language);

#endif
