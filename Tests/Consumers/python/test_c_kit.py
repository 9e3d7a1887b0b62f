"""A backend that is written with the C kit, in the sandbox: every token of `letters` is known beforehand."""

import asyncio
import collections
import json
import os
import pathlib
import shutil
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from consumer import CANCELLED, LENGTH, STOP, connect, failure, first_failure, pb, read_turn, rpc, run

CONSUMERS = pathlib.Path(__file__).resolve().parents[1]
KIT = CONSUMERS.parents[1] / "Backends/c"
SENTENCE = "the fire warms the house, and the house keeps the fire. "

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler: run Scripts/packages build")


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    started = Agent(backends={})
    for source in (KIT / "letters.c", CONSUMERS / "c/parts.c"):
        built = folder / source.stem
        command = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", f"-I{KIT}", source, "-o", built]
        done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        shutil.copy(built, started.backend_folder / source.stem)
        started.models.append(source.stem)
    manifest = {"models": [{"id": "parts", "options": {"colour": "red"}}]}
    (started.backend_folder / "parts.json").write_text(json.dumps(manifest))
    with started:
        yield started


def check(path, seconds=20):
    """The exit code of `hearth backends check`, and what it saw of each clause."""
    options = ["--user", "nobody"] if os.getuid() == 0 else []
    command = [PREFIX / "bin/hearth", "backends", "check", "--json", "--seconds", str(seconds), *options, path]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode in (0, 1), answer.stderr
    return answer.returncode, {clause["number"]: clause for clause in json.loads(answer.stdout)[0]["clauses"]}


def text(prompt, seed, count):
    """The letters after a prompt."""
    followers = collections.defaultdict(collections.Counter)
    for one, other in zip(SENTENCE.encode(), SENTENCE.encode()[1:]):
        followers[one][other] += 1
    last, letters = prompt.encode()[-1], bytearray()
    for index in range(1, count + 1):
        z = (seed + index * 0x9E3779B97F4A7C15) & echo.MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & echo.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & echo.MASK
        left = (z ^ (z >> 31)) % sum(followers[last].values())
        for letter in sorted(followers[last]):
            if left < followers[last][letter]:
                break
            left -= followers[last][letter]
        letters.append(letter)
        last = letter
    return letters.decode()


def request(prompt="the ", seed=5, max_tokens=300):
    return echo.request(prompt, model="letters", seed=seed, max_tokens=max_tokens)


def turn(agent, asked):
    async def scenario():
        async with connect(agent) as channel:
            return await read_turn(rpc.InferenceStub(channel).Generate(asked))

    return run(scenario())


def test_many_streams_at_once_are_what_they_must_be(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            # More than there are sequences, and each longer than its credit.
            asked = [request(seed=seed, max_tokens=1_500) for seed in range(40)]
            for one, told in zip(asked, await asyncio.gather(*[read_turn(stub.Generate(one)) for one in asked])):
                assert told.text == text("the ", one.sampling.seed, 1_500)
                assert told.finished.reason == LENGTH and told.usage.prompt_tokens == 4
                assert told.accepted.backend == "letters/1" and told.accepted.sandbox_tier == "full"

    run(scenario())


def test_a_completion_ends_at_a_stop_at_the_end_of_the_turn_and_at_that_of_the_context(agent):
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
    told = turn(agent, request(max_tokens=None))
    assert told.finished.reason == LENGTH and told.tokens == 4096 - 4


def test_a_cancel_ends_the_computing(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            for _ in range(3):
                await call.write(pb.ChatRequest(generate=request(max_tokens=None)))
                told = await read_turn(call, until=lambda turn: turn.tokens > 0)
                await call.write(pb.ChatRequest(cancel=pb.Cancel()))
                await read_turn(call, told)
                assert told.finished.reason in (CANCELLED, LENGTH)
                assert told.text == text("the ", 5, told.tokens)

    run(scenario())
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
            assert (await failure(stub.CountTokens(request()))).code() == grpc.StatusCode.UNIMPLEMENTED

    run(scenario())
    assert turn(agent, request()).text == text("the ", 5, 300)
    assert agent.number("letters", "restarts") == 0


def test_a_long_step_takes_cancels_and_what_begins_meanwhile_begins_after_it(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = pb.GenerateRequest(model="parts", text="x", wants_queue_events=True)
            call = stub.Chat()
            await call.write(pb.ChatRequest(generate=asked))
            cancelled = await read_turn(call, until=lambda turn: turn.accepted)
            others = [asyncio.create_task(read_turn(stub.Generate(asked))) for _ in range(2)]
            # It comes during a step too, and waits for its end.
            counted = await stub.CountTokens(pb.GenerateRequest(model="parts", text="four"))
            assert counted.tokens == 4
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            await read_turn(call, cancelled)
            assert cancelled.finished.reason == CANCELLED
            for told in await asyncio.gather(*others):
                assert told.text == " 50 100" and told.finished.reason == STOP

    run(scenario())
    wait_until(lambda: agent.number("parts", "running") == 0, "no sequence is left")
    assert agent.number("parts", "restarts") == 0
    log = agent.command_line("logs", "parts", "--state", agent.state)
    assert "option colour is red" in log


def test_it_keeps_every_clause_of_the_contract_that_can_be_tried(agent):
    code, clauses = check(agent.backend_folder / "letters")
    assert [clause for clause in clauses.values() if clause["result"] == "broken"] == [] and code == 0
    untried = {number for number, clause in clauses.items() if clause["result"] == "not tried"}
    assert untried == {"3.2", "3.5", "6.1", "6.2", "6.3"}


def test_a_backend_that_breaks_a_clause_is_told_which_and_by_the_exit_code(agent, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unruly")
    sources = CONSUMERS.parent / "Programs/unruly"
    built = agent.folder / "unruly-beyond-credit"
    command = ["cc", "-std=c11", "-static", f"-I{sources}/include", *sorted(sources.glob("*.c")), "-o", folder / "built"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.copy(folder / "built", built)
    # Behind its violation it is silent.
    code, clauses = check(built, seconds=1)
    assert code == 1 and clauses["4.3"]["result"] == "broken"
    assert "sent 1 tokens with a credit of 0" in clauses["4.3"]["seen"]
