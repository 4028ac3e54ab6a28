"""The daemon: tasks in processes of their own, through whatever ends a process, with an exact comparison at the end."""

import os
import random
import signal

import pytest

from bench.compare import assert_same
from bench.daemon import Daemon, Refused
from bench.data import fill
from bench.load import Load
from bench.scenario import data_keys


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
