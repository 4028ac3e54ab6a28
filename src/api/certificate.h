/* The server's certificate and key, out of PEM files, which may be read anew while it serves.
 *
 * A handshake that is under way keeps what it began with: what was replaced is freed a while later, or with the whole.
 * Thread: certificate_load() one at a time; certificate_current() any. */
#ifndef KEYFERRY_API_CERTIFICATE_H
#define KEYFERRY_API_CERTIFICATE_H

#include "base/error.h"

#include <gnutls/abstract.h>

struct certificate;

/* The chain, the server's own certificate first, and its key without a password. ERROR_USAGE, with the file. */
struct certificate *certificate_open(const char *chain_file, const char *key_file, struct error *error) WARN_UNUSED;
void certificate_free(struct certificate *certificate); /* NULL is fine */
/* Reads the files again; what there was stays in place when they cannot be read or do not belong together. */
bool certificate_load(struct certificate *certificate, struct error *error) WARN_UNUSED;
void certificate_current(struct certificate *certificate, gnutls_pcert_st **ret_chain, unsigned *ret_count,
			 gnutls_privkey_t *ret_key);

#endif
