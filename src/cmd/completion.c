/* Completion scripts, made of the table of commands, so that they know every command and option of this very version. */
#include "cmd/command.h"

#include "task/options_table.h"

#include <stdio.h>
#include <string.h>

static void print_command_names(void)
{
	for (size_t i = 0; i < command_count; i++)
		printf("%s%s", i ? " " : "", commands[i].name);
}

static void print_option_paths(const char *end)
{
	for (size_t i = 0; i < task_option_table.count; i++)
		printf("%s%s%s", i ? " " : "", task_option_table.rows[i].path, end);
}

/* The words that stand for a `choices`; "@file" and "@dir" are up to the shell and print nothing. */
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

static void print_bash(void)
{
	printf("# bash completion for keyferry\n"
		"_keyferry()\n{\n"
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		"\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	print_command_names();
	printf("' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]},$prev in\n");
	for (size_t i = 0; i < command_count; i++) {
		for (size_t j = 0; j < commands[i].row_count; j++) {
			if (!commands[i].rows[j].value)
				continue;
			printf("\t%s,--%s) ", commands[i].name, commands[i].rows[j].name);
			print_bash_choices(commands[i].rows[j].choices);
			printf("; return ;;\n");
		}
	}
	printf("\tesac\n\tcase ${COMP_WORDS[1]},$cur in\n");
	for (size_t i = 0; i < command_count; i++) {
		printf("\t%s,-*) COMPREPLY=($(compgen -W '", commands[i].name);
		for (size_t j = 0; j < commands[i].row_count; j++)
			printf("--%s ", commands[i].rows[j].name);
		printf("--help' -- \"$cur\")) ;;\n");
		if (!commands[i].words)
			continue;
		printf("\t%s,*) ", commands[i].name);
		print_bash_choices(commands[i].words);
		printf(" ;;\n");
	}
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
	} else if (choices) {
		printf("(");
		print_choices(choices);
		printf(")");
	} else {
		printf(" ");
	}
}

static void print_zsh(void)
{
	printf("#compdef keyferry\n# zsh completion for keyferry\n_keyferry()\n{\n"
		"\tlocal -a names\n\tif (( CURRENT == 2 )); then\n\t\tnames=(\n");
	for (size_t i = 0; i < command_count; i++) {
		printf("\t\t\t'%s:", commands[i].name);
		print_zsh_text(commands[i].summary);
		printf("'\n");
	}
	printf("\t\t)\n\t\t_describe command names\n\t\treturn\n\tfi\n"
		"\tlocal name=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $name in\n");
	for (size_t i = 0; i < command_count; i++) {
		printf("\t%s)\n\t\t_arguments '(-h --help)'{-h,--help}'[explain the command]'", commands[i].name);
		for (size_t j = 0; j < commands[i].row_count; j++) {
			const struct argument_row *row = &commands[i].rows[j];

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
		if (commands[i].words) {
			printf(" \\\n\t\t\t'*: :");
			print_zsh_action(commands[i].words);
			printf("'");
		}
		printf("\n\t\t;;\n");
	}
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
	} else if (choices) {
		printf(" -a '");
		print_choices(choices);
		printf("'");
	}
}

static void print_fish(void)
{
	printf("# fish completion for keyferry\ncomplete -c keyferry -f\n");
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];

		printf("complete -c keyferry -n __fish_use_subcommand -a %s -d '", command->name);
		print_fish_text(command->summary);
		printf("'\n");
		printf("complete -c keyferry -n '__fish_seen_subcommand_from %s' -s h -l help -d 'explain the command'\n", command->name);
		for (size_t j = 0; j < command->row_count; j++) {
			printf("complete -c keyferry -n '__fish_seen_subcommand_from %s' -l %s%s -d '", command->name,
				command->rows[j].name, command->rows[j].value ? " -x" : "");
			print_fish_text(command->rows[j].sentence);
			printf("'");
			print_fish_choices(command->rows[j].choices);
			printf("\n");
		}
		if (command->words) {
			printf("complete -c keyferry -n '__fish_seen_subcommand_from %s'", command->name);
			print_fish_choices(command->words);
			printf("\n");
		}
	}
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
