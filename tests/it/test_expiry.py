"""Expiry: keys whose life the source extends while keyferry is behind live at the target too, and in the end all times are the true ones."""

import threading
import time

import pytest
import redis

from bench.ferry import Ferry
from bench.proxy import Proxy
from bench.scenario import TooSlow, repeated_when_too_slow
from bench.waiting import wait_for

LIFE_MS = 3000
REFRESH_SECONDS = 0.7
VERSIONS = ["redis-6.0", "redis-7.0", "redis-8.0-sid", "valkey-8.0", "valkey-8.1", "valkey-9.1"]
FAR_MS = 1 << 45  # what lies behind it is a held time


def connect(server, database=0):
    return redis.Redis.from_url(server.url, db=database, socket_timeout=180)


def has_field_times(server):
    return server.version.number >= ((9, 0) if server.version.is_valkey else (7, 4))


def fill(server, keys=2500, minutes=60):
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
        if client.info("stats")["expired_keys"]:
            raise TooSlow
        pipe = client.pipeline(transaction=False)
        for name in self.names():
            pipe.pexpire(name, life_ms)
        for name in self.hashes():
            pipe.execute_command("HPEXPIRE", name, life_ms, "FIELDS", 2, "short", "counted")
        # A field that has expired was never set again.
        if not all(answer in (True, [1, 1]) for answer in pipe.execute()):
            raise TooSlow


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
        assert self.looks > 10
        assert not self.missing, f"{len(self.missing)} gone from the target: {self.missing[:8]}"


def times_of(server):
    """{key: Unix ms or -1} and {(hash, field): Unix ms}, of database 0."""
    client = connect(server)
    keys = sorted(key for key in client.scan_iter(count=1000) if not key.startswith((b"DTS_REDIS", b"keyferry:")))
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


def wait_settled(ferry):
    return ferry.wait_status(lambda status: status["expiry"]["settled"], what="times of expiry put right")


def now_of(server):
    """The server's clock, Unix ms."""
    seconds, microseconds = connect(server).time()
    return seconds * 1000 + microseconds // 1000


def wait_lives_over(server):
    """Half a life longer than the lives that the Refresher gave last: whoever had only those would have lost the keys."""
    goal = now_of(server) + 1.5 * LIFE_MS
    wait_for(lambda: now_of(server) > goal, what="lives to be over")


def held(server):
    """How many keys have a held time."""
    return sum(1 for at in times_of(server).values() if at > FAR_MS)


# -- the promise ---------------------------------------------------------------------------------------------------------------

CASES = [pytest.param(name, mode, id=f"{name}-{mode}") for name in VERSIONS for mode in ("guard", "import-mode")
         if mode == "guard" or name in ("valkey-8.1", "valkey-9.1")]


@pytest.mark.parametrize("name, mode", CASES)
@repeated_when_too_slow
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
    assert status["links"][0]["snapshot"]["keys_done"] > 2500
    wait_settled(ferry)
    rounds = refresher.rounds
    wait_for(lambda: refresher.rounds > rounds + 3, what="more rounds")
    refresher.end()
    ferry.wait_in_step(source)
    watcher.end()
    assert_same_times(source, target, tolerance_of(source))
    assert connect(source).mget(refresher.names()) == connect(target).mget(refresher.names())
    assert ferry.stop() == 0


@repeated_when_too_slow
def test_without_the_guard_they_are_missing(bench):
    """What the guard is for; and that the tests above are able to fail."""
    source, target = bench.server(), bench.server()
    fill(source)
    refresher = Refresher(source)
    refresher.start()
    ferry = Ferry(bench, source, target, {"limit.records_per_second": 500, "target.expiry_guard": "off"}).start().wait_streaming()
    assert ferry.status()["expiry"] == {"mode": "off", "settled": True, "settling": False, "keys_looked_at": 0, "times_changed": 0, "times_passed": 0}
    refresher.end()
    ferry.wait_in_step(source)
    # SET comes again each time; EXPIRE, GETEX and the value that grows do not bring back what is gone.
    assert connect(target).exists(*(f"expire:{number}" for number in range(20))) < 20
    assert ferry.stop() == 0


