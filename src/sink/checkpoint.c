#include "sink/checkpoint.h"

#include "base/memory.h"
#include "sink/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t shard_of(const struct deployment *target, uint16_t slot)
{
	const struct topology *topology = deployment_topology(target);

	return topology->cluster && topology->owner[slot] != SHARD_NONE ? topology->owner[slot] : 0;
}

/* False: the reply is an error, and `error` says so. */
static bool call(struct client *client, struct client_reply *reply, struct error *error, const char *a, const char *b,
		 const char *c, const char *d)
{
	if (client && client_call(client, reply, false, error, a, b, c, d, NULL))
		return true;
	if (!error->hint[0])
		error_hint(error, "Give the target's user the rights that docs/least-rights.md lists, or set checkpoint: local");
	return false;
}

/* All fields of the record, from where it is. *ret_aside: what the reply belongs to, where its slot is half moved and the record is with the other node already; else NULL. */
static bool read_record(struct deployment *target, const char *key, struct client **ret_aside, struct client_reply *reply,
			struct error *error)
{
	uint32_t shard = shard_of(target, slot_of_key(slice_of_string(key)));
	struct client *client = deployment_client(target, shard, error);
	struct endpoint to;
	char text[256];
	uint16_t slot;

	*ret_aside = NULL;
	if (!client || !client_call(client, reply, true, error, "HGETALL", key, NULL))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)reply->nodes[0].text.len, (const char *)reply->nodes[0].text.data);
	if (reply->nodes[0].type != RESP_ERROR)
		return true;
	if (verdict_of(text) != VERDICT_ASK ||
	    !verdict_redirection(text, &deployment_topology(target)->shards[shard].master, &slot, &to))
		return call(client, reply, error, "HGETALL", key, NULL, NULL);
	*ret_aside = deployment_client_at(target, &to);
	return client_call(*ret_aside, reply, false, error, "ASKING", NULL) &&
	       call(*ret_aside, reply, error, "HGETALL", key, NULL, NULL);
}

static struct checkpoint_link *link_of(struct checkpoint *checkpoint, struct slice id)
{
	for (uint32_t i = 0; i < checkpoint->count; i++)
		if (slice_equal(slice_of_string(checkpoint->links[i].id), id))
			return &checkpoint->links[i];
	checkpoint->links = memory_realloc_array(checkpoint->links, checkpoint->count + 1, sizeof(checkpoint->links[0]));
	checkpoint->links[checkpoint->count] = (struct checkpoint_link){0};
	memcpy(checkpoint->links[checkpoint->count].id, id.data, id.len);
	return &checkpoint->links[checkpoint->count++];
}

static void take_field(struct checkpoint *checkpoint, struct slice field, struct slice value)
{
	struct slice id = slice_make(field.data, MARK_ID_LEN);
	struct mark_record record;

	if (field.len < MARK_ID_LEN || memchr(id.data, '\0', id.len))
		return;
	if (field.len == MARK_ID_LEN && mark_record_parse(value, &record))
		link_of(checkpoint, id)->record = record;
	else if (slice_equal(slice_make(field.data + MARK_ID_LEN, field.len - MARK_ID_LEN), SLICE(MARK_OWNER_SUFFIX)))
		link_of(checkpoint, id);
}

bool checkpoint_read(struct deployment *target, const char *task, struct checkpoint *ret, struct error *error)
{
	char *key = memory_printf(MARK_TASK_PREFIX "%s", task);
	const struct resp_node *field, *value;
	struct client_reply reply;
	struct client *aside;
	bool ok;

	*ret = (struct checkpoint){0};
	ok = read_record(target, key, &aside, &reply, error);
	free(key);
	for (uint32_t i = 0; ok && (field = resp_member(&reply.nodes[0], i)) && (value = resp_member(&reply.nodes[0], i + 1));
	     i += 2)
		take_field(ret, field->text, value->text);
	client_free(aside);
	return ok;
}

void checkpoint_free(struct checkpoint *checkpoint)
{
	free(checkpoint->links);
	*checkpoint = (struct checkpoint){0};
}

const struct checkpoint_link *checkpoint_find(const struct checkpoint *checkpoint, const char *replid, const char *replid2,
					      const char *source, bool alone)
{
	const char *const histories[] = {replid, replid2};

	for (size_t k = 0; k < 2; k++)
		for (uint32_t i = 0; i < checkpoint->count; i++)
			if (histories[k][0] && strcmp(checkpoint->links[i].record.replid, histories[k]) == 0)
				return &checkpoint->links[i];
	for (uint32_t i = 0; i < checkpoint->count; i++)
		if (strcmp(checkpoint->links[i].record.source, source) == 0)
			return &checkpoint->links[i];
	return alone && checkpoint->count == 1 ? &checkpoint->links[0] : NULL;
}

