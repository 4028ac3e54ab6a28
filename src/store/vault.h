/* The vault: keeps secrets of documents unreadable at rest, and tokens unrecognisable.
 *
 * A box is   nonce (24 bytes, random)  ciphertext and authentication tag   of libsodium's crypto_secretbox (XSalsa20-Poly1305), with the key of the key file: 32 random bytes,
 * made with mode 0600 at the first start. A key file that others may read is refused; a group may read one that is root's (a Secret of Kubernetes, a file in /etc); without the right one boxes cannot be opened, which is told, never guessed around.
 * A copy of the database alone shows no secret; database and key file together do: back them up apart.
 * Tokens are hashed with BLAKE2b keyed with a key that is derived of the file's: they are random and long (vault_token_make), so no slow hash is needed.
 * Thread: any; the vault is constant. Memory of keys is locked and wiped. */
#ifndef KEYFERRY_STORE_VAULT_H
#define KEYFERRY_STORE_VAULT_H

#include "base/slice.h"
#include "store/store.h"

struct vault;

/* ERROR_USAGE. `may_make` false: a missing file is an error, for there are boxes already. */
struct vault *vault_open(const char *key_file, bool may_make, struct error *error) WARN_UNUSED;
void vault_close(struct vault *vault); /* NULL is fine */

/* A new box, free(). `context` is bound to it: a box opens with the same one only ("task:7"). */
void *vault_seal(const struct vault *vault, const char *context, struct slice plain, size_t *ret_len);
/* NUL-terminated; the caller wipes and frees it. NULL + ERROR_INTERNAL: another key, another context, or damage. */
char *vault_unseal(const struct vault *vault, const char *context, const void *box, size_t len, size_t *ret_len,
		   struct error *error) WARN_UNUSED;

#define VAULT_TOKEN_MAX 64
/* "kf_" and 43 characters of base64url: 256 random bits. */
void vault_token_make(char out[VAULT_TOKEN_MAX]);
void vault_token_hash(const struct vault *vault, const char *token, uint8_t out[STORE_HASH_LEN]);
/* In a time that does not depend on where they differ. */
bool vault_hash_equal(const uint8_t a[STORE_HASH_LEN], const uint8_t b[STORE_HASH_LEN]);

#endif
