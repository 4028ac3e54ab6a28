#include "link/handover_inside.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Two readings of the map that agree: the old owner has heard of it too. */
#define READINGS_TO_SETTLE 2
#define READINGS_TO_GO 10
/* A node that has heard late of a master's first slot must not end its link. */
#define READINGS_TO_LEAVE 5

/* Keys of one slot, 16 bytes each; those beyond are fenced each time. */
#define KEYS_MAX (8u << 20)

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

/* In which the slot is, if it moves already. */
static struct move *find_move(struct handover *handover, uint16_t slot)
{
	uint32_t at = handover->move_of[slot];

	return at < handover->move_count && handover->moves[at].slot == slot ? &handover->moves[at] : NULL;
}

static void add_move(struct handover *handover, uint16_t slot)
{
	struct move *move = find_move(handover, slot);

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

static void end_move(struct handover *handover, struct move *move)
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

static const char *name_of(const struct handover *handover, uint16_t link)
{
	return link == HANDOVER_NOBODY ? NULL : handover->members[link]->name;
}

static void tell_kept(void *owner, uint16_t slot, const char **ret_holder, const char **ret_exporter)
{
	struct handover *handover = owner;

	*ret_holder = name_of(handover, holder_of(handover->owners[slot]));
	*ret_exporter = name_of(handover, exporter_of(handover->owners[slot]));
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
			add_move(handover, (uint16_t)slot);
	}
	if (handover->file)
		ok = handover_file_write(handover->file, tell_kept, tell_job, tell_relied, handover, error);
	pthread_mutex_unlock(&handover->lock);
	return ok;
}

/* An offset behind all that its source had executed by then. Who has no slots, and is a replica now, has an end.
 * False: not known yet, or an offset of another history than the one that the link applies: its link goes over to that first. */
static bool fence_of(const struct member *member, uint64_t us, int64_t *ret_offset)
{
	uint64_t generation;

	return (member->source.fence(member->source.owner, us, &generation, ret_offset) && generation == member->generation) ||
	       (member->empty >= READINGS_TO_SETTLE && member->source.ended(member->source.owner, ret_offset));
}

static void stop_waiting(struct member *member)
{
	if (!member->waiting)
		return;
	member->waiting = member->ends = false;
	member->counters.waited_us += clock_monotonic_us() - member->waiting_since_us;
}

/* The map says that all of it is the holder's, and has said so before: what the exporter has done with it lies before its offset of now. */
static bool has_settled(struct handover *handover, struct move *move, const uint16_t *owners)
{
	uint32_t owner = handover->owners[move->slot];
	struct member *exporter = handover->members[exporter_of(owner)];
	int64_t need;

	if (owners[move->slot] != holder_of(owner)) {
		move->readings = 0;
		return false;
	}
	if (exporter->gone)
		return true;
	if (++move->readings == READINGS_TO_SETTLE)
		move->since_us = clock_monotonic_us();
	return move->readings >= READINGS_TO_SETTLE && fence_of(exporter, move->since_us, &need) &&
	       has_reached(exporter, need);
}

static bool has_slots(const uint16_t *owners, uint32_t link)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (owners[slot] == link)
			return true;
	return false;
}

/* A master that was taken out of the cluster and shut down. Returns how many have gone just now. */
static uint32_t look_for_gone(struct handover *handover, const uint16_t *owners)
{
	uint64_t now = clock_monotonic_us(), generation;
	uint32_t gone = 0;
	int64_t offset;

	for (uint32_t i = 0; i < handover->count; i++) {
		struct member *member = handover->members[i];
		bool was_gone = member->gone;

		if (member->left)
			continue;
		if (has_slots(owners, i))
			member->empty = 0;
		else if (++member->empty == READINGS_TO_LEAVE)
			member->empty_us = now;
		if (member->empty == 0 || member->source.fence(member->source.owner, member->read_us, &generation, &offset))
			member->silent = 0;
		else
			member->silent++;
		/* What lies in its spool still comes before what others do. */
		member->gone = member->silent >= READINGS_TO_GO && member->applied >= member->source.received(member->source.owner);
		gone += member->gone && !was_gone;
		member->read_us = now;
	}
	return gone;
}

