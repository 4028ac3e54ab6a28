/* The packed encodings: the first byte says which, the rest is one. Whatever it holds, the iteration ends, what it hands out lies
 * inside the bytes, and the place of damage does, too. */
#include "wire/intset.h"
#include "wire/listpack.h"
#include "wire/ziplist.h"
#include "wire/zipmap.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool true_always)
{
	if (!true_always)
		abort();
}

struct iterator {
	unsigned form;
	union {
		struct listpack listpack;
		struct ziplist ziplist;
		struct intset intset;
		struct zipmap zipmap;
	};
};

static bool begin(struct iterator *it, struct slice in, struct parse_fault *fault)
{
	switch (it->form) {
	case 0: return listpack_open(&it->listpack, in, fault);
	case 1: return ziplist_open(&it->ziplist, in, fault);
	case 2: return intset_open(&it->intset, in, fault);
	default: return zipmap_open(&it->zipmap, in, fault);
	}
}

static enum packed_step next(struct iterator *it, struct packed_element *element, struct parse_fault *fault)
{
	switch (it->form) {
	case 0: return listpack_next(&it->listpack, element, fault);
	case 1: return ziplist_next(&it->ziplist, element, fault);
	case 2: return intset_next(&it->intset, element, fault);
	default: return zipmap_next(&it->zipmap, element, fault);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct parse_fault fault = {UINT64_MAX, NULL};
	struct packed_element element;
	enum packed_step step = PACKED_BAD;
	struct iterator it;
	struct slice in;
	size_t count = 0;

	if (size == 0)
		return 0;
	it.form = data[0] % 4;
	in = slice_make(data + 1, size - 1);
	if (begin(&it, in, &fault)) {
		while ((step = next(&it, &element, &fault)) == PACKED_ELEMENT) {
			char room[PACKED_TEXT_MAX];
			struct slice text = packed_text(element, room);
			int64_t back;

			require(++count <= size);
			if (element.bytes.data)
				require(text.data >= in.data && text.data + text.len <= in.data + in.len);
			else
				require(slice_to_int64(text, &back) && back == element.integer);
		}
	}
	if (step == PACKED_BAD)
		require(fault.what != NULL && fault.offset <= in.len);
	return 0;
}
