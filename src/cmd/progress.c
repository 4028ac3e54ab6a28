#include "cmd/progress.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "control/status_page.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LINE_INTERVAL_US 5000000
#define BAR_WIDTH 24
#define SCREEN_MAX 16384

/* One progress display per process, as there is one terminal. */
static struct {
	pthread_mutex_t lock; /* of the screen: log lines of other threads wipe it and draw it again */
	bool bars;
	uint64_t last_line_us;
	unsigned lines_shown;
	char screen[SCREEN_MAX];
	size_t screen_len;
} display = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void put(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void wipe(void)
{
	char code[32];

	if (display.lines_shown > 0)
		put(code, (size_t)snprintf(code, sizeof(code), "\r\033[%uA\033[J", display.lines_shown));
	display.lines_shown = 0;
}

static void draw(void)
{
	put(display.screen, display.screen_len);
	for (size_t i = 0; i < display.screen_len; i++)
		display.lines_shown += display.screen[i] == '\n';
}

/* Around a log line: nobody draws in between. */
static void before_line(void)
{
	pthread_mutex_lock(&display.lock);
	wipe();
}

static void after_line(void)
{
	draw();
	pthread_mutex_unlock(&display.lock);
}

void progress_start(bool bars)
{
	display.bars = bars;
	display.last_line_us = clock_monotonic_us();
	if (bars)
		log_set_screen(before_line, after_line);
}

static double percent(const struct link_status *link)
{
	if (link->phase == LINK_STREAMING || link->phase == LINK_FINISHED)
		return 100;
	/* A diskless source tells no size; then its number of keys, which has changed since it was asked, has to do. */
	if (link->snapshot_bytes_total == 0 && link->snapshot_keys_total == 0)
		return -1;
	if (link->snapshot_bytes_total == 0) {
		double done = 100.0 * (double)(link->applier.sink.keys + link->applier.dispatch.left_out) /
			      (double)link->snapshot_keys_total;

		return done > 99 ? 99 : done;
	}
	return 100.0 * (double)link->applier.snapshot_bytes_done / (double)link->snapshot_bytes_total;
}

/* What there is to say of a link, without its name. */
static size_t describe(const struct link_status *link, char *out, size_t cap)
{
	char rate[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX], lag[64] = "lag unknown";
	double done = percent(link);
	int len;

	if (link->applier.lag_ms >= 0)
		snprintf(lag, sizeof(lag), "lag %.1f s", (double)link->applier.lag_ms / 1000);
	if (link->applier.waiting_for[0])
		len = snprintf(out, cap, "waiting for %s", link->applier.waiting_for);
	else if (link->receiver.away.text[0])
		len = snprintf(out, cap, "%s (source away), %s in the spool: %.250s", status_page_phase(link->phase),
			       units_show_size((double)link->spool_bytes, size), link->receiver.away.text);
	else if (link->phase == LINK_STREAMING)
		len = snprintf(out, cap, "streaming%s, %s, %.0f records/s, %s/s, %s in the spool",
			       link->connected ? "" : " (source away)", lag, link->commands_per_second,
			       units_show_size(link->bytes_per_second, rate), units_show_size((double)link->spool_bytes, size));
	else if (link->phase == LINK_SNAPSHOT && link->files)
		len = snprintf(out, cap, "%.1f %% of the files, %llu keys and %llu commands, %.0f records/s, %s/s", done,
			       (unsigned long long)link->applier.sink.keys, (unsigned long long)link->applier.sink.commands,
			       link->commands_per_second, units_show_size(link->bytes_per_second, rate));
	else if (link->phase == LINK_SNAPSHOT && done >= 0)
		len = snprintf(out, cap, "snapshot %.1f %%, %llu keys, %.0f keys/s, %s/s", done,
			       (unsigned long long)link->applier.sink.keys, link->commands_per_second,
			       units_show_size(link->bytes_per_second, rate));
	else if (link->phase == LINK_SNAPSHOT)
		len = snprintf(out, cap, "snapshot, %s so far, %llu keys, %.0f keys/s",
			       units_show_size((double)link->applier.snapshot_bytes_done, size),
			       (unsigned long long)link->applier.sink.keys, link->commands_per_second);
	else
		len = snprintf(out, cap, "%s", status_page_phase(link->phase));
	return (size_t)len < cap ? (size_t)len : cap - 1;
}

static void show_bars(const struct task_status *status)
{
	struct winsize size = {.ws_col = 80};
	size_t at = 0;

	pthread_mutex_lock(&display.lock);
	wipe();
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		size.ws_col = 80;
	for (uint32_t i = 0; i < status->link_count && at + 512 < SCREEN_MAX; i++) {
		const struct link_status *link = &status->links[i];
		char line[512], bar[BAR_WIDTH + 1], text[384];
		double done = percent(link);
		int filled = done < 0 ? 0 : done > 100 ? BAR_WIDTH : (int)(done * BAR_WIDTH / 100);

		memset(bar, '.', BAR_WIDTH);
		memset(bar, '#', (size_t)filled);
		bar[BAR_WIDTH] = '\0';
		describe(link, text, sizeof(text));
		/* A server's error text may hold control bytes, which the terminal would obey. */
		for (char *p = text; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = ' ';
		/* Never over the edge: a wrapped line would break the wiping. */
		snprintf(line, sizeof(line), "%-21.40s [%s] %s", link->source, bar, text);
		at += (size_t)snprintf(display.screen + at, SCREEN_MAX - at, "%.*s\n", (int)size.ws_col - 1, line);
	}
	display.screen_len = at;
	draw();
	pthread_mutex_unlock(&display.lock);
}

static void show_lines(const struct task_status *status)
{
	uint64_t now = clock_monotonic_us();
	char text[384];

	if (now - display.last_line_us < LINE_INTERVAL_US)
		return;
	display.last_line_us = now;
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];
		const struct log_field fields[] = {
			{.name = "state", .text = status_page_phase(link->phase)},
			{.name = "commands_per_second", .number = link->commands_per_second},
			{.name = "bytes_per_second", .number = link->bytes_per_second},
			{.name = "spool_bytes", .number = (double)link->spool_bytes},
			{.name = "snapshot_keys", .number = (double)link->applier.sink.keys},
			{.name = "lag_seconds",
			 .number = (double)link->applier.lag_ms / 1000}, /* the last: left out where it is not known */
		};
		uint32_t count = sizeof(fields) / sizeof(fields[0]) - (link->applier.lag_ms < 0);
		const struct log_line line = {.level = LOG_INFO,
					      .link = link->source,
					      .kind = "progress",
					      .fields = fields,
					      .field_count = count,
					      .unlimited = true};

		describe(link, text, sizeof(text));
		log_line_write(&line, "link %s: %s", link->source, text);
	}
}

void progress_show(const struct task_status *status)
{
	if (display.bars)
		show_bars(status);
	else
		show_lines(status);
}

void progress_end(void)
{
	log_set_screen(NULL, NULL);
	display.lines_shown = 0;
	display.screen_len = 0;
}
