"""A running writer: a mix of write commands of all types at a steady rate, through redirections, failovers and restarts.

    load = Load(cluster, rate=2000).start()
    ...
    load.stop()        # returns when every command it has sent is answered
    load.counters      # what happened

    python3 tests/it/bench/load.py --address host:port --rate N --seconds N       (or until SIGTERM)

Modes:
- "all": everything that writes, including what must not be applied twice: counters, pushes and pops, transactions,
  scripts, renames. A command whose answer was lost with its connection is not sent again.
- "safe": only commands of which any part of the sequence may be applied again, provided the rest follows: the end is the
  same. For that each key keeps its type, and a collection always has its first element, so that removing another one
  never removes the key and with it its expiry. A command whose answer was lost is sent again.

The commands of a unit that belong together (a transaction) go to one slot: keys are <prefix>{<tag>}:<type>:<number>, and
a unit draws its keys from one tag.
"""

import argparse
import collections
import pathlib
import random
import signal
import sys
import threading
import time

if not __package__:
    # Run as a program: be the same package as when imported by a test.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    __package__ = "bench"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from . import wire  # noqa: E402
from .data import features_of  # noqa: E402
from .deployment import Deployment  # noqa: E402

TICK_SECONDS = 0.01
BATCH_UNITS = 500           # the most that one tick makes
WAITING_UNITS = 2000        # units that could not be delivered; no new ones are made beyond
RETRY_SECONDS = 0.1         # between attempts to reach a node again
ANSWER_SECONDS = 5          # a node that takes longer counts as gone
LONG_MS = 10 * 365 * 86400 * 1000   # expiries are far away: nothing expires during a test
# The cluster's ways of saying "not now" or "not here".
LATER = ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "ASK", "MOVED", "NOREPLICAS", "MISCONF")
# Answers that only say that the key was not there any more.
HARMLESS = ("BUSYGROUP", "NOGROUP")


class Unit:
    """Commands that are sent together to one slot of one database."""

    __slots__ = ("key", "database", "request", "answers", "transaction")

    def __init__(self, key, database, commands, transaction):
        self.key = key
        self.database = database
        self.transaction = transaction
        if transaction:
            commands = [(b"MULTI",), *commands, (b"EXEC",)]
        self.request = b"".join([wire.encode(*command) for command in commands])
        self.answers = len(commands)


