/* The address of one side as a URL:
 *
 *     [scheme://][[user]:password@]host[:port][,host[:port] ...][/database or master][?option=value[&option=value ...]]
 *
 *     redis, valkey            plain
 *     rediss, valkeys          TLS
 *     redis-sentinel           Sentinels; the path is the master's name (rediss-sentinel: TLS to Sentinels and servers)
 *     unix                     unix://[user:password@]/path/of.sock
 *     rdb, aof                 files: rdb:///path/dump.rdb, aof:///path/appendonlydir
 *     jsonl                    a file, of a target
 *
 * User, password, path and option values are percent-encoded. A lone part before '@' is the password, as for redis-cli.
 * Nothing of a URL is shown in an error but its hosts and options: the rest may be a password. */
#include "base/memory.h"
#include "base/suggest.h"
#include "task/options.h"
#include "task/stored.h"

#include <stdio.h>
#include <stdlib.h>

struct scheme {
	const char *name;
	bool tls, sentinel, unix_socket;
	enum deployment_mode files; /* MODE_RDB, MODE_AOF; or MODE_AUTO: it names a server */
};

static const struct scheme schemes[] = {
	{.name = "redis"},
	{.name = "rediss", .tls = true},
	{.name = "valkey"},
	{.name = "valkeys", .tls = true},
	{.name = "redis-sentinel", .sentinel = true},
	{.name = "rediss-sentinel", .tls = true, .sentinel = true},
	{.name = "unix", .unix_socket = true},
	{.name = "rdb", .files = MODE_RDB},
	{.name = "aof", .files = MODE_AOF},
	{.name = "jsonl", .files = MODE_JSONL},
};

#define HOSTS_MAX 64

struct url {
	const struct scheme *scheme;
	bool is_path; /* unix://, or a path without any scheme */
	enum deployment_mode mode;
	char *username, *password;
	struct endpoint *addresses;
	size_t address_count;
	char *path; /* decoded, without its slash; NULL: none */
	char *ca, *certificate, *key;
	bool insecure;
	bool wants_tls; /* an option was given that means nothing without */
};

static void secret_free(char *text)
{
	if (text)
		memory_wipe(text, strlen(text));
	free(text);
}

static void url_free(struct url *url)
{
	secret_free(url->username);
	secret_free(url->password);
	free(url->addresses);
	free(url->path);
	free(url->ca);
	free(url->certificate);
	free(url->key);
}

