"""The ledger of a writer: books that are only ever added to, each addition with a name of its own.

What the other keys of a writer lose, double or swap may be gone before anybody looks, for they are trimmed and deleted. What was added here stays, so
that a difference can be told by name: this element was added twice, that step was not taken.

Of each tag there is one book of each kind:

    <prefix>{<tag>}:ledger:list     RPUSH: an element for an entry
    <prefix>{<tag>}:ledger:steps    HINCRBY: a field for an entry, which is 1
    <prefix>{<tag>}:ledger:stream   XADD: an entry whose field "n" is its name
    <prefix>{<tag>}:ledger:text     APPEND: the names, a space behind each
    <prefix>{<tag>}:ledger:count    INCR: how many"""

import collections

from .deployment import Opened

SHOWN = 10      # entries told of a book


def _name(prefix, tag, kind):
    return b"%b{%d}:ledger:%b" % (prefix, tag, kind)


# kind -> (the words around an entry's name, the command that reads the book, the names in its answer in their order)
BOOKS = {
    b"list": (lambda key, name: (b"RPUSH", key, name), lambda key: ("LRANGE", key, 0, -1), list),
    b"steps": (lambda key, name: (b"HINCRBY", key, name, 1), lambda key: ("HGETALL", key),
               lambda answer: sorted(name for name, times in zip(answer[::2], answer[1::2]) for _ in range(int(times)))),
    b"stream": (lambda key, name: (b"XADD", key, b"*", b"n", name), lambda key: ("XRANGE", key, "-", "+"),
                lambda answer: [fields[1] for _, fields in answer]),
    b"text": (lambda key, name: (b"APPEND", key, name + b" "), lambda key: ("GET", key), lambda answer: (answer or b"").split()),
    b"count": (lambda key, name: (b"INCR", key), lambda key: ("GET", key),
               lambda answer: [b"step %d" % number for number in range(1, int(answer or 0) + 1)]),
}


def entry(rng, prefix, tag, name, all_books=False):
    """The commands of one entry: into a book that the dice choose, or into all of them."""
    kinds = sorted(BOOKS) if all_books else [rng.choice(sorted(BOOKS))]
    return [BOOKS[kind][0](_name(prefix, tag, kind), name) for kind in kinds]


def differences(source, target, prefix, tags):
    """What the target has twice, lacks, or has in another order than the source; and what the source itself has twice, which no writer makes.
    A list of sentences. Source and target: anything Deployment.of() takes."""
    found = []
    with Opened(source) as left, Opened(target) as right:
        for key, kind in ((_name(prefix, tag, kind), kind) for tag in range(tags) for kind in sorted(BOOKS)):
            _, ask, names = BOOKS[kind]
            mine, theirs = (names(side.node_of(key).connection.call(*ask(key))) for side in (left, right))
            found += [f"{key!r}: {what}" for what in _of_book(mine, theirs)]
    return found


def _of_book(mine, theirs):
    one, other = collections.Counter(mine), collections.Counter(theirs)
    twice_in_source = [name for name, times in one.items() if times > 1]
    if twice_in_source:
        yield f"the source itself has more than once {_some(twice_in_source)}"
    too_many = [name for name, times in (other - one).items() if name in one]
    foreign = [name for name in other if name not in one]
    lost = list((one - other).elements())
    if too_many:
        yield f"doubled: {_some(too_many)}"
    if foreign:
        yield f"not in the source: {_some(foreign)}"
    if lost:
        yield f"lost: {_some(lost)}"
    if mine != theirs and one == other:
        at = next(number for number, names in enumerate(zip(mine, theirs)) if names[0] != names[1])
        yield f"in another order from entry {at} on: {_some(mine[at:])}, and in the target {_some(theirs[at:])}"


def _some(names):
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name.decode() for name in names[:SHOWN]) + more
