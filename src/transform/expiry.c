#include "transform/expiry.h"

#include "base/memory.h"
#include "wire/command.h"

#include <stdlib.h>

/* Ten thousand years: the server takes more, but products of it would overflow. */
#define TIME_MAX_MS 315360000000000LL

struct expiry {
	const struct expiry_rule *rules;
	struct conditions *where;
	size_t count;
};

struct expiry *expiry_new(const struct task_options *options)
{
	struct expiry *expiry;

	if (options->expiry.count == 0)
		return NULL;
	expiry = memory_alloc_zero(1, sizeof(*expiry));
	expiry->rules = options->expiry.items;
	expiry->count = options->expiry.count;
	expiry->where = memory_alloc_zero(expiry->count, sizeof(*expiry->where));
	for (size_t i = 0; i < expiry->count; i++)
		conditions_init(&expiry->where[i], &expiry->rules[i].where);
	return expiry;
}

void expiry_free(struct expiry *expiry)
{
	if (!expiry)
		return;
	for (size_t i = 0; i < expiry->count; i++)
		conditions_free(&expiry->where[i]);
	free(expiry->where);
	free(expiry);
}

bool expiry_find(struct expiry *expiry, const struct subject *subject, const struct expiry_rule **ret)
{
	*ret = NULL;
	for (size_t i = 0; i < expiry->count; i++) {
		enum answer answer = conditions_hold(&expiry->where[i], subject);

		if (answer == ANSWER_UNDECIDED)
			return false;
		if (answer == ANSWER_YES) {
			*ret = &expiry->rules[i];
			break;
		}
	}
	return true;
}

int64_t expiry_apply(const struct expiry_rule *rule, int64_t at_ms, int64_t now_ms)
{
	/* A file may hold any number: the difference of two need not fit. */
	double left = (double)at_ms - (double)now_ms;

	if (rule->drop)
		return EXPIRE_NEVER;
	if (rule->set_ms > 0)
		return now_ms + (int64_t)rule->set_ms;
	/* A time that is over stays over. */
	if (left <= 0)
		return at_ms;
	left *= rule->scale;
	return left > (double)TIME_MAX_MS ? now_ms + TIME_MAX_MS : now_ms + (left < 1 ? 1 : (int64_t)left);
}

/* ---- commands ---- */

enum time_kind { TIME_NONE, TIME_SECONDS, TIME_MS, TIME_AT_SECONDS, TIME_AT_MS };
enum form { FORM_NONE, FORM_EXPIRE, FORM_SETEX, FORM_OPTION, FORM_GETEX, FORM_RESTORE };

static const struct {
	const char *name;
	enum form form;
	enum time_kind kind;
} timed[] = {
	{"expire", FORM_EXPIRE, TIME_SECONDS},
	{"pexpire", FORM_EXPIRE, TIME_MS},
	{"expireat", FORM_EXPIRE, TIME_AT_SECONDS},
	{"pexpireat", FORM_EXPIRE, TIME_AT_MS},
	{"setex", FORM_SETEX, TIME_SECONDS},
	{"psetex", FORM_SETEX, TIME_MS},
	{"set", FORM_OPTION, TIME_NONE},
	{"getex", FORM_GETEX, TIME_NONE},
	{"restore", FORM_RESTORE, TIME_MS},
	{"restore-asking", FORM_RESTORE, TIME_MS},
};

static const struct {
	const char *word;
	enum time_kind kind;
} options[] = {{"ex", TIME_SECONDS}, {"px", TIME_MS}, {"exat", TIME_AT_SECONDS}, {"pxat", TIME_AT_MS}};

struct place {
	enum form form;
	enum time_kind kind;
	uint32_t at; /* argument of the number; its option's name stands before it */
	int64_t number;
};

static enum time_kind option_kind(struct slice word)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (slice_equal_nocase(word, slice_of_string(options[i].word)))
			return options[i].kind;
	return TIME_NONE;
}

