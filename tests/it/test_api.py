"""The HTTP API of the daemon: the way of a task by it, who may do what, and what a hostile client gets. Every answer is looked at by the OpenAPI document."""

import random
import signal
import socket
import ssl
import subprocess

import pytest

from bench.api import Api, Events
from bench.compare import assert_same
from bench.daemon import Daemon
from bench.data import fill
from bench.ferry import binary, unused_address
from bench.load import Load
from bench.tls import Authority
from bench.waiting import wait_for

pytestmark = pytest.mark.threads

ASKING = "require_token: true\n"
SECRET = "S3cret-of-the-source"


def make_token(daemon, name, role):
    return subprocess.run([binary(), "token", "create", name, "--role", role, "--data", daemon.data, "--config", daemon.config], check=True, capture_output=True,
                          text=True).stdout.strip()


def document(name, source, target, password=None):
    return {"name": name, "source": {"address": source.address} | ({"password": password} if password else {}), "target": {"address": target.address, "expiry_margin": "0s"}}


@pytest.mark.sanitize
def test_way_of_a_task(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=2000)
    source.client(db=3).set("in another", "x")
    daemon = Daemon(bench).start()
    api = Api(daemon)
    told = api.post("/api/v1/databases", {"document": {"source": {"address": source.address}}})
    assert told["mode"] == "standalone" and {each["database"] for each in told["databases"]} >= {0, 3}
    assert told["keys"] == sum(source.client(db=each["database"]).dbsize() for each in told["databases"])

    masked = {"document": {"source": {"address": source.address, "password": "********"}}}
    assert api.call("POST", "/api/v1/databases", masked, 422).problem == "document-invalid"
    assert api.call("POST", "/api/v1/databases", masked | {"task": "nobody"}, 404).problem == "task-not-found"
    assert api.call("POST", "/api/v1/databases", {"document": {"source": {"address": unused_address()}}}, 502).problem == "source"

    # Likewise a target, before anything is written there.
    both = {"document": {"source": {"address": unused_address()}, "target": {"address": target.address, "existing": "merge"}}, "side": "target"}
    assert api.post("/api/v1/databases", both)["keys"] == 0
    assert api.post("/api/v1/databases", both | {"document": {"target": {"address": source.address}}})["keys"] == told["keys"]
    assert api.call("POST", "/api/v1/databases", both | {"document": {"target": {"address": unused_address()}}}, 502).problem == "target"

    wanted = document("orders", source, target)
    assert api.post("/api/v1/documents/check", wanted)["document"]["name"] == "orders"
    created = api.call("POST", "/api/v1/tasks", wanted, 201)
    assert created.body["state"] == "created" and created.headers["location"] == f"/api/v1/tasks/{created.body['id']}"
    assert api.call("POST", "/api/v1/tasks", wanted, 409).problem == "exists"
    watching = Events(api, "/api/v1/events")
    watching.until(lambda event, data: event == "task" and data["name"] == "orders")

    job = api.call("POST", "/api/v1/tasks/orders/precheck", status=202)
    view = wait_for(lambda: (got := api.get(job.headers["location"]))["result"] and got, what="the precheck's report")
    assert view["running"] is None and view["result"]["exit_code"] == 0
    with Load(source, rate=500):
        api.post("/api/v1/tasks/orders/start")
        watching.until(lambda event, data: event == "state" and data["state"] == "streaming")
        tree = api.put("/api/v1/tasks/orders/limits", {"bytes_per_second": 50_000_000})
        assert tree["limit"] == {"records_per_second": 0, "bytes_per_second": 50_000_000}
        assert api.put("/api/v1/tasks/orders/log-level", {"level": "debug"})["log_level"] == "debug"
        assert api.call("PUT", "/api/v1/tasks/orders/document", wanted, 409, headers={"If-Match": "*"}).problem == "state"
        assert api.call("DELETE", "/api/v1/tasks/orders", status=409).problem == "state"
        one = Events(api, f"/api/v1/tasks/{created.body['id']}/events")
        assert one.until(lambda event, data: event == "status")[1]["task"] == "orders"
        one.close()
        api.post("/api/v1/tasks/orders/pause")
        api.wait_state("orders", "paused")
        api.post("/api/v1/tasks/orders/resume")
        api.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    job = api.call("POST", "/api/v1/tasks/orders/verify", {"mode": "full"}, 202)
    view = wait_for(lambda: (got := api.get(job.headers["location"]))["result"] and got, what="the verification")
    assert view["result"]["exit_code"] == 0, view
    metrics = api.get("/metrics")
    assert 'keyferry_task_state{task="orders",state="streaming"} 1' in metrics and "keyferry_link_applied_commands_total{" in metrics
    for path in "status", "events", "history", "results", "log", "verify", "precheck", "cutover", "finish", "document":
        api.get(f"/api/v1/tasks/orders/{path}")
    for path in "tasks", "events", "options", "options?lang=zh", "version", "health", "audit", "session", "tokens", "openapi.json":
        api.get(f"/api/v1/{path}")
    api.get("/healthz")
    api.get("/readyz")
    api.post("/api/v1/tasks/orders/stop")
    api.wait_state("orders", "ready")
    api.delete("/api/v1/tasks/orders")
    watching.until(lambda event, data: event == "removed" and data["id"] == created.body["id"])
    watching.close()
    assert api.get("/api/v1/tasks") == {"items": []}
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0


