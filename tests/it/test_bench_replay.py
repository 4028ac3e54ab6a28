"""The replay master itself: a small replica checks its bytes and its misbehaviour, real replicas check its data."""

import subprocess
import sys

import pytest

from bench import compare, replay, versions, wire
from bench.recordings import Recording, recording_names
from bench.replay import CLOSE, RESET, SILENCE, REPLY, SNAPSHOT, STREAM, Break, Faults, ReplayMaster
from replica_probe import ReplicaProbe

NAME = "redis-6.2.16"


@pytest.fixture(name="recording", scope="module")
def the_recording():
    return Recording(NAME)


def call(master, *words):
    """One command on a connection of its own; an error reply is returned."""
    connection = wire.Connection(wire.Address.parse(master.address), 180)
    try:
        return connection.call(*words)
    except wire.ReplyError as error:
        return error
    finally:
        connection.close()


def read_all(master, **options):
    """A whole session: (snapshot, stream)."""
    with ReplicaProbe(master.address, **options) as replica:
        snapshot = replica.resynchronise()
        return snapshot, replica.read_stream(master.end_offset - replica.offset)


# -- a correct master ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", recording_names())
def test_recordings_are_played_byte_for_byte(name):
    recording = Recording(name)
    assert recording.start_offset + len(recording.stream) == recording.end_offset
    with ReplayMaster(recording) as master, ReplicaProbe(master.address) as replica:
        assert replica.resynchronise() == recording.snapshot
        assert (replica.replid, replica.offset) == (recording.replid, recording.start_offset)
        assert replica.read_stream(len(recording.stream)) == recording.stream
        assert replica.offset == recording.end_offset == master.end_offset
        replica.acknowledge()
        master.wait_ack(recording.end_offset)
        assert master.last_ack == recording.end_offset
        info = call(master, "INFO").decode()
        assert f"{recording.family}_version:{recording.version_text}\r\n" in info
        assert f"master_repl_offset:{recording.end_offset}\r\n" in info and "role:master" in info


@pytest.mark.parametrize("name", [name for name in recording_names() if name != "redis-3.2.13"])
def test_diskless_form(name):
    recording = Recording(name)
    with ReplayMaster(recording, eof_snapshot=True) as master, ReplicaProbe(master.address) as replica:
        replica.handshake()
        replica.psync()
        snapshot = replica.read_snapshot()
        assert recording.snapshot_eof().endswith(b"\r\n" + snapshot + recording.snapshot_eof()[-40:])
        assert snapshot[:5] in (b"REDIS", b"VALKE")
        replica.acknowledge()
        assert replica.read_stream(100) == recording.stream[:100]


def test_continues_from_every_kind_of_offset(recording):
    with ReplayMaster(recording) as master:
        for index in (0, 1, 777, len(recording.stream) - 1):
            with ReplicaProbe(master.address) as replica:
                replica.handshake()
                assert replica.psync(recording.replid, recording.start_offset + index + 1) == f"+CONTINUE {recording.replid}"
                assert replica.read_stream(len(recording.stream) - index) == recording.stream[index:]
        for replid, offset in (("0" * 40, 5), (recording.replid, recording.start_offset),
                               (recording.replid, recording.end_offset + 2)):
            with ReplicaProbe(master.address) as replica:
                assert replica.psync(replid, offset).startswith("+FULLRESYNC")
        assert [session.full for session in master.sessions] == [False] * 4 + [True] * 3


def test_continue_without_id_for_old_replicas(recording):
    with ReplayMaster(recording) as master, ReplicaProbe(master.address) as replica:
        assert replica.psync(recording.replid, 10) == "+CONTINUE"


def test_stream_grows(recording):
    with ReplayMaster(recording, released=100) as master, ReplicaProbe(master.address) as replica:
        replica.resynchronise()
        assert replica.read_stream(100) == recording.stream[:100]
        assert master.end_offset == recording.start_offset + 100
        master.release(50)
        assert replica.read_stream(50) == recording.stream[100:150]
        master.release()
        replica.read_stream(len(recording.stream) - 150)
        master.append(("SET", "k", "v"))
        assert replica.read_stream(27) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
        assert replica.offset == master.end_offset == recording.end_offset + 27


def test_pings_and_written_keys_enter_the_stream(recording):
    with ReplayMaster(recording, ping_seconds=0.05, propagate=True) as master, ReplicaProbe(master.address) as replica:
        replica.resynchronise()
        replica.read_stream(len(recording.stream))
        assert replica.read_stream(28) == 2 * b"*1\r\n$4\r\nPING\r\n"
    with ReplayMaster(recording, propagate=True) as master, ReplicaProbe(master.address) as replica:
        replica.resynchronise()
        replica.read_stream(len(recording.stream))
        assert call(master, "SETEX", "beat", 9, "now") == b"OK"
        assert replica.read_commands(master.end_offset) == [wire.encode("SELECT", 0), wire.encode("SETEX", "beat", 9, "now")]
        assert master.writes == [[b"SETEX", b"beat", b"9", b"now"]]


