"""`keyferry verify`: every planted difference is found, nothing else is, also while both sides change; and what is repaired is equal."""

import contextlib
import json
import pathlib
import subprocess
import threading

import pytest

from bench.compare import assert_same, is_heartbeat, is_own
from bench.data import features_of, fill
from bench.deployment import Opened
from bench.ferry import Ferry, binary, unused_address
from bench.load import Load
from bench.planting import Planter, found
from bench.scenario import masters_of
from bench.verify_load import verify_under_load

DIFFERENCES = 1000


class Counter:
    """Writes what must not be applied twice to 40 counters and lists, one after the other, until it is stopped."""

    def __init__(self, source):
        self._client = source.client()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counter", daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._stopping.set()
        self._thread.join(180)

    def _run(self):
        number = 0
        while not self._stopping.wait(0.02):
            number = (number + 1) % 40
            self._client.incr(f"count:{number}")
            self._client.rpush(f"list:{number}", number)


def keys_at(server, database):
    return sorted(key for key in server.client(db=database).scan_iter(count=5000) if not is_heartbeat(key) and not is_own(key))


def run_verify(bench, *words):
    """(exit code, what it says on standard error)."""
    words = [binary(), "verify", "--no-progress", *words]
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=180, check=False)
    return done.returncode, done.stderr.decode()


@contextlib.contextmanager
def planting(deployment):
    """A Planter for a bench server or cluster."""
    with Opened(deployment) as opened:
        def run(database, *words):
            key = words[2] if words[0] in ("XGROUP", "XINFO") else words[1]
            connection = (opened.node_of(key if isinstance(key, bytes) else key.encode()) or opened.nodes[0]).connection
            connection.select(database)
            return connection.call(*words)
        yield Planter(run)


def assert_all_found(planter, code, differences, summary):
    assert code == 7
    listed = found(differences)
    assert {place: kind for place, kind in planter.planted.items() if listed.get(place) != kind} == {}
    assert {place: kind for place, kind in listed.items() if place not in planter.planted} == {}
    assert summary["undecided"] == 0 and summary["incomparable"] == 0


def test_a_thousand_differences(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=3000, databases=(0, 3, 15))
    ferry = Ferry(bench, source, target).run_until_caught_up()
    for mode in ("full", "outline"):
        code, differences, summary = ferry.verify("--mode", mode)
        assert (code, differences) == (0, [])
        assert summary["compared"] == sum(len(keys_at(source, database)) for database in (0, 3, 15))
    with planting(target) as planter:
        for database, count in ((0, 600), (3, 300), (15, 100)):
            planter.plant(database, keys_at(target, database), count)
    assert len(planter.planted) == DIFFERENCES
    assert len(planter.ways) > 25, planter.ways
    assert_all_found(planter, *ferry.verify())
    # What the outline has to find: all but values of the same length.
    code, differences, _ = ferry.verify("--mode", "outline")
    listed = found(differences)
    assert code == 7 and all(planter.planted[place] == kind for place, kind in listed.items())
    assert all(place in listed for place, kind in planter.planted.items() if kind != "value")
    # Nothing is written unless it is asked for.
    code, differences, summary = ferry.verify("--repair", "--dry-run")
    assert code == 7 and len(differences) == DIFFERENCES and summary["repaired"] == 0
    code, differences, summary = ferry.verify("--repair")
    assert (code, summary["repaired"], len(differences)) == (0, DIFFERENCES, DIFFERENCES)
    assert ferry.verify()[:2] == (0, [])
    assert_same(source, target, as_replica=True)


def test_cluster_to_cluster(bench):
    source, target = bench.cluster(replicas_per_master=0), bench.cluster(replicas_per_master=0, masters=4)
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target).run_until_caught_up()
    assert ferry.verify()[:2] == (0, [])
    with planting(target) as planter:
        planter.plant(0, [key for master in target.masters() for key in keys_at(master, 0)], 300)
    assert_all_found(planter, *ferry.verify())
    code, _, summary = ferry.verify("--repair")
    assert (code, summary["repaired"]) == (0, 300)
    assert_same(source, target, as_replica=True)


@pytest.mark.parametrize("old, new", [("redis-6", "redis-8"), ("redis-7.0", "valkey")])
def test_other_versions(bench, old, new):
    source, target = bench.server(old), bench.server(new)
    fill(source, keys=3000, features=features_of(source, target))
    ferry = Ferry(bench, source, target).run_until_caught_up()
    assert ferry.verify("--tolerance", "3s")[:2] == (0, [])
    with planting(target) as planter:
        planter.plant(0, keys_at(target, 0), 300)
    assert_all_found(planter, *ferry.verify("--tolerance", "3s"))


