#include "link/libraries.h"

#include "base/log.h"
#include "base/memory.h"
#include "peer/client.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRY_MS 500
#define TRIES_MAX 20      /* a master that cannot be reached for so long is left to the operator */
#define EMPTY_DUMP_LEN 10 /* the footer alone (RDB version and CRC-64) */

struct libraries {
	struct libraries_options options;
	struct endpoint *known; /* masters that have them */
	uint32_t known_count;
	struct endpoint *joined; /* those that are to be given them, in turn */
	uint32_t joined_count;
	struct endpoint *present; /* as told last */
	uint32_t present_count;
	struct timer *timer;
	struct client *from, *to; /* of the copy under way */
	uint32_t tries;
	bool finished; /* the clients have served and are freed on the timer's turn */
};

static bool holds(const struct endpoint *list, uint32_t count, const struct endpoint *endpoint)
{
	for (uint32_t i = 0; i < count; i++)
		if (endpoint_equal(&list[i], endpoint))
			return true;
	return false;
}

static void list_add(struct endpoint **list, uint32_t *count, const struct endpoint *endpoint)
{
	*list = memory_realloc_array(*list, *count + 1, sizeof(**list));
	(*list)[(*count)++] = *endpoint;
}

static void note(struct libraries *libraries, enum log_level level, const char *format, const char *why)
{
	char peer[ENDPOINT_TEXT_MAX], text[1024];

	snprintf(text, sizeof(text), "%s %s%s%s", format, endpoint_format(&libraries->joined[0], peer), why[0] ? ": " : "", why);
	libraries->options.note(libraries->options.owner, (int)level, text);
}

static void finish(struct libraries *libraries)
{
	libraries->finished = true;
	/* A client may not be freed within its own callback. */
	timer_start(libraries->timer, 0);
}

/* The first in the line is done with. */
static void done(struct libraries *libraries)
{
	list_add(&libraries->known, &libraries->known_count, &libraries->joined[0]);
	memmove(&libraries->joined[0], &libraries->joined[1], (libraries->joined_count - 1) * sizeof(libraries->joined[0]));
	libraries->joined_count--;
	libraries->tries = 0;
	finish(libraries);
}

static void failed(struct libraries *libraries, const char *why)
{
	if (++libraries->tries < TRIES_MAX && strncmp(why, "NOPERM", 6) != 0) {
		finish(libraries);
		return;
	}
	note(libraries, LOG_WARNING,
	     "the function libraries of the target could not be copied to its new master, copy them there by FUNCTION DUMP and FUNCTION RESTORE:",
	     why);
	done(libraries);
}

static const char *reply_text(const struct client_reply *reply, char out[256])
{
	snprintf(out, 256, "%.*s", (int)(reply->nodes[0].text.len < 255 ? reply->nodes[0].text.len : 255),
		 (const char *)reply->nodes[0].text.data);
	return out;
}

static void on_restored(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct libraries *libraries = owner;
	char text[256];

	if (error) {
		failed(libraries, error->text);
	} else if (reply->nodes[0].type == RESP_ERROR) {
		/* Read-only or loading passes by; what stays is told after the last try. */
		failed(libraries, reply_text(reply, text));
	} else {
		note(libraries, LOG_INFO, "function libraries of the target copied to its new master", "");
		done(libraries);
	}
}

static void on_dumped(void *owner, const struct client_reply *reply, const struct error *error)
{
	struct libraries *libraries = owner;
	struct slice argv[] = {SLICE("FUNCTION"), SLICE("RESTORE"), {0}, SLICE("REPLACE")};
	char text[256];

	if (error) {
		failed(libraries, error->text);
	} else if (reply->nodes[0].type == RESP_ERROR) {
		failed(libraries, reply_text(reply, text));
	} else if (reply->nodes[0].text.len <= EMPTY_DUMP_LEN) {
		done(libraries); /* there are none */
	} else {
		argv[2] = reply->nodes[0].text;
		client_send(libraries->to, 4, argv, on_restored, libraries);
	}
}

/* A master that has them and is one still; NULL: there is none left. */
static const struct endpoint *giver(const struct libraries *libraries)
{
	uint32_t skip = libraries->tries, count = 0;

	for (uint32_t i = 0; i < libraries->known_count; i++)
		count += holds(libraries->present, libraries->present_count, &libraries->known[i]);
	for (uint32_t i = 0; i < libraries->known_count; i++)
		if (holds(libraries->present, libraries->present_count, &libraries->known[i]) && skip-- % count == 0)
			return &libraries->known[i];
	return NULL;
}

static void begin(struct libraries *libraries)
{
	const struct deployment_options *options = deployment_options(libraries->options.target);
	struct client_options client = {
		.credentials = &options->credentials,
		.tls = deployment_tls(libraries->options.target),
		.tls_name = options->tls.server_name,
		.name = libraries->options.name,
		.blame = ERROR_TARGET,
	};
	const struct endpoint *from = giver(libraries);

	if (!from) {
		done(libraries);
		return;
	}
	client.endpoint = *from;
	libraries->from = client_new(libraries->options.loop, &client);
	client.endpoint = libraries->joined[0];
	libraries->to = client_new(libraries->options.loop, &client);
	client_send_strings(libraries->from, on_dumped, libraries, "FUNCTION", "DUMP", NULL);
}

static void free_clients(struct libraries *libraries)
{
	client_free(libraries->from);
	client_free(libraries->to);
	libraries->from = libraries->to = NULL;
}

static void on_timer(void *owner)
{
	struct libraries *libraries = owner;

	if (libraries->finished) {
		libraries->finished = false;
		free_clients(libraries);
		if (libraries->joined_count == 0)
			libraries->options.settled(libraries->options.owner);
		else
			timer_start(libraries->timer, libraries->tries ? RETRY_MS : 0);
	} else if (libraries->joined_count > 0 && !libraries->from) {
		begin(libraries);
	}
}

struct libraries *libraries_new(const struct libraries_options *options)
{
	struct libraries *libraries = memory_alloc_zero(1, sizeof(*libraries));

	libraries->options = *options;
	libraries->timer = timer_new(options->loop, on_timer, libraries);
	return libraries;
}

void libraries_free(struct libraries *libraries)
{
	if (!libraries)
		return;
	free_clients(libraries);
	timer_free(libraries->timer);
	free(libraries->known);
	free(libraries->joined);
	free(libraries->present);
	free(libraries);
}

void libraries_masters(struct libraries *libraries, const struct endpoint *masters, uint32_t count)
{
	bool first = libraries->known_count == 0;

	libraries->present = memory_realloc_array(libraries->present, count ? count : 1, sizeof(masters[0]));
	if (count > 0)
		memcpy(libraries->present, masters, count * sizeof(masters[0]));
	libraries->present_count = count;
	/* One that is master no more may come back without them. */
	for (uint32_t i = libraries->known_count; i-- > 0 && count > 0;)
		if (!holds(masters, count, &libraries->known[i]))
			libraries->known[i] = libraries->known[--libraries->known_count];
	for (uint32_t i = 0; i < count; i++) {
		if (first)
			list_add(&libraries->known, &libraries->known_count, &masters[i]);
		else if (!holds(libraries->known, libraries->known_count, &masters[i]) &&
			 !holds(libraries->joined, libraries->joined_count, &masters[i]))
			list_add(&libraries->joined, &libraries->joined_count, &masters[i]);
	}
	if (libraries->joined_count > 0 && !libraries->from && !libraries->finished && !timer_active(libraries->timer))
		timer_start(libraries->timer, 0);
}

bool libraries_busy(const struct libraries *libraries)
{
	return libraries->joined_count > 0;
}
