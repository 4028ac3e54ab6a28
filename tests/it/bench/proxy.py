"""A TCP proxy in front of a server, for faults of the network: cut, reset, one end alone cut, stall, delay, throttle, refuse.

    proxy = Proxy(bench, source)
    ferry = Ferry(bench, proxy, target)
    proxy.plan(Cut(FULL, 100_000), Cut(CONTINUED, 20, reset=True))
    ...
    proxy.cut()

One thread moves all bytes. The other methods may be called from any thread and act before they return.
It looks into the bytes only as far as it must to know a replica's connection and how PSYNC was answered, so not into TLS."""

import collections
import dataclasses
import queue
import selectors
import socket
import struct
import threading
import time

from . import ports
from .servers import HOST

CHUNK_BYTES = 64 * 1024
HELD_BYTES = 256 * 1024      # read from one side and not taken by the other yet: more is left to the kernel
REPLY_LINE_MAX = 200
TICK_SECONDS = 0.005         # while bytes wait for their time
ORDER_SECONDS = 120

# How the master has answered PSYNC.
FULL, CONTINUED = "+FULLRESYNC", "+CONTINUE"


@dataclasses.dataclass(frozen=True)
class Cut:
    """The connection of a replica is cut once so many bytes from the master have passed since its PSYNC.

    session   FULL or CONTINUED: the next session of this kind is meant
    at        counted from the first byte of the answer to PSYNC
    reset     RST instead of FIN"""

    session: str
    at: int
    reset: bool = False


class _Way:
    """One direction of a connection: what was read and has not been passed on."""

    def __init__(self, source, sink):
        self.source = source
        self.sink = sink
        self.held = collections.deque()   # (when it may leave, bytes)
        self.held_bytes = 0
        self.ended = False                # the source has closed

    def hold(self, data, due):
        self.held.append((due, data))
        self.held_bytes += len(data)

    def due(self, now):
        return bool(self.held) and self.held[0][0] <= now


class _Pair:
    """One accepted connection and the one made for it."""

    def __init__(self, client, server):
        self.up = _Way(client, server)
        self.down = _Way(server, client)
        self.psync = False      # the client has become a replica
        self.answer = b""       # the beginning of the answer to PSYNC
        self.session = None     # FULL or CONTINUED once that is known
        self.passed = 0         # bytes from the master since PSYNC
        self.cut = None         # the Cut that is meant for it
        self.gone = None        # the socket that was reset while the other one stays

    @property
    def ways(self):
        return (self.up, self.down)


