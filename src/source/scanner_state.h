/* The inside of a scanner, for the two files that it is made of: scanner.c (who is connected, what is told, what is read) and scan_pass.c (passes, moments, names).
 * Thread: the source's loop. */
#ifndef KEYFERRY_SOURCE_SCANNER_STATE_H
#define KEYFERRY_SOURCE_SCANNER_STATE_H

#include "base/log.h"
#include "source/away.h"
#include "source/backlog.h"
#include "source/backoff.h"
#include "source/listener.h"
#include "source/reader.h"
#include "source/scan_writer.h"
#include "source/scanner.h"

#include <stdatomic.h>

enum pass { PASS_NONE, PASS_LISTING, PASS_SCANNING, PASS_ENDING, PASS_NAMES, PASS_SETTLING };

/* The moment whose keys are being awaited. */
struct moment {
	bool asked;   /* the barrier is under way */
	bool pending; /* it has passed: keys with this mark, or an older one, are being read */
	bool read;    /* they are asked for: answered when the reader comes to `answers` */
	uint64_t answers;
	struct sample sample;
};

struct scanner {
	struct loop *loop;
	struct scanner_options options;
	struct scanner_events events;
	void *owner;
	struct reader *reader;
	struct listener *listener; /* NULL: none wanted, or not now */
	struct scan_writer *scan_writer;
	struct heartbeat *heartbeat;
	struct timer *tick, *listen_retry, *later_timer;
	struct idle *again, *doom;
	struct wake *wake;
	struct backoff listen_backoff;
	struct error error; /* of the doom */

	bool running;
	bool listens;   /* notifications are wanted */
	bool reader_up; /* its connection stands */
	bool ever_listened, ever_connected;
	uint64_t lost_us; /* when its server was lost; 0: it is not, or another one is read now */
	char lost_why[sizeof(((struct error *)NULL)->text)];
	bool setting_asked, setting_known, setting_noted;
	unsigned channels;
	uint64_t beat_seen_us, listening_since_us;
	bool beat_noted;
	enum hold hold;
	bool resync_asked, begun;

	enum pass pass;
	bool pass_due;
	bool stale;      /* something may have been missed since the last pass began */
	uint64_t misses; /* counted; a pass that sees none more has seen everything */
	uint64_t misses_at_pass;
	uint64_t passes, pass_keys, pass_gone;
	uint64_t pass_began_us;
	struct sample pass_sample;
	uint64_t next_pass_us; /* 0: none is due by the clock */
	uint32_t *databases;
	uint32_t database_count, database_at;
	bool full_noted;
	uint8_t *missing; /* a name that did not fit into `changes` yet */
	size_t missing_len;
	uint32_t missing_db;

	struct backlog *backlog;
	struct moment moment;
	uint64_t silent_calls, silent_polled_us;
	bool silent_known, silent_asked;
	int64_t commit_at; /* the offset behind what was found missing; -1: nothing is to be committed */
	bool names_refused;

	/* From and for other threads. */
	_Atomic int64_t applied;
	atomic_bool resync_ready;
	atomic_bool connected, complete;
	struct away *away;
	_Atomic uint64_t bytes_received, reconnects, resyncs;
};

/* ---- scanner.c ---- */

void scanner_note(struct scanner *scanner, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
bool scanner_in_snapshot(const struct scanner *scanner);
bool scanner_selects(const struct scanner *scanner, uint32_t db);
/* One pass was all that was asked for. */
void scanner_finish(struct scanner *scanner);

/* ---- scan_pass.c ---- */

/* Something may have happened that nobody was told of: another pass has to look for it. */
void scan_pass_missed(struct scanner *scanner);
/* Begins a moment where one is worth something: each second, and at the end of a pass. */
void scan_pass_ask_moment(struct scanner *scanner);
/* The barrier was answered. */
void scan_pass_hold_moment(struct scanner *scanner);
void scan_pass_forget_moment(struct scanner *scanner);
/* Something was answered, and flushed: is the moment over? */
void scan_pass_check_moment(struct scanner *scanner);
/* The databases are known, or one of them is read. */
void scan_pass_next_database(struct scanner *scanner);
/* Begins a pass that is due, and brings one to its end. */
void scan_pass_run(struct scanner *scanner);
/* Forgets names whose keys the target has lost. */
void scan_pass_commit_names(struct scanner *scanner);

#endif
