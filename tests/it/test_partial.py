"""Commands of several keys of which only some are selected: each is cut down exactly, or refused; none is silently wrong.

Every write command of the command table that may have several keys has cases here (a new one without any fails the first test). A case runs on a
source; what becomes of it under rules runs on a target that held what the same rules leave of the data before. Then both must be equal."""

import functools
import itertools
import json
import shutil
import tempfile

import pytest

from bench import versions
from bench.factory import Bench
from bench.recordings import REPOSITORY
from bench.transform import transform

FAR = "4102444800000"  # 2100-01-01
SETS = [("SADD", "a", "1", "2", "3"), ("SADD", "b", "2", "3", "4"), ("SADD", "z", "9")]
ZSETS = [("ZADD", "a", "1", "m", "2", "n"), ("ZADD", "b", "3", "n", "4", "o"), ("ZADD", "z", "9", "q")]
LISTS = [("RPUSH", "a", "1", "2", "3"), ("RPUSH", "b", "x")]
GLOBE = [("GEOADD", "a", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"), ("SET", "z", "old")]
TEXTS = [("SET", "a", "abc"), ("SET", "b", "ab"), ("SET", "z", "old")]
COUNTS = [("PFADD", "a", "1", "2"), ("PFADD", "b", "3"), ("PFADD", "z", "4")]
MIXED = [("SET", "a", "1", "PXAT", FAR), ("HSET", "b", "f", "1"), ("RPUSH", "z", "1"), ("SADD", "y", "1")]

# Command of the table: (data before, the command as a stream holds it) ... `z` is where results go, `y` is there in some.
CASES = {
    "bitop": [(TEXTS, ("BITOP", "AND", "z", "a", "b")), ([("SET", "z", "1")], ("BITOP", "OR", "z", "a", "b"))],
    "brpoplpush": [(LISTS, ("BRPOPLPUSH", "a", "b", "0"))],
    "blmove": [(LISTS, ("BLMOVE", "a", "b", "LEFT", "RIGHT", "0")), (LISTS, ("BLMOVE", "a", "z", "RIGHT", "LEFT", "0"))],
    "copy": [(MIXED, ("COPY", "a", "z", "REPLACE")), (MIXED, ("COPY", "b", "x")), (MIXED, ("COPY", "a", "a", "DB", "2")),
             (MIXED, ("COPY", "y", "z", "DB", "3", "REPLACE"))],
    "move": [(MIXED, ("MOVE", "a", "2")), (MIXED, ("MOVE", "z", "3"))],
    "del": [(MIXED, ("DEL", "a", "b", "z"))],
    "eval": [(TEXTS, ("EVAL", "return redis.call('SET',KEYS[1],redis.call('GET',KEYS[2]))", "2", "z", "a"))],
    "fcall": [],    # as EVAL, by the same row of rules
    "evalsha": [],
    "georadius": [(GLOBE, ("GEORADIUS", "a", "15", "37", "200", "km", "STORE", "z")), (GLOBE, ("GEORADIUS", "a", "15", "37", "1", "m", "STOREDIST", "z"))],
    "georadiusbymember": [(GLOBE, ("GEORADIUSBYMEMBER", "a", "Palermo", "1000", "km", "STOREDIST", "z"))],
    "geosearchstore": [(GLOBE, ("GEOSEARCHSTORE", "z", "a", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km"))],
    "lmove": [(LISTS, ("LMOVE", "a", "b", start, end)) for start in ("LEFT", "RIGHT") for end in ("LEFT", "RIGHT")],
    "rpoplpush": [(LISTS, ("RPOPLPUSH", "a", "b")), (LISTS, ("RPOPLPUSH", "b", "z"))],
    "mset": [(MIXED, ("MSET", "a", "5", "b", "6", "z", "7"))],
    "msetnx": [([], ("MSETNX", "a", "5", "b", "6"))],
    "msetex": [(MIXED, ("MSETEX", "3", "a", "5", "b", "6", "z", "7", "PXAT", FAR)), (MIXED, ("MSETEX", "2", "a", "5", "z", "7")),
               ([], ("MSETEX", "2", "a", "5", "b", "6", "NX"))],
    "pfmerge": [(COUNTS, ("PFMERGE", "z", "a", "b"))],
    "rename": [(MIXED, ("RENAME", "a", "z")), (MIXED, ("RENAME", "b", "x")), (MIXED, ("RENAME", "z", "a"))],
    "renamenx": [(MIXED, ("RENAMENX", "a", "x")), (MIXED, ("RENAMENX", "y", "x"))],
    "sdiffstore": [(SETS, ("SDIFFSTORE", "z", "a", "b")), (SETS, ("SDIFFSTORE", "z", "a", "a"))],
    "sinterstore": [(SETS, ("SINTERSTORE", "z", "a", "b")), (SETS, ("SINTERSTORE", "a", "a", "b"))],
    "sunionstore": [(SETS, ("SUNIONSTORE", "z", "a", "b")), (MIXED, ("SUNIONSTORE", "z", "y"))],
    "smove": [(SETS, ("SMOVE", "a", "b", "1")), (SETS, ("SMOVE", "a", "b", "2")), (SETS, ("SMOVE", "a", "x", "1"))],
    "sort": [(LISTS, ("SORT", "a", "DESC", "STORE", "z")), (SETS, ("SORT", "a", "STORE", "z")), (ZSETS, ("SORT", "a", "ALPHA", "STORE", "z")),
             (LISTS + [("MSET", "w_1", "3", "w_2", "2", "w_3", "1")], ("SORT", "a", "BY", "w_*", "STORE", "z"))],
    "unlink": [(MIXED, ("UNLINK", "a", "b", "z"))],
    "zdiffstore": [(ZSETS, ("ZDIFFSTORE", "z", "2", "a", "b"))],
    "zinterstore": [(ZSETS, ("ZINTERSTORE", "z", "2", "a", "b", "AGGREGATE", "MAX")), (SETS, ("ZINTERSTORE", "z", "2", "a", "b"))],
    "zunionstore": [(ZSETS, ("ZUNIONSTORE", "z", "2", "a", "b")), (ZSETS + [("SADD", "y", "s")], ("ZUNIONSTORE", "z", "2", "a", "y"))],
    "zrangestore": [(ZSETS, ("ZRANGESTORE", "z", "a", "0", "-1")), (MIXED + ZSETS[:0], ("ZRANGESTORE", "z", "none", "0", "-1"))],
}
# In a stream they stand as other commands (LPOP, ZPOPMIN, DEL ...), or they only read.
NEVER_STREAMED = {"blmpop", "blpop", "brpop", "bzmpop", "bzpopmax", "bzpopmin", "lmpop", "zmpop", "migrate", "xreadgroup", "eval_ro", "evalsha_ro", "fcall_ro",
                  "memory", "sintercard", "sort_ro", "stralgo", "xread", "zdiff", "zinter", "zintercard", "zunion"}
# Those that only a command with all keys selected, or none, can be; and those that read what may not be there.
MAY_BE_REFUSED = {"eval", "copy", "move", "rename", "renamenx", "bitop", "pfmerge", "sort", "georadius", "georadiusbymember", "geosearchstore", "sdiffstore",
                  "sinterstore", "sunionstore", "zdiffstore", "zinterstore", "zunionstore", "zrangestore", "lmove", "blmove", "rpoplpush", "brpoplpush"}
TYPES = ("string", "list", "set", "zset", "hash")


def rows():
    return [json.loads(line.rstrip(",\n")) for line in open(REPOSITORY / "data/commands.json", encoding="utf-8") if line.startswith('{"name"')]


def test_every_command_of_several_keys_has_a_case():
    several = {row["name"] for row in rows() if ("write" in row["flags"] and row["keys"][0] and row["keys"][0] != row["keys"][1]) or
               "movablekeys" in row["flags"]}
    assert several - CASES.keys() == NEVER_STREAMED
    assert CASES.keys() - several == {"move"}


def newest():
    return max((version for version in versions.available() if version.is_valkey), key=lambda version: version.number, default=versions.system())


@pytest.fixture(scope="module", name="pair")
def pair_of_servers():
    folder = tempfile.mkdtemp(prefix="keyferry-it-")
    made = Bench(folder, None)
    try:
        yield Side(made.server(newest())), Side(made.server(newest()))
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


DATABASES = (0, 2, 3)


class Side:
    """A server, with one connection per database and plain answers."""

    def __init__(self, server):
        self.version = server.version
        self.clients = {database: server.client(db=database) for database in DATABASES}
        for client in self.clients.values():
            client.response_callbacks.clear()

    def run(self, *words, database=0):
        return self.clients[database].execute_command(*words)

    def keys(self, selected=lambda database, key, kind: True):
        """(database, key, type) of the keys that pass."""
        for database in DATABASES:
            for key in self.run("KEYS", "*", database=database):
                kind = self.run("TYPE", key, database=database).decode()
                if selected(database, key.decode(), kind):
                    yield database, key.decode(), kind

    def dumped(self, selected=lambda database, key, kind: True):
        return [(database, key, self.run("PEXPIRETIME", key, database=database), self.run("DUMP", key, database=database))
                for database, key, _ in self.keys(selected)]

    def become(self, dumped):
        self.run("FLUSHALL")
        for database, key, expiry, dump in dumped:
            self.run("RESTORE", key, max(0, expiry), dump, "ABSTTL", database=database)

    def contents(self, selected=lambda database, key, kind: True):
        """{(database, key): (type, value, time to live)} of the keys that pass."""
        readers = {"string": lambda run, key: run("GET", key), "list": lambda run, key: run("LRANGE", key, 0, -1),
                   "set": lambda run, key: sorted(run("SMEMBERS", key)), "zset": lambda run, key: run("ZRANGE", key, 0, -1, "WITHSCORES"),
                   "hash": lambda run, key: sorted(zip(*[iter(run("HGETALL", key))] * 2))}
        return {(database, key): (kind, readers[kind](functools.partial(self.run, database=database), key),
                                  self.run("PEXPIRETIME", key, database=database)) for database, key, kind in self.keys(selected)}


def rules(keys):
    """(what to call it, allow rules, the same in Python): all subsets of the keys, of types, and keys of some types."""
    keys = sorted(keys)
    for size in range(len(keys) + 1):
        for some in itertools.combinations(keys, size):
            yield f"keys {some}", [{"key": list(some) or ["nothing"]}], lambda database, key, kind, some=some: key in some
    for types in [(one,) for one in TYPES] + [("string", "hash"), ("set", "zset"), ("list", "set", "zset")]:
        yield f"types {types}", [{"type": list(types)}], lambda database, key, kind, types=types: kind in types
        for key in keys:
            yield (f"types {types} of {key}, all others", [{"key": key, "type": list(types)}, {"key": [other for other in keys if other != key] or ["nothing"]}],
                   lambda database, name, kind, key=key, types=types, keys=keys: name in keys and (name != key or kind in types))
    yield "database 0", [{"database": 0}], lambda database, key, kind: database == 0
    yield "database 0 and 2", [{"database": [0, 2]}], lambda database, key, kind: database in (0, 2)


def keys_in(before, command):
    return {words[1] for words in before} | ({word for word in command[1:] if word in ("a", "b", "x", "y", "z")})


@pytest.mark.parametrize("name", sorted(name for name, cases in CASES.items() if cases))
def test_cut_down_exactly_or_refused(pair, name):
    source, target = pair
    if not source.run("COMMAND", "INFO", name)[0]:
        pytest.skip(f"no {name} at {source.version}")
    exact = refused = 0
    for before, command in CASES[name]:
        source.run("FLUSHALL")
        for words in before:
            source.run(*words)
        start = source.dumped()
        for what, allow, selected in rules(keys_in(before, command)):
            source.become(start)
            target.become(source.dumped(selected))
            (outcome,) = transform({"filter": {"allow": allow}}, [(0, command)])
            if outcome.kind == "refused":
                assert name in MAY_BE_REFUSED, f"{command} with {what}: {outcome.why}"
                refused += 1
                continue
            source.run(*command)
            for database, words in outcome.commands:
                target.run(*words, database=database)
            assert target.contents() == source.contents(selected), f"{command} with {what}: {outcome.kind} {outcome.commands}"
            exact += 1
    assert exact > refused / 4, f"{exact} exact, {refused} refused"
