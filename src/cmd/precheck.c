#include "base/log.h"
#include "cmd/command.h"
#include "cmd/task_arguments.h"
#include "control/rehearsal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wishes {
	enum language language;
	bool json, markdown;
};

static bool read_wishes(const struct arguments *arguments, struct wishes *ret, struct error *error)
{
	const char *format = arguments_value(arguments, "format"), *language = arguments_value(arguments, "lang");

	*ret = (struct wishes){.language = language_of_environment()};
	if (language && !language_parse(language, &ret->language)) {
		error_set(error, ERROR_USAGE, "--lang %s: it is en or zh", language);
		return false;
	}
	ret->json = format && strcmp(format, "json") == 0;
	ret->markdown = format && strcmp(format, "markdown") == 0 && arguments_given(arguments, "list");
	if (format && !ret->json && !ret->markdown && strcmp(format, "text") != 0) {
		error_set(error, ERROR_USAGE, "--format %s: it is text or json%s", format,
			  arguments_given(arguments, "list") ? ", or markdown" : "");
		return false;
	}
	return true;
}

static int print_and_free(char *text, int code)
{
	fputs(text, stdout);
	free(text);
	return code;
}

static int print_list(const struct wishes *wishes)
{
	return print_and_free(precheck_list(wishes->json       ? PRECHECK_LIST_JSON
					    : wishes->markdown ? PRECHECK_LIST_MARKDOWN
							       : PRECHECK_LIST_TEXT,
					    wishes->language),
			      ERROR_NONE);
}

static bool on_asked(void *owner)
{
	(void)owner;
	return !task_signal_seen();
}

static void on_wake(void *owner)
{
	(void)owner;
	task_signals_tell();
}

static int run(struct task_options *options, const struct wishes *wishes)
{
	struct loop *loop = loop_new();
	struct wake *wake = wake_new(loop, on_wake, NULL);
	struct precheck_report report = {.count = 0};
	struct error error;
	int code;

	task_signals_take(wake);
	if (rehearsal_run(loop, options, on_asked, NULL, &report, &error))
		code = print_and_free(wishes->json ? precheck_report_json(&report, wishes->language)
						   : precheck_report_text(&report, wishes->language),
				      (int)precheck_verdict(&report, NULL));
	else
		code = error.kind == ERROR_NONE ? ERROR_INTERNAL : command_fail("precheck", &error);
	precheck_report_free(&report);
	task_signals_take(NULL);
	wake_free(wake);
	loop_free(loop);
	return code;
}

int cmd_precheck(int argc, char **argv)
{
	struct task_options options;
	struct arguments arguments;
	struct wishes wishes;
	struct error error;
	int code = command_arguments("precheck", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	if (!task_arguments_log(&arguments, &error) || !read_wishes(&arguments, &wishes, &error))
		return command_fail("precheck", &error);
	if (arguments_given(&arguments, "list"))
		return print_list(&wishes);
	task_options_init(&options);
	code = task_arguments_read(&arguments, &options, &error) ? run(&options, &wishes) : command_fail("precheck", &error);
	task_options_free(&options);
	return code;
}
