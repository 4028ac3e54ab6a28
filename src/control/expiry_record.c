#include "control/expiry_record.h"

#include "base/memory.h"
#include "control/json_file.h"
#include "transform/guard.h"

#include <errno.h>
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
	json_t *json = json_file_read(path, error);
	json_int_t base = 0, margin = 0;
	bool ok = error->kind == ERROR_NONE;

	*ret = (struct expiry_record){0};
	if (json) {
		ok = json_unpack(json, "{s:I, s:I}", "base", &base, "margin_ms", &margin) == 0;
		*ret = (struct expiry_record){true, base, margin};
		ok = (ok && is_whole(ret)) || json_file_foreign(path, NULL, error);
	}
	json_decref(json);
	free(path);
	return ok;
}

bool expiry_record_write(const char *data_dir, const struct expiry_record *record, struct error *error)
{
	char *path = memory_printf("%s/expiry.json", data_dir);
	json_t *json = json_pack("{s:I, s:I}", "base", (json_int_t)record->base, "margin_ms", (json_int_t)record->margin_ms);
	bool ok;

	if (record->exists) {
		ok = json_file_write(path, json, error);
	} else {
		ok = unlink(path) == 0 || errno == ENOENT;
		if (!ok) {
			error_set_errno(error, ERROR_USAGE, errno, "cannot remove %s", path);
			error_hint(error, "Make the work directory writable");
		}
	}
	json_decref(json);
	free(path);
	return ok;
}
