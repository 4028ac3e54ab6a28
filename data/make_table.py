#!/usr/bin/python3
"""Joins commands.json and facts.json into the C table of src/wire/command.c: make_table.py COMMANDS FACTS OUTPUT.

Fails when a fact names a command that does not exist, or when a command whose keys depend on the arguments has no rule."""

import json
import sys

FLAG_OF_FACT = {
    "replay_safe": "COMMAND_REPLAY_SAFE",
    "replay_safe_forms": "COMMAND_REPLAY_SAFE_FORMS",
    "split": "COMMAND_SPLIT",
    "all_nodes": "COMMAND_ALL_NODES",
    "any_node": "COMMAND_ANY_NODE",
    "script": "COMMAND_SCRIPT",
    "relative_expiry": "COMMAND_RELATIVE_EXPIRY",
    "expiry": "COMMAND_EXPIRY",
    "renames": "COMMAND_RENAMES",
    "other_database": "COMMAND_OTHER_DATABASE",
    "later_forms": "COMMAND_LATER_FORMS",
}
FLAG_OF_SERVER = {"write": "COMMAND_WRITE", "denyoom": "COMMAND_DENYOOM", "movablekeys": "COMMAND_MOVABLE_KEYS"}
OTHER_FACTS = {"about", "left_out", "added", "since", "movable_keys", "groups"}


def fnv(name):
    """The hash of command.c: FNV-1a over bytes with bit 5 set, so that the case of letters does not matter, and with a bar before
    the sub-command, so that "xgroup create" as one word is not found."""
    value = 0x811C9DC5
    for byte in name.replace(" ", "|").encode():
        value = ((value ^ (byte | 0x20)) * 0x01000193) & 0xFFFFFFFF
    return value


def version(text):
    if text is None:
        return 0
    major, minor, patch = map(int, text.split("."))
    return major << 16 | minor << 8 | patch


def load(commands_path, facts_path):
    with open(commands_path, encoding="utf-8") as file:
        rows = {row["name"]: row for row in json.load(file)}
    with open(facts_path, encoding="utf-8") as file:
        facts = json.load(file)
    if unknown := set(facts) - set(FLAG_OF_FACT) - OTHER_FACTS:
        sys.exit(f"{facts_path}: unknown facts: {', '.join(sorted(unknown))}")
    for row in facts["added"]:
        # A server that has it is better informed.
        rows.setdefault(row["name"], row)
    for name, since in facts["since"].items():
        for family, began in since.items():
            rows[name][f"{family}_since"] = rows[name][f"{family}_since"] or began
    # name -> group, so that it reads like the other facts
    facts["groups"] = {name: group for group, names in facts["groups"].items() for name in names}
    for kind in set(facts) - {"about", "added"}:
        if unknown := set(facts[kind]) - set(rows):
            sys.exit(f"{facts_path}: {kind}: not in {commands_path}: {', '.join(sorted(unknown))}")
    for name in facts["left_out"]:
        del rows[name]
    return [rows[name] for name in sorted(rows)], facts


def c_row(row, facts, containers):
    name = row["name"]
    flags = [FLAG_OF_SERVER[flag] for flag in row["flags"]]
    if name in containers and "COMMAND_MOVABLE_KEYS" in flags:
        flags.remove("COMMAND_MOVABLE_KEYS")  # said by servers that do not list sub-commands
    flags += [flag for fact, flag in FLAG_OF_FACT.items() if name in facts[fact]]
    rule = facts["movable_keys"].get(name)
    if ("COMMAND_MOVABLE_KEYS" in flags) != (rule is not None):
        sys.exit(f"{name}: movable keys need a rule in movable_keys, and only they")
    if "COMMAND_WRITE" in flags and name not in facts["groups"]:
        sys.exit(f"{name}: a command that writes needs a group in groups")
    kind, *numbers = (rule or "range").split()
    first, last, step = row["keys"]
    at = numbers[0] if numbers else 0
    every = numbers[1] if len(numbers) > 1 else 1
    return (f'\t{{.name = "{name}", .name_len = {len(name)}, .arity = {row["arity"]}, .flags = {" | ".join(flags) or 0},\n'
            f"\t .keys = {{{first}, {last}, {step}}}, .key_rule = COMMAND_KEYS_{kind.upper()}, "
            f".key_at = {at}, .key_step = {every},\n"
            f"\t .safe_form = COMMAND_FORM_{facts['replay_safe_forms'].get(name, 'none').upper()}, "
            f".container = {str(name in containers).lower()}, .group = COMMAND_GROUP_{facts['groups'].get(name, 'none').upper()},\n"
            f"\t .redis_since = {version(row['redis_since']):#08x}, .valkey_since = {version(row['valkey_since']):#08x}}},")


def main():
    commands_path, facts_path, output_path = sys.argv[1:]
    rows, facts = load(commands_path, facts_path)
    containers = {row["name"].split(" ")[0] for row in rows if " " in row["name"]}
    size = 1
    while size < len(rows) * 2:
        size *= 2
    places = [None] * size
    for index, row in enumerate(rows):
        value = fnv(row["name"])
        place = value % size
        while places[place]:
            place = (place + 1) % size
        places[place] = (value, index)
    lines = ["/* Made by data/make_table.py from data/commands.json and data/facts.json. */", "",
             f"#define PLACES {size}", "", "static const struct command_info rows[] = {"]
    lines += [c_row(row, facts, containers) for row in rows]
    lines += ["};", "", "static const struct place places[PLACES] = {"]
    lines += [f"\t[{place}] = {{{entry[0]:#010x}, {entry[1] + 1}}}," for place, entry in enumerate(places) if entry]
    lines += ["};"]
    with open(output_path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
