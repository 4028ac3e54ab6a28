/* A stream as JSON; the form is told in json/value.h.
 * Thread: one. */
#ifndef KEYFERRY_JSON_STREAM_H
#define KEYFERRY_JSON_STREAM_H

#include "json/value.h"

/* Prints the value that json's reader stands before and that is known to be whole. False: ERROR_INTERNAL, the sorter's file. */
bool json_stream_print(struct json_value *json) WARN_UNUSED;

#endif
