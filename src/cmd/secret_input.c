#include "cmd/secret_input.h"

#include "base/memory.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* A signal that comes before the wait has written to stop_fd. */
static bool wait_for_input(int stop_fd)
{
	struct pollfd wait[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

	while (poll(wait, 2, -1) < 0 && errno == EINTR)
		;
	errno = EINTR;
	return wait[1].revents == 0;
}

/* Byte by byte: what is behind the line is for others. -1: errno says why, EINTR that it was interrupted; SECRET_INPUT_MAX: it has no end. */
static ssize_t read_line(char line[SECRET_INPUT_MAX], int stop_fd)
{
	size_t len = 0;

	while (len < SECRET_INPUT_MAX) {
		ssize_t got;

		if (!wait_for_input(stop_fd))
			return -1;
		got = read(STDIN_FILENO, line + len, 1);
		if (got < 0)
			return -1;
		if (got == 0 || line[len] == '\n')
			break;
		len++;
	}
	return (ssize_t)len;
}

static ssize_t ask(const char *what, int stop_fd, char line[SECRET_INPUT_MAX])
{
	struct termios before, silent;
	bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	ssize_t len;
	int problem;

	if (!terminal)
		return read_line(line, stop_fd);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* Before anything is asked, for what comes then is the answer. */
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fprintf(stderr, "%s: ", what);
	fflush(stderr);
	len = read_line(line, stop_fd);
	problem = errno;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	fputc('\n', stderr);
	errno = problem;
	return len;
}

char *secret_input_read(const char *what, int stop_fd, struct error *error)
{
	char line[SECRET_INPUT_MAX], *secret = NULL;
	ssize_t len = ask(what, stop_fd, line);

	if (len > 0 && len < SECRET_INPUT_MAX && line[len - 1] == '\r')
		len--;
	error_clear(error);
	if (len > 0 && len < SECRET_INPUT_MAX && !memchr(line, '\0', (size_t)len))
		secret = memory_strndup(line, (size_t)len);
	else if (len >= 0)
		error_set(error, ERROR_USAGE, "%s: %s", what,
			  len == 0 ? "nothing was given" : "more than one line of at most 4095 bytes was given, or a NUL byte");
	else if (errno != EINTR)
		error_set_errno(error, ERROR_USAGE, errno, "%s cannot be read from standard input", what);
	memory_wipe(line, sizeof(line));
	return secret;
}
