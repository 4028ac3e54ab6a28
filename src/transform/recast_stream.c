/* Streams. */
#include "transform/recast.h"
#include "transform/script.h"
#include "wire/resp.h"

#define REFERENCES_LOST "the entries' removal from the consumer groups: it has no DELREF and ACKED"

/* The trimming options of XADD and XTRIM: MAXLEN|MINID [=|~] threshold [LIMIT n] [KEEPREF|DELREF|ACKED] */
struct trim {
	uint32_t strategy; /* index of MAXLEN or MINID; 0: none */
	uint32_t threshold;
	uint32_t limit; /* index of LIMIT; 0: none */
	bool by_id, approximate;
	bool references; /* KEEPREF, which is what is done without */
	bool other_references;
	bool no_stream; /* XADD NOMKSTREAM */
	uint32_t rest;  /* the first argument behind the options */
};

static bool trim_read(const struct recast *recast, struct trim *trim)
{
	uint32_t i;

	*trim = (struct trim){0};
	for (i = 2; i < recast->argc; i++) {
		struct slice word = recast->argv[i];

		if (word_is(word, "MAXLEN") || word_is(word, "MINID")) {
			trim->by_id = word_is(word, "MINID");
			trim->strategy = i;
			if (++i < recast->argc &&
			    (slice_equal(recast->argv[i], SLICE("~")) || slice_equal(recast->argv[i], SLICE("="))))
				trim->approximate = recast->argv[i++].data[0] == '~';
			trim->threshold = i;
		} else if (word_is(word, "LIMIT")) {
			trim->limit = i++;
		} else if (word_is(word, "NOMKSTREAM")) {
			trim->no_stream = true;
		} else if (word_is(word, "KEEPREF")) {
			trim->references = true;
		} else if (word_is(word, "DELREF") || word_is(word, "ACKED")) {
			trim->other_references = true;
		} else {
			break;
		}
	}
	trim->rest = i;
	return i <= recast->argc && (!trim->strategy || trim->threshold < recast->argc);
}

/* Does the target take it from a client as it is? LIMIT without ~ it takes from its own master alone. */
static bool trim_known(const struct recast *recast, const struct trim *trim)
{
	bool has_6_2 = has(recast, REDIS(6, 2), EVERY_VALKEY);

	return (!trim->limit || (trim->approximate && has_6_2)) && (!trim->no_stream || has_6_2) && (!trim->by_id || has_6_2) &&
	       ((!trim->references && !trim->other_references) || has(recast, REDIS(8, 2), NEVER));
}

/* The threshold without LIMIT: where it came with ~, a master has replaced it by what it has really done. */
static void trim_words(struct recast *recast, const struct trim *trim)
{
	recast_word(recast, trim->by_id ? "MINID" : "MAXLEN");
	recast_word(recast, trim->approximate ? "~" : "=");
	recast_slice(recast, recast->argv[trim->threshold]);
	if ((trim->references || trim->other_references) && has(recast, REDIS(8, 2), NEVER))
		for (uint32_t i = 2; i < trim->rest; i++)
			if (word_is(recast->argv[i], "KEEPREF") || word_is(recast->argv[i], "DELREF") ||
			    word_is(recast->argv[i], "ACKED"))
				recast_slice(recast, recast->argv[i]);
}

/* The id before <ms> or <ms>-<seq>. False: there is none, or it is no id. */
static bool id_before(struct slice id, uint64_t *ms, uint64_t *sequence)
{
	const uint8_t *dash = id.len ? memchr(id.data, '-', id.len) : NULL;
	size_t len = dash ? (size_t)(dash - id.data) : id.len;

	*sequence = 0;
	if (!slice_to_uint64(slice_make(id.data, len), ms) ||
	    (dash && !slice_to_uint64(slice_make(dash + 1, id.len - len - 1), sequence)))
		return false;
	if (*sequence > 0) {
		--*sequence;
		return true;
	}
	*sequence = UINT64_MAX;
	return (*ms)-- > 0;
}

/* What is below the threshold goes, before there was XTRIM MINID. */
static void delete_below(struct recast *recast, struct slice threshold)
{
	uint64_t ms, sequence;
	uint8_t *text, *at;

	if (!id_before(threshold, &ms, &sequence))
		return;
	at = text = recast_memory(recast, 48);
	at += resp_put_uint64(at, ms);
	*at++ = '-';
	at += resp_put_uint64(at, sequence);
	recast_script(recast, script_xtrim, 1);
	recast_slice(recast, recast->argv[1]);
	recast_slice(recast, slice_make(text, (size_t)(at - text)));
}