static int hex(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* NULL: a '%' is not followed by two hexadecimal digits, or the text has a NUL. */
static char *decode(struct slice text)
{
	char *out = memory_alloc(text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int c = text.data[i];

		if (c == '%') {
			int high = i + 1 < text.len ? hex(text.data[i + 1]) : -1,
			    low = i + 2 < text.len ? hex(text.data[i + 2]) : -1;

			c = high < 0 || low < 0 ? 0 : high * 16 + low;
			i += 2;
		}
		if (c == 0) {
			memory_wipe(out, len);
			free(out);
			return NULL;
		}
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return out;
}

static bool fail(struct error *error, const char *problem)
{
	error_set(error, ERROR_USAGE, "%s", problem);
	return false;
}

static bool decode_into(struct slice text, char **ret, const char *what, struct error *error)
{
	char *decoded = decode(text);

	if (!decoded) {
		error_set(error, ERROR_USAGE, "the %s is not percent-encoded correctly", what);
		error_hint(error, "a '%%' itself is written %%25, '@' %%40, '/' %%2F, ':' %%3A");
		return false;
	}
	free(*ret);
	*ret = decoded;
	return true;
}

/* Takes text up to the first of the bytes in `ends` off *rest; the end itself stays. */
static struct slice take_until(struct slice *rest, const char *ends)
{
	size_t len = 0;

	while (len < rest->len && !strchr(ends, rest->data[len]))
		len++;
	*rest = slice_make(rest->data + len, rest->len - len);
	return slice_make(rest->data - len, len);
}

static struct slice after(struct slice text, size_t len)
{
	return slice_make(text.data + len, text.len - len);
}

static bool parse_scheme(struct url *url, struct slice *rest, struct error *error)
{
	const uint8_t *mark = memmem(rest->data, rest->len, "://", 3);
	struct slice name;

	if (!mark) {
		url->scheme = &schemes[0];
		url->is_path = rest->data[0] == '/';
		if (memchr(rest->data, '@', rest->len)) {
			error_set(error, ERROR_USAGE, "an address with a password needs its scheme");
			error_hint(error, "for example redis://user:password@host:6379");
			return false;
		}
		return true;
	}
	name = slice_make(rest->data, (size_t)(mark - rest->data));
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (slice_equal_nocase(name, slice_of_string(schemes[i].name))) {
			url->scheme = &schemes[i];
			url->is_path = schemes[i].unix_socket;
			url->mode = schemes[i].sentinel ? MODE_SENTINEL : schemes[i].files;
			*rest = after(*rest, name.len + 3);
			return true;
		}
	}
	error_set(error, ERROR_USAGE,
		  "the scheme before '://' is none of redis, rediss, valkey, valkeys, redis-sentinel, "
		  "rediss-sentinel, unix, rdb, aof, jsonl");
	error_hint(error, "for example redis://host:6379, or rediss://host:6379 for TLS");
	return false;
}

static bool parse_userinfo(struct url *url, struct slice info, struct error *error)
{
	const uint8_t *colon = info.len ? memchr(info.data, ':', info.len) : NULL;
	struct slice user = {0}, password = info;

	if (colon) {
		user = slice_make(info.data, (size_t)(colon - info.data));
		password = after(info, user.len + 1);
	}
	return (user.len == 0 || decode_into(user, &url->username, "user", error)) &&
	       (password.len == 0 || decode_into(password, &url->password, "password", error));
}

static bool parse_hosts(struct url *url, struct slice hosts, uint16_t port, struct error *error)
{
	while (true) {
		struct slice host = take_until(&hosts, ",");
		char quoted[128];
		struct endpoint endpoint;

		if (!endpoint_parse(host, port, &endpoint)) {
			error_set(error, ERROR_USAGE, "%s is not host:port", slice_quote(host, quoted, sizeof(quoted)));
			error_hint(error, "for example 10.0.0.1:6379, or [fd00::1]:6379 for IPv6");
			return false;
		}
		if (url->address_count == HOSTS_MAX)
			return fail(error, "too many hosts: any node will do, the rest is found by asking it");
		url->addresses = memory_realloc_array(url->addresses, url->address_count + 1, sizeof(endpoint));
		url->addresses[url->address_count++] = endpoint;
		if (hosts.len == 0)
			return true;
		hosts = after(hosts, 1);
	}
}

static bool parse_mode(struct url *url, const char *value, struct error *error)
{
	static const struct {
		const char *name;
		enum deployment_mode mode;
	} modes[] = {
		{"auto", MODE_AUTO}, {"standalone", MODE_STANDALONE}, {"cluster", MODE_CLUSTER}, {"sentinel", MODE_SENTINEL},
		{"scan", MODE_SCAN},
	};

	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(value, modes[i].name) != 0)
			continue;
		if (url->scheme->sentinel && modes[i].mode != MODE_SENTINEL)
			return fail(error, "a redis-sentinel URL has the mode 'sentinel' and no other");
		url->mode = modes[i].mode;
		return true;
	}
	return fail(error, "?mode= takes auto, standalone, cluster, sentinel or (a source) scan");
}

static bool parse_option(struct url *url, struct slice name, struct slice text, struct error *error)
{
	static const char *const names[] = {"mode", "ca", "cert", "key", "insecure"};
	char **files[] = {NULL, &url->ca, &url->certificate, &url->key, NULL};
	char *value = NULL;
	const char *near;
	size_t which = 0;
	bool parsed;

	while (which < sizeof(names) / sizeof(names[0]) && !slice_equal(name, slice_of_string(names[which])))
		which++;
	if (which == sizeof(names) / sizeof(names[0])) {
		near = suggest_nearest(name, names, which);
		error_set(error, ERROR_USAGE, "unknown option after '?'%s%s%s", near ? ": did you mean '" : "", near ? near : "",
			  near ? "'?" : "");
		error_hint(error, "a URL takes mode, ca, cert, key, insecure; all others are given by --set");
		return false;
	}
	if (text.len == 0)
		return fail(error, "an option after '?' has no value: write ?option=value");
	if (files[which]) {
		url->wants_tls = true;
		return decode_into(text, files[which], names[which], error);
	}
	if (!decode_into(text, &value, names[which], error))
		return false;
	if (which == 0) {
		parsed = parse_mode(url, value, error);
	} else {
		url->insecure = strcmp(value, "true") == 0;
		url->wants_tls = true;
		parsed = url->insecure || strcmp(value, "false") == 0 || fail(error, "?insecure= takes true or false");
	}
	free(value);
	return parsed;
}

