/* The spool itself: the positions that both sides share, and the calls of spool.h.
 *
 * The writer (writer.h) knows files, the reader (ring.h) knows mappings; each opens segments by number for itself. They share
 *   end       stored by the writer once the bytes can be read (release), loaded by the reader (acquire)
 *   begin     stored by the reader when a segment is deleted, loaded by the writer for the bound
 *   starved   set by the writer when it found no room, taken back by the reader who makes some
 * and the origin under a lock, which changes a few times in a spool's life. */
#include "spool/spool.h"

#include "base/memory.h"
#include "spool/ring.h"
#include "spool/state.h"
#include "spool/writer.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SEGMENT_DEFAULT (16 * FORMAT_BLOCK)

struct spool {
	struct segment_store store;
	uint64_t segment_size; /* for the next generation */
	uint64_t max_size;
	uint64_t keep_size;
	uint64_t view_max;

	_Atomic uint64_t begin;
	_Atomic uint64_t end;
	_Atomic uint64_t snapshot_end;
	_Atomic int64_t origin_offset;
	atomic_bool starved;
	pthread_mutex_t origin_lock;
	struct format_state state; /* the writer's; its origin also read by others, under the lock */

	struct state_file state_file;
	struct writer writer;
	void (*on_data)(void *owner);
	void *on_data_owner;

	struct ring ring;
	struct recovery_block *unread; /* the whole blocks found at the start, from unread_begin on */
	uint64_t unread_begin;
	size_t unread_count;
	void (*on_room)(void *owner);
	void *on_room_owner;
};

/* ---- opening and closing ---- */

static bool check_options(const struct spool_options *options, uint64_t segment_size, struct error *error)
{
	if (!format_segment_size_fits(segment_size)) {
		error_set(error, ERROR_USAGE, "spool %s: a segment of %llu bytes is not a multiple of 1 MiB up to 256 MiB",
			  options->dir, (unsigned long long)segment_size);
		return false;
	}
	if (options->max_size < 4 * segment_size) {
		error_set(error, ERROR_USAGE, "spool %s: %llu bytes are less than four segments of %llu", options->dir,
			  (unsigned long long)options->max_size, (unsigned long long)segment_size);
		error_hint(error, "give the spool more room, or smaller segments");
		return false;
	}
	if (options->view_max > SPOOL_VIEW_MAX || strlen(options->dir) + FORMAT_NAME_MAX >= SEGMENT_PATH_MAX) {
		error_set(error, ERROR_USAGE, "spool %.200s: the path is too long, or the longest view is", options->dir);
		return false;
	}
	return true;
}

static void adopt_state(struct spool *spool, const struct format_state *state)
{
	pthread_mutex_lock(&spool->origin_lock);
	spool->state = *state;
	pthread_mutex_unlock(&spool->origin_lock);
	atomic_store(&spool->snapshot_end, state->snapshot_end);
	atomic_store(&spool->origin_offset, state->origin.offset);
}

/* Which segments are the spool's. Only while no reader runs: both sides find their files by it. */
static void adopt_generation(struct spool *spool)
{
	spool->store.generation = spool->state.origin.generation;
	spool->store.size = spool->state.segment_size;
}

/* Writes the changed state and makes it the spool's. */
static bool change_state(struct spool *spool, struct format_state *state, struct error *error)
{
	state->sequence = spool->state.sequence + 1;
	if (!state_write(&spool->state_file, state, error))
		return false;
	adopt_state(spool, state);
	return true;
}

static bool recover(struct spool *spool, uint64_t *ret_cut, struct error *error)
{
	struct recovery found;

	if (!recovery_run(&spool->store, spool->writer.hash, &found, error))
		return false;
	spool->unread = found.blocks;
	spool->unread_begin = found.begin;
	spool->unread_count = found.block_count;
	atomic_store(&spool->begin, found.begin);
	atomic_store(&spool->end, found.end);
	writer_resume(&spool->writer, &found);
	if (spool->state.snapshot_end != SPOOL_UNKNOWN && found.end < spool->state.snapshot_end) {
		struct format_state state = spool->state;

		state.snapshot_end = SPOOL_UNKNOWN;
		if (!change_state(spool, &state, error))
			return false;
	}
	*ret_cut = found.cut;
	return true;
}

struct spool *spool_open(const struct spool_options *options, uint64_t *ret_cut, struct error *error)
{
	uint64_t segment_size = options->segment_size ? options->segment_size : SEGMENT_DEFAULT;
	struct format_state state = {.segment_size = segment_size, .snapshot_end = SPOOL_UNKNOWN};
	struct spool *spool;
	uint64_t cut;
	bool fresh;

