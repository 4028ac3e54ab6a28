#include "link/handover_inside.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

uint64_t handover_hash(const void *key, size_t len)
{
	return XXH3_64bits(key, len);
}

/* ---- members ---- */

struct handover *handover_open(const char *path, struct error *error)
{
	struct handover *handover = memory_alloc_zero(1, sizeof(*handover));

	pthread_mutex_init(&handover->lock, NULL);
	handover->members = memory_alloc_zero(HANDOVER_LINKS_MAX, sizeof(struct member *));
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		handover->owners[slot] = pack(HANDOVER_NOBODY, HANDOVER_NOBODY);
	memset(handover->done_for, 0xff, sizeof(handover->done_for));
	if (path) {
		handover->file = handover_file_open(path, error);
		if (!handover->file) {
			handover_close(handover);
			return NULL;
		}
	}
	return handover;
}

void handover_close(struct handover *handover)
{
	if (!handover)
		return;
	for (uint32_t i = 0; i < handover->count; i++) {
		free(handover->members[i]->name);
		free(handover->members[i]->fences);
		free(handover->members[i]);
	}
	free(handover->members);
	for (uint32_t i = 0; i < handover->move_count; i++)
		hash_set_free(&handover->moves[i].keys);
	free(handover->moves);
	handover_file_close(handover->file);
	pthread_mutex_destroy(&handover->lock);
	free(handover);
}

uint32_t handover_join(struct handover *handover, const char *name, const struct handover_source *source)
{
	struct member *member = memory_alloc_zero(1, sizeof(*member));
	uint32_t link;

	member->name = memory_strdup(name);
	member->source = *source;
	member->applied = -1;
	member->snapshot = -1;
	member->wanted = -1;
	member->relied = -1;
	member->fences = memory_alloc_zero(HANDOVER_LINKS_MAX, sizeof(member->fences[0]));
	pthread_mutex_lock(&handover->lock);
	link = handover->count;
	handover->members[link] = member;
	handover->count++;
	pthread_mutex_unlock(&handover->lock);
	return link;
}

/* ---- owners ---- */

struct move *handover_find_move(struct handover *handover, uint16_t slot)
{
	uint32_t at = handover->move_of[slot];

	return at < handover->move_count && handover->moves[at].slot == slot ? &handover->moves[at] : NULL;
}

void handover_add_move(struct handover *handover, uint16_t slot)
{
	struct move *move = handover_find_move(handover, slot);

	if (move) {
		hash_set_free(&move->keys);
		*move = (struct move){.slot = slot};
		return;
	}
	if (handover->move_count == handover->move_room) {
		handover->move_room = handover->move_room ? 2 * handover->move_room : 16;
		handover->moves = memory_realloc_array(handover->moves, handover->move_room, sizeof(handover->moves[0]));
	}
	handover->moves[handover->move_count] = (struct move){.slot = slot};
	handover->move_of[slot] = (uint16_t)handover->move_count;
	handover->move_count++;
}

void handover_end_move(struct handover *handover, struct move *move)
{
	hash_set_free(&move->keys);
	handover->move_count--;
	*move = handover->moves[handover->move_count];
	handover->move_of[move->slot] = (uint16_t)(move - handover->moves);
}

static uint16_t member_named(const struct handover *handover, const char *name)
{
	for (uint32_t i = 0; i < handover->count; i++)
		if (!handover->members[i]->left && strcmp(handover->members[i]->name, name) == 0)
			return (uint16_t)i;
	return HANDOVER_NOBODY;
}

static void on_kept(void *owner, uint16_t slot, const char *holder, const char *exporter)
{
	struct handover *handover = owner;
	uint16_t has = member_named(handover, holder), from = exporter ? member_named(handover, exporter) : HANDOVER_NOBODY;

	if (has != HANDOVER_NOBODY)
		handover->owners[slot] = pack(has, from);
}

static void on_job(void *owner, uint16_t slot, uint64_t hash)
{
	((struct handover *)owner)->jobs[slot] = hash;
}

