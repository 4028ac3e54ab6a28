#include "store/vault.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The key of the file is a master key: each use has one that is derived of it (crypto_kdf), so that no use tells anything of another. */
enum { KEY_BOXES = 1, KEY_TOKENS = 2 };
#define KDF_CONTEXT "keyferry" /* crypto_kdf_CONTEXTBYTES: 8 */

struct vault {
	uint8_t boxes[crypto_secretbox_KEYBYTES];
	uint8_t tokens[crypto_generichash_KEYBYTES];
};

_Static_assert(crypto_kdf_KEYBYTES == 32 && STORE_HASH_LEN <= crypto_generichash_BYTES_MAX, "sizes of libsodium");

/* ---- the key file ---- */

/* The daemon's user cannot open a file of root's but by its group. */
static bool others_may_read(const struct stat *info)
{
	mode_t most = info->st_uid == 0 ? S_IRWXU | S_IRGRP : S_IRWXU;

	return (info->st_mode & 0777 & ~most) != 0;
}

static bool read_key(int file, const char *path, uint8_t key[crypto_kdf_KEYBYTES], struct error *error)
{
	struct stat info;
	uint8_t more;

	if (fstat(file, &info) < 0 || others_may_read(&info)) {
		error_set(error, ERROR_USAGE, "%s may be read by others: it holds the key to all stored passwords", path);
		error_hint(error, "chmod 600 %s (640 where root owns it), and change the passwords if others may have read it",
			   path);
		return false;
	}
	if (read(file, key, crypto_kdf_KEYBYTES) == (ssize_t)crypto_kdf_KEYBYTES && read(file, &more, 1) == 0)
		return true;
	error_set(error, ERROR_USAGE, "%s is no key file: it has to be of %u bytes", path, crypto_kdf_KEYBYTES);
	error_hint(error, "Put back the copy of the key file that belongs to this data directory");
	return false;
}

static bool make_key(const char *path, uint8_t key[crypto_kdf_KEYBYTES], struct error *error)
{
	randombytes_buf(key, crypto_kdf_KEYBYTES);
	if (file_replace(path, slice_make(key, crypto_kdf_KEYBYTES)))
		return true;
	error_set_errno(error, ERROR_USAGE, errno, "the key file %s cannot be made", path);
	return false;
}

static bool get_key(const char *path, bool may_make, uint8_t key[crypto_kdf_KEYBYTES], struct error *error)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (file < 0 && errno == ENOENT && may_make)
		return make_key(path, key, error);
	if (file < 0) {
		error_set_errno(error, ERROR_USAGE, errno, "the key file %s cannot be opened", path);
		error_hint(error,
			   "Put back the copy that belongs to this data directory: stored passwords cannot be read without it");
		return false;
	}
	ok = read_key(file, path, key, error);
	close(file);
	return ok;
}

struct vault *vault_open(const char *key_file, bool may_make, struct error *error)
{
	uint8_t key[crypto_kdf_KEYBYTES];
	struct vault *vault = NULL;

	if (sodium_init() < 0) {
		error_set(error, ERROR_INTERNAL, "libsodium does not start: the system gives no random numbers");
		return NULL;
	}
	if (get_key(key_file, may_make, key, error)) {
		vault = sodium_malloc(sizeof(*vault));
		if (!vault) {
			error_set(error, ERROR_INTERNAL, "no memory for the key");
		} else {
			crypto_kdf_derive_from_key(vault->boxes, sizeof(vault->boxes), KEY_BOXES, KDF_CONTEXT, key);
			crypto_kdf_derive_from_key(vault->tokens, sizeof(vault->tokens), KEY_TOKENS, KDF_CONTEXT, key);
			sodium_mprotect_readonly(vault);
		}
	}
	sodium_memzero(key, sizeof(key));
	return vault;
}

void vault_close(struct vault *vault)
{
	sodium_free(vault); /* wipes; NULL is fine */
}

/* ---- boxes ---- */

/* secretbox takes no additional data: what is sealed begins with the context's hash. */
#define CONTEXT_LEN 16

static void hash_context(const char *context, uint8_t out[CONTEXT_LEN])
{
	crypto_generichash(out, CONTEXT_LEN, (const uint8_t *)context, strlen(context), NULL, 0);
}

void *vault_seal(const struct vault *vault, const char *context, struct slice plain, size_t *ret_len)
{
	size_t inner_len = CONTEXT_LEN + plain.len, len = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + inner_len;
	uint8_t *inner = memory_alloc(inner_len), *box = memory_alloc(len);

	hash_context(context, inner);
	if (plain.len)
		memcpy(inner + CONTEXT_LEN, plain.data, plain.len);
	randombytes_buf(box, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, inner, inner_len, box, vault->boxes);
	memory_wipe(inner, inner_len);
	free(inner);
	*ret_len = len;
	return box;
}

char *vault_unseal(const struct vault *vault, const char *context, const void *box, size_t len, size_t *ret_len,
		   struct error *error)
{
	size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + CONTEXT_LEN;
	const uint8_t *bytes = box;
	uint8_t expected[CONTEXT_LEN], *inner;
	char *plain = NULL;

	if (len >= overhead) {
		size_t inner_len = len - overhead + CONTEXT_LEN;

		inner = memory_alloc(inner_len);
		hash_context(context, expected);
		if (crypto_secretbox_open_easy(inner, bytes + crypto_secretbox_NONCEBYTES, len - crypto_secretbox_NONCEBYTES,
					       bytes, vault->boxes) == 0 &&
		    sodium_memcmp(inner, expected, CONTEXT_LEN) == 0) {
			plain = memory_strndup((const char *)inner + CONTEXT_LEN, inner_len - CONTEXT_LEN);
			*ret_len = inner_len - CONTEXT_LEN;
		}
		memory_wipe(inner, inner_len);
		free(inner);
	}
	if (plain)
		return plain;
	error_set(
		error, ERROR_INTERNAL,
		"the stored passwords cannot be opened: the key file is another one than they were stored with, or they are damaged");
	error_hint(
		error,
		"Put back the key file that belongs to this data directory, or give the passwords anew (update the task's document)");
	return NULL;
}

/* ---- tokens ---- */

void vault_token_make(char out[VAULT_TOKEN_MAX])
{
	uint8_t random[32];
	char text[sodium_base64_ENCODED_LEN(sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

	randombytes_buf(random, sizeof(random));
	sodium_bin2base64(text, sizeof(text), random, sizeof(random), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	snprintf(out, VAULT_TOKEN_MAX, "kf_%s", text);
	sodium_memzero(random, sizeof(random));
	sodium_memzero(text, sizeof(text));
}

void vault_token_hash(const struct vault *vault, const char *token, uint8_t out[STORE_HASH_LEN])
{
	crypto_generichash(out, STORE_HASH_LEN, (const uint8_t *)token, strlen(token), vault->tokens, sizeof(vault->tokens));
}

bool vault_hash_equal(const uint8_t a[STORE_HASH_LEN], const uint8_t b[STORE_HASH_LEN])
{
	return sodium_memcmp(a, b, STORE_HASH_LEN) == 0;
}
