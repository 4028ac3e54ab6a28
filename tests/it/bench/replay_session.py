"""A session of the replay master: the connection of one replica or client, and the faults it may meet."""

import dataclasses
import socket
import struct
import threading
import time

from . import wire

PIECE_BYTES = 64 * 1024
DATABASES = 16
REPLCONF_OPTIONS = {"listening-port", "ip-address", "capa", "ack", "getack", "rdb-only", "rdb-filter-only"}

CLOSE, RESET, SILENCE = "close", "reset", "silence"
LINGER_SECONDS = 5
# Where in a session: the bytes of the reply to PSYNC, of the snapshot (without its "$" line), of the command stream.
REPLY, SNAPSHOT, STREAM = "reply", "snapshot", "stream"


@dataclasses.dataclass
class Break:
    """Something that happens before byte `at` (from 0) of `where` is sent, in `times` sessions, then no more.

    action   CLOSE, RESET (RST instead of FIN), or SILENCE: nothing more is sent, the connection stays open"""

    where: str
    at: int
    action: str = CLOSE
    times: int = 1


@dataclasses.dataclass
class Faults:
    """What the replay master does wrong. The default is a correct master."""

    breaks: list = dataclasses.field(default_factory=list)
    write_bytes: int = None          # sends pieces of a random size up to this
    write_pause: float = 0           # seconds between pieces
    newlines_before_reply: int = 0   # keep-alive newlines, as a master sends while it waits for a child to save ...
    newlines_before_snapshot: int = 0   # ... and while the child saves
    newline_pause: float = 0         # seconds after each
    bad_checksum: bool = False       # of the snapshot
    never_continue: bool = False     # always a full resynchronisation
    # Raw replies to be sent instead of the proper ones, by command name, used up one by one; None: no reply at all.
    # {"PSYNC": [b"-LOADING Redis is loading the dataset in memory\r\n", b"garbage"]}
    replies: dict = dataclasses.field(default_factory=dict)


class Session:
    """One PSYNC and what came of it."""

    def __init__(self, replid, offset, answer, first_index, options):
        self.replid = replid            # as asked for
        self.offset = offset            # as asked for
        self.answer = answer            # the line sent, without CRLF
        self.first_index = first_index  # of the stream
        self.options = options          # [(name, value)] of the REPLCONFs before
        self.acks = []                  # offsets, in order
        self.ended = threading.Event()

    @property
    def full(self):
        """Was it answered with a snapshot?"""
        return self.answer.startswith("+FULLRESYNC")


class Ended(Exception):
    """The session's connection is gone or was broken on purpose."""


