/* TLS streams against a server of OpenSSL's own in a thread, with certificates made here. */
#include "net/stream.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000ull
#define BULK (2u << 20)

/* ---- certificates ---- */

static char folder[] = "/tmp/keyferry-test-XXXXXX";
static EVP_PKEY *server_key;
static EVP_PKEY *other_key;

/* The path of one of the files made; a table, since threads ask too. */
static const char *path_of(const char *name)
{
	static const char *const names[] = {"server.pem", "other.pem", "server.key",  "other.key",
					    "locked.key", "none.pem",  "renewed.pem", "renewed.key"};
	static char paths[sizeof(names) / sizeof(names[0])][64];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	size_t i = 0;

	while (strcmp(names[i], name) != 0)
		i++;
	pthread_mutex_lock(&lock);
	snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, name);
	pthread_mutex_unlock(&lock);
	return paths[i];
}

static void certificate_write(const char *file, EVP_PKEY *key, const char *names)
{
	X509 *certificate = X509_new();
	X509V3_CTX context;
	X509_EXTENSION *extension;
	FILE *out = fopen(path_of(file), "w");

	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const uint8_t *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	X509_sign(certificate, key, EVP_sha256());
	assert_int_equal(PEM_write_X509(out, certificate), 1);
	fclose(out);
	X509_free(certificate);
}

static void key_write(const char *file, EVP_PKEY *key, const char *password)
{
	FILE *out = fopen(path_of(file), "w");

	assert_int_equal(PEM_write_PrivateKey(out, key, password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL, (void *)password), 1);
	fclose(out);
}

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	server_key = EVP_EC_gen("P-256");
	other_key = EVP_EC_gen("P-256");
	certificate_write("server.pem", server_key, "IP:127.0.0.1,DNS:redis.example.com");
	certificate_write("other.pem", other_key, "DNS:elsewhere.example.com");
	key_write("server.key", server_key, NULL);
	key_write("other.key", other_key, NULL);
	key_write("locked.key", server_key, "sesame");
	return 0;
}

static int remove_files(void **state)
{
	static const char *const files[] = {"server.pem", "other.pem",   "server.key", "other.key",
					    "locked.key", "renewed.pem", "renewed.key"};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlink(path_of(files[i]));
	rmdir(folder);
	EVP_PKEY_free(server_key);
	EVP_PKEY_free(other_key);
	return 0;
}

/* ---- the server ---- */

enum manner {
	ECHO,        /* sends back what it reads, changing keys now and then */
	PLAIN_REDIS, /* answers with an error of the Redis protocol, without TLS */
	SILENT,      /* takes the connection and says nothing */
	CLOSING,     /* closes it at once */
	GOODBYE,     /* sends five bytes and TLS' goodbye, and keeps the connection */
};

struct server {
	enum manner manner;
	bool ask_certificate;
	int max_version;
	int listener;
	uint16_t port;
	int stop[2]; /* closed by the test: a silent server ends */
	pthread_t thread;
};

static void server_echo(SSL *ssl)
{
	uint8_t bytes[3000];
	int n, rounds = 0;

	while ((n = SSL_read(ssl, bytes, sizeof(bytes))) > 0) {
		if (++rounds % 50 == 0 && SSL_version(ssl) == TLS1_3_VERSION)
			SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		if (SSL_write(ssl, bytes, n) <= 0)
			break;
	}
}

static void wait_for_stop(struct server *server)
{
	char byte;

	while (read(server->stop[0], &byte, 1) > 0)
		;
}

