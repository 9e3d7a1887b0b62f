"""Ten thousand consumers at once, each with a connection and an open call of its own."""

import resource
import socket

import echo
import pytest
import raw_http2
from agent import SANITIZED, Agent, resident_kibibytes, wait_until
from consumer import connect, read_turn, rpc, run

CONNECTIONS = 10_000
# A connection with an open call: nghttp2's session and its header tables, the stream, the call. It took 15.5 KiB.
KIBIBYTES_EACH = 24
# A call that is begun and left open.
OPENING = raw_http2.BEGIN + raw_http2.headers(1, raw_http2.request("/hearth.v1.Inference/Chat"))


def number(agent, key):
    return int(agent.status().get(key, 0))


def raise_descriptor_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # The agent keeps 1,024 of its own for backends and files.
    if hard < CONNECTIONS + 2_000:
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
        assert SANITIZED or grown < CONNECTIONS * KIBIBYTES_EACH
        run(one_turn(agent))
        for consumer in consumers:
            consumer.close()
        wait_until(lambda: number(agent, "openConnections") == 0, "all connections gone", 60, 0.2)
        run(one_turn(agent))
