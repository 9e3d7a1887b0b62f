"""Stock clients of gRPC's own services: grpcio-health-checking, and grpcio-reflection with no protos of ours."""

import signal

import grpc
import pytest
from agent import Agent
from consumer import OWN_CONNECTION
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_reflection.v1alpha import reflection_pb2

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVED = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]


def connect(agent, address=None):
    return grpc.insecure_channel(address or agent.address, options=OWN_CONNECTION)


def asked(service):
    return health_pb2.HealthCheckRequest(service=service)


def test_check_knows_the_host_its_service_and_each_model():
    with Agent({"echo": None, "other": None}) as agent, connect(agent) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "hearth.v1.Inference", "echo", "other"):
            assert health.Check(asked(service), timeout=10).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            health.Check(asked("missing"), timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        statuses = health.List(health_pb2.HealthListRequest(), timeout=10).statuses
        assert sorted(statuses) == ["", "echo", "hearth.v1.Inference", "other"]
        assert all(answer.status == SERVING for answer in statuses.values())


def test_watch_sees_a_model_come_and_go():
    with Agent() as agent, connect(agent) as channel:
        changes = health_pb2_grpc.HealthStub(channel).Watch(asked("later"), timeout=60)
        assert next(changes).status == SERVICE_UNKNOWN
        agent.add_backend("later", None)
        assert next(changes).status == NOT_SERVING
        assert next(changes).status == SERVING
        (agent.backend_folder / "later").unlink()
        seen = next(changes).status
        if seen == NOT_SERVING:
            seen = next(changes).status
        assert seen == SERVICE_UNKNOWN


def test_a_host_that_shuts_down_is_not_serving_before_its_watch_ends():
    with Agent() as agent, connect(agent) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(asked(service), timeout=60) for service in ("", "hearth.v1.Inference", "echo")]
        assert [next(watch).status for watch in watches] == [SERVING] * 3
        agent.process.send_signal(signal.SIGTERM)
        for watch in watches:
            assert next(watch).status == NOT_SERVING
            with pytest.raises(grpc.RpcError) as caught:
                next(watch)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        # A watch is nothing to wait for, though the grace is longer.
        agent.process.wait(timeout=20)


def test_everything_is_listed_and_called_without_protos():
    with Agent() as agent, connect(agent) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert sorted(database.get_services()) == [*SERVED, "hearth.v1.Inference"]
        pool = DescriptorPool(database)
        for name in database.get_services():
            service = pool.FindServiceByName(name)
            assert service.methods, name
        # Whatever the details of an error are, a tool can show them.
        for name in ["Status", "RetryInfo", "QuotaFailure", "BadRequest"]:
            assert pool.FindMessageTypeByName(f"google.rpc.{name}").fields, name
        inference = pool.FindServiceByName("hearth.v1.Inference")
        method = inference.FindMethodByName("ListModels")
        answer = channel.unary_unary(
            f"/{inference.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )(GetMessageClass(method.input_type)(), timeout=10)
        assert [model.id for model in answer.models] == ["echo"]


def test_the_owner_finds_the_owners_service_and_consumers_do_not():
    with Agent() as agent:
        with connect(agent) as channel:
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            with pytest.raises(KeyError):
                pool.FindServiceByName("hearth.admin.v1.Admin")
        (socket,) = [path for path in agent.state.iterdir() if path.is_socket()]
        with connect(agent, f"unix:{socket}") as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            assert sorted(database.get_services()) == [*SERVED, "hearth.admin.v1.Admin"]
            assert DescriptorPool(database).FindServiceByName("hearth.admin.v1.Admin").methods
            assert health_pb2_grpc.HealthStub(channel).Check(asked(""), timeout=10).status == SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_what_reflection_cannot_answer_is_an_answer_and_no_end(version):
    Request = reflection_pb2.ServerReflectionRequest
    requests = [
        Request(file_by_filename="missing.proto"),
        Request(file_containing_symbol="missing"),
        Request(
            file_containing_extension=reflection_pb2.ExtensionRequest(
                containing_type="hearth.v1.GenerateRequest", extension_number=100
            )
        ),
        Request(list_services=""),
    ]
    with Agent() as agent, connect(agent) as channel:
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=Request.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        answers = list(ask(iter(requests), timeout=10))
        assert [answer.original_request for answer in answers] == requests
        assert [answer.error_response.error_code for answer in answers] == [5, 5, 5, 0]
        assert len(answers[-1].list_services_response.service) == 4
