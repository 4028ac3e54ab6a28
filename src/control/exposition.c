#include "control/exposition.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 320 /* of a label */
#define NAME_MAX_BYTES 128
#define LABELS_MAX 16

static const char *const types[] = {"gauge", "counter", "histogram", "info"};
static const char *const suffixes[] = {"", "_bucket", "_sum", "_count"};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

void exposition_begin(struct exposition *exposition)
{
	*exposition = (struct exposition){.families = json_object()};
}

void exposition_free(struct exposition *exposition)
{
	json_decref(exposition->families);
	exposition->families = exposition->samples = NULL;
}

/* ---- families and samples ---- */

/* Its samples; NULL: there is another one of that name. */
static json_t *find_family(struct exposition *exposition, const char *type, const char *name, const char *help)
{
	json_t *family = json_object_get(exposition->families, name);

	if (!family) {
		family = json_pack("{s:s, s:s, s:[]}", "type", type, "help", help, "samples");
		json_object_set_new(exposition->families, name, family);
	}
	return strcmp(json_string_value(json_object_get(family, "type")), type) == 0 ? json_object_get(family, "samples") : NULL;
}

void exposition_family(struct exposition *exposition, enum metric_type type, const char *name, const char *help)
{
	exposition->samples = find_family(exposition, types[type], name, help);
}

/* At most TEXT_MAX bytes, not cut within a character. */
static json_t *label_text(const char *text)
{
	char copy[TEXT_MAX];
	size_t len = strnlen(text, sizeof(copy) - 1);
	bool valid = utf8_is_valid(slice_make(text, strlen(text)));

	while (valid && len > 0 && text[len] && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	memcpy(copy, text, len);
	utf8_mend(copy, len);
	return json_stringn(copy, len);
}

static json_t *number(double value)
{
	return fabs(value) < 9e15 && value == (double)(json_int_t)value ? json_integer((json_int_t)value) : json_real(value);
}

void exposition_put(struct exposition *exposition, const char *suffix, double value, ...)
{
	const char *name;
	json_t *sample;
	va_list args;

	if (!exposition->samples || !isfinite(value))
		return;
	sample = json_array();
	json_array_append_new(sample, json_string(suffix));
	json_array_append_new(sample, number(value));
	va_start(args, value);
	while ((name = va_arg(args, const char *))) {
		json_array_append_new(sample, json_string(name));
		json_array_append_new(sample, label_text(va_arg(args, const char *)));
	}
	va_end(args);
	json_array_append_new(exposition->samples, sample);
}

/* ---- of other processes ---- */

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; word && i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* Of metrics and of labels. */
static bool is_name(const char *name)
{
	size_t len = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz_") : 0;

	return len > 0 && len < NAME_MAX_BYTES && name[len] == '\0';
}

/* A copy in which `task` stands first; NULL: it is no sample. */
static json_t *copy_sample(const json_t *sample, const char *task)
{
	size_t count = json_array_size(sample);
	const char *suffix = json_string_value(json_array_get(sample, 0));
	const json_t *value = json_array_get(sample, 1);
	json_t *copy;

	if (count % 2 != 0 || count > 2 + 2 * LABELS_MAX || !is_one_of(suffix, suffixes, COUNT(suffixes)) ||
	    !json_is_number(value))
		return NULL;
	copy = json_pack("[s, o, s, o]", suffix, number(json_number_value(value)), "task", label_text(task));
	for (size_t i = 2; i < count; i += 2) {
		const char *name = json_string_value(json_array_get(sample, i)),
			   *text = json_string_value(json_array_get(sample, i + 1));

		if (!is_name(name) || !text) {
			json_decref(copy);
			return NULL;
		}
		if (strcmp(name, "task") == 0)
			continue;
		json_array_append_new(copy, json_string(name));
		json_array_append_new(copy, label_text(text));
	}
	return copy;
}

void exposition_merge(struct exposition *exposition, const json_t *families, const char *task)
{
	json_t *given;
	const char *name;

	json_object_foreach ((json_t *)families, name, given) {
		const char *type = json_string_value(json_object_get(given, "type")),
			   *help = json_string_value(json_object_get(given, "help"));
		const json_t *samples = json_object_get(given, "samples"), *sample;
		json_t *mine = is_name(name) && is_one_of(type, types, COUNT(types)) && help && !strpbrk(help, "\\\n")
				       ? find_family(exposition, type, name, help)
				       : NULL;
		size_t i;

		json_array_foreach (samples, i, sample) {
			json_t *copy = mine ? copy_sample(sample, task) : NULL;

			if (copy)
				json_array_append_new(mine, copy);
		}
	}
}

/* ---- the page ---- */

static bool put_family(struct buffer *page, const char *name, const json_t *family, const char *end, bool open_metrics)
{
	const char *type = json_string_value(json_object_get(family, "type"));

	/* The text format knows no type "info": there it is a gauge that is 1. */
	if (strcmp(type, "info") == 0 && !open_metrics)
		type = "gauge";
	if (open_metrics)
		end = "";
	return buffer_printf(page, "# HELP %s%s ", name, end) &&
	       buffer_printf(page, "%s\n# TYPE %s%s %s\n", json_string_value(json_object_get(family, "help")), name, end, type);
}

/* Backslash and quote are escaped in both formats; a newline is not worth it. */
static const char *escape(const char *text, char out[2 * TEXT_MAX])
{
	size_t at = 0;

	for (; *text && at < 2 * TEXT_MAX - 2; text++) {
		if (*text == '\\' || *text == '"')
			out[at++] = '\\';
		out[at++] = *text == '\n' ? ' ' : *text;
	}
	out[at] = '\0';
	return out;
}

static bool put_sample(struct buffer *page, const char *name, const json_t *sample, const char *end)
{
	bool ok = buffer_printf(page, "%s%s%s", name, json_string_value(json_array_get(sample, 0)), end);
	size_t count = json_array_size(sample);
	char text[2 * TEXT_MAX];

	for (size_t i = 2; i < count; i += 2)
		ok = ok && buffer_printf(page, "%s%s=\"%s\"", i == 2 ? "{" : ",", json_string_value(json_array_get(sample, i)),
					 escape(json_string_value(json_array_get(sample, i + 1)), text));
	return ok && buffer_printf(page, "%s %.17g\n", count > 2 ? "}" : "", json_number_value(json_array_get(sample, 1)));
}

char *exposition_text(const struct exposition *exposition, bool open_metrics)
{
	struct buffer page;
	const json_t *sample;
	json_t *family;
	const char *name;
	bool ok = true;
	size_t i;

	buffer_init(&page, EXPOSITION_PAGE_MAX);
	json_object_foreach (exposition->families, name, family) {
		const char *type = json_string_value(json_object_get(family, "type"));
		const char *end = strcmp(type, types[METRIC_COUNTER]) == 0 ? "_total"
				  : strcmp(type, types[METRIC_INFO]) == 0  ? "_info"
									   : "";

		ok = ok && put_family(&page, name, family, end, open_metrics);
		json_array_foreach (json_object_get(family, "samples"), i, sample)
			ok = ok && put_sample(&page, name, sample, end);
	}
	if (ok && open_metrics)
		ok = buffer_printf(&page, "# EOF\n");
	if (ok && buffer_append(&page, "", 1))
		return (char *)page.data;
	buffer_free(&page);
	return NULL;
}
