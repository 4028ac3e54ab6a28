"""The daemon: tasks in processes of their own, through whatever ends a process, with an exact comparison at the end."""

import json
import os
import random
import signal
import socket

import pytest

from bench.compare import assert_same
from bench.daemon import Daemon, Refused
from bench.data import fill
from bench.load import Load
from bench.scenario import data_keys
from bench.waiting import wait_for

pytestmark = pytest.mark.threads

KILLS = int(os.environ.get("KEYFERRY_KILLS", "12"))


def test_two_tasks_and_their_life(bench):
    sources, targets = [bench.server(), bench.server()], [bench.server(), bench.server()]
    daemon = Daemon(bench).start()
    for number, (source, target) in enumerate(zip(sources, targets)):
        fill(source, keys=2000)
        created = daemon.create(f"task-{number}", source, target)
        assert created["state"] == "created" and created["wanted"] == "idle"
        daemon.call("task.start", task=f"task-{number}")
    for number in range(2):
        daemon.wait_state(f"task-{number}", "streaming")
        daemon.wait_in_step(f"task-{number}", sources[number])
    assert_same(sources[0], targets[0], as_replica=True)
    assert_same(sources[1], targets[1], as_replica=True)
    states = [item["state"] for item in daemon.call("history", task="task-0")["items"]]
    assert states[-1] == "created" and states[0] == "streaming"
    daemon.call("task.pause", task="task-0")
    daemon.wait_state("task-0", "paused")
    assert daemon.show("task-1")["state"] == "streaming"
    assert daemon.stop() == 0
    assert not daemon.workers()


def test_worker_killed(bench):
    """One that is killed starts again by itself and goes on; the other task does not notice."""
    sources, targets = [bench.server(), bench.server()], [bench.server(), bench.server()]
    daemon = Daemon(bench).start()
    for number, (source, target) in enumerate(zip(sources, targets)):
        fill(source, keys=1000)
        daemon.create(f"task-{number}", source, target)
        daemon.call("task.start", task=f"task-{number}")
    for number in range(2):
        daemon.wait_state(f"task-{number}", "streaming")
    other = daemon.show("task-1")
    with Load(sources[0], rate=800), Load(sources[1], rate=800):
        for _ in range(2):
            pid = daemon.show("task-0")["worker"]["pid"]
            os.kill(pid, signal.SIGKILL)
            daemon.wait("task-0", lambda tree, old=pid: tree["state"] == "streaming" and tree["worker"] and tree["worker"]["pid"] != old, "another worker")
        tree = daemon.show("task-0")
        assert tree["restarts"] == 2 and tree["error"] is None
        assert "signal 9" in tree["last_error"]["text"]
    for number in range(2):
        daemon.wait_in_step(f"task-{number}", sources[number])
        assert_same(sources[number], targets[number], as_replica=True)
    assert daemon.show("task-1")["worker"]["pid"] == other["worker"]["pid"]
    assert daemon.show("task-1")["since"] == other["since"]
    assert [item["state"] for item in daemon.call("history", task="task-0")["items"]].count("failed") == 2
    assert daemon.stop() == 0


def test_daemon_killed_under_load(bench):
    """Killed again and again: workers go on, are taken over, and every task is what it was."""
    chance = random.Random(7)
    source, target = bench.cluster(masters=2, replicas_per_master=0), bench.server()
    other_source, other_target = bench.server(), bench.server()
    fill(source, keys=2000)
    fill(other_source, keys=1000)
    daemon = Daemon(bench).start()
    daemon.create("one", source, target)
    daemon.create("two", other_source, other_target)
    daemon.create("three", bench.server(), bench.server())
    with Load(source, rate=800), Load(other_source, rate=500):
        daemon.call("task.start", task="one")
        for turn in range(KILLS):
            with_worker = turn % 3 == 2
            # One that was killed in an earlier turn may not have been started again yet.
            wait_for(lambda: not with_worker or daemon.workers(), what="a worker to kill")
            daemon.kill()
            if with_worker:
                # With the worker of one of them, too.
                os.kill(chance.choice(sorted(daemon.workers())), signal.SIGKILL)
            daemon.start(wait=chance.random() < 0.7)
            daemon.wait_ready()
            if turn == 3:
                daemon.call("task.start", task="two")
        for name in "one", "two":
            daemon.wait_state(name, "streaming")
    assert daemon.show("three")["state"] == "created"
    daemon.wait_in_step("one", *source.masters())
    daemon.wait_in_step("two", other_source)
    assert_same(source, target, as_replica=True)
    assert_same(other_source, other_target, as_replica=True)
    assert sorted(daemon.workers().values()) == ["one", "two"]
    assert daemon.stop() == 0
    assert not daemon.workers()