def test_differences_and_trend(bench):
    """More differences than one answer has, page by page and kind by kind; how the task went, also before the daemon was restarted."""
    source, target = bench.server(), bench.server()
    fill(source, keys=200)
    missing = {f"missing:{number}" for number in range(20)}
    source.client().mset(dict.fromkeys(missing, "x"))
    daemon = Daemon(bench).start()
    api = Api(daemon)
    api.post("/api/v1/tasks", document("orders", source, target), 201)
    assert api.get("/api/v1/tasks/orders/verify/differences") == {"job": None, "items": [], "next": None}
    assert api.get("/api/v1/tasks/orders/trend")["time"] == []
    api.post("/api/v1/tasks/orders/start")
    api.wait_state("orders", "streaming")
    daemon.wait_in_step("orders", source)
    extra = {f"extra:{number:04}" for number in range(1200)}
    target.client().mset(dict.fromkeys(extra, "x"))
    target.client().delete(*missing)

    def verify(**options):
        job = api.call("POST", "/api/v1/tasks/orders/verify", options, 202).body["id"]
        wait_for(lambda: (got := api.get("/api/v1/tasks/orders/verify")["result"]) and got["job"] == job, what="the verification")
        return job
    job = verify(mode="full")
    found, after, pages = [], "", 0
    while after is not None:
        page = api.get(f"/api/v1/tasks/orders/verify/differences?limit=500{after}")
        assert page["job"] == job
        found += page["items"]
        pages += 1
        after = page["next"] and f"&after={page['next']}"
    assert pages == 3 and len(found) == len(extra) + len(missing)
    assert {one["key"] for one in found if one["kind"] == "extra"} == extra and {one["key"] for one in found if one["kind"] == "missing"} == missing
    page = api.get("/api/v1/tasks/orders/verify/differences?kind=missing")
    assert {one["key"] for one in page["items"]} == missing and page["next"] is None
    job = verify(mode="full", repair=True)
    page = api.get("/api/v1/tasks/orders/verify/differences?limit=1000")
    assert page["job"] == job and len(page["items"]) == 1000 and all(one["repaired"] for one in page["items"])

    before = api.get("/api/v1/tasks/orders/trend?span=1h")
    assert before["step"] == 60 and before["time"] and set(map(len, (before[name] for name in before if isinstance(before[name], list)))) == {len(before["time"])}
    assert api.call("GET", "/api/v1/tasks/orders/trend?span=1d", status=400).problem == "parameter-invalid"
    api.post("/api/v1/tasks/orders/pause")
    api.wait_state("orders", "paused")
    assert daemon.stop() == 0
    daemon.start()
    after = Api(daemon).get("/api/v1/tasks/orders/trend?span=24h")
    assert before["time"][0] in after["time"]
    assert Api(daemon).get("/api/v1/tasks/orders/trend")["time"], "minutes stand for what the quarter has lost"
    assert len(Api(daemon).get("/api/v1/tasks/orders/verify/differences?kind=missing")["items"]) == len(missing)