static void *server_run(void *arg)
{
	struct server *server = arg;
	int fd = accept(server->listener, NULL, NULL);
	SSL_CTX *context;
	SSL *ssl;
	sigset_t pipe_signal;

	/* This server's own writes may meet a closed connection. In the stream's thread the signal stays deadly. */
	sigemptyset(&pipe_signal);
	sigaddset(&pipe_signal, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_signal, NULL);
	if (server->manner == PLAIN_REDIS)
		(void)!write(fd, "-ERR Protocol error\r\n", 21);
	if (server->manner == SILENT || server->manner == PLAIN_REDIS)
		wait_for_stop(server);
	if (server->manner != ECHO && server->manner != GOODBYE) {
		close(fd);
		return NULL;
	}
	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate_file(context, path_of("server.pem"), SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey(context, server_key);
	if (server->max_version)
		SSL_CTX_set_max_proto_version(context, server->max_version);
	if (server->ask_certificate) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_load_verify_locations(context, path_of("other.pem"), NULL);
	}
	ssl = SSL_new(context);
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && server->manner == ECHO) {
		server_echo(ssl);
	} else if (server->manner == GOODBYE) {
		SSL_write(ssl, "hello", 5);
		SSL_shutdown(ssl);
		wait_for_stop(server);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return NULL;
}

static void server_start(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server->listener, 4), 0);
	assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pipe(server->stop), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static void server_end(struct server *server)
{
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->listener);
}

/* ---- the client ---- */

struct scene {
	struct server server;
	struct tls_options tls;
	struct tls_context *context; /* NULL: one of its own, made of `tls` */
	const char *tls_name;
	uint32_t timeout_ms;
	size_t chunk; /* read at a time; 0: 64 KiB */

	struct loop *loop;
	struct stream *stream;
	struct error error;
	bool connected, failed, closed, done;
	uint8_t *data;
	size_t send_len, sent, received;
	bool mismatch;
};

static void on_connected(void *owner)
{
	struct scene *scene = owner;

	scene->connected = true;
	if (scene->send_len > 0)
		stream_want_write(scene->stream, true);
	else if (scene->server.manner == ECHO && !scene->server.ask_certificate)
		scene->done = true;
}

static void on_readable(void *owner)
{
	struct scene *scene = owner;
	uint8_t bytes[65536];
	ssize_t n = stream_read(scene->stream, bytes, scene->chunk ? scene->chunk : sizeof(bytes), &scene->error);

	if (n < 0) {
		scene->closed = scene->done = true;
		return;
	}
	if (scene->data && memcmp(bytes, scene->data + scene->received, (size_t)n) != 0)
		scene->mismatch = true;
	scene->received += (size_t)n;
	if (scene->send_len > 0 && scene->received == scene->send_len)
		scene->done = true;
}

static void on_writable(void *owner)
{
	struct scene *scene = owner;
	size_t left = scene->send_len - scene->sent;
	uint8_t *at = scene->data + scene->sent;
	size_t head = left > 7 ? 7 : left;
	struct iovec pieces[3] = {{at, head}, {NULL, 0}, {at + head, left - head}};
	ssize_t n = stream_write(scene->stream, pieces, 3, &scene->error);

	if (n < 0) {
		scene->closed = scene->done = true;
		return;
	}
	scene->sent += (size_t)n;
	if (scene->sent == scene->send_len)
		stream_want_write(scene->stream, false);
}

static void on_failed(void *owner, const struct error *error)
{
	struct scene *scene = owner;

	scene->failed = scene->done = true;
	scene->error = *error;
}

static void scene_play(struct scene *scene)
{
	static const struct stream_events events = {on_connected, on_readable, on_writable, on_failed};
	struct stream_options options = {
		.tls_name = scene->tls_name, .connect_timeout_ms = scene->timeout_ms, .blame = ERROR_SOURCE};

	scene->tls.enabled = true;
	options.tls = scene->context ? scene->context : tls_context_new(&scene->tls, &scene->error);
	assert_non_null(options.tls);
	server_start(&scene->server);
	scene->loop = loop_new();
	options.endpoint = (struct endpoint){"127.0.0.1", scene->server.port};
	scene->stream = stream_connect(scene->loop, &options, &events, scene);
	if (!loop_run_until(scene->loop, &scene->done, clock_monotonic_us() + 120 * SECOND))
		fail_msg("nothing came of it: %zu of %zu bytes sent, %zu received", scene->sent, scene->send_len,
			 scene->received);
	stream_free(scene->stream);
	loop_free(scene->loop);
	if (!scene->context)
		tls_context_free(options.tls);
	server_end(&scene->server);
}