def test_upgrade(bench, tmp_path, monkeypatch):
    """SIGUSR2: the daemon starts anew in its process; its workers go on and are its own again. A service manager is told of a reload, not of a stop, which it would see to."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    daemon = Daemon(bench).start()
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    before = daemon.wait_state("orders", "streaming")
    with Load(source, rate=500):
        for _ in range(3):
            started = daemon.call("health")["started"]
            daemon.process.signal(signal.SIGUSR2)
            daemon.wait("orders", lambda tree, old=started: daemon.call("health")["started"] != old and tree["worker"] and tree["worker"]["answers"], "the daemon's new start")
        assert daemon.show("orders")["worker"]["pid"] == before["worker"]["pid"]
        assert daemon.show("orders")["since"] == before["since"]
        # A new binary runs the task from the worker's next start on.
        daemon.call("task.restart", task="orders")
        daemon.wait("orders", lambda tree: tree["state"] == "streaming" and tree["worker"] and tree["worker"]["pid"] != before["worker"]["pid"], "another worker")
        assert daemon.show("orders")["restarts"] == 0
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0
    with manager:
        told = [manager.recv(4096, socket.MSG_DONTWAIT).decode().split("\n")[0] for _ in range(8)]
    assert told == ["READY=1", *["RELOADING=1", "READY=1"] * 3, "STOPPING=1"]


def test_stop_and_start(bench):
    """What was running runs again; what was paused stays so."""
    source, target, others = bench.server(), bench.server(), [bench.server(), bench.server()]
    fill(source, keys=1000)
    daemon = Daemon(bench).start()
    daemon.create("runs", source, target)
    daemon.create("paused", *others)
    for name in "runs", "paused":
        daemon.call("task.start", task=name)
        daemon.wait_state(name, "streaming")
    daemon.call("task.pause", task="paused")
    daemon.wait_state("paused", "paused")
    assert daemon.stop() == 0
    assert not daemon.workers()
    daemon.start()
    daemon.wait_state("runs", "streaming")
    assert daemon.show("paused")["state"] == "paused"
    daemon.call("task.resume", task="paused")
    daemon.wait_state("paused", "streaming")
    daemon.wait_in_step("runs", source)
    assert_same(source, target, as_replica=True)
    # And with a worker that does not end by itself.
    os.kill(daemon.show("runs")["worker"]["pid"], signal.SIGSTOP)
    daemon.config.write_text("worker: {stop_timeout: 1s}\n")
    daemon.process.signal(signal.SIGHUP)
    daemon.process.signal(signal.SIGTERM)
    assert daemon.process.wait() == 0
    assert not daemon.workers()
    assert "killed (process" in daemon.log


def test_failures_are_kept_apart(bench):
    """Each with its cause; none is started again in vain; the one that works goes on."""
    source, target, full, busy = bench.server(), bench.server(), bench.server(), bench.server()
    secure = bench.server(password="right")
    busy.command("SET", "there", "already")
    source.command("LPUSH", "list", "x")
    daemon = Daemon(bench).start()
    daemon.create("good", source, target)
    daemon.create("not-empty", source, busy)
    daemon.create("wrong-password", {"address": [secure.address], "password": "hunter2-wrong"}, full)
    for name in "good", "not-empty", "wrong-password":
        daemon.call("task.start", task=name)
    tree = daemon.wait_state("not-empty", "precheck-failed")
    assert tree["error"]["exit_code"] == 3 and "key" in tree["error"]["text"] and tree["wanted"] == "idle"
    tree = daemon.wait_state("wrong-password", "precheck-failed")
    assert tree["error"]["exit_code"] == 4
    daemon.wait_state("good", "streaming")
    # A conflict stops a task that streams: the key is a string at the target.
    target.command("DEL", "list")
    target.command("SET", "list", "a string")
    source.command("RPUSH", "list", "y")
    tree = daemon.wait_state("good", "failed")
    assert tree["error"]["exit_code"] == 6 and "list" in tree["error"]["text"] and tree["error"]["hint"]
    assert tree["restart_at"] is None and tree["wanted"] == "idle"
    assert daemon.call("events", task="good", kind="failed")["items"]
    # It stays so through a restart of the daemon, and goes on when the cause is mended.
    daemon.kill()
    daemon.start()
    assert daemon.show("good")["error"] == tree["error"]
    target.command("DEL", "list")
    target.command("LPUSH", "list", "x")
    daemon.call("task.resume", task="good")
    daemon.wait_state("good", "streaming")
    daemon.wait_in_step("good", source)
    assert_same(source, target, as_replica=True)
    assert "hunter2" not in daemon.log_tail()
    assert daemon.stop() == 0


def test_source_away_for_a_while(bench):
    """A task that has copied before waits for a source that is away, also through its worker's end."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    daemon = Daemon(bench).start()
    daemon.create("orders", source, target)
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    daemon.call("task.pause", task="orders")
    daemon.wait_state("orders", "paused")
    source.stop()
    daemon.call("task.resume", task="orders")
    tree = daemon.wait("orders", lambda tree: tree["restarts"] >= 2, "two starts in vain")
    assert tree["wanted"] == "running" and tree["last_error"]["exit_code"] == 4
    source.start()
    daemon.wait_state("orders", "streaming")
    # It has come back empty, and so becomes the target.
    fill(source, keys=300)
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0


