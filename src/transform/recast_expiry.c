/* Commands that carry times: relative ones made absolute, absolute ones in the form that the target knows. */
#include "transform/recast.h"
#include "transform/script.h"
#include "wire/command.h"
#include "wire/crc64.h"
#include "wire/rdb.h"

#define FIELD_EXPIRY_SINCE REDIS(7, 4), VALKEY(9, 0)
#define SET_PXAT_SINCE REDIS(6, 2), EVERY_VALKEY
#define EXPIRE_CONDITIONS_SINCE REDIS(7, 0), EVERY_VALKEY

/* ---- keys ---- */

static void pexpireat(struct recast *recast, struct slice key, int64_t at)
{
	recast_begin(recast, "PEXPIREAT");
	recast_slice(recast, key);
	recast_number(recast, at);
}

/* EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT key time [NX|XX|GT|LT] */
static void expire(struct recast *recast, bool seconds, bool relative)
{
	bool conditions = recast->argc > 3 && !has(recast, EXPIRE_CONDITIONS_SINCE);
	int64_t at;

	if ((!relative && !conditions) || !recast_time(recast, 2, seconds, relative, &at))
		return;
	pexpireat(recast, recast->argv[1], at);
	if (!conditions)
		recast_arguments(recast, 3, recast->argc);
}

void recast_expire(struct recast *recast)
{
	expire(recast, true, true);
}

void recast_pexpire(struct recast *recast)
{
	expire(recast, false, true);
}

void recast_expireat(struct recast *recast)
{
	expire(recast, true, false);
}

void recast_pexpireat(struct recast *recast)
{
	expire(recast, false, false);
}

static void persist(struct recast *recast, struct slice key)
{
	recast_begin(recast, "PERSIST");
	recast_slice(recast, key);
}

/* GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] */
void recast_getex(struct recast *recast)
{
	int64_t at;

	if (recast->argc < 2)
		return;
	if (recast->argc == 2)
		recast_to_nothing(recast);
	else if (recast_expiry_option(recast, 2, &at) != EXPIRY_NONE)
		pexpireat(recast, recast->argv[1], at);
	else if (word_is(recast->argv[2], "PERSIST"))
		persist(recast, recast->argv[1]);
}

/* ---- strings ---- */

/* SET key value with an expiry, in one command or in two that belong together. */
static void set_until(struct recast *recast, struct slice key, struct slice value, int64_t at, const char *condition)
{
	bool one = has(recast, SET_PXAT_SINCE);

	recast_begin(recast, "SET");
	recast_slice(recast, key);
	recast_slice(recast, value);
	if (!one) {
		/* Without the condition, which held at the source: where it did not, the PEXPIREAT would be wrong. */
		pexpireat(recast, key, at);
		recast_safe_together(recast);
		return;
	}
	recast_word(recast, "PXAT");
	recast_number(recast, at);
	if (condition)
		recast_word(recast, condition);
}

static void set_keepttl(struct recast *recast, struct slice key, struct slice value)
{
	if (has(recast, REDIS(6, 0), EVERY_VALKEY)) {
		recast_begin(recast, "SET");
		recast_slice(recast, key);
		recast_slice(recast, value);
		recast_word(recast, "KEEPTTL");
	} else if (has(recast, REDIS(3, 2), EVERY_VALKEY)) {
		recast_script(recast, script_set_keepttl, 1);
		recast_slice(recast, key);
		recast_slice(recast, value);
	} else {
		recast_begin(recast, "SET");
		recast_slice(recast, key);
		recast_slice(recast, value);
		recast_cannot(recast, DOWNGRADE_LOSS_COMMAND,
			      "the time to live that the key keeps: there is no SET KEEPTTL, nor a way to ask for it");
	}
}

static void setex(struct recast *recast, bool seconds)
{
	int64_t at;

	if (recast->argc == 4 && recast_time(recast, 2, seconds, true, &at))
		set_until(recast, recast->argv[1], recast->argv[3], at, NULL);
}

void recast_setex(struct recast *recast)
{
	setex(recast, true);
}

void recast_psetex(struct recast *recast)
{
	setex(recast, false);
}

struct set_options {
	enum expiry_form expiry;
	int64_t at;
	const char *condition; /* NX, XX */
	bool keep_ttl, get;
	bool compares_equal; /* IFEQ: Valkey 8.1, Redis 8.4 */
	bool compares_else;  /* IFNE, IFDEQ, IFDNE: Redis 8.4 */
};

static bool set_options_read(const struct recast *recast, struct set_options *options)
{
	*options = (struct set_options){0};
	for (uint32_t i = 3; i < recast->argc; i++) {
		struct slice word = recast->argv[i];
		enum expiry_form form = recast_expiry_option(recast, i, &options->at);

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
		else if (command_set_compares(word))
			options->compares_else = true, i++;
		else
			return false; /* a later version's */
	}
	return true;
}