def test_document_as_yaml(bench):
    """Out as YAML, changed, and in again, with the ETag that was read, and the secret kept."""
    source, target = bench.server(), bench.server()
    daemon = Daemon(bench).start()
    api = Api(daemon)
    api.post("/api/v1/tasks", document("orders", source, target, SECRET), 201)
    read = api.call("GET", "/api/v1/tasks/orders/document", headers={"Accept": "application/yaml"})
    assert SECRET not in read.text and "********" in read.text
    assert api.call("GET", "/api/v1/tasks/orders/document", status=304, headers={"If-None-Match": read.headers["etag"]}).text == ""
    changed = read.text + "limit:\n  spec: medium\n"
    assert api.call("PUT", "/api/v1/tasks/orders/document", changed, 428, kind="application/yaml").problem == "precondition-required"
    put = api.call("PUT", "/api/v1/tasks/orders/document", changed, kind="application/yaml", headers={"If-Match": read.headers["etag"]})
    assert put.headers["etag"] != read.headers["etag"]
    assert api.call("PUT", "/api/v1/tasks/orders/document", changed, 412, kind="application/yaml", headers={"If-Match": read.headers["etag"]}).problem == "changed"
    wrong = api.call("POST", "/api/v1/tasks", f"name: b\nsource:\n  adress: x\n  password: {SECRET}\n", 422, kind="application/yaml")
    assert wrong.body["errors"][0]["option"] == "source.adress" and wrong.body["errors"][0]["line"] == 3 and SECRET not in wrong.text
    assert daemon.stop() == 0


def test_who_may_do_what(bench):
    daemon = Daemon(bench, ASKING).start()
    admin, viewer, operator = (Api(daemon, make_token(daemon, role, role)) for role in ("admin", "viewer", "operator"))
    nobody = Api(daemon, document=admin.document)
    for path in "/console", "/api/v1/tasks", "/metrics", "/healthz", "/nothing", "/%zz":
        for method in "GET", "POST", "OPTIONS":
            assert nobody.raw(method, path).status == 401
    assert viewer.call("POST", "/api/v1/tasks", {"name": "a"}, 403).problem == "forbidden"
    assert operator.call("GET", "/api/v1/audit", status=403).problem == "forbidden"
    assert viewer.get("/api/v1/session")["role"] == "viewer"
    login = nobody.call("POST", "/api/v1/session", {"token": operator.token}, 201)
    cookie = login.headers["set-cookie"].split(";")[0]
    assert "HttpOnly" in login.headers["set-cookie"] and "SameSite=Strict" in login.headers["set-cookie"]
    page = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{daemon.port}"}
    source, target = bench.server(), bench.server()
    assert nobody.call("POST", "/api/v1/tasks", document("a", source, target), 403, headers=page).problem == "csrf"
    page["X-CSRF-Token"] = login.body["csrf_token"]
    foreign = page | {"Origin": "http://evil.example"}
    assert nobody.call("POST", "/api/v1/tasks", document("a", source, target), 403, headers=foreign).problem == "foreign-origin"
    nobody.post("/api/v1/tasks", document("a", source, target), 201, headers=page)
    watching = Events(operator, "/api/v1/events")
    # With the token its session and its stream end.
    tokens = {token["name"]: token["id"] for token in admin.get("/api/v1/tokens")["items"]}
    admin.delete(f"/api/v1/tokens/{tokens['operator']}")
    assert nobody.raw("GET", "/api/v1/tasks", headers=page).status == 401
    assert operator.raw("GET", "/api/v1/tasks").status == 401
    wait_for(lambda: watching.read() is None, what="the end of the stream")
    watching.close()
    done = [(entry["who"], entry["action"], entry["result"]) for entry in admin.get("/api/v1/audit")["items"]]
    assert ("token:operator", "task.create", "ok") in done and ("token:admin", "token.delete", "ok") in done
    # Too many wrong ones.
    wrong = Api(daemon, "kf_wrong")
    assert [wrong.raw("GET", "/api/v1/tasks").status for _ in range(30)][-1] == 429
    for token in admin.token, viewer.token, operator.token, cookie.split("=")[1], login.body["csrf_token"]:
        assert token not in daemon.log
        assert all(token.encode() not in path.read_bytes() for path in daemon.data.glob("*.db*"))
    assert daemon.stop() == 0


