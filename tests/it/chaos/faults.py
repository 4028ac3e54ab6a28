"""The faults of a chaos run. Each is a function (chaos) that does it and undoes it; chaos.rng is its only source of chance.

Each leaves both sides whole: what is lost is keyferry's to mend. How long something lasts is counted in units of the writer, never in seconds."""

FAULTS = {}


def fault(*scenes):
    """In which scenes it may happen; none named: in all."""
    def add(function):
        FAULTS[function.__name__] = (function, scenes)
        return function
    return add


def of_scene(name):
    """The faults of a scene, by name."""
    return {fault_name: function for fault_name, (function, scenes) in FAULTS.items() if not scenes or name in scenes}


# ---- keyferry ----

@fault()
def keyferry_killed(chaos):
    chaos.ferry.kill()
    chaos.write(chaos.rng.randrange(300))
    chaos.ferry.start()


@fault()
def keyferry_killed_again_and_again(chaos):
    for _ in range(3):
        chaos.ferry.kill()
        chaos.ferry.start()
        chaos.write(chaos.rng.randrange(100))


@fault()
def keyferry_stopped(chaos):
    assert chaos.ferry.stop() == 0
    chaos.write(chaos.rng.randrange(300))
    chaos.ferry.start()


@fault()
def keyferry_frozen(chaos):
    chaos.ferry.process.pause()
    chaos.write(chaos.rng.randrange(100, 3000))
    chaos.ferry.process.resume()


# ---- connections ----

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


@fault("standalone")
def way_cut(chaos):
    chaos.scene.ways[chaos.rng.choice(["source", "target"])].cut(reset=chaos.rng.random() < 0.5)


@fault("standalone")
def way_slow_then_cut(chaos):
    """Much is under way when the connection ends."""
    way = chaos.scene.ways[chaos.rng.choice(["source", "target"])]
    way.delay(0.05)
    chaos.write(chaos.rng.randrange(100, 500))
    way.cut(reset=chaos.rng.random() < 0.5)
    way.delay(0)


@fault("standalone")
def way_stalled(chaos):
    way = chaos.scene.ways[chaos.rng.choice(["source", "target"])]
    way.stall()
    chaos.write(chaos.rng.randrange(100, 2000))
    way.resume()


# ---- servers ----

@fault()
def target_frozen(chaos):
    """Shorter than a cluster takes to fail over."""
    node = chaos.rng.choice(chaos.scene.target_masters())
    node.pause()
    chaos.write(chaos.rng.randrange(100, 1000))
    node.resume()


@fault()
def target_killed(chaos):
    node = chaos.rng.choice(chaos.scene.target_masters())
    node.restart(kill=True)
    if chaos.scene.clusters:
        chaos.scene.target.wait_ok()


# ---- clusters ----

@fault("clusters")
def source_failover(chaos):
    source = chaos.scene.source
    source.wait_ok()
    source.failover(source.replicas(chaos.rng.choice(source.masters()))[0])


@fault("clusters")
def target_failover(chaos):
    target = chaos.scene.target
    target.wait_ok()
    target.failover(target.replicas(chaos.rng.choice(target.masters()))[0])


@fault("clusters")
def target_slots_moved(chaos):
    target = chaos.scene.target
    target.wait_ok()
    for _ in range(3):
        slot = chaos.rng.choice(chaos.used_slots())
        receivers = [node for node in target.masters() if node is not target.owner(slot)]
        target.move_slot(slot, chaos.rng.choice(receivers))