void recast_set(struct recast *recast)
{
	struct set_options options;
	bool known;

	if (recast->argc <= 3 || !set_options_read(recast, &options))
		return;
	known = options.expiry != EXPIRY_RELATIVE && (options.expiry == EXPIRY_NONE || has(recast, SET_PXAT_SINCE)) &&
		(!options.keep_ttl || has(recast, REDIS(6, 0), EVERY_VALKEY)) &&
		(!options.get || has(recast, options.condition ? REDIS(7, 0) : REDIS(6, 2), EVERY_VALKEY)) &&
		(!options.compares_equal || has(recast, REDIS(8, 4), VALKEY(8, 1))) &&
		(!options.compares_else || has(recast, REDIS(8, 4), NEVER));
	if (known)
		return;
	if (options.expiry != EXPIRY_NONE) {
		set_until(recast, recast->argv[1], recast->argv[2], options.at, options.condition);
	} else if (options.keep_ttl) {
		set_keepttl(recast, recast->argv[1], recast->argv[2]);
	} else {
		recast_begin(recast, "SET");
		recast_arguments(recast, 1, 3);
		if (options.condition)
			recast_word(recast, options.condition);
	}
}

/* MSETEX numkeys key value ... [NX|XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] */
void recast_msetex(struct recast *recast)
{
	enum expiry_form form = EXPIRY_NONE;
	bool known = has(recast, REDIS(8, 4), VALKEY(9, 1));
	bool keep_ttl = false;
	uint64_t keys;
	uint32_t options;
	int64_t at = 0;

	if (recast->argc < 4 || !slice_to_uint64(recast->argv[1], &keys) || keys > (recast->argc - 2) / 2)
		return;
	options = 2 + 2 * (uint32_t)keys;
	for (uint32_t i = options; i < recast->argc; i++) {
		enum expiry_form one = recast_expiry_option(recast, i, &at);

		if (one != EXPIRY_NONE)
			form = one, i++;
		else if (word_is(recast->argv[i], "KEEPTTL"))
			keep_ttl = true;
	}
	if (known && form != EXPIRY_RELATIVE)
		return;
	if (form == EXPIRY_NONE && !keep_ttl) {
		recast_begin(recast, "MSET");
		recast_arguments(recast, 2, options);
		return;
	}
	for (uint32_t i = 2; i < options; i += 2) {
		if (form != EXPIRY_NONE)
			set_until(recast, recast->argv[i], recast->argv[i + 1], at, NULL);
		else
			set_keepttl(recast, recast->argv[i], recast->argv[i + 1]);
	}
}

/* ---- RESTORE ---- */

#define FOOTER_LEN 10 /* RDB version and CRC-64 */

/* The payload as the target takes it: the footer's version lowered to the one in which its type came up, where the target is older than the server that
 * made it. False: the target does not know the type. */
