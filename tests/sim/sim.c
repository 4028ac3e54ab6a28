/* The deterministic simulator: see docs/testing.md.
 *
 *   sim [--seeds FROM-TO | --seed N] [--faults PROFILE|each] [--load safe|all|both] [--seconds S] [--trace] [--strict]
 *   sim --mutations      breaks each rule of mutation.c in turn, and fails where that goes unnoticed
 *   sim --replay N       runs N seeds twice and fails where the two traces differ
 *   sim --list           the profiles and mutations */
#include "mutation.h"
#include "run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SEED_SECONDS_MAX 120 /* real ones; then something does not come back */
#define MUTATION_SEEDS 1500
#define FAILURES_MAX 10

struct sim {
	uint64_t from, to;
	const struct profile *profile; /* NULL: each in turn */
	int load;                      /* -1: both in turn */
	unsigned seconds;              /* 0: until the last seed */
	bool strict;
	bool show;
	char folder[64];
	uint64_t done, failed, commands, steps, starts, resyncs, moves, source_moves, failovers;
	double virtual_seconds;
};

static const char *const load_names[] = {"safe", "all"};
static struct run_options current;

/* ---- one seed ---- */

static void tell_seed(void)
{
	static char text[200];
	int len = snprintf(text, sizeof(text), "sim: this was --seed %" PRIu64 " --faults %s --load %s\n", current.seed,
			   current.profile->name, load_names[current.load]);

	(void)!write(STDERR_FILENO, text, (size_t)len);
}

static void on_crash(int number)
{
	tell_seed();
	signal(number, SIG_DFL);
	raise(number);
}

static void run_one(struct sim *sim, uint64_t seed, const struct profile *profile, enum load_kind load, struct run_result *ret)
{
	current = (struct run_options){.seed = seed,
				       .profile = profile,
				       .load = load,
				       .strict = sim->strict,
				       .show = sim->show,
				       .folder = sim->folder,
				       .mutate = mutation_apply};
	alarm(SEED_SECONDS_MAX);
	run_seed(&current, ret);
	alarm(0);
	sim->done++;
	sim->commands += ret->commands;
	sim->steps += ret->steps;
	sim->starts += ret->starts;
	sim->resyncs += ret->full_resyncs;
	sim->moves += ret->moves;
	sim->source_moves += ret->source_moves;
	sim->failovers += ret->failovers;
	sim->virtual_seconds += (double)ret->virtual_us / SECOND;
}

/* What a seed runs with: the same whichever seeds are run beside it. */
static const struct profile *profile_of(const struct sim *sim, uint64_t seed)
{
	return sim->profile ? sim->profile : &profiles[seed % profile_count];
}