/* It has met a slot that is on its way to it, and not there yet. */
static bool is_importing(const struct handover *handover, uint32_t link)
{
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint32_t owner = handover->owners[slot];

		if (holder_of(owner) == link && exporter_of(owner) != HANDOVER_NOBODY && exporter_of(owner) == handover->mapped[slot])
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
	if (fence_of(member, member->empty_us, &need) && member->applied >= need)
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

/* Keys that the holder has begun with mean nothing to the next one. */
static void give_slot(struct handover *handover, uint16_t slot, uint16_t holder, uint16_t exporter)
{
	struct move *move = find_move(handover, slot);

	if (move)
		end_move(handover, move);
	handover->owners[slot] = pack(holder, exporter);
	if (exporter != HANDOVER_NOBODY)
		add_move(handover, slot);
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
	stop_waiting(member);
	member->left = member->gone = true;
	member->relied = -1;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (holder == link)
			give_slot(handover, (uint16_t)slot, handover->mapped[slot], exporter == handover->mapped[slot] ? HANDOVER_NOBODY : exporter);
		else if (exporter == link)
			give_slot(handover, (uint16_t)slot, holder, HANDOVER_NOBODY);
	}
	/* A file that still names it does no harm: nobody has that name at the next start, and then the map says who has the slot. */
	if (handover->file && !handover_file_write(handover->file, tell_kept, tell_job, tell_relied, handover, &error))
		error_clear(&error);
	pthread_mutex_unlock(&handover->lock);
	return true;
}

struct handover_news handover_map(struct handover *handover, const uint16_t *owners)
{
	struct handover_news news = {0};
	struct error error;

