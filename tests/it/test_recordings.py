"""Recorded snapshots and streams of versions that need not be installed, through the replay master, which also misbehaves.

The bytes are those of real servers; the data that must be in the target at the end is what a real replica of the same
version had."""

import pytest

from bench.compare import compare_functions_with_expected, compare_with_expected
from bench.ferry import Ferry
from bench.recordings import Recording, recording_names
from bench.replay import CLOSE, REPLY, RESET, SILENCE, SNAPSHOT, STREAM, Break, Faults, ReplayMaster

pytestmark = pytest.mark.sanitize

MISBEHAVING = "redis-6.2.16"


def target_for(bench, recording):
    """A server of the first available version that takes everything which the recording holds."""
    if recording.family == "valkey":
        return bench.server("valkey-9.1")
    return bench.server("redis-8.0-sid" if recording.version >= (7, 4) else "redis-7.0")


def check_data(recording, target, which="replica"):
    """The target holds what a real replica had; a later version may differ where later versions do."""
    report = compare_with_expected(target, recording.expected(which), any_expiry=recording.any_expiry)
    later = target.version.number[:2] != recording.version[:2]
    assert report.kinds().keys() <= (recording.version_dependent if later else set()), str(report)
    if which == "replica" and recording.redis_level >= (7, 0):
        assert not compare_functions_with_expected(target, recording.folder / "functions.json")


def check_acknowledgements(master):
    """Never more than there was, never less than before; at the end everything."""
    for session in master.sessions:
        assert session.acks == sorted(session.acks) and all(offset <= master.end_offset for offset in session.acks)
    assert master.last_ack == master.end_offset


# The replay master says nothing behind the end of its stream: with this a task that is not stopped at once has lost its connection then.
IMPATIENT = {"timeouts.replication": "2s"}


def follow(bench, master, target, options=None):
    """Synchronises to the end of the stream and stops; returns the Ferry."""
    ferry = Ferry(bench, f"redis://{master.address}", target, options).start()
    ferry.wait_acknowledged(master)
    assert ferry.stop() == 0
    check_acknowledgements(master)
    return ferry


def follow_and_check(bench, faults, options=None):
    """The same with the recording that misbehaviour is shown with, and the data compared; returns (master, ferry)."""
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording, faults=faults) as master:
        ferry = follow(bench, master, target, options)
    check_data(recording, target)
    return master, ferry


# -- each version -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", recording_names())
def test_snapshot_and_stream(bench, name):
    recording = Recording(name)
    target = target_for(bench, recording)
    with ReplayMaster(recording) as master:
        follow(bench, master, target)
        assert master.last_ack == recording.end_offset
        assert [session.full for session in master.sessions] == [True]
    check_data(recording, target)


@pytest.mark.parametrize("name", [name for name in recording_names() if (Recording(name).folder / "snapshot-eof.bin").exists()])
def test_diskless_snapshot(bench, name):
    """It was recorded another time, so the stream does not follow it."""
    recording = Recording(name)
    target = target_for(bench, recording)
    with ReplayMaster(recording, eof_snapshot=True, released=0) as master:
        follow(bench, master, target)
    check_data(recording, target, "eof")


def test_what_is_announced(bench):
    """No capability that is not there, and the version only to those that ask for it."""
    for name, announces_version in (("redis-3.2.13", False), ("redis-8.0.2", False), ("valkey-9.1.2", True)):
        recording = Recording(name)
        with ReplayMaster(recording, released=0) as master:
            follow(bench, master, target_for(bench, recording))
            options = master.sessions[0].options
        assert [value for name, value in options if name == "capa"] == ["eof", "psync2"]
        assert ("version" in dict(options)) == announces_version
        assert not dict(options).keys() - {"listening-port", "capa", "version"}


# -- misbehaviour -------------------------------------------------------------------------------------------------------

def test_short_writes_and_keep_alive_newlines(bench):
    master, _ = follow_and_check(
        bench, Faults(write_bytes=7, newlines_before_reply=3, newlines_before_snapshot=5, newline_pause=0.01))
    assert len(master.sessions) == 1


def test_keep_alive_newlines_for_longer_than_the_timeout(bench):
    """A master that takes long to prepare its snapshot is alive all the same."""
    master, ferry = follow_and_check(bench, Faults(newlines_before_snapshot=6, newline_pause=0.5), IMPATIENT)
    # Where it is given up it is taken again. What is lost behind the end of the stream is another matter.
    assert [session.full for session in master.sessions].count(True) == 1
    assert ferry.log.count("the snapshot begins") == 1


