#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "cmd/command.h"
#include "cmd/sync.h"
#include "cmd/task_arguments.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DOCUMENT_FD 3 /* service/process.h */

/* Whose parent is gone finds out by the daemon's next start what became of the worker; so what it ended with is kept beside its work. Text of servers may hold any bytes. */
static json_t *text_json(const char *text)
{
	json_t *string = json_string(text);

	return string ? string : json_string("(text that is no UTF-8)");
}

static void write_end(const char *data_dir, const char *run, int code, const struct sync_end *last)
{
	char *path = memory_printf("%s/ended", data_dir), *text;
	json_t *status = last->status ? json_loads(last->status, 0, NULL) : NULL;
	json_t *end = json_pack("{s:s, s:i, s:b, s:s, s:o, s:o, s:o}", "run", run, "exit_code", code, "finished", last->finished,
				"kind", error_kind_name(last->error.kind), "text", text_json(last->error.text), "hint",
				text_json(last->error.hint), "status", status ? status : json_null());

	text = json_dumps(end, 0);
	if (!text || !file_replace(path, slice_of_string(text)))
		log_warning("%s cannot be written: the daemon will not know why this worker has ended", path);
	json_decref(end);
	free(text);
	free(path);
}

int cmd_worker(int argc, char **argv)
{
	struct sync_worker worker = {.run = "", .revision = 0, .log_size = UINT64_MAX};
	struct task_options options;
	struct arguments arguments;
	struct sync_end end = {.finished = false};
	const char *value;
	uint64_t number;
	int code = command_arguments("worker", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	if ((value = arguments_value(&arguments, "run")))
		worker.run = value;
	if ((value = arguments_value(&arguments, "revision")) && slice_to_uint64(slice_of_string(value), &number))
		worker.revision = (int64_t)number;
	if ((value = arguments_value(&arguments, "log-size")) && slice_to_uint64(slice_of_string(value), &number))
		worker.log_size = number;
	task_options_init(&options);
	error_clear(&end.error);
	if (!task_arguments_log(&arguments, &end.error) || !task_arguments_read(&arguments, &options, &end.error)) {
		code = command_fail("worker", &end.error);
	} else {
		/* It holds passwords, and is not needed any more. */
		close(DOCUMENT_FD);
		code = sync_task(&options, false, &worker, &end);
	}
	if ((value = arguments_value(&arguments, "data")))
		write_end(value, worker.run, code, &end);
	free(end.status);
	task_options_free(&options);
	return code;
}
