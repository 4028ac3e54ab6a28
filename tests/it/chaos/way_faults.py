"""Connections are ended by the servers, and the ways between keyferry and the servers are cut, slow, silent and closed."""

from .faults import fault

WITH_WAYS = ("standalone", "clusters")
SLOW_SECONDS = 0.05


@fault()
def source_connections_killed(chaos):
    chaos.rng.choice(chaos.scene.source_masters()).command("CLIENT", "KILL", "TYPE", "replica")


@fault()
def target_connections_killed(chaos):
    """Those of keyferry, of one node or of all."""
    masters = chaos.scene.target_masters()
    for node in masters if chaos.rng.random() < 0.5 else [chaos.rng.choice(masters)]:
        for line in node.command("CLIENT", "LIST").decode().splitlines():
            fields = dict(field.partition("=")[::2] for field in line.split())
            if fields.get("name", "").startswith("keyferry:"):
                node.client().execute_command("CLIENT", "KILL", "ID", fields["id"], "SKIPME", "no")


def some_ways(chaos):
    """To one node of a side, or to all of them."""
    side = chaos.rng.choice(["source", "target"])
    ways = chaos.scene.ways_to(side)
    if chaos.rng.random() < 0.6:
        ways = [chaos.rng.choice(ways)]
    chaos.say(f"of the {side}: {', '.join(way.server.name for way in ways)}")
    return ways


@fault(*WITH_WAYS)
def way_cut(chaos):
    reset = chaos.rng.random() < 0.5
    for way in some_ways(chaos):
        way.cut(reset=reset)


@fault(*WITH_WAYS)
def way_slow_then_cut(chaos):
    """Much is under way when the connection ends."""
    ways, reset = some_ways(chaos), chaos.rng.random() < 0.5
    for way in ways:
        way.delay(SLOW_SECONDS)
    chaos.write(chaos.rng.randrange(100, 500))
    for way in ways:
        way.cut(reset=reset)
        way.delay(0)


@fault(*WITH_WAYS)
def way_cut_at_one_end(chaos):
    """The other end does not hear of it. What keyferry had sent arrives late, after it has come back."""
    ways, end = some_ways(chaos), chaos.rng.choice(["client", "server"])
    slow = chaos.rng.choice([SLOW_SECONDS, 10 * SLOW_SECONDS])
    chaos.say(f"the end of the {end}, {slow} s late")
    for way in ways:
        way.delay(slow)
    chaos.write(chaos.rng.randrange(100, 500))
    for way in ways:
        way.cut_one_end(end)
    chaos.write(chaos.rng.randrange(100, 1000))
    for way in ways:
        way.delay(0)


@fault(*WITH_WAYS)
def way_silent(chaos):
    """Nothing passes, but connections stay; sometimes for longer than keyferry bears."""
    ways, units = some_ways(chaos), chaos.rng.choice([300, 1500, 7000])
    chaos.say(f"for {units} units")
    for way in ways:
        way.stall()
    chaos.write(units)
    for way in ways:
        way.resume()


@fault(*WITH_WAYS)
def way_closed(chaos):
    """Nobody listens for a while."""
    ways = some_ways(chaos)
    for way in ways:
        way.refuse()
    chaos.write(chaos.rng.randrange(100, 2000))
    for way in ways:
        way.resume()
