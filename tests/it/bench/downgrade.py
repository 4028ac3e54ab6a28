"""What commands become for an older target: the program tests/unit/transform/downgrade_tool, and the facts to check it by."""

import json
import pathlib
import subprocess

from . import wire
from .ferry import binary
from .recordings import REPOSITORY

# RDB version of the payloads that a version takes, by its first version.
RDB_VERSIONS = [((7, 4, 0), 12), ((7, 2, 0), 11), ((7, 0, 0), 10), ((5, 0, 0), 9), ((4, 0, 0), 8), ((3, 2, 0), 7), ((2, 8, 0), 6)]


def number(text):
    return tuple(map(int, text.split(".")))


def rdb_version(family, version):
    if family == "valkey":
        return 80 if version >= (9, 0, 0) else 11
    return next(rdb for since, rdb in RDB_VERSIONS if version >= since)


def tool():
    """Beside the keyferry under test."""
    path = pathlib.Path(binary()).resolve().parents[2] / "tests/unit/transform/downgrade_tool"
    if not path.exists():
        raise RuntimeError(f"{path} is not built: `make check` does so")
    return path


class Outcome:
    """Of one command. kind: "same", "rewritten", "cannot"; lost: what the tool says of it."""

    def __init__(self, line, commands):
        words = line.decode().split(" ", 3)
        self.kind = words[0]
        self.commands = commands
        self.replay_safe = len(words) > 2 and words[2] == "1"
        self.lost = words[3] if len(words) > 3 else ""
        self.loss = self.lost.partition(":")[0]


def downgrade(data, family, version, stream_ms):
    """The outcomes of commands given as RESP bytes."""
    output = subprocess.run([tool(), family, ".".join(map(str, version)), str(rdb_version(family, version)), str(stream_ms)],
                            input=data, stdout=subprocess.PIPE, check=True).stdout
    outcomes, at = [], 0
    while at < len(output):
        end = output.index(b"\n", at)
        line, at = output[at:end], end + 1
        count = 1 if line == b"same" else int(line.split(b" ")[1])
        commands = []
        for _ in range(count):
            words, at = wire.parse_reply(output, at)
            commands.append(words)
        outcomes.append(Outcome(line, commands))
    return outcomes


class Vocabulary:
    """Which commands and options a version knows, from data/."""

    def __init__(self):
        facts = json.loads((REPOSITORY / "data/facts.json").read_text(encoding="utf-8"))
        rows = json.loads((REPOSITORY / "data/commands.json").read_text(encoding="utf-8")) + facts["added"]
        self.rows = {row["name"]: row for row in rows}
        self.forms = facts["later_forms"]

    def name_of(self, words):
        name = words[0].decode().lower()
        both = f"{name} {words[1].decode(errors='replace').lower()}" if len(words) > 1 else name
        return both if both in self.rows else name

    @staticmethod
    def _later(since, version):
        return since is None or number(since) > version

    def unknown(self, words, family, version):
        """What of the command that version does not know, as text; None: it knows it all."""
        name = self.name_of(words)
        if name not in self.rows or self._later(self.rows[name][f"{family}_since"], version):
            return name
        options = set(words[1:])  # masters and rewritings write them in capitals, the tests' data are in small letters
        for form, (redis, valkey) in self.forms.get(name, {}).items():
            if not self._later(redis if family == "redis" else valkey, version):
                continue
            if form.startswith("#") and len(words) >= int(form[1:]) or form.encode() in options:
                return f"{name} {form}"
        return None