static void check_error(const struct scene *scene, const char *text, const char *hint)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "127.0.0.1:%u: %s", scene->server.port, text);
	assert_string_equal(scene->error.text, expected);
	if (!strstr(scene->error.hint, hint))
		fail_msg("hint '%s' lacks '%s'", scene->error.hint, hint);
	assert_int_equal(scene->error.kind, ERROR_SOURCE);
}

static void play_bulk(int max_version, size_t chunk)
{
	struct scene scene = {.tls = {.ca = path_of("server.pem")},
			      .server = {.max_version = max_version},
			      .chunk = chunk,
			      .send_len = chunk == 1 ? 100000 : BULK};

	scene.data = memory_alloc(scene.send_len);
	for (size_t i = 0; i < scene.send_len; i++)
		scene.data[i] = (uint8_t)(i * 2654435761u >> 13);
	scene_play(&scene);
	assert_true(scene.connected);
	assert_false(scene.closed);
	assert_false(scene.mismatch);
	assert_int_equal(scene.received, scene.send_len);
	free(scene.data);
}

static void test_bulk(void **state)
{
	(void)state;
	play_bulk(0, 0);
	play_bulk(TLS1_2_VERSION, 0);
}

/* Most reads are answered from what OpenSSL holds, without the socket becoming readable. */
static void test_bulk_read_in_small_pieces(void **state)
{
	(void)state;
	play_bulk(0, 1);
	play_bulk(0, 1000);
}

static void test_names(void **state)
{
	struct scene by_name = {.tls = {.ca = path_of("server.pem"), .server_name = "redis.example.com"}};
	struct scene by_stream = {.tls = {.ca = path_of("server.pem"), .server_name = "wrong.example.com"},
				  .tls_name = "redis.example.com"};
	struct scene wrong = {.tls = {.ca = path_of("server.pem"), .server_name = "wrong.example.com"}};
	struct scene wrong_address = {.tls = {.ca = path_of("server.pem")}, .tls_name = "127.0.0.9"};

	(void)state;
	scene_play(&by_name);
	assert_true(by_name.connected);
	scene_play(&by_stream);
	assert_true(by_stream.connected);
	scene_play(&wrong);
	check_error(&wrong, "certificate verify failed: hostname mismatch", "source.tls.server_name");
	scene_play(&wrong_address);
	check_error(&wrong_address, "certificate verify failed: IP address mismatch", "source.tls.server_name");
}

static void test_unknown_ca(void **state)
{
	struct scene other = {.tls = {.ca = path_of("other.pem")}};
	struct scene insecure = {.tls = {.insecure = true, .server_name = "wrong.example.com"}};

	(void)state;
	scene_play(&other);
	assert_true(other.failed);
	assert_non_null(strstr(other.error.text, "certificate verify failed: self"));
	assert_non_null(strstr(other.error.hint, "source.tls.ca"));
	scene_play(&insecure);
	assert_true(insecure.connected);
}

static void test_client_certificate(void **state)
{
	struct scene without = {.tls = {.ca = path_of("server.pem")}, .server = {.ask_certificate = true}};
	struct scene wrong = {
		.tls = {.ca = path_of("server.pem"), .certificate = path_of("server.pem"), .key = path_of("server.key")},
		.server = {.ask_certificate = true}};
	struct scene right = {
		.tls = {.ca = path_of("server.pem"), .certificate = path_of("other.pem"), .key = path_of("other.key")},
		.server = {.ask_certificate = true},
		.send_len = 5,
		.data = (uint8_t *)(char[]){"hello"}};

	(void)state;
	/* With TLS 1.3 the refusal comes after the handshake. */
	scene_play(&without);
	check_error(&without, "the server asks for a client certificate", "source.tls.cert");
	without = (struct scene){.tls = {.ca = path_of("server.pem")},
				 .server = {.ask_certificate = true, .max_version = TLS1_2_VERSION}};
	scene_play(&without);
	check_error(&without, "the server refuses the TLS handshake", "source.tls.cert");
	scene_play(&wrong);
	assert_non_null(strstr(wrong.error.text, "the server does not accept the client certificate"));
	scene_play(&right);
	assert_int_equal(right.received, 5);
}

