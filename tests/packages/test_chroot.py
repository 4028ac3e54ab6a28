"""The Debian package in systems of its own, made of a mirror of Debian by mmdebstrap; root is needed."""

import os
import pathlib
import re
import shutil

import pytest

from conftest import LINTIAN, MIRROR, RELEASE, ROOT, run

NEXT_RELEASE = "trixie"
OLDER = "0.0.9"
ARCHITECTURE = run("dpkg", "--print-architecture").stdout.strip() if shutil.which("dpkg") else ""
# Beside the package, for the services' script: something to copy, something to ask with.
FOR_THE_SCRIPT = ("systemd-sysv", "dbus", "procps", "redis-server", "curl", "jq")
# What dpkg, apt and systemd write for themselves.
OF_THE_SYSTEM = ("var/lib/dpkg", "var/lib/apt", "var/lib/systemd", "var/cache", "var/log", "usr/share/mime", "etc/ld.so.cache")
ACCOUNTS = {f"etc/{name}" for name in ("passwd", "group", "shadow", "gshadow")}

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="chroots need root"),
              pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="no mmdebstrap here")]


class Chroot:
    """A system in a folder; its programs have process ids and mounts of their own."""

    def __init__(self, root):
        self.root = root

    def run(self, *argv, **more):
        inside = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *argv)
        return run("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc", "chroot", self.root, *inside, **more)

    def path(self, name):
        return self.root / name.lstrip("/")

    def take(self, path):
        """A file of ours, in /tmp of the system; its name there."""
        shutil.copy(path, self.path("/tmp"))
        return f"/tmp/{path.name}"

    def files(self):
        """{path: what it is}, without what the system writes for itself; users are compared apart."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            here = pathlib.Path(folder)
            folders[:] = [name for name in folders if (here / name).relative_to(self.root).as_posix() not in (*OF_THE_SYSTEM, "proc", "sys", "dev", "tmp", "run")]
            for name in folders + names:
                path = here / name
                what = path.lstat()
                inner = path.relative_to(self.root).as_posix()
                if inner.rstrip("-") not in ACCOUNTS and inner not in OF_THE_SYSTEM:
                    found[inner] = (oct(what.st_mode), what.st_uid, what.st_gid, 0 if path.is_dir() else what.st_size)
        return found


def make_chroot(folder, release, packages):
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", release, folder, MIRROR)
    return Chroot(folder)


@pytest.fixture(name="base", scope="module")
def base_fixture(tmp_path_factory):
    """A small system with systemd, the libraries that the package wants, and servers to try it on."""
    wanted = run("dpkg-deb", "-f", build(tmp_path_factory.mktemp("first")), "Depends").stdout
    packages = [word.strip().split()[0] for word in wanted.split(",")]
    return make_chroot(tmp_path_factory.mktemp("base") / "root", RELEASE, [*FOR_THE_SCRIPT, *packages])


@pytest.fixture(name="system")
def system_fixture(base, tmp_path):
    copied = tmp_path / "root"
    run("cp", "-a", base.root, copied)
    try:
        yield Chroot(copied)
    finally:
        shutil.rmtree(copied, ignore_errors=True)


BUILT = {}


def build(folder, **more):
    """The package, built once in a session unless it is to be another one."""
    if more or "package" not in BUILT:
        run(ROOT / "tools/build-deb", folder, **more)
        (package,) = folder.glob("keyferry_*.deb")
        if more:
            return package
        BUILT["package"] = package
    return BUILT["package"]


@pytest.fixture(name="package", scope="module")
def package_fixture(tmp_path_factory):
    return build(tmp_path_factory.mktemp("package"))


def copy_tree(folder):
    """The sources as an export of them would be: without what tells git of them."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns("build*", ".git", ".cache", "__pycache__", "fixtures", "corpus"))
    shutil.copy(ROOT / "tools/build-deb", folder / "tools/build-deb")


def empty_dpkg(folder):
    """A place for dpkg to look where nothing is installed."""
    (folder / "dpkg").mkdir()
    (folder / "dpkg/status").touch()
    return folder / "dpkg"


@pytest.fixture(name="older", scope="module")
def older_fixture(version, tmp_path_factory):
    """The same sources with an older number."""
    folder = tmp_path_factory.mktemp("older")
    copy_tree(folder / "tree")
    for name, number in (("meson.build", f"version: '{version}'"), ("debian/changelog", f"keyferry ({version})")):
        text = (folder / "tree" / name).read_text()
        assert number in text, name
        (folder / "tree" / name).write_text(text.replace(number, number.replace(version, OLDER), 1))
    run(folder / "tree/tools/build-deb", folder / "built")
    shutil.rmtree(folder / "tree")
    return folder / f"built/keyferry_{OLDER}_{ARCHITECTURE}.deb"


