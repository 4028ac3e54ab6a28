/* A real number as JSON: the shortest decimal that reads back as the same double (of the tiniest ones, below 1e-307,
 * not always the shortest); a whole one with ".0", as JSON writers commonly do.
 * What is not finite, and so no JSON number, is a string: "inf", "-inf", "nan".
 * Thread: any. */
#ifndef KEYFERRY_JSON_NUMBER_H
#define KEYFERRY_JSON_NUMBER_H

#include <stdio.h>

void json_number_print(FILE *out, double number);

#endif
