"""Settings that the owner changes while the agent runs: the file that is read again, and HTTP turned on and off for good."""

import asyncio
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

import echo
import httpx
import pytest
from agent import PREFIX, Agent, wait_until
from consumer import connect, eventually, first_failure, read_turn, rpc, run

BRIDGE = PREFIX / "libexec/hearth/hearth-bridge"
needs_bridge = pytest.mark.skipif(not BRIDGE.exists(), reason="this installation has no HTTP bridge")
# What an owner writes by hand.
OWN = '{\n    "keep-alive": 60,\n\n    "max-connection-idle": 1800\n}\n'


class SettledAgent(Agent):
    """An agent with a file of settings, which its owner has written."""

    def __init__(self):
        super().__init__(plaintext=False)
        self.file = self.folder / "settings.json"
        self.write(OWN)
        self.command += ["--config", self.file]

    def write(self, settings):
        self.file.write_text(settings if isinstance(settings, str) else json.dumps(settings))

    def ask(self, *arguments):
        """The exit code of a command of the owner, and what it prints."""
        answer = subprocess.run(
            [str(PREFIX / "bin/hearth"), *arguments, "--state", str(self.state)], capture_output=True, text=True, timeout=60
        )
        return answer.returncode, answer.stdout + answer.stderr

    def reload(self):
        return json.loads(self.command_line("reload", "--state", self.state, "--json"))

    def answers_http(self, address):
        try:
            return httpx.get(f"http://{address}/", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def trust(self):
        """Trusts the certificate that the agent has made."""
        return ssl.create_default_context(cafile=self.state / "certificate.pem")

    def http(self):
        """The addresses that HTTP is served on."""
        return [one["address"] for one in self.status()["listeners"] if one["security"].startswith("http")]


@pytest.fixture(scope="module")
def started():
    with SettledAgent() as agent:
        yield agent


@pytest.fixture
def agent(started):
    """With the settings that it was started with."""
    started.write(OWN)
    started.reload()
    yield started


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def limits(agent):
    told = json.loads(agent.command_line("limits", "--state", agent.state, "--json"))
    return {limit["name"]: limit.get("value") for limit in told["limits"]}


def test_what_can_change_does_and_the_rest_is_named(agent):
    assert agent.status()["settingsFile"] == str(agent.file) and "needsRestart" not in agent.status()
    assert agent.reload() == {}
    agent.write({"keep-alive": 5, "max-connection-idle": 60, "memory": "1G", "tier": "reduced", "readable": ["/srv"]})
    code, said = agent.ask("reload")
    assert code == 0 and said.splitlines()[0] == "In force now: keep-alive, max-connection-idle, memory."
    assert said.splitlines()[1].startswith("Needs a restart: readable, tier (")
    assert agent.status()["needsRestart"] == ["readable", "tier"]
    assert "readable, tier" in agent.ask("status")[1]
    assert "settings that need a restart of the agent: readable, tier" in agent.log()
    assert str(limits(agent)["idleMilliseconds"]) == "60000"
    # What was never in force needs no restart once it is taken back.
    agent.write(OWN)
    assert agent.reload() == {"applied": ["keep-alive", "max-connection-idle", "memory"]}
    assert "needsRestart" not in agent.status() and str(limits(agent)["idleMilliseconds"]) == "1800000"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"keep-alive": 5,\n "memory": 8}', "settings.json:2: 'memory' must be a size"),
        ('{"keep-alive": 5,\n "lissten": []}', "settings.json:2: there is no setting 'lissten'"),
        ('{"keep-alive": 5', "settings.json:1"),
        ('{"keep-alive": 5, "keepalive-timeout": 0}', "keepalive-timeout 0"),
        ('{"keep-alive": 5, "http-name": ["a"]}', "http-name and http-origin need http"),
        ('{"keep-alive": 5, "http": "0.0.0.0:0"}', "there is no key to call with"),
        ('{"keep-alive": 5, "http": "192.0.2.1:80"}', "there is no key to call with"),
    ],
)
def test_a_file_with_an_error_changes_nothing(agent, text, error):
    before = agent.status()["listeners"]
    agent.write(text)
    code, said = agent.ask("reload")
    assert code == 78 and said.startswith("hearth: nothing has changed: ") and error in said
    assert error in agent.log()
    assert agent.status()["listeners"] == before
    agent.write(OWN)
    assert agent.reload() == {}


def test_a_signal_does_the_same(agent):
    told = agent.log().count("settings in force from now on: keep-alive")
    agent.write({"keep-alive": 7, "max-connection-idle": 1800})
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: agent.log().count("settings in force from now on: keep-alive") > told, "it is told")
    assert agent.reload() == {}


