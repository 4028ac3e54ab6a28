/* The sentences of the precheck, in each language: what was found, and what mends it.
 *
 * One table has them all (text_table.c), so that none can be missing in one language. A sentence has places: {0} to {5} for the finding's own texts, which
 * are the same in all languages (names of options and commands, numbers, addresses, what a server has said), and by name {side} ("source", "源端"), {option}
 * ("source": the group of options), {node} (an address) and {task} (its name).
 * Thread: constant tables and pure functions. */
#ifndef KEYFERRY_PRECHECK_TEXT_H
#define KEYFERRY_PRECHECK_TEXT_H

#include "base/language.h"

#include <stddef.h>

enum text {
	TEXT_NONE,
	/* connect */
	TEXT_CONNECT,
	TEXT_CONNECT_REPLICA,
	/* rights */
	TEXT_RIGHTS,
	TEXT_RIGHTS_LATER,
	TEXT_RIGHTS_SEEN,
	TEXT_RIGHTS_NOT_ASKED,
	TEXT_SCAN,
	TEXT_SCAN_TOLD,
	TEXT_PSYNC_UNKNOWN,
	TEXT_PSYNC_DENIED,
	TEXT_PSYNC_NOT_ASKED,
	TEXT_HEARTBEAT,
	TEXT_HEARTBEAT_NOT_ASKED,
	/* deployments */
	TEXT_SAME_SERVER,
	TEXT_SLOTS,
	TEXT_CLUSTER_STATE,
	TEXT_CLUSTER_NODES,
	TEXT_CLUSTER_MOVES,
	TEXT_ROLE_SOURCE,
	TEXT_ROLE_TARGET,
	TEXT_CLOCK,
	TEXT_LOOP_REPLICA,
	TEXT_LOOP_TASK,
	TEXT_OTHER_TASK,
	TEXT_CLIENTS_NOT_TOLD,
	/* replication and the source */
	TEXT_SETTING_NOT_TOLD,
	TEXT_INFO_NOT_TOLD,
	TEXT_SNAPSHOT_LONG,
	TEXT_FORK_MEMORY,
	TEXT_BACKLOG,
	TEXT_BACKLOG_RATE,
	TEXT_OUTPUT_BUFFER,
	TEXT_REPL_TIMEOUT,
	TEXT_REPL_PING,
	TEXT_DISKLESS_DELAY,
	TEXT_MIN_REPLICAS_SOURCE,
	TEXT_MIN_REPLICAS_TARGET,
	TEXT_PERSISTENCE_SNAPSHOT,
	TEXT_PERSISTENCE_WRITES_SOURCE,
	TEXT_PERSISTENCE_WRITES_TARGET,
	/* the target */
	TEXT_TARGET_EMPTY,
	TEXT_TARGET_FLUSH,
	TEXT_MEMORY_FULL,
	TEXT_MEMORY_REFUSED,
	TEXT_MEMORY_SHORT,
	TEXT_EVICTION,
	TEXT_DATABASES_CLUSTER,
	TEXT_DATABASES_CLUSTER_FEW,
	TEXT_DATABASES_FEW,
	TEXT_DATABASES_MEET,
	/* the data */
	TEXT_VERSION_STOPS,
	TEXT_VERSION_LOSES,
	TEXT_VERSION_FORMS,
	TEXT_VERSION_IDLE,
	TEXT_MODULES_STOP,
	TEXT_MODULES_SKIP,
	TEXT_TYPES_STOP,
	TEXT_TYPES_SKIP,
	TEXT_TYPES_NOT_TOLD,
	TEXT_COMMANDS,
	TEXT_COMMANDS_NOT_TOLD,
	TEXT_ACROSS_SLOTS,
	TEXT_ACROSS_DATABASES,
	/* files and this machine */
	TEXT_SOURCE_FILES,
	TEXT_SOURCE_FILES_CUT,
	TEXT_FILE_SHARD,
	TEXT_FILE_THERE,
	TEXT_AOF_PARTS,
	TEXT_AOF_SNAPSHOT,
	TEXT_WORK_DIR,
	TEXT_DISK_FULL,
	TEXT_DISK_SHORT,
	TEXTS,
};

struct text_row {
	const char *cause[LANGUAGES];
	const char *remedy[LANGUAGES]; /* NULL in all: there is nothing to do */
};

extern const struct text_row text_table[TEXTS];

#define TEXT_ARGUMENTS 6

/* What the places stand for; NULL: nothing is put there. */
struct text_places {
	const char *side;
	const char *option;
	const char *node;
	const char *task;
	const char *arguments[TEXT_ARGUMENTS];
};

/* `sentence` with its places filled; to be freed. */
char *text_fill(const char *sentence, const struct text_places *places);

#endif
