#include "api/yaml_text.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* May it stand without quotes? Only what no reader takes for anything but a text. */
static bool is_plain(const char *text)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};

	if (!*text || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") != strlen(text) ||
	    strchr("0123456789.-", text[0]))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
			return false;
	return true;
}

/* A JSON text is a YAML text in double quotes. */
static void put_quoted(FILE *out, const char *text)
{
	json_t *string = json_string(text);
	char *quoted = json_dumps(string, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

	fputs(quoted, out);
	free(quoted);
	json_decref(string);
}

static void put_text(FILE *out, const char *text)
{
	if (is_plain(text))
		fputs(text, out);
	else
		put_quoted(out, text);
}

static void put_scalar(FILE *out, const json_t *value)
{
	char *text;

	if (json_is_string(value)) {
		put_text(out, json_string_value(value));
		return;
	}
	text = json_dumps(value, JSON_ENCODE_ANY);
	fputs(text ? text : "null", out);
	free(text);
}

static bool is_scalar(const json_t *value)
{
	return !json_is_object(value) && !json_is_array(value);
}

static void put_value(FILE *out, const json_t *value, int indent, bool begun);

/* Behind "key:" or "-". */
static void put_below(FILE *out, const json_t *value, int indent, bool in_list)
{
	bool empty = json_is_object(value) ? json_object_size(value) == 0 : json_array_size(value) == 0;

	if (is_scalar(value) || empty) {
		fputc(' ', out);
		if (is_scalar(value))
			put_scalar(out, value);
		else
			fputs(json_is_object(value) ? "{}" : "[]", out);
		fputc('\n', out);
		return;
	}
	fputc(in_list ? ' ' : '\n', out);
	put_value(out, value, indent + 2, in_list);
}

/* `begun`: the first line is indented already. */
static void put_value(FILE *out, const json_t *value, int indent, bool begun)
{
	const json_t *child;
	const char *name;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach (value, i, child) {
			fprintf(out, "%*s-", begun ? 0 : indent, "");
			begun = false;
			put_below(out, child, indent, true);
		}
		return;
	}
	/* Reading alone; Jansson's macro wants a pointer that may write. */
	json_object_foreach ((json_t *)(uintptr_t)value, name, child) {
		fprintf(out, "%*s", begun ? 0 : indent, "");
		begun = false;
		put_text(out, name);
		fputc(':', out);
		put_below(out, child, indent, false);
	}
}

char *yaml_text(const json_t *value)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return memory_strdup("");
	if (is_scalar(value) || (json_is_object(value) ? json_object_size(value) : json_array_size(value)) == 0) {
		put_scalar(out, value);
		fputc('\n', out);
	} else {
		put_value(out, value, 0, false);
	}
	fclose(out);
	return text;
}
