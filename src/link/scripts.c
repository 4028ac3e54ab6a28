#include "link/scripts.h"

#include "base/memory.h"
#include "link/script_file.h"
#include "wire/command.h"
#include "wire/crc64.h"

#include <stdlib.h>

#define BUCKETS 16384u
/* The file is written anew when more than half of it, and more than this, is of no use any more. */
#define WASTE_MIN (1u << 20)

struct script {
	struct script *next_by_sha, *next_by_sum;
	struct script *older, *newer; /* in its list, by use */
	uint64_t sum;                 /* CRC-64 of the body: SHA1 costs much more, and most EVALs are not new */
	size_t len;
	uint8_t sha[SHA1_LEN];
	bool called;  /* by its SHA1 */
	bool flushed; /* unreachable behind scripts.flushed_at */
	uint8_t body[];
};

struct script_list {
	struct script *oldest, *newest;
};

struct scripts {
	struct script_file *file; /* NULL: none */
	uint64_t bytes_max;
	struct script *by_sha[BUCKETS];
	struct script *by_sum[BUCKETS];
	struct script_list lists[2]; /* [called] */
	bool flushing;               /* some are flushed */
	uint64_t flushed_at;
	bool anew; /* the file lacks some of them: all are written again */
	struct scripts_counters counters;
	/* compared by address: rows of the command table */
	const struct command_info *eval, *eval_ro, *load, *flush;
};

/* ---- lists and tables ---- */

static uint64_t cost(const struct script *script)
{
	return sizeof(*script) + script->len;
}

static struct script **bucket_of_sha(struct scripts *scripts, const uint8_t *sha)
{
	return &scripts->by_sha[(sha[0] | (uint32_t)sha[1] << 8) % BUCKETS];
}

static void list_append(struct script_list *list, struct script *script)
{
	script->newer = NULL;
	script->older = list->newest;
	*(list->newest ? &list->newest->newer : &list->oldest) = script;
	list->newest = script;
}

static void list_remove(struct script_list *list, struct script *script)
{
	*(script->older ? &script->older->newer : &list->oldest) = script->newer;
	*(script->newer ? &script->newer->older : &list->newest) = script->older;
}

static void drop(struct scripts *scripts, struct script *script)
{
	struct script **at = bucket_of_sha(scripts, script->sha);

	while (*at != script)
		at = &(*at)->next_by_sha;
	*at = script->next_by_sha;
	at = &scripts->by_sum[script->sum % BUCKETS];
	while (*at != script)
		at = &(*at)->next_by_sum;
	*at = script->next_by_sum;
	list_remove(&scripts->lists[script->called], script);
	scripts->counters.bodies--;
	scripts->counters.bytes -= cost(script);
	free(script);
}

static struct script *find_sha(struct scripts *scripts, const uint8_t *sha)
{
	struct script *script = *bucket_of_sha(scripts, sha);

	while (script && memcmp(script->sha, sha, SHA1_LEN) != 0)
		script = script->next_by_sha;
	return script;
}

static struct script *find_body(struct scripts *scripts, struct slice body, uint64_t sum)
{
	struct script *script = scripts->by_sum[sum % BUCKETS];

	while (script && (script->sum != sum || !slice_equal(slice_make(script->body, script->len), body)))
		script = script->next_by_sum;
	return script;
}

/* Reachable and the latest used. */
static void touch(struct scripts *scripts, struct script *script, bool called)
{
	list_remove(&scripts->lists[script->called], script);
	script->called |= called;
	script->flushed = false;
	list_append(&scripts->lists[script->called], script);
}

static void make_room(struct scripts *scripts, const struct script *newest)
{
	for (unsigned called = 0; called < 2; called++) {
		struct script_list *list = &scripts->lists[called];

		while (scripts->counters.bytes > scripts->bytes_max && list->oldest && list->oldest != newest) {
			drop(scripts, list->oldest);
			scripts->counters.evicted++;
		}
	}
}

static struct script *add(struct scripts *scripts, struct slice body, uint64_t sum)
{
	struct script *script = memory_alloc(sizeof(*script) + body.len);
	struct script **bucket;

	*script = (struct script){.sum = sum, .len = body.len};
	if (body.len)
		memcpy(script->body, body.data, body.len);
	sha1(body, script->sha);
	bucket = bucket_of_sha(scripts, script->sha);
	script->next_by_sha = *bucket;
	*bucket = script;
	script->next_by_sum = scripts->by_sum[sum % BUCKETS];
	scripts->by_sum[sum % BUCKETS] = script;
	list_append(&scripts->lists[0], script);
	scripts->counters.bodies++;
	scripts->counters.bytes += cost(script);
	make_room(scripts, script);
	return script;
}

/* ---- the file ---- */

static void write_body(struct scripts *scripts, const struct script *script)
{
	if (!scripts->file || scripts->anew)
		return;
	script_file_add(scripts->file, &(struct script_record){false, script->sha, slice_make(script->body, script->len)});
	/* The disk is full, or bodies come faster than they are kept: most of these are evicted already. */
	if (script_file_pending(scripts->file) > 2 * scripts->bytes_max) {
		script_file_restart(scripts->file);
		scripts->anew = true;
	}
}

