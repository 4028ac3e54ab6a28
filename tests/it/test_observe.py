"""What a running task shows to those who watch it: metrics as Prometheus reads them, alert rules and the dashboard, probes, the log."""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from bench.compare import assert_same
from bench.data import fill
from bench.ferry import Ferry
from bench.ports import reserve
from bench.process import Process
from bench.waiting import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "contrib/prometheus/keyferry.rules.yml"
DASHBOARD = ROOT / "contrib/grafana/keyferry.json"


def program(name):
    """Of Debian's package prometheus, which tools/install-deps brings where a network is."""
    path = shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed (Debian package prometheus)")
    return path


def checked(*words, text=None):
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def families(page):
    """name -> type"""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.M))


def samples(page):
    """[(name, labels, value)]"""
    found = re.findall(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", page, re.M)
    return [(name, dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value)) for name, labels, value in found]


def value_of(page, name, **labels):
    (value,) = [value for found, has, value in samples(page) if found == name and labels.items() <= has.items()]
    return value


def applied_of(page):
    return sum(value for name, _, value in samples(page) if name == "keyferry_link_applied_commands_total")


def answer(ferry, path, **headers):
    """(code, content type, text)"""
    request = urllib.request.Request(f"http://127.0.0.1:{ferry.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.status, reply.headers["Content-Type"], reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def write(source):
    """Known numbers of each command."""
    client = source.client()
    for number in range(30):
        client.set(f"s{number}", "x")
    for number in range(20):
        client.hset("h", str(number), "x")
    with client.pipeline(transaction=True) as pipe:
        pipe.incr("n").incr("n")
        pipe.execute()
    client.xgroup_create("x", "readers", mkstream=True)


@pytest.fixture(name="watched")
def fixture_watched(bench):
    """(ferry, source, target): everything that write() does is applied, and a heartbeat is."""
    source, target = bench.server("redis-7.0"), bench.server("redis-7.0")
    fill(source, keys=200)
    ferry = Ferry(bench, source, target, {"heartbeat.interval": "1s", "verify.every": "1s"}).start().wait_streaming()
    write(source)
    ferry.wait_in_step(source)
    ferry.wait_status(lambda status: (status["verify"] or {}).get("runs", 0) > 0, what="a verification")
    wait_for(lambda: value_of(ferry.get("/metrics"), "keyferry_link_delay_seconds_count") > 0, what="a heartbeat that is applied")
    return ferry, source, target


def test_metrics(watched):
    """Prometheus' own tool has nothing to complain of; commands are counted by name; documents, rules and dashboard name what there is."""
    ferry, source, target = watched

    def look():
        """A page, and the link's status of the same moment: between two pages that say the same of what is applied."""
        before, (link,), after = ferry.get("/metrics"), ferry.status()["links"], ferry.get("/metrics")
        return (after, link) if applied_of(before) == applied_of(after) else None
    page, link_status = wait_for(look, what="a moment in which nothing is applied")
    link = {"task": ferry.status()["task"], "link": source.address}
    for command, count in (("set", 30), ("hset", 20), ("multi", 1), ("xgroup create", 1)):
        assert value_of(page, "keyferry_link_applied_commands_total", command=command, **link) == count
    assert applied_of(page) == link_status["counters"]["commands_applied"]
    assert value_of(page, "keyferry_task_state", state="streaming") == 1
    assert value_of(page, "keyferry_link_resyncs_total", kind="full", **link) == 0
    buckets = [value for name, _, value in samples(page) if name == "keyferry_link_delay_seconds_bucket"]
    assert buckets == sorted(buckets) and buckets[-1] >= value_of(page, "keyferry_link_delay_seconds_count") > 0
    assert value_of(page, "process_resident_memory_bytes") > 1 << 20 and value_of(page, "process_open_fds") > 5

    names = set(families(page))
    for document in ("docs/status.md", "docs/zh/status.md"):
        told = set(re.findall(r"^\| `((?:keyferry|process)_\w+)` \|", (ROOT / document).read_text(encoding="utf-8"), re.M))
        assert told == names, f"{document}: {sorted(told ^ names)}"
    # Rules are for the daemon too, whose own names test_all_metrics.py looks at.
    of_daemon = set(re.findall(r"^\| `(keyferry_(?:daemon|task)_\w+)` \|", (ROOT / "docs/monitoring.md").read_text(encoding="utf-8"), re.M))
    there = names | {name for name, _, _ in samples(page)} | of_daemon | {"up"}
    for path in (RULES, DASHBOARD):
        asked = set(re.findall(r"\b(?:keyferry|process)_[a-z_]+\b", "\n".join(expressions(path))))
        assert asked and asked <= there, f"{path.name}: {sorted(asked - there)}"

    checked(program("promtool"), "check", "metrics", text=page)
    assert ferry.stop() == 0
    assert_same(source, target, as_replica=True)


def expressions(path):
    """What is asked of Prometheus in it."""
    if path.suffix == ".json":
        text = path.read_text(encoding="utf-8")
        board = json.loads(text)
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        yield from (target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
        yield from (variable["definition"] for variable in board["templating"]["list"] if "definition" in variable)
        yield from (annotation["expr"] for annotation in board["annotations"]["list"])
    else:
        yield from re.findall(r"^ +expr: (.*)$", path.read_text(encoding="utf-8"), re.M)


def test_rules():
    """Each alert is told in the documents and has tests, and they pass."""
    tool = program("promtool")
    checked(tool, "check", "rules", RULES)
    tests = RULES.with_name("keyferry.rules.test.yml")
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8")))
    for document in ("docs/monitoring.md", "docs/zh/monitoring.md"):
        assert alerts == set(re.findall(r"^\| `(Keyferry\w+)` \|", (ROOT / document).read_text(encoding="utf-8"), re.M)), document
    assert alerts == set(re.findall(r"alertname: (\w+)$", tests.read_text(encoding="utf-8"), re.M))
    checked(tool, "test", "rules", tests)


def test_scraped(bench, watched):
    """A real Prometheus scrapes it, which asks for OpenMetrics first, loads the rules, and can evaluate every query of the dashboard."""
    ferry, source, target = watched
    prometheus = program("prometheus")
    port = reserve()
    folder = pathlib.Path(bench.folder) / "prometheus"
    folder.mkdir()
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
              "scrape_configs": [{"job_name": "keyferry", "static_configs": [{"targets": [f"127.0.0.1:{ferry.port}"]}]}]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    base = f"http://127.0.0.1:{port.number}/api/v1"

    def ask(path, **query):
        with urllib.request.urlopen(f"{base}/{path}?{urllib.parse.urlencode(query)}", timeout=60) as reply:
            return json.loads(reply.read())["data"]

    def scraped():
        assert process.running, (folder / "log").read_text()
        try:
            return [one for one in ask("targets")["activeTargets"] if one["health"] == "up"]
        except (urllib.error.URLError, ConnectionError):
            return None

    process = Process([prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                       f"--web.listen-address=127.0.0.1:{port.number}"], folder, folder / "log")
    try:
        wait_for(scraped, what="a scrape")
        wait_for(lambda: ask("query", query="keyferry_link_delay_seconds_count")["result"], what="its samples")
        for expression in expressions(DASHBOARD):
            if expression.startswith("label_values("):
                continue
            plain = expression.replace("$__rate_interval", "1m").replace("$task", ".*").replace("$link", ".*")
            ask("query", query=plain)
        assert ask("query", query='keyferry_link_applied_commands_total{command="set"}')["result"][0]["value"][1] == "30"
        assert {metric["type"] for metric in ask("metadata", metric="keyferry_link_applied_commands_total").get(
            "keyferry_link_applied_commands_total", [{"type": "counter"}])} == {"counter"}
        assert len(ask("rules")["groups"][0]["rules"]) == len(re.findall(r"alert: ", RULES.read_text(encoding="utf-8")))
    finally:
        process.stop()
        port.release()
    code, kind, text = answer(ferry, "/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert code == 200 and kind.startswith("application/openmetrics-text") and text.endswith("\n# EOF\n")
    assert ferry.stop() == 0
    assert_same(source, target, as_replica=True)


def test_probes(bench):
    """Ready while it follows; alive also while the source is away; the answer says why not."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"timeouts.connect": "1s"}).start().wait_streaming()
    wait_for(lambda: answer(ferry, "/readyz")[0] == 200, what="readiness")
    assert answer(ferry, "/healthz") == (200, "text/plain; charset=utf-8", "ok\n")
    source.kill()
    # The cause: first that the connection was closed, then that there is none to be had.
    wait_for(lambda: answer(ferry, "/readyz") == (503, "text/plain; charset=utf-8", f"link {source.address}: the source is away: {source.address}: connection refused\n"),
             what="not ready, and why")
    assert answer(ferry, "/healthz")[0] == 200
    assert answer(ferry, "/nothing")[0] == 404
    assert ferry.stop() == 0


def test_probes_without_a_token(bench):
    """Where others reach it, nobody is told anything without the token. With `--probes open` the probes tell everybody whether, and only readers why not."""
    source, target = bench.server(), bench.server()
    token = "t0ken-of-the-readers"
    reader = {"Authorization": f"Bearer {token}"}
    ferry = Ferry(bench, source, target, environment={"KEYFERRY_TOKEN": token})
    ferry._argv[ferry._argv.index("--listen") + 1] = f"0.0.0.0:{ferry.port}"
    ferry.start()
    wait_for(lambda: answer(ferry, "/readyz", **reader)[0] == 200, what="readiness")
    assert [answer(ferry, path)[0] for path in ("/healthz", "/readyz", "/status", "/metrics")] == [401] * 4
    assert ferry.stop() == 0
    ferry.start("--probes", "open")
    wait_for(lambda: answer(ferry, "/readyz") == (200, "text/plain; charset=utf-8", "ok\n"), what="readiness")
    assert [answer(ferry, path)[0] for path in ("/healthz", "/status", "/metrics", "/", "/healthz/")] == [200] + [401] * 4
    source.kill()
    wait_for(lambda: answer(ferry, "/readyz") == (503, "text/plain; charset=utf-8", "not ready\n"), what="not ready")
    wait_for(lambda: answer(ferry, "/readyz", **reader)[2].startswith(f"link {source.address}: the source is away: {source.address}: "), what="why not, for a reader")
    assert answer(ferry, "/healthz", Authorization="Bearer none") == (200, "text/plain; charset=utf-8", "ok\n")
    assert ferry.stop() == 0
    assert token not in ferry.log


def test_json_log(bench):
    """Every line is an object that says what it is about; the level changes while the task runs; what repeats is counted."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    ferry = Ferry(bench, source, target, arguments=["--log-format", "json", "--name", "orders"]).start().wait_streaming()
    ferry.wait_log('"kind":"snapshot_applied"')
    ferry.process.signal(signal.SIGUSR1)
    ferry.wait_log("as SIGUSR1 asked for")
    ferry.process.signal(signal.SIGUSR2)
    ferry.wait_log("at level info again")
    ferry.wait_in_step(source)
    assert ferry.stop() == 0
    lines = [json.loads(line) for line in ferry.log.splitlines()]
    assert all(line["time"] and line["level"] and line["message"] and line["task"] == "orders" for line in lines)
    (applied,) = [line for line in lines if line.get("kind") == "snapshot_applied"]
    assert applied["link"] == source.address and applied["fields"]["keys"] >= 100 and applied["level"] == "info"
    (kept,) = [line for line in lines if line.get("kind") == "position"]
    assert kept["link"] == source.address
    assert_same(source, target, as_replica=True)


def test_log_floods(bench):
    """Ten thousand commands that the target refuses: each is counted, and the log stays readable."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"on_conflict": "skip", "target.existing": "merge"}).start().wait_streaming()
    target.client().set("list", "no list")
    with source.client().pipeline(transaction=False) as pipe:
        for number in range(10000):
            pipe.rpush("list", number)
        pipe.execute()
    ferry.wait_in_step(source)
    page = ferry.get("/metrics")
    assert value_of(page, "keyferry_link_conflicts_total") == 10000
    assert value_of(page, "keyferry_log_left_out_lines_total") > 9000
    assert ferry.stop() == 0
    warnings = [line for line in ferry.log.splitlines() if "on_conflict: skip" in line]
    assert 0 < len(warnings) < 700
    told = sum(int(number) for number in re.findall(r"(\d+) lines of this level were left out", ferry.log))
    assert told + len(warnings) >= 10000


def test_signal_before_the_start(bench):
    """The level may be changed while the servers are still being asked."""
    source, target = bench.server(), bench.server()
    target.pause()
    ferry = Ferry(bench, source, target).start()
    wait_for(lambda: (ferry.data / "lock").exists(), what="the work directory")
    ferry.process.signal(signal.SIGUSR2)
    # Two of them at once may be taken by two threads, in any order.
    ferry.wait_log("as SIGUSR2 asked for")
    for _ in range(2):
        ferry.process.signal(signal.SIGUSR1)
    ferry.wait_log("as SIGUSR1 asked for")
    target.resume()
    ferry.wait_streaming()
    assert ferry.stop() == 0


def test_delays_without_heartbeat(bench):
    """The sampled offsets tell them."""
    source, target = bench.server(), bench.server()
    ferry = Ferry(bench, source, target, {"heartbeat": "false"}).start().wait_streaming()
    source.client().set("a", 1)
    wait_for(lambda: value_of(ferry.get("/metrics"), "keyferry_link_delay_seconds_count") >= 2, what="samples")
    assert ferry.stop() == 0
    assert_same(source, target, as_replica=True)
