/* The downgrade: what a command of the stream becomes where the target is older than the source, or of the other family.
 *
 *   SAME       the target knows it: send it as it came
 *   REWRITTEN  commands that have exactly the same effect there, to be executed in this order; more than one: in one MULTI/EXEC.
 *              They name the same keys, so they lie in the same slot. None at all: it has no effect on this target
 *   CANNOT     the target has nothing that holds it. `lost` says what is lost; the commands do the rest of it, or there are none
 *
 * One row per command in a table (downgrade.c): since which version every form of it is known, and the function that rewrites it. The first version
 * of a command, and of forms that came later, are facts of the command table (data/facts.json, `later_forms`).
 *
 * What the rewritings rest on:
 * - A master sends only what changed something. So a condition that is about one key, field or member (SET NX, EXPIRE GT, ZADD GT of one
 *   member, XADD NOMKSTREAM) held at the source, holds at the target, and may be left out where it is not known.
 * - Times to live that count from now (before 7.0 masters send them as they were given) are made absolute with the stream's own time, always:
 *   counted from the moment of applying they would be late by the lag.
 * - What depends on the state of the key is done by a script, which sees the target's state at that point. Its body is constant, the rest is in
 *   KEYS and ARGV, so that the server's cache of scripts does not grow. Scripts that read the clock need Redis 3.2 (redis.replicate_commands()).
 * - A master may send what it takes from its own master alone: XADD ... MAXLEN = 1 LIMIT 5 is a syntax error for everybody else.
 *
 * Measured on Redis 6.0, 7.0, 8.0 and Valkey 8.0 to 9.1; else from the sources and the command reference of the versions.
 * Thread: owned by one. Nothing is allocated per command once the scratch memory has grown. */
#ifndef KEYFERRY_TRANSFORM_DOWNGRADE_H
#define KEYFERRY_TRANSFORM_DOWNGRADE_H

#include "base/slice.h"
#include "wire/command.h"

/* What every master of the target knows: versions as in struct command_info (0x070200 is 7.2.0). */
struct downgrade_target {
	uint32_t redis;  /* the oldest Redis among them; 0: there is none */
	uint32_t valkey; /* the oldest Valkey; 0: there is none */
	int rdb_version; /* highest Redis RDB version of a RESTORE payload */
	bool valkey_rdb; /* takes VALKEY080 payloads, and Redis ones up to 11 */
};

enum downgrade_outcome { DOWNGRADE_SAME, DOWNGRADE_REWRITTEN, DOWNGRADE_CANNOT };

/* What a target cannot hold; logs and counters go by it. */
enum downgrade_loss {
	DOWNGRADE_LOSS_NONE,
	DOWNGRADE_LOSS_FIELD_EXPIRY,
	DOWNGRADE_LOSS_STREAM,
	DOWNGRADE_LOSS_FUNCTION,
	DOWNGRADE_LOSS_VECTOR_SET,
	DOWNGRADE_LOSS_PAYLOAD,
	DOWNGRADE_LOSS_COMMAND,
	DOWNGRADE_LOSSES,
};
/* "times to live of hash fields", "streams", ...; static. */
const char *downgrade_loss_name(enum downgrade_loss loss);

struct downgrade_command {
	uint32_t argc;
	const struct slice *argv;
	/* for a script of ours without COMMAND_SCRIPT: an error in it is no error of the source */
	const struct command_info *info;
};

struct downgrade_result {
	enum downgrade_outcome outcome;
	uint32_t count;
	const struct downgrade_command *commands;
	bool replay_safe;         /* all of them together, as command_is_replay_safe() means it */
	enum downgrade_loss loss; /* CANNOT */
	const char *lost;         /* CANNOT: "the times to live of the fields", ends a sentence; static */
};

struct downgrade;
struct downgrade *downgrade_new(const struct downgrade_target *target);
void downgrade_free(struct downgrade *downgrade);

/* `stream_ms`: the source's time (Unix ms) at this command, as well as it is known. `info` may be NULL or learned: SAME. The result's memory is that
 * of argv, and the downgrade's until the next call. */
void downgrade_command(struct downgrade *downgrade, const struct command_info *info, uint32_t argc, const struct slice *argv,
		       int64_t stream_ms, struct downgrade_result *ret);

/* ---- the table, for tests ---- */

/* Names of the rows, in order; NULL: no more. */
const char *downgrade_row_name(uint32_t index);

#endif
