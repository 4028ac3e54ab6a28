/* The service: what `keyferry serve` does, without how it is asked.
 *
 * It keeps the tasks in the store, runs a worker process per running task (service/supervisor.h) and jobs (precheck, verify, cut-over, finish) as processes of their own, and
 * answers calls. The API is made of these calls and nothing else; the daemon's unix socket (service/call.h) has the same ones.
 *
 * Values are JSON trees of jansson: a returned one is new and belongs to the caller (json_decref()). Times are RFC 3339. No call ever returns a secret of a document: where one
 * is set stands SERVICE_SECRET, and a document that comes with that in the same place keeps the secret which is stored.
 *
 * Thread: service_open(), service_run() and service_close() main; service_stop(), service_reload() also from signal handlers; all others any thread, while service_run() runs
 * or before it. A call takes one lock for a moment and never waits for a worker, a server or another call's job; service_metrics() waits as long as it is told.
 * Every call that changes something writes the audit log by itself, also when it is refused, in the name of its caller. */
#ifndef KEYFERRY_SERVICE_SERVICE_H
#define KEYFERRY_SERVICE_SERVICE_H

#include "base/error.h"
#include "base/slice.h"
#include "service/config.h"
#include "service/worker_log.h"

#include <jansson.h>

#define SERVICE_SECRET "********"

struct service;

/* What became of a call, for those who translate it (HTTP codes). The error says it in words. */
enum service_result {
	SERVICE_OK,
	SERVICE_INVALID,   /* the document or an argument is wrong: 400, 422 */
	SERVICE_NOT_FOUND, /* no such task: 404 */
	SERVICE_EXISTS,    /* the name is taken: 409 */
	SERVICE_STATE,     /* not in this state; the hint says what to do first: 409 */
	SERVICE_CHANGED,   /* the revision that was given is not the present one: 412 */
	SERVICE_FULL,      /* a bound is reached (STORE_TASKS_MAX): 507 */
	SERVICE_FAILED,    /* the machine: disk, processes: 500 */
};

/* "ok", "not-found", ... */
const char *service_result_name(enum service_result result);

/* Who calls, for the audit log: "token:ci-deploy" and "10.0.0.7"; "unix:uid 0" and "". Copied. */
struct service_caller {
	const char *who;
	const char *from;
};

/* Opens the data directory (made with 0700; ERROR_BUSY: another daemon has it), store and key, and loads all tasks. Nothing runs yet. */
struct service *service_open(const struct service_config *config, struct error *error) WARN_UNUSED;
/* Finds workers that are running and takes them over, starts what is wanted to run, and works until service_stop(). */
bool service_run(struct service *service, struct error *error) WARN_UNUSED;
/* How it ends, told by the first call:
 *   SERVICE_END_WORKERS   workers are stopped cleanly, each at its position; what is wanted stays as it is, so the next start resumes (SIGTERM, SIGINT)
 *   SERVICE_LEAVE_WORKERS workers go on by themselves and the next daemon takes them over (SIGUSR2 restarts the program so: docs/serve.md, upgrade) */
enum service_end { SERVICE_END_WORKERS, SERVICE_LEAVE_WORKERS };
void service_stop(struct service *service, enum service_end end);
enum service_end service_ended(const struct service *service);
/* Calls `reload` on the main thread soon (SIGHUP); service_reload_set() says which. */
void service_reload(struct service *service);
void service_reload_set(struct service *service, void (*reload)(void *owner), void *owner);
/* Takes what may change while it runs: worker.*, restart.*, log_level. `config` stays valid and as it is until the next call, or the end. Main thread. */
void service_configure(struct service *service, const struct service_config *config);
void service_close(struct service *service); /* NULL is fine */

/* ---- tasks ---- */

/* A task is named by its id ("7") or its name; a name never is a number (it is refused at the creation).
 *
 * The tree of a task ("summary" below has all but document):
 * {"id": 7, "name": "orders", "state": "streaming", "since": TIME,
 *  "error": null | {"kind","text","hint","exit_code"}      the cause of failed and precheck-failed; while it waits for its next start as well
 *  "last_error": null | {..., "at": TIME}                  the last one, also when it is over
 *  "wanted": "idle"|"running"|"paused"|"finished", "revision": 3, "created": TIME, "updated": TIME,
 *  "source": {"mode","address":[...]}, "target": {...}     as the document has them; urls and paths without secrets
 *  "restarts": 2,                                           since it was started by an operator
 *  "restart_at": null | TIME,                               when the next start is tried
 *  "worker": null | {"pid","version","started": TIME,"document_revision", "adopted": bool, "ending": bool, "answers": bool},
 *  "job": null | {"id","kind":"verify","begun": TIME},      that is under way
 *  "progress": null | 0.43,                                 of the snapshot, over all links
 *  "lag": {"seconds": null|0.2,"bytes": null|0}, "rates": {"commands_per_second","bytes_per_second"}, "links": 3, "links_connected": 3,
 *  "limit": {"records_per_second": 0,"bytes_per_second": 0}, 0: unlimited
 *  "log_level": "info",
 *  "document": {...}} */

