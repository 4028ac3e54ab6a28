"""Differences planted in a target, one a key, of every kind that keyferry verify has to find."""

import base64
import random


class Planter:
    """Changes keys of a target that equals its source.

    run        function (database, *words): a command at the target
    planted    {(database, key): kind}"""

    def __init__(self, run, seed=1):
        self._run = run
        self._rng = random.Random(seed)
        self.planted = {}
        self.ways = {}

    def plant(self, database, keys, count):
        """`count` differences in the first database's keys, drawn at random; one in ten is a key too many."""
        keys = list(keys)
        self._rng.shuffle(keys)
        for number in range(count // 10):
            key = b"extra:%d" % number
            self._run(database, "SET", key, "x")
            self._note(database, key, "extra", "new key")
        left = count - count // 10
        for key in keys:
            if left == 0:
                return
            left -= self._change(database, key)
        raise AssertionError(f"{left} differences are left to be planted, and no keys")

    def _note(self, database, key, kind, way):
        self.planted[(database, key)] = kind
        self.ways[way] = self.ways.get(way, 0) + 1

    def _change(self, database, key):
        """True: it was changed."""
        kind = self._run(database, "TYPE", key).decode()
        ways = [("missing", self.remove), ("type", self.other_type), ("expiry", self.other_expiry)]
        if self._run(database, "PTTL", key) > 0:
            ways.append(("expiry", self.no_expiry))
        ways += [("value", way) for way in getattr(self, f"{kind}_ways")() for _ in range(2)]
        difference, way = self._rng.choice(ways)
        if not way(database, key):
            return False
        self._note(database, key, difference, f"{kind}: {way.__name__}")
        return True

    # Each: false when this key has nothing to be changed in that way.

    def remove(self, database, key):
        return self._run(database, "DEL", key) == 1

    def other_type(self, database, key):
        was = self._run(database, "TYPE", key)
        self._run(database, "DEL", key)
        if was == b"list":
            self._run(database, "SADD", key, "a")
        else:
            self._run(database, "RPUSH", key, "a")
        return True

    def other_expiry(self, database, key):
        return self._run(database, "PEXPIREAT", key, 4102444800000 - self._rng.randrange(5000, 10**9)) == 1

    def no_expiry(self, database, key):
        return self._run(database, "PERSIST", key) == 1

    def string_ways(self):
        return [self.append, self.last_bit]

    def append(self, database, key):
        return self._run(database, "APPEND", key, "!") > 0

    def last_bit(self, database, key):
        bits = 8 * self._run(database, "STRLEN", key)
        if bits == 0:
            return False
        self._run(database, "SETBIT", key, bits - 1, 1 - self._run(database, "GETBIT", key, bits - 1))
        return True

    def list_ways(self):
        return [self.push, self.last_element, self.swap]

    def push(self, database, key):
        return self._run(database, "RPUSH", key, "more") > 0

    def last_element(self, database, key):
        self._run(database, "LSET", key, -1, "another one")
        return True

    def swap(self, database, key):
        elements = self._run(database, "LRANGE", key, 0, 1)
        if len(set(elements)) < 2:
            return False
        self._run(database, "LSET", key, 0, elements[1])
        self._run(database, "LSET", key, 1, elements[0])
        return True

    def set_ways(self):
        return [self.add_member, self.other_member]

    def add_member(self, database, key):
        return self._run(database, "SADD", key, "one more") == 1

    def other_member(self, database, key):
        member = self._run(database, "SRANDMEMBER", key)
        self._run(database, "SADD", key, "in its place")
        return self._run(database, "SREM", key, member) == 1

    def hash_ways(self):
        return [self.add_field, self.other_content, self.without_field]

    def add_field(self, database, key):
        return self._run(database, "HSET", key, "one more", "") == 1

    def other_content(self, database, key):
        field = self._run(database, "HKEYS", key)[0]
        self._run(database, "HSET", key, field, "another content")
        return True

    def without_field(self, database, key):
        fields = self._run(database, "HKEYS", key)
        return len(fields) > 1 and self._run(database, "HDEL", key, fields[-1]) == 1

    def zset_ways(self):
        return [self.other_score, self.without_member]

    def other_score(self, database, key):
        member = self._run(database, "ZRANGE", key, 0, 0)[0]
        self._run(database, "ZADD", key, 17.25, member)
        return True

    def without_member(self, database, key):
        return self._run(database, "ZCARD", key) > 1 and self._run(database, "ZREMRANGEBYRANK", key, -1, -1) == 1

    def stream_ways(self):
        return [self.add_entry, self.without_entry, self.new_group, self.group_elsewhere, self.acknowledge]

    def add_entry(self, database, key):
        return bool(self._run(database, "XADD", key, "*", "a", "b"))

    def without_entry(self, database, key):
        entries = self._run(database, "XRANGE", key, "-", "+", "COUNT", 1)
        return bool(entries) and self._run(database, "XDEL", key, self._id(entries[0])) == 1

    def new_group(self, database, key):
        return bool(self._run(database, "XGROUP", "CREATE", key, "a new one", "0"))

    def _groups(self, database, key):
        return [group[1] for group in self._run(database, "XINFO", "GROUPS", key)]

    @staticmethod
    def _id(entry):
        """Of an entry, or a pending one."""
        return entry[0]

    def group_elsewhere(self, database, key):
        groups = self._groups(database, key)
        return bool(groups) and bool(self._run(database, "XGROUP", "SETID", key, groups[0], "0-1"))

    def acknowledge(self, database, key):
        for group in self._groups(database, key):
            for pending in self._run(database, "XPENDING", key, group, "-", "+", 1):
                return self._run(database, "XACK", key, group, self._id(pending)) == 1
        return False


def found(differences):
    """{(database, key): kind} of what keyferry verify has printed, at the target; every key there is text or base64."""
    def name(key):
        return key.encode() if isinstance(key, str) else base64.b64decode(key["b64"])
    differences = list(differences)
    listed = {(one["target_db"], name(one["target_key"])): one["kind"] for one in differences}
    assert len(listed) == len(differences), "a key is listed twice"
    return listed
