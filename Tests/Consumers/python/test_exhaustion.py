"""Peers that use up what `hearth serve` has: time, processor, memory, descriptors. What each may use is bounded."""

import contextlib
import gzip
import os
import ssl
import time

import echo
import pytest
import raw_http2 as h2
from agent import SANITIZED, Agent, resident_kibibytes, wait_until
from attack import (
    CHAT,
    GENERATE,
    FLOOD_KIBIBYTES_MAX,
    HELD_KIBIBYTES_MAX,
    attacked,
    connect,
    flooded,
    generate,
    new_channel,
    streams,
    times_met,
    usage,
)
from grpc_health.v1 import health_pb2
from hearth.v1 import inference_pb2 as pb
from hearth.v1 import inference_pb2_grpc as rpc

__all__ = ["flooded"]

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
UNENDED = h2.BEGIN + h2.headers(1, h2.request(CHAT), 0)
GZIP = ("grpc-encoding", "gzip")
INVALID_ARGUMENT, RESOURCE_EXHAUSTED = 3, 8


# --- Processor.


def test_gzip_bombs_make_their_own_connection_wait(flooded):
    """Twice as much as one connection may have decompressed at once: none is refused for that, and all take a while."""
    bomb = h2.message(gzip.compress(bytes(4 << 20)), compressed=True)
    block, count = h2.request("/hearth.v1.Inference/Generate", GZIP), 16
    met = times_met(flooded, "decompressedBytesPerSecondMax")
    with connect(flooded) as peer, flooded.honest.keeps_its_rate():
        peer.send(h2.BEGIN)
        for stream in range(1, 2 * count, 2):
            peer.send(h2.call(stream, block, bomb, h2.END_STREAM), lambda: peer.has_ended(stream))
        # Zeros are no message.
        assert [peer.grpc_status(index * 2 + 1) for index in range(count)] == [INVALID_ARGUMENT] * count
    assert times_met(flooded, "decompressedBytesPerSecondMax") > met


# --- Time.


