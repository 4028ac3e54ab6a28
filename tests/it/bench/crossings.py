"""Commands of many keys without hash tags: what a standalone server executes and no slot of a cluster can hold."""

import random
import time

KEYS = 25      # names of each type
LONG_MS = 10 * 365 * 86400 * 1000   # expiries are far away: nothing expires during a test
WORDS = [b"%d" % number for number in range(40)]


class Crossings:
    """Draws commands; those that fail at the source (another type, a missing key) fail for everybody.

    features   functions of the version: at_least
    replayed   only what may be applied again: no list moves"""

    def __init__(self, version, seed=1, replayed=False, scripts=False):
        self.rng = random.Random(seed)
        makers = [self.strings, self.strings, self.sets, self.sets, self.sorted_sets, self.sorted_sets, self.bits, self.loglogs,
                  self.places, self.generic, self.generic, self.sorting, self.write, self.write, self.write]
        if not replayed:
            makers.append(self.lists)
        if scripts:
            makers.append(self.scripts)
        self.makers = makers
        self.newer = version.at_least(6, 2)
        self.replayed = replayed

    def key(self, kind):
        return b"%b:%d" % (kind, self.rng.randrange(KEYS))

    def keys(self, kind, least=1, most=4):
        return [self.key(kind) for _ in range(self.rng.randint(least, most))]

    def any_kind(self):
        return self.rng.choice((b"string", b"set", b"zset", b"list", b"hash", b"bits", b"hll", b"geo", b"stream"))

    def command(self):
        return self.rng.choice(self.makers)()

    def value(self):
        return self.rng.choice(WORDS) * self.rng.choice((1, 1, 3, 200))

    # -- single keys, so that there is something to work with ---------------------------------------------------------

    def write(self):
        rng = self.rng
        kind = self.any_kind()
        key = self.key(kind)
        words = rng.sample(WORDS, rng.randint(1, 8))
        made = {
            b"string": lambda: ("SET", key, self.value()),
            b"set": lambda: ("SADD", key, *words),
            b"zset": lambda: ("ZADD", key, *[part for word in words for part in (rng.randrange(100) / 4, word)]),
            b"list": lambda: ("DEL", key) if self.replayed else ("RPUSH", key, *words),
            b"hash": lambda: ("HSET", key, *[part for word in words for part in (word, self.value())]),
            b"bits": lambda: ("SETBIT", key, rng.randrange(3000), rng.randrange(2)),
            b"hll": lambda: ("PFADD", key, *words),
            b"geo": lambda: ("GEOADD", key, *[part for word in words for part in (rng.random() * 10, rng.random() * 10, word)]),
            b"stream": lambda: ("DEL", key) if self.replayed else ("XADD", key, "*", "field", self.value()),
        }
        if rng.random() < 0.2:
            return ("PEXPIREAT", key, int(time.time() * 1000) + LONG_MS + rng.randrange(10 ** 9))
        return made[kind]()

    # -- several keys ---------------------------------------------------------------------------------------------------

    def strings(self):
        names = self.keys(b"string", 2, 6)
        pairs = [part for name in names for part in (name, self.value())]
        if self.rng.random() < 0.5:
            return ("MSETNX", *[part for name in names for part in (name + b":new%d" % self.rng.randrange(10), self.value())])
        return ("MSET", *pairs)

    def sets(self):
        if self.rng.random() < 0.3:
            return ("SMOVE", self.key(b"set"), self.key(b"set"), self.rng.choice(WORDS))
        name = self.rng.choice(("SUNIONSTORE", "SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"))
        return (name, self.key(b"set"), *self.keys(b"set"))

    def sorted_sets(self):
        rng = self.rng
        draw = rng.random()
        if self.newer and draw < 0.2:
            return ("ZRANGESTORE", self.key(b"zset"), self.key(b"zset"), rng.randrange(3), rng.randrange(-2, 9))
        if self.newer and draw < 0.3:
            names = self.keys(b"zset")
            return ("ZDIFFSTORE", self.key(b"zset"), len(names), *names)
        names = self.keys(b"zset") + ([self.key(b"set")] if rng.random() < 0.3 else [])
        command = (rng.choice(("ZUNIONSTORE", "ZUNIONSTORE", "ZINTERSTORE")), self.key(b"zset"), len(names), *names)
        if rng.random() < 0.5:
            command += ("WEIGHTS", *[rng.randrange(1, 4) for _ in names], "AGGREGATE", rng.choice(("SUM", "MIN", "MAX")))
        return command

    def bits(self):
        if self.rng.random() < 0.3:
            return ("BITOP", "NOT", self.key(b"bits"), self.key(b"bits"))
        return ("BITOP", self.rng.choice(("AND", "OR", "XOR")), self.key(b"bits"), *self.keys(b"bits"))

    def loglogs(self):
        return ("PFMERGE", self.key(b"hll"), *self.keys(b"hll"))

    def places(self):
        rng = self.rng
        kept = ["STOREDIST"] if rng.random() < 0.3 else []
        if self.newer and rng.random() < 0.5:
            return ("GEOSEARCHSTORE", self.key(b"geo"), self.key(b"geo"), "FROMLONLAT", 5, 5, "BYRADIUS", rng.randrange(100, 600), "km", *kept)
        return ("GEORADIUS", self.key(b"geo"), 5, 5, rng.randrange(100, 600), "km", kept[0] if kept else "STORE", self.key(b"geo"))

    def sorting(self):
        rng = self.rng
        kind = rng.choice((b"set", b"zset") if self.replayed else (b"set", b"zset", b"list"))
        order = rng.choice(((), ("DESC",), ("LIMIT", "1", "3"), ("ALPHA",)))
        return ("SORT", self.key(kind), *order, "STORE", self.key(b"list"))

    def lists(self):
        rng = self.rng
        if self.newer and rng.random() < 0.6:
            return ("LMOVE", self.key(b"list"), self.key(b"list"), rng.choice(("LEFT", "RIGHT")), rng.choice(("LEFT", "RIGHT")))
        return ("RPOPLPUSH", self.key(b"list"), self.key(b"list"))

    def generic(self):
        rng = self.rng
        kind = self.any_kind()
        other = self.any_kind() if rng.random() < 0.05 else kind
        draw = rng.random()
        if draw < 0.2:
            return (rng.choice(("DEL", "UNLINK")), *[self.key(self.any_kind()) for _ in range(rng.randint(2, 4))])
        if draw < 0.5 or not self.newer:
            return (rng.choice(("RENAME", "RENAME", "RENAMENX")), self.key(kind), self.key(other))
        return ("COPY", self.key(kind), self.key(other), *(("REPLACE",) if rng.random() < 0.7 else ()))

    def scripts(self):
        rng = self.rng
        code = rng.choice((
            "redis.call('SET',KEYS[2],redis.call('GET',KEYS[1]) or 'none') redis.call('DEL',KEYS[1])",
            "redis.call('SET',KEYS[1],ARGV[1]) redis.call('SET',KEYS[2],ARGV[1]) redis.call('PEXPIREAT',KEYS[2],ARGV[2])",
            "local a=redis.call('GET',KEYS[1]) redis.call('SET',KEYS[1],redis.call('GET',KEYS[2]) or 'x') if a then redis.call('SET',KEYS[2],a) end",
        ))
        return ("EVAL", code, 2, self.key(b"string"), self.key(b"string"), self.value(), int(time.time() * 1000) + LONG_MS)


def plain_client(server, database=0):
    """A client that gives answers as they come: redis-py would understand some of them, and stumble over GEORADIUS STORE."""
    client = server.client(db=database)
    client.response_callbacks.clear()
    return client


def run(server, crossings, count, transactions=0.15, batch=50):
    """Executes about `count` commands at a standalone server, some of them in transactions; returns how many succeeded."""
    client = plain_client(server)
    done = succeeded = 0
    while done < count:
        several = crossings.rng.random() < transactions
        size = crossings.rng.randint(2, 7) if several else batch
        with client.pipeline(transaction=several) as pipeline:
            for _ in range(size):
                pipeline.execute_command(*crossings.command())
            answers = pipeline.execute(raise_on_error=False)
        done += size
        succeeded += sum(not isinstance(answer, Exception) for answer in answers)
    client.close()
    return succeeded
