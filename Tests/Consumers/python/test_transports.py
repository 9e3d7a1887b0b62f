"""The same contract over TLS and over a Unix socket."""

import re

import echo
import grpc
import pytest
from agent import Agent, wait_until
from consumer import OWN_CONNECTION, read_turn, rpc, run


def exchange(channel):
    async def scenario():
        async with channel() as open_channel:
            request = echo.request("transport", max_tokens=20, ids=True)
            echo.check(await read_turn(rpc.InferenceStub(open_channel).Generate(request)), request)

    run(scenario())


def test_tls_with_the_certificate_that_the_agent_made():
    with Agent(plaintext=False, options=["--tls"]) as agent:
        certificate = (agent.state / "certificate.pem").read_bytes()
        trusted = grpc.ssl_channel_credentials(root_certificates=certificate)
        port = agent.address.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            exchange(lambda host=host: grpc.aio.secure_channel(f"{host}:{port}", trusted, options=OWN_CONNECTION))


def test_a_client_that_does_not_know_the_certificate_does_not_talk_to_the_agent():
    with Agent(plaintext=False, options=["--tls"]) as agent:

        async def scenario():
            async with grpc.aio.secure_channel(agent.address, grpc.ssl_channel_credentials()) as channel:
                call = rpc.InferenceStub(channel).Generate(echo.request("no", max_tokens=1), timeout=10)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    async for _ in call:
                        pass
                assert caught.value.code() == grpc.StatusCode.UNAVAILABLE

        run(scenario())


def test_a_unix_socket_beside_an_internet_one():
    with Agent(listen=("127.0.0.1:0", "unix:STATE/consumer.sock")) as agent:
        assert agent.addresses[1] == f"unix:{agent.state}/consumer.sock"
        for address in agent.addresses:
            exchange(lambda address=address: grpc.aio.insecure_channel(address, options=OWN_CONNECTION))
