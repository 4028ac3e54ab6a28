#include "client/api_client.h"

#include "base/clock.h"
#include "base/memory.h"
#include "client/refusal.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define CONNECT_MS 10000
#define SILENCE_S 45 /* a stream has a comment each 15 s */
#define TURN_MS 250
#define PAUSE_MS 500
#define PAUSE_MAX_MS 15000
#define REFUSAL_MAX (64u << 10) /* bytes that are kept of what refuses a stream */

struct api_client {
	char *server, *agent, *ca_file, *authorization; /* "Authorization: Bearer ..."; NULL: none */
	int stop_fd;
	uint32_t connect_ms;
	CURL *handle;
	CURLM *multi;
	char problem[CURL_ERROR_SIZE]; /* libcurl's words */
	char refusal[REFUSAL_NAME_MAX];
};

/* One request on its way. */
struct transfer {
	struct api_client *client;
	struct api_answer answer;
	bool too_large, stopped;
	/* of a stream; NULL: it is none */
	struct event_stream *stream;
	const struct api_stream_events *events;
	void *owner;
	bool left; /* `take` or `turn` wants no more */
	struct error error;
};

/* ---- addresses ---- */

static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
	char *text = NULL, *copy;

	if (curl_url_get(url, part, &text, flags) != CURLUE_OK || !text)
		return NULL;
	copy = memory_strdup(text);
	curl_free(text);
	return copy;
}

static bool is_http(const char *scheme)
{
	return scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
}

char *api_client_server(const char *text, struct error *error)
{
	CURLU *url = curl_url();
	bool with_scheme = strstr(text, "://") != NULL;
	char *given = with_scheme ? memory_strdup(text) : memory_printf("http://%s", text), *server = NULL;
	bool parsed = curl_url_set(url, CURLUPART_URL, given, 0) == CURLUE_OK;
	char *scheme = part_of(url, CURLUPART_SCHEME, 0), *host = part_of(url, CURLUPART_HOST, 0),
	     *path = part_of(url, CURLUPART_PATH, 0);
	char *port = part_of(url, CURLUPART_PORT, with_scheme ? CURLU_DEFAULT_PORT : 0);
	char *user = part_of(url, CURLUPART_USER, 0), *password = part_of(url, CURLUPART_PASSWORD, 0);
	char *query = part_of(url, CURLUPART_QUERY, 0), *fragment = part_of(url, CURLUPART_FRAGMENT, 0);

	/* Not shown: with a user or a query it may hold a secret. */
	if (!parsed || !is_http(scheme) || !host) {
		error_set(error, ERROR_USAGE, "the address of the daemon is no http:// or https:// address");
	} else if (user || password || query || fragment) {
		error_set(error, ERROR_USAGE, "the address of the daemon holds more than scheme, host, port and path");
	} else {
		for (size_t len = path ? strlen(path) : 0; len > 0 && path[len - 1] == '/'; len--)
			path[len - 1] = '\0';
		server = memory_printf("%s://%s:%s%s", scheme, host, port ? port : "7280", path ? path : "");
	}
	if (!server)
		error_hint(error, "for example --server https://keyferry.example.org:7280");
	free(scheme), free(host), free(port), free(path), free(user), free(password), free(query), free(fragment), free(given);
	curl_url_cleanup(url);
	return server;
}

bool api_client_is_private(const char *server)
{
	CURLU *url = curl_url();
	bool parsed = curl_url_set(url, CURLUPART_URL, server, 0) == CURLUE_OK, is_private = strncmp(server, "https://", 8) == 0;
	char *host = parsed ? part_of(url, CURLUPART_HOST, 0) : NULL;
	struct in_addr address;

	/* A number, and no name that begins like one. */
	if (host && inet_pton(AF_INET, host, &address) == 1)
		is_private = is_private || ntohl(address.s_addr) >> 24 == 127;
	else if (host)
		is_private = is_private || strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
	free(host);
	curl_url_cleanup(url);
	return is_private;
}

/* ---- a client ---- */

/* The error buffer is that of `client`, which does not move while the handle lives. */
static bool set_up(struct api_client *client)
{
	CURL *handle = client->handle = curl_easy_init();
	bool ok;

	client->multi = curl_multi_init();
	ok = handle && client->multi;

	ok = ok && curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, client->problem) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_USERAGENT, client->agent) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_PROXY, "") == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	     curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
	return ok && (!client->ca_file || curl_easy_setopt(handle, CURLOPT_CAINFO, client->ca_file) == CURLE_OK);
}

