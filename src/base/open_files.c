#include "base/open_files.h"

#include <sys/resource.h>

void open_files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

bool open_files_check(uint64_t needed, struct error *error)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed)
		return true;
	error_set(
		error, ERROR_INTERNAL,
		"this process may have %llu files and connections open, and the task takes about %llu, for each link has a connection to each master of the target",
		(unsigned long long)limit.rlim_cur, (unsigned long long)needed);
	error_hint(
		error,
		"Raise the hard limit: ulimit -Hn, LimitNOFILE of the unit, worker.open_files of the daemon, --ulimit nofile of a container");
	return false;
}
