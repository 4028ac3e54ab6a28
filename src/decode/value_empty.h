/* Collections without elements: old servers with a fault save such; servers since 6.2 leave them out when they load a file, and RESTORE refuses them.
 * Thread: no state. */
#ifndef KEYFERRY_DECODE_VALUE_EMPTY_H
#define KEYFERRY_DECODE_VALUE_EMPTY_H

#include "base/slice.h"

/* `value` is whole: an event's. True: a list, set, sorted set or hash without elements, in any form. */
bool value_is_empty(uint8_t type, struct slice value);

#endif
