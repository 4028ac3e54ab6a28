#include "control/expiry_record.h"

#include "base/memory.h"
#include "transform/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_whole(const struct expiry_record *record)
{
	int64_t above = record->base - GUARD_KEY_BASE;

	return above >= 0 && above < GUARD_TASKS * GUARD_SPAN && above % GUARD_SPAN == 0 && record->margin_ms >= 0 &&
	       record->margin_ms < GUARD_SPAN;
}

bool expiry_record_read(const char *data_dir, struct expiry_record *ret, struct error *error)
{
	char *path = memory_printf("%s/expiry.json", data_dir);
	json_error_t fault = {.text = "its form is another one"};
	json_int_t base = 0, margin = 0;
	json_t *json;
	bool ok = true;

	*ret = (struct expiry_record){0};
	if (access(path, F_OK) == 0) {
		json = json_load_file(path, 0, &fault);
		ok = json && json_unpack(json, "{s:I, s:I}", "base", &base, "margin_ms", &margin) == 0;
		*ret = (struct expiry_record){true, base, margin};
		json_decref(json);
		ok = ok && is_whole(ret);
	}
	if (!ok) {
		error_set(error, ERROR_USAGE, "%s is not what keyferry writes there: %s", path, fault.text);
		error_hint(error, "Restore the file, or begin anew with an empty work directory");
	}
	free(path);
	return ok;
}

bool expiry_record_write(const char *data_dir, const struct expiry_record *record, struct error *error)
{
	char *path = memory_printf("%s/expiry.json", data_dir), *beside = memory_printf("%s/expiry.json.new", data_dir);
	json_t *json = json_pack("{s:I, s:I}", "base", (json_int_t)record->base, "margin_ms", (json_int_t)record->margin_ms);
	int file = -1;
	bool ok;

	if (record->exists) {
		file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ok = file >= 0 && json_dumpfd(json, file, JSON_INDENT(1)) == 0 && fsync(file) == 0 && rename(beside, path) == 0;
	} else {
		ok = unlink(path) == 0 || errno == ENOENT;
	}
	if (!ok) {
		error_set_errno(error, ERROR_USAGE, errno, "cannot write %s", path);
		error_hint(error, "Make room in the work directory, and make it writable");
	}
	if (file >= 0)
		close(file);
	json_decref(json);
	free(path);
	free(beside);
	return ok;
}
