#include "json/bytes.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

static void print_digest(FILE *out, struct slice bytes)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256(bytes.data, bytes.len, digest);
	fputs("{\"sha256\":\"", out);
	for (size_t i = 0; i < sizeof(digest); i++)
		fprintf(out, "%02x", digest[i]);
	fprintf(out, "\",\"len\":%zu}", bytes.len);
}

static void print_base64(FILE *out, struct slice bytes)
{
	/* Three bytes are four letters: whole groups can be coded piece by piece. */
	unsigned char letters[4 * 1024 + 1];
	size_t piece;

	fputs("{\"b64\":\"", out);
	for (size_t at = 0; at < bytes.len; at += piece) {
		piece = bytes.len - at < 3 * 1024 ? bytes.len - at : 3 * 1024;
		fwrite(letters, 1, (size_t)EVP_EncodeBlock(letters, bytes.data + at, (int)piece), out);
	}
	fputs("\"}", out);
}

static void print_text(FILE *out, struct slice bytes)
{
	size_t plain = 0; /* the first byte not yet written */

	putc('"', out);
	for (size_t i = 0; i < bytes.len; i++) {
		if (bytes.data[i] != '"' && bytes.data[i] != '\\')
			continue;
		fwrite(bytes.data + plain, 1, i - plain, out);
		putc('\\', out);
		plain = i;
	}
	if (bytes.len > plain)
		fwrite(bytes.data + plain, 1, bytes.len - plain, out);
	putc('"', out);
}

void json_bytes_print(FILE *out, struct slice bytes)
{
	bool printable = true;

	if (bytes.len > JSON_BYTES_MAX) {
		print_digest(out, bytes);
		return;
	}
	for (size_t i = 0; i < bytes.len && printable; i++)
		printable = bytes.data[i] >= 0x20 && bytes.data[i] < 0x7f;
	if (printable)
		print_text(out, bytes);
	else
		print_base64(out, bytes);
}

bool json_bytes_decode(const char *b64, struct buffer *out)
{
	size_t len = strlen(b64), padding = len > 0 && b64[len - 1] == '=' ? 1 + (len > 1 && b64[len - 2] == '=') : 0, room;
	int got;

	if (len > INT_MAX || len % 4 != 0 || !buffer_reserve(out, len / 4 * 3 + 1))
		return false;
	got = EVP_DecodeBlock(buffer_room(out, &room), (const unsigned char *)b64, (int)len);
	if (got < (int)padding)
		return false;
	/* What fills up the last group counts as zeros. */
	buffer_produced(out, (size_t)got - padding);
	return true;
}
