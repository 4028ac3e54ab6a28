/* Values of modules as JSON. Of most, what they are made of is all that can be told; a few are known and read:
 *
 *     vectorset  (Redis 8) {"card":N,"dim":N,"members":[[name, [number, ...]], ...]} by name, the numbers as VEMB prints them, after
 *                quantisation and, where there is one, projection; attributes are left out
 *     hellotype  (sample module of Redis's sources) [integer, ...]
 *     test__rdb  (test module of Redis's sources) the string
 *     any other  {"version":N,"items":[...]}: integers and reals as numbers, bytes as everywhere
 *
 * Sources: modules/vector-sets/vset.c and hnsw.c of Redis 8.0, src/modules/hellotype.c and tests/modules/testrdb.c of Redis 4.0 to 7.4.
 * Thread: one. */
#ifndef KEYFERRY_JSON_MODULE_H
#define KEYFERRY_JSON_MODULE_H

#include "json/value.h"

/* Reads the value that json's reader stands before into json's sorter as far as it has to be sorted, and checks all of it. False: as
 * json_value_print(). */
bool json_module_read(struct json_value *json) WARN_UNUSED;
/* Prints it after that. */
void json_module_print(struct json_value *json);

#endif
