/* What commands become for an older target, for the tests with real servers and recorded streams.
 *
 *   downgrade_tool redis|valkey VERSION RDB_VERSION STREAM_MS < commands
 *
 * Reads commands as RESP from its standard input. For each it writes one line, "same", "rewritten COUNT SAFE" or "cannot COUNT SAFE LOSS: text", and the
 * commands as RESP (for "same" the command itself). */
#include "base/buffer.h"
#include "base/memory.h"
#include "transform/downgrade.h"
#include "wire/resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static uint32_t version_of(const char *text)
{
	unsigned major, minor, patch = 0;

	if (sscanf(text, "%u.%u.%u", &major, &minor, &patch) < 2)
		exit(2);
	return major << 16 | minor << 8 | patch;
}

static void put_command(uint32_t argc, const struct slice *argv)
{
	printf("*%u\r\n", argc);
	for (uint32_t i = 0; i < argc; i++) {
		printf("$%zu\r\n", argv[i].len);
		fwrite(argv[i].data, 1, argv[i].len, stdout);
		printf("\r\n");
	}
}

static void put_result(const struct downgrade_result *result, uint32_t argc, const struct slice *argv)
{
	if (result->outcome == DOWNGRADE_SAME) {
		printf("same\n");
		put_command(argc, argv);
		return;
	}
	if (result->outcome == DOWNGRADE_CANNOT)
		printf("cannot %u %d %s: %s\n", result->count, result->replay_safe, downgrade_loss_name(result->loss),
		       result->lost);
	else
		printf("rewritten %u %d\n", result->count, result->replay_safe);
	for (uint32_t i = 0; i < result->count; i++)
		put_command(result->commands[i].argc, result->commands[i].argv);
}

int main(int argc, char **argv)
{
	struct downgrade_target target = {0};
	struct resp_command_parser parser;
	struct downgrade *downgrade;
	struct buffer input;
	struct slice rest;

	if (argc != 5)
		return 2;
	if (strcmp(argv[1], "valkey") == 0)
		target.valkey = version_of(argv[2]);
	else
		target.redis = version_of(argv[2]);
	target.rdb_version = atoi(argv[3]) > 11 && target.valkey ? 11 : atoi(argv[3]);
	target.valkey_rdb = atoi(argv[3]) == 80;
	downgrade = downgrade_new(&target);
	read_input(&input);
	rest = buffer_readable(&input);
	resp_command_parser_init(&parser);
	while (rest.len > 0) {
		struct downgrade_result result;
		struct parse_fault fault;
		struct slice *words;
		uint64_t taken, need;
		uint32_t count;

		if (resp_command_parse(&parser, rest, &count, &words, &taken, &need, &fault) != PARSE_OK)
			return 2;
		rest = slice_make(rest.data + taken, rest.len - taken);
		if (count == 0)
			continue;
		downgrade_command(downgrade, command_lookup(count, words), count, words, strtoll(argv[4], NULL, 10), &result);
		put_result(&result, count, words);
	}
	resp_command_parser_free(&parser);
	downgrade_free(downgrade);
	buffer_free(&input);
	return 0;
}
