#include "source/input.h"

#include "base/memory.h"
#include "source/aof_manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST_SUFFIX ".manifest"

static const char select_zero[] = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
#define SELECT_ZERO_LEN (sizeof(select_zero) - 1)

/* ---- opening ---- */

static bool add_file(struct input *input, const char *path, struct error *error)
{
	struct input_file *entry;
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */

	if (file < 0 || fstat(file, &status) < 0) {
		error_set_errno(error, ERROR_SOURCE, errno, "%s cannot be read", path);
		error_hint(error, "It must be there, and readable by the user that runs keyferry");
		if (file >= 0)
			close(file);
		return false;
	}
	if (!S_ISREG(status.st_mode)) {
		error_set(error, ERROR_SOURCE, "%s is not a file", path);
		error_hint(error, "%s",
			   input->kind == INPUT_RDB ? "An RDB file is read as it lies on disk, not from a pipe: save it first"
						    : "An append-only file is read as it lies on disk");
		close(file);
		return false;
	}
	input->files = memory_realloc_array(input->files, input->count + 1, sizeof(input->files[0]));
	entry = &input->files[input->count++];
	*entry = (struct input_file){.path = memory_strdup(path), .file = file, .size = (uint64_t)status.st_size};
	entry->length = entry->size;
	return true;
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), suffix_len = strlen(suffix);

	return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

static bool read_manifest(const char *path, struct aof_manifest *manifest, struct error *error)
{
	uint8_t *text = memory_alloc(AOF_MANIFEST_BYTES_MAX + 1);
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
	size_t len = 0;
	ssize_t got = file < 0 ? -1 : 1;
	bool ok = false;

	while (got > 0 && len <= AOF_MANIFEST_BYTES_MAX) {
		got = read(file, text + len, AOF_MANIFEST_BYTES_MAX + 1 - len);
		if (got < 0 && errno == EINTR)
			got = 1;
		else
			len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0) {
		error_set_errno(error, ERROR_SOURCE, errno, "%s cannot be read", path);
	} else if (len > AOF_MANIFEST_BYTES_MAX) {
		error_set(error, ERROR_SOURCE, "%s is longer than %u bytes, which no manifest is", path, AOF_MANIFEST_BYTES_MAX);
	} else {
		ok = aof_manifest_parse(slice_make(text, len), manifest, error);
		if (!ok)
			error_prefix(error, "%s", path);
	}
	if (file >= 0)
		close(file);
	free(text);
	return ok;
}

/* path names a manifest; its files lie beside it. */
static bool open_parts(struct input *input, const char *path, struct error *error)
{
	const char *slash = strrchr(path, '/');
	struct aof_manifest manifest;
	bool ok = true;

	if (!read_manifest(path, &manifest, error))
		return false;
	for (uint32_t i = 0; ok && i < manifest.count; i++) {
		char *part = memory_printf("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, manifest.files[i]);

		ok = add_file(input, part, error);
		free(part);
	}
	aof_manifest_free(&manifest);
	return ok;
}

static bool open_folder(struct input *input, const char *path, struct error *error)
{
	DIR *folder = opendir(path);
	char *found = NULL;
	struct dirent *entry;
	unsigned count = 0;
	bool ok;

	if (!folder) {
		error_set_errno(error, ERROR_SOURCE, errno, "the folder %s cannot be read", path);
		return false;
	}
	while ((entry = readdir(folder))) {
		if (!has_suffix(entry->d_name, MANIFEST_SUFFIX))
			continue;
		count++;
		free(found);
		found = memory_printf("%s/%s", path, entry->d_name);
	}
	closedir(folder);
	if (count != 1) {
		error_set(error, ERROR_SOURCE, "the folder %s has %s", path,
			  count ? "several manifests of append-only files" : "no manifest of an append-only file");
		error_hint(
			error, "%s",
			count ? "Name one of its *.manifest files"
			      : "Name the folder that has a *.manifest file (a server's appenddirname), or the append-only file itself");
		free(found);
		return false;
	}
	ok = open_parts(input, found, error);
	free(found);
	return ok;
}

static bool open_files(struct input *input, struct error *error)
{
	struct stat status;

	if (input->kind == INPUT_RDB)
		return add_file(input, input->path, error);
	if (stat(input->path, &status) == 0 && S_ISDIR(status.st_mode))
		return open_folder(input, input->path, error);
	if (has_suffix(input->path, MANIFEST_SUFFIX))
		return open_parts(input, input->path, error);
	return add_file(input, input->path, error);
}

bool input_open(struct input *input, enum input_kind kind, const char *path, struct error *error)
{
	*input = (struct input){.kind = kind, .path = memory_strdup(path)};
	if (!open_files(input, error)) {
		input_close(input);
		return false;
	}
	input_lay_out(input);
	return true;
}

void input_close(struct input *input)
{
	for (uint32_t i = 0; i < input->count; i++) {
		close(input->files[i].file);
		free(input->files[i].path);
	}
	free(input->files);
	free(input->path);
	*input = (struct input){0};
}

void input_lay_out(struct input *input)
{
	uint64_t position = 0;

	for (uint32_t i = 0; i < input->count; i++) {
		position += i > 0 ? SELECT_ZERO_LEN : 0;
		input->files[i].position = position;
		position += input->files[i].length;
	}
	input->total = position;
}

/* ---- reading ---- */

/* The last file that has not ended at `position`; what is put before the next one belongs to that one. */
static const struct input_file *file_at(const struct input *input, uint64_t position)
{
	const struct input_file *file = input->files;

	while (position >= file->position + file->length)
		file++;
	return file;
}

bool input_read(const struct input *input, uint64_t position, void *out, size_t cap, size_t *ret_len, struct error *error)
{
	const struct input_file *file = file_at(input, position);
	uint64_t rest, offset;
	ssize_t got;

	if (position < file->position) {
		rest = file->position - position;
		*ret_len = rest < cap ? (size_t)rest : cap;
		memcpy(out, select_zero + SELECT_ZERO_LEN - rest, *ret_len);
		return true;
	}
	offset = position - file->position;
	rest = file->length - offset;
	do
		got = pread(file->file, out, rest < cap ? (size_t)rest : cap, (off_t)offset);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*ret_len = (size_t)got;
		return true;
	}
	if (got < 0)
		error_set_errno(error, ERROR_SOURCE, errno, "%s cannot be read at byte %llu", file->path,
				(unsigned long long)offset);
	else
		error_set(error, ERROR_SOURCE, "%s has become shorter: it ends before byte %llu, and had %llu", file->path,
			  (unsigned long long)offset, (unsigned long long)file->size);
	error_hint(error, "The position is kept: with the file as it was, a new start goes on there");
	return false;
}
