/* The task document: what the operator asked for, parsed, checked and with its defaults filled in.
 *
 * One table (options_table.c) has one row per option: path, type, default, allowed values, an example and one sentence; the YAML
 * or JSON document, `--set path=value`, URLs, `keyferry help options` and the reference page all go through it.
 * Strings are owned by the task_options and live as long as it does. Thread: read-only once the task has started. */
#ifndef KEYFERRY_TASK_OPTIONS_H
#define KEYFERRY_TASK_OPTIONS_H

#include "base/error.h"
#include "net/endpoint.h"
#include "net/tls.h"
#include "task/credentials.h"
#include "task/rules.h"
#include "task/settings.h"

#include <stddef.h>
#include <stdint.h>

enum deployment_mode { MODE_AUTO, MODE_STANDALONE, MODE_CLUSTER, MODE_SENTINEL, MODE_RDB, MODE_AOF, MODE_JSONL, MODE_SCAN };
enum read_from { READ_FROM_MASTER, READ_FROM_PREFER_REPLICA };
enum existing_policy { EXISTING_FAIL, EXISTING_MERGE, EXISTING_FLUSH };
enum conflict_policy { CONFLICT_OVERWRITE, CONFLICT_SKIP, CONFLICT_STOP };
enum expiry_guard { EXPIRY_GUARD_AUTO, EXPIRY_GUARD_ALWAYS, EXPIRY_GUARD_OFF };
enum verify_mode { VERIFY_MODE_FULL, VERIFY_MODE_OUTLINE };
enum resync_policy { RESYNC_AUTO, RESYNC_EXACT, RESYNC_ADD };
enum downgrade_policy { DOWNGRADE_STOP, DOWNGRADE_LOSSY };
enum unsupported_policy { UNSUPPORTED_STOP, UNSUPPORTED_SKIP };
enum on_conflict_policy { ON_CONFLICT_STOP, ON_CONFLICT_SKIP }; /* `repair` comes with verify */
enum checkpoint_place { CHECKPOINT_TARGET, CHECKPOINT_LOCAL };
enum aof_format { AOF_MULTI_PART, AOF_SINGLE };
enum scan_notifications { SCAN_NOTIFICATIONS_AUTO, SCAN_NOTIFICATIONS_REQUIRED, SCAN_NOTIFICATIONS_OFF };
enum stop_when { STOP_NEVER, STOP_WHEN_CAUGHT_UP };

/* Source or target. */
struct deployment_options {
	enum deployment_mode mode; /* AUTO: asked of the first node that answers */
	struct endpoint *addresses;
	size_t address_count;
	struct credentials credentials;
	struct tls_options tls;
	char *path;   /* rdb, aof, jsonl: the file or folder */
	char *master; /* sentinel: the master's name */
	struct credentials sentinel_credentials;
	struct tls_options sentinel_tls;
};

#define DATABASE_UNMAPPED UINT16_MAX

/* Where the source's databases go. */
struct database_map {
	uint16_t to[DATABASES_MAX]; /* DATABASE_UNMAPPED: as `others` says */
	uint16_t others;            /* of "*"; DATABASE_UNMAPPED: each to its own number */
};

struct task_options {
	char *name;
	struct deployment_options source;
	enum read_from read_from;
	bool all_databases;
	uint64_t databases[DATABASES_MAX / 64]; /* bit set: selected; when all_databases is false */

	/* source.mode scan */
	uint32_t scan_count;
	uint32_t scan_pipeline;
	uint64_t scan_changes;     /* bytes */
	uint32_t scan_interval_ms; /* 0: never */
	bool scan_follow;
	enum scan_notifications scan_notifications;

