#include "precheck/text.h"

#include "base/buffer.h"
#include "base/memory.h"

#include <string.h>

#define SENTENCE_MAX (1u << 20)

static const char *place_value(const struct text_places *places, const char *name, size_t len)
{
	const struct {
		const char *name, *value;
	} named[] = {{"side", places->side}, {"option", places->option}, {"node", places->node}, {"task", places->task}};

	if (len == 1 && name[0] >= '0' && name[0] < '0' + TEXT_ARGUMENTS)
		return places->arguments[name[0] - '0'] ? places->arguments[name[0] - '0'] : "";
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (strlen(named[i].name) == len && strncmp(named[i].name, name, len) == 0)
			return named[i].value ? named[i].value : "";
	return NULL;
}

char *text_fill(const char *sentence, const struct text_places *places)
{
	struct buffer out;
	char *text;
	bool ok = true;

	buffer_init(&out, SENTENCE_MAX);
	while (ok && *sentence) {
		size_t plain = strcspn(sentence, "{"), len;
		const char *value;

		ok = buffer_append(&out, sentence, plain);
		sentence += plain;
		if (*sentence != '{')
			break;
		len = strcspn(sentence + 1, "}");
		value = sentence[1 + len] ? place_value(places, sentence + 1, len) : NULL;
		if (value) {
			ok = ok && buffer_append(&out, value, strlen(value));
			sentence += len + 2;
		} else {
			/* A brace of an option's value: "{"*": 0}". */
			ok = ok && buffer_append(&out, sentence++, 1);
		}
	}
	text = out.data ? memory_strndup((const char *)buffer_readable(&out).data, buffer_readable(&out).len) : memory_strdup("");
	buffer_free(&out);
	return text;
}
