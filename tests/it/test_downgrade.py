"""Commands of newer servers on older ones: what they are rewritten to has the same effect, and uses only what the older version knows.

The original runs on a server that has the command, its rewriting on one that has not, both from the same data. Versions that cannot be had are
covered twice: the rewriting for them runs on the oldest server there is, which knows all that they know, and its words are looked up in data/."""

import re
import time

import pytest

from bench import compare, downgrade, versions, wire
from bench.recordings import Recording, recording_names

FAR = 4102444800000  # 2100-01-01
VOCABULARY = downgrade.Vocabulary()

TEXTS = [("SET", "{a}", b"\x0f\xf0abc"), ("SET", "{b}", b"\xff\x00a"), ("SET", "{c}", b"\x11\x11\x11\x11\x11\x11\x11")]
LISTS = [("RPUSH", "{a}", *"abcde"), ("RPUSH", "{b}", "x")]
ZSETS = [("ZADD", "{a}", "1", "a", "2", "b", "3", "c", "4.5", "d", "inf", "e"), ("ZADD", "{b}", "7", "b", "8", "x"), ("SADD", "{c}", "c", "q")]
SAME_SCORES = [("ZADD", "{a}", *(word for member in "abcdef" for word in ("0", member)))]
GLOBE = [("GEOADD", "{a}", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania", "12.758489", "38.788135", "edge1",
          "17.241510", "38.788135", "edge2", "-0.1", "51.5", "London", "179.9", "10", "east", "-179.9", "10", "west")]
HASH = [("HMSET", "{a}", "f", "1", "g", "2", "h", "3"), ("PEXPIREAT", "{a}", FAR)]
ENTRIES = [("XADD", "{a}", f"{i}-{i}", "f", "v") for i in range(1, 30)] + [("XGROUP", "CREATE", "{a}", "g", "0"),
                                                                       ("XREADGROUP", "GROUP", "g", "c", "COUNT", "5", "STREAMS", "{a}", ">"),
                                                                       ("XREADGROUP", "GROUP", "g", "c", "COUNT", "5", "STREAMS", "{a}", ">")]
FIRST_ENTRIES = ENTRIES[:-1]
EXPIRING = [("SET", "{a}", "old"), ("PEXPIREAT", "{a}", FAR + 123)]
FOREVER = [("SET", "{a}", "old")]


def combined(operation, *texts):
    """BITOP as the Redis 8.2 reference describes it."""
    longest = max(map(len, texts))
    rows = zip(*(text.ljust(longest, b"\0") for text in texts))
    either = {"DIFF": lambda x, *y: x & ~ored(y), "DIFF1": lambda x, *y: ored(y) & ~x, "ANDOR": lambda x, *y: x & ored(y),
              "ONE": lambda *all_: sum(1 << bit for bit in range(8) if sum(one >> bit & 1 for one in all_) == 1)}[operation]
    return bytes(either(*row) & 0xff for row in rows)


def ored(numbers):
    value = 0
    for one in numbers:
        value |= one
    return value