/* A header is one line of visible characters. */
static bool is_token(const char *token)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++)
		if (token[i] <= ' ' || token[i] > '~')
			return false;
	return len > 0 && len <= API_CLIENT_TOKEN_MAX;
}

struct api_client *api_client_new(const struct api_client_options *options, struct error *error)
{
	struct api_client *client;

	if (options->token && !is_token(options->token)) {
		error_set(error, ERROR_USAGE, "the token is none: tokens are letters, digits and '_' in one line");
		return NULL;
	}
	curl_global_init(CURL_GLOBAL_DEFAULT);
	client = memory_alloc_zero(1, sizeof(*client));
	client->server = memory_strdup(options->server);
	client->ca_file = options->ca_file ? memory_strdup(options->ca_file) : NULL;
	client->authorization = options->token ? memory_printf("Authorization: Bearer %s", options->token) : NULL;
	client->stop_fd = options->stop_fd;
	client->connect_ms = options->connect_ms ? options->connect_ms : CONNECT_MS;
	client->agent = memory_strdup(options->agent);
	if (set_up(client))
		return client;
	error_set(error, ERROR_INTERNAL, "libcurl cannot be set up for HTTP");
	api_client_free(client);
	return NULL;
}

void api_client_free(struct api_client *client)
{
	if (!client)
		return;
	curl_easy_cleanup(client->handle);
	curl_multi_cleanup(client->multi);
	if (client->authorization)
		memory_wipe(client->authorization, strlen(client->authorization));
	free(client->authorization);
	free(client->server);
	free(client->agent);
	free(client->ca_file);
	free(client);
}

const char *api_client_name(const struct api_client *client)
{
	return client->server;
}

const char *api_client_refusal(const struct api_client *client)
{
	return client->refusal;
}

/* ---- what comes ---- */

static void take_header(const char *line, size_t len, const char *name, char *out, size_t cap, bool with_parameters)
{
	size_t name_len = strlen(name), used;

	if (len <= name_len || strncasecmp(line, name, name_len) != 0)
		return;
	line += name_len, len -= name_len;
	while (len > 0 && (*line == ' ' || *line == '\t'))
		line++, len--;
	for (used = 0; used < len && line[used] != '\r' && line[used] != '\n' && (with_parameters || line[used] != ';');)
		used++;
	snprintf(out, cap, "%.*s", (int)used, line);
}

static size_t on_header(char *line, size_t size, size_t count, void *owner)
{
	struct transfer *transfer = owner;

	take_header(line, size * count, "content-type:", transfer->answer.type, sizeof(transfer->answer.type), false);
	take_header(line, size * count, "etag:", transfer->answer.etag, sizeof(transfer->answer.etag), true);
	return size * count;
}

static unsigned status_of(const struct transfer *transfer)
{
	long status = 0;

	curl_easy_getinfo(transfer->client->handle, CURLINFO_RESPONSE_CODE, &status);
	return (unsigned)status;
}

/* Fewer bytes than there are: the transfer ends. */
static size_t on_body(char *data, size_t size, size_t count, void *owner)
{
	struct transfer *transfer = owner;
	struct slice bytes = slice_make(data, size * count);

	if (transfer->stream && status_of(transfer) == 200) {
		transfer->left =
			!event_stream_feed(transfer->stream, bytes, transfer->events->take, transfer->owner, &transfer->error);
		return transfer->left ? 0 : bytes.len;
	}
	transfer->too_large = !buffer_append_slice(&transfer->answer.body, bytes);
	return transfer->too_large ? 0 : bytes.len;
}

/* ---- one request ---- */

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
	char *line = value ? memory_printf("%s%s", name, value) : NULL;
	struct curl_slist *longer = line ? curl_slist_append(*list, line) : *list;

	free(line);
	if (longer)
		*list = longer;
	return !value || longer;
}

static bool prepare(struct transfer *transfer, const struct api_request *request, const char *url, const char *last_id,
		    struct curl_slist **headers)
{
	struct api_client *client = transfer->client;
	CURL *handle = client->handle;
	const char *method = request->method ? request->method : request->body ? "POST" : "GET";
	bool ok = add_header(headers, "Accept: ", request->accept ? request->accept : "application/json");

