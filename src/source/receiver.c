/* The receiver: one connection at a time, driven by the psync machine, into the spool.
 *
 *   stream -> in (one read) -> psync_next() -> a step -> receiver_act(): the intake, the state, a note
 *                                                 |
 *                                                 `- cannot be done now: held, and reading stops, until
 *                                                      HOLD_APPLIER  receiver_resync_ready()
 *                                                      HOLD_ROOM     the applier released some of the spool
 *                                                      HOLD_DISK     the next second
 *
 * What psync hands out is appended straight from the read buffer. A held step keeps its bytes there: nothing is read on top.
 * Three things come from other threads, each an atomic and the one wake-up: the applied offset, resync_ready and room. */
#include "source/receiver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "source/absence.h"
#include "source/away.h"
#include "source/backoff.h"
#include "source/intake.h"
#include "source/psync.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_SIZE (256u << 10)
#define READS_A_TURN 4     /* then the loop's other business gets its turn */
#define OUT_MAX (1u << 20) /* the longest command is an AUTH */
#define OUT_BUSY 1024      /* with more than this unsent, another acknowledgement waits for its next second */
#define TICK_MS 1000
#define REPL_TIMEOUT_MS 60000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 10000
#define REPEAT_NOTE_US (30 * 1000000ULL) /* a cause that stays the same is noted this often */
#define FULL_NOTE_US (10 * 1000000ULL)   /* a spool without room for so long is worth a note */

struct receiver {
	struct loop *loop;
	struct receiver_options options;
	struct receiver_events events;
	void *owner;

	struct stream *stream; /* NULL: waiting for `retry`, or stopped */
	struct psync psync;
	char asked_replid[41]; /* what this connection asked for; empty: a full resync */
	int64_t asked_offset;
	struct buffer out;
	uint8_t *in;
	size_t in_start, in_end;
	struct intake intake;
	enum psync_step step;
	struct slice bytes; /* of the step */
	enum hold hold;
	uint64_t hold_since_us;

	struct timer *tick;
	struct timer *retry;
	struct wake *wake;
	struct backoff backoff;
	char last_cause[sizeof(((struct error *)NULL)->text) + sizeof(((struct error *)NULL)->hint) + 8];
	uint64_t last_cause_us;
	struct absence absence;

	bool connected_before;
	bool received;     /* a master has accepted us once: from then on there is always another attempt */
	bool settled;      /* this connection has brought some of the stream, or held for a while */
	bool anew_asked;   /* the applier has asked for it */
	bool resync_asked; /* events.resync was called and no new generation is begun yet */
	uint64_t snapshot_since_us;

	/* From other threads. */
	_Atomic int64_t applied;
	atomic_bool ack_now;
	atomic_bool anew;
	atomic_bool resync_ready;
	atomic_bool moved;
	pthread_mutex_t move_lock;
	struct endpoint move_to;

	/* For receiver_status(). */
	struct away *away;
	_Atomic int state;
	_Atomic uint64_t snapshot_total, snapshot_received, bytes_received, reconnects, resyncs, last_heard_us;
};

/* ---- telling ---- */

static void receiver_note(struct receiver *receiver, int level, const char *format, ...) PRINTF_LIKE(3, 4);

static void receiver_note(struct receiver *receiver, int level, const char *format, ...)
{
	char peer[ENDPOINT_TEXT_MAX], text[2048];
	va_list args;
	int used = snprintf(text, sizeof(text), "%s: ", endpoint_format(&receiver->options.endpoint, peer));

	va_start(args, format);
	vsnprintf(text + used, sizeof(text) - (size_t)used, format, args);
	va_end(args);
	receiver->events.note(receiver->owner, level, text);
}

static void receiver_tell(struct receiver *receiver, const struct incident *incident)
{
	receiver->events.tell(receiver->owner, incident);
}

static void receiver_intake_note(void *owner, int level, const char *text)
{
	receiver_note(owner, level, "%s", text);
}

static void receiver_intake_tell(void *owner, const struct incident *incident)
{
	struct receiver *receiver = owner;
	struct incident named = *incident;
	char peer[ENDPOINT_TEXT_MAX];

	snprintf(named.text, sizeof(named.text), "%s: ", endpoint_format(&receiver->options.endpoint, peer));
	incident_add_text(&named, "%s", incident->text);
	receiver_tell(receiver, &named);
}

