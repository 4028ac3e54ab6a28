"""The faults of a chaos run, by name. Each is a function (chaos) that does it and undoes it; chaos.rng, which is its own, is its only source of chance.

Each leaves both sides whole: what is lost is keyferry's to mend. How long something lasts is counted in units of the writer, or ends with what it is to
bring about, never with seconds."""

FAULTS = {}
# A scene in which the faults of another one happen as well.
LIKE = {"atomic": "clusters"}


def fault(*scenes):
    """In which scenes it may happen; none named: in all."""
    def add(function):
        FAULTS[function.__name__] = (function, scenes)
        return function
    return add


def of_scene(name):
    """The faults of a scene, by name."""
    # Imported here, for they register themselves with what is above.
    from . import keyferry_faults, server_faults, way_faults  # noqa: F401 pylint: disable=import-outside-toplevel,unused-import
    return {fault_name: function for fault_name, (function, scenes) in FAULTS.items() if not scenes or {name, LIKE.get(name)} & set(scenes)}