def test_history(recording):
    with ReplayMaster(recording) as master:
        master.fail_over()
        with ReplicaProbe(master.address) as replica:
            replica.handshake()
            assert replica.psync(recording.replid, 10) == f"+CONTINUE {master.replid}"
            assert master.replid != recording.replid
        master.new_history()
        with ReplicaProbe(master.address) as replica:
            assert replica.psync(recording.replid, 10) == f"+FULLRESYNC {master.replid} {recording.start_offset}"


def test_other_commands():
    def error(name, *words):
        with ReplayMaster(Recording(name)) as master:
            return str(call(master, *words))
    assert error("redis-6.2.16", "CLUSTER", "INFO") == "ERR This instance has cluster support disabled"
    assert error("redis-7.0.15", "FLY", "a") == "ERR unknown command 'FLY', with args beginning with: 'a' "
    assert error("redis-6.2.16", "FLY", "a") == "ERR unknown command `FLY`, with args beginning with: `a`, "
    assert error("redis-4.0.14", "FLY", "a") == "ERR unknown command 'FLY'"
    assert error("redis-7.4.1", "REPLCONF", "version", "9.1.2") == "ERR Unrecognized REPLCONF option: version"
    assert error("redis-4.0.14", "AUTH", "u", "p") == "ERR wrong number of arguments for 'auth' command"
    with ReplayMaster(Recording("valkey-9.1.2")) as master:
        assert call(master, "REPLCONF", "version", "9.1.2") == b"OK"
        assert call(master, "SELECT", 3) == b"OK"
        assert call(master, "ECHO", "x") == b"x"
        assert call(master, "CLIENT", "SETNAME", "x") == b"OK"
        assert call(master, "CONFIG", "GET", "x") == []


def test_password(recording):
    with ReplayMaster(recording, username="replica", password="secret") as master:
        assert call(master, "PSYNC", "?", "-1").code == "NOAUTH"
        assert call(master, "AUTH", "secret").code == "WRONGPASS"
        connection = wire.Connection(wire.Address.parse(f"redis://replica:secret@{master.address}"))
        assert connection.call("PING") == b"PONG"
        connection.close()
    with ReplayMaster(recording, password="secret") as master:
        assert read_all(master, password="secret") == (recording.snapshot, recording.stream)


# -- misbehaviour -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("eof", [False, True], ids=["length", "eof"])
def test_short_writes_and_newlines(recording, eof):
    faults = Faults(write_bytes=7, newlines_before_reply=2, newlines_before_snapshot=3, newline_pause=0.001)
    with ReplayMaster(recording, faults=faults, eof_snapshot=eof) as master, ReplicaProbe(master.address) as replica:
        snapshot = replica.resynchronise()
        assert snapshot == (recording.snapshot_eof().split(b"\r\n", 1)[1][:-40] if eof else recording.snapshot)
        assert replica.newlines == 5
        assert replica.read_stream(len(recording.stream)) == recording.stream


@pytest.mark.parametrize("action", [CLOSE, RESET])
@pytest.mark.parametrize("where, at", [(REPLY, 5), (SNAPSHOT, 0), (SNAPSHOT, 1000), (STREAM, 0), (STREAM, 100_000)])
def test_breaks(recording, where, at, action):
    with ReplayMaster(recording, faults=Faults([Break(where, at, action, times=2)])) as master:
        for _ in range(2):
            with ReplicaProbe(master.address) as replica:
                how, received = replica.psync_and_read_to_the_end()
                whole = f"+FULLRESYNC {recording.replid} {recording.start_offset}\r\n${len(recording.snapshot)}\r\n".encode()
                begins = {REPLY: 0, SNAPSHOT: len(whole), STREAM: len(whole) + len(recording.snapshot)}[where]
                whole += recording.snapshot + recording.stream
                assert whole.startswith(received)
                # With RST the kernel drops what the peer has not read yet.
                assert how == ("reset" if action == RESET else "closed")
                if action == CLOSE:
                    assert len(received) == begins + at
        assert read_all(master) == (recording.snapshot, recording.stream)


def test_break_in_a_continued_stream(recording):
    with ReplayMaster(recording, faults=Faults([Break(STREAM, 5000)])) as master:
        with ReplicaProbe(master.address) as replica:
            replica.psync(recording.replid, recording.start_offset + 1000 + 1)
            assert replica.read_to_the_end() == ("closed", recording.stream[1000:5000])


