#include "fixture.h"

#include "base/memory.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EOF_MARK_LEN 40

static _Noreturn void fail(const char *what, const char *which)
{
	fprintf(stderr, "fixtures: %s: %s\n", what, which);
	abort();
}

static uint8_t *read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	if (!file || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0)
		fail("cannot be read", path);
	rewind(file);
	data = memory_alloc((size_t)size);
	if (fread(data, 1, (size_t)size, file) != (size_t)size)
		fail("cannot be read", path);
	fclose(file);
	*len = (size_t)size;
	return data;
}

/* "$EOF:<mark>\r\n" ... "<mark>" around the RDB. */
static void strip_marks(struct fixture *fixture)
{
	size_t head = strlen("$EOF:") + EOF_MARK_LEN + strlen("\r\n");

	if (fixture->len < head + EOF_MARK_LEN || memcmp(fixture->data, "$EOF:", 5) != 0 ||
	    memcmp(fixture->data + 5, fixture->data + fixture->len - EOF_MARK_LEN, EOF_MARK_LEN) != 0)
		fail("is not in the diskless form", fixture->name);
	fixture->len -= head + EOF_MARK_LEN;
	memmove(fixture->data, fixture->data + head, fixture->len);
}

static void visit_file(const char *folder, const char *part, const char *file, const char *suffix, size_t small,
		       void (*visit)(const struct fixture *), unsigned *count)
{
	struct fixture fixture = {.checksum = strcmp(suffix, "-nochecksum") != 0};
	char path[600];

	snprintf(fixture.name, sizeof(fixture.name), "%s%s/%s", strrchr(folder, '/') + 1, part, file);
	snprintf(path, sizeof(path), "%s%s/%s", folder, part, file);
	snprintf(fixture.expected, sizeof(fixture.expected), "%s%s/expected%s.jsonl", folder, part, suffix);
	/* The recordings' functions.json is of their end, not of the snapshot. */
	if (part[0] == '\0') {
		snprintf(fixture.functions, sizeof(fixture.functions), "%s/functions%s.json", folder, suffix);
		if (access(fixture.functions, R_OK) != 0)
			fixture.functions[0] = '\0';
		if (suffix[0] == '\0')
			snprintf(fixture.scripts, sizeof(fixture.scripts), "%s/scripts.json", folder);
	}
	fixture.data = read_file(path, &fixture.len);
	if (strstr(file, ".bin"))
		strip_marks(&fixture);
	if (small == 0 || fixture.len <= small) {
		visit(&fixture);
		++*count;
	}
	free(fixture.data);
}

static void visit_server(const char *folder, size_t small, void (*visit)(const struct fixture *), unsigned *count)
{
	char path[512];
	DIR *dir = opendir(folder);

	if (!dir)
		fail("cannot be opened", folder);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char suffix[64];

		if (sscanf(entry->d_name, "dump%63[^.].rdb", suffix) == 1)
			visit_file(folder, "", entry->d_name, suffix, small, visit, count);
		else if (strcmp(entry->d_name, "dump.rdb") == 0)
			visit_file(folder, "", entry->d_name, "", small, visit, count);
	}
	closedir(dir);
	snprintf(path, sizeof(path), "%s/stream", folder);
	dir = opendir(path);
	if (!dir)
		return; /* not every server's stream was recorded */
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strcmp(entry->d_name, "snapshot.rdb") == 0)
			visit_file(folder, "/stream", entry->d_name, "-snapshot", small, visit, count);
		else if (strcmp(entry->d_name, "snapshot-rdb11.rdb") == 0)
			visit_file(folder, "/stream", entry->d_name, "-rdb11", small, visit, count);
		else if (strcmp(entry->d_name, "snapshot-eof.bin") == 0)
			visit_file(folder, "/stream", entry->d_name, "-eof", small, visit, count);
	}
	closedir(dir);
}

unsigned fixture_each(size_t small, void (*visit)(const struct fixture *fixture))
{
	const char *root = getenv("KEYFERRY_FIXTURES");
	unsigned servers = 0;
	unsigned count = 0;
	DIR *dir;

	if (!root)
		fail("the environment variable must name their folder", "KEYFERRY_FIXTURES");
	dir = opendir(root);
	if (!dir)
		fail("cannot be opened", root);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char folder[400];

		if (strncmp(entry->d_name, "redis-", 6) != 0 && strncmp(entry->d_name, "valkey-", 7) != 0)
			continue;
		snprintf(folder, sizeof(folder), "%s/%s", root, entry->d_name);
		visit_server(folder, small, visit, &count);
		servers++;
	}
	closedir(dir);
	if (servers != FIXTURE_SERVERS)
		fail("there are not as many servers as there should be", root);
	return count;
}

bool fixture_string(const json_t *value, uint8_t **data, size_t *len)
{
	const char *coded;
	size_t room;
	int made;

	if (json_is_string(value)) {
		*len = json_string_length(value);
		*data = (uint8_t *)memory_strndup(json_string_value(value), *len);
		return true;
	}
	coded = json_string_value(json_object_get(value, "b64"));
	if (!coded)
		return false;
	room = strlen(coded);
	*data = memory_alloc(room + 1);
	made = EVP_DecodeBlock(*data, (const unsigned char *)coded, (int)room);
	if (made < 0)
		fail("not base64", coded);
	*len = (size_t)made;
	while (room > 0 && coded[--room] == '=')
		--*len;
	return true;
}

bool fixture_string_equal(const json_t *value, struct slice bytes)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];
	uint8_t *data;
	size_t len;
	bool same;

	if (fixture_string(value, &data, &len)) {
		same = slice_equal(bytes, slice_make(data, len));
		free(data);
		return same;
	}
	SHA256(bytes.data, bytes.len, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return (json_int_t)bytes.len == json_integer_value(json_object_get(value, "len")) &&
	       strcmp(hex, json_string_value(json_object_get(value, "sha256"))) == 0;
}
