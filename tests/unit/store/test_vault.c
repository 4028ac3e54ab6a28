/* The vault: boxes open with their key and context only, key files of the wrong kind are refused. */
#include "base/memory.h"
#include "store/vault.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[128];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/keyferry-vault-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/key", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static struct vault *open_vault(void)
{
	struct error error;
	struct vault *vault = vault_open(path, true, &error);

	if (!vault)
		fail_msg("%s", error.text);
	return vault;
}

static void test_boxes(void **state)
{
	struct vault *vault = open_vault();
	struct error error;
	size_t len, again_len, plain_len;
	uint8_t *box = vault_seal(vault, "task:1", SLICE("s3cret"), &len),
		*again = vault_seal(vault, "task:1", SLICE("s3cret"), &again_len);
	char *plain;

	(void)state;
	assert_null(memmem(box, len, "s3cret", 6));
	/* Another nonce each time: equal secrets are not seen to be equal. */
	assert_int_equal(len, again_len);
	assert_memory_not_equal(box, again, len);
	vault_close(vault);

	vault = open_vault();
	plain = vault_unseal(vault, "task:1", box, len, &plain_len, &error);
	assert_non_null(plain);
	assert_string_equal(plain, "s3cret");
	assert_int_equal(plain_len, 6);
	free(plain);
	assert_null(vault_unseal(vault, "task:2", box, len, &plain_len, &error));
	for (size_t i = 0; i < len; i++) {
		box[i] ^= 1;
		assert_null(vault_unseal(vault, "task:1", box, len, &plain_len, &error));
		box[i] ^= 1;
	}
	for (size_t i = 0; i < len; i++)
		assert_null(vault_unseal(vault, "task:1", box, i, &plain_len, &error));
	vault_close(vault);

	unlink(path);
	vault = open_vault();
	assert_null(vault_unseal(vault, "task:1", box, len, &plain_len, &error));
	assert_non_null(strstr(error.text, "key file"));
	free(box);
	free(again);
	vault_close(vault);
}

static void write_key(size_t len, mode_t mode)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, (off_t)len), 0);
	assert_int_equal(fchmod(file, mode), 0);
	close(file);
}

static void test_key_files(void **state)
{
	static const mode_t wrong[] = {0604, 0644, 0660, 0444};
	struct vault *vault;
	struct error error;
	struct stat info;

	(void)state;
	assert_null(vault_open(path, false, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	vault_close(open_vault());
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(info.st_size, 32);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		write_key(32, wrong[i]);
		assert_null(vault_open(path, true, &error));
		assert_non_null(strstr(error.text, "may be read by others"));
	}
	/* A group may read what is root's, and nobody else's. */
	write_key(32, 0440);
	assert_int_equal(stat(path, &info), 0);
	vault = vault_open(path, false, &error);
	assert_int_equal(vault != NULL, info.st_uid == 0);
	vault_close(vault);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 0), 0);
		assert_null(vault_open(path, false, &error));
	}
	write_key(31, 0600);
	assert_null(vault_open(path, true, &error));
	write_key(33, 0600);
	assert_null(vault_open(path, true, &error));
	assert_non_null(strstr(error.text, "no key file"));
}

static void test_tokens(void **state)
{
	struct vault *vault = open_vault();
	char token[VAULT_TOKEN_MAX], other[VAULT_TOKEN_MAX];
	uint8_t a[STORE_HASH_LEN], b[STORE_HASH_LEN];

	(void)state;
	vault_token_make(token);
	vault_token_make(other);
	assert_string_not_equal(token, other);
	assert_int_equal(strlen(token), 46);
	vault_token_hash(vault, token, a);
	vault_token_hash(vault, token, b);
	assert_true(vault_hash_equal(a, b));
	vault_token_hash(vault, other, b);
	assert_false(vault_hash_equal(a, b));
	vault_close(vault);
	unlink(path);
	/* Hashes of one data directory say nothing in another. */
	vault = open_vault();
	vault_token_hash(vault, token, b);
	assert_false(vault_hash_equal(a, b));
	vault_close(vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_boxes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_key_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
