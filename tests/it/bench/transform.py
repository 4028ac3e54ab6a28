"""What commands become under a task's rules: the program tests/unit/transform/transform_tool."""

import json
import pathlib
import subprocess
import tempfile

from . import wire
from .ferry import binary


def tool():
    """Beside the keyferry under test."""
    path = pathlib.Path(binary()).resolve().parents[2] / "tests/unit/transform/transform_tool"
    if not path.exists():
        raise RuntimeError(f"{path} is not built: `make check` does so")
    return path


class Outcome:
    """Of one command. kind: "same", "changed", "dropped", "clear", "refused"; commands: [(database, words)]; why: of a refusal."""

    def __init__(self, line, commands):
        self.kind, _, self.why = (line.decode(errors="replace").split(" ", 2) + [""])[:3]
        self.commands = commands


def transform(document, commands):
    """The outcomes of (database, words)."""
    data = b"".join(wire.encode("SELECT", database) + wire.encode(*words) for database, words in commands)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(document, file)
        file.flush()
        output = subprocess.run([tool(), file.name], input=data, stdout=subprocess.PIPE, check=True).stdout
    outcomes, at = [], 0
    while at < len(output):
        end = output.index(b"\n", at)
        line, at = output[at:end], end + 1
        found = []
        for _ in range(int(line.split(b" ")[1])):
            words, at = wire.parse_reply(output, at)
            found.append((int(words[0]), words[1:]))
        outcomes.append(Outcome(line, found))
    return outcomes
