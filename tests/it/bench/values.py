"""Values of keys by meaning: reading them with ordinary commands, comparing two, and the JSON form of the fixtures.

By meaning: what a client can see, never how the server encodes it. The form of a value:

    string   bytes
    list     [bytes, ...] in order
    set      [bytes, ...] ordered by bytes
    hash     [(field, value, expiry in Unix ms or None), ...] ordered by field
    zset     [(member, score), ...] ordered by score, then member (-0.0 equals 0.0)
    stream   {"entries": [(id, [field, value, ...]), ...], "last_id", "max_deleted_id", "entries_added",
              "groups": [{"name", "last_id", "entries_read", "consumers": [...], "pel": [(id, consumer, deliveries), ...]}, ...]};
             max_deleted_id, entries_added and entries_read exist from 7.0 on; a comparison of two looks at what both have
    others   Opaque: the DUMP payload (module types)
"""

import base64
import hashlib

from . import wire

BATCH_VALUES = 200
LONGEST_INLINE = 65536   # longer strings appear in the JSON form as their SHA-256
DUMP_FOOTER = 10         # DUMP ends with 2 bytes RDB version and 8 bytes CRC64
NO_EXPIRY = -1
GONE = -2
DETAIL_BYTES = 60


class Opaque(bytes):
    """A value of a type this module has no reader for: its DUMP payload without version and checksum."""


# -- reading ------------------------------------------------------------------------------------------------------------

def read_types(connection, keys):
    """TYPE of each key as text ("none": no such key)."""
    return [_checked(reply).decode() for reply in connection.pipeline([(b"TYPE", key) for key in keys])]


def read_expiries(node, keys):
    """([expiry in Unix ms, NO_EXPIRY or GONE], uncertainty in ms).

    PEXPIRETIME is exact. Servers older than 7.0 have only the time left: each value is the time left plus the server's
    clock, and the uncertainty is how far that clock moved during the batch."""
    connection = node.connection
    if node.has_command("PEXPIRETIME"):
        return [_checked(reply) for reply in connection.pipeline([(b"PEXPIRETIME", key) for key in keys])], 0
    replies = connection.pipeline([(b"TIME",), *[(b"PTTL", key) for key in keys], (b"TIME",)])
    before, after = _milliseconds(_checked(replies[0])), _milliseconds(_checked(replies[-1]))
    return [_checked(left) if left < 0 else left + before for left in replies[1:-1]], after - before + 1


def _milliseconds(time):
    return int(time[0]) * 1000 + int(time[1]) // 1000


def read_values(node, items):
    """The values of [(key, type), ...] in that order; None for a key that is gone."""
    values = []
    for at in range(0, len(items), BATCH_VALUES):
        values += _read_batch(node, items[at:at + BATCH_VALUES])
    return values


def _read_batch(node, items):
    whole_streams = _has_full_stream_info(node)
    plan = [_commands(key, kind, whole_streams) for key, kind in items]
    replies = node.connection.pipeline([command for commands in plan for command in commands])
    values, at = [], 0
    for (key, kind), commands in zip(items, plan):
        mine = replies[at:at + len(commands)]
        at += len(commands)
        values.append(_value(node, key, kind, mine, whole_streams))
    _add_field_expiries(node, items, values)
    return values


def _has_full_stream_info(node):
    return node.version >= ("redis", (6, 0, 0))   # and every Valkey, which sorts after it