	pthread_mutex_lock(&handover->lock);
	memcpy(handover->mapped, owners, sizeof(handover->mapped));
	handover->readings++;
	news.gone = look_for_gone(handover, owners);
	for (uint32_t i = handover->move_count; i-- > 0;) {
		struct move *move = &handover->moves[i];
		uint16_t slot = move->slot;

		if (!has_settled(handover, move, owners))
			continue;
		if (handover->file && exporter_of(handover->owners[slot]) != HANDOVER_NOBODY)
			handover_file_rely(handover->file, name_of(handover, exporter_of(handover->owners[slot])),
					   handover->members[exporter_of(handover->owners[slot])]->relied);
		handover->owners[slot] = pack(holder_of(handover->owners[slot]), HANDOVER_NOBODY);
		/* Not being able to say so costs waits alone: it is said again when the slot settles after the next start. */
		if (handover->file &&
		    !handover_file_add(handover->file, slot, name_of(handover, holder_of(handover->owners[slot])), NULL, false,
				       &error))
			error_clear(&error);
		end_move(handover, move);
		news.settled++;
	}
	pthread_mutex_unlock(&handover->lock);
	return news;
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
	return member->gone || (fence_of(member, handover->members[link]->read_us, &need) && has_reached(member, need));
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
	stop_waiting(member);
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

/* ---- asking ---- */

/* Does the event belong to what the holder has been doing all along? */
static bool continues(const struct handover *handover, uint32_t link, const struct handover_event *event)
{
	uint32_t owner = handover->owners[event->slot];

	return holder_of(owner) == link && !event->slots && !(event->imports && exporter_of(owner) == HANDOVER_NOBODY);
}

static bool is_of(const struct handover_event *event, uint16_t slot)
{
	return event->slots ? event->slots[slot / 64] >> (slot % 64) & 1 : event->slot == slot;
}

/* The first slot that both events are of; SLOT_COUNT: there is none. */
static uint32_t common_slot(const struct handover_event *a, const struct handover_event *b)
{
	if (!a->slots)
		return is_of(b, a->slot) ? a->slot : SLOT_COUNT;
	if (!b->slots)
		return is_of(a, b->slot) ? b->slot : SLOT_COUNT;
	for (uint32_t word = 0; word < SLOT_COUNT / 64; word++)
		if (a->slots[word] & b->slots[word])
			return 64 * word + (uint32_t)__builtin_ctzll(a->slots[word] & b->slots[word]);
	return SLOT_COUNT;
}

/* `other` waits too, with an event of the same slot, and all before that is applied: whose turn is it? Not ours, if our event was received by the source's master after
 * the other's fence. Else what the holder goes on with comes before what takes the slot from it; and if the holder itself takes it back, somebody else has had it first. */
static bool goes_first(const struct handover *handover, uint32_t link, const struct handover_event *event, uint32_t other)
{
	const struct member *member = handover->members[other];
	const struct fence *fence = &member->fences[link];
	uint32_t slot;

	if (!member->waiting || member->ends || handover->members[link]->ends || member->applied < member->event.start)
		return false;
	slot = common_slot(event, &member->event);
	/* Of two that have the slots brought, the fences may not be known: neither source says that they are the other's. */
	if (slot == SLOT_COUNT || (fence->known ? event->end > fence->need : !event->slots || !member->event.slots))
		return false;
	/* It goes on by itself: the slot has been taken from it since, and what it waits with is older. */
	if (handover_is_free(handover, other, (uint16_t)slot, member->event.imports))
		return false;
	if (continues(handover, link, event))
		return true;
	if (continues(handover, other, &member->event))
		return false;
	return holder_of(handover->owners[slot]) != link && (holder_of(handover->owners[slot]) == other || link < other);
}

/* What was brought is the former owner's no more when that one's master says so itself, as the waiter's does. Until then it may have something to delete. */
static bool agree(struct member *waiter, struct member *member, const struct handover_event *event, struct fence *fence)
{
	uint64_t digest, answered_us;

	if (!fence->own_us && waiter->source.owners && !waiter->source.owners(waiter->source.owner, fence->since_us, event->slots, &fence->own_digest, &fence->own_us))
		return false;
	if (waiter->source.owners && member->source.owners) {
		if (!member->source.owners(member->source.owner, fence->own_us, event->slots, &digest, &answered_us))
			return false;
		if (digest != fence->own_digest) {
			fence->own_us = 0;
			fence->since_us = clock_monotonic_us();
			return false;
		}
		fence->since_us = answered_us;
	}
	fence->agreed = true;
	return true;
}

/* Has `other` applied what the event has to come behind? */
static bool is_behind(struct handover *handover, uint32_t link, const struct handover_event *event, uint32_t other)
{
	struct member *waiter = handover->members[link], *member = handover->members[other];
	struct fence *fence = &waiter->fences[other];

	if (member->gone)
		return true;
	if (!fence->asked || event->end > fence->covers || fence->generation != member->generation) {
		*fence = (struct fence){.asked = true, .generation = member->generation, .looked_at = -1};
		if (waiter->ends) {
			fence->covers = event->end;
			fence->since_us = waiter->read_us;
		} else if (event->brought || !waiter->source.executed(waiter->source.owner, event->end, &fence->since_us, &fence->covers)) {
			fence->covers = event->received;
			fence->since_us = clock_monotonic_us();
		}
	}
	if (!fence->known && (!event->brought || fence->agreed || agree(waiter, member, event, fence)))
		fence->known = fence_of(member, fence->since_us, &fence->need);
	if (!fence->known)
		return event->slots && goes_first(handover, link, event, other);
	if (member->applied < fence->need && member->wanted < fence->need)
		member->wanted = fence->need;
	return has_reached(member, fence->need) || (waiter->waiting && fence->cleared == waiter->wait_number) ||
	       goes_first(handover, link, event, other);
}

/* The exporter has done with a key before the holder begins with it, for good: until it imports it again, and so is the holder. */
static bool is_begun(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	const struct move *move = find_move(handover, event->slot);

	if (!move || event->imports || event->key_count == 0 || holder_of(handover->owners[event->slot]) != link)
		return false;
	for (uint32_t i = 0; i < event->key_count; i++)
		if (!hash_set_has(&move->keys, event->keys[i]))
			return false;
	return true;
}

static void begin_keys(struct handover *handover, const struct handover_event *event)
{
	struct move *move = find_move(handover, event->slot);

	for (uint32_t i = 0; move && i < event->key_count; i++)
		hash_set_add(&move->keys, event->keys[i], KEYS_MAX);
}

/* Slots that come together: all who have, or had, one of them. */
static bool may_go_together(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	bool has[HANDOVER_LINKS_MAX] = {false}, all = false, ok = true;

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (!is_of(event, (uint16_t)slot))
			continue;
		/* Who had it in between is not known yet. */
		all = all || (holder == link && exporter == HANDOVER_NOBODY);
		if (holder != HANDOVER_NOBODY)
			has[holder] = true;
		if (exporter != HANDOVER_NOBODY)
			has[exporter] = true;
	}
	for (uint32_t other = 0; other < handover->count; other++)
		ok = (other == link || !(all || has[other]) || is_behind(handover, link, event, other)) && ok;
	return ok;
}

