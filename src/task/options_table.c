#include "task/options_table.h"

#include "base/memory.h"
#include "base/units.h"
#include "task/options.h"
#include "task/rules.h"

#include <stdlib.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define ADDRESSES_MAX 1024

/* ---- values that are more than a text, a number or a word ---- */

static void *field_of(const struct option_row *row, void *object)
{
	return (uint8_t *)object + row->offset;
}

/* Calls `each` for the items of a list, or for the comma-separated parts of one scalar, as --set and short documents write it. */
static bool for_each_item(const struct option_value *value, bool (*each)(struct slice item, void *into, struct error *error),
			  void *into, struct error *error)
{
	if (value->form == OPTION_MAP) {
		error_set(error, ERROR_USAGE, "it takes a list, not a mapping");
		return false;
	}
	for (size_t i = 0; i < value->count; i++) {
		struct slice rest = value->items[i];

		while (true) {
			const uint8_t *comma = rest.len ? memchr(rest.data, ',', rest.len) : NULL;
			struct slice item = slice_make(rest.data, comma ? (size_t)(comma - rest.data) : rest.len);

			while (item.len && item.data[0] == ' ')
				item = slice_make(item.data + 1, item.len - 1);
			while (item.len && item.data[item.len - 1] == ' ')
				item.len--;
			if (!each(item, into, error))
				return false;
			if (!comma)
				break;
			rest = slice_make(comma + 1, rest.len - (size_t)(comma + 1 - rest.data));
		}
	}
	return true;
}

struct address_list {
	struct endpoint *items;
	size_t count;
};

static bool add_address(struct slice text, void *into, struct error *error)
{
	struct address_list *list = into;
	struct endpoint endpoint;
	char quoted[128];

	if (text.len && text.data[0] != '/' && memchr(text.data, '@', text.len)) {
		/* It may hold a password, so it is not shown. */
		error_set(error, ERROR_USAGE, "an address is host:port, without a user or password");
		error_hint(error, "user and password are options of their own: username, password, password_file, password_env");
		return false;
	}
	if (list->count == ADDRESSES_MAX) {
		error_set(error, ERROR_USAGE, "more than %d addresses: any node will do, the rest is found by asking it",
			  ADDRESSES_MAX);
		return false;
	}
	if (!endpoint_parse(text, 0, &endpoint)) {
		/* Without a port: which one is meant depends on the mode, so task_options_finish() fills it in. */
		if (!endpoint_parse(text, 1, &endpoint)) {
			error_set(error, ERROR_USAGE, "%s is not an address", slice_quote(text, quoted, sizeof(quoted)));
			error_hint(error,
				   "for example 10.0.0.1:6379, redis.example.net:6379, [fd00::1]:6379 or /run/redis/redis.sock");
			return false;
		}
		if (!endpoint_is_unix(&endpoint))
			endpoint.port = 0;
	}
	list->items = memory_realloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = endpoint;
	return true;
}

static bool parse_addresses(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	struct deployment_options *side = field_of(row, object);
	struct address_list list = {0};

	if (!for_each_item(value, add_address, &list, error)) {
		free(list.items);
		return false;
	}
	if (list.count == 0) {
		error_set(error, ERROR_USAGE, "the list of addresses is empty");
		return false;
	}
	free(side->addresses);
	side->addresses = list.items;
	side->address_count = list.count;
	return true;
}

static bool add_database(struct slice text, void *into, struct error *error)
{
	uint64_t *databases = into;
	uint64_t number;
	char quoted[64];

	if (!slice_to_uint64(text, &number) || number >= DATABASES_MAX) {
		error_set(error, ERROR_USAGE, "%s is not a database number: 0 to %d", slice_quote(text, quoted, sizeof(quoted)),
			  DATABASES_MAX - 1);
		return false;
	}
	databases[number / 64] |= 1ULL << (number % 64);
	return true;
}

/* With --set a list is one text; who copies the form of a document writes the brackets as well. `text` is room for what is between them. */
static struct option_value without_brackets(const struct option_value *value, struct slice *text)
{
	if (value->form != OPTION_SCALAR || value->items[0].len < 2 || value->items[0].data[0] != '[' ||
	    value->items[0].data[value->items[0].len - 1] != ']')
		return *value;
	*text = slice_make(value->items[0].data + 1, value->items[0].len - 2);
	return (struct option_value){OPTION_SCALAR, text, 1, NULL};
}