/* XADD key [NOMKSTREAM] [trimming] id field value ... */
void recast_xadd(struct recast *recast)
{
	bool by_id_known = has(recast, REDIS(6, 2), EVERY_VALKEY);
	struct trim trim;

	if (recast->argc < 5 || !trim_read(recast, &trim) || trim_known(recast, &trim))
		return;
	recast_begin(recast, "XADD");
	recast_slice(recast, recast->argv[1]);
	if (trim.strategy && (!trim.by_id || by_id_known))
		trim_words(recast, &trim);
	recast_arguments(recast, trim.rest, recast->argc);
	if (trim.strategy && trim.by_id && !by_id_known)
		delete_below(recast, recast->argv[trim.threshold]);
	if (trim.other_references && !has(recast, REDIS(8, 2), NEVER))
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XTRIM key trimming */
void recast_xtrim(struct recast *recast)
{
	struct trim trim;

	if (recast->argc < 4 || !trim_read(recast, &trim) || !trim.strategy || trim_known(recast, &trim))
		return;
	if (trim.by_id && !has(recast, REDIS(6, 2), EVERY_VALKEY)) {
		recast_to_nothing(recast);
		delete_below(recast, recast->argv[trim.threshold]);
	} else {
		recast_begin(recast, "XTRIM");
		recast_slice(recast, recast->argv[1]);
		trim_words(recast, &trim);
	}
	if (trim.other_references && !has(recast, REDIS(8, 2), NEVER))
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XGROUP CREATE key group id [MKSTREAM] [ENTRIESREAD n], XGROUP SETID key group id [ENTRIESREAD n]: the counter came with 7.0. */
void recast_xgroup_start(struct recast *recast)
{
	for (uint32_t i = 5; i + 1 < recast->argc; i++) {
		if (!word_is(recast->argv[i], "ENTRIESREAD"))
			continue;
		recast_begin(recast, "XGROUP");
		recast_arguments(recast, 1, i);
		recast_arguments(recast, i + 2, recast->argc);
		return;
	}
}

/* XGROUP CREATECONSUMER key group consumer: reading what it has pending makes a consumer. Behind this id there is nothing; the very highest one is how
 * servers write ">" inside, and would deliver new entries. */
void recast_xgroup_createconsumer(struct recast *recast)
{
	if (recast->argc != 5)
		return;
	recast_begin(recast, "XREADGROUP");
	recast_word(recast, "GROUP");
	recast_arguments(recast, 3, 5);
	recast_word(recast, "COUNT");
	recast_word(recast, "1");
	recast_word(recast, "STREAMS");
	recast_slice(recast, recast->argv[2]);
	recast_word(recast, "18446744073709551615-18446744073709551614");
}

/* XSETID key id [ENTRIESADDED n] [MAXDELETEDID id]: the counters came with 7.0. */
void recast_xsetid(struct recast *recast)
{
	if (recast->argc <= 3)
		return;
	recast_begin(recast, "XSETID");
	recast_arguments(recast, 1, 3);
}

/* At `at` [KEEPREF|DELREF|ACKED] IDS n id ... The index of the first id; 0: it is not that. */
static uint32_t ids_of(const struct recast *recast, uint32_t at, bool *keeps)
{
	*keeps = true;
	for (; at + 2 < recast->argc; at++) {
		if (word_is(recast->argv[at], "IDS"))
			return at + 2;
		if (!word_is(recast->argv[at], "KEEPREF"))
			*keeps = false;
	}
	return 0;
}

static void xdel(struct recast *recast, uint32_t ids)
{
	recast_begin(recast, "XDEL");
	recast_slice(recast, recast->argv[1]);
	recast_arguments(recast, ids, recast->argc);
}

/* XDELEX key [KEEPREF|DELREF|ACKED] IDS n id ... */
void recast_xdelex(struct recast *recast)
{
	bool keeps;
	uint32_t ids = ids_of(recast, 2, &keeps);

	if (!ids)
		return;
	if (keeps)
		xdel(recast, ids);
	else
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XACKDEL key group [KEEPREF|DELREF|ACKED] IDS n id ... */
void recast_xackdel(struct recast *recast)
{
	bool keeps;
	uint32_t ids = ids_of(recast, 3, &keeps);

	if (!ids)
		return;
	recast_begin(recast, "XACK");
	recast_arguments(recast, 1, 3);
	recast_arguments(recast, ids, recast->argc);
	if (keeps)
		xdel(recast, ids);
	else
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}
