/* The log: one line per event, text or JSON, to standard error.
 *
 * Only edges log (a task, a link, a command), never library code. A line says what happened, where, and from
 * which position things go on. Secrets never reach it. Lines over LOG_LINE_MAX are cut.
 *
 *   text   2026-03-01T12:34:56.789Z warning link 10.0.0.1:6379: ...
 *   JSON   {"time","level","task","link","part","kind","message","fields":{...}}; all but time, level and message only where there is something to say
 *
 * Where standard error is the journal's (JOURNAL_STREAM names it), a line begins with its priority, "<4>", which journald takes off again, and text lines leave
 * out time and level, which journald shows itself.
 * A process that runs for long limits its log (log_limit.h): log_set_limited(), and log_tick() now and then.
 * Thread: any; a line is written with one system call. */
#ifndef KEYFERRY_BASE_LOG_H
#define KEYFERRY_BASE_LOG_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

#define LOG_LINE_MAX 4096

/* Settings for the whole process; set before threads start, the level at any time, also by a signal's handler. */
void log_set_level(enum log_level level);
void log_set_json(bool json);
bool log_is_json(void);
/* Finds out whether standard error is the journal's; until then it is not. */
void log_look_for_journal(void);
bool log_is_journal(void);
/* The task that the process runs, for JSON; copied. */
void log_set_task(const char *name);
/* Lines that repeat, or come too fast, are counted from now on. */
void log_set_limited(bool limited);
/* Called before and after a line is written, so that a progress display can step aside; NULL: none. */
void log_set_screen(void (*before)(void), void (*after)(void));

/* Label of the calling thread's lines, "link 10.0.0.1:6379" or ""; copied. In JSON it is the `part`, unless a line names its link. */
void log_set_label(const char *label);

/* What a line is about, for machines. */
struct log_field {
	const char *name;
	const char *text; /* NULL: `number` */
	double number;
};

struct log_line {
	enum log_level level;
	const char *link; /* as status names it; NULL: none */
	const char *kind; /* a word that stays the same: of an event (incident.h), or "progress"; NULL: none */
	const struct log_field *fields;
	uint32_t field_count;
	bool unlimited; /* it comes at its own pace */
};

void log_line_write(const struct log_line *line, const char *format, ...) PRINTF_LIKE(2, 3);
void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
/* Text and hint of an error in one line. */
void log_error_value(enum log_level level, const struct error *error);

/* Tells of lines that were counted, when it is time; `end`: of all. */
void log_tick(bool end);
/* Lines that were counted instead of written, since the start. */
uint64_t log_left_out(void);

#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_failure(...) log_write(LOG_ERROR, __VA_ARGS__)

/* "debug", "info", "warning", "error". False: none of these. */
bool log_level_parse(const char *name, enum log_level *ret);
const char *log_level_name(enum log_level level);

#endif
