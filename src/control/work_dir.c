#include "control/work_dir.h"

#include "base/memory.h"
#include "control/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Links of shards that are gone stay in the list. */
#define LINKS_MAX (16 * TOPOLOGY_SHARDS_MAX)

#define LOCK_TRIES 25
#define LOCK_PAUSE_US 10000

/* The member of a link whose source is files; an address has a port or a slash. */
#define FILES_MEMBER "files"

struct work_dir {
	char *path;
	int lock;
	json_t *links; /* array of {"folder": N, "members": ["addr", ...], "master": "addr"}, or of {"folder": N, "members": [], "ended": "id, or nothing"} */
	char **folders;      /* handed out, in the order of the shards */
	size_t *shard_links; /* which of `links` each is; NULL: the source is files */
	uint32_t folder_count;
};

bool work_dir_make(const char *path, struct error *error)
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

static void read_holder(int lock, char holder[32])
{
	ssize_t got = pread(lock, holder, 31, 0);

	holder[got > 0 ? got : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
}

/* Who asks whether it is held (work_dir_is_held()) has it for a moment, too. */
static bool lock_alone(int lock)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(lock, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		usleep(LOCK_PAUSE_US);
	}
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
	if (!lock_alone(dir->lock)) {
		read_holder(dir->lock, holder);
		error_set(error, ERROR_BUSY, "the task in %s is being run by process %s", dir->path,
			  holder[0] ? holder : "(unknown)");
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

static bool is_link(json_t *link)
{
	json_t *folder = json_object_get(link, "folder"), *members = json_object_get(link, "members"), *member;
	size_t i;

	json_array_foreach (members, i, member)
		if (!json_is_string(member))
			return false;
	return json_is_array(members) && json_is_integer(folder) && json_integer_value(folder) >= 0;
}

static bool are_links(json_t *links)
{
	size_t i;
	json_t *link;

	json_array_foreach (links, i, link)
		if (!is_link(link))
			return false;
	return json_is_array(links) && json_array_size(links) <= LINKS_MAX;
}

static bool read_links(struct work_dir *dir, struct error *error)
{
	char *path = memory_printf("%s/links.json", dir->path);
	bool ok;

	dir->links = json_file_read(path, error);
	if (!dir->links && error->kind == ERROR_NONE)
		dir->links = json_array();
	ok = dir->links && (are_links(dir->links) || json_file_foreign(path, NULL, error));
	free(path);
	return ok;
}

static bool write_links(struct work_dir *dir, struct error *error)
{
	char *path = memory_printf("%s/links.json", dir->path);
	bool ok = json_file_write(path, dir->links, error);

	free(path);
	return ok;
}

struct work_dir *work_dir_open(const char *path, struct error *error)
{
	struct work_dir *dir = memory_alloc_zero(1, sizeof(*dir));

	dir->lock = -1;
	dir->path = memory_strdup(path);
	if (work_dir_make(path, error) && take_lock(dir, error) && read_links(dir, error))
		return dir;
	work_dir_close(dir);
	return NULL;
}

bool work_dir_is_held(const char *path, char holder[32])
{
	char *name = memory_printf("%s/lock", path);
	int lock = open(name, O_RDONLY | O_CLOEXEC);
	bool held;

	free(name);
	holder[0] = '\0';
	if (lock < 0)
		return false;
	held = flock(lock, LOCK_SH | LOCK_NB) < 0;
	if (held)
		read_holder(lock, holder);
	close(lock);
	return held;
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
	free(dir->shard_links);
	free(dir->path);
	free(dir);
}

const char *work_dir_path(const struct work_dir *dir)
{
	return dir->path;
}

bool work_dir_has_links(const struct work_dir *dir)
{
	return json_array_size(dir->links) > 0;
}

char *work_dir_link(const struct work_dir *dir, uint32_t i)
{
	json_t *link = json_array_get(dir->links, i);

	return link ? memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(json_object_get(link, "folder")))
		    : NULL;
}

bool work_dir_would_resume(const char *path)
{
	char *file = memory_printf("%s/links.json", path);
	json_t *links = json_load_file(file, 0, NULL);
	bool has = links && are_links(links) && json_array_size(links) > 0;

	json_decref(links);
	free(file);
	return has;
}

/* ---- shards and folders ---- */

/* Its place among the members; -1: it is none. */
static int member_at(json_t *members, const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;
	json_t *known;

	endpoint_format(endpoint, text);
	json_array_foreach (members, i, known)
		if (strcmp(json_string_value(known), text) == 0)
			return (int)i;
	return -1;
}

/* Where a replica has gone from one shard to another it counts for its new one. */
static void set_member(struct work_dir *dir, size_t link, const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	size_t i;
	json_t *other;

	json_array_foreach (dir->links, i, other) {
		json_t *members = json_object_get(other, "members");
		int at = member_at(members, endpoint);

		if (i != link && at >= 0)
			json_array_remove(members, (size_t)at);
		else if (i == link && at < 0)
			json_array_append_new(members, json_string(endpoint_format(endpoint, text)));
	}
}

static bool has_ended(json_t *link)
{
	return json_is_string(json_object_get(link, "ended"));
}

#define NO_LINK SIZE_MAX

/* The first link that is not taken and has a member at any of these addresses. */
static size_t find_link(struct work_dir *dir, const struct endpoint *endpoints, uint32_t count, const bool *taken)
{
	size_t i;
	json_t *link;

	json_array_foreach (dir->links, i, link)
		for (uint32_t j = 0; j < count && !taken[i]; j++)
			if (member_at(json_object_get(link, "members"), &endpoints[j]) >= 0)
				return i;
	return NO_LINK;
}

static size_t new_link(struct work_dir *dir)
{
	json_int_t next = 0;
	size_t i;
	json_t *link;

	json_array_foreach (dir->links, i, link)
		if (json_integer_value(json_object_get(link, "folder")) >= next)
			next = json_integer_value(json_object_get(link, "folder")) + 1;
	json_array_append_new(dir->links, json_pack("{s:I, s:[]}", "folder", next, "members"));
	return json_array_size(dir->links) - 1;
}

/* A source of one server at a time has one link: its master may be one that nobody has seen before, when Sentinels have chosen it meanwhile. (Whether it is the same
 * source is known by then: control/task_record.h.) */
static bool only_link(const struct work_dir *dir, const struct topology *source, const bool *taken)
{
	const char *member = json_string_value(json_array_get(json_object_get(json_array_get(dir->links, 0), "members"), 0));

	return !source->cluster && source->shard_count == 1 && json_array_size(dir->links) == 1 && !taken[0] && member &&
	       strcmp(member, FILES_MEMBER) != 0;
}

/* Masters choose first: a replica that has come from elsewhere must not lead its new shard to the link of its old one. */
static void find_links(struct work_dir *dir, const struct topology *source, size_t *links)
{
	bool *taken = memory_alloc_zero(json_array_size(dir->links) + source->shard_count, sizeof(*taken));

	for (int step = 0; step < 3; step++) {
		for (uint32_t i = 0; i < source->shard_count; i++) {
			const struct shard *shard = &source->shards[i];

			if (step == 0)
				links[i] = find_link(dir, &shard->master, 1, taken);
			else if (step == 1 && links[i] == NO_LINK)
				links[i] = find_link(dir, shard->replicas, shard->replica_count, taken);
			else if (links[i] == NO_LINK)
				links[i] = only_link(dir, source, taken) ? 0 : new_link(dir);
			if (links[i] != NO_LINK)
				taken[links[i]] = true;
		}
	}
	free(taken);
}

static void set_members(struct work_dir *dir, size_t link, const struct shard *shard)
{
	char text[ENDPOINT_TEXT_MAX];

	json_object_set_new(json_array_get(dir->links, link), "master", json_string(endpoint_format(&shard->master, text)));
	set_member(dir, link, &shard->master);
	for (uint32_t j = 0; j < shard->replica_count; j++)
		set_member(dir, link, &shard->replicas[j]);
}

bool work_dir_assign(struct work_dir *dir, const struct topology *source, const char **paths, uint32_t *ret_gone,
		     struct error *error)
{
	size_t *links = memory_alloc_zero(source->shard_count, sizeof(*links));
	bool ok = true;

	dir->folders = memory_alloc_zero(source->shard_count, sizeof(dir->folders[0]));
	dir->folder_count = source->shard_count;
	find_links(dir, source, links);
	for (uint32_t i = 0; ok && i < source->shard_count; i++) {
		const struct shard *shard = &source->shards[i];
		json_t *folder = json_object_get(json_array_get(dir->links, links[i]), "folder");

		set_members(dir, links[i], shard);
		dir->folders[i] = memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(folder));
		paths[i] = dir->folders[i];
		ok = work_dir_make(dir->folders[i], error);
	}
	*ret_gone = 0;
	for (size_t i = 0; i < json_array_size(dir->links); i++)
		*ret_gone += !has_ended(json_array_get(dir->links, i));
	*ret_gone -= source->shard_count;
	dir->shard_links = links;
	return ok && write_links(dir, error);
}

