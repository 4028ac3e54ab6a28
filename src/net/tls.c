#include "net/tls_context.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* OpenSSL would ask for the password of an encrypted key on the terminal. */
static int no_password(char *out, int cap, int writing, void *owner)
{
	(void)out;
	(void)cap;
	(void)writing;
	(void)owner;
	return 0;
}

static bool file_is_readable(const char *what, const char *path, struct error *error)
{
	if (access(path, R_OK) == 0)
		return true;
	error_set_errno(error, ERROR_USAGE, errno, "%s: cannot read %s", what, path);
	return false;
}

/* The reason of OpenSSL's last error as text. */
static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "not understood";
}

static bool load_ca(SSL_CTX *ssl, const char *path, struct error *error)
{
	if (!path) {
		if (SSL_CTX_set_default_verify_paths(ssl) == 1)
			return true;
		error_set(error, ERROR_USAGE, "tls: the system's store of trusted certificates: %s", last_reason());
		error_hint(error, "name a file with tls.ca");
		return false;
	}
	if (!file_is_readable("tls.ca", path, error))
		return false;
	if (SSL_CTX_load_verify_locations(ssl, path, NULL) == 1)
		return true;
	error_set(error, ERROR_USAGE, "tls.ca: %s: %s", path, last_reason());
	error_hint(error, "the file must hold one or more certificates in PEM form");
	return false;
}

static bool load_certificate(SSL_CTX *ssl, const char *certificate, const char *key, struct error *error)
{
	if (!certificate && !key)
		return true;
	if (!certificate || !key) {
		error_set(error, ERROR_USAGE, "tls.%s: set without a %s", key ? "key" : "cert", key ? "cert" : "key");
		error_hint(error, "a client certificate needs both; a file that holds both may be named twice");
		return false;
	}
	if (!file_is_readable("tls.cert", certificate, error) || !file_is_readable("tls.key", key, error))
		return false;
	if (SSL_CTX_use_certificate_chain_file(ssl, certificate) != 1) {
		error_set(error, ERROR_USAGE, "tls.cert: %s: %s", certificate, last_reason());
		error_hint(error, "the file must hold the certificate, and those between it and the CA, in PEM form");
		return false;
	}
	/* A key that does not belong to the certificate is refused here as well, with a reason of its own. */
	if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
		    ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH) {
			error_set(error, ERROR_USAGE, "tls.key: %s does not belong to the certificate %s", key, certificate);
		} else {
			error_set(error, ERROR_USAGE, "tls.key: %s: %s", key, last_reason());
			error_hint(error, "the file must hold the private key in PEM form, without a password");
		}
		return false;
	}
	if (SSL_CTX_check_private_key(ssl) != 1) {
		error_set(error, ERROR_USAGE, "tls.key: %s does not belong to the certificate %s", key, certificate);
		return false;
	}
	return true;
}

/* NULL + error. */
static SSL_CTX *make_ssl(const char *const *files, bool verify, struct error *error)
{
	SSL_CTX *ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new(TLS_client_method());
	if (!ssl) {
		error_set(error, ERROR_INTERNAL, "tls: %s", last_reason());
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#ifdef SSL_OP_IGNORE_UNEXPECTED_EOF
	/* Redis closes without TLS' own goodbye. Nothing depends on it: what it sends carries its own lengths. */
	SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
#endif
	/* One system call for several records. */
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_default_read_buffer_len(ssl, 64 * 1024);
	SSL_CTX_set_default_passwd_cb(ssl, no_password);
	SSL_CTX_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	if ((verify && !load_ca(ssl, files[TLS_FILE_CA], error)) ||
	    !load_certificate(ssl, files[TLS_FILE_CERTIFICATE], files[TLS_FILE_KEY], error)) {
		SSL_CTX_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	return ssl;
}

/* Of a file that cannot be looked at: zeros. */
static void take_stamps(const struct tls_context *context, struct tls_stamp *ret)
{
	struct stat file;

	memset(ret, 0, TLS_FILES * sizeof(*ret));
	for (int i = 0; i < TLS_FILES; i++) {
		if (!context->files[i] || stat(context->files[i], &file) < 0)
			continue;
		ret[i].device = file.st_dev;
		ret[i].inode = file.st_ino;
		ret[i].size = file.st_size;
		ret[i].changed = file.st_mtim;
	}
}

struct tls_context *tls_context_new(const struct tls_options *options, struct error *error)
{
	const char *files[TLS_FILES] = {options->insecure ? NULL : options->ca, options->certificate, options->key};
	struct tls_context *context = memory_alloc_zero(1, sizeof(*context));

	pthread_mutex_init(&context->lock, NULL);
	for (int i = 0; i < TLS_FILES; i++)
		context->files[i] = files[i] ? memory_strdup(files[i]) : NULL;
	context->verify = !options->insecure;
	context->server_name = options->server_name ? memory_strdup(options->server_name) : NULL;
	/* Before they are read: what changes in between is read once more. */
	take_stamps(context, context->stamps);
	context->ssl = make_ssl(files, context->verify, error);
	if (context->ssl)
		return context;
	tls_context_free(context);
	return NULL;
}

SSL *tls_context_session(struct tls_context *context)
{
	struct tls_stamp now[TLS_FILES];
	SSL_CTX *fresh;
	SSL *session;

	pthread_mutex_lock(&context->lock);
	take_stamps(context, now);
	if (memcmp(now, context->stamps, sizeof(now)) != 0) {
		struct error error;

		error_clear(&error);
		fresh = make_ssl((const char *const *)context->files, context->verify, &error);
		if (fresh) {
			SSL_CTX_free(context->ssl);
			context->ssl = fresh;
			memcpy(context->stamps, now, sizeof(now));
		}
	}
	session = SSL_new(context->ssl);
	pthread_mutex_unlock(&context->lock);
	return session;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	for (int i = 0; i < TLS_FILES; i++)
		free(context->files[i]);
	free(context->server_name);
	pthread_mutex_destroy(&context->lock);
	free(context);
}
