/* Streams. */
#include "transform/rewrite.h"
#include "transform/script.h"
#include "wire/resp.h"

#define REFERENCES_LOST "the entries' removal from the consumer groups: it has no DELREF and ACKED"

/* The trimming options of XADD and XTRIM: MAXLEN|MINID [=|~] threshold [LIMIT n] [KEEPREF|DELREF|ACKED] */
struct trim {
	uint32_t strategy;  /* index of MAXLEN or MINID; 0: none */
	uint32_t threshold;
	uint32_t limit;     /* index of LIMIT; 0: none */
	bool by_id, approximate;
	bool references;    /* KEEPREF, which is what is done without */
	bool other_references;
	bool no_stream;     /* XADD NOMKSTREAM */
	uint32_t rest;      /* the first argument behind the options */
};

static bool trim_read(const struct rewrite *rewrite, struct trim *trim)
{
	uint32_t i;

	*trim = (struct trim){0};
	for (i = 2; i < rewrite->argc; i++) {
		struct slice word = rewrite->argv[i];

		if (word_is(word, "MAXLEN") || word_is(word, "MINID")) {
			trim->by_id = word_is(word, "MINID");
			trim->strategy = i;
			if (++i < rewrite->argc && (slice_equal(rewrite->argv[i], SLICE("~")) || slice_equal(rewrite->argv[i], SLICE("="))))
				trim->approximate = rewrite->argv[i++].data[0] == '~';
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
	return i <= rewrite->argc && (!trim->strategy || trim->threshold < rewrite->argc);
}

/* Does the target take it from a client as it is? LIMIT without ~ it takes from its own master alone. */
static bool trim_known(const struct rewrite *rewrite, const struct trim *trim)
{
	bool has_6_2 = has(rewrite, REDIS(6, 2), EVERY_VALKEY);

	return (!trim->limit || (trim->approximate && has_6_2)) && (!trim->no_stream || has_6_2) && (!trim->by_id || has_6_2) &&
	       ((!trim->references && !trim->other_references) || has(rewrite, REDIS(8, 2), NEVER));
}

/* The threshold without LIMIT: where it came with ~, a master has replaced it by what it has really done. */
static void trim_words(struct rewrite *rewrite, const struct trim *trim)
{
	rewrite_word(rewrite, trim->by_id ? "MINID" : "MAXLEN");
	rewrite_word(rewrite, trim->approximate ? "~" : "=");
	rewrite_slice(rewrite, rewrite->argv[trim->threshold]);
	if ((trim->references || trim->other_references) && has(rewrite, REDIS(8, 2), NEVER))
		for (uint32_t i = 2; i < trim->rest; i++)
			if (word_is(rewrite->argv[i], "KEEPREF") || word_is(rewrite->argv[i], "DELREF") || word_is(rewrite->argv[i], "ACKED"))
				rewrite_slice(rewrite, rewrite->argv[i]);
}

/* The id before <ms> or <ms>-<seq>. False: there is none, or it is no id. */
static bool id_before(struct slice id, uint64_t *ms, uint64_t *sequence)
{
	const uint8_t *dash = id.len ? memchr(id.data, '-', id.len) : NULL;
	size_t len = dash ? (size_t)(dash - id.data) : id.len;

	*sequence = 0;
	if (!slice_to_uint64(slice_make(id.data, len), ms) || (dash && !slice_to_uint64(slice_make(dash + 1, id.len - len - 1), sequence)))
		return false;
	if (*sequence > 0) {
		--*sequence;
		return true;
	}
	*sequence = UINT64_MAX;
	return (*ms)-- > 0;
}

/* What is below the threshold goes, before there was XTRIM MINID. */
static void delete_below(struct rewrite *rewrite, struct slice threshold)
{
	uint64_t ms, sequence;
	uint8_t *text, *at;

	if (!id_before(threshold, &ms, &sequence))
		return;
	at = text = rewrite_memory(rewrite, 48);
	at += resp_put_uint64(at, ms);
	*at++ = '-';
	at += resp_put_uint64(at, sequence);
	rewrite_script(rewrite, script_xtrim, 1);
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_slice(rewrite, slice_make(text, (size_t)(at - text)));
}

/* XADD key [NOMKSTREAM] [trimming] id field value ... */
void rewrite_xadd(struct rewrite *rewrite)
{
	bool by_id_known = has(rewrite, REDIS(6, 2), EVERY_VALKEY);
	struct trim trim;

	if (rewrite->argc < 5 || !trim_read(rewrite, &trim) || trim_known(rewrite, &trim))
		return;
	rewrite_begin(rewrite, "XADD");
	rewrite_slice(rewrite, rewrite->argv[1]);
	if (trim.strategy && (!trim.by_id || by_id_known))
		trim_words(rewrite, &trim);
	rewrite_arguments(rewrite, trim.rest, rewrite->argc);
	if (trim.strategy && trim.by_id && !by_id_known)
		delete_below(rewrite, rewrite->argv[trim.threshold]);
	if (trim.other_references && !has(rewrite, REDIS(8, 2), NEVER))
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XTRIM key trimming */
void rewrite_xtrim(struct rewrite *rewrite)
{
	struct trim trim;

	if (rewrite->argc < 4 || !trim_read(rewrite, &trim) || !trim.strategy || trim_known(rewrite, &trim))
		return;
	if (trim.by_id && !has(rewrite, REDIS(6, 2), EVERY_VALKEY)) {
		rewrite_to_nothing(rewrite);
		delete_below(rewrite, rewrite->argv[trim.threshold]);
	} else {
		rewrite_begin(rewrite, "XTRIM");
		rewrite_slice(rewrite, rewrite->argv[1]);
		trim_words(rewrite, &trim);
	}
	if (trim.other_references && !has(rewrite, REDIS(8, 2), NEVER))
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XGROUP CREATE key group id [MKSTREAM] [ENTRIESREAD n], XGROUP SETID key group id [ENTRIESREAD n]: the counter came with 7.0. */
void rewrite_xgroup_start(struct rewrite *rewrite)
{
	for (uint32_t i = 5; i + 1 < rewrite->argc; i++) {
		if (!word_is(rewrite->argv[i], "ENTRIESREAD"))
			continue;
		rewrite_begin(rewrite, "XGROUP");
		rewrite_arguments(rewrite, 1, i);
		rewrite_arguments(rewrite, i + 2, rewrite->argc);
		return;
	}
}

/* XGROUP CREATECONSUMER key group consumer: reading what it has pending makes a consumer. Behind this id there is nothing; the very highest one is how
 * servers write ">" inside, and would deliver new entries. */
void rewrite_xgroup_createconsumer(struct rewrite *rewrite)
{
	if (rewrite->argc != 5)
		return;
	rewrite_begin(rewrite, "XREADGROUP");
	rewrite_word(rewrite, "GROUP");
	rewrite_arguments(rewrite, 3, 5);
	rewrite_word(rewrite, "COUNT");
	rewrite_word(rewrite, "1");
	rewrite_word(rewrite, "STREAMS");
	rewrite_slice(rewrite, rewrite->argv[2]);
	rewrite_word(rewrite, "18446744073709551615-18446744073709551614");
}

/* XSETID key id [ENTRIESADDED n] [MAXDELETEDID id]: the counters came with 7.0. */
void rewrite_xsetid(struct rewrite *rewrite)
{
	if (rewrite->argc <= 3)
		return;
	rewrite_begin(rewrite, "XSETID");
	rewrite_arguments(rewrite, 1, 3);
}

/* At `at` [KEEPREF|DELREF|ACKED] IDS n id ... The index of the first id; 0: it is not that. */
static uint32_t ids_of(const struct rewrite *rewrite, uint32_t at, bool *keeps)
{
	*keeps = true;
	for (; at + 2 < rewrite->argc; at++) {
		if (word_is(rewrite->argv[at], "IDS"))
			return at + 2;
		if (!word_is(rewrite->argv[at], "KEEPREF"))
			*keeps = false;
	}
	return 0;
}

static void xdel(struct rewrite *rewrite, uint32_t ids)
{
	rewrite_begin(rewrite, "XDEL");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_arguments(rewrite, ids, rewrite->argc);
}

/* XDELEX key [KEEPREF|DELREF|ACKED] IDS n id ... */
void rewrite_xdelex(struct rewrite *rewrite)
{
	bool keeps;
	uint32_t ids = ids_of(rewrite, 2, &keeps);

	if (!ids)
		return;
	if (keeps)
		xdel(rewrite, ids);
	else
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}

/* XACKDEL key group [KEEPREF|DELREF|ACKED] IDS n id ... */
void rewrite_xackdel(struct rewrite *rewrite)
{
	bool keeps;
	uint32_t ids = ids_of(rewrite, 3, &keeps);

	if (!ids)
		return;
	rewrite_begin(rewrite, "XACK");
	rewrite_arguments(rewrite, 1, 3);
	rewrite_arguments(rewrite, ids, rewrite->argc);
	if (keeps)
		xdel(rewrite, ids);
	else
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, REFERENCES_LOST);
}
