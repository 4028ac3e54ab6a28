"""`keyferry rdb` from outside: --format summary and keys on the recorded files, exit codes, and what it says of damage.

--format jsonl has a file of its own, test_rdb_jsonl.py."""

import collections
import json
import re
import subprocess

import pytest

from bench import ferry, recordings
from bench.compare import read_expected

SMALL = "dump-nocompress.rdb"


def run(*words):
    return subprocess.run([ferry.binary(), "rdb", *words], capture_output=True, text=True, timeout=180, check=False)


def output(*words):
    """Of a run that ends well."""
    done = run(*words)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def keys_of(path):
    return [json.loads(line) for line in output(path, "--format", "keys").splitlines()]


def dumps():
    """(file, expected data) of all recorded dumps."""
    for folder in sorted(recordings.fixtures_folder().glob("*-*")):
        for dump in sorted(folder.glob("dump*.rdb")):
            yield dump, read_expected(folder / (dump.stem.replace("dump", "expected") + ".jsonl"))


def place(record):
    return record["db"], json.dumps(record["key"])


def essence(records):
    return sorted((*place(record), record["type"], record["ttl_at_ms"]) for record in records)


@pytest.fixture(name="folder", scope="module")
def the_folder():
    return recordings.fixtures_folder() / "redis-7.0.15"


def test_keys_of_every_recorded_file():
    seen = 0
    for path, expected in dumps():
        found = keys_of(path)
        assert sorted(map(str, essence(found))) == sorted(map(str, essence(expected))), path
        assert all(record["bytes"] > 0 for record in found)
        assert [list(record) for record in found] == [["db", "key", "type", "bytes", "ttl_at_ms"]] * len(found)
        seen += len(found)
    assert seen > 2000


def number(text):
    return int(text.replace(",", ""))


def table(text, heading):
    """The rows of a table of the summary as {first word: [numbers]}."""
    rows = text.split(f"\n{heading}")[1].split("\n\n")[0].splitlines()[1:]
    return {row.split()[0]: [number(word) for word in row.split()[1:]] for row in rows}


def test_summary_of_every_recorded_file():
    for path, expected in dumps():
        text = output(path, "--format", "summary")
        assert text.startswith(f"file         {path}, {path.stat().st_size:,} bytes\n")
        assert re.search(r"^checksum +" + ("none" if "nochecksum" in path.name else "right") + "$", text, re.MULTILINE)
        assert number(re.search(r"^keys +([\d,]+)$", text, re.MULTILINE)[1]) == len(expected)
        expiring = [record for record in expected if record["ttl_at_ms"] is not None]
        assert number(re.search(r"^expiries +([\d,]+)", text, re.MULTILINE)[1]) == len(expiring)
        by_database = collections.Counter(record["db"] for record in expected)
        rows = table(text, "database ")
        assert {int(database): row[:2] for database, row in rows.items()} == {
            database: [count, sum(record["db"] == database for record in expiring)] for database, count in by_database.items()}
        by_type = collections.Counter(record["type"] for record in expected)
        assert {kind: row[0] for kind, row in table(text, "type ").items()} == by_type
        total = sum(record["bytes"] for record in keys_of(path))
        assert number(re.search(r"^values +([\d,]+) bytes", text, re.MULTILINE)[1]) == total
        assert sum(row[2] for row in rows.values()) == total


def test_summary_is_the_default(folder):
    assert output(folder / SMALL) == output(folder / SMALL, "--format", "summary")


def test_largest_keys(folder):
    """In order, and those of the other format."""
    largest = sorted((record["bytes"] for record in keys_of(folder / "dump.rdb")), reverse=True)
    rows = output(folder / "dump.rdb").split("largest keys:")[1].splitlines()[1:]
    assert [number(row.split()[0]) for row in rows] == largest[:len(rows)] and len(rows) >= 10