static void write_called(struct scripts *scripts, const struct script *script)
{
	if (scripts->file && !scripts->anew)
		script_file_add(scripts->file, &(struct script_record){.called = true, .sha = script->sha});
}

static void write_all(struct scripts *scripts)
{
	script_file_restart(scripts->file);
	scripts->anew = false;
	for (unsigned called = 0; called < 2; called++) {
		for (const struct script *script = scripts->lists[called].oldest; script; script = script->newer) {
			script_file_add(scripts->file,
					&(struct script_record){false, script->sha, slice_make(script->body, script->len)});
			if (script->called)
				write_called(scripts, script);
		}
	}
}

static void take_record(void *owner, const struct script_record *record)
{
	struct scripts *scripts = owner;
	struct script *script = find_sha(scripts, record->sha);

	if (script)
		touch(scripts, script, record->called);
	else if (!record->called)
		add(scripts, record->body, crc64(0, record->body.data, record->body.len));
}

/* ---- public ---- */

struct scripts *scripts_open(const char *path, uint64_t bytes_max, uint64_t *ret_cut, struct error *error)
{
	struct scripts *scripts = memory_alloc_zero(1, sizeof(*scripts));
	const struct slice script_load[] = {SLICE("SCRIPT"), SLICE("LOAD")}, script_flush[] = {SLICE("SCRIPT"), SLICE("FLUSH")};
	const struct slice eval = SLICE("EVAL"), eval_ro = SLICE("EVAL_RO");

	*ret_cut = 0;
	scripts->bytes_max = bytes_max;
	scripts->eval = command_lookup(1, &eval);
	scripts->eval_ro = command_lookup(1, &eval_ro);
	scripts->load = command_lookup(2, script_load);
	scripts->flush = command_lookup(2, script_flush);
	if (path && !(scripts->file = script_file_open(path, take_record, scripts, ret_cut, error))) {
		scripts_free(scripts);
		return NULL;
	}
	scripts->counters.evicted = 0;
	return scripts;
}

void scripts_free(struct scripts *scripts)
{
	if (!scripts)
		return;
	for (unsigned called = 0; called < 2; called++)
		while (scripts->lists[called].oldest)
			drop(scripts, scripts->lists[called].oldest);
	script_file_free(scripts->file);
	free(scripts);
}

static void flush_from(struct scripts *scripts, uint64_t position)
{
	for (unsigned called = 0; called < 2; called++)
		for (struct script *script = scripts->lists[called].oldest; script; script = script->newer)
			script->flushed = true;
	scripts->flushing = scripts->counters.bodies > 0;
	scripts->flushed_at = position;
}

void scripts_begin(struct scripts *scripts)
{
	flush_from(scripts, 0);
}

static void see_body(struct scripts *scripts, struct slice body)
{
	uint64_t sum = crc64(0, body.data, body.len);
	struct script *script = find_body(scripts, body, sum);

	if (script)
		touch(scripts, script, false);
	else
		write_body(scripts, add(scripts, body, sum));
}

void scripts_see(struct scripts *scripts, const struct event *event)
{
	const struct command_info *info = event->info;

	if (event->kind == EVENT_SCRIPT)
		see_body(scripts, event->value);
	if (event->kind != EVENT_COMMAND || !info || !(info->flags & (COMMAND_SCRIPT | COMMAND_ALL_NODES)))
		return;
	if ((info == scripts->eval || info == scripts->eval_ro) && event->argc > 1)
		see_body(scripts, event->argv[1]);
	else if (info == scripts->load && event->argc > 2)
		see_body(scripts, event->argv[2]);
	else if (info == scripts->flush)
		flush_from(scripts, event->end);
}

bool scripts_find(struct scripts *scripts, struct slice sha, struct slice *ret_body)
{
	uint8_t binary[SHA1_LEN];
	struct script *script = sha1_parse(sha, binary) ? find_sha(scripts, binary) : NULL;

	if (!script)
		return false;
	if (!script->called)
		write_called(scripts, script);
	touch(scripts, script, true);
	*ret_body = slice_make(script->body, script->len);
	return true;
}

bool scripts_keep(struct scripts *scripts, struct error *error)
{
	uint64_t size = scripts->file ? script_file_size(scripts->file) : 0;

	if (!scripts->file)
		return true;
	if (scripts->anew || (size > 2 * scripts->counters.bytes && size - scripts->counters.bytes > WASTE_MIN))
		write_all(scripts);
	return script_file_sync(scripts->file, error);
}

void scripts_applied(struct scripts *scripts, uint64_t position)
{
	if (!scripts->flushing || position < scripts->flushed_at)
		return;
	scripts->flushing = false;
	for (unsigned called = 0; called < 2; called++) {
		struct script *newer;

		for (struct script *script = scripts->lists[called].oldest; script; script = newer) {
			newer = script->newer;
			if (script->flushed)
				drop(scripts, script);
		}
	}
	/* On the disk with the next state; until then it holds some too many. */
	if (scripts->file)
		write_all(scripts);
}

struct scripts_counters scripts_counters(const struct scripts *scripts)
{
	return scripts->counters;
}
