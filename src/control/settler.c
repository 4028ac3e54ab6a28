#include "control/settler.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "control/expiry_plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200
#define RETRY_MS 5000
#define TELL_US 10000000
#define IMPORT_MS 2000
/* After connections were lost or slots moved, to let it come to rest. */
#define DISTURBED_MS 3000
#define IDLE_PASSES 3

/* How the links stand, in one look at each. */
struct stand {
	bool ready;            /* all of them */
	uint64_t switches;     /* of the form: held times may have been written since */
	uint64_t disturbances; /* a held time may have come back: with a master that was promoted, with slots from elsewhere */
};

struct settler {
	struct settler_options options;
	struct links *links;
	char *name;
	struct loop *loop;
	struct wake *wake;
	pthread_t thread;
	bool started;
	atomic_bool stop, import_lost;
	/* the thread's own */
	struct deployment *target;
	bool stopping;           /* `stop`, as the loop sees it */
	uint64_t *applied;       /* of each link, at the beginning of the pass */
	struct stand settled_at; /* how the links stood when the last whole pass began */
	uint64_t told_us;
	unsigned idle_passes; /* in a row, that found nothing to do while keys were moved */
	struct settle_counts counts;
	bool failing;
	pthread_mutex_t lock; /* of what follows */
	struct settler_status status;
};

static void publish(struct settler *settler, bool settled, bool running)
{
	pthread_mutex_lock(&settler->lock);
	settler->status.settled = settled;
	settler->status.running = running;
	settler->status.counts = settler->counts;
	settler->status.import_lost = atomic_load(&settler->import_lost);
	pthread_mutex_unlock(&settler->lock);
}

/* ---- the links ---- */

static struct stand look_at_links(const struct settler *settler)
{
	struct stand stand = {.ready = true};

	for (uint32_t i = 0; i < links_count(settler->links); i++) {
		struct link_status status;

		if (!links_status(settler->links, i, &status))
			continue;
		stand.ready &= status.applier.expiry_ready;
		stand.switches += status.applier.expiry_switches;
		stand.disturbances += status.applier.sink.reconnects + status.applier.sink.redirections;
	}
	return stand;
}

/* Still as it was when the last pass began. */
static bool is_same(const struct stand *a, const struct stand *b)
{
	return a->ready && b->ready && a->switches == b->switches && a->disturbances == b->disturbances;
}

static void note_applied(struct settler *settler)
{
	for (uint32_t i = 0; i < links_count(settler->links); i++) {
		struct link_status status;

		if (!links_status(settler->links, i, &status))
			continue;
		settler->applied[i] = status.applier.position;
	}
}

/* Has a command that moves times come to the target since then? */
static bool were_moves(const struct settler *settler)
{
	for (uint32_t i = 0; i < links_count(settler->links); i++) {
		struct link_status status;

		if (!links_status(settler->links, i, &status))
			continue;
		if (status.applier.last_move > settler->applied[i])
			return true;
	}
	return false;
}

/* ---- the thread ---- */

static void on_wake(void *owner)
{
	struct settler *settler = owner;

	settler->stopping = atomic_load(&settler->stop);
}

static void sleep_ms(struct settler *settler, uint64_t ms)
{
	loop_run_until(settler->loop, &settler->stopping, clock_monotonic_us() + ms * 1000);
}

static bool go_on(void *owner)
{
	struct settler *settler = owner;
	uint64_t now = clock_monotonic_us();

	if (now - settler->told_us >= TELL_US) {
		settler->told_us = now;
		log_info("times of expiry in the target are being put right: %llu keys looked at, %llu times changed",
			 (unsigned long long)settler->counts.keys, (unsigned long long)settler->counts.changed);
	}
	publish(settler, false, true);
	return !atomic_load(&settler->stop) && look_at_links(settler).ready;
}

static void tell_failure(struct settler *settler, const struct error *error)
{
	if (atomic_load(&settler->stop))
		return;
	if (!settler->failing)
		log_warning(
			"times of expiry in the target cannot be put right: %s; keys expire late until that succeeds, and it is tried again each %d s",
			error->text, RETRY_MS / 1000);
	settler->failing = true;
}

static bool open_target(struct settler *settler, struct error *error)
{
	if (!settler->target)
		settler->target =
			deployment_open_until(settler->loop, &settler->options.task->target, settler->name,
					      settler->options.task->connect_timeout_ms, ERROR_TARGET, &settler->stop, error);
	return settler->target != NULL;
}

enum round { ROUND_SETTLED, ROUND_AGAIN, ROUND_FAILED };

static enum round make_pass(struct settler *settler)
{
	struct settle_options options = {
		.pass = SETTLE_FREE,
		.base = settler->options.plan.base,
		.margin_ms = settler->options.plan.margin_ms,
		.gentle = true,
		.go_on = go_on,
		.owner = settler,
	};
	struct stand stand = look_at_links(settler);
	struct error error;