static void on_relied(void *owner, const char *name, int64_t offset)
{
	struct handover *handover = owner;
	uint16_t link = member_named(handover, name);

	if (link != HANDOVER_NOBODY && offset > handover->members[link]->relied)
		handover->members[link]->relied = offset;
}

const char *handover_name_of(const struct handover *handover, uint16_t link)
{
	return link == HANDOVER_NOBODY ? NULL : handover->members[link]->name;
}

static void tell_kept(void *owner, uint16_t slot, const char **ret_holder, const char **ret_exporter)
{
	struct handover *handover = owner;

	*ret_holder = handover_name_of(handover, holder_of(handover->owners[slot]));
	*ret_exporter = handover_name_of(handover, exporter_of(handover->owners[slot]));
}

static uint64_t tell_job(void *owner, uint16_t slot)
{
	return ((struct handover *)owner)->jobs[slot];
}

static bool tell_relied(void *owner, uint32_t i, const char **ret_name, int64_t *ret_offset)
{
	struct handover *handover = owner;

	if (i >= handover->count)
		return false;
	*ret_name = handover->members[i]->name;
	*ret_offset = handover->members[i]->relied;
	return true;
}

bool handover_begin(struct handover *handover, const uint16_t *owners, struct error *error)
{
	bool ok = true;

	pthread_mutex_lock(&handover->lock);
	if (handover->file)
		handover_file_read(handover->file, on_kept, on_job, on_relied, handover);
	memcpy(handover->mapped, owners, sizeof(handover->mapped));
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		if (holder_of(handover->owners[slot]) == HANDOVER_NOBODY)
			handover->owners[slot] = pack(owners[slot], HANDOVER_NOBODY);
		if (exporter_of(handover->owners[slot]) != HANDOVER_NOBODY)
			handover_add_move(handover, (uint16_t)slot);
	}
	if (handover->file)
		ok = handover_file_write(handover->file, tell_kept, tell_job, tell_relied, handover, error);
	pthread_mutex_unlock(&handover->lock);
	return ok;
}

bool handover_fence_of(const struct member *member, uint64_t us, int64_t *ret_offset)
{
	uint64_t generation;

	return (member->source.fence(member->source.owner, us, &generation, ret_offset) && generation == member->generation) ||
	       (member->empty >= READINGS_TO_SETTLE && member->source.ended(member->source.owner, ret_offset));
}

void handover_stop_waiting(struct member *member)
{
	if (!member->waiting)
		return;
	member->waiting = member->ends = false;
	member->counters.waited_us += clock_monotonic_us() - member->waiting_since_us;
}

/* It has met a slot that is on its way to it, and not there yet. */
static bool is_importing(const struct handover *handover, uint32_t link)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint32_t owner = handover->owners[slot];

		if (holder_of(owner) == link && exporter_of(owner) != HANDOVER_NOBODY &&
		    exporter_of(owner) == handover->mapped[slot])
			return true;
	}
	return false;
}

static enum handover_stay stay_of(struct handover *handover, uint32_t link)
{
	struct member *member = handover->members[link];
	int64_t need;

	if (member->left || member->empty == 0)
		return HANDOVER_STAYS;
	if (member->empty < READINGS_TO_LEAVE)
		return HANDOVER_LEAVES;
	if (handover_fence_of(member, member->empty_us, &need) && member->applied >= need)
		return is_importing(handover, link) ? HANDOVER_LEAVES : HANDOVER_HAS_LEFT;
	return member->gone ? HANDOVER_WAS_CUT_OFF : HANDOVER_LEAVES;
}

enum handover_stay handover_stay(struct handover *handover, uint32_t link)
{
	enum handover_stay stay;

	pthread_mutex_lock(&handover->lock);
	stay = stay_of(handover, link);
	pthread_mutex_unlock(&handover->lock);
	return stay;
}

void handover_give_slot(struct handover *handover, uint16_t slot, uint16_t holder, uint16_t exporter)
{
	struct move *move = handover_find_move(handover, slot);

	if (move)
		handover_end_move(handover, move);
	handover->owners[slot] = pack(holder, exporter);
	if (exporter != HANDOVER_NOBODY)
		handover_add_move(handover, slot);
}

