/* Commands: whole, in pieces, with memory that moves: always the same answer. What was parsed, written again, parses alike. */
#include "base/buffer.h"
#include "base/memory.h"
#include "wire/resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* Hands out data[0..size) in steps as the first byte says; each call sees other memory of exactly that length. */
static enum parse parse_in_pieces(const uint8_t *data, size_t size, size_t step, uint64_t *at, uint32_t *argc)
{
	struct resp_command_parser parser;
	enum parse result = PARSE_MORE;
	size_t len = 0;

	resp_command_parser_init(&parser);
	while (result == PARSE_MORE && len < size) {
		struct parse_fault fault;
		struct slice *argv;
		uint64_t need;
		uint8_t *copy;

		len = len + step < size ? len + step : size;
		copy = memory_alloc(len);
		memcpy(copy, data, len);
		result = resp_command_parse(&parser, slice_make(copy, len), argc, &argv, at, &need, &fault);
		if (result == PARSE_MORE)
			check(need > len);
		if (result == PARSE_BAD)
			*at = fault.offset;
		for (uint32_t i = 0; result == PARSE_OK && i < *argc; i++)
			check(argv[i].data >= copy && argv[i].data + argv[i].len <= copy + len);
		free(copy);
	}
	resp_command_parser_free(&parser);
	return result;
}

static void check_written(uint32_t argc, const struct slice *argv)
{
	struct resp_command_parser parser;
	struct parse_fault fault;
	struct buffer buffer;
	struct slice *again;
	uint32_t count;
	uint64_t taken;
	uint64_t need;

	buffer_init(&buffer, 1 << 20);
	resp_command_parser_init(&parser);
	check(resp_command_write(&buffer, argc, argv));
	check(resp_command_parse(&parser, buffer_readable(&buffer), &count, &again, &taken, &need, &fault) == PARSE_OK);
	check(count == argc && taken == buffer_readable(&buffer).len);
	for (uint32_t i = 0; i < argc; i++)
		check(slice_equal(argv[i], again[i]));
	resp_command_parser_free(&parser);
	buffer_free(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_command_parser parser;
	struct parse_fault fault;
	struct slice *argv;
	uint32_t argc = 0;
	uint32_t argc_again = 0;
	uint64_t at = 0;
	uint64_t at_again = 0;
	uint64_t need = 0;
	enum parse result;

	if (size < 2)
		return 0;
	resp_command_parser_init(&parser);
	result = resp_command_parse(&parser, slice_make(data + 1, size - 1), &argc, &argv, &at, &need, &fault);
	if (result == PARSE_BAD) {
		at = fault.offset;
		check(at < size - 1);
	} else if (result == PARSE_OK) {
		check(at <= size - 1);
		check_written(argc, argv);
	} else {
		check(need > size - 1);
	}
	check(parse_in_pieces(data + 1, size - 1, data[0] % 32 + 1u, &at_again, &argc_again) == result);
	if (result != PARSE_MORE)
		check(at_again == at);
	if (result == PARSE_OK)
		check(argc_again == argc);
	resp_command_parser_free(&parser);
	return 0;
}
