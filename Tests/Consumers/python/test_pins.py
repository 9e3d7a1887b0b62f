"""A backend whose files change waits for its owner: what runs goes on and serves, and nothing else is started."""

import asyncio
import json
import subprocess

import echo
import grpc
from agent import PREFIX, Agent, wait_until
from consumer import connect, first_failure, read_turn, rpc, run

LONG = {"max_tokens": 100_000, "tokens_per_second": 50}


def entry(agent, model="echo"):
    return agent.backends().get(model, {})


def pinned(agent):
    """What the agent has accepted, by the names of backends."""
    file = agent.state / "pins.json"
    return {pin["name"]: pin for pin in json.loads(file.read_text())["backends"]} if file.exists() else {}


def wait_pinned(agent, name="echo"):
    wait_until(lambda: name in pinned(agent), f"{name} is pinned")
    return pinned(agent)[name]


def replace_echo(agent):
    """Puts an executable in its place that is another file, and does the same."""
    path, part = agent.backend_folder / "echo", agent.backend_folder / ".echo"
    part.write_bytes(path.read_bytes() + b"\0")
    part.chmod(0o755)
    part.rename(path)


def hearth(agent, *arguments):
    command = [PREFIX / "bin/hearth", *arguments, "--state", agent.state]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


class Restarted(Agent):
    """One that keeps its folders when it has ended."""

    def clean_up(self):
        pass


def test_a_changed_executable_waits_by_name_while_what_runs_serves_and_starts_once_it_is_trusted():
    async def scenario(agent):
        before = wait_pinned(agent)
        assert (agent.state / "pins.json").stat().st_mode & 0o777 == 0o600
        pid = agent.number("echo", "pid")
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            long = stub.Generate(echo.request("goes on", **LONG))
            turn = await read_turn(long, until=lambda turn: turn.tokens >= 5)
            replace_echo(agent)
            await asyncio.to_thread(wait_until, lambda: entry(agent).get("trust") == "changed", "it is seen")
            assert agent.number("echo", "pid") == pid and entry(agent)["state"] == "ready"
            change = entry(agent)["changes"]
            assert [part["file"] for part in change] == ["executable"]
            assert change[0]["wasSha256"] == before["executable"] != change[0]["isSha256"]
            text = agent.command_line("backends", "--state", agent.state)
            assert f"echo: its executable changed: was sha256 {before['executable'][:12]}…" in text
            assert "hearth backends trust echo" in text
            assert "not trusted: echo; see why with 'hearth backends'" in agent.command_line("status", "--state", agent.state)
            assert agent.status()["pinning"] == {"mode": "first-sight", "untrusted": ["echo"]}
            await read_turn(stub.Generate(echo.request("and serves", max_tokens=3)))
            told = await asyncio.to_thread(agent.command_line, "backends", "trust", "echo", "--state", agent.state)
            assert f"executable: was sha256 {before['executable']}, is sha256 {change[0]['isSha256']}" in told
            # The stream that runs on the earlier one is not ended for it.
            read = turn.tokens
            await read_turn(long, turn, until=lambda turn: turn.tokens >= read + 5)
            long.cancel()
            await asyncio.to_thread(
                wait_until, lambda: agent.number("echo", "pid") not in (0, pid), "the new one is started")
            await asyncio.to_thread(agent.wait_ready, "echo")
            await read_turn(stub.Generate(echo.request("by the new one", max_tokens=3)))
        assert entry(agent)["trust"] == "pinned" and agent.status()["pinning"] == {"mode": "first-sight"}
        assert pinned(agent)["echo"]["executable"] == change[0]["isSha256"]
        assert "Nothing of echo had changed." in agent.command_line("backends", "trust", "echo", "--state", agent.state)
        unknown = hearth(agent, "backends", "trust", "none")
        assert unknown.returncode != 0 and "there is no backend 'none'; there are: echo" in unknown.stderr

    with Agent() as agent:
        run(scenario(agent))


def test_what_changed_while_no_agent_ran_waits_after_its_start_and_consumers_are_told_the_remedy():
    async def refusal(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(echo.request("x", max_tokens=3))
            return (await first_failure(call))[0]

    agent = Restarted()
    try:
        with agent:
            wait_pinned(agent)
        agent.models = []
        for change in ("executable", "manifest"):
            if change == "executable":
                replace_echo(agent)
            else:
                (agent.backend_folder / "echo.json").write_text('{"models": [{"id": "echo", "maxSequences": 2}]}')
            with agent:
                wait_until(lambda: entry(agent).get("state") == "untrusted", f"its {change} waits")
                assert [part["file"] for part in entry(agent)["changes"]] == [change]
                assert agent.number("echo", "pid") == 0
                error = run(refusal(agent))
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                assert error.details().endswith("hearth backends trust echo"), error.details()
                agent.command_line("backends", "trust", "echo", "--state", agent.state)
                agent.wait_ready("echo")
        (agent.state / "pins.json").write_text('{"backends": [{"name": "echo"}]}')
        refused = subprocess.run([str(part) for part in agent.command], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 78 and f"{agent.state}/pins.json:1: 'executable' is missing" in refused.stderr
        assert "correct that file, or remove it" in refused.stderr
    finally:
        Agent.clean_up(agent)


def test_an_owner_can_let_every_change_run_and_is_told_so_wherever_state_is_shown():
    with Agent(options=("--pin-backends", "off")) as agent:
        pid = agent.number("echo", "pid")
        replace_echo(agent)
        wait_until(lambda: agent.number("echo", "pid") not in (0, pid), "the new one is started")
        sentence = "ackends are not pinned (pin-backends is off)"
        for words in (["status"], ["backends"]):
            assert sentence in agent.command_line(*words, "--state", agent.state)
        assert sentence in agent.log() and entry(agent)["trust"] == "unpinned"
        refused = hearth(agent, "backends", "trust", "echo")
        assert refused.returncode != 0 and "are not pinned here" in refused.stderr
        assert not (agent.state / "pins.json").exists()
