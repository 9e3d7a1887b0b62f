"""Ten thousand consumers at once, each with a connection and an open call of its own."""

import resource
import socket

import echo
import pytest
from agent import Agent, resident_kibibytes, wait_until
from consumer import connect, read_turn, rpc, run

CONNECTIONS = 10_000
# A connection with an open call: nghttp2's session and its header tables, the stream, the call. It took 15.5 KiB.
KIBIBYTES_EACH = 24




def frame(kind, flags, stream, payload=b""):
    """RFC 9113, section 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def field(name, value):
    """Literal, without indexing (RFC 7541, section 6.2.2)."""
    return bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


CALL = {
    ":method": "POST",
    ":scheme": "http",
    ":path": "/hearth.v1.Inference/Chat",
    ":authority": "localhost",
    "content-type": "application/grpc",
    "te": "trailers",
}
# SETTINGS, the acknowledgement of the server's, and HEADERS that begin a call and leave it open.
OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(4, 1, 0)
OPENING += frame(1, 4, 1, b"".join(field(name, value) for name, value in CALL.items()))


def number(agent, key):
    return int(agent.status().get(key, 0))


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < CONNECTIONS + 500:
        pytest.skip(f"a process may have only {hard} descriptors here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def one_turn(agent):
    request = echo.request("among many", max_tokens=50, ids=True)
    async with connect(agent) as channel:
        echo.check(await read_turn(rpc.InferenceStub(channel).Generate(request)), request)


def test_ten_thousand_connections_are_open_at_once():
    raise_descriptor_limit()
    with Agent() as agent:
        before = resident_kibibytes(agent.pid)
        host, _, port = agent.address.rpartition(":")
        consumers = []
        for _ in range(CONNECTIONS):
            consumer = socket.create_connection((host, int(port)), timeout=20)
            consumer.sendall(OPENING)
            consumers.append(consumer)
        wait_until(lambda: number(agent, "openCalls") == CONNECTIONS, f"{CONNECTIONS} open calls", 60, 0.2)
        grown = resident_kibibytes(agent.pid) - before
        print(f"{CONNECTIONS} connections, {grown / CONNECTIONS:.1f} KiB each")
        assert grown < CONNECTIONS * KIBIBYTES_EACH
        run(one_turn(agent))
        for consumer in consumers:
            consumer.close()
        wait_until(lambda: number(agent, "openConnections") == 0, "all connections gone", 60, 0.2)
        run(one_turn(agent))
