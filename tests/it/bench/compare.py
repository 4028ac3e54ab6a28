"""Exact comparison of two deployments: every key of every database, its type, value and expiry; function libraries too.

    python3 tests/it/bench/compare.py --source host:port --target host:port[,host:port...]

prints counts and the first differences; exit 0: the same, 1: differences, 2: could not compare.

How it is fast and still exact: both sides are scanned; keys that both hold are asked for by DUMP in batches, and the two
servers' answers compared as plain bytes. Equal payloads mean equal values. Where they differ (another RDB version, another
order in a hash table, delivery times in a stream) the values are read with ordinary commands and compared by meaning. Each
difference is looked at once more at the end, so that a key that expired in between is none.
"""

import argparse
import collections
import dataclasses
import fnmatch
import json
import pathlib
import re
import sys
import time

if not __package__:
    # Run as a program: be the same package as when imported by a test.
    sys.path[0] = str(pathlib.Path(__file__).resolve().parents[1])
    __package__ = "bench"  # pylint: disable=redefined-builtin

# pylint: disable=wrong-import-position
from . import values, wire  # noqa: E402
from .deployment import Deployment, Opened  # noqa: E402

BATCH_KEYS = 500
KEPT_DIFFERENCES = 1000
HEARTBEAT = b"DTS_REDIS_TIMESTAMP_HEARTBEAT"
OWN_PREFIXES = (b"keyferry:mark:", b"keyferry:task:", b"keyferry:tmp:")

MISSING, EXTRA, TYPE, VALUE, EXPIRY = "missing", "extra", "type", "value", "expiry"
DUPLICATE, FUNCTION = "duplicate", "function"
SETTLING_SECONDS = 30
UNSETTLED = ("MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN")


def is_heartbeat(key):
    """Keys that the tool itself writes into a source."""
    return key == HEARTBEAT or key.startswith(HEARTBEAT + b":{")


def is_own(key):
    """Keys that the tool keeps in a target."""
    return key.startswith(OWN_PREFIXES)


@dataclasses.dataclass(frozen=True)
class Difference:
    """One difference. `kind` is one of the constants above; `detail` says source's and target's side, in that order."""

    database: int
    key: bytes
    kind: str
    detail: str = ""

    def __str__(self):
        return f"db {self.database} {self.key!r}: {self.kind}{' ' + self.detail if self.detail else ''}"


class Report:
    """Outcome of a comparison."""

    def __init__(self):
        self.source_keys = 0
        self.target_keys = 0
        self.counts = collections.Counter()   # differences by kind
        self.differences = []                 # the first KEPT_DIFFERENCES of them

    @property
    def equal(self):
        return not self.counts

    def add(self, *difference):
        made = Difference(*difference)
        self.counts[made.kind] += 1
        if len(self.differences) < KEPT_DIFFERENCES:
            self.differences.append(made)

    def kinds(self):
        """{(database, key): kind} of the kept differences, for tests."""
        return {(one.database, one.key): one.kind for one in self.differences}

    def text(self, limit=20):
        total = sum(self.counts.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items()))
        lines = [f"{self.source_keys} keys in the source, {self.target_keys} in the target: "
                 + (f"{total} differences ({kinds})" if total else "no differences")]
        lines += [f"  {one}" for one in self.differences[:limit]]
        if total > limit:
            lines.append(f"  ... and {total - min(limit, len(self.differences))} more")
        return "\n".join(lines)

    __str__ = text


def compare(source, target, *, expiry_tolerance_ms=0, ignore=(), ignore_in_source=is_heartbeat, ignore_in_target=is_own,
            databases=None, functions=True, as_replica=False):
    """Compares two deployments (anything Deployment.of() takes); returns a Report.

    expiry_tolerance_ms   expiries may differ by that much; the clock uncertainty of servers before 7.0 comes on top
    ignore                glob patterns of keys to leave out on both sides
    ignore_in_source / ignore_in_target   functions key -> bool
    databases             only these; default: all that hold keys on either side
    functions             compare the function libraries, where both sides have functions
    as_replica            do not compare what a replica of the source would not get right either (values.as_replicated)

    A cluster whose slots are still settling after a move (it answers MOVED where it owned the key a moment ago) is read
    again from the beginning, for SETTLING_SECONDS at most.
    """
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        try:
            return _compare_once(source, target, expiry_tolerance_ms, ignore, ignore_in_source, ignore_in_target, databases,
                                 functions, as_replica)
        except wire.ReplyError as error:
            if not str(error).startswith(UNSETTLED) or time.monotonic() > deadline:
                raise


