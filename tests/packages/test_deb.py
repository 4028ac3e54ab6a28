"""The Debian package as it lies there: lintian has nothing to say, and it is made of this version."""

import re

import pytest

from conftest import LINTIAN, ROOT, run


@pytest.fixture(name="built", scope="module")
def built_fixture(tmp_path_factory):
    """The folder that the package was built into."""
    folder = tmp_path_factory.mktemp("deb")
    run(ROOT / "tools/build-deb", folder)
    return folder


@pytest.fixture(name="package", scope="module")
def package_fixture(built, version):
    (package,) = built.glob(f"keyferry_{version}_*.deb")
    return package


def field(package, name):
    return run("dpkg-deb", "-f", package, name).stdout.strip()


@pytest.mark.timeout(900)
def test_lintian_has_nothing_to_say(built):
    (changes,) = built.glob("*.changes")
    done = run(*LINTIAN, changes, check=False)
    assert done.returncode == 0 and done.stdout == "", done.stdout + done.stderr


def test_only_the_packages_are_left(built):
    assert {path.suffix for path in built.iterdir()} == {".deb", ".changes", ".buildinfo"}


def test_version_and_libraries(package, version):
    assert field(package, "Version") == version
    depends = field(package, "Depends")
    assert "systemd-sysusers" in depends and re.search(r"\blibuv1\b", depends) and re.search(r"\blibssl3", depends)
    # What only building needs is not asked of who installs it.
    assert not re.search(r"-dev\b|meson|python|redis", depends)


def test_paths_are_those_of_a_package(package):
    listed = run("dpkg-deb", "-c", package).stdout
    paths = {line.split()[5].removeprefix(".").removeprefix("/usr") for line in listed.splitlines()}
    assert {"/bin/keyferry", "/lib/systemd/system/keyferry@.service", "/lib/sysusers.d/keyferry.conf", "/lib/tmpfiles.d/keyferry.conf", "/etc/keyferry/",
            "/share/man/man1/keyferry.1.gz", "/share/zsh/vendor-completions/_keyferry", "/share/doc/keyferry/docs/options.md"} <= paths
    assert "/usr/local" not in listed


def test_unit_starts_the_packaged_program(package, tmp_path):
    run("dpkg-deb", "-x", package, tmp_path)
    (unit,) = tmp_path.rglob("keyferry@.service")
    assert "ExecStart=/usr/bin/keyferry sync " in unit.read_text()


def test_program_is_hardened(package, tmp_path):
    run("dpkg-deb", "-x", package, tmp_path)
    headers = run("readelf", "-hldW", tmp_path / "usr/bin/keyferry").stdout
    assert "DYN (Position-Independent" in headers and "GNU_RELRO" in headers and "BIND_NOW" in headers
    assert re.search(r"GNU_STACK .* RW ", headers)
    symbols = run("readelf", "-W", "--dyn-syms", tmp_path / "usr/bin/keyferry").stdout
    assert "__stack_chk_fail" in symbols and "__memcpy_chk" in symbols or "__snprintf_chk" in symbols