static bool count_matching(struct client *client, const char *pattern, uint64_t *count, struct error *error)
{
	char cursor[32] = "0";

	do {
		const struct resp_node *next, *keys;
		struct client_reply reply;

		if (!client ||
		    !client_call(client, &reply, false, error, "SCAN", cursor, "MATCH", pattern, "COUNT", "10000", NULL))
			return false;
		next = resp_member(&reply.nodes[0], 0);
		keys = resp_member(&reply.nodes[0], 1);
		if (!next || !keys || keys->type != RESP_ARRAY || next->text.len >= sizeof(cursor))
			break;
		*count += keys->count;
		memcpy(cursor, next->text.data, next->text.len);
		cursor[next->text.len] = '\0';
	} while (strcmp(cursor, "0") != 0);
	return true;
}

bool checkpoint_count(struct deployment *target, uint32_t shard, uint64_t *ret, struct error *error)
{
	struct client *client = deployment_client(target, shard, error);

	*ret = 0;
	return client && count_matching(client, MARK_PREFIX "{*}", ret, error) &&
	       count_matching(client, MARK_TASK_PREFIX "*", ret, error);
}

struct removal {
	uint32_t outstanding;
	struct error error;
};

static void on_removed(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct removal *removal = owner;

	removal->outstanding--;
	if (removal->error.kind != ERROR_NONE)
		return;
	if (error)
		removal->error = *error;
	else if (reply->nodes[0].type == RESP_ERROR)
		error_set(&removal->error, ERROR_TARGET, "a mark cannot be removed: %.*s", (int)reply->nodes[0].text.len,
			  (const char *)reply->nodes[0].text.data);
}

/* Of one link, on the masters of a cluster. All questions to a master are sent at once; the last one's answer is waited for. */
static bool remove_marks(struct deployment *target, const char *id, struct error *error)
{
	const struct topology *topology = deployment_topology(target);

	for (uint32_t shard = 0; shard < topology->shard_count; shard++) {
		struct client *client = deployment_client(target, shard, error);
		char low[MARK_ID_LEN + sizeof(MARK_LOW_SUFFIX)];
		struct removal removal = {0};
		struct client_reply reply;

		if (!client)
			return false;
		snprintf(low, sizeof(low), "%s" MARK_LOW_SUFFIX, id);
		for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
			char key[64];

			if (topology->owner[slot] != shard)
				continue;
			snprintf(key, sizeof(key), MARK_PREFIX "{%s}", slot_tag((uint16_t)slot));
			removal.outstanding++;
			client_send_strings(client, on_removed, &removal, "HDEL", key, id, low, NULL);
		}
		if (!client_call(client, &reply, true, error, "HDEL", MARK_PREFIX "{}", id, NULL))
			return false;
		if (removal.error.kind != ERROR_NONE) {
			*error = removal.error;
			return false;
		}
	}
	return true;
}

bool checkpoint_forget_link(struct deployment *target, const char *task, const char *id, struct error *error)
{
	char *key = memory_printf(MARK_TASK_PREFIX "%s", task);
	char *owner = memory_printf("%s" MARK_OWNER_SUFFIX, id);
	char *low = memory_printf("%s" MARK_LOW_SUFFIX,
				  id); /* of a standalone target; it has one until the first command of the stream */
	struct client *client;
	struct client_reply reply;
	bool ok = !deployment_topology(target)->cluster || remove_marks(target, id, error);

	client = ok ? deployment_client(target, shard_of(target, slot_of_key(slice_of_string(key))), error) : NULL;
	ok = client && client_call(client, &reply, false, error, "HDEL", key, id, owner, low, NULL);
	free(low);
	free(owner);
	free(key);
	return ok;
}

bool checkpoint_forget(struct deployment *target, const char *task, uint32_t *ret_links, struct error *error)
{
	char *key = memory_printf(MARK_TASK_PREFIX "%s", task);
	struct checkpoint checkpoint;
	struct client_reply reply;
	bool ok = checkpoint_read(target, task, &checkpoint, error);

	for (uint32_t i = 0; ok && deployment_topology(target)->cluster && i < checkpoint.count; i++)
		ok = remove_marks(target, checkpoint.links[i].id, error);
	/* Last: it is what names the others. */
	ok = ok && call(deployment_client(target, shard_of(target, slot_of_key(slice_of_string(key))), error), &reply, error,
			"DEL", key, NULL, NULL);
	*ret_links = checkpoint.count;
	checkpoint_free(&checkpoint);
	free(key);
	return ok;
}
