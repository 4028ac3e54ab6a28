/* Commands that carry times: relative ones made absolute, absolute ones in the form that the target knows. */
#include "transform/rewrite.h"
#include "transform/script.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#define FIELD_EXPIRY_SINCE REDIS(7, 4), VALKEY(9, 0)
#define SET_PXAT_SINCE REDIS(6, 2), EVERY_VALKEY
#define EXPIRE_CONDITIONS_SINCE REDIS(7, 0), EVERY_VALKEY

/* ---- keys ---- */

static void pexpireat(struct rewrite *rewrite, struct slice key, int64_t at)
{
	rewrite_begin(rewrite, "PEXPIREAT");
	rewrite_slice(rewrite, key);
	rewrite_number(rewrite, at);
}

/* EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT key time [NX|XX|GT|LT] */
static void expire(struct rewrite *rewrite, bool seconds, bool relative)
{
	bool conditions = rewrite->argc > 3 && !has(rewrite, EXPIRE_CONDITIONS_SINCE);
	int64_t at;

	if ((!relative && !conditions) || !rewrite_time(rewrite, 2, seconds, relative, &at))
		return;
	pexpireat(rewrite, rewrite->argv[1], at);
	if (!conditions)
		rewrite_arguments(rewrite, 3, rewrite->argc);
}

void rewrite_expire(struct rewrite *rewrite)
{
	expire(rewrite, true, true);
}

void rewrite_pexpire(struct rewrite *rewrite)
{
	expire(rewrite, false, true);
}

void rewrite_expireat(struct rewrite *rewrite)
{
	expire(rewrite, true, false);
}

void rewrite_pexpireat(struct rewrite *rewrite)
{
	expire(rewrite, false, false);
}

static void persist(struct rewrite *rewrite, struct slice key)
{
	rewrite_begin(rewrite, "PERSIST");
	rewrite_slice(rewrite, key);
}

/* GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] */
void rewrite_getex(struct rewrite *rewrite)
{
	int64_t at;

	if (rewrite->argc < 2)
		return;
	if (rewrite->argc == 2)
		rewrite_to_nothing(rewrite);
	else if (rewrite_expiry_option(rewrite, 2, &at) != EXPIRY_NONE)
		pexpireat(rewrite, rewrite->argv[1], at);
	else if (word_is(rewrite->argv[2], "PERSIST"))
		persist(rewrite, rewrite->argv[1]);
}

/* ---- strings ---- */

/* SET key value with an expiry, in one command or in two that belong together. */
static void set_until(struct rewrite *rewrite, struct slice key, struct slice value, int64_t at, const char *condition)
{
	bool one = has(rewrite, SET_PXAT_SINCE);

	rewrite_begin(rewrite, "SET");
	rewrite_slice(rewrite, key);
	rewrite_slice(rewrite, value);
	if (!one) {
		/* Without the condition, which held at the source: where it did not, the PEXPIREAT would be wrong. */
		pexpireat(rewrite, key, at);
		rewrite_safe_together(rewrite);
		return;
	}
	rewrite_word(rewrite, "PXAT");
	rewrite_number(rewrite, at);
	if (condition)
		rewrite_word(rewrite, condition);
}

static void set_keepttl(struct rewrite *rewrite, struct slice key, struct slice value)
{
	if (has(rewrite, REDIS(6, 0), EVERY_VALKEY)) {
		rewrite_begin(rewrite, "SET");
		rewrite_slice(rewrite, key);
		rewrite_slice(rewrite, value);
		rewrite_word(rewrite, "KEEPTTL");
	} else if (has(rewrite, REDIS(3, 2), EVERY_VALKEY)) {
		rewrite_script(rewrite, script_set_keepttl, 1);
		rewrite_slice(rewrite, key);
		rewrite_slice(rewrite, value);
	} else {
		rewrite_begin(rewrite, "SET");
		rewrite_slice(rewrite, key);
		rewrite_slice(rewrite, value);
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_COMMAND, "the time to live that the key keeps: there is no SET KEEPTTL, nor a way to ask for it");
	}
}

static void setex(struct rewrite *rewrite, bool seconds)
{
	int64_t at;

	if (rewrite->argc == 4 && rewrite_time(rewrite, 2, seconds, true, &at))
		set_until(rewrite, rewrite->argv[1], rewrite->argv[3], at, NULL);
}

void rewrite_setex(struct rewrite *rewrite)
{
	setex(rewrite, true);
}

void rewrite_psetex(struct rewrite *rewrite)
{
	setex(rewrite, false);
}

