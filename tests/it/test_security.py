"""TLS on both sides, users with the least rights (docs/least-rights.md), and passwords that appear nowhere."""

import datetime
import pathlib
import re
import time

import pytest

from bench.data import fill
from bench.ferry import Ferry
from bench.load import Load
from bench.scenario import finish_in_step, masters_of, sync_under_load
from bench.waiting import wait_for

SMALL = {"keys": 2000, "rate": 800, "units": 800}

# The rules of docs/least-rights.md; users are made with "reset" before them.
SOURCE = "+info +psync +replconf"
HEARTBEAT = "+setex ~DTS_REDIS_TIMESTAMP_HEARTBEAT*"
TARGET = "~* +@write +info +select +multi +exec +discard +hmget +hgetall +client|setname +client|list +client|kill"
CLUSTER = "+cluster|slots"
MOVING = "+asking"
PUBLISH = "+publish &*"
SCRIPTS = "+script|load +script|flush"
EXPIRY = "+@read +time +script|load +evalsha"
# The precheck warns of a backlog that is small for what the writer writes.
BACKLOG = {"repl-backlog-size": "256mb"}


# -- TLS ----------------------------------------------------------------------------------------------------------------

def tls_options(side, authority, identity=None):
    options = {f"{side}.tls.ca": authority.ca}
    if identity:
        options |= {f"{side}.tls.cert": identity.certificate, f"{side}.tls.key": identity.key}
    return options


@pytest.fixture(name="secure")
def make_secure_pair(bench):
    """(source, target) that want client certificates."""
    return [bench.server(tls=bench.tls, client_certificates="yes") for _ in range(2)]


def both(bench):
    return tls_options("source", bench.tls, bench.tls.client) | tls_options("target", bench.tls, bench.tls.client)


def test_tls_with_client_certificates(bench, secure):
    sync_under_load(bench, *secure, options=both(bench), **SMALL)


def test_tls_between_clusters(bench):
    source, target = (bench.cluster(masters=2, replicas_per_master=0, tls=bench.tls) for _ in range(2))
    ferry = Ferry(bench, source.masters()[0], target.masters()[0],
                  tls_options("source", bench.tls) | tls_options("target", bench.tls))
    sync_under_load(bench, source, target, ferry=ferry, **SMALL)


def test_tls_by_url(bench):
    source, target = (bench.server(tls=bench.tls) for _ in range(2))
    urls = [f"{server.url}?ca={bench.tls.ca}" for server in (source, target)]
    sync_under_load(bench, source, target, ferry=Ferry(bench, *urls), **SMALL)


def test_tls_to_sentinels_too(bench):
    source = bench.sentinel(tls=bench.tls, replicas=0, sentinels=1, quorum=1)
    options = tls_options("source", bench.tls) | {"source.sentinel.tls.ca": bench.tls.ca}
    sync_under_load(bench, source, bench.server(), options=options, **SMALL)


def test_passwords_that_are_changed(bench):
    """At both servers, while the task runs; connections that are made later log in with what the files say then."""
    servers = {name: bench.server(password="first-secret") for name in ("source", "target")}
    files = {name: bench.folder / f"{name}-password" for name in servers}
    for file in files.values():
        file.write_text("first-secret\n")
    ferry = Ferry(bench, *(f"redis://{server.address}" for server in servers.values()),
                  {f"{name}.password_file": file for name, file in files.items()})
    ferry.start().wait_streaming()
    clients = {name: server.client() for name, server in servers.items()}
    for name, client in clients.items():
        client.config_set("requirepass", "second-secret")
        client.client_kill_filter(_type="slave" if name == "source" else "normal", skipme=True)
    clients["source"].set("key", "value")
    ferry.wait_log("wrong user name or password")
    for file in files.values():
        file.write_text("second-secret\n")
    wait_for(lambda: clients["target"].get("key") == b"value", what="the key in the target")
    ferry.wait_status(lambda status: status["links"][0]["connected"], what="the source")
    assert b"secret" not in said(ferry)
    assert ferry.stop() == 0


def away_of(status):
    return status["links"][0]["source_away"]


def since(away):
    return datetime.datetime.fromisoformat(away["since"]).timestamp()


