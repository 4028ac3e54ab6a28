#include "wire/resp.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>

/* Room for arguments beyond this is given back before the next command: one huge command must not hold 128 MB for ever. */
#define ARGV_KEEP (64 * 1024)
#define ARGV_FIRST 16
/* The smallest argument, "$0\r\n\r\n". */
#define ARGUMENT_MIN 6ULL
/* So that a map's 2n members still fit into a count. */
#define MEMBERS_MAX (UINT32_MAX / 4)

static enum parse bad(struct parse_fault *fault, uint64_t offset, const char *what)
{
	*fault = (struct parse_fault){.offset = offset, .what = what};
	return PARSE_BAD;
}

/* Reads "<digits>\r\n" at `at` (at most in.len); max is at least 99. The answer depends on the bytes up to the first offending one alone, however they arrive. */
static inline enum parse number_read(struct slice in, uint64_t at, uint64_t max, const char *what, uint64_t *ret, uint64_t *next,
				     struct parse_fault *fault)
{
	uint64_t begin = at;
	uint64_t value = 0;

	/* Nearly all numbers of a stream: one digit, or two. Whatever else there is, the loop below finds out. */
	if (in.len - at >= 4) {
		const uint8_t *p = in.data + at;
		uint8_t first = (uint8_t)(p[0] - '0'), second = (uint8_t)(p[1] - '0');

		if (first <= 9 && p[1] == '\r' && p[2] == '\n') {
			*ret = first;
			*next = at + 3;
			return PARSE_OK;
		}
		if (first - 1U <= 8 && second <= 9 && p[2] == '\r' && p[3] == '\n') {
			*ret = first * 10U + second;
			*next = at + 4;
			return PARSE_OK;
		}
	}
	for (; at < in.len; at++) {
		uint8_t digit = (uint8_t)(in.data[at] - '0');

		if (digit > 9)
			break;
		/* max is at most 2^40, so this cannot overflow; a second digit after a leading zero is no number either */
		if (value == 0 && at > begin)
			return bad(fault, at, what);
		value = value * 10 + digit;
		if (value > max)
			return bad(fault, at, what);
	}
	if (at == in.len)
		return PARSE_MORE;
	if (at == begin || in.data[at] != '\r')
		return bad(fault, at, what);
	if (++at == in.len)
		return PARSE_MORE;
	if (in.data[at] != '\n')
		return bad(fault, at, what);
	*ret = value;
	*next = at + 1;
	return PARSE_OK;
}

/* ---- commands ---- */

void resp_command_parser_init(struct resp_command_parser *parser)
{
	*parser = (struct resp_command_parser){0};
}

void resp_command_parser_free(struct resp_command_parser *parser)
{
	free(parser->argv);
	*parser = (struct resp_command_parser){0};
}

void resp_command_parser_reset(struct resp_command_parser *parser)
{
	parser->announced = 0;
	parser->done = 0;
	parser->at = 0;
	parser->header = false;
}

static inline void argv_add(struct resp_command_parser *parser, struct slice argument)
{
	if (parser->done == parser->room) {
		/* Grown as arguments come in: the announced count is only a claim. */
		parser->room = parser->room ? parser->room * 2 : ARGV_FIRST;
		parser->argv = memory_realloc_array(parser->argv, parser->room, sizeof(*parser->argv));
	}
	parser->argv[parser->done++] = argument;
}

/* The input was moved between two calls: what points into it moves along. */
static void argv_rebase(struct resp_command_parser *parser, const uint8_t *data)
{
	for (uint32_t i = 0; i < parser->done; i++)
		parser->argv[i].data = data + ((uintptr_t)parser->argv[i].data - parser->base);
}

static enum parse command_ok(struct resp_command_parser *parser, uint64_t at, uint32_t *argc, struct slice **argv,
			     uint64_t *taken)
{
	*argc = parser->done;
	*argv = parser->argv;
	*taken = at;
	resp_command_parser_reset(parser);
	return PARSE_OK;
}

static enum parse command_bad(struct resp_command_parser *parser)
{
	resp_command_parser_reset(parser);
	return PARSE_BAD;
}

