/* What the spool's tests share: a temporary directory, and bytes whose value follows from their position. */
#ifndef KEYFERRY_TESTS_SPOOL_FIXTURE_H
#define KEYFERRY_TESTS_SPOOL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "spool/disk.h"
#include "spool/format.h"
#include "spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ULL << 20)

/* What lies at each position: random bytes, repeated after a prime number of them so that no block resembles another. */
#define PATTERN 1000003

static inline const uint8_t *pattern(void)
{
	static uint8_t bytes[PATTERN];
	uint64_t seed = 88172645463325252ULL;

	if (bytes[0] == 0) {
		for (size_t i = 0; i < PATTERN; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[i] = (uint8_t)(seed >> 32);
		}
		bytes[0] = 1;
	}
	return bytes;
}

static inline void fill(uint8_t *out, uint64_t position, size_t len)
{
	while (len > 0) {
		size_t at = position % PATTERN, part = len < PATTERN - at ? len : PATTERN - at;

		memcpy(out, pattern() + at, part);
		out += part;
		position += part;
		len -= part;
	}
}

static inline bool is_filled(const uint8_t *bytes, uint64_t position, size_t len)
{
	while (len > 0) {
		size_t at = position % PATTERN, part = len < PATTERN - at ? len : PATTERN - at;

		if (memcmp(bytes, pattern() + at, part) != 0)
			return false;
		bytes += part;
		position += part;
		len -= part;
	}
	return true;
}

static inline char *make_dir(void)
{
	const char *base = getenv("TMPDIR");
	char *dir = memory_printf("%s/keyferry-spool-XXXXXX", base && *base ? base : "/tmp");

	assert_non_null(mkdtemp(dir));
	return dir;
}

static inline void empty_dir(const char *dir)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
}

static inline void remove_dir(char *dir)
{
	empty_dir(dir);
	assert_int_equal(rmdir(dir), 0);
	free(dir);
}

static inline unsigned count_files(const char *dir)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	unsigned count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

static inline void segment_path_of(const char *dir, uint64_t generation, uint64_t number, char out[4096])
{
	char name[FORMAT_NAME_MAX];

	format_put_name(generation, number, name);
	snprintf(out, 4096, "%s/%s", dir, name);
}

/* One MiB a segment, a window of a few, so that a test wraps round it soon. */
static inline struct spool_options small_options(const char *dir)
{
	return (struct spool_options){.dir = dir, .segment_size = MIB, .max_size = 64 * MIB, .view_max = 3 * MIB};
}

static inline struct spool *open_spool(const struct spool_options *options, uint64_t *ret_cut)
{
	struct error error = {0};
	struct spool *spool = spool_open(options, ret_cut, &error);

	if (!spool)
		print_error("%s\n", error.text);
	assert_non_null(spool);
	return spool;
}

static inline void start_spool(struct spool *spool, uint64_t generation, bool has_snapshot)
{
	struct spool_origin origin = {
		.generation = generation, .replid = "0123456789abcdef0123456789abcdef01234567", .offset = 1000};
	struct error error = {0};

	assert_true(spool_start(spool, &origin, has_snapshot, &error));
}

static inline void append_bytes(struct spool *spool, uint64_t len)
{
	uint8_t chunk[65536];
	struct error error = {0};
	bool full;

	while (len > 0) {
		size_t part = len < sizeof(chunk) ? (size_t)len : sizeof(chunk);

		fill(chunk, spool_end(spool), part);
		if (!spool_append(spool, chunk, part, &full, &error))
			fail_msg("%s", error.text);
		len -= part;
	}
}

static inline void check_bytes(struct spool *spool, uint64_t from, uint64_t to)
{
	struct error error = {0};

	while (from < to) {
		uint64_t len = to - from < 3 * MIB ? to - from : 3 * MIB;
		const uint8_t *view;

		spool_release(spool, from);
		view = spool_view(spool, from, len, &error);
		if (!view)
			fail_msg("%s", error.text);
		assert_true(is_filled(view, from, len));
		from += len;
	}
}

#endif
