#include "sink_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/command.h"
#include "wire/rdb.h"
#include "wire/resp.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 32

/* ---- the deployment without a network ---- */

const struct deployment_options *deployment_options(const struct deployment *deployment)
{
	return &deployment->options;
}

struct tls_context *deployment_tls(const struct deployment *deployment)
{
	(void)deployment;
	return NULL;
}

struct tls_context *deployment_sentinel_tls(const struct deployment *deployment)
{
	(void)deployment;
	return NULL;
}

/* ---- the sink's callbacks ---- */

static void on_room(void *owner)
{
	((struct sink_bench *)owner)->rooms++;
}

static void on_applied(void *owner)
{
	struct sink_bench *bench = owner;
	uint64_t position;
	uint32_t db;

	bench->turns++;
	sink_applied(bench->sink, &position, &db);
	assert(position >= bench->applied_max); /* never back */
	bench->applied_max = position;
}

static void on_failed(void *owner, const struct error *error)
{
	struct sink_bench *bench = owner;

	assert(!bench->failed); /* told once */
	bench->failed = true;
	bench->error = *error;
}

static void on_note(void *owner, int level, const char *text)
{
	struct sink_bench *bench = owner;
	size_t used = strlen(bench->notes);

	(void)level;
	snprintf(bench->notes + used, sizeof(bench->notes) - used, "%s\n", text);
}

static void on_fell(void *owner, const struct sink_fall *fall)
{
	struct sink_bench *bench = owner;

	assert(bench->falls == 0); /* told once */
	bench->falls++;
	bench->fall = *fall;
}

static void on_tell(void *owner, const struct incident *incident)
{
	struct sink_bench *bench = owner;

	bench->told[incident->kind]++;
	bench->last_told[incident->kind] = *incident;
	on_note(owner, (int)incident_kind_level(incident->kind), incident->text);
}

static const struct sink_events callbacks = {on_room, on_applied, on_failed, on_note, on_tell, on_fell};

/* ---- the bench ---- */

static void make_topology(struct sink_bench *bench, int count)
{
	struct topology *topology = &bench->topology;

	if (count == 0) {
		topology_of_one(&bench->fakes[0].endpoint, topology);
		return;
	}
	*topology = (struct topology){.cluster = true,
				      .shard_count = (uint32_t)count,
				      .shards = memory_alloc_zero((size_t)count, sizeof(struct shard))};
	for (int i = 0; i < count; i++)
		topology->shards[i].master = bench->fakes[i].endpoint;
	for (int slot = 0; slot < SLOT_COUNT; slot++)
		topology->owner[slot] = (uint16_t)bench->cluster.owner[slot];
}

void sink_bench_open(struct sink_bench *bench, int count)
{
	*bench = (struct sink_bench){.loop = loop_new(), .fake_count = count ? count : 1, .position = 1000};
	for (int i = 0; i < bench->fake_count; i++)
		fake_start(&bench->fakes[i], bench->loop);
	if (count > 0)
		fake_cluster_init(&bench->cluster, bench->fakes, count);
	make_topology(bench, count);
	bench->deployment.options.addresses = &bench->fakes[0].endpoint;
	bench->deployment.options.address_count = 1;
	bench->deployment.options.mode = count ? MODE_CLUSTER : MODE_STANDALONE;
	bench->applied_max = bench->position;
	bench->options = (struct sink_options){
		.loop = bench->loop,
		.target = &bench->deployment,
		.topology = &bench->topology,
		.name = "keyferry:test",
		.abilities = {.set_absolute_expiry = true,
			      .restore_absolute_ttl = true,
			      .restore_replace = true,
			      .functions = true,
			      .rdb_version = 10,
			      .bulk_max = 512 << 20,
			      .name = "Redis 7.0.15"},
		.conflict = CONFLICT_OVERWRITE,
		.on_conflict = ON_CONFLICT_STOP,
		.in_flight_commands = 1024,
		.in_flight_bytes = 8 << 20,
		.connect_timeout_ms = 2000,
		.silence_timeout_ms = 60000,
		.position = bench->position,
	};
}

void sink_bench_start(struct sink_bench *bench)
{
	bench->sink = sink_new(&bench->options, &callbacks, bench);
}

void sink_bench_close(struct sink_bench *bench)
{
	sink_free(bench->sink);
	for (int i = 0; i < bench->fake_count; i++)
		fake_free(&bench->fakes[i]);
	loop_free(bench->loop);
	topology_free(&bench->topology);
	for (size_t i = 0; i < bench->kept_count; i++)
		free(bench->kept[i]);
	free(bench->kept);
}

