"""The owner has the machine back at once, and what consumers are told and keep meanwhile."""

import asyncio
import json
import subprocess

import echo
import grpc
import pytest
from agent import PREFIX, Agent, descendants, processor_seconds
from consumer import connect, eventually, failure, first_failure, pb, read_turn, rpc, run
from grpc_health.v1 import health_pb2, health_pb2_grpc
from test_metrics import samples

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
# More than a test can wait for.
LONG = {"max_tokens": 400, "tokens_per_second": 100}


def hearth(agent, *arguments):
    """What a command of the owner prints; other tasks go on meanwhile."""
    return asyncio.to_thread(agent.command_line, *arguments, "--state", agent.state)


def backend_processes(agent):
    """The processes of backends, without the launchers and keepers around them."""
    return [pid for pid in descendants(agent.pid) if not descendants(pid)]


def computed(agent):
    """The seconds that backends have run on a processor."""
    return sum(processor_seconds(pid)[0] for pid in backend_processes(agent))


async def health(channel):
    """Of the host, its service and its model."""
    stub = health_pb2_grpc.HealthStub(channel)
    names = ("", "hearth.v1.Inference", "echo")
    answers = [await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10) for name in names]
    return [answer.status for answer in answers]


def test_a_paused_stream_stands_still_says_why_and_goes_on_to_the_byte():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("paused", ids=True, **LONG)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            # What is measured below does grow while it computes.
            before = computed(agent)
            await read_turn(call, turn, until=lambda turn: turn.tokens >= 10)
            assert computed(agent) > before > 0
            assert "stand still" in await hearth(agent, "pause")
            still = computed(agent)
            reading = asyncio.create_task(read_turn(call, turn))
            await eventually(lambda: turn.tokens == agent.number("echo", "tokens"), "what was computed before has come")
            tokens = turn.tokens
            assert [paused.reason for paused in turn.paused] == [pb.PAUSE_REASON_OWNER]
            assert "owner" in turn.paused[0].message and turn.resumed == 0
            for _ in range(5):
                entry = agent.backends()["echo"]
                assert (entry["state"], int(entry["tokens"]), turn.tokens) == ("paused", tokens, tokens)
                assert computed(agent) == still and len(backend_processes(agent)) == 1
            assert await health(channel) == [SERVING, NOT_SERVING, NOT_SERVING]
            assert [model.state for model in (await stub.ListModels(pb.ListModelsRequest())).models] == [
                pb.MODEL_STATE_LOADING
            ]
            assert (await hearth(agent, "resume")).startswith("The agent takes requests")
            await reading
            assert turn.resumed == 1 and turn.tokens == 400
            echo.check(turn, request)
            assert await health(channel) == [SERVING, SERVING, SERVING]
            assert agent.number("echo", "restarts") == 0

    with Agent() as agent:
        run(scenario(agent))


def test_requests_wait_for_the_end_of_a_pause_and_their_own_times_go_on():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            await hearth(agent, "pause")
            request = echo.request("waits", max_tokens=7, queue_events=True)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.paused)
            assert turn.queued == 1 and turn.accepted is None
            counting = asyncio.ensure_future(stub.CountTokens(request, timeout=60))
            vector = pb.EmbedRequest(model="echo", inputs=[pb.EmbedInput(text="waits")])
            embedding = asyncio.ensure_future(stub.Embed(vector, timeout=60))
            # Places are told at most twice a second.
            error, events = await first_failure(stub.Generate(request, timeout=1.5))
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            assert {event.WhichOneof("event") for event in events} == {"queued", "paused"}
            impatient = echo.request("waits", max_tokens=7)
            impatient.max_queue_time.FromMilliseconds(100)
            error, _ = await first_failure(stub.Generate(impatient))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "max_queue_time" in error.details()
            status = agent.status()
            assert status["hold"] == {"pause": "frozen"} and status["backends"][0]["waiting"] == 2
            for command in ("status", "ps", "backends"):
                assert "paused: backends stand still" in await hearth(agent, command)
            assert samples(agent)[("hearth_paused",)] == 1 and samples(agent)[("hearth_backend_ready", ("backend", "echo"), ("model", "echo"))] == 0
            assert not counting.done() and not embedding.done()
            await hearth(agent, "resume")
            echo.check(await read_turn(call, turn), request)
            assert turn.resumed == 1
            assert (await counting).tokens == 1 and len((await embedding).embeddings) == 1
            assert "hold" not in agent.status() and samples(agent)[("hearth_paused",)] == 0

    with Agent() as agent:
        run(scenario(agent))