	if (!check_options(options, segment_size, error))
		return NULL;
	spool = memory_alloc_zero(1, sizeof(*spool));
	pthread_mutex_init(&spool->origin_lock, NULL);
	spool->segment_size = segment_size;
	spool->max_size = options->max_size;
	spool->keep_size = options->keep_size < options->max_size / 2 ? options->keep_size : options->max_size / 2;
	spool->view_max = options->view_max ? options->view_max : SPOOL_VIEW_MAX;
	spool->store.disk = options->disk ? options->disk : &disk_real;
	spool->store.dir = memory_strdup(options->dir);
	spool->state_file.file = -1;
	if (!writer_init(&spool->writer, &spool->store)) {
		error_set(error, ERROR_INTERNAL, "spool %s: out of memory", options->dir);
		goto failed;
	}
	if (!state_open(&spool->state_file, spool->store.disk, spool->store.dir, &state, &fresh, error))
		goto failed;
	adopt_state(spool, &state);
	adopt_generation(spool);
	/* Recovery comes first also for a fresh spool: segments without a state are a damaged one, never to be taken for
	 * nothing. */
	if (!recover(spool, &cut, error) || (fresh && !change_state(spool, &state, error)))
		goto failed;
	if (!ring_init(&spool->ring, &spool->store, spool->view_max, atomic_load(&spool->begin), error))
		goto failed;
	*ret_cut = cut;
	return spool;
failed:
	spool_close(spool);
	return NULL;
}

void spool_close(struct spool *spool)
{
	struct error ignored;

	if (!spool)
		return;
	/* What cannot be recorded now is a torn tail for the next opening. */
	if (spool->ring.base && !spool_flush(spool, false, &ignored))
		error_clear(&ignored);
	writer_free(&spool->writer);
	state_close(&spool->state_file);
	ring_free(&spool->ring);
	pthread_mutex_destroy(&spool->origin_lock);
	free(spool->unread);
	free(spool->store.dir);
	free(spool);
}

/* ---- the state, from either thread ---- */

struct spool_origin spool_origin(const struct spool *spool)
{
	/* The lock is no part of what the caller sees as constant. */
	pthread_mutex_t *lock = (pthread_mutex_t *)&spool->origin_lock;
	struct spool_origin origin;

	pthread_mutex_lock(lock);
	origin = spool->state.origin;
	pthread_mutex_unlock(lock);
	return origin;
}

uint64_t spool_begin_position(const struct spool *spool)
{
	return atomic_load_explicit(&spool->begin, memory_order_acquire);
}

uint64_t spool_end(const struct spool *spool)
{
	return atomic_load_explicit(&spool->end, memory_order_acquire);
}

uint64_t spool_snapshot_end(const struct spool *spool)
{
	return atomic_load_explicit(&spool->snapshot_end, memory_order_acquire);
}

uint64_t spool_disk_bytes(const struct spool *spool)
{
	/* In this order, so that a segment deleted in between cannot make it negative. */
	uint64_t begin = spool_begin_position(spool);

	return spool_end(spool) - begin;
}

int64_t spool_offset_of(const struct spool *spool, uint64_t position)
{
	uint64_t snapshot_end = spool_snapshot_end(spool);

	if (snapshot_end == SPOOL_UNKNOWN || position < snapshot_end)
		return -1;
	return atomic_load_explicit(&spool->origin_offset, memory_order_relaxed) + (int64_t)(position - snapshot_end) + 1;
}

uint64_t spool_position_behind(const struct spool *spool, int64_t offset)
{
	uint64_t snapshot_end = spool_snapshot_end(spool);
	int64_t origin = atomic_load_explicit(&spool->origin_offset, memory_order_relaxed);

	return snapshot_end == SPOOL_UNKNOWN || offset < origin ? SPOOL_UNKNOWN : snapshot_end + (uint64_t)(offset - origin);
}

/* ---- writer ---- */

static void drop_segments(struct spool *spool)
{
	/* Best effort: what cannot be deleted is of a generation that is over, and goes when the spool is opened again. */
	for (uint64_t number = atomic_load(&spool->begin) / spool->store.size; number < spool->writer.next_segment; number++)
		if (segment_remove(&spool->store, number) < 0)
			continue;
}

