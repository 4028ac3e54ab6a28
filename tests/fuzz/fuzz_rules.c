/* A task's rules at work: whatever the document and the commands say, a command becomes commands, nothing, or a refusal that has a text; and a key of the
 * snapshot that is copied is, at the target, one that this task has brought.
 *
 * Input: a document, a NUL byte, commands as RESP. */
#include "transform/transform.h"

#include "wire/command.h"
#include "wire/resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_command(struct transform *transform, uint32_t db, uint32_t argc, struct slice *argv)
{
	struct event event = {
		.kind = EVENT_COMMAND, .db = db, .start = 1, .end = 2, .argc = argc, .argv = argv, .expire_at_ms = EXPIRE_NEVER};
	struct transform_output output = {0};
	struct error error = {0};
	uint32_t key;

	event.raw = argv[0];
	event.info = command_lookup(argc, argv);
	key = event.info ? command_first_key(event.info, argc, argv) : 0;
	if (key > 0)
		event.key = argv[key];
	switch (transform_event(transform, &event, &output, &error)) {
	case TRANSFORM_REFUSED:
		if (error.kind != ERROR_CONFLICT || !error.text[0] || !error.hint[0])
			abort();
		break;
	case TRANSFORM_CHANGED:
		for (uint32_t i = 0; i < output.count; i++)
			if (output.events[i].kind != EVENT_COMMAND || output.events[i].argc == 0)
				abort();
		break;
	default: break;
	}
}

static void one_key(struct transform *transform, uint32_t db, uint8_t type, struct slice name)
{
	static const uint8_t nothing[1];
	struct event event = {
		.kind = EVENT_KEY, .db = db, .type = type, .key = name, .value = {nothing, 1}, .expire_at_ms = EXPIRE_NEVER};
	const struct brought_scope scope = {.every_database = true};
	struct transform_output output = {0};
	struct error error;

	switch (transform_event(transform, &event, &output, &error)) {
	case TRANSFORM_CHANGED:
		for (uint32_t i = 0; i < output.count && !transform_clears_not(transform); i++)
			if (transform_brought(transform, &scope, output.events[i].db, output.events[i].key,
					      transform_type_bits(SLICE(""))) == BROUGHT_NO)
				abort();
		break;
	default: break;
	}
}

static void all_commands(struct transform *transform, struct slice rest)
{
	struct resp_command_parser parser;
	uint32_t db = 0;

	resp_command_parser_init(&parser);
	for (uint32_t commands = 0; commands < 50; commands++) {
		struct parse_fault fault;
		struct slice *argv;
		uint64_t taken, need;
		uint32_t argc;

		if (resp_command_parse(&parser, rest, &argc, &argv, &taken, &need, &fault) != PARSE_OK)
			break;
		rest = slice_make(rest.data + taken, rest.len - (size_t)taken);
		if (argc == 0)
			continue;
		db = (db * 5 + argc) % 20;
		one_command(transform, db, argc, argv);
		for (uint32_t i = 0; i < argc && i < 4; i++)
			one_key(transform, db, (uint8_t)(argc + i), argv[i]);
	}
	resp_command_parser_free(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size && size < 2000 ? memchr(data, 0, size) : NULL;
	struct task_options options;
	struct transform *transform;
	struct error error;

	if (!end)
		return 0;
	task_options_init(&options);
	if (task_options_parse(&options, slice_make(data, (size_t)(end - data)), "task.yaml", &error) && !options.lua_script &&
	    transform_check(&options, &error)) {
		transform = transform_new(&options, &(struct transform_target){.databases = 16});
		all_commands(transform, slice_make(end + 1, size - (size_t)(end - data) - 1));
		transform_free(transform);
	}
	task_options_free(&options);
	return 0;
}
