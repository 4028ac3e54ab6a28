#include "control/verifier.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/verification.h"
#include "verify/resume.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_MS 1000
#define LISTED_MAX 10 /* differences in the log; 'keyferry verify' lists all */

struct verifier {
	const struct task_options *task;
	struct incidents *incidents;
	struct links *links;
	struct loop *loop;
	struct wake *wake;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	char *state_stem; /* of what is kept of a run; NULL: nothing can be */
	/* the thread's own */
	bool stopping; /* `stop`, as the loop sees it */
	uint64_t listed;
	struct verify_counts counts; /* of the run under way */
	pthread_mutex_t lock;        /* of what follows */
	struct verifier_status status;
};

/* ---- telling ---- */

static void tell(struct verifier *verifier, const struct incident *incident)
{
	incident_log(incident, NULL);
	incidents_add(verifier->incidents, "", incident);
}

static void tell_result(struct verifier *verifier, double seconds)
{
	const struct verify_counts *counts = &verifier->counts;
	uint64_t differences = verify_differences(counts), left = differences - counts->repaired;
	struct incident incident = incident_make(left > 0 ? INCIDENT_VERIFY_DIFFERENT : INCIDENT_VERIFIED, -1,
						 "verified: %llu keys compared in %.1f s, %llu differences",
						 (unsigned long long)counts->compared, seconds, (unsigned long long)differences);

	if (counts->repaired > 0)
		incident_add_text(&incident, ", %llu of them repaired", (unsigned long long)counts->repaired);
	if (counts->undecided > 0)
		incident_add_text(&incident, ", %llu undecided", (unsigned long long)counts->undecided);
	if (left > 0)
		incident_add_text(&incident, ". 'keyferry verify' lists them, and --repair makes them right");
	incident_add_cost(&incident, "seconds", seconds);
	incident_add_cost(&incident, "keys", (double)counts->compared);
	incident_add_cost(&incident, "differences", (double)differences);
	incident_add_cost(&incident, "repaired", (double)counts->repaired);
	tell(verifier, &incident);
}

static void tell_failure(struct verifier *verifier, const struct error *error)
{
	struct incident incident =
		incident_make(INCIDENT_VERIFY_FAILED, -1, "the verification did not come to its end: %s", error->text);

	tell(verifier, &incident);
}

/* ---- a run ---- */

static bool on_go_on(void *owner, const struct verify_counts *counts)
{
	(void)counts;
	return !atomic_load(&((struct verifier *)owner)->stop);
}

static void on_difference(void *owner, const struct verify_difference *difference)
{
	struct verifier *verifier = owner;
	char key[200];

	if (!difference->undecided && verifier->listed++ < LISTED_MAX)
		log_warning("%s: database %u, key %s%s%s%s", difference_kind_name(difference->kind), difference->source_db,
			    slice_quote(difference->source_key, key, sizeof(key)), difference->text[0] ? ": " : "",
			    difference->text, difference->repaired ? " (repaired)" : "");
}

static void on_note(void *owner, int log_level, const char *text)
{
	(void)owner;
	log_write((enum log_level)log_level, "%s", text);
}

static const struct verify_events callbacks = {on_go_on, on_difference, on_note};

static bool verify_once(struct verifier *verifier, struct error *error)
{
	const struct task_options *task = verifier->task;
	struct verify_options options = {
		.task = task,
		.full = task->verify_mode == VERIFY_MODE_FULL,
		.repair = task->verify_repair,
		.judge = {.tolerance_ms = VERIFICATION_TOLERANCE_MS},
		.rounds = VERIFICATION_ROUNDS,
		.wait_ms = VERIFICATION_WAIT_MS,
		.rate = task->verify_rate,
		.state_stem = verifier->state_stem,
		.stop = &verifier->stop,
	};

	verifier->listed = 0;
	error_clear(error);
	return verification_take_guard(task, &options.judge, error) &&
	       verify_run(verifier->loop, &options, &callbacks, verifier, &verifier->counts, error);
}