static bool parse_query(struct url *url, struct slice query, struct error *error)
{
	while (query.len > 0) {
		struct slice option = take_until(&query, "&"), value = option;
		struct slice name = take_until(&value, "=");

		if (!parse_option(url, name, value.len ? after(value, 1) : value, error))
			return false;
		if (query.len > 0)
			query = after(query, 1);
	}
	return true;
}

/* rest begins behind the scheme. */
static bool parse_unix(struct url *url, struct slice rest, struct error *error)
{
	struct slice socket = take_until(&rest, "?");
	/* Before the path's slash stands at most the user; an '@' further on belongs to the path. */
	struct slice before = take_until(&socket, "/");
	char *decoded = NULL;
	struct endpoint endpoint;

	if (before.len > 0) {
		if (before.data[before.len - 1] != '@')
			return fail(error, "the path of a unix socket is absolute: unix:///run/redis.sock");
		before.len--;
		if (!parse_userinfo(url, before, error))
			return false;
	}
	if (!decode_into(socket, &decoded, "path", error))
		return false;
	if (decoded[0] != '/' || !endpoint_parse(slice_of_string(decoded), 0, &endpoint)) {
		free(decoded);
		return fail(error, "it has no path of a unix socket, or one that is too long: unix:///run/redis.sock");
	}
	free(decoded);
	url->addresses = memory_alloc(sizeof(endpoint));
	url->addresses[0] = endpoint;
	url->address_count = 1;
	return rest.len == 0 || parse_query(url, after(rest, 1), error);
}

/* rest begins behind the scheme. A path alone, absolute, so that what looks like a host is not taken for a folder. */
static bool parse_files(struct url *url, struct slice rest, struct error *error)
{
	if (rest.len < 2 || rest.data[0] != '/') {
		error_set(error, ERROR_USAGE, "the path of a file is absolute");
		error_hint(error, "for example %s",
			   url->scheme->files == MODE_RDB   ? "rdb:///backup/dump.rdb"
			   : url->scheme->files == MODE_AOF ? "aof:///var/lib/redis/appendonlydir"
							    : "jsonl:///backup/orders.jsonl");
		return false;
	}
	if (memchr(rest.data, '?', rest.len) || memchr(rest.data, '#', rest.len)) {
		error_set(error, ERROR_USAGE, "files have no options");
		error_hint(error, "a '?' in a path is written %%3F, a '#' %%23");
		return false;
	}
	return decode_into(rest, &url->path, "path", error);
}

static bool parse_url(struct url *url, struct slice rest, struct error *error)
{
	struct slice authority, path;
	const uint8_t *at;

	if (!rest.data || rest.len == 0)
		return fail(error, "it is empty");
	if (!parse_scheme(url, &rest, error))
		return false;
	if (url->is_path)
		return parse_unix(url, rest, error);
	if (url->scheme->files)
		return parse_files(url, rest, error);
	authority = take_until(&rest, "/?#");
	if (rest.len && memchr(rest.data, '@', rest.len)) {
		/* Most likely a password with a '/'. Read on, its first half would pass for a host, and be shown. */
		error_set(error, ERROR_USAGE, "there is an '@' behind the first '/', '?' or '#'");
		error_hint(error, "in a password, '/' is written %%2F, '?' %%3F, '#' %%23; elsewhere '@' is written %%40");
		return false;
	}
	/* The last '@', so that a password with an '@' that was not encoded still works. */
	at = authority.len ? memrchr(authority.data, '@', authority.len) : NULL;
	if (at) {
		struct slice info = slice_make(authority.data, (size_t)(at - authority.data));

		if (!parse_userinfo(url, info, error))
			return false;
		authority = after(authority, info.len + 1);
	}
	path = take_until(&rest, "?#");
	if (path.len > 1 && !decode_into(after(path, 1), &url->path, "path", error))
		return false;
	if (rest.len > 0 && rest.data[0] == '?') {
		struct slice query = after(rest, 1);

		query = take_until(&query, "#");
		rest = after(rest, 1 + query.len);
		if (!parse_query(url, query, error))
			return false;
	}
	if (rest.len > 0) {
		error_set(error, ERROR_USAGE, "it has a '#'");
		error_hint(error, "a '#' in a password is written %%23");
		return false;
	}
	/* After the options: ?mode=sentinel has another default port. */
	return parse_hosts(url, authority, url->mode == MODE_SENTINEL ? 26379 : 6379, error);
}