@pytest.mark.parametrize("name", ["redis-7.0", "redis-8.0-sid"])
@repeated_when_too_slow
def test_killed_while_held_and_while_settling(bench, name):
    source, target = bench.server(name), bench.server(name)
    fill(source, keys=60_000)
    refresher = Refresher(source)
    refresher.start()
    watcher = Watcher(target, refresher)
    watcher.start()
    ferry = Ferry(bench, source, target, {"limit.records_per_second": 16_000}).start()
    # Of one document: the snapshot's end is not far.
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 20_000 and status["links"][0]["expiry_times"] == "held", what="a third of the snapshot")
    ferry.kill()
    wait_lives_over(source)  # held times outlive it
    ferry.start()
    for _ in range(2):
        # It takes a second or two. Where nobody has looked in time, the kill is one behind it.
        ferry.wait_status(lambda status: status["expiry"]["settled"] or (status["expiry"]["settling"] and status["expiry"]["times_changed"] > 0),
                          what="times being put right")
        ferry.kill()
        ferry.start()
    wait_settled(ferry)
    refresher.end()
    ferry.wait_in_step(source)
    watcher.end()
    assert_same_times(source, target)
    assert ferry.stop() == 0


# -- cluster -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["redis-7.0", "valkey-9.1"])
@repeated_when_too_slow
def test_between_clusters(bench, name):
    source, target = bench.cluster(name, masters=2, replicas_per_master=0), bench.cluster(name, masters=3, replicas_per_master=0)
    client = redis.RedisCluster.from_url(source.masters()[0].url)
    now = int(time.time() * 1000)
    for number in range(600):
        client.execute_command("SET", f"key:{number}", "v", "PXAT", now + 600_000 + number)
    client.execute_command("SET", "short", "v", "PX", LIFE_MS)
    over = client.execute_command("PEXPIRETIME", "short")
    ferry = Ferry(bench, source.masters()[0], target.masters()[0], {"limit.records_per_second": 100}).start()
    ferry.wait_status(lambda status: status["state"] == "snapshot", what="the snapshot")
    most_held = 0
    # It outlives its first life, and the end of the snapshot.
    while now_of(source.masters()[0]) < over + 400 or not ferry.status()["expiry"]["settled"]:
        wait_for(lambda: client.execute_command("PTTL", "short") < LIFE_MS - 300, what="a part of its life to be over")
        if not client.execute_command("PEXPIRE", "short", LIFE_MS):
            raise TooSlow
        most_held = max(most_held, held_in_cluster(target))
    if most_held <= 100:
        raise TooSlow
    if not client.execute_command("PEXPIREAT", "short", now + 900_000):
        raise TooSlow
    ferry.wait_in_step(*source.masters())
    reader = redis.RedisCluster.from_url(target.masters()[0].url)
    assert [reader.execute_command("PEXPIRETIME", f"key:{number}") for number in range(600)] == [now + 600_000 + number for number in range(600)]
    assert reader.execute_command("PEXPIRETIME", "short") == now + 900_000
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    assert held_in_cluster(target) == 0


def held_in_cluster(cluster):
    return sum(held(master) for master in cluster.masters())


# -- the margin ----------------------------------------------------------------------------------------------------------------

@repeated_when_too_slow
def test_the_margin_covers_a_stall_and_finish_takes_it_off(bench):
    source, target = bench.server("redis-8.0-sid"), bench.server("redis-8.0-sid")
    fill(source, keys=500)
    refresher = Refresher(source)
    refresher.start()
    watcher = Watcher(target, refresher)
    watcher.start()
    ferry = Ferry(bench, source, target, {"target.expiry_margin": "60s"}).start().wait_streaming()
    ferry.wait_status(lambda status: status["expiry"]["settled"] and status["links"][0]["expiry_times"] == "live", what="times of expiry put right")
    # Both sides change, and are read one after the other.
    wait_for(lambda: assert_same_times(source, target, tolerance=LIFE_MS, later=60_000) or True, what="times that are one margin later")
    target.pause()
    wait_lives_over(source)
    target.resume()
    rounds = refresher.rounds
    wait_for(lambda: refresher.rounds > rounds + 4, what="more rounds")
    refresher.end()
    ferry.wait_in_step(source)
    watcher.end()
    wait_settled(ferry)
    assert_same_times(source, target, later=60_000)
    assert ferry.finish() == 8
    assert "is being run by process" in ferry.log
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    assert_same_times(source, target)