static void publish(struct verifier *verifier, int64_t begun_ms, bool ok, const struct error *error)
{
	struct verifier_status *status = &verifier->status;

	pthread_mutex_lock(&verifier->lock);
	status->running = false;
	if (ok) {
		status->runs++;
		status->begun_ms = begun_ms;
		status->ended_ms = clock_wall_ms();
		status->counts = verifier->counts;
		error_clear(&status->error);
	} else {
		status->failures++;
		status->error = *error;
	}
	pthread_mutex_unlock(&verifier->lock);
}

static void run(struct verifier *verifier)
{
	uint64_t begun_us = clock_monotonic_us();
	int64_t begun_ms = clock_wall_ms();
	struct error error;
	bool ok;

	pthread_mutex_lock(&verifier->lock);
	verifier->status.running = true;
	verifier->status.next_ms = begun_ms + verifier->task->verify_every_ms;
	pthread_mutex_unlock(&verifier->lock);
	ok = verify_once(verifier, &error);
	if (!ok && atomic_load(&verifier->stop))
		return;
	publish(verifier, begun_ms, ok, &error);
	if (ok)
		tell_result(verifier, (double)(clock_monotonic_us() - begun_us) / 1e6);
	else
		tell_failure(verifier, &error);
}

/* ---- the thread ---- */

static void on_wake(void *owner)
{
	struct verifier *verifier = owner;

	verifier->stopping = atomic_load(&verifier->stop);
}

static bool all_stream(const struct verifier *verifier)
{
	for (uint32_t i = 0; i < links_count(verifier->links); i++) {
		struct link_status status;

		if (!links_status(verifier->links, i, &status))
			continue;
		if (!status.applier.streaming)
			return false;
	}
	return true;
}

static void *verifier_main(void *argument)
{
	struct verifier *verifier = argument;
	bool cut_off = verifier->state_stem && resume_exists(verifier->state_stem);
	uint64_t every_us = verifier->task->verify_every_ms * 1000ULL, next_us = clock_monotonic_us() + (cut_off ? 0 : every_us);

	log_set_label("verify");
	while (!atomic_load(&verifier->stop)) {
		loop_run_until(verifier->loop, &verifier->stopping, next_us);
		if (atomic_load(&verifier->stop))
			break;
		next_us = clock_monotonic_us() + LOOK_MS * 1000ULL;
		if (!all_stream(verifier))
			continue;
		next_us = clock_monotonic_us() + every_us;
		run(verifier);
	}
	return NULL;
}

/* ---- public ---- */

struct verifier *verifier_new(const struct task_options *task, struct incidents *incidents)
{
	struct verifier *verifier = memory_alloc_zero(1, sizeof(*verifier));
	struct error error;

	verifier->task = task;
	verifier->incidents = incidents;
	verifier->status.next_ms = clock_wall_ms() + task->verify_every_ms;
	verifier->state_stem = verification_state_stem(task, true, &error);
	if (!verifier->state_stem)
		log_warning("scheduled verifications cannot be gone on with if they are cut off: %s", error.text);
	pthread_mutex_init(&verifier->lock, NULL);
	return verifier;
}

bool verifier_start(struct verifier *verifier, struct links *links, struct error *error)
{
	int failed;

	verifier->links = links;
	verifier->loop = loop_new();
	verifier->wake = wake_new(verifier->loop, on_wake, verifier);
	failed = pthread_create(&verifier->thread, NULL, verifier_main, verifier);
	verifier->started = !failed;
	if (failed)
		error_set_errno(error, ERROR_INTERNAL, failed, "cannot start a thread");
	return !failed;
}

void verifier_stop(struct verifier *verifier)
{
	if (!verifier || !verifier->started)
		return;
	atomic_store(&verifier->stop, true);
	wake_send(verifier->wake);
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	verifier_stop(verifier);
	if (verifier->started)
		pthread_join(verifier->thread, NULL);
	if (verifier->loop) {
		wake_free(verifier->wake);
		loop_free(verifier->loop);
	}
	pthread_mutex_destroy(&verifier->lock);
	free(verifier->state_stem);
	free(verifier);
}

void verifier_status(struct verifier *verifier, struct verifier_status *ret)
{
	pthread_mutex_lock(&verifier->lock);
	*ret = verifier->status;
	pthread_mutex_unlock(&verifier->lock);
}