@pytest.mark.parametrize("action", [CLOSE, RESET])
def test_cuts_of_the_snapshot(bench, action):
    """It is taken again each time; what was applied of it already does not matter."""
    size = len(Recording(MISBEHAVING).snapshot)
    master, _ = follow_and_check(bench, Faults([Break(SNAPSHOT, at, action) for at in (0, 1, size // 2, size - 1)]))
    assert [session.full for session in master.sessions] == [True] * 5


@pytest.mark.parametrize("action", [CLOSE, RESET])
def test_cuts_of_the_stream(bench, action):
    """It goes on with the very next byte each time, also from within a command."""
    recording = Recording(MISBEHAVING)
    cuts = (1, 2, 1000, 30_001, 77_777, len(recording.stream) - 1)
    master, _ = follow_and_check(bench, Faults([Break(STREAM, at, action) for at in cuts]))
    assert [session.full for session in master.sessions] == [True] + [False] * len(cuts)
    if action == CLOSE:  # an RST makes the kernel drop what has not been read yet
        assert [session.offset for session in master.sessions[1:]] == [recording.start_offset + at + 1 for at in cuts]


def test_cut_in_the_answer_to_psync(bench):
    master, _ = follow_and_check(bench, Faults([Break(STREAM, 500), Break(REPLY, 20, times=2)]))
    assert master.sessions[0].full and not master.sessions[-1].full


def test_silence(bench):
    """After timeouts.replication the connection is given up, wherever the master fell silent."""
    master, ferry = follow_and_check(bench, Faults([Break(SNAPSHOT, 9000, SILENCE), Break(STREAM, 50_000, SILENCE)]), IMPATIENT)
    # It says nothing behind the end of its stream either.
    fulls, behind = [session.full for session in master.sessions[:3]], master.sessions[3:]
    assert fulls == [True, True, False]
    assert all(session.offset == master.end_offset + 1 and not session.full for session in behind)
    assert ferry.log.count("nothing was heard of the source for ") in (2 + len(behind), 3 + len(behind))


def test_full_resync_although_the_rest_was_asked_for(bench):
    """Before any command was applied, so that the target is exact in the end."""
    master, ferry = follow_and_check(bench, Faults([Break(STREAM, 0)], never_continue=True))
    assert [session.full for session in master.sessions] == [True, True]
    assert "full resync" in ferry.log and "backlog does not hold offset 1 any more" in ferry.log


def test_new_history(bench):
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording, released=0) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target).start().wait_streaming()
        master.new_history()
        master.drop_replicas()
        ferry.wait_status(lambda status: status["links"][0]["resyncs"] == 1, what="the second snapshot")
        assert f"it does not know offset {recording.start_offset + 1} of replication id {recording.replid}" in ferry.log
        master.release()
        ferry.wait_acknowledged(master)
        assert ferry.stop() == 0
    check_data(recording, target)


def test_another_name_of_the_same_history(bench):
    """As after a failover: it goes on, and asks under the new name the next time."""
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording, released=70_000) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target).start().wait_streaming()
        master.fail_over()
        master.drop_replicas()
        master.wait_sessions(2)
        master.release(30_000)
        # The end of them lies within a command, so they are received, and not acknowledged.
        ferry.wait_status(lambda status: status["links"][0]["position"]["received"] == master.end_offset, what="more bytes")
        master.drop_replicas()
        assert master.wait_sessions(3).replid == master.replid
        master.release()
        ferry.wait_acknowledged(master)
        assert ferry.stop() == 0
        assert [session.full for session in master.sessions] == [True, False, False]
    check_data(recording, target)


def test_wrong_checksum_once(bench):
    """The snapshot is taken again."""
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording, faults=Faults(bad_checksum=True)) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target).start()
        ferry.wait_log("the snapshot's checksum is wrong")
        assert ferry.status()["state"] != "streaming"
        master.faults.bad_checksum = False
        ferry.wait_acknowledged(master)
        assert ferry.stop() == 0
    check_data(recording, target)


@pytest.mark.parametrize("reply", [
    "-LOADING Redis is loading the dataset in memory", "-NOMASTERLINK Can't SYNC while not connected with my master",
    "-MASTERDOWN Link with MASTER is down", "-ERR Can't accept more replicas at the moment"])
def test_not_now(bench, reply):
    """Answers that pass by themselves."""
    master, ferry = follow_and_check(bench, Faults(replies={"PSYNC": [reply.encode() + b"\r\n"] * 2}))
    assert len(master.sessions) == 1
    assert f'PSYNC was answered with "{reply[1:]}"' in ferry.log


@pytest.mark.parametrize("reply, hint", [
    ("-NOPERM this user has no permissions to run the 'psync' command", "the source's user needs +info +psync +replconf"),
    ("-ERR unknown command `PSYNC`, with args beginning with: `?`, `-1`, ", "or set source.mode: scan"),
    ("garbage", "check the source's address"),
    ("+FULLRESYNC garbage", "check that the source's address is that of a Redis or Valkey server"),
    ("*2\r\n$1\r\na\r\n$1\r\nb", "check that the source's address is that of a Redis or Valkey server"),
], ids=["no-permission", "unknown", "garbage", "odd-fullresync", "array"])
def test_psync_denied_or_not_understood(bench, reply, hint):
    """Waiting does not mend it: the end, with what to do. Nothing has been written."""
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording, faults=Faults(replies={"PSYNC": [reply.encode() + b"\r\n"] * 3})) as master:
        ferry = Ferry(bench, f"redis://{master.address}", target)
        assert ferry.run() == 4
        assert master.address in ferry.log and hint in ferry.log
    assert target.command("DBSIZE") == 0


def test_garbage_in_the_stream(bench):
    """All before it is applied, once: also when the same is tried again."""
    recording = Recording(MISBEHAVING)
    target = target_for(bench, recording)
    with ReplayMaster(recording) as master:
        master.append(b"*2\r\n$3\r\nDEL\r\n!1\r\nx\r\n")
        ferry = Ferry(bench, f"redis://{master.address}", target, {"target.expiry_guard": "off"})  # it ends before times are put right
        for _ in range(2):
            assert ferry.run() == 4
            assert f"offset {recording.end_offset + 1}: command stream at" in ferry.log
            assert f"position kept: {recording.replid}, offset {recording.end_offset} " in ferry.log
            check_data(recording, target)
    assert ferry.log.count("full resync") == 1
