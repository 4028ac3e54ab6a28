/* The guard of expiries: in which form a time of expiry is written to a target that expires keys by itself.
 *
 * A replica never expires a key by itself, it waits for its master's DEL. A target that is no replica does, and what the stream still has to say about such a key
 * (EXPIRE, INCR, APPEND) then comes too late. So times are written in one of these forms, and the source's DEL ends the keys:
 *
 *   true   T                     the target waits for DEL (import mode), or nothing is guarded
 *   live   T + margin            the link is in step with its source; what is late by less than the margin does no harm
 *   held   T + base              the link is behind: so far away that nothing expires
 *
 * A held time says by itself that it is one, and what is true: it lies in [base, base + GUARD_SPAN), and base + T is T. No list of them is kept anywhere, making
 * one twice is making it once, and what a killed process leaves is understood by the next one. True times that are not in (0, GUARD_SPAN) (the year 2248) stay as
 * they are in every form.
 *
 * Keys: base is 2^52 and the task's number (of 512) times GUARD_SPAN, so several tasks into one target tell theirs apart; below 2^53 for the sake of Lua's numbers.
 * Fields of hashes: Redis takes times below 2^46 for them (measured on 8.0; Valkey 9 more), so base is 2^45 for every task.
 *
 * Conditions of EXPIRE (NX, XX, GT, LT) are left out: a master sends what they let through, and at the target they would compare two forms. HPEXPIREAT of
 * several fields comes from Valkey 9 with all of them, so there GT and LT are asked of true times by a script (measured: Redis 8.0 sends the changed fields only).
 * Thread: owned by one. */
#ifndef KEYFERRY_TRANSFORM_GUARD_H
#define KEYFERRY_TRANSFORM_GUARD_H

#include "base/arena.h"
#include "wire/command.h"

#define GUARD_SPAN (1LL << 43)
#define GUARD_TASKS 512
#define GUARD_KEY_BASE (1LL << 52)
#define GUARD_FIELD_BASE (1LL << 45)

enum guard_form {
	GUARD_OFF,    /* true times; the target expires by itself */
	GUARD_IMPORT, /* true times; the target is in import mode and waits for DEL */
	GUARD_LIVE,
	GUARD_HELD,
};

/* How times are written at the moment. */
struct guard_times {
	enum guard_form form;
	int64_t base; /* of keys: guard_base() */
	int64_t margin_ms;
};

/* The base of a task, by its name. */
int64_t guard_base(const char *task);

/* Are true times changed at all? */
static inline bool guard_changes(const struct guard_times *times)
{
	return times->form >= GUARD_LIVE;
}

/* The time to write for a true one (Unix ms). `now_ms`: live times that are over, or nearly, are held: the target would delete the key at once. */
int64_t guard_key_time(const struct guard_times *times, int64_t at_ms, int64_t now_ms);
int64_t guard_field_time(const struct guard_times *times, int64_t at_ms, int64_t now_ms);

/* The way back, for who reads the target: the true time of a field that has the time `at_ms` there, as far as it tells. A live time does not, so the margin has to be
 * known; times that cannot be expiries stay what they are. */
static inline int64_t guard_true_field_time(bool held, int64_t margin_ms, int64_t at_ms)
{
	if (held && at_ms >= GUARD_FIELD_BASE && at_ms < GUARD_FIELD_BASE + GUARD_SPAN)
		return at_ms - GUARD_FIELD_BASE;
	return at_ms > margin_ms ? at_ms - margin_ms : at_ms;
}

struct guard;
struct guard *guard_new(void);
void guard_free(struct guard *guard);

enum guard_outcome {
	GUARD_SAME,
	GUARD_PATCHED, /* one argument is another: number `at` is ret->argv[at] */
	GUARD_CHANGED,
};

struct guard_command {
	const struct command_info *info;
	uint32_t argc;
	struct slice *argv; /* in the arena */
	uint32_t at;        /* PATCHED */
};

/* A command with absolute times, as the downgrade leaves it. Relative times stay what they are. */
enum guard_outcome guard_command(struct guard *guard, const struct guard_times *times, int64_t now_ms,
				 const struct command_info *info, uint32_t argc, const struct slice *argv, struct arena *arena,
				 struct guard_command *ret);

/* May it take a held time from one key to another, past a scan? RENAME, COPY, MOVE, SWAPDB, scripts, and commands that nobody knows. */
static inline bool guard_moves_times(const struct command_info *info)
{
	return !info || info->flags & (COMMAND_SCRIPT | COMMAND_LEARNED | COMMAND_OTHER_DATABASE | COMMAND_RENAMES);
}

#endif