	struct deployment_options target;
	enum aof_format aof_format; /* of a target.mode aof */
	bool follow;                /* of a target that is a file: the stream is written behind the snapshot */
	enum existing_policy existing;
	enum conflict_policy conflict;
	enum resync_policy resync; /* what becomes of keys that a second snapshot has not */
	enum expiry_guard expiry_guard;
	uint32_t expiry_margin_ms;
	enum downgrade_policy downgrade;     /* of what the target has nothing for */
	enum unsupported_policy unsupported; /* of what only a module knows that the target has not loaded */
	bool keep_idle;                      /* carry LRU and LFU of the snapshot's keys */
	enum on_conflict_policy on_conflict;
	enum checkpoint_place checkpoint;
	struct database_map *database_map;  /* NULL: every database to its own number */
	struct option_objects allow, block; /* struct filter_rule */
	struct option_objects rename;       /* struct rename_rule */
	struct option_objects expiry;       /* struct expiry_rule */
	char *lua_script;                   /* text; after task_options_finish() also that of lua_file */
	char *lua_file;
	uint32_t lua_steps; /* instructions of one call */
	uint64_t lua_memory;

	bool snapshot;
	bool heartbeat;
	uint32_t heartbeat_interval_ms;

	uint64_t limit_records_per_second; /* per link; 0: unlimited */
	uint64_t limit_bytes_per_second;   /* per link; 0: unlimited */

	uint64_t spool_max_size;     /* per link */
	uint64_t spool_keep_size;    /* of it, what is applied and kept to be sent again */
	uint32_t spool_keep_time_ms; /* for no longer than that */
	uint64_t spool_segment_size;
	uint64_t in_flight_bytes; /* per link: sent to the target, not yet answered */
	uint32_t in_flight_commands;
	uint32_t connect_timeout_ms;
	uint32_t repl_timeout_ms; /* silence of the source after which the link reconnects */

	uint32_t verify_every_ms; /* 0: never */
	enum verify_mode verify_mode;
	bool verify_repair;
	uint64_t verify_rate; /* keys a second; 0: unlimited */

	struct text_list waive; /* names of precheck items whose failures do not stop the start */

	char *data_dir;
	char *listen;     /* "127.0.0.1:9121", or NULL */
	bool open_probes; /* its probes want no token */
	enum stop_when stop_when;

	struct settings settings; /* of the above, those that decide what is copied, as written */
	bool accept_changes;      /* of these, where the task was begun with others */
};

/* Everything at its default. */
void task_options_init(struct task_options *options);
void task_options_free(struct task_options *options);

/* Reads a YAML or JSON document (same tree, same checks). `file` names it in errors, which give line and option path, the value,
 * and an allowed example; an unknown option's error names the nearest known one. */
bool task_options_read(struct task_options *options, const char *file, struct error *error) WARN_UNUSED;
bool task_options_parse(struct task_options *options, struct slice text, const char *file, struct error *error) WARN_UNUSED;
/* One "path=value" of --set; `origin` is how the operator wrote it ("--set limit.spec=big"). */
bool task_options_set(struct task_options *options, const char *assignment, const char *origin, struct error *error) WARN_UNUSED;
/* redis://, rediss://, redis-sentinel://, rdb://, aof://, jsonl:// or a bare host:port, for one side. */
bool task_options_set_url(struct task_options *options, bool is_source, const char *url, struct error *error) WARN_UNUSED;
/* After all were set: what belongs together, files of passwords and environment read, name and data directory derived. */
bool task_options_finish(struct task_options *options, struct error *error) WARN_UNUSED;

/* Files in place of servers? */
static inline bool deployment_options_are_files(const struct deployment_options *side)
{
	return side->mode == MODE_RDB || side->mode == MODE_AOF || side->mode == MODE_JSONL;
}

static inline bool task_options_database_selected(const struct task_options *options, uint32_t db)
{
	return options->all_databases || (db < DATABASES_MAX && (options->databases[db / 64] >> (db % 64) & 1));
}

static inline uint32_t task_options_database_of(const struct task_options *options, uint32_t db)
{
	const struct database_map *map = options->database_map;

	if (!map)
		return db;
	if (db < DATABASES_MAX && map->to[db] != DATABASE_UNMAPPED)
		return map->to[db];
	return map->others != DATABASE_UNMAPPED ? map->others : db;
}

#endif