@pytest.mark.parametrize("new, old, running", [("redis-8", "redis-6", False), ("redis-8", "valkey", True)])
def test_repair_where_restore_is_refused(bench, new, old, running):
    """The target does not take the source's serialised values: they are written as commands, large ones by way of a temporary key."""
    source, target = bench.server(new), bench.server(old)
    fill(source, keys=2000, features=features_of(source, target))
    client = source.client()
    for begin in range(0, 200000, 20000):
        client.rpush("d:large", *(f"element {number} of a list that is rather long" for number in range(begin, begin + 20000)))
    ferry = Ferry(bench, source, target).start().wait_streaming().wait_in_step(source)
    if not running:
        assert ferry.stop() == 0
    with planting(target) as planter:
        planter.plant(0, [key for key in keys_at(target, 0) if key != b"d:large"], 300)
    target.client_for_commands().lset("d:large", 777, "another one")
    planter.planted[(0, b"d:large")] = "value"
    target.command("CONFIG", "RESETSTAT")
    code, differences, summary = ferry.verify("--tolerance", "3s", "--repair")
    assert found(differences) == planter.planted
    assert target.client().info("commandstats")["cmdstat_rename"]["calls"] == 1
    assert (code, summary["repaired"]) == (0, 301), [one for one in differences if not one["repaired"]][:3]
    assert ferry.verify("--tolerance", "3s")[:2] == (0, [])
    assert not [key for key in target.client().scan_iter(match="keyferry:tmp:*", count=5000)]
    if running:
        assert ferry.stop() == 0
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=3000)


