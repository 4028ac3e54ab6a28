#include "link/unsupported.h"

#include "base/log.h"
#include "base/memory.h"
#include "wire/rdb.h"

#include <stdio.h>
#include <stdlib.h>

struct unsupported {
	struct unsupported_options options;
	char *names[UNSUPPORTED_NAMES_MAX]; /* of commands, as they came */
	uint32_t name_count;
	struct unsupported_counters counters;
};

struct unsupported *unsupported_new(const struct unsupported_options *options)
{
	struct unsupported *unsupported = memory_alloc_zero(1, sizeof(*unsupported));

	unsupported->options = *options;
	return unsupported;
}

void unsupported_free(struct unsupported *unsupported)
{
	if (!unsupported)
		return;
	for (uint32_t i = 0; i < unsupported->name_count; i++)
		free(unsupported->names[i]);
	free(unsupported);
}

bool unsupported_is_known(const struct unsupported *unsupported, struct slice name)
{
	for (uint32_t i = 0; i < unsupported->name_count; i++)
		if (slice_equal_nocase(name, slice_of_string(unsupported->names[i])))
			return true;
	return false;
}

bool unsupported_command(struct unsupported *unsupported, const struct event *event, struct error *error)
{
	struct slice name = event->argv[0];
	char quoted[100], place[EVENT_PLACE_MAX], text[400];

	if (!unsupported->options.target->skip_unsupported) {
		error_set(error, ERROR_CONFLICT,
			  "the command %s (database %u, %s) is known neither to keyferry nor to the target, %s",
			  slice_quote(name, quoted, sizeof(quoted)), event->db, event_place(event, place),
			  unsupported->options.target->name);
		error_hint(
			error,
			"Load the module that it belongs to into the target, or set target.unsupported: skip to leave such commands out");
		return false;
	}
	unsupported->counters.commands++;
	if (unsupported_is_known(unsupported, name))
		return true;
	if (unsupported->name_count < UNSUPPORTED_NAMES_MAX && !memchr(name.data, '\0', name.len))
		unsupported->names[unsupported->name_count++] = memory_strndup((const char *)name.data, name.len);
	snprintf(
		text, sizeof(text),
		"left out as target.unsupported: skip says: the command %s (database %u, %s), which the target does not know; further ones are counted alone",
		slice_quote(name, quoted, sizeof(quoted)), event->db, event_place(event, place));
	unsupported->options.note(unsupported->options.owner, LOG_WARNING, text);
	return true;
}

/* Takes a number as RDB lengths are written off the front. */
static bool take_number(struct slice *in, uint64_t *ret)
{
	unsigned size = in->len ? rdb_length_size(in->data[0]) : 0;

	if (size == 0 || size > in->len)
		return false;
	*ret = rdb_length_decode(in->data, size);
	*in = slice_make(in->data + size, in->len - size);
	return true;
}

bool unsupported_value(struct unsupported *unsupported, const struct event *event, struct error *error)
{
	char key[160], module[RDB_MODULE_NAME_LEN + 1], place[EVENT_PLACE_MAX], text[600];
	const struct target_abilities *target = unsupported->options.target;
	struct slice in = event->value;
	uint64_t id = 0;
	bool lossy;

	if (take_number(&in, &id))
		rdb_module_name(id, module);
	else
		snprintf(module, sizeof(module), "?");
	/* Vector sets are a module's values in form alone: their commands go by the policy of those that the target has not got. */
	lossy = target->lossy && strcmp(module, "vectorset") == 0;
	if (!target->skip_unsupported && !lossy) {
		error_set(error, ERROR_CONFLICT, "key %s (database %u, %s), a value of module type %s of %zu bytes, %s, %s",
			  slice_quote(event->key, key, sizeof(key)), event->db, event_place(event, place), module,
			  event->value.len,
			  target->ends_at_modules ? "would end the target, which has no modules"
						  : "is longer than one argument may be at the target",
			  target->name);
		error_hint(error, "%s, or set target.unsupported: skip to leave such values out",
			   target->ends_at_modules ? "Load that module there" : "Raise proto-max-bulk-len there");
		return false;
	}
	unsupported->counters.keys++;
	snprintf(text, sizeof(text),
		 "left out as target.%s says: key %s (database %u, %s), a value of module type %s of %zu bytes, %s",
		 lossy ? "downgrade: lossy" : "unsupported: skip", slice_quote(event->key, key, sizeof(key)), event->db,
		 event_place(event, place), module, event->value.len,
		 target->ends_at_modules ? "which would end the target, for it has no modules"
					 : "more than the target takes in one argument");
	unsupported->options.note(unsupported->options.owner, LOG_WARNING, text);
	return true;
}

bool unsupported_aux(struct unsupported *unsupported, const struct event *event, struct error *error)
{
	char module[RDB_MODULE_NAME_LEN + 1], place[EVENT_PLACE_MAX], text[400];
	uint64_t id = 0, opcode, when, first = RDB_MODULE_STRING;
	struct slice in = event->value;

	/* module id, UINT, before or behind the keys, then the module's items up to EOF; the decoder has walked over all of it. */
	if (take_number(&in, &id) && take_number(&in, &opcode) && take_number(&in, &when) && take_number(&in, &first) &&
	    first == RDB_MODULE_EOF)
		return true;
	rdb_module_name(id, module);
	if (!unsupported->options.target->skip_unsupported) {
		error_set(
			error, ERROR_CONFLICT,
			"the snapshot holds %zu bytes that the module type %s keeps beside the keys (%s), and no command brings them to a target",
			event->value.len, module, event_place(event, place));
		error_hint(
			error,
			"Bring this part there by the module's own commands, and set target.unsupported: skip to leave it out here");
		return false;
	}
	snprintf(
		text, sizeof(text),
		"left out as target.unsupported: skip says: %zu bytes that the module type %s keeps beside the keys of the snapshot (%s)",
		event->value.len, module, event_place(event, place));
	unsupported->options.note(unsupported->options.owner, LOG_WARNING, text);
	return true;
}

struct unsupported_counters unsupported_counters(const struct unsupported *unsupported)
{
	return unsupported->counters;
}
