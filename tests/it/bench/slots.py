"""Hash slots: the slot of a key, a key for a slot, and lists of slot ranges."""

import functools

from redis.crc import key_slot as slot_of_bytes

SLOT_COUNT = 16384


def key_slot(key):
    """The slot of a key (str or bytes)."""
    return slot_of_bytes(key.encode() if isinstance(key, str) else key)


@functools.cache
def _tags():
    """A short hash tag for every slot."""
    tags = {}
    number = 0
    while len(tags) < SLOT_COUNT:
        text = format(number, "x")
        tags.setdefault(key_slot(text), text)
        number += 1
    return tags


def slot_tag(slot):
    """A short text that hashes to that slot: f"name:{{{slot_tag(7)}}}" is a key of slot 7."""
    return _tags()[slot]


def ranges_of(slots):
    """Sorted inclusive (first, last) ranges of an iterable of slot numbers."""
    ranges = []
    for slot in sorted(slots):
        if ranges and ranges[-1][1] == slot - 1:
            ranges[-1][1] = slot
        else:
            ranges.append([slot, slot])
    return [tuple(one) for one in ranges]


def even_layout(masters):
    """All slots dealt evenly, in one range a master, as redis-cli does it: a list of range lists."""
    edges = [round(SLOT_COUNT * index / masters) for index in range(masters + 1)]
    return [[(edges[index], edges[index + 1] - 1)] for index in range(masters)]