	ok = ok && add_header(headers, "", client->authorization) && add_header(headers, "If-Match: ", request->if_match);
	ok = ok && add_header(headers, "Accept-Language: ", request->language) && add_header(headers, "Last-Event-ID: ", last_id);
	/* Nobody waits for "100 Continue". */
	ok = ok && add_header(headers, "Expect:", "");
	ok = ok && curl_easy_setopt(handle, CURLOPT_URL, url) == CURLE_OK &&
	     curl_easy_setopt(handle, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	if (request->body) {
		ok = ok && add_header(headers, "Content-Type: ", request->type ? request->type : "application/json");
		ok = ok && curl_easy_setopt(handle, CURLOPT_POST, 1L) == CURLE_OK &&
		     curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body->len) == CURLE_OK;
		ok = ok && curl_easy_setopt(handle, CURLOPT_POSTFIELDS, (const char *)request->body->data) == CURLE_OK;
	}
	ok = ok && curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK &&
	     curl_easy_setopt(handle, CURLOPT_HTTPHEADER, *headers) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	     curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	     curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_ms) == CURLE_OK;
	ok = ok &&
	     curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
			      transfer->stream ? 0L : (long)(request->timeout_ms ? request->timeout_ms : API_CLIENT_CALL_MS)) ==
		     CURLE_OK;
	ok = ok && curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, transfer->stream ? 1L : 0L) == CURLE_OK;
	return ok && curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, transfer->stream ? (long)SILENCE_S : 0L) == CURLE_OK;
}

static bool is_stopped(int fd, int wait_ms)
{
	struct pollfd stop = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&stop, 1, wait_ms) > 0;
}

