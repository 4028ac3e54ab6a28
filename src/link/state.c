#include "link/state.h"

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "wire/slot.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT 1

/* [[offset, sub], ...] */
static bool take_refused(json_t *array, struct link_state *state)
{
	size_t count = json_array_size(array), i;
	struct mark *refused;
	json_t *pair;

	if (count == 0)
		return true;
	if (count > UINT32_MAX)
		return false;
	refused = memory_alloc_zero(count, sizeof(*refused));
	json_array_foreach (array, i, pair) {
		json_int_t offset, sub;

		if (json_unpack(pair, "[I, I]", &offset, &sub) < 0 || offset < 0 || sub < 0 || sub > UINT32_MAX) {
			free(refused);
			return false;
		}
		refused[i] = (struct mark){offset, (uint32_t)sub};
	}
	state->refused = refused;
	state->refused_count = (uint32_t)count;
	return true;
}

static json_t *make_refused(const struct link_state *state)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < state->refused_count; i++)
		json_array_append_new(
			array, json_pack("[I, I]", (json_int_t)state->refused[i].offset, (json_int_t)state->refused[i].sub));
	return array;
}

/* [[slot, offset, database], ...] */
static bool take_witnesses(json_t *array, struct link_state *state)
{
	size_t count = json_array_size(array), i;
	struct mark_witness *witnesses;
	json_t *entry;

	if (count == 0)
		return true;
	if (count > SLOT_COUNT)
		return false;
	witnesses = memory_alloc_zero(count, sizeof(*witnesses));
	json_array_foreach (array, i, entry) {
		json_int_t slot, offset, db;

		if (json_unpack(entry, "[I, I, I]", &slot, &offset, &db) < 0 || slot < 0 || slot >= SLOT_COUNT || db < 0 ||
		    db > UINT32_MAX) {
			free(witnesses);
			return false;
		}
		witnesses[i] = (struct mark_witness){(uint16_t)slot, {offset, (uint32_t)db, true}};
	}
	state->witnesses = witnesses;
	state->witness_count = (uint32_t)count;
	return true;
}

static json_t *make_witnesses(const struct link_state *state)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < state->witness_count; i++)
		json_array_append_new(array, json_pack("[i, I, I]", (int)state->witnesses[i].slot,
						       (json_int_t)state->witnesses[i].low.offset,
						       (json_int_t)state->witnesses[i].low.db));
	return array;
}

static const char *const file_phases[] = {"none", "snapshot", "whole", "stream", "done"};

static json_t *file_json(const struct file_state *file)
{
	char checksum[20];

	/* JSON's integers have a sign. */
	snprintf(checksum, sizeof(checksum), "%016" PRIx64, file->checksum);
	return json_pack("{s:s, s:i, s:I, s:s, s:I, s:i, s:b}", "phase", file_phases[file->phase], "format", (int)file->format,
			 "length", (json_int_t)file->length, "checksum", checksum, "database", (json_int_t)file->db, "number",
			 (int)file->number, "base", (int)file->has_base);
}

static bool file_read(json_t *root, struct file_state *ret, json_error_t *fault)
{
	const char *phase, *checksum;
	json_int_t length, db;
	int format, number, base;
	unsigned at = 0;
	char *end;

	if (json_unpack_ex(root, fault, 0, "{s:s, s:i, s:I, s:s, s:I, s:i, s:b}", "phase", &phase, "format", &format, "length",
			   &length, "checksum", &checksum, "database", &db, "number", &number, "base", &base) < 0)
		return false;
	while (at < sizeof(file_phases) / sizeof(file_phases[0]) && strcmp(phase, file_phases[at]) != 0)
		at++;
	ret->checksum = strtoull(checksum, &end, 16);
	if (at == sizeof(file_phases) / sizeof(file_phases[0]) || *end != '\0' || format < 0 || length < 0 || db < -1 ||
	    number < 0) {
		snprintf(fault->text, sizeof(fault->text), "what it says of the file");
		return false;
	}
	ret->phase = (enum file_phase)at;
	ret->format = (unsigned)format;
	ret->length = (uint64_t)length;
	ret->db = db;
	ret->number = (uint32_t)number;
	ret->has_base = base;
	return true;
}

void link_state_free(struct link_state *state)
{
	free((void *)(uintptr_t)state->refused);
	free((void *)(uintptr_t)state->witnesses);
	json_decref(state->imports);
	*state = (struct link_state){0};
}

