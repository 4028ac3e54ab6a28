#include "source/away.h"

#include "base/clock.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct away {
	pthread_mutex_t lock;
	struct away_status now;
};

struct away *away_new(void)
{
	struct away *away = memory_alloc_zero(1, sizeof(*away));

	pthread_mutex_init(&away->lock, NULL);
	return away;
}

void away_free(struct away *away)
{
	pthread_mutex_destroy(&away->lock);
	free(away);
}

void away_tell(struct away *away, const struct error *error)
{
	pthread_mutex_lock(&away->lock);
	if (away->now.since_ms == 0)
		away->now.since_ms = clock_wall_ms();
	memcpy(away->now.text, error->text, sizeof(away->now.text));
	memcpy(away->now.hint, error->hint, sizeof(away->now.hint));
	pthread_mutex_unlock(&away->lock);
}

void away_end(struct away *away)
{
	pthread_mutex_lock(&away->lock);
	memset(&away->now, 0, sizeof(away->now));
	pthread_mutex_unlock(&away->lock);
}

struct away_status away_status(struct away *away)
{
	struct away_status now;

	pthread_mutex_lock(&away->lock);
	now = away->now;
	pthread_mutex_unlock(&away->lock);
	return now;
}
