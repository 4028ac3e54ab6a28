/* Writer and reader at the same time, with the bound between them. */
#include "spool_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define TOTAL (96 * MIB)

struct both {
	struct spool *spool;
	sem_t data, room;
};

static void wake(void *owner)
{
	sem_post(owner);
}

static void *write_all(void *owner)
{
	struct both *both = owner;
	uint8_t *chunk = memory_alloc(256 * 1024);
	struct error error = {0};
	uint64_t step = 0;
	bool full, ok = true;

	while (spool_end(both->spool) < TOTAL && ok) {
		uint64_t end = spool_end(both->spool), room = spool_room(both->spool);
		uint64_t len = 1 + (step++ * 7919) % (256 * 1024);

		if (room == 0) {
			sem_wait(&both->room);
			continue;
		}
		len = len < room ? len : room;
		len = len < TOTAL - end ? len : TOTAL - end;
		fill(chunk, end, len);
		ok = spool_append(both->spool, chunk, len, &full, &error);
		if (ok && step % 50 == 0)
			ok = spool_flush(both->spool, step % 500 == 0, &error);
		if (ok && end < 20 * MIB && end + len >= 20 * MIB)
			ok = spool_finish_snapshot(both->spool, &error);
		if (ok && end < 40 * MIB && end + len >= 40 * MIB)
			ok = spool_rename_history(both->spool, "changed", &error);
	}
	free(chunk);
	return ok ? both : NULL;
}

static void *read_all(void *owner)
{
	struct both *both = owner;
	struct error error = {0};
	uint64_t position = 0, step = 0;

	while (position < TOTAL) {
		uint64_t end = spool_end(both->spool);
		uint64_t len = end - position < 2 * MIB ? end - position : 2 * MIB;
		const uint8_t *view;

		if (len == 0) {
			spool_release(both->spool, position);
			sem_wait(&both->data);
			continue;
		}
		view = spool_view(both->spool, position, len, &error);
		if (!view || !is_filled(view, position, len))
			return NULL;
		if (spool_origin(both->spool).generation != 1 ||
		    spool_offset_of(both->spool, position) > (int64_t)(1001 + position))
			return NULL;
		spool_unload(both->spool, position, position + len);
		/* Like an applier: what is applied lags behind what was looked at. */
		position += len;
		if (step++ % 3 == 0)
			spool_release(both->spool, position);
	}
	return both;
}

static void test_both_at_once(void **state)
{
	char *dir = make_dir();
	struct spool_options options = small_options(dir);
	struct both both = {0};
	pthread_t writer, reader;
	void *wrote, *read;
	uint64_t cut;

	(void)state;
	pattern(); /* made before there are two threads */
	options.max_size = 5 * MIB;
	options.view_max = 8 * MIB;
	both.spool = open_spool(&options, &cut);
	sem_init(&both.data, 0, 0);
	sem_init(&both.room, 0, 0);
	spool_on_data(both.spool, wake, &both.data);
	spool_on_room(both.spool, wake, &both.room);
	start_spool(both.spool, 1, true);
	assert_int_equal(pthread_create(&writer, NULL, write_all, &both), 0);
	assert_int_equal(pthread_create(&reader, NULL, read_all, &both), 0);
	assert_int_equal(pthread_join(writer, &wrote), 0);
	assert_int_equal(pthread_join(reader, &read), 0);
	assert_non_null(wrote);
	assert_non_null(read);
	assert_string_equal(spool_origin(both.spool).replid, "changed");
	spool_close(both.spool);
	sem_destroy(&both.data);
	sem_destroy(&both.room);
	remove_dir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