static const struct intake_events receiver_intake_events = {receiver_intake_note, receiver_intake_tell};

static void receiver_set_state(struct receiver *receiver, enum receiver_state state)
{
	atomic_store(&receiver->state, state);
}

static enum receiver_state receiver_state(const struct receiver *receiver)
{
	return (enum receiver_state)atomic_load(&receiver->state);
}

static void receiver_heard(struct receiver *receiver)
{
	atomic_store_explicit(&receiver->last_heard_us, clock_monotonic_us(), memory_order_relaxed);
}

/* ---- losing the connection ---- */

/* Reading was held until now. */
static void receiver_unread(struct receiver *receiver)
{
	if (receiver->hold == HOLD_ROOM || receiver->hold == HOLD_DISK)
		absence_unread(&receiver->absence, clock_monotonic_us() - receiver->hold_since_us);
}

/* How it goes on once it is connected again. Returns out. */
static const char *receiver_plan(const struct receiver *receiver, char out[80])
{
	int64_t held = intake_held_offset(&receiver->intake);

	if (held >= 0 && !receiver->resync_asked)
		snprintf(out, 80, "from offset %" PRId64, held);
	else
		snprintf(out, 80, "with a new snapshot");
	return out;
}

static void receiver_disconnect(struct receiver *receiver)
{
	receiver_unread(receiver);
	stream_free(receiver->stream);
	receiver->stream = NULL;
	if (receiver->out.data != NULL)
		memory_wipe(receiver->out.data, receiver->out.cap);
	buffer_clear(&receiver->out);
	receiver->in_start = receiver->in_end = 0;
	receiver->hold = HOLD_NONE;
	if (receiver->intake.unflushed)
		intake_flush(&receiver->intake, false);
	if (receiver->settled)
		backoff_reset(&receiver->backoff);
	receiver->settled = false;
	receiver_set_state(receiver, RECEIVER_CONNECTING);
}

/* Puts the peer's address before a text that does not name it. */
static struct error receiver_name_peer(const struct receiver *receiver, const struct error *error)
{
	char peer[ENDPOINT_TEXT_MAX];
	struct error named = *error;

	error_prefix(&named, "%s", endpoint_format(&receiver->options.endpoint, peer));
	return named;
}

/* Not connected for so long that it is told, with the latest cause. */
static void receiver_tell_lost(struct receiver *receiver, const char *cause)
{
	struct incident incident;
	char plan[80];

	incident = absence_tell(&receiver->absence, cause, receiver_plan(receiver, plan));
	receiver_tell(receiver, &incident);
}

/* The connection is of no use any more (the text names the peer): tries again later. It is told when that is over or lasts (absence.h), at once what the operator
 * can mend; and after that each new cause is. */
static void receiver_lose_by(struct receiver *receiver, const struct error *error, const char *word)
{
	uint64_t now = clock_monotonic_us();
	char plan[80], cause[sizeof(receiver->last_cause)], text[sizeof(cause) + 200];
	bool mendable = error->hint[0] != '\0', same;

	away_tell(receiver->away, error);
	receiver_disconnect(receiver);
	timer_start(receiver->retry, backoff_next(&receiver->backoff));
	absence_begin(&receiver->absence, word, error->text);
	snprintf(cause, sizeof(cause), "%s%s%s%s", error->text, mendable ? " (" : "", error->hint, mendable ? ")" : "");
	same = strcmp(receiver->last_cause, cause) == 0 && now - receiver->last_cause_us < REPEAT_NOTE_US;
	if (!same) {
		memcpy(receiver->last_cause, cause, sizeof(cause));
		receiver->last_cause_us = now;
	}
	if (!receiver->absence.told && mendable) {
		receiver_tell_lost(receiver, cause);
	} else if (receiver->absence.told && !same) {
		snprintf(text, sizeof(text), "%s; trying again, to go on %s", cause, receiver_plan(receiver, plan));
		receiver->events.note(receiver->owner, LOG_WARNING, text);
	}
}

static void receiver_lose(struct receiver *receiver, const struct error *error)
{
	receiver_lose_by(receiver, error, ABSENCE_CONNECTION);
}

