/* The table of the commands of `keyferry task`. */
#include "cmd/command.h"
#include "cmd/daemon_choice.h"
#include "cmd/task_calls.h"

#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])

/* What all have. */
#define DAEMON_ROWS                                                                                                              \
	{.name = "format", .value = "FORMAT", .sentence = "text (default); json: what the API answers", .choices = "text json"}, \
		DAEMON_CHOICE_ROWS
#define SET_ROW                                                                                                                  \
	{                                                                                                                        \
		.name = "set", .value = "OPTION=VALUE",                                                                          \
		.sentence = "set one option of the document; may be repeated ('keyferry help options')", .choices = "@option",   \
		.repeated = true                                                                                                 \
	}
#define UNSET_ROW                                                                                                                \
	{                                                                                                                        \
		.name = "unset", .value = "OPTION", .sentence = "take one option out of the document; may be repeated",          \
		.repeated = true                                                                                                 \
	}
#define LIST_ROWS                                                                                                                \
	{.name = "limit", .value = "N", .sentence = "at most this many, the newest (default 100, at most 1000)"},                \
	{                                                                                                                        \
		.name = "before", .value = "ID", .sentence = "older than the entry of this number"                               \
	}
#define KIND_ROW                                                                                                                 \
	{                                                                                                                        \
		.name = "kind", .value = "KIND", .sentence = "of this kind alone"                                                \
	}
#define WAIT_ROWS                                                                                                                \
	{.name = "wait", .sentence = "until it is so"},                                                                          \
		{.name = "timeout", .value = "DURATION", .sentence = "with --wait: no longer than this, as 10m"},                \
	{                                                                                                                        \
		.name = "all", .sentence = "all tasks"                                                                           \
	}
#define JOB_ROWS                                                                                                                 \
	{.name = "no-wait", .sentence = "start it, and do not wait for its end"},                                                \
	{                                                                                                                        \
		.name = "last", .sentence = "start nothing; show the last result"                                                \
	}
#define YES_ROW                                                                                                                  \
	{                                                                                                                        \
		.name = "yes", .sentence = "do not ask at the terminal"                                                          \
	}
#define ACCEPT_ROW                                                                                                               \
	{                                                                                                                        \
		.name = "accept-changes",                                                                                        \
		.sentence = "change also what decides what is copied, of a task that has copied already"                         \
	}
#define TEXT_LANG_ROW                                                                                                            \
	{                                                                                                                        \
		.name = "lang", .value = "LANGUAGE", .sentence = "of the report: en or zh; by default as LANG says",             \
		.choices = "en zh"                                                                                               \
	}

static const struct argument_row daemon_rows[] = {DAEMON_ROWS};
static const struct argument_row create_rows[] = {
	{.name = "source", .value = "URL", .sentence = "where the data comes from, as of 'keyferry sync', instead of a document"},
	{.name = "target", .value = "URL", .sentence = "where the data goes"},
	SET_ROW,
	{.name = "name", .value = "NAME", .sentence = "name of the task, as --set name=NAME"},
	{.name = "source-password-file",
	 .value = "FILE",
	 .sentence = "file here that holds the source's password; - asks for it, or reads a line",
	 .choices = "@file"},
	{.name = "target-password-file", .value = "FILE", .sentence = "likewise the target's", .choices = "@file"},
	{.name = "dry-run", .sentence = "make nothing; print the document as the daemon would store it, secrets masked"},
	{.name = "start", .sentence = "start it at once"},
	{.name = "wait", .sentence = "with --start: until it copies or streams"},
	{.name = "timeout", .value = "DURATION", .sentence = "with --wait: no longer than this, as 10m"},
	DAEMON_ROWS};
static const struct argument_row edit_rows[] = {
	SET_ROW,
	UNSET_ROW,
	{.name = "revision", .value = "N", .sentence = "with FILE: replace this revision of the document and no later one"},
	ACCEPT_ROW,
	DAEMON_ROWS};
static const struct argument_row import_rows[] = {
	{.name = "replace", .sentence = "replace the document of a task that is there, which must not run"},
	ACCEPT_ROW,
	DAEMON_ROWS};
static const struct argument_row databases_rows[] = {SET_ROW,
						     {.name = "document",
						      .value = "FILE",
						      .sentence = "the task document, of a task that is not there yet",
						      .choices = "@file"},
						     DAEMON_ROWS};