struct set_options {
	enum expiry_form expiry;
	int64_t at;
	const char *condition; /* NX, XX */
	bool keep_ttl, get;
	bool compares_equal;   /* IFEQ: Valkey 8.1, Redis 8.4 */
	bool compares_else;    /* IFNE, IFDEQ, IFDNE: Redis 8.4 */
};

static bool set_options_read(const struct rewrite *rewrite, struct set_options *options)
{
	*options = (struct set_options){0};
	for (uint32_t i = 3; i < rewrite->argc; i++) {
		struct slice word = rewrite->argv[i];
		enum expiry_form form = rewrite_expiry_option(rewrite, i, &options->at);

		if (form != EXPIRY_NONE)
			options->expiry = form, i++;
		else if (word_is(word, "NX"))
			options->condition = "NX";
		else if (word_is(word, "XX"))
			options->condition = "XX";
		else if (word_is(word, "KEEPTTL"))
			options->keep_ttl = true;
		else if (word_is(word, "GET"))
			options->get = true;
		else if (word_is(word, "IFEQ"))
			options->compares_equal = true, i++;
		else if (word_is(word, "IFNE") || word_is(word, "IFDEQ") || word_is(word, "IFDNE"))
			options->compares_else = true, i++;
		else
			return false; /* a later version's */
	}
	return true;
}

void rewrite_set(struct rewrite *rewrite)
{
	struct set_options options;
	bool known;

	if (rewrite->argc <= 3 || !set_options_read(rewrite, &options))
		return;
	known = options.expiry != EXPIRY_RELATIVE && (options.expiry == EXPIRY_NONE || has(rewrite, SET_PXAT_SINCE)) &&
		(!options.keep_ttl || has(rewrite, REDIS(6, 0), EVERY_VALKEY)) &&
		(!options.get || has(rewrite, options.condition ? REDIS(7, 0) : REDIS(6, 2), EVERY_VALKEY)) &&
		(!options.compares_equal || has(rewrite, REDIS(8, 4), VALKEY(8, 1))) &&
		(!options.compares_else || has(rewrite, REDIS(8, 4), NEVER));
	if (known)
		return;
	if (options.expiry != EXPIRY_NONE) {
		set_until(rewrite, rewrite->argv[1], rewrite->argv[2], options.at, options.condition);
	} else if (options.keep_ttl) {
		set_keepttl(rewrite, rewrite->argv[1], rewrite->argv[2]);
	} else {
		rewrite_begin(rewrite, "SET");
		rewrite_arguments(rewrite, 1, 3);
		if (options.condition)
			rewrite_word(rewrite, options.condition);
	}
}

/* MSETEX numkeys key value ... [NX|XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
void rewrite_msetex(struct rewrite *rewrite)
{
	enum expiry_form form = EXPIRY_NONE;
	bool known = has(rewrite, REDIS(8, 4), VALKEY(9, 1));
	bool keep_ttl = false;
	uint64_t keys;
	uint32_t options;
	int64_t at = 0;

	if (rewrite->argc < 4 || !slice_to_uint64(rewrite->argv[1], &keys) || keys > (rewrite->argc - 2) / 2)
		return;
	options = 2 + 2 * (uint32_t)keys;
	for (uint32_t i = options; i < rewrite->argc; i++) {
		enum expiry_form one = rewrite_expiry_option(rewrite, i, &at);

		if (one != EXPIRY_NONE)
			form = one, i++;
		else if (word_is(rewrite->argv[i], "KEEPTTL"))
			keep_ttl = true;
	}
	if (known && form != EXPIRY_RELATIVE)
		return;
	if (form == EXPIRY_NONE && !keep_ttl) {
		rewrite_begin(rewrite, "MSET");
		rewrite_arguments(rewrite, 2, options);
		return;
	}
	for (uint32_t i = 2; i < options; i += 2) {
		if (form != EXPIRY_NONE)
			set_until(rewrite, rewrite->argv[i], rewrite->argv[i + 1], at, NULL);
		else
			set_keepttl(rewrite, rewrite->argv[i], rewrite->argv[i + 1]);
	}
}

/* ---- RESTORE ---- */

#define FOOTER_LEN 10 /* RDB version and CRC-64 */

/* The payload as the target takes it: the footer's version lowered to the one in which its type came up, where the target is older than the server that
 * made it. False: the target does not know the type. */