static bool parse_databases(const struct option_row *row, void *object, const struct option_value *written, struct error *error)
{
	struct task_options *options = object;
	uint64_t databases[DATABASES_MAX / 64] = {0};
	struct slice text;
	const struct option_value bare = without_brackets(written, &text), *value = &bare;

	(void)row;
	if (value->form == OPTION_SCALAR && slice_equal(value->items[0], SLICE("all"))) {
		options->all_databases = true;
		return true;
	}
	if (!for_each_item(value, add_database, databases, error))
		return false;
	if (value->count == 0) {
		error_set(error, ERROR_USAGE, "the list is empty, so nothing would be copied");
		error_hint(error, "name at least one database, for example databases: [0], or leave the option out for all");
		return false;
	}
	options->all_databases = false;
	memcpy(options->databases, databases, sizeof(databases));
	return true;
}

/* The guide's sizes of a synchronisation link, in records per second. */
static const struct {
	const char *name;
	uint64_t records;
} specs[] = {
	{"micro", 200},    {"small", 2000},    {"medium", 5000},   {"large", 11000},
	{"xlarge", 17000}, {"2xlarge", 34000}, {"4xlarge", 68000}, {"unlimited", 0},
};
static const char *const spec_names[] = {
	"micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "unlimited", NULL,
};
_Static_assert(sizeof(spec_names) / sizeof(spec_names[0]) == sizeof(specs) / sizeof(specs[0]) + 1, "one name per spec");

static const char *const unlimited[] = {"unlimited", NULL};

static bool refuse_limit(const struct option_row *row, struct slice text, struct error *error)
{
	char quoted[64], allowed[256];

	error_set(error, ERROR_USAGE, "%s is not a limit: it takes %s", slice_quote(text, quoted, sizeof(quoted)),
		  option_describe(row, allowed, sizeof(allowed)));
	return false;
}

/* 0 stands for unlimited inside; written by an operator it could as well mean "nothing at all", so it is refused. */
static bool store_limit(const struct option_row *row, void *object, uint64_t number, struct error *error)
{
	if (number == 0) {
		error_set(error, ERROR_USAGE, "a limit of 0 would stop the task");
		error_hint(error, "write 'unlimited' for none");
		return false;
	}
	memcpy(field_of(row, object), &number, sizeof(number));
	return true;
}

static bool limit_is_scalar(const struct option_value *value, struct error *error)
{
	if (value->form == OPTION_SCALAR)
		return true;
	error_set(error, ERROR_USAGE, "it takes one value, not a %s", value->form == OPTION_LIST ? "list" : "mapping");
	return false;
}

/* The names of the row's `values` are specs. */
static bool parse_record_limit(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	struct slice text;
	uint64_t number;

	if (!limit_is_scalar(value, error))
		return false;
	text = value->items[0];
	for (size_t i = 0; row->values[i]; i++) {
		for (size_t j = 0; j < sizeof(specs) / sizeof(specs[0]); j++) {
			if (slice_equal(text, slice_of_string(row->values[i])) && strcmp(specs[j].name, row->values[i]) == 0) {
				memcpy(field_of(row, object), &specs[j].records, sizeof(specs[j].records));
				return true;
			}
		}
	}
	if (!slice_to_uint64(text, &number))
		return refuse_limit(row, text, error);
	return store_limit(row, object, number, error);
}

static bool parse_byte_limit(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	uint64_t number = 0;

	if (!limit_is_scalar(value, error))
		return false;
	if (slice_equal(value->items[0], SLICE("unlimited"))) {
		memcpy(field_of(row, object), &number, sizeof(number));
		return true;
	}
	if (!units_parse_size(value->items[0], &number))
		return refuse_limit(row, value->items[0], error);
	return store_limit(row, object, number, error);
}

