#include "verify/remake.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sink/abilities.h"
#include "verify/reading.h"
#include "wire/rdb.h"
#include "wire/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct remake {
	struct rewrite *rewrite;
	struct target_abilities abilities;
	char name[64];
};

struct remake *remake_new(const struct task_options *task)
{
	struct remake *remake = memory_alloc_zero(1, sizeof(*remake));
	char whose[48];

	remake->rewrite = rewrite_new();
	remake->abilities.lossy = task->downgrade == DOWNGRADE_LOSSY;
	/* A link may be rewriting keys of the same slot, and so may another verification. */
	snprintf(whose, sizeof(whose), "verify-%ld-%llx", (long)getpid(), (unsigned long long)clock_wall_ms());
	rewrite_name_temporary(remake->rewrite, whose);
	return remake;
}

void remake_free(struct remake *remake)
{
	if (!remake)
		return;
	rewrite_free(remake->rewrite);
	free(remake);
}

void remake_ask(struct remake *remake, const struct side *target)
{
	bool lossy = remake->abilities.lossy, first = true;

	for (uint32_t i = 0; i < target->count; i++) {
		const struct server_info *info = deployment_server(target->deployment, i);
		struct target_abilities one;

		if (!info)
			continue;
		one = abilities_of_server(info);
		if (first || one.rdb_version < remake->abilities.rdb_version)
			server_name(info, remake->name);
		if (first)
			remake->abilities = one;
		abilities_meet(&remake->abilities, &one);
		first = false;
	}
	remake->abilities.name = remake->name;
	remake->abilities.lossy = lossy;
}

bool remake_is_needed(const struct remake *remake, struct slice payload)
{
	if (payload.len <= READING_FOOTER_LEN)
		return false;
	if (remake->abilities.ends_at_modules && payload.data[0] == RDB_TYPE_MODULE_2)
		return true;
	return !abilities_take_version(&remake->abilities,
				       (int)rdb_little_endian(payload.data + payload.len - READING_FOOTER_LEN, 2));
}

bool remake_is_refusal(struct slice answer)
{
	return slice_starts_with(answer, SLICE("ERR DUMP payload version")) ||
	       slice_starts_with(answer, SLICE("ERR Bad data format"));
}

static bool begin(struct remake *remake, const struct remake_key *key, bool large, struct error *error)
{
	const struct event event = {
		.kind = EVENT_KEY,
		.db = key->db,
		.offset = EVENT_IN_SNAPSHOT,
		.key = key->key,
		.value = key->form.value,
		.type = key->form.type,
		.expire_at_ms = key->expire_at_ms == READING_NO_EXPIRY ? EXPIRE_NEVER : key->expire_at_ms,
		.idle_seconds = -1,
		.frequency = -1,
	};

	rewrite_set_times(remake->rewrite, &key->times);
	return rewrite_begin(remake->rewrite, &event, slot_of_key(key->key), key->form.valkey, &remake->abilities,
			     large ? REWRITE_RENAME : REWRITE_DIRECT, error);
}

bool remake_begin(struct remake *remake, const struct remake_key *key, bool large, struct error *error)
{
	enum rewrite_answer answer;
	struct slice *argv;
	uint32_t argc;

	if (!begin(remake, key, large, error))
		return false;
	do
		answer = remake_next(remake, &argc, &argv, error);
	while (answer == REWRITE_COMMAND || answer == REWRITE_PLACE);
	return answer == REWRITE_END && begin(remake, key, large, error);
}

enum rewrite_answer remake_next(struct remake *remake, uint32_t *ret_argc, struct slice **ret_argv, struct error *error)
{
	return rewrite_next(remake->rewrite, ret_argc, ret_argv, error);
}

const char *remake_losses(struct remake *remake)
{
	return rewrite_losses(remake->rewrite);
}

struct slice remake_temporary(const struct remake *remake)
{
	return rewrite_temporary(remake->rewrite);
}
