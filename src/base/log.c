#include "base/log.h"

#include "base/clock.h"
#include "base/log_limit.h"
#include "base/slice.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGE_MAX (LOG_LINE_MAX - 1024)
#define LABEL_OF_LINK "link "

static _Atomic int lowest = LOG_INFO;
static bool as_json;
static bool limited;
static char task_name[128];
static struct log_limit limit;
static bool to_journal;
static void (*screen_before)(void);
static void (*screen_after)(void);
static pthread_mutex_t screen_lock = PTHREAD_MUTEX_INITIALIZER; /* of the limits too */
static _Thread_local char thread_label[LOG_LABEL_MAX];

static const char *const level_names[LOG_LEVELS] = {"debug", "info", "warning", "error"};
static const unsigned priorities[LOG_LEVELS] = {7, 6, 4, 3}; /* syslog(3) */

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

void log_set_task(const char *name)
{
	snprintf(task_name, sizeof(task_name), "%s", name);
}

void log_set_limited(bool on)
{
	pthread_mutex_lock(&screen_lock);
	log_limit_init(&limit, clock_monotonic_us());
	limited = on;
	pthread_mutex_unlock(&screen_lock);
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
	for (unsigned i = 0; i < LOG_LEVELS; i++) {
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

/* systemd tells device and inode of the journal's socket, so that who was redirected elsewhere does not take that for the journal (systemd.exec(5)). */
void log_look_for_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat file;

	to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &file) == 0 &&
		     file.st_dev == device && file.st_ino == inode;
}

bool log_is_journal(void)
{
	return to_journal;
}

/* ---- JSON ---- */

/* Bytes of the character at text; 1 where it is none, or is cut off. */
static size_t character(const char *text)
{
	unsigned char first = (unsigned char)*text;
	size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

	return strnlen(text, len) == len && utf8_is_valid(slice_make(text, len)) ? len : 1;
}

