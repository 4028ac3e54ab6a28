/* SHA-1 (FIPS 180-4): servers name scripts by it. Not for anything that has to withstand an attacker.
 * Thread: no state. */
#ifndef KEYFERRY_WIRE_SHA1_H
#define KEYFERRY_WIRE_SHA1_H

#include "base/slice.h"

#define SHA1_LEN 20
#define SHA1_TEXT_LEN 40

void sha1(struct slice bytes, uint8_t out[SHA1_LEN]);
/* Of 40 hexadecimal digits, in either case. False: it is something else. */
bool sha1_parse(struct slice text, uint8_t out[SHA1_LEN]);

#endif