# (data before, the command[, what has the same effect on servers of today, for commands of versions that cannot be had])
CASES = {
    "flushdb": ([], ("FLUSHDB", "SYNC")),  # the first, since all share a server
    "unlink": (TEXTS, ("UNLINK", "{a}", "{b}")),
    "getdel": (TEXTS, ("GETDEL", "{a}")),
    "delifeq": (FOREVER, ("DELIFEQ", "{a}", "old")),
    "delex": (FOREVER, ("DELEX", "{a}", "IFEQ", "old"), ("DEL", "{a}")),
    "copy": (HASH, ("COPY", "{a}", "{z}")),
    "copy over": (EXPIRING + [("RPUSH", "{z}", "x")], ("COPY", "{a}", "{z}", "REPLACE")),
    "copy to a database": (EXPIRING, ("COPY", "{a}", "{a}", "DB", "3")),
    "copy of a stream": (ENTRIES, ("COPY", "{a}", "{z}", "REPLACE")),
    "expireat": (FOREVER, ("EXPIREAT", "{a}", FAR // 1000)),
    "pexpireat nx": (FOREVER, ("PEXPIREAT", "{a}", FAR + 5, "NX")),
    "pexpireat gt": (EXPIRING, ("PEXPIREAT", "{a}", FAR + 555, "GT")),
    "pexpireat xx lt": (EXPIRING, ("PEXPIREAT", "{a}", FAR + 55, "XX", "LT")),
    "expireat gt": (EXPIRING, ("EXPIREAT", "{a}", FAR // 1000 + 1, "GT")),
    "getex pxat": (FOREVER, ("GETEX", "{a}", "PXAT", FAR + 5)),
    "getex persist": (EXPIRING, ("GETEX", "{a}", "PERSIST")),
    "getex": (EXPIRING, ("GETEX", "{a}")),
    "set pxat": (FOREVER, ("SET", "{a}", "v", "PXAT", FAR + 7)),
    "set pxat nx": ([], ("SET", "{a}", "v", "NX", "PXAT", FAR + 7)),
    "set exat xx get": (EXPIRING, ("SET", "{a}", "v", "XX", "GET", "EXAT", FAR // 1000)),
    "set keepttl": (EXPIRING, ("SET", "{a}", "v", "KEEPTTL")),
    "set keepttl of none": (FOREVER, ("SET", "{a}", "v", "KEEPTTL")),
    "set keepttl of nothing": ([], ("SET", "{a}", "v", "KEEPTTL")),
    "set get": (EXPIRING, ("SET", "{a}", "v", "GET")),
    "set nx get": ([], ("SET", "{a}", "v", "NX", "GET")),
    "set ifeq": (EXPIRING, ("SET", "{a}", "v", "IFEQ", "old")),
    "set ifeq keepttl": (EXPIRING, ("SET", "{a}", "v", "IFEQ", "old", "KEEPTTL")),
    "set ifdne": (EXPIRING, ("SET", "{a}", "v", "IFDNE", "0123456789abcdef", "PXAT", FAR), ("SET", "{a}", "v", "PXAT", FAR)),
    "msetex": (FOREVER, ("MSETEX", "2", "{a}", "1", "{b}", "2", "PXAT", FAR + 3)),
    "msetex nothing else": (EXPIRING, ("MSETEX", "2", "{a}", "1", "{b}", "2")),
    "msetex keepttl": (EXPIRING, ("MSETEX", "2", "{a}", "1", "{b}", "2", "KEEPTTL")),
    "msetex nx": ([], ("MSETEX", "2", "{a}", "1", "{b}", "2", "NX", "EXAT", FAR // 1000)),
    "lpushx": (LISTS, ("LPUSHX", "{a}", "1", "2", "3")),
    "rpushx": (LISTS, ("RPUSHX", "{a}", "1", "2", "3")),
    "lpop": (LISTS, ("LPOP", "{a}", "2")),
    "lpop of all": (LISTS, ("LPOP", "{a}", "99")),
    "rpop": (LISTS, ("RPOP", "{a}", "2")),
    "rpop of all": (LISTS, ("RPOP", "{a}", "5")),
    "rpop of more": (LISTS, ("RPOP", "{a}", str(2 ** 31 - 1))),
    **{f"lmove {start} {end}{' into itself' if into == '{b}' else ''}": (
        LISTS + [("PEXPIREAT", "{b}", FAR)], ("LMOVE", "{b}" if into == "{b}" else "{a}", into, start, end))
       for start in ("LEFT", "RIGHT") for end in ("left", "RIGHT") for into in ("{b}", "{z}")},
    "lmove within": (LISTS, ("LMOVE", "{a}", "{a}", "LEFT", "RIGHT")),
    "lmove of the last": (LISTS, ("LMOVE", "{b}", "{a}", "RIGHT", "RIGHT")),
    "hset": (HASH, ("HSET", "{a}", "f", "x", "new", "y")),
    "hgetdel": (HASH, ("HGETDEL", "{a}", "FIELDS", "2", "f", "h")),
    "hgetdel of all": (HASH, ("HGETDEL", "{a}", "FIELDS", "3", "f", "g", "h")),
    "hsetex": (HASH, ("HSETEX", "{a}", "FIELDS", "2", "f", "x", "new", "y")),
    "hsetex fnx": (HASH, ("HSETEX", "{a}", "FNX", "FIELDS", "1", "new", "y")),
    "hsetex keepttl": (HASH, ("HSETEX", "{a}", "KEEPTTL", "FIELDS", "2", "f", "x", "new", "y")),
    "hgetex persist": (HASH, ("HGETEX", "{a}", "PERSIST", "FIELDS", "1", "f")),
    "hpersist": (HASH, ("HPERSIST", "{a}", "FIELDS", "1", "f")),
    "zadd gt": (ZSETS, ("ZADD", "{a}", "GT", "5", "a", "1", "c", "7", "new")),
    "zadd lt": (ZSETS, ("ZADD", "{a}", "LT", "CH", "-inf", "a", "1", "c", "+inf", "b", "7", "new", "1e3", "e")),
    "zadd gt xx": (ZSETS, ("ZADD", "{a}", "GT", "XX", "5", "a", "1", "c", "7", "new")),
    "zadd gt one": (ZSETS, ("ZADD", "{a}", "GT", "CH", "5", "a")),
    "zadd gt incr": (ZSETS, ("ZADD", "{a}", "GT", "INCR", "5", "a")),
    "zadd nx": (ZSETS, ("ZADD", "{a}", "NX", "CH", "5", "a", "6", "new")),
    "zadd xx": (ZSETS, ("ZADD", "{a}", "XX", "5", "a", "6", "new")),
    "zadd incr": (ZSETS, ("ZADD", "{a}", "INCR", "5", "a")),
    "zadd ch": (ZSETS, ("ZADD", "{a}", "CH", "5", "a", "6", "new")),
    "zadd to nothing": ([], ("ZADD", "{a}", "GT", "5", "a", "6", "b", "1", "a")),
    "zpopmin": (ZSETS, ("ZPOPMIN", "{a}")),
    "zpopmax": (ZSETS, ("ZPOPMAX", "{a}", "2")),
    "zpopmin of more": (ZSETS, ("ZPOPMIN", "{b}", "99")),
    "zrangestore": (ZSETS, ("ZRANGESTORE", "{b}", "{a}", "1", "-2")),
    "zrangestore rev": (ZSETS, ("ZRANGESTORE", "{z}", "{a}", "0", "1", "REV")),
    "zrangestore byscore": (ZSETS, ("ZRANGESTORE", "{c}", "{a}", "(1", "+inf", "BYSCORE", "LIMIT", "1", "2")),
    "zrangestore byscore rev": (ZSETS, ("ZRANGESTORE", "{a}", "{a}", "(4.5", "-inf", "REV", "BYSCORE", "LIMIT", "0", "2")),
    "zrangestore bylex": (SAME_SCORES, ("ZRANGESTORE", "{b}", "{a}", "[b", "(e", "BYLEX")),
    "zrangestore bylex rev": (SAME_SCORES, ("ZRANGESTORE", "{b}", "{a}", "[e", "-", "BYLEX", "REV", "LIMIT", "1", "3")),
    "zrangestore of nothing": (ZSETS, ("ZRANGESTORE", "{b}", "{a}", "7", "9")),
    "zrangestore of many": ([("ZADD", "{a}", *(word for i in range(5000) for word in (f"{i}.5", f"m{i}")))],
                            ("ZRANGESTORE", "{b}", "{a}", "10", "-10")),
    "zdiffstore": (ZSETS, ("ZDIFFSTORE", "{z}", "3", "{a}", "{b}", "{c}")),
    "zdiffstore of a set": (ZSETS, ("ZDIFFSTORE", "{c}", "2", "{c}", "{a}")),
    "zdiffstore of one": (ZSETS, ("ZDIFFSTORE", "{b}", "1", "{a}")),
    "zdiffstore to nothing": (ZSETS, ("ZDIFFSTORE", "{b}", "2", "{a}", "{a}")),
    "zdiffstore of missing": (ZSETS, ("ZDIFFSTORE", "{b}", "2", "{a}", "{z}")),
    "geosearchstore": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km")),
    "geosearchstore member": (GLOBE, ("GEOSEARCHSTORE", "{a}", "{a}", "FROMMEMBER", "Palermo", "BYRADIUS", "600", "mi", "DESC", "COUNT", "2")),
    "geosearchstore distances": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMMEMBER", "Palermo", "BYRADIUS", "600000", "ft", "COUNT", "3",
                                         "STOREDIST")),
    "geosearchstore of missing": (LISTS, ("GEOSEARCHSTORE", "{a}", "{z}", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "km")),
    "geosearchstore box": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMLONLAT", "15", "37", "BYBOX", "400", "400", "km", "ASC")),
    "geosearchstore box of all": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMMEMBER", "London", "BYBOX", "4000", "5000", "km", "STOREDIST")),
    "geosearchstore box count": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMLONLAT", "15", "37", "BYBOX", "900", "900", "km", "DESC", "COUNT",
                                         "2", "STOREDIST")),
    "geosearchstore box date line": (GLOBE, ("GEOSEARCHSTORE", "{z}", "{a}", "FROMMEMBER", "east", "BYBOX", "90", "90", "km", "STOREDIST")),
    "geosearchstore box of missing": (LISTS, ("GEOSEARCHSTORE", "{a}", "{z}", "FROMLONLAT", "15", "37", "BYBOX", "4", "4", "km")),
    "xadd nomkstream": (ENTRIES, ("XADD", "{a}", "NOMKSTREAM", "99-1", "f", "v")),
    "xadd maxlen limit": (ENTRIES, ("XADD", "{a}", "MAXLEN", "=", "20", "LIMIT", "5", "99-1", "f", "v"),
                          ("XADD", "{a}", "MAXLEN", "=", "20", "99-1", "f", "v")),
    "xadd minid limit": (ENTRIES, ("XADD", "{a}", "MINID", "=", "9-9", "LIMIT", "5", "99-1", "f", "v"),
                         ("XADD", "{a}", "MINID", "=", "9-9", "99-1", "f", "v")),
    "xadd minid": (ENTRIES, ("XADD", "{a}", "MINID", "9", "99-1", "f", "v")),
    "xadd keepref": (ENTRIES, ("XADD", "{a}", "KEEPREF", "MAXLEN", "=", "9", "99-1", "f", "v"), ("XADD", "{a}", "MAXLEN", "=", "9", "99-1", "f", "v")),
    "xtrim minid": (ENTRIES, ("XTRIM", "{a}", "MINID", "9-8")),
    "xtrim minid of all": (FIRST_ENTRIES, ("XTRIM", "{a}", "MINID", "100")),
    "xtrim maxlen limit": (ENTRIES, ("XTRIM", "{a}", "MAXLEN", "=", "12", "LIMIT", "3"), ("XTRIM", "{a}", "MAXLEN", "12")),
    "xgroup create": (FIRST_ENTRIES, ("XGROUP", "CREATE", "{a}", "g2", "4-4", "MKSTREAM", "ENTRIESREAD", "4")),
    "xgroup setid": (FIRST_ENTRIES, ("XGROUP", "SETID", "{a}", "g", "7-7", "ENTRIESREAD", "7")),
    "xgroup createconsumer": (ENTRIES, ("XGROUP", "CREATECONSUMER", "{a}", "g", "fresh")),
    "xsetid": (FIRST_ENTRIES, ("XSETID", "{a}", "77-7", "ENTRIESADDED", "99", "MAXDELETEDID", "3-3")),
    "xdelex": (FIRST_ENTRIES, ("XDELEX", "{a}", "IDS", "2", "2-2", "4-4"), ("XDEL", "{a}", "2-2", "4-4")),
    "xackdel": (FIRST_ENTRIES, ("XACKDEL", "{a}", "g", "KEEPREF", "IDS", "1", "2-2"), ("XACK", "{a}", "g", "2-2"), ("XDEL", "{a}", "2-2")),
    "restore": ([], ("RESTORE", "{a}", FAR, "payload of a string", "REPLACE", "ABSTTL", "IDLETIME", "77")),
    "restore plain": ([], ("RESTORE", "{a}", "0", "payload of a string")),
    "spublish": ([], ("SPUBLISH", "{a}", "message")),
    **{f"bitop {operation.lower()} of {len(sources)}": (
        TEXTS, ("BITOP", operation, destination, *(f"{{{name}}}" for name in sources)),
        ("SET", destination, combined(operation, *(TEXTS["abc".index(name)][2] for name in sources))))
       for operation in ("DIFF", "DIFF1", "ANDOR", "ONE") for destination, sources in (("{z}", "abc"), ("{a}", "ab"))},
}

# Fields with times to live, for targets that have them and not the newer commands.
FIELD_TIMES = HASH + [("HPEXPIREAT", "{a}", FAR + 7, "FIELDS", "2", "f", "g")]
FIELD_CASES = {
    "hsetex pxat": (FIELD_TIMES, ("HSETEX", "{a}", "PXAT", FAR + 9, "FIELDS", "2", "f", "x", "new", "y")),
    "hsetex": (FIELD_TIMES, ("HSETEX", "{a}", "FIELDS", "2", "f", "x", "new", "y")),
    "hsetex keepttl": (FIELD_TIMES, ("HSETEX", "{a}", "KEEPTTL", "FIELDS", "3", "f", "x", "new", "y", "h", "z")),
    "hsetex keepttl of nothing": ([], ("HSETEX", "{a}", "KEEPTTL", "FIELDS", "1", "f", "x")),
    "hgetex exat": (FIELD_TIMES, ("HGETEX", "{a}", "EXAT", FAR // 1000, "FIELDS", "2", "f", "h")),
    "hgetex persist": (FIELD_TIMES, ("HGETEX", "{a}", "PERSIST", "FIELDS", "1", "g")),
    "hgetdel": (FIELD_TIMES, ("HGETDEL", "{a}", "FIELDS", "2", "f", "h")),
}


def resolved(command, case, payload=b""):
    """The command with the case's own keys and as bytes."""
    def word(one):
        if one == "payload of a string":
            return payload
        one = wire.as_bytes(one)
        return re.sub(rb"^\{(\w)\}$", lambda name: b"{%b}:%b" % (case.encode(), name[1]), one)
    return [word(one) for one in command]


def run(connection, commands, what):
    for words in commands:
        reply = connection.call(*words)
        errors = [one for one in reply if isinstance(one, wire.ReplyError)] if isinstance(reply, list) else []
        assert not errors, f"{what}: {words}: {errors}"


class Pair:
    """A newer and an older server with connections to both."""

    def __init__(self, bench, newer, older):
        config = {"save": ""}
        self.newer, self.older = bench.server(newer, config=config), bench.server(older, config=config)
        self.newer_connection = wire.Connection(wire.Address(self.newer.host, self.newer.port))
        self.older_connection = wire.Connection(wire.Address(self.older.host, self.older.port))
        self.older_connection.call("SET", "payload", "text of a payload")
        self.payload = self.older_connection.call("DUMP", "payload")

    def begin(self):
        self.newer_connection.call("FLUSHALL")
        self.older_connection.call("FLUSHALL")

    def original(self, case, begin, commands):
        """Runs it on the newer server; False: even that does not know it."""
        version = self.newer.version
        words = [resolved(command, case, self.payload) for command in commands]
        if any(VOCABULARY.unknown(one, version.family, version.number) for one in words):
            return False
        run(self.newer_connection, [resolved(command, case) for command in begin] + words, case)
        return True

    def rewritten(self, case, begin, commands):
        run(self.older_connection, [resolved(command, case) for command in begin], case)
        if len(commands) > 1:
            commands = [[b"MULTI"], *commands, [b"EXEC"]]
        run(self.older_connection, commands, case)

    def assert_same(self, **options):
        report = compare.compare(self.newer, self.older, functions=False, **options)
        assert report.equal, str(report)


def check_known(commands, family, version, case):
    for words in commands:
        assert not VOCABULARY.unknown(words, family, version), f"{case} for {family} {version}: {words}"
        if words[0] == b"EVAL":
            for name in re.findall(rb"(?:p?call\(|ask=|[{,=]|and |or )'([A-Z]{3,})'", words[1]):
                if name.decode().lower() in VOCABULARY.rows:
                    assert not VOCABULARY.unknown([name], family, version), f"{case} for {family} {version}: {name} in its script"


def run_cases(pair, cases, family, version):
    """All cases for a target of that version; returns the names of those that ran and had to be rewritten."""
    pair.begin()
    ran = []
    for case, (begin, command, *instead) in cases.items():
        words = resolved(command, case, pair.payload)
        outcome, = downgrade_of(words, family, version)
        if outcome.kind == "cannot":
            continue
        if any(VOCABULARY.unknown(resolved(one, case), pair.older.version.family, pair.older.version.number) for one in begin):
            continue
        if not pair.original(case, begin, instead or [command]):
            continue
        pair.rewritten(case, begin, outcome.commands)
        if outcome.kind == "rewritten":
            check_known(outcome.commands, family, version, case)
            ran.append(case)
        else:
            assert not VOCABULARY.unknown(words, family, version), f"{case} for {family} {version} has to be rewritten"
    pair.assert_same()
    return ran


_outcomes = {}


def downgrade_of(words, family, version):
    """As downgrade.downgrade(); the cases of one target are asked for at once."""
    key = (tuple(words), family, version)
    if key not in _outcomes:
        _outcomes[key] = downgrade.downgrade(wire.encode(*words), family, version, int(time.time() * 1000))
    return _outcomes[key]


# The newer server, the older one, and for which versions the rewritings run there: its own and those before it.
PAIRS = [
    ("redis-8.0", "redis-6.0", ["2.8.24", "3.0.7", "3.2.13", "4.0.14", "5.0.14", "6.0.16"]),
    ("valkey-9.1", "redis-6.0", ["2.8.24", "3.2.13", "5.0.14", "6.0.16"]),
    ("valkey-9.1", "redis-7.0", ["6.0.16", "6.2.16", "7.0.15"]),
    ("redis-8.0", "valkey-8.0", ["8.0.1"]),
    ("valkey-9.1", "valkey-8.0", ["7.2.8", "8.0.1"]),
]


@pytest.mark.parametrize("newer, older, targets", PAIRS, ids=lambda value: value if isinstance(value, str) else "")
def test_rewritten_commands_have_the_same_effect(bench, newer, older, targets):
    pair = Pair(bench, newer, older)
    for target in map(downgrade.number, targets):
        # Counters of streams came with 7.0: what is made for versions without is no whole there.
        no_streams = target < (7, 0, 0) <= pair.older.version.number
        cases = {name: case for name, case in CASES.items() if not no_streams or not case[1][0].startswith("X")}
        assert run_cases(pair, cases, pair.older.version.family, target)


@pytest.mark.parametrize("newer, older, target", [("redis-8.0", "redis-8.0", "7.4.1"), ("valkey-9.1", "redis-8.0", "7.4.1"),
                                                  ("valkey-9.1", "valkey-9.1", None), ("redis-8.0", "valkey-9.1", None)])
def test_times_of_fields(bench, newer, older, target):
    pair = Pair(bench, newer, older)
    ran = run_cases(pair, FIELD_CASES, pair.older.version.family, downgrade.number(target) if target else pair.older.version.number)
    if target:
        assert len(ran) == len(FIELD_CASES)


def test_every_case_is_rewritten_for_the_oldest_that_can():
    """Nothing in CASES is a loss for 5.0, and each was rewritten for some version."""
    for case, (_, command, *_) in CASES.items():
        words = resolved(command, case, b"\0\4text\6\0" + b"\0" * 8)
        kinds = {version: downgrade_of(words, "redis", downgrade.number(version))[0].kind for version in ("2.8.24", "5.0.14", "6.0.16", "7.0.15")}
        assert kinds["5.0.14"] != "cannot" and "cannot" not in (kinds["6.0.16"], kinds["7.0.15"]), (case, kinds)
        assert set(kinds.values()) != {"same"} or case in ("expireat", "restore plain"), case


RELATIVE = [
    ("EXPIRE", "k", "100"), ("PEXPIRE", "k", "100000"), ("SETEX", "k", "100", "v"), ("PSETEX", "k", "100000", "v"),
    ("SET", "k", "v", "EX", "100"), ("SET", "k", "v", "PX", "100000", "NX", "GET"), ("GETEX", "k", "EX", "100"), ("MSETEX", "1", "k", "v", "EX", "100"),
    ("RESTORE", "k", "100000", b"\0\4text\6\0" + b"\0" * 8), ("RESTORE-ASKING", "k", "100000", b"\0\4text\6\0" + b"\0" * 8, "REPLACE"),
    ("HEXPIRE", "k", "100", "FIELDS", "1", "f"), ("HPEXPIRE", "k", "100000", "NX", "FIELDS", "1", "f"),
    ("HSETEX", "k", "EX", "100", "FIELDS", "1", "f", "v"), ("HGETEX", "k", "PX", "100000", "FIELDS", "1", "f"),
]
STREAM_MS = 1700000000000


@pytest.mark.parametrize("family, version", [("redis", "8.4.0"), ("redis", "7.4.1"), ("valkey", "9.1.2"), ("redis", "6.0.16"), ("redis", "2.8.24")])
def test_relative_times_become_absolute(family, version):
    version = downgrade.number(version)
    outcomes = downgrade.downgrade(b"".join(wire.encode(*command) for command in RELATIVE), family, version, STREAM_MS)
    for command, outcome in zip(RELATIVE, outcomes):
        words = [word for made in outcome.commands for word in made]
        if outcome.kind == "cannot":
            assert command[0].startswith("H") and version < (7, 4, 0)
            continue
        assert outcome.kind == "rewritten", command
        assert b"%d" % (STREAM_MS + 100000) in words, (command, words)
        assert not {b"EX", b"PX"} & set(words) and b"100000" not in words and b"100" not in words
        check_known(outcome.commands, family, version, command)


# -- recorded streams ---------------------------------------------------------------------------------------------------

# Commands that are sent as they are, rewritten, and lost.
TARGETS = [("redis", "3.2.13"), ("redis", "4.0.14"), ("redis", "5.0.14"), ("redis", "6.0.16"), ("redis", "6.2.16"), ("redis", "7.0.15"),
           ("redis", "7.4.1"), ("redis", "8.0.2"), ("valkey", "8.0.1"), ("valkey", "9.1.2")]
#                 3.2.13     4.0.14     5.0.14     6.0.16     6.2.16     7.0.15      7.4.1      8.0.2      8.0.1      9.1.2
RECORDED = """
redis-3.2.13    405/13/0   405/13/0   405/13/0   405/13/0   405/13/0   405/13/0   405/13/0   405/13/0   405/13/0   405/13/0
redis-4.0.14    404/17/1   409/13/0   409/13/0   409/13/0   409/13/0   409/13/0   409/13/0   409/13/0   409/13/0   409/13/0
redis-5.0.14   424/25/73  428/22/72   507/15/0   507/15/0   507/15/0   507/15/0   507/15/0   507/15/0   507/15/0   507/15/0
redis-6.2.16   428/43/83  432/40/82   518/36/0   522/32/0   537/17/0   537/17/0   537/17/0   537/17/0   537/17/0   537/17/0
redis-7.0.15   449/40/90  453/37/89   539/34/6   543/30/6    567/6/6    579/0/0    579/0/0    579/0/0    579/0/0    579/0/0
redis-7.4.1    429/40/99  433/37/98  519/37/12  523/33/12   547/9/12    558/4/6    568/0/0    568/0/0    558/5/5    564/4/0
redis-8.0.2   428/42/102 432/39/101  518/39/15  522/35/15  546/11/15    557/6/9    569/3/0    572/0/0    557/7/8    568/4/0
valkey-9.1.2  428/49/102 436/42/101  522/42/15  526/38/15  550/14/15    561/9/9   569/10/0    573/6/0   561/10/8    579/0/0
"""


def recorded_counts():
    return {line.split()[0]: [tuple(map(int, cell.split("/"))) for cell in line.split()[1:]] for line in RECORDED.strip().splitlines()}


def lost_for_good(words, outcome, family, version):
    """Is it a thing that the target cannot hold?"""
    name = words[0].upper()
    if outcome.loss == "streams":
        return name.startswith(b"X") and version < (5, 0, 0)
    if outcome.loss == "function libraries":
        return name == b"FUNCTION" and version < (7, 0, 0)
    if outcome.loss == "times to live of hash fields":
        return b"FIELDS" in words and version < ((7, 4, 0) if family == "redis" else (9, 0, 0))
    if outcome.loss == "values in a serialised form":
        return name == b"RESTORE"
    return name == b"SWAPDB" and version < (4, 0, 0)


@pytest.mark.parametrize("name", recording_names())
def test_recorded_streams(name):
    stream = Recording(name).stream
    commands = wire.parse_replies(stream)
    counts = []
    for family, text in TARGETS:
        version = downgrade.number(text)
        outcomes = downgrade.downgrade(stream, family, version, STREAM_MS)
        assert len(outcomes) == len(commands)
        for words, outcome in zip(commands, outcomes):
            if outcome.kind == "cannot":
                assert lost_for_good(words, outcome, family, version), (words, outcome.lost)
            if outcome.kind == "rewritten":
                check_known(outcome.commands, family, version, words)
            if outcome.kind == "same" and words[0].lower() not in (b"replconf", b"select", b"ping", b"multi", b"exec"):
                assert not VOCABULARY.unknown(words, family, version), (words, family, version)
        counts.append(tuple(sum(outcome.kind == kind for outcome in outcomes) for kind in ("same", "rewritten", "cannot")))
    assert counts == recorded_counts()[name]


def test_the_oldest_available_server_is_old():
    """The equivalence of rewritings for versions before it rests on that."""
    assert min(version.number for version in versions.available() if not version.is_valkey) < (6, 2, 0)
