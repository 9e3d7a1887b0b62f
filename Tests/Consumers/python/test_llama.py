"""The llama.cpp backend with the demo model; left out where it was not installed."""

import asyncio
import shutil

import grpc
import pytest
from agent import SHIPPED, Agent
from consumer import CANCELLED, LENGTH, STOP, connect, pb, read_turn, rpc, run

pytestmark = pytest.mark.skipif(
    not (SHIPPED / "llama").exists(), reason="the llama backend is not installed: build it with Scripts/build-llama"
)
STREAMS = 50
MODEL = "hearth-demo"


class LlamaAgent(Agent):
    """Has the shipped llama backend with its own manifest and weights."""

    def __init__(self):
        super().__init__(backends={})
        self.models = [MODEL]
        for name in ("llama", "llama.json", "hearth-demo.gguf"):
            shutil.copy(SHIPPED / name, self.backend_folder / name)


def request(question, seed=1, max_tokens=60, **fields):
    made = pb.GenerateRequest(model=MODEL, **fields)
    made.messages.messages.add(role=pb.ROLE_USER, content=question)
    made.sampling.seed = seed
    made.stopping.max_tokens = max_tokens
    made.output.token_ids = True
    return made


def check(turn):
    assert turn.finished.reason in (STOP, LENGTH)
    assert len(turn.token_ids) == turn.tokens == turn.usage.completion_tokens > 0
    assert turn.usage.prompt_tokens > 0
    assert "\ufffd" not in turn.text


@pytest.fixture(scope="module")
def agent():
    with LlamaAgent() as started:
        yield started


def test_fifty_streams_at_once_are_whole(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)

            async def one(index):
                call = stub.Chat()
                await call.write(pb.ChatRequest(generate=request(f"Tell me a story about {index} cats.", seed=index)))
                turn = await read_turn(call)
                await call.done_writing()
                assert await call.read() is grpc.aio.EOF
                assert await call.code() == grpc.StatusCode.OK
                check(turn)
                return turn

            turns = await asyncio.gather(*(one(index) for index in range(STREAMS)))
            assert len({turn.text for turn in turns}) > STREAMS // 2, "different seeds tell different stories"
            counted = sum(turn.tokens for turn in turns)
            print(f"{STREAMS} stories, {counted} tokens; one of them:{turns[0].text}")

    run(scenario(), 300)
    agent.wait_idle(MODEL)


def test_the_same_seed_tells_the_same_story(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            first, second = [await read_turn(stub.Generate(request("Who is Tom?", seed=7))) for _ in range(2)]
            assert first.token_ids == second.token_ids and first.text == second.text

    run(scenario())


def test_cancel_frees_the_sequence_and_keeps_what_was_sent(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            endless = request("Tell me a story.", max_tokens=400)
            endless.stopping.ignore_end_of_turn = True
            await call.write(pb.ChatRequest(generate=endless))
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 3)
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            turn = await read_turn(call, turn)
            # So small a model may have written all of it before the cancel came.
            assert turn.finished.reason in (CANCELLED, LENGTH)
            await asyncio.to_thread(agent.wait_idle, MODEL)

    run(scenario())


def test_a_stop_string_ends_the_story_and_is_not_sent(agent):
    async def scenario():
        async with connect(agent) as channel:
            asked = request("Tell me a story about a dog.", max_tokens=200)
            asked.stopping.stop.append(".")
            turn = await read_turn(rpc.InferenceStub(channel).Generate(asked))
            check(turn)
            assert turn.finished.reason == STOP and turn.finished.stop == "."
            assert "." not in turn.text

    run(scenario())


def test_several_turns_of_a_conversation(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            asked = request("Tell me a story about a bird.")
            for _ in range(3):
                await call.write(pb.ChatRequest(generate=asked))
                turn = await read_turn(call)
                check(turn)
                asked.messages.messages.add(role=pb.ROLE_ASSISTANT, content=turn.text)
                asked.messages.messages.add(role=pb.ROLE_USER, content="And then?")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    run(scenario())


def test_the_prompt_is_counted_as_it_is_used(agent):
    async def scenario():
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            asked = request("How many tokens is this?", max_tokens=1)
            counted = (await stub.CountTokens(asked)).tokens
            assert counted == (await read_turn(stub.Generate(asked))).usage.prompt_tokens

    run(scenario())


def test_a_conversation_that_does_not_fit_is_refused_with_both_numbers(agent):
    async def scenario():
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Generate(request("word " * 20_000))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in call:
                    pass
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert sum(word.strip(".,;:()").isdigit() for word in caught.value.details().split()) >= 2

    run(scenario())
