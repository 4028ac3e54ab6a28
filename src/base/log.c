#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int lowest = LOG_INFO;
static bool as_json;
static void (*screen_before)(void);
static void (*screen_after)(void);
static pthread_mutex_t screen_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local char thread_label[128];

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&lowest, (int)level, memory_order_relaxed);
}

void log_set_json(bool json)
{
	as_json = json;
}

bool log_is_json(void)
{
	return as_json;
}

void log_set_screen(void (*before)(void), void (*after)(void))
{
	pthread_mutex_lock(&screen_lock);
	screen_before = before;
	screen_after = after;
	pthread_mutex_unlock(&screen_lock);
}

void log_set_label(const char *label)
{
	snprintf(thread_label, sizeof(thread_label), "%s", label);
}

bool log_level_parse(const char *name, enum log_level *ret)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return true;
		}
	}
	return false;
}

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

/* Appends JSON string content; stops where the line is full. */
static size_t json_escape(char *out, size_t at, size_t cap, const char *text)
{
	for (; *text && at + 8 < cap; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			at += (size_t)snprintf(out + at, cap - at, "\\%c", c);
		else if (c < 0x20)
			at += (size_t)snprintf(out + at, cap - at, "\\u%04x", c);
		else
			out[at++] = (char)c;
	}
	out[at] = '\0';
	return at;
}

void log_write(enum log_level level, const char *format, ...)
{
	char message[LOG_LINE_MAX - 512];
	char line[LOG_LINE_MAX];
	char when[32];
	size_t at;
	va_list args;

	if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	clock_format_rfc3339(clock_wall_ms(), when);
	if (as_json) {
		at = (size_t)snprintf(line, sizeof(line), "{\"time\":\"%s\",\"level\":\"%s\"", when, level_names[level]);
		if (thread_label[0]) {
			at += (size_t)snprintf(line + at, sizeof(line) - at, ",\"where\":\"");
			at = json_escape(line, at, sizeof(line) - 16, thread_label);
			line[at++] = '"';
		}
		at += (size_t)snprintf(line + at, sizeof(line) - at, ",\"message\":\"");
		at = json_escape(line, at, sizeof(line) - 8, message);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "\"}\n");
	} else {
		/* A control byte in a text line could forge another line. */
		for (char *p = message; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = ' ';
		at = (size_t)snprintf(line, sizeof(line), "%s %-7s %s%s%s\n", when, level_names[level], thread_label,
				      thread_label[0] ? ": " : "", message);
	}
	pthread_mutex_lock(&screen_lock);
	if (screen_before)
		screen_before();
	for (size_t done = 0; done < at;) {
		ssize_t n = write(STDERR_FILENO, line + done, at - done);

		if (n <= 0)
			break; /* nobody reads standard error: there is no place left to complain to */
		done += (size_t)n;
	}
	if (screen_after)
		screen_after();
	pthread_mutex_unlock(&screen_lock);
}

void log_error_value(enum log_level level, const struct error *error)
{
	if (error->hint[0])
		log_write(level, "%s. %s", error->text, error->hint);
	else
		log_write(level, "%s", error->text);
}