def _compare_once(source, target, expiry_tolerance_ms, ignore, ignore_in_source, ignore_in_target, databases, functions, as_replica):
    with Opened(source) as opened_source, Opened(target) as opened_target:
        comparison = _Comparison(opened_source, opened_target, expiry_tolerance_ms, as_replica)
        matches = _matcher(ignore)
        for database in sorted(databases if databases is not None else {*opened_source.databases(), *opened_target.databases()}):
            comparison.compare_database(database, lambda key: matches(key) or ignore_in_source(key),
                                        lambda key: matches(key) or ignore_in_target(key))
        if functions:
            comparison.compare_functions()
        return comparison.report


def assert_same(source, target, **options):
    """compare(), and AssertionError with the differences unless there are none. To wait until two deployments are in
    step: wait_for(lambda: assert_same(source, target), ...)."""
    report = compare(source, target, **options)
    assert report.equal, str(report)
    return report


def _matcher(patterns):
    if not patterns:
        return lambda key: False
    regexes = [re.compile(fnmatch.translate(pattern).encode(), re.DOTALL) for pattern in patterns]
    return lambda key: any(regex.match(key) for regex in regexes)


class _Comparison:
    def __init__(self, source, target, expiry_tolerance_ms, as_replica=False):
        self.normal = values.as_replicated if as_replica else lambda value: value
        self.source = source
        self.target = target
        self.tolerance = expiry_tolerance_ms
        self.report = Report()

    def compare_database(self, database, ignored_in_source, ignored_in_target):
        sources = self._located(self.source, database, ignored_in_source, "source")
        targets = self._located(self.target, database, ignored_in_target, "target")
        self.report.source_keys += len(sources)
        self.report.target_keys += len(targets)

        # Keys per pair of nodes, so that a batch is one conversation with each of two servers.
        pairs = collections.defaultdict(list)
        suspects = []
        for key, node in sources.items():
            other = targets.get(key)
            if other is None:
                suspects.append(key)
            else:
                pairs[node, other].append(key)
        suspects += [key for key in targets if key not in sources]

        for (left, right), keys in pairs.items():
            left.connection.select(database)
            right.connection.select(database)
            comparable = _same_dump_version(left, right, keys[0])
            for batch in _batches(keys):
                suspects += _differing(left, right, batch, comparable)
        for batch in _batches(suspects):
            self._look_closely(database, batch, sources, targets)

    def compare_functions(self):
        source, target = self.source.functions(), self.target.functions()
        if source is None or target is None:
            return
        mine, theirs = ({library["library"]: library for library in side} for side in (source, target))
        for name in sorted(mine.keys() | theirs.keys()):
            if mine.get(name) != theirs.get(name):
                detail = "missing" if name not in theirs else "extra" if name not in mine else "differs"
                self.report.add(0, name.encode(), FUNCTION, detail)

    def _located(self, deployment, database, ignored, side):
        found, duplicates = deployment.locate(database, ignored)
        for duplicate in duplicates:
            first, second = duplicate.nodes
            self.report.add(database, duplicate.key, DUPLICATE, f"in the {side}: on {first.address} and on {second.address}")
        return found

    def _look_closely(self, database, keys, sources, targets):
        """The final word on keys that seemed to differ: everything read by meaning, now."""
        left = _read(self.source, database, keys, sources)
        right = _read(self.target, database, keys, targets)
        for key, mine, theirs in zip(keys, left, right):
            if mine.type == "none" and theirs.type == "none":
                continue
            if theirs.type == "none":
                self.report.add(database, key, MISSING, f"({mine.type})")
            elif mine.type == "none":
                self.report.add(database, key, EXTRA, f"({theirs.type})")
            elif mine.type != theirs.type:
                self.report.add(database, key, TYPE, f"{mine.type} and {theirs.type}")
            else:
                detail = values.difference(mine.type, self.normal(mine.value), self.normal(theirs.value))
                if detail:
                    self.report.add(database, key, VALUE, f"({mine.type}) {detail}")
                if not self._same_expiry(mine, theirs):
                    self.report.add(database, key, EXPIRY, f"{_expiry_text(mine.expiry)} and {_expiry_text(theirs.expiry)}")

    def _same_expiry(self, mine, theirs):
        if mine.expiry < 0 or theirs.expiry < 0:
            return mine.expiry == theirs.expiry
        return abs(mine.expiry - theirs.expiry) <= self.tolerance + mine.uncertainty + theirs.uncertainty