static bool may_go(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	uint32_t owner = handover->owners[event->slot];
	uint16_t holder = holder_of(owner), exporter = exporter_of(owner);
	bool ok = true;

	if (event->slots)
		return may_go_together(handover, link, event);
	/* All are asked at once, so that no answer waits for another. */
	if (holder == link && exporter == HANDOVER_NOBODY) {
		for (uint32_t other = 0; other < handover->count; other++)
			ok = (other == link || is_behind(handover, link, event, other)) && ok;
		return ok;
	}
	if (holder != link && holder != HANDOVER_NOBODY)
		ok = is_behind(handover, link, event, holder);
	if (exporter != link && exporter != HANDOVER_NOBODY)
		ok = is_behind(handover, link, event, exporter) && ok;
	return ok;
}

/* The event goes on behind the fences that it has asked for. */
static void rely(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	for (uint32_t other = 0; other < handover->count; other++) {
		const struct fence *fence = &handover->members[link]->fences[other];
		struct member *member = handover->members[other];

		if (other != link && fence->known && event->end <= fence->covers && fence->generation == member->generation && fence->need > member->relied)
			member->relied = fence->need;
	}
}

/* `sync`: it is on the disk when this returns, and what was taken before it. */
static bool take(struct handover *handover, uint32_t link, uint16_t slot, bool sync, uint16_t *ret_from, struct error *error)
{
	uint16_t from = holder_of(handover->owners[slot]);

	if (from == link)
		return true;
	if (handover->file && from != HANDOVER_NOBODY)
		handover_file_rely(handover->file, name_of(handover, from), handover->members[from]->relied);
	if (handover->file &&
	    !handover_file_add(handover->file, slot, handover->members[link]->name, name_of(handover, from), sync, error))
		return false;
	handover->owners[slot] = pack((uint16_t)link, from);
	handover->done_for[slot] = HANDOVER_NOBODY;
	if (from != HANDOVER_NOBODY)
		add_move(handover, slot);
	handover->members[link]->counters.slots++;
	*ret_from = from;
	return true;
}

static bool take_all(struct handover *handover, uint32_t link, const struct handover_event *event, uint16_t *ret_from, struct error *error)
{
	uint32_t last = SLOT_COUNT;

	if (!event->slots)
		return take(handover, link, event->slot, true, ret_from, error);
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
		if (is_of(event, (uint16_t)slot) && holder_of(handover->owners[slot]) != link)
			last = slot;
	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		if (!is_of(event, (uint16_t)slot))
			continue;
		if (handover->file)
			handover_file_job(handover->file, (uint16_t)slot, event->job);
		if (!take(handover, link, (uint16_t)slot, slot == last, ret_from, error))
			return false;
		handover->jobs[slot] = event->job;
	}
	return true;
}

