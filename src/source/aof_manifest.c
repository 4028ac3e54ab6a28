#include "source/aof_manifest.h"

#include "base/memory.h"

#include <stdlib.h>

#define WORD_MAX AOF_MANIFEST_LINE_MAX
#define NAME_MAX_BYTES 255

/* What one line says; the words' bytes are in `text`, each with its NUL. */
struct line {
	char text[WORD_MAX + 1];
	size_t used;
	char file[NAME_MAX_BYTES + 1];
	uint64_t seq;
	char type; /* 'b', 'i', 'h'; 0: not given */
};

struct parse_state {
	struct aof_manifest manifest;
	uint64_t last_seq;
	uint32_t number; /* of the line */
	struct error *error;
};

static bool fail(struct parse_state *state, const char *what)
{
	error_set(state->error, ERROR_SOURCE, "line %u: %s", state->number, what);
	error_hint(state->error,
		   "This is not the manifest of an append-only file, or it is damaged: take another copy of the whole folder");
	return false;
}

/* ---- words ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char unescape(uint8_t c)
{
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'a': return '\a';
	default: return (char)c;
	}
}

/* One character of a quoted word, at *at, which is not its closing quote. False: the text ends. */
static bool take_quoted(struct slice text, size_t *at, uint8_t quote, char *ret)
{
	const uint8_t *p = text.data + *at;
	size_t rest = text.len - *at;

	if (p[0] != '\\' || rest < 2) {
		*ret = (char)p[0];
		*at += 1;
		return p[0] != '\\';
	}
	if (quote == '\'') { /* only the quote itself is escaped in these */
		*ret = p[1] == '\'' ? '\'' : '\\';
		*at += p[1] == '\'' ? 2 : 1;
		return true;
	}
	if (p[1] == 'x' && rest >= 4 && hex(p[2]) >= 0 && hex(p[3]) >= 0) {
		*ret = (char)(hex(p[2]) * 16 + hex(p[3]));
		*at += 4;
		return true;
	}
	*ret = unescape(p[1]);
	*at += 2;
	return true;
}

/* The next word of a line, into `out` with a NUL; *ret_len 0 and true at the line's end. False: quotes that do not close, or that text follows at
 * once. */
static bool take_word(struct slice text, size_t *at, char out[WORD_MAX + 1], size_t *ret_len, bool *ret_end)
{
	size_t len = 0;
	uint8_t quote = 0;

	while (*at < text.len && is_blank(text.data[*at]))
		*at += 1;
	*ret_end = *at == text.len;
	while (*at < text.len && !(quote == 0 && is_blank(text.data[*at]))) {
		uint8_t c = text.data[*at];

		if (quote == 0 && (c == '"' || c == '\'')) {
			quote = c;
			*at += 1;
		} else if (quote != 0 && c == quote) {
			*at += 1;
			quote = 0;
			if (*at < text.len && !is_blank(text.data[*at]))
				return false;
			break;
		} else if (quote != 0) {
			if (!take_quoted(text, at, quote, &out[len++]))
				return false;
		} else {
			out[len++] = (char)c;
			*at += 1;
		}
	}
	out[len] = '\0';
	*ret_len = len;
	return quote == 0;
}

/* ---- lines ---- */

static bool take_file(struct parse_state *state, struct line *line, struct slice value)
{
	if (value.len == 0 || value.len > NAME_MAX_BYTES || memchr(value.data, '\0', value.len))
		return fail(state, "no file can have such a name");
	if (memchr(value.data, '/', value.len))
		return fail(state, "the name of the file has a slash; all files of a manifest lie in its own folder");
	memcpy(line->file, value.data, value.len);
	line->file[value.len] = '\0';
	return true;
}

static bool take_pair(struct parse_state *state, struct line *line, struct slice name, struct slice value)
{
	if (slice_equal_nocase(name, SLICE("file")))
		return take_file(state, line, value);
	if (slice_equal_nocase(name, SLICE("seq"))) {
		if (!slice_to_uint64(value, &line->seq) || line->seq == 0 || line->seq > INT64_MAX)
			return fail(state, "seq is not a number from 1 on");
	} else if (slice_equal_nocase(name, SLICE("type"))) {
		if (value.len != 1 || !strchr("bih", value.data[0]) || value.data[0] == '\0')
			return fail(state, "type is none of b, i, h");
		line->type = (char)value.data[0];
	}
	return true;
}

static bool add_line(struct parse_state *state, const struct line *line)
{
	struct aof_manifest *manifest = &state->manifest;

	if (!line->file[0] || !line->seq || !line->type)
		return fail(state, "file, seq or type is missing");
	if (line->type == 'h') {
		manifest->history++;
		return true;
	}
	if (line->type == 'b' && manifest->has_base)
		return fail(state, "a second base file");
	if (line->type == 'i' && line->seq <= state->last_seq)
		return fail(state, "the seq of the increments does not rise");
	if (manifest->count == AOF_MANIFEST_FILES_MAX)
		return fail(state, "more files than a server makes");
	manifest->files = memory_realloc_array(manifest->files, manifest->count + 1, sizeof(manifest->files[0]));
	if (line->type == 'b') { /* read first, wherever its line stands */
		memmove(manifest->files + 1, manifest->files, manifest->count * sizeof(manifest->files[0]));
		manifest->files[0] = memory_strdup(line->file);
		manifest->has_base = true;
	} else {
		manifest->files[manifest->count] = memory_strdup(line->file);
		state->last_seq = line->seq;
	}
	manifest->count++;
	return true;
}

static bool parse_line(struct parse_state *state, struct slice text)
{
	struct line line = {0};
	char name[WORD_MAX + 1], value[WORD_MAX + 1];
	size_t at = 0, name_len, value_len;
	bool end;

	for (;;) {
		if (!take_word(text, &at, name, &name_len, &end))
			return fail(state, "quotes that are not closed, or go on behind their end");
		if (end)
			return add_line(state, &line);
		if (!take_word(text, &at, value, &value_len, &end))
			return fail(state, "quotes that are not closed, or go on behind their end");
		if (end)
			return fail(state, "a name without a value");
		if (!take_pair(state, &line, slice_make(name, name_len), slice_make(value, value_len)))
			return false;
	}
}

static bool parse_lines(struct parse_state *state, struct slice text)
{
	while (text.len > 0) {
		const uint8_t *newline = memchr(text.data, '\n', text.len);
		struct slice line = slice_make(text.data, newline ? (size_t)(newline - text.data) : text.len);

		state->number++;
		if (!newline)
			return fail(state, "it has no line end, so it is not whole");
		if (line.len >= AOF_MANIFEST_LINE_MAX)
			return fail(state, "it is longer than a server takes");
		text = slice_make(newline + 1, text.len - line.len - 1);
		if (line.len > 0 && line.data[0] == '#')
			continue;
		if (!parse_line(state, line))
			return false;
	}
	if (state->manifest.count == 0)
		return fail(state, "it ends without having named a file to read");
	return true;
}

bool aof_manifest_parse(struct slice text, struct aof_manifest *ret, struct error *error)
{
	struct parse_state state = {.error = error};

	if (!parse_lines(&state, text)) {
		aof_manifest_free(&state.manifest);
		return false;
	}
	*ret = state.manifest;
	return true;
}

void aof_manifest_free(struct aof_manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->count; i++)
		free(manifest->files[i]);
	free(manifest->files);
	*manifest = (struct aof_manifest){0};
}
