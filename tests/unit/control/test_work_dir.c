/* The work directory: its lock, and which link belongs to which shard, through failovers and replicas that move. */
#include "control/work_dir.h"

#include "base/memory.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];
static char *path;

static int set_up(void **state)
{
	(void)state;
	strcpy(base, "/tmp/keyferry-work-XXXXXX");
	assert_non_null(mkdtemp(base));
	path = memory_printf("%s/a/b", base);
	return 0;
}

static int remove_one(const char *name, const struct stat *stat, int flag, struct FTW *ftw)
{
	(void)stat;
	(void)flag;
	(void)ftw;
	return remove(name);
}

static int tear_down(void **state)
{
	(void)state;
	free(path);
	return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* "m1 r1 r2, m2": shards with master and replicas, each an address of its own. */
struct map {
	struct topology topology;
	struct shard shards[8];
	struct endpoint replicas[8][4];
};

static struct endpoint endpoint_of(const char *name)
{
	struct endpoint endpoint = {.port = 6379};

	snprintf(endpoint.host, sizeof(endpoint.host), "%s", name);
	return endpoint;
}

static struct topology *map_of(struct map *map, const char *text)
{
	char copy[256], *rest = copy, *part;

	*map = (struct map){0};
	map->topology.shards = map->shards;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((part = strsep(&rest, ","))) {
		uint32_t at = map->topology.shard_count++;
		struct shard *shard = &map->shards[at];
		char *word = strtok(part, " ");

		shard->master = endpoint_of(word);
		shard->replicas = map->replicas[at];
		while ((word = strtok(NULL, " ")))
			shard->replicas[shard->replica_count++] = endpoint_of(word);
	}
	return &map->topology;
}

/* Opens, assigns, closes; answers the folders' numbers as text: "0 2 1". */
static const char *assign(const char *text, uint32_t *gone)
{
	static char numbers[64];
	const char *paths[8];
	struct error error;
	struct map map;
	struct work_dir *dir = work_dir_open(path, &error);

	assert_non_null(dir);
	map_of(&map, text);
	assert_true(work_dir_assign(dir, &map.topology, paths, gone, &error));
	numbers[0] = '\0';
	for (uint32_t i = 0; i < map.topology.shard_count; i++) {
		struct stat stat_buf;

		assert_int_equal(stat(paths[i], &stat_buf), 0);
		assert_int_equal(stat_buf.st_mode & 0777, 0700);
		sprintf(numbers + strlen(numbers), "%s%s", i ? " " : "", strrchr(paths[i], '/') + 1);
	}
	assert_true(work_dir_has_links(dir));
	work_dir_close(dir);
	return numbers;
}

static void test_folders_stay(void **state)
{
	uint32_t gone;

	(void)state;
	assert_string_equal(assign("a,b,c", &gone), "0 1 2");
	assert_int_equal(gone, 0);
	assert_string_equal(assign("c,a,b", &gone), "2 0 1");
	assert_string_equal(assign("c,d,a", &gone), "2 3 0");
	assert_int_equal(gone, 1);
	assert_string_equal(assign("b", &gone), "1");
	assert_int_equal(gone, 3);
}

static void test_failover(void **state)
{
	uint32_t gone;

	(void)state;
	assert_string_equal(assign("a ra,b rb", &gone), "0 1");
	assert_string_equal(assign("b rb,ra a", &gone), "1 0");
	assert_string_equal(assign("ra,rb", &gone), "0 1");
}

/* A replica that moves to another shard (clusters do that by themselves) must not take its old shard's link along. */
static void test_replica_moves(void **state)
{
	uint32_t gone;

	(void)state;
	assert_string_equal(assign("a ra xa,b rb", &gone), "0 1");
	assert_string_equal(assign("b rb xa,a ra", &gone), "1 0");
	/* and becomes master there */
	assert_string_equal(assign("xa b,a ra", &gone), "1 0");
	assert_string_equal(assign("a xa,b", &gone), "0 1");
	assert_int_equal(gone, 0);
}

/* A shard that is split off under a former replica of another is a new one. */
static void test_two_claim_one(void **state)
{
	uint32_t gone;

	(void)state;
	assert_string_equal(assign("a ra", &gone), "0");
	assert_string_equal(assign("ra,a", &gone), "0 1");
	assert_int_equal(gone, 0);
	assert_string_equal(assign("a,ra", &gone), "1 0");
}

static void test_lock(void **state)
{
	struct error error;
	struct work_dir *dir = work_dir_open(path, &error), *other;
	char pid[32];
	int status;
	pid_t child;

	(void)state;
	assert_non_null(dir);
	assert_false(work_dir_has_links(dir));
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	other = work_dir_open(path, &error); /* a second descriptor is locked out as another process is */
	assert_null(other);
	assert_int_equal(error.kind, ERROR_BUSY);
	assert_non_null(strstr(error.text, pid));
	assert_non_null(strstr(error.text, path));
	work_dir_close(dir);
	/* a process that dies leaves no lock behind */
	child = fork();
	if (child == 0)
		_exit(work_dir_open(path, &error) ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	dir = work_dir_open(path, &error);
	assert_non_null(dir);
	work_dir_close(dir);
}

static void test_unusable(void **state)
{
	char *file = memory_printf("%s/file", base), *below = memory_printf("%s/file/dir", base);
	struct error error;
	FILE *made = fopen(file, "w");

	(void)state;
	assert_non_null(made);
	fclose(made);
	assert_null(work_dir_open(below, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	assert_non_null(strstr(error.text, below));
	assert_non_null(strstr(error.hint, "--data"));
	free(file);
	free(below);
}

static void test_damaged(void **state)
{
	static const char *const texts[] = {
		"",
		"{}",
		"[1]",
		"[{}]",
		"[{\"folder\": 0}]",
		"[{\"folder\": 0, \"members\": [1]}]",
		"[{\"folder\": \"0\", \"members\": []}]",
		"[{\"folder\": -1, \"members\": []}]",
		"[{\"folder\": 0, \"members\": [\"a:1\"]}, {\"folder\": 1, \"members\": [\"b:1\", null]}]",
		"[{\"folder\": 0,"};
	struct error error;
	char *links = memory_printf("%s/links.json", path);

	(void)state;
	work_dir_close(work_dir_open(path, &error));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		FILE *file = fopen(links, "w");
		struct work_dir *dir;

		assert_non_null(file);
		fputs(texts[i], file);
		fclose(file);
		dir = work_dir_open(path, &error);
		if (dir)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(error.kind, ERROR_USAGE);
		assert_non_null(strstr(error.text, links));
	}
	free(links);
}

/* Links come and go while the task runs: one that has ended leaves its number behind, so that no other gets its folder; one that an earlier run has left is found again. */
static void test_come_and_go(void **state)
{
	struct endpoint master;
	const char *paths[8];
	struct error error;
	struct work_dir *dir;
	struct stat stat_buf;
	char *folder = memory_printf("%s/links/2", path);
	uint32_t gone;
	struct map map;

	(void)state;
	dir = work_dir_open(path, &error);
	assert_true(work_dir_assign(dir, map_of(&map, "a,b"), paths, &gone, &error));
	assert_null(work_dir_next_left(dir, &master));
	assert_string_equal(work_dir_add(dir, &map_of(&map, "c rc")->shards[0], &error), folder);
	work_dir_take_back(dir);
	assert_string_equal(work_dir_add(dir, &map_of(&map, "c rc")->shards[0], &error), folder); /* the same, not another one */
	assert_true(work_dir_note_shard(dir, 2, &map_of(&map, "rc c")->shards[0], &error));
	work_dir_close(dir);
	/* The next run finds its shard gone, though another shard has its servers as replicas. */
	dir = work_dir_open(path, &error);
	assert_true(work_dir_assign(dir, map_of(&map, "a c rc,b"), paths, &gone, &error));
	assert_int_equal(gone, 1);
	assert_string_equal(work_dir_next_left(dir, &master), folder);
	assert_string_equal(master.host, "rc");
	assert_null(work_dir_next_left(dir, &master));
	assert_null(work_dir_ended(dir));
	assert_true(work_dir_end_link(dir, 2, "0123456789ab", &error));
	work_dir_close(dir);
	dir = work_dir_open(path, &error);
	assert_true(work_dir_assign(dir, map_of(&map, "a,b,rc"), paths, &gone, &error));
	assert_int_equal(gone, 0);
	assert_non_null(strstr(paths[2], "/links/3"));
	assert_null(work_dir_next_left(dir, &master));
	assert_string_equal(work_dir_ended(dir), "0123456789ab");
	assert_int_equal(stat(folder, &stat_buf), 0);
	assert_true(work_dir_bury(dir, "0123456789ab", &error));
	assert_int_equal(stat(folder, &stat_buf), -1);
	assert_null(work_dir_ended(dir));
	work_dir_close(dir);
	dir = work_dir_open(path, &error);
	assert_null(work_dir_ended(dir));
	work_dir_close(dir);
	free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_folders_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failover, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replica_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_claim_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unusable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
