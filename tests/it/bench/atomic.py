"""Slots that masters hand over by atomic migration (CLUSTER MIGRATESLOTS, Valkey 9).

Never both ways at the same moment between two masters: servers of 9.1 end by an assertion of theirs then."""

from .slots import ranges_of
from .waiting import wait_for

ENDED = ("success", "failed", "cancelled")


def jobs(node):
    """{name: state} of the migrations that the node knows."""
    told = [dict(zip(job[::2], job[1::2])) for job in node.command("CLUSTER", "GETSLOTMIGRATIONS")]
    return {job[b"name"]: job[b"state"].decode() for job in told}


def begin_move(giver, receiver, slots):
    """Orders it. Returns the names of the jobs."""
    before = set(jobs(giver))
    words = [number for first, last in ranges_of(slots) for number in (first, last)]
    giver.command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *words, "NODE", receiver.id)
    return set(jobs(giver)) - before


def end_of(giver, names):
    """{state} of these jobs when they have ended, however that was."""
    wait_for(lambda: all(jobs(giver).get(name) in ENDED for name in names), what="the migration to end")
    return {jobs(giver)[name] for name in names}


def wait_ended(giver, names, state="success"):
    assert end_of(giver, names) == {state}


def move(giver, receiver, slots):
    wait_ended(giver, begin_move(giver, receiver, slots))


def hold_end(node, hold=True):
    """Migrations from there go on up to where the writers would be paused."""
    node.command("DEBUG", "SLOTMIGRATION", "PREVENT-PAUSE", int(hold))


def begin_held_move(giver, receiver, slots):
    """All is copied, and what is written since is passed on."""
    hold_end(giver)
    names = begin_move(giver, receiver, slots)
    wait_for(lambda: all(jobs(receiver).get(name) == "waiting-for-paused" for name in names), what="the copy of the slots")
    return names


def end_held_move(giver, names):
    hold_end(giver, False)
    wait_ended(giver, names)
