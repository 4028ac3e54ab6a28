/* Bytes of any kind as JSON, in the form of the data listings: printable ASCII throughout (0x20 to 0x7e) as a string, other bytes
 * as {"b64":"..."}, and more than JSON_BYTES_MAX of either as {"sha256":"...","len":N}.
 * Thread: pure. */
#ifndef KEYFERRY_JSON_BYTES_H
#define KEYFERRY_JSON_BYTES_H

#include "base/buffer.h"

#include <stdio.h>

#define JSON_BYTES_MAX 65536

void json_bytes_print(FILE *out, struct slice bytes);
/* The bytes of a "b64", appended. False: it is no base64, or too long for the buffer. */
bool json_bytes_decode(const char *b64, struct buffer *out) WARN_UNUSED;

#endif
