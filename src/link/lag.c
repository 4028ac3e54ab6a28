#include "link/lag.h"

#include "base/clock.h"
#include "wire/command.h"

#include <string.h>

/* A heartbeat may be late by this much before the sampled offsets are asked instead. */
#define BEAT_GRACE_MS 1000
/* Offsets are sampled this often (source/heartbeat.h). */
#define SAMPLE_INTERVAL_MS 1000

void lag_init(struct lag *lag, struct heartbeat *heartbeat, uint32_t interval_ms, struct delays *delays)
{
	*lag = (struct lag){.heartbeat = heartbeat, .delays = delays, .interval_ms = interval_ms, .goal = -1};
}

bool lag_is_beat(const struct event *event)
{
	if (!event->key.data || !heartbeat_is_key(event->key))
		return false;
	return event->kind == EVENT_KEY ||
	       (event->kind == EVENT_COMMAND &&
		(!event->info || command_keys(event->info, event->argc, event->argv, NULL, NULL) <= 1));
}

void lag_note(struct lag *lag, const struct event *event)
{
	/* SETEX key seconds ms; from 7.0 on it comes as SET key ms PXAT time. */
	uint32_t at = slice_equal_nocase(event->argv[0], SLICE("SETEX")) ? 3 : 2;
	int64_t sent_ms;

	if (at >= event->argc || !slice_to_int64(event->argv[at], &sent_ms))
		return;
	lag->met_ms = sent_ms;
	if (lag->beat_count == LAG_BEATS_MAX)
		return;
	lag->beats[lag->beat_count].position = event->end;
	lag->beats[lag->beat_count++].sent_ms = sent_ms;
}

int64_t lag_stream_ms(const struct lag *lag, int64_t offset)
{
	int64_t now = clock_wall_ms();
	int64_t sampled = lag->heartbeat ? heartbeat_time_of_offset(lag->heartbeat, offset) : 0;
	int64_t latest = sampled > 0 ? sampled + SAMPLE_INTERVAL_MS : lag->met_ms > 0 ? lag->met_ms + lag->interval_ms : now;

	return latest < now ? latest : now;
}

static void take_beats(struct lag *lag, uint64_t position)
{
	uint32_t done = 0;

	while (done < lag->beat_count && lag->beats[done].position <= position) {
		int64_t ms = clock_wall_ms() - lag->beats[done].sent_ms;

		lag->last_beat_ms = lag->beats[done].sent_ms;
		lag->last_lag_ms = ms > 0 ? ms : 0;
		if (lag->delays)
			delays_add(lag->delays, lag->last_lag_ms);
		done++;
	}
	lag->beat_count -= done;
	memmove(lag->beats, lag->beats + done, lag->beat_count * sizeof(lag->beats[0]));
}

static void check_caught_up(struct lag *lag, int64_t applied_offset)
{
	if (!lag->heartbeat || lag->caught_up || applied_offset < 0)
		return;
	if (!lag->has_ticket) {
		lag->ticket = heartbeat_ticket(lag->heartbeat);
		lag->has_ticket = true;
	}
	if (lag->goal < 0 && !heartbeat_sampled_since(lag->heartbeat, lag->ticket, &lag->goal))
		return;
	lag->caught_up = applied_offset >= lag->goal;
}

void lag_applied(struct lag *lag, uint64_t position, int64_t applied_offset)
{
	take_beats(lag, position);
	check_caught_up(lag, applied_offset);
}

int64_t lag_behind_ms(const struct lag *lag, int64_t applied_offset)
{
	int64_t now = clock_wall_ms(), then;

	if (!lag->heartbeat || applied_offset < 0)
		return -1;
	then = heartbeat_time_of_offset(lag->heartbeat, applied_offset);
	if (lag->last_beat_ms > then)
		then = lag->last_beat_ms;
	return then <= 0 ? -1 : then < now ? now - then : 0;
}

int64_t lag_ms(const struct lag *lag, int64_t applied_offset)
{
	int64_t now = clock_wall_ms();
	int64_t source_offset, then;
	uint64_t sampled_us;

	if (!lag->heartbeat || applied_offset < 0)
		return -1;
	if (lag->last_beat_ms && now - lag->last_beat_ms < lag->interval_ms + lag->last_lag_ms + BEAT_GRACE_MS)
		return lag->last_lag_ms;
	if (heartbeat_source_offset(lag->heartbeat, &source_offset, &sampled_us) && applied_offset >= source_offset)
		return 0;
	then = heartbeat_time_of_offset(lag->heartbeat, applied_offset);
	return then > 0 ? now - then : -1;
}

void lag_sample(struct lag *lag, int64_t applied_offset)
{
	int64_t ms = lag->delays && lag->met_ms == 0 ? lag_ms(lag, applied_offset) : -1;

	if (ms >= 0)
		delays_add(lag->delays, ms);
}
