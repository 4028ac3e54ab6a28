#include "task/credentials.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD_MAX 4096

bool credentials_read_file(const char *path, const char *what, char **ret, struct error *error)
{
	char text[PASSWORD_MAX + 1];
	size_t len = 0;
	ssize_t got = 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "%s '%s' cannot be opened", what, path);
		error_hint(error, "it must be readable by the user that runs keyferry");
		return false;
	}
	while (got > 0 && len < sizeof(text)) {
		do
			got = read(fd, text + len, sizeof(text) - len);
		while (got < 0 && errno == EINTR);
		len += got > 0 ? (size_t)got : 0;
	}
	if (got < 0)
		error_set_errno(error, ERROR_USAGE, errno, "%s '%s' cannot be read", what, path);
	close(fd);
	if (got < 0)
		goto failed;
	if (len > PASSWORD_MAX) {
		error_set(error, ERROR_USAGE, "%s '%s' is longer than %d bytes, which none is", what, path, PASSWORD_MAX);
		goto failed;
	}
	/* Editors and `echo` end the line; the password goes without. */
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len == 0 || memchr(text, '\n', len) || memchr(text, '\0', len)) {
		error_set(error, ERROR_USAGE, "%s '%s' %s", what, path,
			  len == 0 ? "is empty" : "holds more than one line, or a NUL byte");
		goto failed;
	}
	*ret = memory_strndup(text, len);
	memory_wipe(text, sizeof(text));
	return true;
failed:
	memory_wipe(text, sizeof(text));
	return false;
}

bool credentials_finish(struct credentials *credentials, const char *group, struct error *error)
{
	char *password = NULL;
	int given = (credentials->password != NULL) + (credentials->password_file != NULL) + (credentials->password_env != NULL);

	if (credentials->complete)
		return true;
	if (given > 1) {
		error_set(error, ERROR_USAGE,
			  "%s.password, %s.password_file and %s.password_env are ways to give one password: more than one is set",
			  group, group, group);
		error_hint(error, "keep the one that holds the current password");
		return false;
	}
	if (credentials->password_file) {
		if (!credentials_read_file(credentials->password_file, "password file", &password, error)) {
			error_prefix(error, "option '%s.password_file'", group);
			return false;
		}
	} else if (credentials->password_env) {
		const char *value = getenv(credentials->password_env);

		if (!value || value[0] == '\0') {
			error_set(error, ERROR_USAGE, "option '%s.password_env': the environment variable '%s' is %s", group,
				  credentials->password_env, value ? "empty" : "not set");
			error_hint(error, "set it for this process, or use %s.password_file", group);
			return false;
		}
		password = memory_strdup(value);
	}
	if (password)
		credentials->password = password;
	credentials->complete = true;
	return true;
}

char *credentials_password(const struct credentials *credentials)
{
	struct error ignored;
	char *password;

	if (!credentials || !credentials->password)
		return NULL;
	if (credentials->password_file && credentials_read_file(credentials->password_file, "password file", &password, &ignored))
		return password;
	return memory_strdup(credentials->password);
}

void credentials_forget(char *password)
{
	if (password)
		memory_wipe(password, strlen(password));
	free(password);
}
