"""What Scripts/install puts on a machine, and that removing it leaves what was there before."""

import hashlib
import os
import pathlib
import pwd
import re
import stat
import subprocess

import pytest
from agent import PREFIX, SHIPPED

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def executables(tmp_path):
    """The installed executables as a build folder has them."""
    folder = tmp_path / "built"
    folder.mkdir()
    programs = PREFIX / "libexec/hearth"
    for source in (
        PREFIX / "bin/hearth", programs / "hearth-holder", programs / "hearth-pull", programs / "hearth-sandbox",
        programs / "sandbox-probe", SHIPPED / "echo", SHIPPED / "llama",
    ):
        if source.exists():
            (folder / source.name).symlink_to(source)
    return folder


def install(root, *arguments, home="/home/person"):
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CONFIG_HOME")}
    environment |= {"DESTDIR": str(root)} | ({"HOME": home} if home else {})
    return subprocess.run(
        [REPOSITORY / "Scripts/install", *arguments], env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_uninstalling_removes_what_was_installed_and_nothing_else(tmp_path, executables, scope):
    root = tmp_path / "root"
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/mine").write_text("mine")
    (root / "home/person").mkdir(parents=True)
    before = tree(root)
    for _ in range(2):  # the second time replaces the first
        said = install(root, scope, "--from", executables)
        assert "Next:" in said
    prefix = root / ("usr/local" if scope == "--system" else "home/person/.local")
    assert os.access(prefix / "bin/hearth", os.X_OK)
    echo = prefix / "lib/hearth/backends/echo"
    assert os.access(echo, os.X_OK)
    # The agent knows by it what an installation brought.
    digest = hashlib.sha256(echo.read_bytes()).hexdigest()
    path = "/" + str(echo.relative_to(root))
    assert f"sha256 {digest} {path}\n" in (prefix / "share/hearth/manifest").read_text()
    install(root, scope, "--uninstall")
    assert tree(root) == before


@pytest.mark.parametrize("builds", [{"llama.x86-64-v3"}, {"llama", "llama.x86-64-v3", "llama.x86-64-v4"}])
def test_every_build_of_the_llama_backend_is_installed(tmp_path, executables, builds):
    (executables / "llama").unlink(missing_ok=True)
    for build in builds:
        (executables / build).symlink_to(SHIPPED / "echo")
    root = tmp_path / "root"
    backends = root / "usr/local/lib/hearth/backends"
    install(root, "--system", "--from", executables)
    assert {path.name for path in backends.glob("llama*")} == builds | {"llama.json"}
    install(root, "--system", "--without-llama", "--from", executables)
    assert not list(backends.glob("llama*"))


def test_a_file_of_ones_own_in_an_installed_folder_stays(tmp_path, executables):
    root = tmp_path / "root"
    install(root, "--system", "--from", executables)
    mine = root / "usr/local/lib/hearth/backends/mine"
    mine.write_text("mine")
    assert "Kept" in install(root, "--system", "--uninstall")
    assert [path for path in tree(root) if (root / path).is_file()] == [str(mine.relative_to(root))]


def test_no_one_but_the_owner_can_change_what_was_installed(tmp_path, executables):
    root = tmp_path / "root"
    root.mkdir()
    usual = os.umask(0o002)
    try:
        install(root, "--system", "--from", executables)
    finally:
        os.umask(usual)
    for path in (root / "usr/local").rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        executable = path.is_dir() or path.parent.name in ("bin", "libexec") or path.name in (
            "hearth-holder", "hearth-pull", "hearth-sandbox", "sandbox-probe", "echo", "llama")
        assert mode == (0o755 if executable else 0o644), f"{path} has mode {mode:o}"


def test_the_units_name_the_prefix_and_allow_the_sandbox_its_namespaces(tmp_path, executables):
    root = tmp_path / "root"
    install(root, "--system", "--prefix", "/opt/hearth", "--from", executables)
    unit = (root / "etc/systemd/system/hearth.service").read_text()
    assert "ExecStart=/opt/hearth/bin/hearth serve --state /var/lib/hearth/state\n" in unit
    # 'systemctl reload' puts a new agent in the place of the one that runs, which says so.
    assert "\nExecReload=/opt/hearth/bin/hearth upgrade --state /var/lib/hearth/state\n" in unit
    # What survives the agent is not killed with it; what is left of a service that was stopped is.
    assert "exec /opt/hearth/bin/hearth stop --if-running --state /var/lib/hearth/state;;" in unit
    for setting in ("Type=notify", "NotifyAccess=main", "TimeoutStartSec=180", "User=hearth", "StateDirectory=hearth", "Delegate=yes", "NoNewPrivileges=yes", "KillMode=process"):
        assert f"\n{setting}\n" in unit
    for setting in ("RestrictNamespaces=", "SystemCallFilter=", "PrivateUsers="):
        assert f"\n{setting}" not in unit


def test_where_no_home_is_set_it_is_that_of_the_account(tmp_path, executables):
    install(tmp_path, "--user", "--from", executables, home=None)
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert os.access(f"{tmp_path}{home}/.local/bin/hearth", os.X_OK)


@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_what_its_owner_changed_is_kept_and_what_was_not_is_replaced(tmp_path, executables, scope):
    root = tmp_path / "root"
    install(root, scope, "--from", executables)
    prefix = root / ("usr/local" if scope == "--system" else "home/person/.local")
    unit = root / "etc/systemd/system/hearth.service" if scope == "--system" else (
        next(root.rglob("hearth.service")))
    echo, strict = prefix / "lib/hearth/backends/echo.json", prefix / "share/hearth/policies/strict.json"
    mine = {echo: '{"policy": "strict", "threads": 1}', unit: unit.read_text() + "Nice=5\n"}
    for path, text in mine.items():
        path.write_text(text)
    shipped = strict.read_text()
    said = install(root, scope, "--from", executables)
    for path, text in mine.items():
        assert path.read_text() == text and f"Kept {path}" in said
        assert (path.parent / f"{path.name}.new").exists()
    assert strict.read_text() == shipped and "strict.json" not in said
    # An older version's, which nobody changed, gives way.
    record = prefix / "share/hearth/manifest"
    old = "# an older version's\n" + shipped
    strict.write_text(old)
    digest = hashlib.sha256(old.encode()).hexdigest()
    name = "/" + str(strict.relative_to(root))
    record.write_text(re.sub(f"sha256 [0-9a-f]+ {re.escape(name)}\n", f"sha256 {digest} {name}\n", record.read_text()))
    said = install(root, scope, "--from", executables)
    assert strict.read_text() == shipped and "strict.json" not in said
    # Once the owner has taken the new version over, it is replaced as before.
    echo.write_text((echo.parent / "echo.json.new").read_text())
    assert "echo.json" not in install(root, scope, "--from", executables)
    assert not (echo.parent / "echo.json.new").exists()
    said = install(root, scope, "--uninstall")
    assert [path for path in root.rglob("*") if path.is_file()] == [unit]
    assert unit.read_text() == mine[unit] and f"Kept {unit}" in said


def test_an_installation_from_before_digests_is_understood(tmp_path, executables):
    """What it shipped is replaced, and what its owner changed is kept."""
    root = tmp_path / "root"
    install(root, "--system", "--from", executables)
    record = root / "usr/local/share/hearth/manifest"
    record.write_text("".join(line for line in record.read_text().splitlines(True) if not line.startswith("sha256 ")))
    echo = root / "usr/local/lib/hearth/backends/echo.json"
    echo.write_text("{}")
    said = install(root, "--system", "--from", executables)
    assert said.count("Kept") == 1 and echo.read_text() == "{}"


def test_a_settings_file_that_is_a_link_of_its_owner_stays_one(tmp_path, executables):
    root = tmp_path / "root"
    install(root, "--system", "--from", executables)
    echo = root / "usr/local/lib/hearth/backends/echo.json"
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    echo.unlink()
    echo.symlink_to(mine)
    install(root, "--system", "--from", executables)
    assert echo.is_symlink() and mine.read_text() == "{}"