	note_applied(settler);
	if (!open_target(settler, &error)) {
		tell_failure(settler, &error);
		return ROUND_FAILED;
	}
	options.target = settler->target;
	settler->told_us = clock_monotonic_us();
	switch (settle_run(&options, &settler->counts, &error)) {
	case SETTLE_LEFT_OFF: return ROUND_AGAIN;
	case SETTLE_FAILED: tell_failure(settler, &error); return ROUND_FAILED;
	case SETTLE_DONE: break;
	}
	settler->failing = false;
	pthread_mutex_lock(&settler->lock);
	settler->status.passes++;
	settler->settled_at = stand;
	pthread_mutex_unlock(&settler->lock);
	if (settler->counts.moved > 0)
		return ROUND_AGAIN;
	if (!were_moves(settler))
		return ROUND_SETTLED;
	/* A source that moves keys all the time: what several passes in a row did not meet is not there. */
	settler->idle_passes = settler->counts.changed > 0 ? 0 : settler->idle_passes + 1;
	return settler->idle_passes < IDLE_PASSES ? ROUND_AGAIN : ROUND_SETTLED;
}

static void settle(struct settler *settler)
{
	bool settled = false;
	enum round round;

	while (!atomic_load(&settler->stop)) {
		struct stand stand = look_at_links(settler);
		bool disturbed = settled && stand.disturbances != settler->settled_at.disturbances;

		settled = settled && is_same(&stand, &settler->settled_at);
		publish(settler, settled, false);
		if (settled || !stand.ready || disturbed) {
			sleep_ms(settler, disturbed ? DISTURBED_MS : LOOK_MS);
			continue;
		}
		round = make_pass(settler);
		settled = round == ROUND_SETTLED;
		if (settled)
			settler->idle_passes = 0;
		if (settled)
			log_info("times of expiry in the target are put right: %llu keys looked at, %llu times changed%s",
				 (unsigned long long)settler->counts.keys, (unsigned long long)settler->counts.changed,
				 settler->counts.passed > 0 ? "; those that have passed wait for the source to delete the key"
							    : "");
		else if (round == ROUND_AGAIN)
			log_debug("a pass is made again: %llu times changed, %llu keys elsewhere, links %s",
				  (unsigned long long)settler->counts.changed, (unsigned long long)settler->counts.moved,
				  look_at_links(settler).ready ? "ready" : "not ready");
		publish(settler, settled, false);
		sleep_ms(settler, settled ? 0 : round == ROUND_FAILED ? RETRY_MS : LOOK_MS);
	}
}

/* As long as it is on. */
static void watch_import(struct settler *settler)
{
	enum import_answer answer;
	struct error ignored;

	while (!atomic_load(&settler->stop)) {
		sleep_ms(settler, IMPORT_MS);
		if (atomic_load(&settler->stop) || !open_target(settler, &ignored) ||
		    !deployment_refresh(settler->target, &ignored))
			continue;
		answer = expiry_ask_import(settler->target);
		if (answer == IMPORT_YES || answer == IMPORT_NOT_REACHED)
			continue;
		log_warning(
			"a master of the target is not in import mode any more: it expires keys by itself, so times of expiry are guarded from now on");
		atomic_store(&settler->import_lost, true);
		return;
	}
}

static void *settler_main(void *argument)
{
	struct settler *settler = argument;

	log_set_label("expiry");
	if (settler->options.plan.form == GUARD_IMPORT)
		watch_import(settler);
	if (settler->options.plan.always)
		publish(settler, false, false);
	else
		settle(settler);
	deployment_free(settler->target);
	settler->target = NULL;
	return NULL;
}

/* ---- public ---- */

void settler_status(struct settler *settler, struct settler_status *ret)
{
	struct stand stand, settled_at;

	pthread_mutex_lock(&settler->lock);
	*ret = settler->status;
	settled_at = settler->settled_at;
	pthread_mutex_unlock(&settler->lock);
	if (!ret->settled || !settled_at.ready)
		return;
	/* The thread may not have looked since. */
	stand = look_at_links(settler);
	ret->settled = is_same(&stand, &settled_at);
}

struct settler *settler_new(const struct settler_options *options)
{
	struct settler *settler = memory_alloc_zero(1, sizeof(*settler));

	settler->options = *options;
	settler->name = memory_printf("keyferry:%s:expiry", options->task->name);
	settler->status.form = options->plan.form;
	settler->status.always = options->plan.always;
	settler->status.settled = options->plan.form != GUARD_HELD;
	pthread_mutex_init(&settler->lock, NULL);
	return settler;
}

const atomic_bool *settler_import_lost(const struct settler *settler)
{
	return &settler->import_lost;
}

bool settler_start(struct settler *settler, struct links *links, struct error *error)
{
	int failed;

	if (settler->options.plan.form == GUARD_OFF)
		return true;
	settler->links = links;
	settler->applied = memory_alloc_zero(LINK_PLACES_MAX, sizeof(settler->applied[0]));
	settler->loop = loop_new();
	settler->wake = wake_new(settler->loop, on_wake, settler);
	failed = pthread_create(&settler->thread, NULL, settler_main, settler);
	settler->started = !failed;
	if (failed)
		error_set_errno(error, ERROR_INTERNAL, failed, "cannot start a thread");
	return !failed;
}

void settler_stop(struct settler *settler)
{
	if (!settler || !settler->started)
		return;
	atomic_store(&settler->stop, true);
	wake_send(settler->wake);
}

void settler_free(struct settler *settler)
{
	if (!settler)
		return;
	settler_stop(settler);
	if (settler->started)
		pthread_join(settler->thread, NULL);
	if (settler->loop) {
		wake_free(settler->wake);
		loop_free(settler->loop);
	}
	pthread_mutex_destroy(&settler->lock);
	free(settler->applied);
	free(settler->name);
	free(settler);
}