def test_source_that_refuses_while_the_task_runs(bench):
    """Its password is changed, a right is taken away: the status says since when, which server, why and what to do, until that is mended. Nobody knows the lag meanwhile."""
    source, target = bench.server(), bench.server()
    fill(source, keys=500)
    rules = f"{SOURCE} {HEARTBEAT}"
    ferry = ferry_between(bench, source, target, rules, f"{TARGET} {EXPIRY}").start().wait_streaming()
    ferry.wait_status(lambda status: status["links"][0]["lag"]["seconds"] is not None, what="the lag")
    assert away_of(ferry.status()) is None
    refusals = {f"reset on >rotated-secret {rules}": ("WRONGPASS", "the source's password"),
                f"on >least-secret {rules} -psync": ("'psync' command", "docs/least-rights.md")}
    for user, (why, mend) in refusals.items():
        before = time.time()
        source.set_user("sync", user)
        source.command("CLIENT", "KILL", "USER", "sync")
        source.command("SET", f"while {why}", "value")
        ferry.wait_status(lambda status, why=why: away_of(status) and why in away_of(status)["text"], what=f"{why} in the status")
        status = ferry.status()
        away, link = away_of(status), status["links"][0]
        assert away["text"].startswith(f"{source.address}: ") and mend in away["hint"] and "secret" not in str(away), away
        assert before - 1 <= since(away) <= time.time() and (status["state"], link["connected"]) == ("streaming", False)
        assert link["lag"] == {"seconds": None, "bytes": None}
        samples = ferry.get("/metrics")
        assert "keyferry_link_up{" in samples and "keyferry_link_lag_seconds{" not in samples and "keyferry_link_lag_bytes{" not in samples
        source.set_user("sync", f"on >least-secret {rules}")
        ferry.wait_status(lambda status: away_of(status) is None and status["links"][0]["lag"]["seconds"] is not None, what="the source")
    finish_in_step(ferry, source, target)
    assert "-secret" not in ferry.log


@pytest.mark.parametrize("side, code", [("source", 4), ("target", 5)])
def test_wrong_authority(bench, secure, side, code):
    other = bench.another_authority()
    ferry = Ferry(bench, *secure, both(bench) | {f"{side}.tls.ca": other.ca})
    assert ferry.run() == code
    assert f"give the certificate of the CA that signed it with {side}.tls.ca" in ferry.log


@pytest.mark.parametrize("side, code", [("source", 4), ("target", 5)])
def test_no_authority_named(bench, secure, side, code):
    """The system's do not know this one."""
    options = both(bench)
    del options[f"{side}.tls.ca"]
    ferry = Ferry(bench, *secure, options)
    assert ferry.run() == code
    assert f"{side}.tls.ca" in ferry.log


@pytest.mark.parametrize("side, code", [("source", 4), ("target", 5)])
def test_no_client_certificate(bench, secure, side, code):
    options = {name: value for name, value in both(bench).items() if name not in (f"{side}.tls.cert", f"{side}.tls.key")}
    ferry = Ferry(bench, *secure, options)
    assert ferry.run() == code
    assert f"{side}.tls.cert" in ferry.log


def test_insecure_must_be_asked_for(bench):
    source, target = (bench.server(tls=bench.tls) for _ in range(2))
    ferry = Ferry(bench, source, target, {"source.tls.insecure": "true", "target.tls.insecure": "true"})
    sync_under_load(bench, source, target, ferry=ferry, **SMALL)


def test_plain_port_asked_for_tls(bench):
    source = bench.server()
    # The server waits for the rest of what it takes for a command, so only the time for connecting ends it.
    ferry = Ferry(bench, source.url.replace("redis://", "rediss://"), bench.server(), {"timeouts.connect": "1s"})
    assert ferry.run() == 4
    assert "TLS" in ferry.log and source.address in ferry.log


def test_tls_port_asked_without(bench):
    source = bench.server(tls=bench.tls)
    ferry = Ferry(bench, source.url.replace("rediss://", "redis://"), bench.server())
    assert ferry.run() == 4
    assert "source.tls" in ferry.log


# -- passwords ----------------------------------------------------------------------------------------------------------

def command_line(ferry):
    return pathlib.Path(f"/proc/{ferry.process.pid}/cmdline").read_bytes()


def said(ferry):
    """Everything that can be read of a running keyferry."""
    return ferry.log.encode() + command_line(ferry) + ferry.get("/status").encode() + ferry.get("/metrics").encode()


def test_password_only(bench):
    """Of the default user; in the URL of one side, in the environment and in a file for the other."""
    source, target = bench.server(password="s0urce-secret"), bench.server(password="t4rget-secret")
    password_file = bench.folder / "password"
    password_file.write_text("t4rget-secret\n")
    for name, value in (("target.password_file", password_file), ("target.password_env", "TARGET_PASSWORD")):
        ferry = Ferry(bench, source, f"redis://{target.address}", {name: value, "target.existing": "merge"},
                      environment={"TARGET_PASSWORD": "t4rget-secret"} if name.endswith("env") else None)
        ferry.start().wait_streaming()
        assert b"secret" not in said(ferry)
        assert ferry.stop() == 0
    assert "secret" not in ferry.log
    for path in ferry.data.rglob("*"):
        assert not path.is_file() or b"s0urce-secret" not in path.read_bytes()