static bool is_handed_out(const struct work_dir *dir, size_t link)
{
	for (uint32_t i = 0; i < dir->folder_count; i++)
		if (dir->shard_links[i] == link)
			return true;
	return false;
}

static const char *hand_out(struct work_dir *dir, size_t link)
{
	uint32_t i = dir->folder_count++;

	dir->folders = memory_realloc_array(dir->folders, dir->folder_count, sizeof(dir->folders[0]));
	dir->shard_links = memory_realloc_array(dir->shard_links, dir->folder_count, sizeof(dir->shard_links[0]));
	dir->folders[i] = work_dir_link(dir, (uint32_t)link);
	dir->shard_links[i] = link;
	return dir->folders[i];
}

const char *work_dir_next_left(struct work_dir *dir, struct endpoint *ret_master)
{
	for (size_t i = 0; i < json_array_size(dir->links); i++) {
		json_t *link = json_array_get(dir->links, i);
		const char *master = json_string_value(json_object_get(link, "master"));

		if (!has_ended(link) && !is_handed_out(dir, i) && master &&
		    endpoint_parse(slice_of_string(master), 0, ret_master))
			return hand_out(dir, i);
	}
	return NULL;
}

const char *work_dir_add(struct work_dir *dir, const struct shard *shard, struct error *error)
{
	bool *taken = memory_alloc_zero(json_array_size(dir->links), sizeof(*taken));
	const char *path;
	size_t link;

	for (size_t i = 0; i < json_array_size(dir->links); i++)
		taken[i] = is_handed_out(dir, i);
	link = find_link(dir, &shard->master, 1, taken);
	free(taken);
	if (link == NO_LINK)
		link = new_link(dir);
	set_members(dir, link, shard);
	path = hand_out(dir, link);
	if (work_dir_make(path, error) && write_links(dir, error))
		return path;
	work_dir_take_back(dir);
	return NULL;
}