static inline bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static enum parse inline_parse(struct resp_command_parser *parser, struct slice in, uint32_t *argc, struct slice **argv,
			       uint64_t *taken, uint64_t *need, struct parse_fault *fault)
{
	uint64_t at;
	uint64_t end;

	for (at = parser->at; at < in.len && in.data[at] != '\n'; at++) {
		uint8_t c = in.data[at];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';

		if (at > 0 && in.data[at - 1] == '\r')
			return bad(fault, at, "carriage return inside an inline command");
		if (at == 0 && !letter && !is_blank(c) && c != '\r')
			return bad(fault, at, "neither '*' nor the name of an inline command");
		if (c == '"' || c == '\'')
			return bad(fault, at, "quotes in an inline command");
		if ((c < 0x20 || c >= 0x7f) && c != '\r' && c != '\t')
			return bad(fault, at, "inline command is not printable");
		if (at == RESP_LINE_MAX)
			return bad(fault, at, "inline command is too long");
	}
	if (at == in.len) {
		parser->at = at;
		*need = in.len + 1;
		return PARSE_MORE;
	}
	end = at > 0 && in.data[at - 1] == '\r' ? at - 1 : at;
	for (uint64_t i = 0; i < end;) {
		uint64_t from = i;

		if (is_blank(in.data[i])) {
			i++;
			continue;
		}
		while (i < end && !is_blank(in.data[i]))
			i++;
		argv_add(parser, slice_make(in.data + from, i - from));
	}
	return command_ok(parser, at + 1, argc, argv, taken);
}

/* "*<n>\r\n", behind which *at stands then. */
static inline enum parse header_parse(struct resp_command_parser *parser, struct slice in, uint64_t *at, uint64_t *need,
				      struct parse_fault *fault)
{
	uint64_t announced;
	enum parse result = number_read(in, 1, RESP_ARGUMENTS_MAX, "number of arguments expected", &announced, at, fault);

	if (result == PARSE_OK) {
		parser->announced = (uint32_t)announced;
		parser->header = true;
	} else if (result == PARSE_MORE) {
		*need = in.len + 1;
	}
	return result;
}

/* "$<len>\r\n<bytes>\r\n" at *at, which is moved behind it. MORE: *least is the length of this one where that is known. */
static inline enum parse argument_parse(struct resp_command_parser *parser, struct slice in, uint64_t *at, uint64_t *least,
					struct parse_fault *fault)
{
	enum parse result;
	uint64_t len, begin;

	if (*at == in.len)
		return PARSE_MORE;
	if (in.data[*at] != '$')
		return bad(fault, *at, "'$' of an argument expected");
	result = number_read(in, *at + 1, RESP_BULK_MAX, "length of an argument expected", &len, &begin, fault);
	if (result != PARSE_OK)
		return result;
	if (in.len - begin < len + 2) {
		if (in.len - begin == len + 1 && in.data[begin + len] != '\r')
			return bad(fault, begin + len, "argument does not end where its length says");
		*least = begin + len + 2 - *at;
		return PARSE_MORE;
	}
	if (in.data[begin + len] != '\r' || in.data[begin + len + 1] != '\n')
		return bad(fault, begin + len + (in.data[begin + len] == '\r'), "argument does not end where its length says");
	argv_add(parser, slice_make(in.data + begin, len));
	*at = begin + len + 2;
	return PARSE_OK;
}

enum parse resp_command_parse(struct resp_command_parser *parser, struct slice in, uint32_t *argc, struct slice **argv,
			      uint64_t *taken, uint64_t *need, struct parse_fault *fault)
{
	enum parse result = PARSE_OK;
	uint64_t at = parser->at;
	uint64_t least = ARGUMENT_MIN;
	uint64_t wanted;

	if (!parser->header) {
		if (parser->room > ARGV_KEEP && parser->at == 0) {
			resp_command_parser_free(parser);
			resp_command_parser_init(parser);
		}
		if (in.len == 0) {
			*need = 1;
			return PARSE_MORE;
		}
		result = in.data[0] == '*' ? header_parse(parser, in, &at, need, fault)
					   : inline_parse(parser, in, argc, argv, taken, need, fault);
		if (result == PARSE_BAD)
			return command_bad(parser);
		if (result == PARSE_MORE || in.data[0] != '*')
			return result;
	} else if (parser->done > 0 && parser->base != (uintptr_t)in.data) {
		argv_rebase(parser, in.data);
	}
	while (parser->done < parser->announced && result == PARSE_OK)
		result = argument_parse(parser, in, &at, &least, fault);
	if (result == PARSE_OK)
		return command_ok(parser, at, argc, argv, taken);
	if (result == PARSE_BAD)
		return command_bad(parser);
	parser->at = at;
	parser->base = (uintptr_t)in.data;
	wanted = at + least + ARGUMENT_MIN * (parser->announced - parser->done - 1);
	*need = wanted > in.len ? wanted : in.len + 1;
	return PARSE_MORE;
}

