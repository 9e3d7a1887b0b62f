"""The same contract over TLS and over a Unix socket."""

import os
import re
import socket
import subprocess
import tempfile

import echo
import grpc
import pytest
from agent import PREFIX, Agent
from consumer import OWN_CONNECTION, read_turn, rpc, run


# Who the agent becomes, where root starts it.
AS_USER = ["--user", "nobody"] if os.getuid() == 0 else []


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


def needs_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"no IPv6 on loopback here: {error}")


def command_line_answers(address, *options):
    for words in (["models"], ["chat", "--max-tokens", "5"]):
        command = [PREFIX / "bin/hearth", *words, "--to", address, *options, *(["Hello"] if "chat" in words else [])]
        answer = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
        assert answer.returncode == 0 and answer.stdout.strip(), (address, answer.stderr)


def test_ipv6_loopback():
    needs_ipv6()
    with Agent(listen=("[::1]:0",)) as agent:
        assert agent.address.startswith("[::1]:")
        exchange(lambda: grpc.aio.insecure_channel(f"ipv6:{agent.address}", options=OWN_CONNECTION))
        command_line_answers(agent.address)


def test_an_ipv4_mapped_loopback_address_is_loopback():
    needs_ipv6()
    with Agent(listen=("[::ffff:127.0.0.1]:0",)) as agent:
        port = agent.address.rpartition(":")[2]
        exchange(lambda: grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OWN_CONNECTION))
        for address in (agent.address, f"127.0.0.1:{port}"):
            command_line_answers(address)


def test_the_ipv6_wildcard_accepts_ipv4_too():
    needs_ipv6()
    # Other machines reach it: TLS and tokens, unasked.
    with Agent(listen=("[::]:0",), plaintext=False) as agent:
        connection = agent.process.stdout.readline().decode()
        port = agent.address.rpartition(":")[2]
        fingerprint = re.search(r"fingerprint=sha256:(\w+)", connection).group(1)
        key = agent.folder / "key"
        key.write_text(re.search(r"key=([^&]+)&", connection).group(1))
        for host in ("127.0.0.1", "[::1]"):
            command_line_answers(f"{host}:{port}", "--fingerprint", fingerprint, "--key-file", key)
        trusted = grpc.ssl_channel_credentials((agent.state / "certificate.pem").read_bytes())
        called = grpc.composite_channel_credentials(trusted, grpc.access_token_call_credentials(key.read_text()))
        for host in ("ipv4:127.0.0.1", "ipv6:[::1]"):
            options = [*OWN_CONNECTION, ("grpc.ssl_target_name_override", "localhost")]
            exchange(lambda host=host: grpc.aio.secure_channel(f"{host}:{port}", called, options=options))
        second = subprocess.run(
            [PREFIX / "bin/hearth", "serve", "--state", agent.folder / "other", "--backends", agent.backend_folder]
            + ["--listen", f"127.0.0.1:{port}"] + AS_USER,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 78 and "choose another address" in second.stderr, second


@pytest.mark.parametrize(
    "address, told",
    [
        ("[fe80::1]:50051", "needs the interface"),
        ("[::1%lo]:50051", "only a link-local address"),
        ("[fe80::1%missing9]:50051", "find the interface"),
        ("[nonsense]:50051", "[::1]:50051"),
    ],
)
def test_an_ipv6_address_that_cannot_be_is_refused_with_the_reason(address, told):
    for words, code in ((["models", "--to"], (64, 69)), (["serve", "--tls", "--listen"], (64, 78))):
        with tempfile.TemporaryDirectory() as folder:
            state = ["--state", f"{folder}/state", "--backends", folder, *AS_USER] if "serve" in words else []
            os.chmod(folder, 0o755)
            answer = subprocess.run(
                [PREFIX / "bin/hearth", *words, address, *state], capture_output=True, text=True, timeout=60
            )
        assert answer.returncode in code and told in answer.stderr, answer
