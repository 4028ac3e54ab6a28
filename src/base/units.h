/* Sizes and durations as operators write them: "64MiB", "5s".
 *
 * A size is a whole number with B, KiB, MiB, GiB, TiB (powers of 1024), KB, MB, GB, TB (powers of 1000) or nothing (bytes).
 * A duration is a whole number with ms, s, m, h or d; the unit is required, since "5" alone is read as seconds by some and as
 * milliseconds by others. One space may stand before the unit. Case counts: "5M" is neither minutes nor megabytes.
 * Thread: pure functions. */
#ifndef KEYFERRY_BASE_UNITS_H
#define KEYFERRY_BASE_UNITS_H

#include "base/slice.h"

#define UNITS_TEXT_MAX 32

/* False: not a size, or over 2^64 - 1; *ret is untouched. */
bool units_parse_size(struct slice text, uint64_t *ret);
/* Milliseconds. False: not a duration, or out of range; *ret is untouched. */
bool units_parse_duration(struct slice text, uint64_t *ret);

/* The shortest exact form, which parses back to the same value: "64MiB", "1500B", "0B"; "5s", "1500ms". Returns out. */
const char *units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX]);
const char *units_format_duration(uint64_t ms, char out[UNITS_TEXT_MAX]);

/* For eyes, rounded: "512 B", "1.4 MiB", "230 GiB". Returns out. */
const char *units_show_size(double bytes, char out[UNITS_TEXT_MAX]);
/* Likewise "3 s", "4m 10s", "2h 5m", "3d 4h". Returns out. */
const char *units_show_duration(uint64_t seconds, char out[UNITS_TEXT_MAX]);

#endif
