/* How many keys a deployment has, by database: what INFO tells, of all masters. For those who choose databases before a task is made.
 *
 * Thread: any, straight-line on a loop of its own. */
#ifndef KEYFERRY_CONTROL_KEYSPACE_H
#define KEYFERRY_CONTROL_KEYSPACE_H

#include "net/endpoint.h"
#include "task/options.h"

struct keyspace_database {
	uint32_t number;
	uint64_t keys, expiring;
};

struct keyspace_master {
	char address[ENDPOINT_TEXT_MAX];
	char server[64]; /* "Redis 7.0.15" */
	uint64_t keys;
};

struct keyspace {
	bool cluster;
	struct keyspace_master *masters;
	uint32_t master_count;
	struct keyspace_database *databases; /* that hold keys, by number */
	uint32_t database_count;
};

/* Of servers, not of files. ERROR_SOURCE or ERROR_TARGET, as `blame`. */
bool keyspace_read(const struct deployment_options *side, uint32_t timeout_ms, enum error_kind blame, struct keyspace *ret,
		   struct error *error) WARN_UNUSED;
void keyspace_free(struct keyspace *keyspace);

/* Adds what the section of INFO says ("db0:keys=12,expires=3,avg_ttl=0\r\n"); returns the keys in it. Lines of another form are passed over. */
uint64_t keyspace_add_info(struct keyspace *keyspace, struct slice info);

#endif