class Connection:
    """One accepted connection: its thread reads commands; a second one writes once PSYNC was answered."""

    def __init__(self, master, accepted):
        self._master = master
        self._socket = accepted
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._authenticated = master.credentials is None
        self._database = 0
        self._options = []
        self._session = None
        self._closed = threading.Event()

    def end(self, action):
        """Closes the connection, for both threads."""
        if self._closed.is_set():
            return
        self._closed.set()
        if action == RESET:
            # Lingering for 0 seconds makes the kernel send RST.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            if action != RESET:
                self._say_end()
            # Wakes a thread that waits in recv() and keeps the socket open that way.
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            pass    # the peer was faster
        self._socket.close()
        with self._master.changed:
            if self._session:
                self._session.ended.set()
            self._master.changed.notify_all()

    def _say_end(self):
        """A FIN, and then what the peer has still sent: with that unread the kernel would send RST, and the peer lose what it has not read."""
        self._socket.shutdown(socket.SHUT_WR)
        self._socket.settimeout(LINGER_SECONDS)
        while self._socket.recv(PIECE_BYTES):
            pass

    def run(self):
        """Serves until the connection ends."""
        while True:
            words = self._read_command()
            name = words[0].decode(errors="replace").upper()
            if name == "REPLCONF" and words[1].lower() == b"ack":
                if self._session:
                    self._master.acknowledged(self._session, int(words[2]))
                continue
            self._master.commands.append(words)
            replaced, reply = self._master.override(name)
            if not replaced:
                reply = self._answer(name, words)
            if reply and name == "PSYNC":
                self._send(REPLY, reply)
            elif reply:
                self._write_pieces(reply)

    def _read_command(self):
        while True:
            # A replica that waits for its snapshot or loads it sends newlines, to be seen alive.
            self._buffer = self._buffer.lstrip(b"\n")
            try:
                if self._buffer:
                    words, after = wire.parse_reply(self._buffer)
                    del self._buffer[:after]
                    return words
            except wire.Incomplete:
                pass
            received = self._socket.recv(PIECE_BYTES)
            if not received:
                raise Ended
            self._buffer += received

    # -- ordinary commands ------------------------------------------------------------------------------------------

    def _answer(self, name, words):
        if name == "AUTH":
            return self._auth(words[1:])
        if not self._authenticated and name != "QUIT":
            return b"-NOAUTH Authentication required.\r\n"
        method = getattr(self, f"_on_{name.lower()}", None)
        return method(words[1:]) if method else self._unknown(words)

    def _auth(self, words):
        master = self._master
        modern = master.recording.redis_level >= (6, 0, 0)
        if len(words) not in ((1, 2) if modern else (1,)):
            return b"-ERR wrong number of arguments for 'auth' command\r\n"
        if master.credentials is None:
            return b"-ERR AUTH <password> called without any password configured for the default user.\r\n" if modern \
                else b"-ERR Client sent AUTH, but no password is set\r\n"
        given = [word.decode(errors="replace") for word in words]
        if (given if len(given) == 2 else ["default", *given]) != list(master.credentials):
            return b"-WRONGPASS invalid username-password pair or user is disabled.\r\n" if modern \
                else b"-ERR invalid password\r\n"
        self._authenticated = True
        return b"+OK\r\n"

    def _on_ping(self, words):
        return b"$%d\r\n%b\r\n" % (len(words[0]), words[0]) if words else b"+PONG\r\n"

    def _on_echo(self, words):
        return b"$%d\r\n%b\r\n" % (len(words[0]), words[0])

    def _on_select(self, words):
        if not words[0].isdigit() or int(words[0]) >= DATABASES:
            return b"-ERR DB index is out of range\r\n"
        self._database = int(words[0])
        return b"+OK\r\n"

    def _on_info(self, words):
        text = self._master.info(*(word.decode() for word in words[:1])).encode()
        return b"$%d\r\n%b\r\n" % (len(text), text)

    def _on_role(self, _words):
        return b"*3\r\n$6\r\nmaster\r\n:%d\r\n*0\r\n" % self._master.end_offset

    def _on_time(self, _words):
        seconds, fraction = divmod(time.time(), 1)
        return wire.encode(int(seconds), int(fraction * 1e6))

    def _on_client(self, words):
        subcommand, level = words[0].lower(), self._master.recording.redis_level
        if subcommand == b"setname" or (subcommand == b"setinfo" and level >= (7, 2, 0)):
            return b"+OK\r\n"
        if subcommand == b"id" and level >= (5, 0, 0):
            return b":1\r\n"
        return b"-ERR Unknown subcommand or wrong number of arguments for '%b'\r\n" % words[0]

    def _on_config(self, words):
        return b"*0\r\n" if words[0].lower() == b"get" else b"+OK\r\n"

    def _on_cluster(self, _words):
        return b"-ERR This instance has cluster support disabled\r\n"

    def _write(self, name, words):
        self._master.accepted_write([name, *words], self._database)
        return b"+OK\r\n"

    def _on_set(self, words):
        return self._write(b"SET", words)

    def _on_setex(self, words):
        return self._write(b"SETEX", words)

    def _on_psetex(self, words):
        return self._write(b"PSETEX", words)

    def _unknown(self, words):
        level = self._master.recording.redis_level
        if level >= (7, 0, 0):
            rest = b"".join(b"'%b' " % word for word in words[1:])
            return b"-ERR unknown command '%b', with args beginning with: %b\r\n" % (words[0], rest)
        if level >= (5, 0, 0):
            rest = b"".join(b"`%b`, " % word for word in words[1:])
            return b"-ERR unknown command `%b`, with args beginning with: %b\r\n" % (words[0], rest)
        return b"-ERR unknown command '%b'\r\n" % words[0]

    # -- replication ------------------------------------------------------------------------------------------------

    def _on_replconf(self, words):
        for option, value in zip(words[::2], words[1::2]):
            name = option.decode(errors="replace").lower()
            # Only Valkey asks replicas for their version.
            if name not in REPLCONF_OPTIONS and not (name == "version" and self._master.recording.family == "valkey"):
                return b"-ERR Unrecognized REPLCONF option: %b\r\n" % option
            self._options.append((name, value.decode(errors="replace")))
        return b"+OK\r\n"

    def _on_psync(self, words):
        self._session = self._master.begin_session(words[0].decode(errors="replace"), int(words[1]), list(self._options))
        self._master.spawn(self._replicate, self._session)

    def _replicate(self, session):
        """The writing thread of a replica's connection."""
        faults = self._master.faults
        try:
            self._newlines(faults.newlines_before_reply)
            self._send(REPLY, session.answer.encode() + b"\r\n")
            if session.full:
                header, payload, mark = self._master.snapshot()
                self._newlines(faults.newlines_before_snapshot)
                self._write_pieces(header)
                self._send(SNAPSHOT, payload)
                self._write_pieces(mark)
                if mark:
                    # Only then does a master know that the replica has seen the end of a diskless transfer.
                    self._master.wait_first_ack(session)
            index = session.first_index
            while True:
                data = self._master.next_bytes(index, session.ended)
                if not data:
                    return
                self._send(STREAM, data, index)
                index += len(data)
        except (Ended, OSError):
            self.end(CLOSE)

    def _newlines(self, count):
        for _ in range(count):
            self._write_pieces(b"\n")
            self._pause(self._master.faults.newline_pause)

    def _send(self, where, data, at=0):
        """Sends bytes that begin at `at` of `where`, unless a break is due in them."""
        due = self._master.break_before(where, at, len(data))
        if due is None:
            self._write_pieces(data)
            return
        self._write_pieces(data[:due.at - at])
        if due.action == SILENCE:
            self._closed.wait()
        self.end(due.action)
        raise Ended

    def _write_pieces(self, data):
        faults = self._master.faults
        if not faults.write_bytes:
            self._socket.sendall(data)
            return
        at = 0
        while at < len(data):
            size = self._master.random.randint(1, faults.write_bytes)
            self._socket.sendall(data[at:at + size])
            at += size
            self._pause(faults.write_pause)

    def _pause(self, seconds):
        if seconds and self._closed.wait(seconds):
            raise Ended
