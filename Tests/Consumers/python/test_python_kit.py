"""A backend that is written with the Python kit, a script in the folder of backends, in the sandbox: every token of `letters`
is known beforehand."""

import asyncio
import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import echo
import google.protobuf
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from consumer import CANCELLED, LENGTH, STOP, connect, failure, first_failure, pb, read_turn, rpc, run

KIT = pathlib.Path(__file__).resolve().parents[3] / "Backends/python"
INTERPRETER = pathlib.Path("/usr/bin/python3")
SENTENCE = b"the fire warms the house, and the house keeps the fire. "

pytestmark = pytest.mark.skipif(not INTERPRETER.exists(), reason="needs Debian's python3")


@pytest.fixture(scope="module")
def agent():
    started = Agent(backends={})
    kit = started.folder / "kit"
    kit.mkdir(mode=0o755)
    shutil.copy(KIT / "hearth_backend.py", kit)
    shutil.copytree(KIT / "hearth", kit / "hearth")
    shutil.copytree(pathlib.Path(google.protobuf.__file__).parents[1], kit / "google")
    manifest = json.loads((KIT / "letters.json").read_text().replace("/srv/hearth-python", str(kit)))
    for name in ("letters", "plain"):
        shutil.copy(KIT / "letters.py", started.backend_folder / name)
    (started.backend_folder / "letters.json").write_text(json.dumps(manifest))
    # Another one for the changes that tests make, with numpy where its interpreter can load this process's.
    libraries = started.folder / "libraries"
    libraries.mkdir(mode=0o755)
    version = subprocess.run([INTERPRETER, "-V"], capture_output=True, text=True).stdout.split()[1]
    if version.split(".")[:2] == [str(part) for part in sys.version_info[:2]]:
        import numpy

        for place in pathlib.Path(numpy.__file__).parents[1].glob("numpy*"):
            shutil.copytree(place, libraries / place.name)
    manifest["readOnlyPaths"].append(str(libraries))
    manifest["arguments"].append(str(libraries))
    manifest["models"] = [{"id": "plain"}]
    (started.backend_folder / "plain.json").write_text(json.dumps(manifest))
    started.models += ["letters", "plain"]
    for place in ("/usr", kit, libraries):
        started.command += ["--readable", place]
    with started:
        yield started


def text(prompt, seed, count):
    """The letters after a prompt."""
    followers = collections.defaultdict(collections.Counter)
    for one, other in zip(SENTENCE, SENTENCE[1:]):
        followers[one][other] += 1
    last, letters, chance = prompt.encode()[-1], bytearray(), random.Random(seed)
    while len(letters) < count:
        left = chance.randrange(sum(followers[last].values()))
        for letter in sorted(followers[last]):
            if left < followers[last][letter]:
                break
            left -= followers[last][letter]
        letters.append(letter)
        last = letter
    return letters.decode()


def request(prompt="the ", model="letters", seed=5, max_tokens=300):
    return echo.request(prompt, model=model, seed=seed, max_tokens=max_tokens)


def turn(agent, asked):
    async def scenario():
        async with connect(agent) as channel:
            return await read_turn(rpc.InferenceStub(channel).Generate(asked))

    return run(scenario())


