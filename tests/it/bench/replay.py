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
import pathlib
import random
import secrets
import signal
import socket
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
from .waiting import TIMEOUT_SECONDS  # noqa: E402
# Tests take the names of faults from here.
from .replay_session import (CLOSE, PIECE_BYTES, REPLY, RESET, SILENCE, SNAPSHOT, STREAM,  # noqa: E402,F401
                             Break, Connection, Ended, Faults, Session)

HOST = "127.0.0.1"
EOF_MARK_BYTES = 40
CHECKSUM_BYTES = 8
PING = wire.encode(b"PING")


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
        self.credentials = (username or "default", password) if password else None
        self._eof_snapshot = eof_snapshot
        self._stream = bytearray(recording.stream)
        self._released = len(self._stream) if released is None else released
        self._ping_seconds = ping_seconds
        self._propagate = propagate
        self._grown_at = time.monotonic()
        self.random = random.Random(1)          # draws the sizes of short writes
        self.changed = threading.Condition()    # guards all of the above; notified at every change
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
        self.spawn(self._accept)
        return self

    def stop(self):
        """Closes all connections and ends all threads."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
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
        with self.changed:
            self._released = len(self._stream) if count is None else min(len(self._stream), self._released + count)
            self._grown()

    def append(self, data):
        """Adds bytes to the end of the stream, or commands given as word tuples. What was held back is released."""
        with self.changed:
            self._stream += data if isinstance(data, (bytes, bytearray)) else wire.encode(*data)
            self._released = len(self._stream)
            self._grown()

    def _grown(self):
        self._grown_at = time.monotonic()
        self.changed.notify_all()

    # -- history ----------------------------------------------------------------------------------------------------

    def new_history(self):
        """A new replication id that has nothing to do with the old: who asks to continue gets a full resynchronisation."""
        with self.changed:
            self.replid, self.second_replid = secrets.token_hex(20), None

    def fail_over(self):
        """A new replication id with the same history: who continues from the old one is told the new one."""
        with self.changed:
            self.replid, self.second_replid = secrets.token_hex(20), self.replid

    # -- what came back ---------------------------------------------------------------------------------------------

    @property
    def last_ack(self):
        """The offset acknowledged last in the latest session; None: none yet."""
        with self.changed:
            return self.sessions[-1].acks[-1] if self.sessions and self.sessions[-1].acks else None

    def wait_ack(self, offset, timeout=TIMEOUT_SECONDS):
        """Waits until the latest session has acknowledged `offset` or more."""
        self._wait(lambda: self.last_ack is not None and self.last_ack >= offset, timeout,
                   lambda: f"offset {offset} to be acknowledged; so far {self.last_ack}")

    def wait_sessions(self, count, timeout=TIMEOUT_SECONDS):
        """Waits until there have been so many PSYNCs; returns the last of them."""
        self._wait(lambda: len(self.sessions) >= count, timeout, lambda: f"{count} sessions; so far {len(self.sessions)}")
        return self.sessions[count - 1]

    def _wait(self, condition, timeout, what):
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise TimeoutError(f"waited {timeout} s in vain for {what()}")

    def drop_replicas(self, action=CLOSE):
        """Breaks all connections now."""
        for connection in list(self._connections):
            connection.end(action)

    # -- threads ----------------------------------------------------------------------------------------------------

    def spawn(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, name=f"replay {target.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self.spawn(self._serve, Connection(self, accepted))

    def _serve(self, connection):
        self._connections.add(connection)
        try:
            if not self._stopping:
                connection.run()
        except (Ended, OSError):
            pass
        finally:
            connection.end(CLOSE)
            self._connections.discard(connection)

    # -- what the connections ask for -------------------------------------------------------------------------------

    def override(self, name):
        """(For connections.) (True, raw reply) when a fault replaces the reply to this command."""
        with self.changed:
            left = self.faults.replies.get(name)
            return (True, left.pop(0)) if left else (False, None)

    def break_before(self, where, at, size):
        """The first break within [at, at + size) of `where`, used up by this; None: none. A break at the end of what
        there is happens when the next byte is due."""
        with self.changed:
            due = [one for one in self.faults.breaks if one.where == where and one.times > 0 and at <= one.at < at + size]
            if not due:
                return None
            first = min(due, key=lambda one: one.at)
            first.times -= 1
            return first

    def begin_session(self, replid, offset, options):
        with self.changed:
            index = offset - self.recording.start_offset - 1
            if not self.faults.never_continue and replid in (self.replid, self.second_replid) and 0 <= index <= self._released:
                # Replicas that do not know "psync2" get the bare word, and so does everybody from a master before 4.0.
                with_id = self.recording.redis_level >= (4, 0, 0) and ("capa", "psync2") in options
                session = Session(replid, offset, f"+CONTINUE {self.replid}" if with_id else "+CONTINUE", index, options)
            else:
                session = Session(replid, offset, f"+FULLRESYNC {self.replid} {self.recording.start_offset}", 0, options)
            self.sessions.append(session)
            self.changed.notify_all()
            return session

    def acknowledged(self, session, offset):
        with self.changed:
            session.acks.append(offset)
            self.changed.notify_all()

    def wait_first_ack(self, session):
        with self.changed:
            self.changed.wait_for(lambda: session.acks or session.ended.is_set() or self._stopping)

    def next_bytes(self, index, ended):
        """The stream from `index` on; waits until there are some. Empty: the session or the master has ended."""
        with self.changed:
            while index >= self._released and not ended.is_set() and not self._stopping:
                timeout = None
                if self._ping_seconds and self._released == len(self._stream):
                    timeout = self._grown_at + self._ping_seconds - time.monotonic()
                    if timeout <= 0:
                        self.append(PING)
                        continue
                self.changed.wait(timeout)
            if ended.is_set() or self._stopping:
                return b""
            return bytes(self._stream[index:min(self._released, index + PIECE_BYTES)])

    def snapshot(self):
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

    def accepted_write(self, words, database):
        with self.changed:
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
        replication = {"role": "master", "connected_slaves": sum(not session.ended.is_set() for session in self.sessions),
                       "master_replid": self.replid, "master_replid2": self.second_replid or "0" * 40,
                       "master_repl_offset": self.end_offset, "second_repl_offset": -1,
                       "repl_backlog_active": 1, "repl_backlog_size": 1 << 20}
        if recording.redis_level < (4, 0, 0):
            del replication["master_replid"], replication["master_replid2"], replication["second_repl_offset"]
        sections = {"Server": server, "Clients": {"connected_clients": 1, "blocked_clients": 0},
                    "Memory": {"used_memory": 1 << 20, "maxmemory": 0, "maxmemory_policy": "noeviction"},
                    "Persistence": {"loading": 0, "rdb_bgsave_in_progress": 0, "aof_enabled": 0}, "Replication": replication,
                    "Cluster": {"cluster_enabled": 0}, "Keyspace": {"db0": f"keys={recording.meta['keys']},expires=0,avg_ttl=0"}}
        everything = section.lower() in ("all", "default", "everything")
        return "\r\n".join(f"# {name}\r\n" + "".join(f"{key}:{value}\r\n" for key, value in lines.items())
                           for name, lines in sections.items() if everything or section.lower() == name.lower())


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
    with ReplayMaster(Recording(arguments.recording), port=arguments.port, password=arguments.password,
                      eof_snapshot=arguments.eof_snapshot, ping_seconds=arguments.ping_seconds) as master:
        print(f"{arguments.recording} on {master.address}", flush=True)
        ended.wait()
        for session in master.sessions:
            print(f"PSYNC {session.replid} {session.offset}: {session.answer}, last acknowledged {session.acks[-1:]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