bool handover_leave(struct handover *handover, uint32_t link)
{
	struct member *member = handover->members[link];
	struct error error;

	pthread_mutex_lock(&handover->lock);
	if (stay_of(handover, link) == HANDOVER_LEAVES) {
		pthread_mutex_unlock(&handover->lock);
		return false;
	}
	handover_stop_waiting(member);
	member->left = member->gone = true;
	member->relied = -1;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (holder == link)
			handover_give_slot(handover, (uint16_t)slot, handover->mapped[slot],
					   exporter == handover->mapped[slot] ? HANDOVER_NOBODY : exporter);
		else if (exporter == link)
			handover_give_slot(handover, (uint16_t)slot, holder, HANDOVER_NOBODY);
	}
	/* A file that still names it does no harm: nobody has that name at the next start, and then the map says who has the slot. */
	if (handover->file && !handover_file_write(handover->file, tell_kept, tell_job, tell_relied, handover, &error))
		error_clear(&error);
	pthread_mutex_unlock(&handover->lock);
	return true;
}

uint32_t handover_moving(const struct handover *handover)
{
	return handover->move_count;
}

bool handover_wants_map(const struct handover *handover)
{
	return handover->move_count > 0 || handover->readings < handover->map_due;
}

bool handover_is_free(const struct handover *handover, uint32_t link, uint16_t slot, bool imports)
{
	uint32_t owner = handover->owners[slot];

	return !imports && (owner == pack((uint16_t)link, HANDOVER_NOBODY) || exporter_of(owner) == link);
}

static bool has_applied_all(struct handover *handover, uint32_t link, uint16_t other)
{
	struct member *member;
	int64_t need;

	if (other == link || other == HANDOVER_NOBODY)
		return true;
	member = handover->members[other];
	return member->gone || (handover_fence_of(member, handover->members[link]->read_us, &need) && has_reached(member, need));
}

bool handover_is_done_with(struct handover *handover, uint32_t link, uint16_t slot)
{
	uint32_t owner = handover->owners[slot];
	bool done;

	if (owner == pack((uint16_t)link, HANDOVER_NOBODY))
		return true;
	pthread_mutex_lock(&handover->lock);
	done = handover->done_for[slot] == link ||
	       (has_applied_all(handover, link, holder_of(owner)) && has_applied_all(handover, link, exporter_of(owner)));
	pthread_mutex_unlock(&handover->lock);
	return done;
}

uint16_t handover_holder(const struct handover *handover, uint16_t slot)
{
	return holder_of(handover->owners[slot]);
}

/* Neither its offsets nor its spool's positions are those of before. */
static void enter_generation(struct handover *handover, struct member *member, uint64_t generation)
{
	if (member->generation == generation)
		return;
	pthread_mutex_lock(&handover->lock);
	member->applied = -1;
	member->snapshot = -1;
	member->wanted = -1;
	if (member->generation > 0) /* else the file's is of this history */
		member->relied = -1;
	member->generation = generation;
	/* The one that is under way may have begun before. */
	member->map_due = handover->readings + 2;
	handover->map_due = member->map_due;
	memset(member->fences, 0, HANDOVER_LINKS_MAX * sizeof(member->fences[0]));
	handover_stop_waiting(member);
	pthread_mutex_unlock(&handover->lock);
}

void handover_applied(struct handover *handover, uint32_t link, uint64_t generation, int64_t offset)
{
	struct member *member = handover->members[link];

	enter_generation(handover, member, generation);
	member->applied = offset;
}

void handover_in_snapshot(struct handover *handover, uint32_t link, uint64_t generation, int64_t offset)
{
	struct member *member = handover->members[link];

	enter_generation(handover, member, generation);
	member->snapshot = offset;
	member->applied = -1;
}

bool handover_may_go_back(struct handover *handover, uint32_t link, int64_t offset)
{
	bool may;

	pthread_mutex_lock(&handover->lock);
	may = handover->members[link]->relied <= offset;
	if (!may)
		handover->rounds++;
	pthread_mutex_unlock(&handover->lock);
	return may;
}

int64_t handover_wanted(const struct handover *handover, uint32_t link)
{
	return handover->members[link]->wanted;
}