static bool payload_for_target(struct rewrite *rewrite, struct slice *payload)
{
	const struct downgrade_target *target = rewrite->target;
	uint64_t written, crc;
	uint8_t *copy;
	int version;

	if (payload->len <= FOOTER_LEN)
		return true; /* no payload at all: the target says so */
	written = rdb_little_endian(payload->data + payload->len - FOOTER_LEN, 2);
	if (target->valkey_rdb ? written <= 11 || written == 80 : written <= (uint64_t)target->rdb_version)
		return true;
	version = rdb_type_version(payload->data[0], written >= 80);
	if (version == 0 || version > (target->valkey_rdb ? 11 : target->rdb_version))
		return false;
	copy = rewrite_memory(rewrite, payload->len);
	memcpy(copy, payload->data, payload->len - FOOTER_LEN);
	copy[payload->len - FOOTER_LEN] = (uint8_t)version;
	copy[payload->len - FOOTER_LEN + 1] = (uint8_t)(version >> 8);
	crc = crc64(0, copy, payload->len - 8);
	for (int i = 0; i < 8; i++)
		copy[payload->len - 8 + (size_t)i] = (uint8_t)(crc >> (8 * i));
	*payload = slice_make(copy, payload->len);
	return true;
}

/* RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME s] [FREQ n] */
void rewrite_restore(struct rewrite *rewrite)
{
	bool replace = false, absolute = false, lru = false, changed;
	bool has_absolute = has(rewrite, REDIS(5, 0), EVERY_VALKEY);
	bool has_replace = has(rewrite, REDIS(3, 0), EVERY_VALKEY);
	uint32_t lru_at[4], lru_count = 0;
	struct slice payload;
	int64_t at;

	if (rewrite->argc < 4 || !slice_to_int64(rewrite->argv[2], &at))
		return;
	for (uint32_t i = 4; i < rewrite->argc; i++) {
		if (word_is(rewrite->argv[i], "REPLACE"))
			replace = true;
		else if (word_is(rewrite->argv[i], "ABSTTL"))
			absolute = true;
		else if ((word_is(rewrite->argv[i], "IDLETIME") || word_is(rewrite->argv[i], "FREQ")) && i + 1 < rewrite->argc && lru_count < 2)
			lru = true, lru_at[lru_count++] = i++;
		else
			return;
	}
	payload = rewrite->argv[3];
	if (!payload_for_target(rewrite, &payload)) {
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_PAYLOAD, NULL);
		return;
	}
	changed = payload.data != rewrite->argv[3].data;
	if (!changed && (absolute || at == 0) && (has_absolute || (!absolute && !lru)) && (has_replace || !replace))
		return;
	if (at != 0 && !absolute && !rewrite_time(rewrite, 2, false, true, &at))
		return;
	if (replace && !has_replace) {
		rewrite_begin(rewrite, "DEL");
		rewrite_slice(rewrite, rewrite->argv[1]);
	}
	rewrite_begin(rewrite, "RESTORE");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_number(rewrite, has_absolute ? at : 0);
	rewrite_slice(rewrite, payload);
	if (replace && has_replace)
		rewrite_word(rewrite, "REPLACE");
	if (has_absolute && at != 0)
		rewrite_word(rewrite, "ABSTTL");
	/* How recently it was used is no part of the value: left out where it cannot be told. */
	for (uint32_t i = 0; i < lru_count && has_absolute; i++)
		rewrite_arguments(rewrite, lru_at[i], lru_at[i] + 2);
	if (!has_absolute && at != 0)
		pexpireat(rewrite, rewrite->argv[1], at);
	if (replace)
		rewrite_safe_together(rewrite);
}

/* ---- fields of hashes ---- */

/* HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT key time [NX|XX|GT|LT] FIELDS n field ... */
static void expire_fields(struct rewrite *rewrite, bool seconds, bool relative)
{
	int64_t at;

	if (!has(rewrite, FIELD_EXPIRY_SINCE)) {
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
		return;
	}
	if (!relative || !rewrite_time(rewrite, 2, seconds, relative, &at))
		return;
	rewrite_begin(rewrite, "HPEXPIREAT");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_number(rewrite, at);
	rewrite_arguments(rewrite, 3, rewrite->argc);
}

void rewrite_hexpire(struct rewrite *rewrite)
{
	expire_fields(rewrite, true, true);
}

void rewrite_hpexpire(struct rewrite *rewrite)
{
	expire_fields(rewrite, false, true);
}

void rewrite_hexpireat(struct rewrite *rewrite)
{
	expire_fields(rewrite, true, false);
}

void rewrite_hpexpireat(struct rewrite *rewrite)
{
	expire_fields(rewrite, false, false);
}

void rewrite_hpersist(struct rewrite *rewrite)
{
	/* A target without such times holds the field for ever as it is. */
	rewrite_to_nothing(rewrite);
}

