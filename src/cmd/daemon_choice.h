/* Which daemon a command asks, and with what token.
 *
 *   server   --server URL, KEYFERRY_SERVER; else this machine's daemon: where /etc/keyferry/serve.yaml says that it listens, if that can be read, or http://127.0.0.1:7280
 *   token    --token-file FILE, KEYFERRY_TOKEN; else the file $XDG_CONFIG_HOME/keyferry/token (~/.config/keyferry/token), which goes over TLS or to a loopback address alone
 *   CA       --ca-file FILE, KEYFERRY_CA_FILE; else the system's authorities
 *
 * A token is never an argument: arguments are seen by everybody on the machine. Thread: the main one. */
#ifndef KEYFERRY_CMD_DAEMON_CHOICE_H
#define KEYFERRY_CMD_DAEMON_CHOICE_H

#include "cmd/arguments.h"

/* For the table of a command's options. */
#define DAEMON_CHOICE_ROWS                                                                                                       \
	{.name = "server", .value = "URL", .sentence = "of the daemon, as https://host:7280; or KEYFERRY_SERVER"},               \
		{.name = "token-file",                                                                                           \
		 .value = "FILE",                                                                                                \
		 .sentence = "file of the token; or KEYFERRY_TOKEN, or ~/.config/keyferry/token",                                \
		 .choices = "@file"},                                                                                            \
	{                                                                                                                        \
		.name = "ca-file", .value = "FILE",                                                                              \
		.sentence = "authorities (PEM) that the server's certificate may be signed by; or KEYFERRY_CA_FILE",             \
		.choices = "@file"                                                                                               \
	}

struct daemon_choice {
	char *server;
	char *token;         /* NULL: none */
	const char *ca_file; /* NULL: the system's; not owned */
	bool withheld;       /* there is a token in the usual file, which may not cross a network in clear */
};

/* ERROR_USAGE. */
bool daemon_choice_make(const struct arguments *arguments, struct daemon_choice *ret, struct error *error) WARN_UNUSED;
void daemon_choice_free(struct daemon_choice *choice);

#endif
