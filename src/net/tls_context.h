/* What lies behind struct tls_context. For net/ alone.
 * Thread: any; what changes is behind its lock. */
#ifndef KEYFERRY_NET_TLS_CONTEXT_H
#define KEYFERRY_NET_TLS_CONTEXT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/types.h>
#include <time.h>

enum tls_file { TLS_FILE_CA, TLS_FILE_CERTIFICATE, TLS_FILE_KEY, TLS_FILES };

/* Which version of a file was read: another one has other numbers. */
struct tls_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls_context {
	pthread_mutex_t lock;
	SSL_CTX *ssl;                       /* under the lock; sessions keep the one that they began with */
	struct tls_stamp stamps[TLS_FILES]; /* of what it was made from, under the lock */
	char *files[TLS_FILES];             /* NULL: not named */
	bool verify;
	char *server_name; /* verified and sent instead of the host's name; NULL: that */
};

/* A session by the files as they are now. Where they have changed and do not go together (yet) it is by those of before. SSL_free(). */
SSL *tls_context_session(struct tls_context *context);

#endif
