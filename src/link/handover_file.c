#include "link/handover_file.h"

#include "base/file.h"
#include "base/memory.h"
#include "wire/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "keyferry slots 1\n"
#define NAME_MAX_LEN 63
#define LINE_MAX_LEN 200

struct handover_file {
	char *path;
	FILE *out; /* NULL: not written yet */
	bool torn; /* the last line may have been cut off */
};

struct handover_file *handover_file_open(const char *path, struct error *error)
{
	struct handover_file *file = memory_alloc_zero(1, sizeof(*file));

	if (access(path, F_OK) == 0 && access(path, R_OK | W_OK) < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot read and write %s", path);
		error_hint(error, "Make the work directory and what lies in it readable and writable");
		free(file);
		return NULL;
	}
	file->path = memory_strdup(path);
	return file;
}

void handover_file_close(struct handover_file *file)
{
	if (!file)
		return;
	if (file->out)
		fclose(file->out);
	free(file->path);
	free(file);
}

static void read_line(const char *line, void (*each)(void *owner, uint16_t slot, const char *holder, const char *exporter),
		      void (*job)(void *owner, uint16_t slot, uint64_t hash),
		      void (*relied)(void *owner, const char *name, int64_t offset), void *owner)
{
	unsigned long long hash = 0;
	long long offset;
	char holder[NAME_MAX_LEN + 1] = "", exporter[NAME_MAX_LEN + 1] = "";
	unsigned first, last;
	int at = 0;

	if (sscanf(line, "relied %63s %18lld", holder, &offset) == 2) {
		relied(owner, holder, offset);
		return;
	}
	if (sscanf(line, "job %16llx %n", &hash, &at) == 1)
		line += at;
	if (sscanf(line, "%5u-%5u%n", &first, &last, &at) != 2) {
		if (sscanf(line, "%5u%n", &first, &at) != 1)
			return;
		last = first;
	}
	if (first > last || last >= SLOT_COUNT)
		return;
	for (unsigned slot = first; hash && slot <= last; slot++)
		job(owner, (uint16_t)slot, hash);
	if (hash || sscanf(line + at, " %63s %63s", holder, exporter) < 1)
		return;
	for (unsigned slot = first; slot <= last; slot++)
		each(owner, (uint16_t)slot, holder, exporter[0] ? exporter : NULL);
}

void handover_file_read(const struct handover_file *file,
			void (*each)(void *owner, uint16_t slot, const char *holder, const char *exporter),
			void (*job)(void *owner, uint16_t slot, uint64_t hash),
			void (*relied)(void *owner, const char *name, int64_t offset), void *owner)
{
	FILE *in = fopen(file->path, "re");
	char line[LINE_MAX_LEN];

	if (!in)
		return;
	if (fgets(line, sizeof(line), in) && strcmp(line, HEAD) == 0)
		while (fgets(line, sizeof(line), in) && strchr(line, '\n'))
			read_line(line, each, job, relied, owner);
	fclose(in);
}

static bool fail(const struct handover_file *file, struct error *error)
{
	error_set_errno(error, ERROR_USAGE, errno, "cannot write %s", file->path);
	error_hint(error, "Make room in the work directory, and make it writable");
	return false;
}

static bool same(const char *left, const char *right)
{
	return left == right || (left && right && strcmp(left, right) == 0);
}

static void put_line(FILE *out, uint32_t first, uint32_t last, const char *holder, const char *exporter)
{
	fprintf(out, "%u", first);
	if (last > first)
		fprintf(out, "-%u", last);
	fprintf(out, " %s%s%s\n", holder, exporter ? " " : "", exporter ? exporter : "");
}

static void put_job(FILE *out, uint32_t first, uint32_t last, uint64_t hash)
{
	if (hash)
		fprintf(out, "job %016llx %u-%u\n", (unsigned long long)hash, first, last);
}

static void put_relied(FILE *out, const char *name, int64_t offset)
{
	if (offset >= 0)
		fprintf(out, "relied %s %lld\n", name, (long long)offset);
}

static bool put_on_disk(FILE *out)
{
	return fflush(out) == 0 && !ferror(out) && fdatasync(fileno(out)) == 0;
}

bool handover_file_write(struct handover_file *file,
			 void (*tell)(void *owner, uint16_t slot, const char **ret_holder, const char **ret_exporter),
			 uint64_t (*job)(void *owner, uint16_t slot),
			 bool (*relied)(void *owner, uint32_t i, const char **ret_name, int64_t *ret_offset), void *owner,
			 struct error *error)
{
	char *beside = memory_printf("%s.new", file->path);
	FILE *out = fopen(beside, "we");
	bool ok = out != NULL;
	const char *name;
	int64_t offset;
	uint32_t first = 0;

	if (ok)
		fputs(HEAD, out);
	while (ok && first < SLOT_COUNT) {
		const char *holder, *exporter, *next_holder, *next_exporter;
		uint32_t end = first + 1;

		tell(owner, (uint16_t)first, &holder, &exporter);
		for (; end < SLOT_COUNT; end++) {
			tell(owner, (uint16_t)end, &next_holder, &next_exporter);
			if (!same(holder, next_holder) || !same(exporter, next_exporter))
				break;
		}
		if (holder)
			put_line(out, first, end - 1, holder, exporter);
		first = end;
	}
	for (uint32_t slot = 0, end; ok && slot < SLOT_COUNT; slot = end) {
		uint64_t hash = job(owner, (uint16_t)slot);

		for (end = slot + 1; end < SLOT_COUNT && job(owner, (uint16_t)end) == hash;)
			end++;
		put_job(out, slot, end - 1, hash);
	}
	for (uint32_t i = 0; ok && relied(owner, i, &name, &offset); i++)
		put_relied(out, name, offset);
	/* What is added later is of no use in a file that has no name after a power cut. */
	ok = ok && put_on_disk(out) && rename(beside, file->path) == 0 && file_sync_folder(file->path);
	if (!ok) {
		fail(file, error);
		if (out)
			fclose(out);
	} else {
		if (file->out)
			fclose(file->out);
		file->out = out;
	}
	free(beside);
	return ok;
}

bool handover_file_add(struct handover_file *file, uint16_t slot, const char *holder, const char *exporter, bool sync,
		       struct error *error)
{
	bool ok;

	clearerr(file->out);
	if (file->torn)
		fputc('\n', file->out);
	put_line(file->out, slot, slot, holder, exporter);
	ok = sync ? put_on_disk(file->out) : fflush(file->out) == 0;
	file->torn = !ok;
	return ok || fail(file, error);
}

void handover_file_job(struct handover_file *file, uint16_t slot, uint64_t hash)
{
	if (file->torn)
		fputc('\n', file->out);
	put_job(file->out, slot, slot, hash);
}

void handover_file_rely(struct handover_file *file, const char *name, int64_t offset)
{
	if (file->torn)
		fputc('\n', file->out);
	put_relied(file->out, name, offset);
}
