#include "api/certificate.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAX 16
#define FILE_MAX (1 << 20)
/* No handshake lasts that long: the server's time-out is shorter. */
#define RETIRED_US (120 * 1000000ULL)

struct pair {
	struct pair *next; /* replaced before it */
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned count;
	gnutls_privkey_t key;
	uint64_t retired_us;
};

struct certificate {
	char *chain_file, *key_file;
	pthread_mutex_t lock;
	struct pair *current;
};

static void pair_free(struct pair *pair)
{
	while (pair) {
		struct pair *next = pair->next;

		for (unsigned i = 0; i < pair->count; i++)
			gnutls_pcert_deinit(&pair->chain[i]);
		if (pair->key)
			gnutls_privkey_deinit(pair->key);
		free(pair);
		pair = next;
	}
}

static bool read_file(const char *path, gnutls_datum_t *ret, struct error *error)
{
	int code = gnutls_load_file(path, ret);

	if (code == 0 && ret->size <= FILE_MAX)
		return true;
	if (code == 0)
		gnutls_free(ret->data);
	error_set_errno(error, ERROR_USAGE, code == 0 ? EFBIG : errno ? errno : ENOENT, "cannot read %s", path);
	return false;
}

static bool refuse(const char *path, const char *what, int code, struct error *error)
{
	error_set(error, ERROR_USAGE, "%s: %s: %s", path, what, gnutls_strerror(code));
	return false;
}

static bool read_chain(const char *path, struct pair *pair, struct error *error)
{
	gnutls_datum_t text;
	int code;

	if (!read_file(path, &text, error))
		return false;
	pair->count = CHAIN_MAX;
	code = gnutls_pcert_list_import_x509_raw(pair->chain, &pair->count, &text, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(text.data);
	if (code >= 0)
		return true;
	pair->count = 0;
	return refuse(path, "no certificate in PEM form", code, error);
}

static bool read_key(const char *path, struct pair *pair, struct error *error)
{
	gnutls_datum_t text;
	int code;

	if (!read_file(path, &text, error))
		return false;
	code = gnutls_privkey_init(&pair->key);
	if (code == 0)
		code = gnutls_privkey_import_x509_raw(pair->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	gnutls_memset(text.data, 0, text.size);
	gnutls_free(text.data);
	return code == 0 || refuse(path, "no private key in PEM form without a password", code, error);
}

/* What the key signs, the certificate's own key has to verify. */
static bool belong_together(const struct certificate *certificate, const struct pair *pair, struct error *error)
{
	gnutls_datum_t text = {(unsigned char *)"keyferry", 8}, signature;
	gnutls_sign_algorithm_t algorithm;
	bool same = false;

	if (gnutls_privkey_sign_data(pair->key, GNUTLS_DIG_SHA256, 0, &text, &signature) == 0) {
		algorithm = gnutls_pk_to_sign(gnutls_privkey_get_pk_algorithm(pair->key, NULL), GNUTLS_DIG_SHA256);
		same = gnutls_pubkey_verify_data2(pair->chain[0].pubkey, algorithm, 0, &text, &signature) >= 0;
		gnutls_free(signature.data);
	}
	if (!same)
		error_set(error, ERROR_USAGE, "%s is not the key of %s", certificate->key_file, certificate->chain_file);
	return same;
}

bool certificate_load(struct certificate *certificate, struct error *error)
{
	struct pair *pair = memory_alloc_zero(1, sizeof(*pair));
	uint64_t now_us = clock_monotonic_us();

	if (!read_chain(certificate->chain_file, pair, error) || !read_key(certificate->key_file, pair, error) ||
	    !belong_together(certificate, pair, error)) {
		pair_free(pair);
		return false;
	}
	pthread_mutex_lock(&certificate->lock);
	pair->next = certificate->current;
	certificate->current = pair;
	if (pair->next) {
		pair->next->retired_us = now_us;
		for (struct pair **at = &pair->next; *at; at = &(*at)->next) {
			if (now_us - (*at)->retired_us > RETIRED_US) {
				pair_free(*at);
				*at = NULL;
				break;
			}
		}
	}
	pthread_mutex_unlock(&certificate->lock);
	return true;
}

struct certificate *certificate_open(const char *chain_file, const char *key_file, struct error *error)
{
	struct certificate *certificate = memory_alloc_zero(1, sizeof(*certificate));

	pthread_mutex_init(&certificate->lock, NULL);
	certificate->chain_file = memory_strdup(chain_file);
	certificate->key_file = memory_strdup(key_file);
	if (certificate_load(certificate, error))
		return certificate;
	certificate_free(certificate);
	return NULL;
}

void certificate_free(struct certificate *certificate)
{
	if (!certificate)
		return;
	pair_free(certificate->current);
	pthread_mutex_destroy(&certificate->lock);
	free(certificate->chain_file);
	free(certificate->key_file);
	free(certificate);
}

void certificate_current(struct certificate *certificate, gnutls_pcert_st **ret_chain, unsigned *ret_count,
			 gnutls_privkey_t *ret_key)
{
	pthread_mutex_lock(&certificate->lock);
	*ret_chain = certificate->current->chain;
	*ret_count = certificate->current->count;
	*ret_key = certificate->current->key;
	pthread_mutex_unlock(&certificate->lock);
}