/* *ret: [summary, ...] by id. */
enum service_result service_task_list(struct service *service, json_t **ret, struct error *error) WARN_UNUSED;
enum service_result service_task_show(struct service *service, const char *task, json_t **ret, struct error *error) WARN_UNUSED;
/* What status_page_json() says (docs/status.md) as a worker told it last: while it runs once a second, then its last word; "links": [] where none has told anything since the daemon
 * started. state, since and error are the service's; "as_of": TIME of the worker's word, null without one. */
enum service_result service_task_status(struct service *service, const char *task, json_t **ret, struct error *error) WARN_UNUSED;

/* `document`: YAML or JSON text as `keyferry sync` takes it, with a `name`. Checked whole, as `keyferry sync` does it before it asks any server: files of passwords and of a script have to be there. The task is `created`; *ret its tree. */
enum service_result service_task_create(struct service *service, const struct service_caller *caller, struct slice document,
					json_t **ret, struct error *error) WARN_UNUSED;
/* The whole document anew; the name stays. `revision` 0: whatever is there now. Not while it runs or a job is under way (SERVICE_STATE). `accept_changes`: options that decide
 * what is copied may change though it has copied already (as --accept-changes). Back to `created`, or `paused` where it was begun. */
enum service_result service_task_update(struct service *service, const struct service_caller *caller, const char *task,
					int64_t revision, bool accept_changes, struct slice document, json_t **ret,
					struct error *error) WARN_UNUSED;
/* Not while it runs or a job is under way. Its work directory goes too; the target is left alone (finish first, to leave nothing of keyferry there). */
enum service_result service_task_delete(struct service *service, const struct service_caller *caller, const char *task,
					struct error *error) WARN_UNUSED;
/* Reads a document as creation does and stores nothing: *ret the document as JSON. `task`: whose stored secrets SERVICE_SECRET stands for; NULL: of none. */
enum service_result service_document_check(struct service *service, const char *task, struct slice document, json_t **ret,
					   struct error *error) WARN_UNUSED;
/* Puts the stored secrets of `task` (NULL: of none) where SERVICE_SECRET stands in a document, which need not be whole: for asking its servers. It goes into no answer then. */
enum service_result service_document_open(struct service *service, const char *task, json_t *document,
					  struct error *error) WARN_UNUSED;

/* What an operator asks of a task. Each answers at once, with *ret the task's tree; what becomes of it is told by state and history.
 *   from                                       does                                                          ends in
 *   START   created ready precheck-failed      checks, then runs; goes on where there is a position          prechecking, snapshot, streaming
 *           failed paused
 *   PAUSE   running, or waiting for restart    ends the worker cleanly; the position is kept                 paused
 *   RESUME  paused failed                      as START
 *   STOP    running paused failed              as PAUSE, and forgets the failure                             ready
 *   RESTART running                            worker ended cleanly and started at once (new binary)         as START */
enum service_action { SERVICE_START, SERVICE_PAUSE, SERVICE_RESUME, SERVICE_STOP, SERVICE_RESTART };
const char *service_action_name(enum service_action action); /* "start" */
enum service_result service_task_do(struct service *service, const struct service_caller *caller, const char *task,
				    enum service_action action, json_t **ret, struct error *error) WARN_UNUSED;

/* A change that a running worker takes at once; the document has it then, as a new revision. 0: unlimited. */
enum service_result service_task_limit(struct service *service, const struct service_caller *caller, const char *task,
				       uint64_t records_per_second, uint64_t bytes_per_second, json_t **ret,
				       struct error *error) WARN_UNUSED;
/* "debug", "info", "warning", "error"; of the task's worker. */
enum service_result service_task_log_level(struct service *service, const struct service_caller *caller, const char *task,
					   const char *level, json_t **ret, struct error *error) WARN_UNUSED;

/* ---- jobs: one at a time per task ---- */

/* PRECHECK  when it does not run: state prechecking, then ready or precheck-failed; while it runs the state stays. Result: the report of `keyferry precheck --format json`.
 * VERIFY    while it streams or is paused: the result of `keyferry verify --format json`. options {"mode": "full"|"outline", "repair": bool}
 * CUTOVER   while it streams: `keyferry cutover --format json`; options {"verify": "outline"|"full"|"none", "by_hand": bool, "dry_run": bool, "timeout": "30m", "hold": "60s"}. When it is done the task is finished.
 * FINISH    when it does not run: `keyferry finish`; then finished.
 * A job runs in a process of its own, which ends with the daemon (a cut-over rolls back, a finish is made again). */