def test_finish_may_be_cut_off_and_run_again(bench):
    source, target = bench.server("redis-8.0-sid"), bench.server("redis-8.0-sid")
    fill(source, keys=60_000)
    large = {f"field:{number}": number for number in range(3000)}
    connect(source).hset("large", mapping=large)
    connect(source).execute_command("HPEXPIRE", "large", 900_000, "FIELDS", len(large), *large)
    connect(source).set("without", "v")
    options = {"target.expiry_margin": "30s"}
    ferry = Ferry(bench, source, target, options).start().wait_streaming()
    wait_settled(ferry)
    connect(source).pexpire("filler:1", 300_000)
    ferry.wait_in_step(source)
    assert_same_times(source, target, later=30_000)
    connect(target).set("keyferry:tmp:{abc}", "left")
    assert ferry.stop() == 0
    for scripts in (0, 1, 20, 60, 120):
        begin_to_finish(ferry, target, scripts)
    assert ferry.finish() == 0
    assert "temporary keys removed" in ferry.log
    assert_same_times(source, target)
    assert connect(target).exists("keyferry:tmp:{abc}") == 0
    assert ferry.finish() == 0
    assert_same_times(source, target)
    # And on: with another margin what is there gets that one.
    ferry._argv += ["--set", "target.expiry_margin=7s"]
    ferry.start().wait_streaming()
    wait_settled(ferry)
    assert_same_times(source, target, later=7000)
    assert ferry.stop() == 0
    ferry._argv += ["--set", "target.expiry_guard=off"]
    ferry.start().wait_streaming()
    assert_same_times(source, target)
    assert ferry.stop() == 0


def scripts_run(server):
    return connect(server).info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0)


def begin_to_finish(ferry, target, scripts):
    """Kills a `keyferry finish` when so many scripts that put times right have run at the target, or it has ended."""
    before = scripts_run(target)
    process = ferry.start_finish()
    wait_for(lambda: scripts_run(target) >= before + scripts or not process.running, what=f"{scripts} scripts")
    process.kill()


def test_lost_connection_while_it_is_found_out(bench):
    """Is no reason to go on without the guard."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    proxy = Proxy(bench, target)
    proxy.cut_when_sent(b"$4\r\nLOAD\r\n")
    ferry = Ferry(bench, source, proxy)
    assert ferry.run() == 5
    ferry.start().wait_streaming()
    assert ferry.status()["expiry"]["mode"] == "guard"
    assert "cannot be guarded" not in ferry.log
    assert ferry.stop() == 0


def test_target_that_loads_while_it_is_found_out(bench):
    """Nor is a server that was restarted just then."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    proxy = Proxy(bench, target)
    proxy.answer_when_sent(b"$4\r\nLOAD\r\n", b"-LOADING Redis is loading the dataset in memory\r\n")
    ferry = Ferry(bench, source, proxy)
    assert ferry.run() == 5
    assert "LOADING" in ferry.log
    ferry.start().wait_streaming()
    assert ferry.status()["expiry"]["mode"] == "guard"
    assert "cannot be guarded" not in ferry.log
    assert ferry.stop() == 0


# -- odd ones ------------------------------------------------------------------------------------------------------------------

def test_expired_keys_of_the_snapshot_are_brought_and_deleted_by_the_source(bench):
    source = bench.server("redis-7.0", config={"enable-debug-command": "yes", "repl-diskless-sync-delay": 3})
    target = bench.server("redis-7.0")
    client = connect(source)
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    ferry = Ferry(bench, source, target).start()
    # Behind the precheck, whose look at samples of keys would have the source delete them.
    wait_for(lambda: client.info("replication").get("slave0", {}).get("state") == "wait_bgsave", what="the snapshot to be asked for")
    client.set("passed", "v", px=1)
    client.set("counter", 41, px=1)
    ferry.wait_streaming()
    wait_settled(ferry)
    reader = connect(target)
    assert reader.exists("passed", "counter") == 2
    assert ferry.status()["expiry"]["times_passed"] == 2
    client.incr("counter")  # the source deletes it first, and says so
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    wait_for(lambda: not reader.exists("passed"), what="the source's DEL")
    ferry.wait_in_step(source)
    assert reader.get("counter") == b"1" and reader.ttl("counter") == -1
    assert ferry.stop() == 0


