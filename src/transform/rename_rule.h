/* Inside the renamer: its rules, ready to be applied (rename.c) and to be gone back (reverse.c).
 * Thread: the link's applier. */
#ifndef KEYFERRY_TRANSFORM_RENAME_RULE_H
#define KEYFERRY_TRANSFORM_RENAME_RULE_H

#include "transform/rename.h"

enum part_kind { PART_TEXT, PART_GROUP, PART_DATABASE };

/* Of the template. */
struct part {
	enum part_kind kind;
	struct slice text; /* into the options */
	uint32_t group;
};

/* Of what the expression matches, where that can be put together again: literal bytes, or one of the groups. */
struct piece {
	bool is_group;
	uint32_t group;
	struct slice text; /* in the rule's memory */
};

struct rule {
	const struct rename_rule *from;
	struct pattern *match; /* NULL: by prefix */
	struct slice prefix;
	struct part *parts;
	size_t part_count;
	/* the way back */
	bool one_way;          /* there is none */
	bool whole;            /* the template has all that was matched ($0); no pieces then */
	bool at_start, to_end; /* the match begins where the key does, ends where it ends */
	struct piece *pieces;
	size_t piece_count;
	uint8_t *literals; /* of the pieces */
};

struct renamer {
	struct rule *rules;
	size_t count;
	bool asks_database;
};

/* Fills in the way back of a rule of which the rest is there. */
void rule_reverse_init(struct rule *rule);
void rule_reverse_free(struct rule *rule);

#endif