/* This very job has brought the slots to it in an earlier run: who was to be waited for then has been, and may wait for this one now. */
static bool is_repeated(const struct handover *handover, uint32_t link, const struct handover_event *event)
{
	for (uint32_t slot = 0; event->slots && slot < SLOT_COUNT; slot++)
		if (is_of(event, (uint16_t)slot) && (holder_of(handover->owners[slot]) != link || handover->jobs[slot] != event->job))
			return false;
	return event->slots;
}

static void start_waiting(struct handover *handover, struct member *member, const struct handover_event *event)
{
	member->waiting = true;
	member->event = *event;
	member->wait_number = ++handover->waits;
	member->waiting_since_us = clock_monotonic_us();
	member->counters.waits++;
}

enum handover_answer handover_ask(struct handover *handover, uint32_t link, const struct handover_event *event,
				  uint16_t *ret_from, struct error *error)
{
	struct member *member = handover->members[link];
	enum handover_answer answer = HANDOVER_WAIT;

	*ret_from = HANDOVER_NOBODY;
	pthread_mutex_lock(&handover->lock);
	if (member->left) {
		answer = HANDOVER_WAIT; /* until it is stopped */
	} else if (handover_is_free(handover, link, event->slot, event->imports) || is_begun(handover, link, event) || is_repeated(handover, link, event)) {
		answer = HANDOVER_GO;
	} else if (may_go(handover, link, event)) {
		rely(handover, link, event);
		answer = take_all(handover, link, event, ret_from, error) ? HANDOVER_GO : HANDOVER_FAILED;
		if (answer == HANDOVER_GO)
			begin_keys(handover, event);
	} else if (!member->waiting) {
		start_waiting(handover, member, event);
	}
	if (answer == HANDOVER_GO)
		stop_waiting(member);
	pthread_mutex_unlock(&handover->lock);
	return answer;
}

/* Are all behind the offsets that they had when the map was read? */
static bool may_end(struct handover *handover, uint32_t link, const struct handover_event *event)
{
	bool has[HANDOVER_LINKS_MAX] = {false}, ok = true;

	for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
		uint16_t holder = holder_of(handover->owners[slot]), exporter = exporter_of(handover->owners[slot]);

		if (!is_awaited(handover, link, (uint16_t)slot))
			continue;
		if (holder != HANDOVER_NOBODY)
			has[holder] = true;
		if (exporter != HANDOVER_NOBODY)
			has[exporter] = true;
	}
	/* All are asked at once, so that no answer waits for another. */
	for (uint32_t other = 0; other < handover->count; other++)
		ok = (!has[other] || other == link || is_behind(handover, link, event, other)) && ok;
	return ok;
}

enum handover_answer handover_ask_end(struct handover *handover, uint32_t link, int64_t offset)
{
	const struct handover_event event = {.start = offset, .end = offset, .received = offset};
	struct member *member = handover->members[link];
	enum handover_answer answer = HANDOVER_WAIT;

	pthread_mutex_lock(&handover->lock);
	if (handover->readings >= member->map_due) {
		if (!member->ends || member->end_reading != handover->readings) {
			/* Those of the snapshot's keys, or of an earlier reading, may be from before the slots moved. */
			memset(member->fences, 0, HANDOVER_LINKS_MAX * sizeof(member->fences[0]));
			stop_waiting(member);
			start_waiting(handover, member, &event);
			member->ends = true;
			member->end_reading = handover->readings;
		}
		if (may_end(handover, link, &event)) {
			answer = HANDOVER_GO;
			rely(handover, link, &event);
			for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
				if (handover->mapped[slot] == link)
					handover->done_for[slot] = (uint16_t)link;
			stop_waiting(member);
		}
	}
	pthread_mutex_unlock(&handover->lock);
	return answer;
}

void handover_forget(struct handover *handover, uint32_t link)
{
	pthread_mutex_lock(&handover->lock);
	stop_waiting(handover->members[link]);
	pthread_mutex_unlock(&handover->lock);
}