/* ---- into the options ---- */

static bool check(const struct url *url, bool is_source, uint64_t *ret_database, struct error *error)
{
	uint64_t database = 0;

	if (url->scheme->files) {
		if (!is_source || url->scheme->files != MODE_JSONL)
			return true;
		error_set(error, ERROR_USAGE, "lines of JSON are written, not read: jsonl is for a target");
		error_hint(error, "name a server, for example redis://host:6379, or files: rdb:///path, aof:///path");
		return false;
	}
	if (url->mode == MODE_SCAN && !is_source) {
		error_set(error, ERROR_USAGE, "?mode=scan is for a source");
		return false;
	}
	if (url->wants_tls && !url->scheme->tls) {
		error_set(error, ERROR_USAGE, "ca, cert, key and insecure are options of TLS, which this URL does not ask for");
		error_hint(error, "write rediss:// for TLS");
		return false;
	}
	if (url->mode == MODE_SENTINEL) {
		if (url->path)
			return true;
		error_set(error, ERROR_USAGE, "the master's name is missing");
		error_hint(error, "for example redis-sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster");
		return false;
	}
	if (!url->path)
		return true;
	if (!slice_to_uint64(slice_of_string(url->path), &database) || database >= DATABASES_MAX) {
		error_set(error, ERROR_USAGE, "what follows the '/' is not a database number");
		error_hint(error, "for example redis://host:6379/0, or redis-sentinel://host:26379/mymaster for Sentinels");
		return false;
	}
	if (!is_source && database != 0) {
		error_set(
			error, ERROR_USAGE,
			"a target's URL names no database: each key goes to the one it came from, unless that is mapped to another");
		error_hint(error, "leave '/%llu' out, and bring all keys there with --set 'target.database_map={\"*\": %llu}'",
			   (unsigned long long)database, (unsigned long long)database);
		return false;
	}
	*ret_database = database;
	return true;
}

/* Moves a text over; the URL then owns what was there before and frees it. */
static void swap_text(char **a, char **b)
{
	char *kept = *a;

	*a = *b;
	*b = kept;
}

/* struct tls_options promises its readers constant texts; they are owned by the task_options all the same. */
static void swap_constant_text(const char **a, char **b)
{
	char *kept;

	memcpy(&kept, a, sizeof(kept));
	*a = *b;
	*b = kept;
}

static void apply(struct url *url, struct deployment_options *side)
{
	struct endpoint *addresses = side->addresses;

	side->mode = url->mode;
	side->addresses = url->addresses;
	url->addresses = addresses;
	side->address_count = url->address_count;
	free(side->path);
	side->path = NULL;
	if (url->scheme->files)
		swap_text(&side->path, &url->path);
	if (url->username)
		swap_text(&side->credentials.username, &url->username);
	if (url->password)
		swap_text(&side->credentials.password, &url->password);
	if (url->mode == MODE_SENTINEL)
		swap_text(&side->master, &url->path);
	if (!url->scheme->tls)
		return;
	side->tls.enabled = true;
	side->tls.insecure = url->insecure;
	if (url->ca)
		swap_constant_text(&side->tls.ca, &url->ca);
	if (url->certificate)
		swap_constant_text(&side->tls.certificate, &url->certificate);
	if (url->key)
		swap_constant_text(&side->tls.key, &url->key);
	if (url->mode == MODE_SENTINEL) {
		char *sentinel_ca = side->tls.ca ? memory_strdup(side->tls.ca) : NULL;

		side->sentinel_tls.enabled = true;
		side->sentinel_tls.insecure = url->insecure;
		swap_constant_text(&side->sentinel_tls.ca, &sentinel_ca);
		free(sentinel_ca);
	}
}

