/* Sorted sets, and places on the globe, which are sorted sets. */
#include "transform/rewrite.h"
#include "transform/script.h"

/* ---- ZADD ---- */

struct zadd_options {
	const char *compare;   /* GT, LT or "" */
	const char *condition; /* NX, XX or "" */
	bool incr, ch;
	uint32_t scores;       /* index of the first */
};

static struct zadd_options zadd_options_read(const struct rewrite *rewrite)
{
	struct zadd_options options = {.compare = "", .condition = "", .scores = 2};

	for (; options.scores < rewrite->argc; options.scores++) {
		struct slice word = rewrite->argv[options.scores];

		if (word_is(word, "GT"))
			options.compare = "GT";
		else if (word_is(word, "LT"))
			options.compare = "LT";
		else if (word_is(word, "NX"))
			options.condition = "NX";
		else if (word_is(word, "XX"))
			options.condition = "XX";
		else if (word_is(word, "CH"))
			options.ch = true;
		else if (word_is(word, "INCR"))
			options.incr = true;
		else
			break;
	}
	return options;
}

/* ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member ... NX, XX, CH and INCR are known since 3.0.2, GT and LT since 6.2. */
void rewrite_zadd(struct rewrite *rewrite)
{
	struct zadd_options options = zadd_options_read(rewrite);
	bool has_conditions = has(rewrite, REDIS_PATCH(3, 0, 2), EVERY_VALKEY);
	bool has_all = !options.compare[0] && (has_conditions || (!options.condition[0] && !options.incr && !options.ch));

	if (has_all || options.scores + 2 > rewrite->argc)
		return;
	if (options.scores + 2 == rewrite->argc) {
		/* One member, and it was changed: so the conditions held. */
		rewrite_begin(rewrite, options.incr ? "ZINCRBY" : "ZADD");
		rewrite_slice(rewrite, rewrite->argv[1]);
		rewrite_arguments(rewrite, options.scores, rewrite->argc);
	} else if (!options.compare[0] && !options.condition[0]) {
		rewrite_begin(rewrite, "ZADD");
		rewrite_slice(rewrite, rewrite->argv[1]);
		rewrite_arguments(rewrite, options.scores, rewrite->argc);
	} else {
		rewrite_script(rewrite, script_zadd, 1);
		rewrite_slice(rewrite, rewrite->argv[1]);
		rewrite_word(rewrite, options.compare);
		rewrite_word(rewrite, options.condition);
		rewrite_arguments(rewrite, options.scores, rewrite->argc);
	}
}

/* ZPOPMIN, ZPOPMAX key [count] */
void rewrite_zpop(struct rewrite *rewrite)
{
	bool lowest = word_is(rewrite->argv[0], "ZPOPMIN");
	int64_t count = 1;

	if (rewrite->argc < 2 || (rewrite->argc > 2 && (!slice_to_int64(rewrite->argv[2], &count) || count < 0)))
		return;
	if (count == 0) {
		rewrite_to_nothing(rewrite);
		return;
	}
	rewrite_begin(rewrite, "ZREMRANGEBYRANK");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_number(rewrite, lowest ? 0 : -count);
	rewrite_number(rewrite, lowest ? count - 1 : -1);
}

/* ---- stores ---- */

/* ZRANGESTORE destination source start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]. The older reading commands take the limits in the same order. */
void rewrite_zrangestore(struct rewrite *rewrite)
{
	enum { INDEX, SCORE, LEX } by = INDEX;
	static const char *const commands[][2] = {
		{"ZRANGE", "ZREVRANGE"},
		{"ZRANGEBYSCORE", "ZREVRANGEBYSCORE"},
		{"ZRANGEBYLEX", "ZREVRANGEBYLEX"},
	};
	bool reverse = false;
	uint32_t limit = 0;

	if (rewrite->argc < 5)
		return;
	for (uint32_t i = 5; i < rewrite->argc; i++) {
		if (word_is(rewrite->argv[i], "BYSCORE"))
			by = SCORE;
		else if (word_is(rewrite->argv[i], "BYLEX"))
			by = LEX;
		else if (word_is(rewrite->argv[i], "REV"))
			reverse = true;
		else if (word_is(rewrite->argv[i], "LIMIT") && i + 2 < rewrite->argc)
			limit = i, i += 2;
		else
			return;
	}
	rewrite_script(rewrite, script_zrangestore, 2);
	rewrite_arguments(rewrite, 1, 3);
	rewrite_word(rewrite, by == LEX ? "0" : "1");
	rewrite_word(rewrite, commands[by][reverse]);
	rewrite_arguments(rewrite, 3, 5);
	if (by != LEX)
		rewrite_word(rewrite, "WITHSCORES");
	if (limit)
		rewrite_arguments(rewrite, limit, limit + 3);
}

