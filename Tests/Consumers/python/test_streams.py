"""Many streams, several turns, and every token of them checked."""

import asyncio
import os

import echo
import grpc
from agent import Agent, wait_until
from consumer import CANCELLED, LENGTH, connect, pb, read_turn, rpc, run

STREAMS = int(os.environ.get("HEARTH_STREAMS", "1000"))
STREAMS_PER_CONNECTION = 100


def test_a_thousand_streams_at_once_each_get_their_own_tokens():
    tokens = 40
    manifest = {"models": [{"id": "echo", "maxSequences": STREAMS}]}

    async def scenario(agent):
        connections = -(-STREAMS // STREAMS_PER_CONNECTION)
        channels = [connect(agent) for _ in range(connections)]
        all_started, started = asyncio.Event(), 0
        running_at_once = 0

        async def one(index):
            nonlocal started, running_at_once
            prompt = f"stream {index}"
            call = rpc.InferenceStub(channels[index % connections]).Chat()
            # Paced, so that none is done before the last has begun.
            request = echo.request(prompt, seed=index, max_tokens=tokens, tokens_per_second=2, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call, until=lambda turn: turn.tokens > 0)
            started += 1
            if started == STREAMS:
                running_at_once = await asyncio.to_thread(agent.number, "echo", "running")
                all_started.set()
            await all_started.wait()
            turn = await read_turn(call, turn)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK
            echo.check(turn, request)
            assert turn.finished.reason == LENGTH
            assert turn.tokens == tokens

        await asyncio.gather(*(one(index) for index in range(STREAMS)))
        print(f"{running_at_once} sequences ran at once")
        assert running_at_once == STREAMS
        for channel in channels:
            await channel.close()

    with Agent({"echo": manifest}) as agent:
        run(scenario(agent), 240)
        agent.wait_idle("echo")
        wait_until(lambda: agent.number("echo", "tokens") == STREAMS * tokens, "echo's counter is what was received")


def test_several_turns_follow_each_other_on_one_stream():
    async def scenario(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            for number in range(5):
                request = echo.request(f"turn {number}", seed=number, max_tokens=10 + number, ids=True)
                request.request_id = f"turn-{number}"
                await call.write(pb.ChatRequest(generate=request))
                turn = await read_turn(call)
                assert turn.accepted.request_id == f"turn-{number}"
                assert turn.accepted.model == "echo"
                assert turn.accepted.sandbox_tier == "full"
                echo.check(turn, request)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    with Agent() as agent:
        run(scenario(agent))


def test_the_running_turn_finishes_after_the_consumer_closed_its_side():
    async def scenario(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            request = echo.request("half closed", max_tokens=30, tokens_per_second=200, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            await call.done_writing()
            echo.check(await read_turn(call), request)
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    with Agent() as agent:
        run(scenario(agent))


def test_generate_streams_the_same_turn_without_a_request_stream():
    async def scenario(agent):
        async with connect(agent) as channel:
            request = echo.request("one turn", max_tokens=25, ids=True)
            call = rpc.InferenceStub(channel).Generate(request)
            echo.check(await read_turn(call), request)
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    with Agent() as agent:
        run(scenario(agent))


def test_token_ids_are_sent_only_when_asked_for():
    async def scenario(agent):
        async with connect(agent) as channel:
            request = echo.request("no ids", max_tokens=25)
            turn = await read_turn(rpc.InferenceStub(channel).Generate(request))
            assert turn.token_ids == []
            assert turn.tokens == 25

    with Agent() as agent:
        run(scenario(agent))


def test_reasoning_comes_apart_from_the_answer_to_a_conversation():
    async def scenario(agent):
        async with connect(agent) as channel:
            request = pb.GenerateRequest(model="echo", messages={"messages": [{"role": "ROLE_USER", "content": "so it is"}]})
            request.backend_options.update({"echo": "1", "reasoning": "1"})
            events = [event async for event in rpc.InferenceStub(channel).Generate(request)]
            deltas = [event.delta for event in events if event.WhichOneof("event") == "delta"]
            assert "".join(delta.reasoning for delta in deltas) == " so"
            assert "".join(delta.text for delta in deltas) == " it is"
            assert sum(delta.token_count for delta in deltas) == events[-1].usage.completion_tokens == 3
            models = await rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())
            assert "reasoning" in models.models[0].capabilities

    with Agent() as agent:
        run(scenario(agent))


def test_cancel_in_the_middle_ends_the_turn_and_keeps_the_stream():
    async def scenario(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            request = echo.request("cut", max_tokens=100_000, tokens_per_second=100, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            assert await asyncio.to_thread(agent.number, "echo", "running") == 1
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            turn = await read_turn(call, turn)
            assert turn.finished.reason == CANCELLED
            assert 5 <= turn.tokens < 100_000
            echo.check(turn, request)
            await asyncio.to_thread(agent.wait_idle, "echo")
            # What is computed after the cancel is at most what the step in progress had begun.
            request = echo.request("after the cut", max_tokens=5, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            echo.check(await read_turn(call), request)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    with Agent() as agent:
        run(scenario(agent))


def test_a_cancel_without_a_turn_is_ignored():
    async def scenario(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            await call.write(pb.ChatRequest(cancel=pb.Cancel()))
            request = echo.request("after an idle cancel", max_tokens=5, ids=True)
            await call.write(pb.ChatRequest(generate=request))
            echo.check(await read_turn(call), request)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert await call.code() == grpc.StatusCode.OK

    with Agent() as agent:
        run(scenario(agent))


def test_models_and_token_counts_can_be_asked_for():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            models = (await stub.ListModels(pb.ListModelsRequest())).models
            assert [model.id for model in models] == ["echo", "other"]
            assert all(model.state == pb.MODEL_STATE_READY for model in models)
            assert all(model.sandbox_tier == "full" for model in models)
            assert all(model.max_context_tokens > 0 for model in models)
            page = await stub.ListModels(pb.ListModelsRequest(page_size=1))
            assert [model.id for model in page.models] == ["echo"] and page.next_page_token
            page = await stub.ListModels(pb.ListModelsRequest(page_size=1, page_token=page.next_page_token))
            assert [model.id for model in page.models] == ["other"] and not page.next_page_token

            request = echo.request("how many tokens are these", max_tokens=1)
            counted = (await stub.CountTokens(request)).tokens
            turn = await read_turn(stub.Generate(request))
            assert counted == turn.usage.prompt_tokens > 0

    with Agent({"echo": None, "other": None}) as agent:
        run(scenario(agent))