/* As receiver_lose(), for a cause that only the operator can mend: at the very beginning that is the end. */
static void receiver_refused(struct receiver *receiver, const struct error *error)
{
	struct error told = *error; /* stopping may free what it stands in */

	if (receiver->received) {
		receiver_lose(receiver, error);
		return;
	}
	receiver_stop(receiver);
	receiver->events.gave_up(receiver->owner, &told);
}

/* ---- sending ---- */

static void receiver_send(struct receiver *receiver)
{
	struct error error;

	while (receiver->out.end > receiver->out.start) {
		struct slice bytes = buffer_readable(&receiver->out);
		struct iovec piece = {.iov_base = (void *)bytes.data, .iov_len = bytes.len};
		ssize_t sent = stream_write(receiver->stream, &piece, 1, &error);

		if (sent < 0) {
			receiver_lose(receiver, &error);
			return;
		}
		if (sent == 0) {
			stream_want_write(receiver->stream, true);
			return;
		}
		buffer_consumed(&receiver->out, (size_t)sent);
	}
	stream_want_write(receiver->stream, false);
	if (receiver_state(receiver) == RECEIVER_HANDSHAKE)
		memory_wipe(receiver->out.data, receiver->out.cap); /* the password was in it */
}

/* Once streaming, the offset up to which all is applied. Before the snapshot is, that is 0: a diskless master wants some acknowledgement before it
 * sends its stream, and puts the replica online whatever the offset (Redis and Valkey: replconfCommand()), while with that of FULLRESYNC, WAIT would count a
 * target that has nothing yet. Until streaming, after FULLRESYNC, a newline: it tells the master that this replica is alive, as real ones do while they load. */
static void receiver_acknowledge(struct receiver *receiver)
{
	enum receiver_state state = receiver_state(receiver);
	int64_t applied = atomic_load(&receiver->applied);
	char offset[24];
	bool fits;

	if (receiver->stream == NULL || receiver->out.end - receiver->out.start > OUT_BUSY)
		return;
	if (state == RECEIVER_STREAMING) {
		if (applied < receiver->intake.origin_offset)
			applied = 0;
		snprintf(offset, sizeof(offset), "%" PRId64, applied);
		fits = resp_command_write_strings(&receiver->out, "REPLCONF", "ACK", offset, NULL);
	} else if (state == RECEIVER_WAITING || state == RECEIVER_SNAPSHOT) {
		fits = buffer_append(&receiver->out, "\n", 1);
	} else {
		return;
	}
	if (fits)
		receiver_send(receiver);
}

/* ---- what psync says, done ---- */

/* The connection was taken on as a replica: whatever went wrong before is over. */
static void receiver_accepted(struct receiver *receiver)
{
	receiver->received = true;
	receiver->last_cause[0] = '\0';
	away_end(receiver->away);
}

static struct absence_end receiver_absence_end(const struct receiver *receiver, const struct spool_origin *old)
{
	const struct psync *psync = &receiver->psync;

	return (struct absence_end){
		.endpoint = &receiver->options.endpoint,
		.server = &psync->server,
		.replid = psync->replid,
		.offset = psync->offset,
		.renamed = strcmp(old->replid, psync->replid) != 0,
		.snapshot = receiver->options.snapshot,
		.generation = old->generation,
		.asked_replid = receiver->asked_replid,
		.asked_offset = receiver->asked_offset,
		.asked_anew = receiver->anew_asked,
	};
}

static enum hold receiver_full_resync(struct receiver *receiver)
{
	struct spool_origin old = spool_origin(receiver->options.spool);
	const struct psync *psync = &receiver->psync;
	struct absence_end end = receiver_absence_end(receiver, &old);
	struct incident incident;
	enum hold hold;

	if (receiver_state(receiver) != RECEIVER_WAITING) { /* not when it is tried again */
		receiver_set_state(receiver, RECEIVER_WAITING);
		receiver_accepted(receiver);
		incident = absence_resynced(&receiver->absence, &end);
		receiver_tell(receiver, &incident);
	}
	if (old.generation != 0 && !receiver->resync_asked) {
		receiver->resync_asked = true;
		atomic_store(&receiver->resync_ready, false);
		receiver->events.resync(receiver->owner);
	}
	if (receiver->resync_asked && !atomic_load(&receiver->resync_ready))
		return HOLD_APPLIER;
	hold = intake_begin(&receiver->intake, psync->replid, psync->offset, receiver->options.snapshot);
	if (hold != HOLD_NONE)
		return hold;
	atomic_store(&receiver->applied, -1);
	receiver->resync_asked = receiver->anew_asked = false;
	if (old.generation != 0)
		atomic_fetch_add(&receiver->resyncs, 1);
	atomic_store(&receiver->snapshot_total, 0);
	atomic_store(&receiver->snapshot_received, 0);
	return HOLD_NONE;
}

