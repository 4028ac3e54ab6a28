/* Any arguments, one a line: keys of the built-in table and of a learned one lie inside the command, all ways of asking agree. */
#include "wire/command.h"

#include <stdlib.h>

#define ARGUMENTS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

struct visits {
	uint32_t argc;
	uint32_t first;
	int count;
};

static void visit(void *owner, uint32_t index)
{
	struct visits *visits = owner;

	check(index > 0 && index < visits->argc);
	if (visits->count++ == 0)
		visits->first = index;
}

static void check_keys(const struct command_info *info, uint32_t argc, const struct slice *argv)
{
	struct visits visits = {.argc = argc};
	int count = command_keys(info, argc, argv, visit, &visits);

	check(count == -1 ? visits.count == 0 : visits.count == count);
	check(command_first_key(info, argc, argv) == visits.first);
	(void)command_is_replay_safe(info, argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice argv[ARGUMENTS_MAX];
	struct command_table *table;
	const struct command_info *info;
	struct command_keys keys = {0};
	uint32_t argc = 0;
	size_t from = sizeof(keys);

	if (size < sizeof(keys))
		return 0;
	memcpy(&keys, data, sizeof(keys));
	for (size_t at = from; at <= size && argc < ARGUMENTS_MAX; at++) {
		if (at == size || data[at] == '\n') {
			argv[argc++] = slice_make(data + from, at - from);
			from = at + 1;
		}
	}
	info = command_lookup(argc, argv);
	if (info)
		check_keys(info, argc, argv);
	table = command_table_new();
	info = command_table_learn(table, argv[0], keys.first ^ keys.last, true, keys.step == 77, keys);
	if (info)
		check_keys(info, argc, argv);
	check(command_table_lookup(table, argc, argv) == command_lookup(argc, argv) || info);
	command_table_free(table);
	return 0;
}
