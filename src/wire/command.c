#include "wire/command.h"

#include "base/memory.h"

#include <stdlib.h>

/* Where a name's hash leads: the row's index + 1, or 0. Collisions go on at the next place. */
struct place {
	uint32_t hash;
	uint16_t row;
};

#include "wire/command_table.inc"

#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS < COMMAND_NUMBERS, "COMMAND_NUMBERS has to grow");

uint16_t command_number(const struct command_info *info)
{
	return info >= rows && info < rows + ROWS ? (uint16_t)(info - rows + 1) : 0;
}

const char *command_number_name(uint16_t number)
{
	return number == 0 ? "other" : number <= ROWS ? rows[number - 1].name : NULL;
}

#define HASH_BEGIN 0x811c9dc5u
/* Between name and sub-command in the hash, where the row's name has a blank: so one word with a blank in it is not found. */
#define BAR SLICE("|")

static inline uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* FNV-1a over the bytes with bit 5 set: letters hash alike in both cases; what else that mixes up, the comparison tells apart. */
static inline uint32_t hash_more(uint32_t hash, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (text.data[i] | 0x20)) * 0x01000193u;
	return hash;
}

static inline bool name_is(const char *name, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (lower(text.data[i]) != (uint8_t)name[i])
			return false;
	return true;
}

/* The row of "name" or, with a sub-command, of "name sub". */
static inline const struct command_info *row_find(uint32_t hash, struct slice name, const struct slice *sub)
{
	size_t len = name.len + (sub ? 1 + sub->len : 0);

	for (uint32_t at = hash % PLACES; places[at].row != 0; at = (at + 1) % PLACES) {
		const struct command_info *row = &rows[places[at].row - 1];

		if (places[at].hash == hash && row->name_len == len && name_is(row->name, name) &&
		    (!sub || (row->name[name.len] == ' ' && name_is(row->name + name.len + 1, *sub))))
			return row;
	}
	return NULL;
}

const struct command_info *command_lookup(uint32_t argc, const struct slice *argv)
{
	const struct command_info *row;
	uint32_t hash;

	if (argc == 0 || argv[0].len > COMMAND_NAME_MAX)
		return NULL;
	hash = hash_more(HASH_BEGIN, argv[0]);
	row = row_find(hash, argv[0], NULL);
	if (!row || !row->container || argc == 1)
		return row;
	if (argv[1].len > COMMAND_NAME_MAX)
		return NULL;
	return row_find(hash_more(hash_more(hash, BAR), argv[1]), argv[0], &argv[1]);
}

/* ---- keys ---- */

/* Up to two runs of arguments hold all keys of any command. */
struct runs {
	struct {
		uint32_t first;
		uint32_t count;
		uint32_t step;
	} run[2];
	uint32_t used;
};

static void runs_add(struct runs *runs, uint32_t first, uint32_t count, uint32_t step)
{
	runs->run[runs->used].first = first;
	runs->run[runs->used].count = count;
	runs->run[runs->used].step = step;
	runs->used++;
}

static bool arity_fits(const struct command_info *info, uint32_t argc)
{
	return info->arity >= 0 ? argc == (uint32_t)info->arity : argc >= (uint32_t)-info->arity;
}

static bool range_add(struct runs *runs, const struct command_info *info, uint32_t argc)
{
	int64_t first = info->keys.first;
	int64_t last = info->keys.last < 0 ? (int64_t)argc + info->keys.last : info->keys.last;
	int64_t step = info->keys.step;

	if (first == 0)
		return true;
	if (first < 0 || step <= 0 || last < first || last >= argc)
		return false;
	/* MSET: a key without a value */
	if (info->keys.last < 0 && (last - first + 1) % step != 0)
		return false;
	runs_add(runs, (uint32_t)first, (uint32_t)((last - first) / step + 1), (uint32_t)step);
	return true;
}

static bool counted_add(struct runs *runs, const struct command_info *info, uint32_t argc, const struct slice *argv)
{
	uint32_t at = info->key_at;
	uint64_t count;

	if (at >= argc || !slice_to_uint64(argv[at], &count) || count > (argc - at - 1) / info->key_step)
		return false;
	if (count == 0)
		return info->key_rule == COMMAND_KEYS_SCRIPT;
	runs_add(runs, at + 1, (uint32_t)count, info->key_step);
	return true;
}

static bool word_is(struct slice argument, const char *word)
{
	return slice_equal_nocase(argument, slice_of_string(word));
}

/* The last of several STOREs wins, as at the server. */
static void sort_add(struct runs *runs, uint32_t argc, const struct slice *argv)
{
	uint32_t store = 0;

	runs_add(runs, 1, 1, 1);
	for (uint32_t i = 2; i + 1 < argc; i++) {
		if (word_is(argv[i], "limit"))
			i += 2;
		else if (word_is(argv[i], "by") || word_is(argv[i], "get"))
			i++;
		else if (word_is(argv[i], "store"))
			store = ++i;
	}
	if (store)
		runs_add(runs, store, 1, 1);
}

