"""Expiry: keys whose life the source extends while keyferry is behind live at the target too, and in the end all times are the true ones."""

import threading
import time

import pytest
import redis

from bench import versions
from bench.ferry import Ferry, json_at
from bench.waiting import wait_for

LIFE_MS = 3000
REFRESH_SECONDS = 0.7
VERSIONS = ["redis-6.0", "redis-7.0", "redis-8.0-sid", "valkey-8.0", "valkey-8.1", "valkey-9.1"]
FAR_MS = 1 << 45  # what lies behind it is a held time


def connect(server, database=0):
    return redis.Redis.from_url(server.url, db=database, socket_timeout=60)


def has_field_times(server):
    return server.version.number >= ((9, 0) if server.version.is_valkey else (7, 4))


def fill(server, keys=4000, minutes=60):
    """Keys to make the snapshot long; every second one has a life of its own."""
    pipe = connect(server).pipeline(transaction=False)
    now = int(time.time() * 1000)
    for number in range(keys):
        pipe.set(f"filler:{number}", number)
        if number % 2:
            pipe.pexpireat(f"filler:{number}", now + minutes * 60_000 + number)
    pipe.execute()


class Refresher(threading.Thread):
    """Keys and fields that live for three seconds and get three more every 0.7, each kind by another command."""

    def __init__(self, server, each=20):
        super().__init__(daemon=True)
        self.server = server
        self.kinds = ["expire", "setex", "incr", "append"] + (["getex"] if server.version.at_least(6, 2) else [])
        self.fields = has_field_times(server)
        self.each = each
        self.rounds = 0
        self._end = threading.Event()
        self._failed = None
        self.refresh()

    def names(self):
        return [f"{kind}:{number}" for kind in self.kinds for number in range(self.each)]

    def hashes(self):
        return [f"fields:{number}" for number in range(self.each)] if self.fields else []

    def refresh(self):
        pipe = connect(self.server).pipeline(transaction=False)
        for number in range(self.each):
            if self.rounds == 0:
                pipe.set(f"expire:{number}", "v", px=LIFE_MS)
                if "getex" in self.kinds:
                    pipe.set(f"getex:{number}", "v", px=LIFE_MS)
            pipe.pexpire(f"expire:{number}", LIFE_MS)
            pipe.psetex(f"setex:{number}", LIFE_MS, self.rounds)
            pipe.incr(f"incr:{number}")
            pipe.pexpire(f"incr:{number}", LIFE_MS)
            pipe.append(f"append:{number}", "x")
            pipe.pexpire(f"append:{number}", LIFE_MS)
            if "getex" in self.kinds:
                pipe.execute_command("GETEX", f"getex:{number}", "PX", LIFE_MS)
            if self.fields:
                if self.rounds == 0:
                    pipe.hset(f"fields:{number}", mapping={"stays": 1, "short": 1, "counted": 0})
                pipe.execute_command("HPEXPIRE", f"fields:{number}", LIFE_MS, "FIELDS", 2, "short", "counted")
                pipe.hincrby(f"fields:{number}", "counted", 1)
        pipe.execute()
        self.rounds += 1

    def run(self):
        try:
            while not self._end.wait(REFRESH_SECONDS):
                self.refresh()
        except Exception as problem:  # pylint: disable=broad-except
            self._failed = problem

    def end(self, life_ms=600_000):
        """No more rounds; what there is lives on for a while, so that it can be compared."""
        self._end.set()
        self.join()
        assert not self._failed, self._failed
        client = connect(self.server)
        assert client.info("stats")["expired_keys"] == 0, "this machine was too slow: keys have expired at the source"
        pipe = client.pipeline(transaction=False)
        for name in self.names():
            pipe.pexpire(name, life_ms)
        for name in self.hashes():
            pipe.execute_command("HPEXPIRE", name, life_ms, "FIELDS", 2, "short", "counted")
        assert all(pipe.execute())