static const struct argument_row delete_rows[] = {YES_ROW, DAEMON_ROWS};
static const struct argument_row run_rows[] = {WAIT_ROWS, DAEMON_ROWS};
static const struct argument_row limits_rows[] = {
	{.name = "spec",
	 .value = "SIZE",
	 .sentence = "records a second and link: micro, small, medium, large, xlarge, 2xlarge, 4xlarge, unlimited, or a number",
	 .choices = "micro small medium large xlarge 2xlarge 4xlarge unlimited"},
	{.name = "bytes", .value = "SIZE", .sentence = "bytes a second and link, as 20MiB, or unlimited", .choices = "unlimited"},
	DAEMON_ROWS};
static const struct argument_row precheck_rows[] = {JOB_ROWS, TEXT_LANG_ROW, DAEMON_ROWS};
static const struct argument_row verify_rows[] = {
	{.name = "mode",
	 .value = "MODE",
	 .sentence = "full (default): values; outline: that keys are there, their types, expiries and lengths",
	 .choices = "full outline"},
	{.name = "repair", .sentence = "make the target's keys that differ what they are at the source"},
	JOB_ROWS,
	DAEMON_ROWS};
static const struct argument_row cutover_rows[] = {
	{.name = "verify", .value = "MODE", .sentence = "outline (default), full or none", .choices = "outline full none"},
	{.name = "by-hand", .sentence = "do not pause the source: you stop the writers"},
	{.name = "dry-run", .sentence = "all but the pause, the end of the task and the removal of its marks"},
	{.name = "timeout", .value = "DURATION", .sentence = "for everything up to the end of the task's process (default 1m)"},
	{.name = "hold", .value = "DURATION", .sentence = "how long the source takes no writes behind it (default 10m)"},
	YES_ROW,
	JOB_ROWS,
	DAEMON_ROWS};
static const struct argument_row finish_rows[] = {YES_ROW, JOB_ROWS, DAEMON_ROWS};
static const struct argument_row logs_rows[] = {
	{.name = "follow", .sentence = "go on with what comes, until it is interrupted", .letter = 'f'},
	{.name = "lines", .value = "N", .sentence = "the last N lines (default 200, at most 10000)"},
	DAEMON_ROWS};
static const struct argument_row events_rows[] = {
	{.name = "follow", .sentence = "go on with what comes, until it is interrupted", .letter = 'f'},
	KIND_ROW,
	LIST_ROWS,
	DAEMON_ROWS};
static const struct argument_row list_rows[] = {LIST_ROWS, DAEMON_ROWS};
static const struct argument_row kind_rows[] = {KIND_ROW, LIST_ROWS, DAEMON_ROWS};
static const struct argument_row watch_rows[] = {
	{.name = "until",
	 .value = "STATE",
	 .sentence = "end when all of them are in this state",
	 .choices = "streaming finished paused ready"},
	{.name = "timeout", .value = "DURATION", .sentence = "with --until: no longer than this, as 10m"},
	DAEMON_ROWS};
static const struct argument_row call_rows[] = {
	{.name = "body",
	 .value = "FILE",
	 .sentence = "the request's body, JSON or YAML; - for standard input",
	 .choices = "@file"},
	{.name = "if-match", .value = "ETAG", .sentence = "of the document that is to be replaced, or *"},
	{.name = "accept", .value = "TYPE", .sentence = "media type of the answer (default: any)"},
	DAEMON_ROWS};