/* ZDIFFSTORE destination numkeys source ... */
void rewrite_zdiffstore(struct rewrite *rewrite)
{
	uint64_t keys;

	if (rewrite->argc < 4 || !slice_to_uint64(rewrite->argv[2], &keys) || keys != rewrite->argc - 3)
		return;
	rewrite_script(rewrite, script_zdiffstore, rewrite->argc - 2);
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_arguments(rewrite, 3, rewrite->argc);
}

/* ---- GEOSEARCHSTORE ---- */

struct geo_search {
	uint32_t from, from_end; /* member, or longitude and latitude */
	uint32_t by;             /* radius and unit, or width, height and unit */
	uint32_t count;          /* the number; 0: none */
	bool member, box, any, descending, distances;
};

static bool geo_search_read(const struct rewrite *rewrite, struct geo_search *search)
{
	*search = (struct geo_search){0};
	for (uint32_t i = 3; i < rewrite->argc; i++) {
		struct slice word = rewrite->argv[i];

		if (word_is(word, "FROMMEMBER"))
			search->member = true, search->from = i + 1, i += 1, search->from_end = i + 1;
		else if (word_is(word, "FROMLONLAT"))
			search->from = i + 1, i += 2, search->from_end = i + 1;
		else if (word_is(word, "BYRADIUS"))
			search->by = i + 1, i += 2;
		else if (word_is(word, "BYBOX"))
			search->box = true, search->by = i + 1, i += 3;
		else if (word_is(word, "COUNT"))
			search->count = ++i;
		else if (word_is(word, "ANY"))
			search->any = true;
		else if (word_is(word, "DESC"))
			search->descending = true;
		else if (word_is(word, "STOREDIST"))
			search->distances = true;
		else if (!word_is(word, "ASC"))
			return false;
		if (i >= rewrite->argc)
			return false;
	}
	return search->from && search->by;
}

static const char *metres_of_unit(struct slice unit)
{
	return word_is(unit, "m") ? "1" : word_is(unit, "km") ? "1000" : word_is(unit, "ft") ? "0.3048" : word_is(unit, "mi") ? "1609.34" : NULL;
}

static void geo_box(struct rewrite *rewrite, const struct geo_search *search)
{
	const char *metres = metres_of_unit(rewrite->argv[search->by + 2]);

	if (!metres)
		return;
	rewrite_script(rewrite, script_geo_box, 2);
	rewrite_arguments(rewrite, 1, 3);
	rewrite_word(rewrite, search->member ? "FROMMEMBER" : "FROMLONLAT");
	rewrite_arguments(rewrite, search->from, search->from_end);
	if (search->member)
		rewrite_word(rewrite, "");
	rewrite_arguments(rewrite, search->by, search->by + 2);
	rewrite_word(rewrite, metres);
	if (search->count)
		rewrite_slice(rewrite, rewrite->argv[search->count]);
	else
		rewrite_word(rewrite, "0");
	rewrite_word(rewrite, search->descending ? "DESC" : "ASC");
	rewrite_word(rewrite, search->distances ? "1" : "0");
}

static void geo_radius(struct rewrite *rewrite, const struct geo_search *search)
{
	/* Without its source GEOSEARCHSTORE takes the destination away, the older command leaves it. */
	if (!slice_equal(rewrite->argv[1], rewrite->argv[2])) {
		rewrite_begin(rewrite, "DEL");
		rewrite_slice(rewrite, rewrite->argv[1]);
	}
	rewrite_begin(rewrite, search->member ? "GEORADIUSBYMEMBER" : "GEORADIUS");
	rewrite_slice(rewrite, rewrite->argv[2]);
	rewrite_arguments(rewrite, search->from, search->from_end);
	rewrite_arguments(rewrite, search->by, search->by + 2);
	if (search->count) {
		rewrite_word(rewrite, "COUNT");
		rewrite_slice(rewrite, rewrite->argv[search->count]);
		rewrite_word(rewrite, search->descending ? "DESC" : "ASC");
	}
	rewrite_word(rewrite, search->distances ? "STOREDIST" : "STORE");
	rewrite_slice(rewrite, rewrite->argv[1]);
}

/* GEOSEARCHSTORE destination source FROMMEMBER member | FROMLONLAT x y BYRADIUS radius unit | BYBOX width height unit [ASC|DESC]
 * [COUNT n [ANY]] [STOREDIST] */
void rewrite_geosearchstore(struct rewrite *rewrite)
{
	struct geo_search search;

	if (rewrite->argc < 7 || !geo_search_read(rewrite, &search))
		return;
	if (search.any)
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, "all that it does: with ANY only the source knows which members were taken");
	else if (search.box)
		geo_box(rewrite, &search);
	else
		geo_radius(rewrite, &search);
}