class Watcher(threading.Thread):
    """Looks at the target all the time: what was there once has to be there for ever."""

    def __init__(self, server, refresher):
        super().__init__(daemon=True)
        self.client = connect(server)
        self.refresher = refresher
        self.missing, self.looks = [], 0
        self.seen = set()
        self._end = threading.Event()
        self._failed = None

    def look(self):
        names, hashes = self.refresher.names(), self.refresher.hashes()
        pipe = self.client.pipeline(transaction=False)
        if self.import_source:
            pipe.execute_command("CLIENT", "IMPORT-SOURCE", "ON")
        for name in names + hashes:
            pipe.exists(name)
        for name in hashes:
            pipe.hlen(name)
        for name in hashes:
            pipe.hexists(name, "short")
        answers = pipe.execute()[int(self.import_source):]
        there = dict(zip(names + hashes + [f"{name}.length" for name in hashes] + [f"{name}.short" for name in hashes], answers))
        for name, answer in there.items():
            good = answer == 3 if name.endswith(".length") else answer
            if good:
                self.seen.add(name)
            elif name in self.seen:
                self.missing.append((name, round(time.time(), 2)))
                self.seen.discard(name)
        self.looks += 1

    import_source = False

    def run(self):
        try:
            while not self._end.wait(0.05):
                self.look()
        except Exception as problem:  # pylint: disable=broad-except
            self._failed = problem

    def end(self):
        self._end.set()
        self.join()
        assert not self._failed, self._failed
        assert self.looks > 50 or self.import_source
        assert not self.missing, f"{len(self.missing)} gone from the target: {self.missing[:8]}"


def times_of(server):
    """{key: Unix ms or -1} and {(hash, field): Unix ms}, of database 0."""
    client = connect(server)
    keys = sorted(key for key in client.scan_iter(count=1000) if not key.startswith(b"DTS_REDIS"))
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command(*(("PEXPIRETIME", key) if server.version.at_least(7, 0) else ("PTTL", key)))
    now = int(time.time() * 1000)
    answers = pipe.execute()
    if not server.version.at_least(7, 0):
        answers = [now + answer if answer >= 0 else answer for answer in answers]
    found = dict(zip(keys, answers))
    if has_field_times(server):
        hashes = [key for key in keys if client.type(key) == b"hash"]
        for key in hashes:
            fields = sorted(client.hkeys(key))
            answers = client.execute_command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
            found.update({(key, field): answer for field, answer in zip(fields, answers)})
    return found


def assert_same_times(source, target, tolerance=0, later=0):
    """`later`: by how much the target's times are later."""
    at_source, at_target = times_of(source), times_of(target)
    assert at_source.keys() == at_target.keys(), sorted(map(str, at_source.keys() ^ at_target.keys()))[:5]
    wrong = {name: (at_source[name], at_target[name], at_target[name] - at_source[name]) for name in at_source
             if abs(at_target[name] - at_source[name] - (later if at_source[name] >= 0 else 0)) > tolerance}
    assert not wrong, f"{len(wrong)} times differ: {list(wrong.items())[:5]}"


def tolerance_of(source):
    """Before 7.0 lives come as they were given, and are counted from a time that is known to about a second; and PTTL is read at other moments."""
    return 0 if source.version.at_least(7, 0) else 2500


def wait_settled(ferry, timeout=60):
    return ferry.wait_status(lambda status: status["expiry"]["settled"], timeout=timeout, what="times of expiry put right")


def held(server):
    """How many keys have a held time."""
    return sum(1 for at in times_of(server).values() if at > FAR_MS)


# -- the promise ---------------------------------------------------------------------------------------------------------------

CASES = [pytest.param(name, mode, id=f"{name}-{mode}") for name in VERSIONS for mode in ("guard", "import-mode")
         if mode == "guard" or name in ("valkey-8.1", "valkey-9.1")]


@pytest.mark.parametrize("name, mode", CASES)
def test_keys_refreshed_during_a_long_snapshot_are_never_missing(bench, name, mode):
    source, target = bench.server(name), bench.server(name, config={"import-mode": "yes"} if mode == "import-mode" else {})
    fill(source)
    refresher = Refresher(source)
    refresher.start()
    watcher = Watcher(target, refresher)
    watcher.import_source = mode == "import-mode"
    watcher.start()
    ferry = Ferry(bench, source, target, {"limit.records_per_second": 500}).start()
    ferry.wait_streaming()
    status = ferry.status()
    assert status["expiry"]["mode"] == mode
    assert status["links"][0]["snapshot"]["keys_done"] > 4000
    wait_settled(ferry)
    rounds = refresher.rounds
    wait_for(lambda: refresher.rounds > rounds + 3, timeout=20, what="more rounds")
    refresher.end()
    ferry.wait_in_step(source)
    watcher.end()
    assert_same_times(source, target, tolerance_of(source))
    assert connect(source).mget(refresher.names()) == connect(target).mget(refresher.names())
    assert ferry.stop() == 0
