"""A consumer that does not read costs a fixed amount of memory, no compute, and its neighbours nothing."""

import asyncio
import os
import time

import echo
import grpc
import pytest
from agent import SANITIZED, Agent, resident_kibibytes
from consumer import NARROW, connect, eventually, first_failure, pb, read_turn, rpc, run

STALL_SECONDS = float(os.environ.get("HEARTH_STALL_SECONDS", "10"))
NEIGHBOURS = 100
NEIGHBOUR_RATE = 10
TOKENS = 40_000
COUNTER_AGE_SECONDS = 7
UNREAD_SECONDS = 60
GROWTH_KIBIBYTES_MAX = 8 * 1024
# How slowly one reads that is no consumer who does not read.
SLOW_SECONDS_PER_EVENT = 0.025


def test_a_consumer_that_does_not_read_stops_its_own_computation_only():
    async def scenario(agent):
        received = 0
        closing = asyncio.Event()

        async def neighbour(index, channel):
            nonlocal received
            request = echo.request(f"neighbour {index}", max_tokens=1_000_000, tokens_per_second=NEIGHBOUR_RATE, ids=True)
            call = rpc.InferenceStub(channel).Chat()
            await call.write(pb.ChatRequest(generate=request))
            turn, before = await read_turn(call, until=lambda turn: turn.tokens > 0), 0
            while not turn.is_over:
                received += turn.tokens - before
                before = turn.tokens
                if closing.is_set():
                    closing_sent = call.write(pb.ChatRequest(cancel=pb.Cancel()))
                    await closing_sent
                    turn = await read_turn(call, turn)
                    break
                turn = await read_turn(call, turn, until=lambda turn: turn.tokens > before)
            echo.check(turn, request)

        async def rate_over(seconds):
            began, count = time.monotonic(), received
            await asyncio.sleep(seconds)  # The time that the rate is measured over.
            return (received - count) / (time.monotonic() - began)

        async with connect(agent) as shared, connect(agent, **NARROW) as own:
            neighbours = [asyncio.ensure_future(neighbour(index, shared)) for index in range(NEIGHBOURS)]
            await eventually(lambda: received >= NEIGHBOURS * 3, "the neighbours receive", interval=0.05)
            rate_before = await rate_over(3)

            request = echo.request("stalled", model="stalled", max_tokens=TOKENS, ids=True)
            call = rpc.InferenceStub(own).Chat()
            await call.write(pb.ChatRequest(generate=request))
            turn = await read_turn(call, until=lambda turn: turn.tokens > 0)
            # From here it does not read. Its computation must stand still once its credit is used up. The counter is
            # as old as the backend's last answer to a ping.
            computed, deadline = -1, time.monotonic() + 60
            while (now := await asyncio.to_thread(agent.number, "stalled", "tokens")) != computed or now == 0:
                computed = now
                assert time.monotonic() < deadline, "the stalled sequence goes on being computed"
                await asyncio.sleep(COUNTER_AGE_SECONDS)
            resident_before = resident_kibibytes(agent.pid)
            rate_during = await rate_over(STALL_SECONDS)
            resident_after = resident_kibibytes(agent.pid)
            computed_after = await asyncio.to_thread(agent.number, "stalled", "tokens")
            print(
                f"stalled {STALL_SECONDS:.0f} s: computed {computed} of {TOKENS} tokens and then {computed_after - computed}"
                f" more; agent {resident_before} -> {resident_after} KiB;"
                f" neighbours {rate_before:.0f} -> {rate_during:.0f} tokens/s"
            )
            assert computed_after == computed < TOKENS
            assert SANITIZED or resident_after - resident_before < GROWTH_KIBIBYTES_MAX
            assert SANITIZED or rate_during > rate_before * 0.8

            turn = await read_turn(call, turn)
            echo.check(turn, request)
            assert turn.tokens == TOKENS
            closing.set()
            await asyncio.gather(*neighbours)

    sequences = {"models": [{"id": "echo", "maxSequences": NEIGHBOURS}]}
    with Agent({"echo": sequences, "stalled": None}) as agent:
        run(scenario(agent), STALL_SECONDS + 180)


