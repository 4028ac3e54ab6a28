"""`make install`, into a folder: what is there, and that the system's own tools take it."""

import os
import re
import shutil
import stat

import pytest
import yaml

from conftest import ROOT, run

PREFIX = "usr/local"
UNITS = f"{PREFIX}/lib/systemd/system"
# systemd-analyze security, tenths of its points; what is left is the network, and code that regular expressions are compiled to.
EXPOSURE_MAX = 12


@pytest.fixture(name="installed", scope="module")
def installed_fixture(program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    run("meson", "install", "-C", program.parents[2], "--no-rebuild", "--destdir", folder)
    prefix = run("meson", "introspect", "--buildoptions", program.parents[2]).stdout
    assert '"/usr/local"' in prefix, "the build folder has another prefix than the tests expect"
    return folder


def commands(program):
    listed = run(program, "help").stdout.split("Commands:\n")[1].split("\n\n")[0]
    return re.findall(r"^  (\S+)", listed, re.M)


# -- what is there -------------------------------------------------------------------------------------------------------

def test_everything_is_installed(installed):
    share = f"{PREFIX}/share"
    pages = {page.stem for page in (ROOT / "man").glob("*.scd")}
    expected = {f"{PREFIX}/bin/keyferry", f"{UNITS}/keyferry.service", f"{UNITS}/keyferry@.service", f"{PREFIX}/lib/sysusers.d/keyferry.conf", f"{PREFIX}/lib/tmpfiles.d/keyferry.conf",
                f"{share}/bash-completion/completions/keyferry.bash", f"{share}/zsh/site-functions/_keyferry",
                f"{share}/fish/vendor_completions.d/keyferry.fish",
                *(f"{share}/doc/keyferry/examples/{name}" for name in ("task.yaml", "serve.yaml", "keyferry.yaml", "keyferry-serve.yaml")),
                f"{share}/keyferry/prometheus/keyferry.rules.yml", f"{share}/keyferry/grafana/keyferry.json",
                *(f"{share}/doc/keyferry/{name}" for name in ("README.md", "README.zh.md", "CHANGELOG.md")),
                *(f"{share}/man/man{page[-1]}/{page}" for page in pages),
                *(f"{share}/doc/keyferry/{path.relative_to(ROOT)}" for path in (ROOT / "docs").rglob("*.md"))}
    found = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert expected - found == set(), "not installed"
    chinese = {name for name in found if name.startswith(f"{share}/man/zh_CN/")}
    assert found - expected - chinese == set(), "installed, and unknown to this test"
    assert len(pages) > 5 and len(found) > 40


def test_modes(installed):
    """The program can be executed by everybody, the rest read."""
    for path in installed.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() or path.parent.name == "bin" else 0o644), f"{path}: {mode:o}"


def test_every_command_has_a_page(installed, program):
    for command in commands(program):
        assert (installed / f"{PREFIX}/share/man/man1/keyferry-{command}.1").exists(), command


def test_pages_are_without_warnings(installed):
    pages = sorted((installed / f"{PREFIX}/share/man").rglob("*.[15]"))
    for page in pages:
        done = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page, environment={"MANROFFSEQ": "", "MANWIDTH": "80"})
        assert done.stderr == "", f"{page.name}: {done.stderr}"


# -- completion ----------------------------------------------------------------------------------------------------------

def complete(installed, *words):
    """What bash offers at the end of a command line."""
    script = installed / f"{PREFIX}/share/bash-completion/completions/keyferry.bash"
    listed = " ".join(f"'{word}'" for word in words)
    done = run("bash", "--norc", "-c", f'. "{script}"; COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _keyferry; printf "%s\\n" "${{COMPREPLY[@]}}"')
    return done.stdout.split()


def test_bash_completes(installed, program):
    assert complete(installed, "keyferry", "") == commands(program)
    assert complete(installed, "keyferry", "ver") == ["verify", "version"]
    assert complete(installed, "keyferry", "sync", "--stop") == ["--stop-when"]
    assert complete(installed, "keyferry", "sync", "--log-level", "w") == ["warning"]
    assert "source.password_file=" in complete(installed, "keyferry", "sync", "--set", "source.pass")


@pytest.mark.parametrize("shell, path", [("bash", "bash-completion/completions/keyferry.bash"), ("zsh", "zsh/site-functions/_keyferry"),
                                         ("fish", "fish/vendor_completions.d/keyferry.fish")])