/* ---- replies ---- */

/* The beginning of one value: everything of a scalar, the count of an aggregate. */
struct head {
	enum resp_type type;
	bool attribute; /* `count` members that belong to no value, then the value itself */
	uint32_t count;
	int64_t integer;
	struct slice text;
	uint64_t next; /* first byte after the head */
};

static inline enum parse line_read(struct slice in, uint64_t at, struct slice *text, uint64_t *next, struct parse_fault *fault)
{
	uint64_t begin = at;

	for (; at < in.len && in.data[at] != '\r'; at++) {
		if (in.data[at] == '\n')
			return bad(fault, at, "line ends without carriage return");
		if (at - begin == RESP_LINE_MAX)
			return bad(fault, at, "line is too long");
	}
	if (at == in.len || at + 1 == in.len)
		return PARSE_MORE;
	if (in.data[at + 1] != '\n')
		return bad(fault, at + 1, "carriage return inside a line");
	*text = slice_make(in.data + begin, at - begin);
	*next = at + 2;
	return PARSE_OK;
}

/* "-1\r\n", the null of RESP2; `at` is at the '-'. */
static enum parse null_read(struct slice in, uint64_t at, struct head *head, struct parse_fault *fault)
{
	static const char minus_one[] = "-1\r\n";

	for (size_t i = 0; i < sizeof(minus_one) - 1; i++, at++) {
		if (at == in.len)
			return PARSE_MORE;
		if (in.data[at] != (uint8_t)minus_one[i])
			return bad(fault, at, "length is negative");
	}
	head->type = RESP_NULL;
	head->next = at;
	return PARSE_OK;
}

static enum parse bulk_read(struct slice in, uint64_t at, struct head *head, struct parse_fault *fault)
{
	enum parse result;
	uint64_t len;
	uint64_t next;

	if (at < in.len && in.data[at] == '-')
		return null_read(in, at, head, fault);
	result = number_read(in, at, RESP_BULK_MAX, "length of a bulk expected", &len, &next, fault);
	if (result != PARSE_OK)
		return result;
	if (in.len - next > len && in.data[next + len] != '\r')
		return bad(fault, next + len, "bulk does not end where its length says");
	if (in.len - next < len + 2)
		return PARSE_MORE;
	if (in.data[next + len + 1] != '\n')
		return bad(fault, next + len + 1, "bulk does not end where its length says");
	head->text = slice_make(in.data + next, len);
	head->next = next + len + 2;
	return PARSE_OK;
}

static enum parse count_read(struct slice in, uint64_t at, uint32_t factor, struct head *head, struct parse_fault *fault)
{
	enum parse result;
	uint64_t count;

	head->type = RESP_ARRAY;
	if (at < in.len && in.data[at] == '-')
		return null_read(in, at, head, fault);
	result = number_read(in, at, MEMBERS_MAX, "number of members expected", &count, &head->next, fault);
	if (result == PARSE_OK)
		head->count = (uint32_t)count * factor;
	return result;
}

static enum parse integer_read(struct slice in, uint64_t at, struct head *head, struct parse_fault *fault)
{
	enum parse result = line_read(in, at, &head->text, &head->next, fault);
	struct slice digits = head->text;

	if (result != PARSE_OK)
		return result;
	if (digits.len > 0 && digits.data[0] == '+')
		digits = slice_make(digits.data + 1, digits.len - 1);
	if (!slice_to_int64(digits, &head->integer) || (digits.len < head->text.len && digits.data[0] == '-'))
		return bad(fault, at, "integer expected");
	return PARSE_OK;
}

static enum parse head_read(struct slice in, uint64_t at, struct head *head, struct parse_fault *fault)
{
	uint8_t mark;
	enum parse result;

