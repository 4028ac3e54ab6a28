#include "api/console.h"

#include "base/memory.h"

#include <string.h>
#include <strings.h>

/* Styles are set by scripts through the object model only, which style-src does not mean. */
#define POLICY                                                                                                                   \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "                    \
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

static const struct web_file *find(const char *target)
{
	size_t len = strcspn(target, "?");

	for (size_t i = 0; i < web_file_count; i++)
		if (strlen(web_files[i].path) == len && memcmp(web_files[i].path, target, len) == 0)
			return &web_files[i];
	return NULL;
}

/* Browsers say "gzip, deflate, br"; who refuses it by ";q=0" says so right behind it (RFC 9110 12.5.3). */
static bool takes_gzip(const char *header)
{
	for (const char *at = header; at && *at; at += strcspn(at, ","), at += *at == ',') {
		size_t len;

		at += strspn(at, " \t");
		len = strcspn(at, " \t;,");
		if (len == 4 && strncasecmp(at, "gzip", 4) == 0) {
			const char *weight = at + len + strspn(at + len, " \t;");

			return strncmp(weight, "q=0", 3) != 0 || weight[3] == '.';
		}
	}
	return false;
}

static bool has_it(const char *if_none_match, const struct web_file *file)
{
	return if_none_match && strstr(if_none_match, file->tag) != NULL;
}

bool console_answer(const struct call *call, struct answer *answer)
{
	const struct web_file *file =
		strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0 ? find(call->target) : NULL;
	bool packed;

	if (!file)
		return false;
	packed = takes_gzip(call->headers.accept_encoding);
	/* One of another representation is another entity: the tag tells the form. */
	answer_header(answer, "ETag", "\"%s%s\"", file->tag, packed ? "-gzip" : "");
	answer_header(answer, "Vary", "Accept-Encoding");
	answer_header(answer, "Cache-Control", strcmp(file->path, "/") == 0 ? "no-cache" : "public, max-age=31536000, immutable");
	answer_header(answer, "Content-Security-Policy", "%s", POLICY);
	if (has_it(call->headers.if_none_match, file)) {
		answer->status = 304;
		return true;
	}
	if (packed)
		answer_header(answer, "Content-Encoding", "gzip");
	answer->status = 200;
	answer->type = file->type;
	answer->len = packed ? file->packed_len : file->plain_len;
	answer->body = memory_alloc(answer->len);
	memcpy(answer->body, packed ? file->packed : file->plain, answer->len);
	return true;
}