class Mix:
    """Draws units of commands."""

    def __init__(self, rng, features, mode, prefix, keys, databases):
        self.rng = rng
        self.features = features
        self.prefix = prefix
        self.databases = databases
        self.tags = max(1, keys // 50)
        self.makers = self.SAFE if mode == "safe" else self.ALL
        self.mode = mode
        self._tag = 0

    def unit(self):
        """The next unit."""
        rng = self.rng
        self._tag = int(rng.random() * self.tags)
        # One in twenty is a transaction of several; never in safe mode, where a lost EXEC would be sent again.
        several = self.mode == "all" and rng.random() < 0.05
        commands = []
        while not commands or (several and len(commands) < 4):
            commands += rng.choice(self.makers)(self)
        database = self.databases[int(rng.random() * len(self.databases))] if len(self.databases) > 1 else self.databases[0]
        return Unit(b"{%d}" % self._tag, database, commands, several)

    # -- names and values -------------------------------------------------------------------------------------------

    def key(self, kind, numbers=5):
        return b"%b{%d}:%b:%d" % (self.prefix, self._tag, kind, int(self.rng.random() * numbers))

    def two_keys(self, kind, numbers=5):
        """Two different ones."""
        return [b"%b{%d}:%b:%d" % (self.prefix, self._tag, kind, number) for number in self.rng.sample(range(numbers), 2)]

    def any_key(self):
        return self.key(self.rng.choice((b"s", b"n", b"l", b"e", b"h", b"z", b"x", b"b")))

    def member(self):
        return b"m%d" % int(self.rng.random() * 30)

    def value(self):
        size = int(self.rng.random() * 40) if self.rng.random() < 0.95 else 3000
        return self.rng.randbytes(size // 2) + b"v" * (size // 2)

    def number(self):
        return int(self.rng.random() * 200) - 100

    def score(self):
        return repr(self.rng.uniform(-1000, 1000))

    @staticmethod
    def far():
        return int(time.time() * 1000) + LONG_MS

    # -- what may be repeated ---------------------------------------------------------------------------------------

    def set(self):
        return [(b"SET", self.key(b"s"), self.value())]

    def set_with_expiry(self):
        return [(b"SET", self.key(b"s"), self.value(), b"PX", LONG_MS)]

    def mset(self):
        return [(b"MSET", self.key(b"s"), self.value(), self.key(b"s"), self.value())]

    def hset(self):
        return [(b"HMSET", self.key(b"h"), b"first", 1, self.member(), self.value())]

    def hdel(self):
        return [(b"HDEL", self.key(b"h"), self.member())]

    def sadd(self):
        return [(b"SADD", self.key(b"e"), b"first", self.member(), self.member())]

    def srem(self):
        return [(b"SREM", self.key(b"e"), self.member())]

    def zadd(self):
        return [(b"ZADD", self.key(b"z"), 0, b"first", self.score(), self.member())]

    def zrem(self):
        return [(b"ZREM", self.key(b"z"), self.member())]

    def pexpireat(self):
        return [(b"PEXPIREAT", self.any_key(), self.far())]

    def persist(self):
        return [(b"PERSIST", self.any_key())]

    def delete(self):
        return [(b"DEL", self.any_key())]

    SAFE = (set, set, set_with_expiry, mset, hset, hset, hdel, sadd, sadd, srem, zadd, zadd, zrem, pexpireat, persist, delete)

    # -- what may not -----------------------------------------------------------------------------------------------

    def strings(self):
        key = self.key(b"s")
        return [self.rng.choice(((b"APPEND", key, self.member()), (b"SETRANGE", key, int(self.rng.random() * 50), b"range"),
                                 (b"SETNX", key, self.value()), (b"GETSET", key, self.value()),
                                 (b"SETEX", key, LONG_MS // 1000, self.value())))]

    def counters(self):
        key = self.key(b"n")
        return [self.rng.choice(((b"INCR", key), (b"DECRBY", key, 7), (b"INCRBY", key, self.number()), (b"INCRBYFLOAT", self.key(b"f"), self.score())))]

    def bits(self):
        key, offset = self.key(b"b"), int(self.rng.random() * 500)
        return [self.rng.choice(((b"SETBIT", key, offset, offset & 1), (b"BITFIELD", key, b"INCRBY", b"u8", offset, 3),
                                 (b"BITOP", b"XOR", key, self.key(b"b"), self.key(b"b")), (b"PFADD", self.key(b"p"), self.member())))]

    def lists(self):
        key = self.key(b"l")
        choices = [(b"LPUSH", key, self.member(), self.value()), (b"RPUSH", key, self.value(), self.member()), (b"LPUSH", key, self.member()),
                   (b"LPOP", key), (b"RPOP", key), (b"LREM", key, 1, self.member()), (b"LTRIM", key, 0, 40), (b"RPUSHX", key, self.value()),
                   (b"LINSERT", key, b"BEFORE", self.member(), b"inserted"), (b"RPOPLPUSH", key, self.key(b"l"))]
        if self.features["LMOVE"]:
            choices.append((b"LMOVE", key, self.key(b"l"), b"LEFT", b"RIGHT"))
        return [self.rng.choice(choices)]

    def sets(self):
        key = self.key(b"e")
        return [self.rng.choice(((b"SPOP", key), (b"SMOVE", key, self.key(b"e"), self.member()), (b"SUNIONSTORE", key, self.key(b"e"), self.key(b"e")),
                                 (b"SDIFFSTORE", self.key(b"e"), key, self.key(b"e")), (b"SADD", self.key(b"i"), self.number())))]

    def hashes(self):
        key = self.key(b"h")
        choices = [(b"HINCRBY", key, b"counter", 3), (b"HINCRBYFLOAT", key, b"float", self.score()), (b"HSETNX", key, self.member(), self.value())]
        if self.features["HPEXPIREAT"]:
            choices.append((b"HPEXPIREAT", key, self.far(), b"FIELDS", 1, self.member()))
        return [self.rng.choice(choices)]

    def sorted_sets(self):
        key = self.key(b"z")
        return [self.rng.choice(((b"ZINCRBY", key, self.score(), self.member()), (b"ZADD", key, b"NX", self.score(), self.member()),
                                 (b"ZADD", key, b"XX", b"INCR", self.score(), self.member()), (b"ZREMRANGEBYRANK", key, 20, -1),
                                 (b"ZUNIONSTORE", self.key(b"z"), 2, key, self.key(b"z")), (b"GEOADD", self.key(b"g"), self.number(), 45, self.member()))),
                *([(b"ZPOPMIN", key)] if self.features["XADD"] and self.rng.random() < 0.2 else [])]

    def streams(self):
        if not self.features["XADD"]:
            return self.lists()
        key, consumer = self.key(b"x", 2), b"c%d" % int(self.rng.random() * 3)
        return self.rng.choice(([(b"XADD", key, b"*", b"f", self.value(), b"n", self.number())], [(b"XADD", key, b"MAXLEN", b"~", 100, b"*", b"f", b"v")],
                                [(b"XGROUP", b"CREATE", key, b"g", b"0", b"MKSTREAM")],
                                [(b"XREADGROUP", b"GROUP", b"g", consumer, b"COUNT", 2, b"STREAMS", key, b">")],
                                [(b"XTRIM", key, b"MAXLEN", 50)], [self._script(self.ACKNOWLEDGE, key)]))

    def keys(self):
        kind = self.rng.choice((b"s", b"l", b"e", b"h", b"z"))
        choices = [self._script(self.RENAME, self.key(kind), self.key(kind)), (b"EXPIRE", self.any_key(), LONG_MS // 1000),
                   (b"PEXPIRE", self.any_key(), LONG_MS), (b"UNLINK" if self.features["UNLINK"] else b"DEL", self.any_key()),
                   (b"SORT", self.key(b"i"), b"STORE", self.key(b"l"))]
        if self.features["COPY"]:
            choices += [(b"COPY", *self.two_keys(kind), b"REPLACE"), (b"GETDEL", self.key(b"s")), (b"GETEX", self.key(b"s"), b"PX", LONG_MS)]
        return [self.rng.choice(choices)]

    def scripts(self):
        return [self._script(self.SEVERAL, self.key(b"n"), self.key(b"l"), self.key(b"h"))]

    # RENAME of a missing key is an error, so it is asked first. The types of both names are the same.
    RENAME = b"if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('RENAME', KEYS[1], KEYS[2]) end"
    SEVERAL = (b"local n = redis.call('INCR', KEYS[1]) redis.call('RPUSH', KEYS[2], n) "
               b"redis.call('HSET', KEYS[3], 'from script', n) return n")
    # Entries are acknowledged and deleted by what is there: the oldest.
    ACKNOWLEDGE = (b"local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1] if not first then return end "
                   b"redis.call('XACK', KEYS[1], 'g', first[1]) return redis.call('XDEL', KEYS[1], first[1])")

    @staticmethod
    def _script(text, *keys):
        return (b"EVAL", text, len(keys), *keys)

    ALL = SAFE + (strings, strings, counters, counters, bits, lists, lists, lists, sets, sets, hashes, hashes, sorted_sets, sorted_sets,
                  streams, streams, streams, keys, keys, scripts)


class Load:
    """The writer: a thread.

    deployment   anything Deployment.of() takes
    rate         units a second (a transaction is one unit)
    mode         "all" or "safe", see above
    keys         about how many keys it uses
    databases    drawn from at random; (0,) for a cluster"""

    def __init__(self, deployment, rate=1000, mode="all", *, seed=1, keys=2000, databases=(0,), prefix=b"w:", tls=None):
        if mode not in ("all", "safe"):
            raise ValueError(f"no such mode: {mode}")
        self.counters = collections.Counter()   # units: made, acknowledged, unknown, redirected, delayed; reconnects; "error <code>"
        self.rate = rate
        self._mode = mode
        self._deployment = Deployment.of(deployment, tls)
        self._mix = Mix(random.Random(seed), self._features(), mode, prefix, keys, list(databases))
        self._waiting = collections.deque()     # units to be sent (again)
        self._asking = {}                       # unit -> node to ask, for the next attempt only
        self._retry_at = 0.0
        self._connections = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._problem = None
        self._give_up_at = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def acknowledged(self):
        """How many units have been answered."""
        return self.counters["acknowledged"]

    @property
    def errors(self):
        """{code: count} of error replies that say something is wrong with a command or the server."""
        return {name.split(" ", 1)[1]: count for name, count in self.counters.items() if name.startswith("error ")}

    def start(self):
        """Begins to write. Returns itself."""
        self._thread.start()
        return self

    def stop(self, timeout=60):
        """Ends the writing; returns the counters once every unit that was made is answered (or, in mode "all", lost with
        its connection and counted as unknown). TimeoutError when that takes too long. May be called twice."""
        self._give_up_at = time.monotonic() + timeout
        self._stopping.set()
        self._thread.join(timeout + 2 * ANSWER_SECONDS)
        if self._problem:
            raise self._problem
        if self._thread.is_alive() or self._waiting:
            raise TimeoutError(f"{len(self._waiting)} units could not be delivered in {timeout} s; {dict(self.counters)}")
        return self.counters

    def summary(self):
        return ", ".join(f"{count} {name}" for name, count in sorted(self.counters.items()))

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self):
        try:
            begun, made = time.monotonic(), 0
            while not self._stopping.is_set():
                due = int((time.monotonic() - begun) * self.rate) - made
                for _ in range(min(due, BATCH_UNITS, WAITING_UNITS - len(self._waiting))):
                    self._waiting.append(self._mix.unit())
                    self.counters["made"] += 1
                # What the deployment could not take is not made up for later.
                made += max(due, 0)
                self._deliver()
                self._stopping.wait(TICK_SECONDS)
            while self._waiting and time.monotonic() < self._give_up_at:
                self._deliver()
                if self._waiting:
                    time.sleep(TICK_SECONDS)
        except BaseException as problem:  # pylint: disable=broad-except
            self._problem = problem
        finally:
            self._forget_connections()
            self._deployment.close()

    def _deliver(self):
        """One attempt to send everything that waits. What is not answered as it should be waits on."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        groups = collections.defaultdict(list)
        for unit in self._waiting:
            groups[self._asking.get(unit) or self._address_for(unit)].append(unit)
        self._waiting.clear()
        under_way = []
        for address, units in groups.items():
            try:
                connection = self._connection(address)
                request, leading = self._request(connection, units)
                connection.send_batch(request)
                under_way.append((address, connection, units, leading))
            except (OSError, wire.ReplyError):
                self._lost(address, units)
        for address, connection, units, leading in under_way:
            try:
                self._settle(units, leading, wire.parse_replies(connection.receive_batch()))
            except OSError:
                self._lost(address, units)
        if self._waiting:
            self._refresh()

    def _address_for(self, unit):
        node = self._deployment.node_of(unit.key)
        if node is None and not self._deployment.cluster:
            node = self._deployment.nodes[wire.slot_of(unit.key) % len(self._deployment.nodes)]
        return node.address if node else None

    def _request(self, connection, units):
        """The bytes to send, and how many commands precede each unit's own: SELECT, ASKING."""
        parts, leading = [], []
        for unit in units:
            preceding = []
            if unit.database != connection.database:
                preceding.append(wire.encode(b"SELECT", unit.database))
                connection.database = unit.database
            if self._asking.pop(unit, None):
                preceding.append(wire.encode(b"ASKING"))
            parts += [*preceding, unit.request]
            leading.append(len(preceding))
        return b"".join(parts), leading

    def _settle(self, units, leading, replies):
        at = 0
        for unit, preceding in zip(units, leading):
            at += preceding
            self._settle_unit(unit, replies[at:at + unit.answers])
            at += unit.answers

    def _settle_unit(self, unit, replies):
        if unit.transaction and isinstance(replies[-1], list):
            replies = replies[-1]
        errors = [reply for reply in replies if isinstance(reply, wire.ReplyError)]
        later = [error for error in errors if error.code in LATER]
        if later:
            self._waiting.append(unit)
            self.counters["redirected" if later[0].code in ("MOVED", "ASK") else "delayed"] += 1
            # A transaction cannot be asked for: ASKING holds for one command. It waits until its slot has moved.
            if later[0].code == "ASK" and unit.answers == 1:
                self._asking[unit] = self._address_in(later[0])
            return
        for error in errors:
            self.counters[f"{'harmless' if error.code in HARMLESS else 'error'} {error.code}"] += 1
        self.counters["acknowledged"] += 1

    def _address_in(self, error):
        """The node that "ASK <slot> <host>:<port>" names."""
        host, _, port = str(error).split()[2].rpartition(":")
        seed = self._deployment.nodes[0].address
        return seed.at(host or seed.host, int(port))

    def _lost(self, address, units):
        """The connection broke: nobody knows which of these were executed."""
        connection = self._connections.pop(address, None)
        if connection:
            connection.close()
        self.counters["reconnects"] += 1
        for unit in units:
            self._asking.pop(unit, None)
            if self._mode == "all" and connection:
                self.counters["unknown"] += 1
            else:
                self._waiting.append(unit)
        self._retry_at = time.monotonic() + RETRY_SECONDS

    def _connection(self, address):
        if address is None:
            raise ConnectionError("nobody owns the slot at the moment")
        if address not in self._connections:
            self._connections[address] = wire.Connection(address, ANSWER_SECONDS)
        return self._connections[address]

    def _refresh(self):
        if self._deployment.cluster:
            try:
                self._deployment.refresh()
            except (OSError, wire.ReplyError):
                self._retry_at = time.monotonic() + RETRY_SECONDS

    def _forget_connections(self):
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _features(self):
        features = features_of(self._deployment)
        for name in ("LMOVE", "COPY", "UNLINK"):
            features[name] = all(node.has_command(name) for node in self._deployment.nodes)
        return features


def _arguments():
    parser = argparse.ArgumentParser(description="Write to a Redis or Valkey deployment at a steady rate.")
    parser.add_argument("--address", required=True, help="host:port, or redis[s]://[user:password@]host:port; of a cluster any node")
    parser.add_argument("--rate", type=int, default=1000, help="units of commands a second (1000)")
    parser.add_argument("--seconds", type=float, help="default: until SIGTERM or SIGINT")
    parser.add_argument("--mode", choices=("all", "safe"), default="all", help="safe: only commands that may be applied twice (all)")
    parser.add_argument("--keys", type=int, default=2000, help="about how many keys to use (2000)")
    parser.add_argument("--databases", default="0", help="numbers separated by commas (0)")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main():
    """The program. Returns its exit code."""
    arguments = _arguments()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        load = Load(arguments.address, arguments.rate, arguments.mode, seed=arguments.seed, keys=arguments.keys,
                    databases=[int(number) for number in arguments.databases.split(",")]).start()
        ended.wait(arguments.seconds)
        load.stop()
    except (OSError, ValueError, wire.ReplyError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    print(load.summary())
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
