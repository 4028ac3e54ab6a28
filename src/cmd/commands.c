/* The table of subcommands. A command that does not exist yet is not in it. */
#include "cmd/command.h"
#include "cmd/daemon_choice.h"
#include "cmd/task_calls.h"

#include <string.h>

#define ROWS(rows) rows, sizeof(rows) / sizeof((rows)[0])

/* What several commands have. */
#define TASK_ROWS                                                                                                                \
	{.name = "set",                                                                                                          \
	 .value = "OPTION=VALUE",                                                                                                \
	 .sentence = "set one option of the task, after its document; may be repeated ('keyferry help options')",                \
	 .choices = "@option",                                                                                                   \
	 .repeated = true},                                                                                                      \
	{                                                                                                                        \
		.name = "name", .value = "NAME", .sentence = "name of the task; by default made of both addresses"               \
	}
#define DATA_ROW                                                                                                                 \
	{                                                                                                                        \
		.name = "data", .value = "DIR", .sentence = "work directory of the task; by default made of the name",           \
		.choices = "@dir"                                                                                                \
	}
#define FORMAT_ROW                                                                                                               \
	{                                                                                                                        \
		.name = "format", .value = "FORMAT", .sentence = "text (default) or json", .choices = "text json"                \
	}
#define LOG_ROWS                                                                                                                 \
	{.name = "log-format", .value = "FORMAT", .sentence = "text (default) or json", .choices = "text json"},                 \
	{                                                                                                                        \
		.name = "log-level", .value = "LEVEL", .sentence = "debug, info (default), warning or error",                    \
		.choices = "debug info warning error"                                                                            \
	}

static const struct argument_row sync_rows[] = {
	{.name = "source", .value = "URL", .sentence = "where the data comes from, instead of a task document"},
	{.name = "target", .value = "URL", .sentence = "where the data goes"},
	TASK_ROWS,
	{.name = "data",
	 .value = "DIR",
	 .sentence = "work directory: spool and state; by default made of the name",
	 .choices = "@dir"},
	{.name = "listen",
	 .value = "ADDR:PORT",
	 .sentence = "serve /status (JSON), /metrics (Prometheus), /healthz and /readyz while running"},
	{.name = "probes",
	 .value = "WHO",
	 .sentence =
		 "token (default): /healthz and /readyz want one where /status does; open: they answer everybody, without reasons",
	 .choices = "token open"},
	{.name = "stop-when",
	 .value = "caught-up",
	 .sentence = "exit with 0 once everything that the source had written is applied",
	 .choices = "caught-up"},
	LOG_ROWS,
	{.name = "accept-changes",
	 .sentence = "go on with a task that was begun with other filters, renames, databases or script"},
	{.name = "no-progress", .sentence = "log lines instead of progress bars, also on a terminal"},
};

static const struct argument_row serve_rows[] = {
	{.name = "config",
	 .value = "FILE",
	 .sentence = "configuration; without it /etc/keyferry/serve.yaml, if it is there",
	 .choices = "@file"},
	{.name = "data", .value = "DIR", .sentence = "data directory: tasks, their work directories, the key", .choices = "@dir"},
	{.name = "listen", .value = "ADDR:PORT", .sentence = "where the API listens (default 127.0.0.1:7280)"},
	LOG_ROWS,
};

static const struct argument_row token_rows[] = {
	{.name = "role",
	 .value = "ROLE",
	 .sentence = "of create: viewer reads; operator runs tasks too; admin also makes tokens",
	 .choices = "viewer operator admin"},
	{.name = "expires", .value = "DURATION", .sentence = "of create: after how many days it ends (90d); without it never"},
	{.name = "data", .value = "DIR", .sentence = "data directory of the daemon", .choices = "@dir"},
	{.name = "config",
	 .value = "FILE",
	 .sentence = "configuration of the daemon; without it /etc/keyferry/serve.yaml, if it is there",
	 .choices = "@file"},
	FORMAT_ROW,
	DAEMON_CHOICE_ROWS,
};