bool spool_start(struct spool *spool, const struct spool_origin *origin, bool has_snapshot, struct error *error)
{
	struct format_state state = {
		.segment_size = spool->segment_size, .snapshot_end = has_snapshot ? SPOOL_UNKNOWN : 0, .origin = *origin};
	struct segment_store next = spool->store;
	struct ring ring;

	if (origin->generation <= spool->state.origin.generation || !format_origin_fits(origin)) {
		error_set(error, ERROR_INTERNAL, "spool %s: generation %llu at offset %lld cannot follow generation %llu",
			  spool->store.dir, (unsigned long long)origin->generation, (long long)origin->offset,
			  (unsigned long long)spool->state.origin.generation);
		return false;
	}
	/* All that can fail comes first. */
	next.size = spool->segment_size;
	if (!ring_init(&ring, &next, spool->view_max, 0, error))
		return false;
	state.sequence = spool->state.sequence + 1;
	if (!state_write(&spool->state_file, &state, error)) {
		ring_free(&ring);
		return false;
	}
	ring_free(&spool->ring);
	drop_segments(spool);
	writer_restart(&spool->writer);

	adopt_state(spool, &state);
	adopt_generation(spool);
	ring.store = &spool->store;
	spool->ring = ring;
	free(spool->unread);
	spool->unread = NULL;
	spool->unread_count = 0;
	atomic_store(&spool->begin, 0);
	atomic_store(&spool->end, 0);
	return true;
}

bool spool_rename_history(struct spool *spool, const char *replid, struct error *error)
{
	struct format_state state = spool->state;

	if (strlen(replid) >= sizeof(state.origin.replid)) {
		error_set(error, ERROR_INTERNAL, "spool %s: a replication id of %zu bytes is too long", spool->store.dir,
			  strlen(replid));
		return false;
	}
	memset(state.origin.replid, 0, sizeof(state.origin.replid));
	memcpy(state.origin.replid, replid, strlen(replid));
	return change_state(spool, &state, error);
}

static uint64_t bound(const struct spool *spool)
{
	/* A generation begun with larger segments than the options now allow still needs room to move. */
	return spool->max_size > 4 * spool->store.size ? spool->max_size : 4 * spool->store.size;
}

static uint64_t room(const struct spool *spool)
{
	/* In one order with `starved` for both threads, see spool_room(). */
	uint64_t begin = atomic_load(&spool->begin);
	uint64_t held = spool_end(spool) - begin;
	return held < bound(spool) ? bound(spool) - held : 0;
}

uint64_t spool_room(const struct spool *spool)
{
	struct spool *shared = (struct spool *)spool; /* only to say that the writer waits */
	uint64_t bytes = room(spool);

	if (bytes > 0)
		return bytes;
	/* Say so first and look again after: either the reader sees the word, or its release is seen here. */
	atomic_store(&shared->starved, true);
	bytes = room(spool);
	if (bytes > 0)
		atomic_store(&shared->starved, false);
	return bytes;
}

bool spool_append(struct spool *spool, const void *data, size_t len, bool *ret_disk_full, struct error *error)
{
	*ret_disk_full = false;
	if (spool->state.origin.generation == 0 || len > room(spool)) {
		error_set(error, ERROR_INTERNAL, "spool %s: %zu bytes appended %s", spool->store.dir, len,
			  spool->state.origin.generation == 0 ? "before it was started" : "where there is no room for them");
		return false;
	}
	if (!writer_append(&spool->writer, data, len, ret_disk_full, error))
		return false;
	atomic_store_explicit(&spool->end, spool->writer.end, memory_order_release);
	if (spool->on_data && len > 0)
		spool->on_data(spool->on_data_owner);
	return true;
}

bool spool_finish_snapshot(struct spool *spool, struct error *error)
{
	struct format_state state = spool->state;

	/* The records first: a state that knows of more than the segments hold is a snapshot to be taken again. */
	if (!spool_flush(spool, false, error))
		return false;
	state.snapshot_end = spool->writer.end;
	if (!change_state(spool, &state, error))
		return false;
	/* The reader holds the snapshot's last bytes back until its end is known. */
	if (spool->on_data)
		spool->on_data(spool->on_data_owner);
	return true;
}

bool spool_flush(struct spool *spool, bool to_disk, struct error *error)
{
	return writer_flush(&spool->writer, spool_begin_position(spool), to_disk, error);
}

void spool_on_room(struct spool *spool, void (*callback)(void *owner), void *owner)
{
	spool->on_room = callback;
	spool->on_room_owner = owner;
}

/* ---- reader ---- */

void spool_on_data(struct spool *spool, void (*callback)(void *owner), void *owner)
{
	spool->on_data = callback;
	spool->on_data_owner = owner;
}

/* Blocks that recovery trusted are verified before anybody sees them. They lie in the mapping already; a block that begins
 * before the view or ends behind it is in the same segment. */
