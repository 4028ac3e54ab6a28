#include "link/learner.h"

#include "base/memory.h"

#include <stdlib.h>

#define RETRY_MS 500

struct learner {
	struct loop *loop;
	struct deployment *target;
	const struct topology *topology;
	const char *node_name;
	struct command_table *table;
	struct client *client;
	struct timer *timer;
	char *name;    /* of the command asked about; NULL: none */
	bool answered; /* the client has served and is freed on the timer's turn */
	uint32_t turn;
	void (*told)(void *owner, const struct command_info *info);
	void *owner;
};

/* COMMAND INFO: [[name, arity, [flags], first, last, step, ...]] or [nil]. NULL: unknown there. */
static const struct command_info *learn(struct learner *learner, const struct client_reply *reply)
{
	const struct resp_node *entry = resp_member(&reply->nodes[0], 0);
	const struct resp_node *arity, *flags, *first, *last, *step, *flag;
	bool write = false, movable = false;

	if (!entry || entry->type != RESP_ARRAY || !(arity = resp_member(entry, 1)) || !(flags = resp_member(entry, 2)) ||
	    flags->type != RESP_ARRAY || !(first = resp_member(entry, 3)) || !(last = resp_member(entry, 4)) ||
	    !(step = resp_member(entry, 5)))
		return NULL;
	for (uint32_t i = 0; (flag = resp_member(flags, i)); i++) {
		write |= slice_equal(flag->text, SLICE("write"));
		movable |= slice_equal(flag->text, SLICE("movablekeys"));
	}
	return command_table_learn(
		learner->table, slice_of_string(learner->name), (int)arity->integer, write, movable,
		(struct command_keys){(int16_t)first->integer, (int16_t)last->integer, (int16_t)step->integer});
}

static void on_reply(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct learner *learner = owner;
	const struct command_info *info = NULL;

	learner->answered = true;
	if (error || reply->nodes[0].type == RESP_ERROR) {
		timer_start(learner->timer, RETRY_MS);
		return;
	}
	if (reply->nodes[0].type == RESP_ARRAY)
		info = learn(learner, reply);
	free(learner->name);
	learner->name = NULL;
	timer_start(learner->timer, 0);
	learner->told(learner->owner, info);
}

static void on_timer(void *owner)
{
	struct learner *learner = owner;
	const struct deployment_options *options = deployment_options(learner->target);
	struct client_options client = {
		.endpoint = learner->topology->shards[learner->turn % learner->topology->shard_count].master,
		.credentials = &options->credentials,
		.tls = deployment_tls(learner->target),
		.tls_name = options->tls.server_name,
		.name = learner->node_name,
		.blame = ERROR_TARGET,
	};

	if (learner->client && learner->answered) {
		client_free(learner->client);
		learner->client = NULL;
		learner->turn++;
	}
	if (!learner->name || learner->client)
		return;
	learner->answered = false;
	learner->client = client_new(learner->loop, &client);
	client_send_strings(learner->client, on_reply, learner, "COMMAND", "INFO", learner->name, NULL);
}

struct learner *learner_new(struct loop *loop, struct deployment *target, const struct topology *topology, const char *name,
			    struct command_table *table)
{
	struct learner *learner = memory_alloc_zero(1, sizeof(*learner));

	learner->loop = loop;
	learner->target = target;
	learner->topology = topology;
	learner->node_name = name;
	learner->table = table;
	learner->timer = timer_new(loop, on_timer, learner);
	return learner;
}

void learner_free(struct learner *learner)
{
	if (!learner)
		return;
	client_free(learner->client);
	timer_free(learner->timer);
	free(learner->name);
	free(learner);
}

void learner_ask(struct learner *learner, struct slice name, void (*told)(void *owner, const struct command_info *info),
		 void *owner)
{
	/* The answer to an older question, of which nobody wants to know any more, must not pass for this one's. */
	client_free(learner->client);
	learner->client = NULL;
	free(learner->name);
	learner->name = memory_strndup((const char *)name.data, name.len);
	learner->told = told;
	learner->owner = owner;
	timer_start(learner->timer, 0);
}
