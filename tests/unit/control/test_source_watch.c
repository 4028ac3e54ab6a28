/* Which shard each link follows after the source's map has changed. */
#include "control/source_watch.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint endpoint_of(const char *name)
{
	struct endpoint endpoint = {.port = 6379};

	snprintf(endpoint.host, sizeof(endpoint.host), "%s", name);
	return endpoint;
}

/* "a r s: 0-99 200, b: 100-199": shards with master, replicas and slots. */
struct map {
	struct topology topology;
	struct shard shards[8];
	struct endpoint replicas[8][4];
};

static void slots_of(struct topology *topology, uint16_t shard, char *text)
{
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		unsigned first, last;
		int read = sscanf(word, "%u-%u", &first, &last);

		for (unsigned slot = first; slot <= (read == 2 ? last : first); slot++)
			topology->owner[slot] = shard;
	}
}

static const struct topology *map_of(struct map *map, const char *text)
{
	char copy[256], *rest = copy, *part;

	*map = (struct map){0};
	map->topology.cluster = true;
	map->topology.shards = map->shards;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		map->topology.owner[slot] = SHARD_NONE;
	snprintf(copy, sizeof(copy), "%s", text);
	while ((part = strsep(&rest, ","))) {
		uint32_t at = map->topology.shard_count++;
		struct shard *shard = &map->shards[at];
		char *names = strsep(&part, ":"), *word = strtok(names, " ");

		shard->master = endpoint_of(word);
		shard->replicas = map->replicas[at];
		while ((word = strtok(NULL, " ")))
			shard->replicas[shard->replica_count++] = endpoint_of(word);
		slots_of(&map->topology, (uint16_t)at, part);
	}
	return &map->topology;
}

/* The masters that the links of `before` follow in `after`, "-" for none: "c b". */
static const char *match(const char *before, const char *after)
{
	static char masters[64];
	struct endpoint endpoints[8];
	struct followers *followers = memory_alloc_zero(1, sizeof(*followers));
	uint32_t shards[8];
	struct map old, new;

	map_of(&old, before);
	map_of(&new, after);
	followers->count = old.topology.shard_count;
	followers->masters = endpoints;
	for (uint32_t i = 0; i < followers->count; i++)
		endpoints[i] = strcmp(old.shards[i].master.host, "ended") == 0 ? (struct endpoint){0} : old.shards[i].master;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		followers->link_of_slot[slot] = old.topology.owner[slot] == SHARD_NONE ? NO_SHARD : old.topology.owner[slot];
	followers_match(followers, &new.topology, shards);
	masters[0] = '\0';
	for (uint32_t i = 0; i < followers->count; i++)
		sprintf(masters + strlen(masters), "%s%s", i ? " " : "",
			shards[i] == NO_SHARD ? "-" : new.shards[shards[i]].master.host);
	free(followers);
	return masters;
}

static void test_match(void **state)
{
	(void)state;
	assert_string_equal(match("a: 0-99, b: 100-199", "a: 0-99, b: 100-199"), "a b");
	assert_string_equal(match("a: 0-99, b: 100-199", "b: 0-99, a: 100-199"), "a b");
	/* failover: the old master is a replica now, or is gone */
	assert_string_equal(match("a r: 0-99, b: 100-199", "r a: 0-99, b: 100-199"), "r b");
	assert_string_equal(match("a: 0-99, b: 100-199", "b: 100-199, r: 0-99"), "r b");
	/* and slots have moved meanwhile */
	assert_string_equal(match("a: 0-99, b: 100-199", "r a: 100-199, b: 0-99"), "r b");
	assert_string_equal(match("a: 0-99, b: 100-199", "r: 0-60, b: 61-199, c: 200-300"), "r b");
	assert_string_equal(match("a: 0-99, b: 100-199", "r: 0-20, s: 21-99, b: 100-199"), "s b");
	/* both at once */
	assert_string_equal(match("a: 0-99, b: 100-199", "r: 0-99, s: 100-199"), "r s");
	/* a shard whose slots all went to others has nobody to follow */
	assert_string_equal(match("a: 0-99, b: 100-199", "b: 0-199"), "- b");
	assert_string_equal(match("a: 0-99, b: 100-199", "b a: 0-199"), "- b");
	assert_string_equal(match("a: 0-99, b: 100-199", "c: 500"), "- -");
	/* a link that has ended follows nobody */
	assert_string_equal(match("ended: 0-99, b: 100-199", "ended: 0-99, b: 100-199"), "- b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_match)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