static void play_with(struct tls_context *context, bool accepted)
{
	struct scene scene = {
		.context = context, .server = {.ask_certificate = true}, .send_len = 5, .data = (uint8_t *)(char[]){"hello"}};

	scene_play(&scene);
	assert_int_equal(scene.received, accepted ? 5 : 0);
}

/* Renewed while the context is in use: each connection goes by what lies there then, and by what was there before while that is not whole. */
static void test_renewed_files(void **state)
{
	struct tls_options options = {
		.ca = path_of("server.pem"), .certificate = path_of("renewed.pem"), .key = path_of("renewed.key")};
	struct error error;
	struct tls_context *context;

	(void)state;
	certificate_write("renewed.pem", server_key, "DNS:elsewhere.example.com");
	key_write("renewed.key", server_key, NULL);
	context = tls_context_new(&options, &error);
	assert_non_null(context);
	play_with(context, false);
	/* The server trusts this one. */
	assert_int_equal(unlink(path_of("renewed.pem")), 0);
	assert_int_equal(link(path_of("other.pem"), path_of("renewed.pem")), 0);
	play_with(context, false);
	key_write("renewed.key", other_key, NULL);
	play_with(context, true);
	assert_int_equal(unlink(path_of("renewed.key")), 0);
	play_with(context, true);
	tls_context_free(context);
}

static void test_not_tls(void **state)
{
	struct scene plain = {.tls = {.insecure = true}, .server = {.manner = PLAIN_REDIS}};
	struct scene silent = {.tls = {.insecure = true}, .server = {.manner = SILENT}, .timeout_ms = 100};
	struct scene closing = {.tls = {.insecure = true}, .server = {.manner = CLOSING}};

	(void)state;
	scene_play(&plain);
	check_error(&plain, "the server speaks no TLS on this port", "source.tls off");
	scene_play(&silent);
	check_error(&silent, "timed out after 0.1 s while waiting for the TLS handshake", "speak TLS");
	scene_play(&closing);
	assert_true(closing.failed);
	/* Whether the hello reached it before it closed decides which. */
	assert_true(strstr(closing.error.text, "closed the connection during the TLS handshake") ||
		    strstr(closing.error.text, "connection reset by peer"));
}

/* The end comes together with the last bytes, and the socket never becomes readable again. */
static void test_goodbye_after_data(void **state)
{
	struct scene scene = {.tls = {.insecure = true}, .server = {.manner = GOODBYE}, .data = (uint8_t *)(char[]){"hello"}};

	(void)state;
	scene_play(&scene);
	assert_true(scene.closed);
	assert_int_equal(scene.received, 5);
	assert_false(scene.mismatch);
	check_error(&scene, "closed the connection", "");
}

static void context_refused(struct tls_options options, const char *text)
{
	struct error error = {0};

	assert_null(tls_context_new(&options, &error));
	assert_int_equal(error.kind, ERROR_USAGE);
	if (!strstr(error.text, text))
		fail_msg("'%s' lacks '%s'", error.text, text);
}

static void test_contexts(void **state)
{
	(void)state;
	context_refused((struct tls_options){.ca = path_of("none.pem")}, "tls.ca: cannot read");
	context_refused((struct tls_options){.ca = path_of("server.key")}, "tls.ca: ");
	context_refused((struct tls_options){.certificate = path_of("server.pem")}, "tls.cert: set without a key");
	context_refused((struct tls_options){.key = path_of("server.key")}, "tls.key: set without a cert");
	context_refused((struct tls_options){.certificate = path_of("server.key"), .key = path_of("server.key")}, "tls.cert: ");
	context_refused((struct tls_options){.certificate = path_of("server.pem"), .key = path_of("other.key")},
			"does not belong to the certificate");
	/* Nobody is asked for its password on the terminal. */
	context_refused((struct tls_options){.certificate = path_of("server.pem"), .key = path_of("locked.key")}, "tls.key: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_bulk_read_in_small_pieces),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_unknown_ca),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_renewed_files),
		cmocka_unit_test(test_not_tls),
		cmocka_unit_test(test_goodbye_after_data),
		cmocka_unit_test(test_contexts),
	};

	signal(SIGPIPE, SIG_DFL);
	return cmocka_run_group_tests(tests, make_files, remove_files);
}
