"""`keyferry cutover`: under live load nothing is lost and nothing is written behind the moment; whatever fails, writers go on at the source."""

import signal
import socket
import subprocess
import threading

import pytest

from bench.compare import assert_same, is_heartbeat
from bench.data import fill
from bench.ferry import Ferry
from bench.scenario import TooSlow, masters_of, repeated_when_too_slow
from bench.waiting import wait_for

NAMES = 30


class Writer:
    """Counts up 30 counters, one command after the other, as long as the source answers; knows which were answered."""

    def __init__(self, source):
        self.counts = {f"n:{number}": 0 for number in range(NAMES)}
        self.total = 0
        self.problem = None
        self._client = source.client(socket_timeout=None)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self.total > 50, what="a writer that writes")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._stopping.set()
        self._thread.join(180)
        assert not self._thread.is_alive() and not self.problem, self.problem

    def wait_for_more(self, timeout=180):
        """The source takes writes."""
        before = self.total
        wait_for(lambda: self.total > before + 20, timeout=timeout, what="the writer to go on")

    def _run(self):
        try:
            while not self._stopping.wait(0.001):
                name = f"n:{self.total % NAMES}"
                self._client.incr(name)
                self.counts[name] += 1
                self.total += 1
        except Exception as problem:  # pylint: disable=broad-except
            self.problem = problem


def unpause(source):
    for master in masters_of(source):
        master.command("CLIENT", "UNPAUSE")


def takes_writes(master):
    """Within a moment, that is. (PUBLISH waits as writes do, and every node of a cluster takes it.)"""
    connection = socket.create_connection(("127.0.0.1", master.port), timeout=1)
    with connection:
        connection.sendall(b"PING\r\nPUBLISH nobody hears\r\n")
        connection.settimeout(1)
        got = b""
        try:
            while got.count(b"\r\n") < 2:
                got += connection.recv(100)
        except TimeoutError:
            return False
        return True


def start(bench, source, target, options=None, keys=3000):
    fill(source, keys=keys)
    return Ferry(bench, source, target, options).start().wait_streaming()


def counters_at(deployment):
    client = deployment.client()
    return {f"n:{number}": int(client.get(f"n:{number}") or 0) for number in range(NAMES)}


def own_keys(target):
    return [key for master in masters_of(target) for key in master.client().scan_iter(match="keyferry:*", count=5000)]


@pytest.mark.parametrize("clusters, options, mode", [
    (False, {"target.expiry_margin": "60s"}, "full"),
    (True, {}, "outline"),
    (False, {"checkpoint": "local"}, "outline"),
])
def test_under_live_load(bench, clusters, options, mode):
    """Writers run into the pause and stay there; what they were told is done is at the target, and nothing else."""
    source = bench.cluster(replicas_per_master=0) if clusters else bench.server()
    target = bench.cluster(replicas_per_master=0) if clusters else bench.server()
    ferry = start(bench, source, target, options)
    with Writer(source) as writer:
        code, result = ferry.cutover("--verify", mode)
        answered = dict(writer.counts)
        assert code == 0, result
        assert ferry.wait() == 0 and "asked to end by 'keyferry cutover'" in ferry.log
        assert result["done"] and not result["by_hand"] and result["held_until"] and result["moment"] <= result["applied"] <= result["ended"]
        assert len(result["masters"]) == len(masters_of(source))
        assert result["verified"]["compared"] >= 3000 and sum(result["verified"]["differences"].values()) == 0
        # The source takes none, whoever has gone.
        assert not any(takes_writes(master) for master in masters_of(source))
        assert counters_at(target) == answered
        assert_same(source, target, as_replica=True)
        assert own_keys(target) == []
        # By accident it does not begin again; with the file gone it would.
        assert ferry.run() == 3 and "was cut over at" in ferry.log
        unpause(source)
        writer.wait_for_more()
    assert counters_at(target) == answered


def test_dry_run_and_by_hand(bench):
    source, target = bench.server("redis-6"), bench.server()
    ferry = start(bench, source, target)
    with Writer(source) as writer:
        code, result = ferry.cutover("--dry-run")
        assert code == 0 and not result["done"] and result["moment"] is None, result
        assert ferry.process.running
        writer.wait_for_more()
        # Older than 6.2: nothing can be paused.
        running = ferry.start_cutover().wait_log("stop everything that writes").wait_log("still written to: incr")
    code, result = running.wait()
    assert code == 0 and result["by_hand"] and result["held_until"] is None, running.log
    assert "were left" not in running.log, running.log + ferry.log
    assert ferry.wait() == 0
    assert counters_at(target) == writer.counts
    wait_for(lambda: takes_writes(source), what="a source that takes writes")
    assert_same(source, target, as_replica=True)
    assert not [key for key in source.client().keys() if is_heartbeat(key)]


