"""A fast writer: writes of all types at a high steady rate, from one thread and one connection, at little cost of its own.

    with Flood(server, rate=20000) as flood:
        begun = flood.mark()
        ...
        rate = flood.rate_since(begun)      # writes a second that the server says to have executed

What it sends is encoded once and sent again and again, in batches. The writes are of such a kind that values neither grow without end nor stay the same. Load (load.py) checks each answer and knows clusters; this one is for when it is too slow.
"""

import random
import threading
import time

from . import wire
from .deployment import Deployment

BATCH = 100           # commands
BATCHES = 300
AT_ONCE = 20          # batches that are sent together, where it is behind
# The writes that are sent; each is one write, whatever it finds.
COMMANDS = ("set", "append", "incr", "hset", "hincrby", "hdel", "rpush", "ltrim", "lset", "sadd", "srem", "zadd", "zincrby", "zremrangebyrank", "xadd", "pexpire",
            "persist", "del")


class Flood:
    """The writer: a thread.

    server   a bench server (no cluster)
    rate     writes a second; what the server could not take is not made up for
    keys     of each type"""

    def __init__(self, server, rate=20000, keys=2000, seed=1):
        self.errors = []
        self._server = server
        self._rate = rate
        self._rng = random.Random(seed)
        self._keys = keys
        self._batches = [b"".join(self._commands(BATCH)) for _ in range(BATCHES)]
        self._connection = wire.Connection(Deployment.of(server).nodes[0].address)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flood", daemon=True)
        self._problem = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Returns when every write that was sent is answered."""
        self._stopping.set()
        self._thread.join(60)
        self._connection.close()
        if self._problem:
            raise self._problem

    def mark(self):
        """For rate_since()."""
        stats = self._server.client().info("commandstats")
        return time.monotonic(), sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in COMMANDS)

    def rate_since(self, mark):
        moment, calls = self.mark()
        return (calls - mark[1]) / (moment - mark[0])

    def _commands(self, count):
        made = []
        while len(made) < count:
            made += [wire.encode(*words) for words in self._unit()]
        return made[:count]

    def _unit(self):
        """Writes to one key, of one type."""
        kind = self._rng.choice(("string", "counter", "hash", "list", "set", "zset", "stream", "short"))
        key = f"f:{kind}:{self._rng.randrange(self._keys)}"
        number, text = self._rng.randrange(40), f"{self._rng.getrandbits(64):x}"
        return {
            "string": lambda: [("SET", key, text), ("APPEND", key, "+")],
            "counter": lambda: [("INCR", key)],
            "hash": lambda: [("HSET", key, f"f{number}", text), ("HINCRBY", key, "n", number), ("HDEL", key, f"f{(number + 7) % 40}")],
            "list": lambda: [("RPUSH", key, text), ("LTRIM", key, -40, -1), ("LSET", key, -1, text)],
            "set": lambda: [("SADD", key, number, text[:1]), ("SREM", key, (number + 7) % 40)],
            "zset": lambda: [("ZADD", key, number, text[:2]), ("ZINCRBY", key, 1, text[:2]), ("ZREMRANGEBYRANK", key, 40, -1)],
            "stream": lambda: [("XADD", key, "MAXLEN", 40, "*", "f", text)],
            "short": lambda: [("SET", key, text), ("PEXPIRE", key, 3600000 + number), *([("PERSIST", key)] if number % 3 == 0 else [("DEL", key)] if number % 3 == 1 else [])],
        }[kind]()

    def _run(self):
        try:
            self._write()
        except BaseException as problem:  # pylint: disable=broad-except
            self._problem = problem

    def _write(self):
        begun, sent = time.monotonic(), 0
        while not self._stopping.is_set():
            due = int((time.monotonic() - begun) * self._rate / BATCH) - sent
            if due <= 0:
                self._stopping.wait(0.002)
                continue
            if due > AT_ONCE:
                begun += (due - AT_ONCE) * BATCH / self._rate
            count = min(due, AT_ONCE)
            self._connection.send_batch(b"".join(self._batches[number % BATCHES] for number in range(sent, sent + count)))
            self._take_answers(self._connection.receive_batch())
            sent += count

    def _take_answers(self, answers):
        # Values are hexadecimal and ids of streams: a line that begins so is an error.
        for line in answers.split(b"\r\n") if b"\r\n-" in answers or answers.startswith(b"-") else ():
            if line.startswith(b"-"):
                self.errors.append(line.decode())
