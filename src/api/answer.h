/* An answer to a call.
 * Thread: one at a time. */
#ifndef KEYFERRY_API_ANSWER_H
#define KEYFERRY_API_ANSWER_H

#include "api/call.h"
#include "api/problem.h"

#define ANSWER_HEADERS_MAX 6
#define ANSWER_JSON "application/json"
#define ANSWER_YAML "application/yaml"
#define ANSWER_EVENTS "text/event-stream"
#define ANSWER_TEXT "text/plain; charset=utf-8"

struct mailbox;

struct answer {
	unsigned status;
	const char *type; /* static; NULL: no body */
	char *body;
	size_t len;
	struct {
		const char *name; /* static */
		char *value;
	} headers[ANSWER_HEADERS_MAX];
	size_t header_count;
	struct mailbox *mailbox; /* in place of a body: server-sent events; whoever takes it sets it to NULL */
};

/* What it owns. The stream must have been taken. */
void answer_free(struct answer *answer);

void answer_header(struct answer *answer, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
/* Takes the value over. */
void answer_json(struct answer *answer, unsigned status, json_t *value);
/* Takes the text over, which ends with NUL. */
void answer_text(struct answer *answer, unsigned status, const char *type, char *text);
/* 204 */
void answer_nothing(struct answer *answer);
/* A problem takes the place of whatever the answer was, but for its headers. hint NULL: none. */
void answer_problem(struct answer *answer, const struct call *call, enum problem problem, const char *hint, const char *format,
		    ...) PRINTF_LIKE(5, 6);
/* With what is wrong at one place. */
void answer_fault(struct answer *answer, const struct call *call, enum problem problem, const char *pointer, const char *detail);
/* What a call of the service has said; SERVICE_OK is none. A document's error names line and option in `errors` too. */
void answer_refusal(struct answer *answer, const struct call *call, enum service_result result, const struct error *error);

/* Of an error of a task document ("document:7: option 'source.address': ...") its line (0: none) and option ("": none). */
void answer_place(const char *text, unsigned *ret_line, char ret_option[128]);

#endif
