/* Columns that a terminal gives a text, and texts from elsewhere made fit for one.
 *
 * Chinese, Japanese and Korean characters and most pictures take two columns (the wide ones of Unicode's East Asian Width, UAX #11), combining marks none, all else one. It does not
 * depend on the locale. Bytes that are no UTF-8 count as one column each.
 * Thread: pure functions. */
#ifndef KEYFERRY_BASE_COLUMNS_H
#define KEYFERRY_BASE_COLUMNS_H

#include <stddef.h>

size_t columns_of(const char *text);
/* How many bytes of the text fit into `most` columns; whole characters. */
size_t columns_fit(const char *text, size_t most);

/* Control characters (a terminal would obey them: ESC, line breaks, also C1 as UTF-8) become spaces, bytes that are no UTF-8 become '?', characters that turn the direction of writing are
 * taken out of effect as spaces. In place; the length stays. */
void columns_clean(char *text);

#endif