bool bench_is_idle(const struct sink_bench *bench)
{
	uint64_t position;
	uint32_t db;

	sink_applied(bench->sink, &position, &db);
	return sink_idle(bench->sink) && bench->applied_max == position;
}

void bench_turn(struct sink_bench *bench)
{
	bool never = false;

	loop_run_until(bench->loop, &never, clock_monotonic_us() + 300);
}

void bench_pass(struct sink_bench *bench, uint32_t ms)
{
	bool never = false;

	loop_run_until(bench->loop, &never, clock_monotonic_us() + ms * 1000ULL);
}

/* ---- events ---- */

static void *keep(struct sink_bench *bench, void *memory)
{
	bench->kept = memory_realloc_array(bench->kept, bench->kept_count + 1, sizeof(void *));
	bench->kept[bench->kept_count++] = memory;
	return memory;
}

static uint32_t split(struct sink_bench *bench, const char *words, struct slice argv[WORDS_MAX])
{
	const char *at = keep(bench, memory_strdup(words));
	uint32_t argc = 0;

	while (argc < WORDS_MAX && *at) {
		size_t len = strcspn(at, " ");

		argv[argc++] = slice_make(at, len);
		at += len + (at[len] == ' ');
	}
	return argc;
}

static struct slice raw_of(struct sink_bench *bench, uint32_t argc, const struct slice *argv)
{
	struct buffer out;
	struct slice raw;

	buffer_init(&out, 256u << 20);
	assert(resp_command_write(&out, argc, argv));
	raw = buffer_readable(&out);
	keep(bench, out.data);
	return raw;
}

struct slice bench_raw(struct sink_bench *bench, const char *words)
{
	struct slice argv[WORDS_MAX];
	uint32_t argc = split(bench, words, argv);

	return raw_of(bench, argc, argv);
}

static uint16_t slot_of(const struct sink_bench *bench, uint32_t argc, const struct slice *argv)
{
	const struct command_info *info = command_lookup(argc, argv);
	uint32_t at = info ? command_first_key(info, argc, argv) : 0;

	return bench->topology.cluster && at ? slot_of_key(argv[at]) : 0;
}

uint64_t bench_command(struct sink_bench *bench, uint32_t db, const char *words)
{
	struct slice argv[WORDS_MAX];
	struct event event = {
		.kind = EVENT_COMMAND, .db = db, .argc = split(bench, words, argv), .argv = argv, .start = bench->position};

	event.raw = raw_of(bench, event.argc, argv);
	event.info = command_lookup(event.argc, argv);
	event.end = bench->position += event.raw.len;
	sink_command(bench->sink, &event, slot_of(bench, event.argc, argv), db);
	return event.end;
}

void bench_key(struct sink_bench *bench, uint32_t db, const char *key, struct slice value)
{
	struct event event = {
		.kind = EVENT_KEY,
		.db = db,
		.key = slice_of_string(keep(bench, memory_strdup(key))),
		.value = value,
		.string = value,
		.type = RDB_TYPE_STRING,
		.expire_at_ms = EXPIRE_NEVER,
		.idle_seconds = -1,
		.frequency = -1,
		.start = bench->position,
		.end = bench->position + value.len + 16,
	};

	bench->position = event.end;
	sink_key(bench->sink, &event, event.end, bench->topology.cluster ? slot_of_key(event.key) : 0, event.db, false);
}

uint64_t bench_transaction(struct sink_bench *bench, uint32_t db, uint32_t db_after, uint16_t flags, const char *const *commands)
{
	struct sink_piece pieces[64] = {0};
	struct slice argv[WORDS_MAX];
	uint64_t start = bench->position;
	uint32_t count = 0;
	uint16_t slot = slot_of(bench, split(bench, commands[0], argv), argv);

	pieces[count++].bytes = bench_raw(bench, "MULTI");
	for (; *commands && count < 63; commands++)
		pieces[count++].bytes = bench_raw(bench, *commands);
	pieces[count++].bytes = bench_raw(bench, "EXEC");
	for (uint32_t i = 0; i < count; i++)
		bench->position += pieces[i].bytes.len;
	sink_transaction(bench->sink, start, bench->position, slot, db, db_after, db_after, pieces, count, count, flags);
	return bench->position;
}