def test_secrets(bench):
    """Nowhere but in memory: not in answers, arguments, environments, files, logs."""
    secret, wrong = "s3cret-Of-The-Source", "Another-S3cret"
    source, target = bench.server(password=secret), bench.server()
    fill(source, keys=200)
    daemon = Daemon(bench).start()
    # They are opened again however long the name is that they are sealed for.
    for name in "x" * 26, "x" * 27, "x" * 100:
        daemon.create(name, {"address": [source.address], "password": secret}, target)
        assert daemon.job("precheck", name)["exit_code"] == 0
        daemon.call("task.delete", task=name)
    tree = daemon.create("orders", {"address": [source.address], "password": secret}, target)
    assert tree["document"]["source"]["password"] == "********"
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    worker = daemon.show("orders")["worker"]["pid"]
    for part in "cmdline", "environ":
        with open(f"/proc/{worker}/{part}", "rb") as file:
            assert secret.encode() not in file.read()
    daemon.call("task.pause", task="orders")
    daemon.wait_state("orders", "paused")
    # The stand-in keeps what is stored; a document that is changed so works on.
    document = daemon.show("orders")["document"]
    daemon.call("task.update", task="orders", revision=1, document=json.dumps(document | {"limit": {"spec": "small"}}))
    assert daemon.job("precheck", "orders")["exit_code"] == 0
    daemon.call("task.resume", task="orders")
    daemon.wait_state("orders", "streaming")
    assert daemon.show("orders")["limit"]["records_per_second"] == 2000
    daemon.call("task.pause", task="orders")
    daemon.wait_state("orders", "paused")
    with pytest.raises(Refused) as refused:
        daemon.call("task.create", document=f"name: x\nsource: {{address: {source.address}, password: '********'}}\ntarget: {{address: {target.address}}}")
    assert refused.value.result == "invalid" and "source.password" in str(refused.value)
    with pytest.raises(Refused) as refused:
        daemon.call("task.create", document=f"name: x\nsource: {{address: {source.address}, pasword: {wrong}}}\ntarget: {{address: {target.address}}}")
    assert wrong not in str(refused.value.error) and "source.password" in str(refused.value)
    assert daemon.stop() == 0
    for path in daemon.folder.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
            assert wrong.encode() not in path.read_bytes(), path
            if path.name in ("key", "keyferry.db", "log"):
                assert path.stat().st_mode & 0o077 == 0, path
    # Without its key the daemon does not begin anew over it.
    (daemon.data / "key").rename(daemon.data / "key.away")
    assert daemon.start(wait=False).process.wait() == 2
    assert "key" in daemon.log.splitlines()[-2]


