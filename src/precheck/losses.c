/* Items about losses: what the source has, or may have by its version, and the target cannot hold. The very key or command is named when it comes. */
#include "precheck/precheck_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What all masters of the source have together. */
struct holdings {
	char name[96];
	bool streams, functions, field_expiry, vector_sets; /* by version: it may have such */
	uint64_t libraries, expiring_fields;                /* it has so many; 0: it has none, or does not tell */
	char modules[256];                                  /* a space behind each */
	int rdb_version;
	bool valkey_rdb;
};

struct sentence {
	char text[1024];
	size_t used;
	unsigned parts;
};

static void say(struct sentence *sentence, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct sentence *sentence, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(sentence->text + sentence->used, sizeof(sentence->text) - sentence->used, format, args);
	va_end(args);
	sentence->used += (size_t)len;
	if (sentence->used >= sizeof(sentence->text))
		sentence->used = sizeof(sentence->text) - 1;
}

/* "no streams", "no streams, no function libraries (the source has 3)" */
static void lack(struct sentence *sentence, bool lacks, const char *what, uint64_t count)
{
	if (!lacks)
		return;
	say(sentence, "%sno %s", sentence->parts++ ? ", " : "", what);
	if (count > 0)
		say(sentence, " (the source has %llu)", (unsigned long long)count);
}

/* ---- the source ---- */

/* `names` have a space behind each. */
static bool is_among(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = names; (at = strstr(at, name)); at += len)
		if ((at == names || at[-1] == ' ') && at[len] == ' ')
			return true;
	return false;
}

static void add_modules(struct holdings *holdings, const char *modules)
{
	char copy[256], *rest = NULL;

	snprintf(copy, sizeof(copy), "%s", modules);
	for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		size_t used = strlen(holdings->modules);

		if (!is_among(holdings->modules, name) && used + strlen(name) + 1 < sizeof(holdings->modules))
			snprintf(holdings->modules + used, sizeof(holdings->modules) - used, "%s ", name);
	}
}

static void of_servers(const struct precheck *precheck, struct holdings *ret)
{
	const struct node *node = NULL;
	char name[64];

	while ((node = precheck_next_master(precheck, PRECHECK_SOURCE, node))) {
		const struct server_info *info = &node->info;
		bool valkey = info->family == FAMILY_VALKEY;

		ret->streams |= valkey || info->version >= VERSION(5, 0, 0);
		ret->functions |= valkey || info->version >= VERSION(7, 0, 0);
		ret->field_expiry |= info->version >= (valkey ? VERSION(9, 0, 0) : VERSION(7, 4, 0));
		ret->vector_sets |= !valkey && info->version >= VERSION(8, 0, 0);
		/* Each shard has the same libraries. */
		if (info->libraries > ret->libraries)
			ret->libraries = info->libraries;
		ret->expiring_fields += info->expiring_fields;
		add_modules(ret, info->modules);
		if (info->rdb_version > ret->rdb_version) {
			ret->rdb_version = info->rdb_version;
			snprintf(ret->name, sizeof(ret->name), "%s", server_name(info, name));
		}
	}
}

/* A file tells the version of its form; what it holds is met on the way. */
static void of_files(const struct inspection *files, struct holdings *ret)
{
	bool valkey = files->rdb_version >= 80;

	ret->rdb_version = (int)files->rdb_version;
	ret->streams = files->rdb_version >= 9;
	ret->functions = files->rdb_version >= 10;
	ret->field_expiry = files->rdb_version >= 12;
	ret->vector_sets = files->rdb_version >= 12 && !valkey;
	snprintf(ret->name, sizeof(ret->name), "%s", files->server[0] ? files->server : "of another version");
}

/* ---- against the target ---- */

static bool takes_payloads(const struct target_abilities *target, int rdb_version)
{
	return target->valkey_rdb ? rdb_version <= 11 || rdb_version >= 80 : rdb_version <= target->rdb_version;
}

static bool read_holdings(const struct precheck *precheck, struct holdings *ret)
{
	*ret = (struct holdings){.rdb_version = 0};
	if (precheck->options->files)
		of_files(precheck->options->files, ret);
	else
		of_servers(precheck, ret);
	return ret->rdb_version != 0;
}

void judge_versions(const struct subject *subject)
{
	const struct target_abilities *target = &subject->precheck->abilities;
	bool vector_sets = target->valkey == 0 && target->redis >= VERSION(8, 0, 0);
	struct sentence sentence = {.text = ""};
	struct finding *finding;
	struct holdings source;

	if (subject->precheck->options->task->keep_idle && !target->keep_idle)
		finding_add(subject, PRECHECK_WARNING, TEXT_VERSION_IDLE);
	if (!read_holdings(subject->precheck, &source))
		return;
	lack(&sentence, source.streams && !target->streams, "streams", 0);
	lack(&sentence, source.functions && !target->functions, "function libraries", source.libraries);
	lack(&sentence, source.field_expiry && !target->field_expiry, "times to live of hash fields", source.expiring_fields);
	lack(&sentence, source.vector_sets && !vector_sets, "vector sets", 0);
	if (sentence.parts > 0)
		finding = finding_add(subject, PRECHECK_WARNING, target->lossy ? TEXT_VERSION_LOSES : TEXT_VERSION_STOPS);
	else if (!takes_payloads(target, source.rdb_version))
		finding = finding_add(subject, PRECHECK_WARNING, TEXT_VERSION_FORMS);
	else
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	finding_argument(finding, "%s", source.name);
	finding_argument(finding, "%s", target->name);
	finding_argument(finding, "%s", sentence.text);
	finding_measured(finding, "%s -> %s", source.name, target->name);
}

void judge_modules(const struct subject *subject)
{
	struct sentence sentence = {.text = ""};
	char copy[256], *rest = NULL;
	struct holdings source;
	struct finding *finding;

	if (!read_holdings(subject->precheck, &source))
		return;
	snprintf(copy, sizeof(copy), "%s", source.modules);
	for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		const struct node *node = NULL;
		bool everywhere = true;

		/* These are parts of the servers; vector sets are looked at by version. */
		if (strcmp(name, "vectorset") == 0 || strcmp(name, "lua") == 0)
			continue;
		while ((node = precheck_next_master(subject->precheck, PRECHECK_TARGET, node)))
			everywhere &= is_among(node->info.modules, name);
		if (!everywhere)
			say(&sentence, "%s%s", sentence.parts++ ? ", " : "", name);
	}
	if (sentence.parts == 0) {
		finding = finding_add(subject, PRECHECK_PASSED, TEXT_NONE);
	} else {
		finding = finding_add(subject, PRECHECK_WARNING,
				      subject->precheck->abilities.skip_unsupported ? TEXT_MODULES_SKIP : TEXT_MODULES_STOP);
		finding_argument(finding, "%s", sentence.text);
	}
	if (source.modules[0])
		finding_measured(finding, "%s", source.modules);
}
