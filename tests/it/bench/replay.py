"""A replay master: plays a recorded replication to whoever asks for it, as exactly or as badly as a test wants.

    with ReplayMaster(Recording("redis-6.2.16")) as master:
        ... a replica connects to master.address ...
        master.wait_ack(master.end_offset)

    python3 tests/it/bench/replay.py --recording redis-6.2.16 [--port N]      (until SIGTERM)

It answers PSYNC with the recorded snapshot and then the recorded bytes, continues from any recorded offset, collects the
acknowledgements, and answers the few other commands that a replica or a migration tool sends to a master. `Faults` says
what it does wrong. Everything may be changed while it runs; sessions meet a fault when they get there.

Facts about the handshake and its replies: replication.c of the Redis sources (masterTryPartialResynchronization,
syncCommand, replconfCommand).
"""

import argparse
import dataclasses
import pathlib
import random
import secrets
import signal
import socket
import struct
import sys
import threading
import time

if not __package__:
    # Run as a program: be the same package as when imported by a test.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    __package__ = "bench"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from . import wire  # noqa: E402
from .recordings import Recording, recording_names  # noqa: E402

HOST = "127.0.0.1"
PIECE_BYTES = 64 * 1024
EOF_MARK_BYTES = 40
CHECKSUM_BYTES = 8
DATABASES = 16
PING = wire.encode(b"PING")
REPLCONF_OPTIONS = {"listening-port", "ip-address", "capa", "ack", "getack", "rdb-only", "rdb-filter-only"}

CLOSE, RESET, SILENCE = "close", "reset", "silence"
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


class _Ended(Exception):
    """The session's connection is gone or was broken on purpose."""