static bool parse_database_map(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	struct database_map **field = field_of(row, object);
	struct database_map *map;
	char quoted[64];

	if (value->form != OPTION_MAP) {
		error_set(error, ERROR_USAGE, "it takes a mapping of database numbers, not %s",
			  value->form == OPTION_LIST ? "a list" : slice_quote(value->items[0], quoted, sizeof(quoted)));
		return false;
	}
	map = memory_alloc(sizeof(*map));
	memset(map, 0xff, sizeof(*map));
	for (size_t i = 0; i < value->count; i++) {
		struct slice wrong = {0};
		uint64_t from = DATABASES_MAX, to = 0;

		if (!slice_equal(value->keys[i], SLICE("*")) &&
		    (!slice_to_uint64(value->keys[i], &from) || from >= DATABASES_MAX))
			wrong = value->keys[i];
		else if (!slice_to_uint64(value->items[i], &to) || to >= DATABASES_MAX)
			wrong = value->items[i];
		if (wrong.data) {
			error_set(error, ERROR_USAGE, "%s is not a database number: 0 to %d%s",
				  slice_quote(wrong, quoted, sizeof(quoted)), DATABASES_MAX - 1,
				  wrong.data == value->keys[i].data ? ", or \"*\" for all others" : "");
			free(map);
			return false;
		}
		*(from < DATABASES_MAX ? &map->to[from] : &map->others) = (uint16_t)to;
	}
	free(*field);
	*field = value->count > 0 ? map : NULL;
	if (value->count == 0)
		free(map);
	return true;
}

