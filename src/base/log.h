/* The log: one line per event, text or JSON, to standard error.
 *
 * Only edges log (a task, a link, a command), never library code. A line says what happened, where, and from
 * which position things go on. Secrets never reach it. Lines over LOG_LINE_MAX are cut.
 * Thread: any; a line is written with one system call. */
#ifndef KEYFERRY_BASE_LOG_H
#define KEYFERRY_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

#define LOG_LINE_MAX 4096

/* Settings for the whole process; set before threads start, the level at any time. */
void log_set_level(enum log_level level);
void log_set_json(bool json);
bool log_is_json(void);
/* Called before and after a line is written, so that a progress display can step aside; NULL: none. */
void log_set_screen(void (*before)(void), void (*after)(void));

/* Label of the calling thread's lines, "link 10.0.0.1:6379" or ""; copied. */
void log_set_label(const char *label);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
/* Text and hint of an error in one line. */
void log_error_value(enum log_level level, const struct error *error);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_failure(...) log_write(LOG_ERROR, __VA_ARGS__)

/* "debug", "info", "warning", "error". False: none of these. */
bool log_level_parse(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);

#endif
