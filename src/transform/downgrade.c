#include "transform/downgrade.h"

#include "base/memory.h"
#include "transform/recast.h"
#include "transform/script.h"
#include "wire/resp.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 24
#define TEXT_MAX ((size_t)1 << 41) /* one argument of a command and a few numbers */

/* One rewriting. It is asked for where the target does not know every form of the command, and always where the command may carry what only a master may
 * send, or a time that counts from now. */
struct row {
	const char *name;
	uint32_t redis, valkey; /* since when every form is known; NEVER: not in that family */
	bool always;
	uint32_t needs; /* the first Redis on which it may work; before that: `loss` */
	enum downgrade_loss loss;
	recast_function *recast;
};

#define ALWAYS true

/* In the order of their names. */
static const struct row rows[] = {
	{"bitop", REDIS(8, 2), NEVER, false, REDIS(3, 0), DOWNGRADE_LOSS_COMMAND, recast_bitop},
	{"blmove", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_lmove},
	{"copy", REDIS(6, 2), EVERY_VALKEY, false, REDIS(3, 2), DOWNGRADE_LOSS_COMMAND, recast_copy},
	{"delex", REDIS(8, 4), NEVER, false, 0, DOWNGRADE_LOSS_COMMAND, recast_to_del_key},
	{"delifeq", NEVER, VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_COMMAND, recast_to_del_key},
	{"expire", REDIS(7, 0), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_expire},
	{"expireat", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_expireat},
	{"flushall", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_flush},
	{"flushdb", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_flush},
	{"geosearchstore", REDIS(6, 2), EVERY_VALKEY, false, REDIS(3, 2), DOWNGRADE_LOSS_COMMAND, recast_geosearchstore},
	{"getdel", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_to_del_key},
	{"getex", REDIS(6, 2), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_getex},
	{"hexpire", REDIS(7, 4), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hexpire},
	{"hexpireat", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hexpireat},
	{"hgetdel", REDIS(8, 0), VALKEY(9, 1), false, 0, DOWNGRADE_LOSS_COMMAND, recast_hgetdel},
	{"hgetex", REDIS(8, 0), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hgetex},
	{"hpersist", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hpersist},
	{"hpexpire", REDIS(7, 4), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hpexpire},
	{"hpexpireat", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hpexpireat},
	{"hset", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_hset},
	{"hsetex", REDIS(8, 0), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, recast_hsetex},
	{"lmove", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_lmove},
	{"lpop", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_pop},
	{"lpushx", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_push_existing},
	{"msetex", REDIS(8, 4), VALKEY(9, 1), ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_msetex},
	{"pexpire", REDIS(7, 0), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_pexpire},
	{"pexpireat", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_pexpireat},
	{"psetex", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_psetex},
	{"restore", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_PAYLOAD, recast_restore},
	{"restore-asking", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_PAYLOAD, recast_restore},
	{"rpop", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_pop},
	{"rpushx", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_push_existing},
	{"script flush", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_script_flush},
	{"set", REDIS(8, 4), NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_set},
	{"setex", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, recast_setex},
	{"spublish", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_spublish},
	{"unlink", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_to_del},
	{"xackdel", REDIS(8, 2), NEVER, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xackdel},
	{"xadd", REDIS(8, 2), NEVER, ALWAYS, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xadd},
	{"xdelex", REDIS(8, 2), NEVER, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xdelex},
	{"xgroup create", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xgroup_start},
	{"xgroup createconsumer", REDIS(6, 2), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM,
	 recast_xgroup_createconsumer},
	{"xgroup setid", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xgroup_start},
	{"xsetid", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xsetid},
	{"xtrim", REDIS(8, 2), NEVER, ALWAYS, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, recast_xtrim},
	{"zadd", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_zadd},
	{"zdiffstore", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_zdiffstore},
	{"zpopmax", REDIS(5, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_zpop},
	{"zpopmin", REDIS(5, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_zpop},
	{"zrangestore", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, recast_zrangestore},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct downgrade {
	struct downgrade_target target;
	struct recast recast; /* its memory stays from command to command */
	struct downgrade_command *commands;
	uint32_t command_room;
};

struct downgrade *downgrade_new(const struct downgrade_target *target)
{
	struct downgrade *downgrade = memory_alloc_zero(1, sizeof(*downgrade));

	downgrade->target = *target;
	downgrade->recast.target = &downgrade->target;
	buffer_init(&downgrade->recast.text, TEXT_MAX);
	return downgrade;
}

void downgrade_free(struct downgrade *downgrade)
{
	if (!downgrade)
		return;
	buffer_free(&downgrade->recast.text);
	free(downgrade->recast.words);
	free(downgrade->recast.runs);
	free(downgrade->commands);
	free(downgrade);
}

const char *downgrade_row_name(uint32_t index)
{
	return index < ROWS ? rows[index].name : NULL;
}

const char *downgrade_loss_name(enum downgrade_loss loss)
{
	static const char *const names[DOWNGRADE_LOSSES] = {
		[DOWNGRADE_LOSS_NONE] = "nothing",
		[DOWNGRADE_LOSS_FIELD_EXPIRY] = "times to live of hash fields",
		[DOWNGRADE_LOSS_STREAM] = "streams",
		[DOWNGRADE_LOSS_FUNCTION] = "function libraries",
		[DOWNGRADE_LOSS_VECTOR_SET] = "vector sets",
		[DOWNGRADE_LOSS_PAYLOAD] = "values in a serialised form",
		[DOWNGRADE_LOSS_COMMAND] = "effects of commands",
	};

	return names[loss];
}

/* What is lost with a command that the target does not know, and what of that there is to say. */
static const char *lost_text(enum downgrade_loss loss)
{
	static const char *const texts[DOWNGRADE_LOSSES] = {
		[DOWNGRADE_LOSS_NONE] = "nothing",
		[DOWNGRADE_LOSS_FIELD_EXPIRY] = "the fields' times to live: it has none for the fields of a hash",
		[DOWNGRADE_LOSS_STREAM] = "what it does to a stream: it has no streams",
		[DOWNGRADE_LOSS_FUNCTION] = "the function library: it has none",
		[DOWNGRADE_LOSS_VECTOR_SET] = "what it does to a vector set: it has none",
		[DOWNGRADE_LOSS_PAYLOAD] = "the value: its serialised form is not known there",
		[DOWNGRADE_LOSS_COMMAND] = "all that it does: the command is not known there, nor anything that does the same",
	};

	return texts[loss];
}

static enum downgrade_loss loss_of(const struct command_info *info)
{
	switch (info->name[0]) {
	case 'f': return strncmp(info->name, "function", 8) == 0 ? DOWNGRADE_LOSS_FUNCTION : DOWNGRADE_LOSS_COMMAND;
	case 'v': return DOWNGRADE_LOSS_VECTOR_SET;
	case 'x': return info->redis_since == REDIS(5, 0) ? DOWNGRADE_LOSS_STREAM : DOWNGRADE_LOSS_COMMAND;
	default: return DOWNGRADE_LOSS_COMMAND;
	}
}

static int compare_row(const void *name, const void *row)
{
	return strcmp(name, ((const struct row *)row)->name);
}

/* ---- making commands ---- */

static void push(struct recast *recast, struct slice word)
{
	if (recast->word_count == recast->word_room) {
		recast->word_room = recast->word_room ? recast->word_room * 2 : 64;
		recast->words = memory_realloc_array(recast->words, recast->word_room, sizeof(recast->words[0]));
	}
	recast->words[recast->word_count++] = word;
}

void recast_begin(struct recast *recast, const char *name)
{
	if (recast->run_count == recast->run_room) {
		recast->run_room = recast->run_room ? recast->run_room * 2 : 16;
		recast->runs = memory_realloc_array(recast->runs, recast->run_room, sizeof(recast->runs[0]));
	}
	recast->runs[recast->run_count++] = (struct run){recast->word_count, NULL};
	recast->result->outcome = DOWNGRADE_REWRITTEN;
	recast_word(recast, name);
}

void recast_word(struct recast *recast, const char *word)
{
	push(recast, slice_of_string(word));
}

void recast_slice(struct recast *recast, struct slice word)
{
	push(recast, word);
}

void recast_number(struct recast *recast, int64_t number)
{
	size_t room;
	uint8_t *at = buffer_room(&recast->text, &room);
	size_t len = resp_put_int64(at, number);

	buffer_produced(&recast->text, len);
	push(recast, slice_make(at, len));
}

void recast_arguments(struct recast *recast, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last; i++)
		push(recast, recast->argv[i]);
}

void recast_script(struct recast *recast, const char *body, uint32_t keys)
{
	recast_begin(recast, "EVAL");
	recast->runs[recast->run_count - 1].info = &script_call;
	recast_word(recast, body);
	recast_number(recast, keys);
}

/* Room for every number that may follow, so that the text does not move: no function writes more than two for each argument, and a few. */
static void reserve(struct recast *recast, size_t len)
{
	if (!buffer_reserve(&recast->text, len + (2 * (size_t)recast->argc + 16) * NUMBER_MAX))
		abort(); /* the argument itself is in memory: this is no larger */
}

uint8_t *recast_memory(struct recast *recast, size_t len)
{
	size_t room;
	uint8_t *at;

	reserve(recast, len);
	at = buffer_room(&recast->text, &room);
	buffer_produced(&recast->text, len);
	return at;
}

void recast_to_nothing(struct recast *recast)
{
	recast->run_count = 0;
	recast->result->outcome = DOWNGRADE_REWRITTEN;
}

void recast_cannot(struct recast *recast, enum downgrade_loss loss, const char *lost)
{
	recast->result->outcome = DOWNGRADE_CANNOT;
	recast->result->loss = loss;
	recast->result->lost = lost ? lost : lost_text(loss);
}

/* ---- times ---- */

bool recast_time(const struct recast *recast, uint32_t at, bool seconds, bool relative, int64_t *ret_ms)
{
	int64_t time;

	/* A number that overflows was an error at the source already. */
	return at < recast->argc && slice_to_int64(recast->argv[at], &time) &&
	       !__builtin_mul_overflow(time, seconds ? 1000 : 1, &time) &&
	       !__builtin_add_overflow(time, relative ? recast->now : 0, ret_ms);
}

enum expiry_form recast_expiry_option(const struct recast *recast, uint32_t at, int64_t *ret_ms)
{
	struct slice word = recast->argv[at];
	bool seconds = word_is(word, "EX") || word_is(word, "EXAT");
	bool relative = word_is(word, "EX") || word_is(word, "PX");

	if (!seconds && !relative && !word_is(word, "PXAT"))
		return EXPIRY_NONE;
	if (!recast_time(recast, at + 1, seconds, relative, ret_ms))
		return EXPIRY_NONE;
	return relative ? EXPIRY_RELATIVE : EXPIRY_ABSOLUTE;
}

/* ---- the whole ---- */

static void finish(struct downgrade *downgrade, struct downgrade_result *ret)
{
	struct recast *recast = &downgrade->recast;

	if (recast->run_count > downgrade->command_room) {
		downgrade->command_room = recast->run_room;
		downgrade->commands =
			memory_realloc_array(downgrade->commands, downgrade->command_room, sizeof(downgrade->commands[0]));
	}
	ret->count = recast->run_count;
	ret->commands = downgrade->commands;
	ret->replay_safe = true;
	for (uint32_t i = 0; i < recast->run_count; i++) {
		struct downgrade_command *command = &downgrade->commands[i];
		uint32_t end = i + 1 < recast->run_count ? recast->runs[i + 1].first : recast->word_count;

		command->argv = recast->words + recast->runs[i].first;
		command->argc = end - recast->runs[i].first;
		command->info = recast->runs[i].info ? recast->runs[i].info : command_lookup(command->argc, command->argv);
		if (!command_is_replay_safe(command->info, command->argc, command->argv))
			ret->replay_safe = recast->safe_together;
	}
}

void downgrade_command(struct downgrade *downgrade, const struct command_info *info, uint32_t argc, const struct slice *argv,
		       int64_t stream_ms, struct downgrade_result *ret)
{
	struct recast *recast = &downgrade->recast;
	const struct row *row;
	bool known;

	*ret = (struct downgrade_result){.outcome = DOWNGRADE_SAME};
	if (!info || (info->flags & COMMAND_LEARNED))
		return;
	known = target_has(&downgrade->target, info->redis_since, info->valkey_since);
	if (known && !(info->flags & (COMMAND_RELATIVE_EXPIRY | COMMAND_LATER_FORMS)))
		return;
	row = bsearch(info->name, rows, ROWS, sizeof(rows[0]), compare_row);
	if (known && (!row || (!row->always && target_has(&downgrade->target, row->redis, row->valkey))))
		return;
	recast->argc = argc;
	recast->argv = argv;
	recast->now = stream_ms;
	recast->result = ret;
	recast->word_count = recast->run_count = 0;
	recast->safe_together = false;
	buffer_clear(&recast->text);
	reserve(recast, 0);
	if (!row)
		recast_cannot(recast, loss_of(info), NULL);
	else if (!target_has(&downgrade->target, row->needs ? row->needs : 1, EVERY_VALKEY))
		recast_cannot(recast, row->loss, NULL);
	else
		row->recast(recast);
	/* A form that no function makes sense of (too few arguments): the target says what is wrong with it. */
	finish(downgrade, ret);
}
