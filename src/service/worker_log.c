#include "service/worker_log.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_LINE 512 /* bytes of the first line that a file is known by */
#define LINE_BYTES 256 /* about what a line has: so much is looked through for each that is asked for */
#define BLOCK 16384

/* One of the two files, open. */
struct half {
	int fd;
	uint64_t id; /* 0: it is not there, or has no line yet */
	int64_t size;
};

/* FNV-1a, begun with the inode. */
static uint64_t hash(uint64_t inode, const char *text, size_t len)
{
	uint64_t value = (0xcbf29ce484222325 ^ inode) * 0x100000001b3;

	for (size_t i = 0; i < len; i++)
		value = (value ^ (unsigned char)text[i]) * 0x100000001b3;
	return value ? value : 1;
}

static struct half open_half(const char *dir, const char *name)
{
	struct half half = {.fd = -1};
	char *path = memory_printf("%s/%s", dir, name), first[FIRST_LINE];
	struct stat file;
	const char *end;
	ssize_t got;

	half.fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (half.fd < 0 || fstat(half.fd, &file) < 0)
		return half;
	half.size = file.st_size;
	got = pread(half.fd, first, sizeof(first), 0);
	end = got > 0 ? memchr(first, '\n', (size_t)got) : NULL;
	if (end || got == sizeof(first))
		half.id = hash(file.st_ino, first, end ? (size_t)(end - first) : sizeof(first));
	return half;
}

static void close_half(const struct half *half)
{
	if (half->fd >= 0)
		close(half->fd);
}

/* ---- from the end ---- */

/* What is still looked for. */
struct search {
	uint64_t lines, bytes;
};

/* Where the last lines of the file begin; the search goes on in the file before when it is not over. */
static int64_t look_back(const struct half *half, struct search *search)
{
	int64_t at = half->size, begin = half->size;
	uint64_t seen = 0; /* ends of lines */
	char block[BLOCK];

	while (at > 0 && search->bytes > 0) {
		size_t len = at < BLOCK ? (size_t)at : BLOCK;

		if (pread(half->fd, block, len, at - (int64_t)len) != (ssize_t)len)
			break;
		at -= (int64_t)len;
		for (size_t i = len; i-- > 0;) {
			if (block[i] != '\n')
				continue;
			/* What is behind the last end is no whole line, and is read when it is. */
			begin = at + (int64_t)i + 1;
			if (seen++ == search->lines) {
				search->lines = 0;
				return begin;
			}
		}
		search->bytes -= len < search->bytes ? len : search->bytes;
	}
	if (at > 0) {
		search->lines = 0;
		return begin;
	}
	search->lines -= seen;
	return 0;
}

void worker_log_back(const char *dir, uint32_t most, struct worker_log_place *ret)
{
	struct search search = {most, (uint64_t)most * LINE_BYTES + BLOCK};
	struct half now = open_half(dir, "log"), old;

	*ret = (struct worker_log_place){now.id, now.id ? look_back(&now, &search) : 0};
	old = open_half(dir, "log.1");
	/* Both are the same one when it was turned in between. */
	if (search.lines > 0 && old.id && old.id != now.id)
		*ret = (struct worker_log_place){old.id, look_back(&old, &search)};
	close_half(&now);
	close_half(&old);
}

/* ---- forwards ---- */

static void add_line(json_t *lines, char *text, size_t len)
{
	if (len == 0)
		return;
	for (char *zero; (zero = memchr(text, '\0', len));)
		*zero = '?';
	utf8_mend(text, len);
	json_array_append_new(lines, json_stringn(text, len));
}

static void read_half(const struct half *half, struct worker_log_place *place, json_t *lines)
{
	char *text = memory_alloc(WORKER_LOG_READ), *end;
	ssize_t got = pread(half->fd, text, WORKER_LOG_READ, place->offset);
	size_t len = got > 0 ? (size_t)got : 0, at = 0;

	while (at < len) {
		end = memchr(text + at, '\n', len - at);
		if (!end && (at > 0 || len < WORKER_LOG_READ))
			break;
		add_line(lines, text + at, end ? (size_t)(end - text) - at : len);
		at = end ? (size_t)(end - text) + 1 : len;
	}
	place->offset += (int64_t)at;
	free(text);
}

/* The place is in neither file: on with the older one. */
static void place_anew(struct worker_log_place *place, const struct half *old, const struct half *now, bool *ret_gap)
{
	const struct half *first = old->id ? old : now;

	if (!first->id)
		return;
	*ret_gap = place->file != 0;
	*place = (struct worker_log_place){.file = first->id};
}

bool worker_log_read(const char *dir, struct worker_log_place *place, json_t *lines, bool *ret_gap)
{
	/* In this order: a line of the new file shows that nobody writes to the old one any more, which is read to its end then. */
	struct half now = open_half(dir, "log"), old = {.fd = -1};
	struct worker_log_place before;

	*ret_gap = false;
	if (!place->file || place->file != now.id || place->offset > now.size)
		old = open_half(dir, "log.1");
	if (!place->file || (place->file != now.id && place->file != old.id) ||
	    (place->file == now.id && place->offset > now.size))
		place_anew(place, &old, &now, ret_gap);
	before = *place;
	if (place->file && place->file == old.id) {
		read_half(&old, place, lines);
		if (place->offset == before.offset && now.id && now.id != old.id)
			*place = before = (struct worker_log_place){.file = now.id};
	}
	if (place->file && place->file == now.id && place->offset == before.offset)
		read_half(&now, place, lines);
	close_half(&now);
	close_half(&old);
	return place->offset != before.offset;
}

/* ---- as text ---- */

void worker_log_format_place(const struct worker_log_place *place, char out[WORKER_LOG_PLACE_MAX])
{
	snprintf(out, WORKER_LOG_PLACE_MAX, "%016" PRIx64 "-%" PRId64, place->file, place->offset);
}

bool worker_log_parse_place(const char *text, struct worker_log_place *ret)
{
	const size_t digits = 16;
	struct worker_log_place place = {0};

	if (strspn(text, "0123456789abcdef") != digits || text[digits] != '-' ||
	    !slice_to_int64(slice_of_string(text + digits + 1), &place.offset) || place.offset < 0)
		return false;
	place.file = strtoull(text, NULL, 16);
	*ret = place;
	return true;
}
