"""The API of a real daemon against requests that nobody should send: it answers each that is whole as it is documented, lives, keeps nothing, and tells nobody a secret.

KEYFERRY_FUZZ_SECONDS (10) and KEYFERRY_FUZZ_SEED (1) choose how much and which."""

import os
import random
import time

import pytest

from bench.api import Api
from bench.api_fuzz import Fuzz, Slow, poke, send
from bench.compare import assert_same
from bench.daemon import Daemon
from bench.data import fill
from bench.ferry import unused_address
from bench.load import Load
from bench.waiting import wait_for
from test_api import make_token

pytestmark = pytest.mark.threads

SECONDS = float(os.environ.get("KEYFERRY_FUZZ_SECONDS", "10"))
SEED = int(os.environ.get("KEYFERRY_FUZZ_SEED", "1"))
SOURCE, TARGET = "S3cret-of-the-source", "S3cret-of-the-target"
PROBLEMS_OF_ALL = {400, 401, 403, 404, 405, 406, 413, 414, 415, 417, 429, 431, 501, 505}


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def threads(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/task"))


class Check:
    """Looks at answers."""

    def __init__(self, api, secrets):
        self.api = api
        self.secrets = [secret.encode() for secret in secrets]
        self.counts = {}

    def bytes(self, raw, request):
        for secret in self.secrets:
            assert secret not in raw, f"a secret is in the answer to {request[:300]!r}"

    def answer(self, method, path, operation, request, told):
        assert told, f"no answer to {request[:500]!r}"
        self.bytes(told.head + told.raw, request)
        self.counts[told.status] = self.counts.get(told.status, 0) + 1
        what = f"{told.status} {told.text[:300]} to {request[:500]!r}"
        assert told.status < 500 or told.status in (501, 502, 503, 505), what
        if told.raw and told.status >= 400 and "problem" in told.headers.get("content-type", ""):
            assert told.body["status"] == told.status, what
        # libmicrohttpd answers what is not HTTP by itself.
        if str(told.status) in operation["responses"] and "json" in told.headers.get("content-type", "") and told.raw and self.api.operation(method, path) is operation:
            self.api.check(method, path, told)
        elif told.status >= 400:
            assert told.status in PROBLEMS_OF_ALL or str(told.status) in operation["responses"], what


@pytest.mark.sanitize
@pytest.mark.timeout(300 + 3 * SECONDS)
def test_api_under_fuzz(bench):
    chance = random.Random(SEED)
    source, target = bench.server(password=SOURCE), bench.server(password=TARGET)
    fill(source, keys=500)
    daemon = Daemon(bench, "require_token: true\n").start()
    tokens = {role: make_token(daemon, role, role) for role in ("admin", "operator", "viewer")}
    api = Api(daemon, tokens["admin"])
    sides = {"source": {"address": source.address, "password": SOURCE}, "target": {"address": target.address, "password": TARGET, "expiry_margin": "0s"}}
    api.post("/api/v1/tasks", {"name": "orders"} | sides, 201)
    api.post("/api/v1/tasks/orders/start")
    api.wait_state("orders", "streaming")
    tasks = ["orders", "victim-0", "victim-1", "victim-2"]
    address = unused_address()
    document, options = api.document, api.get("/api/v1/options")["options"]
    before = descriptors(daemon), threads(daemon), daemon.call("health")["pid"]
    fuzz = Fuzz(chance, document, options, tasks, address)
    check = Check(api, [SOURCE, TARGET, *tokens.values()])
    slow = Slow(chance, daemon.port)
    deadline = time.monotonic() + SECONDS
    count = 0
    with Load(source, rate=200):
        while time.monotonic() < deadline:
            if count % 200 == 0:
                for name in tasks[1:]:
                    api.raw("POST", "/api/v1/tasks", {"name": name, "source": {"address": address, "password": SOURCE}, "target": {"address": address.replace("127.0.0.1", "localhost")}})
            token = chance.choice([tokens["admin"]] * 5 + [tokens["operator"], tokens["viewer"], None, "kf_wrong"])
            method, path, operation, request = fuzz.request(token)
            if chance.random() < 0.1:
                check.bytes(poke(daemon.port, fuzz.rubbish(request)), request)
            else:
                check.answer(method, path, operation, request, send(daemon.port, method, request))
            slow.step(request)
            count += 1
    print(f"{count} requests, answers: {sorted(check.counts.items())}")
    # It is the same process, and well; what came to an end has left nothing.
    assert count > 20 and {200, 401} <= check.counts.keys()
    slow.close()
    assert api.get("/api/v1/health")["healthy"] and daemon.call("health")["pid"] == before[2]
    for task in api.get("/api/v1/tasks")["items"]:
        if task["name"] != "orders":
            at = f"/api/v1/tasks/{task['id']}"
            wait_for(lambda at=at: api.raw("POST", f"{at}/stop") and api.raw("DELETE", f"{at}/job") and api.raw("DELETE", at).status in (204, 404), timeout=120, what=f"the end of {task['name']!r}")

    def nothing_left():
        # A stream that is left is noticed at its next sign of life, and libuv has four threads that resolve names, from the first one on.
        now = descriptors(daemon), threads(daemon)
        assert now[0] <= before[0] + 3 and now[1] <= before[1] + 4, f"{now}, before {before[:2]}"
        return True
    wait_for(nothing_left, timeout=120, what="as many descriptors and threads as before")
    assert api.get("/api/v1/tasks/orders")["state"] == "streaming"
    daemon.wait_in_step("orders", source)
    assert_same(source, target, as_replica=True)
    told = [path for path in daemon.data.rglob("*") if path.is_file() and path.name != "key" and "spool" not in path.parts]
    assert len(told) > 3
    for path in told:
        check.bytes(path.read_bytes(), str(path).encode())
    check.bytes(daemon.log.encode(), b"the log")
    # Under a sanitizer this is where a leak shows.
    assert daemon.stop() == 0, daemon.log[-5000:]
