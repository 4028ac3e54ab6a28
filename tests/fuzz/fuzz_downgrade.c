/* Commands of any kind for targets of every age: what comes out has a name in the command table, and all its words lie where they should. A rewritten command
 * that is asked for again, for the same target, stays: one pass is enough. */
#include "transform/downgrade.h"
#include "wire/resp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct downgrade_target targets[] = {
	{.redis = 0x020818, .rdb_version = 6},
	{.redis = 0x03020d, .rdb_version = 7},
	{.redis = 0x05000e, .rdb_version = 9},
	{.redis = 0x060010, .rdb_version = 9},
	{.redis = 0x07000f, .rdb_version = 10},
	{.redis = 0x070401, .rdb_version = 12},
	{.redis = 0x080400, .rdb_version = 12},
	{.valkey = 0x080001, .rdb_version = 11},
	{.valkey = 0x090102, .rdb_version = 11, .valkey_rdb = true},
	{.redis = 0x070204, .valkey = 0x090000, .rdb_version = 11},
};

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_stays(const struct downgrade_target *target, const struct downgrade_command *command)
{
	struct downgrade *downgrade = downgrade_new(target);
	struct downgrade_result again;

	downgrade_command(downgrade, command_lookup(command->argc, command->argv), command->argc, command->argv, 0, &again);
	check(again.outcome == DOWNGRADE_SAME);
	downgrade_free(downgrade);
}

static void check_target(const struct downgrade_target *target, uint32_t argc, const struct slice *argv)
{
	struct downgrade *downgrade = downgrade_new(target);
	struct downgrade_result result;
	size_t bytes = 0;

	downgrade_command(downgrade, command_lookup(argc, argv), argc, argv, 1700000000000, &result);
	check((result.outcome == DOWNGRADE_CANNOT) == (result.lost != NULL));
	check(result.outcome != DOWNGRADE_SAME || result.count == 0);
	for (uint32_t i = 0; i < result.count; i++) {
		const struct downgrade_command *command = &result.commands[i];

		check(command->argc > 0 && command->info && !(command->info->flags & COMMAND_SCRIPT));
		for (uint32_t w = 0; w < command->argc; w++)
			for (size_t b = 0; b < command->argv[w].len; b++)
				bytes += command->argv[w].data[b];
		check_stays(target, command);
	}
	check(bytes < SIZE_MAX);
	downgrade_free(downgrade);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_command_parser parser;
	struct slice *argv;
	struct parse_fault fault;
	uint64_t taken, need;
	uint32_t argc;

	resp_command_parser_init(&parser);
	if (resp_command_parse(&parser, slice_make(data, size), &argc, &argv, &taken, &need, &fault) == PARSE_OK && argc > 0)
		for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
			check_target(&targets[i], argc, argv);
	resp_command_parser_free(&parser);
	return 0;
}
