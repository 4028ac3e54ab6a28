"""`keyferry task`: the guide's path by command line, every command, and what is told when something is wrong."""

import json
import os
import signal
import socket
import subprocess
import threading

import pytest

from bench.api import Api
from bench.commands import Commands
from bench.compare import assert_same
from bench.daemon import Daemon
from bench.data import fill
from bench.ferry import binary, unused_address
from bench.load import Load
from bench.tls import Authority
from bench.waiting import wait_for

pytestmark = pytest.mark.threads

SECRET = "S3cret-of-the-source"


def document(name, source, target, **more):
    return json.dumps({"name": name, "source": {"address": source.address}, "target": {"address": target.address, "expiry_margin": "0s"}} | more)


def make_token(daemon, name, role):
    return subprocess.run([binary(), "token", "create", name, "--role", role, "--data", daemon.data, "--config", daemon.config], check=True, capture_output=True,
                          text=True).stdout.strip()


@pytest.mark.sanitize
def test_way_of_the_guide(bench):
    """Create, choose databases, check, start, watch until streaming; then everything that an operator does with a task that runs, and its end."""
    source, target = bench.server(), bench.server()
    fill(source, keys=1000)
    source.client(db=3).set("in another", "x")
    source.client(db=5).set("left out", "x")
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    assert task("list").out.split() == ["ID", "NAME", "STATE", "FOR", "SNAPSHOT", "LAG", "RECORDS/S", "LINKS", "SOURCE", "TARGET"]
    assert task.json("GET", "/api/v1/health", "info")["tasks"] == 0
    task("info", says="you are     local, admin")

    told = task("databases", "--set", f"source.address={source.address}").out.splitlines()
    assert told[0].startswith("standalone, ") and {"3", "5"} <= {line.split()[0] for line in told[3:] if line}
    created = task("create", "--name", "orders", "--set", f"source.address={source.address}", "--set", f"target.address={target.address}", "--set", "target.expiry_margin=0s")
    assert created.out.startswith("task orders (") and created.out.endswith("): created\n")
    assert task.json("POST", "/api/v1/databases", "databases", "orders")["keys"] == sum(source.client(db=number).dbsize() for number in range(16))
    task("edit", "orders", "--set", "source.databases=[0,3]", says="document replaced")
    assert task.json("GET", "/api/v1/tasks/orders/document", "export", "orders")["source"]["databases"] == ["0", "3"]

    report = task("precheck", "orders").out
    assert report.startswith("RESULT ") and " 0 failed" in report.splitlines()[-1]
    assert "通过" in task("precheck", "orders", "--lang", "zh").out.splitlines()[-1]
    assert task.json("GET", "/api/v1/tasks/orders/precheck", "precheck", "orders", "--last")["result"]["exit_code"] == 0
    with Load(source, rate=300):
        task("start", "orders", "--wait", says="task orders: ")
        lines = task("watch", "orders", "--until", "streaming", "--format", "json").trees
        assert lines[0]["event"] == "status" and lines[0]["data"]["task"] == "orders"
        task("watch", "--until", "streaming", says="orders  streaming, lag ")

        assert task.json("PUT", "/api/v1/tasks/orders/limits", "limits", "orders", "--spec", "medium", "--bytes", "20MiB")["limit"] == {
            "records_per_second": 5000, "bytes_per_second": 20 << 20}
        task("limits", "orders", "--spec", "unlimited", says="unlimited records/s, 20.0 MiB bytes/s")
        task("limits", "orders", "--spec", "unlimited", "--bytes", "unlimited")
        task("log-level", "orders", "debug", says="log level debug")
        task("pause", "orders", "--wait", says="paused (wanted: paused)")
        task("resume", "orders", "--wait")
        pid = task.json("GET", "/api/v1/tasks/orders", "show", "orders")["worker"]["pid"]
        task("restart", "orders", "--wait")
        assert task.json("GET", "/api/v1/tasks/orders", "show", "orders")["worker"]["pid"] != pid
        assert "wanted: running" in task("show", "orders").out
        assert source.address in task("status", "orders").out
        assert task.json("GET", "/api/v1/tasks/orders/status", "status", "orders")["links"][0]["source"] == source.address
        assert len(task("logs", "orders", "--lines", "3").out.splitlines()) == 3
        assert task.json("GET", "/api/v1/tasks", "list")["items"][0]["name"] == "orders"
        task("verify", "orders", says="task orders: no differences")

    daemon.wait_in_step("orders", source)
    target.client().set("extra\x1b[2J", "x")
    seen = task("verify", "orders", code=7)
    assert seen.out.splitlines()[1].startswith("extra") and "\\x1b[2J" in seen.out and "\x1b" not in seen.out + seen.err
    assert task.json("GET", "/api/v1/tasks/orders/verify", "verify", "orders", "--repair")["result"]["result"]["summary"]["repaired"] == 1
    assert [line.split()[2:4] for line in task("results", "orders", "--kind", "verify").out.splitlines()[1:]] == [["verify", "0"], ["verify", "7"], ["verify", "0"]]
    states = [entry["state"] for entry in task.json("GET", "/api/v1/tasks/orders/history", "history", "orders")["items"]]
    assert states.count("paused") == 1 and states.count("streaming") >= 3
    assert task("history", "orders").out.splitlines()[-1].split()[2] == states[0]
    task.json("GET", "/api/v1/tasks/orders/events", "events", "orders")
    assert task.json("GET", "/api/v1/audit", "audit", "--kind", "task.pause")["items"][0]["result"] == "ok"
    assert "keyferry_task_state" in task("call", "GET", "/metrics").out
    daemon.wait_in_step("orders", source)
    task("stop", "orders", "--wait", says="ready (wanted: idle)")
    task("finish", "orders", says="finish is done")
    assert_same(source, target, databases=(0, 3), as_replica=True)
    assert target.client(db=5).dbsize() == 0
    task("delete", "orders", says="deleted")
    assert task("names").out == ""
    assert daemon.stop() == 0


