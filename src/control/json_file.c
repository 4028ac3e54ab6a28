#include "control/json_file.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

bool json_file_foreign(const char *path, const char *fault, struct error *error)
{
	error_set(error, ERROR_USAGE, "%s is not what keyferry writes there: %s", path,
		  fault ? fault : "its form is another one");
	error_hint(error, "Restore the file, or begin anew with an empty work directory");
	return false;
}

json_t *json_file_read(const char *path, struct error *error)
{
	json_error_t fault = {.text = ""};
	json_t *json;

	error_clear(error);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return NULL;
	json = json_load_file(path, 0, &fault);
	if (!json)
		json_file_foreign(path, fault.text, error);
	return json;
}

bool json_file_write(const char *path, const json_t *json, struct error *error)
{
	char *text = json_dumps(json, JSON_INDENT(1));
	bool ok = text && file_replace(path, slice_of_string(text));

	if (!ok) {
		error_set_errno(error, ERROR_USAGE, text ? errno : ENOMEM, "cannot write %s", path);
		error_hint(error, "Make room in the work directory, and make it writable");
	}
	free(text);
	return ok;
}
