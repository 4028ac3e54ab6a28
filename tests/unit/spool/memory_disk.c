#include "memory_disk.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILES_MAX 1024
#define NEVER UINT64_MAX
#define SECTOR 512

struct content {
	uint8_t *data;
	uint64_t size;
};

/* Each file is a memfd, so that it can be mapped. */
struct file {
	char name[192]; /* the whole path */
	int memory;
	bool used;
	unsigned handles;
	uint64_t made, unlinked, renamed; /* numbers of the directory's changes */
	char old_name[192];               /* before it was renamed last */
	struct content synced, saved;
	bool saved_named;
	bool changed; /* since it was saved */
};

static struct file files[FILES_MAX];
static unsigned file_count;
static uint64_t changes, changes_synced;
static unsigned calls, fail_call;
static int fail_errnum;
static uint64_t limit = UINT64_MAX;

static int fault(void)
{
	calls++;
	return calls == fail_call ? -fail_errnum : 0;
}

static uint64_t size_of(const struct file *file)
{
	off_t size = lseek(file->memory, 0, SEEK_END);

	assert(size >= 0);
	return (uint64_t)size;
}

static struct content content_of(const struct file *file)
{
	struct content content = {.size = size_of(file)};
	ssize_t done;

	content.data = memory_alloc(content.size);
	done = pread(file->memory, content.data, content.size, 0);
	assert(done >= 0 && (uint64_t)done == content.size);
	return content;
}

static void set_content(struct file *file, const struct content *content)
{
	ssize_t done = ftruncate(file->memory, (off_t)content->size);

	file->changed = true;
	assert(done == 0);
	done = pwrite(file->memory, content->data, content->size, 0);
	assert(done >= 0 && (uint64_t)done == content->size);
	(void)done;
}

static void forget(struct file *file)
{
	close(file->memory);
	free(file->synced.data);
	free(file->saved.data);
	*file = (struct file){0};
}

static struct file *named(const char *path)
{
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used && files[i].unlinked == NEVER && strcmp(files[i].name, path) == 0)
			return &files[i];
	return NULL;
}

static int memory_open(const char *path, int flags, int mode)
{
	struct file *file = named(path);
	int result = fault();

	(void)mode;
	if (result < 0)
		return result;
	if (!file) {
		if (!(flags & O_CREAT))
			return -ENOENT;
		for (file = files; file < files + file_count && file->used; file++)
			continue;
		if (file == files + file_count)
			file_count++;
		assert(file_count <= FILES_MAX);
		*file = (struct file){.used = true, .made = ++changes, .unlinked = NEVER};
		assert(strlen(path) < sizeof(file->name));
		strncpy(file->name, path, sizeof(file->name) - 1);
		file->memory = memfd_create("disk", MFD_CLOEXEC);
		assert(file->memory >= 0);
	} else if (flags & O_TRUNC) {
		result = ftruncate(file->memory, 0);
		assert(result == 0);
		file->changed = true;
	}
	file->handles++;
	return (int)(file - files);
}

static int memory_close(int handle)
{
	struct file *file = &files[handle];

	assert(file->used && file->handles > 0);
	/* A file without a name is kept all the same until the directory is synced: a power cut may bring it back. */
	file->handles--;
	return 0;
}

static ssize_t memory_pwrite(int handle, const void *data, size_t len, uint64_t offset)
{
	uint64_t used = 0, size = size_of(&files[handle]), grown;
	int result = fault();
	ssize_t done;

	if (result < 0)
		return result;
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used && files[i].unlinked == NEVER)
			used += size_of(&files[i]);
	grown = offset + len > size ? offset + len - size : 0;
	if (grown > 0 && used + grown > limit) {
		uint64_t fits = used < limit ? limit - used : 0;

		if (len - grown + fits == 0)
			return -ENOSPC;
		len = (size_t)(len - grown + fits);
	}
	files[handle].changed = true;
	done = pwrite(files[handle].memory, data, len, (off_t)offset);
	return done < 0 ? -errno : done;
}

static ssize_t memory_pread(int handle, void *out, size_t len, uint64_t offset)
{
	int result = fault();
	ssize_t done;

	if (result < 0)
		return result;
	done = pread(files[handle].memory, out, len, (off_t)offset);
	return done < 0 ? -errno : done;
}

static int memory_truncate(int handle, uint64_t size)
{
	int result = fault();

	if (result < 0)
		return result;
	files[handle].changed = true;
	return ftruncate(files[handle].memory, (off_t)size) < 0 ? -errno : 0;
}

static int64_t memory_size(int handle)
{
	int result = fault();

	return result < 0 ? result : (int64_t)size_of(&files[handle]);
}

static int memory_sync(int handle)
{
	int result = fault();

	if (result < 0)
		return result;
	free(files[handle].synced.data);
	files[handle].synced = content_of(&files[handle]);
	return 0;
}

static int memory_sync_dir(const char *dir)
{
	int result = fault();

	(void)dir;
	if (result < 0)
		return result;
	changes_synced = changes;
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used && files[i].unlinked != NEVER && files[i].handles == 0 && !files[i].saved.data)
			forget(&files[i]);
	return 0;
}

static int memory_rename(const char *from, const char *to)
{
	struct file *file = named(from), *replaced = named(to);
	int result = fault();

	if (result < 0)
		return result;
	if (!file)
		return -ENOENT;
	file->renamed = ++changes;
	if (replaced)
		replaced->unlinked = changes;
	memcpy(file->old_name, file->name, sizeof(file->name));
	assert(strlen(to) < sizeof(file->name));
	snprintf(file->name, sizeof(file->name), "%s", to);
	return 0;
}