def test_documents(bench):
    """Export, import, edit in an editor, and what stands between two who edit."""
    source, target = bench.server(), bench.server()
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    file = daemon.folder / "orders.yaml"
    file.write_text(f"name: 订单\nsource:\n  address: {source.address}\n  password: {SECRET}\ntarget: {{address: '{target.address}'}}\n")
    task("check", file, says="a valid document of task 订单")
    task("import", file, says="created")
    task("import", file, code=2, says="There is one of this name already")
    task("import", file, "--replace", says="document replaced")
    exported = task("export", "订单").out
    assert "********" in exported and SECRET not in exported
    file.write_text(exported)
    task("import", file, "--replace", says="has this document already")
    # Aligned though a Chinese character is two columns wide.
    lines = task("list").out.splitlines()
    assert lines[1][:lines[1].index("created")].encode("gbk").__len__() == lines[0].index("STATE")

    editor = daemon.folder / "editor"
    editor.write_text('#!/bin/sh\nprintf "limit: {spec: medium}\\n" >> "$1"\n')
    editor.chmod(0o755)
    by_hand = Commands(daemon, VISUAL=str(editor))
    by_hand.on_terminal("edit", "订单", until="document replaced")
    assert task.json("GET", "/api/v1/tasks/x/document", "export", "订单")["limit"]["spec"] == "medium"
    # Somebody else is quicker: nothing of his is lost.
    editor.write_text(f'#!/bin/sh\n{binary()} task edit 订单 --set limit.spec=large >/dev/null && echo "heartbeat: {{interval: 9s}}" >> "$1"\n')
    by_hand.on_terminal("edit", "订单", until="The document has changed since it was read", code=2)
    document_now = task.json("GET", "/api/v1/tasks/x/document", "export", "订单")
    assert document_now["limit"]["spec"] == "large" and "heartbeat" not in document_now
    task("edit", "订单", "--unset", "limit.spec")
    file.write_text(exported)
    task("edit", "订单", file, "--revision", "1", code=2, says="has been changed meanwhile")
    task("edit", "订单", file, says="document replaced")
    task("edit", "订单", file, "--set", "limit.spec=small", code=2, says="FILE is the whole document")
    task("edit", "订单", code=2, says="no terminal for an editor")
    task("edit", "订单", "--set", "source.adress=x", code=2, says="did you mean 'source.address'?")
    wrong = task("create", "-", text="name: b\nsource:\n  adress: x\n", code=2)
    assert "unknown option 'source.adress'" in wrong.err and ":3:" in wrong.err
    by_hand.on_terminal("delete", "订单", until="[y/N]", keys=b"n\n", code=2)
    by_hand.on_terminal("delete", "订单", until="[y/N]", keys=b"y\n")
    assert task.json("GET", "/api/v1/tasks", "list")["items"] == []
    assert daemon.stop() == 0