static enum load_kind load_of(const struct sim *sim, uint64_t seed)
{
	return sim->load >= 0 ? (enum load_kind)sim->load : seed / profile_count % 2 ? LOAD_ALL : LOAD_SAFE;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- what can be asked for ---- */

static int run_seeds(struct sim *sim)
{
	double began = seconds_now(), took;

	for (uint64_t seed = sim->from; seed <= sim->to && sim->failed < FAILURES_MAX; seed++) {
		const struct profile *profile = profile_of(sim, seed);
		enum load_kind load = load_of(sim, seed);
		struct run_result result;

		if (sim->seconds > 0 && seconds_now() - began > sim->seconds)
			break;
		run_one(sim, seed, profile, load, &result);
		if (result.good)
			continue;
		sim->failed++;
		printf("FAILED --seed %" PRIu64 " --faults %s --load %s: %s\n", seed, profile->name, load_names[load],
		       result.why);
		fflush(stdout);
	}
	took = seconds_now() - began;
	printf("%" PRIu64 " seeds, %" PRIu64 " failed; %.0f seeds a minute; %" PRIu64
	       " commands in %.0f virtual seconds, %" PRIu64 " steps, %" PRIu64 " starts, %" PRIu64 " full resyncs, %" PRIu64
	       " slots moved, %" PRIu64 " failovers, %" PRIu64 " slots moved at the source\n",
	       sim->done, sim->failed, (double)sim->done * 60 / took, sim->commands, sim->virtual_seconds, sim->steps,
	       sim->starts, sim->resyncs, sim->moves, sim->failovers, sim->source_moves);
	return sim->failed > 0 || sim->done == 0;
}

/* The first seed that fails with the mutation and does not without it; 0: there is none. */
static uint64_t notice(struct sim *sim, const struct mutation *mutation, struct run_result *ret)
{
	const struct profile *profile = profile_find(mutation->profile);
	struct run_result sound;

	for (uint64_t seed = sim->from; seed < sim->from + MUTATION_SEEDS; seed++) {
		mutation_choose(mutation);
		run_one(sim, seed, profile, mutation->load, ret);
		mutation_choose(NULL);
		if (ret->good)
			continue;
		run_one(sim, seed, profile, mutation->load, &sound);
		if (sound.good)
			return seed;
	}
	return 0;
}

static int run_mutations(struct sim *sim)
{
	unsigned unnoticed = 0;

	sim->strict = true;
	for (unsigned i = 0; i < mutation_count; i++) {
		const struct mutation *mutation = &mutations[i];
		struct run_result result;
		uint64_t seed = notice(sim, mutation, &result);

		unnoticed += seed == 0;
		if (seed == 0)
			printf("NOT NOTICED %s (%s) in %d seeds\n", mutation->name, mutation->rule, MUTATION_SEEDS);
		else
			printf("noticed %s (%s) by --seed %" PRIu64 " --faults %s --load %s: %s\n", mutation->name,
			       mutation->rule, seed, mutation->profile, load_names[mutation->load], result.why);
		fflush(stdout);
	}
	return unnoticed > 0;
}

static int run_twice(struct sim *sim)
{
	unsigned different = 0;

	for (uint64_t seed = sim->from; seed <= sim->to; seed++) {
		struct run_result first, second;

		run_one(sim, seed, profile_of(sim, seed), load_of(sim, seed), &first);
		run_one(sim, seed, profile_of(sim, seed), load_of(sim, seed), &second);
		if (first.hash == second.hash && first.steps == second.steps)
			continue;
		different++;
		printf("FAILED seed %" PRIu64 ": two runs differ: trace %016" PRIx64 " and %016" PRIx64 "\n", seed, first.hash,
		       second.hash);
	}
	printf("%" PRIu64 " runs, %u seeds that differ\n", sim->done, different);
	return different > 0 || sim->done == 0;
}

static int list(void)
{
	for (unsigned i = 0; i < profile_count; i++)
		printf("profile %s\n", profiles[i].name);
	for (unsigned i = 0; i < mutation_count; i++)
		printf("mutation %s: %s\n", mutations[i].name, mutations[i].rule);
	return 0;
}

static int usage(const char *wrong)
{
	fprintf(stderr,
		"sim: %s\nsim [--seeds FROM-TO | --seed N] [--faults PROFILE|each] [--load safe|all|both] [--seconds S] "
		"[--trace] [--strict] "
		"[--mutation NAME] [--mutations | --replay N | --list]\n",
		wrong);
	return 2;
}

static bool parse_seeds(struct sim *sim, const char *text)
{
	char *end;

	sim->from = strtoull(text, &end, 10);
	sim->to = *end == '-' ? strtoull(end + 1, &end, 10) : sim->from;
	return end != text && *end == '\0' && sim->to >= sim->from;
}

static bool make_folder(struct sim *sim)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");

	snprintf(sim->folder, sizeof(sim->folder), "%.40s/keyferry-sim-XXXXXX", base ? base : "/tmp");
	return mkdtemp(sim->folder);
}

int main(int argc, char **argv)
{
	struct sim sim = {.from = 1, .to = 1000, .load = -1};
	int (*what)(struct sim *) = run_seeds;
	int code;

	for (int i = 1; i < argc; i++) {
		const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(option, "--trace") == 0) {
			sim.show = true;
			continue;
		}
		if (strcmp(option, "--strict") == 0) {
			sim.strict = true;
			continue;
		}
		if (strcmp(option, "--list") == 0)
			return list();
		if (strcmp(option, "--mutations") == 0) {
			what = run_mutations;
			continue;
		}
		i++;
		if (strcmp(option, "--seed") == 0 || strcmp(option, "--seeds") == 0) {
			if (!parse_seeds(&sim, value))
				return usage("a seed is a number, a range two of them: 1-1000");
		} else if (strcmp(option, "--replay") == 0) {
			what = run_twice;
			sim.to = sim.from + strtoull(value, NULL, 10) - 1;
		} else if (strcmp(option, "--seconds") == 0) {
			sim.seconds = (unsigned)strtoul(value, NULL, 10);
		} else if (strcmp(option, "--faults") == 0) {
			sim.profile = profile_find(value);
			if (!sim.profile && strcmp(value, "each") != 0)
				return usage("no such profile");
		} else if (strcmp(option, "--load") == 0) {
			sim.load = strcmp(value, "safe") == 0 ? LOAD_SAFE : strcmp(value, "all") == 0 ? LOAD_ALL : -1;
			if (sim.load < 0 && strcmp(value, "both") != 0)
				return usage("no such load");
		} else if (strcmp(option, "--mutation") == 0) {
			if (!mutation_find(value))
				return usage("no such mutation");
			mutation_choose(mutation_find(value));
		} else {
			return usage("no such option");
		}
	}
	if (!make_folder(&sim)) {
		perror("sim: temporary folder");
		return 2;
	}
	signal(SIGABRT, on_crash);
	signal(SIGALRM, on_crash);
#ifndef __SANITIZE_ADDRESS__
	signal(SIGSEGV, on_crash);
#endif
	code = what(&sim);
	rmdir(sim.folder);
	return code;
}
