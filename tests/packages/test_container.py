"""The image of the Containerfile, built from a base that is made here (nothing comes from a registry), and the program in it as a container has it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request

import pytest

from bench.waiting import wait_for
from conftest import MIRROR, RELEASE, ROOT, run

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="chroots need root"),
              pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="no mmdebstrap here"),
              pytest.mark.skipif(not shutil.which("buildah"), reason="no buildah here")]

# Makes the view that a container has in a mount namespace of its own: the image read-only, a volume, /proc; then runs the rest of the words with the user and no right.
CONTAINER = """set -e
root=$1 volume=$2 user=$3 group=$4
shift 4
mount --bind "$root" "$root"
mount --bind "$volume" "$root/var/lib/keyferry"
mount -t proc proc "$root/proc"
mount --bind -o remount,ro,bind "$root"
exec chroot "$root" /usr/bin/setpriv --reuid "$user" --regid "$group" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all /usr/bin/env -i PATH=/usr/bin "$@"
"""


class Image:
    """The built image: its configuration, and a folder with its files."""

    def __init__(self, buildah):
        self.config = json.loads(buildah("inspect", "--type", "image", "keyferry").stdout)["OCIv1"]["config"]
        self.root = buildah("mount", buildah("from", "--pull-never", "keyferry").stdout.strip()).stdout.strip()

    def argv(self, volume, *words):
        """Of a process in a container, its own first one."""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child=TERM", "sh", "-c", CONTAINER, "sh", self.root, str(volume), *self.config["User"].split(":"), *words]

    def keyferry(self, volume, *words):
        return self.argv(volume, *self.config["Entrypoint"], *words)


@pytest.fixture(name="image", scope="module")
def image_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")

    def buildah(*words):
        return run("buildah", "--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs", *words)
    run("mmdebstrap", "--quiet", "--variant=minbase", RELEASE, folder / "base.tar", MIRROR)
    base = buildah("from", "scratch").stdout.strip()
    buildah("add", "--quiet", base, folder / "base.tar", "/")
    buildah("commit", "--quiet", "--rm", base, f"docker.io/library/debian:{RELEASE}-slim")
    (folder / "base.tar").unlink()
    # The network is for apt.
    buildah("build", "--isolation", "chroot", "--network", "host", "--pull-never", "--tag", "keyferry", "--file", ROOT / "Containerfile", ROOT)
    try:
        yield Image(buildah)
    finally:
        with contextlib.suppress(AssertionError):
            buildah("umount", "--all")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(name="volume")
def volume_fixture(image, tmp_path):
    """A new one, as engines make it: with the owner that the folder has in the image."""
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o750)
    os.chown(folder, *(int(number) for number in image.config["User"].split(":")))
    return folder


@pytest.mark.timeout(3600)
def test_program_runs_in_the_image(image, volume, version):
    assert run(*image.keyferry(volume, "version")).stdout.startswith(f"keyferry {version}\n")
    assert run(*image.keyferry(volume, *image.config["Cmd"])).stdout.startswith("keyferry keeps ")


def test_configuration(image):
    user, group = image.config["User"].split(":")
    assert user.isdigit() and int(user) > 0 and group.isdigit() and int(group) > 0
    assert list(image.config["Volumes"]) == [image.config["WorkingDir"]] == ["/var/lib/keyferry"] and image.config["StopSignal"] == "SIGTERM"


def test_nothing_of_building_is_left(image):
    for name in ("usr/bin/gcc", "usr/bin/meson", "src", "build", "image", "packages", "usr/lib/systemd/system/keyferry.service"):
        assert not os.path.lexists(os.path.join(image.root, name)), name
    assert os.listdir(os.path.join(image.root, "var/lib/apt/lists")) == []


def test_view_is_what_it_should_be(image, volume):
    """This test's own container: the user is nobody, and can write to the volume alone."""
    done = run(*image.argv(volume, "/bin/sh", "-c", "id -u; id -G; grep CapEff /proc/self/status; touch /var/lib/keyferry/x && echo volume; touch /usr/x /tmp/x"), check=False)
    user, group = image.config["User"].split(":")
    assert done.stdout.split("\n") == [user, group, "CapEff:\t0000000000000000", "volume", ""]
    assert done.stderr.count("Read-only file system") == 2


def test_daemon(image, volume):
    """It makes its data directory in the volume, answers, copies by a worker, and ends when it is told to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]

    def call(method, path, document=None):
        request = urllib.request.Request(f"http://{address}/api/v1/{path}", method=method, data=json.dumps(document).encode() if document else None,
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def answered(method, path):
        if daemon.poll() is not None:
            raise RuntimeError(f"the daemon has ended with {daemon.poll()}:\n{(volume.parent / 'log').read_text()}")
        return call(method, path)

    # Version 9, "key" = "value", checksums off.
    (volume / "dump.rdb").write_bytes(b"REDIS0009\xfe\x00\x00\x03key\x05value\xff" + bytes(8))
    (volume / "dump.rdb").chmod(0o644)
    with (volume.parent / "log").open("w") as log:
        daemon = subprocess.Popen(image.keyferry(volume, "serve", "--listen", address), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for(lambda: answered("GET", "version"), what="the daemon's answer")
        call("POST", "tasks", {"name": "small", "source": {"mode": "rdb", "path": "/var/lib/keyferry/dump.rdb"}, "target": {"mode": "jsonl", "path": "/var/lib/keyferry/small.jsonl"}})
        call("POST", "tasks/small/start")
        wait_for(lambda: answered("GET", "tasks/small")["state"] == "finished", what="the end of the task")
        assert '"key"' in (volume / "small.jsonl").read_text()
        # The process below unshare, the container's first: nobody else answers for the signals that it gets.
        with open(f"/proc/{daemon.pid}/task/{daemon.pid}/children", encoding="ascii") as children:
            os.kill(int(children.read()), signal.SIGTERM)
        assert daemon.wait(60) == 0, (volume.parent / "log").read_text()
        assert "stopped as asked" in (volume.parent / "log").read_text()
    finally:
        daemon.kill()
        daemon.wait()
    owner = int(image.config["User"].split(":")[0])
    assert {path.stat().st_uid for path in volume.rglob("*") if path.name != "dump.rdb"} == {owner}