class ReplayMaster:
    """See the module. Use as a context manager, or start() and stop().

    recording     a Recording
    port          0: a free one
    username, password   wanted from clients ("default" without username)
    eof_snapshot  send the snapshot in the diskless "$EOF:" form
    released      how many bytes of the recorded stream there are at first; release() and append() add to them
    ping_seconds  append a PING whenever nothing was appended for so long, as a master does
    propagate     append accepted writes (SET, SETEX, ... by a client) to the stream"""

    def __init__(self, recording, *, port=0, username=None, password=None, faults=None, eof_snapshot=False, released=None,
                 ping_seconds=None, propagate=False):
        self.recording = recording
        self.faults = faults or Faults()
        self.replid = recording.replid
        self.second_replid = None
        self.sessions = []
        self.commands = []      # all that was received, [[word, ...]], REPLCONF ACK excepted
        self.writes = []        # those of them that write
        self.host = HOST
        self._credentials = (username or "default", password) if password else None
        self._eof_snapshot = eof_snapshot
        self._stream = bytearray(recording.stream)
        self._released = len(self._stream) if released is None else released
        self._ping_seconds = ping_seconds
        self._propagate = propagate
        self._grown_at = time.monotonic()
        self._random = random.Random(1)
        self._changed = threading.Condition()    # guards all of the above; notified at every change
        self._stopping = False
        self._threads = []
        self._connections = set()
        self._listener = socket.create_server((HOST, port))
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def start(self):
        """Begins to listen. Returns itself."""
        self._spawn(self._accept)
        return self

    def stop(self):
        """Closes all connections and ends all threads."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        # shutdown() wakes the thread that waits in accept(); close() alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            connection.end(CLOSE)
        for thread in self._threads:
            thread.join()

    # -- the stream -------------------------------------------------------------------------------------------------

    @property
    def end_offset(self):
        """The replication offset of the last byte there is now."""
        return self.recording.start_offset + self._released

    def release(self, count=None):
        """Makes `count` more bytes of the recorded stream available, all without."""
        with self._changed:
            self._released = len(self._stream) if count is None else min(len(self._stream), self._released + count)
            self._grown()

    def append(self, data):
        """Adds bytes to the end of the stream, or commands given as word tuples. What was held back is released."""
        with self._changed:
            self._stream += data if isinstance(data, (bytes, bytearray)) else wire.encode(*data)
            self._released = len(self._stream)
            self._grown()

    def _grown(self):
        self._grown_at = time.monotonic()
        self._changed.notify_all()

    # -- history ----------------------------------------------------------------------------------------------------

    def new_history(self):
        """A new replication id that has nothing to do with the old: who asks to continue gets a full resynchronisation."""
        with self._changed:
            self.replid, self.second_replid = secrets.token_hex(20), None

    def fail_over(self):
        """A new replication id with the same history: who continues from the old one is told the new one."""
        with self._changed:
            self.replid, self.second_replid = secrets.token_hex(20), self.replid

    # -- what came back ---------------------------------------------------------------------------------------------

    @property
    def last_ack(self):
        """The offset acknowledged last in the latest session; None: none yet."""
        with self._changed:
            return self.sessions[-1].acks[-1] if self.sessions and self.sessions[-1].acks else None

    def wait_ack(self, offset, timeout=60):
        """Waits until the latest session has acknowledged `offset` or more."""
        self._wait(lambda: self.last_ack is not None and self.last_ack >= offset, timeout,
                   lambda: f"offset {offset} to be acknowledged; so far {self.last_ack}")

    def wait_sessions(self, count, timeout=60):
        """Waits until there have been so many PSYNCs; returns the last of them."""
        self._wait(lambda: len(self.sessions) >= count, timeout, lambda: f"{count} sessions; so far {len(self.sessions)}")
        return self.sessions[count - 1]

    def _wait(self, condition, timeout, what):
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"waited {timeout} s in vain for {what()}")

    def drop_replicas(self, action=CLOSE):
        """Breaks all connections now."""
        for connection in list(self._connections):
            connection.end(action)

    # -- threads ----------------------------------------------------------------------------------------------------

    def _spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, name=f"replay {target.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._spawn(self._serve, _Connection(self, accepted))

    def _serve(self, connection):
        self._connections.add(connection)
        try:
            if not self._stopping:
                connection.run()
        except (_Ended, OSError):
            pass
        finally:
            connection.end(CLOSE)
            self._connections.discard(connection)

    # -- what the connections ask for -------------------------------------------------------------------------------

    def _override(self, name):
        """(True, raw reply) when a fault replaces the reply to this command."""
        with self._changed:
            left = self.faults.replies.get(name)
            return (True, left.pop(0)) if left else (False, None)

    def _break_before(self, where, at, size):
        """The first break within [at, at + size) of `where`, used up by this; None: none. A break at the end of what
        there is happens when the next byte is due."""
        with self._changed:
            due = [one for one in self.faults.breaks if one.where == where and one.times > 0 and at <= one.at < at + size]
            if not due:
                return None
            first = min(due, key=lambda one: one.at)
            first.times -= 1
            return first

    def _begin_session(self, replid, offset, options):
        with self._changed:
            index = offset - self.recording.start_offset - 1
            if not self.faults.never_continue and replid in (self.replid, self.second_replid) and 0 <= index <= self._released:
                # Replicas that do not know "psync2" get the bare word, and so does everybody from a master before 4.0.
                with_id = self.recording.redis_level >= (4, 0, 0) and ("capa", "psync2") in options
                session = Session(replid, offset, f"+CONTINUE {self.replid}" if with_id else "+CONTINUE", index, options)
            else:
                session = Session(replid, offset, f"+FULLRESYNC {self.replid} {self.recording.start_offset}", 0, options)
            self.sessions.append(session)
            self._changed.notify_all()
            return session

    def _acknowledged(self, session, offset):
        with self._changed:
            session.acks.append(offset)
            self._changed.notify_all()

    def _wait_first_ack(self, session):
        with self._changed:
            self._changed.wait_for(lambda: session.acks or session.ended.is_set() or self._stopping)

    def _next_bytes(self, index, ended):
        """The stream from `index` on; waits until there are some. Empty: the session or the master has ended."""
        with self._changed:
            while index >= self._released and not ended.is_set() and not self._stopping:
                timeout = None
                if self._ping_seconds and self._released == len(self._stream):
                    timeout = self._grown_at + self._ping_seconds - time.monotonic()
                    if timeout <= 0:
                        self.append(PING)
                        continue
                self._changed.wait(timeout)
            return b"" if ended.is_set() or self._stopping else bytes(self._stream[index:min(self._released, index + PIECE_BYTES)])

    def _snapshot(self):
        """(header line, payload, bytes after it)."""
        if self._eof_snapshot:
            header, _, rest = self.recording.snapshot_eof().partition(b"\r\n")
            payload, mark = rest[:-EOF_MARK_BYTES], rest[-EOF_MARK_BYTES:]
        else:
            payload, mark = self.recording.snapshot, b""
            header = b"$%d" % len(payload)
        if self.faults.bad_checksum:
            payload = payload[:-CHECKSUM_BYTES] + bytes(byte ^ 0xff for byte in payload[-CHECKSUM_BYTES:])
        return header + b"\r\n", payload, mark

    def _accepted_write(self, words, database):
        with self._changed:
            self.writes.append(words)
            if self._propagate:
                self._stream += wire.encode(b"SELECT", database) + wire.encode(*words)
                self._released = len(self._stream)
                self._grown()

    def info(self, section="everything"):
        """The text of INFO."""
        recording = self.recording
        server = {"redis_version": "7.2.4" if recording.family == "valkey" else recording.version_text}
        if recording.family == "valkey":
            server |= {"server_name": "valkey", "valkey_version": recording.version_text}
        server |= {"redis_mode": "standalone", "os": "Linux", "arch_bits": 64, "process_id": 1, "run_id": recording.replid[::-1],
                   "tcp_port": self.port, "uptime_in_seconds": 1}
        replication = {"role": "master", "connected_slaves": sum(not session.ended.is_set() for session in self.sessions), "master_replid": self.replid,
                       "master_replid2": self.second_replid or "0" * 40, "master_repl_offset": self.end_offset, "second_repl_offset": -1,
                       "repl_backlog_active": 1, "repl_backlog_size": 1 << 20}
        if recording.redis_level < (4, 0, 0):
            del replication["master_replid"], replication["master_replid2"], replication["second_repl_offset"]
        sections = {"Server": server, "Clients": {"connected_clients": 1, "blocked_clients": 0},
                    "Memory": {"used_memory": 1 << 20, "maxmemory": 0, "maxmemory_policy": "noeviction"},
                    "Persistence": {"loading": 0, "rdb_bgsave_in_progress": 0, "aof_enabled": 0}, "Replication": replication,
                    "Cluster": {"cluster_enabled": 0}, "Keyspace": {"db0": f"keys={recording.meta['keys']},expires=0,avg_ttl=0"}}
        wanted = {name: lines for name, lines in sections.items()
                  if section.lower() in ("all", "default", "everything", name.lower())}
        return "\r\n".join(f"# {name}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in lines.items()) for name, lines in wanted.items())


class _Connection:
    """One accepted connection: its thread reads commands; a second one writes once PSYNC was answered."""

    # pylint: disable=protected-access
    def __init__(self, master, accepted):
        self._master = master
        self._socket = accepted
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._authenticated = master._credentials is None
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
            # Wakes a thread that waits in recv() and keeps the socket open that way. SHUT_RD alone sends no FIN.
            self._socket.shutdown(socket.SHUT_RD if action == RESET else socket.SHUT_RDWR)
        except OSError:
            pass    # the peer was faster
        self._socket.close()
        with self._master._changed:
            if self._session:
                self._session.ended.set()
            self._master._changed.notify_all()

    def run(self):
        """Serves until the connection ends."""
        while True:
            words = self._read_command()
            name = words[0].decode(errors="replace").upper()
            if name == "REPLCONF" and words[1].lower() == b"ack":
                if self._session:
                    self._master._acknowledged(self._session, int(words[2]))
                continue
            self._master.commands.append(words)
            replaced, reply = self._master._override(name)
            if not replaced:
                reply = self._answer(name, words)
            if reply:
                self._send(REPLY, reply)

    def _read_command(self):
        while True:
            try:
                if self._buffer:
                    words, after = wire.parse_reply(self._buffer)
                    del self._buffer[:after]
                    return words
            except wire.Incomplete:
                pass
            received = self._socket.recv(PIECE_BYTES)
            if not received:
                raise _Ended
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
        if master._credentials is None:
            return b"-ERR AUTH <password> called without any password configured for the default user.\r\n" if modern \
                else b"-ERR Client sent AUTH, but no password is set\r\n"
        given = [word.decode(errors="replace") for word in words]
        if (given if len(given) == 2 else ["default", *given]) != list(master._credentials):
            return b"-WRONGPASS invalid username-password pair or user is disabled.\r\n" if modern else b"-ERR invalid password\r\n"
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
        subcommand = words[0].lower()
        if subcommand in (b"setname", b"no-evict") or (subcommand == b"setinfo" and self._master.recording.redis_level >= (7, 2, 0)):
            return b"+OK\r\n"
        if subcommand == b"id" and self._master.recording.redis_level >= (5, 0, 0):
            return b":1\r\n"
        return b"-ERR Unknown subcommand or wrong number of arguments for '%b'\r\n" % words[0]

    def _on_config(self, words):
        return b"*0\r\n" if words[0].lower() == b"get" else b"+OK\r\n"

    def _on_cluster(self, _words):
        return b"-ERR This instance has cluster support disabled\r\n"

    def _write(self, name, words):
        self._master._accepted_write([name, *words], self._database)
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
            return b"-ERR unknown command '%b', with args beginning with: %b\r\n" % (words[0], b"".join(b"'%b' " % word for word in words[1:]))
        if level >= (5, 0, 0):
            return b"-ERR unknown command `%b`, with args beginning with: %b\r\n" % (words[0], b"".join(b"`%b`, " % word for word in words[1:]))
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
        self._session = self._master._begin_session(words[0].decode(errors="replace"), int(words[1]), list(self._options))
        self._master._spawn(self._replicate, self._session)

    def _replicate(self, session):
        """The writing thread of a replica's connection."""
        faults = self._master.faults
        try:
            self._newlines(faults.newlines_before_reply)
            self._send(REPLY, session.answer.encode() + b"\r\n")
            if session.full:
                header, payload, mark = self._master._snapshot()
                self._newlines(faults.newlines_before_snapshot)
                self._write_pieces(header)
                self._send(SNAPSHOT, payload)
                self._write_pieces(mark)
                if mark:
                    # Only then does a master know that the replica has seen the end of a diskless transfer.
                    self._master._wait_first_ack(session)
            index = session.first_index
            while True:
                data = self._master._next_bytes(index, session.ended)
                if not data:
                    return
                self._send(STREAM, data, index)
                index += len(data)
        except (_Ended, OSError):
            self.end(CLOSE)

    def _newlines(self, count):
        for _ in range(count):
            self._write_pieces(b"\n")
            self._pause(self._master.faults.newline_pause)

    def _send(self, where, data, at=0):
        """Sends bytes that begin at `at` of `where`, unless a break is due in them."""
        due = self._master._break_before(where, at, len(data))
        if due is None:
            self._write_pieces(data)
            return
        self._write_pieces(data[:due.at - at])
        if due.action == SILENCE:
            self._closed.wait()
        self.end(due.action)
        raise _Ended

    def _write_pieces(self, data):
        faults = self._master.faults
        if not faults.write_bytes:
            self._socket.sendall(data)
            return
        at = 0
        while at < len(data):
            size = self._master._random.randint(1, faults.write_bytes)
            self._socket.sendall(data[at:at + size])
            at += size
            self._pause(faults.write_pause)

    def _pause(self, seconds):
        if seconds and self._closed.wait(seconds):
            raise _Ended


def main():
    """The program. Returns its exit code."""
    parser = argparse.ArgumentParser(description="Play a recorded replication to replicas.")
    parser.add_argument("--recording", default="redis-7.0.15", choices=recording_names())
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--password")
    parser.add_argument("--eof-snapshot", action="store_true", help="send the snapshot in the diskless form")
    parser.add_argument("--ping-seconds", type=float, default=10)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with ReplayMaster(Recording(arguments.recording), port=arguments.port, password=arguments.password, eof_snapshot=arguments.eof_snapshot,
                      ping_seconds=arguments.ping_seconds) as master:
        print(f"{arguments.recording} on {master.address}", flush=True)
        ended.wait()
        for session in master.sessions:
            print(f"PSYNC {session.replid} {session.offset}: {session.answer}, last acknowledged {session.acks[-1:]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
