/* Completion scripts, made of the table of commands, so that they know every command and option of this very version. */
#include "cmd/command.h"

#include "task/options_table.h"

#include <stdio.h>
#include <string.h>

/* Calls for each command, and for the commands of those that have some; without the hidden ones. */
static void each_command(void (*print)(const struct command *command))
{
	for (size_t i = 0; i < command_count; i++) {
		print(&commands[i]);
		for (size_t j = 0; commands[i].commands && j < *commands[i].command_count; j++)
			if (!commands[i].commands[j].hidden)
				print(&commands[i].commands[j]);
	}
}

/* Of a command of another one, the second word. */
static const char *last_word(const struct command *command)
{
	const char *space = strchr(command->name, ' ');

	return space ? space + 1 : command->name;
}

static void print_names(const struct command *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!list[i].hidden)
			printf("%s%s", i ? " " : "", last_word(&list[i]));
}

static void print_command_names(void)
{
	print_names(commands, command_count);
}

static void print_option_paths(const char *end)
{
	for (size_t i = 0; i < task_option_table.count; i++)
		printf("%s%s%s", i ? " " : "", task_option_table.rows[i].path, end);
}

/* What asks the daemon for its tasks; it is quick, and silent where there is none. */
#define TASK_NAMES "keyferry task names 2>/dev/null"

static bool is_task(const char *choices)
{
	return choices && strcmp(choices, "@task") == 0;
}

/* The words that stand for a `choices`; "@file", "@dir" and "@task" are asked for by the shell and print nothing. */
static void print_choices(const char *choices)
{
	if (strcmp(choices, "@option") == 0) {
		print_option_paths("=");
	} else if (strcmp(choices, "@topic") == 0) {
		print_command_names();
		printf(" options ");
		print_option_paths("");
	} else if (choices[0] != '@') {
		printf("%s", choices);
	}
}

static bool is_file(const char *choices)
{
	return choices && strcmp(choices, "@file") == 0;
}

static bool is_dir(const char *choices)
{
	return choices && strcmp(choices, "@dir") == 0;
}

/* ---- bash ---- */

static void print_bash_choices(const char *choices)
{
	if (is_file(choices)) {
		printf("COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames 2>/dev/null");
	} else if (is_dir(choices)) {
		printf("COMPREPLY=($(compgen -d -- \"$cur\")); compopt -o filenames 2>/dev/null");
	} else if (is_task(choices)) {
		printf("COMPREPLY=($(compgen -W \"$(" TASK_NAMES ")\" -- \"$cur\"))");
	} else if (choices) {
		printf("COMPREPLY=($(compgen -W '");
		print_choices(choices);
		printf("' -- \"$cur\"))");
		if (strcmp(choices, "@option") == 0)
			printf("; compopt -o nospace 2>/dev/null");
	} else {
		printf("COMPREPLY=()");
	}
}

static void print_bash_values(const struct command *command)
{
	for (size_t i = 0; i < command->row_count; i++) {
		if (!command->rows[i].value)
			continue;
		printf("\t'%s',--%s) ", command->name, command->rows[i].name);
		print_bash_choices(command->rows[i].choices);
		printf("; return ;;\n");
	}
}

static void print_bash_words(const struct command *command)
{
	if (command->commands)
		return;
	printf("\t'%s',-*) COMPREPLY=($(compgen -W '", command->name);
	for (size_t i = 0; i < command->row_count; i++)
		printf("--%s ", command->rows[i].name);
	printf("--help' -- \"$cur\")) ;;\n");
	if (!command->words)
		return;
	printf("\t'%s',*) ", command->name);
	print_bash_choices(command->words);
	printf(" ;;\n");
}

static void print_bash(void)
{
	printf("# bash completion for keyferry\n"
	       "_keyferry()\n{\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} name=${COMP_WORDS[1]}\n"
	       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	print_command_names();
	printf("' -- \"$cur\"))\n\t\treturn\n\tfi\n");
	for (size_t i = 0; i < command_count; i++) {
		if (!commands[i].commands)
			continue;
		printf("\tif [ \"$name\" = %s ]; then\n\t\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\t\tCOMPREPLY=($(compgen -W '",
		       commands[i].name);
		print_names(commands[i].commands, *commands[i].command_count);
		printf("' -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\t\tname=\"$name ${COMP_WORDS[2]}\"\n\tfi\n");
	}
	printf("\tcase $name,$prev in\n");
	each_command(print_bash_values);
	printf("\tesac\n\tcase $name,$cur in\n");
	each_command(print_bash_words);
	printf("\tesac\n}\ncomplete -F _keyferry keyferry\n");
}

/* ---- zsh ---- */

/* A description stands in single quotes within brackets. */
static void print_zsh_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			printf("'\\''");
		else if (strchr("[]:\\", *text))
			printf("\\%c", *text);
		else
			putchar(*text);
	}
}

static void print_zsh_action(const char *choices)
{
	if (is_file(choices)) {
		printf("_files");
	} else if (is_dir(choices)) {
		printf("_files -/");
	} else if (is_task(choices)) {
		printf("_keyferry_tasks");
	} else if (choices) {
		printf("(");
		print_choices(choices);
		printf(")");
	} else {
		printf(" ");
	}
}