/* Appends "name":"text" with a comma before it; stops where the line is full. What is no UTF-8 becomes '?'. */
static size_t put_text(char *out, size_t at, size_t cap, const char *name, const char *text)
{
	size_t len;

	at += (size_t)snprintf(out + at, cap - at, "%s\"%s\":\"", out[at - 1] == '{' ? "" : ",", name);
	for (; *text && at + 16 < cap; text += len) {
		unsigned char c = (unsigned char)*text;

		len = character(text);
		if (c == '"' || c == '\\')
			at += (size_t)snprintf(out + at, cap - at, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(out + at, cap - at, "\\u%04x", c);
		else if (c >= 0x80 && len == 1)
			out[at++] = '?';
		else
			for (size_t i = 0; i < len; i++)
				out[at++] = text[i];
	}
	out[at++] = '"';
	out[at] = '\0';
	return at;
}

static size_t put_fields(char *out, size_t at, size_t cap, const struct log_line *line)
{
	at += (size_t)snprintf(out + at, cap - at, ",\"fields\":{");
	for (uint32_t i = 0; i < line->field_count && at + 128 < cap; i++) {
		const struct log_field *field = &line->fields[i];

		if (field->text)
			at = put_text(out, at, cap - 64, field->name, field->text);
		else
			at += (size_t)snprintf(out + at, cap - at, "%s\"%s\":%.15g", out[at - 1] == '{' ? "" : ",", field->name,
					       field->number);
	}
	out[at++] = '}';
	out[at] = '\0';
	return at;
}

static size_t format_json(char out[LOG_LINE_MAX], const struct log_line *line, const char *label, const char *when,
			  const char *message)
{
	size_t at = to_journal ? (size_t)snprintf(out, LOG_LINE_MAX, "<%u>{", priorities[line->level])
			       : (size_t)snprintf(out, LOG_LINE_MAX, "{");
	bool of_link = strncmp(label, LABEL_OF_LINK, strlen(LABEL_OF_LINK)) == 0;
	const char *link = line->link ? line->link : of_link ? label + strlen(LABEL_OF_LINK) : "";

	at = put_text(out, at, LOG_LINE_MAX, "time", when);
	at = put_text(out, at, LOG_LINE_MAX, "level", level_names[line->level]);
	if (task_name[0])
		at = put_text(out, at, LOG_LINE_MAX, "task", task_name);
	if (link[0])
		at = put_text(out, at, LOG_LINE_MAX, "link", link);
	if (label[0] && !of_link)
		at = put_text(out, at, LOG_LINE_MAX, "part", label);
	if (line->kind)
		at = put_text(out, at, LOG_LINE_MAX, "kind", line->kind);
	/* Room for the fields is kept back: a message that is cut says more than a line that cannot be parsed. */
	at = put_text(out, at, LOG_LINE_MAX - (line->field_count ? 512 : 8), "message", message);
	if (line->field_count > 0)
		at = put_fields(out, at, LOG_LINE_MAX - 8, line);
	return at + (size_t)snprintf(out + at, LOG_LINE_MAX - at, "}\n");
}

static size_t format_text(char out[LOG_LINE_MAX], const struct log_line *line, const char *label, const char *when, char *message)
{
	/* A control byte in a text line could forge another line. */
	for (char *p = message; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	if (to_journal)
		return (size_t)snprintf(out, LOG_LINE_MAX, "<%u>%s%s%s\n", priorities[line->level], label, label[0] ? ": " : "",
					message);
	return (size_t)snprintf(out, LOG_LINE_MAX, "%s %-7s %s%s%s\n", when, level_names[line->level], label,
				label[0] ? ": " : "", message);
}

/* ---- writing ---- */

/* `screen_lock` is held. */
static void put_line(const struct log_line *line, const char *label, char *message)
{
	char out[LOG_LINE_MAX], when[32];
	size_t len;

	clock_format_rfc3339(clock_wall_ms(), when);
	len = as_json ? format_json(out, line, label, when, message) : format_text(out, line, label, when, message);
	if (screen_before)
		screen_before();
	for (size_t done = 0; done < len;) {
		ssize_t n = write(STDERR_FILENO, out + done, len - done);

		if (n <= 0)
			break; /* nobody reads standard error: there is no place left to complain to */
		done += (size_t)n;
	}
	if (screen_after)
		screen_after();
}

/* `screen_lock` is held. */
static void tell_due(bool end)
{
	struct log_due due;

	while (limited && log_limit_due(&limit, clock_monotonic_us(), end, &due)) {
		struct log_field count = {.name = "count", .number = (double)due.count};
		struct log_line line = {.level = (enum log_level)due.level,
					.link = due.link[0] ? due.link : NULL,
					.kind = due.kind,
					.fields = &count,
					.field_count = 1};

		put_line(&line, due.label, due.text);
	}
}

static void PRINTF_LIKE(2, 0) write_line(const struct log_line *line, const char *format, va_list args)
{
	char message[MESSAGE_MAX];

	if ((int)line->level < atomic_load_explicit(&lowest, memory_order_relaxed))
		return;
	vsnprintf(message, sizeof(message), format, args);
	pthread_mutex_lock(&screen_lock);
	tell_due(false);
	if (!limited || line->unlimited ||
	    log_limit_pass(&limit, (unsigned)line->level, thread_label, line->link ? line->link : "", message,
			   clock_monotonic_us()))
		put_line(line, thread_label, message);
	pthread_mutex_unlock(&screen_lock);
}

void log_line_write(const struct log_line *line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_line(line, format, args);
	va_end(args);
}

void log_write(enum log_level level, const char *format, ...)
{
	struct log_line line = {.level = level};
	va_list args;

	va_start(args, format);
	write_line(&line, format, args);
	va_end(args);
}

void log_error_value(enum log_level level, const struct error *error)
{
	struct log_field fields[] = {{.name = "error", .text = error_kind_name(error->kind)},
				     {.name = "exit_code", .number = (double)error->kind}};
	struct log_line line = {.level = level, .fields = fields, .field_count = 2};

	if (error->hint[0])
		log_line_write(&line, "%s. %s", error->text, error->hint);
	else
		log_line_write(&line, "%s", error->text);
}

void log_tick(bool end)
{
	pthread_mutex_lock(&screen_lock);
	tell_due(end);
	pthread_mutex_unlock(&screen_lock);
}

uint64_t log_left_out(void)
{
	uint64_t count;

	pthread_mutex_lock(&screen_lock);
	count = limit.left_out;
	pthread_mutex_unlock(&screen_lock);
	return count;
}
