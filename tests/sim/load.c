#include "load.h"

#include <stdio.h>
#include <string.h>

#define KEYS_A_TYPE 3
#define VALUE_MAX (48u << 10)
#define BULK_MOST (8u << 20) /* some segments of the spool, and more than a small one may hold */

static uint8_t filler[VALUE_MAX + 32];

struct command {
	uint32_t argc;
	struct slice argv[8];
	char text[8][64];
};

static void add(struct command *command, const char *text)
{
	snprintf(command->text[command->argc], sizeof(command->text[0]), "%s", text);
	command->argv[command->argc] = slice_of_string(command->text[command->argc]);
	command->argc++;
}

static void add_key(struct command *command, char type, unsigned tag)
{
	char name[64];

	snprintf(name, sizeof(name), "%c%u:{t%u}", type, (unsigned)chance_below(KEYS_A_TYPE), tag);
	add(command, name);
}

/* A value that no other command has. */
static void add_value(struct load *load, struct command *command)
{
	char text[64];
	size_t len = (size_t)snprintf(text, sizeof(text), "v%llu,", (unsigned long long)++load->serial);

	add(command, text);
	if (!load->bulky || load->bulk > BULK_MOST || !chance_of(10))
		return;
	memcpy(filler, text, len);
	len += (size_t)chance_below(VALUE_MAX);
	load->bulk += len;
	command->argv[command->argc - 1] = slice_make(filler, len);
}

static unsigned other_tag(const struct load *load, unsigned tag)
{
	return load->many_slots ? (unsigned)chance_below(LOAD_TAGS) : tag;
}

static char any_type(const struct load *load)
{
	return load->kind == LOAD_SAFE ? "sh"[chance_below(2)] : "schal"[chance_below(5)];
}

static void add_field(struct command *command, unsigned tag)
{
	char field[16];

	add_key(command, 'h', tag);
	snprintf(field, sizeof(field), "f%u", (unsigned)chance_below(4));
	add(command, field);
}

static void make_safe(struct load *load, unsigned tag, struct command *command)
{
	switch (chance_below(load->removes ? 9 : 8)) {
	case 0:
	case 1:
	case 2:
	case 3:
		add(command, "SET");
		add_key(command, 's', tag);
		add_value(load, command);
		return;
	case 4:
		add(command, "MSET");
		add_key(command, 's', tag);
		add_value(load, command);
		add_key(command, 's', other_tag(load, tag));
		add(command, "m");
		return;
	case 8:
		add(command, "DEL");
		add_key(command, any_type(load), tag);
		add_key(command, any_type(load), other_tag(load, tag));
		return;
	default:
		add(command, "HSET");
		add_field(command, tag);
		add_value(load, command);
		return;
	}
}

static void make_unsafe(struct load *load, unsigned tag, struct command *command)
{
	char type;

	switch (chance_below(load->removes ? 10 : 7)) {
	case 0:
	case 1:
		add(command, "INCR");
		add_key(command, 'c', tag);
		return;
	case 2:
		add(command, "INCRBY");
		add_key(command, 'c', tag);
		add(command, "1000");
		return;
	case 3:
	case 4:
		add(command, "APPEND");
		add_key(command, 'a', tag);
		break;
	case 5:
		add(command, "LPUSH");
		add_key(command, 'l', tag);
		break;
	case 7:
		add(command, "LPOP");
		add_key(command, 'l', tag);
		return;
	case 8:
		/* Not to be applied again: what it leaves empty is a new key afterwards, without the time to live that the
		 * old one had. */
		add(command, "HDEL");
		add_field(command, tag);
		return;
	case 9:
		add(command, "RENAME");
		type = "cal"[chance_below(3)];
		add_key(command, type, tag);
		add_key(command, type, tag);
		return;
	default:
		add(command, "RPUSH");
		add_key(command, 'l', tag);
		break;
	}
	add_value(load, command);
}

/* The slot's master as it is now: it may be another one than last time. */
static struct session *session_at(struct load *load, const struct group *shard)
{
	struct session *session = &load->sessions[shard - load->source->shards];

	session->node = group_master(&load->source->shards[shard - load->source->shards]);
	return session;
}

static void run(struct load *load, struct session *session, const struct command *command)
{
	struct site *source = load->source;
	const struct group *shard = session->node->shard;

	/* A key of a slot that is half moved is where it has been served last. */
	if (source->cluster && !session->in_multi) {
		shard = site_serving(source, slot_of_key(command->argv[1]), command->argc, command->argv);
		if (!shard)
			return;
		session = session_at(load, shard);
	}
	session_run(session, command->argc, command->argv);
	load->commands++;
}

static void write_one(struct load *load, struct session *session, unsigned tag)
{
	struct command command = {0};

	if (load->kind == LOAD_ALL && chance_of(65))
		make_unsafe(load, tag, &command);
	else
		make_safe(load, tag, &command);
	run(load, session, &command);
}

static uint16_t slot_of_tag(unsigned tag)
{
	char name[16];

	return slot_of_key(slice_make(name, (size_t)snprintf(name, sizeof(name), "{t%u}", tag)));
}

uint16_t load_slot(void)
{
	return slot_of_tag((unsigned)chance_below(LOAD_TAGS));
}

static void write_some(struct load *load)
{
	static const struct slice multi[] = {SLICE("MULTI")}, exec[] = {SLICE("EXEC")};
	unsigned tag = (unsigned)chance_below(LOAD_TAGS);
	const struct site *source = load->source;
	uint16_t slot = slot_of_tag(tag);
	struct session *session = session_at(load, site_shard_of_slot(load->source, slot));
	bool many_slots = load->many_slots, transaction = chance_of(15);

	if (source->moving.active && source->moving.slot == slot)
		transaction = false; /* its keys may be on both sides */
	session->db = load->databases && chance_of(30) ? (uint32_t)chance_below(KEYSPACE_DATABASES) : session->db;
	if (!transaction) {
		write_one(load, session, tag);
		return;
	}
	load->many_slots = false; /* which a transaction may not have on a cluster */
	session_run(session, 1, multi);
	for (uint64_t count = chance_between(1, 5); count > 0; count--)
		write_one(load, session, tag);
	session_run(session, 1, exec);
	load->many_slots = many_slots;
}

static void on_burst(void *owner)
{
	struct load *load = owner;

	if (world_now() >= load->ends_at)
		return;
	for (uint64_t count = chance_between(1, 24); count > 0; count--)
		write_some(load);
	if (chance_of(3))
		replication_ping(&load->source->shards[chance_below(load->source->shard_count)], chance_of(50));
	occasion_plan_in(&load->burst, chance_between(1, chance_of(5) ? load->pause_us * 10 : load->pause_us));
}

void load_begin(struct load *load, struct site *source, enum load_kind kind, uint64_t duration_us)
{
	memset(filler, 'x', sizeof(filler));
	load->source = source;
	load->kind = kind;
	load->ends_at = world_now() + duration_us;
	load->pause_us = chance_between(20, 300) * MS;
	for (unsigned i = 0; i < source->shard_count; i++)
		session_init(&load->sessions[i], &source->shards[i].nodes[0], NULL);
	for (uint64_t count = chance_below(150); count > 0; count--)
		write_some(load);
	occasion_init(&load->burst, on_burst, load);
	occasion_plan_in(&load->burst, chance_below(SECOND));
}

void load_end(struct load *load)
{
	occasion_cancel(&load->burst);
	for (unsigned i = 0; i < load->source->shard_count; i++)
		session_free(&load->sessions[i]);
}