def test_who_wrote_it(folder):
    text = output(folder / SMALL)
    assert re.search(r"^RDB version +10 of Redis, written by redis 7\.0\.15 at 20\d\d-\d\d-\d\dT", text, re.MULTILINE)
    text = output(recordings.fixtures_folder() / "valkey-9.1.2" / SMALL)
    assert re.search(r"^RDB version +80 of Valkey, written by valkey 9\.1\.2 at ", text, re.MULTILINE)


def test_empty_data_set(bench, tmp_path):
    server = bench.server()
    server.command("SAVE")
    assert re.search(r"^keys +0$", output(server.folder / "dump.rdb"), re.MULTILINE)
    assert output(server.folder / "dump.rdb", "--format", "keys") == ""


# -- damage -------------------------------------------------------------------------------------------------------------

@pytest.fixture(name="damaged")
def make_damaged(folder, tmp_path):
    """A function that writes a changed copy of a small file and returns its path."""
    def make(change):
        data = bytearray((folder / SMALL).read_bytes())
        path = tmp_path / "damaged.rdb"
        path.write_bytes(change(data) or data)
        return path
    return make


def fails(path, *told, code=4):
    """What of standard output was printed before the error."""
    for how in ("keys", "summary"):
        done = run(path, "--format", how)
        assert done.returncode == code, done
        assert all(text in done.stderr for text in told), done.stderr
        if how == "keys":
            printed = done.stdout
    return printed


def test_cut_off(folder, damaged):
    """What was whole is printed, then where it ends."""
    whole = output(folder / SMALL, "--format", "keys")
    size = (folder / SMALL).stat().st_size
    for length in (10, 300, size // 2, size - 9, size - 1):
        printed = fails(damaged(lambda data, length=length: data[:length]), f"position {length}", "is cut off")
        assert whole.startswith(printed) and (printed == "" or printed.endswith("\n"))
    assert printed == whole


def test_wrong_checksum(folder, damaged):
    def change(data):
        data[-1] ^= 1
    printed = fails(damaged(change), "checksum")
    assert printed == output(folder / SMALL, "--format", "keys")
    assert re.search(r"^checksum +wrong", run(damaged(change)).stdout, re.MULTILINE)


def test_changed_byte(folder, damaged):
    """Wherever it is, it does not go by unnoticed."""
    size = (folder / SMALL).stat().st_size
    for at in range(0, size - 8, 97):
        def change(data, at=at):
            data[at] ^= 0x55
        done = run(damaged(change), "--format", "keys")
        assert done.returncode == 4 and "damaged.rdb" in done.stderr, at


def test_unknown_type(damaged):
    """The position is that of the byte."""
    at = None

    def change(data):
        nonlocal at
        at = data.index(b"\xfb") + 3    # behind the sizes of the first database
        data[at] = 99
    path = damaged(change)
    fails(path, str(at), "99")


def test_not_an_rdb_file(tmp_path):
    path = tmp_path / "text"
    for text in ("", "REDIS", "hello, world, this is no RDB file", "VALKEYxyz", "REDIS0099" + 30 * "x"):
        path.write_text(text)
        fails(path, str(path))


def test_no_file(tmp_path):
    for path in (tmp_path / "missing.rdb", tmp_path):
        fails(path, str(path), code=2)


def test_usage(folder):
    assert run().returncode == 2
    done = run(folder / SMALL, "--format", "xml")
    assert done.returncode == 2 and "summary" in done.stderr and "keys" in done.stderr
    done = run(folder / SMALL, "--fromat", "keys")
    assert done.returncode == 2 and "--format" in done.stderr


def test_reader_that_stops(folder):
    """A pipe that is closed early is no crash."""
    pipe = 'set -o pipefail; "$0" rdb "$1" --format keys | head -n 1'
    done = subprocess.run(["bash", "-c", pipe, ferry.binary(), folder / "dump.rdb"], capture_output=True, text=True, timeout=180,
                          check=False)
    assert len(done.stdout.splitlines()) == 1 and done.returncode in (0, 1, 141)
