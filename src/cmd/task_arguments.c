#include "cmd/task_arguments.h"

#include "base/log.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- signals ---- */

/* Signal handlers have no argument. */
static struct wake *signal_wake;
static volatile sig_atomic_t signal_seen;
static enum log_level level_at_start = LOG_INFO;
static atomic_int level_signal; /* not told yet */

static void on_signal(int number)
{
	signal_seen = number;
	if (signal_wake)
		wake_send(signal_wake);
}

/* Two signals with a fixed meaning each: who sends one twice, or to a process whose level he does not know, gets what he asked for. */
static void on_level_signal(int number)
{
	log_set_level(number == SIGUSR1 ? LOG_DEBUG : level_at_start);
	level_signal = number;
	if (signal_wake)
		wake_send(signal_wake);
}

void task_signals_tell(void)
{
	/* One that comes meanwhile is told the next time. */
	int number = atomic_exchange(&level_signal, 0);

	if (!number)
		return;
	if (number == SIGUSR1)
		log_info(
			"the log says everything from now on, as SIGUSR1 asked for (--log-level debug); SIGUSR2 puts it back to %s",
			log_level_name(level_at_start));
	else
		log_info("the log is at level %s again, as SIGUSR2 asked for", log_level_name(level_at_start));
}

void task_signals_take(struct wake *wake)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction level = {.sa_handler = on_level_signal, .sa_flags = SA_RESTART};

	/* The second one of a kind ends the process at once. */
	signal_wake = wake;
	if (!wake)
		return;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &level, NULL);
	sigaction(SIGUSR2, &level, NULL);
	/* A file that may not grow on is told by the write that fails. */
	signal(SIGXFSZ, SIG_IGN);
}

bool task_signal_seen(void)
{
	return signal_seen != 0;
}

/* ---- options ---- */

bool task_arguments_read(const struct arguments *arguments, struct task_options *options, struct error *error)
{
	const char *file = arguments_word(arguments, 0);
	const char *source = arguments_value(arguments, "source"), *target = arguments_value(arguments, "target");
	const char *assignment, *value;
	size_t cursor = 0;

	if (!file && (!source || !target)) {
		error_set(error, ERROR_USAGE, "there is nothing to do: no task document, and %s",
			  source   ? "no --target"
			  : target ? "no --source"
				   : "no --source and --target");
		error_hint(error, "Give a task document, or both --source URL and --target URL");
		return false;
	}
	if (file && !task_options_read(options, file, error))
		return false;
	if (source && !task_options_set_url(options, true, source, error))
		return false;
	if (target && !task_options_set_url(options, false, target, error))
		return false;
	while ((assignment = arguments_next(arguments, "set", &cursor))) {
		char origin[256];

		/* Without the value, which may be a secret. */
		snprintf(origin, sizeof(origin), "--set %.*s", (int)strcspn(assignment, "=") + 1, assignment);
		if (!task_options_set(options, assignment, origin, error))
			return false;
	}
	if ((value = arguments_value(arguments, "name"))) {
		free(options->name);
		options->name = strdup(value);
	}
	if ((value = arguments_value(arguments, "data")))
		options->data_dir = strdup(value);
	if ((value = arguments_value(arguments, "listen")))
		options->listen = strdup(value);
	if ((value = arguments_value(arguments, "probes"))) {
		options->open_probes = strcmp(value, "open") == 0;
		if (!options->open_probes && strcmp(value, "token") != 0) {
			error_set(error, ERROR_USAGE, "--probes %s: there are 'token' and 'open'", value);
			return false;
		}
	}
	options->accept_changes = arguments_given(arguments, "accept-changes");
	if ((value = arguments_value(arguments, "stop-when"))) {
		if (strcmp(value, "caught-up") != 0) {
			error_set(error, ERROR_USAGE, "--stop-when %s: there is only 'caught-up'", value);
			return false;
		}
		options->stop_when = STOP_WHEN_CAUGHT_UP;
	}
	return task_options_finish(options, error);
}

bool task_arguments_log(const struct arguments *arguments, struct error *error)
{
	const char *format = arguments_value(arguments, "log-format"), *level = arguments_value(arguments, "log-level");
	enum log_level lowest;

	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
		error_set(error, ERROR_USAGE, "--log-format %s: it is text or json", format);
		return false;
	}
	log_set_json(format && strcmp(format, "json") == 0);
	if (level) {
		if (!log_level_parse(level, &lowest)) {
			error_set(error, ERROR_USAGE, "--log-level %s: it is debug, info, warning or error", level);
			return false;
		}
		log_set_level(lowest);
		level_at_start = lowest;
	}
	return true;
}