def test_passwords_in_all_places_of_the_command_line(bench):
    source, target = bench.server(password="s0urce-secret"), bench.server(password="t4rget-secret")
    ferry = Ferry(bench, source, f"redis://{target.address}", {"target.password": "t4rget-secret"}, ["--log-level", "debug"])
    ferry.start().wait_streaming()
    assert b"secret" not in said(ferry)
    assert source.address.encode() in command_line(ferry)
    assert ferry.stop() == 0


@pytest.mark.parametrize("side, code", [("source", 4), ("target", 5)])
def test_wrong_password_is_not_repeated(bench, side, code):
    servers = {name: bench.server(password="right-secret") for name in ("source", "target")}
    urls = {name: server.url_for(None, "wrong-secret" if name == side else "right-secret") for name, server in servers.items()}
    ferry = Ferry(bench, urls["source"], urls["target"], arguments=["--log-level", "debug"])
    assert ferry.run() == code
    assert f"{servers[side].address}: wrong user name or password" in ferry.log and f"check {side}.password" in ferry.log
    assert "secret" not in ferry.log


# -- least rights -------------------------------------------------------------------------------------------------------

def restricted(deployment, rules):
    """Gives all nodes the user "sync" with these rights; returns the URL of the first for that user."""
    for node in masters_of(deployment):
        node.set_user("sync", f"on >least-secret {rules}")
    return masters_of(deployment)[0].url_for("sync", "least-secret")


def complaints(ferry):
    """Warnings and errors in its log, but for those of a machine on which nobody can connect for a second."""
    return [line for line in ferry.log.splitlines() if re.search(" (warning|error) ", line) and "not connected yet" not in line]


def ferry_between(bench, source, target, source_rules, target_rules):
    return Ferry(bench, restricted(source, source_rules), restricted(target, target_rules), {"heartbeat.interval": "200ms"})


@pytest.mark.parametrize("name", ["redis-6.0", "redis-7.0", "redis-8.0-sid", "valkey-8.0", "valkey-9.1"])
def test_least_rights(bench, name):
    source, target = bench.server(name, config=BACKLOG), bench.server(name)
    # The writer uses EVAL.
    scripts = "" if source.version.at_least(7, 0) else SCRIPTS
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", f"{TARGET} {EXPIRY} {scripts}")
    sync_under_load(bench, source, target, databases=(0, 5), ferry=ferry, **SMALL)
    assert not complaints(ferry)
    assert source.command("EXISTS", "DTS_REDIS_TIMESTAMP_HEARTBEAT") == 1
    assert "least-secret" not in ferry.log


@pytest.mark.parametrize("name", ["redis-7.0", "valkey-9.1"])
def test_least_rights_between_clusters(bench, name):
    source, target = (bench.cluster(name, masters=2, replicas_per_master=0, config=BACKLOG) for _ in range(2))
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT} {CLUSTER}", f"{TARGET} {EXPIRY} {CLUSTER} {MOVING}")
    sync_under_load(bench, source, target, ferry=ferry, **SMALL)
    assert not complaints(ferry)


def test_rights_for_published_messages(bench):
    """PUBLISH is in the stream of a standalone source, and needs a right of its own."""
    source, target = bench.server(), bench.server()
    listener = target.client().pubsub()
    listener.subscribe("news")
    assert listener.get_message(timeout=120)["type"] == "subscribe"
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", TARGET).start().wait_streaming()
    source.command("PUBLISH", "news", "one")
    assert ferry.wait() == 5
    assert "to run the 'publish' command" in ferry.log and "docs/least-rights.md" in ferry.log
    restricted(target, f"{TARGET} {PUBLISH}")
    ferry.start().wait_in_step(source)
    assert listener.get_message(timeout=120)["data"] == b"one"
    assert ferry.stop() == 0