static int memory_unlink(const char *path)
{
	struct file *file = named(path);
	int result = fault();

	if (result < 0)
		return result;
	if (!file)
		return -ENOENT;
	file->unlinked = ++changes;
	return 0;
}

static int memory_map(int handle, uint64_t offset, size_t len, void *at)
{
	int result = fault();

	if (result < 0)
		return result;
	return mmap(at, len, PROT_READ, MAP_SHARED | MAP_FIXED, files[handle].memory, (off_t)offset) == MAP_FAILED ? -errno : 0;
}

static int memory_list(const char *dir, void (*visit)(void *owner, const char *name), void *owner)
{
	int result = fault();
	size_t len = strlen(dir);

	if (result < 0)
		return result;
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used && files[i].unlinked == NEVER && strncmp(files[i].name, dir, len) == 0 &&
		    files[i].name[len] == '/')
			visit(owner, files[i].name + len + 1);
	return 0;
}

const struct disk disk_memory = {
	.open = memory_open,
	.close = memory_close,
	.pwrite = memory_pwrite,
	.pread = memory_pread,
	.truncate = memory_truncate,
	.size = memory_size,
	.sync = memory_sync,
	.sync_dir = memory_sync_dir,
	.rename = memory_rename,
	.unlink = memory_unlink,
	.map = memory_map,
	.list = memory_list,
};

unsigned memory_disk_open_files(void)
{
	unsigned open_files = 0;

	for (unsigned i = 0; i < file_count; i++)
		open_files += files[i].handles;
	return open_files;
}

void memory_disk_reset(void)
{
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used)
			forget(&files[i]);
	file_count = 0;
	changes = changes_synced = 0;
	memory_disk_fail(0, 0);
	limit = UINT64_MAX;
}

void memory_disk_fail(unsigned call, int errnum)
{
	calls = 0;
	fail_call = call;
	fail_errnum = errnum;
}

unsigned memory_disk_calls(void)
{
	return calls;
}

void memory_disk_limit(uint64_t bytes)
{
	limit = bytes;
}

static uint64_t next_random(uint64_t *seed)
{
	uint64_t mixed = *seed += 0x9e3779b97f4a7c15ULL;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
	return mixed ^ (mixed >> 31);
}

static void cut_content(struct file *file, uint64_t *seed)
{
	struct content now = content_of(file), kept = {0};
	uint64_t low = now.size < file->synced.size ? now.size : file->synced.size;
	uint64_t high = now.size > file->synced.size ? now.size : file->synced.size;

	switch (next_random(seed) % 3) {
	case 0: kept.size = low; break;
	case 1: kept.size = high; break;
	default: kept.size = low + next_random(seed) % (high - low + 1);
	}
	kept.data = memory_alloc_zero(kept.size, 1);
	for (uint64_t at = 0; at < kept.size; at += SECTOR) {
		const struct content *from = next_random(seed) % 2 ? &now : &file->synced;
		uint64_t end = at + SECTOR < kept.size ? at + SECTOR : kept.size;

		if (end > from->size)
			end = from->size;
		if (at < end)
			memcpy(kept.data + at, from->data + at, end - at);
	}
	set_content(file, &kept);
	free(now.data);
	free(file->synced.data);
	file->synced = kept;
}

void memory_disk_power_cut(uint64_t seed)
{
	uint64_t kept = changes_synced + next_random(&seed) % (changes - changes_synced + 1);

	for (unsigned i = 0; i < file_count; i++) {
		struct file *file = &files[i];

		if (!file->used)
			continue;
		assert(file->handles == 0);
		if (file->made > kept || file->unlinked <= kept) {
			forget(file);
			continue;
		}
		file->unlinked = NEVER;
		if (file->renamed > kept)
			memcpy(file->name, file->old_name, sizeof(file->name));
		cut_content(file, &seed);
	}
	changes_synced = changes;
}

static struct file *file_at(unsigned file)
{
	for (unsigned i = 0; i < file_count; i++)
		if (files[i].used && files[i].unlinked == NEVER && file-- == 0)
			return &files[i];
	return NULL;
}

int64_t memory_disk_file_size(unsigned file)
{
	struct file *at = file_at(file);

	return at ? (int64_t)size_of(at) : -1;
}

bool memory_disk_read(unsigned file, uint64_t offset, void *out, size_t len)
{
	struct file *at = file_at(file);

	return at && pread(at->memory, out, len, (off_t)offset) == (ssize_t)len;
}

bool memory_disk_change(unsigned file, uint64_t offset, const void *data, size_t len)
{
	struct file *at = file_at(file);

	if (!at || offset + len > size_of(at))
		return false;
	at->changed = true;
	return pwrite(at->memory, data, len, (off_t)offset) == (ssize_t)len;
}

bool memory_disk_truncate(unsigned file, uint64_t size)
{
	struct file *at = file_at(file);

	if (!at)
		return false;
	at->changed = true;
	return ftruncate(at->memory, (off_t)size) == 0;
}

bool memory_disk_remove(unsigned file)
{
	struct file *at = file_at(file);

	if (at)
		at->unlinked = ++changes;
	return at;
}

void memory_disk_save(void)
{
	for (unsigned i = 0; i < file_count; i++) {
		if (!files[i].used)
			continue;
		free(files[i].saved.data);
		files[i].saved = content_of(&files[i]);
		files[i].saved_named = files[i].unlinked == NEVER;
		files[i].changed = false;
	}
}

void memory_disk_restore(void)
{
	for (unsigned i = 0; i < file_count; i++) {
		if (!files[i].used)
			continue;
		if (!files[i].saved.data) {
			forget(&files[i]);
			continue;
		}
		if (files[i].changed)
			set_content(&files[i], &files[i].saved);
		files[i].changed = false;
		files[i].unlinked = files[i].saved_named ? NEVER : ++changes;
	}
}
