#include "receiver_bench.h"

#include "base/clock.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK_EVERY_MS 2
#define PATIENCE_US (120 * 1000000ULL)

static void bench_note(void *owner, int level, const char *text)
{
	struct bench *bench = owner;

	assert_true(buffer_printf(&bench->notes, "%d %s\n", level, text));
}

static void bench_resync(void *owner)
{
	struct bench *bench = owner;

	bench->resyncs++;
	if (bench->ready_at_once)
		receiver_resync_ready(bench->receiver);
}

static void bench_gave_up(void *owner, const struct error *error)
{
	struct bench *bench = owner;

	bench->gave_up = true;
	bench->error = *error;
}

static void bench_open_spool(struct bench *bench)
{
	struct error error;
	uint64_t cut;

	bench->spool = spool_open(&bench->spool_options, &cut, &error);
	if (bench->spool == NULL)
		fail_msg("%s", error.text);
}

static void bench_tell(void *owner, const struct incident *incident)
{
	struct bench *bench = owner;

	bench->told[incident->kind]++;
	bench->last_told[incident->kind] = *incident;
	bench_note(owner, (int)incident_kind_level(incident->kind), incident->text);
}

static const struct receiver_events bench_events = {
	.note = bench_note, .tell = bench_tell, .resync = bench_resync, .gave_up = bench_gave_up};

static void bench_make_receiver(struct bench *bench)
{
	bench->options.spool = bench->spool;
	bench->receiver = receiver_new(bench->loop, &bench->options, &bench_events, bench);
	receiver_start(bench->receiver);
}

void bench_open(struct bench *bench)
{
	*bench = (struct bench){.ready_at_once = true};
	snprintf(bench->dir, sizeof(bench->dir), "/tmp/keyferry-test-XXXXXX");
	assert_non_null(mkdtemp(bench->dir));
	buffer_init(&bench->notes, 1 << 20);
	bench->loop = loop_new();
	bench->spool_options = (struct spool_options){.dir = bench->dir, .segment_size = 1 << 20, .max_size = 64 << 20};
	bench->options = (struct receiver_options){.snapshot = true, .connect_timeout_ms = 5000, .repl_timeout_ms = 10000};
}

void bench_start(struct bench *bench, const struct endpoint *endpoint)
{
	bench_open_spool(bench);
	bench->options.endpoint = *endpoint;
	bench_make_receiver(bench);
}

static void bench_check(void *owner)
{
	struct bench *bench = owner;

	bench->done = bench->wanted(bench);
}

bool bench_run(struct bench *bench, bool (*wanted)(struct bench *bench))
{
	struct timer *timer = timer_new(bench->loop, bench_check, bench);

	bench->wanted = wanted;
	bench->done = false;
	timer_repeat(timer, 0, CHECK_EVERY_MS);
	loop_run_until(bench->loop, &bench->done, clock_monotonic_us() + PATIENCE_US);
	timer_free(timer);
	if (!bench->done)
		print_error("notes so far:\n%.*s\n", (int)bench->notes.end, (const char *)bench->notes.data);
	return bench->done;
}

void bench_restart(struct bench *bench)
{
	receiver_free(bench->receiver);
	spool_close(bench->spool);
	bench_open_spool(bench);
	bench_make_receiver(bench);
}

static void remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char name[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		unlink(name);
	}
	if (dir != NULL)
		closedir(dir);
	rmdir(path);
}

void bench_close(struct bench *bench)
{
	receiver_free(bench->receiver);
	spool_close(bench->spool);
	loop_free(bench->loop);
	buffer_free(&bench->notes);
	remove_dir(bench->dir);
}

int bench_count_notes(const struct bench *bench, const char *part)
{
	const char *at = (const char *)bench->notes.data, *end = at + bench->notes.end;
	int count = 0;

	while (at != NULL && at < end && (at = memmem(at, (size_t)(end - at), part, strlen(part))) != NULL) {
		count++;
		at++;
	}
	return count;
}

void bench_check_held(struct bench *bench, uint64_t position, const void *data, size_t len)
{
	struct error error;
	const uint8_t *view;

	assert_int_equal(spool_end(bench->spool), position + len);
	view = spool_view(bench->spool, position, len, &error);
	if (view == NULL)
		fail_msg("%s", error.text);
	assert_memory_equal(view, data, len);
}
