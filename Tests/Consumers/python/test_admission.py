"""Who is served first where several wait, and what a stock client's retry policy makes of a host that is full."""

import asyncio
import json

import echo
import grpc
from agent import Agent
from closed_agent import ClosedAgent
from consumer import connect, detail, eventually, first_failure, pb, read_turn, rpc, run
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from test_metrics import samples

RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
POLICY = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "hearth.v1.Inference"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"],
                },
            }
        ]
    }
)
RETRIES = {"grpc.service_config": POLICY}
NO_RETRIES = {"grpc.enable_retries": 0}


def failed_turns(agent):
    return samples(agent)[("hearth_turns_total", ("result", "failed"))]


def impatient(prompt, **options):
    """A request that does not wait."""
    request = echo.request(prompt, max_tokens=3, ids=True, **options)
    request.max_queue_time.CopyFrom(Duration())
    return request


async def hold(stub):
    """A turn that holds its sequence and computes nothing."""
    call = stub.Generate(echo.request("hold", queue_events=True, delay_ms=3_600_000))
    await read_turn(call, until=lambda turn: turn.accepted)
    return call


def test_a_full_host_refuses_with_trailers_only_and_a_retry_policy_has_all_served_in_the_end():
    async def scenario(agent):
        async with connect(agent, **NO_RETRIES) as plain, connect(agent, **RETRIES) as retrying:
            holding = [await hold(rpc.InferenceStub(plain)) for _ in range(2)]
            call = rpc.InferenceStub(plain).Generate(impatient("no"))
            error, events = await first_failure(call)
            assert error.code() == RESOURCE_EXHAUSTED and not events
            assert not list(await call.initial_metadata())
            pushback = int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"])
            assert pushback == detail(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() > 0
            # One that hears of its place has headers, and so is not sent again.
            heard = impatient("heard", queue_events=True)
            error, events = await first_failure(rpc.InferenceStub(retrying).Generate(heard))
            assert error.code() == RESOURCE_EXHAUSTED
            assert [event.WhichOneof("event") for event in events] == ["queued"]
            refused = await asyncio.to_thread(failed_turns, agent)
            assert refused == 2

            requests = [impatient(f"turn {number}") for number in range(4)]
            calls = [rpc.InferenceStub(retrying).Generate(request) for request in requests]
            turns = [asyncio.ensure_future(read_turn(call)) for call in calls]

            async def all_refused():
                return await asyncio.to_thread(failed_turns, agent) >= refused + len(turns)

            # Each was refused at least once; then there is room.
            await eventually(all_refused, "all were refused", interval=0.1)
            for call in holding:
                call.cancel()
            for request, turn in zip(requests, turns):
                echo.check(await turn, request)
                assert [turn.result().queued, turn.result().tokens] == [0, 3]

    with Agent({"echo": {"models": [{"id": "echo", "maxSequences": 2}]}}) as agent:
        run(scenario(agent))


def test_a_call_is_sent_again_until_it_has_text_and_then_no_more():
    async def scenario(agent):
        async with connect(agent, **RETRIES) as channel:
            stub = rpc.InferenceStub(channel)
            for fault_at, sent in ((5, 1), (0, 5)):
                before = await asyncio.to_thread(failed_turns, agent)
                request = echo.request("fails", max_tokens=9, fault="overloaded", fault_at=fault_at)
                error, events = await first_failure(stub.Generate(request))
                assert error.code() == RESOURCE_EXHAUSTED
                assert sum(event.delta.token_count for event in events) == fault_at
                assert bool(events) == (fault_at > 0)
                assert await asyncio.to_thread(failed_turns, agent) - before == sent

    with Agent() as agent:
        run(scenario(agent))


def test_callers_take_turns_and_a_key_that_may_goes_first():
    async def scenario(agent):
        names = {"many": (), "one": (), "first": ("--priority", "high", "--share", "2")}
        keys = {name: await asyncio.to_thread(agent.create, name, *limits) for name, limits in names.items()}
        line = json.loads(agent.command_line("key", "list", "--state", agent.state, "--json").splitlines()[-1])
        assert (line["name"], line["priority"], line["share"]) == ("first", "high", 2)
        channels = {name: agent.channel(key) for name, key in keys.items()}
        stubs = {name: rpc.InferenceStub(channel) for name, channel in channels.items()}
        known = lambda: stubs["first"].ListModels(pb.ListModelsRequest(), timeout=20)

        async def is_known():
            try:
                return await known()
            except grpc.aio.AioRpcError as error:
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED, error

        await eventually(is_known, "the keys are in force", seconds=10, interval=0.1)
        over = []

        async def ask(name, number, **metadata):
            request = echo.request(f"{name} {number}", max_tokens=3, queue_events=True, tokens_per_second=20)
            call = stubs[name].Generate(
                request, metadata=[(key.replace("_", "-"), value) for key, value in metadata.items()]
            )
            turn = await read_turn(call, until=lambda turn: turn.queued > 0)

            async def end():
                echo.check(await read_turn(call, turn), request)
                over.append(name)

            return asyncio.ensure_future(end())

        for value, code, word in [
            ("urgent", grpc.StatusCode.INVALID_ARGUMENT, "low, normal, high"),
            ("high", grpc.StatusCode.PERMISSION_DENIED, "'normal' at most"),
        ]:
            call = stubs["one"].Generate(echo.request("no", max_tokens=1), metadata=[("hearth-priority", value)])
            error, _ = await first_failure(call)
            assert error.code() == code and word in error.details()

        holding = await hold(stubs["many"])
        waiting = [await ask("many", number) for number in range(6)]
        waiting.append(await ask("one", 0))
        waiting.append(await ask("first", 0, hearth_priority="high"))
        holding.cancel()
        await asyncio.gather(*waiting)
        # The one that held the sequence has had its turn; of the others the one with the right is first.
        assert over[0] == "first" and over.index("one") <= 2, over
        for channel in channels.values():
            await channel.close()

    with ClosedAgent({"echo": {"models": [{"id": "echo", "maxSequences": 1}]}}) as agent:
        run(scenario(agent))
