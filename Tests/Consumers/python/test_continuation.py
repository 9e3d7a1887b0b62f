"""The death of a backend is a pause: what runs on its process goes on with the next one, behind its last token."""

import asyncio
import os
import signal

import echo
import grpc
import pytest
from agent import Agent, descendants
from consumer import CANCELLED, connect, failure, first_failure, pb, read_turn, rpc, run

MODELS = {"models": [{"id": "echo", "maxSequences": 64}]}


@pytest.fixture(scope="module")
def agent():
    with Agent({"echo": MODELS, "other": {"models": [{"id": "other", "maxSequences": 2}]}}) as started:
        yield started


def log_of(stub, request):
    """Everything that a completion says, its events joined, and how often it was interrupted."""

    async def read():
        turn = await read_turn(stub.Generate(request))
        return turn, (
            turn.text, turn.token_ids, [entry.SerializeToString() for entry in turn.logprobs],
            [piece.SerializeToString() for piece in turn.pieces], turn.finished.SerializeToString(),
            turn.usage.prompt_tokens, turn.usage.completion_tokens,
        )

    return read()


def conversation(**options):
    made = echo.request("", max_tokens=60, ids=True, **options)
    made.messages.messages.add(role=pb.ROLE_USER, content="what is the weather in Rome")
    return made


def with_tools(**options):
    made = conversation(**options)
    made.tools.tools.add(name="weather", parameters='{"type": "object", "properties": {"town": {"type": "string"}}}')
    made.tools.choice = pb.TOOL_CHOICE_REQUIRED
    return made


def with_logprobs(**options):
    made = echo.request("likely", max_tokens=60, ids=True, **options)
    made.output.logprobs = 2
    return made


def in_a_form(**options):
    made = echo.request("in a form", max_tokens=60, ids=True, **options)
    made.format.json_schema = '{"type": "array", "items": {"type": "integer"}}'
    return made


def with_stop(**options):
    made = echo.request("stops", max_tokens=60, ids=True, **options)
    made.stopping.stop.append(echo.WORDS[echo.token_ids(0, "stops", 30)[29]])
    return made


@pytest.mark.parametrize("request_of", [conversation, with_tools, with_logprobs, in_a_form, with_stop])
def test_an_interrupted_completion_is_the_one_that_was_not_interrupted(agent, request_of):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            _, whole = await log_of(stub, request_of())
            for at in (1, 2, 7, 11):
                turn, joined = await log_of(stub, request_of(crash_at=at))
                assert joined == whole, f"interrupted at {at}"
                if turn.tokens > at:
                    assert [paused.reason for paused in turn.paused] == [pb.PAUSE_REASON_BACKEND_LOST]
                    assert turn.resumed == 1

    run(scenario())


def test_many_streams_survive_one_death_after_the_other(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = [echo.request(f"stream {number}", max_tokens=400, tokens_per_second=200, ids=True) for number in range(40)]
            several = echo.request("several", max_tokens=400, tokens_per_second=200)
            several.choices = 3
            turns = [asyncio.ensure_future(read_turn(stub.Generate(request))) for request in asked]
            chosen = stub.Generate(several)
            deaths = 0
            while not all(turn.done() for turn in turns):
                pid = await asyncio.to_thread(agent.number, "echo", "pid")
                if pid and deaths < 12:
                    for process in descendants(agent.pid):
                        if process == pid:
                            os.kill(pid, signal.SIGKILL)
                            deaths += 1
                await asyncio.sleep(0.05)
            assert deaths > 3
            for request, turn in zip(asked, turns):
                echo.check(turn.result(), request)
                assert turn.result().tokens == 400 and turn.result().resumed == len(turn.result().paused) > 0
            texts, seq = [""] * 3, 0
            async for event in chosen:
                seq += 1
                assert event.seq == seq
                if event.WhichOneof("event") == "delta":
                    texts[event.choice] += event.delta.text
            for number, text in enumerate(texts):
                assert text == "".join(echo.WORDS[token] for token in echo.token_ids(number, "several", 400))

    run(scenario())
    agent.wait_idle("echo")


def test_a_request_that_ends_its_processes_is_found_and_refused_and_the_others_go_on(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = [echo.request(f"honest {number}", max_tokens=600, tokens_per_second=200, ids=True) for number in range(20)]
            calls = [stub.Generate(request) for request in asked]
            begun = await asyncio.gather(*[read_turn(call, until=lambda turn: turn.tokens > 0) for call in calls])
            before = await asyncio.to_thread(agent.number, "echo", "restarts")
            honest = [asyncio.ensure_future(read_turn(call, turn)) for call, turn in zip(calls, begun)]
            # It ends its process before its first token, whichever process that is.
            error, events = await first_failure(stub.Generate(echo.request("poison", max_tokens=9, crash_at=0)))
            assert error.code() == grpc.StatusCode.INTERNAL
            assert "in a row failed at this request" in error.details()
            assert not any(event.WhichOneof("event") in ("delta", "finished", "usage") for event in events)
            for request, turn in zip(asked, await asyncio.gather(*honest)):
                echo.check(turn, request)
                assert turn.tokens == 600
            assert await asyncio.to_thread(agent.number, "echo", "restarts") - before <= 5
            after = echo.request("afterwards", max_tokens=5)
            echo.check(await read_turn(stub.Generate(after)), after)

    run(scenario())


def test_what_waits_for_its_process_can_be_cancelled_and_meets_its_deadline(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            long = {"model": "other", "max_tokens": 10_000, "tokens_per_second": 100}
            late = stub.Generate(echo.request("late", **long), timeout=5)
            call = stub.Chat()
            await call.write(pb.ChatRequest(generate=echo.request("cancelled", **long)))
            begun = [await read_turn(each, until=lambda turn: turn.tokens > 5) for each in (late, call)]
            await asyncio.to_thread(agent.command_line, "pause", "--unload", "--state", agent.state)
            over, turn = [await read_turn(*each, until=lambda turn: turn.paused) for each in zip((late, call), begun)]
            error = await failure(read_turn(late, over))
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED and over.finished is None
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            await read_turn(call, turn)
            assert turn.finished.reason == CANCELLED and turn.usage.completion_tokens == turn.tokens
            await asyncio.to_thread(agent.command_line, "resume", "--state", agent.state)

    run(scenario())
    agent.wait_ready("echo", "other")
