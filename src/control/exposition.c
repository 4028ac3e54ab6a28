#include "control/exposition.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <string.h>

#define PAGE_MAX (64u << 20)
#define VALUE_MAX 320

void exposition_begin(struct exposition *exposition, bool open_metrics)
{
	*exposition = (struct exposition){.open_metrics = open_metrics, .ok = true};
	buffer_init(&exposition->page, PAGE_MAX);
}

void exposition_family(struct exposition *exposition, enum metric_type type, const char *name, const char *help)
{
	static const char *const types[] = {"gauge", "counter", "histogram", "info"};
	/* The text format knows no type "info": there it is a gauge that is 1. */
	const char *type_name = type == METRIC_INFO && !exposition->open_metrics ? "gauge" : types[type];
	const char *end = exposition->open_metrics ? "" : type == METRIC_COUNTER ? "_total" : type == METRIC_INFO ? "_info" : "";

	exposition->type = type;
	exposition->name = name;
	exposition->ok &= buffer_printf(&exposition->page, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, end, help, name, end, type_name);
}

/* Backslash, quote and newline are escaped in both formats; what is no UTF-8 becomes '?'. */
static const char *escape(const char *text, char out[VALUE_MAX])
{
	bool valid = utf8_is_valid(slice_make(text, strlen(text)));
	size_t at = 0;

	for (; *text && at < VALUE_MAX - 3; text++) {
		if (*text == '\\' || *text == '"')
			out[at++] = '\\';
		out[at++] = *text == '\n' ? ' ' : !valid && (unsigned char)*text >= 0x80 ? '?' : *text;
	}
	/* Not cut within a character. */
	while (*text && at > 0 && valid && ((unsigned char)out[at - 1] & 0xc0) == 0x80)
		at--;
	if (*text && at > 0 && valid && (unsigned char)out[at - 1] >= 0xc0)
		at--;
	out[at] = '\0';
	return out;
}

void exposition_put(struct exposition *exposition, const char *suffix, double value, ...)
{
	struct buffer *page = &exposition->page;
	const char *end = exposition->type == METRIC_COUNTER ? "_total" : exposition->type == METRIC_INFO ? "_info" : "";
	const char *name, *separator = "{";
	char text[VALUE_MAX];
	va_list args;

	exposition->ok &= buffer_printf(page, "%s%s%s", exposition->name, suffix, end);
	va_start(args, value);
	while ((name = va_arg(args, const char *))) {
		exposition->ok &= buffer_printf(page, "%s%s=\"%s\"", separator, name, escape(va_arg(args, const char *), text));
		separator = ",";
	}
	va_end(args);
	exposition->ok &= buffer_printf(page, "%s %.17g\n", separator[0] == ',' ? "}" : "", value);
}

char *exposition_end(struct exposition *exposition)
{
	if (exposition->open_metrics)
		exposition->ok &= buffer_printf(&exposition->page, "# EOF\n");
	exposition->ok &= buffer_append(&exposition->page, "", 1);
	if (exposition->ok)
		return (char *)exposition->page.data;
	buffer_free(&exposition->page);
	return memory_strdup(exposition->open_metrics ? "# EOF\n" : "");
}
