/* Sorted sets, and places on the globe, which are sorted sets. */
#include "transform/recast.h"
#include "transform/script.h"

/* ---- ZADD ---- */

struct zadd_options {
	const char *compare;   /* GT, LT or "" */
	const char *condition; /* NX, XX or "" */
	bool incr, ch;
	uint32_t scores; /* index of the first */
};

static struct zadd_options zadd_options_read(const struct recast *recast)
{
	struct zadd_options options = {.compare = "", .condition = "", .scores = 2};

	for (; options.scores < recast->argc; options.scores++) {
		struct slice word = recast->argv[options.scores];

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
void recast_zadd(struct recast *recast)
{
	struct zadd_options options = zadd_options_read(recast);
	bool has_conditions = has(recast, REDIS_PATCH(3, 0, 2), EVERY_VALKEY);
	bool has_all = !options.compare[0] && (has_conditions || (!options.condition[0] && !options.incr && !options.ch));

	if (has_all || options.scores + 2 > recast->argc)
		return;
	if (options.scores + 2 == recast->argc) {
		/* One member, and it was changed: so the conditions held. */
		recast_begin(recast, options.incr ? "ZINCRBY" : "ZADD");
		recast_slice(recast, recast->argv[1]);
		recast_arguments(recast, options.scores, recast->argc);
	} else if (!options.compare[0] && !options.condition[0]) {
		recast_begin(recast, "ZADD");
		recast_slice(recast, recast->argv[1]);
		recast_arguments(recast, options.scores, recast->argc);
	} else {
		recast_script(recast, script_zadd, 1);
		recast_slice(recast, recast->argv[1]);
		recast_word(recast, options.compare);
		recast_word(recast, options.condition);
		recast_arguments(recast, options.scores, recast->argc);
	}
}

/* ZPOPMIN, ZPOPMAX key [count] */
void recast_zpop(struct recast *recast)
{
	bool lowest = word_is(recast->argv[0], "ZPOPMIN");
	int64_t count = 1;

	if (recast->argc < 2 || (recast->argc > 2 && (!slice_to_int64(recast->argv[2], &count) || count < 0)))
		return;
	if (count == 0) {
		recast_to_nothing(recast);
		return;
	}
	recast_begin(recast, "ZREMRANGEBYRANK");
	recast_slice(recast, recast->argv[1]);
	recast_number(recast, lowest ? 0 : -count);
	recast_number(recast, lowest ? count - 1 : -1);
}

/* ---- stores ---- */

/* ZRANGESTORE destination source start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count]. The older reading commands take the limits in the same order. */
void recast_zrangestore(struct recast *recast)
{
	enum { INDEX, SCORE, LEX } by = INDEX;
	static const char *const commands[][2] = {
		{"ZRANGE", "ZREVRANGE"},
		{"ZRANGEBYSCORE", "ZREVRANGEBYSCORE"},
		{"ZRANGEBYLEX", "ZREVRANGEBYLEX"},
	};
	bool reverse = false;
	uint32_t limit = 0;

	if (recast->argc < 5)
		return;
	for (uint32_t i = 5; i < recast->argc; i++) {
		if (word_is(recast->argv[i], "BYSCORE"))
			by = SCORE;
		else if (word_is(recast->argv[i], "BYLEX"))
			by = LEX;
		else if (word_is(recast->argv[i], "REV"))
			reverse = true;
		else if (word_is(recast->argv[i], "LIMIT") && i + 2 < recast->argc)
			limit = i, i += 2;
		else
			return;
	}
	recast_script(recast, script_zrangestore, 2);
	recast_arguments(recast, 1, 3);
	recast_word(recast, by == LEX ? "0" : "1");
	recast_word(recast, commands[by][reverse]);
	recast_arguments(recast, 3, 5);
	if (by != LEX)
		recast_word(recast, "WITHSCORES");
	if (limit)
		recast_arguments(recast, limit, limit + 3);
}

/* ZDIFFSTORE destination numkeys source ... */
void recast_zdiffstore(struct recast *recast)
{
	uint64_t keys;

	if (recast->argc < 4 || !slice_to_uint64(recast->argv[2], &keys) || keys != recast->argc - 3)
		return;
	recast_script(recast, script_zdiffstore, recast->argc - 2);
	recast_slice(recast, recast->argv[1]);
	recast_arguments(recast, 3, recast->argc);
}

/* ---- GEOSEARCHSTORE ---- */

struct geo_search {
	uint32_t from, from_end; /* member, or longitude and latitude */
	uint32_t by;             /* radius and unit, or width, height and unit */
	uint32_t count;          /* the number; 0: none */
	bool member, box, any, descending, distances;
};

static bool geo_search_read(const struct recast *recast, struct geo_search *search)
{
	*search = (struct geo_search){0};
	for (uint32_t i = 3; i < recast->argc; i++) {
		struct slice word = recast->argv[i];

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
		if (i >= recast->argc)
			return false;
	}
	return search->from && search->by;
}

static const char *metres_of_unit(struct slice unit)
{
	return word_is(unit, "m")    ? "1"
	       : word_is(unit, "km") ? "1000"
	       : word_is(unit, "ft") ? "0.3048"
	       : word_is(unit, "mi") ? "1609.34"
				     : NULL;
}

static void geo_box(struct recast *recast, const struct geo_search *search)
{
	const char *metres = metres_of_unit(recast->argv[search->by + 2]);

	if (!metres)
		return;
	recast_script(recast, script_geo_box, 2);
	recast_arguments(recast, 1, 3);
	recast_word(recast, search->member ? "FROMMEMBER" : "FROMLONLAT");
	recast_arguments(recast, search->from, search->from_end);
	if (search->member)
		recast_word(recast, "");
	recast_arguments(recast, search->by, search->by + 2);
	recast_word(recast, metres);
	if (search->count)
		recast_slice(recast, recast->argv[search->count]);
	else
		recast_word(recast, "0");
	recast_word(recast, search->descending ? "DESC" : "ASC");
	recast_word(recast, search->distances ? "1" : "0");
}

static void geo_radius(struct recast *recast, const struct geo_search *search)
{
	/* Without its source GEOSEARCHSTORE takes the destination away, the older command leaves it. */
	if (!slice_equal(recast->argv[1], recast->argv[2])) {
		recast_begin(recast, "DEL");
		recast_slice(recast, recast->argv[1]);
	}
	recast_begin(recast, search->member ? "GEORADIUSBYMEMBER" : "GEORADIUS");
	recast_slice(recast, recast->argv[2]);
	recast_arguments(recast, search->from, search->from_end);
	recast_arguments(recast, search->by, search->by + 2);
	if (search->count) {
		recast_word(recast, "COUNT");
		recast_slice(recast, recast->argv[search->count]);
		recast_word(recast, search->descending ? "DESC" : "ASC");
	}
	recast_word(recast, search->distances ? "STOREDIST" : "STORE");
	recast_slice(recast, recast->argv[1]);
}

/* GEOSEARCHSTORE destination source FROMMEMBER member | FROMLONLAT x y BYRADIUS radius unit | BYBOX width height unit [ASC|DESC]
 * [COUNT n [ANY]] [STOREDIST] */
void recast_geosearchstore(struct recast *recast)
{
	struct geo_search search;

	if (recast->argc < 7 || !geo_search_read(recast, &search))
		return;
	if (search.any)
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND,
			      "all that it does: with ANY only the source knows which members were taken");
	else if (search.box)
		geo_box(recast, &search);
	else
		geo_radius(recast, &search);
}
