"""Every refusal has its canonical code, and a message that names the remedy."""

import asyncio

import echo
import grpc
from agent import Agent
from consumer import connect, detail, failure, first_failure, pb, read_turn, rpc, run
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2


def refused(request, backends=None):
    """The error and the events before it of one `Generate`."""

    async def scenario(agent):
        async with connect(agent) as channel:
            return await first_failure(rpc.InferenceStub(channel).Generate(request))

    with Agent(backends) as agent:
        return run(scenario(agent))


def test_an_unknown_model_is_not_found_and_the_message_lists_what_there_is():
    request = echo.request("hello", max_tokens=1)
    request.model = "missing"
    error, events = refused(request, {"echo": None, "other": None})
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "missing" in error.details() and "echo" in error.details() and "other" in error.details()
    assert not events


def test_sampling_out_of_range_is_an_invalid_argument_that_names_the_field():
    request = echo.request("hello", max_tokens=1)
    request.sampling.temperature = 3
    error, events = refused(request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "temperature" in error.details()
    (violation,) = detail(error, error_details_pb2.BadRequest).field_violations
    assert violation.field == "sampling.temperature" and "0.0 to 2.0" in violation.description
    assert not events


def test_a_prompt_that_does_not_fit_is_an_invalid_argument_with_both_numbers():
    context = 64
    request = echo.request(" ".join(["word"] * 1000), max_tokens=1)
    error, events = refused(request, {"echo": {"models": [{"id": "echo", "contextTokens": context}]}})
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    numbers = [int(word) for word in "".join(c if c.isdigit() else " " for c in error.details()).split()]
    assert context in numbers, error.details()
    # Nothing was said before, so that this could be refused without response headers.
    assert not events
    assert any(number > context for number in numbers), error.details()


def test_a_request_without_a_prompt_is_an_invalid_argument():
    error, _ = refused(pb.GenerateRequest(model="echo"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_without_a_free_sequence_the_wait_ends_resource_exhausted():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            first = stub.Generate(echo.request("first", max_tokens=100_000, tokens_per_second=50))
            await read_turn(first, until=lambda turn: turn.tokens > 0)
            for wait in (Duration(), Duration(nanos=300_000_000)):
                second = echo.request("second", max_tokens=1, queue_events=True)
                second.max_queue_time.CopyFrom(wait)
                error, events = await first_failure(stub.Generate(second))
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert all(event.WhichOneof("event") == "queued" for event in events)
                assert detail(error, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() > 0
            # One that waits longer is told its place, and served when the sequence is free.
            third = echo.request("third", max_tokens=3, ids=True, queue_events=True)
            waiting = stub.Generate(third)
            turn = await read_turn(waiting, until=lambda turn: turn.queued > 0)
            first.cancel()
            turn = await read_turn(waiting, turn)
            echo.check(turn, third)

    with Agent({"echo": {"models": [{"id": "echo", "maxSequences": 1}]}}) as agent:
        run(scenario(agent))


def test_a_crash_of_one_backend_is_not_noticed_by_another():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("steady", max_tokens=60, tokens_per_second=60, ids=True)
            steady = stub.Generate(request)
            turn = await read_turn(steady, until=lambda turn: turn.tokens > 0)
            crash = echo.request("crash", model="other", max_tokens=50, crash_at=3)
            crashed = await read_turn(stub.Generate(crash))
            assert crashed.resumed == 1
            echo.check(crashed, crash)
            echo.check(await read_turn(steady, turn), request)

    with Agent({"echo": None, "other": None}) as agent:
        run(scenario(agent))


def test_a_second_turn_before_the_first_has_ended_fails_the_precondition():
    async def scenario(agent):
        async with connect(agent) as channel:
            call = rpc.InferenceStub(channel).Chat()
            for _ in range(2):
                request = echo.request("out of turn", max_tokens=100_000, tokens_per_second=20)
                await call.write(pb.ChatRequest(generate=request))
            error, _ = await first_failure(call)
            assert error.code() == grpc.StatusCode.FAILED_PRECONDITION

    with Agent() as agent:
        run(scenario(agent))
        agent.wait_idle("echo")


def test_a_method_that_is_not_there_is_unimplemented():
    async def scenario(agent):
        async with connect(agent) as channel:
            for path in ("/hearth.v1.Inference/Missing", "/hearth.v1.Missing/Chat"):
                error = await failure(channel.unary_unary(path)(b""))
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED

    with Agent() as agent:
        run(scenario(agent))
