/* The command stream: RESP bytes to events, with positions, the selected database and transaction edges.
 *
 * PING, SELECT, REPLCONF, keep-alive newlines and the annotations of append-only files (lines that begin with #, as "#TS:1700000000": 7.0+ with
 * aof-timestamp-enabled) become EVENT_PROGRESS (REPLCONF GETACK sets ask_getack), and so does PUBLISH to __sentinel__:hello: there the source's
 * Sentinels announce themselves and their master, every two seconds, and a master replicates it (sentinel.c: sentinelSendHello). Sentinels of the target
 * that call their master by the same name would take them for their own, and the source's master for theirs. MULTI and EXEC become
 * EVENT_COMMAND with their edge, commands between them TRANSACTION_INSIDE; everything else EVENT_COMMAND.
 * Thread: belongs to one caller. */
#ifndef KEYFERRY_DECODE_STREAM_H
#define KEYFERRY_DECODE_STREAM_H

#include "base/error.h"
#include "decode/event.h"
#include "wire/command.h"
#include "wire/parse.h"

struct stream_decoder;

/* `table` may be NULL; it outlives the decoder. */
struct stream_decoder *stream_decoder_new(const struct command_table *table);
void stream_decoder_free(struct stream_decoder *decoder);

/* The selected database, to be kept with a position (positions are only kept outside transactions). */
uint32_t stream_decoder_database(const struct stream_decoder *decoder);
bool stream_decoder_in_transaction(const struct stream_decoder *decoder);
void stream_decoder_resume(struct stream_decoder *decoder, uint32_t db);

/* As snapshot_decode(); `in` begins at the event's first byte. */
enum parse stream_decode(struct stream_decoder *decoder, struct slice in, uint64_t position, struct event *ret, uint64_t *need,
			 struct error *error);

#endif