def test_rights_for_scripts_of_older_sources(bench):
    """Before 7.0 they are in the snapshot and in the stream."""
    source, target = bench.server("redis-6.0"), bench.server("redis-7.0")
    source.command("SCRIPT", "LOAD", "return 1")
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", f"{TARGET} {SCRIPTS}").start().wait_streaming()
    source.command("SCRIPT", "LOAD", "return 2")
    source.command("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "by a script", "x")
    ferry.wait_in_step(source)
    assert target.command("EVALSHA", "7f923f79fe76194c868d7e1d0820de36700eb649", 0) == 2
    source.command("SCRIPT", "FLUSH")
    finish_in_step(ferry, source, target)
    restricted(target, TARGET)
    source.command("SCRIPT", "LOAD", "return 3")
    assert ferry.run() == 5
    assert "to run the 'script|load' command" in ferry.log


def test_without_the_right_to_write_the_heartbeat(bench):
    """One warning, and the lag all the same."""
    source, target = bench.server(config=BACKLOG), bench.server()
    ferry = ferry_between(bench, source, target, SOURCE, f"{TARGET} {EXPIRY}")
    fill(source, keys=500)
    with Load(source, rate=500) as load:
        ferry.start().wait_streaming()
        ferry.wait_status(lambda status: status["links"][0]["lag"]["seconds"] is not None and load.acknowledged > 1500,
                          what="a lag from sampled offsets")
    warnings = complaints(ferry)
    assert len(warnings) == 1 and "the heartbeat cannot be written" in warnings[0] and "+setex" in warnings[0]
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("word", ["", *EXPIRY.split()])
def test_rights_for_guarding_times_of_expiry(bench, word):
    """Without one of them it is said that times are not guarded; nothing is left half guarded."""
    source, target = bench.server("redis-8.0-sid"), bench.server("redis-8.0-sid")
    fields = {f"field:{number}": number for number in range(200)}
    for name, some in (("small", 3), ("large", 200)):
        source.client().hset(name, mapping=fields)
        source.command("HPEXPIRE", name, 600_000, "FIELDS", some, *list(fields)[:some])
    source.command("SET", "k", "v", "PX", 600_000)
    rules = f"{TARGET} {EXPIRY.replace(word, '') if word else EXPIRY}"
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", rules).start().wait_streaming()
    ferry.wait_in_step(source)
    assert ("times of expiry cannot be guarded" in ferry.log) == bool(word)
    finish_in_step(ferry, source, target)


@pytest.mark.parametrize("word", SOURCE.split())
def test_no_right_of_the_source_is_idle(bench, word):
    ferry = ferry_between(bench, bench.server(), bench.server(), f"{SOURCE.replace(word, '')} {HEARTBEAT}", TARGET)
    assert ferry.run() == 4
    assert f"the '{word[1:]}' command" in ferry.log


@pytest.mark.parametrize("word, denied", [
    ("~*", "keys"), ("+@write", "'hset' command"), ("+info", "'info' command"), ("+select", "'select' command"),
    ("+multi", "'multi' command"), ("+exec", "'exec' command"),
    ("+hmget ", "'hmget' command"), ("+hgetall ", "'hgetall' command")])
def test_no_right_of_the_target_is_idle(bench, word, denied):
    """Each missing one ends the task with a clear word."""
    source, target = bench.server(), bench.server()
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", TARGET.replace(word, ""))
    source.client(db=2).set("in another database", "x")
    source.command("SET", "plain", "x")
    ferry.start()
    assert ferry.wait() == 5
    assert "NOPERM" in ferry.log and denied in ferry.log


@pytest.mark.parametrize("word", ["+client|setname", "+client|list"])
def test_rights_to_end_older_connections(bench, word):
    """Without them one warning says what it means, as soon as it can mean something."""
    source, target = bench.server(), bench.server()
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT}", TARGET.replace(word, "")).start().wait_streaming()
    source.command("INCR", "n")
    ferry.wait_in_step(source)
    ferry.kill()
    ferry.start().wait_streaming()
    source.command("INCR", "n")
    finish_in_step(ferry, source, target)
    assert ferry.log.count("so a command that one of them had under way might be applied twice") == 2  # one of each run


def test_rights_with_checkpoint_local(bench):
    source, target = bench.server(), bench.server()
    few = "~* +@write +info +select +multi +exec"
    ferry = Ferry(bench, restricted(source, f"{SOURCE} {HEARTBEAT}"), restricted(target, few), {"checkpoint": "local", "heartbeat.interval": "200ms"})
    sync_under_load(bench, source, target, ferry=ferry, **SMALL)


@pytest.mark.parametrize("side, code", [("source", 4), ("target", 5)])
def test_right_to_see_the_cluster(bench, side, code):
    source, target = (bench.cluster(masters=1, replicas_per_master=0) for _ in range(2))
    ferry = ferry_between(bench, source, target, f"{SOURCE} {HEARTBEAT} {'' if side == 'source' else CLUSTER}",
                          f"{TARGET} {'' if side == 'target' else CLUSTER}")
    assert ferry.run() == code
    assert "CLUSTER" in ferry.log and "NOPERM" in ferry.log