def test_only_with_tokens_where_others_are(bench):
    """On an address that is not loopback nothing is told without a token, whatever the configuration says."""
    daemon = Daemon(bench, "require_token: false\n")
    daemon._argv[daemon._argv.index("--listen") + 1] = f"0.0.0.0:{daemon.port}"
    daemon.start()
    assert Api(daemon).raw("GET", "/api/v1/tasks").status == 401
    api = Api(daemon, make_token(daemon, "first", "viewer"))
    assert api.get("/api/v1/tasks") == {"items": []}
    assert api.raw("GET", "/api/v1/tasks", headers={"Host": "any.example"}).status == 200
    assert daemon.stop() == 0


def test_open_probes(bench):
    """`probes: open` is for those who ask whether the daemon lives; all else is told to nobody as before."""
    daemon = Daemon(bench, "probes: open\n")
    daemon._argv[daemon._argv.index("--listen") + 1] = f"0.0.0.0:{daemon.port}"
    daemon.start()
    nobody = Api(daemon, document={"paths": {}})
    assert [nobody.raw("GET", path).text for path in ("/healthz", "/readyz")] == ["ok\n", "ready\n"]
    for method, path in ("GET", "/metrics"), ("GET", "/api/v1/health"), ("GET", "/api/v1/openapi.json"), ("POST", "/healthz"), ("GET", "/healthz/more"), ("GET", "/nothing"):
        assert nobody.raw(method, path).status == 401, path
    api = Api(daemon, make_token(daemon, "first", "viewer"))
    api.get("/healthz")
    assert [{}] == [each for each in api.document["paths"]["/readyz"]["get"]["security"] if not each]
    assert daemon.stop() == 0


def test_tls_and_a_new_certificate(bench):
    authority = Authority(bench.folder / "authority")
    identity = authority.issue("first")
    files = [bench.folder / "api.pem", bench.folder / "api.key"]

    def install(identity):
        files[0].write_bytes(identity.certificate.read_bytes())
        files[1].write_bytes(identity.key.read_bytes())

    def serial():
        context = ssl.create_default_context(cafile=authority.ca)
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=180) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            assert secure.version() in ("TLSv1.2", "TLSv1.3")
            return secure.getpeercert()["serialNumber"]

    install(identity)
    daemon = Daemon(bench, f"tls: {{certificate: {files[0]}, key: {files[1]}}}\n").start()
    api = Api(daemon, authority=authority.ca)
    assert api.get("/api/v1/tasks") == {"items": []}
    before = serial()
    watching = Events(api, "/api/v1/events")
    # One that is not whole is not taken.
    files[0].write_text("nothing")
    daemon.process.signal(signal.SIGHUP)
    wait_for(lambda: "the certificate is not taken" in daemon.log, what="the refusal")
    assert serial() == before
    install(authority.issue("second"))
    daemon.process.signal(signal.SIGHUP)
    wait_for(lambda: serial() != before, what="the new certificate")
    source, target = bench.server(), bench.server()
    api.post("/api/v1/tasks", document("orders", source, target), 201)
    watching.until(lambda event, data: event == "task" and data["name"] == "orders")
    watching.close()
    assert daemon.stop() == 0


