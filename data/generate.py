#!/usr/bin/python3
"""Asks real servers for their commands and writes data/commands.json: one command or sub-command a line, sorted by name.

    data/generate.py                     every server that tools/fetch-servers has unpacked, and the system's redis-server
    data/generate.py SERVER [SERVER..]   these server programs

Each server is started on a unix socket in a folder of its own, asked COMMAND and COMMAND DOCS, and stopped. What the table
holds is the union over all servers:

    name                         lower case, "xgroup create" for a sub-command
    arity                        as in COMMAND INFO; the widest where versions differ
    flags                        write, denyoom and movablekeys, when any version has them
    keys                         first, last, step as in COMMAND INFO, of the newest version that has the command
    redis_since, valkey_since    the first version with it, by COMMAND DOCS (for commands without such documentation: the first
                                 release of the oldest server's series); null: never in that family. Valkey began as
                                 Redis 7.2, so everything older counts as 7.2.0 there.

What no server tells is in data/facts.json, by hand."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import redis

ROOT = pathlib.Path(__file__).resolve().parent
OUTPUT = ROOT / "commands.json"
FLAGS = ("denyoom", "movablekeys", "write")
VALKEY_BEGAN = (7, 2, 0)


class Failure(Exception):
    """Why the table cannot be made, in one line."""


def default_servers():
    cache = pathlib.Path(os.environ.get("KEYFERRY_SERVERS", pathlib.Path.home() / ".cache/keyferry/servers"))
    system = pathlib.Path("/usr/bin/redis-server")
    return sorted(cache.glob("*/run/*-server")) + ([system] if system.exists() else [])


def version_of(text):
    return tuple(int(part) for part in text.split("."))


def ask(program):
    """(family, version, COMMAND's rows, COMMAND DOCS or None) of a server."""
    with tempfile.TemporaryDirectory(prefix="keyferry-commands-") as folder:
        path = f"{folder}/socket"
        log = pathlib.Path(folder, "log")
        with log.open("w", encoding="utf-8") as output, subprocess.Popen(
                [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder],
                stdout=output, stderr=output) as server:
            try:
                client = redis.Redis(unix_socket_path=path)
                deadline = time.monotonic() + 20
                while True:
                    try:
                        client.ping()
                        break
                    except redis.exceptions.ConnectionError as error:
                        if server.poll() is not None or time.monotonic() > deadline:
                            raise Failure(f"{program} does not start: {log.read_text(encoding='utf-8')[-500:]}") from error
                        time.sleep(0.02)
                info = client.info("server")
                family = "valkey" if "valkey_version" in info else "redis"
                version = version_of(info[f"{family}_version"])
                client.response_callbacks.clear()
                rows = client.execute_command("COMMAND")
                try:
                    docs = client.execute_command("COMMAND", "DOCS")
                except redis.exceptions.ResponseError:
                    docs = None
                return family, version, rows, docs
            finally:
                server.terminate()
                server.wait()


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


def since_by_name(docs):
    """{"xgroup create": (5, 0, 0)} from the reply of COMMAND DOCS."""
    found = {}
    for name, entry in pairs(docs or []).items():
        entry = pairs(entry)
        if b"since" in entry:
            found[command_name(name)] = version_of(entry[b"since"].decode())
        found.update(since_by_name(entry.get(b"subcommands")))
    return found


def command_name(name):
    return name.decode().lower().replace("|", " ")


def commands_in(rows):
    for row in rows:
        yield row
        yield from commands_in(row[9] if len(row) > 9 else [])


def widest(arities):
    """The arity that admits whatever one of them admits."""
    arities = set(arities)
    return arities.pop() if len(arities) == 1 else -min(abs(arity) for arity in arities)


def merge(answers):
    """The table's rows from all servers' answers."""
    merged = {}
    # By version, so that the newest word on the keys is the last one.
    for family, version, rows, docs in sorted(answers, key=lambda answer: answer[1]):
        since = since_by_name(docs)
        for row in commands_in(rows):
            name = command_name(row[0])
            flags = {flag.decode() if isinstance(flag, bytes) else flag for flag in row[2]}
            entry = merged.setdefault(name, {"arity": [], "flags": set(), "redis": None, "valkey": None})
            entry["arity"].append(row[1])
            entry["flags"] |= flags & set(FLAGS)
            entry["keys"] = row[3:6]
            began = since.get(name, (*version[:2], 0))
            if family == "valkey":
                began = max(began, VALKEY_BEGAN)
            entry[family] = min(began, entry[family] or began)
    for name, entry in sorted(merged.items()):
        yield {
            "name": name,
            "arity": widest(entry["arity"]),
            "flags": sorted(entry["flags"]),
            "keys": entry["keys"],
            "redis_since": entry["redis"] and ".".join(map(str, entry["redis"])),
            "valkey_since": entry["valkey"] and ".".join(map(str, entry["valkey"])),
        }


def main():
    servers = sys.argv[1:] or default_servers()
    if not servers:
        raise Failure("no server to ask; run tools/fetch-servers first, or name server programs")
    answers = [ask(str(server)) for server in servers]
    rows = list(merge(answers))
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    OUTPUT.write_text(text, encoding="utf-8")
    asked = ", ".join(f"{family} {'.'.join(map(str, version))}" for family, version, _, _ in answers)
    print(f"{OUTPUT}: {len(rows)} commands of {asked}")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"generate.py: {failure}")