async def does_not_read(agent, model):
    """A consumer that reads nothing keeps its turn while nobody waits, and gives way to who does."""
    async with connect(agent, **NARROW) as idle, connect(agent) as busy:
        request = echo.request("unread", model=model, max_tokens=TOKENS)
        unread = rpc.InferenceStub(idle).Chat()
        await unread.write(pb.ChatRequest(generate=request))
        turn = await read_turn(unread, until=lambda turn: turn.tokens > 0)
        await asyncio.sleep(UNREAD_SECONDS + 2)  # It reads nothing for this time.
        assert await asyncio.to_thread(agent.number, model, "running") == 1

        request = echo.request("next", model=model, max_tokens=5)
        began = time.monotonic()
        call = rpc.InferenceStub(busy).Chat()
        await call.write(pb.ChatRequest(generate=request))
        echo.check(await read_turn(call), request)
        assert time.monotonic() - began < UNREAD_SECONDS
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await read_turn(unread, turn)
        assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "unreadMilliseconds" in refusal.value.details()


async def has_gone(agent, model):
    """A consumer that is away and may come back keeps its turn while nobody waits, and gives way to who does."""
    async with connect(agent) as busy:
        request = echo.request("away", model=model, max_tokens=1_000_000)
        request.resumable_for.seconds = 300
        async with connect(agent) as own:
            call = rpc.InferenceStub(own).Generate(request)
            token = (await call.read()).resumable.resume_token
        await asyncio.sleep(UNREAD_SECONDS + 2)  # It is away for this time.
        assert await asyncio.to_thread(agent.number, model, "running") == 1

        following = echo.request("next", model=model, max_tokens=5)
        began = time.monotonic()
        echo.check(await read_turn(rpc.InferenceStub(busy).Generate(following)), following)
        assert time.monotonic() - began < UNREAD_SECONDS
        # What was computed is still there, and does not look whole.
        error, events = await first_failure(rpc.InferenceStub(busy).Resume(pb.ResumeRequest(resume_token=token, after=1)))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "unreadMilliseconds" in error.details()
        assert [event.seq for event in events] == list(range(2, len(events) + 2))
        assert sum(event.delta.token_count for event in events) > 1_000
        assert not any(event.HasField("finished") or event.HasField("usage") for event in events)


async def reads_slowly(agent, model):
    """A consumer that reads a little all the time keeps its turn, whoever waits."""
    async with connect(agent, **NARROW) as slow, connect(agent) as busy:
        request = echo.request("slow", model=model, max_tokens=1_000_000, ids=True)
        call = rpc.InferenceStub(slow).Chat()
        await call.write(pb.ChatRequest(generate=request))
        turn = await read_turn(call, until=lambda turn: turn.tokens > 0)

        following = echo.request("next", model=model, max_tokens=5, queue_events=True)
        waiting = rpc.InferenceStub(busy).Chat()
        await waiting.write(pb.ChatRequest(generate=following))
        waiter = await read_turn(waiting, until=lambda turn: turn.queued > 0)
        # By the clock, so that it reads no more slowly where other tests have the processor: its library tells the agent
        # only every 32 KiB that something was read.
        began, events = time.monotonic(), 0
        while (seconds := time.monotonic() - began) < UNREAD_SECONDS + 5:
            while events < seconds / SLOW_SECONDS_PER_EVENT:
                event = await call.read()
                assert event is not grpc.aio.EOF, f"ended: {await call.details()}"
                turn.receive(event)
                events += 1
            await asyncio.sleep(SLOW_SECONDS_PER_EVENT)
        print(f"read slowly: {turn.deltas} deltas with {turn.tokens} tokens")
        # It stood still for most of this time: more is there than it has read.
        assert await asyncio.to_thread(agent.number, model, "running") == 1
        assert waiter.accepted is None and not turn.is_over

        await call.write(pb.ChatRequest(cancel=pb.Cancel()))
        echo.check(await read_turn(call, turn), request)
        echo.check(await read_turn(waiting, waiter), following)


@pytest.mark.waits
def test_a_consumer_gives_way_to_those_who_wait_if_it_reads_nothing_and_not_if_it_reads_slowly():
    async def scenario(agent):
        await asyncio.gather(
            does_not_read(agent, "one"), reads_slowly(agent, "two"), has_gone(agent, "three")
        )

    with Agent({name: {"models": [{"id": name, "maxSequences": 1}]} for name in ("one", "two", "three")}) as agent:
        run(scenario(agent), 2 * UNREAD_SECONDS + 60)