const struct command task_commands[] = {
	{
		.name = "task list",
		.usage = "",
		.summary = "all tasks, with state, lag and rates",
		.text = "Tasks by their number. Below the table stand the causes of those that have failed.\n",
		.examples =
			"keyferry task list\nkeyferry task list --format json | jq -r '.items[] | select(.state == \"failed\") | .name'\n",
		ROWS(daemon_rows),
		.call = cmd_task_list,
	},
	{
		.name = "task show",
		.usage = "TASK",
		.summary = "one task: state, cause of a failure, lag, limits, process",
		.text = "'keyferry task status' shows its links, 'keyferry task export' its document.\n",
		.examples = "keyferry task show orders\n",
		ROWS(daemon_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_show,
	},
	{
		.name = "task status",
		.usage = "TASK",
		.summary = "its links, one per source master",
		.text = "JSON as docs/status.md tells it.\n",
		.examples = "keyferry task status orders\nkeyferry task status orders --format json | jq '.links[].lag'\n",
		ROWS(daemon_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_status,
	},
	{
		.name = "task create",
		.usage =
			"[FILE] [--name NAME] [--set OPTION=VALUE ...] [--start]\nNAME --source URL --target URL [--set OPTION=VALUE ...] [--start]",
		.summary = "make a task of a document, or of both addresses; it does not run yet",
		.text = "FILE is a task document, YAML or JSON ('keyferry help options'), - is standard\n"
			"input. Without it, --set says all, or the URLs of 'keyferry sync'. Files that a\n"
			"document or a URL names are the daemon's.\n"
			"\n"
			"A password is read from a file here or at the terminal (--source-password-file), or,\n"
			"beside URLs, from KEYFERRY_SOURCE_PASSWORD and KEYFERRY_TARGET_PASSWORD, and is kept\n"
			"by the daemon, encrypted. Everybody on the machine sees arguments.\n",
		.examples =
			"keyferry task create orders.yaml\n"
			"keyferry task create orders --source redis://10.0.0.1 --target redis://10.1.0.1:6380 --dry-run\n"
			"keyferry task create orders --source redis://ferry:@10.0.0.1 --target rediss://10.1.0.1 --source-password-file - --start --wait\n",
		ROWS(create_rows),
		.max_words = 1,
		.words = "@file",
		.call = cmd_task_create,
	},
	{
		.name = "task edit",
		.usage =
			"TASK [--set OPTION=VALUE ...] [--unset OPTION ...] [--accept-changes]\nTASK FILE [--revision N] [--accept-changes]",
		.summary = "change or replace the document of a task that does not run",
		.text = "With --set and --unset: the options that are named. With FILE (- is standard input):\n"
			"the whole document. With neither: the document is opened in $VISUAL or $EDITOR.\n"
			"Where a password is set stands ********, and what comes with that keeps it. If\n"
			"somebody else has changed the document meanwhile, nothing is replaced.\n",
		.examples =
			"keyferry task edit orders --set source.databases=[0,3] --set limit.spec=medium\nkeyferry task edit orders\nkeyferry task edit orders orders.yaml\n",
		ROWS(edit_rows),
		.min_words = 1,
		.max_words = 2,
		.words = "@task",
		.call = cmd_task_edit,
	},
	{
		.name = "task export",
		.usage = "TASK",
		.summary = "its document on standard output, as YAML",
		.text = "Passwords are not in it: ******** stands for them. --format json: as JSON.\n",
		.examples = "keyferry task export orders > orders.yaml\n",
		ROWS(daemon_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_export,
	},
	{
		.name = "task import",
		.usage = "FILE ... [--replace] [--accept-changes]",
		.summary = "make tasks of documents, or replace theirs",
		.text = "As create for each file. With --replace, a task of the name that the document has\n"
			"gets this document; one that has it already is left alone. So the same import\n"
			"may be done again.\n",
		.examples = "keyferry task import tasks/*.yaml --replace\n",
		ROWS(import_rows),
		.min_words = 1,
		.max_words = ARGUMENTS_MAX,
		.words = "@file",
		.call = cmd_task_import,
	},
	{
		.name = "task check",
		.usage = "FILE",
		.summary = "read a document as creation does, and store nothing",
		.text = "FILE may be - for standard input. --format json: the document as it would be stored.\n",
		.examples = "keyferry task check orders.yaml\n",
		ROWS(daemon_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@file",
		.call = cmd_task_check,
	},
	{
		.name = "task databases",
		.usage = "TASK\n--document FILE [--set OPTION=VALUE ...]\n--set source.address=ADDRESS [--set OPTION=VALUE ...]",
		.summary = "the source's databases, and how many keys each has",
		.text = "The daemon asks all masters of the source. Choose databases by source.databases.\n",
		.examples =
			"keyferry task databases orders\nkeyferry task databases --set source.address=10.0.0.1:6379 --set source.password_file=/etc/keyferry/src.pass\n",
		ROWS(databases_rows),
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_databases,
	},
	{
		.name = "task precheck",
		.usage = "TASK [--lang en|zh]\nTASK --no-wait\nTASK --last",
		.summary = "say whether it will work, and what must be changed first",
		.text = "Run by the daemon, which waits for nobody: interrupted, it goes on there, and --last\n"
			"shows the report. It is printed as 'keyferry precheck' does; so are the exit codes.\n",
		.examples =
			"keyferry task precheck orders\nkeyferry task precheck orders --format json | jq '.result.result.items[] | select(.result == \"failed\")'\n",
		ROWS(precheck_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_precheck,
	},
	{
		.name = "task start",
		.usage = "TASK ... [--wait]\n--all [--wait]",
		.summary = "run the checks, then the task; it goes on where it has a position",
		.text = "--wait: until it copies or streams (snapshot, streaming) or is finished; it fails when the\ntask does.\n",
		.examples = "keyferry task start orders\nkeyferry task start orders users --wait --timeout 5m\n",
		ROWS(run_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_start,
	},
	{
		.name = "task pause",
		.usage = "TASK ... [--wait]\n--all [--wait]",
		.summary = "end its process and keep the position",
		.text = "--wait: until it is paused.\n",
		.examples = "keyferry task pause orders --wait\n",
		ROWS(run_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_pause,
	},
	{
		.name = "task resume",
		.usage = "TASK ... [--wait]\n--all [--wait]",
		.summary = "go on after a pause or a failure",
		.text = "--wait: as of start.\n",
		.examples = "keyferry task resume orders\n",
		ROWS(run_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_resume,
	},
	{
		.name = "task stop",
		.usage = "TASK ... [--wait]\n--all [--wait]",
		.summary = "as pause, and forget a failure",
		.text = "--wait: until it is ready to be started again.\n",
		.examples = "keyferry task stop orders --wait\n",
		ROWS(run_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_stop,
	},
	{
		.name = "task restart",
		.usage = "TASK ... [--wait]\n--all [--wait]",
		.summary = "end its process cleanly and start it at once",
		.text = "After an upgrade of the program, one task after the other. --wait: as of start, of the new\nprocess.\n",
		.examples = "keyferry task restart orders --wait\n",
		ROWS(run_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_restart,
	},
	{
		.name = "task limits",
		.usage = "TASK [--spec SIZE] [--bytes SIZE]",
		.summary = "show or change its limits, also while it runs",
		.text = "What is not named stays. Limits are of each link.\n",
		.examples =
			"keyferry task limits orders --spec medium\nkeyferry task limits orders --spec unlimited --bytes 20MiB\n",
		ROWS(limits_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_limits,
	},
	{
		.name = "task log-level",
		.usage = "TASK LEVEL",
		.summary = "change the log level of its process, also while it runs",
		.text = "LEVEL is debug, info, warning or error.\n",
		.examples = "keyferry task log-level orders debug\n",
		ROWS(daemon_rows),
		.min_words = 2,
		.max_words = 2,
		.words = "@task",
		.call = cmd_task_log_level,
	},
	{
		.name = "task watch",
		.usage = "[TASK ...] [--until STATE] [--timeout DURATION]",
		.summary = "live progress, lag, rates and what happens",
		.text = "Of one task its links, else a line per task; without any, all there are. On a terminal\n"
			"the picture is drawn again as things change, elsewhere each change of state and each\n"
			"event is a line, and progress one each 10 s. --format json prints each event of the\n"
			"stream (docs/api.md) as a line: {\"event\": ..., \"data\": ...}.\n"
			"\n"
			"It goes on until it is interrupted, or until STATE is reached: streaming is what the\n"
			"console shows as 同步中. It fails with the exit code of a task that fails for good.\n",
		.examples = "keyferry task watch\nkeyferry task watch orders --until streaming\n",
		ROWS(watch_rows),
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_watch,
	},
	{
		.name = "task verify",
		.usage = "TASK [--mode full|outline] [--repair]\nTASK --no-wait\nTASK --last",
		.summary = "compare source and target, and repair what differs",
		.text = "As 'keyferry verify', run by the daemon beside the task. Interrupted, it goes on there,\n"
			"and --last shows the result. The first 1,000 differences are kept; all are counted.\n"
			"\n"
			"Exit code 0: no differences, or all of them are repaired; 7: there are differences.\n",
		.examples =
			"keyferry task verify orders\nkeyferry task verify orders --repair --format json | jq '.result.result.summary'\n",
		ROWS(verify_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_verify,
	},
	{
		.name = "task cutover",
		.usage = "TASK [--verify outline|full|none] [--by-hand] [--dry-run] [--yes]\nTASK --last",
		.summary = "let the target take the source's place",
		.text = "As 'keyferry cutover', run by the daemon. It asks at the terminal before it begins.\n"
			"Interrupted, it goes on there; 'keyferry task cancel' ends it, and the source takes\n"
			"writes again.\n",
		.examples = "keyferry task cutover orders --dry-run\nkeyferry task cutover orders --verify full --timeout 5m\n",
		ROWS(cutover_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_cutover,
	},
	{
		.name = "task finish",
		.usage = "TASK [--yes]\nTASK --no-wait\nTASK --last",
		.summary = "leave the target as one that nobody looks after",
		.text = "As 'keyferry finish', of a task that does not run. It asks at the terminal before it begins.\n",
		.examples = "keyferry task stop orders --wait && keyferry task finish orders\n",
		ROWS(finish_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_finish,
	},
	{
		.name = "task cancel",
		.usage = "TASK",
		.summary = "end the precheck, verification, cut-over or finish under way",
		.text = "A cut-over that is ended lets the source take writes again.\n",
		.examples = "keyferry task cancel orders\n",
		ROWS(daemon_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_cancel,
	},
	{
		.name = "task results",
		.usage = "TASK [--kind precheck|verify|cutover|finish] [--limit N] [--before ID]",
		.summary = "results of its jobs, the newest last",
		.text = "--format json has the whole results.\n",
		.examples = "keyferry task results orders --kind verify\n",
		ROWS(kind_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_results,
	},
	{
		.name = "task logs",
		.usage = "TASK [-f] [--lines N]",
		.summary = "the last lines of its log",
		.text = "-f goes on with those that come, also after a restart of the task, or of the daemon.\n",
		.examples = "keyferry task logs orders -f\nkeyferry task logs orders --lines 1000 | grep -i warning\n",
		ROWS(logs_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_logs,
	},
	{
		.name = "task events",
		.usage = "[TASK] [-f] [--kind KIND] [--limit N] [--before ID]",
		.summary = "what happened beside the daily work, the newest last",
		.text = "Of one task or of all: connections lost, resyncs, failovers, slots that moved\n(docs/events.md). -f goes on with those that come; with --format json an object a line.\n",
		.examples = "keyferry task events orders\nkeyferry task events -f\n",
		ROWS(events_rows),
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_events,
	},
	{
		.name = "task history",
		.usage = "TASK [--limit N] [--before ID]",
		.summary = "its changes of state, the newest last",
		.text = "With the cause of each failure.\n",
		.examples = "keyferry task history orders\n",
		ROWS(list_rows),
		.min_words = 1,
		.max_words = 1,
		.words = "@task",
		.call = cmd_task_history,
	},
	{
		.name = "task delete",
		.usage = "TASK ... [--yes]",
		.summary = "remove a task that does not run, its history and its position",
		.text = "The target is left alone: finish the task first to leave nothing of keyferry there. It\nasks at the terminal.\n",
		.examples = "keyferry task delete orders\n",
		ROWS(delete_rows),
		.min_words = 1,
		.max_words = ARGUMENTS_MAX,
		.words = "@task",
		.call = cmd_task_delete,
	},
	{
		.name = "task info",
		.usage = "",
		.summary = "the daemon: version, health, and as whom it takes you",
		.text = "Fails when the daemon is not healthy. --format json: its health.\n",
		.examples = "keyferry task info --server https://keyferry.example.org:7280\n",
		ROWS(daemon_rows),
		.call = cmd_task_info,
	},
	{
		.name = "task audit",
		.usage = "[--kind ACTION] [--limit N] [--before ID]",
		.summary = "who did what, the newest last; for admins",
		.text = "With what came of it, and from which address.\n",
		.examples = "keyferry task audit --kind task.delete\n",
		ROWS(kind_rows),
		.call = cmd_task_audit,
	},
	{
		.name = "task call",
		.usage = "METHOD PATH [--body FILE] [--if-match ETAG] [--accept TYPE]",
		.summary = "any request of the API, for scripts",
		.text = "The answer goes to standard output as it comes. For what has no command of its own:\noptions, metrics, the OpenAPI document.\n",
		.examples =
			"keyferry task call GET /api/v1/openapi.json\nkeyferry task call GET /metrics\nkeyferry task call POST /api/v1/documents/check --body orders.yaml\n",
		ROWS(call_rows),
		.min_words = 2,
		.max_words = 2,
		.words = "GET POST PUT DELETE",
		.call = cmd_task_call,
	},
	{
		.name = "task names",
		.usage = "",
		.summary = "",
		.text = "The names of all tasks, one a line, for completion: quick, and silent where it fails.\n",
		.examples = "",
		ROWS(daemon_rows),
		.hidden = true,
		.call = cmd_task_names,
	},
};

const size_t task_command_count = sizeof(task_commands) / sizeof(task_commands[0]);