static enum hold receiver_continued(struct receiver *receiver)
{
	struct spool_origin old = spool_origin(receiver->options.spool);
	const struct psync *psync = &receiver->psync;
	struct absence_end end = receiver_absence_end(receiver, &old);
	struct incident incident;
	enum hold hold;
	char server[64];
	bool first;

	if (old.generation == 0) {
		end.renamed = false;
		hold = intake_begin(&receiver->intake, psync->replid, psync->offset, false);
	} else {
		hold = intake_rename(&receiver->intake, psync->replid);
	}
	if (hold != HOLD_NONE)
		return hold;
	receiver_accepted(receiver);
	receiver_set_state(receiver, RECEIVER_STREAMING);
	/* The first connection of a run that goes well is none that was lost. */
	first = !receiver->absence.had && !receiver->absence.away && !end.renamed;
	incident = absence_continued(&receiver->absence, &end);
	if (first)
		receiver_note(receiver, LOG_INFO, "%s: streaming from offset %" PRId64, server_name(&psync->server, server),
			      psync->offset);
	else
		receiver_tell(receiver, &incident);
	receiver_acknowledge(receiver);
	return HOLD_NONE;
}

static void receiver_snapshot_begins(struct receiver *receiver)
{
	uint64_t length = receiver->psync.snapshot_length;

	receiver->snapshot_since_us = clock_monotonic_us();
	atomic_store(&receiver->snapshot_total, length);
	receiver_set_state(receiver, RECEIVER_SNAPSHOT);
	if (length > 0)
		receiver_note(receiver, LOG_INFO, "the snapshot begins: %" PRIu64 " bytes", length);
	else
		receiver_note(receiver, LOG_INFO,
			      "the snapshot begins; sent straight from memory, so its size is not known before its end");
}

static enum hold receiver_snapshot_ends(struct receiver *receiver)
{
	enum hold hold = receiver->options.snapshot ? intake_finish_snapshot(&receiver->intake) : HOLD_NONE;

	if (hold != HOLD_NONE)
		return hold;
	atomic_store(&receiver->snapshot_total, atomic_load(&receiver->snapshot_received));
	receiver_set_state(receiver, RECEIVER_STREAMING);
	receiver_note(receiver, LOG_INFO, "snapshot of %" PRIu64 " bytes %s in %.1f s; streaming from offset %" PRId64,
		      atomic_load(&receiver->snapshot_received), receiver->options.snapshot ? "received" : "read over",
		      (double)(clock_monotonic_us() - receiver->snapshot_since_us) / 1e6, receiver->intake.origin_offset);
	/* At once: a diskless master begins the stream only when its replica has shown that it is done. */
	receiver_acknowledge(receiver);
	return HOLD_NONE;
}

/* Does the step, or as much of it as can be done now. Not called for NEED_MORE, FAILED and REFUSED. */
static enum hold receiver_act(struct receiver *receiver)
{
	switch (receiver->step) {
	case PSYNC_FULL_RESYNC: return receiver_full_resync(receiver);
	case PSYNC_CONTINUED: return receiver_continued(receiver);
	case PSYNC_SNAPSHOT_BEGIN: receiver_snapshot_begins(receiver); return HOLD_NONE;
	case PSYNC_SNAPSHOT_BYTES:
		return receiver->options.snapshot ? intake_append(&receiver->intake, &receiver->bytes) : HOLD_NONE;
	case PSYNC_SNAPSHOT_END: return receiver_snapshot_ends(receiver);
	case PSYNC_STREAM_BYTES: receiver->settled = true; return intake_append(&receiver->intake, &receiver->bytes);
	default: return HOLD_NONE;
	}
}

