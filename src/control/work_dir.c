#include "control/work_dir.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The member of a link whose source is files; no address is without a port or a slash. */
#define FILES_MEMBER "files"

struct work_dir {
	char *path;
	int lock;
	json_t *links; /* array of {"folder": N, "members": ["addr", ...]} */
	char **folders; /* handed out */
	uint32_t folder_count;
};

static bool make_folder(const char *path, struct error *error)
{
	char partial[PATH_MAX];

	snprintf(partial, sizeof(partial), "%s", path);
	for (char *p = partial + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(partial, 0755); /* what cannot be made is found out by the last one */
		*p = '/';
	}
	if (mkdir(partial, 0700) == 0 || (errno == EEXIST && access(partial, W_OK | X_OK) == 0))
		return true;
	error_set_errno(error, ERROR_USAGE, errno, "the work directory %s cannot be used", path);
	error_hint(error, "Give one that may be written to with --data");
	return false;
}

static bool take_lock(struct work_dir *dir, struct error *error)
{
	char *path = memory_printf("%s/lock", dir->path);
	char holder[32] = "";

	dir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	if (dir->lock < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "the work directory %s cannot be used", dir->path);
		error_hint(error, "Give one that may be written to with --data");
		return false;
	}
	if (flock(dir->lock, LOCK_EX | LOCK_NB) < 0) {
		ssize_t got = pread(dir->lock, holder, sizeof(holder) - 1, 0);

		holder[got > 0 ? got : 0] = '\0';
		holder[strcspn(holder, "\n")] = '\0';
		error_set(error, ERROR_BUSY, "the task in %s is being run by process %s", dir->path, holder[0] ? holder : "(unknown)");
		error_hint(error, "Stop that one first, or give this task a work directory of its own with --data");
		return false;
	}
	snprintf(holder, sizeof(holder), "%ld\n", (long)getpid());
	if (ftruncate(dir->lock, 0) < 0 || pwrite(dir->lock, holder, strlen(holder), 0) < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "the work directory %s cannot be written to", dir->path);
		error_hint(error, "Make room on its disk, or give another one with --data");
		return false;
	}
	return true;
}

static bool read_links(struct work_dir *dir, struct error *error)
{
	char *path = memory_printf("%s/links.json", dir->path);
	json_error_t fault;
	bool ok = true;

	if (access(path, F_OK) < 0) {
		dir->links = json_array();
	} else {
		dir->links = json_load_file(path, 0, &fault);
		if (!json_is_array(dir->links)) {
			error_set(error, ERROR_USAGE, "%s is not what keyferry writes there: %s", path, fault.text);
			error_hint(error, "Restore the file, or begin anew with an empty work directory");
			ok = false;
		}
	}
	free(path);
	return ok;
}

static bool write_links(struct work_dir *dir, struct error *error)
{
	char *path = memory_printf("%s/links.json", dir->path);
	char *beside = memory_printf("%s/links.json.new", dir->path);
	bool ok = json_dump_file(dir->links, beside, JSON_INDENT(1)) == 0 && rename(beside, path) == 0;

	if (!ok) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot write %s", beside);
		error_hint(error, "Make room in the work directory, and make it writable");
	}
	free(path);
	free(beside);
	return ok;
}

struct work_dir *work_dir_open(const char *path, struct error *error)
{
	struct work_dir *dir = memory_alloc_zero(1, sizeof(*dir));

	dir->lock = -1;
	dir->path = memory_strdup(path);
	if (make_folder(path, error) && take_lock(dir, error) && read_links(dir, error))
		return dir;
	work_dir_close(dir);
	return NULL;
}

void work_dir_close(struct work_dir *dir)
{
	if (!dir)
		return;
	if (dir->lock >= 0)
		close(dir->lock);
	json_decref(dir->links);
	for (uint32_t i = 0; i < dir->folder_count; i++)
		free(dir->folders[i]);
	free(dir->folders);
	free(dir->path);
	free(dir);
}

bool work_dir_has_links(const struct work_dir *dir)
{
	return json_array_size(dir->links) > 0;
}

/* ---- shards and folders ---- */

static void add_member(json_t *members, const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;
	json_t *known;

	endpoint_format(endpoint, text);
	json_array_foreach(members, i, known)
		if (strcmp(json_string_value(known), text) == 0)
			return;
	json_array_append_new(members, json_string(text));
}

static bool is_member(json_t *members, const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;
	json_t *known;

	endpoint_format(endpoint, text);
	json_array_foreach(members, i, known)
		if (json_is_string(known) && strcmp(json_string_value(known), text) == 0)
			return true;
	return false;
}

/* shard NULL: the files that take a source's place. */
static bool belongs(json_t *link, const struct shard *shard)
{
	json_t *members = json_object_get(link, "members");

	if (!shard)
		return json_array_size(members) == 1 && json_is_string(json_array_get(members, 0)) &&
		       strcmp(json_string_value(json_array_get(members, 0)), FILES_MEMBER) == 0;
	if (is_member(members, &shard->master))
		return true;
	for (uint32_t i = 0; i < shard->replica_count; i++)
		if (is_member(members, &shard->replicas[i]))
			return true;
	return false;
}

/* taken may be NULL: none is. */
static json_t *link_of(struct work_dir *dir, const struct shard *shard, const bool *taken)
{
	size_t i;
	json_t *link;
	json_int_t next = 0;

	json_array_foreach(dir->links, i, link) {
		if (!(taken && i < TOPOLOGY_SHARDS_MAX && taken[i]) && belongs(link, shard))
			return link;
		if (json_integer_value(json_object_get(link, "folder")) >= next)
			next = json_integer_value(json_object_get(link, "folder")) + 1;
	}
	link = json_pack("{s:I, s:[]}", "folder", next, "members");
	json_array_append_new(dir->links, link);
	return link;
}

bool work_dir_assign(struct work_dir *dir, const struct topology *source, const char **paths, uint32_t *ret_gone, struct error *error)
{
	bool taken[TOPOLOGY_SHARDS_MAX] = {false};
	uint32_t used = 0;

	dir->folders = memory_alloc_zero(source->shard_count, sizeof(dir->folders[0]));
	dir->folder_count = source->shard_count;
	for (uint32_t i = 0; i < source->shard_count; i++) {
		const struct shard *shard = &source->shards[i];
		json_t *link = link_of(dir, shard, taken);
		json_t *members = json_object_get(link, "members");
		size_t index;
		json_t *at;

		json_array_foreach(dir->links, index, at)
			if (at == link && index < TOPOLOGY_SHARDS_MAX)
				taken[index] = true;
		used++;
		add_member(members, &shard->master);
		for (uint32_t j = 0; j < shard->replica_count; j++)
			add_member(members, &shard->replicas[j]);
		dir->folders[i] = memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(json_object_get(link, "folder")));
		if (!make_folder(dir->folders[i], error))
			return false;
		paths[i] = dir->folders[i];
	}
	*ret_gone = (uint32_t)json_array_size(dir->links) - used;
	return write_links(dir, error);
}

const char *work_dir_assign_files(struct work_dir *dir, struct error *error)
{
	json_t *link = link_of(dir, NULL, NULL);
	json_t *members = json_object_get(link, "members");

	if (json_array_size(members) == 0)
		json_array_append_new(members, json_string(FILES_MEMBER));
	dir->folders = memory_alloc_zero(1, sizeof(dir->folders[0]));
	dir->folder_count = 1;
	dir->folders[0] = memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(json_object_get(link, "folder")));
	return make_folder(dir->folders[0], error) && write_links(dir, error) ? dir->folders[0] : NULL;
}
