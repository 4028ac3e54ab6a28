#include "json/number.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void json_number_print(FILE *out, double number)
{
	char text[40];

	if (!isfinite(number)) {
		fprintf(out, "\"%g\"", number);
		return;
	}
	/* Every decimal of 15 digits survives the way there and back, so that none shorter could be found by trying fewer. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	fputs(text, out);
	if (!strpbrk(text, ".e"))
		fputs(".0", out);
}
