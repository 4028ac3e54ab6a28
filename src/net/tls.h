/* TLS settings of one side, and the OpenSSL context made of them.
 * The server's certificate is always verified (chain and name) unless `insecure` was asked for.
 * Certificates are renewed while a task runs: each new connection looks whether the files have changed, and reads them again then.
 * Thread: a context is shared by threads. */
#ifndef KEYFERRY_NET_TLS_H
#define KEYFERRY_NET_TLS_H

#include "base/error.h"

struct tls_options {
	bool enabled;
	bool insecure;           /* do not verify the server */
	const char *ca;          /* file with trusted certificates; NULL: the system's store */
	const char *certificate; /* client certificate (PEM), with `key`; NULL: none */
	const char *key;
	const char *server_name; /* name to verify and send (SNI); NULL: the host connected to */
};

struct tls_context;

/* Fails with ERROR_USAGE when a file cannot be read or certificate and key do not belong together. */
struct tls_context *tls_context_new(const struct tls_options *options, struct error *error) WARN_UNUSED;
void tls_context_free(struct tls_context *context);

#endif