	*head = (struct head){0};
	if (at == in.len)
		return PARSE_MORE;
	mark = in.data[at];
	head->type = (enum resp_type)mark;
	switch (mark) {
	case '+':
	case '-': return line_read(in, at + 1, &head->text, &head->next, fault);
	case ':': return integer_read(in, at + 1, head, fault);
	case '$': return bulk_read(in, at + 1, head, fault);
	case '*':
	case '~':
	case '>': return count_read(in, at + 1, 1, head, fault);
	case '|': head->attribute = true; return count_read(in, at + 1, 2, head, fault);
	case '%': return count_read(in, at + 1, 2, head, fault);
	case '!': head->type = RESP_ERROR; return bulk_read(in, at + 1, head, fault);
	case '=':
		head->type = RESP_BULK;
		result = bulk_read(in, at + 1, head, fault);
		if (result != PARSE_OK || head->type == RESP_NULL)
			return result;
		if (head->text.len < 4 || head->text.data[3] != ':')
			return bad(fault, at, "verbatim text without its format");
		head->text = slice_make(head->text.data + 4, head->text.len - 4);
		return PARSE_OK;
	case '(': head->type = RESP_SIMPLE; return line_read(in, at + 1, &head->text, &head->next, fault);
	case ',':
		result = line_read(in, at + 1, &head->text, &head->next, fault);
		return result == PARSE_OK && head->text.len == 0 ? bad(fault, at + 1, "double expected") : result;
	case '#':
		result = line_read(in, at + 1, &head->text, &head->next, fault);
		if (result != PARSE_OK)
			return result;
		if (!slice_equal(head->text, SLICE("t")) && !slice_equal(head->text, SLICE("f")))
			return bad(fault, at + 1, "'t' or 'f' expected");
		head->integer = head->text.data[0] == 't';
		return PARSE_OK;
	case '_':
		result = line_read(in, at + 1, &head->text, &head->next, fault);
		return result == PARSE_OK && head->text.len != 0 ? bad(fault, at + 1, "null with a text") : result;
	default: return bad(fault, at, "not the beginning of a reply");
	}
}

/* An aggregate that is not whole yet. */
struct frame {
	uint32_t remaining; /* members still to come */
	uint32_t node;      /* its node, when nodes are wanted */
	bool attribute;
};

/* Walks one reply whose first head is given. With nodes: fills them. Without: looks for errors among the members. */
static enum parse reply_walk(struct slice in, struct head head, uint64_t head_at, struct resp_node *nodes, uint32_t max,
			     struct resp_skim *skim, struct parse_fault *fault)
{
	struct frame frames[RESP_DEPTH_MAX + 1];
	uint32_t depth = 0;
	uint32_t attributes = 0; /* frames that are attributes: nothing in them is part of the reply */
	uint32_t used = 0;
	uint32_t outer_member = 0; /* top-level member we are in */
	bool outermost = true;

	frames[0] = (struct frame){.remaining = 1};
	for (;;) {
		enum parse result;

		if (!head.attribute) {
			frames[depth].remaining--;
			if (attributes == 0 && nodes) {
				if (used == max || head.count > max - used - 1)
					return bad(fault, head_at, "reply has more values than were asked for");
				nodes[used++] = (struct resp_node){.type = head.type,
								   .count = head.count,
								   .span = 1,
								   .integer = head.integer,
								   .text = head.text};
			}
			if (attributes == 0 && skim) {
				if (outermost) {
					skim->type = head.type;
					skim->text = head.text;
					skim->count = head.count;
				} else if (depth == 1) {
					/* of `count` members, those that are neither remaining nor this one are behind us */
					outer_member = skim->count - frames[1].remaining - 1;
				}
				if (!outermost && head.type == RESP_ERROR && !skim->has_error) {
					skim->has_error = true;
					skim->error_index = outer_member;
					skim->first_error = head.text;
				}
			}
			if (attributes == 0)
				outermost = false;
		}
		if (head.count > 0) {
			if (depth == RESP_DEPTH_MAX)
				return bad(fault, head_at, "reply is nested too deep");
			depth++;
			frames[depth] =
				(struct frame){.remaining = head.count, .node = used ? used - 1 : 0, .attribute = head.attribute};
			attributes += head.attribute;
		}
		while (depth > 0 && frames[depth].remaining == 0) {
			if (frames[depth].attribute)
				attributes--;
			else if (nodes && attributes == 0)
				nodes[frames[depth].node].span = used - frames[depth].node;
			depth--;
		}
		if (depth == 0 && frames[0].remaining == 0)
			return PARSE_OK;
		head_at = head.next;
		result = head_read(in, head_at, &head, fault);
		if (result != PARSE_OK)
			return result;
		if (skim)
			skim->taken = head.next;
	}
}