def test_a_key_is_asked_for_from_the_next_call_on(agent):
    key = agent.command_line("key", "create", "--state", agent.state, "laptop").strip()

    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("goes on", max_tokens=60, tokens_per_second=100, ids=True)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            agent.write({"require-key": True, "keep-alive": 60, "max-connection-idle": 1800})
            assert (await asyncio.to_thread(agent.reload)) == {"applied": ["require-key"]}
            short = echo.request("hi", max_tokens=3)
            error, _ = await first_failure(stub.Generate(short))
            assert error.code().name == "UNAUTHENTICATED"
            metadata = [("authorization", f"Bearer {key}")]
            await eventually(lambda: "keys read again: 1" in agent.log(), "the key is in force")
            echo.check(await read_turn(stub.Generate(short, metadata=metadata)), short)
            agent.write(OWN)
            await asyncio.to_thread(agent.reload)
            echo.check(await read_turn(stub.Generate(short)), short)
            # What was open is untouched by all of it.
            echo.check(await read_turn(call, turn), request)

    try:
        run(scenario())
    finally:
        agent.command_line("key", "revoke", "--state", agent.state, "laptop")


@needs_bridge
def test_http_is_turned_on_and_off_for_good(agent):
    assert agent.ask("http", "disable") == (0, "HTTP is off, also after a restart.\n") and agent.file.read_text() == OWN
    code, said = agent.ask("http", "enable", "--http", "127.0.0.1:0")
    assert code == 0, said
    (address,) = agent.http()
    assert f"http://{address}, also after a restart ({agent.file})" in said
    assert agent.file.read_text() == OWN.replace("1800\n", '1800,\n    "http": "127.0.0.1:0"\n')
    wait_until(lambda: agent.answers_http(address), "HTTP is served")
    # Again, it stays where it is; on another address it moves.
    assert agent.ask("http", "enable")[0] == 0 and agent.http() == [address]
    other = f"127.0.0.1:{free_port()}"
    assert agent.ask("http", "enable", "--http", other)[0] == 0 and agent.http() == [other]
    wait_until(lambda: agent.answers_http(other) and not agent.answers_http(address), "HTTP has moved")
    address = other
    assert agent.ask("http", "disable")[0] == 0
    assert agent.http() == [] and '"http": "off"' in agent.file.read_text()
    wait_until(lambda: not agent.answers_http(address), "HTTP is not served any more")
    assert "bridge" not in agent.status()
    # At once again on the same address.
    assert agent.ask("http", "enable", "--http", address)[0] == 0 and agent.http() == [address]
    wait_until(lambda: agent.answers_http(address), "HTTP is served")
    assert agent.ask("http", "disable")[0] == 0


@needs_bridge
def test_an_open_answer_goes_on_when_http_is_turned_off(agent):
    assert agent.ask("http", "enable", "--http", "127.0.0.1:0")[0] == 0
    (address,) = agent.http()
    wait_until(lambda: agent.answers_http(address), "HTTP is served")
    body = {"model": "echo", "messages": [{"role": "user", "content": "on"}], "max_tokens": 20_000, "stream": True}
    with httpx.stream("POST", f"http://{address}/v1/chat/completions", json=body, timeout=30) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        assert agent.ask("http", "disable")[0] == 0 and agent.http() == []
        rest = [line for line in lines if line]
    assert len(rest) > 100 and rest[-1] == "data: [DONE]"
    wait_until(lambda: not agent.answers_http(address), "HTTP is not served any more")


@needs_bridge
def test_an_address_that_cannot_be_served_changes_neither_file_nor_agent(agent):
    taken = agent.address
    for address, code, error in (
        (taken, 78, "settings.json is as it was"), ("0.0.0.0:0", 78, "no key to call with"), ("8080", 78, "http"),
        ("unix:/x", 78, "write HOST:PORT"), ("off", 64, "hearth http disable"),
    ):
        ended, said = agent.ask("http", "enable", "--http", address)
        assert ended == code and error in said, said
        assert agent.file.read_text() == OWN and agent.http() == []


