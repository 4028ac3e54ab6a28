/* What lies behind struct tls_context. For net/ alone.
 * Thread: read-only after tls_context_new(). */
#ifndef KEYFERRY_NET_TLS_CONTEXT_H
#define KEYFERRY_NET_TLS_CONTEXT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>

struct tls_context {
	SSL_CTX *ssl;
	bool verify;
	char *server_name; /* verified and sent instead of the host's name; NULL: that */
};

#endif
