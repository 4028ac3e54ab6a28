/* What a task has to know of the times of expiry that earlier runs of it have written: expiry.json in its work directory.
 *
 * Live times do not tell their margin, so whoever takes it off has to know it. Written before any link writes the first time with that margin, and again with another
 * one only when no live time with the old one is left.
 * Thread: the control thread. */
#ifndef KEYFERRY_CONTROL_EXPIRY_RECORD_H
#define KEYFERRY_CONTROL_EXPIRY_RECORD_H

#include "base/error.h"

#include <stdint.h>

struct expiry_record {
	bool exists; /* times were guarded */
	int64_t base;
	int64_t margin_ms;
};

/* `data_dir`: the work directory. A missing file is no error. */
bool expiry_record_read(const char *data_dir, struct expiry_record *ret, struct error *error) WARN_UNUSED;
/* On the disk when it returns. Not `exists`: the file goes. */
bool expiry_record_write(const char *data_dir, const struct expiry_record *record, struct error *error) WARN_UNUSED;

#endif
