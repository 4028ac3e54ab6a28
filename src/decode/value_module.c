/* Values of modules, as far as they can be read by anybody: their items, whose meaning only the module knows. */
#include "decode/value_reader.h"

static bool take_real(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	bool single = item->kind == VALUE_ITEM_FLOAT;
	const uint8_t *p;
	uint32_t narrow_bits;
	uint64_t bits;
	float narrow;

	if (!value_take_bytes(reader, single ? 4 : 8, &p, fault))
		return false;
	if (single) {
		narrow_bits = (uint32_t)rdb_little_endian(p, 4);
		memcpy(&narrow, &narrow_bits, sizeof(narrow));
		item->real = (double)narrow;
	} else {
		bits = rdb_little_endian(p, 8);
		memcpy(&item->real, &bits, sizeof(item->real));
	}
	return true;
}

static bool take_item(struct value_reader *reader, uint64_t opcode, struct value_item *item, struct parse_fault *fault)
{
	uint64_t number;

	switch (opcode) {
	case RDB_MODULE_SINT:
		item->kind = VALUE_ITEM_SIGNED;
		if (!value_take_number(reader, &number, fault))
			return false;
		item->integer = (int64_t)number;
		return true;
	case RDB_MODULE_UINT: item->kind = VALUE_ITEM_UNSIGNED; return value_take_number(reader, &item->number, fault);
	case RDB_MODULE_FLOAT: item->kind = VALUE_ITEM_FLOAT; return take_real(reader, item, fault);
	case RDB_MODULE_DOUBLE: item->kind = VALUE_ITEM_DOUBLE; return take_real(reader, item, fault);
	case RDB_MODULE_STRING:
		item->kind = VALUE_ITEM_BYTES;
		return value_take_string(reader, &reader->bytes, &item->bytes, fault);
	default: return value_fail(fault, item->offset, "a module value holds an item of unknown kind");
	}
}

/* reader->left is 1 until the mark of the end has come. */
enum value_answer value_module_next(struct value_reader *reader, struct value_item *item, struct parse_fault *fault)
{
	uint64_t number;

	if (reader->left == 0)
		return VALUE_END;
	if (!value_take_number(reader, &number, fault))
		return VALUE_BAD;
	if (reader->index == 0) {
		item->kind = VALUE_ITEM_MODULE;
		item->module.id = number;
		item->module.version = (unsigned)(number & 0x3ff);
		item->bytes = slice_make(rdb_module_name(number, reader->module_name), RDB_MODULE_NAME_LEN);
		return VALUE_ITEM;
	}
	if (number == RDB_MODULE_EOF) {
		reader->left = 0;
		return VALUE_END;
	}
	return take_item(reader, number, item, fault) ? VALUE_ITEM : VALUE_BAD;
}
