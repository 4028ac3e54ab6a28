#include "cmd/rdb_summary.h"

#include "base/clock.h"
#include "base/memory.h"
#include "wire/rdb.h"

#include <inttypes.h>
#include <stdlib.h>

void rdb_summary_init(struct rdb_summary *summary, int64_t now_ms)
{
	*summary =
		(struct rdb_summary){.now_ms = now_ms, .saved_at = -1, .first_expiry = EXPIRE_NEVER, .last_expiry = EXPIRE_NEVER};
}

void rdb_summary_free(struct rdb_summary *summary)
{
	free(summary->databases);
}

/* ---- counting ---- */

static struct rdb_summary_database *find_database(struct rdb_summary *summary, uint32_t db)
{
	/* From the end: the keys of a database follow each other. */
	for (size_t i = summary->database_count; i-- > 0;)
		if (summary->databases[i].db == db)
			return &summary->databases[i];
	if (summary->database_count == summary->database_room) {
		summary->database_room = summary->database_room ? 2 * summary->database_room : 16;
		summary->databases =
			memory_realloc_array(summary->databases, summary->database_room, sizeof(*summary->databases));
	}
	summary->databases[summary->database_count] = (struct rdb_summary_database){.db = db};
	return &summary->databases[summary->database_count++];
}

static struct rdb_summary_type *find_type(struct rdb_summary *summary, const char *name)
{
	for (size_t i = 0; i < summary->type_count; i++)
		if (strcmp(summary->types[i].name, name) == 0)
			return &summary->types[i];
	/* The last row is kept for all that find no row of their own. */
	if (summary->type_count + 1 >= RDB_SUMMARY_TYPES && strcmp(name, "module") != 0)
		return find_type(summary, "module");
	snprintf(summary->types[summary->type_count].name, EVENT_KEY_TYPE_MAX, "%s", name);
	return &summary->types[summary->type_count++];
}

static void add_expiry(struct rdb_summary *summary, int64_t expire_at_ms)
{
	summary->with_expiry++;
	if (expire_at_ms <= summary->now_ms) {
		summary->expired++;
		return;
	}
	if (summary->first_expiry == EXPIRE_NEVER || expire_at_ms < summary->first_expiry)
		summary->first_expiry = expire_at_ms;
	if (expire_at_ms > summary->last_expiry)
		summary->last_expiry = expire_at_ms;
}

static void add_largest(struct rdb_summary *summary, const struct event *key, const char *type)
{
	size_t at = summary->largest_count;
	struct rdb_summary_key *row;

	if (at == RDB_SUMMARY_LARGEST && key->value.len <= summary->largest[at - 1].bytes)
		return;
	if (at < RDB_SUMMARY_LARGEST)
		summary->largest_count++;
	else
		at--;
	for (; at > 0 && summary->largest[at - 1].bytes < key->value.len; at--)
		summary->largest[at] = summary->largest[at - 1];
	row = &summary->largest[at];
	row->bytes = key->value.len;
	row->db = key->db;
	snprintf(row->type, sizeof(row->type), "%s", type);
	slice_quote(key->key, row->key, sizeof(row->key));
}

static void add_key(struct rdb_summary *summary, const struct event *key)
{
	char name[EVENT_KEY_TYPE_MAX];
	struct rdb_summary_database *database = find_database(summary, key->db);
	struct rdb_summary_type *type = find_type(summary, event_key_type(key, summary->place.valkey, name));
	bool expires = key->expire_at_ms != EXPIRE_NEVER;

	summary->keys++;
	summary->bytes += key->value.len;
	database->keys++;
	database->bytes += key->value.len;
	database->with_expiry += expires;
	type->keys++;
	type->bytes += key->value.len;
	if (expires)
		add_expiry(summary, key->expire_at_ms);
	add_largest(summary, key, name);
}

static void add_aux(struct rdb_summary *summary, const struct event *aux)
{
	bool redis = slice_equal(aux->key, SLICE("redis-ver"));
	char quoted[48];

	if (redis || slice_equal(aux->key, SLICE("valkey-ver")))
		snprintf(summary->writer, sizeof(summary->writer), "%s %.*s", redis ? "redis" : "valkey",
			 (int)strlen(slice_quote(aux->value, quoted, sizeof(quoted))) - 2, quoted + 1);
	else if (slice_equal(aux->key, SLICE("ctime")) && !slice_to_int64(aux->value, &summary->saved_at))
		summary->saved_at = -1;
}

void rdb_summary_add(struct rdb_summary *summary, const struct event *event, struct snapshot_place place)
{
	summary->place = place;
	switch (event->kind) {
	case EVENT_KEY: add_key(summary, event); break;
	case EVENT_FUNCTION: summary->functions++; break;
	case EVENT_SCRIPT: summary->scripts++; break;
	default:
		if (event->type == RDB_OPCODE_AUX)
			add_aux(summary, event);
		summary->module_data += event->type == RDB_OPCODE_MODULE_AUX;
		break;
	}
}

/* ---- printing ---- */

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t n, char out[32])
{
	char digits[24];
	int count = snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *at = out;

	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			*at++ = ',';
		*at++ = digits[i];
	}
	*at = '\0';
	return out;
}