bool link_state_read(const char *path, struct link_state *ret, struct error *error)
{
	struct link_state state = {0};
	json_error_t fault;
	json_int_t format, generation, position, db, version, place_db;
	const char *link = "", *epoch = "", *task = "";
	int valkey, clean;
	json_t *root, *file, *refused = NULL, *witnesses = NULL, *imports = NULL;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		*ret = state;
		return true;
	}
	root = json_load_file(path, 0, &fault);
	if (!root ||
	    json_unpack_ex(root, &fault, 0, "{s:I, s:I, s:I, s:I, s:b, s:{s:I, s:b, s:I}, s?s, s?s, s?s, s?o, s?o, s?o}",
			   "format", &format, "generation", &generation, "position", &position, "database", &db, "clean", &clean,
			   "snapshot", "rdb_version", &version, "valkey", &valkey, "database", &place_db, "link", &link, "task",
			   &task, "epoch", &epoch, "refused", &refused, "low marks", &witnesses, "imports", &imports) < 0 ||
	    ((file = json_object_get(root, "file")) && !file_read(file, &state.file, &fault)) || !take_refused(refused, &state) ||
	    !take_witnesses(witnesses, &state)) {
		error_set(error, ERROR_USAGE, "%s: not a state file of keyferry: %s", path,
			  fault.text[0] ? fault.text : "its list of refused commands, or of low marks, is damaged");
		link_state_free(&state);
		error_hint(error, "Restore the file, or begin anew with an empty work directory");
		json_decref(root);
		return false;
	}
	state.imports = json_incref(imports);
	snprintf(state.link, sizeof(state.link), "%s", link);
	snprintf(state.task, sizeof(state.task), "%s", task);
	snprintf(state.epoch, sizeof(state.epoch), "%s", epoch);
	json_decref(root);
	if (format != FORMAT || generation < 0 || position < 0 || db < 0 || db > INT_MAX || version < 0 || version > INT_MAX ||
	    place_db < 0 || place_db > INT_MAX) {
		error_set(error, ERROR_USAGE, "%s: format %lld or its numbers are not of this version of keyferry", path,
			  (long long)format);
		error_hint(error, "Continue with the version that wrote it, or begin anew with an empty work directory");
		link_state_free(&state);
		return false;
	}
	state.generation = (uint64_t)generation;
	state.position = (uint64_t)position;
	state.db = (uint32_t)db;
	state.clean = clean;
	state.place = (struct snapshot_place){.rdb_version = (uint32_t)version, .valkey = valkey, .db = (uint32_t)place_db};
	*ret = state;
	return true;
}

static int take_text(const char *text, size_t len, void *owner)
{
	return buffer_append(owner, text, len) ? 0 : -1;
}

bool link_state_write(const char *path, const struct link_state *state, struct error *error)
{
	json_t *root = json_pack("{s:i, s:I, s:I, s:I, s:b, s:{s:I, s:b, s:I}, s:s, s:s, s:s, s:o, s:o}", "format", FORMAT,
				 "generation", (json_int_t)state->generation, "position", (json_int_t)state->position, "database",
				 (json_int_t)state->db, "clean", (int)state->clean, "snapshot", "rdb_version",
				 (json_int_t)state->place.rdb_version, "valkey", (int)state->place.valkey, "database",
				 (json_int_t)state->place.db, "link", state->link, "task", state->task, "epoch", state->epoch,
				 "refused", make_refused(state), "low marks", make_witnesses(state));
	struct buffer text;
	bool ok;

	if (state->file.phase != FILE_NONE)
		json_object_set_new(root, "file", file_json(&state->file));
	if (json_array_size(state->imports) > 0)
		json_object_set(root, "imports", state->imports);
	buffer_init(&text, SIZE_MAX / 2);
	ok = json_dump_callback(root, take_text, &text, JSON_INDENT(1)) == 0 && buffer_append(&text, "\n", 1) &&
	     file_replace(path, buffer_readable(&text));
	if (!ok) {
		error_set_errno(error, ERROR_INTERNAL, errno, "cannot write %s", path);
		error_hint(error, "Make room in the work directory, and make it writable");
	}
	json_decref(root);
	buffer_free(&text);
	return ok;
}

bool link_state_same(const struct link_state *a, const struct link_state *b)
{
	if (a->generation != b->generation || a->position != b->position || a->clean != b->clean ||
	    strcmp(a->epoch, b->epoch) != 0 || a->refused_count != b->refused_count)
		return false;
	/* As many, and yet others: one was tried again and taken, and another one refused before the position could move. */
	for (uint32_t i = 0; i < a->refused_count; i++)
		if (a->refused[i].offset != b->refused[i].offset || a->refused[i].sub != b->refused[i].sub)
			return false;
	return true;
}

struct link_state link_state_copy(const struct link_state *state)
{
	struct mark *refused = memory_alloc_zero(state->refused_count, sizeof(*refused));
	struct link_state copy = *state;

	if (state->refused_count > 0)
		memcpy(refused, state->refused, state->refused_count * sizeof(*refused));
	copy.refused = refused;
	copy.witnesses = NULL;
	copy.witness_count = 0;
	copy.imports = NULL;
	return copy;
}
