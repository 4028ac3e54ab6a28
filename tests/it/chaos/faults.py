"""The faults of a chaos run, by name. Each is a function (chaos) that does it and undoes it; chaos.rng, which is its own, is its only source of chance.

Each leaves both sides whole: what is lost is keyferry's to mend. How long something lasts is counted in units of the writer, or ends with what it is to
bring about, never with seconds."""

import os

FAULTS = {}

# What has not been through many faults yet: those that need it are left out, unless KEYFERRY_CHAOS_ALL is set.
#   rollback   to send again what a target has lost that fails over
#   handover   to follow slots that move between masters of the source
PENDING = set() if os.environ.get("KEYFERRY_CHAOS_ALL") else {"rollback", "handover"}


def fault(*scenes, needs=None):
    """In which scenes it may happen; none named: in all."""
    def add(function):
        FAULTS[function.__name__] = (function, scenes, needs)
        return function
    return add


def of_scene(name):
    """The faults of a scene, by name."""
    # Imported here, for they register themselves with what is above.
    from . import keyferry_faults, server_faults, way_faults  # noqa: F401 pylint: disable=import-outside-toplevel,unused-import
    return {fault_name: function for fault_name, (function, scenes, needs) in FAULTS.items()
            if (not scenes or name in scenes) and needs not in PENDING}
