/* The usage: which commands the source's clients have called, from INFO commandstats of all its masters, and which databases hold keys.
 *
 * Counted since the servers were started (CONFIG RESETSTAT). A name with sub-command is "xgroup|create" since 7.0, "xgroup" before.
 * Thread: the control thread. */
#ifndef KEYFERRY_PRECHECK_USAGE_H
#define KEYFERRY_PRECHECK_USAGE_H

#include "wire/command.h"

#include <stdint.h>

struct used_command {
	char name[COMMAND_NAME_MAX]; /* lower case; servers write those of modules as the module does */
	uint64_t calls;
	const struct command_info *info; /* NULL: not in the table */
	bool streamed;                   /* it writes, and is replicated under this name */
	bool across;                     /* its keys may lie in several slots, and it cannot be split */
	bool other_database;             /* it names a database */
};

struct usage {
	struct used_command *commands;
	uint32_t count;
	bool other_databases; /* keys in others than 0, of those that are copied */
};

struct precheck;
void usage_read(struct precheck *precheck);
void usage_free(struct usage *usage);
/* Adds the lines of one INFO commandstats. */
void usage_add(struct usage *usage, const char *commandstats);

#endif
