#include "transform/effect.h"

#include <assert.h>

static const struct {
	const char *name;
	enum effect effect;
} known[] = {
	{"del", EFFECT_EACH},
	{"unlink", EFFECT_EACH},
	{"touch", EFFECT_EACH},
	{"mset", EFFECT_EACH},
	{"msetex", EFFECT_EACH},
	/* It stands in a stream only when it has set all of its keys. */
	{"msetnx", EFFECT_EACH},
	{"expire", EFFECT_HARMLESS},
	{"pexpire", EFFECT_HARMLESS},
	{"expireat", EFFECT_HARMLESS},
	{"pexpireat", EFFECT_HARMLESS},
	{"persist", EFFECT_HARMLESS},
	{"set", EFFECT_OVERWRITE},
	{"setex", EFFECT_OVERWRITE},
	{"psetex", EFFECT_OVERWRITE},
	{"getset", EFFECT_OVERWRITE},
	{"restore", EFFECT_OVERWRITE},
	{"restore-asking", EFFECT_OVERWRITE},
	{"sunionstore", EFFECT_STORE_FIRST},
	{"sinterstore", EFFECT_STORE_FIRST},
	{"sdiffstore", EFFECT_STORE_FIRST},
	{"zunionstore", EFFECT_STORE_FIRST},
	{"zinterstore", EFFECT_STORE_FIRST},
	{"zdiffstore", EFFECT_STORE_FIRST},
	{"zrangestore", EFFECT_STORE_FIRST},
	{"geosearchstore", EFFECT_STORE_FIRST},
	{"bitop", EFFECT_STORE_FIRST},
	{"pfmerge", EFFECT_STORE_FIRST},
	{"sort", EFFECT_STORE_LAST},
	{"georadius", EFFECT_STORE_LAST},
	{"georadiusbymember", EFFECT_STORE_LAST},
	{"rename", EFFECT_RENAME},
	{"renamenx", EFFECT_RENAME},
	{"smove", EFFECT_SMOVE},
	{"rpoplpush", EFFECT_LIST_MOVE},
	{"brpoplpush", EFFECT_LIST_MOVE},
	{"lmove", EFFECT_LIST_MOVE},
	{"blmove", EFFECT_LIST_MOVE},
	{"move", EFFECT_DATABASES},
	{"copy", EFFECT_DATABASES},
	{"swapdb", EFFECT_DATABASES},
	{"flushdb", EFFECT_DATABASES},
	{"flushall", EFFECT_DATABASES},
};

_Static_assert(sizeof(known) / sizeof(known[0]) <= EFFECTS_MAX, "room for all");

static const struct command_info *row_of(const char *name, const char *sub)
{
	struct slice argv[2] = {slice_of_string(name), slice_of_string(sub)};

	return command_lookup(*sub ? 2 : 1, argv);
}

void effects_init(struct effects *effects)
{
	*effects = (struct effects){0};
	for (uint32_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		effects->items[effects->count].info = row_of(known[i].name, "");
		effects->items[effects->count++].effect = known[i].effect;
		assert(effects->items[i].info);
	}
	effects->del = row_of("del", "");
	effects->flushdb = row_of("flushdb", "");
	effects->swapdb = row_of("swapdb", "");
	effects->flushall = row_of("flushall", "");
	effects->function_load = row_of("function", "load");
	effects->script_load = row_of("script", "load");
}

enum effect effect_of(const struct effects *effects, const struct command_info *info)
{
	for (uint32_t i = 0; i < effects->count; i++)
		if (effects->items[i].info == info)
			return effects->items[i].effect;
	return EFFECT_OTHER;
}