/* The next step out of what was read. False: there is none, or the connection is gone. */
static bool receiver_next_step(struct receiver *receiver)
{
	struct slice in = slice_make(receiver->in + receiver->in_start, receiver->in_end - receiver->in_start);
	struct error error;
	size_t taken;

	receiver->step = psync_next(&receiver->psync, in, &taken, &receiver->bytes);
	receiver->in_start += taken;
	switch (receiver->step) {
	case PSYNC_NEED_MORE:
		receiver_send(receiver); /* the handshake's next question */
		return false;
	case PSYNC_FAILED:
		error = receiver_name_peer(receiver, &receiver->psync.error);
		receiver_lose(receiver, &error);
		return false;
	case PSYNC_REFUSED:
		error = receiver_name_peer(receiver, &receiver->psync.error);
		receiver_refused(receiver, &error);
		return false;
	case PSYNC_SNAPSHOT_BYTES:
		atomic_fetch_add_explicit(&receiver->snapshot_received, receiver->bytes.len, memory_order_relaxed);
		return true;
	default: return true;
	}
}

/* Does all that was read, from the held step on. Afterwards either everything is done, or a step is held, or the connection is
 * gone. */
static void receiver_process(struct receiver *receiver)
{
	bool retry = receiver->hold != HOLD_NONE;

	while (retry || receiver_next_step(receiver)) {
		enum hold before = retry ? receiver->hold : HOLD_NONE, after;

		retry = false;
		after = receiver_act(receiver);
		if (receiver->stream == NULL)
			return;
		if (after != before)
			receiver_unread(receiver);
		receiver->hold = after;
		if (receiver->hold != HOLD_NONE) {
			if (receiver->hold != before)
				receiver->hold_since_us = clock_monotonic_us();
			stream_want_read(receiver->stream, false);
			return;
		}
	}
}

/* Something changed that a held step may have waited for. */
static void receiver_read_on(struct receiver *receiver)
{
	if (receiver->stream == NULL || receiver->hold == HOLD_NONE)
		return;
	receiver_process(receiver);
	if (receiver->stream != NULL && receiver->hold == HOLD_NONE) {
		receiver_heard(receiver); /* silence counts from here */
		stream_want_read(receiver->stream, true);
	}
}

/* ---- the stream's events ---- */

static void receiver_connected(void *owner)
{
	struct receiver *receiver = owner;
	struct spool_origin origin = spool_origin(receiver->options.spool);
	struct psync_request request = {
		.credentials = receiver->options.credentials,
		.name = receiver->options.name,
		.no_foreign_replica = receiver->options.master,
		.from_now = !receiver->options.snapshot && origin.generation == 0,
	};
	int64_t held = intake_held_offset(&receiver->intake);

	if (receiver->connected_before)
		atomic_fetch_add(&receiver->reconnects, 1);
	receiver->connected_before = true;
	receiver->asked_replid[0] = '\0';
	/* Once the applier was asked to let go there is no way back: only a new generation puts it to work again. */
	if (held >= 0 && !receiver->resync_asked) {
		memcpy(receiver->asked_replid, origin.replid, sizeof(origin.replid));
		receiver->asked_offset = held;
		request.replid = receiver->asked_replid;
		request.offset = held;
	}
	receiver->intake.origin_offset = origin.offset;
	receiver_heard(receiver);
	receiver_set_state(receiver, RECEIVER_HANDSHAKE);
	psync_begin(&receiver->psync, &request, &receiver->out);
	receiver_send(receiver);
}

static void receiver_readable(void *owner)
{
	struct receiver *receiver = owner;
	struct error error;

	for (int i = 0; i < READS_A_TURN && receiver->stream != NULL && receiver->hold == HOLD_NONE; i++) {
		ssize_t len = stream_read(receiver->stream, receiver->in, IN_SIZE, &error);

		if (len < 0) {
			receiver_lose(receiver, &error);
			return;
		}
		if (len == 0)
			return;
		receiver_heard(receiver);
		atomic_fetch_add_explicit(&receiver->bytes_received, (uint64_t)len, memory_order_relaxed);
		receiver->in_start = 0;
		receiver->in_end = (size_t)len;
		receiver_process(receiver);
	}
}

static void receiver_writable(void *owner)
{
	receiver_send(owner);
}

static void receiver_failed(void *owner, const struct error *error)
{
	struct receiver *receiver = owner;

	/* A stream that knows what to do about its failure (certificates, TLS or not) has met a matter of configuration. */
	if (error->hint[0] != '\0')
		receiver_refused(receiver, error);
	else
		receiver_lose(receiver, error);
}

