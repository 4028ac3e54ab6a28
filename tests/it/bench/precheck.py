"""`keyferry precheck`: runs it and reads its report."""

import itertools
import json
import os
import pathlib
import re
import subprocess

from .ferry import binary

_numbers = itertools.count()


class Report:
    """What one run has said: `code`, `items` (dicts of the JSON document), `page` (all of it)."""

    def __init__(self, done):
        self.code = done.returncode
        self.error = done.stderr
        self.page = json.loads(done.stdout) if done.stdout.startswith("{") else None
        self.items = self.page["items"] if self.page else []

    def of(self, item, side=None, node=None):
        """The one row of that item; None: there is none."""
        found = [row for row in self.items if row["item"] == item and side in (None, row["side"]) and node in (None, row["node"])]
        assert len(found) < 2, found
        return found[0] if found else None

    def result(self, item, side=None, node=None):
        return self.of(item, side, node)["result"]

    def found(self, *results):
        """The items that were judged so: {(item, side)}."""
        return {(row["item"], row["side"]) for row in self.items if row["result"] in results}


def run(bench, source, target, options=None, arguments=(), data=None, environment=None, as_text=False):
    """The subprocess's outcome, its output as text."""
    data = data or pathlib.Path(bench.folder) / f"precheck-{next(_numbers)}"
    argv = [binary(), "precheck", "--source", getattr(source, "url", source), "--target", getattr(target, "url", target), "--data", str(data)]
    for name, value in (options or {}).items():
        argv += ["--set", f"{name}={value}"]
    if not as_text:
        argv += ["--format", "json", "--lang", "en"]
    return subprocess.run(argv + list(arguments), env=os.environ | {"LC_ALL": ""} | (environment or {}), capture_output=True, text=True, timeout=120,
                          check=False)


def precheck(bench, source, target, options=None, **more):
    return Report(run(bench, source, target, options, **more))


def do_as_told(server, remedy):
    """Runs the first CONFIG SET or ACL SETUSER that a remedy names, word for word."""
    words = re.search(r'(CONFIG SET|ACL SETUSER) (\S+) ("[^"]*"|[^,;()]*?)(?= on that server|,|;| \(|$)', remedy)
    assert words, remedy
    container, command = words.group(1).split()
    values = [words.group(3).strip('"')] if command == "SET" else words.group(3).split()
    server.command(container, command, words.group(2), *values)
