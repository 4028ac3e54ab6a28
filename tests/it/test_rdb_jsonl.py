"""`keyferry rdb FILE --format jsonl` from outside: what it prints of the recorded files, its exit codes, and what it says of damage.

That each recorded file prints byte for byte as its server said is a unit test too (tests/unit/cmd/test_rdb_lines.c), which also cuts
files off at every byte; here it is the program itself."""

import os
import re
import subprocess

import pytest

from bench import ferry, recordings

EOF_HEAD = len("$EOF:") + 40 + len("\r\n")
EOF_MARK = 40


def pairs():
    """(file, expected lines) of every RDB file of the fixtures."""
    for folder in sorted(recordings.fixtures_folder().glob("*-*")):
        for dump in sorted(folder.glob("dump*.rdb")):
            yield dump, folder / (dump.stem.replace("dump", "expected") + ".jsonl")
        for name, expected in (("snapshot.rdb", "snapshot"), ("snapshot-rdb11.rdb", "rdb11"), ("snapshot-eof.bin", "eof")):
            if (folder / "stream" / name).exists():
                yield folder / "stream" / name, folder / "stream" / f"expected-{expected}.jsonl"


def read_rdb(path):
    """The RDB alone, without the marks of a diskless transfer."""
    data = path.read_bytes()
    return data[EOF_HEAD:-EOF_MARK] if path.suffix == ".bin" else data


def run(path, **how):
    return subprocess.run([ferry.binary(), "rdb", path, "--format", "jsonl"], capture_output=True, timeout=180, check=False, **how)


def test_every_recorded_file(tmp_path):
    count = 0
    for path, expected in pairs():
        copy = tmp_path / "dump.rdb"
        copy.write_bytes(read_rdb(path))
        done = run(copy)
        assert (done.returncode, done.stderr) == (0, b""), path
        assert done.stdout == expected.read_bytes(), path
        count += 1
    assert count > 100


def test_order_is_by_database_and_key(tmp_path):
    """Of all servers, one file has keys of several databases in the order of a hash table."""
    path = recordings.fixtures_folder() / "redis-7.4.1/dump-nochecksum.rdb"
    by_file = subprocess.run([ferry.binary(), "rdb", path, "--format", "keys"], capture_output=True, check=True).stdout.splitlines()
    lines = run(path).stdout.splitlines()
    head = re.compile(rb'\{"db":(\d+),"key":("(?:[^"\\]|\\.)*"|\{[^}]*\})')
    assert sorted(head.match(line).groups() for line in by_file) == sorted(head.match(line).groups() for line in lines)
    assert [head.match(line).groups() for line in by_file] != [head.match(line).groups() for line in lines]


@pytest.mark.parametrize("kept", [0, 5, 9, 100, 5000, 18000])
def test_cut_off(tmp_path, kept):
    path = recordings.fixtures_folder() / "redis-7.4.1/dump-nochecksum.rdb"
    whole = run(path).stdout.splitlines()
    copy = tmp_path / "cut.rdb"
    copy.write_bytes(path.read_bytes()[:kept])
    done = run(copy)
    assert done.returncode == 4
    assert b"cut.rdb is cut off: it ends at position %d" % kept in done.stderr
    assert [line for line in whole if line in done.stdout.splitlines()] == done.stdout.splitlines()
    assert len(done.stdout.splitlines()) < len(whole)


def test_changed_byte(tmp_path):
    """All is printed, but the checksum tells."""
    path = recordings.fixtures_folder() / "redis-7.4.1/dump-nocompress.rdb"
    data = path.read_bytes().replace(b"redis-ver\x057.4.1", b"redis-ver\x057.4.2")
    assert data != path.read_bytes()
    copy = tmp_path / "changed.rdb"
    copy.write_bytes(data)
    done = run(copy)
    assert done.returncode == 4
    assert b"checksum" in done.stderr
    assert done.stdout == run(path).stdout


def memory_and_result(path):
    """(most memory used at any time in bytes, exit code, standard output, standard error)."""
    with subprocess.Popen([ferry.binary(), "rdb", path, "--format", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss * 1024, process.returncode, output, errors


def test_lengths_in_the_file_take_no_memory(tmp_path):
    """Counts and lengths of 2^40, and what would be terabytes uncompressed."""
    head = b"REDIS0011"
    huge = b"\x81\x00\x00\x01\x00\x00\x00\x00\x00"
    copy = tmp_path / "bomb.rdb"
    for body in (b"\x01\x01k" + huge, b"\x04\x01k" + huge + b"\x01a", b"\x00\x01k" + huge, b"\x0f\x01k" + huge,
                 b"\x00\x01k\xc3\x0a" + huge, b"\x07\x01k\x00\x05" + huge, b"\x11\x01k" + huge):
        copy.write_bytes(head + body + b"x" * 64)
        memory, code, output, errors = memory_and_result(copy)
        assert code == 4, body
        assert b"position" in errors, body
        assert output == b"", body
        assert memory < 300 << 20, body


def test_a_reader_that_leaves():
    """As `| head -1`: it ends soon, and is no crash."""
    path = recordings.fixtures_folder() / "redis-7.4.1/dump.rdb"
    with subprocess.Popen([ferry.binary(), "rdb", path, "--format", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b'{"db":0,')
        process.stdout.close()
        process.stderr.read()
        assert process.wait(timeout=180) in (1, -13)


def test_more_elements_than_memory(tmp_path):
    """A set whose members do not fit into the sorting memory goes through TMPDIR, and comes out in order all the same."""
    members = 1_500_000
    copy = tmp_path / "large.rdb"
    with copy.open("wb") as file:
        file.write(b"REDIS0011\x02\x01s\x80" + members.to_bytes(4, "big"))
        for number in range(members):
            file.write(b"\x0a%010d" % (number * 7_919 % members))
        file.write(b"\xff" + bytes(8))
    done = run(copy, env={"TMPDIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, b"")
    found = re.findall(rb'"(\d{10})"', done.stdout)
    assert len(found) == members
    assert found == sorted(found)
    assert [path.name for path in tmp_path.iterdir()] == ["large.rdb"]
    refused = run(copy, env={"TMPDIR": str(tmp_path / "nowhere")})
    assert refused.returncode == 1
    assert b"nowhere" in refused.stderr and b"TMPDIR" in refused.stderr