@needs_bridge
def test_other_machines_are_served_with_tls_once_there_is_a_key(agent):
    key = agent.command_line("key", "create", "--state", agent.state, "laptop").strip()
    try:
        # The keys are read again before the settings.
        assert agent.ask("http", "enable", "--http", "0.0.0.0:0")[0] == 0
        (address,) = agent.http()
        port = address.rsplit(":", 1)[1]

        def code(**headers):
            try:
                return httpx.get(f"https://localhost:{port}/v1/models", headers=headers, verify=agent.trust()).status_code
            except httpx.TransportError:
                return None

        wait_until(lambda: code(authorization=f"Bearer {key}") == 200, "HTTPS is served")
        assert code() == 401
        assert agent.ask("http", "disable")[0] == 0
        wait_until(lambda: code() is None, "it is not served any more")
    finally:
        agent.command_line("key", "revoke", "--state", agent.state, "laptop")


@needs_bridge
def test_names_and_keys_change_without_another_bridge(agent):
    agent.write({"http": "127.0.0.1:0"})
    agent.reload()
    (address,) = agent.http()
    wait_until(lambda: agent.answers_http(address), "HTTP is served")
    pid = agent.status()["bridge"]["pid"]

    def code(**headers):
        return httpx.get(f"http://{address}/v1/models", headers=headers).status_code

    assert code(host="example.org") == 421 and code() == 200
    agent.write({"http": "127.0.0.1:0", "http-name": ["example.org"], "require-key": True})
    assert set(agent.reload()["applied"]) == {"http-name", "require-key"}
    wait_until(lambda: code(host="example.org") == 401, "the name is known, and a key asked for")
    assert agent.status()["bridge"]["pid"] == pid


@needs_bridge
@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
def test_what_is_another_users_is_refused_with_the_remedy(agent):
    def ask(*arguments):
        command = [str(PREFIX / "bin/hearth"), "http", "enable", *map(str, arguments)]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, user="daemon", cwd="/")
        return answer.returncode, answer.stderr

    code, said = ask("--state", agent.folder / "none", "--config", agent.file)
    assert code == 78 and f"{agent.file}, which belongs to another user" in said and "sudo" in said
    # An agent that may not be asked is not taken for one that does not run.
    code, said = ask("--state", agent.state, "--config", agent.file)
    assert code == 69 and "or as root" in said
    assert agent.file.read_text() == OWN and agent.http() == []


def test_without_an_agent_the_file_is_written_for_the_next_one(tmp_path):
    file, state = tmp_path / "mine" / "settings.json", tmp_path / "state"

    def ask(*arguments):
        return subprocess.run(
            [str(PREFIX / "bin/hearth"), "http", *arguments], capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )

    nobody = ask("enable", "--state", state)
    assert nobody.returncode == 78 and "--config" in nobody.stderr and not list(tmp_path.iterdir())
    if BRIDGE.exists():
        enabled = ask("enable", "--state", state, "--config", file)
        assert enabled.returncode == 0 and "127.0.0.1:8080 from the agent's next start" in enabled.stdout
        assert json.loads(file.read_text()) == {"http": "127.0.0.1:8080"}
        assert ask("disable", "--state", state, "--config", file).returncode == 0
        assert json.loads(file.read_text()) == {"http": "off"}
    file.parent.mkdir(exist_ok=True)
    file.write_text('{\n  // mine\n  "http": "off"\n}\n')
    refused = ask("disable", "--state", state, "--config", file)
    assert refused.returncode == 78 and f"{file}:2" in refused.stderr
    assert file.read_text() == '{\n  // mine\n  "http": "off"\n}\n'


@needs_bridge
def test_ones_own_agent_reads_ones_own_file_also_after_a_restart():
    home = pathlib.Path(tempfile.mkdtemp(prefix="hearth-home-"))
    account = {}
    if os.getuid() == 0:
        shutil.chown(home, "nobody")
        account = {"user": "nobody"}
    command = [str(PREFIX / "bin/hearth")]
    options = {"text": True, "env": {"PATH": "/usr/bin:/bin", "HOME": str(home)}, "cwd": "/", **account}
    address = f"127.0.0.1:{free_port()}"

    def announced(ask=lambda: None):
        serve = [*command, "serve", "--listen", "127.0.0.1:0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options) as agent:
            try:
                line = agent.stdout.readline()
                ask()
            finally:
                agent.terminate()
        return line

    def ask(*arguments):
        answer = subprocess.run([*command, *arguments], capture_output=True, timeout=60, **options)
        assert answer.returncode == 0, answer.stderr

    try:
        # It was not there when the agent started.
        assert "http" not in announced(lambda: ask("http", "enable", "--http", address))
        assert json.loads((home / ".config/hearth/settings.json").read_text()) == {"http": address}
        assert f"{address} (http)" in announced(lambda: ask("http", "disable"))
        assert "http" not in announced()
    finally:
        shutil.rmtree(home)
