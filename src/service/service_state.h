/* Inside the service: what its files share.
 *
 * All of it is behind one lock, which calls and the main thread's callbacks take for a moment; nothing is waited for with it held but the disk. Processes, lines and timers are the
 * main thread's: a call changes what is wanted and wakes that thread, which brings it about (supervisor.c).
 * Thread: as service.h says. Functions here want the lock, unless told otherwise. */
#ifndef KEYFERRY_SERVICE_SERVICE_STATE_H
#define KEYFERRY_SERVICE_SERVICE_STATE_H

#include "base/buffer.h"
#include "control/task.h"
#include "net/poller.h"
#include "service/differences.h"
#include "service/outcome.h"
#include "service/service.h"
#include "service/trend.h"
#include "service/worker_line.h"
#include "store/store.h"
#include "store/vault.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define RUN_ID_LEN 32
#define JOB_TEXT_MAX (4u << 20) /* of what a job prints; a line of a verification is shorter */

/* A process that runs a task. */
struct worker {
	pid_t pid;
	int pidfd;                /* -1: there is no worker */
	struct poller *exit;      /* of the pidfd */
	struct worker_line *line; /* NULL: not connected */
	bool line_closed;         /* to be freed */
	bool adopted;             /* it ran already when this daemon started */
	bool exited;              /* to be seen to */
	bool ending;              /* was asked to end */
	bool killed;              /* for it did not */
	json_t *orders;           /* requests that have not been sent yet; NULL: none */
	char run[RUN_ID_LEN + 1], version[64];
	int64_t revision; /* of the document that it has */
	int64_t started_ms;
	uint64_t started_us, ending_us, asked_us; /* monotonic; asked for its status last */
	uint64_t answered_us;                     /* 0: never */
	json_t *metrics; /* its last answer; NULL: none, or it knows no such request. Read by others when the lock is let go of: never changed */
	uint64_t metrics_us,
		metrics_wanted_us; /* monotonic: when it came, 0: never; since when another one is wanted, 0: none is */
	bool metrics_asked;        /* on the line, and not answered yet */
};

/* A process that does something with a task, beside or instead of its worker. */
struct job {
	int64_t id;
	enum service_job kind;
	json_t *options;
	char language[3];
	int64_t begun_ms;
	pid_t pid;
	int pidfd, output; /* -1: not started yet */
	struct poller *exit, *reader;
	bool exited, cancelled;
	bool while_running; /* the task ran when it was asked for: its state is left alone */
	enum task_state state_before;
	json_t *error_before;             /* likewise; NULL */
	struct buffer text;               /* what it has printed; of a verification, what is no line yet */
	json_t *summary, *differences;    /* of a verification; of the differences the first ones */
	struct differences_writer *found; /* all of them; NULL: it cannot be written */
	uint64_t difference_count;
};

/* A task. */
struct entry {
	struct service *service;
	struct store_task row;
	json_t *document;                    /* row.document, read */
	uint64_t limit_records, limit_bytes; /* as it says; 0: unlimited */
	enum wanted wanted;                  /* row.wanted, read */
	char *dir;                           /* work directory */
	bool unsaved;                        /* the row could not be written: again later */
	struct worker worker;
	uint64_t start_at_us;  /* monotonic: no start before; 0: at once */
	int64_t restart_at_ms; /* the same as wall clock, for people; 0: none */
	uint32_t pause_ms;     /* before the last start; outcome_pause() */
	uint32_t restarts;
	uint64_t held_since_us; /* somebody else has the work directory since; 0: nobody */
	json_t *error;          /* row.error, read; NULL */
	json_t *last_error;     /* with "at"; NULL */
	json_t *status;         /* the worker's last word; NULL */
	int64_t status_ms;
	struct trend *trend; /* NULL: it has not run for a day */
	struct job *job;     /* NULL: none */
};

struct service {
	const struct service_config *config;
	struct store *store;
	struct vault *vault;
	int lock_file;
	int64_t started_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* waited for by CLOCK_MONOTONIC */
	struct entry **entries; /* by id */
	size_t count;
	struct store_token *tokens; /* as the store has them */
	size_t token_count;
	struct loop *loop;
	struct wake *wake;
	struct timer *tick;
	atomic_int end; /* enum service_end, or -1 */
	atomic_bool reload_asked;
	void (*reload)(void *owner);
	void *reload_owner;
	bool store_failed;              /* at the last write */
	int64_t last_job;               /* from the time of the start on, so that no number comes again */
	uint64_t ending_us;             /* monotonic, since when it ends; 0: it does not */
	uint64_t trends_us;             /* monotonic, when minutes of trends were stored last */
	atomic_uint_fast64_t turned_us; /* the main thread, last */
};