def test_limits_while_it_runs(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=10_000)
    # More than what a sanitizer reserves and does not use.
    daemon = Daemon(bench, config="worker: {memory: 200TiB, open_files: 200, nice: 3}\n").start()
    daemon.create("orders", source, target, limit={"records_per_second": 50})
    daemon.call("task.start", task="orders")
    daemon.wait("orders", lambda tree: tree["state"] == "snapshot" and tree["links"] == 1, "the snapshot")
    worker = daemon.show("orders")["worker"]["pid"]
    assert len(data_keys(target)) < 2000
    with open(f"/proc/{worker}/limits", encoding="ascii") as file:
        limits = {line[:26].strip(): line[26:].split()[0] for line in file}
    assert limits["Max data size"] == str(200 << 40) and limits["Max open files"] == "200" and limits["Max core file size"] == "0"
    assert os.getpriority(os.PRIO_PROCESS, worker) == os.getpriority(os.PRIO_PROCESS, 0) + 3
    daemon.call("task.limit", task="orders", records_per_second=0, bytes_per_second=0)
    daemon.wait_state("orders", "streaming", timeout=100)
    tree = daemon.show("orders")
    assert tree["worker"]["pid"] == worker and tree["revision"] == 2 and "limit" not in tree["document"]
    daemon.call("task.limit", task="orders", records_per_second=100, bytes_per_second=1 << 20)
    assert daemon.show("orders")["document"]["limit"] == daemon.show("orders")["limit"] == {"records_per_second": 100, "bytes_per_second": 1 << 20}
    daemon.call("task.log_level", task="orders", level="debug")
    assert daemon.show("orders")["log_level"] == "debug"
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    assert daemon.call("task.log", task="orders", most=5)["lines"]
    assert daemon.stop() == 0


def test_jobs(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    daemon = Daemon(bench).start()
    daemon.create("orders", source, target)
    result = daemon.job("precheck", "orders", language="zh")
    assert result["exit_code"] == 0 and result["result"]["passed"] and result["error"] is None
    assert daemon.show("orders")["state"] == "ready"
    daemon.call("task.start", task="orders")
    daemon.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    target.command("SET", "too-much", "1")
    result = daemon.job("verify", "orders", options={"mode": "full"})
    assert result["exit_code"] == 7
    assert [(item["kind"], item["key"]) for item in result["result"]["differences"]] == [("extra", "too-much")]
    result = daemon.job("verify", "orders", options={"repair": True})
    assert result["exit_code"] == 0 and result["result"]["summary"]["repaired"] == 1
    for wrong in {"mode": "half"}, {"depth": 1}, ["repair"]:
        with pytest.raises(Refused, match="invalid"):
            daemon.call("task.verify", task="orders", options=wrong)
    with pytest.raises(Refused, match="state"):
        daemon.call("task.finish", task="orders")
    with pytest.raises(Refused, match="state"):
        daemon.call("task.delete", task="orders")
    result = daemon.job("cutover", "orders", options={"verify": "full", "hold": "0s"})
    assert result["exit_code"] == 0 and result["result"]["done"]
    tree = daemon.wait_state("orders", "finished")
    assert tree["worker"] is None and tree["error"] is None
    assert "failed" not in [item["state"] for item in daemon.call("history", task="orders")["items"]]
    assert_same(source, target, as_replica=True)
    with pytest.raises(Refused, match="state"):
        daemon.call("task.start", task="orders")
    daemon.call("task.delete", task="orders")
    assert daemon.call("task.list") == [] and not list((daemon.data / "tasks").iterdir())
    assert [item["action"] for item in daemon.call("audit")["items"]][:2] == ["task.delete", "task.start"]
    assert daemon.stop() == 0


def test_one_daemon_per_data_directory(bench):
    daemon = Daemon(bench).start()
    second = Daemon(bench, data=daemon.data)
    assert second.start(wait=False).process.wait() == 8
    assert str(daemon.process.pid) in second.log
    assert daemon.call("health")["healthy"]
    assert daemon.stop() == 0
