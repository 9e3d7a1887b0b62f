"""grpcio with gzip, both ways, and encodings that the host does not have."""

import echo
import grpc
from agent import Agent
from consumer import connect, failure, pb, read_turn, rpc, run
from google.rpc import error_details_pb2
from grpc_status import rpc_status

GZIP = grpc.Compression.Gzip


def test_a_client_that_compresses_everything_is_served():
    async def scenario(agent):
        async with grpc.aio.insecure_channel(agent.address, compression=GZIP) as channel:
            stub = rpc.InferenceStub(channel)
            assert [model.id for model in (await stub.ListModels(pb.ListModelsRequest())).models] == ["echo"]
            request = echo.request(" ".join(["compressible"] * 500), max_tokens=50, ids=True)
            echo.check(await read_turn(stub.Generate(request)), request)
            call = stub.Chat()
            for _ in range(3):
                await call.write(pb.ChatRequest(generate=request))
                echo.check(await read_turn(call), request)
            await call.done_writing()

    with Agent() as agent:
        run(scenario(agent))


def test_an_encoding_that_the_host_does_not_have_is_unimplemented_with_those_that_it_has():
    async def scenario(agent):
        options = [("grpc.default_compression_algorithm", 1)]  # deflate
        async with grpc.aio.insecure_channel(agent.address, options=options) as channel:
            call = rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest())
            error = await failure(call)
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert "identity,gzip" in error.details()

    with Agent() as agent:
        run(scenario(agent))


def test_a_message_that_grows_above_the_limit_is_resource_exhausted_and_the_host_goes_on():
    async def scenario(agent):
        async with connect(agent) as channel:
            stub = rpc.InferenceStub(channel)
            bomb = pb.GenerateRequest(model="echo", text="a" * (5 << 20))
            error = await failure(stub.CountTokens(bomb, compression=GZIP))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert (await stub.ListModels(pb.ListModelsRequest())).models

    with Agent() as agent:
        run(scenario(agent))


def test_a_refusal_of_a_compressed_request_has_its_details():
    with Agent() as agent, grpc.insecure_channel(agent.address, compression=GZIP) as channel:
        request = echo.request("x" * 5000, max_tokens=1)
        request.sampling.temperature = 3
        try:
            rpc.InferenceStub(channel).CountTokens(request, timeout=10)
            raise AssertionError("the request was not refused")
        except grpc.RpcError as error:
            (detail,) = rpc_status.from_call(error).details
        bad = error_details_pb2.BadRequest()
        assert detail.Unpack(bad)
        assert [violation.field for violation in bad.field_violations] == ["sampling.temperature"]