enum service_job { SERVICE_JOB_PRECHECK, SERVICE_JOB_VERIFY, SERVICE_JOB_CUTOVER, SERVICE_JOB_FINISH, SERVICE_JOBS };
const char *service_job_name(enum service_job job); /* "precheck" */
/* `options`: NULL or an object; an unknown member is SERVICE_INVALID. `language`: "en" or "zh" for texts of the precheck. *ret: {"id","kind","begun"}. */
enum service_result service_job_start(struct service *service, const struct service_caller *caller, const char *task,
				      enum service_job job, const json_t *options, const char *language, json_t **ret,
				      struct error *error) WARN_UNUSED;
/* Ends the job that is under way (SIGTERM). */
enum service_result service_job_cancel(struct service *service, const struct service_caller *caller, const char *task,
				       struct error *error) WARN_UNUSED;

/* ---- what was ---- */

enum service_log { SERVICE_HISTORY, SERVICE_EVENTS, SERVICE_RESULTS, SERVICE_AUDIT };

/* Newest first. *ret: {"items": [...], "next": null | ID for `before`}; most is cut to 1000. `task` NULL: of all tasks. `kind` NULL: of all kinds (results: "verify").
 *   history  {"id","task","time","state","error"}
 *   events   {"id","task","time","kind","cause","link","text","offset","cost"}           docs/events.md
 *   results  {"id","task","time","kind","job","begun","exit_code","error","result": {...}}     result: as the command printed it
 *   audit    {"id","task","time","action","who","from","result","detail"} */
enum service_result service_log_list(struct service *service, enum service_log log, const char *task, const char *kind,
				     int64_t before, uint32_t most, json_t **ret, struct error *error) WARN_UNUSED;
/* All differences of the last verification that has ended, page by page (service/differences.h). `kind` as in results of a verification, NULL: all; `after`: `next` of the page before, 0: the
 * first page. *ret: {"job": its id | null, "items": [{"kind","db","key","target_db","target_key","difference","repaired"}], "next": null | NUMBER}. */
enum service_result service_differences(struct service *service, const char *task, const char *kind, int64_t after, uint32_t most,
					json_t **ret, struct error *error) WARN_UNUSED;
/* How it went, for charts; `span` "15m", "1h" or "24h". *ret: service/trend.h. */
enum service_result service_task_trend(struct service *service, const char *task, const char *span, json_t **ret,
				       struct error *error) WARN_UNUSED;
/* The last `most` lines of the worker's log (at most 10000): {"lines": [...]}, as written by it. */
enum service_result service_task_log(struct service *service, const char *task, uint32_t most, json_t **ret,
				     struct error *error) WARN_UNUSED;
/* The same bit by bit (service/worker_log.h): where the last `most` lines begin, and lines from a place on, added to the array; *ret_more: there were any, so there may be more. */
enum service_result service_task_log_back(struct service *service, const char *task, uint32_t most, struct worker_log_place *ret,
					  struct error *error) WARN_UNUSED;
enum service_result service_task_log_read(struct service *service, const char *task, struct worker_log_place *place,
					  json_t *lines, bool *ret_more, bool *ret_gap, struct error *error) WARN_UNUSED;
/* Of what service/ does not do itself: logins, refused tokens. `detail` NULL or an object without secrets; taken over. */
void service_audit(struct service *service, const struct service_caller *caller, const char *action, const char *result,
		   json_t *detail);

bool service_stopping(const struct service *service);

/* ---- tokens ---- */

enum service_role { SERVICE_VIEWER, SERVICE_OPERATOR, SERVICE_ADMIN };
const char *service_role_name(enum service_role role);
/* *ret: {"id","name","role","created","expires","token": "kf_..."}: the only time that the token is told. expires_ms 0: never. */
enum service_result service_token_create(struct service *service, const struct service_caller *caller, const char *name,
					 enum service_role role, int64_t expires_ms, json_t **ret,
					 struct error *error) WARN_UNUSED;
/* *ret: [{"id","name","role","created","expires","used"}]. */
enum service_result service_token_list(struct service *service, json_t **ret, struct error *error) WARN_UNUSED;
enum service_result service_token_delete(struct service *service, const struct service_caller *caller, int64_t id,
					 struct error *error) WARN_UNUSED;
/* Is it one, and not expired? name: for service_caller. Writes to the disk once a minute at most (when it was used). */
bool service_token_check(struct service *service, const char *token, enum service_role *ret_role, char name[128]);

/* ---- the daemon ---- */

/* What the running workers tell of themselves, each asked now: {"orders": a tree of control/exposition.h, ...} of all tasks that have a worker or should have one; null: it did not answer
 * within patience_ms, or is of a version that does not know the question. Who has once let that time pass is not waited for again before it answers. */
json_t *service_metrics(struct service *service, uint32_t patience_ms);

/* {"version","started": TIME,"pid","tasks": N,"running": N,"failed": N,"data","healthy": bool}; healthy: the store takes writes and the main thread has turned lately. */
json_t *service_health(struct service *service);

#endif