def _commands(key, kind, whole_streams):
    if kind == "string":
        return [(b"GET", key)]
    if kind == "list":
        return [(b"LRANGE", key, b"0", b"-1")]
    if kind == "set":
        return [(b"SMEMBERS", key)]
    if kind == "hash":
        return [(b"HGETALL", key)]
    if kind == "zset":
        return [(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")]
    if kind == "stream":
        if whole_streams:
            return [(b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0")]
        return [(b"XRANGE", key, b"-", b"+"), (b"XINFO", b"STREAM", key)]
    if kind == "none":
        return []
    return [(b"DUMP", key)]


def _value(node, key, kind, replies, whole_streams):
    if not replies:
        return None
    first = replies[0]
    if isinstance(first, wire.ReplyError):
        if kind == "stream" and "no such key" in str(first):
            return None
        # The type of a key may have changed since TYPE was asked.
        if first.code == "WRONGTYPE":
            return None
        raise first
    if first is None:
        return None
    if kind == "string":
        return first
    if kind == "list":
        return first or None
    if kind == "set":
        return sorted(first) or None
    if kind == "hash":
        return [(field, value, None) for field, value in sorted(zip(first[::2], first[1::2]))] or None
    if kind == "zset":
        pairs = [(member, float(score)) for member, score in zip(first[::2], first[1::2])]
        return sorted(pairs, key=lambda pair: (pair[1], pair[0])) or None
    if kind == "stream":
        if whole_streams:
            return _stream_from_full(first)
        return read_stream_in_steps(node.connection, key, first, _checked(replies[1]))
    return Opaque(first[:-DUMP_FOOTER])


def _add_field_expiries(node, items, values):
    hashes = [at for at, (_, kind) in enumerate(items) if kind == "hash" and values[at]]
    if not hashes or not node.has_command("HPEXPIRETIME"):
        return
    commands = [(b"HPEXPIRETIME", items[at][0], b"FIELDS", len(values[at]), *[field for field, _, _ in values[at]])
                for at in hashes]
    for at, reply in zip(hashes, node.connection.pipeline(commands)):
        if reply is None or isinstance(reply, wire.ReplyError):
            values[at] = None
            continue
        fields = [(field, value, None if expiry == NO_EXPIRY else expiry)
                  for (field, value, _), expiry in zip(values[at], reply) if expiry != GONE]
        values[at] = fields or None


def _dict(reply):
    return dict(zip(reply[::2], reply[1::2]))


def _stream_from_full(reply):
    """From XINFO STREAM key FULL COUNT 0 (6.0 and later)."""
    full = _dict(reply)
    stream = {"entries": [(entry[0].decode(), entry[1] or []) for entry in full[b"entries"]],
              "last_id": full[b"last-generated-id"].decode(), "groups": []}
    if b"entries-added" in full:
        stream["max_deleted_id"] = full[b"max-deleted-entry-id"].decode()
        stream["entries_added"] = full[b"entries-added"]
    for group in map(_dict, full[b"groups"]):
        made = {"name": group[b"name"], "last_id": group[b"last-delivered-id"].decode(),
                "consumers": sorted(_dict(consumer)[b"name"] for consumer in group[b"consumers"]),
                "pel": [(entry[0].decode(), entry[1], entry[3]) for entry in group[b"pending"]]}   # ordered by id
        if b"entries-read" in group:
            made["entries_read"] = group[b"entries-read"]
        stream["groups"].append(made)
    stream["groups"].sort(key=lambda group: group["name"])
    return stream


def read_stream_in_steps(connection, key, entries, info):
    """The same from XRANGE, XINFO and XPENDING: what 5.0 has."""
    stream = {"entries": [(entry[0].decode(), entry[1]) for entry in entries],
              "last_id": _dict(info)[b"last-generated-id"].decode(), "groups": []}
    for group in map(_dict, connection.call("XINFO", "GROUPS", key)):
        name = group[b"name"]
        consumers = connection.call("XINFO", "CONSUMERS", key, name)
        pending = connection.call("XPENDING", key, name, "-", "+", max(group[b"pending"], 1))
        stream["groups"].append({"name": name, "last_id": group[b"last-delivered-id"].decode(),
                                 "consumers": sorted(_dict(consumer)[b"name"] for consumer in consumers),
                                 "pel": [(entry[0].decode(), entry[1], entry[3]) for entry in pending]})
    stream["groups"].sort(key=lambda group: group["name"])
    return stream


def _checked(reply):
    if isinstance(reply, wire.ReplyError):
        raise reply
    return reply


# -- comparing ----------------------------------------------------------------------------------------------------------

def difference(kind, left, right):
    """What distinguishes two values of one type, as a short text; None when they mean the same."""
    if left == right:
        return None
    if left is None or right is None:
        return f"{_short(left)} and {_short(right)}"
    if kind == "hash":
        return _difference_of_maps("field", {f: (v, e) for f, v, e in left}, {f: (v, e) for f, v, e in right})
    if kind == "zset":
        return _difference_of_maps("member", dict(left), dict(right))
    if kind == "set":
        return _difference_of_maps("member", dict.fromkeys(left), dict.fromkeys(right))
    if kind == "list":
        return _difference_of_lists("element", left, right)
    if kind == "stream":
        return _difference_of_streams(left, right)
    at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    return f"{len(left)} and {len(right)} bytes, first difference at byte {at}: {_short(left[at:])} and {_short(right[at:])}"


def _difference_of_maps(what, left, right):
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            return f"{what} {_short(name)} only in the source"
        if name not in left:
            return f"{what} {_short(name)} only in the target"
        if left[name] != right[name]:
            return f"{what} {_short(name)}: {_short(left[name])} and {_short(right[name])}"
    return None


def _difference_of_lists(what, left, right):
    for at, (one, other) in enumerate(zip(left, right)):
        if one != other:
            return f"{what} {at}: {_short(one)} and {_short(other)}"
    return None if len(left) == len(right) else f"{len(left)} and {len(right)} of {what}"


def _difference_of_streams(left, right):
    for name in ("last_id", "max_deleted_id", "entries_added"):
        if name in left and name in right and left[name] != right[name]:
            return f"{name}: {left[name]} and {right[name]}"
    found = _difference_of_lists("entry", left["entries"], right["entries"])
    if found:
        return found
    mine, theirs = ({group["name"]: group for group in side["groups"]} for side in (left, right))
    if mine.keys() != theirs.keys():
        return _difference_of_maps("group", dict.fromkeys(mine), dict.fromkeys(theirs))
    for name, group in sorted(mine.items()):
        other = theirs[name]
        for detail in ("last_id", "entries_read", "consumers", "pel"):
            if detail in group and detail in other and group[detail] != other[detail]:
                return f"group {_short(name)}, {detail}: {_short(group[detail])} and {_short(other[detail])}"
    return None


def _short(value):
    text = repr(value)
    return text if len(text) <= DETAIL_BYTES else text[:DETAIL_BYTES] + "..."


# -- the JSON form of the fixtures --------------------------------------------------------------------------------------

def text_form(data):
    """A string: printable ASCII as it is, anything else in base64, a long one as its hash."""
    if len(data) > LONGEST_INLINE:
        return {"sha256": hashlib.sha256(data).hexdigest(), "len": len(data)}
    if all(0x20 <= byte <= 0x7e for byte in data):
        return data.decode()
    return {"b64": base64.b64encode(data).decode()}


def bytes_of_text_form(form):
    """The other way round, for keys; a hashed string has no way back."""
    return form.encode() if isinstance(form, str) else base64.b64decode(form["b64"])


def score_form(score):
    return "%.17g" % score


def json_form(kind, value):
    """A value as it stands in the fixtures' expected*.jsonl."""
    if isinstance(value, Opaque):
        return {"dump": text_form(value)}
    if kind == "string":
        return text_form(value)
    if kind in ("list", "set"):
        return [text_form(element) for element in value]
    if kind == "hash":
        return [[text_form(field), text_form(data)] + ([] if expiry is None else [expiry]) for field, data, expiry in value]
    if kind == "zset":
        return [[text_form(member), score_form(score)] for member, score in value]
    stream = {"entries": [[entry_id, [text_form(part) for part in parts]] for entry_id, parts in value["entries"]],
              "last_id": value["last_id"]}
    for name in ("max_deleted_id", "entries_added"):
        if name in value:
            stream[name] = value[name]
    stream["groups"] = []
    for group in value["groups"]:
        made = {"name": text_form(group["name"]), "last_id": group["last_id"]}
        if "entries_read" in group:
            made["entries_read"] = group["entries_read"]
        made["consumers"] = [text_form(name) for name in group["consumers"]]
        made["pel"] = [[entry_id, text_form(consumer), deliveries] for entry_id, consumer, deliveries in group["pel"]]
        stream["groups"].append(made)
    return stream


def same_json_form(kind, left, right):
    """Do two values in JSON form mean the same? Scores are compared as numbers, streams by what both sides have."""
    if left == right:
        return True
    if kind == "zset":
        return _numeric_scores(left) == _numeric_scores(right)
    if kind == "stream":
        return _common_stream(left, right) == _common_stream(right, left)
    return False


def _numeric_scores(members):
    # repr() of the name: it is a text or a dict.
    return sorted((float(score), repr(name)) for name, score in members)


def _common_stream(stream, other):
    common = {name: stream[name] for name in stream.keys() & other.keys() if name != "groups"}
    theirs = {repr(group["name"]): group for group in other["groups"]}
    common["groups"] = []
    for group in stream["groups"]:
        names = group.keys() & theirs.get(repr(group["name"]), group).keys()
        common["groups"].append({name: group[name] for name in names})
    return common


def as_replicated(value):
    """The value less what the command stream does not carry exactly, so that a replica of the same version differs from
    its master in it too: a stream group's entries_read (7.0 and later), its consumers without pending entries (7.2
    and later)."""
    if not isinstance(value, dict) or "groups" not in value:
        return value
    groups = []
    for group in value["groups"]:
        waiting = {consumer for _, consumer, _ in group["pel"]}
        groups.append({name: part for name, part in group.items() if name not in ("entries_read", "consumers")}
                      | {"consumers": sorted(waiting)})
    return value | {"groups": groups}