def half_a_handshake(address):
    """A TLS client that stops after its first message."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    peer = h2.Peer(address)
    peer.send(outgoing.read())
    return peer


def test_slow_and_silent_peers_are_closed_in_time(flooded):
    """All at once, because each takes as long as its limit: ten seconds."""
    with Agent(plaintext=False, options=["--tls"]) as secure, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connect(flooded)) for _ in range(20)]
        preface = [stack.enter_context(connect(flooded)) for _ in range(20)]
        for peer in preface:
            peer.send(h2.PREFACE[:10])
        handshakes = [stack.enter_context(half_a_handshake(secure.address)) for _ in range(20)]
        handshakes += [stack.enter_context(h2.Peer(secure.address)) for _ in range(20)]
        slow = [stack.enter_context(connect(flooded)) for _ in range(20)]
        for peer in slow:
            # A header block that comes byte by byte: what comes does not prolong the time.
            block = h2.field("x", "y" * 10_000)
            peer.send(UNENDED + h2.frame(h2.CONTINUATION, block, h2.END_HEADERS, 1)[: -len(block)])
            peer.left = block
        began = time.monotonic()
        stack.enter_context(flooded.honest.keeps_its_rate())
        open_ = [*silent, *preface, *handshakes, *slow]
        while open_:
            assert time.monotonic() < began + 20, f"{len(open_)} slow peers are still connected"
            for peer in slow:
                peer.send(peer.left[:1])
                peer.left = peer.left[1:]
            for peer in open_:
                peer.step(0)
            open_ = [peer for peer in open_ if not peer.is_closed]
            time.sleep(0.2)  # The slow peers send a byte each and then nothing for this time.
        for peer in slow:
            assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
            assert peer.goaways[0][1].startswith("headersMilliseconds")
        assert times_met(flooded, "handshakeMilliseconds") >= 40 and times_met(secure, "handshakeMilliseconds") == 40
        assert times_met(flooded, "headersMilliseconds") == 20
        print(f"100 slow peers: all gone after {time.monotonic() - began:.1f} s")



# --- Memory.

READERS, STREAMS_OF_A_READER = int(os.environ.get("HEARTH_SLOW_READERS", "8")), 256
# A stream that is not read holds what its window and its high mark allow, in a buffer of 96 KiB, and what a call costs.
READER_KIBIBYTES = 128


def test_readers_whose_windows_stay_closed_hold_a_fixed_amount_each():
    """The backend stops computing for them; a stream that reads goes on."""
    many = {"models": [{"id": "echo", "maxSequences": READERS * STREAMS_OF_A_READER + 8}]}
    limit = FLOOD_KIBIBYTES_MAX + READERS * STREAMS_OF_A_READER * READER_KIBIBYTES

    def turn(stream):
        payload = pb.GenerateRequest(model="echo", text=f"unread {stream}")
        payload.stopping.max_tokens = 1_000_000
        body = h2.message(payload.SerializeToString())
        return h2.headers(stream, h2.request(GENERATE)) + h2.data(stream, body, h2.END_STREAM)

    with attacked(limit, Agent({"echo": many})) as agent, contextlib.ExitStack() as stack:
        before = resident_kibibytes(agent.pid)
        for _ in range(READERS):
            peer = stack.enter_context(connect(agent))
            peer.send(h2.PREFACE + h2.settings((h2.INITIAL_WINDOW_SIZE, 0)) + streams(STREAMS_OF_A_READER, turn))
        calls = READERS * STREAMS_OF_A_READER + 1
        wait_until(lambda: usage(agent) == (READERS + 1, calls), f"{calls} calls")
        held, looks, deadline = 0, 0, time.monotonic() + 60
        while looks < 3 and not SANITIZED:
            now = resident_kibibytes(agent.pid)
            held, looks = (now, 0) if now > held + 512 else (held, looks + 1)
            assert time.monotonic() < deadline, "memory goes on growing"
            agent.honest.wait_for(50)
        grown = resident_kibibytes(agent.pid) - before
        print(f"{calls - 1} streams that are not read hold {grown} KiB together")
        assert SANITIZED or grown < limit


def test_what_all_peers_make_the_agent_hold_is_bounded():
    """Metadata costs its sender a few bytes (HPACK) and the agent 28 KiB for each of 2,000 streams of a connection."""
    block = h2.request(CHAT) + h2.field("x", "y" * 4000, indexed=True) + h2.FROM_DYNAMIC_TABLE * 6
    again = h2.request(CHAT) + h2.FROM_DYNAMIC_TABLE * 7
    hoard = h2.headers(1, block) + b"".join(h2.headers(index * 2 + 3, again) for index in range(1999))
    with attacked(HELD_KIBIBYTES_MAX) as agent, contextlib.ExitStack() as stack:
        peers = []
        while not times_met(agent, "heldBytesMax"):
            assert len(peers) < 10, "the agent holds more than it may"
            peers.append(stack.enter_context(connect(agent)))
            peers[-1].send(h2.BEGIN + hoard)
            assert SANITIZED or resident_kibibytes(agent.pid) < HELD_KIBIBYTES_MAX
            agent.honest.wait_for(5)
        for peer in peers:
            peer.step()
        ended = [peer for peer in peers if peer.goaways]
        for peer in ended:
            assert [code for code, _ in peer.goaways] == [h2.ENHANCE_YOUR_CALM]
            assert peer.goaways[0][1].startswith("heldBytesMax")
        assert ended
        print(f"{len(ended)} of {len(peers)} peers ended at {resident_kibibytes(agent.pid)} KiB")


def of_gzip(service):
    """A question about health whose message is many times larger than its bytes on the wire."""
    payload = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return h2.message(gzip.compress(payload), compressed=True)


@pytest.mark.parametrize("path", [CHECK, WATCH])
def test_messages_without_a_key_are_refused_however_small_they_are_on_the_wire(path):
    """Each is 4 MiB for 4 KiB. Health asks for no key, and takes short questions only: nothing is held."""
    body, count = of_gzip("x" * ((4 << 20) - 100)), 24
    met = "messageBytesMax"
    with attacked(FLOOD_KIBIBYTES_MAX) as agent, connect(agent) as peer:
        before = times_met(agent, met)
        calls = streams(count, lambda stream: h2.call(stream, h2.request(path, GZIP), body, h2.END_STREAM))
        peer.send(h2.BEGIN + calls, lambda: all(peer.has_ended(index * 2 + 1) for index in range(count)), 60)
        found = [peer.grpc_status(index * 2 + 1) for index in range(count)]
        assert found == [RESOURCE_EXHAUSTED] * count
        assert times_met(agent, met) == before + count
        agent.honest.wait_for(5)


def test_prompts_that_wait_for_a_sequence_are_bounded():
    """Each is 1 MiB; one connection's may take 64 MiB, and the call that goes above it ends."""
    few = {"models": [{"id": "echo", "maxSequences": 2}]}
    prompt, count = echo.request("x" * (1 << 20), max_tokens=1), 80
    with attacked(HELD_KIBIBYTES_MAX, Agent({"echo": few})) as agent, connect(agent) as peer:
        endless = echo.request("the other sequence", max_tokens=1_000_000, tokens_per_second=1)
        peer.send(h2.BEGIN + generate(1, endless))
        wait_until(lambda: agent.number("echo", "running") == 2, "both sequences are taken")
        waiting = [index * 2 + 3 for index in range(count)]
        peer.send(b"".join(generate(stream, prompt, GZIP, compress=gzip.compress) for stream in waiting))

        def refused():
            peer.step()
            return [stream for stream in waiting if peer.has_ended(stream)]

        # As many wait as fit. What is compressed takes its time to be read.
        wait_until(lambda: len(refused()) >= count - 63, "the prompts that are too many are refused", 60)
        agent.honest.wait_for(30)
        assert len(refused()) == count - 63
        assert {peer.grpc_status(stream) for stream in refused()} == {RESOURCE_EXHAUSTED}
        assert times_met(agent, "messageBytesPerConnectionMax") == len(refused())


# --- Descriptors.

DESCRIPTORS = 256


@pytest.mark.parametrize("idle", [False, True], ids=["silent", "idle"])
def test_connections_cannot_use_up_the_descriptors(idle):
    """Three times as many as descriptors: who is connected goes on, who comes is served, and the owner is heard."""
    agent = Agent()
    agent.command = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}", *agent.command]
    with attacked(agent=agent), contextlib.ExitStack() as stack:
        peers = []
        for index in range(3 * DESCRIPTORS):
            peers.append(stack.enter_context(connect(agent)))
            if idle:
                peers[-1].send(h2.BEGIN)
            if index % 64 == 0:
                agent.honest.wait_for(2)
        with new_channel(agent) as channel:
            assert rpc.InferenceStub(channel).ListModels(pb.ListModelsRequest(), timeout=15).models
        connections, calls = usage(agent)
        assert calls == 1 and 32 < connections < DESCRIPTORS
        descriptors = len(os.listdir(f"/proc/{agent.pid}/fd"))
        assert descriptors < DESCRIPTORS
        assert times_met(agent, "connectionsMax") > 0
        print(f"{len(peers)} connections: {connections} are kept with {descriptors} of {DESCRIPTORS} descriptors")
        agent.honest.wait_for(5)
