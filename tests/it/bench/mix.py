"""The commands that the running writer draws from (see load.py, which says what the modes mean)."""

import time

from . import ledger as ledgers
from . import wire

LONG_MS = 10 * 365 * 86400 * 1000   # expiries are far away: nothing expires during a test
# Commands that not all versions have; units without them are drawn where they are missing.
LEDGER_SHARE = 0.15                 # of all units, with a ledger
FEATURES = ("XADD", "ZPOPMIN", "HPEXPIREAT", "LMOVE", "COPY", "UNLINK")


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

    def __init__(self, rng, features, mode, prefix, keys, databases, ledger=None):
        self.rng = rng
        self.features = features
        self.prefix = prefix
        self.databases = databases
        self.tags = max(1, keys // 50)
        self.makers = {"all": self.ALL, "safe": self.SAFE, "lasting": self.LASTING}[mode]
        self.mode = mode
        self._tag = 0
        self._ledger = ledger
        self._entries = 0

    def unit(self):
        """The next unit."""
        rng = self.rng
        self._tag = int(rng.random() * self.tags)
        # One in twenty is a transaction of several; never in safe mode, where a lost EXEC would be sent again.
        several = self.mode == "all" and rng.random() < 0.05
        commands = []
        if self._ledger is not None and rng.random() < LEDGER_SHARE:
            self._entries += 1
            commands = ledgers.entry(rng, self.prefix, self._tag, b"%b.%d" % (self._ledger, self._entries), all_books=several)
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

    LASTING = (set, set, set_with_expiry, mset, hset, hset, hdel, sadd, sadd, srem, zadd, zadd, zrem, pexpireat, persist)
    SAFE = LASTING + (delete,)

    # -- what may not -----------------------------------------------------------------------------------------------

    def strings(self):
        key = self.key(b"s")
        return [self.rng.choice(((b"APPEND", key, self.member()), (b"SETRANGE", key, int(self.rng.random() * 50), b"range"),
                                 (b"SETNX", key, self.value()), (b"GETSET", key, self.value()),
                                 (b"SETEX", key, LONG_MS // 1000, self.value())))]

    def counters(self):
        key = self.key(b"n")
        return [self.rng.choice(((b"INCR", key), (b"DECRBY", key, 7), (b"INCRBY", key, self.number()),
                                 (b"INCRBYFLOAT", self.key(b"f"), self.score())))]

    def bits(self):
        key, offset = self.key(b"b"), int(self.rng.random() * 500)
        return [self.rng.choice(((b"SETBIT", key, offset, offset & 1), (b"BITFIELD", key, b"INCRBY", b"u8", offset, 3),
                                 (b"BITOP", b"XOR", key, self.key(b"b"), self.key(b"b")),
                                 (b"PFADD", self.key(b"p"), self.member())))]

    def lists(self):
        key = self.key(b"l")
        choices = [(b"LPUSH", key, self.member(), self.value()), (b"RPUSH", key, self.value(), self.member()),
                   (b"LPUSH", key, self.member()), (b"RPUSHX", key, self.value()), (b"LPOP", key), (b"RPOP", key),
                   (b"LREM", key, 1, self.member()), (b"LTRIM", key, 0, 40),
                   (b"LINSERT", key, b"BEFORE", self.member(), b"inserted"), (b"RPOPLPUSH", key, self.key(b"l"))]
        if self.features["LMOVE"]:
            choices.append((b"LMOVE", key, self.key(b"l"), b"LEFT", b"RIGHT"))
        return [self.rng.choice(choices)]

    def sets(self):
        key = self.key(b"e")
        return [self.rng.choice(((b"SPOP", key), (b"SMOVE", key, self.key(b"e"), self.member()),
                                 (b"SUNIONSTORE", key, self.key(b"e"), self.key(b"e")),
                                 (b"SDIFFSTORE", self.key(b"e"), key, self.key(b"e")), (b"SADD", self.key(b"i"), self.number())))]

    def hashes(self):
        key = self.key(b"h")
        choices = [(b"HINCRBY", key, b"counter", 3), (b"HINCRBYFLOAT", key, b"float", self.score()),
                   (b"HSETNX", key, self.member(), self.value())]
        if self.features["HPEXPIREAT"]:
            choices.append((b"HPEXPIREAT", key, self.far(), b"FIELDS", 1, self.member()))
        return [self.rng.choice(choices)]

    def sorted_sets(self):
        key = self.key(b"z")
        choices = [(b"ZINCRBY", key, self.score(), self.member()), (b"ZADD", key, b"NX", self.score(), self.member()),
                   (b"ZADD", key, b"XX", b"INCR", self.score(), self.member()), (b"ZREMRANGEBYRANK", key, 20, -1),
                   (b"ZUNIONSTORE", self.key(b"z"), 2, key, self.key(b"z")),
                   (b"GEOADD", self.key(b"g"), self.number(), 45, self.member())]
        if self.features["ZPOPMIN"]:
            choices.append((b"ZPOPMIN", key))
        return [self.rng.choice(choices)]

    def streams(self):
        if not self.features["XADD"]:
            return self.lists()
        key, consumer = self.key(b"x", 2), b"c%d" % int(self.rng.random() * 3)
        return [self.rng.choice(((b"XADD", key, b"*", b"f", self.value(), b"n", self.number()),
                                 (b"XADD", key, b"MAXLEN", b"~", 100, b"*", b"f", b"v"),
                                 (b"XGROUP", b"CREATE", key, b"g", b"0", b"MKSTREAM"),
                                 (b"XREADGROUP", b"GROUP", b"g", consumer, b"COUNT", 2, b"STREAMS", key, b">"),
                                 (b"XTRIM", key, b"MAXLEN", 50), self._script(self.ACKNOWLEDGE, key)))]

    def keys(self):
        kind = self.rng.choice((b"s", b"l", b"e", b"h", b"z"))
        choices = [self._script(self.RENAME, self.key(kind), self.key(kind)), (b"EXPIRE", self.any_key(), LONG_MS // 1000),
                   (b"PEXPIRE", self.any_key(), LONG_MS), (b"UNLINK" if self.features["UNLINK"] else b"DEL", self.any_key()),
                   (b"SORT", self.key(b"i"), b"STORE", self.key(b"l"))]
        if self.features["COPY"]:
            choices += [(b"COPY", *self.two_keys(kind), b"REPLACE"), (b"GETDEL", self.key(b"s")),
                        (b"GETEX", self.key(b"s"), b"PX", LONG_MS)]   # all of 6.2
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

    ALL = SAFE + (strings, strings, counters, counters, bits, lists, lists, lists, sets, sets, hashes, hashes,
                  sorted_sets, sorted_sets, streams, streams, streams, keys, keys, scripts)
