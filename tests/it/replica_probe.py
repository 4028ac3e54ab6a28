"""The smallest replica: asks a master for its data and shows the bytes it got."""

import select
import time

from bench import wire

EOF_MARK_BYTES = 40
ACK_SECONDS = 0.1


class ReplicaProbe:
    """One connection to a master (real or replayed). Use as a context manager."""

    def __init__(self, address, password=None, timeout=180):
        self._timeout = timeout
        self._connection = wire.Connection(wire.Address.parse(address), timeout)
        self._buffer = bytearray()
        self.newlines = 0       # keep-alive newlines met
        self.replid = None
        self.offset = None      # of the last byte of the command stream that was read
        self.snapshot = None
        self._acknowledging = False
        if password is not None:
            self._connection.call("AUTH", password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._connection.close()

    def bear(self, seconds):
        """Silence for so long, from now on."""
        self._timeout = seconds
        self._connection.set_timeout(seconds)

    def handshake(self):
        for words in (("PING",), ("REPLCONF", "listening-port", 1), ("REPLCONF", "capa", "eof", "capa", "psync2")):
            self._connection.call(*words)

    def psync(self, replid="?", offset=-1):
        """Sends PSYNC and returns the answer's line."""
        self._connection.send(wire.encode("PSYNC", replid, offset))
        line = self._line()
        words = line.split()
        if words[0] == "+FULLRESYNC":
            self.replid, self.offset = words[1], int(words[2])
        elif words[0] == "+CONTINUE":
            self.replid, self.offset = words[1] if len(words) > 1 else replid, offset - 1
        return line

    def read_snapshot(self):
        """The snapshot, of either form."""
        header = self._line()
        if header.startswith("$EOF:"):
            mark = header[5:].encode()
            assert len(mark) == EOF_MARK_BYTES
            while mark not in self._buffer:
                self._receive()
            self.snapshot, _, self._buffer = self._buffer.partition(mark)
        else:
            self.snapshot = self._take(int(header[1:]))
        return bytes(self.snapshot)

    def resynchronise(self):
        """The whole of it, up to where the commands begin."""
        self.handshake()
        answer = self.psync()
        assert answer.startswith("+FULLRESYNC"), answer
        snapshot = self.read_snapshot()
        # After a snapshot in the diskless form a master sends no command before an acknowledgement that comes when it
        # has noticed the end of the transfer itself: replicas repeat theirs, and so must this one.
        self._acknowledging = True
        return snapshot

    def read_stream(self, count):
        """So many bytes of the command stream."""
        self.offset += count
        return bytes(self._take(count))

    def read_commands(self, offset):
        """The commands up to a replication offset, encoded, without those for replicas only."""
        stream, at, commands = self.read_stream(offset - self.offset), 0, []
        while at < len(stream):
            words, at = wire.parse_reply(stream, at)
            if words[0].upper() not in (b"PING", b"REPLCONF"):
                commands.append(wire.encode(*words))
        return commands

    def acknowledge(self, offset=None):
        self._connection.send(wire.encode("REPLCONF", "ACK", self.offset if offset is None else offset))

    def psync_and_read_to_the_end(self):
        """PSYNC and everything that follows, unparsed."""
        self._connection.send(wire.encode("PSYNC", "?", -1))
        return self.read_to_the_end()

    def read_to_the_end(self):
        """Everything until the master ends the connection; ("closed" or "reset", the bytes)."""
        try:
            while True:
                self._receive()
        except wire.ConnectionLost:
            how = "closed"
        except ConnectionResetError:
            how = "reset"
        return how, bytes(self._buffer)

    def _line(self):
        while True:
            while self._buffer.startswith(b"\n"):
                del self._buffer[:1]
                self.newlines += 1
            end = self._buffer.find(b"\r\n")
            if end >= 0:
                return self._take(end + 2)[:-2].decode()
            self._receive()

    def _take(self, count):
        while len(self._buffer) < count:
            self._receive()
        taken = self._buffer[:count]
        del self._buffer[:count]
        return taken

    def _receive(self):
        deadline = time.monotonic() + self._timeout
        while self._acknowledging and not select.select([self._connection], [], [], ACK_SECONDS)[0]:
            assert time.monotonic() < deadline, f"the master has sent nothing for {self._timeout} s"
            self.acknowledge()
        self._buffer += self._connection.receive_some()
