#include "cmd/log_file.h"

#include "base/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void log_file_turn(const char *data_dir, uint64_t max_size)
{
	struct stat file;
	char *path, *old;
	int fd;

	if (fstat(STDERR_FILENO, &file) < 0 || !S_ISREG(file.st_mode) || (uint64_t)file.st_size <= max_size)
		return;
	path = memory_printf("%s/log", data_dir);
	old = memory_printf("%s/log.1", data_dir);
	if (rename(path, old) == 0) {
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (fd >= 0) {
			dup2(fd, STDERR_FILENO);
			dup2(fd, STDOUT_FILENO);
			close(fd);
		}
	}
	free(path);
	free(old);
}
