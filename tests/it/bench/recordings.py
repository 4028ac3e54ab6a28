"""The recorded files of real servers (tests/fixtures): where they are, and the replication recordings among them."""

import functools
import json
import os
import pathlib
import subprocess

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


@functools.cache
def fixtures_folder():
    """The unpacked fixtures: $KEYFERRY_FIXTURES, else .cache/fixtures of the source tree, unpacked when needed."""
    folder = os.environ.get("KEYFERRY_FIXTURES")
    if folder:
        return pathlib.Path(folder)
    folder = REPOSITORY / ".cache/fixtures"
    subprocess.run([REPOSITORY / "tools/unpack-fixtures", folder], check=True)
    return folder


def recording_names():
    """The versions whose replication was recorded: ["redis-3.2.13", ..., "valkey-9.1.2"]."""
    return sorted(path.parent.parent.name for path in fixtures_folder().glob("*/stream/meta.json"))


# Keys whose value is not the same when a server of a later minor version applies the recorded commands:
# - Before 4.0 the HyperLogLog estimate, which is cached in the value, came from another formula, and PFMERGE always made
#   the dense form.
# - Since 7.0 XCLAIM drops a pending entry whose stream entry was deleted; 6.2 keeps it.
VERSION_DEPENDENT = {"redis-3.2.13": {(0, b"w:pf2"), (0, b"w:pf3")}, "redis-6.2.16": {(0, b"w:x")}}


class Recording:
    """A recorded full resynchronisation and the commands that followed.

    The byte at index i of `stream` has replication offset start_offset + i + 1."""

    def __init__(self, name):
        self.name = name
        self.folder = fixtures_folder() / name / "stream"
        self.family, _, self.version_text = name.partition("-")
        self.version = tuple(map(int, self.version_text.split(".")))
        self.meta = json.loads((self.folder / "meta.json").read_text(encoding="utf-8"))
        self.replid = self.meta["replid"]
        self.start_offset = self.meta["start_offset"]
        self.end_offset = self.meta["end_offset"]
        self.snapshot = (self.folder / "snapshot.rdb").read_bytes()
        self.stream = (self.folder / "stream.resp").read_bytes()

    def __repr__(self):
        return f"<Recording {self.name}>"

    @property
    def redis_level(self):
        """The Redis version whose behaviour it has: Valkey came out of Redis 7.2."""
        return (7, 2, 4) if self.family == "valkey" else self.version

    def snapshot_eof(self):
        """The bytes of the diskless form, with its "$EOF:<mark>" line and the mark at the end; from 4.0 on."""
        return (self.folder / "snapshot-eof.bin").read_bytes()

    @property
    def any_expiry(self):
        """Keys whose time of expiry depends on the moment their command is applied: {(database, key), ...}."""
        return {(database, key.encode()) for database, key in self.meta["keys_with_relative_expiry"]}

    @property
    def version_dependent(self):
        """Keys that may differ when a later version applies the stream: {(database, key), ...}."""
        return VERSION_DEPENDENT.get(self.name, set())

    def expected(self, which="replica"):
        """Path of the expected data: "replica" (what a real replica had in the end), "snapshot", "eof", "" (the master)."""
        return self.folder / (f"expected-{which}.jsonl" if which else "expected.jsonl")


class Dump(Recording):
    """An RDB file of the fixtures as what a master sends, with nothing behind it."""

    def __init__(self, name, file="dump.rdb"):  # pylint: disable=super-init-not-called
        self.name = f"{name}/{file}"
        self.folder = fixtures_folder() / name
        self.family, _, self.version_text = name.partition("-")
        self.version = tuple(map(int, self.version_text.split(".")))
        self.meta = {"keys": 1}
        self.replid = "8" * 40
        self.start_offset = self.end_offset = 0
        self.snapshot = (self.folder / file).read_bytes()
        self.stream = b""
        self.expected = self.folder / file.replace("dump", "expected").replace(".rdb", ".jsonl")
