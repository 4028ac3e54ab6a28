"""Data sets for the scenario tests and the demo: every type in every encoding, the same for the same seed.

    python3 tests/it/bench/data.py --address host:port --keys 300000 [--seed N] [--databases 0,1]

Commands are made as RESP bytes and sent in large batches, to a cluster by slot. The makers below each produce the
commands of one key; the small ones are drawn at random, the large ones come at a fixed share, the special ones once for
each database. A key's name tells what it is: <prefix><maker>:<number>.
"""

import argparse
import collections
import pathlib
import random
import sys

if not __package__:
    # Run as a program: be the same package as when imported by a test.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    __package__ = "bench"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from . import wire  # noqa: E402
from .deployment import Opened  # noqa: E402

FLUSH_BYTES = 256 * 1024
FEATURES = ("XADD", "XAUTOCLAIM", "HPEXPIREAT", "FUNCTION")
LARGE_EVERY = 400         # one large key for so many small ones
TAG_EVERY = 10            # so many keys have a hash tag; a tag is shared by a few keys
TAGS = 1000
FIRST_EXPIRY_MS = 4102444800000   # 2100-01-01: fixed, so that a data set is the same at any time

WORDS = ("user", "order", "session", "cart", "item", "price", "state", "token", "a", "of", "count", "login", "europe", "blue")
LIBRARY = b"""#!lua name=bench
redis.register_function('bench_set', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name='bench_get', flags={'no-writes'}, callback=function(keys)
  return redis.call('GET', keys[1])
end}
"""


