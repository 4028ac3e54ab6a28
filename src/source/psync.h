/* Being a replica, as a pure state machine: bytes of the master in; what to send, what happened and the payload out.
 *
 *   PING - AUTH - CLIENT SETNAME - INFO - REPLCONF listening-port - REPLCONF capa - REPLCONF version - PSYNC
 *                                                                                                       |
 *      +FULLRESYNC <id> <offset> -> (newlines) -> $<length> or $EOF:<mark> -> RDB -> command stream     |
 *      +CONTINUE [<id>] ------------------------------------------------------------> command stream <--+
 *
 * - One question at a time: servers from 2.8 on differ in what they refuse, and the answers decide what is asked next.
 * - A refused PING may just mean that AUTH has to come first; a refused CLIENT SETNAME or capability is no harm.
 * - listening-port is announced as 0: nothing listens here, and it is what Sentinel takes as "no address", so it neither tries to
 *   reach this replica nor promotes it.
 * - Capabilities: eof (the diskless form) and psync2 (+CONTINUE may carry a new id). Nothing else is announced, since a master
 *   makes use of what it is told (compressed streams, snapshots over a second channel).
 * - Valkey is told its own version: to a replica that announces none it sends an older RDB version, and fails to save one at all
 *   once a hash has a field with an expiry.
 * - Newlines may come at any time before a reply or the payload's header: the master's keep-alive.
 * Sources: replication.c of Redis 2.8 to 8.0 and Valkey 8 and 9 (syncWithMaster, masterTryPartialResync, replconfCommand).
 * Thread: owned by one. No I/O, no clock. */
#ifndef KEYFERRY_SOURCE_PSYNC_H
#define KEYFERRY_SOURCE_PSYNC_H

#include "base/buffer.h"
#include "peer/server.h"
#include "source/payload.h"

enum psync_state {
	PSYNC_IDLE,
	PSYNC_PING,
	PSYNC_AUTH,
	PSYNC_NAME,
	PSYNC_INFO,
	PSYNC_PORT,
	PSYNC_CAPABILITIES,
	PSYNC_VERSION,
	PSYNC_REQUEST, /* PSYNC is sent */
	PSYNC_HEADER,  /* full resync: the payload's header is awaited */
	PSYNC_PAYLOAD,
	PSYNC_STREAM,
	PSYNC_OVER, /* after FAILED or REFUSED */
};

/* What to ask for. Strings and credentials outlive the handshake. */
struct psync_request {
	const struct credentials *credentials; /* NULL, or without password: no AUTH */
	const char *name;                      /* CLIENT SETNAME; NULL: none */
	const char *replid;                    /* the history to go on with; NULL: none, a full resync */
	int64_t offset;                        /* of the last byte held: the next one is asked for */
	bool no_foreign_replica;               /* a replica is only asked for the history in `replid` */
	bool from_now; /* without replid: go on from where INFO says the master stands, no snapshot wanted */
};

enum psync_step {
	PSYNC_NEED_MORE,      /* all input is taken */
	PSYNC_FULL_RESYNC,    /* psync.replid and psync.offset: a snapshot follows, then the byte offset + 1 */
	PSYNC_CONTINUED,      /* psync.replid (new or as asked) and psync.offset as asked: the byte offset + 1 follows */
	PSYNC_SNAPSHOT_BEGIN, /* psync.snapshot_length: 0 when not known */
	PSYNC_SNAPSHOT_BYTES, /* *ret_bytes of the RDB */
	PSYNC_SNAPSHOT_END,   /* complete, checksum right (or the master writes none) */
	PSYNC_STREAM_BYTES,   /* *ret_bytes of the command stream */
	PSYNC_FAILED,         /* psync.error; this connection is of no use, another may be */
	PSYNC_REFUSED,        /* psync.error; waiting does not mend it: password, permission, not a Redis */
};

struct psync {
	enum psync_state state;
	struct psync_request request;
	struct buffer *out;  /* what to send is appended here */
	struct buffer reply; /* the reply so far, without its line end */
	bool reply_is_bulk;  /* its header line is in: reply_left bytes are to come */
	size_t reply_left;
	struct server_info server; /* from INFO; valid from PSYNC_PORT on */
	char replid[41];
	int64_t offset;
	uint64_t snapshot_length;
	struct payload payload;
	struct error error; /* kind ERROR_SOURCE; the text does not name the peer */
};

void psync_init(struct psync *psync);
void psync_free(struct psync *psync);

/* Begins on a fresh connection: appends the first question to `out`, where all later ones go too. */
void psync_begin(struct psync *psync, const struct psync_request *request, struct buffer *out);

/* Takes *ret_taken bytes of `in`. To be called again, with the rest, until it answers NEED_MORE, FAILED or REFUSED; an empty `in`
 * is fine. *ret_bytes points into `in` or into the psync and is valid until the next call. */
enum psync_step psync_next(struct psync *psync, struct slice in, size_t *ret_taken, struct slice *ret_bytes);

#endif
