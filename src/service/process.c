#include "service/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program that runs now, also when its file has been replaced meanwhile: daemon and workers are of one version until the daemon itself is started anew. */
#define PROGRAM "/proc/self/exe"
#define DOCUMENT_FD 3
#define CANNOT_EXEC 127

int process_document(struct slice text, struct error *error)
{
	int fd = memfd_create("keyferry-document", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < text.len) {
		ssize_t put = write(fd, text.data + done, text.len - done);

		if (put < 0 && errno != EINTR)
			break;
		done += put > 0 ? (size_t)put : 0;
	}
	if (fd >= 0 && done == text.len)
		return fd;
	error_set_errno(error, ERROR_INTERNAL, errno, "a document cannot be handed over");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- in the child, where only what is safe in a signal handler may be called: other threads held locks when it was forked ---- */

static void lower(int what, rlim_t limit)
{
	struct rlimit now;

	if (getrlimit(what, &now) != 0)
		return;
	now.rlim_cur = now.rlim_max != RLIM_INFINITY && limit > now.rlim_max ? now.rlim_max : limit;
	setrlimit(what, &now);
}

static void lower_for_good(int what, rlim_t limit)
{
	struct rlimit now;

	lower(what, limit);
	if (getrlimit(what, &now) != 0)
		return;
	now.rlim_max = now.rlim_cur;
	setrlimit(what, &now);
}

static void set_limits(const struct process_options *options)
{
	static const struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	if (options->memory)
		lower(RLIMIT_DATA, options->memory);
	if (options->open_files)
		lower_for_good(RLIMIT_NOFILE, options->open_files); /* the worker goes up to its hard limit */
	if (options->nice)
		setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + (int)options->nice);
}

static void become(const struct process_options *options, int log, int null, pid_t parent)
{
	int output = options->output >= 0 ? options->output : log;
	sigset_t nothing;

	sigemptyset(&nothing);
	sigprocmask(SIG_SETMASK, &nothing, NULL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	setsid();
	if (options->dies_with_parent) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(CANNOT_EXEC);
	}
	/* All of these are above the standard ones, which the daemon has open. */
	if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		_exit(CANNOT_EXEC);
	/* dup2() onto itself would leave it to be closed. */
	if (options->document == DOCUMENT_FD ? fcntl(DOCUMENT_FD, F_SETFD, 0) < 0 : dup2(options->document, DOCUMENT_FD) < 0)
		_exit(CANNOT_EXEC);
	close_range(DOCUMENT_FD + 1, ~0U, 0);
	set_limits(options);
	execv(PROGRAM, (char *const *)options->argv);
	_exit(CANNOT_EXEC);
}

/* ---- the parent ---- */

static pid_t start(const struct process_options *options, int log, int null, int *ret_pidfd)
{
	pid_t parent = getpid(), child = fork();
	int pidfd, reason;

	if (child == 0)
		become(options, log, null, parent);
	if (child < 0)
		return -1;
	pidfd = pidfd_open(child, 0);
	if (pidfd >= 0) {
		*ret_pidfd = pidfd;
		return child;
	}
	/* A child that nobody would see end. */
	reason = errno;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	errno = reason;
	return -1;
}

pid_t process_start(const struct process_options *options, int *ret_pidfd, struct error *error)
{
	int log = open(options->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (options->new_log ? O_TRUNC : 0), 0600),
	    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pid_t child = log >= 0 && null >= 0 ? start(options, log, null, ret_pidfd) : -1;

	if (child < 0) {
		error_set_errno(error, ERROR_INTERNAL, errno,
				log < 0 ? "%s cannot be written to" : "a process cannot be started (its log would be %s)",
				options->log);
		error_hint(error, log < 0 ? "Make room on the disk of the data directory"
					  : "Raise the limits of processes and open files");
	}
	if (log >= 0)
		close(log);
	if (null >= 0)
		close(null);
	return child;
}

int process_open(pid_t pid)
{
	return pidfd_open(pid, 0);
}

bool process_reap(pid_t pid, int *ret_status)
{
	return waitpid(pid, ret_status, WNOHANG) == pid;
}

void process_signal(int pidfd, int number)
{
	pidfd_send_signal(pidfd, number, NULL, 0);
}
