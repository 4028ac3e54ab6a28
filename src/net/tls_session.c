/* A TLS connection as a transport.
 *
 * Writing: OpenSSL wants a write that could not finish to be repeated with the same bytes, which the stream's writers do not
 * promise. So one record's worth is copied into `staged` before it is encrypted; once there it counts as written, and the
 * stream flushes it by itself. */
#include "net/tls_context.h"
#include "net/transport.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD_MAX (16 * 1024)

struct tls_session {
	struct transport transport;
	SSL *ssl;
	enum error_kind blame;
	bool verify;
	bool dead;           /* no further call into OpenSSL is allowed */
	bool has_late_error; /* the read that failed had bytes to give first: late_error is the next one's answer */
	struct error late_error;
	size_t staged_len;
	uint8_t staged[RECORD_MAX];
};

/* ---- the socket as OpenSSL sees it: its own socket BIO writes with write(), which raises SIGPIPE ---- */

static BIO_METHOD *socket_method;

static int socket_bio_fd(BIO *bio)
{
	return (int)(intptr_t)BIO_get_data(bio);
}

static int socket_bio_write(BIO *bio, const char *data, int len)
{
	ssize_t n = send(socket_bio_fd(bio), data, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);
	return (int)n;
}

static int socket_bio_read(BIO *bio, char *out, int cap)
{
	ssize_t n = recv(socket_bio_fd(bio), out, (size_t)cap, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);
	if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)n;
}

static long socket_bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static void socket_method_make(void)
{
	socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "keyferry socket");
	BIO_meth_set_write(socket_method, socket_bio_write);
	BIO_meth_set_read(socket_method, socket_bio_read);
	BIO_meth_set_ctrl(socket_method, socket_bio_control);
}

static BIO *socket_bio_new(int fd)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, socket_method_make);
	bio = BIO_new(socket_method);
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	return bio;
}

/* ---- errors ---- */

static const char *side(const struct tls_session *session)
{
	return session->blame == ERROR_TARGET ? "target" : "source";
}

static void explain_verify(const struct tls_session *session, long result, struct error *error)
{
	error_set(error, session->blame, "certificate verify failed: %s", X509_verify_cert_error_string(result));
	switch (result) {
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		error_hint(error, "give the certificate of the CA that signed it with %s.tls.ca", side(session));
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		error_hint(error, "connect by the name in the server's certificate, or give that name with %s.tls.server_name",
			   side(session));
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		error_hint(error, "renew the server's certificate, or correct the clock of this machine");
		break;
	default: break;
	}
}

/* OpenSSL's own words for a broken conversation mean little to an operator; the frequent ones are put plainly. */
static void explain_protocol(const struct tls_session *session, unsigned long code, struct error *error)
{
	const char *reason = ERR_reason_error_string(code);

	switch (ERR_GET_REASON(code)) {
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
		error_set(error, session->blame, "the server speaks no TLS on this port");
		error_hint(error, "give its TLS port, or turn %s.tls off", side(session));
		return;
	case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
		error_set(error, session->blame, "the server asks for a client certificate");
		error_hint(error, "give one with %s.tls.cert and %s.tls.key", side(session), side(session));
		return;
	case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
		error_set(error, session->blame, "the server refuses the TLS handshake");
		error_hint(error, "it may ask for a client certificate: %s.tls.cert and %s.tls.key", side(session),
			   side(session));
		return;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		error_set(error, session->blame, "the server does not accept the client certificate (%s)", reason ? reason : "");
		error_hint(error, "check %s.tls.cert: the server must trust the CA that signed it", side(session));
		return;
	default: error_set(error, session->blame, "TLS: %s", reason ? reason : "broken by the server");
	}
}

/* After a call into OpenSSL that answered `result`: 0 it waits for *need, -1 it failed and the session is dead. */
static int session_outcome(struct tls_session *session, int result, int saved_errno, enum transport_need *need,
			   struct error *error)
{
	int outcome = SSL_get_error(session->ssl, result);
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(session->ssl);
	char reason[REASON_MAX];

	if (outcome == SSL_ERROR_WANT_READ) {
		*need = NEED_READABLE;
		return 0;
	}
	if (outcome == SSL_ERROR_WANT_WRITE) {
		*need = NEED_WRITABLE;
		return 0;
	}
	session->dead = true;
	if (outcome == SSL_ERROR_SSL && session->verify && verified != X509_V_OK)
		explain_verify(session, verified, error);
	else if (outcome == SSL_ERROR_SSL && code != 0)
		explain_protocol(session, code, error);
	else if (outcome == SSL_ERROR_SYSCALL && saved_errno != 0 && saved_errno != EPIPE)
		error_set(error, session->blame, "%s", transport_reason(saved_errno, reason));
	else
		error_set(error, session->blame, "closed the connection");
	ERR_clear_error();
	return -1;
}

static bool refuse_dead(const struct tls_session *session, struct error *error)
{
	if (!session->dead)
		return false;
	if (session->has_late_error)
		*error = session->late_error;
	else
		error_set(error, session->blame, "closed the connection");
	return true;
}