def test_rules_of_the_task(bench):
    """Selection, mapping, new names: what is not the task's is none of its business, on either side."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000, databases=(0, 1))
    document = {
        "source": {"databases": [0, 1]},
        "target": {"existing": "merge", "database_map": {"0": 2, "1": 3}},
        "filter": {"block": [{"type": "zset"}, {"prefix": "d:text"}]},
        "rename": [{"prefix": "d:", "to": "${db}:"}],
    }
    target.client_for_commands(2).set("somebody's", "own")
    target.client_for_commands(2).zadd("0:zset:1", {"a": 1})
    target.client_for_commands(0).set("d:1", "of another database")
    ferry = Ferry(bench, source, target, document=document).run_until_caught_up()
    code, differences, summary = ferry.verify()
    # Of the rules, "somebody's" could have come from the source's database 0; the others could not.
    assert found(differences) == {(2, b"somebody's"): "extra"}
    assert summary["left_out"] > 0 and code == 7
    target.client_for_commands(2).delete("somebody's")
    with planting(target) as planter:
        planter.plant(2, [key for key in keys_at(target, 2) if key != b"0:zset:1"], 100)
        planter.plant(3, keys_at(target, 3), 100)
    assert_all_found(planter, *ferry.verify())
    assert ferry.verify("--repair")[0] == 0
    assert ferry.verify()[:2] == (0, [])
    assert target.client_for_commands(2).zscore("0:zset:1", "a") == 1


def test_while_both_sides_change(bench):
    """No difference where there is none; those that are there are found, and a repair loses nothing and doubles nothing."""
    source, target = bench.server(), bench.server()
    fill(source, keys=10000)
    ferry = Ferry(bench, source, target, {"target.expiry_margin": "60s"})
    with Load(source, rate=4000) as load:
        ferry.start().wait_streaming().wait_status(lambda status: load.acknowledged > 10000)
        for mode in ("full", "outline", "full"):
            code, differences, summary = ferry.verify("--mode", mode)
            assert summary["live"] and (code, [one for one in differences if one["kind"] != "undecided"]) == (0, [])
        with planting(target) as planter:
            planter.plant(0, [key for key in keys_at(target, 0) if key.startswith(b"d:")], 200)
        code, differences, summary = ferry.verify()
        assert code == 7
        listed = {place: kind for place, kind in found(differences).items() if kind != "undecided"}
        assert listed == planter.planted
        code, differences, summary = ferry.verify("--repair")
        assert (code, summary["repaired"]) == (0, 200)
    assert not load.errors
    ferry.wait_in_step(*masters_of(source))
    assert ferry.verify()[:2] == (0, [])
    assert ferry.stop() == 0
    assert ferry.finish() == 0
    assert_same(source, target, as_replica=True)


def test_a_thousand_differences_under_load(bench):
    """All of them and no others, at 20,000 writes a second where the machine has time for it; `tools/bench-verify --load` insists on the rate."""
    results, planter = verify_under_load(bench, rate=20000, keys=20000)
    assert len(planter.planted) == DIFFERENCES
    for name, one in results.items():
        assert one.summary["live"] and one.rate > 200
        assert one.found == (planter.planted if name in ("planted", "repair") else {})
    assert (results["repair"].code, results["repair"].summary["repaired"]) == (0, DIFFERENCES)


@pytest.mark.parametrize("clusters", [False, True])
def test_repair_of_what_is_written_to(bench, clusters):
    """Counters and lists that the source goes on writing to while they are repaired: exact in the end."""
    source = bench.cluster(replicas_per_master=0) if clusters else bench.server()
    target = bench.cluster(replicas_per_master=0) if clusters else bench.server()
    ferry = Ferry(bench, source, target).start()
    client, other = source.client(), target.client()
    for number in range(40):
        client.set(f"count:{number}", 10**6)
        client.rpush(f"list:{number}", "a")
    ferry.wait_streaming().wait_in_step(*masters_of(source))
    with Load(source, rate=500, keys=50) as load:
        for number in range(40):
            other.incrby(f"count:{number}", 5)
            other.rpush(f"list:{number}", "one too many")
        writer = Counter(source).start()
        try:
            _, differences, summary = ferry.verify("--repair", "--rounds", "40")
        finally:
            writer.stop()
        assert summary["repaired"] > 0
    assert not load.errors
    ferry.wait_in_step(*masters_of(source))
    # A command lost or done twice in the very moment of the repair would have been found when it was looked at again.
    assert [one for one in differences if one["kind"] != "undecided" and not one["repaired"]] == []
    code, differences, _ = ferry.verify("--repair")
    assert code == 0, differences
    assert ferry.verify()[:2] == (0, [])
    assert ferry.stop() == 0
    assert_same(source, target, as_replica=True)


def test_connections_lost(bench, wait_for):
    """Whatever was under way is asked again: nothing is left out, nothing is taken for a difference."""
    source, target = bench.server(), bench.server()
    fill(source, keys=6000)
    ferry = Ferry(bench, source, target).run_until_caught_up()
    target.command("SET", "extra", "1")
    for server in (source, target):
        server.command("CONFIG", "RESETSTAT")
    # Slow enough for six losses, where the machine is not busy with other things.
    running = ferry.start_verify("--rate", "600")
    # Who loses a connection before he has begun is told so, and can begin again.
    wait_for(lambda: all("cmdstat_scan" in server.info("commandstats") for server in (source, target)), what="both sides being walked through")
    losses = 0
    for server in (source, target) * 3:
        wait_for(lambda server=server: not running.process.running or b":verify" in server.command("CLIENT", "LIST"), what="verify's connection")
        if running.process.running:
            server.command("CLIENT", "KILL", "TYPE", "normal")
            losses += 1
    assert losses >= 2
    code, differences, summary = running()
    assert (code, found(differences)) == (7, {(0, b"extra"): "extra"})
    assert summary["compared"] >= 6000


def test_slots_of_the_target_move(bench):
    source, target = bench.server(), bench.cluster(replicas_per_master=0)
    fill(source, keys=6000)
    ferry = Ferry(bench, source, target).start().wait_streaming().wait_in_step(source)
    running = ferry.start_verify("--rate", "4000")
    first, second, third = target.masters()
    target.move_slots(0, 60, third)
    target.move_slots(16000, 16060, first)
    code, differences, summary = running()
    assert (code, differences) == (0, []), summary
    assert summary["compared"] >= 6000
    client = target.client()
    for number in range(50):
        client.set(f"extra:{number}", 1)
    running = ferry.start_verify("--repair")
    target.move_slots(61, 120, second if target.owner(61) is not second else third)
    running()
    code, differences, _ = ferry.verify("--repair")
    assert code == 0, differences
    assert ferry.verify()[:2] == (0, [])
    assert ferry.stop() == 0
    # MIGRATE sends times to live, which are some milliseconds late.
    assert_same(source, target, as_replica=True, expiry_tolerance_ms=1000)


def test_what_cannot_be_asked(bench):
    """Who may not read is told so; a side that is not there, too; a target that does not catch up is not taken for different."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    Ferry(bench, source, target).run_until_caught_up()
    source.set_user("reader", "on >secret ~* &* +@all -dump")
    words = ["--target", target.url]
    code, log = run_verify(bench, "--source", source.url_for("reader", "secret"), *words)
    assert code == 4 and "NOPERM" in log and "DUMP" in log
    code, log = run_verify(bench, "--source", source.url_for("reader", "secret"), *words, "--mode", "outline")
    assert code == 0, log
    code, log = run_verify(bench, "--source", f"redis://{unused_address()}", *words)
    assert code == 4, log
    code, log = run_verify(bench, "--source", source.url, *words, "--mode", "half")
    assert code == 2 and "full or outline" in log
    code, log = run_verify(bench, "--source", "rdb:///tmp/dump.rdb", *words)
    assert code == 2 and "files" in log


