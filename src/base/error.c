#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_clear(struct error *error)
{
	error->kind = ERROR_NONE;
	error->text[0] = '\0';
	error->hint[0] = '\0';
}

void error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
	va_list args;

	error->kind = kind;
	error->hint[0] = '\0';
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

void error_set_errno(struct error *error, enum error_kind kind, int errnum, const char *format, ...)
{
	char reason[128];
	const char *text = strerror_r(errnum, reason, sizeof(reason));
	size_t used;
	va_list args;

	error->kind = kind;
	error->hint[0] = '\0';
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %s", text);
}

void error_hint(struct error *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->hint, sizeof(error->hint), format, args);
	va_end(args);
}

void error_prefix(struct error *error, const char *format, ...)
{
	char old[sizeof(error->text)];
	size_t used;
	va_list args;

	memcpy(old, error->text, sizeof(old));
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %s", old);
}

const char *error_kind_name(enum error_kind kind)
{
	switch (kind) {
	case ERROR_NONE: return "none";
	case ERROR_INTERNAL: return "internal";
	case ERROR_USAGE: return "usage";
	case ERROR_PRECHECK: return "precheck";
	case ERROR_SOURCE: return "source";
	case ERROR_TARGET: return "target";
	case ERROR_CONFLICT: return "conflict";
	case ERROR_DIFFERENT: return "different";
	case ERROR_BUSY: return "busy";
	}
	return "unknown";
}