void work_dir_take_back(struct work_dir *dir)
{
	free(dir->folders[--dir->folder_count]);
}

bool work_dir_note_shard(struct work_dir *dir, uint32_t i, const struct shard *shard, struct error *error)
{
	set_members(dir, dir->shard_links[i], shard);
	return write_links(dir, error);
}

/* ---- links that have ended ---- */

bool work_dir_end_link(struct work_dir *dir, uint32_t i, const char *id, struct error *error)
{
	json_t *link = json_array_get(dir->links, dir->shard_links[i]);

	json_array_clear(json_object_get(link, "members"));
	json_object_del(link, "master");
	json_object_set_new(link, "ended", json_string(id));
	return write_links(dir, error);
}

static json_t *find_ended(const struct work_dir *dir, const char *id)
{
	size_t i;
	json_t *link;

	json_array_foreach (dir->links, i, link) {
		const char *ended = json_string_value(json_object_get(link, "ended"));

		if (ended && ended[0] && (!id || strcmp(ended, id) == 0))
			return link;
	}
	return NULL;
}

const char *work_dir_ended(const struct work_dir *dir)
{
	return json_string_value(json_object_get(find_ended(dir, NULL), "ended"));
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	remove(path); /* what stays is looked at by nobody */
	return 0;
}

bool work_dir_bury(struct work_dir *dir, const char *id, struct error *error)
{
	json_t *link = find_ended(dir, id);
	char *path = memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(json_object_get(link, "folder")));

	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(path);
	json_object_set_new(link, "ended", json_string(""));
	return write_links(dir, error);
}

const char *work_dir_assign_files(struct work_dir *dir, struct error *error)
{
	json_t *link = NULL, *other, *members;
	size_t i;

	json_array_foreach (dir->links, i, other) {
		members = json_object_get(other, "members");
		if (json_array_size(members) == 1 && strcmp(json_string_value(json_array_get(members, 0)), FILES_MEMBER) == 0)
			link = other;
	}
	if (!link) {
		link = json_array_get(dir->links, new_link(dir));
		json_array_append_new(json_object_get(link, "members"), json_string(FILES_MEMBER));
	}
	dir->folders = memory_alloc_zero(1, sizeof(dir->folders[0]));
	dir->folder_count = 1;
	dir->folders[0] =
		memory_printf("%s/links/%lld", dir->path, (long long)json_integer_value(json_object_get(link, "folder")));
	return work_dir_make(dir->folders[0], error) && write_links(dir, error) ? dir->folders[0] : NULL;
}