def test_events_go_on_after_a_crash(bench):
    """What happened while a client was away is told when it comes again, also by another process of the daemon."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    daemon = Daemon(bench).start()
    api = Api(daemon)
    api.post("/api/v1/tasks", document("orders", source, target), 201)
    watching = Events(api, "/api/v1/events")
    api.post("/api/v1/tasks/orders/start")
    watching.until(lambda event, data: event == "state" and data["state"] == "streaming")
    watching.close()
    api.post("/api/v1/tasks/orders/pause")
    api.wait_state("orders", "paused")
    daemon.kill()
    daemon.start()
    again = Events(api, "/api/v1/events", last=watching.last)
    event, data = again.until(lambda event, data: event == "state")
    assert data["state"] == "paused" and again.last != watching.last
    again.close()
    assert daemon.stop() == 0


def test_log_live(bench):
    """A viewer follows the log from before its first line on: over its turn, restarts of worker and daemon, each line once."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    daemon = Daemon(bench, ASKING + "worker: {log_size: 64KiB}\n").start()
    api, token = Api(daemon, make_token(daemon, "ops", "operator")), make_token(daemon, "seer", "viewer")
    task = api.post("/api/v1/tasks", document("orders", source, target), 201)["id"]
    log = daemon.data / "tasks" / str(task) / "log"
    told = []

    def written():
        return [line for path in (log.with_name("log.1"), log) if path.exists() for line in path.read_text().splitlines() if line]

    def read_until(condition):
        while not condition():
            event, data = live.read()
            assert event == "lines"
            told.extend(data["lines"])
    live = Events(Api(daemon, token), "/api/v1/tasks/orders/log?lines=1000")
    api.post("/api/v1/tasks/orders/start")
    api.wait_state("orders", "streaming")
    read_until(lambda: told and told == written())
    with log.open("a") as file:
        file.writelines(f"filling {number} {'x' * 90}\n" for number in range(700))
    wait_for(log.with_name("log.1").exists, what="the turn of the log")
    api.post("/api/v1/tasks/orders/pause")
    api.wait_state("orders", "paused")
    read_until(lambda: told == written())
    live.close()
    daemon.kill()
    daemon.start()
    api.post("/api/v1/tasks/orders/resume")
    api.wait_state("orders", "streaming")
    live = Events(Api(daemon, token), "/api/v1/tasks/orders/log?lines=1", last=live.last)
    daemon.wait_in_step("orders", source)
    api.post("/api/v1/tasks/orders/stop")
    api.wait_state("orders", "ready")
    read_until(lambda: told == written())
    assert sum(line.startswith("filling ") for line in told) == 700
    api.delete("/api/v1/tasks/orders")
    assert live.read() == ("removed", {"id": task}) and live.read() is None
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0


def exchange(port, request):
    """What the server says until it closes or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=180) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has answered and closed before the end
        connection.settimeout(0.2)
        told = b""
        try:
            while part := connection.recv(65536):
                told += part
        except OSError:
            pass
        return told


@pytest.mark.sanitize
def test_hostile_http(bench):
    """Requests, mutated at random: the daemon answers the next one, and tells nobody a secret."""
    chance = random.Random(11)
    source, target = bench.server(), bench.server()
    daemon = Daemon(bench).start()
    api = Api(daemon)
    api.post("/api/v1/tasks", document("orders", source, target, SECRET), 201)
    paths = [path.replace("{task}", "orders").replace("{id}", "1") for path in api.document["paths"]]
    bodies = [b"{}", b'{"name":"x"}', b"name: x\nsource: {address: a}\n", b"[" * 5000, b'{"a":' * 5000, b"\xff\xfe", b'{"level":"debug"}', b"&a [*a]\n", b"{" + b" " * 2000, b'"\\ud800"']
    headers = [b"Content-Type: application/json", b"Content-Type: application/yaml", b"Content-Length: -5", b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked",
               b"Authorization: Bearer " + b"x" * 5000, b"Cookie: keyferry_session=" + b"y" * 3000, b"Accept: " + b"a/b;q=0.1," * 500, b"Last-Event-ID: -1--1", b"If-Match: \"999999999999999999999\"",
               b"Expect: 100-continue", b"X" * 9000 + b": y", b": no name", b"Host: twice", b"Accept: text/event-stream"]
    for _ in range(400):
        body = chance.choice(bodies)
        request = chance.choice([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"\0", b"G" * 3000]) + b" "
        request += chance.choice(paths).encode() + chance.choice([b"", b"/", b"?" + b"a=b&" * 50, b"?limit=9999999999999999999999", b"%00", b"%", b"/../..", b"x" * 3000]) + b" HTTP/1.1\r\nHost: localhost\r\n"
        for header in chance.sample(headers, chance.randrange(4)):
            request += header + b"\r\n"
        request += chance.choice([b"Content-Length: %d\r\n" % len(body), b""]) + b"Connection: close\r\n\r\n" + body
        request = bytearray(request)
        for _ in range(chance.choice([0, 0, 1, 5])):
            request[chance.randrange(len(request))] = chance.randrange(256)
        told = exchange(daemon.port, bytes(request[:chance.choice([len(request), len(request), chance.randrange(len(request))])]))
        assert SECRET.encode() not in told
    assert api.get("/api/v1/health")["healthy"]
    assert SECRET not in daemon.log
    assert daemon.stop() == 0
