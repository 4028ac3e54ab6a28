"""The daemon's page of metrics: all that a single task tells, of all tasks together, whatever one of them does."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

from bench.api import Api
from bench.compare import assert_same
from bench.daemon import Daemon
from bench.data import fill
from bench.ferry import Ferry
from bench.metrics import read_metrics
from bench.waiting import wait_for

pytestmark = pytest.mark.threads

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "S3cret-of-the-source"


def write(source, keys):
    for number in range(keys):
        source.client().set(f"s{number}", "x")


def ready(page, task):
    """Is all of it there that comes with time: a heartbeat that is applied, and a verification?"""
    _, samples = read_metrics(page)
    done = sum(value for labels, value in samples["keyferry_verify_runs_total"] if labels["task"] == task and labels["result"] == "done")
    counted = sum(value for labels, value in samples["keyferry_link_delay_seconds"] if labels["task"] == task and "le" not in labels)
    return done > 0 and counted > 0


def accepts(page):
    """Prometheus' own tool (Debian's package prometheus) has nothing to complain of."""
    tool = shutil.which("promtool")
    if tool:
        done = subprocess.run([tool, "check", "metrics"], input=page, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr


def test_as_a_single_task(bench):
    """The same families with the same types as `keyferry sync --listen` has, with each task's own numbers, and some more, which the documents name."""
    alone = bench.server(), bench.server()
    pairs = [(bench.cluster(masters=2, replicas_per_master=0), bench.server()), (bench.server(password=SECRET), bench.server())]
    options = {"heartbeat": {"interval": "1s"}, "verify": {"every": "1s"}}
    ferry = Ferry(bench, *alone, {"heartbeat.interval": "1s", "verify.every": "1s"}).start().wait_streaming()
    daemon = Daemon(bench).start()
    api = Api(daemon)
    fill(pairs[0][0], keys=500)
    daemon.create("one", *pairs[0], **options)
    daemon.create("two", {"address": [pairs[1][0].address], "password": SECRET}, pairs[1][1], **options)
    daemon.create("three", bench.server(), bench.server())
    for name in "one", "two":
        daemon.call("task.start", task=name)
    for name in "one", "two":
        daemon.wait_state(name, "streaming")
    write(alone[0], 10)
    write(pairs[1][0], 30)
    ferry.wait_in_step(alone[0])
    daemon.wait_in_step("two", pairs[1][0])
    task = ferry.status()["task"]
    wait_for(lambda: ready(ferry.get("/metrics"), task), what="all metrics of the single task")
    wait_for(lambda: ready(page := api.get("/metrics"), "one") and ready(page, "two"), what="all metrics of the daemon")
    page = api.get("/metrics")
    types, samples = read_metrics(page)
    single, _ = read_metrics(ferry.get("/metrics"))

    assert {name: types.get(name) for name in single} == single
    for document in "docs/monitoring.md", "docs/zh/monitoring.md":
        told = set(re.findall(r"^\| `(keyferry_(?:daemon|task)_\w+)` \|", (ROOT / document).read_text(encoding="utf-8"), re.M))
        assert told == set(types) - set(single), f"{document}: {sorted(told ^ (set(types) - set(single)))}"
    for name in single:
        if name.startswith(("keyferry_link_", "keyferry_verify_")):
            assert {labels["task"] for labels, _ in samples[name]} <= {"one", "two"}, name
    assert {labels["task"] for labels, value in samples["keyferry_task_state"] if value} == {"one", "two", "three"}
    assert {(labels["task"], value) for labels, value in samples["keyferry_task_up"]} == {("one", 1), ("two", 1)}
    # The daemon's own, and of each worker.
    assert {labels.get("task") for labels, _ in samples["process_resident_memory_bytes"]} == {None, "one", "two"}
    assert {labels["link"] for labels, _ in samples["keyferry_link_delay_seconds"] if labels["task"] == "one"} == {server.address for server in pairs[0][0].masters()}
    assert ({"task": "two", "link": pairs[1][0].address, "command": "set"}, 30) in samples["keyferry_link_applied_commands_total"]
    for labels, value in samples["process_start_time_seconds"]:
        assert abs(value - time.time()) < 3600, labels
    accepts(page)
    opened = api.raw("GET", "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text") and opened.text.endswith("\n# EOF\n")
    assert SECRET not in page and SECRET not in opened.text
    daemon.wait_in_step("one", *pairs[0][0].masters())
    assert_same(*pairs[0], as_replica=True)
    assert_same(*pairs[1], as_replica=True)
    assert ferry.stop() == 0
    assert daemon.stop() == 0


@pytest.mark.sanitize
def test_worker_that_hangs(bench):
    """It is told as such, once after a while and then at once; the others are not held up, and when it goes on all is as before."""
    pairs = [(bench.server(), bench.server()) for _ in range(2)]
    daemon = Daemon(bench).start()
    api = Api(daemon)
    for number, pair in enumerate(pairs):
        daemon.create(f"task-{number}", *pair)
        daemon.call("task.start", task=f"task-{number}")
    for number, (source, _) in enumerate(pairs):
        daemon.wait_state(f"task-{number}", "streaming")
        write(source, 5)
        daemon.wait_in_step(f"task-{number}", source)

    def up():
        _, samples = read_metrics(api.get("/metrics"))
        # What a task that does not answer had told before is not told as if it were so now.
        assert {labels["task"] for labels, _ in samples["keyferry_link_up"]} == {labels["task"] for labels, value in samples["keyferry_task_up"] if value}
        assert {labels["task"] for labels, value in samples["keyferry_task_state"] if value and labels["state"] == "streaming"} == {"task-0", "task-1"}
        return {labels["task"]: value for labels, value in samples["keyferry_task_up"]}

    wait_for(lambda: up() == {"task-0": 1, "task-1": 1}, what="both")
    pid = daemon.show("task-0")["worker"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: up() == {"task-0": 0, "task-1": 1}, what="one that is missed")
        begun = time.monotonic()
        for _ in range(10):
            assert up()["task-0"] == 0
        assert time.monotonic() - begun < 15  # it would be two seconds each
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: up() == {"task-0": 1, "task-1": 1}, what="both again")
    # One that is started again answers too.
    os.kill(pid, signal.SIGKILL)
    daemon.wait("task-0", lambda tree: tree["state"] == "streaming" and tree["worker"] and tree["worker"]["pid"] != pid, "another worker")
    wait_for(lambda: up() == {"task-0": 1, "task-1": 1}, what="both with another worker")
    for number, (source, target) in enumerate(pairs):
        daemon.wait_in_step(f"task-{number}", source)
        assert_same(source, target, as_replica=True)
    daemon.call("task.pause", task="task-0")
    daemon.wait_state("task-0", "paused")
    _, samples = read_metrics(api.get("/metrics"))
    assert {labels["task"] for labels, _ in samples["keyferry_task_up"]} == {"task-1"}
    assert daemon.stop() == 0