def test_create_of_urls(bench):
    """As `keyferry sync` takes them, with passwords from everywhere but arguments; what is shown has none."""
    source, target = bench.server(password=SECRET), bench.server(password=SECRET)
    fill(source, keys=200)
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    sides = "--source", f"redis://{source.address}/0", "--target", f"redis://{target.address}", "--set", "target.expiry_margin=0s"
    password = daemon.folder / "password"
    password.write_text(SECRET + "\n")
    files = "--source-password-file", password, "--target-password-file", password
    shown = task("create", "orders", *sides, *files, "--dry-run").out
    assert SECRET not in shown and shown.count("password: '********'") + shown.count('password: "********"') + shown.count("password: ********") == 2
    assert task("create", "orders", *sides, *files, "--dry-run", "--format", "json").tree["document"]["source"]["databases"] == ["0"]
    assert task.json("GET", "/api/v1/tasks", "list")["items"] == []
    # What is shown can be made.
    task("create", "-", "--dry-run", text=shown, code=2, says="password")

    for word, more, says in (("orders.yaml", (), "looks like a document"), ("-", (), "looks like a document"), ("orders", ("--name", "users"), "two names"), ("orders", ("--dry-run", "--start"), "makes no task"),
                             ("orders", ("--wait",), "--wait is for --start"), ("orders", ("--source-password-file", "/nowhere/x"), "--source-password-file: password file '/nowhere/x' cannot be opened"),
                             ("or/ders", (), "looks like a document"), ("orders!", (), "name"), ("orders", ("--set", "limit.spec=huge"), "limit.spec")):
        assert SECRET not in task("create", word, *sides, *more, code=2, says=says).err
    task("create", "orders", "--source", "redis://h", code=2, says="there is no --target")
    task("create", "orders", "--source", f"redis://:{SECRET}@h", "--target", "redis://t", "--source-password-file", password, code=2, says="two passwords")
    assert SECRET not in task("create", "orders", "--source", f"redis://:{SECRET}@h:x", "--target", "redis://t", code=2).err
    task("create", "orders", *sides, "--source-password-file", "-", text="", code=2, says="nothing was given")

    # From the environment, wrong; the task stays, and is started with better ones.
    wrong = Commands(daemon, KEYFERRY_SOURCE_PASSWORD="wrong", KEYFERRY_TARGET_PASSWORD="wrong")
    failed = wrong("create", "orders", *sides, "--start", "--wait", code=4)
    assert "task orders (1): created" in failed.out and "task orders is created, but" in failed.err
    task("delete", "orders")
    told = task("create", "orders", *sides, "--source-password-file", "-", "--target-password-file", "-", "--start", "--wait", "--format", "json", text=f"{SECRET}\n{SECRET}\n").tree
    assert told["name"] == "orders" and told["state"] in ("snapshot", "streaming") and told["document"]["source"]["password"] == "********"
    task("watch", "orders", "--until", "streaming")
    task("create", "orders", *sides, *files, code=2, says="There is one of this name already")
    daemon.wait_in_step("orders", source)
    # A document takes passwords likewise; a task has a name.
    task("create", *sides, *files, code=2, says="option 'name' is missing")
    assert "created" in task("create", "-", *files, text=document("users", source, target)).out
    picture = task.on_terminal("create", "asked", *sides, "--source-password-file", "-", until="Password of the source: ", keys=b"hidden\n")
    assert "hidden" not in picture and "task asked" in picture
    task.on_terminal("create", "never", *sides, "--source-password-file", "-", until="Password of the source: ", keys=b"\x03", code=1)
    assert "never" not in task("names").out
    assert_same(source, target, as_replica=True)
    task("stop", "orders", "--wait")
    assert SECRET not in daemon.log
    assert daemon.stop() == 0