/* What the daemon starts; no command for people. */
static const struct argument_row worker_rows[] = {
	{.name = "data", .value = "DIR", .sentence = "work directory"},
	{.name = "name", .value = "NAME", .sentence = "of the task"},
	{.name = "run", .value = "TEXT", .sentence = "the number of this start, told at the control socket"},
	{.name = "revision", .value = "N", .sentence = "of the document, likewise"},
	{.name = "log-size", .value = "BYTES", .sentence = "of the log, from which on it is turned"},
	{.name = "log-format", .value = "FORMAT", .sentence = "text (default) or json"},
	{.name = "log-level", .value = "LEVEL", .sentence = "debug, info (default), warning or error"},
	{.name = "accept-changes", .sentence = "as for sync"},
};

static const struct argument_row verify_rows[] = {
	{.name = "mode",
	 .value = "MODE",
	 .sentence = "full (default): values; outline: that keys are there, their types, expiries and lengths",
	 .choices = "full outline"},
	{.name = "repair", .sentence = "copy the keys that differ from the source, and remove those it has not"},
	{.name = "dry-run", .sentence = "with --repair: tell what would be repaired, and write nothing"},
	{.name = "format",
	 .value = "FORMAT",
	 .sentence = "of the differences on standard output: table (default) or json, one object a line",
	 .choices = "table json"},
	{.name = "rate", .value = "N", .sentence = "keys a second, of both sides together; unlimited by default"},
	{.name = "tolerance", .value = "DURATION", .sentence = "by which times of expiry may differ (default 1s)"},
	{.name = "wait",
	 .value = "DURATION",
	 .sentence = "the longest that a running link may take to catch up, in each round (default 1m)"},
	{.name = "rounds",
	 .value = "N",
	 .sentence = "how often a key that changes all the time is looked at before it is told as undecided (default 10)"},
	{.name = "restart", .sentence = "begin anew, also where an earlier run was cut off and could be gone on with"},
	{.name = "strict",
	 .sentence = "compare also what a replica of another moment has otherwise, as when a consumer was seen last"},
	{.name = "source", .value = "URL", .sentence = "as at the start of the task, instead of a task document"},
	{.name = "target", .value = "URL", .sentence = "likewise"},
	TASK_ROWS,
	DATA_ROW,
	LOG_ROWS,
	{.name = "no-progress", .sentence = "no line of progress, also on a terminal"},
};

static const struct argument_row cutover_rows[] = {
	{.name = "verify",
	 .value = "MODE",
	 .sentence = "outline (default): keys, types, expiries, lengths; full: values too; none",
	 .choices = "outline full none"},
	{.name = "by-hand", .sentence = "do not pause the source: you stop the writers, and it waits until nobody writes"},
	{.name = "timeout",
	 .value = "DURATION",
	 .sentence = "for everything up to the end of the task's process; then it is rolled back (default 1m)"},
	{.name = "hold",
	 .value = "DURATION",
	 .sentence = "how long the source takes no writes behind it (default 10m); 0s: it takes them at once"},
	{.name = "dry-run", .sentence = "all but the pause, the end of the task and the removal of its marks"},
	{.name = "format",
	 .value = "FORMAT",
	 .sentence = "of the result on standard output: text (default) or json",
	 .choices = "text json"},
	{.name = "source", .value = "URL", .sentence = "as at the start of the task, instead of a task document"},
	{.name = "target", .value = "URL", .sentence = "likewise"},
	TASK_ROWS,
	{.name = "data",
	 .value = "DIR",
	 .sentence = "work directory of the running task; by default made of the name",
	 .choices = "@dir"},
	LOG_ROWS,
};

static const struct argument_row finish_rows[] = {
	{.name = "source", .value = "URL", .sentence = "as at the start of the task, which may be named by it"},
	{.name = "target", .value = "URL", .sentence = "the target, instead of a task document"},
	TASK_ROWS,
	DATA_ROW,
	LOG_ROWS,
};