/* Moves bytes until the transfer is over. */
static CURLcode drive(struct transfer *transfer)
{
	struct api_client *client = transfer->client;
	struct curl_waitfd stop = {.fd = client->stop_fd, .events = CURL_WAIT_POLLIN};
	int running = 1, left;
	CURLMsg *message;

	while (curl_multi_perform(client->multi, &running) == CURLM_OK && running > 0) {
		if (transfer->stream && transfer->events->turn && !transfer->events->turn(transfer->owner)) {
			transfer->left = true;
			return CURLE_ABORTED_BY_CALLBACK;
		}
		if (is_stopped(client->stop_fd, 0)) {
			transfer->stopped = true;
			return CURLE_ABORTED_BY_CALLBACK;
		}
		if (curl_multi_poll(client->multi, &stop, client->stop_fd >= 0 ? 1 : 0, TURN_MS, NULL) != CURLM_OK)
			break;
	}
	while ((message = curl_multi_info_read(client->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			return message->data.result;
	return CURLE_FAILED_INIT;
}

/* What libcurl says in its own words, and what to do about it. */
static void tell_failure(const struct transfer *transfer, CURLcode code, struct error *error)
{
	const struct api_client *client = transfer->client;
	const char *why = client->problem[0] ? client->problem : curl_easy_strerror(code);

	error_set(error, ERROR_INTERNAL, "the daemon at %s cannot be reached: %s", client->server, why);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		error_hint(
			error,
			"Start it ('systemctl start keyferry', or 'keyferry serve'), or say where it listens: --server URL, KEYFERRY_SERVER");
		break;
	case CURLE_COULDNT_RESOLVE_HOST: error_hint(error, "Say where it listens: --server URL, KEYFERRY_SERVER"); break;
	case CURLE_OPERATION_TIMEDOUT:
		error_set(error, ERROR_INTERNAL, "the daemon at %s does not answer in time: %s", client->server, why);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		error_set(error, ERROR_INTERNAL, "the certificate of %s is not accepted: %s", client->server, why);
		error_hint(
			error,
			"Name the authority that has signed it, --ca-file FILE (PEM), and the server by a name that its certificate has");
		break;
	case CURLE_SSL_CONNECT_ERROR:
		error_set(error, ERROR_INTERNAL, "no TLS with %s: %s", client->server, why);
		error_hint(error, "Does the daemon have tls.certificate? Without it, its address begins with http://");
		break;
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL: /* no status line */
		error_set(error, ERROR_INTERNAL, "%s has hung up, or speaks no HTTP: %s", client->server, why);
		error_hint(error, "Is it the daemon's address? With tls.certificate it begins with https://");
		break;
	default: break;
	}
}

/* False: *error says why; kind NONE: stopped, or nobody wants more. */
static bool finish(struct transfer *transfer, CURLcode code, const char *path, struct error *error)
{
	const struct api_client *client = transfer->client;
	unsigned status = status_of(transfer);

	error_clear(error);
	transfer->answer.status = status;
	if (transfer->stopped)
		return false;
	if (transfer->left) {
		*error = transfer->error;
		return false;
	}
	if (transfer->too_large) {
		error_set(error, ERROR_INTERNAL, "the answer of %s to %s is larger than %zu MiB", client->server, path,
			  transfer->answer.body.max >> 20);
		error_hint(error, "Ask for less of it: --limit");
		return false;
	}
	if (code != CURLE_OK) {
		tell_failure(transfer, code, error);
		return false;
	}
	if (status >= 200 && status < 300)
		return true;
	refusal_read(status, buffer_readable(&transfer->answer.body), client->server, path, client->authorization != NULL,
		     transfer->client->refusal, error);
	return false;
}

static bool run(struct transfer *transfer, const struct api_request *request, const char *last_id, struct error *error)
{
	struct api_client *client = transfer->client;
	struct curl_slist *headers = NULL;
	char *url = memory_printf("%s%s", client->server, request->path);
	CURLcode code = CURLE_FAILED_INIT;
	bool ok;

	client->problem[0] = client->refusal[0] = '\0';
	buffer_init(&transfer->answer.body, transfer->stream ? REFUSAL_MAX : API_CLIENT_ANSWER_MAX);
	if (prepare(transfer, request, url, last_id, &headers) &&
	    curl_multi_add_handle(client->multi, client->handle) == CURLM_OK) {
		code = drive(transfer);
		curl_multi_remove_handle(client->multi, client->handle);
	}
	ok = finish(transfer, code, request->path, error);
	for (struct curl_slist *header = headers; header; header = header->next)
		memory_wipe(header->data, strlen(header->data));
	curl_slist_free_all(headers);
	free(url);
	return ok;
}

bool api_client_call(struct api_client *client, const struct api_request *request, struct api_answer *ret, struct error *error)
{
	struct transfer transfer = {.client = client};

	if (!run(&transfer, request, NULL, error)) {
		api_answer_free(&transfer.answer);
		return false;
	}
	*ret = transfer.answer;
	return true;
}

void api_answer_free(struct api_answer *answer)
{
	buffer_free(&answer->body);
}

/* ---- streams ---- */

bool api_client_pause(struct api_client *client, uint32_t ms)
{
	struct pollfd stop = {.fd = client->stop_fd, .events = POLLIN};

	/* A signal that is handled elsewhere only makes it shorter. */
	return poll(&stop, client->stop_fd >= 0 ? 1 : 0, (int)ms) <= 0;
}

/* In turns, so that who watches sees that it goes on. */
static bool pause_in_turns(struct api_client *client, const struct api_stream_events *events, void *owner, uint32_t ms,
			   bool *ret_left)
{
	uint64_t until = clock_monotonic_us() + ms * 1000ULL;

	while (clock_monotonic_us() < until) {
		if (!api_client_pause(client, TURN_MS))
			return false;
		if (events->turn && !events->turn(owner)) {
			*ret_left = true;
			return false;
		}
	}
	return true;
}

bool api_client_stream(struct api_client *client, const char *path, const char *last_id, const struct api_stream_events *events,
		       void *owner, struct error *error)
{
	const struct api_request request = {.path = path, .accept = "text/event-stream"};
	/* A connection of its own, so that calls may be made meanwhile. */
	struct api_client line = *client;
	struct event_stream stream;
	uint32_t pause_ms = PAUSE_MS;
	bool begun = false, ok = false;

	if (!set_up(&line)) {
		error_set(error, ERROR_INTERNAL, "libcurl cannot be set up for HTTP");
		curl_easy_cleanup(line.handle);
		curl_multi_cleanup(line.multi);
		return false;
	}
	event_stream_init(&stream);
	snprintf(stream.id, sizeof(stream.id), "%s", last_id ? last_id : "");
	memcpy(stream.next_id, stream.id, sizeof(stream.id));
	while (true) {
		struct transfer transfer = {.client = &line, .stream = &stream, .events = events, .owner = owner};
		bool got = run(&transfer, &request, stream.id[0] ? stream.id : NULL, error), left = false;
		unsigned status = transfer.answer.status;

		api_answer_free(&transfer.answer);
		ok = transfer.left && error->kind == ERROR_NONE;
		begun = begun || status == 200;
		/* A daemon that is being started anew refuses connections, or says 503; a token that has ended is an end. */
		if (transfer.left || transfer.stopped || transfer.too_large || !begun || (!got && status >= 400 && status < 500))
			break;
		if (status == 200)
			pause_ms = PAUSE_MS;
		if (got)
			error_set(error, ERROR_INTERNAL, "%s has ended the stream", client->server);
		if (events->lost && !events->lost(owner, error)) {
			ok = true;
			break;
		}
		event_stream_restart(&stream);
		if (!pause_in_turns(client, events, owner, pause_ms, &left)) {
			ok = left;
			error_clear(error);
			break;
		}
		pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
	}
	event_stream_free(&stream);
	curl_easy_cleanup(line.handle);
	curl_multi_cleanup(line.multi);
	return ok;
}
