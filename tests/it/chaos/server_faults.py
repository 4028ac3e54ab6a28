"""Servers are frozen, killed and restarted; masters change; slots move.

A source that comes back with less than it had, or whose replica lags behind when it takes over, has lost what it acknowledged: what it is then is the truth."""

from bench import atomic
from bench.waiting import wait_for

from .faults import fault


def replica_of(deployment, master):
    """A bench server that follows this master, of a cluster or Sentinel group."""
    return deployment.replicas(master)[0] if hasattr(deployment, "layout") else deployment.replicas[0]


# ---- the source ----

@fault()
def source_frozen(chaos):
    """For as long as it takes keyferry to give the connection up, or a cluster or Sentinels to choose another master."""
    ferry, node = chaos.ferry, chaos.rng.choice(chaos.scene.source_masters())
    if not ferry.process.running or ferry.process.paused:
        return
    chaos.say(node.name)
    ferry.wait_streaming()
    before = sum(link["reconnects"] for link in ferry.status()["links"])
    node.pause()

    def noticed(status):
        return sum(link["reconnects"] for link in status["links"]) > before or not all(link["connected"] for link in status["links"])
    try:
        ferry.wait_status(noticed, what=f"notice of {node.name} being frozen")
    finally:
        node.resume()
    chaos.scene.wait_whole()


@fault()
def source_killed(chaos):
    """It comes back at once: with a log under a new history; with a snapshot, with less than it had."""
    node = chaos.rng.choice(chaos.scene.source_masters())
    chaos.say(node.name)
    if not chaos.scene.source_log:
        node.command("SAVE")
        chaos.write(chaos.rng.randrange(500))
    node.restart(kill=True)
    chaos.scene.wait_whole()


@fault("standalone", "clusters")
def source_restarted(chaos):
    """In order: from 7.0 on the stream goes on where it was."""
    node = chaos.rng.choice(chaos.scene.source_masters())
    chaos.say(node.name)
    node.shutdown(save=True)
    node.start()
    chaos.scene.wait_whole()


@fault("clusters")
def source_failover(chaos):
    """In order: nothing is lost."""
    source = chaos.scene.source
    source.wait_ok()
    source.failover(source.replicas(chaos.rng.choice(source.masters()))[0])


@fault("clusters")
def source_failover_forced(chaos):
    forced_failover(chaos, chaos.scene.source)


@fault("clusters", "sentinels")
def source_killed_for_good(chaos):
    killed_for_good(chaos, chaos.scene.source, chaos.scene.source_masters())


@fault("sentinels")
def source_failover_by_sentinels(chaos):
    chaos.scene.source.wait_ok()
    chaos.scene.source.failover()


@fault("clusters")
def source_slots_moved(chaos):
    slots_moved(chaos, chaos.scene.source)


@fault("clusters")
def source_slots_moved_in_snapshots(chaos):
    """Slots go in both directions between two masters while the snapshots of both are copied."""
    source, ferry = chaos.scene.source, chaos.ferry
    source.wait_ok()
    if not ferry.process.running or ferry.process.paused:
        return
    ferry.wait_streaming()
    masters = chaos.rng.sample(source.masters(), 2)
    chosen = [chaos.rng.choice(found) for node in masters if (found := [slot for slot in chaos.used_slots() if source.owner(slot) is node])]
    units = chaos.rng.choice([0, 100, 400])
    chaos.say(f"of {', '.join(node.name for node in masters)}; slots {chosen}, {units} units under way")
    frozen = chaos.rng.choice(chaos.scene.target_masters())
    frozen.pause()
    try:
        for node in masters:
            begin_new_history(chaos, node)
        moves = [source.begin_slot_move(slot, masters[1] if source.owner(slot) is masters[0] else masters[0]) for slot in chosen]
        for move in moves:
            move.migrate_some(5)
        chaos.write(units)
        for move in moves:
            move.migrate_all().finish()
    finally:
        frozen.resume()
    source.wait_ok()


def begin_new_history(chaos, node):
    """The link has to take a new snapshot. Returns when it has been begun."""
    before = int(node.info("stats")["sync_full"])
    node.command("DEBUG", "CHANGE-REPL-ID")
    node.command("CLIENT", "KILL", "TYPE", "replica")
    # keyferry's, and that of the master's own replica.
    wait_for(lambda: int(node.info("stats")["sync_full"]) >= before + 2, what=f"new snapshots of {node.name}")


