#include "control/finish.h"

#include "base/memory.h"
#include "control/expiry_plan.h"
#include "control/expiry_record.h"
#include "control/work_dir.h"
#include "link/state.h"
#include "sink/checkpoint.h"
#include "transform/guard.h"

#include <stdlib.h>
#include <string.h>

struct finishing {
	const struct finish_events *events;
	void *owner;
	struct finish_result *result;
};

static bool go_on(void *owner)
{
	struct finishing *finishing = owner;

	return finishing->events->go_on(finishing->owner, &finishing->result->counts);
}

/* Connections of other tasks, by their names. Where they may not be asked for: none. */
static bool is_used_by_others(struct deployment *target, const char *own_name)
{
	for (uint32_t i = 0; i < deployment_topology(target)->shard_count; i++) {
		struct error ignored;
		struct client *client = deployment_client(target, i, &ignored);
		struct client_reply reply;
		struct slice rest;

		if (!client || !client_call(client, &reply, false, &ignored, "CLIENT", "LIST", NULL))
			continue;
		rest = reply.nodes[0].text;
		for (const uint8_t *at; (at = memmem(rest.data, rest.len, " name=keyferry:", 15));) {
			rest = slice_make(at + 6, rest.len - (size_t)(at + 6 - rest.data));
			if (!slice_starts_with(rest, slice_of_string(own_name)))
				return true;
		}
	}
	return false;
}

/* Counts the links that only the marks in the target tell where to go on. */
static bool count_cut_off(const struct work_dir *dir, uint32_t *ret, struct error *error)
{
	char *folder;

	*ret = 0;
	for (uint32_t i = 0; (folder = work_dir_link(dir, i)); i++) {
		char *path = memory_printf("%s/state.json", folder);
		struct link_state state;
		bool ok = link_state_read(path, &state, error);

		free(folder);
		free(path);
		if (!ok)
			return false;
		*ret += state.epoch[0] && !state.clean;
		link_state_free(&state);
	}
	return true;
}

bool finish_forget_low_marks(const struct work_dir *dir, struct error *error)
{
	bool ok = true;
	char *folder;

	for (uint32_t i = 0; ok && (folder = work_dir_link(dir, i)); i++) {
		char *path = memory_printf("%s/state.json", folder);
		struct link_state state;

		ok = link_state_read(path, &state, error);
		free(folder);
		if (ok) {
			if (state.witness_count > 0) {
				state.witness_count = 0;
				ok = link_state_write(path, &state, error);
			}
			link_state_free(&state);
		}
		free(path);
	}
	return ok;
}

static bool finish_target(struct deployment *target, const struct task_options *options, const struct work_dir *dir,
			  const char *name, struct finishing *finishing, struct error *error)
{
	struct finish_result *result = finishing->result;
	struct expiry_record record;

	if (!expiry_record_read(options->data_dir, &record, error) || !count_cut_off(dir, &result->cut_off_links, error))
		return false;
	result->recorded = record.exists;
	result->temporary_left = is_used_by_others(target, name);
	if (!expiry_settle_all(target, options->data_dir, guard_base(options->name), !result->temporary_left, go_on, finishing,
			       &result->counts, error))
		return false;
	return options->checkpoint == CHECKPOINT_LOCAL || result->cut_off_links > 0 ||
	       (finish_forget_low_marks(dir, error) && checkpoint_forget(target, options->name, &result->forgotten_links, error));
}

bool finish_run(struct loop *loop, const struct task_options *options, const struct finish_events *events, void *owner,
		struct finish_result *ret, struct error *error)
{
	struct finishing finishing = {events, owner, ret};
	char *name = memory_printf("keyferry:%s:finish", options->name);
	struct deployment *target = NULL;
	struct work_dir *dir;
	bool ok;

	*ret = (struct finish_result){0};
	dir = work_dir_open(options->data_dir, error);
	ok = dir && (target = deployment_open(loop, &options->target, name, options->connect_timeout_ms, ERROR_TARGET, error)) &&
	     finish_target(target, options, dir, name, &finishing, error);
	deployment_free(target);
	work_dir_close(dir);
	free(name);
	return ok;
}
