/* The cluster's key slots: CRC16 (XMODEM) of the key, or of its hash tag, modulo 16,384.
 * Format: Redis cluster specification, "Key distribution model" and "Hash tags".
 * Thread: none. */
#ifndef KEYFERRY_WIRE_SLOT_H
#define KEYFERRY_WIRE_SLOT_H

#include "base/slice.h"

#define SLOT_COUNT 16384

uint16_t slot_crc16(struct slice bytes);
/* Honours the first {tag} when it is not empty. */
uint16_t slot_of_key(struct slice key);

/* Fills tag (8 bytes) with a short printable text whose slot is exactly `slot`: "{tag}" in a key's name puts it there.
 * Static table, built on first use; thread-safe. */
const char *slot_tag(uint16_t slot);

#endif