@fault("atomic")
def source_slots_handed_over(chaos):
    """By atomic migration: at once; in several jobs; held up while the writer goes on, with keyferry killed meanwhile; given up."""
    source = chaos.scene.source
    source.wait_ok()
    for _ in range(2):
        giver, receiver = chaos.rng.sample(source.masters(), 2)
        slots = [slot for slot in chaos.used_slots() if source.owner(slot) is giver]
        slots = sorted(chaos.rng.sample(slots, chaos.rng.randrange(len(slots)) + 1)) if slots else []
        how, units = chaos.rng.choice(["at once", "in jobs", "held", "held", "given up"]), chaos.rng.choice([0, 100, 400])
        killed = chaos.rng.random() < 0.3
        if not slots:
            continue
        chaos.say(f"slots {slots} from {giver.name} to {receiver.name}, {how}, {units} units under way{', keyferry killed meanwhile' if killed else ''}")
        kill = killed and chaos.ferry.process.running and not chaos.ferry.process.paused
        if how in ("held", "given up"):
            names = atomic.begin_held_move(giver, receiver, slots)
        else:
            names = set().union(*[atomic.begin_move(giver, receiver, some) for some in (([slot] for slot in slots) if how == "in jobs" else [slots])])
        chaos.write(units)
        if kill:
            chaos.ferry.kill()
        if how == "given up":
            giver.command("CLUSTER", "CANCELSLOTMIGRATIONS")
        atomic.hold_end(giver, False)
        chaos.say(f"ended: {', '.join(sorted(atomic.end_of(giver, names)))}")
        source.wait_ok()
        if kill:
            chaos.ferry.start()


# ---- the target ----

@fault()
def target_frozen(chaos):
    """Shorter than a cluster takes to fail over."""
    node = chaos.rng.choice(chaos.scene.target_masters())
    node.pause()
    chaos.write(chaos.rng.randrange(100, 1000))
    node.resume()


@fault("standalone", "clusters")
def target_killed(chaos):
    """Sometimes it is away for a while."""
    node, units = chaos.rng.choice(chaos.scene.target_masters()), chaos.rng.choice([0, 0, 300, 1500])
    chaos.say(f"{node.name}, for {units} units")
    node.kill()
    chaos.write(units)
    node.start()
    chaos.scene.wait_whole()


@fault("standalone", "clusters")
def target_restarted(chaos):
    """In order, as an upgrade does it."""
    node = chaos.rng.choice(chaos.scene.target_masters())
    chaos.say(node.name)
    node.restart()
    chaos.scene.wait_whole()


@fault("standalone", "clusters")
def target_restarted_again_and_again(chaos):
    """All of it is away at once."""
    masters = chaos.scene.target_masters()
    for _ in range(2):
        for node in masters:
            node.kill()
        chaos.write(chaos.rng.randrange(200))
        for node in masters:
            node.launch()
        for node in masters:
            node.wait_ready()
    chaos.scene.wait_whole()


@fault("clusters")
def target_failover(chaos):
    """In order: nothing is lost."""
    target = chaos.scene.target
    target.wait_ok()
    target.failover(target.replicas(chaos.rng.choice(target.masters()))[0])


@fault("clusters")
def target_failover_forced(chaos):
    forced_failover(chaos, chaos.scene.target)


@fault("clusters", "sentinels")
def target_killed_for_good(chaos):
    killed_for_good(chaos, chaos.scene.target, chaos.scene.target_masters())


@fault("sentinels")
def target_failover_by_sentinels(chaos):
    chaos.scene.target.wait_ok()
    chaos.scene.target.failover()


@fault("clusters")
def target_slots_moved(chaos):
    slots_moved(chaos, chaos.scene.target)


# ---- of either side ----

def forced_failover(chaos, cluster):
    """CLUSTER FAILOVER FORCE or TAKEOVER: the replica does not ask its master, which is dead or wakes up to find itself a replica. With a lag it lacks what
    was written since its connection was ended."""
    cluster.wait_ok()
    master = chaos.rng.choice(cluster.masters())
    replica = cluster.replicas(master)[0]
    how, dead, lag = chaos.rng.choice(["FORCE", "TAKEOVER"]), chaos.rng.random() < 0.5, chaos.rng.choice([0, 0, 100, 600])
    chaos.say(f"{how} by {replica.name}, {lag} units behind; {master.name} is {'dead' if dead else 'alive'}")
    if lag:
        replica.pause()
        master.command("CLIENT", "KILL", "TYPE", "replica")
        chaos.write(lag)
    if dead:
        master.kill()
    if lag:
        replica.resume()
    cluster.failover(replica, how)
    if dead:
        master.start()
        cluster.wait_ok()


def killed_for_good(chaos, deployment, masters):
    """A master dies, and comes back when another one has taken its place."""
    deployment.wait_ok()
    node = chaos.rng.choice(masters)
    chaos.say(node.name)
    if hasattr(deployment, "kill_master"):
        deployment.kill_master(node)
    else:
        node.kill()
        deployment.wait_failover(node)
    node.start()
    deployment.wait_ok()


def slots_moved(chaos, cluster):
    """At once, or slowly, with keyferry killed in the middle now and then."""
    cluster.wait_ok()
    for _ in range(3):
        slot = chaos.rng.choice(chaos.used_slots())
        receiver = chaos.rng.choice([node for node in cluster.masters() if node is not cluster.owner(slot)])
        units, killed = chaos.rng.choice([0, 0, 100, 400]), chaos.rng.random() < 0.2
        chaos.say(f"slot {slot} to {receiver.name}, {units} units under way{', keyferry killed meanwhile' if killed else ''}")
        move = cluster.begin_slot_move(slot, receiver)
        move.migrate_some(5)
        chaos.write(units)
        if killed and chaos.ferry.process.running and not chaos.ferry.process.paused:
            chaos.ferry.kill()
            chaos.ferry.start()
        move.migrate_all().finish()
