#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Formatting takes the first unit that divides the value, so the larger ones come first, and the decimal ones after all
 * binary ones: operators think of memory and files in powers of two. */
static const struct unit size_units[] = {
	{"TiB", 1ULL << 40},      {"GiB", 1ULL << 30},   {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1},
	{"TB", 1000000000000ULL}, {"GB", 1000000000ULL}, {"MB", 1000000ULL},  {"KB", 1000ULL},     {"", 1},
};

static const struct unit duration_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool parse(struct slice text, const struct unit *units, size_t count, uint64_t *ret)
{
	size_t digits = 0;
	uint64_t number;
	struct slice name;

	while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9')
		digits++;
	if (!slice_to_uint64(slice_make(text.data, digits), &number))
		return false;
	name = slice_make(text.data + digits, text.len - digits);
	if (name.len > 1 && name.data[0] == ' ')
		name = slice_make(name.data + 1, name.len - 1);
	for (size_t i = 0; i < count; i++) {
		if (!slice_equal(name, slice_of_string(units[i].name)))
			continue;
		if (__builtin_mul_overflow(number, units[i].factor, &number))
			return false;
		*ret = number;
		return true;
	}
	return false;
}

static const char *format(uint64_t value, const struct unit *units, char out[UNITS_TEXT_MAX])
{
	/* The unit of factor 1 ends the search: it divides everything. */
	while (units->factor > 1 && (value == 0 || value % units->factor != 0))
		units++;
	snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%s", value / units->factor, units->name);
	return out;
}

bool units_parse_size(struct slice text, uint64_t *ret)
{
	return parse(text, size_units, COUNT(size_units), ret);
}

bool units_parse_duration(struct slice text, uint64_t *ret)
{
	return parse(text, duration_units, COUNT(duration_units), ret);
}

const char *units_format_size(uint64_t bytes, char out[UNITS_TEXT_MAX])
{
	return format(bytes, size_units, out);
}

const char *units_format_duration(uint64_t ms, char out[UNITS_TEXT_MAX])
{
	return format(ms, duration_units, out);
}

const char *units_show_size(double bytes, char out[UNITS_TEXT_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	unsigned unit = 0;

	while (bytes >= 1024 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(out, UNITS_TEXT_MAX, unit && bytes < 100 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
	return out;
}

const char *units_show_duration(uint64_t seconds, char out[UNITS_TEXT_MAX])
{
	unsigned long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

	if (days > 0)
		snprintf(out, UNITS_TEXT_MAX, "%llud %lluh", days, hours % 24);
	else if (hours > 0)
		snprintf(out, UNITS_TEXT_MAX, "%lluh %llum", hours, minutes % 60);
	else if (minutes > 0)
		snprintf(out, UNITS_TEXT_MAX, "%llum %llus", minutes, (unsigned long long)seconds % 60);
	else
		snprintf(out, UNITS_TEXT_MAX, "%llu s", (unsigned long long)seconds);
	return out;
}
