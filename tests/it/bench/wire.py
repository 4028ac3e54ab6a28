"""A small Redis client for moving many replies fast: raw sockets, whole batches, replies compared before they are parsed.

redis-py parses every reply into objects; a comparison of 300,000 keys or a data set of that size spends all its time
there. Here a batch is one write, and its end is recognised by the echo of a random marker. A batch can therefore be
read as plain bytes, and two servers' answers compared as a whole; `parse_replies` is for those that need a look inside.

Plain RESP2. No retries, no redirections: whoever sends decides.
"""

import binascii
import dataclasses
import secrets
import socket
import ssl
import urllib.parse

SLOTS = 16384
RECEIVE_BYTES = 1 << 18
DEFAULT_PORT = 6379
TIMEOUT_SECONDS = 180


class ReplyError(Exception):
    """An error reply ("-..."); in the result of a pipeline it is a value, `call` raises it."""

    @property
    def code(self):
        """Its first word: ERR, WRONGTYPE, MOVED, ..."""
        return str(self).split(" ", 1)[0]


class ConnectionLost(ConnectionError):
    """The peer closed the connection."""


class Incomplete(Exception):
    """The buffer ends within a reply."""


def slot_of(key):
    """The cluster slot of a key: CRC16 (XMODEM) of the key, or of the part between { and } when that is not empty."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1:end]
    return binascii.crc_hqx(key, 0) % SLOTS


def as_bytes(word):
    """A command's word as bytes: bytes as they are, anything else in its text form."""
    if isinstance(word, (bytes, bytearray)):
        return bytes(word)
    return str(word).encode()


def encode(*words):
    """One command as RESP."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        if not isinstance(word, bytes):
            word = as_bytes(word)
        parts.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(parts)


def parse_reply(buffer, at=0):
    """Reads one reply; returns (value, position after it). Errors are ReplyError values, nil is None."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind = buffer[at]
    line = buffer[at + 1:end]
    after = end + 2
    if kind == 36:  # $
        length = int(line)
        if length < 0:
            return None, after
        if len(buffer) < after + length + 2:
            raise Incomplete
        return bytes(buffer[after:after + length]), after + length + 2
    if kind == 58:  # :
        return int(line), after
    if kind == 43:  # +
        return bytes(line), after
    if kind == 42:  # *
        count = int(line)
        if count < 0:
            return None, after
        items = []
        for _ in range(count):
            item, after = parse_reply(buffer, after)
            items.append(item)
        return items, after
    if kind == 45:  # -
        return ReplyError(bytes(line).decode(errors="replace")), after
    raise ValueError(f"not a RESP2 reply: {bytes(buffer[at:at + 40])!r}")


def parse_replies(buffer):
    """All replies of a buffer that holds whole replies only."""
    replies = []
    at, size = 0, len(buffer)
    while at < size:
        value, at = parse_reply(buffer, at)
        replies.append(value)
    return replies


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a server is and how to get in. `tls`: an ssl.SSLContext, or None for plain TCP."""

    host: str
    port: int
    username: str = None
    password: str = dataclasses.field(default=None, repr=False)
    tls: ssl.SSLContext = dataclasses.field(default=None, repr=False, compare=False)

    def __str__(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at(self, host, port):
        """The same credentials for another server."""
        return dataclasses.replace(self, host=host, port=port)

    @classmethod
    def parse(cls, text, tls=None):
        """`host:port`, or a URL: `redis://user:password@host:port`, `rediss://` for TLS, with the context `tls`."""
        url = urllib.parse.urlsplit(text if "://" in text else f"redis://{text}")
        if url.scheme not in ("redis", "rediss", "redis-cluster", "rediss-cluster") or not url.hostname:
            raise ValueError(f"not an address of a Redis server: {text.rpartition('@')[2]}")
        tls = (tls or tls_context()) if url.scheme.startswith("rediss") else None
        return cls(url.hostname, url.port or DEFAULT_PORT, urllib.parse.unquote(url.username or "") or None,
                   urllib.parse.unquote(url.password or "") or None, tls)


def tls_context(ca=None, certificate=None, key=None):
    """A client context. Without a CA file the peer is not verified (test certificates)."""
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    if not ca:
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Connection:
    """One connection to one server. Not for several threads at a time."""

    def __init__(self, address, timeout=TIMEOUT_SECONDS):
        self.address = address
        self.database = 0
        self._buffer = bytearray()
        self._chunk = memoryview(bytearray(RECEIVE_BYTES))
        self._marker = b""
        self._socket = socket.create_connection((address.host, address.port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.tls:
            self._socket = address.tls.wrap_socket(self._socket, server_hostname=address.host)
        try:
            if address.password is not None:
                self.call("AUTH", *([address.username] if address.username else []), address.password)
        except BaseException:
            self.close()
            raise

    def close(self):
        self._socket.close()

    def set_timeout(self, seconds):
        self._socket.settimeout(seconds)

    def fileno(self):
        return self._socket.fileno()

    def send(self, data):
        self._socket.sendall(data)

    def receive_reply(self):
        """The next single reply."""
        while True:
            try:
                value, after = parse_reply(self._buffer)
                del self._buffer[:after]
                return value
            except Incomplete:
                self._receive()

    def call(self, *words):
        """One command, one reply; an error reply is raised."""
        self.send(encode(*words))
        reply = self.receive_reply()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def select(self, database):
        """Makes `database` the current one."""
        if database != self.database:
            self.call("SELECT", database)
            self.database = database

    def send_batch(self, request):
        """Sends the bytes of any number of commands. receive_batch() must follow before the next batch."""
        self._marker = secrets.token_hex(16).encode()
        self.send(request + encode(b"ECHO", self._marker))

    def receive_batch(self):
        """The bytes of all replies to the batch sent last."""
        tail = b"$%d\r\n%b\r\n" % (len(self._marker), self._marker)
        while not self._buffer.endswith(tail):
            self._receive()
        replies = bytes(self._buffer[:-len(tail)])
        self._buffer.clear()
        return replies

    def pipeline(self, commands):
        """Sends commands (word tuples, or encoded bytes) in one batch; returns their replies, errors as values."""
        request = b"".join(command if isinstance(command, bytes) else encode(*command) for command in commands)
        self.send_batch(request)
        return parse_replies(self.receive_batch())

    def receive_some(self):
        """Bytes as they come, for streams that are not replies. ConnectionLost at their end."""
        count = self._socket.recv_into(self._chunk)
        if not count:
            raise ConnectionLost(f"{self.address} closed the connection")
        return self._chunk[:count]

    def _receive(self):
        self._buffer += self.receive_some()
