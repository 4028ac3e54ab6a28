"""keyferry itself is killed, stopped, frozen and replaced, and its disk is full."""

import shutil

from bench.waiting import wait_for

from .faults import fault, of_scene

TAKEN_OVER = 8      # exit code


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
    begun, code = chaos.ferry.begun(), chaos.ferry.stop()
    assert code == 0 or not begun, f"keyferry ended with {code}"
    chaos.write(chaos.rng.randrange(300))
    chaos.ferry.start()


@fault()
def keyferry_frozen(chaos):
    chaos.ferry.process.pause()
    chaos.write(chaos.rng.randrange(100, 3000))
    chaos.ferry.process.resume()


@fault()
def keyferry_killed_when_it_wakes_up(chaos):
    """It has just begun to work off what came meanwhile."""
    chaos.ferry.process.pause()
    chaos.write(chaos.rng.randrange(100, 1500))
    chaos.ferry.process.resume()
    chaos.write(chaos.rng.randrange(10))
    chaos.ferry.kill()
    chaos.ferry.start()


@fault()
def work_directory_lost(chaos):
    """It goes on from what the target has."""
    chaos.ferry.kill()
    shutil.rmtree(chaos.ferry.data)
    chaos.write(chaos.rng.randrange(300))
    chaos.ferry.start()


@fault()
def keyferry_taken_over(chaos):
    """Frozen, replaced by a process on another machine, and awake again: one of them stands down. It is the first one, unless that had not come as far as its target
    before it was frozen."""
    old = chaos.ferry
    old.wait_streaming()
    old.process.pause()
    chaos.write(chaos.rng.randrange(300))
    new = chaos.scene.new_ferry().start().wait_streaming()
    chaos.write(chaos.rng.randrange(300))
    old.process.resume()
    wait_for(lambda: not (old.process.running and new.process.running), what="one of two processes to stand down")
    ended, chaos.scene.ferry = (new, old) if old.process.running else (old, new)
    assert ended.process.exit_code == TAKEN_OVER, ended.log_tail()
    chaos.say(f"the {'first' if ended is old else 'second'} one has stood down")
    shutil.rmtree(ended.data)


@fault()
def keyferry_away_meanwhile(chaos):
    """Something happens to a server or a way while it is killed or frozen."""
    names = sorted(name for name in of_scene(chaos.name) if name.startswith(("source_", "target_", "way_")) and name in chaos.faults)
    name, frozen = chaos.rng.choice(names) if names else None, chaos.rng.random() < 0.5
    chaos.say(f"{'frozen' if frozen else 'killed'}, and {name}")
    if frozen:
        chaos.ferry.process.pause()
    else:
        chaos.ferry.kill()
    if name:
        chaos.faults[name](chaos)
    if frozen:
        chaos.ferry.process.resume()
    else:
        chaos.ferry.start()


@fault()
def disk_full(chaos):
    """Of the work directory, until more has come than there was room for; sometimes keyferry is killed before there is room again."""
    chaos.ferry.wait_streaming()
    killed = chaos.rng.random() < 0.3
    chaos.say(f"keyferry is {'' if killed else 'not '}killed meanwhile")
    chaos.scene.disk.fill()
    chaos.flood(chaos.rng.randrange(1, 4))
    chaos.write(chaos.rng.randrange(100, 1000))
    if killed:
        chaos.ferry.kill()
    chaos.scene.disk.free()
    if killed:
        chaos.ferry.start()


@fault()
def backlog_overrun(chaos):
    """It does not read for so long that the source drops it and forgets what it would have to send."""
    frozen = chaos.rng.random() < 0.5
    chaos.say("frozen" if frozen else "killed")
    if frozen:
        chaos.ferry.process.pause()
    else:
        chaos.ferry.kill()
    chaos.flood(chaos.rng.randrange(8, 30) if chaos.scene.clusters else chaos.rng.randrange(3, 12))
    if frozen:
        chaos.ferry.process.resume()
    else:
        chaos.ferry.start()
