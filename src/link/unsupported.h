/* What only a module knows that the target has not loaded, by the policy target.unsupported: commands of the stream, and data that modules keep beside the keys of the
 * snapshot (MODULE_AUX), for which there is no command at all. Values are tried with RESTORE, unless that ends the target; the sink meets the refusal.
 *
 * stop: the link stops there. skip: they are left out; each kind is told once, commands are counted.
 * Thread: the link's applier. */
#ifndef KEYFERRY_LINK_UNSUPPORTED_H
#define KEYFERRY_LINK_UNSUPPORTED_H

#include "base/error.h"
#include "decode/event.h"
#include "sink/encode.h"

#define UNSUPPORTED_NAMES_MAX 256 /* remembered; commands of further names are asked about, and told, each time */

struct unsupported;

struct unsupported_options {
	const struct target_abilities *target; /* outlives it */
	void (*note)(void *owner, int log_level, const char *text);
	void *owner;
};

struct unsupported *unsupported_new(const struct unsupported_options *options);
void unsupported_free(struct unsupported *unsupported);

/* A command that neither the command table nor the target knows. False: the link has to stop; ERROR_CONFLICT. */
bool unsupported_command(struct unsupported *unsupported, const struct event *event, struct error *error) WARN_UNUSED;
/* Is it one of those already, so that the target need not be asked again? */
bool unsupported_is_known(const struct unsupported *unsupported, struct slice name);
/* A module's value that the target must not be asked about: longer than one argument may be, or it would exit (ends_at_modules). False: as above. */
bool unsupported_value(struct unsupported *unsupported, const struct event *event, struct error *error) WARN_UNUSED;
/* EVENT_PROGRESS of RDB_OPCODE_MODULE_AUX. One without data is nothing. False: as above. */
bool unsupported_aux(struct unsupported *unsupported, const struct event *event, struct error *error) WARN_UNUSED;

struct unsupported_counters {
	uint64_t commands, keys; /* left out */
};
struct unsupported_counters unsupported_counters(const struct unsupported *unsupported);

#endif