def test_shells_can_read_their_scripts(installed, shell, path):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    run(shell, "-n", installed / PREFIX / "share" / path)


# -- systemd -------------------------------------------------------------------------------------------------------------

@pytest.fixture(name="unit", params=["keyferry.service", "keyferry@.service"])
def unit_fixture(request, installed, program, tmp_path):
    """A unit with the program that was built in the place of the installed one, so that there is something to execute."""
    path = tmp_path / request.param
    path.write_text((installed / UNITS / request.param).read_text().replace(f"/{PREFIX}/bin/keyferry", str(program)))
    return path


def test_unit_is_sound(unit):
    done = run("systemd-analyze", "verify", "--man=no", unit.with_name(unit.name.replace("@", "@orders")))
    assert done.stderr == ""


def test_unit_is_confined(unit):
    run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}", unit)


@pytest.mark.parametrize("name, command, words, codes", [
    ("keyferry.service", "serve", "", {"2": "command", "8": "another"}),
    # What lies at the two sides is waited for; what has to be changed by hand is not.
    ("keyferry@.service", "sync", " /etc/keyferry/%i.yaml", {"2": "command", "3": "precheck", "6": "stopped", "8": "another"}),
])
def test_unit_starts_what_is_installed(installed, program, name, command, words, codes):
    text = (installed / UNITS / name).read_text()
    assert f"\nExecStart=/{PREFIX}/bin/keyferry {command}{words}\n" in text and command in commands(program)
    told = dict(re.findall(r"^  (\d)  (.+)$", run(program, "help").stdout, re.M))
    (final,) = re.findall(r"^RestartPreventExitStatus=(.+)$", text, re.M)
    assert {code: told[code].split()[0] for code in final.split()} == codes