static void receiver_connect(struct receiver *receiver)
{
	static const struct stream_events events = {
		.connected = receiver_connected,
		.readable = receiver_readable,
		.writable = receiver_writable,
		.failed = receiver_failed,
	};
	const struct stream_options options = {
		.endpoint = receiver->options.endpoint,
		.tls = receiver->options.tls,
		.tls_name = receiver->options.tls_name,
		.connect_timeout_ms = receiver->options.connect_timeout_ms,
		.blame = ERROR_SOURCE,
	};

	receiver_set_state(receiver, RECEIVER_CONNECTING);
	receiver->stream = stream_connect(receiver->loop, &options, &events, receiver);
}

static void receiver_try_again(void *owner)
{
	receiver_connect(owner);
}

/* ---- each second, and what other threads ask for ---- */

static void receiver_check_silence(struct receiver *receiver)
{
	uint64_t silent_us = clock_monotonic_us() - atomic_load(&receiver->last_heard_us);
	struct error error;

	/* While connecting, the stream has its own time-out; while a step is held, nothing is read. */
	if (receiver->stream == NULL || receiver_state(receiver) == RECEIVER_CONNECTING || receiver->hold != HOLD_NONE ||
	    silent_us < (uint64_t)receiver->options.repl_timeout_ms * 1000)
		return;
	error_set(&error, ERROR_SOURCE, "nothing was heard of the source for %.1f s", (double)silent_us / 1e6);
	error = receiver_name_peer(receiver, &error);
	receiver_lose_by(receiver, &error, ABSENCE_SILENCE);
}

static void receiver_check_room(struct receiver *receiver)
{
	if (receiver->hold == HOLD_ROOM && clock_monotonic_us() - receiver->hold_since_us >= FULL_NOTE_US)
		intake_tell_full(&receiver->intake, receiver->hold_since_us);
}

static void receiver_tick(void *owner)
{
	struct receiver *receiver = owner;

	if (receiver->hold == HOLD_DISK)
		receiver_read_on(receiver);
	if (receiver->intake.unflushed)
		intake_flush(&receiver->intake, false);
	receiver_check_room(receiver);
	receiver_check_silence(receiver);
	if (absence_is_due(&receiver->absence))
		receiver_tell_lost(receiver, receiver->last_cause[0] != '\0' ? receiver->last_cause : receiver->absence.why);
	if (receiver_state(receiver) == RECEIVER_STREAMING)
		receiver->settled = true;
	receiver_acknowledge(receiver);
}

static void receiver_go_to(struct receiver *receiver)
{
	char to[ENDPOINT_TEXT_MAX];
	struct endpoint endpoint;
	struct error why;

	pthread_mutex_lock(&receiver->move_lock);
	endpoint = receiver->move_to;
	pthread_mutex_unlock(&receiver->move_lock);
	if (endpoint_equal(&endpoint, &receiver->options.endpoint))
		return;
	error_set(&why, ERROR_SOURCE, "%s is to be read now", endpoint_format(&endpoint, to));
	absence_begin(&receiver->absence, ABSENCE_MOVED, why.text);
	receiver->options.endpoint = endpoint;
	if (receiver_state(receiver) == RECEIVER_STOPPED)
		return;
	away_tell(receiver->away, &why);
	timer_stop(receiver->retry);
	receiver_disconnect(receiver);
	backoff_reset(&receiver->backoff);
	receiver->last_cause[0] = '\0';
	receiver_connect(receiver);
}

/* As if the source had insisted on a full resync, and the applier had let go. */
static void receiver_ask_anew(struct receiver *receiver)
{
	receiver->resync_asked = receiver->anew_asked = true;
	if (receiver_state(receiver) == RECEIVER_STOPPED)
		return;
	timer_stop(receiver->retry);
	receiver_disconnect(receiver);
	backoff_reset(&receiver->backoff);
	receiver_connect(receiver);
}

static void receiver_woken(void *owner)
{
	struct receiver *receiver = owner;

	if (atomic_exchange(&receiver->moved, false))
		receiver_go_to(receiver);
	if (atomic_exchange(&receiver->anew, false))
		receiver_ask_anew(receiver);
	if (receiver->hold == HOLD_ROOM || receiver->hold == HOLD_APPLIER)
		receiver_read_on(receiver);
	if (atomic_exchange(&receiver->ack_now, false) && receiver_state(receiver) == RECEIVER_STREAMING)
		receiver_acknowledge(receiver);
}