def test_many_streams_at_once_are_what_they_must_be_with_numpy_and_without(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            # More than there are sequences.
            asked = [request(model=model, seed=seed) for seed in range(20) for model in ("letters", "plain")]
            for one, told in zip(asked, await asyncio.gather(*[read_turn(stub.Generate(one)) for one in asked])):
                assert told.text == text("the ", one.sampling.seed, 300)
                assert told.finished.reason == LENGTH and told.usage.prompt_tokens == 4
                assert told.accepted.backend == "letters/1" and told.accepted.sandbox_tier == "full"

    run(scenario())


def test_a_completion_ends_at_a_stop_at_the_end_of_the_turn_and_with_a_cancel(agent):
    asked = request(seed=9)
    asked.stopping.stop.append("fire")
    told = turn(agent, asked)
    whole = text("the ", 9, 300)
    assert "fire" in whole and told.text == whole[: whole.index("fire")] and told.finished.reason == STOP
    # A token that is drawn ends it, and is not sent.
    asked = request(seed=9)
    asked.stopping.stop_token_ids.append(ord("f"))
    told = turn(agent, asked)
    assert told.text == whole[: whole.index("f")] and told.finished.reason == STOP
    assert told.finished.stop_token_id == ord("f")
    assert turn(agent, request("!")).text == "", "nothing follows it"

    async def cancel():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            await call.write(pb.ChatRequest(generate=request(max_tokens=None)))
            told = await read_turn(call, until=lambda turn: turn.tokens > 0)
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            await read_turn(call, told)
            assert told.finished.reason == CANCELLED and told.text == text("the ", 5, told.tokens)

    run(cancel())
    wait_until(lambda: agent.number("letters", "running") == 0, "no sequence is left")


def test_what_cannot_be_served_is_refused_and_the_process_goes_on(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            ids = pb.GenerateRequest(model="letters", token_ids=pb.TokenIds(ids=[1]))
            error, _ = await first_failure(stub.Generate(ids))
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED and error.details().endswith("letters takes text only")
            error, _ = await first_failure(stub.Generate(request("x" * 5_000)))
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "5000 tokens and the context 4096" in error.details()
            assert (await stub.CountTokens(request("four"))).tokens == 4
            assert (await failure(stub.CountTokens(ids))).code() == grpc.StatusCode.UNIMPLEMENTED

    run(scenario())
    assert turn(agent, request()).text == text("the ", 5, 300)
    assert agent.number("letters", "restarts") == 0


def test_it_keeps_every_clause_of_the_contract_that_can_be_tried(agent):
    options = ["--user", "nobody"] if os.getuid() == 0 else []
    command = [PREFIX / "bin/hearth", "backends", "check", "--json", *options, agent.backend_folder / "letters"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    clauses = json.loads(answer.stdout)[0]["clauses"]
    untried = {clause["number"] for clause in clauses if clause["result"] != "kept"}
    assert untried == {"3.2", "3.5", "6.3"}


def test_one_that_gives_up_while_it_loads_is_told_with_what_its_filter_denied(agent):
    script = agent.backend_folder / "torn"
    script.write_text(
        "#!python3\nimport os, sys\nsys.path[:0] = sys.argv[1:]\nimport hearth_backend as kit\n"
        "class Torn(kit.Engine):\n    name = 'torn'\n    def load(self, load, progress):\n        os.mkdir('/there')\n"
        "kit.run(Torn())\n")
    script.chmod(0o755)
    manifest = json.loads((agent.backend_folder / "letters.json").read_text())
    (agent.backend_folder / "torn.json").write_text(json.dumps(manifest | {"models": [{"id": "torn"}]}))

    def told():
        return agent.backends().get("torn", {}).get("lastFailure", {}).get("reason", "")

    wait_until(lambda: told().startswith("gave up: torn failed: PermissionError"), "it gave up")
    assert "; before, its filter denied mkdir" in told()
    script.unlink()
    (agent.backend_folder / "torn.json").unlink()


def test_an_engine_with_a_capability_that_the_kit_cannot_serve_is_told_so_at_once(agent):
    script = (
        "import hearth_backend as kit\nclass Wide(kit.Engine):\n    name, capabilities = 'wide', ['continue', 'embed']\n"
        "kit.run(Wide())")
    answer = subprocess.run(
        [INTERPRETER, "-B", "-c", script], env={"PYTHONPATH": str(agent.folder / "kit")}, capture_output=True, text=True)
    assert answer.returncode == 1 and "wide: this kit cannot serve the capability 'embed'" in answer.stderr


def test_a_script_that_changes_is_another_backend_and_one_without_an_interpreter_is_none(agent):
    script = agent.backend_folder / "plain"
    wait_until(lambda: '"plain"' in (agent.state / "pins.json").read_text(), "it is pinned")
    script.write_text(script.read_text().replace('version = "1"', 'version = "2"'))
    wait_until(lambda: "its executable changed" in agent.backends()["plain"].get("detail", ""), "the change waits")
    assert agent.backends()["plain"]["version"] == "letters/1" and agent.backends()["plain"]["state"] == "ready"
    agent.command_line("backends", "trust", "plain", "--state", agent.state)
    wait_until(lambda: agent.backends()["plain"].get("version") == "letters/2", "the changed script runs")
    (agent.backend_folder / "plain.json").write_text('{"models": [{"id": "plain"}]}')
    wait_until(lambda: "its manifest changed" in agent.backends()["plain"].get("detail", ""), "the change waits")
    agent.command_line("backends", "trust", "plain", "--state", agent.state)
    wait_until(lambda: agent.backends()["plain"]["state"] == "failed", "it is refused")
    sentence = 'is a script; name the program that runs it as "interpreter" in its manifest'
    assert sentence in agent.backends()["plain"]["detail"]