/* The error names the side. */
static bool read_side(struct url *url, bool is_source, const char *text, uint64_t *ret_database, struct error *error)
{
	*ret_database = 0;
	if (parse_url(url, slice_of_string(text), error) && check(url, is_source, ret_database, error))
		return true;
	error_prefix(error, "%s URL", is_source ? "source" : "target");
	return false;
}

/* A number in the path selects that database; none leaves the selection as it is. */
static bool selects_database(const struct url *url, bool is_source)
{
	return is_source && url->path && url->mode != MODE_SENTINEL && !url->scheme->files;
}

bool task_options_set_url(struct task_options *options, bool is_source, const char *text, struct error *error)
{
	struct url url = {.mode = MODE_AUTO};
	uint64_t database;
	bool read = read_side(&url, is_source, text, &database, error);

	if (read && selects_database(&url, is_source)) {
		memset(options->databases, 0, sizeof(options->databases));
		options->databases[database / 64] |= 1ULL << (database % 64);
		options->all_databases = false;
	}
	if (read)
		apply(&url, is_source ? &options->source : &options->target);
	url_free(&url);
	return read;
}

/* ---- into a document ---- */

static void put(json_t *document, const char *side, const char *name, json_t *value)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.%s", side, name);
	stored_set(document, path, value);
}

/* False: it is not UTF-8, which a document is. */
static bool put_text(json_t *document, const char *side, const char *name, const char *text)
{
	json_t *value = text ? json_string(text) : NULL;

	if (value)
		put(document, side, name, value);
	return value || !text;
}

static json_t *addresses_of(const struct url *url)
{
	json_t *list = json_array(), *first;
	char text[ENDPOINT_TEXT_MAX];

	for (size_t i = 0; i < url->address_count; i++)
		json_array_append_new(list, json_string(endpoint_format(&url->addresses[i], text)));
	if (url->address_count != 1)
		return list;
	first = json_incref(json_array_get(list, 0));
	json_decref(list);
	return first;
}

static bool put_tls(json_t *document, const char *side, const struct url *url)
{
	bool ok;

	put(document, side, "tls", json_true());
	if (url->insecure)
		put(document, side, "tls.insecure", json_true());
	ok = put_text(document, side, "tls.ca", url->ca) && put_text(document, side, "tls.cert", url->certificate) &&
	     put_text(document, side, "tls.key", url->key);
	if (!ok || url->mode != MODE_SENTINEL)
		return ok;
	put(document, side, "sentinel.tls", json_true());
	if (url->insecure)
		put(document, side, "sentinel.tls.insecure", json_true());
	return put_text(document, side, "sentinel.tls.ca", url->ca);
}

static bool put_side(json_t *document, const char *side, const struct url *url)
{
	static const char *const modes[] = {[MODE_STANDALONE] = "standalone",
					    [MODE_CLUSTER] = "cluster",
					    [MODE_SENTINEL] = "sentinel",
					    [MODE_RDB] = "rdb",
					    [MODE_AOF] = "aof",
					    [MODE_JSONL] = "jsonl",
					    [MODE_SCAN] = "scan"};

	if (url->mode != MODE_AUTO)
		put(document, side, "mode", json_string(modes[url->mode]));
	if (url->address_count > 0)
		put(document, side, "address", addresses_of(url));
	return put_text(document, side, "path", url->scheme->files ? url->path : NULL) &&
	       put_text(document, side, "master", url->mode == MODE_SENTINEL ? url->path : NULL) &&
	       put_text(document, side, "username", url->username) && put_text(document, side, "password", url->password) &&
	       (!url->scheme->tls || put_tls(document, side, url));
}

bool stored_set_url(json_t *document, bool is_source, const char *text, struct error *error)
{
	struct url url = {.mode = MODE_AUTO};
	uint64_t database;
	bool ok = read_side(&url, is_source, text, &database, error);

	if (ok && selects_database(&url, is_source))
		put(document, "source", "databases", json_pack("[I]", (json_int_t)database));
	if (ok && !put_side(document, is_source ? "source" : "target", &url)) {
		error_set(error, ERROR_USAGE, "%s URL: it is not UTF-8", is_source ? "source" : "target");
		ok = false;
	}
	url_free(&url);
	return ok;
}