def test_import_mode_that_ends_under_way(bench):
    source, target = bench.server("valkey-8.1"), bench.server("valkey-8.1", config={"import-mode": "yes"})
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target, {"limit.records_per_second": 200}).start()
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 100, what="some keys")
    assert ferry.status()["expiry"]["mode"] == "import-mode" and held(target) == 0
    connect(target).config_set("import-mode", "no")
    ferry.wait_log("is not in import mode any more")
    wait_for(lambda: held(target) > 0, what="held times")
    ferry.wait_streaming()
    wait_settled(ferry)
    assert_same_times(source, target)
    assert ferry.stop() == 0


def test_times_that_move_while_they_are_put_right(bench):
    """RENAME takes held times to where the scan has been already."""
    source, target = bench.server(), bench.server()
    fill(source, keys=40_000)
    client = connect(source)
    # A scan that takes its time: the way there and back for each of its steps.
    way = Proxy(bench, target)
    ferry = Ferry(bench, source, way).start()
    ferry.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 30_000, what="most of the snapshot")
    way.delay(0.02)
    ferry.wait_streaming()
    names = [f"filler:{number}" for number in range(1, 40_000, 2)]
    moved = 0
    while not ferry.status()["expiry"]["settled"] and moved < len(names):
        pipe = client.pipeline(transaction=False)
        for name in names[moved:moved + 200]:
            pipe.rename(name, name + ":moved")
        pipe.execute()
        moved += 200
    assert moved > 200
    way.delay(0)
    wait_settled(ferry)
    ferry.wait_in_step(source)
    assert_same_times(source, target)
    assert ferry.stop() == 0


def test_two_tasks_into_one_target_leave_each_other_alone(bench):
    one, other, target = bench.server(), bench.server(), bench.server()
    connect(one).set("one", "v", ex=600)
    fill(other, keys=10_000)
    slow = Ferry(bench, other, target, {"limit.records_per_second": 100, "target.existing": "merge"}).start()
    slow.wait_status(lambda status: status["links"][0]["snapshot"]["keys_done"] > 200, what="some keys")
    quick = Ferry(bench, one, target, {"target.existing": "merge"}).run_until_caught_up()
    before = held(target)
    assert before > 50
    assert connect(target).execute_command("PEXPIRETIME", "one") == connect(one).execute_command("PEXPIRETIME", "one")
    assert quick.finish() == 0
    assert "temporary keys" in quick.log and "were left" in quick.log
    assert held(target) >= before
    assert slow.stop() == 0


def test_always_holds_until_finish(bench):
    source, target = bench.server("redis-8.0-sid"), bench.server("redis-8.0-sid")
    client = connect(source)
    client.set("short", "v", px=400)
    client.set("long", "v", ex=600)
    client.hset("hash", mapping={"short": 1, "long": 1})
    client.execute_command("HEXPIRE", "hash", 600, "FIELDS", 1, "long")
    ferry = Ferry(bench, source, target, {"target.expiry_guard": "always", "target.expiry_margin": "60s"}).run_until_caught_up()
    ferry.start().wait_streaming()
    client.set("later", "v", ex=300)
    client.expire("long", 900, gt=True)
    ferry.wait_in_step(source)
    wait_for(lambda: not connect(target).exists("short"), what="the source's DEL")
    assert held(target) == 3
    assert ferry.status()["expiry"]["mode"] == "always"
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    assert_same_times(source, target)


def test_a_target_without_scripts_is_told_of(bench):
    source, target = bench.server(), bench.server(users={"default": "on nopass ~* +@all -@scripting"})
    connect(source).set("k", "v", ex=600)
    ferry = Ferry(bench, source.url, f"redis://{target.address}").run_until_caught_up()
    assert "times of expiry cannot be guarded" in ferry.log and "target.expiry_guard: off" in ferry.log


def test_finish_in_several_databases_of_a_cluster(bench):
    """Database 0 is looked at again after the others, in each pass."""
    source = bench.server("valkey-9")
    target = bench.cluster("valkey-9", masters=1, replicas_per_master=0, config={"cluster-databases": 4})
    far = int(time.time() * 1000) + 3_600_000
    for database in (0, 2, 3):
        connect(source, database).set("key", database, pxat=far + database)
    ferry = Ferry(bench, source, target, {"target.expiry_margin": "60s"}).start().wait_streaming()
    for database in (0, 2, 3):
        connect(source, database).set("later", database, pxat=far + database)
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    for database in (0, 2, 3):
        client = connect(target.masters()[0], database)
        assert [client.pexpiretime(name) for name in ("key", "later")] == [far + database] * 2