static void print_zsh_names(const struct command *list, size_t count)
{
	printf("\t\tnames=(\n");
	for (size_t i = 0; i < count; i++) {
		if (list[i].hidden)
			continue;
		printf("\t\t\t'%s:", last_word(&list[i]));
		print_zsh_text(list[i].summary);
		printf("'\n");
	}
	printf("\t\t)\n\t\t_describe command names\n\t\treturn\n");
}

static void print_zsh_command(const struct command *command)
{
	if (command->commands)
		return;
	printf("\t'%s')\n\t\t_arguments '(-h --help)'{-h,--help}'[explain the command]'", command->name);
	for (size_t i = 0; i < command->row_count; i++) {
		const struct argument_row *row = &command->rows[i];

		printf(" \\\n\t\t\t'%s--%s%s[", row->repeated ? "*" : "", row->name, row->value ? "=" : "");
		print_zsh_text(row->sentence);
		printf("]");
		if (row->value) {
			printf(":");
			print_zsh_text(row->value);
			printf(":");
			print_zsh_action(row->choices);
		}
		printf("'");
	}
	if (command->words) {
		printf(" \\\n\t\t\t'*: :");
		print_zsh_action(command->words);
		printf("'");
	}
	printf("\n\t\t;;\n");
}

static void print_zsh(void)
{
	printf("#compdef keyferry\n# zsh completion for keyferry\n"
	       "_keyferry_tasks()\n{\n\tlocal -a tasks\n\ttasks=(${(f)\"$(" TASK_NAMES ")\"})\n\tcompadd -a tasks\n}\n"
	       "_keyferry()\n{\n\tlocal -a names\n\tif (( CURRENT == 2 )); then\n");
	print_zsh_names(commands, command_count);
	printf("\tfi\n\tlocal name=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n");
	for (size_t i = 0; i < command_count; i++) {
		if (!commands[i].commands)
			continue;
		printf("\tif [[ $name == %s ]]; then\n\t\tif (( CURRENT == 2 )); then\n", commands[i].name);
		print_zsh_names(commands[i].commands, *commands[i].command_count);
		printf("\t\tfi\n\t\tname=\"$name $words[2]\"\n\t\tshift words\n\t\t(( CURRENT-- ))\n\tfi\n");
	}
	printf("\tcase $name in\n");
	each_command(print_zsh_command);
	printf("\tesac\n}\n"
	       "if [ \"$funcstack[1]\" = _keyferry ]; then\n\t_keyferry \"$@\"\nelse\n\tcompdef _keyferry keyferry\nfi\n");
}

/* ---- fish ---- */

/* Within single quotes. */
static void print_fish_text(const char *text)
{
	for (; *text; text++) {
		if (strchr("'\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void print_fish_choices(const char *choices)
{
	if (is_file(choices)) {
		printf(" -F");
	} else if (is_dir(choices)) {
		printf(" -a '(__fish_complete_directories)'");
	} else if (is_task(choices)) {
		printf(" -a '(" TASK_NAMES ")'");
	} else if (choices) {
		printf(" -a '");
		print_choices(choices);
		printf("'");
	}
}

/* A line that offers something behind the command. */
static void print_fish_begin(const struct command *command)
{
	printf("complete -c keyferry -n '__keyferry_is %s'", command->name);
}

static void print_fish_command(const struct command *command)
{
	bool nested = strchr(command->name, ' ') != NULL;

	printf("complete -c keyferry -n '%s' -a %s -d '", nested ? "__keyferry_is task" : "__fish_use_subcommand",
	       last_word(command));
	print_fish_text(command->summary);
	printf("'\n");
	print_fish_begin(command);
	printf(" -s h -l help -d 'explain the command'\n");
	for (size_t i = 0; i < command->row_count; i++) {
		print_fish_begin(command);
		/* -x takes no files, -F does. */
		printf(" -l %s%s -d '", command->rows[i].name,
		       !command->rows[i].value             ? ""
		       : is_file(command->rows[i].choices) ? " -r"
							   : " -x");
		print_fish_text(command->rows[i].sentence);
		printf("'");
		print_fish_choices(command->rows[i].choices);
		printf("\n");
	}
	if (command->words) {
		print_fish_begin(command);
		print_fish_choices(command->words);
		printf("\n");
	}
}

static void print_fish(void)
{
	printf("# fish completion for keyferry\n"
	       "# Is it this command that the line is about? 'task' has commands of its own, some with the names of others.\n"
	       "function __keyferry_is\n\tset -l words (commandline -opc)\n\tset -e words[1]\n"
	       "\tif test \"$words[1]\" = task\n\t\ttest \"$words[1..2]\" = \"$argv\"\n\telse\n\t\ttest \"$words[1]\" = \"$argv\"\n\tend\nend\n"
	       "complete -c keyferry -f\n");
	each_command(print_fish_command);
}

int cmd_completion(int argc, char **argv)
{
	struct arguments arguments;
	struct error error;
	const char *shell;
	int code = command_arguments("completion", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	shell = arguments_word(&arguments, 0);
	if (shell && strcmp(shell, "bash") == 0) {
		print_bash();
	} else if (shell && strcmp(shell, "zsh") == 0) {
		print_zsh();
	} else if (shell && strcmp(shell, "fish") == 0) {
		print_fish();
	} else {
		error_set(&error, ERROR_USAGE, "%s",
			  shell ? "it is none of the shells that it knows: bash, zsh, fish" : "name a shell: bash, zsh or fish");
		error_hint(&error, "for example: source <(keyferry completion bash)");
		return command_fail("completion", &error);
	}
	return ERROR_NONE;
}