static bool payload_for_target(struct recast *recast, struct slice *payload)
{
	const struct downgrade_target *target = recast->target;
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
	copy = recast_memory(recast, payload->len);
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
void recast_restore(struct recast *recast)
{
	bool replace = false, absolute = false, lru = false, changed;
	bool has_absolute = has(recast, REDIS(5, 0), EVERY_VALKEY);
	bool has_replace = has(recast, REDIS(3, 0), EVERY_VALKEY);
	uint32_t lru_at[4], lru_count = 0;
	struct slice payload;
	int64_t at;

	if (recast->argc < 4 || !slice_to_int64(recast->argv[2], &at))
		return;
	for (uint32_t i = 4; i < recast->argc; i++) {
		if (word_is(recast->argv[i], "REPLACE"))
			replace = true;
		else if (word_is(recast->argv[i], "ABSTTL"))
			absolute = true;
		else if ((word_is(recast->argv[i], "IDLETIME") || word_is(recast->argv[i], "FREQ")) && i + 1 < recast->argc &&
			 lru_count < 2)
			lru = true, lru_at[lru_count++] = i++;
		else
			return;
	}
	payload = recast->argv[3];
	if (!payload_for_target(recast, &payload)) {
		recast_cannot(recast, DOWNGRADE_LOSS_PAYLOAD, NULL);
		return;
	}
	changed = payload.data != recast->argv[3].data;
	if (!changed && (absolute || at == 0) && (has_absolute || (!absolute && !lru)) && (has_replace || !replace))
		return;
	if (at != 0 && !absolute && !recast_time(recast, 2, false, true, &at))
		return;
	if (replace && !has_replace) {
		recast_begin(recast, "DEL");
		recast_slice(recast, recast->argv[1]);
	}
	recast_begin(recast, "RESTORE");
	recast_slice(recast, recast->argv[1]);
	recast_number(recast, has_absolute ? at : 0);
	recast_slice(recast, payload);
	if (replace && has_replace)
		recast_word(recast, "REPLACE");
	if (has_absolute && at != 0)
		recast_word(recast, "ABSTTL");
	/* How recently it was used is no part of the value: left out where it cannot be told. */
	for (uint32_t i = 0; i < lru_count && has_absolute; i++)
		recast_arguments(recast, lru_at[i], lru_at[i] + 2);
	if (!has_absolute && at != 0)
		pexpireat(recast, recast->argv[1], at);
	if (replace)
		recast_safe_together(recast);
}

/* ---- fields of hashes ---- */

/* HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT key time [NX|XX|GT|LT] FIELDS n field ... */
static void expire_fields(struct recast *recast, bool seconds, bool relative)
{
	int64_t at;

	if (!has(recast, FIELD_EXPIRY_SINCE)) {
		recast_cannot(recast, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
		return;
	}
	if (!relative || !recast_time(recast, 2, seconds, relative, &at))
		return;
	recast_begin(recast, "HPEXPIREAT");
	recast_slice(recast, recast->argv[1]);
	recast_number(recast, at);
	recast_arguments(recast, 3, recast->argc);
}

void recast_hexpire(struct recast *recast)
{
	expire_fields(recast, true, true);
}

void recast_hpexpire(struct recast *recast)
{
	expire_fields(recast, false, true);
}

void recast_hexpireat(struct recast *recast)
{
	expire_fields(recast, true, false);
}

void recast_hpexpireat(struct recast *recast)
{
	expire_fields(recast, false, false);
}

void recast_hpersist(struct recast *recast)
{
	/* A target without such times holds the field for ever as it is. */
	recast_to_nothing(recast);
}

/* Options, then FIELDS n, then the fields (or field and value). */
struct field_options {
	enum expiry_form expiry;
	int64_t at;
	bool keep_ttl, persist;
	bool key_condition;    /* NX, XX: Valkey alone */
	const char *condition; /* FNX, FXX */
	uint32_t fields;       /* index of the first */
};

static bool field_options_read(const struct recast *recast, struct field_options *options)
{
	*options = (struct field_options){0};
	for (uint32_t i = 2; i + 2 < recast->argc; i++) {
		struct slice word = recast->argv[i];
		enum expiry_form form = recast_expiry_option(recast, i, &options->at);

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

static void hset_fields(struct recast *recast, uint32_t first)
{
	recast_begin(recast, has(recast, REDIS(4, 0), EVERY_VALKEY) ? "HSET" : "HMSET");
	recast_slice(recast, recast->argv[1]);
	recast_arguments(recast, first, recast->argc);
}

static void hpexpireat(struct recast *recast, uint32_t first, uint32_t step, int64_t at)
{
	recast_begin(recast, "HPEXPIREAT");
	recast_slice(recast, recast->argv[1]);
	recast_number(recast, at);
	recast_word(recast, "FIELDS");
	recast_number(recast, (recast->argc - first + step - 1) / step);
	for (uint32_t i = first; i < recast->argc; i += step)
		recast_slice(recast, recast->argv[i]);
}

/* HSETEX key [NX|XX] [FNX|FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS n field value ... */
void recast_hsetex(struct recast *recast)
{
	bool known = has(recast, REDIS(8, 0), VALKEY(9, 0));
	struct field_options options;

	if (!field_options_read(recast, &options))
		return;
	if (known && options.expiry != EXPIRY_RELATIVE && (!options.key_condition || has(recast, NEVER, VALKEY(9, 0))))
		return;
	if (known) {
		recast_begin(recast, "HSETEX");
		recast_slice(recast, recast->argv[1]);
		if (options.condition)
			recast_word(recast, options.condition);
		if (options.keep_ttl)
			recast_word(recast, "KEEPTTL");
		if (options.expiry != EXPIRY_NONE) {
			recast_word(recast, "PXAT");
			recast_number(recast, options.at);
		}
		recast_arguments(recast, options.fields - 2, recast->argc);
	} else if (!has(recast, FIELD_EXPIRY_SINCE)) {
		/* There KEEPTTL keeps nothing, and is no loss. */
		hset_fields(recast, options.fields);
		if (options.expiry != EXPIRY_NONE)
			recast_cannot(recast, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
	} else if (options.keep_ttl) {
		recast_script(recast, script_hsetex_keepttl, 1);
		recast_slice(recast, recast->argv[1]);
		recast_arguments(recast, options.fields, recast->argc);
	} else {
		hset_fields(recast, options.fields);
		if (options.expiry != EXPIRY_NONE)
			hpexpireat(recast, options.fields, 2, options.at);
	}
}

/* HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS n field ... */
void recast_hgetex(struct recast *recast)
{
	struct field_options options;

	if (!field_options_read(recast, &options))
		return;
	if (options.expiry == EXPIRY_NONE && !options.persist) {
		recast_to_nothing(recast);
	} else if (options.persist) {
		if (!has(recast, FIELD_EXPIRY_SINCE)) {
			recast_to_nothing(recast);
			return;
		}
		recast_begin(recast, "HPERSIST");
		recast_slice(recast, recast->argv[1]);
		recast_arguments(recast, options.fields - 2, recast->argc);
	} else if (has(recast, FIELD_EXPIRY_SINCE)) {
		hpexpireat(recast, options.fields, 1, options.at);
	} else {
		recast_cannot(recast, DOWNGRADE_LOSS_FIELD_EXPIRY, NULL);
	}
}