/* Options, then FIELDS n, then the fields (or field and value). */
struct field_options {
	enum expiry_form expiry;
	int64_t at;
	bool keep_ttl, persist;
	bool key_condition;  /* NX, XX: Valkey alone */
	const char *condition; /* FNX, FXX */
	uint32_t fields;     /* index of the first */
};

static bool field_options_read(const struct rewrite *rewrite, struct field_options *options)
{
	*options = (struct field_options){0};
	for (uint32_t i = 2; i + 2 < rewrite->argc; i++) {
		struct slice word = rewrite->argv[i];
		enum expiry_form form = rewrite_expiry_option(rewrite, i, &options->at);

		if (form != EXPIRY_NONE) {
			options->expiry = form, i++;
		} else if (word_is(word, "FIELDS")) {
			options->fields = i + 2;
			return true;
		} else if (word_is(word, "KEEPTTL")) {
			options->keep_ttl = true;
		} else if (word_is(word, "PERSIST")) {
			options->persist = true;
		} else if (word_is(word, "NX") || word_is(word, "XX")) {
			options->key_condition = true;
		} else if (word_is(word, "FNX")) {
			options->condition = "FNX";
		} else if (word_is(word, "FXX")) {
			options->condition = "FXX";
		} else {
			return false;
		}
	}
	return false;
}

static void hset_fields(struct rewrite *rewrite, uint32_t first)
{
	rewrite_begin(rewrite, has(rewrite, REDIS(4, 0), EVERY_VALKEY) ? "HSET" : "HMSET");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_arguments(rewrite, first, rewrite->argc);
}

static void hpexpireat(struct rewrite *rewrite, uint32_t first, uint32_t step, int64_t at)
{
	rewrite_begin(rewrite, "HPEXPIREAT");
	rewrite_slice(rewrite, rewrite->argv[1]);
	rewrite_number(rewrite, at);
	rewrite_word(rewrite, "FIELDS");
	rewrite_number(rewrite, (rewrite->argc - first + step - 1) / step);
	for (uint32_t i = first; i < rewrite->argc; i += step)
		rewrite_slice(rewrite, rewrite->argv[i]);
}

/* HSETEX key [NX|XX] [FNX|FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS n field value ... */
void rewrite_hsetex(struct rewrite *rewrite)
{
	bool known = has(rewrite, REDIS(8, 0), VALKEY(9, 0));
	struct field_options options;

	if (!field_options_read(rewrite, &options))
		return;
	if (known && options.expiry != EXPIRY_RELATIVE && (!options.key_condition || has(rewrite, NEVER, VALKEY(9, 0))))
		return;
	if (known) {
		rewrite_begin(rewrite, "HSETEX");
		rewrite_slice(rewrite, rewrite->argv[1]);
		if (options.condition)
			rewrite_word(rewrite, options.condition);
		if (options.keep_ttl)
			rewrite_word(rewrite, "KEEPTTL");
		if (options.expiry != EXPIRY_NONE) {
			rewrite_word(rewrite, "PXAT");
			rewrite_number(rewrite, options.at);
		}
		rewrite_arguments(rewrite, options.fields - 2, rewrite->argc);
	} else if (!has(rewrite, FIELD_EXPIRY_SINCE)) {
		/* There KEEPTTL keeps nothing, and is no loss. */
		hset_fields(rewrite, options.fields);
		if (options.expiry != EXPIRY_NONE)
			rewrite_cannot(rewrite, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
	} else if (options.keep_ttl) {
		rewrite_script(rewrite, script_hsetex_keepttl, 1);
		rewrite_slice(rewrite, rewrite->argv[1]);
		rewrite_arguments(rewrite, options.fields, rewrite->argc);
	} else {
		hset_fields(rewrite, options.fields);
		if (options.expiry != EXPIRY_NONE)
			hpexpireat(rewrite, options.fields, 2, options.at);
	}
}

/* HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS n field ... */
void rewrite_hgetex(struct rewrite *rewrite)
{
	struct field_options options;

	if (!field_options_read(rewrite, &options))
		return;
	if (options.expiry == EXPIRY_NONE && !options.persist) {
		rewrite_to_nothing(rewrite);
	} else if (options.persist) {
		if (!has(rewrite, FIELD_EXPIRY_SINCE)) {
			rewrite_to_nothing(rewrite);
			return;
		}
		rewrite_begin(rewrite, "HPERSIST");
		rewrite_slice(rewrite, rewrite->argv[1]);
		rewrite_arguments(rewrite, options.fields - 2, rewrite->argc);
	} else if (has(rewrite, FIELD_EXPIRY_SINCE)) {
		hpexpireat(rewrite, options.fields, 1, options.at);
	} else {
		rewrite_cannot(rewrite, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
	}
}