/* ---- the table ---- */

static int tls_handshake(struct transport *transport, struct error *error)
{
	struct tls_session *session = (struct tls_session *)transport;
	int result;

	ERR_clear_error();
	errno = 0;
	result = SSL_connect(session->ssl);
	if (result == 1) {
		transport->write_need = NEED_WRITABLE;
		return 1;
	}
	result = session_outcome(session, result, errno, &transport->write_need, error);
	if (result < 0 && strcmp(error->text, "closed the connection") == 0) {
		error_set(error, session->blame, "closed the connection during the TLS handshake");
		error_hint(error, "does the server speak TLS on this port?");
	}
	return result;
}

static ssize_t tls_read(struct transport *transport, void *out, size_t cap, struct error *error)
{
	struct tls_session *session = (struct tls_session *)transport;
	size_t total = 0;

	if (refuse_dead(session, error))
		return -1;
	/* A call gives one record at most. */
	while (total < cap) {
		size_t n = 0;
		int result;

		ERR_clear_error();
		errno = 0;
		result = SSL_read_ex(session->ssl, (uint8_t *)out + total, cap - total, &n);
		if (result == 1) {
			total += n;
			transport->read_need = NEED_READABLE;
			continue;
		}
		if (session_outcome(session, result, errno, &transport->read_need, &session->late_error) < 0) {
			session->has_late_error = true;
			if (total == 0) {
				*error = session->late_error;
				return -1;
			}
		}
		break;
	}
	return (ssize_t)total;
}

static int tls_flush(struct transport *transport, struct error *error)
{
	struct tls_session *session = (struct tls_session *)transport;

	if (refuse_dead(session, error))
		return -1;
	while (session->staged_len > 0) {
		size_t n = 0;
		int result;

		ERR_clear_error();
		errno = 0;
		result = SSL_write_ex(session->ssl, session->staged, session->staged_len, &n);
		if (result != 1)
			return session_outcome(session, result, errno, &transport->write_need, error);
		session->staged_len -= n;
		memmove(session->staged, session->staged + n, session->staged_len);
	}
	transport->write_need = NEED_WRITABLE;
	return 1;
}

static ssize_t tls_write(struct transport *transport, const struct iovec *pieces, int count, struct error *error)
{
	struct tls_session *session = (struct tls_session *)transport;
	size_t total = 0;
	size_t offset = 0; /* into the piece at hand */
	int flushed = tls_flush(transport, error);

	while (flushed > 0 && count > 0) {
		while (count > 0 && session->staged_len < RECORD_MAX) {
			size_t len = pieces->iov_len - offset;

			if (len > RECORD_MAX - session->staged_len)
				len = RECORD_MAX - session->staged_len;
			if (len > 0)
				memcpy(session->staged + session->staged_len, (const uint8_t *)pieces->iov_base + offset, len);
			session->staged_len += len;
			total += len;
			offset += len;
			if (offset == pieces->iov_len) {
				pieces++;
				count--;
				offset = 0;
			}
		}
		flushed = tls_flush(transport, error);
	}
	return flushed < 0 ? -1 : (ssize_t)total;
}

static bool tls_has_unsent(const struct transport *transport)
{
	return ((const struct tls_session *)transport)->staged_len > 0;
}

static bool tls_has_unread(const struct transport *transport)
{
	const struct tls_session *session = (const struct tls_session *)transport;

	return session->dead || SSL_has_pending(session->ssl);
}

static void tls_shutdown(struct transport *transport)
{
	struct tls_session *session = (struct tls_session *)transport;

	ERR_clear_error();
	if (!session->dead && SSL_is_init_finished(session->ssl))
		SSL_shutdown(session->ssl);
	SSL_free(session->ssl);
	ERR_clear_error();
	close(transport->fd);
	memory_wipe(session->staged, sizeof(session->staged)); /* what has left is there still: AUTH perhaps */
	free(session);
}

static const struct transport_ops tls_ops = {
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.flush = tls_flush,
	.has_unsent = tls_has_unsent,
	.has_unread = tls_has_unread,
	.shutdown = tls_shutdown,
};

static bool name_is_address(const char *name)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

struct transport *transport_tls(int fd, struct tls_context *context, const char *name, enum error_kind blame)
{
	struct tls_session *session = memory_alloc_zero(1, sizeof(*session));
	BIO *bio = socket_bio_new(fd);

	session->transport = (struct transport){&tls_ops, fd, NEED_READABLE, NEED_WRITABLE};
	session->blame = blame;
	session->verify = context->verify;
	session->ssl = tls_context_session(context);
	if (!session->ssl || !bio)
		abort(); /* out of memory, as in base/memory.h */
	SSL_set_bio(session->ssl, bio, bio);
	if (name && name_is_address(name)) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), name);
	} else if (name) {
		SSL_set_hostflags(session->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		X509_VERIFY_PARAM_set1_host(SSL_get0_param(session->ssl), name, 0);
		SSL_set_tlsext_host_name(session->ssl, name);
	}
	return &session->transport;
}
