#include "base/process_stats.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STAT_MAX 1024

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static double boot_time;

/* Unix time at which the machine was started. Not from /proc/stat, which services do not see (ProcSubset=pid); and asked once, for two clocks that are read one
 * after the other give another result each time. */
static void ask_boot_time(void)
{
	struct timespec now, up;

	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &up);
	boot_time = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
}

/* The fields of /proc/self/stat behind the command's name, which may hold blanks and brackets itself. */
static void read_stat(struct process_stats *stats)
{
	unsigned long long user, system, threads, started, size;
	long long resident;
	char text[STAT_MAX];
	FILE *file = fopen("/proc/self/stat", "re");
	size_t len;
	const char *rest;
	double ticks = (double)sysconf(_SC_CLK_TCK);

	if (!file)
		return;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	rest = strrchr(text, ')');
	if (!rest ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %llu %*d %llu %llu %lld",
		   &user, &system, &threads, &started, &size, &resident) != 6)
		return;
	stats->cpu_seconds = (double)(user + system) / ticks;
	pthread_once(&asked, ask_boot_time);
	stats->start_time_seconds = boot_time + (double)started / ticks;
	stats->virtual_bytes = size;
	stats->resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
	stats->threads = threads;
}

static uint64_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	uint64_t count = 0;
	const struct dirent *entry;

	if (!folder)
		return 0;
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count - 1; /* the folder's own */
}

struct process_stats process_stats_read(void)
{
	struct process_stats stats = {.open_fds = count_fds()};
	struct rlimit most;

	read_stat(&stats);
	if (getrlimit(RLIMIT_NOFILE, &most) == 0)
		stats.max_fds = most.rlim_cur == RLIM_INFINITY ? UINT64_MAX : most.rlim_cur;
	return stats;
}
