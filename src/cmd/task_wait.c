#include "cmd/task_wait.h"

#include "base/clock.h"
#include "base/units.h"

#include <string.h>

#define SILENCE_US 60000000
#define LOOK_MS 150
#define LOOK_MAX_MS 1000

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words) != 0)
		words++;
	return *words != NULL;
}

enum task_way task_way_of(const json_t *task, const char *const *states, struct error *error)
{
	const char *state = task_text(task, "state"), *wanted = task_text(task, "wanted"), *name = task_text(task, "name");
	bool running = is_one_of(state, (const char *const[]){"prechecking", "snapshot", "streaming", "starting", NULL});
	bool for_running = is_one_of("streaming", states) || is_one_of("snapshot", states);

	if (is_one_of(state, states))
		return TASK_THERE;
	if (strcmp(wanted, "running") != 0 && (strcmp(state, "failed") == 0 || strcmp(state, "precheck-failed") == 0)) {
		task_fault(json_object_get(task, "error"), error, name);
		return TASK_GONE_ASTRAY;
	}
	if (strcmp(state, "finished") == 0 || (for_running && strcmp(wanted, "running") != 0 && !running)) {
		error_set(error, ERROR_USAGE, "task %s is %s, and wanted: %s", name, state, wanted);
		error_hint(error, "'keyferry task start' has it go on");
		return TASK_GONE_ASTRAY;
	}
	return TASK_ON_ITS_WAY;
}

bool task_take_deadline(const struct task_session *session, uint64_t *ret, struct error *error)
{
	const char *value = arguments_value(&session->arguments, "timeout");
	uint64_t ms = 0;

	if (value && (!units_parse_duration(slice_of_string(value), &ms) || ms == 0 || ms > INT32_MAX)) {
		error_set(error, ERROR_USAGE, "--timeout %s is no duration", value);
		error_hint(error, "Write it with its unit, like 90s or 5m");
		return false;
	}
	*ret = ms ? clock_monotonic_us() + ms * 1000 : 0;
	return true;
}

bool task_wait_more(struct task_session *session, struct task_patience *patience, bool got, struct error *error)
{
	uint64_t now = clock_monotonic_us(), ms = LOOK_MS + patience->looks * 50ULL;

	if (!got && (error->kind != ERROR_INTERNAL || (patience->silent_us && now - patience->silent_us > SILENCE_US)))
		return false;
	patience->silent_us = got ? 0 : patience->silent_us ? patience->silent_us : now;
	patience->looks++;
	if (patience->deadline_us && now >= patience->deadline_us) {
		error_set(error, ERROR_INTERNAL, "it has not come that far in the time of --timeout");
		return false;
	}
	ms = ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms;
	if (patience->deadline_us && patience->deadline_us - now < ms * 1000)
		ms = (patience->deadline_us - now) / 1000 + 1;
	error_clear(error);
	return api_client_pause(session->client, (uint32_t)ms);
}

bool task_wait(struct task_session *session, const char *task, const char *const *states, uint64_t deadline_us, json_int_t worker,
	       json_t **ret, struct error *error)
{
	struct task_patience patience = {.deadline_us = deadline_us};
	enum task_way way = TASK_ON_ITS_WAY;
	json_t *tree = NULL;

	do {
		json_decref(tree);
		tree = task_get(session, task_path(task, NULL), error);
		way = tree ? task_way_of(tree, states, error) : TASK_ON_ITS_WAY;
		if (way == TASK_THERE && worker &&
		    json_integer_value(json_object_get(json_object_get(tree, "worker"), "pid")) == worker)
			way = TASK_ON_ITS_WAY;
	} while (way == TASK_ON_ITS_WAY && task_wait_more(session, &patience, tree != NULL, error));
	if (way == TASK_THERE) {
		*ret = tree;
		return true;
	}
	json_decref(tree);
	return false;
}
