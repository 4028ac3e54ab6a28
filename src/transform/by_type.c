/* RENAME, COPY and MOVE under rules that ask for types. The stream does not tell the type of the value; the target knows: it holds the key, at this
 * point of the stream, if and only if its type is one that is selected under the old name. So a script decides there.
 *
 *   the target has it, and it is selected under the new name   done
 *   the target has it, and it is not                           the old key goes (but for COPY), and what was under the new name
 *   the target has it not                                      what was under the new name goes: it was overwritten by what is not copied
 *
 * This needs each type that is selected under the new name to be selected under the old one; else the target would have to have what it has not. */
#include "transform/script.h"
#include "transform/stage.h"

#define TYPES_TEXT 64

bool stage_types(struct transform *transform, const struct event *event, uint32_t db, struct slice key, uint32_t *ret)
{
	*ret = 0;
	for (uint32_t type = 0; type < VALUE_TYPES; type++) {
		enum answer answer = stage_ask(transform, event, db, key, TYPE_BIT(type));

		if (answer == ANSWER_UNDECIDED)
			return false;
		if (answer == ANSWER_YES)
			*ret |= TYPE_BIT(type);
	}
	return true;
}

/* ",list,hash," */
static struct slice types_text(struct transform *transform, uint32_t types)
{
	static const char *const names[VALUE_TYPES] = {
		[VALUE_STRING] = "string", [VALUE_LIST] = "list",     [VALUE_SET] = "set",      [VALUE_ZSET] = "zset",
		[VALUE_HASH] = "hash",     [VALUE_STREAM] = "stream", [VALUE_MODULE] = "module"};
	char *text = arena_take(&transform->arena, TYPES_TEXT);
	size_t len = 0;

	text[len++] = ',';
	for (uint32_t type = 0; type < VALUE_TYPES; type++) {
		size_t name = strlen(names[type]);

		if (!(types & TYPE_BIT(type)))
			continue;
		memcpy(text + len, names[type], name);
		len += name;
		text[len++] = ',';
	}
	return slice_make(text, len);
}

enum transform_outcome stage_move_by_type(struct transform *transform, const struct event *event, const struct typed_move *move,
					  struct error *error)
{
	struct slice *argv;
	struct event *made;
	uint32_t argc = 0;

	if (move->to_types & ~move->from_types)
		return stage_refuse(
			event, error,
			"values of some types are selected under the new name and not under the old one, so the target may not have what it "
			"needs",
			"Give the rules that mean both keys the same types; or leave the command out (filter.block: [{command: ...}])");
	argv = stage_arguments(transform, 11);
	argv[argc++] = SLICE("EVAL");
	argv[argc++] = slice_of_string(script_move_by_type);
	argv[argc++] = SLICE("2");
	argv[argc++] = move->from;
	argv[argc++] = move->to;
	argv[argc++] = move->copies ? SLICE("COPY") : SLICE("MOVE");
	argv[argc++] = arena_number(&transform->arena, move->from_db);
	argv[argc++] = arena_number(&transform->arena, move->to_db);
	argv[argc++] = types_text(transform, move->from_types);
	argv[argc++] = types_text(transform, move->to_types);
	argv[argc++] = move->replaces ? SLICE("REPLACE") : SLICE("");
	stage_add_command(transform, event, move->db, argc, argv);
	/* An error in it is none of the source's; and it takes times of expiry along, as RENAME does. */
	made = &transform->made.items[transform->made.count - 1];
	transform->own_script = *made->info;
	transform->own_script.flags = (made->info->flags & ~(uint32_t)COMMAND_SCRIPT) | COMMAND_RENAMES;
	made->info = &transform->own_script;
	return TRANSFORM_CHANGED;
}