class Maker:
    """Makes keys with random contents. `features` says which commands the server knows."""

    def __init__(self, rng, features):
        self.rng = rng
        self.features = features
        self._noise = rng.randbytes(1 << 18)
        # Drawing from a prepared list is several times faster than making each word.
        self._words = [f"{rng.choice(WORDS)}:{rng.randrange(10**6)}".encode() for _ in range(4096)]

    def word(self):
        return self._words[int(self.rng.random() * 4096)]

    def words(self, count):
        at = int(self.rng.random() * (4096 - count))
        return self._words[at:at + count]

    def noise(self, size):
        at = int(self.rng.random() * (len(self._noise) - size))
        return self._noise[at:at + size]

    def number(self, bits):
        return self.rng.randrange(-(1 << (bits - 1)), 1 << (bits - 1))

    # Strings: the three encodings int, embstr (up to 44 bytes) and raw; text compresses, noise does not.

    def int8(self, key):
        return [(b"SET", key, self.number(8))]

    def int32(self, key):
        return [(b"SET", key, self.number(32))]

    def int64(self, key):
        return [(b"SET", key, self.number(64))]

    def short(self, key):
        return [(b"SET", key, self.word())]

    def text(self, key):
        return [(b"SET", key, b" ".join(self.words(12)))]

    def binary(self, key):
        return [(b"SET", key, self.noise(int(self.rng.random() * 200)))]

    def empty(self, key):
        return [(b"SET", key, b"")]

    def appended(self, key):
        return [(b"SET", key, self.word()), (b"APPEND", key, self.word())]

    def bitmap(self, key):
        return [(b"SETBIT", key, int(self.rng.random() * 2000), 1), (b"SETBIT", key, 7, 1)]

    def hyperloglog(self, key):
        return [(b"PFADD", key, *self.words(5))]

    # Small collections.

    def list(self, key):
        return [(b"RPUSH", key, *self.words(1 + int(self.rng.random() * 8)))]

    def list_of_numbers(self, key):
        return [(b"RPUSH", key, *(self.number(bits) for bits in (8, 13, 16, 24, 32, 64)), b"", b"-0", b"01")]

    def set(self, key):
        return [(b"SADD", key, *self.words(1 + int(self.rng.random() * 8)))]

    def intset(self, key):
        bits = self.rng.choice((8, 16, 32, 64))
        return [(b"SADD", key, *(self.number(bits) for _ in range(6)))]

    def hash(self, key):
        return [(b"HMSET", key, *self.words(2 * (1 + int(self.rng.random() * 5))))]

    def hash_with_field_expiry(self, key):
        commands = [(b"HMSET", key, b"f", self.word(), b"g", self.word(), b"h", b"")]
        expiry = FIRST_EXPIRY_MS + self.number(20)   # drawn in any case: what follows is the same on all versions
        if self.features["HPEXPIREAT"]:
            commands.append((b"HPEXPIREAT", key, expiry, b"FIELDS", 2, b"f", b"g"))
        return commands

    def zset(self, key):
        members = self.words(1 + int(self.rng.random() * 6))
        return [(b"ZADD", key, *(part for member in members for part in (repr(self.rng.uniform(-1e6, 1e6)), member)))]

    def zset_of_numbers(self, key):
        scores = (b"-inf", b"-1", b"-0", b"0", b"0.1", b"1e300", b"+inf")
        return [(b"ZADD", key, *(part for score in scores for part in (score, b"m" + score)))]

    def geo(self, key):
        return [(b"GEOADD", key, b"13.361389", b"38.115556", b"Palermo",
                 self.rng.uniform(-180, 180), self.rng.uniform(-80, 80), b"somewhere")]

    def stream(self, key):
        if not self.features["XADD"]:
            return self.list(key)
        return [(b"XADD", key, b"%d-1" % at, b"field", self.word(), b"n", at) for at in range(1, 4)]

    def stream_with_group(self, key):
        if not self.features["XADD"]:
            return self.hash(key)
        commands = [(b"XADD", key, b"%d-0" % at, b"f", self.word()) for at in range(1, 8)]
        commands += [(b"XGROUP", b"CREATE", key, b"group", b"0"),
                     (b"XREADGROUP", b"GROUP", b"group", b"one", b"COUNT", 3, b"STREAMS", key, b">"),
                     (b"XREADGROUP", b"GROUP", b"group", b"two", b"COUNT", 2, b"STREAMS", key, b">"),
                     (b"XACK", key, b"group", b"1-0"),
                     (b"XCLAIM", key, b"group", b"two", 0, b"2-0", b"RETRYCOUNT", 5),
                     (b"XDEL", key, b"3-0"),
                     (b"XGROUP", b"CREATE", key, b"\x00 group", b"$")]
        if self.features["XAUTOCLAIM"]:   # came together with XGROUP CREATECONSUMER
            commands.append((b"XGROUP", b"CREATECONSUMER", key, b"group", b"idle"))
        return commands

    # Large ones: past every limit of the compact encodings.

    def large_text(self, key):
        return [(b"SET", key, b" ".join(self.words(2000)))]

    def large_noise(self, key):
        return [(b"SET", key, self.noise(20000 + int(self.rng.random() * 80000)))]

    def large_list(self, key):
        return [(b"RPUSH", key, *self.words(1500)), (b"LPUSH", key, *(self.noise(100) for _ in range(100)), self.noise(20000))]

    def large_set(self, key):
        return [(b"SADD", key, *(b"member:%d" % at for at in range(1000)), self.noise(300))]

    def large_intset(self, key):
        return [(b"SADD", key, *(self.number(48) for _ in range(400)))]

    def large_hash(self, key):
        pairs = (part for at in range(700) for part in (b"field:%d" % at, self.word()))
        return [(b"HMSET", key, *pairs)]

    def hash_of_long_values(self, key):
        return [(b"HMSET", key, b"a", self.noise(100), self.noise(5000), b"", b"", self.noise(1))]

    def large_zset(self, key):
        pairs = (part for at in range(600) for part in (repr(self.rng.uniform(-1e9, 1e9)), b"member:%d" % at))
        return [(b"ZADD", key, *pairs)]

    def large_stream(self, key):
        if not self.features["XADD"]:
            return self.large_hash(key)
        commands = [(b"XADD", key, b"%d-%d" % (at // 3 + 1, at % 3), b"sensor", at % 7, b"reading", self.word())
                    for at in range(300)]
        commands += [(b"XGROUP", b"CREATE", key, b"readers", b"0"),
                     (b"XREADGROUP", b"GROUP", b"readers", b"reader", b"COUNT", 150, b"STREAMS", key, b">"),
                     (b"XACK", key, b"readers", *(b"%d-1" % at for at in range(1, 30))),
                     (b"XTRIM", key, b"MAXLEN", 250)]
        return commands

    def emptied_stream(self, key):
        if not self.features["XADD"]:
            return self.large_set(key)
        return [(b"XADD", key, b"5-5", b"a", b"b"), (b"XGROUP", b"CREATE", key, b"g", b"0"), (b"XDEL", key, b"5-5")]

    SMALL = (int8, int32, int64, short, short, short, text, text, binary, empty, appended, bitmap, hyperloglog, list,
             list_of_numbers, set, intset, hash, hash, hash_with_field_expiry, zset, zset_of_numbers, geo, stream,
             stream_with_group)
    LARGE = (large_text, large_noise, large_list, large_set, large_intset, large_hash, hash_of_long_values, large_zset,
             large_stream, emptied_stream)

    def special(self, prefix):
        """Keys with odd names, once for each database; the empty one has no prefix either."""
        for name in (b"\x00\r\n\xff{", b"*3\r\n$3\r\nSET\r\n", "käse".encode(), b"long:" + b"k" * 5000, b"{}a",
                     b"{}}", b"a{b}{c}", b" ", b"12345"):
            yield prefix + name, self.hash(prefix + name)
        yield b"", [(b"SET", b"", prefix + b"the empty key")]


def keys_of(count, seed, features, prefix=b"d:", expiring=0.2, database=0):
    """Yields (key, [commands]) for about `count` keys of one database: count small and large, and the special ones.

    features   from features_of(); the same seed and features give the same data
    expiring   share of the keys with an expiry (beyond the year 2100, at odd milliseconds)"""
    rng = random.Random(f"{seed}/{database}")
    maker = Maker(rng, features)
    small, large = Maker.SMALL, Maker.LARGE
    yield from maker.special(prefix)
    for number in range(count):
        if number % LARGE_EVERY == 0:
            make = large[number // LARGE_EVERY % len(large)]
        else:
            make = small[int(rng.random() * len(small))]
        name = make.__name__.encode()
        if number % TAG_EVERY:
            key = b"%b%b:%d" % (prefix, name, number)
        else:
            key = b"%b{tag%d}:%b:%d" % (prefix, rng.randrange(TAGS), name, number)
        commands = make(maker, key)
        if rng.random() < expiring:
            commands.append((b"PEXPIREAT", key, FIRST_EXPIRY_MS + number * 1009))
        yield key, commands


def features_of(*deployments):
    """What the makers need to know of the servers: {command: known to all masters of all these deployments}."""
    features = {}
    for spec in deployments:
        with Opened(spec) as deployment:
            for name in FEATURES:
                features[name] = features.get(name, True) and all(node.has_command(name) for node in deployment.nodes)
    return features


def fill(deployment, keys=1000, seed=1, databases=(0,), prefix=b"d:", expiring=0.2, functions=False, features=None):
    """Writes a data set; returns the number of keys per database as a Counter.

    deployment   anything Deployment.of() takes
    keys         per database, about: see keys_of()
    functions    load a function library too, where there are functions
    features     features_of() the deployments that are to get the same data; default: of this one"""
    with Opened(deployment) as opened:
        features = features or features_of(opened)
        written = collections.Counter()
        for database in databases:
            writer = _Writer(opened, database)
            for key, commands in keys_of(keys, seed, features, prefix, expiring, database):
                writer.write(key, commands)
                written[database] += 1
            writer.finish()
        if functions and features["FUNCTION"]:
            for node in opened.nodes:
                node.connection.call("FUNCTION", "LOAD", "REPLACE", LIBRARY)
        return written


class _Writer:
    """Sends commands to the masters they belong to. One batch is under way to each while the next is made."""

    def __init__(self, deployment, database):
        self._deployment = deployment
        self._batches = {node: bytearray() for node in deployment.nodes}
        self._under_way = set()
        for node in deployment.nodes:
            node.connection.select(database)

    def write(self, key, commands):
        # Of several standalone masters each gets its share of the slots, as a proxy in front of them would do it.
        nodes = self._deployment.nodes
        node = self._deployment.node_of(key) or nodes[wire.slot_of(key) % len(nodes)]
        batch = self._batches[node]
        for command in commands:
            batch += wire.encode(*command)
        if len(batch) >= FLUSH_BYTES:
            self._send(node)

    def finish(self):
        for node in self._batches:
            self._send(node)
            self._collect(node)

    def _send(self, node):
        self._collect(node)
        node.connection.send_batch(bytes(self._batches[node]))
        self._under_way.add(node)
        self._batches[node].clear()

    def _collect(self, node):
        if node not in self._under_way:
            return
        self._under_way.discard(node)
        replies = node.connection.receive_batch()
        # Cheap, and certain enough to look closer only then: every error reply begins a line with "-".
        if replies.startswith(b"-") or b"\r\n-" in replies:
            for reply in wire.parse_replies(replies):
                if isinstance(reply, wire.ReplyError):
                    raise reply


def _arguments():
    parser = argparse.ArgumentParser(description="Fill a Redis or Valkey deployment with a data set of every type.")
    parser.add_argument("--address", required=True, metavar="ADDRESS",
                        help="host:port, or redis[s]://[user:password@]host:port; of a cluster any node")
    parser.add_argument("--keys", type=int, default=10000, help="keys in each database (10000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--databases", default="0", help="numbers separated by commas (0)")
    parser.add_argument("--prefix", default="d:", help="what keys begin with (d:)")
    parser.add_argument("--functions", action="store_true", help="load a function library too")
    return parser.parse_args()


def main():
    """The program. Returns its exit code."""
    arguments = _arguments()
    try:
        databases = [int(number) for number in arguments.databases.split(",")]
        written = fill(arguments.address, arguments.keys, arguments.seed, databases, arguments.prefix.encode(),
                       functions=arguments.functions)
    except (OSError, ValueError, wire.ReplyError) as error:
        print(f"data: {error}", file=sys.stderr)
        return 1
    print(f"{sum(written.values())} keys written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