static bool verify_unread(struct spool *spool, const uint8_t *view, uint64_t position, uint64_t len, struct error *error)
{
	uint64_t block = position - position % FORMAT_BLOCK;

	for (; block < position + len; block += FORMAT_BLOCK) {
		uint64_t index = (block - spool->unread_begin) / FORMAT_BLOCK;
		const uint8_t *bytes = view - (position % FORMAT_BLOCK) + (block - (position - position % FORMAT_BLOCK));

		if (block < spool->unread_begin || index >= spool->unread_count)
			return true;
		if (spool->unread[index].verified)
			continue;
		if (XXH3_64bits(bytes, FORMAT_BLOCK) != spool->unread[index].sum) {
			segment_error(&spool->store, block / spool->store.size, -EIO, "damaged", error);
			error_prefix(error, "the block at byte %llu (position %llu) is not what was received",
				     (unsigned long long)(FORMAT_HEAD + block % spool->store.size), (unsigned long long)block);
			error_hint(error, "the disk, or somebody, changed the file; delete the spool's directory: the link takes "
					  "a new snapshot then");
			return false;
		}
		spool->unread[index].verified = true;
	}
	return true;
}

const uint8_t *spool_view(struct spool *spool, uint64_t position, uint64_t len, struct error *error)
{
	uint64_t end = spool_end(spool);
	const uint8_t *view;

	if (position > end || len > end - position || position < spool->ring.released || len > spool->view_max ||
	    position + len > ring_limit(&spool->ring)) {
		error_set(error, ERROR_INTERNAL,
			  "spool %s: a view of %llu bytes at position %llu, where %llu to %llu can be viewed", spool->store.dir,
			  (unsigned long long)len, (unsigned long long)position, (unsigned long long)spool->ring.released,
			  (unsigned long long)(end < ring_limit(&spool->ring) ? end : ring_limit(&spool->ring)));
		return NULL;
	}
	view = ring_view(&spool->ring, position, len, error);
	if (view && !verify_unread(spool, view, position, len, error))
		return NULL;
	return view;
}

void spool_unload(struct spool *spool, uint64_t from, uint64_t to)
{
	if (from < to)
		ring_unload(&spool->ring, from, to);
}

/* How much of what is released may stay: less, the more is not applied yet, so that the writer always finds a quarter of the bound, or two segments. */
static uint64_t kept_most(const struct spool *spool)
{
	uint64_t waiting = spool_end(spool) - spool->ring.released;
	uint64_t reserve = bound(spool) / 4 > 2 * spool->store.size ? bound(spool) / 4 : 2 * spool->store.size;
	uint64_t room = bound(spool) > waiting + reserve ? bound(spool) - waiting - reserve : 0;

	return spool->keep_size < room ? spool->keep_size : room;
}

/* Deletes the segments before `position`. */
static void discard(struct spool *spool, uint64_t position)
{
	uint64_t size = spool->store.size, end = spool_end(spool);
	uint64_t begin = atomic_load_explicit(&spool->begin, memory_order_relaxed), first = begin / size, last = position / size;

	if (end == 0)
		return;
	/* The segment of the last byte stays even when all is applied: it says where the spool ends. */
	if (last > (end - 1) / size)
		last = (end - 1) / size;
	/* Oldest first, so that what is left after a crash has no gap. A file that cannot be deleted is held on to and tried
	 * again. */
	while (first < last && segment_remove(&spool->store, first) == 0)
		first++;
	if (first * size <= begin)
		return;
	atomic_store(&spool->begin, first * size);
	if (atomic_load(&spool->starved) && room(spool) > 0 && atomic_exchange(&spool->starved, false) && spool->on_room)
		spool->on_room(spool->on_room_owner);
}

static uint64_t kept_from(const struct spool *spool)
{
	uint64_t released = spool->ring.released, most = kept_most(spool);

	return released > most ? released - most : 0;
}

void spool_release(struct spool *spool, uint64_t position)
{
	assert(position <= spool_end(spool));
	if (position <= spool->ring.released)
		return;
	ring_release(&spool->ring, position);
	discard(spool, kept_from(spool));
}

void spool_forget(struct spool *spool, uint64_t position)
{
	uint64_t from = kept_from(spool);

	if (position > spool->ring.released)
		position = spool->ring.released;
	discard(spool, position > from ? position : from);
}

bool spool_rewind(struct spool *spool, uint64_t position)
{
	if (position < spool_begin_position(spool) || position > spool_end(spool))
		return false;
	ring_rewind(&spool->ring, position);
	return true;
}
