"""Many tasks under one daemon, each with its own small source and target, all of them written to, and compared exactly.

KEYFERRY_TASKS (6) says how many; `make soak` runs 20. What daemon and workers take meanwhile is printed (-s): docs/serve.md has the figures."""

import contextlib
import os
import pathlib
import re
import time

import pytest

from bench.api import Api
from bench.compare import assert_same
from bench.daemon import Daemon
from bench.data import fill
from bench.load import Load
from bench.metrics import read_metrics
from bench.waiting import wait_for

pytestmark = pytest.mark.threads

TASKS = int(os.environ.get("KEYFERRY_TASKS", "6"))
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / TICKS


def memory_kib(pid):
    """What is its own; pages of the program are there once."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1])


@pytest.mark.timeout(120 + 30 * TASKS)
def test_many_tasks(bench):
    pairs = [(bench.server(), bench.server()) for _ in range(TASKS)]
    daemon = Daemon(bench).start()
    api = Api(daemon)
    for number, (source, target) in enumerate(pairs):
        fill(source, keys=500)
        daemon.create(f"task-{number}", source, target)
        daemon.call("task.start", task=f"task-{number}")
    for number in range(TASKS):
        daemon.wait_state(f"task-{number}", "streaming")
    workers = daemon.workers()
    pids = [daemon.process.pid, *workers]
    assert sorted(workers.values()) == sorted(f"task-{number}" for number in range(TASKS))
    with contextlib.ExitStack() as loads:
        running = [loads.enter_context(Load(source, rate=50)) for source, _ in pairs]
        wait_for(lambda: all(load.acknowledged > 50 for load in running), timeout=120, what="writes to all")
        begun, before = time.monotonic(), {pid: cpu_seconds(pid) for pid in pids}
        counts = [load.acknowledged for load in running]
        wait_for(lambda: all(load.acknowledged > count + 250 for load, count in zip(running, counts)), timeout=120, what="more writes to all")
        seconds = time.monotonic() - begun
        spent = {pid: (cpu_seconds(pid) - before[pid]) / seconds for pid in pids}
        memory = {pid: memory_kib(pid) / 1024 for pid in pids}
        written = sum(load.acknowledged for load in running) - sum(counts)
        _, samples = read_metrics(api.get("/metrics"))
        assert {labels["task"] for labels, value in samples["keyferry_task_up"] if value} == set(workers.values())
    own, of_workers = daemon.process.pid, [pid for pid in pids if pid != daemon.process.pid]
    print(f"{TASKS} tasks, {written / seconds:.0f} writes/s: daemon {memory[own]:.1f} MiB and {100 * spent[own]:.1f} % of a core; a worker "
          f"{sum(memory[pid] for pid in of_workers) / TASKS:.1f} MiB and {100 * sum(spent[pid] for pid in of_workers) / TASKS:.1f} %")
    for number, (source, target) in enumerate(pairs):
        daemon.wait_in_step(f"task-{number}", source)
        assert_same(source, target, as_replica=True)
    assert daemon.workers() == workers
    assert all(item["restarts"] == 0 for item in daemon.call("task.list"))
    assert daemon.stop() == 0
    assert not daemon.workers()