def stopped(thread):
    return "State:\tT" in (thread / "status").read_text()


def test_a_target_that_does_not_catch_up(bench, wait_for):
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target).start().wait_streaming().wait_in_step(source)
    ferry.process.pause()
    wait_for(lambda: all(stopped(thread) for thread in pathlib.Path(f"/proc/{ferry.process.pid}/task").iterdir()), what="all threads to stand still")
    source.command("SET", "late", "1")
    code, log = run_verify(bench, "--source", source.url, "--target", target.url, "--data", ferry.data, "--wait", "1s")
    assert code == 5 and "has not caught up" in log
    ferry.process.resume()
    assert ferry.verify()[:2] == (0, [])
    assert ferry.stop() == 0
    # Stopped, it is different indeed.
    source.command("SET", "later", "1")
    code, differences, _ = ferry.verify()
    assert code == 7 and found(differences) == {(0, b"later"): "missing"}


def test_script_gives_names(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    ferry = Ferry(bench, source, target, {
        "lua.script": "return function(e) if e.kind == 'key' then if e.key:find('hash') then return false end e.key = 'of:' .. e.key end return e end",
    }).run_until_caught_up()
    code, differences, summary = ferry.verify()
    assert (code, differences) == (0, []) and summary["left_out"] > 0
    with planting(target) as planter:
        planter.remove(0, keys_at(target, 0)[5])
    assert [one["kind"] for one in ferry.verify()[1]] == ["missing"]
    assert "were not looked for" in ferry.log


@pytest.mark.parametrize("version, options", [
    (None, {"checkpoint": "local"}),                   # how far the target is, the source has to tell
    (None, {"source.mode": "scan"}),                   # and here nobody does
    ("redis-8", {"target.expiry_margin": "60s"}),      # fields of hashes that expire, guarded
    ("redis-8", {"target.expiry_guard": "always"}),
    ("valkey", {}),
], ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else value)
def test_kinds_of_tasks(bench, version, options):
    """However a task says how far it is, and writes times: live, differences are found, and nothing else; stopped, the same."""
    source, target = bench.server(version), bench.server(version)
    if "source.mode" in options:
        source.config_set("notify-keyspace-events", "AKE")
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, options)
    with Load(source, rate=1000) as load:
        ferry.start().wait_streaming().wait_status(lambda status: load.acknowledged > 2000)
        with planting(target) as planter:
            planter.plant(0, [key for key in keys_at(target, 0) if key.startswith(b"d:")], 100)
        code, differences, summary = ferry.verify("--repair", "--tolerance", "3s", "--rounds", "4")
        listed = {place: kind for place, kind in found(differences).items() if kind != "undecided"}
        assert summary["live"] and listed == planter.planted
        assert (code, summary["repaired"]) == (0, 100)
    assert not load.errors
    assert ferry.stop() == 0
    if "source.mode" not in options:
        ferry.run_until_caught_up()
        code, differences, _ = ferry.verify("--tolerance", "3s")
        assert code == 0, differences[:3]


READS = "+info +scan +dump +pexpiretime +exists +select"
LENGTHS = "+type +strlen +llen +scard +zcard +hlen +xlen"