static void print_time(FILE *out, const char *label, int64_t wall_ms)
{
	char text[32];

	/* Four digits of a year: what lies beyond is no time but damage, or for ever. */
	if (wall_ms > 253402300799999)
		fprintf(out, "%s after the year 9999", label);
	else
		fprintf(out, "%s %s", label, clock_format_rfc3339(wall_ms, text));
}

static void print_head(const struct rdb_summary *summary, const struct rdb_file *file, enum rdb_checksum checksum, FILE *out)
{
	static const char *const checksums[] = {"not reached", "none", "right", "wrong"};
	char number[32];

	fprintf(out, "file         %s, %s bytes\n", file->path, grouped(file->size, number));
	fprintf(out, "RDB version  %" PRIu32 " of %s", summary->place.rdb_version, summary->place.valkey ? "Valkey" : "Redis");
	if (summary->writer[0])
		fprintf(out, ", written by %s", summary->writer);
	if (summary->saved_at >= 0 && summary->saved_at < INT64_MAX / 1000)
		print_time(out, " at", summary->saved_at * 1000);
	fprintf(out, "\nchecksum     %s\n", checksums[checksum]);
	fprintf(out, "keys         %s\n", grouped(summary->keys, number));
	fprintf(out, "values       %s bytes, as they are serialised\n", grouped(summary->bytes, number));
	fprintf(out, "expiries     %s", grouped(summary->with_expiry, number));
	if (summary->expired > 0)
		fprintf(out, ", %s of them past", grouped(summary->expired, number));
	if (summary->first_expiry != EXPIRE_NEVER) {
		print_time(out, "; the next", summary->first_expiry);
		print_time(out, ", the last", summary->last_expiry);
	}
	fprintf(out, "\nfunctions    %s %s\n", grouped(summary->functions, number),
		summary->functions == 1 ? "library" : "libraries");
	if (summary->scripts > 0)
		fprintf(out, "scripts      %s\n", grouped(summary->scripts, number));
	if (summary->module_data > 0)
		fprintf(out, "module data  %s pieces beside the keys\n", grouped(summary->module_data, number));
	if (checksum != RDB_CHECKSUM_NOT_SEEN && file->at < file->size)
		fprintf(out, "behind it    %s bytes that are no part of the snapshot\n", grouped(file->size - file->at, number));
}

static int by_number(const void *left, const void *right)
{
	const struct rdb_summary_database *a = left;
	const struct rdb_summary_database *b = right;

	return a->db < b->db ? -1 : a->db > b->db;
}

static void print_databases(const struct rdb_summary *summary, FILE *out)
{
	struct rdb_summary_database *rows = memory_alloc_zero(summary->database_count, sizeof(*rows));
	char keys[32], expiries[32], bytes[32];

	memcpy(rows, summary->databases, summary->database_count * sizeof(*rows));
	qsort(rows, summary->database_count, sizeof(*rows), by_number);
	fprintf(out, "\n%-10s %15s %15s %20s\n", "database", "keys", "with expiry", "bytes");
	for (size_t i = 0; i < summary->database_count; i++)
		fprintf(out, "%-10" PRIu32 " %15s %15s %20s\n", rows[i].db, grouped(rows[i].keys, keys),
			grouped(rows[i].with_expiry, expiries), grouped(rows[i].bytes, bytes));
	free(rows);
}

static int by_bytes(const void *left, const void *right)
{
	const struct rdb_summary_type *a = left;
	const struct rdb_summary_type *b = right;

	return a->bytes > b->bytes ? -1 : a->bytes < b->bytes ? 1 : strcmp(a->name, b->name);
}

static void print_types(const struct rdb_summary *summary, FILE *out)
{
	struct rdb_summary_type rows[RDB_SUMMARY_TYPES];
	char keys[32], mean[32], bytes[32];

	memcpy(rows, summary->types, sizeof(rows));
	qsort(rows, summary->type_count, sizeof(*rows), by_bytes);
	fprintf(out, "\n%-10s %15s %15s %20s\n", "type", "keys", "bytes per key", "bytes");
	for (size_t i = 0; i < summary->type_count; i++)
		fprintf(out, "%-10s %15s %15s %20s\n", rows[i].name, grouped(rows[i].keys, keys),
			grouped(rows[i].bytes / rows[i].keys, mean), grouped(rows[i].bytes, bytes));
}

static void print_largest(const struct rdb_summary *summary, FILE *out)
{
	char bytes[32];

	fprintf(out, "\n%20s %-10s %-10s %s\n", "largest keys: bytes", "type", "database", "key");
	for (size_t i = 0; i < summary->largest_count; i++) {
		const struct rdb_summary_key *row = &summary->largest[i];

		fprintf(out, "%20s %-10s %-10" PRIu32 " %s\n", grouped(row->bytes, bytes), row->type, row->db, row->key);
	}
}

void rdb_summary_print(const struct rdb_summary *summary, const struct rdb_file *file, enum rdb_checksum checksum, FILE *out)
{
	if (summary->place.rdb_version == 0)
		return; /* not even its magic was there: the error says all there is to say */
	print_head(summary, file, checksum, out);
	if (summary->keys == 0)
		return;
	print_databases(summary, out);
	print_types(summary, out);
	print_largest(summary, out);
}