def test_silence(recording):
    with ReplayMaster(recording, faults=Faults([Break(STREAM, 10, SILENCE)])) as master:
        with ReplicaProbe(master.address) as replica:
            replica.handshake()
            replica.psync()
            replica.read_snapshot()
            assert replica.read_stream(10) == recording.stream[:10]
            replica.bear(0.3)
            with pytest.raises(TimeoutError):
                replica.read_stream(1)
            replica.acknowledge()
            master.wait_ack(recording.start_offset + 11)
        assert read_all(master) == (recording.snapshot, recording.stream)


def test_drop_replicas(recording):
    with ReplayMaster(recording, released=10) as master, ReplicaProbe(master.address) as replica:
        replica.psync()
        replica.read_snapshot()
        assert replica.read_stream(10) == recording.stream[:10]
        master.drop_replicas(RESET)
        assert replica.read_to_the_end() == ("reset", b"")
        assert master.wait_sessions(1).ended.wait(180)


def test_bad_checksum(recording):
    with ReplayMaster(recording, faults=Faults(bad_checksum=True)) as master, ReplicaProbe(master.address) as replica:
        snapshot = replica.resynchronise()
        assert snapshot[:-8] == recording.snapshot[:-8] and snapshot[-8:] != recording.snapshot[-8:]


def test_never_continue(recording):
    with ReplayMaster(recording, faults=Faults(never_continue=True)) as master, ReplicaProbe(master.address) as replica:
        assert replica.psync(recording.replid, 10) == f"+FULLRESYNC {recording.replid} {recording.start_offset}"


@pytest.mark.parametrize("reply", [
    "-LOADING Redis is loading the dataset in memory", "-MASTERDOWN Link with MASTER is down", "-NOMASTERLINK Can't SYNC",
    "-NOAUTH Authentication required.", "-NOPERM this user has no permissions to run the 'psync' command", "garbage"])
def test_other_replies(recording, reply):
    faults = Faults(replies={"PSYNC": [reply.encode() + b"\r\n"] * 2, "PING": [b"-ERR no\r\n"]})
    with ReplayMaster(recording, faults=faults) as master, ReplicaProbe(master.address) as replica:
        with pytest.raises(wire.ReplyError, match="ERR no"):
            replica.handshake()
        replica.handshake()
        assert replica.psync() == reply
        assert replica.psync() == reply
        assert replica.psync().startswith("+FULLRESYNC")
        assert len(master.sessions) == 1


# -- real replicas ------------------------------------------------------------------------------------------------------

def able_to_follow(recording):
    """A server that can be a replica of that version; the test is skipped when there is none."""
    able = [version for version in versions.available()
            if (version.is_valkey and version.number[:2] >= recording.version[:2] if recording.family == "valkey"
                else not version.is_valkey and version.number >= recording.version[:2])]
    if not able:
        pytest.skip(f"no server here can follow {recording.name}: run tools/fetch-servers")
    return min(able, key=lambda version: version.number)


@pytest.mark.parametrize("eof", [False, True], ids=["length", "eof"])
@pytest.mark.parametrize("name", recording_names())
def test_a_real_replica_ends_with_the_expected_data(bench, wait_for, name, eof):
    """Proves the replay master and the reader of expected data at once."""
    if eof and name == "redis-3.2.13":
        pytest.skip("3.2 was recorded in the form with a length only")
    recording = Recording(name)
    replica = bench.server(able_to_follow(recording))
    # The diskless snapshot was recorded another time; the stream does not follow it.
    with ReplayMaster(recording, eof_snapshot=eof, released=0 if eof else None) as master:
        replica.command("REPLICAOF", master.host, master.port)
        if eof:
            wait_for(lambda: replica.info("replication")["master_link_status"] == "up", what="the snapshot to be loaded")
        else:
            master.wait_ack(recording.end_offset)
        replica.promote()
    expected = recording.expected("eof" if eof else "replica")
    report = compare.compare_with_expected(replica, expected, any_expiry=recording.any_expiry)
    later = replica.version.number[:2] != recording.version[:2]
    assert report.kinds().keys() <= (recording.version_dependent if later else set()), str(report)


def test_a_real_replica_comes_back_after_breaks(bench, recording):
    replica = bench.server()
    faults = Faults([Break(SNAPSHOT, 3000), Break(STREAM, 20_000, RESET), Break(STREAM, 70_000)], write_bytes=4000)
    with ReplayMaster(recording, faults=faults) as master:
        replica.command("REPLICAOF", master.host, master.port)
        master.wait_ack(recording.end_offset)
        replica.promote()
        assert [session.full for session in master.sessions] == [True, True, False, False]
    report = compare.compare_with_expected(replica, recording.expected("replica"), any_expiry=recording.any_expiry)
    assert report.kinds().keys() <= recording.version_dependent, str(report)


def test_the_program():
    process = subprocess.Popen([sys.executable, replay.__file__, "--recording", NAME], stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().split()[-1]
        with ReplicaProbe(address) as replica:
            assert replica.resynchronise() == Recording(NAME).snapshot
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    assert "+FULLRESYNC" in output
