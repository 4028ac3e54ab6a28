"""What the guides show is done: the quick start's commands are run as they stand, documents are read by keyferry, options exist."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import binary
from bench.ports import reserve
from bench.process import Process

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "README.zh.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs/zh").glob("*.md")])
# curl may not be there; this does what the guide asks of it.
CURL = """#!{python}
import sys, urllib.error, urllib.request
try:
    sys.stdout.write(urllib.request.urlopen(sys.argv[-1], timeout=60).read().decode())
except OSError:
    sys.exit(22)
"""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", ["docs/quick-start.md", "docs/zh/quick-start.md"])
def test_quick_start(bench, page):
    source, target = bench.server("redis-7.0"), bench.server("redis-7.0")
    fill(source, keys=500)
    port = reserve()
    folder = pathlib.Path(bench.folder) / "guide"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/curl").write_text(CURL.format(python=sys.executable))
    (folder / "bin/curl").chmod(0o755)
    (folder / "bin/keyferry").symlink_to(binary())

    def here(text):
        for word, instead in (("10.0.0.1:6379", source.address), ("10.1.0.1:6379", target.address), ("127.0.0.1:9121", f"127.0.0.1:{port.number}")):
            assert word in page_text, word
            text = text.replace(word, instead)
        return text

    page_text = (ROOT / page).read_text(encoding="utf-8")
    (document,) = blocks(ROOT / page, "yaml")
    commands = blocks(ROOT / page, "sh")
    assert len(commands) == 6
    (folder / "orders.yaml").write_text(here(document))
    # Each line is shown before it is done, so that a failure is told apart.
    script = "set -eu\n" + "".join(f"echo '--- {number}'\n{here(text)}" for number, text in enumerate(commands, 1))
    (folder / "guide.sh").write_text(script)
    output = folder / "output"
    process = Process(["env", f"PATH={folder}/bin:{os.environ['PATH']}", "sh", folder / "guide.sh"], folder, output)
    try:
        code = process.wait(180)
        told = output.read_text(errors="replace") + (folder / "orders.log").read_text(errors="replace")
        assert code == 0, told
    finally:
        port.release()
    assert '"state": "streaming"' in told and "keyferry_link_up{" in told and "no differences" in told
    assert (folder / "orders/cutover").exists()
    assert_same(source, target)


def task_documents():
    for page in PAGES:
        for number, text in enumerate(blocks(page, "yaml"), 1):
            yield pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("text", task_documents())
def test_documents(text, tmp_path):
    """Each document, or part of one, is read by keyferry, which gives up only where it would connect, or open a file."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "script.lua").write_text("return function(event) end\n")
    text = re.sub(r"(password_file: *)[^\s,}]+", rf"\1{tmp_path}/password", text)
    text = re.sub(r"/etc/keyferry/\w+\.lua", f"{tmp_path}/script.lua", text)
    (tmp_path / "task.yaml").write_text(text)
    words = ["--data", tmp_path / "data", "--set", "timeouts.connect=1s"]
    sections = dict(re.findall(r"^(\w+):((?:.*\n)(?:[ \n].*\n?)*)", text, re.M))
    for side, address in (("source", "127.0.0.1:1"), ("target", "127.0.0.1:2")):
        if not re.search(r"mode: (?:rdb|aof|jsonl)", sections.get(side, "")):
            words += ["--set", f"{side}.address={address}"]
    done = subprocess.run([binary(), "precheck", tmp_path / "task.yaml", *words], capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode not in (0, 1, 2), done.stdout + done.stderr


def test_commands():
    """Each `keyferry ...` that a page shows is a command that there is, with options that it has."""
    seen = set()
    for page in PAGES:
        for text in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            for line in text.replace("\\\n", " ").splitlines():
                for match in re.finditer(r"(?:^|; |&& |\|\| |\$ )keyferry (task [a-z]+|[a-z]+)([^;&|]*)", line.split(" #")[0]):
                    seen.add((match[1], frozenset(re.findall(r" (--[a-z-]+)", match[2])), page.name))
    assert len(seen) > 20
    for command, options, page in seen:
        told = subprocess.run([binary(), "help", *command.split()], capture_output=True, text=True, check=False, timeout=180)
        assert told.returncode == 0, f"{page}: keyferry {command}"
        missing = {option for option in options if not re.search(rf"{option}\b", told.stdout)}
        assert not missing, f"{page}: keyferry {command} has no {', '.join(sorted(missing))}"
