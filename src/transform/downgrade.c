#include "transform/downgrade.h"

#include "base/memory.h"
#include "transform/rewrite.h"
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
	uint32_t needs;           /* the first Redis on which it may work; before that: `loss` */
	enum downgrade_loss loss;
	rewrite_function *rewrite;
};

#define ALWAYS true

/* In the order of their names. */
static const struct row rows[] = {
	{"bitop", REDIS(8, 2), NEVER, false, REDIS(3, 0), DOWNGRADE_LOSS_COMMAND, rewrite_bitop},
	{"blmove", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_lmove},
	{"copy", REDIS(6, 2), EVERY_VALKEY, false, REDIS(3, 2), DOWNGRADE_LOSS_COMMAND, rewrite_copy},
	{"delex", REDIS(8, 4), NEVER, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_to_del_key},
	{"delifeq", NEVER, VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_to_del_key},
	{"expire", REDIS(7, 0), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_expire},
	{"expireat", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_expireat},
	{"flushall", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_flush},
	{"flushdb", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_flush},
	{"geosearchstore", REDIS(6, 2), EVERY_VALKEY, false, REDIS(3, 2), DOWNGRADE_LOSS_COMMAND, rewrite_geosearchstore},
	{"getdel", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_to_del_key},
	{"getex", REDIS(6, 2), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_getex},
	{"hexpire", REDIS(7, 4), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hexpire},
	{"hexpireat", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hexpireat},
	{"hgetdel", REDIS(8, 0), VALKEY(9, 1), false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_hgetdel},
	{"hgetex", REDIS(8, 0), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hgetex},
	{"hpersist", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hpersist},
	{"hpexpire", REDIS(7, 4), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hpexpire},
	{"hpexpireat", REDIS(7, 4), VALKEY(9, 0), false, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hpexpireat},
	{"hset", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_hset},
	{"hsetex", REDIS(8, 0), VALKEY(9, 0), ALWAYS, 0, DOWNGRADE_LOSS_FIELD_EXPIRY, rewrite_hsetex},
	{"lmove", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_lmove},
	{"lpop", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_pop},
	{"lpushx", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_push_existing},
	{"msetex", REDIS(8, 4), VALKEY(9, 1), ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_msetex},
	{"pexpire", REDIS(7, 0), EVERY_VALKEY, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_pexpire},
	{"pexpireat", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_pexpireat},
	{"psetex", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_psetex},
	{"restore", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_PAYLOAD, rewrite_restore},
	{"restore-asking", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_PAYLOAD, rewrite_restore},
	{"rpop", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_pop},
	{"rpushx", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_push_existing},
	{"script flush", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_script_flush},
	{"set", REDIS(8, 4), NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_set},
	{"setex", NEVER, NEVER, ALWAYS, 0, DOWNGRADE_LOSS_COMMAND, rewrite_setex},
	{"spublish", REDIS(7, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_spublish},
	{"unlink", REDIS(4, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_to_del},
	{"xackdel", REDIS(8, 2), NEVER, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xackdel},
	{"xadd", REDIS(8, 2), NEVER, ALWAYS, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xadd},
	{"xdelex", REDIS(8, 2), NEVER, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xdelex},
	{"xgroup create", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xgroup_start},
	{"xgroup createconsumer", REDIS(6, 2), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xgroup_createconsumer},
	{"xgroup setid", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xgroup_start},
	{"xsetid", REDIS(7, 0), EVERY_VALKEY, false, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xsetid},
	{"xtrim", REDIS(8, 2), NEVER, ALWAYS, REDIS(5, 0), DOWNGRADE_LOSS_STREAM, rewrite_xtrim},
	{"zadd", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_zadd},
	{"zdiffstore", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_zdiffstore},
	{"zpopmax", REDIS(5, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_zpop},
	{"zpopmin", REDIS(5, 0), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_zpop},
	{"zrangestore", REDIS(6, 2), EVERY_VALKEY, false, 0, DOWNGRADE_LOSS_COMMAND, rewrite_zrangestore},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* What an EVAL of ours is to routing; not marked as a script of the source. */
static const struct command_info script_info = {
	.name = "eval",
	.name_len = 4,
	.arity = -3,
	.flags = COMMAND_WRITE | COMMAND_MOVABLE_KEYS,
	.key_rule = COMMAND_KEYS_SCRIPT,
	.key_at = 2,
	.key_step = 1,
};

struct downgrade {
	struct downgrade_target target;
	struct rewrite rewrite; /* its memory stays from command to command */
	struct downgrade_command *commands;
	uint32_t command_room;
};

struct downgrade *downgrade_new(const struct downgrade_target *target)
{
	struct downgrade *downgrade = memory_alloc_zero(1, sizeof(*downgrade));

	downgrade->target = *target;
	downgrade->rewrite.target = &downgrade->target;
	buffer_init(&downgrade->rewrite.text, TEXT_MAX);
	return downgrade;
}

void downgrade_free(struct downgrade *downgrade)
{
	if (!downgrade)
		return;
	buffer_free(&downgrade->rewrite.text);
	free(downgrade->rewrite.words);
	free(downgrade->rewrite.runs);
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
	case 'f':
		return strncmp(info->name, "function", 8) == 0 ? DOWNGRADE_LOSS_FUNCTION : DOWNGRADE_LOSS_COMMAND;
	case 'v':
		return DOWNGRADE_LOSS_VECTOR_SET;
	case 'x':
		return info->redis_since == REDIS(5, 0) ? DOWNGRADE_LOSS_STREAM : DOWNGRADE_LOSS_COMMAND;
	default:
		return DOWNGRADE_LOSS_COMMAND;
	}
}

static int compare_row(const void *name, const void *row)
{
	return strcmp(name, ((const struct row *)row)->name);
}

/* ---- making commands ---- */

static void push(struct rewrite *rewrite, struct slice word)
{
	if (rewrite->word_count == rewrite->word_room) {
		rewrite->word_room = rewrite->word_room ? rewrite->word_room * 2 : 64;
		rewrite->words = memory_realloc_array(rewrite->words, rewrite->word_room, sizeof(rewrite->words[0]));
	}
	rewrite->words[rewrite->word_count++] = word;
}

void rewrite_begin(struct rewrite *rewrite, const char *name)
{
	if (rewrite->run_count == rewrite->run_room) {
		rewrite->run_room = rewrite->run_room ? rewrite->run_room * 2 : 16;
		rewrite->runs = memory_realloc_array(rewrite->runs, rewrite->run_room, sizeof(rewrite->runs[0]));
	}
	rewrite->runs[rewrite->run_count++] = (struct run){rewrite->word_count, NULL};
	rewrite->result->outcome = DOWNGRADE_REWRITTEN;
	rewrite_word(rewrite, name);
}

void rewrite_word(struct rewrite *rewrite, const char *word)
{
	push(rewrite, slice_of_string(word));
}

void rewrite_slice(struct rewrite *rewrite, struct slice word)
{
	push(rewrite, word);
}

void rewrite_number(struct rewrite *rewrite, int64_t number)
{
	size_t room;
	uint8_t *at = buffer_room(&rewrite->text, &room);
	size_t len = resp_put_int64(at, number);

	buffer_produced(&rewrite->text, len);
	push(rewrite, slice_make(at, len));
}

void rewrite_arguments(struct rewrite *rewrite, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i < last; i++)
		push(rewrite, rewrite->argv[i]);
}

void rewrite_script(struct rewrite *rewrite, const char *body, uint32_t keys)
{
	rewrite_begin(rewrite, "EVAL");
	rewrite->runs[rewrite->run_count - 1].info = &script_info;
	rewrite_word(rewrite, body);
	rewrite_number(rewrite, keys);
}

/* Room for every number that may follow, so that the text does not move: no function writes more than two for each argument, and a few. */
static void reserve(struct rewrite *rewrite, size_t len)
{
	if (!buffer_reserve(&rewrite->text, len + (2 * (size_t)rewrite->argc + 16) * NUMBER_MAX))
		abort(); /* the argument itself is in memory: this is no larger */
}

uint8_t *rewrite_memory(struct rewrite *rewrite, size_t len)
{
	size_t room;
	uint8_t *at;

	reserve(rewrite, len);
	at = buffer_room(&rewrite->text, &room);
	buffer_produced(&rewrite->text, len);
	return at;
}

void rewrite_to_nothing(struct rewrite *rewrite)
{
	rewrite->run_count = 0;
	rewrite->result->outcome = DOWNGRADE_REWRITTEN;
}

void rewrite_cannot(struct rewrite *rewrite, enum downgrade_loss loss, const char *lost)
{
	rewrite->result->outcome = DOWNGRADE_CANNOT;
	rewrite->result->loss = loss;
	rewrite->result->lost = lost ? lost : lost_text(loss);
}

/* ---- times ---- */

bool rewrite_time(const struct rewrite *rewrite, uint32_t at, bool seconds, bool relative, int64_t *ret_ms)
{
	int64_t time;

	/* A number that overflows was an error at the source already. */
	return at < rewrite->argc && slice_to_int64(rewrite->argv[at], &time) &&
	       !__builtin_mul_overflow(time, seconds ? 1000 : 1, &time) &&
	       !__builtin_add_overflow(time, relative ? rewrite->now : 0, ret_ms);
}

enum expiry_form rewrite_expiry_option(const struct rewrite *rewrite, uint32_t at, int64_t *ret_ms)
{
	struct slice word = rewrite->argv[at];
	bool seconds = word_is(word, "EX") || word_is(word, "EXAT");
	bool relative = word_is(word, "EX") || word_is(word, "PX");

	if (!seconds && !relative && !word_is(word, "PXAT"))
		return EXPIRY_NONE;
	if (!rewrite_time(rewrite, at + 1, seconds, relative, ret_ms))
		return EXPIRY_NONE;
	return relative ? EXPIRY_RELATIVE : EXPIRY_ABSOLUTE;
}

/* ---- the whole ---- */

static void finish(struct downgrade *downgrade, struct downgrade_result *ret)
{
	struct rewrite *rewrite = &downgrade->rewrite;

	if (rewrite->run_count > downgrade->command_room) {
		downgrade->command_room = rewrite->run_room;
		downgrade->commands = memory_realloc_array(downgrade->commands, downgrade->command_room, sizeof(downgrade->commands[0]));
	}
	ret->count = rewrite->run_count;
	ret->commands = downgrade->commands;
	ret->replay_safe = true;
	for (uint32_t i = 0; i < rewrite->run_count; i++) {
		struct downgrade_command *command = &downgrade->commands[i];
		uint32_t end = i + 1 < rewrite->run_count ? rewrite->runs[i + 1].first : rewrite->word_count;

		command->argv = rewrite->words + rewrite->runs[i].first;
		command->argc = end - rewrite->runs[i].first;
		command->info = rewrite->runs[i].info ? rewrite->runs[i].info : command_lookup(command->argc, command->argv);
		if (!command_is_replay_safe(command->info, command->argc, command->argv))
			ret->replay_safe = rewrite->safe_together;
	}
}

void downgrade_command(struct downgrade *downgrade, const struct command_info *info, uint32_t argc, const struct slice *argv, int64_t stream_ms,
		       struct downgrade_result *ret)
{
	struct rewrite *rewrite = &downgrade->rewrite;
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
	rewrite->argc = argc;
	rewrite->argv = argv;
	rewrite->now = stream_ms;
	rewrite->result = ret;
	rewrite->word_count = rewrite->run_count = 0;
	rewrite->safe_together = false;
	buffer_clear(&rewrite->text);
	reserve(rewrite, 0);
	if (!row)
		rewrite_cannot(rewrite, loss_of(info), NULL);
	else if (!target_has(&downgrade->target, row->needs ? row->needs : 1, EVERY_VALKEY))
		rewrite_cannot(rewrite, row->loss, NULL);
	else
		row->rewrite(rewrite);
	/* A form that no function makes sense of (too few arguments): the target says what is wrong with it. */
	finish(downgrade, ret);
}
