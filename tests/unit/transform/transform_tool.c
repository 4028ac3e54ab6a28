/* What commands become under the rules of a task document, for the tests with real servers.
 *
 *   transform_tool DOCUMENT < commands
 *
 * Reads commands as RESP from its standard input; SELECT chooses the database of those behind it. For each other one it writes a line, "same 1", "changed
 * COUNT", "dropped 0", "clear 0" or "refused 0 why", and the commands as RESP, each with its database in front ("same": the command itself). */
#include "base/buffer.h"
#include "base/memory.h"
#include "transform/transform.h"
#include "wire/command.h"
#include "wire/resp.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX ((size_t)1 << 30)

static void read_input(struct buffer *input)
{
	size_t len, room;

	buffer_init(input, INPUT_MAX);
	do {
		if (!buffer_reserve(input, 1 << 16))
			exit(2);
		uint8_t *at = buffer_room(input, &room);

		len = fread(at, 1, room, stdin);
		buffer_produced(input, len);
	} while (len > 0);
}

static void put_command(uint32_t db, uint32_t argc, const struct slice *argv)
{
	char number[16];
	int digits = snprintf(number, sizeof(number), "%u", db);

	printf("*%u\r\n$%d\r\n%s\r\n", argc + 1, digits, number);
	for (uint32_t i = 0; i < argc; i++) {
		printf("$%zu\r\n", argv[i].len);
		fwrite(argv[i].data, 1, argv[i].len, stdout);
		printf("\r\n");
	}
}

static void transform_one(struct transform *transform, uint32_t db, uint32_t argc, struct slice *argv)
{
	struct event event = {
		.kind = EVENT_COMMAND, .db = db, .start = 1, .end = 2, .expire_at_ms = EXPIRE_NEVER, .argc = argc, .argv = argv};
	struct transform_output output = {0};
	struct error error;
	uint32_t key;

	event.raw = argv[0];
	event.info = command_lookup(argc, argv);
	key = event.info ? command_first_key(event.info, argc, argv) : 0;
	if (key > 0)
		event.key = argv[key];
	switch (transform_event(transform, &event, &output, &error)) {
	case TRANSFORM_SAME:
		printf("same 1\n");
		put_command(db, argc, argv);
		return;
	case TRANSFORM_DROPPED: printf("dropped 0\n"); return;
	case TRANSFORM_CLEAR: printf("clear 0\n"); return;
	case TRANSFORM_REFUSED: printf("refused 0 %s\n", error.text); return;
	case TRANSFORM_CHANGED: break;
	}
	printf("changed %u\n", output.count);
	for (uint32_t i = 0; i < output.count; i++)
		put_command(output.events[i].db, output.events[i].argc, output.events[i].argv);
}

int main(int argc, char **argv)
{
	const struct transform_target target = {.databases = 16};
	struct resp_command_parser parser;
	struct transform *transform;
	struct task_options options;
	struct buffer input;
	struct error error;
	struct slice rest;
	uint32_t db = 0;

	task_options_init(&options);
	if (argc != 2 || !task_options_read(&options, argv[1], &error) || !transform_check(&options, &error)) {
		fprintf(stderr, "%s\n", argc == 2 ? error.text : "usage: transform_tool DOCUMENT");
		return 2;
	}
	transform = transform_new(&options, &target);
	read_input(&input);
	rest = buffer_readable(&input);
	resp_command_parser_init(&parser);
	while (rest.len > 0) {
		struct parse_fault fault;
		struct slice *words;
		uint64_t taken, need, number;
		uint32_t count;

		if (resp_command_parse(&parser, rest, &count, &words, &taken, &need, &fault) != PARSE_OK)
			return 2;
		rest = slice_make(rest.data + taken, rest.len - taken);
		if (count == 2 && slice_equal_nocase(words[0], SLICE("SELECT")) && slice_to_uint64(words[1], &number))
			db = (uint32_t)number;
		else if (count > 0)
			transform_one(transform, db, count, words);
	}
	resp_command_parser_free(&parser);
	buffer_free(&input);
	transform_free(transform);
	task_options_free(&options);
	return 0;
}