static const struct argument_row precheck_rows[] = {
	{.name = "source", .value = "URL", .sentence = "where the data comes from, instead of a task document"},
	{.name = "target", .value = "URL", .sentence = "where the data goes"},
	TASK_ROWS,
	DATA_ROW,
	FORMAT_ROW,
	{.name = "lang", .value = "LANGUAGE", .sentence = "en or zh; by default as LANG says", .choices = "en zh"},
	{.name = "list", .sentence = "print the items there are, and judge nothing; --format markdown too"},
	LOG_ROWS,
};

static const struct argument_row rdb_rows[] = {
	{.name = "format",
	 .value = "FORMAT",
	 .sentence = "summary (default): counts, sizes, expiries, the largest keys; keys: one line per key; jsonl: all data",
	 .choices = "summary keys jsonl"},
};

static const struct argument_row help_rows[] = {
	{.name = "format",
	 .value = "FORMAT",
	 .sentence = "for 'help options': text (default), markdown or man",
	 .choices = "text markdown man"},
	{.name = "lang",
	 .value = "LANGUAGE",
	 .sentence = "of the options: en or zh; by default as LANG says",
	 .choices = "en zh"},
};

const struct command commands[] = {
	{
		.name = "sync",
		.usage = "TASK.yaml [--set OPTION=VALUE ...]\n--source URL --target URL [--set OPTION=VALUE ...]",
		.summary = "keep one Redis deployment in step with another",
		.text = "Copies the data of the source to the target (snapshot), then every write as it\n"
			"happens (stream), until it is stopped by SIGINT or SIGTERM. Stopping keeps the\n"
			"position; started again with the same work directory it goes on from there.\n"
			"\n"
			"TASK.yaml is a task document, YAML or JSON: see 'keyferry help options'. A URL is\n"
			"  redis://user:password@host:port/db    rediss:// for TLS\n"
			"  redis-sentinel://host:port,host:port/master-name\n"
			"  unix:///run/redis.sock, or host:port alone\n"
			"  rdb:///path, aof:///path    files as source; the task ends when they are applied\n"
			"with ?mode=, ca=, cert=, key=, insecure= behind it where needed. Whether a side is a\n"
			"cluster is found out by asking it; all its masters are found from one address. A\n"
			"password in a URL is hidden from the process list.\n",
		.examples = "keyferry sync orders.yaml\n"
			    "keyferry sync --source redis://10.0.0.1:6379 --target redis://10.1.0.1:6379\n"
			    "keyferry sync --source rediss://sync:s3cret@10.0.0.1:6380?ca=/etc/keyferry/ca.pem \\\n"
			    "    --target 10.1.0.1:6379 --set target.existing=merge --set limit.spec=medium\n"
			    "keyferry sync orders.yaml --stop-when caught-up --listen 127.0.0.1:9121\n",
		ROWS(sync_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_sync,
	},
	{
		.name = "precheck",
		.usage =
			"TASK.yaml [--format text|json] [--lang en|zh]\n--source URL --target URL [--set OPTION=VALUE ...]\n--list [--format text|json|markdown]",
		.summary = "say whether a task will work, and what must be changed first",
		.text = "Asks every node of both sides, all at once, and judges each item there is: the\n"
			"same that have to be met before 'keyferry sync' starts. Each is passed, a\n"
			"warning, failed, or skipped where it cannot be told, with what was measured,\n"
			"the cause, and the command or option that mends it.\n"
			"\n"
			"Nothing is written to either side, nor to the work directory: the rights to\n"
			"write, the heartbeat's too, are asked for without writing anything. It may be\n"
			"run while the task runs. precheck.waive in the task names items that are not\n"
			"to stop its start.\n"
			"\n"
			"The exit code is 0 when nothing failed; 4 or 5 when all that failed is that the\n"
			"source or the target cannot be reached or refuses; 3 for any other failure.\n",
		.examples = "keyferry precheck orders.yaml\n"
			    "keyferry precheck --source 10.0.0.1:6379 --target 10.1.0.1:6379 --format json\n"
			    "keyferry precheck --list\n",
		ROWS(precheck_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_precheck,
	},
	{
		.name = "verify",
		.usage =
			"TASK.yaml [--mode full|outline] [--repair] [--set OPTION=VALUE ...]\n--source URL --target URL [--mode full|outline] [--repair]",
		.summary = "compare source and target of a task, and repair what differs",
		.text = "Reads all keys of both sides and compares them by the rules of the task: what it\n"
			"selects, where its databases go, what names it gives. Values are compared by what they\n"
			"mean: servers of different versions keep the same value in different forms.\n"
			"\n"
			"The task may be running, and both sides may be written to. A key counts as different\n"
			"only if it still differs when the target has everything that the source had written\n"
			"before. Keys that change all the time are told as undecided.\n"
			"\n"
			"Differences are printed one a line: 'missing' at the target, 'extra' there, 'type',\n"
			"'value' (with the first element that differs), 'expiry'. --repair makes the target's\n"
			"keys what they are at the source; it takes no command of a running task away and does\n"
			"none twice. Only then is anything written, to the target.\n"
			"\n"
			"Cut off by a signal, a crash or a server that went away, it goes on where it was when\n"
			"started again within a day (--restart: it begins anew).\n"
			"\n"
			"Exit code 0: no differences, or all of them are repaired; 7: there are differences.\n",
		.examples = "keyferry verify orders.yaml\n"
			    "keyferry verify orders.yaml --mode outline --rate 20000\n"
			    "keyferry verify orders.yaml --repair --format json > differences.jsonl\n",
		ROWS(verify_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_verify,
	},
	{
		.name = "cutover",
		.usage =
			"TASK.yaml [--verify outline|full|none] [--by-hand] [--set OPTION=VALUE ...]\n--source URL --target URL [--verify outline|full|none] [--by-hand]",
		.summary = "let the target of a running task take the source's place",
		.text = "Run it beside the running task, with its work directory. It waits until the\n"
			"target is in step, pauses the writes of all source masters (CLIENT PAUSE ...\n"
			"WRITE, reads go on), waits until everything is applied, verifies, proves that\n"
			"nobody has written meanwhile, has the task's process end, makes times of expiry\n"
			"the true ones and removes the task's marks. Then it prints the moment and the\n"
			"offsets, and the source stays paused for --hold, in which you point the clients\n"
			"at the target.\n"
			"\n"
			"If anything fails, on SIGINT, SIGTERM and after --timeout the source takes\n"
			"writes again (CLIENT UNPAUSE); so it does within 10 s if keyferry is killed.\n"
			"\n"
			"With --by-hand, and where a source master is older than Redis 6.2, you are told\n"
			"to stop the writers; it goes on when nobody has written for three seconds.\n"
			"\n"
			"Exit code 0: done; 1: interrupted; 3: the task is not running, or cannot be cut\n"
			"over; 4, 5: source, target, or out of time; 7: the target differs; 8: another\n"
			"one is under way.\n",
		.examples = "keyferry cutover orders.yaml --dry-run\n"
			    "keyferry cutover orders.yaml --verify full --timeout 5m\n"
			    "keyferry cutover orders.yaml --by-hand --format json\n",
		ROWS(cutover_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_cutover,
	},
	{
		.name = "finish",
		.usage = "TASK.yaml [--set OPTION=VALUE ...]\n--source URL --target URL [--set OPTION=VALUE ...]",
		.summary = "leave the target of a stopped task with true times of expiry",
		.text = "While a task runs, times of expiry at its target are guarded: held far away while\n"
			"keyferry is behind the source, and later than the true ones by a margin while it is\n"
			"in step (target.expiry_guard, target.expiry_margin). This makes every one of them the\n"
			"true time, removes the keys whose time has passed, and the temporary keys that\n"
			"keyferry may have left. Run it when the task is stopped for good, before or after\n"
			"readers and writers go to the target.\n"
			"\n"
			"The task must be stopped: its work directory is locked meanwhile, and tells how times\n"
			"were written. It may be cut off at any point and run again. Nothing is read from the\n"
			"source.\n",
		.examples = "keyferry finish orders.yaml\n"
			    "keyferry finish --source redis://10.0.0.1:6379 --target redis://10.1.0.1:6379\n",
		ROWS(finish_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_finish,
	},
	{
		.name = "serve",
		.usage = "[--config FILE] [--data DIR] [--listen ADDR:PORT]",
		.summary = "run many tasks, each in a process of its own",
		.text = "The daemon. It keeps tasks in its data directory, runs each in a worker process of\n"
			"its own, starts those again that have ended by themselves, and answers the API.\n"
			"Whatever ends it, tasks that were running run again after the next start.\n"
			"\n"
			"SIGTERM and SIGINT stop all workers cleanly, each at its position, and what is\n"
			"wanted of each task stays. SIGUSR2 starts the program anew in the same process,\n"
			"with workers going on meanwhile (an upgrade). SIGHUP reads the configuration\n"
			"again.\n"
			"\n"
			"Exit code 2: configuration, data directory; 8: another daemon has that directory.\n",
		.examples = "keyferry serve\n"
			    "keyferry serve --data /srv/keyferry --listen 127.0.0.1:7280\n",
		ROWS(serve_rows),
		.max_words = 0,
		.words = NULL,
		.run = cmd_serve,
	},
	{
		.name = "task",
		.usage = "COMMAND ...",
		.summary = "run the daemon's tasks, from here or another machine",
		.text = "Asks a daemon ('keyferry serve') by its HTTP API, as the web console does: tasks are\n"
			"made, checked, run, watched, compared and cut over. 'keyferry help task COMMAND'\n"
			"explains each of the commands.\n"
			"\n"
			"A TASK is its name or its number. The daemon is the one of --server or\n"
			"KEYFERRY_SERVER, else that of this machine: where /etc/keyferry/serve.yaml says\n"
			"that it listens, or http://127.0.0.1:7280. Where it asks for a token, it is read\n"
			"from --token-file, KEYFERRY_TOKEN or ~/.config/keyferry/token ($XDG_CONFIG_HOME);\n"
			"the last goes over TLS or to this machine alone. Over TLS the server's certificate\n"
			"is always verified.\n"
			"\n"
			"--format json prints what the API answers, unchanged (docs/api.md).\n"
			"\n"
			"Exit code: 0 done; 1 the daemon cannot be reached or cannot do it; 2 it refuses, or\n"
			"the command line; of a job or a task that fails, its own: 3 precheck, 4 source,\n"
			"5 target, 6 conflict, 7 differences, 8 another process runs it.\n",
		.examples = "keyferry task create orders.yaml\n"
			    "keyferry task databases orders\n"
			    "keyferry task edit orders --set source.databases=[0,3]\n"
			    "keyferry task precheck orders\n"
			    "keyferry task start orders --wait\n"
			    "keyferry task watch orders --until streaming\n",
		.commands = task_commands,
		.command_count = &task_command_count,
		.run = cmd_task,
	},
	{
		.name = "token",
		.usage = "create NAME --role viewer|operator|admin [--expires 90d]\nlist\nrevoke ID|NAME",
		.summary = "make, list and revoke the tokens of the daemon's API",
		.text = "Who calls the API of 'keyferry serve' shows a token: 'Authorization: Bearer kf_...'.\n"
			"The first one is made on the daemon's machine, by its user or root: whether the\n"
			"daemon runs or not, it goes by the data directory. With --server or KEYFERRY_SERVER,\n"
			"and neither --data nor --config, the API of that daemon is asked, with the token of\n"
			"an admin ('keyferry help task' says where that is read from).\n"
			"\n"
			"'create' prints the token once; stored is only its hash. A revoked one ends at once,\n"
			"with the sessions and streams that were begun with it.\n"
			"\n"
			"A viewer reads. An operator also makes, changes and runs tasks: their documents name\n"
			"files that the daemon reads and writes with its own rights, so an operator can do\n"
			"what the daemon's user can. An admin also makes tokens and reads the audit log.\n",
		.examples = "keyferry token create ops --role admin > ~/.keyferry-token\n"
			    "keyferry token create grafana --role viewer --expires 365d\n"
			    "keyferry token revoke grafana\n"
			    "keyferry token list --server https://keyferry.example.org:7280\n",
		ROWS(token_rows),
		.max_words = 2,
		.words = "create list revoke",
		.run = cmd_token,
		.call = cmd_token_elsewhere,
	},
	{
		.name = "rdb",
		.usage = "FILE [--format summary|keys|jsonl]",
		.summary = "show what an RDB file holds",
		.text = "Reads an RDB file (a snapshot) of Redis 2.8 to 8.0 or Valkey, of any size, and\n"
			"checks its checksum. No server is needed, and nothing is changed.\n"
			"\n"
			"'summary' counts keys, expiries and bytes by database and type and names the\n"
			"largest keys. 'keys' prints one JSON object per key, in the order of the file:\n"
			"  {\"db\":0,\"key\":\"...\",\"type\":\"hash\",\"bytes\":412,\"ttl_at_ms\":null}\n"
			"Bytes are those of the value as it lies in the file, packed and compressed; in\n"
			"memory a server takes more. ttl_at_ms is the time of expiry in Unix milliseconds.\n"
			"A key that is not printable ASCII is {\"b64\":\"...\"}, one of more than 65,536 bytes\n"
			"{\"sha256\":\"...\",\"len\":N}.\n"
			"\n"
			"'jsonl' prints one JSON object per key with its whole value, ordered by database,\n"
			"then by the bytes of the key, and sets, hashes and sorted sets in an order of their\n"
			"own: files of equal data print the same, whatever server wrote them. What does not\n"
			"fit into about 200 MB of memory is sorted in $TMPDIR, else /var/tmp. keyferry-rdb(1)\n"
			"tells the form of each type's value.\n"
			"\n"
			"Of a damaged file, what is whole is shown, then the error with its offset; the\n"
			"exit code is then 4.\n",
		.examples = "keyferry rdb /var/lib/redis/dump.rdb\n"
			    "keyferry rdb dump.rdb --format keys | jq -c 'select(.bytes > 1000000)'\n"
			    "diff <(keyferry rdb a.rdb --format jsonl) <(keyferry rdb b.rdb --format jsonl)\n",
		ROWS(rdb_rows),
		.max_words = 1,
		.words = "@file",
		.run = cmd_rdb,
	},
	{
		.name = "help",
		.usage = "[COMMAND [COMMAND]]\noptions [--format text|markdown|man] [--lang en|zh]\nOPTION [--lang en|zh]",
		.summary = "explain a command, or the options of a task document",
		.text = "Without an argument: the list of commands and exit codes. With 'options': every\n"
			"option of a task document. With the name of an option or a group of them: those.\n",
		.examples = "keyferry help sync\n"
			    "keyferry help task start\n"
			    "keyferry help options\n"
			    "keyferry help source.tls\n",
		ROWS(help_rows),
		.max_words = 2,
		.words = "@topic",
		.run = cmd_help,
	},
	{
		.name = "version",
		.usage = "",
		.summary = "print the version",
		.text = "Prints the version of keyferry and of the libraries it runs with.\n",
		.examples = "",
		.run = cmd_version,
	},
	{
		.name = "completion",
		.usage = "bash|zsh|fish",
		.summary = "print a shell's completion script",
		.text = "Prints the script by which a shell completes keyferry's command lines.\n",
		.examples = "source <(keyferry completion bash)\n"
			    "keyferry completion zsh > \"${fpath[1]}/_keyferry\"\n"
			    "keyferry completion fish > ~/.config/fish/completions/keyferry.fish\n",
		.max_words = 1,
		.words = "bash zsh fish",
		.run = cmd_completion,
	},
};

const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static const struct command worker = {
	.name = "worker",
	.usage = "DOCUMENT --data DIR",
	.summary = "",
	.text = "What 'keyferry serve' starts for each task. 'keyferry sync' is the command for people.\n",
	.examples = "",
	ROWS(worker_rows),
	.max_words = 1,
	.words = NULL,
	.run = cmd_worker,
};

const struct command *command_find(const char *name)
{
	if (strcmp(name, worker.name) == 0)
		return &worker;
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
		for (size_t j = 0; commands[i].commands && j < *commands[i].command_count; j++)
			if (strcmp(commands[i].commands[j].name, name) == 0)
				return &commands[i].commands[j];
	}
	return NULL;
}
