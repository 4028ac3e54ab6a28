/* CRC-64 as Redis uses it (Jones polynomial, reflected, init 0): RDB trailer and the footer of DUMP payloads.
 * Check value of "123456789": e9c6d914c4b8d9ca. Computed by ISA-L, whose function inverts the value on the way in and out; the
 * plain table is slower at every length, and is there to check it.
 * Thread: none. */
#ifndef KEYFERRY_WIRE_CRC64_H
#define KEYFERRY_WIRE_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc (0 to begin) over len bytes. */
uint64_t crc64(uint64_t crc, const void *data, size_t len);
/* The same by the table alone: the test's oracle. */
uint64_t crc64_by_table(uint64_t crc, const void *data, size_t len);

#endif
