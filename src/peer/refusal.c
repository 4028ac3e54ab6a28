#include "peer/refusal.h"

#include <string.h>

static bool text_has(struct slice text, const char *needle)
{
	return memmem(text.data, text.len, needle, strlen(needle)) != NULL;
}

void refusal_explain(const struct refuser *refuser, const char *command, struct slice text, struct error *error)
{
	char quoted[400];

	if (slice_starts_with(text, SLICE("NOAUTH"))) {
		error_set(error, refuser->blame, "%s: the server asks for a password", refuser->peer);
		error_hint(error, "give it with %s.password, or %s.password_file", refuser->group, refuser->group);
	} else if (slice_starts_with(text, SLICE("DENIED"))) {
		error_set(error, refuser->blame, "%s: the server is in protected mode: it takes no connections from elsewhere",
			  refuser->peer);
		error_hint(error, "give the server a password, or set its protected-mode to no");
	} else {
		error_set(error, refuser->blame, "%s: %s: %s", refuser->peer, command, slice_quote(text, quoted, sizeof(quoted)));
		if (slice_starts_with(text, SLICE("NOPERM")))
			error_hint(error, "the user needs the right to run %s: ACL SETUSER on that server", command);
	}
}

void refusal_explain_auth(const struct refuser *refuser, const struct credentials *credentials, struct slice text,
			  struct error *error)
{
	if (slice_starts_with(text, SLICE("WRONGPASS")) || slice_starts_with(text, SLICE("NOPERM")) ||
	    slice_starts_with(text, SLICE("NOAUTH")) || text_has(text, "invalid password")) {
		error_set(error, refuser->blame, "%s: wrong user name or password", refuser->peer);
		if (credentials->password_file)
			error_hint(error, "check %s.password_file (%s): it is read again for each new connection", refuser->group,
				   credentials->password_file);
		else if (credentials->username)
			error_hint(error, "check %s.username and %s.password", refuser->group, refuser->group);
		else
			error_hint(error, "check %s.password", refuser->group);
	} else if (text_has(text, "no password is set") || text_has(text, "without any password configured")) {
		error_set(error, refuser->blame, "%s: a password is given, but the server has none", refuser->peer);
		error_hint(error, "remove %s.password, or set a password on the server", refuser->group);
	} else if (text_has(text, "wrong number of arguments") && credentials->username) {
		error_set(error, refuser->blame, "%s: the server is older than Redis 6 and knows no user names", refuser->peer);
		error_hint(error, "remove %s.username", refuser->group);
	} else if (credentials->password_file || text_has(text, credentials->password)) {
		/* Servers repeat the arguments of commands they do not know. */
		error_set(error, refuser->blame, "%s: the server refuses AUTH", refuser->peer);
	} else {
		refusal_explain(refuser, "AUTH", text, error);
	}
}
