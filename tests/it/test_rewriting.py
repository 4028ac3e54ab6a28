"""Every recorded dump into every server version: what a version cannot restore goes there as ordinary commands."""

import json

from bench.compare import compare_with_expected, read_expected
from bench.ferry import Ferry
from bench.recordings import Dump, fixtures_folder
from bench.replay import ReplayMaster


def names():
    return sorted(path.parent.name for path in fixtures_folder().glob("*/dump.rdb"))


def refusal(dump, version):
    """What of this dump the version has no command for, as keyferry says it; None: nothing."""
    if dump.redis_level >= (7, 0) and not version.at_least(7, 0):
        return "knows no functions"
    writes_field_expiry = dump.version >= ((9, 0) if dump.family == "valkey" else (7, 4))
    knows_field_expiry = version.number >= ((9, 0) if version.is_valkey else (7, 4))
    return "knows no expiry of single hash fields" if writes_field_expiry and not knows_field_expiry else None


def without_field_times(record):
    if record["type"] == "hash":
        record = record | {"value": [item[:2] for item in record["value"]]}
    return record


def as_before_7_0(record):
    """Without the counters of streams and groups, and without consumers that have nothing pending, which no command made then."""
    if record["type"] != "stream":
        return record
    groups = [{"name": group["name"], "last_id": group["last_id"], "pel": group["pel"],
               "consumers": [name for name in group["consumers"] if any(entry[1] == name for entry in group["pel"])]}
              for group in record["value"]["groups"]]
    return record | {"value": {"entries": record["value"]["entries"], "last_id": record["value"]["last_id"], "groups": groups}}


def sync_dump(bench, dump, target, options):
    with ReplayMaster(dump) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target, {"target.existing": "flush", "heartbeat": "false"} | options, listen=False)
        return ferry.run("--stop-when", "caught-up"), ferry.log


def check_lossy(bench, dump, target, version):
    """The same with target.downgrade: lossy: all the rest is there, and each loss is told. Returns problems."""
    code, log = sync_dump(bench, dump, target, {"target.downgrade": "lossy"})
    expected = read_expected(dump.expected)
    problems = [f"{dump.name}: exit code {code}\n{log}"] if code else []
    if not version.at_least(7, 0):
        count = log.count("left out as target.downgrade: lossy says: a function library")
        if count != len(json.loads((dump.folder / "functions.json").read_text(encoding="utf-8"))):
            problems.append(f"{dump.name}: {count} function libraries told as lost\n{log}")
        expected = [as_before_7_0(record) for record in expected]
    if version.number < ((9, 0) if version.is_valkey else (7, 4)):
        timed = {record["key"]: sum(item[2] is not None for item in record["value"] if len(item) > 2) for record in expected if record["type"] == "hash"}
        expected = [without_field_times(record) for record in expected]
        for key, count in timed.items():
            if count and f'key "{key}" (database ' in log and f"less {count} expiries of hash fields" not in log:
                problems.append(f"{dump.name}: {count} expiries of {key} are not told\n{log}")
        if any(timed.values()) != ("expiries of hash fields" in log):
            problems.append(f"{dump.name}: expiries of fields are not told\n{log}")
    report = compare_with_expected(target, expected)
    return problems if report.equal else problems + [f"{dump.name} with losses: {report}"]


def test_every_dump_into_this_version(bench, version):
    """Every dump ends with the expected data, or is refused with the very key and reason, and is there less what is told when losses are wanted."""
    target = bench.server(version)
    problems = []
    for name in names():
        dump = Dump(name)
        code, log = sync_dump(bench, dump, target, {})
        refused = refusal(dump, version)
        if code != (6 if refused else 0) or (refused and refused not in log):
            problems.append(f"{name}: exit code {code}, expected: {refused}\n{log}")
        elif refused:
            problems += check_lossy(bench, dump, target, version)
        else:
            report = compare_with_expected(target, dump.expected)
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