static bool add_text(struct slice text, void *into, struct error *error)
{
	struct text_list *list = into;

	if (text.len == 0) {
		error_set(error, ERROR_USAGE, "a name in the list is empty");
		return false;
	}
	list->items = memory_realloc_array(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = memory_strndup((const char *)text.data, text.len);
	return true;
}

static bool parse_names(const struct option_row *row, void *object, const struct option_value *value, struct error *error)
{
	struct text_list *field = field_of(row, object), list = {0};
	struct slice text;
	const struct option_value bare = without_brackets(value, &text);

	if (!for_each_item(&bare, add_text, &list, error)) {
		text_list_free(&list);
		return false;
	}
	text_list_free(field);
	*field = list;
	return true;
}

/* ---- the rows ---- */

#define FIELD(member) .offset = offsetof(struct task_options, member), .width = sizeof(((struct task_options *)0)->member)

static const char *const booleans[] = {"true", "false", NULL};
static const char *const source_modes[] = {"auto", "standalone", "cluster", "sentinel", "rdb", "aof", "scan", NULL};
static const uint8_t source_mode_numbers[] = {MODE_AUTO, MODE_STANDALONE, MODE_CLUSTER, MODE_SENTINEL,
					      MODE_RDB,  MODE_AOF,        MODE_SCAN};
static const char *const target_modes[] = {"auto", "standalone", "cluster", "sentinel", "rdb", "aof", "jsonl", NULL};
static const char *const aof_formats[] = {"multi-part", "single", NULL};
static const char *const reads[] = {"master", "prefer-replica", NULL};
static const char *const scan_notifications[] = {"auto", "required", "off", NULL};
static const char *const existings[] = {"fail", "merge", "flush", NULL};
static const char *const resyncs[] = {"auto", "exact", "add", NULL};
static const char *const conflicts[] = {"overwrite", "skip", "stop", NULL};
static const char *const guards[] = {"auto", "always", "off", NULL};
static const char *const downgrades[] = {"stop", "lossy", NULL};
static const char *const unsupporteds[] = {"stop", "skip", NULL};
static const char *const on_conflicts[] = {"stop", "skip", NULL};
static const char *const on_conflicts_later[] = {"repair", NULL};
static const char *const verify_modes[] = {"full", "outline", NULL};
static const char *const checkpoints[] = {"target", "local", NULL};
static const char *const all[] = {"all", NULL};

#define CREDENTIAL_ROWS(prefix, member, whom)                                                                                                                                 \
	{prefix ".username",                                                                                                                                                  \
	 OPTION_STRING,                                                                                                                                                       \
	 "user name",                                                                                                                                                         \
	 NULL,                                                                                                                                                                \
	 .example = "sync",                                                                                                                                                   \
	 FIELD(member.username),                                                                                                                                              \
	 .sentence = "ACL user to log in to " whom " as; without it the default user."},                                                                                      \
		{prefix ".password",                                                                                                                                          \
		 OPTION_SECRET,                                                                                                                                               \
		 "text",                                                                                                                                                      \
		 NULL,                                                                                                                                                        \
		 .example = "\"s3cret\"",                                                                                                                                     \
		 FIELD(member.password),                                                                                                                                      \
		 .sentence = "Password for " whom "; better kept out of the document by `password_file` or `password_env`."},                                                 \
		{prefix ".password_file",                                                                                                                                     \
		 OPTION_STRING,                                                                                                                                               \
		 "file",                                                                                                                                                      \
		 NULL,                                                                                                                                                        \
		 .example = "/etc/keyferry/redis.pass",                                                                                                                       \
		 FIELD(member.password_file),                                                                                                                                 \
		 .sentence =                                                                                                                                                  \
			 "File that holds the password for " whom                                                                                                             \
			 "; one line end at its end does not count. It is read again for each new connection, so a password that is changed at the server is changed here."}, \
	{                                                                                                                                                                     \
		prefix ".password_env", OPTION_STRING, "variable name", NULL,                                                                                                 \
			.example = "REDIS_PASSWORD", FIELD(member.password_env),                                                                                              \
			.sentence = "Environment variable that holds the password for " whom "."                                                                              \
	}

#define TLS_ENABLES(member) .enables = offsetof(struct task_options, member.enabled)

#define TLS_ROWS(prefix, member, whom)                                                                                           \
	{prefix ".tls",                                                                                                          \
	 OPTION_BOOL,                                                                                                            \
	 "a mapping of its options",                                                                                             \
	 "false",                                                                                                                \
	 booleans,                                                                                                               \
	 .example = "true",                                                                                                      \
	 FIELD(member.enabled),                                                                                                  \
	 .sentence =                                                                                                             \
		 "TLS to " whom ", verified against the system's certificates; a mapping gives its details and implies it."},    \
		{prefix ".tls.ca",                                                                                               \
		 OPTION_STRING,                                                                                                  \
		 "file",                                                                                                         \
		 NULL,                                                                                                           \
		 .example = "/etc/keyferry/ca.pem",                                                                              \
		 FIELD(member.ca),                                                                                               \
		 TLS_ENABLES(member),                                                                                            \
		 .sentence = "Certificates (PEM) that " whom " is verified against, instead of the system's."},                  \
		{prefix ".tls.cert",                                                                                             \
		 OPTION_STRING,                                                                                                  \
		 "file",                                                                                                         \
		 NULL,                                                                                                           \
		 .example = "/etc/keyferry/client.pem",                                                                          \
		 FIELD(member.certificate),                                                                                      \
		 TLS_ENABLES(member),                                                                                            \
		 .sentence = "Client certificate (PEM) shown to " whom "; needs `key`."},                                        \
		{prefix ".tls.key",                                                                                              \
		 OPTION_STRING,                                                                                                  \
		 "file",                                                                                                         \
		 NULL,                                                                                                           \
		 .example = "/etc/keyferry/client.key",                                                                          \
		 FIELD(member.key),                                                                                              \
		 TLS_ENABLES(member),                                                                                            \
		 .sentence = "Private key (PEM) of the client certificate."},                                                    \
		{prefix ".tls.server_name",                                                                                      \
		 OPTION_STRING,                                                                                                  \
		 "host name",                                                                                                    \
		 NULL,                                                                                                           \
		 .example = "redis.example.net",                                                                                 \
		 FIELD(member.server_name),                                                                                      \
		 TLS_ENABLES(member),                                                                                            \
		 .sentence = "Name that the certificate must carry, where it is not the host connected to."},                    \
	{                                                                                                                        \
		prefix ".tls.insecure", OPTION_BOOL, NULL, "false", booleans,                                                    \
			.example = "true", FIELD(member.insecure), TLS_ENABLES(member),                                          \
			.sentence = "Do not verify the certificate: anybody on the way can then read and change the data."       \
	}

#define SIDE_ROWS(side, modes, mode_numbers, more)                                                                               \
	{#side ".mode",                                                                                                          \
	 OPTION_ENUM,                                                                                                            \
	 NULL,                                                                                                                   \
	 "auto",                                                                                                                 \
	 modes,                                                                                                                  \
	 .numbers = mode_numbers,                                                                                                \
	 .example = "cluster",                                                                                                   \
	 FIELD(side.mode),                                                                                                       \
	 .sentence = "What kind of deployment the " #side " is; `auto` asks the first node that answers." more},                 \
		{#side ".address",                                                                                               \
		 OPTION_OTHER,                                                                                                   \
		 "address or list of addresses",                                                                                 \
		 NULL,                                                                                                           \
		 .example = "[10.0.0.1:6379]",                                                                                   \
		 .offset = offsetof(struct task_options, side),                                                                  \
		 .parse = parse_addresses,                                                                                       \
		 .sentence = "Any node of the " #side                                                                            \
			     " (several for safety, the rest is discovered), its Sentinels, or a unix socket; "                  \
			     "the port defaults to 6379, that of a Sentinel to 26379."},                                         \
		CREDENTIAL_ROWS(#side, side.credentials, "the " #side), TLS_ROWS(#side, side.tls, "the " #side),                 \
		{#side ".master",                                                                                                \
		 OPTION_STRING,                                                                                                  \
		 "master name",                                                                                                  \
		 NULL,                                                                                                           \
		 .example = "mymaster",                                                                                          \
		 FIELD(side.master),                                                                                             \
		 .sentence = "Name of the master that the Sentinels watch; required in mode `sentinel`."},                       \
		CREDENTIAL_ROWS(#side ".sentinel", side.sentinel_credentials, "the Sentinels"),                                  \
		TLS_ROWS(#side ".sentinel", side.sentinel_tls, "the Sentinels")

static const struct option_row rows[] = {
	{"name", OPTION_STRING, "text", NULL, .example = "orders-to-new-idc", FIELD(name),
	 .sentence = "Names the task: in the log, in metrics, in the target's marks and as its work directory. Letters, digits, "
		     "`.`, `_`, `-`, at most 100 bytes. By default made of both addresses."},

	SIDE_ROWS(
		source, source_modes, source_mode_numbers,
		" `rdb` and `aof` are files instead of a server: `source.path` names them, and the task ends when they are applied. "
		"`scan` reads a server or cluster by SCAN and DUMP, where PSYNC is denied."),
	{"source.path", OPTION_STRING, "file or folder", NULL, .example = "/backup/dump.rdb", FIELD(source.path),
	 .sentence =
		 "In mode `rdb` the RDB file. In mode `aof` an append-only file, with or without RDB preamble, or, since Redis 7.0, the "
		 "folder that holds its manifest, or the manifest."},
	{"source.databases", OPTION_OTHER, "list of numbers", "all", all, .example = "[0, 2]", .parse = parse_databases,
	 .lasting = true, .sentence = "Databases that are copied; keys of others are left out."},
	{"source.read_from", OPTION_ENUM, NULL, "master", reads, .example = "prefer-replica", FIELD(read_from),
	 .sentence = "Which server of each shard is read; a replica spares the master the load of the snapshot."},

	{"source.scan.follow", OPTION_BOOL, NULL, "true", booleans, .example = "false", FIELD(scan_follow),
	 .sentence = "Mode `scan`: follow the changes after all keys were read; with `false` the task ends then."},
	{"source.scan.notifications", OPTION_ENUM, NULL, "auto", scan_notifications, .example = "required",
	 FIELD(scan_notifications),
	 .sentence =
		 "Mode `scan`: follow by keyspace notifications. `auto` goes on where the server does not let its setting be read, `required` does "
		 "not; `off` reads all keys again each `source.scan.interval`."},
	{"source.scan.interval", OPTION_DURATION, "duration", "0s", .example = "6h", FIELD(scan_interval_ms), .min = 0,
	 .max = 2000000000,
	 .sentence = "Mode `scan`: time after which all keys are read again though nothing is known to be missed; 0s: never."},
	{"source.scan.count", OPTION_COUNT, "number", "500", .example = "100", FIELD(scan_count), .min = 1, .max = 100000,
	 .sentence = "Mode `scan`: COUNT of SCAN. Lower spares the source longer pauses, higher takes fewer round trips."},
	{"source.scan.pipeline", OPTION_COUNT, "number", "256", .example = "16", FIELD(scan_pipeline), .min = 1, .max = 100000,
	 .sentence = "Mode `scan`: keys asked for ahead of the answers, at most; fewer where values are large."},
	{"source.scan.changes", OPTION_SIZE, "size", "64MiB", .example = "512MiB", FIELD(scan_changes), .min = KIB(64),
	 .max = GIB(16),
	 .sentence =
		 "Mode `scan`: memory per link for the names of keys that have changed and are still to be read; more changes cost another pass over all keys."},

	SIDE_ROWS(target, target_modes, NULL,
		  " `rdb`, `aof` and `jsonl` are files instead of servers: `target.path` names them."),
	{"target.path", OPTION_STRING, "file or folder", NULL, .example = "\"/backup/orders-{shard}.rdb\"", FIELD(target.path),
	 .sentence =
		 "In mode `rdb` or `jsonl` the file that is written, in mode `aof` the folder of a multi-part append-only file. `{shard}` stands for "
		 "the number of the source shard, and is needed where there are several."},
	{"target.follow", OPTION_BOOL, NULL, "true", booleans, .example = "false", FIELD(follow),
	 .sentence =
		 "In mode `aof` or `jsonl`: write the stream behind the snapshot until the task is stopped; `false` ends it with the snapshot, as "
		 "mode `rdb` always does."},
	{"target.aof_format", OPTION_ENUM, NULL, "multi-part", aof_formats, .example = "single", FIELD(aof_format),
	 .lasting = true,
	 .sentence =
		 "In mode `aof`: a folder with manifest, base and increment, as servers have it since 7.0, or a single file with RDB preamble, "
		 "which those since 4.0 read."},
	{"target.existing", OPTION_ENUM, NULL, "fail", existings, .example = "merge", FIELD(existing),
	 .sentence =
		 "What to do when the target holds keys at the start: refuse, keep them and add, or delete them all first. Of a file: refuse, or "
		 "replace it when the new one is whole."},
	{"target.conflict", OPTION_ENUM, NULL, "overwrite", conflicts, .example = "skip", FIELD(conflict),
	 .sentence = "What to do with a key of the snapshot that the target holds already."},
	{"target.resync", OPTION_ENUM, NULL, "auto", resyncs, .example = "exact", FIELD(resync),
	 .sentence =
		 "When the source insists on a second snapshot: `exact` removes the keys of the target that it has not, for the source has deleted them "
		 "meanwhile; `add` leaves them; `auto` is exact, but with `target.existing: merge` or `lua` it leaves them."},
	{"target.downgrade", OPTION_ENUM, NULL, "stop", downgrades, .example = "lossy", FIELD(downgrade),
	 .sentence =
		 "What to do with a value or command that an older target, or one of the other family, has nothing for (times to live of hash "
		 "fields, streams, functions): stop, or go on without it, told in the log and counted."},
	{"target.unsupported", OPTION_ENUM, NULL, "stop", unsupporteds, .example = "skip", FIELD(unsupported),
	 .sentence =
		 "What to do with values and commands of a module that the target has not loaded, and with data that a module keeps beside the "
		 "keys: stop, or leave them out, told in the log and counted."},
	{"target.keep_idle", OPTION_BOOL, NULL, "false", booleans, .example = "true", FIELD(keep_idle),
	 .sentence =
		 "Carry the idle time (LRU) or access frequency (LFU) of the snapshot's keys to the target, Redis 5.0 or newer; the source "
		 "sends them when its maxmemory-policy is one of LRU or LFU."},
	{"target.expiry_guard", OPTION_ENUM, NULL, "auto", guards, .example = "always", FIELD(expiry_guard),
	 .sentence =
		 "Whether the target is kept from expiring keys before the source does: `auto` while a link is behind, `always` until "
		 "`keyferry finish`, or `off`. Readers at the target see lives of thousands of years meanwhile; a target in import mode needs none."},
	{"target.expiry_margin", OPTION_DURATION, "duration", "60s", .example = "10m", FIELD(expiry_margin_ms), .max = 86400000,
	 .sentence =
		 "How much longer than at the source keys may live at the target while a link is in step: a stall of the target or of keyferry "
		 "up to this long loses no key whose life the source extends. The source's DEL ends keys on time; `keyferry finish` takes the margin off."},
	{"target.database_map", OPTION_OTHER, "mapping of numbers, `*` for all others", NULL, .example = "{1: 0, \"*\": 5}",
	 FIELD(database_map), .parse = parse_database_map, .structured = true, .lasting = true,
	 .sentence =
		 "Database of the target for each database of the source; what is not named goes to its own number. Several may go to one."},

	{"on_conflict", OPTION_ENUM, NULL, "stop", on_conflicts, on_conflicts_later, "skip", FIELD(on_conflict),
	 .sentence = "What to do with a command of the stream that the target refuses for good: stop the task with the position "
		     "kept, or leave the command out and count it."},
	{"checkpoint", OPTION_ENUM, NULL, "target", checkpoints, .example = "local", FIELD(checkpoint),
	 .sentence =
		 "Where it is kept how far a link has come. In the `target`, beside the data: each command of the stream is applied once, whatever is lost. "
		 "`local`, in the work directory alone: no keys of keyferry's own in the target, and after a crash or a lost connection the commands of about the last "
		 "second are applied twice."},
	{"snapshot", OPTION_BOOL, NULL, "true", booleans, .example = "false", FIELD(snapshot),
	 .sentence = "Copy the data that exists before following the stream; `false` copies only what is written from now on."},

	{"heartbeat", OPTION_BOOL, "a mapping of its options", "true", booleans, .example = "false", FIELD(heartbeat),
	 .sentence = "Short for `heartbeat.enabled`."},
	{"heartbeat.enabled", OPTION_BOOL, NULL, "true", booleans, .example = "false", FIELD(heartbeat),
	 .sentence = "Write the key DTS_REDIS_TIMESTAMP_HEARTBEAT to each source shard to measure the lag; it is never copied. "
		     "Without it the lag comes from sampled offsets."},
	{"heartbeat.interval", OPTION_DURATION, "duration", "5s", .example = "10s", FIELD(heartbeat_interval_ms), .min = 100,
	 .max = 3600000, .sentence = "Time between two heartbeats."},

	{"verify.every", OPTION_DURATION, "duration", "0s", .example = "24h", FIELD(verify_every_ms), .min = 0, .max = 2000000000,
	 .sentence =
		 "Verify the running task this often, as `keyferry verify` does; the first time one interval after the start. `0s`: never."},
	{"verify.mode", OPTION_ENUM, NULL, "full", verify_modes, .example = "outline", FIELD(verify_mode),
	 .sentence = "Compare values, or the `outline`: that keys are there, their types, expiries and lengths."},
	{"verify.repair", OPTION_BOOL, NULL, "false", booleans, .example = "true", FIELD(verify_repair),
	 .sentence = "Make the target's keys that differ what they are at the source."},
	{"verify.rate", OPTION_COUNT, "number", "0", .example = "20000", FIELD(verify_rate), .min = 0, .max = 2000000000,
	 .sentence = "Keys a second, of both sides together; 0: unlimited."},

	{"limit.spec", OPTION_OTHER, "records per second", "unlimited", spec_names, .example = "medium",
	 FIELD(limit_records_per_second), .parse = parse_record_limit,
	 .sentence = "Records per second and link, as a size: micro 200, small 2000, medium 5000, large 11000, xlarge 17000, "
		     "2xlarge 34000, 4xlarge 68000; or a number."},
	{"limit.records_per_second", OPTION_OTHER, "number", "unlimited", unlimited, .example = "3000",
	 FIELD(limit_records_per_second), .parse = parse_record_limit,
	 .sentence = "The same as `limit.spec` with a number; of two settings the later one counts."},
	{"limit.bytes_per_second", OPTION_OTHER, "size", "unlimited", unlimited, .example = "20MiB",
	 FIELD(limit_bytes_per_second), .parse = parse_byte_limit, .sentence = "Bytes per second and link sent to the target."},

	{"spool.max_size", OPTION_SIZE, "size", "8GiB", .example = "50GiB", FIELD(spool_max_size), .min = MIB(4),
	 .max = 1ULL << 50,
	 .sentence = "Disk space that a link's spool may take; when it is full, the source is read no faster than the target "
		     "takes the data. At least four segments."},
	{"spool.keep_size", OPTION_SIZE, "size", "1GiB", .example = "10GiB", FIELD(spool_keep_size), .max = 1ULL << 50,
	 .sentence =
		 "How much of what is applied stays in a link's spool, to be sent again should the target lose what it had acknowledged; at most half of "
		 "`spool.max_size`, and less where there is no room."},
	{"spool.keep_time", OPTION_DURATION, "duration", "10m", .example = "1h", FIELD(spool_keep_time_ms), .max = 604800000,
	 .sentence = "For how long it stays there."},
	{"spool.segment_size", OPTION_SIZE, "size", "16MiB", .example = "64MiB", FIELD(spool_segment_size), .min = MIB(1),
	 .max = GIB(1), .sentence = "Size of one file of the spool, whole MiB."},

	{"buffers.in_flight_bytes", OPTION_SIZE, "size", "8MiB", .example = "16MiB", FIELD(in_flight_bytes), .min = KIB(64),
	 .max = GIB(1), .sentence = "Bytes that a link has sent to the target and that are not yet answered, at most."},
	{"buffers.in_flight_commands", OPTION_COUNT, "number", "32768", .example = "8192", FIELD(in_flight_commands), .min = 1,
	 .max = 1 << 24, .sentence = "Commands that a link has sent to the target and that are not yet answered, at most."},

	{"timeouts.connect", OPTION_DURATION, "duration", "10s", .example = "30s", FIELD(connect_timeout_ms), .min = 100,
	 .max = 600000, .sentence = "Time for a connection to be made, TLS and login included, before it is tried again."},
	{"timeouts.replication", OPTION_DURATION, "duration", "60s", .example = "2m", FIELD(repl_timeout_ms), .min = 1000,
	 .max = 86400000, .sentence = "Silence of the source after which a link connects anew and continues."},

	{"precheck.waive", OPTION_OTHER, "list of names", NULL, .example = "[repl-backlog-size, clock]", FIELD(waive),
	 .parse = parse_names,
	 .sentence =
		 "Items of the precheck that do not keep the task from starting, whatever they find; the report and the log go on showing them. "
		 "`keyferry precheck --list` has the names."},

	{"filter.allow", OPTION_OBJECTS, "list of rules", NULL, .example = "[{prefix: \"user:\"}, {type: hash}]", FIELD(allow),
	 .item_table = &filter_rule_table, .item_size = sizeof(struct filter_rule), .item_check = filter_rule_check,
	 .item_free = filter_rule_free, .lasting = true,
	 .sentence =
		 "What is copied: all that at least one of these rules means. Without it, everything. All that a rule names must hold."},
	{"filter.block", OPTION_OBJECTS, "list of rules", NULL, .example = "[{command: flushall}, {glob: \"tmp:*\"}]",
	 FIELD(block), .item_table = &filter_rule_table, .item_size = sizeof(struct filter_rule), .item_check = filter_rule_check,
	 .item_free = filter_rule_free, .lasting = true, .sentence = "What is left out, even where `filter.allow` means it."},

	{"rename", OPTION_OBJECTS, "list of rules", NULL, .example = "[{match: \"^user:(.*)$\", to: \"u:$1\"}]", FIELD(rename),
	 .item_table = &rename_rule_table, .item_size = sizeof(struct rename_rule), .item_check = rename_rule_check,
	 .item_free = rename_rule_free, .lasting = true,
	 .sentence = "New names of keys: the first rule that means a key is applied."},

	{"expiry", OPTION_OBJECTS, "list of rules", NULL, .example = "[{prefix: \"session:\", set: 1h}]", FIELD(expiry),
	 .item_table = &expiry_rule_table, .item_size = sizeof(struct expiry_rule), .item_check = expiry_rule_check,
	 .item_free = expiry_rule_free, .lasting = true,
	 .sentence =
		 "Other times to live at the target: the first rule that means a key is applied. Keys that never expire stay so."},

	{"lua.script", OPTION_STRING, "Lua 5.4", NULL, .example = "\"return function(event) return event.key ~= 'secret' end\"",
	 FIELD(lua_script), .lasting = true,
	 .sentence = "A script that returns a function; it is called for each key and command and may drop, change or split it."},
	{"lua.file", OPTION_STRING, "file", NULL, .example = "/etc/keyferry/orders.lua", FIELD(lua_file),
	 .sentence = "File that holds this script."},
	{"lua.steps", OPTION_COUNT, "number", "100000", .example = "1000000", FIELD(lua_steps), .min = 1000, .max = 1000000000,
	 .sentence = "Instructions that one call of the script may take; more is an error in it."},
	{"lua.memory", OPTION_SIZE, "size", "16MiB", .example = "64MiB", FIELD(lua_memory), .min = MIB(1), .max = GIB(1),
	 .sentence = "Memory that the script may take, per link."},
};

const struct option_table task_option_table = {rows, sizeof(rows) / sizeof(rows[0])};
