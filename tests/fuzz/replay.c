/* Runs a fuzz harness over files, and the files of folders, named on the command line: a corpus as a plain test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, got;
	char chunk[4096];

	if (!file) {
		perror(path);
		return -1;
	}
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0) {
		/* Exactly as long as the input, so that a sanitizer sees a read behind it. */
		data = realloc(data, size + got);
		if (!data)
			abort();
		for (size_t i = 0; i < got; i++)
			data[size + i] = (uint8_t)chunk[i];
		size += got;
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data ? data : (const uint8_t *)"", size);
	free(data);
	return 1;
}

/* How many inputs were run; -1: one could not be read. */
static int replay(const char *path)
{
	struct stat status;
	struct dirent *entry;
	DIR *folder;
	int count = 0;

	if (stat(path, &status) != 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(status.st_mode))
		return replay_file(path);
	folder = opendir(path);
	if (!folder) {
		perror(path);
		return -1;
	}
	while (count >= 0 && (entry = readdir(folder))) {
		char *inner;

		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0)
			abort();
		count = replay_file(inner) < 0 ? -1 : count + 1;
		free(inner);
	}
	closedir(folder);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = replay(argv[i]);

		if (count < 0)
			return 1;
		total += count;
	}
	printf("%d inputs\n", total);
	/* A corpus that was moved or forgotten is no success. */
	return total > 0 ? 0 : 1;
}