def _batches(keys, size=BATCH_KEYS):
    return (keys[at:at + size] for at in range(0, len(keys), size))


def _dump_version(node, key):
    payload = node.connection.call("DUMP", key)
    return payload[-values.DUMP_FOOTER:-8] if payload else None


def _same_dump_version(left, right, key):
    version = _dump_version(left, key)
    return version is not None and version == _dump_version(right, key)


def _differing(left, right, keys, comparable):
    """Those of the keys, which both nodes hold, that may differ: a superset, cheap to find."""
    exact = left.has_command("PEXPIRETIME") and right.has_command("PEXPIRETIME")
    if not comparable or not exact:
        return keys
    command = b"*2\r\n$11\r\nPEXPIRETIME\r\n$%d\r\n%b\r\n*2\r\n$4\r\nDUMP\r\n$%d\r\n%b\r\n"
    request = b"".join([command % (len(key), key, len(key), key) for key in keys])
    left.connection.send_batch(request)
    right.connection.send_batch(request)
    mine, theirs = left.connection.receive_batch(), right.connection.receive_batch()
    if mine == theirs:
        return []
    mine, theirs = wire.parse_replies(mine), wire.parse_replies(theirs)
    return [key for at, key in enumerate(keys) if mine[2 * at:2 * at + 2] != theirs[2 * at:2 * at + 2]]


@dataclasses.dataclass
class _State:
    """One key as one side has it now."""

    type: str = "none"
    value: object = None
    expiry: int = values.GONE
    uncertainty: int = 0


def _read(deployment, database, keys, located):
    """The state of each key, asked at the node where it was found or would be."""
    states = [_State() for _ in keys]
    groups = collections.defaultdict(list)
    for at, key in enumerate(keys):
        node = located.get(key) or deployment.node_of(key)
        if node:
            groups[node].append(at)
    for node, places in groups.items():
        node.connection.select(database)
        mine = [keys[at] for at in places]
        types = values.read_types(node.connection, mine)
        expiries, uncertainty = values.read_expiries(node, mine)
        read = values.read_values(node, list(zip(mine, types)))
        for at, kind, expiry, value in zip(places, types, expiries, read):
            # Gone between two of the questions: gone.
            if value is not None and expiry != values.GONE:
                states[at] = _State(kind, value, expiry, uncertainty)
    return states


def _expiry_text(expiry):
    return "no expiry" if expiry == values.NO_EXPIRY else str(expiry)


# -- the fixtures' form -------------------------------------------------------------------------------------------------

def snapshot_of(deployment, databases=None, ignored=lambda key: is_heartbeat(key) or is_own(key)):
    """All data as the records of the fixtures' expected*.jsonl, ordered by database and key. Expiries of servers before
    7.0 are only about right (see values.read_expiries)."""
    return [record for record, _ in _records(deployment, databases, ignored)]


def _records(deployment, databases=None, ignored=lambda key: is_heartbeat(key) or is_own(key)):
    """Yields (record, uncertainty of its expiry in ms)."""
    with Opened(deployment) as opened:
        for database in opened.databases() if databases is None else databases:
            located, duplicates = opened.locate(database, ignored)
            assert not duplicates, f"several masters hold the same key: {duplicates[:3]}"
            for batch in _batches(sorted(located)):
                for key, state in zip(batch, _read(opened, database, batch, located)):
                    if state.type != "none":
                        yield {"db": database, "key": values.text_form(key), "type": state.type,
                               "ttl_at_ms": None if state.expiry == values.NO_EXPIRY else state.expiry,
                               "value": values.json_form(state.type, state.value)}, state.uncertainty


def read_expected(path):
    """The records of an expected*.jsonl."""
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_expected(path, records):
    """The records as an expected*.jsonl."""
    with open(path, "w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n")