def test_service_user_and_folders(installed, tmp_path):
    """systemd-sysusers and systemd-tmpfiles make them in an empty system."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files to others")
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    run("systemd-sysusers", f"--root={root}", installed / f"{PREFIX}/lib/sysusers.d/keyferry.conf")
    name, _, uid, gid, _, home, shell = (root / "etc/passwd").read_text().strip().split(":")
    assert (name, home) == ("keyferry", "/var/lib/keyferry") and shell.endswith("nologin")
    run("systemd-tmpfiles", f"--root={root}", "--create", installed / f"{PREFIX}/lib/tmpfiles.d/keyferry.conf")
    found = {path: (root / path).stat() for path in ("etc/keyferry", "var/lib/keyferry")}
    assert {path: (stat.S_IMODE(what.st_mode), what.st_uid, what.st_gid) for path, what in found.items()} == {
        "etc/keyferry": (0o750, 0, int(gid)), "var/lib/keyferry": (0o750, int(uid), int(gid))}


# -- examples ------------------------------------------------------------------------------------------------------------

def assert_is_a_task(program, document, folder):
    """The program takes it and finds nobody at the other end, which is no usage error."""
    for side in ("source", "target"):
        (folder / f"{side}.pass").write_text("secret\n")
    done = run(program, "precheck", document, "--set", "source.address=127.0.0.1:1", "--set", "target.address=127.0.0.1:2",
               "--set", f"source.password_file={folder}/source.pass", "--set", f"target.password_file={folder}/target.pass",
               "--data", folder / "data", check=False)
    assert done.returncode == 4, done.stdout + done.stderr


def test_example_task(installed, program, tmp_path):
    assert_is_a_task(program, installed / f"{PREFIX}/share/doc/keyferry/examples/task.yaml", tmp_path)


def test_example_configuration(installed, program, tmp_path):
    """As it is, and with everything in force that is commented out: it gets as far as the data directory, which cannot be."""
    text = (installed / f"{PREFIX}/share/doc/keyferry/examples/serve.yaml").read_text()
    options = text.split("\n\n", 1)[1].replace("# ", "")
    assert {"data", "worker"} <= set(yaml.safe_load(options)) and yaml.safe_load(text) is None
    for document in (text, options):
        (tmp_path / "serve.yaml").write_text(document)
        done = run(program, "serve", "--config", tmp_path / "serve.yaml", "--data", "/proc/nowhere", check=False)
        assert done.returncode == 2 and "/proc/nowhere" in done.stderr and "option" not in done.stderr, done.stderr


def kubernetes_objects(installed, name):
    """{kind: object} of an example."""
    objects = list(yaml.safe_load_all((installed / f"{PREFIX}/share/doc/keyferry/examples/{name}").read_text()))
    for thing in objects:
        assert set(thing) == {"apiVersion", "kind", "metadata"} | ({"spec"} if thing["kind"] in ("StatefulSet", "Service") else {"stringData"} if thing["kind"] == "Secret" else {"data"})
        assert thing["apiVersion"] == ("apps/v1" if thing["kind"] == "StatefulSet" else "v1") and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", thing["metadata"]["name"])
    return {thing["kind"]: thing for thing in objects}


def assert_is_confined(pod, container):
    """What the `restricted` profile of the Pod Security Standards wants, a read-only root, and bounds."""
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["automountServiceAccountToken"] is False
    assert {"cpu", "memory"} <= set(container["resources"]["requests"]) and "memory" in container["resources"]["limits"]
    # The user of the image.
    user, group = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert f"USER {user}:{group}" in (ROOT / "Containerfile").read_text() and pod["securityContext"]["fsGroup"] == group


def assert_fits_together(by_kind, program, version):
    """Names that one place gives and another refers to, and the command line. Returns the container."""
    spec = by_kind["StatefulSet"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert_is_confined(pod, container)
    assert set(spec) == {"replicas", "serviceName", "selector", "template", "volumeClaimTemplates"} and spec["replicas"] == 1
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == by_kind["Service"]["spec"]["selector"]
    assert spec["serviceName"] == by_kind["Service"]["metadata"]["name"]
    assert container["image"] == f"keyferry:{version}"
    options = [word for word in container["args"] if word.startswith("--")]
    assert all(f"  {option} " in run(program, "help", container["args"][0]).stdout for option in options)
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    (port,) = container["ports"]
    assert probes == [{"path": path, "port": port["name"]} for path in ("/healthz", "/healthz", "/readyz")]
    ports = {port["name"]}
    assert {port["targetPort"] for port in by_kind["Service"]["spec"]["ports"]} == ports
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"] and claim["spec"]["resources"]["requests"]["storage"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"]}
    assert mounted[claim["metadata"]["name"]] == "/var/lib/keyferry"
    assert all(mount.get("readOnly") for mount in container["volumeMounts"] if mount["name"] != claim["metadata"]["name"])
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert volume["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
        else:
            # Root's, and of the group: the user can read it, nobody else.
            assert volume["secret"]["defaultMode"] == 0o440
    return container


def test_kubernetes_task(installed, program, version, tmp_path):
    by_kind = kubernetes_objects(installed, "keyferry.yaml")
    assert list(by_kind) == ["Secret", "ConfigMap", "StatefulSet", "Service"]
    document = tmp_path / "task.yaml"
    document.write_text(by_kind["ConfigMap"]["data"]["task.yaml"])
    assert_is_a_task(program, document, tmp_path)
    container = assert_fits_together(by_kind, program, version)
    assert container["args"][:2] == ["sync", "/etc/keyferry/task.yaml"]
    # A kubelet has no token.
    assert "--probes open" in " ".join(container["args"])
    secret = by_kind["Secret"]["stringData"]
    assert len(secret[container["env"][0]["valueFrom"]["secretKeyRef"]["key"]]) >= 16
    for side in ("source", "target"):
        assert f"/run/secrets/keyferry/{side}.pass" in document.read_text() and f"{side}.pass" in secret


def test_kubernetes_daemon(installed, program, version, tmp_path):
    """Its configuration gets as far as the data directory, which cannot be."""
    by_kind = kubernetes_objects(installed, "keyferry-serve.yaml")
    assert list(by_kind) == ["ConfigMap", "StatefulSet", "Service"]
    container = assert_fits_together(by_kind, program, version)
    assert container["args"] == ["serve", "--config", "/etc/keyferry/serve.yaml"]
    text = by_kind["ConfigMap"]["data"]["serve.yaml"]
    config = yaml.safe_load(text)
    assert config["key_file"] == "/run/secrets/keyferry/key" and config["data"].startswith("/var/lib/keyferry/")
    assert config["probes"] == "open"
    assert int(config["listen"].rsplit(":", 1)[1]) == container["ports"][0]["containerPort"]
    (tmp_path / "serve.yaml").write_text(text)
    done = run(program, "serve", "--config", tmp_path / "serve.yaml", "--data", "/proc/nowhere", check=False)
    assert done.returncode == 2 and "/proc/nowhere" in done.stderr and "option" not in done.stderr, done.stderr
