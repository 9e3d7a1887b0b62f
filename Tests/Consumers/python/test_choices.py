"""Several completions of one prompt, with tokens that are known beforehand, on a model of two sequences."""

import asyncio
import json
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, wait_until
from consumer import CANCELLED, LENGTH, STOP, Turn, connect, eventually, first_failure, pb, read_turn, rpc, run


@pytest.fixture(scope="module")
def agent():
    with Agent({"echo": {"models": [{"id": "echo", "maxSequences": 2}]}}) as started:
        yield started


class Choices:
    """What was received of each choice of a turn so far."""

    def __init__(self, count):
        self.turns = [Turn(seq=-1) for _ in range(count)]
        self.seq, self.usage = 0, None

    def receive(self, event):
        self.seq += 1
        assert event.seq == self.seq and self.usage is None
        kind = event.WhichOneof("event")
        concerned = self.turns
        if kind in ("delta", "finished"):
            concerned = [self.turns[event.choice]]
        else:
            assert event.choice == 0
        if kind == "usage":
            self.usage = event.usage
            assert event.usage.completion_tokens == sum(turn.tokens for turn in self.turns)
            assert [one.completion_tokens for one in event.usage.choices] == [turn.tokens for turn in self.turns]
        for turn in concerned:
            # Each reads as a turn of its own, but that it counts only its own events.
            copy = pb.ChatEvent()
            copy.CopyFrom(event)
            turn.seq = event.seq - 1
            if kind == "usage":
                copy.usage.completion_tokens = turn.tokens
            turn.receive(copy)


async def read(call, choices, until=None):
    while choices.usage is None and not (until and until(choices)):
        event = await call.read()
        assert event is not grpc.aio.EOF, await call.details()
        choices.receive(event)
    return choices


def turn(agent, request):
    async def scenario():
        async with connect(agent) as channel:
            return await read(rpc.InferenceStub(channel).Generate(request), Choices(request.choices))

    return run(scenario())


def check(choices, request):
    """Each choice is what a request of its own, with the next seed, would be told."""
    for index, one in enumerate(choices.turns):
        alone = pb.GenerateRequest()
        alone.CopyFrom(request)
        alone.sampling.seed = (request.sampling.seed + index) & echo.MASK
        echo.check(one, alone)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_choice_is_the_answer_of_the_next_seed_also_where_there_are_more_than_sequences(agent, count):
    request = echo.request("tell me a word", seed=2**64 - 2, max_tokens=300, ids=True)
    request.choices = count
    choices = Choices(count)
    if count == 1:
        choices = run(one(agent, request))
        echo.check(choices, request)
        assert not choices.usage.choices
        return
    choices = turn(agent, request)
    check(choices, request)
    assert [one.tokens for one in choices.turns] == [300] * count
    assert {one.finished.reason for one in choices.turns} == {LENGTH}
    assert choices.usage.prompt_tokens == 4


async def one(agent, request):
    async with connect(agent) as channel:
        return await read_turn(rpc.InferenceStub(channel).Generate(request))


def test_without_a_seed_and_without_choices_nothing_changes(agent):
    request = echo.request("tell me", max_tokens=3)
    request.sampling.Clear()
    plain = run(one(agent, request))
    request.choices = 3
    choices = turn(agent, request)
    assert [one.text for one in choices.turns] == [plain.text] * 3


def test_a_stop_ends_its_choice_alone(agent):
    request = echo.request("tell me", seed=3, max_tokens=40)
    request.choices = 2
    second = "".join(echo.WORDS[token] for token in echo.token_ids(4, "tell me", 40))
    # A word of the second that the first has not.
    first = "".join(echo.WORDS[token] for token in echo.token_ids(3, "tell me", 40))
    stop = next(word for word in second.split()[5:] if word not in first)
    request.stopping.stop.append(stop)
    choices = turn(agent, request)
    assert choices.turns[0].text == first
    assert choices.turns[1].text == second[: second.index(stop)]
    assert [one.finished.reason for one in choices.turns] == [LENGTH, STOP]
    assert choices.turns[1].finished.stop == stop


def test_a_cancel_ends_all_of_them_and_those_behind_get_their_sequences(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("tell me", seed=3, max_tokens=100_000, delay_ms=5)
            request.choices = 4
            call = stub.Chat()
            await call.write(pb.ChatRequest(generate=request))
            choices = await read(call, Choices(4), until=lambda read: all(one.tokens for one in read.turns[:2]))
            behind = asyncio.create_task(one(agent, echo.request("behind", max_tokens=5)))
            await eventually(lambda: agent.number("echo", "waiting") == 2, "the choices and the one behind wait")
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            await read(call, choices)
            assert [one.finished.reason for one in choices.turns] == [CANCELLED] * 4
            assert choices.turns[2].tokens == choices.turns[3].tokens == 0
            return await behind

    told = run(scenario())
    assert told.tokens == 5
    wait_until(lambda: agent.number("echo", "running") == 0, "no sequence is left")


@pytest.mark.parametrize("count", [2, 4])
def test_a_consumer_that_goes_frees_all_sequences(agent, count):
    async def scenario():
        async with connect(agent) as channel:
            request = echo.request("tell me", seed=3, max_tokens=100_000, delay_ms=1)
            request.choices = count
            call = rpc.InferenceStub(channel).Generate(request)
            await read(call, Choices(count), until=lambda read: all(one.tokens for one in read.turns[:2]))
            call.cancel()

    run(scenario())
    wait_until(lambda: agent.number("echo", "running") == 0, "no sequence is left")
    assert run(one(agent, echo.request("after", max_tokens=5))).tokens == 5


def test_what_is_out_of_range_is_named(agent):
    async def scenario(count):
        async with connect(agent) as channel:
            request = echo.request("tell me")
            request.choices = count
            error, _ = await first_failure(rpc.InferenceStub(channel).Generate(request))
            return error

    for count in (0, 17, 2**32 - 1):
        error = run(scenario(count))
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == f"choices is {count}; allowed: 1 to 16"


def test_the_command_prints_one_answer_behind_the_other(agent):
    def chat(*arguments):
        command = [PREFIX / "bin/hearth", "chat", "--to", agent.address, "--model", "echo", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    told = chat("--seed", "5", "--max-tokens", "6", "--choices", "3", "tell me")
    assert told.returncode == 0, told.stderr
    alone = [chat("--seed", str(seed), "--max-tokens", "6", "tell me").stdout for seed in (5, 6, 7)]
    assert told.stdout == "".join(alone)
    assert "choice 2 of 3" in told.stderr
    events = [json.loads(line) for line in chat("--choices", "2", "--json", "tell me").stdout.splitlines()]
    assert {event.get("choice", 0) for event in events if "finished" in event} == {0, 1}
