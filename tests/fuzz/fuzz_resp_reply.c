/* Replies: both readers agree with each other, and no prefix of a good reply is taken for bad or whole. */
#include "wire/resp.h"

#include <stdlib.h>

#define NODES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* The spans of an array's members add up to its own; the first error in document order is the one that skimming found. */
static void check_array(const struct resp_node *array, const struct resp_skim *skim, bool outermost)
{
	const struct resp_node *member = array + 1;

	for (uint32_t i = 0; i < array->count; i++, member += member->span) {
		check(member->span >= 1 && member + member->span <= array + array->span);
		check(resp_member(array, i) == member);
		if (member->type == RESP_ARRAY)
			check_array(member, skim, false);
		if (outermost && skim->has_error && i < skim->error_index)
			for (uint32_t n = 0; n < member->span; n++)
				check(member[n].type != RESP_ERROR);
	}
	check(member == array + array->span);
	check(resp_member(array, array->count) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct resp_node nodes[NODES];
	struct slice in = slice_make(data, size);
	struct resp_skim skim;
	struct resp_skim part;
	struct parse_fault fault;
	struct parse_fault other;
	enum parse result = resp_reply_skim(in, &skim, &fault);
	enum parse parsed;
	uint64_t taken;

	parsed = resp_reply_parse(in, nodes, NODES, &taken, &other);
	if (result == PARSE_BAD) {
		check(fault.offset < size || size == 0);
		check(parsed == PARSE_BAD && other.offset <= fault.offset);
		/* the bytes before the offending one are a good beginning */
		check(resp_reply_skim(slice_make(data, fault.offset), &part, &other) == PARSE_MORE);
		return 0;
	}
	if (result == PARSE_MORE || parsed == PARSE_BAD)
		return 0;
	check(parsed == PARSE_OK && taken == skim.taken && taken <= size);
	check(nodes[0].type == skim.type && nodes[0].count == skim.count && slice_equal(nodes[0].text, skim.text));
	if (skim.type == RESP_ARRAY)
		check_array(nodes, &skim, true);
	check(resp_reply_skim(slice_make(data, skim.taken - 1), &part, &fault) == PARSE_MORE);
	return 0;
}