static void georadius_add(struct runs *runs, uint32_t argc, const struct slice *argv)
{
	uint32_t store = 0;

	runs_add(runs, 1, 1, 1);
	/* Options begin at 5 (BYMEMBER) or 6; argument 5 of the other form is a unit, which is no option's name. */
	for (uint32_t i = 5; i + 1 < argc; i++)
		if (word_is(argv[i], "store") || word_is(argv[i], "storedist"))
			store = ++i;
	if (store)
		runs_add(runs, store, 1, 1);
}

static void migrate_add(struct runs *runs, uint32_t argc, const struct slice *argv)
{
	uint32_t first = 3;
	uint32_t count = 1;

	for (uint32_t i = 6; i < argc && argv[3].len == 0; i++) {
		if (word_is(argv[i], "auth")) {
			i++;
		} else if (word_is(argv[i], "auth2")) {
			i += 2;
		} else if (word_is(argv[i], "keys")) {
			first = i + 1;
			count = argc - first;
			break;
		}
	}
	if (count > 0)
		runs_add(runs, first, count, 1);
}

static bool streams_add(struct runs *runs, uint32_t argc, const struct slice *argv)
{
	uint32_t behind;

	for (uint32_t i = 1; i < argc; i++) {
		if (word_is(argv[i], "streams")) {
			behind = argc - i - 1;
			if (behind == 0 || behind % 2 != 0)
				return false;
			runs_add(runs, i + 1, behind / 2, 1);
			return true;
		}
		if (word_is(argv[i], "group"))
			i += 2;
		else if (word_is(argv[i], "block") || word_is(argv[i], "count") || word_is(argv[i], "claim"))
			i++;
		else if (!word_is(argv[i], "noack"))
			return false;
	}
	return false;
}

static bool runs_find(struct runs *runs, const struct command_info *info, uint32_t argc, const struct slice *argv)
{
	runs->used = 0;
	if (!arity_fits(info, argc))
		return false;
	switch ((enum command_key_rule)info->key_rule) {
	case COMMAND_KEYS_RANGE: return range_add(runs, info, argc);
	case COMMAND_KEYS_COUNTED:
	case COMMAND_KEYS_SCRIPT: return range_add(runs, info, argc) && counted_add(runs, info, argc, argv);
	case COMMAND_KEYS_SORT: sort_add(runs, argc, argv); return true;
	case COMMAND_KEYS_GEORADIUS: georadius_add(runs, argc, argv); return true;
	case COMMAND_KEYS_MIGRATE: migrate_add(runs, argc, argv); return true;
	case COMMAND_KEYS_STREAMS: return streams_add(runs, argc, argv);
	case COMMAND_KEYS_UNKNOWN: return false;
	}
	return false;
}

int command_keys(const struct command_info *info, uint32_t argc, const struct slice *argv,
		 void (*visit)(void *owner, uint32_t index), void *owner)
{
	struct runs runs;
	uint32_t total = 0;

	if (!runs_find(&runs, info, argc, argv))
		return -1;
	for (uint32_t r = 0; r < runs.used; r++) {
		total += runs.run[r].count;
		for (uint32_t i = 0; visit && i < runs.run[r].count; i++)
			visit(owner, runs.run[r].first + i * runs.run[r].step);
	}
	return (int)total;
}

uint32_t command_first_key(const struct command_info *info, uint32_t argc, const struct slice *argv)
{
	struct runs runs;

	/* Nearly all: one key at a fixed place. Asked for every command of the stream. */
	if (info->key_rule == COMMAND_KEYS_RANGE && info->keys.first > 0 && info->keys.last == info->keys.first)
		return arity_fits(info, argc) && (uint32_t)info->keys.first < argc && info->keys.step > 0
			       ? (uint32_t)info->keys.first
			       : 0;
	return runs_find(&runs, info, argc, argv) && runs.used > 0 ? runs.run[0].first : 0;
}

/* ---- replay ---- */

/* SET key value, with at most one of NX, XX, or an absolute time. */
static bool set_is_safe(uint32_t argc, const struct slice *argv)
{
	if (argc == 4)
		return word_is(argv[3], "nx") || word_is(argv[3], "xx");
	if (argc == 5)
		return word_is(argv[3], "pxat") || word_is(argv[3], "exat");
	return argc == 3;
}

/* ZADD and GEOADD without XX and INCR; what is not an option ends the options. */
static bool add_is_safe(uint32_t argc, const struct slice *argv, bool compares)
{
	for (uint32_t i = 2; i < argc; i++) {
		bool harmless = word_is(argv[i], "nx") || word_is(argv[i], "ch") ||
				(compares && (word_is(argv[i], "gt") || word_is(argv[i], "lt")));

		if (!harmless)
			return !word_is(argv[i], "xx") && !word_is(argv[i], "incr");
	}
	return false;
}

