#include "service/differences.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_BYTES (1u << 20)

struct differences_writer {
	FILE *file;
	char *path, *final;
	uint64_t lines, bytes;
	bool failed;
};

/* ---- writing ---- */

struct differences_writer *differences_begin(const char *dir, int64_t job, struct error *error)
{
	struct differences_writer *writer = memory_alloc_zero(1, sizeof(*writer));

	writer->path = memory_printf("%s/differences.new", dir);
	writer->final = memory_printf("%s/differences", dir);
	writer->file = fopen(writer->path, "we");
	if (!writer->file) {
		error_set_errno(error, ERROR_INTERNAL, errno, "%s cannot be made", writer->path);
		differences_drop(writer);
		return NULL;
	}
	fprintf(writer->file, "{\"job\":%lld}\n", (long long)job);
	return writer;
}

void differences_add(struct differences_writer *writer, struct slice line)
{
	if (writer->failed || writer->lines == DIFFERENCES_KEPT || writer->bytes + line.len + 1 > DIFFERENCES_BYTES)
		return;
	/* Half a line could not be read: what is behind one that failed is not written. */
	writer->failed = fwrite(line.data, 1, line.len, writer->file) != line.len || putc('\n', writer->file) == EOF;
	writer->lines++;
	writer->bytes += line.len + 1;
}

static void writer_free(struct differences_writer *writer)
{
	free(writer->path);
	free(writer->final);
	free(writer);
}

void differences_end(struct differences_writer *writer)
{
	if (!writer)
		return;
	fclose(writer->file);
	rename(writer->path, writer->final);
	writer_free(writer);
}

void differences_drop(struct differences_writer *writer)
{
	if (!writer)
		return;
	if (writer->file) {
		fclose(writer->file);
		unlink(writer->path);
	}
	writer_free(writer);
}

/* ---- reading ---- */

struct reader {
	FILE *file;
	char *line;
	size_t room;
	int64_t at; /* where the next line begins */
};

/* NULL: the end, or a line that did not get onto the disk whole. */
static json_t *next_line(struct reader *reader, size_t *ret_len)
{
	ssize_t len = getline(&reader->line, &reader->room, reader->file);

	if (len <= 0 || reader->line[len - 1] != '\n')
		return NULL;
	reader->at += len;
	*ret_len = (size_t)len;
	return json_loadb(reader->line, (size_t)len, 0, NULL);
}

/* To where a line begins; false: there is none. */
static bool seek_line(struct reader *reader, int64_t after)
{
	if (after <= reader->at)
		return true;
	if (fseeko(reader->file, (off_t)after - 1, SEEK_SET) < 0 || getc(reader->file) != '\n')
		return false;
	reader->at = after;
	return true;
}

static bool is_of_kind(const json_t *line, const char *kind)
{
	const char *have = json_string_value(json_object_get(line, "kind"));

	return !kind || (have && strcmp(have, kind) == 0);
}

/* One more than the page has is looked for: `next` is where that one is. */
static json_t *read_page(struct reader *reader, const char *kind, uint32_t most, json_t *items)
{
	size_t bytes = 0, len;
	int64_t begin = reader->at;
	json_t *line;

	while ((line = next_line(reader, &len))) {
		bool wanted = is_of_kind(line, kind);

		if (wanted && (json_array_size(items) == most || (bytes > 0 && bytes + len > PAGE_BYTES))) {
			json_decref(line);
			return json_integer(begin);
		}
		if (wanted) {
			json_array_append(items, line);
			bytes += len;
		}
		json_decref(line);
		begin = reader->at;
	}
	return json_null();
}

static json_t *read_file(struct reader *reader, const char *kind, int64_t after, uint32_t most)
{
	size_t len;
	json_t *head = next_line(reader, &len), *items = json_array(), *next = json_null(),
	       *job = json_incref(json_object_get(head, "job"));

	if (head && seek_line(reader, after))
		next = read_page(reader, kind, most, items);
	json_decref(head);
	return json_pack("{s:o?, s:o, s:o}", "job", job, "items", items, "next", next);
}

bool differences_read(const char *dir, const char *kind, int64_t after, uint32_t most, json_t **ret, struct error *error)
{
	char *path = memory_printf("%s/differences", dir);
	struct reader reader = {.file = fopen(path, "re")};
	bool ok = reader.file || errno == ENOENT;

	if (!ok)
		error_set_errno(error, ERROR_INTERNAL, errno, "%s cannot be read", path);
	else if (!reader.file)
		*ret = json_pack("{s:n, s:[], s:n}", "job", "items", "next");
	else
		*ret = read_file(&reader, kind, after, most);
	if (reader.file)
		fclose(reader.file);
	free(reader.line);
	free(path);
	return ok;
}