class Proxy:
    """Ends with the test. `server` is the bench server behind it; `url`, `address` and info() make it pass for that server."""

    def __init__(self, bench, server):
        self.server = server
        self._port = ports.reserve()
        self.address = f"{HOST}:{self._port.number}"
        self.accepted = 0          # connections
        self.sessions = []         # FULL and CONTINUED, in the order in which PSYNC was answered
        self.bytes_down = 0        # from the server to all clients
        self._plan = collections.deque()
        self._done = []
        self._word = self._word_answer = None
        self._stalled = False
        self._refusing = False
        self._delay = 0.0
        self._rate = None
        self._tokens, self._tokens_at = 0.0, 0.0
        self._pairs = []
        self._listener = None
        self._orders = queue.SimpleQueue()
        self._wake_here, self._wake_there = socket.socketpair()
        self._wake_here.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_here, selectors.EVENT_READ)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._listen()
        self._thread.start()
        bench.servers.append(self)

    @property
    def failed(self):
        """Its thread has ended by an error, which a test must not take for a fault of the network."""
        return not self._closing and not self._thread.is_alive()

    @property
    def port(self):
        return self._port.number

    @property
    def url(self):
        return self.server.url.replace(self.server.address, self.address)

    def info(self, section="everything"):
        return self.server.info(section)

    # -- faults -----------------------------------------------------------------------------------------------------

    def plan(self, *cuts):
        """Cuts to come, in this order."""
        self._order(lambda: self._plan.extend(cuts))

    @property
    def planned(self):
        """How many planned cuts have not happened yet."""
        return len(self._plan) + sum(pair.cut is not None for pair in list(self._pairs))

    def cut(self, reset=False):
        """Cuts all connections now."""
        self._order(lambda: [self._end(pair, reset) for pair in list(self._pairs)])

    def cut_when_sent(self, word):
        """The next connection on which a client sends this is cut instead."""
        self._order(lambda: setattr(self, "_word", word))

    def answer_when_sent(self, word, answer):
        """What a client sends next with this in it is answered so instead, and does not arrive; it has to be one command, of a client that waits for its answer."""
        def order():
            self._word, self._word_answer = word, answer
        self._order(order)

    def cut_one_end(self, end):
        """Resets that end of all connections, "client" or "server", and the other one does not hear of it. What a client has sent before
        still arrives, after the delay; the server's answers lead nowhere. A server that was cut off is talked to in vain."""
        self._order(lambda: [self._forsake(pair, pair.up.source if end == "client" else pair.down.source) for pair in list(self._pairs)])

    def stall(self):
        """Nothing passes any more; connections stay open, and new ones are accepted."""
        self._order(lambda: setattr(self, "_stalled", True))

    def resume(self):
        """Ends stall() and refuse()."""
        self._order(self._resume)

    def refuse(self):
        """Cuts all connections, and nobody listens any more."""
        self._order(self._refuse)

    def delay(self, seconds):
        """Every byte arrives so much later, in both directions."""
        self._order(lambda: setattr(self, "_delay", seconds))

    def throttle(self, bytes_per_second):
        """All connections together get so much from the server; None: no limit."""
        self._order(lambda: setattr(self, "_rate", bytes_per_second))

    # What the bench wants of everything that it ends.
    def log_tail(self):
        return (f"--- proxy {self.address} of {self.server.name}: {self.accepted} connections, sessions {self.sessions}, "
                f"{self.bytes_down} bytes down, cuts done {self._done}, to come {list(self._plan)}")

    def close(self):
        if self._thread.is_alive():
            self._order(lambda: setattr(self, "_closing", True))
            self._thread.join()
        self._port.release()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _order(self, action):
        """Has the thread do it; returns when it is done."""
        done = threading.Event()
        self._orders.put((action, done))
        self._wake_there.send(b"x")
        if not done.wait(ORDER_SECONDS):
            raise RuntimeError(f"the proxy {self.address} has not done in {ORDER_SECONDS} s what it was told")

    def _run(self):
        while not self._closing:
            waiting = any(way.held for pair in self._pairs for way in pair.ways) and (self._delay or self._rate)
            for key, _ in self._selector.select(TICK_SECONDS if waiting else None):
                if key.fileobj is self._wake_here:
                    self._wake_here.recv(CHUNK_BYTES)
                elif key.fileobj is self._listener:
                    self._accept()
            while not self._orders.empty():
                action, done = self._orders.get()
                action()
                done.set()
            if not self._stalled:
                for pair in list(self._pairs):
                    self._serve(pair)
            self._want()
        for pair in list(self._pairs):
            self._end(pair, False)
        self._unlisten()
        for one in (self._wake_here, self._wake_there, self._selector):
            one.close()

    def _listen(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((HOST, self._port.number))
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _unlisten(self):
        if self._listener:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _refuse(self):
        self._unlisten()
        for pair in list(self._pairs):
            self._end(pair, False)

    def _resume(self):
        self._stalled = False
        if not self._listener:
            self._listen()

    def _accept(self):
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        self.accepted += 1
        try:
            server = socket.create_connection((self.server.host, self.server.port), timeout=10)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(one, selectors.EVENT_READ)
        self._pairs.append(_Pair(client, server))

    def _end(self, pair, reset):
        if pair not in self._pairs:
            return
        self._pairs.remove(pair)
        for one in (pair.up.source, pair.down.source):
            if one is pair.gone:
                continue
            try:
                self._selector.unregister(one)
            except KeyError:
                pass    # nothing was wanted of it at the moment
            if reset:
                # Lingering for 0 seconds makes the kernel send RST.
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()

    def _forsake(self, pair, end):
        if pair.gone:
            return
        try:
            # What the kernel holds has been sent as well.
            self._read(pair, next(way for way in pair.ways if way.source is end), time.monotonic())
            self._watch(end, 0)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass    # it was about to end anyway
        end.close()
        pair.gone = end

    def _serve(self, pair):
        now = time.monotonic()
        try:
            for way in pair.ways:
                if way.source is not pair.gone:
                    self._read(pair, way, now)
                if way.sink is pair.gone:
                    way.held.clear()
                    way.held_bytes = 0
                elif self._write(pair, way, now):
                    self._done.append(pair.cut)
                    self._end(pair, pair.cut.reset)
                    return
                if way.ended and not way.held:
                    self._end(pair, False)
                    return
        except OSError:
            self._end(pair, False)

    def _read(self, pair, way, now):
        while not way.ended and way.held_bytes < HELD_BYTES:
            try:
                data = way.source.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            if not data:
                way.ended = True
                return
            if way is pair.up and self._word and self._word in data:
                self._word, answer, self._word_answer = None, self._word_answer, None
                if answer is None:
                    raise ConnectionResetError
                pair.down.hold(answer, now)
                continue
            if way is pair.up and b"PSYNC" in data:
                pair.psync = True
            if way is pair.down and pair.psync and pair.session is None:
                self._look_at_answer(pair, data)
            way.hold(data, now + self._delay)

    def _look_at_answer(self, pair, data):
        """Newlines may come before it."""
        pair.answer = (pair.answer + data).lstrip(b"\n")[:REPLY_LINE_MAX]
        for session in (FULL, CONTINUED):
            if pair.answer.startswith(session.encode()):
                pair.session = session
                self.sessions.append(session)
                if self._plan and self._plan[0].session == session:
                    pair.cut = self._plan.popleft()

    def _write(self, pair, way, now):
        """Passes on what may leave. True: the place of its cut is reached."""
        while way.due(now):
            due, data = way.held[0]
            limit = len(data)
            if way is pair.down:
                limit = min(limit, self._allowed(now))
                if pair.cut:
                    limit = min(limit, pair.cut.at - pair.passed)
                    if pair.passed >= pair.cut.at:
                        return True
            if limit <= 0:
                return False
            try:
                sent = way.sink.send(data[:limit])
            except BlockingIOError:
                return False
            way.held_bytes -= sent
            if sent == len(data):
                way.held.popleft()
            else:
                way.held[0] = (due, data[sent:])
            if way is pair.down:
                self.bytes_down += sent
                self._tokens -= sent
                if pair.session:
                    pair.passed += sent
        return bool(way is pair.down and pair.cut and pair.passed >= pair.cut.at)

    def _allowed(self, now):
        """What the throttle lets pass now, in bytes."""
        if not self._rate:
            return CHUNK_BYTES
        self._tokens = min(self._tokens + (now - self._tokens_at) * self._rate, self._rate / 10 + 1)
        self._tokens_at = now
        return int(self._tokens)

    def _want(self):
        """What each socket is waited for."""
        for pair in self._pairs:
            for here, there in ((pair.up, pair.down), (pair.down, pair.up)):
                if here.source is pair.gone:
                    continue
                events = 0
                if not self._stalled and not here.ended and here.held_bytes < HELD_BYTES:
                    events |= selectors.EVENT_READ
                # With a delay or a rate the clock decides, not the socket.
                if not self._stalled and there.held and not self._delay and not self._rate:
                    events |= selectors.EVENT_WRITE
                self._watch(here.source, events)

    def _watch(self, sock, events):
        try:
            if not events:
                self._selector.unregister(sock)
            else:
                self._selector.modify(sock, events)
        except KeyError:
            if events:
                self._selector.register(sock, events)
