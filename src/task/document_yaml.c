#include "task/document.h"

#include <yaml.h>

struct yaml_reader {
	struct document_builder *builder;
	struct slice text;
	struct document_node *open[DOCUMENT_DEPTH_MAX + 1]; /* mappings and lists not yet ended, outermost first */
	size_t depth;
	struct {
		yaml_event_t event; /* the scalar, held while its value is awaited: it owns the key's bytes */
		bool held;
	} key;
};

static size_t line_at(struct slice text, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset && i < text.len; i++)
		line += text.data[i] == '\n';
	return line;
}

static bool fail_by_parser(struct yaml_reader *reader, const yaml_parser_t *parser)
{
	/* A problem of the encoding comes with an offset, all others with a mark. */
	size_t line = parser->error == YAML_READER_ERROR ? line_at(reader->text, parser->problem_offset)
							 : parser->problem_mark.line + 1;

	return document_fail(reader->builder, line, "not YAML: %s%s%s", parser->problem ? parser->problem : "it cannot be read",
			     parser->context ? " " : "", parser->context ? parser->context : "");
}

static bool is_null(const yaml_event_t *event)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp((const char *)event->data.scalar.value, words[i]) == 0)
			return true;
	return false;
}

static bool add(struct yaml_reader *reader, enum document_kind kind, struct slice text, size_t line)
{
	struct document_node *parent = reader->depth ? reader->open[reader->depth - 1] : NULL;
	struct slice key = {0};
	struct document_node *node;

	if (reader->key.held) {
		key = slice_make(reader->key.event.data.scalar.value, reader->key.event.data.scalar.length);
		line = reader->key.event.start_mark.line + 1;
	}
	node = document_add(reader->builder, parent, key, kind, text, line, reader->depth + 1);
	if (reader->key.held)
		yaml_event_delete(&reader->key.event);
	reader->key.held = false;
	if (!node)
		return false;
	if (kind == DOCUMENT_MAP || kind == DOCUMENT_LIST)
		reader->open[reader->depth++] = node;
	return true;
}

static bool awaits_key(const struct yaml_reader *reader)
{
	return reader->depth && reader->open[reader->depth - 1]->kind == DOCUMENT_MAP && !reader->key.held;
}

/* Takes the event over when it is a key: it is then zeroed. */
static bool read_scalar(struct yaml_reader *reader, yaml_event_t *event)
{
	size_t line = event->start_mark.line + 1;
	struct slice text = slice_make(event->data.scalar.value, event->data.scalar.length);

	if (event->data.scalar.tag)
		return document_fail(reader->builder, line, "tags (!...) are not used in a task document");
	if (!awaits_key(reader))
		return add(reader, is_null(event) ? DOCUMENT_NULL : DOCUMENT_SCALAR, text, line);
	if (slice_equal(text, SLICE("<<")))
		return document_fail(reader->builder, line,
				     "merge keys (<<) are not used in a task document: write the options out");
	reader->key.event = *event;
	reader->key.held = true;
	memset(event, 0, sizeof(*event));
	return true;
}

static bool read_start(struct yaml_reader *reader, enum document_kind kind, const yaml_event_t *event)
{
	size_t line = event->start_mark.line + 1;
	const yaml_char_t *tag = kind == DOCUMENT_MAP ? event->data.mapping_start.tag : event->data.sequence_start.tag;

	if (tag)
		return document_fail(reader->builder, line, "tags (!...) are not used in a task document");
	if (awaits_key(reader))
		return document_fail(reader->builder, line, "the name of an option is a word, not a %s",
				     kind == DOCUMENT_MAP ? "mapping" : "list");
	return add(reader, kind, (struct slice){0}, line);
}

static bool read_event(struct yaml_reader *reader, yaml_event_t *event)
{
	size_t line = event->start_mark.line + 1;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->builder->root)
			return document_fail(reader->builder, line, "a second document (---): one file describes one task");
		return true;
	case YAML_ALIAS_EVENT:
		return document_fail(reader->builder, line,
				     "aliases (*...) are not used in a task document: write the options out");
	case YAML_SCALAR_EVENT: return read_scalar(reader, event);
	case YAML_MAPPING_START_EVENT: return read_start(reader, DOCUMENT_MAP, event);
	case YAML_SEQUENCE_START_EVENT: return read_start(reader, DOCUMENT_LIST, event);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT: reader->depth--; return true;
	default: return true;
	}
}

bool document_read_yaml(struct document_builder *builder, struct slice text)
{
	struct yaml_reader reader = {.builder = builder, .text = text};
	yaml_parser_t parser;
	bool read = true, ended = false;

	if (!yaml_parser_initialize(&parser)) {
		error_set(builder->error, ERROR_INTERNAL, "out of memory for the YAML reader");
		return false;
	}
	yaml_parser_set_input_string(&parser, text.data ? text.data : (const uint8_t *)"", text.len);
	while (read && !ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			read = fail_by_parser(&reader, &parser);
			break;
		}
		ended = event.type == YAML_STREAM_END_EVENT;
		read = read_event(&reader, &event);
		yaml_event_delete(&event);
	}
	if (reader.key.held)
		yaml_event_delete(&reader.key.event);
	yaml_parser_delete(&parser);
	return read;
}
