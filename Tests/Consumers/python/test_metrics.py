"""`hearth metrics`, as Prometheus's own library reads it."""

import echo
import grpc
from agent import Agent
from consumer import connect, detail, failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2
from prometheus_client.parser import text_string_to_metric_families


def samples(agent):
    """Every sample by its name and labels."""
    text = agent.command_line("metrics", "--state", agent.state)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_turns_tokens_and_met_limits_are_counted():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            for count in (5, 7):
                request = echo.request("counted", max_tokens=count, ids=True)
                echo.check(await read_turn(stub.Generate(request)), request)
            too_large = pb.GenerateRequest(model="echo", text="x" * (5 << 20))
            error = await failure(stub.CountTokens(too_large, timeout=20))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            (violation,) = detail(error, error_details_pb2.QuotaFailure).violations
            assert violation.description.startswith("messageBytesMax:")
            return samples(agent)

    with Agent() as agent:
        before = samples(agent)
        after = run(scenario(agent))
        backend = (("backend", "echo"), ("model", "echo"))
        limit = ("limit", "messageBytesMax")
        assert before[("hearth_tokens_sent_total",)] == 0 and after[("hearth_tokens_sent_total",)] == 12
        assert after[("hearth_turns_total", ("result", "finished"))] == 2
        assert after[("hearth_backend_ready", *backend)] == 1
        assert after[("hearth_open_connections",)] == 1
        assert after[("hearth_limit", limit)] == 4 << 20
        assert before[("hearth_limit_met_total", limit)] == 0 and after[("hearth_limit_met_total", limit)] == 1