static void receiver_room_made(void *owner)
{
	wake_send(((struct receiver *)owner)->wake);
}

void receiver_resync_ready(struct receiver *receiver)
{
	atomic_store(&receiver->resync_ready, true);
	wake_send(receiver->wake);
}

void receiver_begin_anew(struct receiver *receiver)
{
	atomic_store(&receiver->resync_ready, true);
	atomic_store(&receiver->anew, true);
	wake_send(receiver->wake);
}

void receiver_move(struct receiver *receiver, const struct endpoint *endpoint)
{
	pthread_mutex_lock(&receiver->move_lock);
	receiver->move_to = *endpoint;
	pthread_mutex_unlock(&receiver->move_lock);
	atomic_store(&receiver->moved, true);
	wake_send(receiver->wake);
}

void receiver_set_applied(struct receiver *receiver, int64_t offset, bool now)
{
	atomic_store(&receiver->applied, offset);
	if (now) {
		atomic_store(&receiver->ack_now, true);
		wake_send(receiver->wake);
	}
}

struct receiver_status receiver_status(const struct receiver *receiver)
{
	return (struct receiver_status){
		.state = receiver_state(receiver),
		.snapshot_bytes_total = atomic_load(&receiver->snapshot_total),
		.snapshot_bytes_received = atomic_load(&receiver->snapshot_received),
		.bytes_received = atomic_load(&receiver->bytes_received),
		.reconnects = atomic_load(&receiver->reconnects),
		.resyncs = atomic_load(&receiver->resyncs),
		.last_heard_us = atomic_load(&receiver->last_heard_us),
		.away = away_status(receiver->away),
	};
}

/* ---- life ---- */

struct receiver *receiver_new(struct loop *loop, const struct receiver_options *options, const struct receiver_events *events,
			      void *owner)
{
	struct receiver *receiver = memory_alloc_zero(1, sizeof(*receiver));

	receiver->loop = loop;
	receiver->options = *options;
	if (receiver->options.repl_timeout_ms == 0)
		receiver->options.repl_timeout_ms = REPL_TIMEOUT_MS;
	receiver->events = *events;
	receiver->owner = owner;
	receiver->in = memory_alloc(IN_SIZE);
	receiver->away = away_new();
	buffer_init(&receiver->out, OUT_MAX);
	psync_init(&receiver->psync);
	intake_init(&receiver->intake, options->spool, &receiver_intake_events, receiver);
	receiver->tick = timer_new(loop, receiver_tick, receiver);
	receiver->retry = timer_new(loop, receiver_try_again, receiver);
	receiver->wake = wake_new(loop, receiver_woken, receiver);
	backoff_init(&receiver->backoff, BACKOFF_FIRST_MS, BACKOFF_MOST_MS, clock_monotonic_us() ^ (uintptr_t)receiver);
	pthread_mutex_init(&receiver->move_lock, NULL);
	atomic_store(&receiver->applied, -1);
	receiver_set_state(receiver, RECEIVER_STOPPED);
	spool_on_room(options->spool, receiver_room_made, receiver);
	return receiver;
}

void receiver_start(struct receiver *receiver)
{
	receiver->received = spool_origin(receiver->options.spool).generation != 0;
	timer_repeat(receiver->tick, TICK_MS, TICK_MS);
	receiver_connect(receiver);
}

void receiver_stop(struct receiver *receiver)
{
	if (receiver_state(receiver) == RECEIVER_STOPPED)
		return;
	timer_stop(receiver->tick);
	timer_stop(receiver->retry);
	receiver_disconnect(receiver);
	away_end(receiver->away);
	intake_flush(&receiver->intake, true);
	receiver_set_state(receiver, RECEIVER_STOPPED);
}

void receiver_free(struct receiver *receiver)
{
	if (receiver == NULL)
		return;
	receiver_stop(receiver);
	spool_on_room(receiver->options.spool, NULL, NULL);
	timer_free(receiver->tick);
	timer_free(receiver->retry);
	wake_free(receiver->wake);
	pthread_mutex_destroy(&receiver->move_lock);
	psync_free(&receiver->psync);
	buffer_free(&receiver->out);
	away_free(receiver->away);
	free(receiver->in);
	free(receiver);
}