@pytest.mark.timeout(3600)
def test_two_builds_are_the_same(package, tmp_path):
    """Another folder, time zone, language and umask, another time of day."""
    second = build(tmp_path / "somewhere/else", environment={"TZ": "Asia/Shanghai", "LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, umask=0o077)
    assert second.read_bytes() == package.read_bytes()


# -- one system's life ---------------------------------------------------------------------------------------------------

def run_a_task(system):
    """As the service does it: as its user, with the default work directory. Files at both ends, so that no server is needed."""
    system.path("/etc/keyferry/small.yaml").write_text("name: small\nsource: {mode: rdb, path: /tmp/dump.rdb}\n"
                                                       "target: {mode: jsonl, path: /var/lib/keyferry/small.jsonl}\n")
    # Version 9, "key" = "value", checksums off.
    system.path("/tmp/dump.rdb").write_bytes(b"REDIS0009\xfe\x00\x00\x03key\x05value\xff" + bytes(8))
    done = system.run("setpriv", "--reuid=keyferry", "--regid=keyferry", "--clear-groups", "keyferry", "sync", "/etc/keyferry/small.yaml")
    assert '"key"' in system.path("/var/lib/keyferry/small.jsonl").read_text(), done.stderr
    assert system.path("/var/lib/keyferry/small/task.json").exists()


def service_user(system):
    (line,) = [line for line in system.path("/etc/passwd").read_text().splitlines() if line.startswith("keyferry:")]
    return line


@pytest.mark.timeout(3600)
def test_install_upgrade_remove_purge(system, package, older, version):
    before = system.files()

    system.run("dpkg", "-i", system.take(older))
    assert system.run("keyferry", "version").stdout.startswith(f"keyferry {OLDER}\n")
    user = service_user(system)
    assert user.endswith(":/var/lib/keyferry:/usr/sbin/nologin")
    uid, gid = (int(part) for part in user.split(":")[2:4])
    assert [(oct(what.st_mode), what.st_uid, what.st_gid) for what in (system.path(name).stat() for name in ("/etc/keyferry", "/var/lib/keyferry"))] == [
        ("0o40750", 0, gid), ("0o40750", uid, gid)]
    verified = system.run("systemd-analyze", "verify", "--man=no", "keyferry@orders.service")
    assert "keyferry" not in verified.stderr, verified.stderr
    run_a_task(system)
    wants = "etc/systemd/system/multi-user.target.wants"
    links = {f"{wants}/keyferry.service", f"{wants}/keyferry@small.service"}
    # Whether a machine runs the daemon decides its operator.
    assert not any(system.path(link).is_symlink() for link in links)
    system.run("systemctl", "enable", "keyferry", "keyferry@small")
    assert all(system.path(link).is_symlink() for link in links)
    system.path("/etc/keyferry/serve.yaml").write_text("listen: 127.0.0.1:7281\n")

    installed = system.files()
    system.run("dpkg", "-i", system.take(package))
    status = system.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", "keyferry").stdout
    assert status == f"installed {version}"
    assert system.run("keyferry", "version").stdout.startswith(f"keyferry {version}\n")
    assert set(system.files()) == set(installed) and service_user(system) == user
    # What is the operator's, and what the tasks keep, is as it was.
    kept = ("etc/keyferry/", "var/lib/keyferry/", "etc/systemd/")
    assert {name: what for name, what in system.files().items() if name.startswith(kept)} == {
        name: what for name, what in installed.items() if name.startswith(kept)}
    run_a_task(system)

    system.run("dpkg", "-r", "keyferry")
    left = set(system.files()) - set(before)
    assert {name for name in left if not name.startswith(("etc/keyferry", "var/lib/keyferry"))} == links
    assert {"etc/keyferry/small.yaml", "etc/keyferry/serve.yaml", "var/lib/keyferry/small/task.json"} <= left

    system.run("dpkg", "-P", "keyferry")
    # The operator's own stays; without it the folder goes.
    assert set(system.files()) - set(before) == {"etc/keyferry", "etc/keyferry/small.yaml"}
    assert service_user(system) == user

    system.run("dpkg", "-i", system.take(package))
    system.path("/etc/keyferry/small.yaml").unlink()
    system.run("dpkg", "-P", "keyferry")
    assert system.files() == before


@pytest.mark.timeout(3600)
def test_install_in_place_of_a_users_folders(system, package):
    """Folders that were there already keep what they hold."""
    for name in ("/etc/keyferry", "/var/lib/keyferry"):
        system.path(name).mkdir()
        (system.path(name) / "mine").write_text("x")
    system.run("dpkg", "-i", system.take(package))
    assert [(system.path(name) / "mine").read_text() for name in ("/etc/keyferry", "/var/lib/keyferry")] == ["x", "x"]
    assert oct(system.path("/etc/keyferry").stat().st_mode) == "0o40750"


# -- under systemd -------------------------------------------------------------------------------------------------------

def boot(system, script):
    """The system, booted in a container without a network but loopback; it runs the script and ends. Returns {name: value} of what the script has told."""
    shutil.copy(ROOT / "tests/packages" / script, system.path("/srv/script"))
    system.path("/etc/systemd/system/script.service").write_text("[Unit]\nAfter=dbus.service\n[Service]\nType=oneshot\nExecStart=/srv/script\n"
                                                                 "ExecStopPost=/bin/systemctl poweroff --no-block\n")
    system.path("/etc/systemd/system/multi-user.target.wants/script.service").symlink_to("/etc/systemd/system/script.service")
    done = run("unshare", "--mount", "systemd-nspawn", "--register=no", "--keep-unit", "--private-network", "--boot", "-D", system.root, check=False, timeout=600)
    told = system.path("/srv/told")
    if not told.exists():
        pytest.skip(f"systemd does not boot in a container here: {(done.stdout + done.stderr)[-300:]}")
    return dict(line.split("=", 1) for line in told.read_text().splitlines()), system.path("/srv/log").read_text()


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not shutil.which("systemd-nspawn"), reason="no systemd-nspawn here")
def test_services(system, package, older, version):
    """The units, confined as they are: what they are for works, a crash and an upgrade interrupt nothing that need not be, and what is kept is kept."""
    system.run("dpkg", "-i", system.take(older))
    shutil.copy(package, system.path("/srv/newer.deb"))
    told, log = boot(system, "service_script")
    assert told == {
        "daemon, installed": "inactive disabled",
        "daemon": "active keyferry",
        "task copies": "yes",
        "worker": "keyferry",
        "files of others": "0",
        "task verified": "0",
        "daemon reloads": "active",
        "worker after a crash": "the same",
        "copied": "yes",
        "user": "keyferry",
        "after a crash": "active",
        "document": "failed 2 0",     # state, exit code, how often it was started again
        "priorities": "3",            # of the line that says why a task has ended, in the journal
        "source away": "again 4",
        "older daemon": "runs",
        "upgrade": "0",
        "single task after an upgrade": "active, another process",
        "daemon after an upgrade": f"the same process, {version}",
        "worker after an upgrade": f"the same process, {OLDER}",
        "copied by the older and the newer": "yes",
        "left alone": "failed inactive",
        "worker after a restart": version,
        "workers of a stopped daemon": "0",
        "stopped daemon after an upgrade": "inactive enabled",
        "resumed by itself": "yes",
        "snapshots in all": "2",      # one for each task, whatever has happened
        "verified": "0",
        "removed": "inactive inactive 0",
        "installed again": "enabled enabled",
        "snapshots in the end": "2",
        "purged": "inactive inactive 0 0",
    }, log


# -- the next Debian -----------------------------------------------------------------------------------------------------

@pytest.mark.timeout(3600)
def test_source_package_builds_on_the_next_release(tmp_path, version):
    """lintian has nothing to say of it, and there, where compiler and debhelper are newer, it builds with what its control file asks for and no more."""
    copy_tree(tmp_path / "tree")
    run(tmp_path / "tree/tools/build-deb", "--source", tmp_path / "made")
    (changes,) = (tmp_path / "made").glob("*_source.changes")
    assert run(*LINTIAN, changes, check=False).stdout == ""
    needed = run("dpkg-checkbuilddeps", "--admindir", empty_dpkg(tmp_path), tmp_path / "tree/debian/control", check=False).stderr
    needed = needed.split("dependencies:")[1]
    # Of alternatives the first.
    packages = re.sub(r"\([^)]*\)|\| \S+", "", needed).replace("debhelper-compat", "debhelper").split()
    system = make_chroot(tmp_path / "root", NEXT_RELEASE, ["fakeroot", *(name.removesuffix(":native") for name in packages if not name.startswith("dh-sequence-"))])
    try:
        for path in (tmp_path / "made").iterdir():
            system.take(path)
        system.run("sh", "-c", "cd /tmp && dpkg-source -x keyferry_*.dsc /tmp/source && cd /tmp/source && dpkg-buildpackage -b -us -uc")
        system.run("sh", "-c", f"dpkg -x /tmp/keyferry_{version}_*.deb /unpacked")
        assert system.run("/unpacked/usr/bin/keyferry", "version").stdout.startswith(f"keyferry {version}\n")
        assert system.path("/unpacked/usr/lib/systemd/system/keyferry@.service").exists()
    finally:
        shutil.rmtree(system.root, ignore_errors=True)
