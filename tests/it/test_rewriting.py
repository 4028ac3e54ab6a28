"""Every recorded dump into every server version: what a version cannot restore goes there as ordinary commands."""

from bench.compare import compare_with_expected
from bench.ferry import Ferry
from bench.recordings import Recording, fixtures_folder
from bench.replay import ReplayMaster


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


def names():
    return sorted(path.parent.name for path in fixtures_folder().glob("*/dump.rdb"))


def refusal(dump, version):
    """What of this dump the version has no command for, as keyferry says it; None: nothing."""
    if dump.redis_level >= (7, 0) and not version.at_least(7, 0):
        return "knows no functions"
    writes_field_expiry = dump.version >= ((9, 0) if dump.family == "valkey" else (7, 4))
    knows_field_expiry = version.number >= ((9, 0) if version.is_valkey else (7, 4))
    return "knows no expiry of single hash fields" if writes_field_expiry and not knows_field_expiry else None


# Pending entries whose stream entry was deleted: from 7.0 on XCLAIM drops them, and a stream of 7.2 cannot be restored in 7.0.
DANGLING = {b"stream:emptied-group", b"stream:groups"}


def test_every_dump_into_this_version(bench, version):
    """Every dump ends with the expected data, or is refused with the very key and reason."""
    target = bench.server(version)
    problems = []
    for name in names():
        dump = Dump(name)
        with ReplayMaster(dump) as master:
            ferry = Ferry(bench, f"redis://{master.address}", target, {"target.existing": "flush", "heartbeat": "false"}, listen=False)
            code = ferry.run("--stop-when", "caught-up")
        refused = refusal(dump, version)
        if code != (6 if refused else 0) or (refused and refused not in ferry.log):
            problems.append(f"{name}: exit code {code}, expected: {refused}\n{ferry.log}")
        if refused or code != 0:
            continue
        old = dump.redis_level >= (7, 2) and not version.at_least(7, 2)
        report = compare_with_expected(target, dump.expected, ignored=lambda key: old and key in DANGLING)  # pylint: disable=cell-var-from-loop
        if not report.equal:
            problems.append(f"{name}: {report}")
        assert not target.command("KEYS", "keyferry:tmp:*"), f"{name} left temporary keys"
    assert not problems, "\n".join(problems)


def test_large_values_of_another_family(bench):
    """Values of many chunks, through a temporary key; conflict: skip leaves what is there."""
    source, target = bench.server("redis-8.0-sid"), bench.server("valkey-9.1")
    source.command("HSET", "hash", *(word for number in range(60000) for word in (f"field:{number}", "v" * 20)))
    source.command("HPEXPIREAT", "hash", 4102444800000, "FIELDS", 1, "field:7")
    source.command("PEXPIREAT", "hash", 4102444800001)
    source.command("HSET", "there", "a", 1)
    source.command("HPEXPIREAT", "there", 4102444800000, "FIELDS", 1, "a")
    target.command("SET", "there", "first")
    Ferry(bench, source, target, {"target.existing": "merge", "target.conflict": "skip"}).run_until_caught_up()
    assert target.command("HLEN", "hash") == 60000
    assert target.command("HPEXPIRETIME", "hash", "FIELDS", 2, "field:7", "field:8") == [4102444800000, -1]
    assert target.command("PEXPIRETIME", "hash") == 4102444800001
    assert target.command("GET", "there") == b"first"
    assert not target.command("KEYS", "keyferry:tmp:*")
