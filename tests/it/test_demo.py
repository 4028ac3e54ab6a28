"""`make demo`, with fewer keys: what README tells a newcomer to run first."""

import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.request

import pytest

from bench.waiting import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(name="demo")
def demo_fixture(tmp_path):
    """A function that starts it; its processes are in a group of their own, as at a terminal, and its files below tmp_path."""
    started = []

    def start(*arguments):
        with (tmp_path / "output").open("wb") as output:
            started.append(subprocess.Popen([ROOT / "tools/demo", "--keys", "2000", *arguments], env=os.environ | {"TMPDIR": str(tmp_path)}, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT, start_new_session=True))
        return started[0]
    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def assert_nothing_is_left(folder):
    assert [path.name for path in folder.iterdir()] == ["output"]
    left = []
    for process in pathlib.Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                left += [line for line in [(process / "cmdline").read_text().replace("\0", " ")] if f"{folder}/" in line]
            except OSError:
                pass        # it has ended meanwhile
    assert left == []


def test_once(demo, tmp_path):
    code = demo("--once").wait(500)
    told = (tmp_path / "output").read_text()
    assert code == 0 and "==> EQUAL" in told, told
    assert_nothing_is_left(tmp_path)


def test_console_until_interrupted(demo, tmp_path):
    process = demo()

    def goes_on():
        assert process.poll() is None, told()
        return "Ctrl-C ends it" in told()

    def told():
        return (tmp_path / "output").read_text()
    wait_for(goes_on, timeout=500, what="the end of the comparison")
    console = re.search(r"Open the console:  (\S+)\n", told()).group(1)
    with urllib.request.urlopen(console, timeout=30) as page:
        assert b"<title>keyferry</title>" in page.read()
    with urllib.request.urlopen(f"{console}api/v1/tasks/demo", timeout=30) as task:
        assert json.load(task)["state"] == "streaming"
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == 130, told()
    assert_nothing_is_left(tmp_path)
