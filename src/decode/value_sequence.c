/* Lists and sets: elements one by one, or packed nodes of them. */
#include "decode/value_reader.h"

#define NODE_PLAIN 1 /* a quicklist2's node that is one large element; 2: a listpack */

/* The form of the node that comes next; PACKED_NONE: it is an element by itself. */
static bool next_form(struct value_reader *reader, enum packed_form *form, struct parse_fault *fault)
{
	uint64_t start = reader->at;
	uint64_t kind;

	switch (reader->type) {
	case RDB_TYPE_LIST_ZIPLIST:
	case RDB_TYPE_LIST_QUICKLIST: *form = PACKED_ZIPLIST; return true;
	case RDB_TYPE_SET_INTSET: *form = PACKED_INTSET; return true;
	case RDB_TYPE_SET_LISTPACK: *form = PACKED_LISTPACK; return true;
	case RDB_TYPE_LIST_QUICKLIST_2:
		if (!value_take_number(reader, &kind, fault))
			return false;
		if (kind != NODE_PLAIN && kind != 2)
			return value_fail(fault, start, "a list's node is neither plain nor packed");
		*form = kind == NODE_PLAIN ? PACKED_NONE : PACKED_LISTPACK;
		return true;
	default: *form = PACKED_NONE; return true;
	}
}

enum value_answer value_sequence_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	for (;;) {
		struct packed_element element;
		enum packed_form form;

		if (reader->form != PACKED_NONE) {
			switch (value_packed_next(reader, &element, fault)) {
			case PACKED_BAD: return VALUE_BAD;
			case PACKED_END: break;
			case PACKED_ELEMENT:
				item->offset = reader->node_at;
				item->bytes = packed_text(element, reader->bytes_digits);
				return VALUE_ITEM;
			}
			reader->form = PACKED_NONE;
		}
		if (reader->left == 0)
			return VALUE_END;
		reader->left--;
		item->offset = reader->at;
		if (!next_form(reader, &form, fault))
			return VALUE_BAD;
		if (form == PACKED_NONE)
			return value_take_string(reader, &reader->bytes, &item->bytes, fault) ? VALUE_ITEM : VALUE_BAD;
		if (!value_take_node(reader, form, fault))
			return VALUE_BAD;
	}
}
