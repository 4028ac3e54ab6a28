/* What kind of server answers: family, version, role, mode; read from INFO and friends.
 * Thread: value types; the calls run on the client's loop (straight-line style). */
#ifndef KEYFERRY_PEER_SERVER_H
#define KEYFERRY_PEER_SERVER_H

#include "peer/client.h"

enum server_family { FAMILY_REDIS, FAMILY_VALKEY };
enum server_role { ROLE_MASTER, ROLE_REPLICA };

#define VERSION(major, minor, patch) ((uint32_t)(major) << 16 | (uint32_t)(minor) << 8 | (uint32_t)(patch))

struct server_info {
	enum server_family family;
	uint32_t version; /* VERSION(7, 0, 15); Valkey's own version (valkey_version), not the redis_version it shows */
	enum server_role role;
	bool cluster; /* cluster_enabled */
	bool loading;
	struct endpoint master; /* of a replica */
	char replid[41];
	char replid2[41];    /* of the history that it was a replica of before; empty: of none */
	int64_t repl_offset; /* master_repl_offset */
	char run_id[41];
	int64_t output_cuts; /* connections that it has ended at their output buffer limit; -1: it does not tell (before Redis 7.2) */
	uint64_t used_memory;
	uint64_t maxmemory;
	uint64_t keys;            /* over all databases */
	uint64_t libraries;       /* of functions; since Redis 7.0 */
	uint64_t expiring_fields; /* hashes with fields that expire; since Redis 7.4 and Valkey 9 */
	char modules[256];        /* names of those loaded, a space behind each, as many as fit */
	int highest_db;           /* highest database that holds keys; -1: none */
	int rdb_version;          /* highest RDB version whose RESTORE payloads it takes: from family and version */
};

/* "Redis 7.0.15", "Valkey 9.1.2". Returns out. */
const char *server_name(const struct server_info *info, char out[64]);

/* The value of the line "<name>:<value>" of INFO, in its memory; empty: there is none. */
struct slice server_info_field(struct slice info, const char *name);
/* Parses the text of INFO. False: it is not INFO of a Redis or Valkey. */
bool server_info_parse(struct slice text, struct server_info *ret);
/* Asks and parses; fails clearly when the peer is not a Redis, needs a password, is loading (waits it out up to the deadline). */
bool server_info_fetch(struct client *client, struct server_info *ret, struct error *error) WARN_UNUSED;

#endif
