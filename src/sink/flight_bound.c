#include "sink/flight_bound.h"

/* Full flights between two trials: a flight of half the size now and then costs little. */
#define REST 16

static void set_units(struct flight_bound *bound, uint64_t units)
{
	uint64_t bytes;

	if (units > bound->units_most)
		units = bound->units_most;
	bytes = FLIGHT_BYTES_MAX * units / FLIGHT_UNITS_MAX;
	bound->units = (uint32_t)units;
	bound->bytes = bytes < FLIGHT_BYTES_MAX ? FLIGHT_BYTES_MAX : bytes > bound->bytes_most ? bound->bytes_most : bytes;
}

void flight_bound_init(struct flight_bound *bound, uint32_t units, uint64_t bytes)
{
	*bound = (struct flight_bound){.units_most = units / 8 * 3, .bytes_most = bytes / 8 * 3};
	if (bound->units_most < FLIGHT_UNITS_MAX)
		bound->units_most = FLIGHT_UNITS_MAX;
	if (bound->bytes_most < FLIGHT_BYTES_MAX)
		bound->bytes_most = FLIGHT_BYTES_MAX;
	set_units(bound, FLIGHT_UNITS_SHORT);
}

static void try_units(struct flight_bound *bound, uint64_t units, uint64_t took_us)
{
	bound->trial = units > bound->units ? FLIGHT_BOUND_MORE : FLIGHT_BOUND_LESS;
	bound->units_before = bound->units;
	bound->took_before_us = took_us;
	set_units(bound, units);
}

static void try_more(struct flight_bound *bound, uint64_t took_us)
{
	bound->trial = FLIGHT_BOUND_KEPT;
	if (bound->units < bound->units_most)
		try_units(bound, 2 * (uint64_t)bound->units, took_us);
	else
		bound->rest = REST;
}

static void try_less(struct flight_bound *bound, uint64_t took_us)
{
	if (bound->units > FLIGHT_UNITS_MAX)
		try_units(bound, bound->units / 2 > FLIGHT_UNITS_MAX ? bound->units / 2 : FLIGHT_UNITS_MAX, took_us);
	else
		try_more(bound, took_us);
}

/* Beyond FLIGHT_UNITS_MAX. */
static void learn_far(struct flight_bound *bound, uint64_t took_us)
{
	switch (bound->trial) {
	case FLIGHT_BOUND_KEPT:
		if (bound->rest > 0)
			bound->rest--;
		else
			try_less(bound, took_us);
		break;
	case FLIGHT_BOUND_MORE:
		if (4 * took_us <= 5 * bound->took_before_us) {
			try_more(bound, took_us);
			break;
		}
		set_units(bound, bound->units_before);
		bound->trial = FLIGHT_BOUND_KEPT;
		bound->rest = REST;
		break;
	case FLIGHT_BOUND_LESS:
		if (5 * took_us < 4 * bound->took_before_us) {
			bound->trial = FLIGHT_BOUND_KEPT;
			if (bound->units > FLIGHT_UNITS_MAX)
				try_less(bound, took_us);
			else
				bound->rest = REST;
			break;
		}
		set_units(bound, bound->units_before);
		try_more(bound, bound->took_before_us);
		break;
	}
}

void flight_bound_refused(struct flight_bound *bound)
{
	bound->trial = FLIGHT_BOUND_KEPT;
	bound->rest = 0;
	set_units(bound, FLIGHT_UNITS_SHORT);
}

void flight_bound_learn(struct flight_bound *bound, uint64_t took_us, bool full)
{
	if (took_us < FLIGHT_NEAR_US && bound->units > FLIGHT_UNITS_SHORT) {
		bound->trial = FLIGHT_BOUND_KEPT;
		set_units(bound, bound->units / 2 > FLIGHT_UNITS_SHORT ? bound->units / 2 : FLIGHT_UNITS_SHORT);
	} else if (full && took_us > FLIGHT_FAR_US) {
		if (bound->units < FLIGHT_UNITS_MAX)
			set_units(bound, 2 * (uint64_t)bound->units);
		else
			learn_far(bound, took_us);
	}
}