/* Where the command's time stands. False: it has none, or makes no sense (the server refuses it as well). */
static bool find_time(const struct event *event, struct place *ret)
{
	struct place place = {.at = 2};
	uint32_t options_at;

	for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]) && place.form == FORM_NONE; i++)
		if (slice_equal_nocase(event->argv[0], slice_of_string(timed[i].name)))
			place = (struct place){.form = timed[i].form, .kind = timed[i].kind, .at = 2};
	options_at = place.form == FORM_OPTION ? 3 : place.form == FORM_GETEX ? 2 : event->argc;
	for (uint32_t i = options_at; i + 1 < event->argc; i++) {
		enum time_kind kind = option_kind(event->argv[i]);

		if (kind != TIME_NONE) {
			place.kind = kind;
			place.at = ++i;
		} else if (command_set_compares(event->argv[i])) {
			i++;
		}
	}
	for (uint32_t i = 4; place.form == FORM_RESTORE && i < event->argc; i++)
		if (slice_equal_nocase(event->argv[i], SLICE("ABSTTL")))
			place.kind = TIME_AT_MS;
	if (place.kind == TIME_NONE || place.at >= event->argc || !slice_to_int64(event->argv[place.at], &place.number) ||
	    place.number > TIME_MAX_MS || place.number < -TIME_MAX_MS || (place.form == FORM_RESTORE && place.number == 0))
		return false;
	*ret = place;
	return true;
}

static int64_t to_ms(const struct place *place, int64_t now_ms)
{
	bool seconds = place->kind == TIME_SECONDS || place->kind == TIME_AT_SECONDS;
	bool relative = place->kind == TIME_SECONDS || place->kind == TIME_MS;

	return place->number * (seconds ? 1000 : 1) + (relative ? now_ms : 0);
}

/* In the form that the command has. Seconds are rounded up, so that nothing ends early. */
static int64_t from_ms(const struct place *place, int64_t at_ms, int64_t now_ms)
{
	switch (place->kind) {
	case TIME_SECONDS: return (at_ms - now_ms + 999) / 1000;
	case TIME_MS: return at_ms - now_ms;
	case TIME_AT_SECONDS: return (at_ms + 999) / 1000;
	case TIME_AT_MS:
	case TIME_NONE: break;
	}
	return at_ms;
}

static enum expiry_outcome drop_time(const struct place *place, struct event *event, struct slice *argv)
{
	uint32_t first = place->form == FORM_OPTION ? place->at - 1 : place->at;

	switch (place->form) {
	case FORM_RESTORE: argv[place->at] = SLICE("0"); break;
	case FORM_SETEX:
		argv[0] = SLICE("SET");
		event->info = NULL; /* the caller looks it up */
				    /* fall through */
	case FORM_OPTION:
		memmove(&argv[first], &argv[place->at + 1], (event->argc - place->at - 1) * sizeof(*argv));
		event->argc -= place->at + 1 - first;
		break;
	default: /* EXPIRE, GETEX: all that it does */ return EXPIRY_DROPPED;
	}
	event->argv = argv;
	return EXPIRY_CHANGED;
}

enum expiry_outcome expiry_change(const struct expiry_rule *rule, struct event *event, int64_t now_ms, struct arena *arena)
{
	struct slice *argv;
	struct place place;
	int64_t at_ms;

	if (!find_time(event, &place))
		return EXPIRY_SAME;
	at_ms = to_ms(&place, now_ms);
	/* A time in the past deletes the key: so it does at the target. */
	if (at_ms <= 0 || (place.form == FORM_EXPIRE && place.number <= 0))
		return EXPIRY_SAME;
	argv = arena_take(arena, event->argc * sizeof(*argv));
	memcpy(argv, event->argv, event->argc * sizeof(*argv));
	if (rule->drop)
		return drop_time(&place, event, argv);
	argv[place.at] = arena_number(arena, from_ms(&place, expiry_apply(rule, at_ms, now_ms), now_ms));
	event->argv = argv;
	return EXPIRY_CHANGED;
}