/* RESTORE key ttl value, with REPLACE, and without a time that counts from now. */
static bool restore_is_safe(uint32_t argc, const struct slice *argv)
{
	bool replace = false;
	bool absolute = argc > 3 && slice_equal(argv[2], SLICE("0"));

	for (uint32_t i = 4; i < argc; i++) {
		if (word_is(argv[i], "replace"))
			replace = true;
		else if (word_is(argv[i], "absttl"))
			absolute = true;
		else if (word_is(argv[i], "idletime") || word_is(argv[i], "freq"))
			i++;
		else
			return false;
	}
	return replace && absolute;
}

bool command_set_compares(struct slice word)
{
	return slice_equal_nocase(word, SLICE("IFEQ")) || slice_equal_nocase(word, SLICE("IFNE")) ||
	       slice_equal_nocase(word, SLICE("IFDEQ")) || slice_equal_nocase(word, SLICE("IFDNE"));
}

bool command_is_replay_safe(const struct command_info *info, uint32_t argc, const struct slice *argv)
{
	if (info->flags & COMMAND_REPLAY_SAFE)
		return true;
	switch ((enum command_form)info->safe_form) {
	case COMMAND_FORM_NONE: return false;
	case COMMAND_FORM_SET: return set_is_safe(argc, argv);
	case COMMAND_FORM_ZADD: return add_is_safe(argc, argv, true);
	case COMMAND_FORM_GEOADD: return add_is_safe(argc, argv, false);
	case COMMAND_FORM_RESTORE: return restore_is_safe(argc, argv);
	}
	return false;
}

/* ---- learned commands ---- */

struct learned {
	struct command_info info;
	struct learned *next;
	char name[COMMAND_NAME_MAX + 1];
};

#define BUCKETS 256

struct command_table {
	uint32_t count;
	struct learned *buckets[BUCKETS];
};

struct command_table *command_table_new(void)
{
	return memory_alloc_zero(1, sizeof(struct command_table));
}

void command_table_free(struct command_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++) {
		while (table->buckets[i]) {
			struct learned *first = table->buckets[i];

			table->buckets[i] = first->next;
			free(first);
		}
	}
	free(table);
}

static struct learned *learned_find(const struct command_table *table, struct slice name, const struct slice *sub)
{
	size_t len = name.len + (sub ? 1 + sub->len : 0);
	uint32_t hash = hash_more(HASH_BEGIN, name);

	if (sub)
		hash = hash_more(hash_more(hash, SLICE(" ")), *sub);
	for (struct learned *at = table->buckets[hash % BUCKETS]; at; at = at->next)
		if (at->info.name_len == len && name_is(at->name, name) &&
		    (!sub || (at->name[name.len] == ' ' && name_is(at->name + name.len + 1, *sub))))
			return at;
	return NULL;
}

const struct command_info *command_table_lookup(const struct command_table *table, uint32_t argc, const struct slice *argv)
{
	const struct command_info *built_in = command_lookup(argc, argv);
	const struct learned *learned = NULL;

	if (built_in || !table || table->count == 0 || argc == 0 || argv[0].len > COMMAND_NAME_MAX)
		return built_in;
	if (argv[0].len > 0 && memchr(argv[0].data, ' ', argv[0].len))
		return NULL; /* one word, not a sub-command of another */
	if (argc > 1 && argv[1].len <= COMMAND_NAME_MAX)
		learned = learned_find(table, argv[0], &argv[1]);
	if (!learned)
		learned = learned_find(table, argv[0], NULL);
	return learned ? &learned->info : NULL;
}

static int16_t clamp_arity(int arity)
{
	return (int16_t)(arity > INT16_MAX ? INT16_MAX : arity < -INT16_MAX ? -INT16_MAX : arity);
}

const struct command_info *command_table_learn(struct command_table *table, struct slice name, int arity, bool write,
					       bool movable, struct command_keys keys)
{
	struct learned *learned;

	if (name.len == 0 || name.len > COMMAND_NAME_MAX)
		return NULL;
	learned = learned_find(table, name, NULL);
	if (!learned) {
		uint32_t bucket = hash_more(HASH_BEGIN, name) % BUCKETS;

		if (table->count == COMMAND_LEARNED_MAX)
			return NULL;
		learned = memory_alloc_zero(1, sizeof(*learned));
		for (size_t i = 0; i < name.len; i++)
			learned->name[i] = (char)lower(name.data[i]);
		learned->next = table->buckets[bucket];
		table->buckets[bucket] = learned;
		table->count++;
	}
	learned->info = (struct command_info){
		.name = learned->name,
		.name_len = (uint8_t)name.len,
		.arity = clamp_arity(arity),
		.flags = COMMAND_LEARNED | (write ? COMMAND_WRITE : 0) | (movable ? COMMAND_MOVABLE_KEYS : 0),
		.keys = movable ? (struct command_keys){0} : keys,
		.key_rule = movable ? COMMAND_KEYS_UNKNOWN : COMMAND_KEYS_RANGE,
	};
	return &learned->info;
}