def test_cut_over(bench):
    source, target = bench.server(), bench.server()
    fill(source, keys=200)
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    task("create", "-", text=document("orders", source, target))
    task("cutover", "orders", "--dry-run", code=2, says="Start it, and wait until it streams")
    task("start", "orders", "--wait")
    task("watch", "orders", "--until", "streaming")
    task("cutover", "orders", "--dry-run", says="could be cut over (dry run)")
    assert "cut over" in task("cutover", "orders", "--verify", "full", "--hold", "0s").out.splitlines()[0]
    assert task.json("GET", "/api/v1/tasks/orders/cutover", "cutover", "orders", "--last")["result"]["result"]["done"]
    task("watch", "orders", "--until", "finished")
    task("start", "orders", code=2, says="The task's state does not allow it")
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0


def test_what_fails(bench):
    """Each with its exit code, and with what to do."""
    source, target = bench.server(), bench.server()
    away = Commands(server=f"http://{unused_address()}")
    away("list", code=1, says="Start it ('systemctl start keyferry', or 'keyferry serve')")
    away("names")
    away("list", "--server", "http://ops:s3cret@127.0.0.1:1", code=2, says="holds more than scheme, host, port and path")
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    task("shwo", "orders", code=2, says="did you mean 'show'?")
    task("show", code=2, says="it takes TASK")
    task("show", "orders", code=2, says="There is no such task")
    task("show", "../../tasks", code=2, says="not well-formed")
    task("show", "orders", "--format", "yaml", code=2, says="it is one of text, json")
    task("start", code=2, says="name a task, or give --all")
    task("start", "a", "b", code=2, says="There is no such task")
    task("precheck", "orders", "--token-file", daemon.folder / "none", code=2, says="cannot be opened")
    task("watch", "orders", "--until", "streming", code=2, says="it is one of")
    task("call", "GET", "/nothing", code=2, says="There is nothing at this path")
    task("databases", "--set", f"source.address={unused_address()}", code=4, says="refused")
    # A document whose precheck fails: its report, its code; so of a start that is waited for.
    target.client().set("there", "before")
    task("create", "-", text=document("orders", source, target))
    assert "failed  target-empty" in task("precheck", "orders", code=3).out
    task("start", "orders", "--wait", code=3, says="orders: ")
    task("watch", "orders", "--until", "streaming", code=3)
    assert "holds 1 keys already" in task("list").out and "-> " in task("list").out
    # What cannot be written is told, a closed pipe is not.
    with open("/dev/full", "w", encoding="ascii") as full:
        ended = subprocess.run([binary(), "task", "list"], env=task.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1 and "cannot be written" in ended.stderr
    reader = task.start("call", "GET", "/api/v1/openapi.json")
    reader.stdout.close()
    assert reader.wait(60) == 0 and reader.stderr.read() == ""
    assert daemon.stop() == 0


def test_tokens(bench):
    daemon = Daemon(bench, "require_token: true\n").start()
    viewer, operator = make_token(daemon, "viewer", "viewer"), make_token(daemon, "operator", "operator")
    nobody = Commands(daemon)
    nobody("list", code=2, says="Give a token: --token-file FILE, KEYFERRY_TOKEN, or the file ~/.config/keyferry/token")
    Commands(daemon, "kf_wrong")("list", code=2, says="The token is wrong, has ended or was revoked")
    Commands(daemon, "two words")("list", code=2, says="the token is none")
    reading = Commands(daemon, viewer)
    reading("info", says="you are     token:viewer, viewer")
    source, target = bench.server(), bench.server()
    reading("create", "-", text=document("orders", source, target), code=2, says="The role of this token does not allow it")
    file = daemon.folder / "token"
    file.write_text(operator + "\n")
    nobody("create", "-", "--token-file", file, text=document("orders", source, target))
    nobody("audit", "--token-file", file, code=2, says="The role of this token does not allow it")
    # The usual place.
    usual = daemon.folder / ".config/keyferry"
    usual.mkdir(parents=True)
    (usual / "token").write_text(viewer)
    assert nobody("names").out == "orders\n"
    # From there it goes nowhere in clear: nothing is heard of it at an address that is not loopback.
    asked = Commands(daemon, server=f"http://{socket.gethostbyname(socket.gethostname())}:{daemon.port}")
    if not asked.server.startswith("http://127."):
        asked("list", code=1)
    for secret in viewer, operator:
        assert secret not in daemon.log
    assert daemon.stop() == 0


def test_tokens_from_elsewhere(bench):
    """The same words by the API: made, used, listed, revoked; the files' words and the API's do not mix."""
    daemon = Daemon(bench, "require_token: true\n").start()
    admin = make_token(daemon, "root", "admin")
    token = Commands(daemon, admin, command="token")
    made = token("create", "grafana", "--role", "viewer", "--expires", "30d")
    assert made.err == "Token grafana is told this once; it is stored nowhere.\n"
    assert Commands(daemon, made.out.strip())("info", says="you are     token:grafana, viewer")
    token("create", "grafana", "--role", "viewer", code=2, says="grafana")
    token("create", "ops", "--role", "king", code=2, says="role")
    token("create", "ops", "--role", "operator", "--expires", "90m", code=2, says="whole days")
    ops = token("create", "ops", "--role", "operator", "--format", "json").tree
    assert ops["role"] == "operator" and ops["token"].startswith("kf_") and ops["expires"] is None
    table = token("list").out.splitlines()
    assert table[0].split() == ["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST", "USED"]
    assert [line.split()[1:3] for line in table[1:]] == [["root", "admin"], ["grafana", "viewer"], ["ops", "operator"]]
    here = subprocess.run([binary(), "token", "list", "--format", "json", "--data", daemon.data, "--config", daemon.config], check=True, capture_output=True, text=True, env=token.environment)
    there = token("list", "--format", "json").tree
    assert [each["name"] for each in there] == [each["name"] for each in json.loads(here.stdout)] == ["root", "grafana", "ops"]
    assert not any("token" in each for each in there)
    Commands(daemon, ops["token"], command="token")("list", code=2, says="The role of this token does not allow it")
    Commands(daemon, command="token")("list", code=2, says="--token-file FILE")
    token("revoke", "grafana", says="token grafana (2): revoked")
    token("revoke", str(ops["id"]), "--format", "json")
    token("revoke", "grafana", code=2, says="there is no token grafana")
    Commands(daemon, made.out.strip())("info", code=2, says="was revoked")
    token("revoke", code=2, says="number or the name")
    token("mint", code=2, says="create, list or revoke")
    token("list", "--server", token.server, "--data", daemon.data, code=2, says="give one of them")
    token("list", "--data", daemon.data, "--token-file", "x", code=2, says="give --server URL")
    token("list", "--server", f"http://{unused_address()}", code=1, says="cannot be reached")
    for secret in admin, made.out.strip(), ops["token"]:
        assert secret not in daemon.log
    assert daemon.stop() == 0


def test_tls(bench):
    authority = Authority(bench.folder / "authority")
    identity = authority.issue("api", names=("DNS:localhost",))
    daemon = Daemon(bench, f"tls: {{certificate: {identity.certificate}, key: {identity.key}}}\n").start()
    task = Commands(server=f"https://localhost:{daemon.port}")
    task("info", code=1, says="Name the authority that has signed it, --ca-file FILE")
    task("info", "--ca-file", authority.ca, says="healthy")
    task("info", "--ca-file", authority.ca, "--server", f"https://127.0.0.1:{daemon.port}", code=1, says="by a name that its certificate has")
    task("info", "--ca-file", Authority(bench.folder / "other").ca, code=1, says="is not accepted")
    task("info", "--ca-file", bench.folder / "none", code=1, says="--ca-file FILE (PEM)")
    task("info", "--server", f"http://localhost:{daemon.port}", code=1, says="begins with https://")
    plain = Daemon(bench).start()
    task("info", "--ca-file", authority.ca, "--server", f"https://localhost:{plain.port}", code=1, says="begins with http://")
    for each in daemon, plain:
        assert each.stop() == 0


def test_watching_goes_on(bench):
    """Over a restart of the daemon; interrupted it ends with 0; on a terminal it draws."""
    source, target = bench.server(), bench.server()
    fill(source, keys=100)
    daemon = Daemon(bench).start()
    task = Commands(daemon)
    task("create", "-", text=document("orders", source, target))
    task("start", "orders", "--wait")
    watching = task.start("watch", "orders", "--format", "json")
    following = task.start("logs", "orders", "-f")
    seen, lines = [], []

    def read(stream, into):
        for line in stream:
            into.append(line)

    threads = [threading.Thread(target=read, args=(watching.stdout, seen)), threading.Thread(target=read, args=(following.stdout, lines))]
    for thread in threads:
        thread.start()
    wait_for(lambda: seen and lines, what="the first status and lines")
    daemon.kill()
    daemon.start()
    before = len(lines)
    task("pause", "orders", "--wait")
    wait_for(lambda: any(json.loads(line)["event"] == "state" and json.loads(line)["data"]["state"] == "paused" for line in seen), what="the state, told again")
    wait_for(lambda: len(lines) > before, what="the log's lines")
    task("resume", "orders", "--wait")
    task("watch", "orders", "--until", "streaming")
    assert len(lines) == len(set(lines))
    picture = task.on_terminal("watch", "orders", until=f"{source.address}", keys=b"\x03")
    assert "\x1b[32mstreaming\x1b[0m" in picture
    task.on_terminal("watch", until="RECORDS/S", keys=b"\x03")
    # Nobody reads any more, and nothing is to be told: it ends all the same.
    unread = task.start("watch", "orders", "--until", "failed", "--format", "json")
    unread.stdout.readline()
    unread.stdout.close()
    assert unread.wait(30) == 0
    waiting = task.start("watch", "orders", "--until", "paused")
    assert "orders" in waiting.stdout.readline()
    for process, code in (watching, 0), (following, 0), (waiting, 1):
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == code
    for thread in threads:
        thread.join()
    written = (daemon.data / "tasks/1/log").read_text().splitlines()
    assert len(lines) > before and [line.rstrip("\n") for line in lines] == written[:len(lines)]
    daemon.wait_in_step("orders", source)
    task("stop", "--all", "--wait")
    assert_same(source, target, as_replica=True)
    assert daemon.stop() == 0


def test_hostile_server(bench):
    """Answers that no daemon gives: none is believed, and the command ends."""
    answers = [
        (b"", "hung up"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{\"a", "what is no JSON"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>No.</h1>", "not as keyferry's daemon does"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n"
         b'{"type":"urn:keyferry:problem:state","title":"No","status":409,"detail":"\\u001b[2Jgone"}', "No:  [2Jgone"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n" + b"[" * 4096, "cannot be reached"),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = Commands(server=f"http://127.0.0.1:{listener.getsockname()[1]}")
        for answer, says in answers:
            def serve(answer=answer):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)
            thread = threading.Thread(target=serve)
            thread.start()
            ended = task("list", code=2 if b"409" in answer or b"302" in answer else 1)
            assert says in ended.err and "\x1b" not in ended.err, ended.err
            thread.join()
