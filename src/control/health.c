#include "control/health.h"

#include "base/clock.h"
#include "base/memory.h"

void health_turn(struct health *health)
{
	atomic_store(&health->turned_us, clock_monotonic_us());
}

void health_end(struct health *health)
{
	atomic_store(&health->ending, true);
}

static char *say(bool *ret_ok, bool ok, char *text)
{
	*ret_ok = ok;
	return text;
}

static char *judge_links(const struct task_status *status, bool *ret_ok)
{
	for (uint32_t i = 0; i < status->link_count; i++) {
		const struct link_status *link = &status->links[i];

		if (link->applier.waiting_for[0])
			return say(ret_ok, false,
				   memory_printf("link %s: waiting for %s\n", link->source, link->applier.waiting_for));
		if (!link->connected)
			return say(ret_ok, false,
				   memory_printf("link %s: the source is away%s%s\n", link->source,
						 link->receiver.away.text[0] ? ": " : "", link->receiver.away.text));
	}
	return say(ret_ok, true, memory_strdup("ok\n"));
}

char *health_answer(const struct health *health, const struct task_status *status, enum health_probe probe, bool *ret_ok)
{
	uint64_t now = clock_monotonic_us(), turned = atomic_load(&health->turned_us);
	bool ending = atomic_load(&health->ending);

	if (!ending && now > turned && now - turned > HEALTH_SILENCE_US)
		return say(ret_ok, false,
			   memory_printf("the control thread has not turned for %llu s\n",
					 (unsigned long long)((now - turned) / 1000000)));
	if (status->error.kind != ERROR_NONE)
		return say(ret_ok, false, memory_printf("failed: %s\n", status->error.text));
	if (probe == HEALTH_LIVE || status->state == TASK_FINISHED)
		return say(ret_ok, true, memory_strdup("ok\n"));
	if (ending)
		return say(ret_ok, false, memory_strdup("the task is being stopped\n"));
	if (status->state != TASK_STREAMING)
		return say(ret_ok, false, memory_printf("state: %s\n", task_state_name(status->state)));
	return judge_links(status, ret_ok);
}