def test_writers_that_do_not_stop(bench):
    source, target = bench.server(), bench.server()
    ferry = start(bench, source, target, keys=200)
    with Writer(source):
        code, result = ferry.cutover("--by-hand", "--timeout", "5s")
        assert code == 5 and not result["done"], result
        assert ferry.process.running
    assert ferry.cutover("--hold", "0s")[0] == 0
    wait_for(lambda: takes_writes(source), what="a source that takes writes")
    assert ferry.wait() == 0
    assert_same(source, target, as_replica=True)


@pytest.mark.parametrize("clusters", [False, True])
def test_rolled_back_where_the_target_differs(bench, clusters):
    source = bench.cluster(replicas_per_master=0) if clusters else bench.server()
    target = bench.server()
    ferry = start(bench, source, target)
    target.client().set("extra", 1)
    with Writer(source) as writer:
        running = ferry.start_cutover()
        code, result = running.wait()
        assert code == 7 and result["verified"]["differences"]["extra"] == 1 and not result["done"], running.log
        assert "takes writes again" in running.log and '"extra"' in running.log
        writer.wait_for_more()
        assert ferry.process.running
        target.client().delete("extra")
        assert ferry.cutover()[0] == 0
        answered = dict(writer.counts)
        assert counters_at(target) == answered
        assert_same(source, target, as_replica=True)
        unpause(source)


def test_rolled_back_where_the_target_goes(bench):
    source, target = bench.server(), bench.server()
    ferry = start(bench, source, target)
    with Writer(source) as writer:
        target.pause()
        code, result = ferry.cutover("--timeout", "4s")
        assert code == 5 and not result["done"]
        writer.wait_for_more()
        target.resume()
        assert ferry.cutover()[0] == 0
        assert counters_at(target) == writer.counts
        assert_same(source, target, as_replica=True)
        unpause(source)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@repeated_when_too_slow
def test_cut_off(bench, how):
    """In the pause: writers go on, at once or when the lease has ended; the task goes on; another one is done."""
    source, target = bench.server(), bench.server()
    ferry = start(bench, source, target)
    with Writer(source) as writer:
        running = ferry.start_cutover("--timeout", "100s").wait_log("writes of the source are paused")
        # Nothing is applied, nor ends.
        ferry.process.pause()
        code, _ = ferry.start_cutover().wait()
        if code != 8 and not running.process.running:
            unpause(source)
            raise TooSlow
        assert code == 8
        # Nor does the target answer: what waits for it must not make the pause longer.
        target.pause()
        running.process.signal(how)
        writer.wait_for_more(timeout=8 if how == signal.SIGTERM else 40)
        target.resume()
        code, _ = running.wait()
        assert code in (1, -how), running.log
        ferry.process.resume()
        assert ferry.process.running
        assert ferry.cutover()[0] == 0
        assert counters_at(target) == writer.counts
        assert_same(source, target, as_replica=True)
        unpause(source)


def test_keys_that_expire_in_the_pause(bench):
    """A paused source sends no DEL of keys whose time comes: they are no difference, and at the target they are gone in the end."""
    source, target = bench.server(), bench.server()
    ferry = start(bench, source, target, {"target.expiry_margin": "60s"}, keys=200)
    client = source.client()
    for number in range(4000):
        client.psetex(f"short:{number}", 500 + number, "x")
    code, result = ferry.cutover("--verify", "full", "--hold", "8s")
    assert code == 0, result
    assert_same(source, target, as_replica=True)


def test_a_task_that_does_not_run(bench):
    source, target = bench.server(), bench.server()
    ferry = start(bench, source, target, keys=100)
    assert ferry.stop() == 0
    running = ferry.start_cutover()
    assert running.wait()[0] == 3 and "no process is running the task" in running.log
    wait_for(lambda: takes_writes(source), what="a source that takes writes")


def test_rights(bench):
    """Who may not pause is told so, and nobody is held up; a text for operators, and what it says is so."""
    source, target = bench.server(), bench.server()
    source.set_user("mover", "on >secret ~* &* +@all -client|pause")
    fill(source, keys=100)
    ferry = Ferry(bench, source.url_for("mover", "secret"), target).start().wait_streaming()
    running = ferry.start_cutover()
    assert running.wait()[0] == 4 and "writes cannot be paused" in running.log and "--by-hand" in running.log
    wait_for(lambda: takes_writes(source), what="a source that takes writes")
    assert ferry.process.running
    code, _ = ferry.start_cutover("--timeout", "1").wait()
    assert code == 2
    source.set_user("mover", "on >secret ~* &* +@all")
    words = ferry.words_of("cutover")
    done = subprocess.run([str(word) for word in words], capture_output=True, timeout=180, check=False, text=True)
    assert done.returncode == 0 and "moment " in done.stdout and "marks          removed" in done.stdout, done
    assert "secret" not in done.stdout + done.stderr
    assert_same(source, target, as_replica=True)