def compare_with_expected(deployment, expected, *, any_expiry=(), expiry_tolerance_ms=0, ignored=lambda key: False, **options):
    """Compares a deployment (the target) with the records of an expected*.jsonl (the source), given as path or as a list;
    returns a Report.

    any_expiry   (database, key) pairs, as in meta.json, whose time of expiry is not compared (that there is one, is)
    ignored      function key -> bool, on both sides; `options` go to snapshot_of()
    """
    wanted = expected if isinstance(expected, list) else read_expected(expected)
    free = {(database, key if isinstance(key, bytes) else values.bytes_of_text_form(key)) for database, key in any_expiry}
    mine = {_place(record): record for record in wanted if not ignored(_place(record)[1])}
    found = [(record, uncertainty) for record, uncertainty in _records(deployment, **options) if not ignored(_place(record)[1])]
    theirs = {_place(record): record for record, _ in found}
    tolerance = expiry_tolerance_ms + max((uncertainty for _, uncertainty in found), default=0)
    report = Report()
    report.source_keys, report.target_keys = len(mine), len(theirs)
    for place in sorted(mine.keys() | theirs.keys()):
        left, right = mine.get(place), theirs.get(place)
        if right is None:
            report.add(*place, MISSING, f"({left['type']})")
        elif left is None:
            report.add(*place, EXTRA, f"({right['type']})")
        elif left["type"] != right["type"]:
            report.add(*place, TYPE, f"{left['type']} and {right['type']}")
        else:
            if not values.same_json_form(left["type"], left["value"], right["value"]):
                report.add(*place, VALUE, f"({left['type']}) {_first_json_difference(left['value'], right['value'])}")
            if not _same_json_expiry(left["ttl_at_ms"], right["ttl_at_ms"], place in free, tolerance):
                report.add(*place, EXPIRY, f"{left['ttl_at_ms']} and {right['ttl_at_ms']}")
    return report


def compare_functions_with_expected(deployment, path):
    """The names of the libraries that differ from those of a functions*.json."""
    with open(path, encoding="utf-8") as text:
        wanted = {library["library"]: library for library in json.load(text)}
    with Opened(deployment) as opened:
        found = {library["library"]: library for library in opened.functions() or []}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def _place(record):
    return record["db"], values.bytes_of_text_form(record["key"])


def _same_json_expiry(left, right, free, tolerance):
    if left is None or right is None:
        return left is right
    return free or abs(left - right) <= tolerance


def _first_json_difference(left, right):
    """Two JSON values from the first character that differs, with a little of what is before it."""
    one, other = json.dumps(left), json.dumps(right)
    at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    start = max(0, at - 20)
    return f"...{one[start:at + 40]} and ...{other[start:at + 40]}"


# -- the program --------------------------------------------------------------------------------------------------------

def _arguments():
    parser = argparse.ArgumentParser(description="Compare two Redis or Valkey deployments exactly.",
                                     epilog="An address is host:port or redis[s]://[user:password@]host:port; several, separated "
                                            "by commas, are nodes of a cluster, or standalone masters that form one deployment.")
    parser.add_argument("--source", required=True, metavar="ADDRESS")
    parser.add_argument("--target", required=True, metavar="ADDRESS")
    parser.add_argument("--tls-ca", metavar="FILE", help="verify TLS peers with this CA")
    parser.add_argument("--tls-cert", metavar="FILE", help="client certificate")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")
    parser.add_argument("--expiry-tolerance-ms", type=int, default=0, metavar="N")
    parser.add_argument("--ignore", action="append", default=[], metavar="GLOB", help="leave out these keys; may be repeated")
    parser.add_argument("--no-functions", action="store_true", help="leave out the function libraries")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="how many differences to print (20)")
    return parser.parse_args()


def main():
    """The program. Returns its exit code."""
    arguments = _arguments()
    try:
        tls = wire.tls_context(arguments.tls_ca, arguments.tls_cert, arguments.tls_key)
        with Deployment.of(arguments.source, tls) as source, Deployment.of(arguments.target, tls) as target:
            report = compare(source, target, expiry_tolerance_ms=arguments.expiry_tolerance_ms, ignore=arguments.ignore,
                             functions=not arguments.no_functions)
    except (OSError, ValueError, AssertionError, wire.ReplyError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print(report.text(arguments.show))
    return 0 if report.equal else 1


if __name__ == "__main__":
    sys.exit(main())