def test_least_rights(bench):
    """The rights that docs/verify.md names are enough."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500, databases=(0, 1))
    ferry = Ferry(bench, source, target).run_until_caught_up()
    target.command("SET", "extra", 1)
    target.client_for_commands(1).delete(keys_at(target, 1)[7])
    source.set_user("reader", f"on >secret ~* {READS} {LENGTHS}")
    target.set_user("reader", f"on >secret ~* {READS} {LENGTHS} +hgetall +client|list")
    target.set_user("mender", f"on >secret ~* {READS} +hgetall +client|list +watch +multi +exec +restore +del")

    def run(user, *words):
        sides = ["--source", source.url_for("reader", "secret"), "--target", target.url_for(user, "secret"), "--data", ferry.data]
        return run_verify(bench, *sides, *words)
    for mode in ("full", "outline"):
        code, log = run("reader", "--mode", mode)
        assert code == 7 and "2 differences: 1 missing, 1 extra" in log
    code, log = run("mender", "--repair")
    assert code == 0 and "2 of them repaired" in log
    assert ferry.verify()[:2] == (0, [])


def test_cut_off(bench, wait_for):
    source, target = bench.server(), bench.server()
    fill(source, keys=3000)
    ferry = Ferry(bench, source, target).run_until_caught_up()
    verify = ferry.start_verify("--rate", "100")
    wait_for(lambda: b":verify" in source.command("CLIENT", "LIST"), what="verify's connection")
    verify.process.stop()
    assert verify()[0] == 1
    assert "cut off" in ferry.log


def test_a_running_task_verifies_itself(bench):
    """Every second, under load: what is planted is found, told and repaired; a stop does not wait for it."""
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    ferry = Ferry(bench, source, target, {"verify.every": "1s"})
    with Load(source, rate=500, keys=200) as load:
        ferry.start().wait_streaming().wait_status(lambda status: status["verify"]["runs"] >= 2)
        with planting(target) as planter:
            planter.plant(0, [key for key in keys_at(target, 0) if key.startswith(b"d:")], 50)
        ferry.wait_status(lambda status: sum(status["verify"]["differences"].values()) == 50, what="50 differences")
    assert not load.errors
    # The event follows; of a run in which they were planted it may name less.
    ferry.wait_status(lambda status: [one for one in status["events"] if one["kind"] == "verify_different" and one["cost"]["differences"] == 50], what="the event")
    status = ferry.status()
    assert status["verify"]["compared"] >= 2000 and status["verify"]["repaired"] == 0 and status["verify"]["next"] > status["verify"]["begun"]
    assert all(one["link"] is None for one in status["events"] if one["kind"] == "verify_different")
    assert 'result="done"' in ferry.get("/metrics") and "keyferry_verify_differences{" in ferry.get("/metrics")
    assert ferry.stop() == 0
    ferry.start("--set", "verify.repair=true", "--set", "verify.mode=full")
    ferry.wait_status(lambda status: status["verify"]["repaired"] == 50, what="50 repaired")
    ferry.wait_status(lambda status: status["verify"]["runs"] > 1 and sum(status["verify"]["differences"].values()) == 0, what="no differences")
    ferry.wait_in_step(*masters_of(source))
    # A target that hangs is told, and does not hold up the end.
    target.pause()
    ferry.wait_status(lambda status: status["verify"]["failures"] > 0 or status["verify"]["running"])
    assert ferry.stop(timeout=50) == 0
    target.resume()
    assert_same(source, target, as_replica=True)


class CutOff:
    """A task of many small keys with differences, whose verification is cut off."""

    KEYS = 10000

    def __init__(self, bench, wait_for):
        self.source, self.target = bench.server(), bench.server()
        self._wait_for = wait_for
        with self.source.client_for_commands().pipeline(transaction=False) as pipeline:
            for number in range(self.KEYS):
                pipeline.set(f"key:{number}", number)
            pipeline.execute()
        self.ferry = Ferry(bench, self.source, self.target).run_until_caught_up()
        self.state = pathlib.Path(self.ferry.data) / "verify.json"
        self.planted = {}
        client = self.target.client_for_commands()
        for number in range(0, self.KEYS, 100):
            client.set(f"key:{number}", "other")
            self.planted[(0, f"key:{number}".encode())] = "value"
        for number in range(200):
            client.set(f"extra:{number}", 1)
            self.planted[(0, f"extra:{number}".encode())] = "extra"

    def kept(self):
        return json.loads(self.state.read_text()) if self.state.exists() else None

    def cut_off(self, kill, stage="source"):
        """Once there is a state of this stage; returns the one that is left."""
        assert not self.state.exists()
        running = self.ferry.start_verify("--rate", "2000")
        self._wait_for(lambda: (self.kept() or {"counts": {"stage": None}})["counts"]["stage"] == stage, what="a state to go on from")
        assert (running.process.kill if kill else running.process.stop)() == (-9 if kill else 1)
        return self.kept()

    def dumps(self):
        """How many values the source was asked for."""
        return self.source.client().info("commandstats").get("cmdstat_dump", {"calls": 0})["calls"]

    def assert_whole(self, code, differences, summary):
        """All of it, by however many runs."""
        assert code == 7 and found(differences) == self.planted and len(differences) == len(self.planted)
        assert summary["compared"] == self.KEYS and summary["target_keys"] - summary["others"] == self.KEYS + 200
        assert not self.state.exists() and not self.state.with_suffix(".found").exists()


def test_goes_on_where_it_was_cut_off(bench, wait_for):
    """Stopped or killed, in either walk, and started again: what was compared is not read again, and all differences are told all the same."""
    task = CutOff(bench, wait_for)
    state = task.cut_off(False)
    assert state["counts"]["compared"] > 0
    assert "it goes on" in task.ferry.log
    before = task.dumps()
    code, differences, summary = task.ferry.verify()
    task.assert_whole(code, differences, summary)
    assert summary["resumed_keys"] == state["counts"]["source_keys"] + state["counts"]["target_keys"]
    # Those that had differed are read once more in each look.
    assert task.dumps() - before <= task.KEYS - state["counts"]["compared"] + 4 * len(task.planted)
    state = task.cut_off(True, "target")
    before = task.dumps()
    code, differences, summary = task.ferry.verify()
    task.assert_whole(code, differences, summary)
    assert task.dumps() - before <= 4 * len(task.planted)


def test_begins_anew_where_it_cannot_go_on(bench, wait_for):
    """What another verification has left is no beginning of this one."""
    task = CutOff(bench, wait_for)
    task.cut_off(True)
    summary = task.ferry.verify("--mode", "outline")[2]
    assert summary["resumed_keys"] == 0 and summary["compared"] == task.KEYS and "another --mode" in task.ferry.log
    task.cut_off(True)
    code, differences, summary = task.ferry.verify("--restart")
    assert summary["resumed_keys"] == 0
    task.assert_whole(code, differences, summary)
    task.cut_off(False)
    task.target.restart()
    summary = task.ferry.verify()[2]
    assert summary["resumed_keys"] == 0 and "the target's servers" in task.ferry.log
    # Damaged, it is no beginning either, and no obstacle.
    task.state.write_text('{"format": 1')
    task.state.with_suffix(".found").write_bytes(b"x")
    assert task.ferry.verify()[2]["resumed_keys"] == 0
    # The other one's state is the other one's.
    running = task.ferry.start_verify("--rate", "2000")
    wait_for(task.state.exists, what="a state to go on from")
    running.process.pause()  # it is not done before
    assert task.ferry.verify()[2]["resumed_keys"] == 0
    assert "another verification of the task is under way" in task.ferry.log
    assert task.state.exists()
    running.process.resume()
    assert running()[2]["compared"] == task.KEYS


def test_a_running_tasks_own_goes_on(bench, wait_for):
    """Its process killed, the verification under way goes on when it runs again, not one interval later."""
    task = CutOff(bench, wait_for)
    state = pathlib.Path(task.ferry.data) / "verify-scheduled.json"
    ferry = Ferry(bench, task.source, task.target, {"verify.every": "1s", "verify.rate": "2000"}, data=task.ferry.data).start()
    wait_for(state.exists, what="a state to go on from")
    ferry.process.kill()
    ferry = Ferry(bench, task.source, task.target, {"verify.every": "1h"}, data=task.ferry.data).start()
    ferry.wait_status(lambda status: status["verify"]["runs"] == 1, what="the verification")
    assert "going on with the verification begun" in ferry.log
    status = ferry.status()
    assert sum(status["verify"]["differences"].values()) == len(task.planted) and status["verify"]["compared"] == task.KEYS
    assert not state.exists()
    assert ferry.stop() == 0


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_restarted_under_way(bench, wait_for, side):
    """Its cursors count for one process: another one's keys are gone through from the beginning, and none is missed."""
    task = CutOff(bench, wait_for)
    running = task.ferry.start_verify("--rate", "2500")
    server = task.source if side == "source" else task.target

    def scans():
        return server.client().info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"]
    wait_for(lambda: scans() > 3, what="the walk to be under way")
    server.restart()
    code, differences, _ = running()
    assert code == 7 and {place: kind for place, kind in task.planted.items() if found(differences).get(place) != kind} == {}
    assert "gone through anew" in task.ferry.log
