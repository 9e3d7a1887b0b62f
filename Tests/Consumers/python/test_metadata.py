"""What travels beside the messages, between grpcio and the host."""

import echo
import grpc
import pytest
from agent import Agent
from consumer import OWN_CONNECTION, pb, rpc


def connect(agent):
    return grpc.insecure_channel(agent.address, options=OWN_CONNECTION)


def refusal(stub, request, **options):
    try:
        stub.CountTokens(request, timeout=10, **options)
    except grpc.RpcError as error:
        return error
    raise AssertionError("the request was not refused")


def test_any_text_comes_back_in_a_message():
    name = "100 % ü \U0001f525\nreally"
    with Agent() as agent, connect(agent) as channel:
        error = refusal(rpc.InferenceStub(channel), pb.GenerateRequest(model=name, text="x"))
        assert error.code() == grpc.StatusCode.NOT_FOUND
        assert name in error.details()


def test_a_message_of_any_length_can_be_read():
    with Agent() as agent, connect(agent) as channel:
        # What is too long is cut, with a character that is no ASCII.
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(f"/{'x' * 3_000}/Chat")(b"", timeout=10)
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert refused.value.details().endswith("x…")


def test_binary_metadata_is_taken_and_too_much_metadata_is_resource_exhausted():
    with Agent() as agent, connect(agent) as channel:
        stub = rpc.InferenceStub(channel)
        request = pb.ListModelsRequest()
        metadata = [("some-bin", bytes(range(256))), ("some-bin", b""), ("some", "text, with commas")]
        assert stub.ListModels(request, timeout=10, metadata=metadata).models
        for metadata in ([("x", "y" * 40_000)], [(f"x-{n}", "y") for n in range(300)]):
            error = refusal(stub, echo.request("x", max_tokens=1), metadata=metadata)
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.ListModels(request, timeout=10).models