enum parse resp_reply_parse(struct slice in, struct resp_node *nodes, uint32_t max, uint64_t *taken, struct parse_fault *fault)
{
	struct resp_skim ignored;
	struct head head;
	enum parse result = head_read(in, 0, &head, fault);

	if (result != PARSE_OK)
		return result;
	ignored = (struct resp_skim){.taken = head.next};
	result = reply_walk(in, head, 0, nodes, max, &ignored, fault);
	if (result == PARSE_OK)
		*taken = ignored.taken;
	return result;
}

enum parse resp_reply_skim(struct slice in, struct resp_skim *ret, struct parse_fault *fault)
{
	struct resp_skim skim;
	struct head head;
	enum parse result;

	if (in.len >= 5 && memcmp(in.data, "+OK\r\n", 5) == 0) {
		*ret = (struct resp_skim){.type = RESP_SIMPLE, .text = slice_make(in.data + 1, 2), .taken = 5};
		return PARSE_OK;
	}
	result = head_read(in, 0, &head, fault);
	if (result != PARSE_OK)
		return result;
	skim = (struct resp_skim){.type = head.type, .text = head.text, .taken = head.next};
	if (head.count > 0 || head.attribute) {
		result = reply_walk(in, head, 0, NULL, 0, &skim, fault);
		if (result != PARSE_OK)
			return result;
	}
	*ret = skim;
	return PARSE_OK;
}

const struct resp_node *resp_member(const struct resp_node *array, uint32_t index)
{
	const struct resp_node *member = array + 1;

	if (array->type != RESP_ARRAY || index >= array->count)
		return NULL;
	while (index-- > 0)
		member += member->span;
	return member;
}

/* ---- writing ---- */

size_t resp_put_uint64(uint8_t *out, uint64_t n)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	memcpy(out, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

size_t resp_put_int64(uint8_t *out, int64_t n)
{
	if (n >= 0)
		return resp_put_uint64(out, (uint64_t)n);
	out[0] = '-';
	return 1 + resp_put_uint64(out + 1, 0 - (uint64_t)n);
}

static inline size_t put_header(uint8_t *out, uint8_t mark, uint64_t n)
{
	size_t len = 1;

	out[0] = mark;
	if (n < 10)
		out[len++] = (uint8_t)('0' + n);
	else
		len += resp_put_uint64(out + len, n);
	out[len++] = '\r';
	out[len++] = '\n';
	return len;
}

size_t resp_put_array_header(uint8_t *out, uint64_t count)
{
	return put_header(out, '*', count);
}

size_t resp_put_bulk_header(uint8_t *out, uint64_t len)
{
	return put_header(out, '$', len);
}

bool resp_command_write(struct buffer *out, uint32_t argc, const struct slice *argv)
{
	const size_t header_max = 1 + 20 + 2;
	size_t size = header_max;
	size_t cap;
	uint8_t *to;

	for (uint32_t i = 0; i < argc; i++)
		size += header_max + argv[i].len + 2;
	if (!buffer_reserve(out, size))
		return false;
	to = buffer_room(out, &cap);
	size = resp_put_array_header(to, argc);
	for (uint32_t i = 0; i < argc; i++) {
		size += resp_put_bulk_header(to + size, argv[i].len);
		if (argv[i].len > 0)
			memcpy(to + size, argv[i].data, argv[i].len);
		size += argv[i].len;
		to[size++] = '\r';
		to[size++] = '\n';
	}
	buffer_produced(out, size);
	return true;
}

bool resp_command_write_strings(struct buffer *out, ...)
{
	struct slice few[16];
	struct slice *argv = few;
	uint32_t argc = 0;
	const char *text;
	va_list args;
	bool ok;

	va_start(args, out);
	while (va_arg(args, const char *))
		argc++;
	va_end(args);
	if (argc > sizeof(few) / sizeof(few[0]))
		argv = memory_alloc_zero(argc, sizeof(*argv));
	argc = 0;
	va_start(args, out);
	while ((text = va_arg(args, const char *)) != NULL)
		argv[argc++] = slice_of_string(text);
	va_end(args);
	ok = resp_command_write(out, argc, argv);
	if (argv != few)
		free(argv);
	return ok;
}
