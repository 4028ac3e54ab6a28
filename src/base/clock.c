#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t system_monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int64_t system_wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct clock_source system_clock = {system_monotonic_us, system_wall_ms};
static const struct clock_source *in_use = &system_clock;

void clock_use(const struct clock_source *source)
{
	in_use = source ? source : &system_clock;
}

uint64_t clock_monotonic_us(void)
{
	return in_use->monotonic_us();
}

int64_t clock_wall_ms(void)
{
	return in_use->wall_ms();
}

const char *clock_format_rfc3339(int64_t wall_ms, char out[32])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (parts.tm_year + 1900) % 10000, (parts.tm_mon + 1) % 100,
		 parts.tm_mday % 100, parts.tm_hour % 100, parts.tm_min % 100, parts.tm_sec % 100, (int)(wall_ms % 1000));
	return out;
}

int64_t clock_parse_rfc3339(const char *text)
{
	struct tm when = {0};
	int ms = 0, used = 0;

	if (!text ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &when.tm_year, &when.tm_mon, &when.tm_mday, &when.tm_hour,
		   &when.tm_min, &when.tm_sec, &ms, &used) != 7 ||
	    text[used])
		return -1;
	when.tm_year -= 1900;
	when.tm_mon -= 1;
	return (int64_t)timegm(&when) * 1000 + ms;
}