def test_the_memory_is_given_back_and_nothing_runs_before_the_resume_also_after_a_restart_of_the_agent():
    async def unload(agent):
        async with connect(agent) as channel:
            request = echo.request("stands still", max_tokens=200, tokens_per_second=100, ids=True)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            assert backend_processes(agent)
            await hearth(agent, "pause")
            assert "no backend has a process" in await hearth(agent, "pause", "--unload")
            assert descendants(agent.pid) == []
            turn = await read_turn(call, turn, until=lambda turn: turn.paused)
            assert not turn.is_over
            await hearth(agent, "resume")
            echo.check(await read_turn(call, turn), request)
            assert (turn.tokens, len(turn.paused), turn.resumed) == (200, 1, 1)
            await hearth(agent, "pause", "--unload")
            assert agent.status()["hold"] == {"pause": "unloaded"}

    async def wait_and_resume(agent):
        async with connect(agent) as channel:
            request = echo.request("again", max_tokens=5, queue_events=True)
            call = rpc.InferenceStub(channel).Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.paused)
            assert agent.status()["hold"] == {"pause": "unloaded"} and descendants(agent.pid) == []
            await hearth(agent, "resume")
            echo.check(await read_turn(call, turn), request)
            assert turn.resumed == 1 and not (agent.state / "hold.json").exists()

    with Agent() as agent:
        run(unload(agent))
        assert f"The agent with pid {agent.pid} has ended" in agent.command_line("stop", "--state", agent.state)
        assert agent.process.wait(timeout=10) == 0
        agent.process.stdout.close()
        models, agent.models = agent.models, []
        agent.__enter__()
        assert "as before its last end, this agent is paused" in agent.log()
        run(wait_and_resume(agent))
        agent.wait_ready(*models)


def test_a_drain_finishes_what_runs_and_refuses_the_rest_until_it_is_over():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("goes on", max_tokens=60, tokens_per_second=100)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            assert "that run: 1, that wait: 0" in await hearth(agent, "drain")
            for refused in (stub.Generate(request).read(), stub.CountTokens(request)):
                error = await failure(refused)
                assert error.code() == grpc.StatusCode.UNAVAILABLE and "takes no new requests" in error.details()
            assert await health(channel) == [SERVING, NOT_SERVING, NOT_SERVING]
            # A pause on top of it is ended by the same resume.
            await hearth(agent, "pause")
            assert agent.status()["hold"] == {"pause": "frozen", "draining": True}
            assert json.loads((agent.state / "hold.json").read_text()) == {"pause": "frozen", "draining": True}
            await hearth(agent, "resume")
            echo.check(await read_turn(call, turn), request)
            echo.check(await read_turn(stub.Generate(request)), request)

    with Agent() as agent:
        run(scenario(agent))


def test_a_backend_is_started_anew_after_what_it_runs_or_at_once():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            request = echo.request("goes on", max_tokens=60, tokens_per_second=100)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            first = agent.number("echo", "pid")
            assert "have ended (1)" in await hearth(agent, "restart", "echo")
            echo.check(await read_turn(call, turn), request)
            await eventually(lambda: agent.number("echo", "pid") not in (0, first), "another process")
            agent.wait_ready("echo")
            second = agent.number("echo", "pid")
            request = echo.request("stands still", max_tokens=100, tokens_per_second=100, ids=True)
            call = stub.Generate(request)
            turn = await read_turn(call, until=lambda turn: turn.tokens >= 5)
            await hearth(agent, "restart", "echo", "--now")
            echo.check(await read_turn(call, turn), request)
            assert turn.resumed == 1
            await eventually(lambda: agent.number("echo", "pid") not in (0, second), "another process")
            agent.wait_ready("echo")
            assert agent.number("echo", "restarts") == 0

    with Agent() as agent:
        run(scenario(agent))
        with pytest.raises(AssertionError, match="ended with 1.*there is no backend 'none'; there are: echo"):
            agent.command_line("restart", "none", "--state", agent.state)


def test_a_hold_that_is_not_understood_keeps_the_agent_from_starting():
    with Agent() as agent:
        agent.command_line("stop", "--state", agent.state)
        assert agent.process.wait(timeout=10) == 0
        (agent.state / "hold.json").write_text('{"paused": true}')
        refused = subprocess.run([str(part) for part in agent.command], capture_output=True, text=True, timeout=60)
        assert refused.returncode == 78 and "unknown key 'paused'" in refused.stderr
        assert "correct it, or remove it" in refused.stderr