/* ---- service.c ---- */

/* Something is to be brought about, and to be shown. */
void service_touch(struct service *service);
/* That far from now, for waiting for `changed`. Without the lock. */
struct timespec service_deadline(uint32_t ms);
/* By id or name; NULL: none. */
struct entry *service_find(struct service *service, const char *task);
/* SERVICE_NOT_FOUND with its text. */
enum service_result service_no_task(const char *task, struct error *error);
/* Into the audit log, best effort. `entry` NULL: none; detail is taken over, NULL: none. */
void service_note(struct service *service, const struct service_caller *caller, const char *action, const struct entry *entry,
		  enum service_result result, const struct error *error, json_t *detail);

/* ---- entry.c: a task's row and what is kept with it ---- */

/* The row is taken over. */
struct entry *entry_new(struct service *service, struct store_task *row);
void entry_free(struct entry *entry);
/* The row has another document now. */
void entry_read_document(struct entry *entry);
/* The task's whole document, with its secrets; dump it, wipe it. NULL + error. */
json_t *entry_whole_document(const struct entry *entry, struct error *error) WARN_UNUSED;
/* What the secrets of a task are sealed for, however long its name is: a text to free. */
char *entry_secrets_context(const char *name) WARN_UNUSED;
/* Documents with secrets: wipes the texts that json_dumps() made. */
void text_wipe(char *text);
/* Stores it and tells it, if it is another one than before. `error` NULL: none; taken over. */
void entry_set_state(struct entry *entry, enum task_state state, json_t *error);
enum task_state entry_state(const struct entry *entry);
/* Stores it; false: the store did not take it, and nothing has changed. */
bool entry_set_wanted(struct entry *entry, enum wanted wanted, struct error *error) WARN_UNUSED;
/* The row as it is; kept for later when the store does not take it. */
void entry_save(struct entry *entry);
/* New events of a status, older than `before_ms` (those of that very millisecond may not be complete). */
void entry_take_events(struct entry *entry, const json_t *status, int64_t before_ms);
json_t *error_tree(const struct error *error);

/* ---- supervisor.c: workers ---- */

/* Brings about what is wanted. Main thread. */
void supervisor_turn(struct service *service);
/* False: workers or jobs are left. */
bool supervisor_is_empty(const struct service *service);
/* Lets go of workers, which go on. */
void supervisor_leave(struct service *service);
bool supervisor_has_no_jobs(const struct service *service);
bool entry_has_worker(const struct entry *entry);
/* Asks the task's worker to end; it is started again where that is wanted. Any thread. */
void supervisor_end_worker(struct entry *entry);
/* Has a request sent to the worker, in the place of one of the same kind that has not gone off yet; nothing where there is no worker. The tree is taken over. Any thread. */
void supervisor_order(struct entry *entry, json_t *request);
/* Tells it the level of the log that it is to have. Any thread. */
void supervisor_tell_level(struct entry *entry);
/* Takes over workers that run already. Main thread. */
void supervisor_find(struct service *service);
/* The descriptor of the task's document, for a process in the work directory, which is there then; -1 + error. */
int supervisor_document(const struct entry *entry, struct error *error) WARN_UNUSED;

/* ---- service_metrics.c ---- */

/* Sends the request, where somebody waits for it. Main thread, as the next one. */
void worker_ask_metrics(struct worker *worker);
void worker_take_metrics(struct entry *entry, const json_t *answer);

/* ---- job.c ---- */

struct job *job_new(enum service_job kind, const json_t *options, const char *language, bool while_running);
/* Starts what waits and sees to what has ended. Main thread. */
void job_turn(struct entry *entry);
void job_free(struct job *job);
/* Asks it to end. */
void job_end(struct job *job);

/* ---- view.c ---- */

json_t *view_task(const struct entry *entry, bool with_document);
json_t *view_status(const struct entry *entry);
json_t *view_job(const struct job *job);
json_t *view_time(int64_t ms); /* 0: null */
/* Of the worker's last word, for its trend. False: it has no links. */
bool view_values(const struct entry *entry, double ret[TREND_VALUES]);

/* ---- trends.c: trends of all tasks, and the store ---- */

/* Puts back what the store has of a task. */
bool trends_load(struct entry *entry, struct error *error) WARN_UNUSED;
/* The worker has told its status. */
void trends_take(struct entry *entry);
/* Stores minutes that are over, now and then; `all`: also those that are not, for the daemon ends. Best effort: a minute that the store does not take is missing after a restart. */
void trends_save(struct service *service, bool all);

#endif
